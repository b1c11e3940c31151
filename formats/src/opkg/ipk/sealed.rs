//! A package of which only the bytes were hashed: its identity can be checked before anything inside is parsed.

use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};
use std::ops::ControlFlow;

use xpkg_model::{Ecosystem, Identity, RelPath};

use super::members::{self, Member, MemberSink, decoded};
use super::{Reader, SCRIPTS};
use crate::archive::bounded::{Bounded, read_all};
use crate::archive::lines::Lines;
use crate::archive::member::{Digests, Metered};
use crate::archive::tar::{self, ItemKind};
use crate::keys::{Hash, Keyring, Verified};
use crate::opkg::control::Control;
use crate::package::{Envelope, Format, Meta};
use crate::{Error, Limits};

/// A package before its metadata is parsed.
pub struct Sealed<R> {
    file: R,
    what: String,
    limits: Limits,
    length: u64,
    digests: Digests,
}

impl<R: Read + Seek> Sealed<R> {
    /// Hashes the file.
    pub fn read(mut file: R, what: &str, limits: &Limits) -> Result<Self, Error> {
        let length = file.seek(SeekFrom::End(0)).map_err(|e| Error::io(what, e))?;
        let mut whole = Metered::at(&mut file, 0, what)?;
        whole.start(&[Hash::Sha256]);
        whole.consume_rest(what)?;
        let digests = whole.finish();
        Ok(Self { file, what: what.to_owned(), limits: limits.clone(), length, digests })
    }

    /// Parses the metadata.
    pub fn open(mut self, ecosystem: Ecosystem) -> Result<Reader<R>, Error> {
        let (what, limits) = (self.what.clone(), self.limits.clone());
        let mut files = None;
        let (mut has_version, mut has_data) = (false, false);
        self.each(&mut |member, content| {
            match member {
                Member::Version => {
                    version(content, &what)?;
                    has_version = true;
                }
                Member::Control => files = Some(control_files(content, &what, &limits)?),
                Member::Data => has_data = true,
            }
            Ok(ControlFlow::Continue(()))
        })?;
        if !has_version {
            return Err(Error::malformed(what, "no debian-binary in it"));
        }
        let mut files = files.ok_or_else(|| Error::malformed(&what, "no control.tar in it"))?;
        if !has_data {
            return Err(Error::malformed(what, "no data.tar in it"));
        }
        let control = files.remove("control").ok_or_else(|| Error::malformed(&what, "no `control` in it"))?;
        let raw = control;
        let control = Control::parse(&raw, &format!("the control file of {what}"), &limits)?;
        let mut package = control
            .to_package(ecosystem, &limits)
            .map_err(|reason| Error::malformed(&what, format!("its control file: {reason}")))?;
        package.identity = Some(self.identity());
        package.size = self.length;
        let mut meta = Meta::new(package, Format::Ipk);
        if let Some(list) = files.get("conffiles") {
            meta.conffiles = conffiles(list, &what, &limits)?;
        }
        for (name, kind) in SCRIPTS {
            if let Some(script) = files.get(name) {
                meta.scripts.insert(kind, script.clone());
            }
        }
        meta.control_files = files;
        meta.control = raw;
        Ok(Reader { sealed: self, meta })
    }

    pub(super) fn what(&self) -> &str {
        &self.what
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Hands out the members, and makes sure that they are those of the file that was hashed at first.
    pub(super) fn each(&mut self, sink: &mut MemberSink<'_>) -> Result<(), Error> {
        let what = self.what.as_str();
        let mut whole = Metered::at(&mut self.file, 0, what)?;
        whole.start(&[Hash::Sha256]);
        members::each(&mut whole, what, &self.limits, sink)?;
        whole.consume_rest(what)?;
        if whole.finish() != self.digests {
            return Err(Error::malformed(what, "it changed while it was read"));
        }
        Ok(())
    }
}

impl<R: Read + Seek> Envelope for Sealed<R> {
    fn identity(&self) -> Identity {
        Identity::File(self.digests.array(Hash::Sha256))
    }

    fn verify_signature(&mut self, _: &Keyring) -> Result<Verified, Error> {
        Err(Error::Unsigned { what: self.what.clone() })
    }
}

/// `2.0` and a line break; a later version may mean anything.
fn version(content: &mut dyn Read, what: &str) -> Result<(), Error> {
    let text = read_all(content, 64, what, "debian-binary")?;
    if text.starts_with(b"2.") {
        return Ok(());
    }
    let shown = String::from_utf8_lossy(&text).trim().escape_debug().to_string();
    Err(Error::malformed(what, format!("a package of version `{shown}`; only 2.0 is understood")))
}

/// Every file of the control archive, by name.
fn control_files(content: &mut dyn Read, what: &str, limits: &Limits) -> Result<BTreeMap<String, Vec<u8>>, Error> {
    let mut files = BTreeMap::new();
    let plain = Bounded::new(decoded(content, what)?, limits.max_metadata, what, "the control archive");
    tar::each(plain, what, limits, &mut |item, content| {
        let refuse = |reason: &str| Error::entry(what, &item.name, reason);
        let name = item.name.strip_prefix(b"./").unwrap_or(&item.name);
        if item.kind == ItemKind::Dir && matches!(name, b"" | b".") {
            return Ok(ControlFlow::Continue(()));
        }
        if item.kind != ItemKind::File {
            return Err(refuse("the control archive holds plain files only"));
        }
        // opkg stores them as `info/NAME.<name>`.
        let fits = |b: &u8| b.is_ascii_alphanumeric() || b"._+-".contains(b);
        let name = match std::str::from_utf8(name) {
            Ok(name) if name.bytes().all(|b| fits(&b)) && !name.starts_with('.') && name.len() <= 64 => name.to_owned(),
            _ => return Err(refuse("no name for a control file")),
        };
        if files.contains_key(&name) {
            return Err(refuse("the package holds it twice"));
        }
        let is_script = SCRIPTS.iter().any(|(script, _)| name.strip_suffix("-pkg").unwrap_or(&name) == *script);
        let limit = if is_script { limits.max_script } else { limits.max_metadata };
        files.insert(name, read_all(content, limit, what, "a control file")?);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(files)
}

/// One absolute path per line.
fn conffiles(list: &[u8], what: &str, limits: &Limits) -> Result<Vec<RelPath>, Error> {
    let mut out = Vec::new();
    let mut lines = Lines::new(list, what, limits);
    while let Some((line, number)) = lines.next()? {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        if out.len() as u64 >= limits.max_list {
            return Err(Error::limit(what, "the number of conffiles", limits.max_list));
        }
        let path = RelPath::from_absolute(line).ok().filter(|path| !path.is_root());
        out.push(path.ok_or_else(|| Error::malformed(what, format!("conffiles line {number} names no file")))?);
    }
    Ok(out)
}
