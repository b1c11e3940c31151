//! The real opkg as the judge: a universe becomes a directory of its root, with small real package files, and its command
//! lines are carried out there by chroot.

use std::fs;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;
use xpkg_fixtures::real;

use super::{Made, Said, Step, Universe};

/// A root that holds the real opkg.
pub struct Judge {
    root: TempDir,
    chroot: real::Chroot,
}

impl Judge {
    /// Unpacks the root; `None` where there is none or no right to use it.
    pub fn new() -> Option<Self> {
        if real::data().is_none() || !real::root_rights() {
            return None;
        }
        let root = real::unpack_root(real::OPENWRT_19_07).unwrap();
        let chroot = real::Chroot::new(root.path()).unwrap();
        Some(Self { root, chroot })
    }

    /// Directory of a universe as this machine sees it.
    pub fn dir(&self, universe: &Universe) -> PathBuf {
        self.root.path().join("u").join(universe.seed.to_string())
    }

    /// Carries a universe out and forgets it.
    pub fn carry_out(&self, universe: &Universe) -> Vec<Said> {
        let dir = self.dir(universe);
        prepare(&dir, universe, &format!("/u/{}", universe.seed));
        let script = script(&dir, universe);
        fs::write(dir.join("run.sh"), script).unwrap();
        let inside = format!("/u/{}", universe.seed);
        let out = self.chroot.run(["/bin/sh", &format!("{inside}/run.sh")]).unwrap();
        assert!(out.success(), "{out:?}");
        let said = universe
            .steps
            .iter()
            .enumerate()
            .filter_map(|(i, step)| match step {
                Step::Run(words) => {
                    let read = |what: &str| {
                        String::from_utf8_lossy(&fs::read(dir.join(format!("{what}.{i}"))).unwrap()).into_owned()
                    };
                    Some(Said {
                        command: words.join(" "),
                        code: read("code").trim().parse().unwrap(),
                        stdout: without_times(&read("out")),
                        stderr: without_lost_lists(&temporary_names(&read("err"))),
                        status: without_times(&read("status")),
                    })
                }
                Step::Lists(_) => None,
            })
            .collect();
        self.chroot.run(["/bin/rm", "-r", &inside]).unwrap().expect_success().unwrap();
        said
    }
}

/// Leaves out `Installed-Time`.
pub fn without_times(text: &str) -> String {
    text.split_inclusive('\n').filter(|line| !line.starts_with("Installed-Time: ")).collect()
}

/// opkg loses the list of files of a package that replaces itself, and says so when it is removed: docs/fidelity.md.
pub(super) fn without_lost_lists(text: &str) -> String {
    let lost = |line: &str| line.contains("pkg_get_installed_files: Failed to open") && line.contains("/info/");
    let kept: String = text.split_inclusive('\n').filter(|line| !lost(line)).collect();
    if kept == "Collected errors:\n" { String::new() } else { kept }
}

/// The random part of temporary directories.
fn temporary_names(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("/tmp/opkg-") {
        out.push_str(before);
        out.push_str("/tmp/opkg-XXXXXX");
        rest = after.get(6..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

/// Makes the directory of a universe; `shown` is what its own programs call it.
pub(super) fn prepare(dir: &Path, universe: &Universe, shown: &str) {
    for sub in ["repo", "etc", "usr/lib/opkg/info", "var/lock", "var/opkg-lists", "tmp"] {
        fs::create_dir_all(dir.join(sub)).unwrap();
    }
    fs::write(dir.join("usr/lib/opkg/status"), "").unwrap();
    let conf = format!("src feed file:{shown}/repo\ndest root /\nlists_dir ext /var/opkg-lists\n");
    fs::write(dir.join("etc/opkg.conf"), conf).unwrap();
    for made in &universe.packages {
        fs::write(dir.join("repo").join(made.file()), ipk(made)).unwrap();
    }
}

fn script(dir: &Path, universe: &Universe) -> String {
    let inside = format!("/u/{}", universe.seed);
    let mut text = format!("cd {inside}\n");
    for (i, step) in universe.steps.iter().enumerate() {
        match step {
            Step::Lists(which) => {
                fs::write(dir.join(format!("list.{i}")), list(universe, which)).unwrap();
                text.push_str(&format!("cp list.{i} var/opkg-lists/feed\n"));
            }
            Step::Run(words) => {
                let words: Vec<_> = words.iter().map(|w| format!("'{}'", argument(universe, w))).collect();
                text.push_str(&format!(
                    "opkg -o {inside} -f {inside}/etc/opkg.conf {} >out.{i} 2>err.{i}\necho $? >code.{i}\ncp usr/lib/opkg/status status.{i}\n",
                    words.join(" ")
                ));
            }
        }
    }
    text
}

/// A word of a command line, with `@N` made a path.
pub(super) fn argument(universe: &Universe, word: &str) -> String {
    match word.strip_prefix('@').and_then(|n| n.parse::<usize>().ok()) {
        Some(n) => format!("/u/{}/repo/{}", universe.seed, universe.packages[n].file()),
        None => word.to_owned(),
    }
}

/// The list that holds these packages.
pub(super) fn list(universe: &Universe, which: &[usize]) -> String {
    let mut text = String::new();
    for made in which.iter().map(|i| &universe.packages[*i]) {
        let bytes = ipk(made);
        for (name, value) in &made.fields {
            text.push_str(&format!("{name}: {value}\n"));
        }
        let digest = ring::digest::digest(&ring::digest::SHA256, &bytes);
        let hex: String = digest.as_ref().iter().map(|b| format!("{b:02x}")).collect();
        text.push_str(&format!("Filename: {}\nSize: {}\nSHA256sum: {hex}\n\n", made.file(), bytes.len()));
    }
    text
}

/// A small package file.
pub fn ipk(made: &Made) -> Vec<u8> {
    let control: String = made.fields.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
    let control = tar(&[("./control".to_owned(), control.into_bytes())]);
    let files: Vec<_> = made
        .files
        .iter()
        .map(|path| (format!("./{path}"), format!("{path} {}", made.field("Version")).into_bytes()))
        .collect();
    tar(&[
        ("./debian-binary".to_owned(), b"2.0\n".to_vec()),
        ("./data.tar.gz".to_owned(), tar(&files)),
        ("./control.tar.gz".to_owned(), control),
    ])
}

fn tar(members: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    let mut dirs = std::collections::BTreeSet::new();
    for (path, content) in members {
        for dir in Path::new(path).ancestors().skip(1).filter(|d| d.components().count() > 1) {
            dirs.insert(dir.to_owned());
        }
        for dir in std::mem::take(&mut dirs) {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(tar::EntryType::Directory);
            header.set_size(0);
            header.set_uid(0);
            header.set_gid(0);
            header.set_mtime(0);
            header.set_mode(0o755);
            builder.append_data(&mut header, dir, std::io::empty()).unwrap();
        }
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_mode(0o644);
        header.set_cksum();
        builder.append_data(&mut header, path, content.as_slice()).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}
