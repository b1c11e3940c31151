//! The three words of a `Status:` line. Never says more than the line does.

/// What is wanted of a package.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Want {
    /// Nothing is known.
    #[default]
    Unknown,
    /// It shall be there.
    Install,
    /// It shall go.
    Deinstall,
    /// It shall go with its configuration.
    Purge,
}

/// How far a package got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Status {
    /// Not there.
    #[default]
    NotInstalled,
    /// Its files are there, its `postinst` has not run.
    Unpacked,
    /// Half configured.
    HalfConfigured,
    /// Complete.
    Installed,
    /// Half installed.
    HalfInstalled,
    /// Only its configuration is left.
    ConfigFiles,
    /// Its `postinst` failed.
    PostInstFailed,
    /// Its removal failed.
    RemovalFailed,
}

impl Status {
    /// Whether opkg counts it as there.
    pub fn present(self) -> bool {
        matches!(self, Self::Installed | Self::Unpacked)
    }
}

/// The flags of a package, as opkg's bits: what `flags=0x…` in a message shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(pub u32);

impl Flags {
    /// `reinstreq`.
    pub const REINSTREQ: u32 = 1;
    /// `hold`: not upgraded.
    pub const HOLD: u32 = 2;
    /// `replace`: its removal needs no permission. Lasts for one run.
    pub const REPLACE: u32 = 4;
    /// `noprune`: its obsolete files stay.
    pub const NOPRUNE: u32 = 8;
    /// `prefer`: wins among candidates, until it is configured.
    pub const PREFER: u32 = 16;
    /// `obsolete`.
    pub const OBSOLETE: u32 = 32;
    /// `user`: a person named it.
    pub const USER: u32 = 256;
    /// Known in full. Lasts for one run.
    pub const DETAIL: u32 = 512;

    /// Whether one of the bits is set.
    pub fn any(self, bits: u32) -> bool {
        self.0 & bits != 0
    }

    /// Sets bits.
    pub fn set(&mut self, bits: u32) {
        self.0 |= bits;
    }

    /// The words of a status file, without those that last for one run.
    pub fn words(self) -> String {
        let names = [
            (Self::REINSTREQ, "reinstreq"),
            (Self::HOLD, "hold"),
            (Self::NOPRUNE, "noprune"),
            (Self::PREFER, "prefer"),
            (Self::OBSOLETE, "obsolete"),
            (Self::USER, "user"),
        ];
        let words: Vec<_> = names.iter().filter(|(bit, _)| self.any(*bit)).map(|(_, word)| *word).collect();
        if words.is_empty() { "ok".to_owned() } else { words.join(",") }
    }

    /// Reads the words of a status file or of `opkg flag`.
    pub fn parse(text: &str) -> Self {
        let mut flags = Self(0);
        for word in text.split(',') {
            flags.0 |= match word {
                "reinstreq" => Self::REINSTREQ,
                "hold" => Self::HOLD,
                "replace" => Self::REPLACE,
                "noprune" => Self::NOPRUNE,
                "prefer" => Self::PREFER,
                "obsolete" => Self::OBSOLETE,
                "user" => Self::USER,
                _ => 0,
            };
        }
        flags
    }
}

/// What a status file says of a package beyond its description.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// What is wanted.
    pub want: Want,
    /// Its flags.
    pub flags: Flags,
    /// How far it got.
    pub status: Status,
    /// `Auto-Installed: yes`.
    pub auto_installed: bool,
    /// `Installed-Time`, seconds since 1970.
    pub installed_time: u64,
}

impl Want {
    /// The word of a status file.
    pub fn word(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Install => "install",
            Self::Deinstall => "deinstall",
            Self::Purge => "purge",
        }
    }
}

impl Status {
    /// The word of a status file.
    pub fn word(self) -> &'static str {
        match self {
            Self::NotInstalled => "not-installed",
            Self::Unpacked => "unpacked",
            Self::HalfConfigured => "half-configured",
            Self::Installed => "installed",
            Self::HalfInstalled => "half-installed",
            Self::ConfigFiles => "config-files",
            Self::PostInstFailed => "post-inst-failed",
            Self::RemovalFailed => "removal-failed",
        }
    }

    /// Reads the word of a status file; what is unknown counts as not installed.
    pub fn parse(word: &str) -> Self {
        match word {
            "unpacked" => Self::Unpacked,
            "half-configured" => Self::HalfConfigured,
            "installed" => Self::Installed,
            "half-installed" => Self::HalfInstalled,
            "config-files" => Self::ConfigFiles,
            "post-inst-failed" => Self::PostInstFailed,
            "removal-failed" => Self::RemovalFailed,
            _ => Self::NotInstalled,
        }
    }
}
