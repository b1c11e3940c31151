//! What a command line of opkg asks for, before any configuration is read. Parses nothing: the command line does.

use std::collections::BTreeSet;

/// Options of one run, as given.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `-f`: read instead of `/etc/opkg.conf`.
    pub conf_file: Option<String>,
    /// `-o`: a root below which everything lies, conf file excepted.
    pub offline_root: Option<String>,
    /// `-d`: name of the destination to use.
    pub dest: Option<String>,
    /// `-l`.
    pub lists_dir: Option<String>,
    /// `-t`.
    pub tmp_dir: Option<String>,
    /// `--cache`.
    pub cache: Option<String>,
    /// `--add-arch`: name and priority.
    pub add_arch: Vec<(String, String)>,
    /// `--add-dest`: name and path.
    pub add_dest: Vec<(String, String)>,
    /// Switches by the name that the configuration has for them: `force_depends`, `noaction` …
    pub switches: BTreeSet<&'static str>,
    /// `-V`: 0 errors, 1 notices, 2 more.
    pub verbosity: Option<i32>,
    /// `-A`.
    pub query_all: bool,
    /// `--size`.
    pub size: bool,
    /// Seconds since 1970.
    pub now: u64,
}

/// Where answers go.
pub trait Voice {
    /// Text for standard output, its line ends included.
    fn out(&mut self, text: &str);
}
