//! A package as one stanza describes it, in the order in which the stanza does: opkg acts on fields as it meets them, and
//! `Replaces` before `Conflicts` means something else than after it. Never reads a stanza: that is the formats' part.

use std::sync::Arc;

use xpkg_model::{Op, Package};

use super::flags::State;

/// How much a package needs another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strength {
    /// `Pre-Depends`.
    PreDepend,
    /// `Depends`.
    Depend,
    /// `Recommends`.
    Recommend,
    /// `Suggests`.
    Suggest,
    /// `Depends` with `*`: everything that gives it.
    Greedy,
}

/// One of the ways to meet a need, or one thing a package conflicts with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Possibility {
    /// The name.
    pub name: String,
    /// Relation to [`Possibility::version`]; [`Op::ANY`] when there is none.
    pub op: Op,
    /// Version, empty when there is none.
    pub version: String,
}

/// One need, with its alternatives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requires {
    /// How much.
    pub strength: Strength,
    /// `a | b`.
    pub any_of: Vec<Possibility>,
}

/// One field that relates a package to others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// `Depends`, `Pre-Depends`, `Recommends`, `Suggests`.
    Requires(Vec<Requires>),
    /// `Conflicts`.
    Conflicts(Vec<Vec<Possibility>>),
    /// `Provides`, without the name itself.
    Provides(Vec<String>),
    /// `Replaces`.
    Replaces(Vec<String>),
}

/// One stanza.
#[derive(Clone, Debug)]
pub struct Described {
    /// What is not about other packages.
    pub package: Arc<Package>,
    /// Its relations, in the order of the stanza.
    pub fields: Vec<Field>,
    /// `Essential: yes`.
    pub essential: bool,
    /// `Conffiles` of a status file: path and digest.
    pub conffiles: Vec<(String, String)>,
    /// What a status file says; mostly nothing in a list.
    pub state: State,
    /// It stands in a list.
    pub offered: bool,
    /// Index of the list it comes from, or of the destination of its status file.
    pub place: usize,
    /// A file that a person named.
    pub by_hand: bool,
}

impl Described {
    /// Derives the relations of a package in the order in which OpenWrt's build writes them (Depends, Conflicts,
    /// Provides, Replaces), for packages of which only the parsed form is at hand.
    pub fn new(package: Arc<Package>, place: usize) -> Self {
        let possibility =
            |d: &xpkg_model::Dependency| Possibility { name: d.name.clone(), op: d.op, version: d.version.clone() };
        let needs = |strength: Strength, list: &[&xpkg_model::Requirement]| {
            list.iter()
                .map(|r| Requires { strength, any_of: r.alternatives().iter().map(possibility).collect() })
                .collect::<Vec<_>>()
        };
        let pre: Vec<_> = package.opkg.iter().flat_map(|o| &o.pre_depends).collect();
        let mut depends: Vec<_> = package.requirements().collect();
        for known in &pre {
            if let Some(at) = depends.iter().position(|d| d == known) {
                depends.remove(at);
            }
        }
        let conflicts: Vec<_> = package
            .depends
            .iter()
            .filter(|r| r.as_conflict().is_some())
            .map(|r| r.alternatives().iter().map(possibility).collect())
            .collect();
        let suggests: Vec<_> = package
            .opkg
            .iter()
            .flat_map(|o| &o.suggests)
            .map(|d| Requires { strength: Strength::Suggest, any_of: vec![possibility(d)] })
            .collect();
        let mut fields = vec![
            Field::Requires(needs(Strength::PreDepend, &pre)),
            Field::Requires(needs(Strength::Depend, &depends)),
            Field::Requires(needs(Strength::Recommend, &package.recommends.iter().collect::<Vec<_>>())),
            Field::Requires(suggests),
        ];
        fields.push(Field::Conflicts(conflicts));
        fields.push(Field::Provides(package.provides.iter().map(|p| p.name.clone()).collect()));
        fields.push(Field::Replaces(package.replaces.iter().map(|d| d.name.clone()).collect()));
        fields.retain(|field| match field {
            Field::Requires(list) => !list.is_empty(),
            Field::Conflicts(list) => !list.is_empty(),
            Field::Provides(list) | Field::Replaces(list) => !list.is_empty(),
        });
        let essential = package.opkg.as_ref().is_some_and(|o| o.essential);
        Self {
            package,
            fields,
            essential,
            conffiles: Vec::new(),
            state: State::default(),
            offered: true,
            place,
            by_hand: false,
        }
    }
}

impl Possibility {
    /// As opkg shows it: `name` or `name (>= 1)`.
    pub fn shown(&self) -> String {
        if self.version.is_empty() { self.name.clone() } else { format!("{} ({})", self.name, self.condition()) }
    }

    /// The condition alone: `>= 1`.
    pub fn condition(&self) -> String {
        // `<<` of a file is shown as `<`; `<` of a file means `<=`.
        let op = self.op.as_str();
        let space = if op.is_empty() { "" } else { " " };
        format!("{op}{space}{}", self.version)
    }
}

impl Requires {
    /// As opkg shows it: the alternatives joined by ` | `.
    pub fn shown(&self) -> String {
        self.any_of.iter().map(Possibility::shown).collect::<Vec<_>>().join(" | ")
    }
}

/// A version as opkg shows it: without an epoch of 0 and without an empty revision.
pub fn shown_version(version: &str) -> String {
    let (epoch, rest) = match version.split_once(':') {
        Some((epoch, rest)) => {
            let digits: String = epoch.trim_start().chars().take_while(char::is_ascii_digit).collect();
            (digits.trim_start_matches('0').to_owned(), rest)
        }
        None => (String::new(), version),
    };
    let rest = rest.strip_suffix('-').unwrap_or(rest);
    if epoch.is_empty() { rest.to_owned() } else { format!("{epoch}:{rest}") }
}
