//! What apk can be asked, and what it answers with. Values only.

use std::sync::Arc;

use xpkg_model::{Dependency, Package};

use super::plan::Plan;

/// What is asked.
#[derive(Clone, Debug)]
pub enum Verb {
    /// `add`
    Add(Add),
    /// `del`: names, and with `true` everything that needs them too.
    Del(Vec<String>, bool),
    /// `upgrade`
    Upgrade(Upgrade),
    /// `fix`
    Fix(Fix),
}

/// `add`.
#[derive(Clone, Debug, Default)]
pub struct Add {
    /// World dependencies to add.
    pub wanted: Vec<Dependency>,
    /// Package files to add, which must also be among the universe's `files`; they go into world by identity.
    pub files: Vec<Arc<Package>>,
    /// `--upgrade`
    pub upgrade: bool,
    /// `--latest`
    pub latest: bool,
    /// `--virtual NAME[=VERSION]`: the name and the version, which the caller makes of the time where none is given.
    pub virtual_package: Option<(String, String)>,
}

/// `upgrade`.
#[derive(Clone, Debug, Default)]
pub struct Upgrade {
    /// Names; none means everything.
    pub names: Vec<String>,
    /// `--available`
    pub available: bool,
    /// `--latest`
    pub latest: bool,
    /// `--ignore`: everything but the names.
    pub ignore: bool,
    /// `--prune`: forget what no repository offers.
    pub prune: bool,
    /// `--no-self-upgrade`
    pub no_self_upgrade: bool,
    /// `--self-upgrade-only`
    pub self_upgrade_only: bool,
}

/// `fix`.
#[derive(Clone, Debug, Default)]
pub struct Fix {
    /// Names; none means what is broken.
    pub names: Vec<String>,
    /// `--depends`: their dependencies too.
    pub depends: bool,
    /// `--reinstall`, which is also meant when neither this nor `upgrade` is given.
    pub reinstall: bool,
    /// `--upgrade`
    pub upgrade: bool,
    /// `--xattr`
    pub xattr: bool,
}

/// Options of every verb.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// `--force-broken-world`: leave out what of world cannot be.
    pub force_broken_world: bool,
    /// `--simulate`: apk then does not start with a new apk-tools alone but says that it would.
    pub simulate: bool,
    /// Columns of the terminal; 50 where there is none.
    pub width: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { force_broken_world: false, simulate: false, width: 50 }
    }
}

/// What is said before the steps or instead of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// To standard output.
    Out(String),
    /// To standard error.
    Err(String),
}

/// What comes of it.
#[derive(Clone, Debug)]
pub struct Answer {
    /// What is said before the steps or instead of them.
    pub said: Vec<Line>,
    /// The steps; none when there is an error.
    pub plan: Option<Plan>,
    /// A plan that comes first and stands alone: apk-tools itself is replaced, then the verb is repeated by the new one. It has
    /// no last line. Only apk 2.14 does that.
    pub first: Option<Plan>,
    /// Exit status when there is no plan.
    pub status: i32,
}
