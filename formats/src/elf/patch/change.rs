//! What has to change in one file: decides where the new interpreter, strings, dynamic section and headers go. Writes
//! nothing.

use goblin::elf::header::{ELFMAG, ET_DYN, ET_EXEC};
use goblin::elf::program_header::*;
use xpkg_model::adaptation::ElfPatch;

use super::sections::Sections;
use super::tables::{E_PHNUM, E_PHOFF, Layout};
use super::tail::{Tail, spare};
use super::{Part, Rewrite};
use crate::Error;
use crate::elf::image::{Image, Load};
use crate::elf::pieces::Pieces;
use crate::elf::{MAX_DYNAMIC, MAX_INTERPRETER, MAX_PROGRAM_HEADERS, header, program_headers};

const DT_STRTAB: u64 = 5;
const DT_STRSZ: u64 = 10;
const DT_RPATH: u64 = 15;
const DT_RUNPATH: u64 = 29;
/// Its value counts from the entry itself to where a debugger looks (position-independent programs of MIPS).
const DT_MIPS_RLD_MAP_REL: u64 = 0x7000_0035;

/// Search paths longer than this are nobody's wish.
const MAX_RUNPATH: usize = 4096;

/// Where something lies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) offset: u64,
    pub(super) address: u64,
    pub(super) size: u64,
}

/// The dynamic section as it will be.
struct NewDynamic {
    entries: Vec<(u64, u64)>,
    /// The old string table, when a new one with the path at its end is needed.
    strings: Option<Place>,
    old: Place,
    /// Where among the old entries the one was that counts from itself.
    rld_map: Option<usize>,
}

pub(super) fn plan(mut pieces: Pieces<'_>, patch: &ElfPatch) -> Result<Rewrite, Error> {
    let mut head = pieces.head(64)?;
    if !head.starts_with(ELFMAG) {
        return Err(pieces.malformed("it is no ELF file"));
    }
    let (header, ctx) = header(&pieces, &head)?;
    if !matches!(header.e_type, ET_EXEC | ET_DYN) {
        return Err(unwritable(&pieces, "it is neither a program nor a library"));
    }
    let layout = Layout::of(ctx);
    head.truncate(layout.header());
    let mut segments = program_headers(&mut pieces, &header, ctx)?;
    let mut sections = Sections::read(&mut pieces, layout, &header, &mut head)?;
    sections.nothing_behind(&mut pieces, &header, &segments)?;
    let mut spans = Vec::new();
    let interpreter = match &patch.interpreter {
        Some(name) => interpreter(&pieces, &segments, name, &mut spans)?,
        None => None,
    };
    let loads = segments.iter().filter(|s| s.p_type == PT_LOAD);
    let loads = loads.map(|s| Load { address: s.p_vaddr, offset: s.p_offset, size: s.p_filesz }).collect();
    let old = pieces.len();
    let mut image = Image::new(pieces, loads, ctx, header.e_machine);
    let dynamic = match &patch.runpath {
        Some(path) => new_dynamic(&mut image, layout, &segments, path)?,
        None => None,
    };
    let pieces = image.pieces;

    let moves = |d: &NewDynamic| d.old.size < ((d.entries.len() + 1) * layout.entry()) as u64;
    let dynamic_moves = dynamic.as_ref().is_some_and(moves);
    let mut tail = None;
    if interpreter.is_some() || dynamic_moves || dynamic.as_ref().is_some_and(|d| d.strings.is_some()) {
        let spare = spare(&segments);
        let mut new = Tail::start(&pieces, &header, &segments, spare.is_some())?;
        match spare {
            Some(spare) => drop(segments.remove(spare)),
            None => {
                let count = segments.len() as u64 + 1;
                let size = count * u64::from(header.e_phentsize);
                if size > MAX_PROGRAM_HEADERS {
                    return Err(pieces.too_large("its program headers", size, MAX_PROGRAM_HEADERS));
                }
                let place = new.add([Part::Bytes(vec![0; size as usize])]); // written when all is known
                layout.set(&mut head, &E_PHOFF, place.offset);
                layout.set(&mut head, &E_PHNUM, count);
                point(&mut segments, PT_PHDR, place);
            }
        }
        if let Some(name) = interpreter {
            let place = new.add([Part::Bytes(name)]);
            let old = point(&mut segments, PT_INTERP, place);
            sections.moved(Sections::PROGBITS, old, place);
        }
        tail = Some((new, spare.is_some()));
    }
    if let Some(mut dynamic) = dynamic {
        if let (Some(strings), Some((tail, _)), Some(path)) = (dynamic.strings, &mut tail, &patch.runpath) {
            let path = [path.as_bytes(), b"\0"].concat();
            let place = tail.add([Part::Copy { offset: strings.offset, size: strings.size }, Part::Bytes(path)]);
            for (tag, value) in &mut dynamic.entries {
                match *tag {
                    DT_STRTAB => *value = place.address,
                    DT_STRSZ => *value = place.size,
                    DT_RUNPATH => *value = strings.size,
                    _ => {}
                }
            }
            sections.moved(Sections::STRTAB, strings.address, place);
        }
        if let (true, Some((tail, _))) = (dynamic_moves, &mut tail) {
            let entries = relative(&dynamic, tail.next_address(), layout);
            // Some free entries, as linkers leave them: the next change finds room.
            let place = tail.add([Part::Bytes(layout.dynamic(&entries, (entries.len() + 4) * layout.entry()))]);
            point(&mut segments, PT_DYNAMIC, place);
            sections.moved(Sections::DYNAMIC, dynamic.old.address, place);
        } else {
            let entries = relative(&dynamic, dynamic.old.address, layout);
            spans.push((dynamic.old.offset, layout.dynamic(&entries, dynamic.old.size as usize)));
        }
    }
    let (mut gap, mut parts) = (0, Vec::new());
    if let Some((tail, in_place)) = tail {
        let behind_last = segments.iter().rposition(|s| s.p_type == PT_LOAD).map_or(0, |i| i + 1);
        segments.insert(behind_last, tail.segment(dynamic_moves));
        (gap, parts) = tail.finish(&pieces, layout)?;
        let table = layout.program_headers(&segments);
        match parts.first_mut() {
            Some(first) if !in_place => *first = Part::Bytes(table),
            _ => spans.push((header.e_phoff, table)),
        }
    }
    spans.extend(sections.changed());
    spans.push((0, head));
    Ok(Rewrite { spans, old, gap, tail: parts })
}

