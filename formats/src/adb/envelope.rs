//! The outermost layer: a whole ADB file, plain or compressed. Decompresses as a stream and refuses what comes after the
//! stream's end, since nobody would vouch for it.

use std::io::{self, BufRead as _, BufReader, Read, Seek, SeekFrom, Write};

use flate2::bufread::DeflateDecoder;
use flate2::write::DeflateEncoder;
use ruzstd::decoding::{FrameDecoder, StreamingDecoder};

use crate::Error;

/// Largest zstd window accepted: what RFC 8878 asks every decoder to support. apk's own levels stay below it.
const MAX_WINDOW: u64 = 8 << 20;
/// Longest zstd frame header: magic, descriptor, window, dictionary id, content size.
const MAX_FRAME_HEADER: usize = 18;

/// How a writer wraps a file. Readers accept these and zstd.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Compression {
    /// As it is.
    None,
    /// Raw deflate: what OpenWrt uses.
    #[default]
    Deflate,
}

/// The plain bytes of an ADB file, from its inner header on.
pub(crate) struct Plain<R: Read> {
    inner: Inner<R>,
}

enum Inner<R: Read> {
    Stored(BufReader<R>),
    Deflate(Box<DeflateDecoder<BufReader<R>>>),
    Zstd(Box<StreamingDecoder<BufReader<R>, FrameDecoder>>),
}

impl<R: Read + Seek> Plain<R> {
    /// Starts at the first byte of the file, whatever was read of it before.
    pub(crate) fn open(mut file: R, what: &str) -> Result<Self, Error> {
        let io = |e| Error::io(what, e);
        let mut magic = [0; 4];
        file.seek(SeekFrom::Start(0)).map_err(io)?;
        file.read_exact(&mut magic).map_err(io)?;
        let inner = match &magic {
            b"ADB." => {
                file.seek(SeekFrom::Start(0)).map_err(io)?;
                Inner::Stored(BufReader::new(file))
            }
            b"ADBd" => Inner::deflate(file),
            b"ADBc" => {
                let mut spec = [0; 2];
                file.read_exact(&mut spec).map_err(io)?;
                match spec {
                    [0, _] => Inner::Stored(BufReader::new(file)),
                    [1, _] => Inner::deflate(file),
                    [2, _] => Inner::zstd(file, what)?,
                    [other, _] => return Err(Error::malformed(what, format!("unknown compression {other}"))),
                }
            }
            _ => return Err(Error::malformed(what, "no ADB file")),
        };
        Ok(Self { inner })
    }
}

impl<R: Read + Seek> Inner<R> {
    fn deflate(file: R) -> Self {
        Self::Deflate(Box::new(DeflateDecoder::new(BufReader::new(file))))
    }

    /// The decoder would allocate whatever window the frame asks for, so the frame header is looked at first.
    fn zstd(mut file: R, what: &str) -> Result<Self, Error> {
        let io = |e| Error::io(what, e);
        let start = file.stream_position().map_err(io)?;
        let mut header = Vec::with_capacity(MAX_FRAME_HEADER);
        file.by_ref().take(MAX_FRAME_HEADER as u64).read_to_end(&mut header).map_err(io)?;
        file.seek(SeekFrom::Start(start)).map_err(io)?;
        check_window(&header, what)?;
        let decoder = StreamingDecoder::new(BufReader::new(file)).map_err(|e| Error::malformed(what, e.to_string()))?;
        Ok(Self::Zstd(Box::new(decoder)))
    }
}

/// Refuses a frame, of which the first bytes are given, that asks for too large a window.
pub(crate) fn check_window(header: &[u8], what: &str) -> Result<(), Error> {
    let window = window_size(header).ok_or_else(|| Error::malformed(what, "no zstd frame"))?;
    if window > MAX_WINDOW {
        return Err(Error::limit(what, "the zstd window", MAX_WINDOW));
    }
    Ok(())
}

