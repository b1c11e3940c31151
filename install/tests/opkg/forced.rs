//! What a person forces, by opkg on one root and by us on the other.

use xpkg_fixtures::Ipk;

use crate::support::Source;
use crate::twins::{Hand, Twins};
use crate::{logged, probe};

/// `--force-overwrite`, `--force-maintainer` and `--force-remove`.
pub fn forced(hands: [Hand; 2]) {
    let mut twins = Twins::new(hands);
    let (one, two) = (Source::ipk(probe("1.0-1")), Source::ipk(probe("2.0-1")));
    twins.install(&one, None);
    twins.write("etc/probe.a", "a person's\n");
    twins.options(|o| o.force_maintainer = true);
    twins.step(&["--force-maintainer", "install"], &[&two], &[two.step(Some(&one))]);
    twins.each(|root| assert_eq!(std::fs::read(root.root().join("etc/probe.a")).unwrap(), b"a 2.0-1\n"));

    let clash = logged(Ipk::new("clash", "1-1")).file("usr/share/probe/tool", "taken").file("etc/profile", "taken");
    let clash = Source::ipk(clash);
    twins.options(|o| (o.force_overwrite, o.overwrite_unowned) = (true, true));
    twins.step(&["--force-overwrite", "install"], &[&clash], &[clash.step(None)]);
    twins.each(|root| assert_eq!(std::fs::read(root.root().join("usr/share/probe/tool")).unwrap(), b"taken"));

    twins.options(|o| o.force_remove = true);
    twins.write("root/fail-prerm", "");
    twins.step(&["--force-remove", "remove", "clash"], &[], &[clash.removal()]);
    twins.each(|root| assert!(!root.root().join("usr/lib/opkg/info/clash.list").exists()));
}