/// The name of the interpreter, zero at its end, when it finds no room where the old one is.
fn interpreter(
    pieces: &Pieces<'_>,
    segments: &[ProgramHeader],
    name: &str,
    spans: &mut Vec<(u64, Vec<u8>)>,
) -> Result<Option<Vec<u8>>, Error> {
    let Some(segment) = segments.iter().find(|s| s.p_type == PT_INTERP) else {
        return Err(unwritable(pieces, "it has no interpreter that could be another one"));
    };
    let mut bytes = name.as_bytes().to_vec();
    if !name.starts_with('/') || bytes.contains(&0) || bytes.len() as u64 >= MAX_INTERPRETER {
        return Err(unwritable(pieces, &format!("`{}` cannot be an interpreter", name.escape_debug())));
    }
    bytes.push(0);
    if bytes.len() as u64 > segment.p_filesz {
        return Ok(Some(bytes));
    }
    if segment.p_filesz > MAX_INTERPRETER {
        return Err(pieces.too_large("the interpreter's name", segment.p_filesz, MAX_INTERPRETER));
    }
    if segment.p_offset.checked_add(segment.p_filesz).is_none_or(|end| end > pieces.len()) {
        return Err(pieces.malformed("the interpreter's name lies outside the file"));
    }
    // The kernel wants the last byte to be zero.
    bytes.resize(segment.p_filesz as usize, 0);
    spans.push((segment.p_offset, bytes));
    Ok(None)
}

/// The dynamic section with this search path and no other; an empty one takes the path away. `None`: nothing to do.
fn new_dynamic(
    image: &mut Image<'_>,
    layout: Layout,
    segments: &[ProgramHeader],
    path: &str,
) -> Result<Option<NewDynamic>, Error> {
    if path.contains('\0') || path.len() > MAX_RUNPATH {
        return Err(unwritable(&image.pieces, "the search path is too long or holds a zero byte"));
    }
    let Some(segment) = segments.iter().find(|s| s.p_type == PT_DYNAMIC) else {
        return Err(unwritable(&image.pieces, "it is not linked dynamically"));
    };
    let bytes = image.pieces.read(segment.p_offset, segment.p_filesz, MAX_DYNAMIC, "the dynamic section")?;
    let mut entries = layout.entries(&bytes);
    let value = |wanted| entries.iter().find(|(tag, _)| *tag == wanted).map(|(_, value)| *value);
    let (address, size) = (value(DT_STRTAB), value(DT_STRSZ));
    let had = entries.len();
    let rld_map = entries.iter().position(|(tag, _)| *tag == DT_MIPS_RLD_MAP_REL);
    entries.retain(|(tag, _)| !matches!(*tag, DT_RPATH | DT_RUNPATH));
    let old = Place { offset: segment.p_offset, address: segment.p_vaddr, size: segment.p_filesz };
    if path.is_empty() {
        return Ok((entries.len() < had).then_some(NewDynamic { entries, strings: None, old, rld_map }));
    }
    let (Some(address), Some(size)) = (address, size) else {
        return Err(unwritable(&image.pieces, "it has no string table"));
    };
    let (offset, left) = image.locate(address, "the string table")?;
    if size > left {
        return Err(image.pieces.malformed("the string table reaches past its segment"));
    }
    entries.push((DT_RUNPATH, 0));
    Ok(Some(NewDynamic { entries, strings: Some(Place { offset, address, size }), old, rld_map }))
}

/// The entries as they must be when the section lies at `address`: one of them counts from itself.
fn relative(dynamic: &NewDynamic, address: u64, layout: Layout) -> Vec<(u64, u64)> {
    let mut entries = dynamic.entries.clone();
    let step = layout.entry() as u64;
    for (index, (tag, value)) in entries.iter_mut().enumerate() {
        if *tag == DT_MIPS_RLD_MAP_REL {
            let was = dynamic.rld_map.map_or(0, |index| index as u64);
            let (old, new) = (dynamic.old.address.wrapping_add(was * step), address.wrapping_add(index as u64 * step));
            *value = value.wrapping_add(old.wrapping_sub(new));
        }
    }
    entries
}

/// Lets the header of a kind say where its content lies now.
fn point(segments: &mut [ProgramHeader], kind: u32, place: Place) -> u64 {
    let mut old = 0;
    for segment in segments.iter_mut().filter(|s| s.p_type == kind) {
        old = segment.p_vaddr;
        segment.p_offset = place.offset;
        (segment.p_vaddr, segment.p_paddr) = (place.address, place.address);
        (segment.p_filesz, segment.p_memsz) = (place.size, place.size);
    }
    old
}

pub(super) fn unwritable(pieces: &Pieces<'_>, reason: &str) -> Error {
    Error::Unwritable { what: pieces.what().to_owned(), reason: reason.to_owned() }
}
