//! Extended tar headers (POSIX.1-2001 pax), with apk's and star's own keys. The `tar` crate splits these at line breaks, which
//! binary attribute values contain; records are read by their length here. Unknown keys are ignored, as apk does.

use xpkg_model::identity::parse_hex;

/// What extended headers and GNU's long names said about the next entry.
#[derive(Default)]
pub(super) struct Pending {
    pub(super) name: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) user: Option<String>,
    pub(super) group: Option<String>,
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
    pub(super) mtime: Option<u64>,
    pub(super) size: Option<u64>,
    pub(super) xattrs: Vec<(String, Vec<u8>)>,
    pub(super) sha1: Option<[u8; 20]>,
}

impl Pending {
    /// Takes the records of one `x` header.
    pub(super) fn read(&mut self, mut data: &[u8], max_xattrs: u64) -> Result<(), String> {
        while !data.is_empty() {
            let (record, rest) = split_record(data).ok_or("an extended header's record has a wrong length")?;
            data = rest;
            let at = record.iter().position(|b| *b == b'=').ok_or("an extended header's record has no `=`")?;
            let (key, value) = (&record[..at], &record[at + 1..]);
            let key = std::str::from_utf8(key).map_err(|_| "an extended header's key is not text")?;
            self.take(key, value, max_xattrs)?;
        }
        Ok(())
    }

    fn take(&mut self, key: &str, value: &[u8], max_xattrs: u64) -> Result<(), String> {
        let text = || std::str::from_utf8(value).map_err(|_| format!("`{key}` is not text"));
        let number = || -> Result<u64, String> {
            let whole = text()?.split('.').next().unwrap_or_default();
            whole.parse().map_err(|_| format!("`{key}` is no number"))
        };
        let id = || u32::try_from(number()?).map_err(|_| format!("`{key}` is too large"));
        match key {
            "path" => self.name = Some(value.to_vec()),
            "linkpath" => self.link = Some(value.to_vec()),
            "uname" => self.user = Some(text()?.to_owned()),
            "gname" => self.group = Some(text()?.to_owned()),
            "uid" => self.uid = Some(id()?),
            "gid" => self.gid = Some(id()?),
            // Before 1970 there were no packages.
            "mtime" if value.starts_with(b"-") => self.mtime = Some(0),
            "mtime" => self.mtime = Some(number()?),
            "size" => self.size = Some(number()?),
            "APK-TOOLS.checksum.SHA1" => {
                self.sha1 = Some(parse_hex(text()?).ok_or("`APK-TOOLS.checksum.SHA1` is no SHA-1")?);
            }
            _ => {
                if let Some(name) = key.strip_prefix("SCHILY.xattr.").filter(|name| !name.is_empty()) {
                    if self.xattrs.len() as u64 >= max_xattrs {
                        return Err(format!("more than {max_xattrs} extended attributes"));
                    }
                    self.xattrs.push((name.to_owned(), value.to_vec()));
                }
            }
        }
        Ok(())
    }
}

/// One record (`length key=value\n`, the length counts itself) without length and line end, and what follows it.
fn split_record(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = data.iter().take(20).position(|b| *b == b' ')?;
    let length: usize = std::str::from_utf8(data.get(..space)?).ok()?.parse().ok()?;
    let (record, rest) = data.split_at_checked(length)?;
    Some((record.get(space + 1..)?.strip_suffix(b"\n")?, rest))
}

/// Appends one record.
pub(super) fn write_record(out: &mut Vec<u8>, key: &str, value: &[u8]) {
    let body = key.len() + value.len() + 3;
    let mut length = body + 1;
    while body + length.to_string().len() != length {
        length = body + length.to_string().len();
    }
    out.extend_from_slice(format!("{length} {key}=").as_bytes());
    out.extend_from_slice(value);
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binary_values_keep_their_line_breaks() {
        for size in [0, 1, 80, 84, 85, 86, 970, 980, 990, 9_990] {
            let value: Vec<u8> = (0..size).map(|i| if i % 3 == 0 { b'\n' } else { i as u8 }).collect();
            let mut data = Vec::new();
            write_record(&mut data, "SCHILY.xattr.security.capability", &value);
            write_record(&mut data, "path", b"usr/bin/x");
            let mut pending = Pending::default();
            pending.read(&data, 8).unwrap();
            assert_eq!(pending.xattrs, [("security.capability".to_owned(), value)]);
            assert_eq!(pending.name.as_deref(), Some(b"usr/bin/x".as_slice()));
        }
    }

    #[test]
    fn lying_lengths_are_refused() {
        for data in
            ["5 a=b\n", "99 a=b\n", "0 a=b\n", "1 ", "x a=b\n", "6 a=b", "4 \n\n\n", "18446744073709551615 a=b\n"]
        {
            assert!(Pending::default().read(data.as_bytes(), 8).is_err(), "{data:?}");
        }
    }
}
