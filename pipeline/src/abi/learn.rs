//! Failures of the ABI check become facts for the next solve, with the reason that a person reads. Checks nothing itself.

use std::collections::BTreeMap;

use xpkg_model::learnt::Fact;
use xpkg_model::verdict::Finding;
use xpkg_model::{PackageKey, Plan};
use xpkg_resolver::abi::{Failure, FailureKind, Owner, Report};

use super::RootAbi;
use crate::error::Error;
use crate::offers::ProvenNeeds;
use crate::prepare::{Learning, refuses};

/// Names of missing symbols that one explanation lists.
const NAMED: usize = 4;

impl RootAbi<'_> {
    /// `known`: the needs that earlier rounds have taught already, and that nothing has met.
    pub(super) fn learn(
        &self,
        failure: &Failure,
        why: String,
        keys: &BTreeMap<String, PackageKey>,
        known: &ProvenNeeds,
        state: &mut Learning,
    ) {
        let consumer = match &failure.consumer {
            Some(Owner::Package(key)) if keys.values().any(|k| k == key) => key.clone(),
            _ => return, // what was there before is the reverse check's matter
        };
        if consumer.ecosystem != self.ground.system.native {
            state.wants_layer = true;
        } else {
            return; // the native side's own packages are its own promise; findings are shown as warnings
        }
        let Some(capability) = failure.capability() else {
            return state.learn(Fact::Impossible { package: consumer, why });
        };
        if failure.kind == FailureKind::MissingLibrary {
            // Its files need what its index does not mention: let the solver look for it, once.
            if known.get(&consumer).is_some_and(|needs| needs.contains(&capability)) {
                return state.learn(Fact::Impossible { package: consumer, why });
            }
            let needs = state.needs.entry(consumer).or_default();
            if !needs.contains(&capability) {
                needs.push(capability);
            }
            return;
        }
        state.learn(match &failure.provider {
            Some(Owner::Package(provider)) => {
                Fact::Unfit { provider: provider.clone(), capability, consumer: Some(consumer), why }
            }
            Some(Owner::Native(_)) | None => Fact::HostUnfit { capability, consumer, why },
        });
    }

    /// What would lose a library or a name. A package that comes is at fault; a removal that was asked for is refused.
    pub(super) fn learn_broken(&self, broken: &Report, plan: &Plan, state: &mut Learning) -> Result<(), Error> {
        let serious: Vec<&Finding> = broken.findings.iter().filter(|f| refuses(f)).collect();
        let Some(first) = serious.first() else { return Ok(()) };
        let why = format!("{} would no longer run: {}", first.file, first.detail);
        let foreign = plan.incoming().find(|s| s.package.ecosystem != self.ground.system.native || s.old.is_some());
        match foreign {
            Some(step) => state.learn(Fact::Impossible { package: step.package.key(), why }),
            None => {
                let removed = plan.steps.first().map(|s| s.package.scoped()).unwrap_or_default();
                let evidence = format!("\n  {why}");
                return Err(Error::Refused { package: removed, verdict: "something still needs it".into(), evidence });
            }
        }
        Ok(())
    }
}

/// A failure in one sentence.
pub(super) fn words(failure: &Failure) -> String {
    let names = failure.missing.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    let more = failure.missing_total.saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let from = failure.provider_file.as_deref().or(failure.soname.as_deref()).unwrap_or("any of its libraries");
    match failure.kind {
        FailureKind::MissingLibrary => {
            format!(
                "{} needs {}, which is not here",
                failure.consumer_file,
                failure.soname.as_deref().unwrap_or("a library")
            )
        }
        FailureKind::MissingSymbols => format!("{} needs {names}{more}, which {from} lacks", failure.consumer_file),
        FailureKind::CopySize => {
            format!("{} copies {names}{more} with another size than {from} has", failure.consumer_file)
        }
        FailureKind::Unusable => format!("{} cannot use {from}", failure.consumer_file),
    }
}
