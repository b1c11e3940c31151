//! `/usr/lib/opkg/info/`: what opkg keeps of each installed package beside its status: its files, its control file and its
//! scripts. Names the files and reads and writes lists; opens nothing.

use std::io::{BufRead, Write};

use xpkg_model::RelPath;

use crate::archive::lines::Lines;
use crate::{Error, Limits};

/// The directory, below a destination.
pub const INFO: &str = "usr/lib/opkg/info";
/// Suffix of the list of a package's files.
pub const LIST: &str = "list";
/// Suffix of its control file.
pub const CONTROL: &str = "control";
/// Suffix of the list of its configuration files.
pub const CONFFILES: &str = "conffiles";

/// The path of one of a package's files, below a destination: `usr/lib/opkg/info/NAME.SUFFIX`.
pub fn path(package: &str, suffix: &str) -> String {
    format!("{INFO}/{package}.{suffix}")
}

/// Splits such a file's name into package and suffix; names of packages hold dots, suffixes do not.
pub fn split(file_name: &str) -> Option<(&str, &str)> {
    file_name.rsplit_once('.').filter(|(package, suffix)| !package.is_empty() && !suffix.is_empty())
}

/// Reads a list: one absolute path per line, without directories, in no order. `conffiles` has the same form.
pub fn read_list(reader: impl BufRead, what: &str, limits: &Limits) -> Result<Vec<RelPath>, Error> {
    let mut out = Vec::new();
    let mut lines = Lines::new(reader, what, limits);
    while let Some((line, number)) = lines.next()? {
        if line.is_empty() {
            continue;
        }
        if out.len() as u64 >= limits.max_entries {
            return Err(Error::limit(what, "the number of lines", limits.max_entries));
        }
        let path = RelPath::from_absolute(line).map_err(|e| Error::malformed(what, format!("line {number}: {e}")))?;
        out.push(path);
    }
    Ok(out)
}

/// Writes a list, in the order given.
pub fn write_list<'a>(out: &mut dyn Write, paths: impl IntoIterator<Item = &'a RelPath>) -> Result<(), Error> {
    for path in paths {
        let line = [b"/", path.as_bytes(), b"\n"].concat();
        out.write_all(&line).map_err(|e| Error::io(LIST, e))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_round_trip() {
        let text = b"/usr/bin/b\n/etc/a b\n".as_slice();
        let paths = read_list(text, "x.list", &Limits::default()).unwrap();
        let mut again = Vec::new();
        write_list(&mut again, &paths).unwrap();
        assert_eq!(again, text);
        assert!(read_list(&b"/a/../../b\n"[..], "x.list", &Limits::default()).is_err());
        assert_eq!(split("libncurses.6.postinst-pkg"), Some(("libncurses.6", "postinst-pkg")));
        assert_eq!(path("a", LIST), "usr/lib/opkg/info/a.list");
    }
}
