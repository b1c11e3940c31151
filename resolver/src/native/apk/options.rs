//! What the packages that are still possible for a name have in common: whoever of them is chosen, this follows.
//! Reads the pool, changes nothing.

use std::collections::{HashMap, HashSet};

use super::pool::{Dep, NameId, Pkg, Pool, Provider};

/// The providers of one name that may still be chosen, in the order of the name's providers.
pub(super) struct Options<'a> {
    pool: &'a Pool,
    of: Vec<&'a Provider>,
}

/// A name that every option answers to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SharedName {
    pub name: NameId,
    /// At least one of them answers without a version, and so shares the name with others.
    pub unversioned: bool,
}

impl<'a> Options<'a> {
    pub fn new(pool: &'a Pool) -> Self {
        Self { pool, of: Vec::new() }
    }

    pub fn push(&mut self, option: &'a Provider) {
        self.of.push(option);
    }

    pub fn len(&self) -> usize {
        self.of.len()
    }

    /// The first option.
    pub fn first(&self) -> Option<&'a Provider> {
        self.of.first().copied()
    }

    fn package(&self, option: &Provider) -> &'a Pkg {
        &self.pool.pkgs[option.pkg]
    }

    /// The conditions of the first option on names that every option asks for. Of several conditions on one name the
    /// first counts; the others are met when the package itself is chosen.
    pub fn shared_needs(&self) -> Vec<&'a Dep> {
        let Some(first) = self.first() else { return Vec::new() };
        let mut met = HashSet::new();
        let mut needs: Vec<&Dep> = self.package(first).depends.iter().filter(|d| met.insert(d.name)).collect();
        for option in &self.of {
            let asks = self.package(option).depends.iter().filter(|d| !d.conflict);
            let asked: HashSet<NameId> = asks.map(|d| d.name).collect();
            needs.retain(|d| asked.contains(&d.name));
        }
        needs
    }

    /// The names that every option answers to, in the order of the first option's.
    pub fn shared_names(&self) -> Vec<SharedName> {
        let Some((first, others)) = self.of.split_first() else { return Vec::new() };
        let mut met = HashSet::new();
        let mut shared: Vec<SharedName> = self.answers(first).filter(|answer| met.insert(answer.name)).collect();
        for option in others {
            let mut theirs = HashMap::new();
            for answer in self.answers(option) {
                theirs.entry(answer.name).or_insert(answer.unversioned);
            }
            shared.retain_mut(|answer| match theirs.get(&answer.name) {
                Some(unversioned) => {
                    answer.unversioned |= unversioned;
                    true
                }
                None => false,
            });
        }
        shared
    }

    /// Its own name counts as the name that is asked for: without a version when it only provides that one.
    fn answers(&self, option: &'a Provider) -> impl Iterator<Item = SharedName> + use<'a> {
        let package = self.package(option);
        let own = SharedName { name: package.name, unversioned: option.version.is_none() };
        let provided = package.provides.iter().map(|d| SharedName { name: d.name, unversioned: d.version.is_none() });
        std::iter::once(own).chain(provided)
    }
}
