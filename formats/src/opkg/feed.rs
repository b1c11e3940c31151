//! `Packages` and `Packages.gz`: a feed's index, its detached usign signature, and writing both. Streams the packages;
//! keeps none. Where the packages lie and whether a key may vouch for the feed is the caller's.

use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};

use flate2::bufread::GzDecoder;
use xpkg_model::{Ecosystem, Package};

use super::control::{Control, Stanzas};
pub use super::fields::Detail;
use crate::apk::index::{IndexInfo, PackageSink};
use crate::archive::bounded::{Bounded, read_all};
use crate::archive::gzip;
use crate::keys::{Keyring, Verified, usign};
use crate::package::Format;
use crate::{Error, Limits};

/// The plain index.
pub const PACKAGES: &str = "Packages";
/// The index as `src/gz` feeds are fetched.
pub const PACKAGES_GZ: &str = "Packages.gz";
/// The signature; it is over the plain index, whichever of the two was fetched.
pub const PACKAGES_SIG: &str = "Packages.sig";
/// The plain index with every field.
pub const PACKAGES_MANIFEST: &str = "Packages.manifest";

/// Largest plain index whose signature is checked: Ed25519 needs all of it at once. OpenWrt's largest has 5 MiB.
const MAX_SIGNED: u64 = 64 << 20;

/// A feed's index, plain or gzip'd, of which nothing was read yet.
pub struct OpenedFeed<R> {
    file: R,
    what: String,
    limits: Limits,
    gzip: bool,
}

/// Opens an index. `what` names it in messages. An empty file is an empty feed.
pub fn open<R: Read + Seek>(mut file: R, what: &str, limits: &Limits) -> Result<OpenedFeed<R>, Error> {
    let io = |e| Error::io(what, e);
    let mut magic = Vec::new();
    file.seek(SeekFrom::Start(0)).map_err(io)?;
    file.by_ref().take(2).read_to_end(&mut magic).map_err(io)?;
    Ok(OpenedFeed { file, what: what.to_owned(), limits: limits.clone(), gzip: magic == [0x1f, 0x8b] })
}

impl<R: Read + Seek> OpenedFeed<R> {
    fn plain(&mut self) -> Result<Box<dyn BufRead + '_>, Error> {
        let Self { file, what, limits, gzip } = self;
        file.seek(SeekFrom::Start(0)).map_err(|e| Error::io(what.as_str(), e))?;
        let bound = limits.max_index_unpacked;
        let file = BufReader::with_capacity(64 << 10, file);
        Ok(match gzip {
            true => Box::new(BufReader::new(Bounded::new(GzDecoder::new(file), bound, what, "the unpacked index"))),
            false => Box::new(BufReader::new(Bounded::new(file, bound, what, "the index"))),
        })
    }

    /// Checks a detached signature (the content of `Packages.sig`) before anything is parsed. Without bytes the feed is
    /// unsigned. The plain index is held in memory while it is checked.
    pub fn verify(&mut self, keys: &Keyring, signature: &[u8]) -> Result<Verified, Error> {
        if signature.is_empty() {
            return Err(Error::Unsigned { what: self.what.clone() });
        }
        let signature = usign::Signature::parse(&format!("the signature of {}", self.what), signature)?;
        // A key that is not known needs no reading.
        signature.known(&self.what, keys)?;
        let limit = self.limits.max_index_unpacked.min(MAX_SIGNED);
        let what = self.what.clone();
        let message = read_all(self.plain()?, limit, &what, "the signed index")?;
        signature.verify(&what, keys, &message)
    }

    /// Streams the packages in the order of the file. One whose stanza makes no sense is left out and counted. A package
    /// without a SHA-256 (OpenWrt 18.06 and before write only `MD5Sum`, kept in [`xpkg_model::opkg::Opkg::other`]) is
    /// handed out without an identity: only its size vouches for its file. The info's reasons then say so.
    pub fn read(&mut self, ecosystem: Ecosystem, sink: &mut PackageSink<'_>) -> Result<IndexInfo, Error> {
        let mut info = IndexInfo::new(Format::Ipk);
        let (what, limits) = (self.what.clone(), self.limits.clone());
        let mut stanzas = Stanzas::new(self.plain()?, &what, &limits);
        let mut undigested = 0;
        while let Some(control) = stanzas.next()? {
            let package = control.to_package(ecosystem, &limits).and_then(|package| match package.filename {
                Some(_) => Ok(package),
                None => Err("no file name".to_owned()),
            });
            match package {
                Ok(package) => {
                    info.count += 1;
                    undigested += u64::from(package.identity.is_none());
                    sink(package).map_err(Error::receiver)?;
                }
                Err(reason) => {
                    let name = control.get("Package").unwrap_or_default().chars().take(128).collect::<String>();
                    info.skip(&name.escape_debug().to_string(), reason);
                }
            }
        }
        if undigested > 0 {
            info.reasons.push(format!("{undigested} packages have no SHA-256 and cannot be checked"));
        }
        Ok(info)
    }
}

