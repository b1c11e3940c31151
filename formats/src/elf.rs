//! Facts about an ELF file, from its program headers alone: OpenWrt strips the section headers away.
//!
//! Reads bounded pieces of a seekable file and never the whole of it; never panics on hostile bytes; judges nothing
//! (`resolver` does).

mod dynamic;
mod hash;
mod image;
pub mod patch;
mod pieces;
mod relocations;
mod symbols;
mod versions;

use std::io::{Read, Seek};

use goblin::elf::header::{EI_OSABI, ELFMAG, ET_DYN, ET_EXEC, Header};
use goblin::elf::program_header::{PF_X, PT_DYNAMIC, PT_GNU_STACK, PT_INTERP, PT_LOAD, ProgramHeader};
use xpkg_model::elf::{Class, ElfFacts, Kind};

use crate::Error;
use crate::limits::Limits;
use dynamic::Dynamic;
use image::{Image, Load};
use pieces::Pieces;

const EM_386: u16 = 3;

/// Program headers together may fill this much: the kernel's own bound (`load_elf_phdrs` in fs/binfmt_elf.c).
const MAX_PROGRAM_HEADERS: u64 = 65_536;
/// PT_INTERP: the kernel refuses more than PATH_MAX.
const MAX_INTERPRETER: u64 = 4096;
/// PT_DYNAMIC: 65,536 entries; real files have fewer than a hundred beside their NEEDED.
const MAX_DYNAMIC: u64 = 1 << 20;

/// How much of a file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Depth {
    Outline,
    Names,
}

/// Reads what an ELF file needs and gives. `Ok(None)` when the file does not begin as ELF does; an error when it does
/// and then makes no sense. `what` names the file in messages.
pub fn read_facts(
    file: &mut (impl Read + Seek + ?Sized),
    what: &str,
    limits: &Limits,
) -> Result<Option<ElfFacts>, Error> {
    let mut file = file;
    read(Pieces::new(&mut file, what)?, limits, Depth::Names)
}

/// As [`read_facts`], without names: no undefined and exported symbols, copies and version tags. For the many files of a
/// root of which few are looked at closely: names are nearly all of the facts' memory and of the time to read them.
pub fn read_outline(
    file: &mut (impl Read + Seek + ?Sized),
    what: &str,
    limits: &Limits,
) -> Result<Option<ElfFacts>, Error> {
    let mut file = file;
    read(Pieces::new(&mut file, what)?, limits, Depth::Outline)
}

fn read(mut pieces: Pieces<'_>, limits: &Limits, depth: Depth) -> Result<Option<ElfFacts>, Error> {
    let head = pieces.head(64)?;
    if !head.starts_with(ELFMAG) {
        return Ok(None);
    }
    let (header, ctx) = header(&pieces, &head)?;
    let class = if ctx.container.is_big() { Class::Elf64 } else { Class::Elf32 };
    let mut facts = ElfFacts {
        big_endian: !ctx.le.is_little(),
        flags: header.e_flags,
        osabi: header.e_ident[EI_OSABI],
        ..ElfFacts::new(Kind::Other, class, header.e_machine)
    };
    if !matches!(header.e_type, ET_EXEC | ET_DYN) {
        return Ok(Some(facts));
    }
    let segments = program_headers(&mut pieces, &header, ctx)?;
    facts.interpreter = interpreter(&mut pieces, &segments)?;
    facts.exec_stack = match segments.iter().find(|s| s.p_type == PT_GNU_STACK) {
        Some(stack) => stack.p_flags & PF_X != 0,
        // What says nothing gets an executable stack on i386 only (`elf_read_implies_exec`, arch/x86/include/asm/elf.h).
        None => header.e_machine == EM_386,
    };
    let loads = segments.iter().filter(|s| s.p_type == PT_LOAD);
    let loads = loads.map(|s| Load { address: s.p_vaddr, offset: s.p_offset, size: s.p_filesz }).collect();
    let mut image = Image::new(pieces, loads, ctx, header.e_machine);
    let dynamic = match segments.iter().find(|s| s.p_type == PT_DYNAMIC) {
        Some(s) => {
            let bytes = image.pieces.read(s.p_offset, s.p_filesz, MAX_DYNAMIC, "the dynamic section")?;
            Dynamic::parse(&bytes, ctx).map_err(|reason| image.pieces.malformed(reason))?
        }
        None => Dynamic::default(),
    };
    fill(&mut facts, &mut image, &dynamic, header.e_type, (limits, depth))?;
    Ok(Some(facts))
}