/// The window a frame asks for (RFC 8878, 3.1.1.1).
fn window_size(header: &[u8]) -> Option<u64> {
    let (&descriptor, rest) = header.strip_prefix(&[0x28, 0xb5, 0x2f, 0xfd])?.split_first()?;
    let single_segment = descriptor & 0x20 != 0;
    if !single_segment {
        let byte = *rest.first()?;
        let base = 1u64 << (10 + u32::from(byte >> 3));
        return Some(base + (base / 8) * u64::from(byte & 7));
    }
    let dictionary = match descriptor & 3 {
        0 => 0,
        1 => 1,
        2 => 2,
        _ => 4,
    };
    let size = rest.get(dictionary..)?;
    let (length, offset) = match descriptor >> 6 {
        0 => (1, 0),
        1 => (2, 256),
        2 => (4, 0),
        _ => (8, 0),
    };
    let bytes = size.get(..length)?;
    bytes.iter().rev().fold(0u64, |n, b| (n << 8) | u64::from(*b)).checked_add(offset)
}

impl<R: Read> Plain<R> {
    fn source(&mut self) -> &mut BufReader<R> {
        match &mut self.inner {
            Inner::Stored(reader) => reader,
            Inner::Deflate(decoder) => decoder.get_mut(),
            Inner::Zstd(decoder) => decoder.get_mut(),
        }
    }
}

impl<R: Read> Read for Plain<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = match &mut self.inner {
            Inner::Stored(reader) => reader.read(buf)?,
            Inner::Deflate(decoder) => decoder.read(buf)?,
            Inner::Zstd(decoder) => decoder.read(buf)?,
        };
        if n == 0 && !buf.is_empty() && !self.source().fill_buf()?.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "bytes after the end of the compressed stream"));
        }
        Ok(n)
    }
}

/// Writes a whole plain ADB file in an envelope.
pub(crate) fn write(mut plain: impl Read, out: &mut dyn Write, how: Compression) -> io::Result<()> {
    match how {
        Compression::None => {
            io::copy(&mut plain, out)?;
        }
        Compression::Deflate => {
            out.write_all(b"ADBd")?;
            let mut encoder = DeflateEncoder::new(&mut *out, flate2::Compression::best());
            io::copy(&mut plain, &mut encoder)?;
            encoder.finish()?;
        }
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use ruzstd::encoding::{CompressionLevel, compress_to_vec};

    use super::*;

    fn plain_of(bytes: Vec<u8>) -> Result<Vec<u8>, Error> {
        let mut out = Vec::new();
        Plain::open(Cursor::new(bytes), "x")?.read_to_end(&mut out).map_err(|e| Error::io("x", e))?;
        Ok(out)
    }

    #[test]
    fn every_envelope_holds_the_same_bytes() {
        let body = [b"ADB.pckg".as_slice(), &b"some text ".repeat(20_000)].concat();
        let mut deflated = Vec::new();
        write(body.as_slice(), &mut deflated, Compression::Deflate).unwrap();
        let zstd = compress_to_vec(body.as_slice(), CompressionLevel::Fastest);
        for file in [
            body.clone(),
            deflated.clone(),
            [b"ADBc\x00\x00".as_slice(), &body].concat(),
            [b"ADBc\x01\x09".as_slice(), &deflated[4..]].concat(),
            [b"ADBc\x02\x03".as_slice(), &zstd].concat(),
        ] {
            assert!(plain_of(file).unwrap() == body);
        }
        for file in [
            [deflated.as_slice(), b"x"].concat(),
            [b"ADBc\x02\x03".as_slice(), &zstd, b"x"].concat(),
            b"ADBc\x07\x00".to_vec(),
            b"ADBx".to_vec(),
            b"AD".to_vec(),
        ] {
            assert!(plain_of(file).is_err());
        }
    }

    #[test]
    fn a_frame_that_wants_a_huge_window_is_refused() {
        // No single segment, window descriptor 0xf8: 2 TiB.
        let file = [b"ADBc\x02\x00".as_slice(), &[0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xf8, 0, 0, 0]].concat();
        assert!(matches!(plain_of(file), Err(Error::Limit { .. })));
        // Single segment with an eight-byte content size.
        let size = (1u64 << 40).to_le_bytes();
        let file = [b"ADBc\x02\x00".as_slice(), &[0x28, 0xb5, 0x2f, 0xfd, 0xe0], &size].concat();
        assert!(matches!(plain_of(file), Err(Error::Limit { .. })));
    }
}
