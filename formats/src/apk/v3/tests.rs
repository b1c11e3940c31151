//! Packages that somebody made to do harm: each is refused with a reason before anything could be written.

use std::io::Cursor;

use ring::digest::{SHA256, digest};
use xpkg_model::Ecosystem;
use xpkg_model::payload::{Entry, EntryKind};

use super::info_write::Fields;
use super::schema::{acl, dir, file, info, package};
use super::*;
use crate::adb::Compression;
use crate::adb::block::{self, Kind};
use crate::adb::heap::Value;
use crate::adb::heap_writer::HeapWriter;

struct Node<'a> {
    name: &'a [u8],
    content: Option<&'a [u8]>,
    target: Vec<u8>,
    mode: u64,
}

fn plain<'a>(name: &'a str, content: &'a [u8]) -> Node<'a> {
    Node { name: name.as_bytes(), content: Some(content), target: Vec::new(), mode: 0o644 }
}

fn target<'a>(name: &'a str, kind: u16, rest: &[u8]) -> Node<'a> {
    Node { name: name.as_bytes(), content: None, target: [&kind.to_le_bytes(), rest].concat(), mode: 0o777 }
}

fn object<const N: usize>(heap: &mut HeapWriter, fields: &[(usize, Value)]) -> Value {
    let mut out = Fields::<N>::new();
    fields.iter().for_each(|(slot, value)| out.set(*slot, *value));
    out.write(heap)
}

