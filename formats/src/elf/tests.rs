//! Generated files of both classes and byte orders, and damaged ones. Real files are read in `tests/elf_real.rs`.

use std::io::Cursor;

use proptest::prelude::*;
use xpkg_model::elf::{ElfFacts, Export, Kind};

use super::{read_facts, read_outline};
use crate::{Error, Limits};

/// How the generated file tells the number of its symbols.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Count {
    Hash,
    GnuHash,
    NextTable,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    wide: bool,
    big: bool,
    count: Count,
}

struct Out {
    shape: Shape,
    bytes: Vec<u8>,
}

impl Out {
    fn put(&mut self, value: u64, width: usize) {
        let bytes = value.to_be_bytes();
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&bytes[8 - width..]);
        if !self.shape.big {
            self.bytes[start..].reverse();
        }
    }

    fn all(&mut self, values: &[u64], width: usize) {
        values.iter().for_each(|v| self.put(*v, width));
    }

    fn addr(&mut self, value: u64) {
        self.put(value, if self.shape.wide { 8 } else { 4 });
    }

    fn symbol(&mut self, name: u64, info: u64, other: u64, section: u64, value: u64, size: u64) {
        self.put(name, 4);
        if self.shape.wide {
            self.all(&[info, other], 1);
            self.put(section, 2);
            self.all(&[value, size], 8);
        } else {
            self.all(&[value, size], 4);
            self.all(&[info, other], 1);
            self.put(section, 2);
        }
    }

    fn segment(&mut self, kind: u64, flags: u64, at: u64, size: u64) {
        self.put(kind, 4);
        if self.shape.wide {
            self.put(flags, 4);
            self.all(&[at, at, at, size, size, 8], 8);
        } else {
            self.all(&[at, at, at, size, size, flags, 4], 4);
        }
    }
}

const STRINGS: &[u8] =
    b"\0libc.musl-x86_64.so.1\0libx.so.1\0malloc\0maybe\0give\0data\0secret\0/opt/lib\0GLIBC_2.34\0old\0";
const TABLES: u64 = 0x400;

fn at(name: &str) -> u64 {
    let wanted = [b"\0", name.as_bytes(), b"\0"].concat();
    STRINGS.windows(wanted.len()).position(|w| w == wanted).unwrap() as u64 + 1
}

/// A position-independent program with a soname-less dynamic section; address and offset are the same.
pub(super) fn program(shape: Shape) -> Vec<u8> {
    let (word, class, rel_size) = if shape.wide { (8, 2, 24) } else { (4, 1, 12) };
    let mut tables = Out { shape, bytes: vec![0; TABLES as usize] };
    let symtab = TABLES;
    tables.symbol(0, 0, 0, 0, 0, 0);
    tables.symbol(at("malloc"), 0x12, 0, 0, 0, 0);
    tables.symbol(at("maybe"), 0x20, 0, 0, 0, 0);
    tables.symbol(at("give"), 0x12, 0, 7, 0x500, 99);
    tables.symbol(at("data"), 0x21, 0, 8, 0x600, 24);
    tables.symbol(at("secret"), 0x12, 2, 7, 0x510, 0);
    tables.symbol(at("old"), 0x12, 0, 7, 0x520, 0);
    let strtab = tables.bytes.len() as u64;
    tables.bytes.extend_from_slice(STRINGS);
    let versym = tables.bytes.len() as u64;
    tables.all(&[0, 2, 1, 1, 1, 1, 0x8003], 2);
    let verneed = tables.bytes.len() as u64;
    tables.all(&[1, 1], 2);
    tables.all(&[at("libx.so.1"), 16, 0], 4);
    tables.put(0, 4);
    tables.all(&[0, 2], 2);
    tables.all(&[at("GLIBC_2.34"), 0], 4);
    let hash = tables.bytes.len() as u64;
    match shape.count {
        Count::Hash => tables.all(&[1, 7, 3, 0, 0, 0, 4, 5, 6, 0], 4),
        Count::GnuHash => {
            tables.all(&[1, 3, 1, 0], 4);
            tables.put(0, word);
            tables.all(&[3, 2, 2, 2, 3], 4);
        }
        // Empty, as GNU ld writes it where nothing is hashed.
        Count::NextTable => {
            tables.all(&[1, 1, 1, 0], 4);
            tables.put(0, word);
            tables.put(0, 4);
        }
    }
    let rela = tables.bytes.len() as u64;
    tables.addr(0x600);
    let copy = if shape.wide { 4 << 32 | 5 } else { 4 << 8 | 5 };
    tables.addr(copy);
    tables.addr(0);
    let interp = tables.bytes.len() as u64;
    tables.bytes.extend_from_slice(b"/lib/ld-musl-x86_64.so.1\0");
    let dynamic = tables.bytes.len() as u64;
    let hash_tag = if shape.count == Count::Hash { 4 } else { 0x6fff_fef5 };
    for (tag, value) in [
        (1, at("libc.musl-x86_64.so.1")),
        (1, at("libx.so.1")),
        (29, at("/opt/lib")),
        (5, strtab),
        (10, STRINGS.len() as u64),
        (6, symtab),
        (hash_tag, hash),
        (7, rela),
        (8, rel_size),
        (36, rela),
        (35, 8),
        (30, 4),
        (0x6fff_fff0, versym),
        (0x6fff_fffe, verneed),
        (0x6fff_ffff, 1),
        (0, 0),
    ] {
        tables.addr(tag);
        tables.addr(value);
    }
    let end = tables.bytes.len() as u64;
    let mut head = Out { shape, bytes: b"\x7fELF".to_vec() };
    head.all(&[class, if shape.big { 2 } else { 1 }, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0], 1);
    head.all(&[3, if shape.wide { 62 } else { 3 }], 2);
    head.put(1, 4);
    let header_size = if shape.wide { 64 } else { 52 };
    head.addr(0);
    head.addr(header_size);
    head.addr(0);
    head.put(0, 4);
    head.all(&[header_size, if shape.wide { 56 } else { 32 }, 4, 0, 0, 0], 2);
    head.segment(1, 5, 0, end);
    head.segment(2, 6, dynamic, end - dynamic);
    head.segment(3, 4, interp, dynamic - interp);
    head.segment(0x6474_e551, 7, 0, 0);
    tables.bytes[..head.bytes.len()].copy_from_slice(&head.bytes);
    tables.bytes
}

