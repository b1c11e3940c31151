//! What a plan meets on the way: paths that others have, and packages that had to be passed over. Decides nothing about
//! dependencies.

use xpkg_install::{ApplyInput, PayloadSource, transaction};
use xpkg_model::adaptation::Adaptations;
use xpkg_model::installed::Installed;
use xpkg_model::learnt::{Fact, Learnt};
use xpkg_model::{Package, Plan};
use xpkg_resolver::{Request, Upgrade};

use crate::error::Error;
use crate::prepare::{Ground, Learning};

/// Asks the installer whether every path may be taken. A package that a person named and that clashes ends the run; one
/// that was pulled in teaches the next solve to look elsewhere.
pub(crate) fn clashes(
    ground: &Ground<'_>,
    request: &Request,
    plan: &Plan,
    provider: Option<&Package>,
    adaptations: &Adaptations,
    state: &mut Learning,
) -> Result<(), Error> {
    if !plan.incoming().all(|s| state.fetched.contains_key(&s.package.key())) {
        return Ok(());
    }
    let sources: Vec<&dyn PayloadSource> = state.fetched.values().map(|s| s as &dyn PayloadSource).collect();
    let input = ApplyInput {
        plan,
        native: ground.system.native,
        sources: &sources,
        provider,
        adaptations,
        mark: &[],
        unmark: &[],
        options: ground.permissions.clone(),
    };
    let conflicts = match transaction::check(ground.root, &input) {
        Ok(notes) => {
            state.notes = notes;
            return Ok(());
        }
        Err(xpkg_install::Error::Conflicts(conflicts)) => conflicts,
        Err(error) => return Err(error.into()),
    };
    let moves = |path: &xpkg_model::RelPath| xpkg_shims::layer::is_searched(path);
    state.wants_layer |= conflicts.iter().any(|c| moves(&c.path));
    let before = state.learnt.len();
    for conflict in &conflicts {
        let step = plan.incoming().find(|s| conflict.package.split(' ').next() == Some(&s.package.scoped()));
        let Some(step) = step else { continue };
        let named = request.install.iter().any(|s| step.package.meets(&s.dependency)) || !request.local.is_empty();
        if !named {
            let why = format!("its {} would clash: {}", conflict.path, conflict.against);
            state.learn(Fact::Impossible { package: step.package.key(), why });
        }
    }
    if state.learnt.len() == before { Err(xpkg_install::Error::Conflicts(conflicts).into()) } else { Ok(()) }
}

/// The packages that a better answer would have had, and whether one of them is an upgrade that was asked for.
pub(crate) fn passed_over(request: &Request, installed: &Installed, learnt: &Learnt) -> (Vec<String>, bool) {
    let mut notes = Vec::new();
    let mut incomplete = false;
    for fact in learnt {
        let (key, why) = match fact {
            Fact::Unavailable { package, why } => {
                let here = installed.get(package.ecosystem, &package.name).is_some();
                incomplete |= here && request.upgrade != Upgrade::None;
                (package, why)
            }
            Fact::Impossible { package, why } => (package, why),
            _ => continue,
        };
        notes.push(format!("{}:{} {} was passed over: {why}", key.ecosystem, key.name, key.version));
    }
    (notes, incomplete)
}
