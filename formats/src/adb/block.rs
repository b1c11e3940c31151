//! Header and blocks of a plain ADB file. Holds the order `ADB SIG* DATA*` and the padding between blocks; never looks
//! inside a block.

use std::io::{self, Read};

use super::Schema;
use crate::Error;

/// Blocks begin at multiples of this.
const ALIGNMENT: u64 = 8;
/// Largest raw size that the short header can say.
const SHORT_MAX: u64 = 0x3fff_ffff;

/// What a block holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// The value heap.
    Adb,
    /// One signature.
    Signature,
    /// The content of one file.
    Data,
}

impl Kind {
    const fn number(self) -> u32 {
        match self {
            Self::Adb => 0,
            Self::Signature => 1,
            Self::Data => 2,
        }
    }
}

/// One block's header, without its own bytes and padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) kind: Kind,
    /// Bytes of payload.
    pub(crate) len: u64,
}

/// Walks over the blocks of a file. Reading it gives the payload of the current block, up to its end.
pub(crate) struct Blocks<'w, R> {
    reader: R,
    what: &'w str,
    last: Option<Kind>,
    /// Payload bytes of the current block that were not read yet.
    left: u64,
    padding: u64,
}

impl<'w, R: Read> Blocks<'w, R> {
    /// Reads the file header.
    pub(crate) fn open(mut reader: R, what: &'w str, schema: Schema) -> Result<Self, Error> {
        let mut header = [0; 8];
        reader.read_exact(&mut header).map_err(|e| Error::io(what, e))?;
        let Some(found) = header.strip_prefix(b"ADB.") else {
            return Err(Error::malformed(what, "no ADB header inside the envelope"));
        };
        if found != schema.bytes() {
            let found = found.escape_ascii();
            return Err(Error::malformed(what, format!("an ADB file of schema `{found}`, not a {}", schema.noun())));
        }
        Ok(Self { reader, what, last: None, left: 0, padding: 0 })
    }

    /// Goes on to the next block; what was not read of the current one is skipped.
    pub(crate) fn next_block(&mut self) -> Result<Option<Block>, Error> {
        let what = self.what;
        let io = |e| Error::io(what, e);
        while self.left > 0 {
            io::copy(self, &mut io::sink()).map_err(io)?;
        }
        let mut padding = [0; ALIGNMENT as usize];
        let padding = padding.get_mut(..self.padding as usize).unwrap_or_default();
        self.reader.read_exact(padding).map_err(io)?;
        if padding.iter().any(|b| *b != 0) {
            return Err(Error::malformed(what, "padding between blocks is not zero"));
        }
        self.padding = 0;
        let Some(block) = self.read_header()? else {
            return match self.last {
                None => Err(Error::malformed(what, "it has no blocks")),
                Some(_) => Ok(None),
            };
        };
        match (self.last, block.kind) {
            (None, Kind::Adb)
            | (Some(Kind::Adb | Kind::Signature), Kind::Signature | Kind::Data)
            | (Some(Kind::Data), Kind::Data) => {}
            (last, kind) => {
                return Err(Error::malformed(what, format!("a block of kind {kind:?} stands after {last:?}")));
            }
        }
        self.last = Some(block.kind);
        Ok(Some(block))
    }

    fn read_header(&mut self) -> Result<Option<Block>, Error> {
        let what = self.what;
        let io = |e| Error::io(what, e);
        let bad = |reason: &str| Err(Error::malformed(what, reason));
        let Some(word) = self.first_word().map_err(io)? else { return Ok(None) };
        let (number, raw, header) = match word >> 30 {
            3 => {
                let mut rest = [0; 12];
                self.reader.read_exact(&mut rest).map_err(io)?;
                let [_, _, _, _, size @ ..] = rest;
                (word & 0x3fff_ffff, u64::from_le_bytes(size), 16)
            }
            number => (number, u64::from(word & 0x3fff_ffff), 4),
        };
        let kind = match number {
            0 => Kind::Adb,
            1 => Kind::Signature,
            2 => Kind::Data,
            _ => return bad("a block of unknown kind"),
        };
        let Some(len) = raw.checked_sub(header) else { return bad("a block smaller than its own header") };
        self.left = len;
        self.padding = raw.wrapping_neg() % ALIGNMENT;
        Ok(Some(Block { kind, len }))
    }

