//! Does this root's loader know DT_RELR? Asked of the loader itself: a program of a few hundred bytes whose one relative
//! relocation is written either as RELA (which every loader knows) or as RELR, and which exits with 0 when the loader
//! applied it. Two runs: without the first, a failure of the second would say nothing.

use xpkg_install::scripts::{ScriptCall, ScriptRunner};
use xpkg_model::Observer;
use xpkg_model::elf::Class;
use xpkg_model::payload::ScriptKind;
use xpkg_resolver::abi::Loader;

const EM_X86_64: u16 = 62;
const EM_AARCH64: u16 = 183;

/// Length of the code; the word to relocate follows it.
const CODE: usize = 24;

/// Compares the word behind the code with its own address: equal, exit(0); else exit(1).
const X86_64: [u8; CODE] = [
    0x48, 0x8d, 0x05, 0x11, 0, 0, 0, // lea rax, [rip + 17]
    0x31, 0xff, // xor edi, edi
    0x48, 0x39, 0x00, // cmp [rax], rax
    0x40, 0x0f, 0x95, 0xc7, // setne dil
    0xb8, 0x3c, 0, 0, 0, // mov eax, 60
    0x0f, 0x05, // syscall
    0x90, // nop
];
const AARCH64: [u32; CODE / 4] = [
    0x1000_00c1, // adr x1, .+24
    0xf940_0022, // ldr x2, [x1]
    0xeb02_003f, // cmp x1, x2
    0x9a9f_07e0, // cset x0, ne
    0xd280_0ba8, // mov x8, 93
    0xd400_0001, // svc 0
];

/// Runs the probe. `None`: there is no probe for this machine, or even the plain one did not run.
pub(crate) fn run(loader: &Loader, runner: &mut dyn ScriptRunner, observer: &dyn Observer) -> Option<bool> {
    let facts = loader.facts.as_ref()?;
    if facts.class != Class::Elf64 || facts.big_endian {
        return None;
    }
    let mut try_one = |packed| {
        let text = program(facts.machine, &loader.path, packed)?;
        let call = ScriptCall::apk("xpkg-probe", "0", ScriptKind::Trigger, &text, Vec::new());
        Some(runner.run(&call, observer).is_ok())
    };
    if try_one(false)? { try_one(true) } else { None }
}

/// The program: everything in one writable segment at address 0.
fn program(machine: u16, interpreter: &str, packed: bool) -> Option<Vec<u8>> {
    let (code, relative) = match machine {
        EM_X86_64 => (X86_64.to_vec(), 8u64),
        EM_AARCH64 => (AARCH64.iter().flat_map(|w| w.to_le_bytes()).collect(), 1027),
        _ => return None,
    };
    const HEADERS: u64 = 64 + 4 * 56;
    let interp = [interpreter.as_bytes(), b"\0"].concat();
    let align = |at: u64| at.next_multiple_of(8);
    let symtab = align(HEADERS + interp.len() as u64);
    let hash = symtab + 24;
    let strtab = hash + 16;
    let relocations = strtab + 8;
    let dynamic = relocations + 24;
    let entry = dynamic + 9 * 16;
    let word = entry + CODE as u64;
    let size = word + 8;

    let mut out = Vec::new();
    let u16s = |out: &mut Vec<u8>, values: &[u16]| values.iter().for_each(|v| out.extend(v.to_le_bytes()));
    let u32s = |out: &mut Vec<u8>, values: &[u32]| values.iter().for_each(|v| out.extend(v.to_le_bytes()));
    let u64s = |out: &mut Vec<u8>, values: &[u64]| values.iter().for_each(|v| out.extend(v.to_le_bytes()));
    out.extend(*b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    u16s(&mut out, &[3, machine]);
    u32s(&mut out, &[1]);
    u64s(&mut out, &[entry, 64, 0]);
    u32s(&mut out, &[0]);
    u16s(&mut out, &[64, 56, 4, 0, 0, 0]);
    let mut segment = |kind: u32, flags: u32, at: u64, len: u64, align: u64| {
        u32s(&mut out, &[kind, flags]);
        u64s(&mut out, &[at, at, at, len, len, align]);
    };
    segment(6, 4, 64, 4 * 56, 8); // PT_PHDR: musl finds its base by it
    segment(3, 4, HEADERS, interp.len() as u64, 1); // PT_INTERP
    segment(1, 7, 0, size, 4096); // PT_LOAD, all rights: smallest, and it runs for a millisecond
    segment(2, 6, dynamic, 9 * 16, 8); // PT_DYNAMIC
    out.extend(interp);
    out.resize(symtab as usize, 0);
    out.resize(hash as usize, 0); // one null symbol
    u32s(&mut out, &[1, 1, 0, 0]); // one bucket, one chain, both empty
    out.resize(relocations as usize, 0);
    if packed {
        u64s(&mut out, &[word, 0, 0]);
    } else {
        u64s(&mut out, &[word, relative, word]);
    }
    u64s(&mut out, &[4, hash, 5, strtab, 6, symtab, 10, 1, 11, 24]);
    if packed {
        u64s(&mut out, &[36, relocations, 35, 8, 37, 8]); // DT_RELR, DT_RELRSZ, DT_RELRENT
    } else {
        u64s(&mut out, &[7, relocations, 8, 24, 9, 24]); // DT_RELA, DT_RELASZ, DT_RELAENT
    }
    u64s(&mut out, &[0, 0]);
    out.extend(code);
    u64s(&mut out, &[if packed { word } else { 0 }]);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;
    use xpkg_formats::limits::Limits;

    #[test]
    fn both_programs_are_what_they_should_be() {
        for machine in [EM_X86_64, EM_AARCH64] {
            for packed in [false, true] {
                let bytes = program(machine, "/lib/ld-musl-x86_64.so.1", packed).unwrap();
                let facts = xpkg_formats::elf::read_facts(&mut Cursor::new(bytes), "probe", &Limits::default());
                let facts = facts.unwrap().unwrap();
                assert_eq!((facts.machine, facts.relr), (machine, packed));
                assert_eq!(facts.interpreter.as_deref(), Some("/lib/ld-musl-x86_64.so.1"));
            }
        }
        assert!(program(8, "/lib/ld-musl-mips.so.1", true).is_none());
    }

    /// The roots' own loaders answer as bridges between releases were found to: 1.1.24 does not know it, 1.2.5 does.
    #[test]
    fn real_loaders_answer() {
        use std::os::unix::fs::PermissionsExt as _;
        if xpkg_fixtures::real::data().is_none()
            || !xpkg_fixtures::real::root_rights()
            || std::env::consts::ARCH != "x86_64"
        {
            return;
        }
        for (root, packed_works) in
            [("openwrt-19.07.2-x86_64-musl-ipk", false), ("openwrt-25.12.2-x86_64-musl-apk3", true)]
        {
            let root = xpkg_fixtures::real::unpack_root(root).unwrap();
            for (packed, works) in [(false, true), (true, packed_works)] {
                let path = root.path().join("probe");
                std::fs::write(&path, program(EM_X86_64, "/lib/ld-musl-x86_64.so.1", packed).unwrap()).unwrap();
                std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
                let status = std::process::Command::new("chroot").arg(root.path()).arg("/probe").status().unwrap();
                assert_eq!(status.success(), works, "{} packed {packed}: {status}", root.path().display());
            }
        }
    }
}
