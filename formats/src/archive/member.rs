//! gzip members with exact boundaries: apk v2 hashes and signs the *compressed* bytes of each member, so the reader below
//! counts and hashes exactly what the inflater consumes and not a byte that was only read ahead.

use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};

use flate2::bufread::GzDecoder;
use ring::digest::Context;

use super::bounded::{Bounded, drain};
use crate::Error;
use crate::keys::Hash;

const BUFFER: usize = 32 << 10;

/// A file read from one place on; what is consumed is counted and hashed.
pub(crate) struct Metered<R> {
    inner: BufReader<R>,
    offset: u64,
    hashes: Vec<(Hash, Context)>,
}

/// Digests of a range of bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Digests(Vec<(Hash, Vec<u8>)>);

impl Digests {
    /// The digest of that kind; empty (which no signature and no declared digest matches) when it was not computed.
    pub(crate) fn get(&self, hash: Hash) -> &[u8] {
        self.0.iter().find(|(kind, _)| *kind == hash).map_or(&[], |(_, digest)| digest)
    }

    /// The digest as an array.
    pub(crate) fn array<const N: usize>(&self, hash: Hash) -> [u8; N] {
        let mut out = [0; N];
        out.iter_mut().zip(self.get(hash)).for_each(|(to, from)| *to = *from);
        out
    }
}

impl<R: Read + Seek> Metered<R> {
    /// Starts at an offset.
    pub(crate) fn at(mut file: R, offset: u64, what: &str) -> Result<Self, Error> {
        file.seek(SeekFrom::Start(offset)).map_err(|e| Error::io(what, e))?;
        Ok(Self { inner: BufReader::with_capacity(BUFFER, file), offset, hashes: Vec::new() })
    }

    /// Where the next byte lies in the file.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Hashes from here on.
    pub(crate) fn start(&mut self, hashes: &[Hash]) {
        self.hashes = hashes.iter().map(|hash| (*hash, Context::new(hash.algorithm()))).collect();
    }

    /// The digests of everything since [`Self::start`].
    pub(crate) fn finish(&mut self) -> Digests {
        let hashes = std::mem::take(&mut self.hashes);
        Digests(hashes.into_iter().map(|(hash, context)| (hash, context.finish().as_ref().to_vec())).collect())
    }

    /// Whether nothing follows.
    pub(crate) fn at_end(&mut self, what: &str) -> Result<bool, Error> {
        self.inner.fill_buf().map(<[u8]>::is_empty).map_err(|e| Error::io(what, e))
    }

    /// Inflates one member, bounded.
    pub(crate) fn inflate<'a>(
        &'a mut self,
        limit: u64,
        what: &'a str,
        part: &'static str,
    ) -> Bounded<'a, GzDecoder<&'a mut Self>> {
        Bounded::new(GzDecoder::new(self), limit, what, part)
    }

    /// Consumes everything up to the end of the file without inflating it.
    pub(crate) fn consume_rest(&mut self, what: &str) -> Result<(), Error> {
        drain(self, what).map(drop)
    }
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let n = available.len().min(buf.len());
        buf[..n].copy_from_slice(&available[..n]);
        self.consume(n);
        Ok(n)
    }
}

impl<R: Read> BufRead for Metered<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        let consumed = self.inner.buffer().get(..amount).unwrap_or_default();
        for (_, context) in &mut self.hashes {
            context.update(consumed);
        }
        self.offset += consumed.len() as u64;
        self.inner.consume(amount);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write as _};

    use super::*;

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn members_are_split_where_they_end() {
        let (a, b) = (gzip(&[1; 100_000]), gzip(b"second"));
        let mut metered = Metered::at(Cursor::new([a.clone(), b.clone()].concat()), 0, "x").unwrap();
        metered.start(&[Hash::Sha256]);
        assert_eq!(drain(metered.inflate(1 << 20, "x", "it"), "x").unwrap(), 100_000);
        assert_eq!(metered.offset(), a.len() as u64);
        assert_eq!(metered.finish().get(Hash::Sha256), Hash::Sha256.of(&a));
        metered.start(&[Hash::Sha1]);
        assert_eq!(drain(metered.inflate(1 << 20, "x", "it"), "x").unwrap(), 6);
        assert_eq!(metered.finish().get(Hash::Sha1), Hash::Sha1.of(&b));
        assert!(metered.at_end("x").unwrap());
    }

    #[test]
    fn a_bomb_stops_at_the_limit() {
        let mut metered = Metered::at(Cursor::new(gzip(&vec![0; 1 << 20])), 0, "x").unwrap();
        assert!(matches!(drain(metered.inflate(1 << 16, "x", "it"), "x"), Err(Error::Limit { .. })));
    }
}