    fn first_word(&mut self) -> io::Result<Option<u32>> {
        let mut word = [0; 4];
        let mut have = 0;
        while let Some(rest) = word.get_mut(have..).filter(|rest| !rest.is_empty()) {
            match self.reader.read(rest) {
                Ok(0) if have == 0 => return Ok(None),
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(n) => have += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(Some(u32::from_le_bytes(word)))
    }
}

impl<R: Read> Read for Blocks<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buf.len());
        let Some(buf) = buf.get_mut(..most).filter(|buf| !buf.is_empty()) else { return Ok(0) };
        let n = self.reader.read(buf)?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= n as u64;
        Ok(n)
    }
}

/// The header that goes before a payload of that length.
pub(crate) fn header(kind: Kind, len: u64) -> Vec<u8> {
    let raw = len.saturating_add(4);
    if raw <= SHORT_MAX {
        return ((kind.number() << 30) | raw as u32).to_le_bytes().to_vec();
    }
    let mut out = ((3 << 30) | kind.number()).to_le_bytes().to_vec();
    out.extend([0; 4]);
    out.extend(len.saturating_add(16).to_le_bytes());
    out
}

/// The padding that goes after a payload of that length.
pub(crate) fn padding(len: u64) -> &'static [u8] {
    const ZEROES: &[u8] = &[0; ALIGNMENT as usize];
    // The long header is a multiple of the alignment itself.
    let raw = if len.saturating_add(4) <= SHORT_MAX { len + 4 } else { len };
    ZEROES.get(..(raw.wrapping_neg() % ALIGNMENT) as usize).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(kind: Kind, payload: &[u8]) -> Vec<u8> {
        let len = payload.len() as u64;
        [&header(kind, len), payload, padding(len)].concat()
    }

    fn walk(body: &[&[u8]]) -> Result<Vec<(Kind, Vec<u8>)>, Error> {
        let file = [b"ADB.indx".as_slice(), &body.concat()].concat();
        let mut blocks = Blocks::open(file.as_slice(), "x", Schema::Index)?;
        let mut out = Vec::new();
        while let Some(block) = blocks.next_block()? {
            let mut payload = Vec::new();
            blocks.read_to_end(&mut payload).map_err(|e| Error::io("x", e))?;
            assert_eq!(payload.len() as u64, block.len);
            out.push((block.kind, payload));
        }
        Ok(out)
    }

    #[test]
    fn blocks_round_trip_and_keep_their_order() {
        let adb = block(Kind::Adb, b"heap!");
        let sig = block(Kind::Signature, b"");
        let data = block(Kind::Data, b"123456789abc");
        assert_eq!(walk(&[&adb, &sig, &data]).unwrap().len(), 3);
        for wrong in [&[][..], &[&sig[..]], &[&adb, &adb], &[&adb, &data, &sig]] {
            assert!(walk(wrong).is_err());
        }
        let mut dirty = adb.clone();
        *dirty.last_mut().unwrap() = 1;
        assert!(walk(&[&dirty]).unwrap_err().to_string().contains("padding"));
        assert!(walk(&[&adb[..adb.len() - 9]]).is_err());
        assert!(walk(&[&adb, &[2, 0, 0, 0x40]]).is_err(), "smaller than its header");
    }

    #[test]
    fn long_headers_are_read() {
        let long = [&(3u32 << 30).to_le_bytes()[..], &[0; 4], &(16u64 + 8).to_le_bytes(), b"payload!"].concat();
        assert_eq!(walk(&[&long]).unwrap(), [(Kind::Adb, b"payload!".to_vec())]);
        assert_eq!(header(Kind::Data, SHORT_MAX).len(), 16);
        assert!(padding(SHORT_MAX + 1).is_empty());
    }
}
