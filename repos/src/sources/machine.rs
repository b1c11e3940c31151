//! What a root's own programs are built for, where no package manager says it. Reads the headers of one of them.

use std::io;

use xpkg_formats::elf::read_outline;
use xpkg_formats::limits::Limits;
use xpkg_model::RelPath;
use xpkg_model::elf::{Class, ElfFacts};
use xpkg_model::root::RootView;

/// Programs that hardly any root is without, and init on those that have no shell.
const PROGRAMS: [&str; 8] =
    ["bin/sh", "bin/busybox", "usr/bin/env", "bin/ls", "sbin/init", "usr/bin/busybox", "bin/bash", "usr/bin/dash"];

/// What a root's own programs say of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Alpine's word for the machine; `None` where Alpine has no packages for it.
    pub word: Option<&'static str>,
    /// The loader that starts them; `None` for static ones.
    pub interpreter: Option<String>,
}

/// What a root's programs are built for; `None` where it has none.
pub fn machine(root: &dyn RootView) -> io::Result<Option<Machine>> {
    for program in PROGRAMS {
        let Some(mut file) = root.open(&RelPath::literal(program))? else { continue };
        // What is no ELF file (a script that stands for a program) says nothing.
        if let Ok(Some(facts)) = read_outline(&mut file, program, &Limits::default()) {
            return Ok(Some(Machine { word: word(&facts), interpreter: facts.interpreter }));
        }
    }
    Ok(None)
}

/// Machine numbers are those of the ELF specification's supplements; Alpine's words those of its aports.
fn word(facts: &ElfFacts) -> Option<&'static str> {
    /// EF_ARM_ABI_FLOAT_HARD of the ARM supplement: Alpine has nothing for software floating point.
    const HARD_FLOAT: u32 = 0x400;
    match (facts.machine, facts.class, facts.big_endian) {
        (62, Class::Elf64, false) => Some("x86_64"),
        (3, Class::Elf32, false) => Some("x86"),
        (183, Class::Elf64, false) => Some("aarch64"),
        (40, Class::Elf32, false) if facts.flags & HARD_FLOAT != 0 => Some("armhf"),
        (21, Class::Elf64, false) => Some("ppc64le"),
        (22, Class::Elf64, true) => Some("s390x"),
        (243, Class::Elf64, false) => Some("riscv64"),
        (258, Class::Elf64, false) => Some("loongarch64"),
        _ => None,
    }
}
