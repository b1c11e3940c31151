//! Damages index and package files in exactly one place, and takes their envelopes apart to find that place.

use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::GzEncoder;

/// One gzip member: its bytes, and what it unpacks to.
pub struct Member {
    /// As it lies in the file.
    pub packed: Vec<u8>,
    /// Unpacked.
    pub content: Vec<u8>,
}

/// The gzip members of an apk v2 package or index: signature, control or index, payload.
pub fn members(bytes: &[u8]) -> Vec<Member> {
    let mut rest = bytes;
    let mut out = Vec::new();
    while !rest.is_empty() {
        let mut decoder = flate2::bufread::GzDecoder::new(rest);
        let mut content = Vec::new();
        decoder.read_to_end(&mut content).unwrap();
        let after = decoder.into_inner();
        out.push(Member { packed: rest[..rest.len() - after.len()].to_vec(), content });
        rest = after;
    }
    out
}

/// One file of several members.
pub fn join<'a>(members: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    members.into_iter().flatten().copied().collect()
}

/// Packs a member anew.
pub fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// With one byte flipped.
pub fn flipped(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut out = bytes.to_vec();
    out[at] ^= 0xff;
    out
}

/// The signature inside an unpacked signature member: the content of its only tar entry, flipped in one byte.
pub fn flipped_signature(member: &Member) -> Vec<u8> {
    assert!(member.content.starts_with(b".SIGN.RSA"), "no signature comes first");
    gzip(&flipped(&member.content, 512 + 100))
}

/// Unpacks `ADBd`.
pub fn inflate(packed: &[u8]) -> Vec<u8> {
    try_inflate(packed).unwrap()
}

fn try_inflate(packed: &[u8]) -> std::io::Result<Vec<u8>> {
    assert!(packed.starts_with(b"ADBd"));
    let mut out = Vec::new();
    DeflateDecoder::new(&packed[4..]).read_to_end(&mut out)?;
    Ok(out)
}

/// One block of an unpacked ADB file.
#[derive(Clone, Copy, Debug)]
pub struct Block {
    /// 0 metadata, 1 signature, 2 data.
    pub kind: u32,
    /// Where it begins, its header included.
    pub start: usize,
    /// Where its payload begins and ends.
    pub payload: (usize, usize),
    /// Where the next one begins.
    pub end: usize,
}

/// The blocks of an unpacked ADB file.
pub fn blocks(adb: &[u8]) -> Vec<Block> {
    let mut out = Vec::new();
    let mut start = 8;
    while start < adb.len() {
        let word = u32::from_le_bytes(adb[start..start + 4].try_into().unwrap());
        let size = (word & 0x3fff_ffff) as usize;
        let end = start + size.next_multiple_of(8);
        out.push(Block { kind: word >> 30, start, payload: (start + 4, start + size), end });
        start = end;
    }
    out
}

/// Flips one bit of a packed ADB file such that it still unpacks, to as many bytes, and differs first in a block of that
/// kind, beyond the block's first bytes.
pub fn flipped_in_block(packed: &[u8], kind: u32) -> Vec<u8> {
    let whole = inflate(packed);
    let blocks = blocks(&whole);
    let mut bytes = packed.to_vec();
    for at in (packed.len() / 64..packed.len()).step_by(3).chain(4..packed.len()) {
        bytes[at] ^= 1;
        if let Ok(other) = try_inflate(&bytes)
            && other.len() == whole.len()
            && let Some(differs) = whole.iter().zip(&other).position(|(a, b)| a != b)
            && blocks.iter().any(|b| b.kind == kind && differs > b.payload.0 + 8 && differs < b.payload.1)
        {
            return bytes;
        }
        bytes[at] ^= 1;
    }
    panic!("no bit does that");
}
