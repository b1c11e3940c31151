//! The bytes of a catalogue's rows: variable-length integers, counted strings, deflated blocks. Reads nothing from files; hostile
//! bytes give an error, never a panic and never more memory than they announce within the bound.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

/// Largest block, inflated. Blocks of real indexes have some 20 KiB.
pub(super) const MAX_BLOCK: usize = 4 << 20;

/// Bytes that are no catalogue row.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Bad(pub &'static str);

pub(super) fn put_int(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_int(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

pub(super) fn put_str(out: &mut Vec<u8>, text: &str) {
    put_bytes(out, text.as_bytes());
}

/// Takes values from the front.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    pub fn byte(&mut self) -> Result<u8, Bad> {
        let (first, rest) = self.0.split_first().ok_or(Bad("it ends early"))?;
        self.0 = rest;
        Ok(*first)
    }

    pub fn int(&mut self) -> Result<u64, Bad> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Bad("a number is too long"))
    }

    pub fn int32(&mut self) -> Result<u32, Bad> {
        self.int()?.try_into().map_err(|_| Bad("a number is too large"))
    }

    /// A count of things of at least one byte each: never more than there are bytes.
    pub fn count(&mut self) -> Result<usize, Bad> {
        usize::try_from(self.int()?).ok().filter(|n| *n <= self.0.len()).ok_or(Bad("a count is too large"))
    }

    pub fn take(&mut self, n: usize) -> Result<&'a [u8], Bad> {
        let (head, rest) = self.0.split_at_checked(n).ok_or(Bad("it ends early"))?;
        self.0 = rest;
        Ok(head)
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Bad> {
        self.take(N)?.try_into().map_err(|_| Bad("it ends early"))
    }

    pub fn bytes(&mut self) -> Result<&'a [u8], Bad> {
        let n = self.count()?;
        self.take(n)
    }

    pub fn str(&mut self) -> Result<&'a str, Bad> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Bad("a text is not UTF-8"))
    }

    pub fn string(&mut self) -> Result<String, Bad> {
        self.str().map(str::to_owned)
    }
}

/// Deflates blocks, one after the other with the same working memory.
pub(super) struct Packer(Compress);

impl Packer {
    pub fn new() -> Self {
        Self(Compress::new(Compression::new(4), false))
    }

    /// The length, then the deflated bytes.
    pub fn pack(&mut self, raw: &[u8]) -> Result<Vec<u8>, Bad> {
        if raw.len() > MAX_BLOCK {
            return Err(Bad("the metadata of its packages is unreasonably large"));
        }
        self.0.reset();
        let mut out = Vec::with_capacity(raw.len() + raw.len() / 8 + 64);
        put_int(&mut out, raw.len() as u64);
        match self.0.compress_vec(raw, &mut out, FlushCompress::Finish) {
            Ok(Status::StreamEnd) => Ok(out),
            _ => Err(Bad("a block could not be deflated")),
        }
    }
}

/// Inflates blocks with the same working memory.
pub(super) struct Unpacker(Decompress);

impl Unpacker {
    pub fn new() -> Self {
        Self(Decompress::new(false))
    }

    pub fn unpack(&mut self, packed: &[u8]) -> Result<Vec<u8>, Bad> {
        let mut reader = Reader(packed);
        let size =
            usize::try_from(reader.int()?).ok().filter(|n| *n <= MAX_BLOCK).ok_or(Bad("a block is too large"))?;
        self.0.reset(false);
        // One byte more than announced: the inflater must come to the stream's own end, and a longer one is noticed.
        let mut out = Vec::with_capacity(size + 1);
        match self.0.decompress_vec(reader.0, &mut out, FlushDecompress::Finish) {
            Ok(Status::StreamEnd) if out.len() == size => Ok(out),
            _ => Err(Bad("a block does not inflate")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_round_trip_and_damage_is_told() {
        let mut out = Vec::new();
        for value in [0, 1, 127, 128, 1 << 40, u64::MAX] {
            put_int(&mut out, value);
        }
        put_str(&mut out, "so:libz.so.1");
        let mut reader = Reader(&out);
        for value in [0, 1, 127, 128, 1 << 40, u64::MAX] {
            assert_eq!(reader.int(), Ok(value));
        }
        assert_eq!(reader.str(), Ok("so:libz.so.1"));
        assert!(reader.int().is_err());
        assert!(Reader(&[0xff; 20]).int().is_err());
        assert!(Reader(&[0x7f, 1]).bytes().is_err());
    }

    #[test]
    fn blocks_round_trip() {
        let (mut packer, mut unpacker) = (Packer::new(), Unpacker::new());
        for raw in [Vec::new(), vec![7; 100_000], (0..=255).collect()] {
            let mut packed = packer.pack(&raw).unwrap();
            assert_eq!(unpacker.unpack(&packed).unwrap(), raw);
            packed.truncate(packed.len() / 2);
            assert!(unpacker.unpack(&packed).is_err());
        }
    }
}