/// The ELF header, with class and byte order.
fn header(pieces: &Pieces<'_>, head: &[u8]) -> Result<(Header, goblin::container::Ctx), Error> {
    let header = goblin::elf::Elf::parse_header(head).map_err(|e| pieces.malformed(format!("bad ELF header: {e}")))?;
    match (header.container(), header.endianness()) {
        (Ok(container), Ok(endian)) => Ok((header, goblin::container::Ctx::new(container, endian))),
        _ => Err(pieces.malformed("unknown ELF class or byte order")),
    }
}

fn program_headers(
    pieces: &mut Pieces<'_>,
    header: &Header,
    ctx: goblin::container::Ctx,
) -> Result<Vec<ProgramHeader>, Error> {
    if header.e_phnum == 0 {
        return Ok(Vec::new());
    }
    let wanted = ProgramHeader::size(ctx);
    if usize::from(header.e_phentsize) != wanted {
        return Err(pieces.malformed(format!("program headers of {} bytes, not {wanted}", header.e_phentsize)));
    }
    let size = u64::from(header.e_phnum) * u64::from(header.e_phentsize);
    let bytes = pieces.read(header.e_phoff, size, MAX_PROGRAM_HEADERS, "the program headers")?;
    ProgramHeader::parse(&bytes, 0, header.e_phnum.into(), ctx)
        .map_err(|e| pieces.malformed(format!("bad program headers: {e}")))
}

fn interpreter(pieces: &mut Pieces<'_>, segments: &[ProgramHeader]) -> Result<Option<String>, Error> {
    let Some(segment) = segments.iter().find(|s| s.p_type == PT_INTERP) else { return Ok(None) };
    let bytes = pieces.read(segment.p_offset, segment.p_filesz, MAX_INTERPRETER, "the interpreter's name")?;
    let name = bytes.split(|b| *b == 0).next().unwrap_or_default();
    if name.is_empty() {
        return Err(pieces.malformed("an interpreter without a name"));
    }
    Ok(Some(String::from_utf8_lossy(name).into_owned()))
}

fn fill(
    facts: &mut ElfFacts,
    image: &mut Image<'_>,
    dynamic: &Dynamic,
    e_type: u16,
    (limits, depth): (&Limits, Depth),
) -> Result<(), Error> {
    facts.relr = dynamic.relr;
    facts.textrel = dynamic.textrel;
    if dynamic.has_strings() {
        let mut strings = match depth {
            Depth::Names => Some(image.strings(dynamic, limits)?),
            Depth::Outline => None,
        };
        let mut text = |at| match &mut strings {
            Some(strings) => strings.get(at),
            None => image.text(dynamic, at),
        };
        facts.soname = dynamic.soname.map(&mut text).transpose()?;
        facts.rpath = dynamic.rpath.map(&mut text).transpose()?;
        facts.runpath = dynamic.runpath.map(&mut text).transpose()?;
        facts.needed = dynamic.needed.iter().copied().map(&mut text).collect::<Result<_, _>>()?;
        // Some libraries carry an interpreter so that they can be started (glibc's libc.so.6, Qt's Core): what has a
        // soname and does not call itself a program is a library.
        let starts = e_type == ET_EXEC || dynamic.pie || (facts.interpreter.is_some() && facts.soname.is_none());
        facts.kind = if starts { Kind::Program } else { Kind::Library };
        let Some(mut strings) = strings else { return Ok(()) };
        facts.version_needs = versions::needs(image, dynamic, &mut strings)?;
        symbols::collect(facts, image, dynamic, &mut strings, limits)?;
        if facts.kind == Kind::Program {
            facts.copies = relocations::copies(image, dynamic, &mut strings)?;
        }
    } else if !dynamic.needed.is_empty() || dynamic.soname.is_some() {
        return Err(image.pieces.malformed("it names libraries but has no string table"));
    } else {
        let starts = e_type == ET_EXEC || dynamic.pie || facts.interpreter.is_some();
        facts.kind = if starts { Kind::Program } else { Kind::Library };
    }
    Ok(())
}

#[cfg(test)]
mod tests;
