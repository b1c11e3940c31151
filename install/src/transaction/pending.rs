//! Packages of opkg that are only unpacked: their last script, once more, and what follows when it succeeds.
//! Never touches the files of a package.

use std::collections::BTreeSet;

use xpkg_model::{Ecosystem, Observer, Package};

use super::{Receipt, owed, prepare, run};
use crate::native::Native;
use crate::{Begin, Error, Result, Target, alternatives};

/// Configures a package that is only unpacked: runs its `postinst configure` where scripts run at all, then records it as
/// installed and makes its links of alternatives. A script that fails is in the receipt, and the package stays unpacked.
pub fn configure(target: &mut dyn Target, name: &str, no_scripts: bool, observer: &dyn Observer) -> Result<Receipt> {
    target.lock()?;
    target.recover(observer)?;
    let mut receipt = Receipt::default();
    let Some(Native::Opkg(opkg)) = Native::detect(target, Ecosystem::Openwrt)? else {
        return Err(Error::Plan(format!("{name} cannot be configured: the root has no opkg")));
    };
    let mut packages: Vec<Package> = Vec::new();
    opkg.each(target, &mut |record| {
        packages.push(record.package);
        Ok(())
    })?;
    let Some(package) = packages.iter().find(|package| package.name == name) else {
        return Err(Error::Plan(format!("{name} cannot be configured: it is not there")));
    };
    if let Some(place) = opkg.script(target, name, "postinst")? {
        let call = owed::postinst(package, Some(place), false);
        if let Err(reason) = run::run(target, no_scripts, &call, &mut receipt, observer) {
            receipt.failures.push(run::failure(&call, reason));
            return Ok(receipt);
        }
    }
    let mut dirs = prepare::database_dirs(target, &Native::Opkg(opkg))?;
    dirs.extend(alternatives::dirs_of(target, package)?);
    target.begin(&Begin { dirs })?;
    let staged = opkg
        .stage_state(target, &BTreeSet::from([name.to_owned()]), "installed")
        .and_then(|()| alternatives::stage_configured(target, package, &packages, &mut receipt))
        .and_then(|()| target.commit());
    if staged.is_err() {
        target.rollback()?;
    }
    staged.map(|()| receipt)
}
