//! The three words of a `Status` field: what is wanted, flags, what is. The tables are those of opkg's pkg.c.

use std::fmt;

/// What a person wants of a package.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Want {
    /// Nothing is known.
    #[default]
    Unknown,
    /// It shall be there.
    Install,
    /// It shall go, its configuration may stay.
    Deinstall,
    /// It shall go with everything.
    Purge,
}

/// How far a package is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum State {
    /// Not there.
    #[default]
    NotInstalled,
    /// Files are there, `postinst` has not run.
    Unpacked,
    /// `postinst` failed.
    HalfConfigured,
    /// There.
    Installed,
    /// Unpacking was interrupted.
    HalfInstalled,
    /// Only configuration files are left.
    ConfigFiles,
    /// `postinst` failed.
    PostInstFailed,
    /// Removal failed.
    RemovalFailed,
}

const WANTS: [(&str, Want); 4] =
    [("unknown", Want::Unknown), ("install", Want::Install), ("deinstall", Want::Deinstall), ("purge", Want::Purge)];

const STATES: [(&str, State); 8] = [
    ("not-installed", State::NotInstalled),
    ("unpacked", State::Unpacked),
    ("half-configured", State::HalfConfigured),
    ("installed", State::Installed),
    ("half-installed", State::HalfInstalled),
    ("config-files", State::ConfigFiles),
    ("post-inst-failed", State::PostInstFailed),
    ("removal-failed", State::RemovalFailed),
];

/// In the order written.
const FLAGS: [(&str, Flags); 7] = [
    ("reinstreq", Flags::REINSTREQ),
    ("hold", Flags::HOLD),
    ("replace", Flags::REPLACE),
    ("noprune", Flags::NOPRUNE),
    ("prefer", Flags::PREFER),
    ("obsolete", Flags::OBSOLETE),
    ("user", Flags::USER),
];

fn word<T: Copy + PartialEq>(table: &[(&'static str, T)], value: T) -> &'static str {
    table.iter().find(|(_, known)| *known == value).map_or("unknown", |(word, _)| word)
}

fn value<T: Copy + Default>(table: &[(&str, T)], word: &str) -> T {
    table.iter().find(|(known, _)| *known == word).map_or_else(T::default, |(_, value)| *value)
}

impl Want {
    /// opkg's word.
    pub fn as_str(self) -> &'static str {
        word(&WANTS, self)
    }
}

impl State {
    /// opkg's word.
    pub fn as_str(self) -> &'static str {
        word(&STATES, self)
    }

    /// Reads opkg's word.
    pub fn parse(word: &str) -> Option<Self> {
        STATES.iter().find(|(known, _)| *known == word).map(|(_, state)| *state)
    }

    /// Whether its files are on the root: what opkg's `list-installed` shows.
    pub fn has_files(self) -> bool {
        matches!(self, Self::Installed | Self::Unpacked | Self::HalfConfigured)
    }
}

/// A set of flags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Flags(u8);

impl Flags {
    /// None: written `ok`.
    pub const OK: Self = Self(0);
    /// Must be installed again.
    pub const REINSTREQ: Self = Self(1);
    /// Never upgraded unasked.
    pub const HOLD: Self = Self(2);
    /// Is to be replaced.
    pub const REPLACE: Self = Self(4);
    /// Files that its new version no longer has stay.
    pub const NOPRUNE: Self = Self(8);
    /// Preferred where a choice must be made.
    pub const PREFER: Self = Self(16);
    /// Its old files stay.
    pub const OBSOLETE: Self = Self(32);
    /// A person asked for it.
    pub const USER: Self = Self(64);

    /// Whether all of `other` are set.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// With `other` too.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Without `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Reads one flag's word: `hold`, `user` …; `ok` is the empty set.
    pub fn parse_word(word: &str) -> Option<Self> {
        match word {
            "ok" => Some(Self::OK),
            _ => FLAGS.iter().find(|(known, _)| *known == word).map(|(_, flag)| *flag),
        }
    }
}

impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::OK {
            return f.write_str("ok");
        }
        let words: Vec<_> = FLAGS.iter().filter(|(_, flag)| self.has(*flag)).map(|(word, _)| *word).collect();
        f.write_str(&words.join(","))
    }
}

/// A `Status` field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Status {
    /// First word.
    pub want: Want,
    /// Second word.
    pub flags: Flags,
    /// Third word.
    pub state: State,
}

impl Status {
    /// As opkg reads it: words that it does not know stand for nothing, and a field without three words for nothing at all.
    pub fn read(text: &str) -> Self {
        let mut words = text.split_ascii_whitespace();
        let (Some(want), Some(flags), Some(state)) = (words.next(), words.next(), words.next()) else {
            return Self::default();
        };
        let flags = flags.split(',').filter_map(Flags::parse_word).fold(Flags::OK, Flags::with);
        Self { want: value(&WANTS, want), flags, state: value(&STATES, state) }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.want.as_str(), self.flags, self.state.as_str())
    }
}
