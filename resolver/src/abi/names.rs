//! Names that musl's loader treats in its own way: parts of libc, and the 64-bit file functions it dropped.

use xpkg_model::elf::ElfFacts;

use super::{Loader, LoaderKind};

/// `lib` and one of these begins the name of a part of libc; musl's loader takes all of them for itself
/// (`load_library` in ldso/dynlink.c).
const RESERVED: [&str; 7] = ["c.", "pthread.", "rt.", "m.", "dl.", "util.", "xnet."];

/// Whether musl's loader takes a needed name for itself: `libc.so`, `libc.musl-x86_64.so.1`, `libm.so.6` …
pub fn is_reserved(needed: &str) -> bool {
    needed.strip_prefix("lib").is_some_and(|rest| RESERVED.iter().any(|part| rest.starts_with(part)))
}

/// Functions whose `…64` names musl ≥ 1.2.4 no longer exports but still resolves for programs that were linked before
/// (`get_lfs64` in ldso/dynlink.c). `posix_fallocate` is in musl's list too, but its 17 letters with `64` do not fit the
/// buffer there: 1.2.4 and 1.2.5 do not find it (tried).
const LFS64: [&str; 58] = [
    "__fxstat",
    "__fxstatat",
    "__lxstat",
    "__xstat",
    "aio_cancel",
    "aio_error",
    "aio_fsync",
    "aio_read",
    "aio_return",
    "aio_suspend",
    "aio_write",
    "alphasort",
    "creat",
    "fallocate",
    "fgetpos",
    "fopen",
    "freopen",
    "fseeko",
    "fsetpos",
    "fstat",
    "fstatat",
    "fstatfs",
    "fstatvfs",
    "ftello",
    "ftruncate",
    "ftw",
    "getdents",
    "getrlimit",
    "glob",
    "globfree",
    "lio_listio",
    "lockf",
    "lseek",
    "lstat",
    "mkostemp",
    "mkostemps",
    "mkstemp",
    "mkstemps",
    "mmap",
    "nftw",
    "open",
    "openat",
    "posix_fadvise",
    "pread",
    "preadv",
    "prlimit",
    "pwrite",
    "pwritev",
    "readdir",
    "scandir",
    "sendfile",
    "setrlimit",
    "stat",
    "statfs",
    "statvfs",
    "tmpfile",
    "truncate",
    "versionsort",
];

/// The plain function behind a 64-bit name that the loader resolves by itself, where it is one of those.
pub fn is_lfs64(name: &str) -> Option<&'static str> {
    if name == "readdir64_r" {
        return Some("readdir_r");
    }
    let plain = name.strip_suffix("64")?;
    LFS64.into_iter().find(|known| *known == plain)
}

/// Whether libc itself gives a name, directly or by the loader's own mapping.
pub(super) fn given_by_loader(loader: &Loader, name: &str) -> bool {
    let Some(facts) = &loader.facts else { return false };
    if facts.export(name).is_some() {
        return true;
    }
    remaps(loader, facts) && is_lfs64(name).is_some_and(|plain| facts.export(plain).is_some())
}

/// The release that dropped the names (1.2.4) is the one that maps them, so a musl without `open64` maps.
/// OpenWrt patches the names back in; then the question does not arise.
fn remaps(loader: &Loader, libc: &ElfFacts) -> bool {
    matches!(loader.kind, LoaderKind::Musl { .. }) && libc.export("open64").is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_libc() {
        for name in ["libc.musl-x86_64.so.1", "libc.so", "libc.so.6", "libm.so.6", "libpthread.so.0", "libutil.so.1"] {
            assert!(is_reserved(name), "{name}");
        }
        for name in ["libcrypto.so.3", "librtmp.so.1", "libmagic.so.1", "libdlfcn.so", "c.so", "libresolv.so.2"] {
            assert!(!is_reserved(name), "{name}");
        }
    }

    #[test]
    fn file_functions() {
        assert_eq!(is_lfs64("open64"), Some("open"));
        assert_eq!(is_lfs64("readdir64_r"), Some("readdir_r"));
        assert_eq!(is_lfs64("posix_fadvise64"), Some("posix_fadvise"));
        for name in ["readdir_r64", "strtol64", "64", "open", "posix_fallocate64"] {
            assert_eq!(is_lfs64(name), None, "{name}");
        }
    }
}
