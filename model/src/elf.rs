//! What an ELF file says about what it needs and gives. Read by `formats::elf`, judged by `resolver::abi`.

use serde::{Deserialize, Serialize};

/// 32 or 64 bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Class {
    /// ELFCLASS32
    Elf32,
    /// ELFCLASS64
    Elf64,
}

/// What kind of file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// ET_EXEC, or ET_DYN with an interpreter or DF_1_PIE: a program.
    Program,
    /// ET_DYN otherwise: a shared library or plugin.
    Library,
    /// ET_REL, ET_CORE and the rest (kernel modules, objects): no matter of the loader.
    Other,
}

/// An exported name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Export {
    /// Name, unversioned.
    pub name: String,
    /// st_size of data objects (for COPY relocations); 0 for functions.
    pub size: u64,
    /// STB_WEAK.
    pub weak: bool,
}

/// The facts. Names are unversioned: musl ignores symbol versions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ElfFacts {
    /// 32 or 64 bit.
    pub class: Class,
    /// Big-endian data.
    pub big_endian: bool,
    /// e_machine.
    pub machine: u16,
    /// e_flags (float ABI on arm, ISA on mips, float ABI on riscv and loongarch).
    pub flags: u32,
    /// EI_OSABI.
    pub osabi: u8,
    /// Program, library or other.
    pub kind: Kind,
    /// PT_INTERP.
    pub interpreter: Option<String>,
    /// DT_SONAME.
    pub soname: Option<String>,
    /// DT_NEEDED, in order.
    pub needed: Vec<String>,
    /// DT_RPATH.
    pub rpath: Option<String>,
    /// DT_RUNPATH.
    pub runpath: Option<String>,
    /// Undefined names that must be found (STB_GLOBAL).
    pub undefined: Vec<String>,
    /// Undefined names that need not (STB_WEAK).
    pub weak_undefined: Vec<String>,
    /// Defined global and weak names of the dynamic symbol table, sorted by name.
    pub exports: Vec<Export>,
    /// Data symbols it copies from a library, with the size it expects.
    pub copies: Vec<(String, u64)>,
    /// Uses DT_RELR: crashes silently on loaders that do not know it.
    pub relr: bool,
    /// DT_TEXTREL or DF_TEXTREL.
    pub textrel: bool,
    /// PT_GNU_STACK asks for an executable stack (or a file without it on x86 is old).
    pub exec_stack: bool,
    /// Version tags it asks of libraries (`GLIBC_2.34` …): a hint, glibc detection.
    pub version_needs: Vec<String>,
}

impl ElfFacts {
    /// The facts of a file of which only its header is known: it needs, gives and asks nothing.
    pub fn new(kind: Kind, class: Class, machine: u16) -> Self {
        Self {
            class,
            big_endian: false,
            machine,
            flags: 0,
            osabi: 0,
            kind,
            interpreter: None,
            soname: None,
            needed: Vec::new(),
            rpath: None,
            runpath: None,
            undefined: Vec::new(),
            weak_undefined: Vec::new(),
            exports: Vec::new(),
            copies: Vec::new(),
            relr: false,
            textrel: false,
            exec_stack: false,
            version_needs: Vec::new(),
        }
    }

    /// Finds an exported name.
    pub fn export(&self, name: &str) -> Option<&Export> {
        self.exports.binary_search_by(|e| e.name.as_str().cmp(name)).ok().map(|i| &self.exports[i])
    }

    /// Whether it takes part in dynamic linking.
    pub fn is_dynamic(&self) -> bool {
        self.kind != Kind::Other
            && (self.interpreter.is_some()
                || self.soname.is_some()
                || !self.needed.is_empty()
                || self.kind == Kind::Library)
    }
}