fn facts(bytes: &[u8]) -> Result<Option<ElfFacts>, Error> {
    read_facts(&mut Cursor::new(bytes), "test.elf", &Limits::default())
}

pub(super) fn shapes() -> impl Iterator<Item = Shape> {
    let counts = [Count::Hash, Count::GnuHash, Count::NextTable];
    let ways = [(false, false), (false, true), (true, false), (true, true)];
    ways.into_iter().flat_map(move |(wide, big)| counts.map(|count| Shape { wide, big, count }))
}

#[test]
fn every_class_and_byte_order_gives_the_same_facts() {
    for shape in shapes() {
        let facts = facts(&program(shape)).unwrap().unwrap();
        assert_eq!(facts.kind, Kind::Program, "{shape:?}");
        assert_eq!(facts.interpreter.as_deref(), Some("/lib/ld-musl-x86_64.so.1"));
        assert_eq!(facts.needed, ["libc.musl-x86_64.so.1", "libx.so.1"]);
        assert_eq!(facts.runpath.as_deref(), Some("/opt/lib"));
        assert_eq!(facts.undefined, ["malloc"], "{shape:?}");
        assert_eq!(facts.weak_undefined, ["maybe"]);
        let data = Export { name: "data".to_owned(), size: 24, weak: true };
        let give = Export { name: "give".to_owned(), size: 0, weak: false };
        // `secret` is hidden, and `old` has a version that is not the default one.
        assert_eq!(facts.exports, [data, give], "{shape:?}");
        assert_eq!(facts.copies, [("data".to_owned(), 24)]);
        assert_eq!(facts.version_needs, ["GLIBC_2.34"]);
        assert!(facts.relr && facts.textrel && facts.exec_stack);
    }
}

#[test]
fn other_files_are_no_elf_and_cut_ones_are_errors() {
    assert!(facts(b"").unwrap().is_none());
    assert!(facts(b"#!/bin/sh\n").unwrap().is_none());
    for shape in shapes() {
        let whole = program(shape);
        for cut in [4, 16, 60, 100, 0x410, whole.len() - 1] {
            assert!(matches!(facts(&whole[..cut]), Err(Error::Malformed { .. })), "{shape:?} cut at {cut}");
        }
    }
}

#[test]
fn many_symbols_with_one_long_name_are_refused() {
    let shape = Shape { wide: true, big: false, count: Count::Hash };
    let limits = Limits { max_metadata: 100, ..Limits::default() };
    let refused = read_facts(&mut Cursor::new(program(shape)), "bomb.so", &limits).unwrap_err();
    assert!(matches!(refused, Error::Limit { .. }), "{refused}");
    let limits = Limits { max_entries: 6, ..Limits::default() };
    let refused = read_facts(&mut Cursor::new(program(shape)), "bomb.so", &limits).unwrap_err();
    assert!(matches!(refused, Error::Limit { limit: 6, .. }), "{refused}");
}

/// A generated file with some damage. The gap between the headers and the tables holds nothing: there is none there.
pub(crate) fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..16);
    let wide_changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u64>()), 0..3);
    let cut = prop::option::weighted(0.2, any::<prop::sample::Index>());
    (0..12usize, changes, wide_changes, cut).prop_map(|(shape, changes, wide_changes, cut)| {
        let mut bytes = program(shapes().nth(shape).unwrap());
        let places: Vec<usize> = (0..300).chain(TABLES as usize..bytes.len()).collect();
        for (place, value) in changes {
            bytes[places[place.index(places.len())]] = value;
        }
        for (place, value) in wide_changes {
            let place = places[place.index(places.len() - 8)];
            bytes[place..place + 8].copy_from_slice(&value.to_le_bytes());
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, failure_persistence: None, ..ProptestConfig::default() })]

    /// Errors are fine, panics and long loops are bugs.
    #[test]
    fn damaged_files_never_panic(bytes in damaged()) {
        if let Ok(Some(facts)) = facts(&bytes) {
            let outline = read_outline(&mut Cursor::new(&bytes), "x", &Limits::default()).unwrap().unwrap();
            prop_assert_eq!((outline.kind, &outline.needed), (facts.kind, &facts.needed));
            prop_assert!(facts.exports.is_sorted_by(|a, b| a.name < b.name));
            prop_assert!(facts.undefined.is_sorted_by(|a, b| a < b));
        }
    }
}
