//! Rule files: what a host of one world gives to packages of the other, and which of them never go there.
//! This file reads them; `rules/host.rs` applies them to a root.

mod host;
mod packages;
mod release;
mod trial;

use globset::{Glob, GlobMatcher};
use semver::{Version, VersionReq};
use serde::Deserialize;
use xpkg_model::root::RootView;
use xpkg_model::{Dependency, Ecosystem, Provide, RelPath, schema};

use release::Release;
pub use trial::Trial;

use crate::{Error, Libc};
pub use packages::{Setting, translate};

/// Largest rule file, in bytes.
const MAX_TEXT: usize = 1 << 20;
/// How many entries one list of a rule file may have.
const MAX_ROWS: usize = 10_000;

/// The built-in files.
const BUILTIN: [(&str, &str); 4] = [
    ("rules/openwrt.toml", include_str!("../rules/openwrt.toml")),
    ("rules/alpine.toml", include_str!("../rules/alpine.toml")),
    ("rules/other-alpine.toml", include_str!("../rules/other-alpine.toml")),
    ("rules/other-openwrt.toml", include_str!("../rules/other-openwrt.toml")),
];

/// Rules for hosts of every world.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    files: Vec<RuleFile>,
}

/// The rules that xpkg ships.
pub fn load_builtin() -> Result<Rules, Error> {
    let mut rules = Rules::default();
    for (name, text) in BUILTIN {
        rules.files.push(parse(name, text)?);
    }
    Ok(rules)
}

/// Rule files that a person may add to a root.
const OWN_RULES: &str = "etc/xpkg/rules.d";

impl Rules {
    /// The built-in rules and those of a root.
    pub fn of_root(root: &(impl RootView + ?Sized)) -> Result<Self, Error> {
        let mut rules = load_builtin()?;
        let dir = RelPath::literal(OWN_RULES);
        let unread = |source| Error::Unread { dir: OWN_RULES.to_owned(), source };
        for name in root.list(&dir).map_err(unread)?.iter().filter(|name| name.ends_with(b".toml")) {
            let Ok(path) = dir.join(name) else { continue };
            if let Some(bytes) = root.read(&path, MAX_TEXT as u64).map_err(unread)? {
                rules.merge(Self::parse(&path.to_string(), &String::from_utf8_lossy(&bytes))?);
            }
        }
        Ok(rules)
    }

    /// Reads one rule file; `name` is for messages.
    pub fn parse(name: &str, text: &str) -> Result<Self, Error> {
        Ok(Self { files: vec![parse(name, text)?] })
    }

