//! Lists and status files of a place, as stanzas. A file that is not there is an empty one.

use std::fs::File;
use std::io::{BufRead, BufReader, Read as _};

use flate2::bufread::GzDecoder;
use xpkg_formats::Limits;
use xpkg_resolver::native::opkg::{Database, Described, Hands};

use super::place::{Place, exists};
use super::stanza::read_stanzas;
use crate::Error;

/// Largest list or status file, unpacked: the largest of OpenWrt has 5 MiB.
const MAX_LIST: u64 = 256 << 20;

impl Place {
    /// Path of a destination's status file.
    pub fn status_file(&self, dest: usize) -> String {
        format!("{}usr/lib/opkg/status", self.dir(dest))
    }

    /// Every stanza of every list, by the order of the sources.
    pub fn lists(&self) -> Result<Vec<Described>, Error> {
        let mut all = Vec::new();
        for (place, source) in self.sources.iter().enumerate() {
            let path = format!("{}/{}", self.lists_dir, source.name);
            all.extend(stanzas(&path, place, false)?);
        }
        Ok(all)
    }

    /// Every stanza of every status file, by the order of the destinations.
    pub fn recorded(&self) -> Result<Vec<Described>, Error> {
        let mut all = Vec::new();
        for dest in 0..self.dests.len() {
            all.extend(stanzas(&self.status_file(dest), dest, true)?);
        }
        Ok(all)
    }

    /// The database that most verbs look at: all lists if `lists`, then the status files.
    pub fn database(&self, lists: bool, hands: &mut dyn Hands) -> Result<Database, Error> {
        let mut database = Database::default();
        if lists {
            database.load_all(&self.lists()?, &self.settings, hands);
        }
        database.load_status(&self.recorded()?, &self.settings, hands);
        Ok(database)
    }
}

fn stanzas(path: &str, place: usize, status: bool) -> Result<Vec<Described>, Error> {
    if !exists(path) {
        return Ok(Vec::new());
    }
    let failed = |e| Error::io(format!("reading {path}"))(e);
    let mut file = BufReader::new(File::open(path).map_err(failed)?);
    let packed = file.fill_buf().map_err(failed)?.starts_with(&[0x1f, 0x8b]);
    let limits = Limits::default();
    let (found, _) = match packed {
        true => read_stanzas(BufReader::new(GzDecoder::new(file).take(MAX_LIST)), path, place, status, &limits)?,
        false => read_stanzas(BufReader::new(file.take(MAX_LIST)), path, place, status, &limits)?,
    };
    Ok(found)
}
