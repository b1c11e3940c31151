//! The members of an ipk, whichever container they lie in, and the decoding of the two inner archives.

use std::io::{BufRead as _, BufReader, Read};
use std::ops::ControlFlow;

use flate2::bufread::GzDecoder;
use ruzstd::decoding::{FrameDecoder, StreamingDecoder};

use crate::adb::envelope::check_window;
use crate::archive::bounded::Bounded;
use crate::archive::{ar, tar};
use crate::{Error, Limits};

/// What a member is by its name. Others are passed over, as opkg does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Member {
    /// `debian-binary`.
    Version,
    /// `control.tar` and what it is compressed with.
    Control,
    /// `data.tar` and what it is compressed with.
    Data,
}

impl Member {
    fn of(name: &[u8]) -> Option<Self> {
        let name = name.strip_prefix(b"./").unwrap_or(name);
        match name {
            b"debian-binary" => Some(Self::Version),
            _ if name.contains(&b'/') => None,
            _ if name.starts_with(b"control.tar") => Some(Self::Control),
            _ if name.starts_with(b"data.tar") => Some(Self::Data),
            _ => None,
        }
    }
}

/// Whether a tar that begins with an entry of that name is an ipk.
pub(crate) fn is_member(name: &[u8]) -> bool {
    Member::of(name).is_some() || matches!(name, b"." | b"./")
}

/// Who receives the members.
pub(super) type MemberSink<'a> = dyn FnMut(Member, &mut dyn Read) -> Result<ControlFlow<()>, Error> + 'a;

/// Hands out the members of a file that begins here. Each may be there once.
pub(super) fn each(
    mut file: impl std::io::BufRead,
    what: &str,
    limits: &Limits,
    sink: &mut MemberSink<'_>,
) -> Result<(), Error> {
    let mut seen = Vec::new();
    let mut hand_out = |name: &[u8], content: &mut dyn Read| {
        let Some(member) = Member::of(name) else { return Ok(ControlFlow::Continue(())) };
        if seen.contains(&member) {
            return Err(Error::malformed(what, format!("two `{}`", String::from_utf8_lossy(name).escape_debug())));
        }
        seen.push(member);
        sink(member, content)
    };
    let is_ar = file.fill_buf().map_err(|e| Error::io(what, e))?.starts_with(ar::MAGIC);
    if is_ar {
        return ar::each(file, what, limits, &mut hand_out);
    }
    let bound = limits.max_unpacked.saturating_add(limits.max_metadata);
    let plain = Bounded::new(GzDecoder::new(file), bound, what, "the unpacked package");
    tar::each(plain, what, limits, &mut |item, content| hand_out(&item.name, content))
}

/// An inner archive as plain tar; what it is compressed with is told by its first bytes.
pub(super) fn decoded<'a>(content: &'a mut dyn Read, what: &str) -> Result<Box<dyn Read + 'a>, Error> {
    let mut content = BufReader::with_capacity(32 << 10, content);
    let start = content.fill_buf().map_err(|e| Error::io(what, e))?;
    Ok(match start {
        [0x1f, 0x8b, ..] => Box::new(GzDecoder::new(content)),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            check_window(start, what)?;
            let decoder: StreamingDecoder<_, FrameDecoder> =
                StreamingDecoder::new(content).map_err(|e| Error::malformed(what, e.to_string()))?;
            Box::new(decoder)
        }
        [0xfd, b'7', b'z', b'X', b'Z', ..] => {
            return Err(Error::malformed(what, "an archive in it is compressed with xz, which is not supported"));
        }
        _ => Box::new(content),
    })
}