    /// Adds rules after these: a file of `/etc/xpkg/rules.d`. What comes later adds to what is there.
    pub fn merge(&mut self, other: Self) {
        self.files.extend(other.files);
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RuleFile {
    #[serde(rename = "schema")]
    _schema: Version,
    #[serde(rename = "requires-xpkg")]
    _requires_xpkg: VersionReq,
    native: Ecosystem,
    foreign: Ecosystem,
    #[serde(default)]
    arch: Vec<ArchRow>,
    #[serde(default)]
    provide: Vec<ProvideRow>,
    #[serde(default)]
    library: Vec<LibraryRow>,
    #[serde(default)]
    mask: Vec<MaskRow>,
    #[serde(default)]
    package: Vec<packages::PackageRow>,
    #[serde(default)]
    path: Vec<packages::PathRow>,
    #[serde(default)]
    setting: Vec<packages::Setting>,
    #[serde(default)]
    hook: Vec<HookRow>,
    #[serde(default)]
    account: Vec<AccountRow>,
    #[serde(default)]
    commands: CommandRow,
}

/// Native architecture words (globs) and the foreign words that run there.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ArchRow {
    native: Vec<String>,
    foreign: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ProvideRow {
    names: Vec<String>,
    #[serde(default)]
    native: Vec<String>,
    #[serde(default)]
    optional: bool,
    #[serde(default)]
    file: Vec<String>,
    loader: Option<Libc>,
    /// Why the version that is asked for does not matter.
    any_version: Option<String>,
    by: String,
    release: Option<Release>,
}

/// Package names that come with a soname.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct LibraryRow {
    soname: String,
    names: Vec<String>,
    /// Why the version that is asked for does not matter.
    any_version: Option<String>,
    release: Option<Release>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MaskRow {
    packages: Vec<String>,
    reason: String,
    /// Holds only where the root's libc is this one and foreign packages use it.
    loader: Option<Libc>,
    /// Holds only when one of these exists; always when empty.
    #[serde(default)]
    file: Vec<String>,
    release: Option<Release>,
}

/// What becomes of scripts that call a tool which the root has not.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HookRow {
    /// Names of tools, without a directory.
    tools: Vec<String>,
    #[serde(rename = "do")]
    action: HookAction,
    reason: String,
    release: Option<Release>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum HookAction {
    /// The call does nothing, and the script goes on.
    Skip,
    /// The script is not run.
    Refuse,
}

/// Accounts that the other world's base has and its packages count on.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AccountRow {
    /// Packages that count on them.
    packages: Vec<String>,
    /// Words of `Require-User`.
    accounts: Vec<String>,
    /// Home directory of the users.
    home: Option<String>,
    release: Option<Release>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct CommandRow {
    #[serde(default)]
    dirs: Vec<String>,
}

/// A name as rules write it: `alpine:musl=$VERSION`, `so:…`, `/bin/sh`.
struct RuleName {
    ecosystem: Option<Ecosystem>,
    provide: Provide,
}

fn parse(name: &str, text: &str) -> Result<RuleFile, Error> {
    let file = || name.to_owned();
    let malformed = |reason: String| Error::Malformed { file: file(), reason };
    if text.len() > MAX_TEXT {
        return Err(Error::Limit { file: file(), what: "its size in bytes", limit: MAX_TEXT });
    }
    // The version comes first: a newer schema may have words that this one does not know.
    let head: Head = toml::from_str(text).map_err(|e| malformed(e.to_string()))?;
    if !schema::readable(&schema::RULES, &head.schema) {
        return Err(Error::Schema { file: file(), found: head.schema, known: schema::RULES });
    }
    if !head.requires_xpkg.matches(&schema::program()) {
        return Err(Error::Program { file: file(), wanted: head.requires_xpkg, program: schema::program() });
    }
    let rules: RuleFile = toml::from_str(text).map_err(|e| malformed(e.to_string()))?;
    if rules.foreign == Ecosystem::Other {
        return Err(malformed("`foreign` is a world that has packages: alpine or openwrt".to_owned()));
    }
    if rules.native == rules.foreign {
        return Err(malformed(format!("`native` and `foreign` are both {}", rules.native)));
    }
    let rows = [rules.arch.len(), rules.provide.len(), rules.library.len(), rules.mask.len()];
    let more = [rules.package.len(), rules.path.len(), rules.setting.len(), rules.hook.len(), rules.account.len()];
    if rows.into_iter().chain(more).max() > Some(MAX_ROWS) {
        return Err(Error::Limit { file: file(), what: "the number of its rows", limit: MAX_ROWS });
    }
    for written in
        rules.provide.iter().flat_map(|row| &row.names).chain(rules.library.iter().flat_map(|row| &row.names))
    {
        rule_name(written, &rules, "0", Some("1")).map_err(&malformed)?;
    }
    packages::check(&rules).map_err(&malformed)?;
    for pattern in rules.arch.iter().flat_map(|row| &row.native) {
        glob(pattern).map_err(&malformed)?;
    }
    Ok(rules)
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Head {
    schema: Version,
    requires_xpkg: VersionReq,
}

/// Fills in `$ARCH` and `$VERSION`; without a version the condition is left out.
fn rule_name(written: &str, file: &RuleFile, arch: &str, version: Option<&str>) -> Result<RuleName, String> {
    let text = written.replace("$ARCH", arch);
    let text = match version {
        Some(version) => text.replace("$VERSION", version),
        None => text.strip_suffix("=$VERSION").map_or_else(|| text.clone(), str::to_owned),
    };
    let (ecosystem, rest) = match text.split_once(':').map(|(scope, rest)| (scope.parse::<Ecosystem>(), rest)) {
        Some((Ok(ecosystem), rest)) => (Some(ecosystem), rest),
        _ => (None, text.as_str()),
    };
    let dependency: Dependency = rest.parse().map_err(|e| format!("`{written}`: {e}"))?;
    if ecosystem.is_none() && !xpkg_model::dependency::is_shared(&dependency.name) {
        return Err(format!("`{written}` has no scope: write `{}:{rest}`", file.foreign));
    }
    if ecosystem.is_some_and(|e| e != file.foreign) {
        return Err(format!("`{written}` is not of the world that the file gives to ({})", file.foreign));
    }
    Ok(RuleName { ecosystem, provide: dependency.into() })
}

fn glob(pattern: &str) -> Result<GlobMatcher, String> {
    Glob::new(pattern).map(|g| g.compile_matcher()).map_err(|e| format!("`{pattern}`: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "schema = '1.0.0'\nrequires-xpkg = '>=0.1.0'\nnative = 'openwrt'\nforeign = 'alpine'\n";

    fn refusal(text: &str) -> String {
        Rules::parse("x.toml", text).map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn builtin_rules_are_valid() {
        assert_eq!(load_builtin().unwrap().files.len(), BUILTIN.len());
    }

    #[test]
    fn versions_are_checked_before_the_rest() {
        let newer = HEAD.replace("1.0.0", "2.1.0") + "what = 'this version does not know'\n";
        assert_eq!(refusal(&newer), "x.toml: its schema 2.1.0 is not one that this xpkg reads (1.1.0)");
        assert!(refusal(&HEAD.replace("0.1.0", "99.0.0")).contains("needs xpkg >=99.0.0"));
        assert!(refusal(&(HEAD.to_owned() + "what = 1\n")).contains("unknown field `what`"));
    }

    #[test]
    fn names_need_their_scope() {
        let row = |name: &str| format!("{HEAD}[[provide]]\nnames = ['{name}']\nby = 'x'\n");
        assert!(Rules::parse("x.toml", &row("so:libx.so.1")).is_ok());
        assert!(Rules::parse("x.toml", &row("alpine:x=$VERSION")).is_ok());
        assert!(refusal(&row("x")).contains("has no scope: write `alpine:x`"));
        assert!(refusal(&row("openwrt:x")).contains("not of the world"));
    }
}