fn heap_of(dirs: &[(&str, Vec<Node<'_>>)], change: impl Fn(&mut HeapWriter) -> Vec<(usize, Value)>) -> Vec<u8> {
    let mut heap = HeapWriter::new();
    let mut paths = Vec::new();
    for (name, nodes) in dirs {
        let mut files = Vec::new();
        for node in nodes {
            let (mode, root) = (heap.int(node.mode), heap.text("root"));
            let acl = object::<4>(&mut heap, &[(acl::MODE, mode), (acl::USER, root), (acl::GROUP, root)]);
            let hash = node.content.map_or(Value::NULL, |content| heap.blob(digest(&SHA256, content).as_ref()));
            let size = heap.int(node.content.map_or(0, <[u8]>::len) as u64);
            let (name, target) = (heap.blob(node.name), heap.blob(&node.target));
            files.push(object::<6>(
                &mut heap,
                &[(file::NAME, name), (file::ACL, acl), (file::SIZE, size), (file::HASH, hash), (file::TARGET, target)],
            ));
        }
        let (name, files) = (heap.text(name), heap.array(&files));
        paths.push(object::<3>(&mut heap, &[(dir::NAME, name), (dir::FILES, files)]));
    }
    let mut fields = vec![(info::NAME, heap.text("p")), (info::VERSION, heap.text("1-r0"))];
    fields.extend(change(&mut heap));
    let info = object::<{ info::SLOTS }>(&mut heap, &fields);
    let paths = heap.array(&paths);
    let root = object::<5>(&mut heap, &[(package::INFO, info), (package::PATHS, paths)]);
    heap.finish(root, "p").unwrap()
}

fn data(slots: (u32, u32), content: &[u8]) -> Vec<u8> {
    let len = content.len() as u64 + 8;
    let slots = [slots.0.to_le_bytes(), slots.1.to_le_bytes()].concat();
    [&block::header(Kind::Data, len), slots.as_slice(), content, block::padding(len)].concat()
}

fn open(adb: &[u8], data: &[u8]) -> Result<Vec<Entry>, Error> {
    let mut bytes = Vec::new();
    container::write(&mut bytes, "p", Schema::Package, adb, None, data, Compression::None)?;
    let mut reader = Reader::open(Cursor::new(bytes), "p", Ecosystem::Openwrt, &Limits::default())?;
    let mut out = Vec::new();
    reader.read_payload(&mut |entry, _| {
        out.push(entry.clone());
        Ok(())
    })?;
    Ok(out)
}

fn refused(dirs: &[(&str, Vec<Node<'_>>)], data: &[u8], word: &str) {
    match open(&heap_of(dirs, |_| Vec::new()), data) {
        Ok(entries) => panic!("accepted: {entries:?}"),
        Err(e) => assert!(e.to_string().contains(word), "`{e}` does not say `{word}`"),
    }
}

#[test]
fn a_hand_made_package_is_read() {
    let dirs = [
        ("", vec![]),
        (
            "usr",
            vec![plain("a", b"abc"), plain("empty", b""), target("l", 0xa000, b"/x"), target("z", 0x8000, b"usr/a")],
        ),
    ];
    let entries = open(&heap_of(&dirs, |_| Vec::new()), &data((2, 1), b"abc")).unwrap();
    let kinds: Vec<&EntryKind> = entries.iter().map(|e| &e.kind).collect();
    assert!(matches!(
        kinds[..],
        [
            EntryKind::Dir,
            EntryKind::Dir,
            EntryKind::File,
            EntryKind::File,
            EntryKind::Symlink(_),
            EntryKind::Hardlink(_)
        ]
    ));
    assert_eq!(entries[5].digest, entries[2].digest);
}

#[test]
fn hostile_names_are_refused() {
    for name in ["..", ".", "", "a/b", "a\nb"] {
        refused(&[("usr", vec![plain(name, b"")])], b"", "refused");
    }
    refused(&[("../etc", vec![])], b"", "..");
    refused(&[("/etc", vec![])], b"", "absolute");
    refused(&[("etc/", vec![])], b"", "unusual");
    refused(&[("./etc", vec![])], b"", "unusual");
}

#[test]
fn contradictions_are_refused() {
    refused(&[("usr", vec![]), ("usr", vec![])], b"", "twice");
    refused(&[("usr", vec![plain("a", b""), plain("a", b"")])], b"", "twice");
    refused(&[("", vec![plain("usr", b"")]), ("usr", vec![])], b"", "twice");
    refused(&[("", vec![target("usr", 0xa000, b"/etc")]), ("usr/lib", vec![plain("a", b"")])], b"", "no directory");
    refused(&[("", vec![target("a", 0x8000, b"b"), plain("b", b"")])], b"", "no earlier file");
    refused(&[("", vec![target("a", 0x8000, b"../b")])], b"", "..");
    refused(&[("", vec![target("a", 0xa000, b"")])], b"", "empty");
    refused(&[("", vec![target("a", 0xa000, b"x\0y")])], b"", "NUL");
    refused(&[("", vec![target("a", 0x2000, b"123")])], b"", "without a number");
    refused(&[("", vec![target("a", 0xc000, b"")])], b"", "unknown type");
    refused(&[("", vec![Node { target: vec![1], ..plain("a", b"") }])], b"", "without a type");
    refused(&[("", vec![Node { content: None, ..plain("a", b"") }])], b"", "without a digest");
    refused(&[("", vec![Node { mode: 0o100_644, ..plain("a", b"") }])], b"", "mode");
}

#[test]
fn data_blocks_must_be_exactly_those_declared() {
    let dirs = || [("usr", vec![plain("a", b"abc"), plain("b", b"def")])];
    let (a, b) = (data((1, 1), b"abc"), data((1, 2), b"def"));
    assert_eq!(open(&heap_of(&dirs(), |_| Vec::new()), &[a.as_slice(), &b].concat()).unwrap().len(), 3);
    refused(&dirs(), &a, "missing");
    refused(&dirs(), b"", "missing");
    refused(&dirs(), &[b.as_slice(), &a].concat(), "another file's");
    refused(&dirs(), &[a.as_slice(), &b, &b].concat(), "belongs to no file");
    refused(&dirs(), &[data((1, 1), b"abcd").as_slice(), &b].concat(), "another size");
    refused(&dirs(), &[data((1, 1), b"abd").as_slice(), &b].concat(), "does not match its digest");
    refused(&dirs(), &[a.as_slice(), &data((0, 2), b"def")].concat(), "another file's");
}

#[test]
fn hostile_metadata_is_refused() {
    let refused = |slot: usize, text: &str| {
        let adb = heap_of(&[], |heap| vec![(slot, heap.text(text))]);
        assert!(open(&adb, b"").is_err(), "{slot}: {text:?}");
    };
    refused(info::NAME, "../p");
    refused(info::VERSION, "1/../2");
    refused(info::ARCH, "x86\n64");
    refused(info::LICENSE, "MIT\nP:other");
    refused(info::TAGS, "a blob is no list");
    refused(info::INSTALLED_SIZE, "text is no number");
    // A description with several lines becomes one.
    let adb = heap_of(&[], |heap| vec![(info::DESCRIPTION, heap.text("one\nP:two"))]);
    assert!(open(&adb, b"").is_ok());
    // The unique id must be that of the heap.
    let adb = heap_of(&[], |heap| vec![(info::HASHES, heap.blob(&[7; 20]))]);
    assert!(matches!(open(&adb, b""), Err(Error::Digest { .. })));
    let adb = heap_of(&[], |heap| {
        vec![(info::DEPENDS, {
            let name = heap.text("a;b");
            let dependency = heap.object(&[name]);
            heap.array(&[dependency])
        })]
    });
    assert!(open(&adb, b"").unwrap_err().to_string().contains("no name to depend on"));
}

#[test]
fn an_index_in_place_of_a_package_is_refused() {
    let mut bytes = Vec::new();
    let adb = heap_of(&[], |_| Vec::new());
    container::write(&mut bytes, "p", Schema::Index, &adb, None, &b""[..], Compression::None).unwrap();
    let error = Reader::open(Cursor::new(bytes), "p", Ecosystem::Openwrt, &Limits::default()).err().unwrap();
    assert!(error.to_string().contains("schema `indx`"), "{error}");
}

#[test]
fn what_the_receiver_says_is_passed_on() {
    let adb = heap_of(&[("", vec![plain("a", b"abc")])], |_| Vec::new());
    let mut bytes = Vec::new();
    container::write(&mut bytes, "p", Schema::Package, &adb, None, &*data((1, 1), b"abc"), Compression::None).unwrap();
    let mut reader = Reader::open(Cursor::new(bytes), "p", Ecosystem::Openwrt, &Limits::default()).unwrap();
    let outcome = reader.read_payload(&mut |_, _| Err("enough".into()));
    assert!(matches!(outcome, Err(Error::Receiver(e)) if e.to_string() == "enough"));
}