/// Writes a plain index, its packages in the order given: the text that is signed.
pub fn write<'a>(
    out: &mut dyn Write,
    packages: impl IntoIterator<Item = &'a Package>,
    detail: Detail,
) -> Result<(), Error> {
    let mut stanza = Vec::new();
    for package in packages {
        stanza.clear();
        Control::describe(package, detail)?.write(&mut stanza);
        stanza.push(b'\n');
        out.write_all(&stanza).map_err(|e| Error::io(PACKAGES, e))?;
    }
    Ok(())
}

/// Packs a plain index for `src/gz`.
pub fn compress(plain: &[u8]) -> Result<Vec<u8>, Error> {
    gzip::pack(PACKAGES_GZ, |out| out.write_all(plain).map_err(|e| Error::io(PACKAGES_GZ, e)))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::keys::SecretKey;

    fn read(bytes: &[u8]) -> Result<(Vec<Package>, IndexInfo), Error> {
        let limits = Limits { max_index_unpacked: 1 << 16, ..Limits::default() };
        let mut packages = Vec::new();
        let mut opened = open(Cursor::new(bytes), "Packages", &limits)?;
        let info = opened.read(Ecosystem::Openwrt, &mut |package| {
            packages.push(package);
            Ok(())
        })?;
        Ok((packages, info))
    }

    #[test]
    fn feeds_are_read_written_and_read() {
        let sum = "0f".repeat(32);
        let text = format!(
            "Package: a\nVersion: 1-1\nArchitecture: all\nInstalled-Size: 10\nFilename: a_1-1_all.ipk\nSize: 5\n\
             SHA256sum: {sum}\nDescription: x\n\n\
             Package: b\nVersion: 2\nArchitecture: all\nInstalled-Size: 0\nFilename: b.ipk\nMD5Sum: aa\n\n\
             Package: c/..\nVersion: 2\nFilename: b.ipk\n\nPackage: d\nVersion: 2\n"
        );
        let (packages, info) = read(text.as_bytes()).unwrap();
        assert_eq!((packages.len(), info.count, info.skipped), (2, 2, 2));
        assert!(
            packages[1].identity.is_none() && info.reasons.iter().any(|r| r.contains("1 packages have no SHA-256"))
        );
        let mut plain = Vec::new();
        write(&mut plain, &packages[..1], Detail::Packages).unwrap();
        assert_eq!(read(&compress(&plain).unwrap()).unwrap().0, packages[..1]);
        assert!(text.as_bytes().starts_with(&plain));
        assert!(write(&mut plain, &packages, Detail::Packages).is_err());
        for empty in [&[][..], b"\n", &compress(b"").unwrap()] {
            assert_eq!(read(empty).unwrap().1.count, 0);
        }
        assert!(matches!(read(&compress(&vec![b'\n'; 1 << 17]).unwrap()), Err(Error::Limit { .. })));
        assert!(read(b"<html>not found</html>").is_err());
    }

    #[test]
    fn unsigned_unknown_and_wrong_are_told_apart() {
        let (ours, theirs) = (SecretKey::generate_usign("a").unwrap(), SecretKey::generate_usign("b").unwrap());
        let keys: Keyring = [ours.public().clone()].into_iter().collect();
        let text = b"Package: a\nVersion: 1\nFilename: a.ipk\n\n";
        let good = usign::sign(&ours, text).unwrap();
        let verify = |bytes: &[u8], signature: &str| {
            open(Cursor::new(bytes), "Packages", &Limits::default()).unwrap().verify(&keys, signature.as_bytes())
        };
        assert_eq!(verify(text, &good).unwrap().key, ours.public().name);
        assert!(verify(&compress(text).unwrap(), &good).is_ok());
        assert!(matches!(verify(text, ""), Err(Error::Unsigned { .. })));
        assert!(matches!(verify(b"Package: b\n", &good), Err(Error::BadSignature { .. })));
        assert!(matches!(verify(text, &usign::sign(&theirs, text).unwrap()), Err(Error::UnknownKey { .. })));
        assert!(matches!(verify(text, "rubbish"), Err(Error::Malformed { .. })));
    }
}
