//! `/usr/lib/opkg/status`: what is installed, what a person wants, and which configuration files belong to whom. A record
//! that is not changed is written again byte for byte; changed and new ones as opkg writes them (pkg_print_status in its
//! pkg.c). Opens no file and changes no package.

mod words;

use std::io::{BufRead, Write};

use xpkg_model::identity::{hex, parse_hex};
use xpkg_model::{Ecosystem, Package, RelPath};

use super::control::{Control, Stanzas};
use crate::{BoxError, Error, Limits};
pub use words::{Flags, State, Status, Want};

/// The file, below a destination.
pub const STATUS: &str = "usr/lib/opkg/status";

/// The order of fields; the rest of a package's fields is not kept here, and opkg drops what it does not know.
pub const ORDER: [&str; 16] = [
    "Package",
    "ABIVersion",
    "Version",
    "Depends",
    "Recommends",
    "Suggests",
    "Provides",
    "Replaces",
    "Conflicts",
    "Status",
    "Essential",
    "Architecture",
    "Conffiles",
    "Installed-Time",
    "Auto-Installed",
    "Alternatives",
];

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// What is wanted, and what is.
    pub status: Status,
    /// Configuration files as installed.
    pub conffiles: Vec<Conffile>,
    /// Seconds since 1970; 0 when not said.
    pub installed_time: u64,
    /// Installed only because something needed it.
    pub auto_installed: bool,
    control: Control,
}

/// A configuration file and what it held when it was installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conffile {
    /// Where.
    pub path: RelPath,
    /// Digest of the package's own version.
    pub digest: ConffileDigest,
}

/// What a configuration file's content is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConffileDigest {
    /// 64 hex digits.
    Sha256([u8; 32]),
    /// 32 hex digits, of opkg before 2017.
    Md5([u8; 16]),
    /// Anything else; no content matches it.
    Other(String),
}

impl ConffileDigest {
    fn parse(text: &str) -> Self {
        match (parse_hex(text), parse_hex(text)) {
            (Some(sha256), _) => Self::Sha256(sha256),
            (None, Some(md5)) => Self::Md5(md5),
            (None, None) => Self::Other(text.to_owned()),
        }
    }
}

impl std::fmt::Display for ConffileDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sha256(bytes) => f.write_str(&hex(bytes)),
            Self::Md5(bytes) => f.write_str(&hex(bytes)),
            Self::Other(text) => f.write_str(text),
        }
    }
}

impl Record {
    /// What a stanza says. Missing and unknown words are read as opkg reads them: nothing is wanted, nothing is installed.
    pub fn from_control(control: Control) -> Result<Self, String> {
        if control.get("Package").is_none_or(str::is_empty) {
            return Err("a record without a name".to_owned());
        }
        let said = Said::of(&control)?;
        let Said { status, conffiles, installed_time, auto_installed } = said;
        Ok(Self { status, conffiles, installed_time, auto_installed, control })
    }

    /// A record for a package, from its control file: of its fields those that opkg keeps. Nothing is installed yet.
    pub fn new(control: &Control) -> Result<Self, Error> {
        let mut kept = Control::new();
        for name in ORDER {
            if let Some(value) = control.get(name).filter(|value| !value.is_empty())
                && !["Status", "Conffiles", "Installed-Time", "Auto-Installed"].contains(&name)
            {
                kept.push(name, value)?;
            }
        }
        Self::from_control(kept).map_err(|reason| Error::malformed("a control file", reason))
    }

    /// Name of the package.
    pub fn name(&self) -> &str {
        self.control.get("Package").unwrap_or_default()
    }

    /// Its version.
    pub fn version(&self) -> &str {
        self.control.get("Version").unwrap_or_default()
    }

    /// A field as written.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.control.get(name)
    }

    /// Replaces a field, in opkg's place for it. What has a field of its own in this type is overwritten by that.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), Error> {
        self.control.set_in_order(name, value, &ORDER)
    }

    /// The package: name, version, what it needs, provides and so on.
    pub fn package(&self, ecosystem: Ecosystem, limits: &Limits) -> Result<Package, String> {
        let mut package = self.control.to_package(ecosystem, limits)?;
        if let Some(opkg) = &mut package.opkg {
            let own = ["Status", "Conffiles", "Installed-Time", "Auto-Installed"];
            opkg.other.retain(|(name, _)| !own.contains(&name.as_str()));
        }
        Ok(package)
    }

    /// The stanza, as it was read where nothing was changed.
    pub fn to_control(&self) -> Result<Control, Error> {
        let mut control = self.control.clone();
        let said = Said::of(&control).unwrap_or_default();
        if said.status != self.status || control.get("Status").is_none() {
            control.set_in_order("Status", &self.status.to_string(), &ORDER)?;
        }
        if said.conffiles != self.conffiles {
            control.remove("Conffiles");
            if !self.conffiles.is_empty() {
                let lines: Vec<_> =
                    self.conffiles.iter().map(|file| format!("\n {} {}", file.path, file.digest)).collect();
                control.set_in_order("Conffiles", &lines.concat(), &ORDER)?;
            }
        }
        if said.installed_time != self.installed_time {
            control.remove("Installed-Time");
            if self.installed_time != 0 {
                control.set_in_order("Installed-Time", &self.installed_time.to_string(), &ORDER)?;
            }
        }
        if said.auto_installed != self.auto_installed {
            control.remove("Auto-Installed");
            if self.auto_installed {
                control.set_in_order("Auto-Installed", "yes", &ORDER)?;
            }
        }
        Ok(control)
    }
}

/// What a stanza says of the fields that have a type.
#[derive(Default)]
struct Said {
    status: Status,
    conffiles: Vec<Conffile>,
    installed_time: u64,
    auto_installed: bool,
}

impl Said {
    fn of(control: &Control) -> Result<Self, String> {
        let mut conffiles = Vec::new();
        for line in control.lines("Conffiles") {
            let bad = || format!("`{}` is no conffile", line.chars().take(80).collect::<String>().escape_debug());
            let (path, digest) = line.rsplit_once(char::is_whitespace).ok_or_else(bad)?;
            let path = RelPath::from_absolute(path.trim_end()).map_err(|_| bad())?;
            conffiles.push(Conffile { path, digest: ConffileDigest::parse(digest) });
        }
        Ok(Self {
            status: control.get("Status").map(Status::read).unwrap_or_default(),
            conffiles,
            installed_time: control.get("Installed-Time").and_then(|time| time.parse().ok()).unwrap_or(0),
            auto_installed: control.get("Auto-Installed") == Some("yes"),
        })
    }
}

/// Who receives the records.
pub type RecordSink<'a> = dyn FnMut(Record) -> Result<(), BoxError> + 'a;

/// Streams the records in the order of the file.
pub fn read(reader: impl BufRead, what: &str, limits: &Limits, sink: &mut RecordSink<'_>) -> Result<(), Error> {
    let mut stanzas = Stanzas::new(reader, what, limits);
    while let Some(control) = stanzas.next()? {
        let name = control.get("Package").unwrap_or_default().chars().take(128).collect::<String>();
        let record = Record::from_control(control)
            .map_err(|reason| Error::malformed(what, format!("`{}`: {reason}", name.escape_debug())))?;
        sink(record).map_err(Error::receiver)?;
    }
    Ok(())
}

/// Writes one record and the blank line behind it.
pub fn write(out: &mut dyn Write, record: &Record) -> Result<(), Error> {
    let mut bytes = record.to_control()?.to_bytes();
    bytes.push(b'\n');
    out.write_all(&bytes).map_err(|e| Error::io(STATUS, e))
}

#[cfg(test)]
mod tests;
