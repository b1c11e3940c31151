//! The judge itself, with the real apk alone: it repeats itself when nothing happened, sees what apk itself installs, and the
//! traces of an apk that installed and removed are gone. What xpkg is measured by must hold without it.

use xpkg_model::Ecosystem;
use xpkg_tests::judge::Ours;
use xpkg_tests::{Answers, Overlay, System, Trace};

/// A native package that is not installed, whose removal leaves nothing.
fn spare(native: Ecosystem) -> &'static str {
    if native == Ecosystem::Openwrt { "wireless-regdb" } else { "doas" }
}

#[test]
fn the_judge_is_fair_on_openwrt() {
    fair(Ecosystem::Openwrt);
}

#[test]
fn the_judge_is_fair_on_alpine() {
    fair(Ecosystem::Alpine);
}

fn fair(native: Ecosystem) {
    let Some(system) = System::fresh(native) else { return };
    let before = (Answers::of(&system), system.databases());
    before.0.assert_same_but_for(&Answers::of(&system), &Ours::between(&before.1, &system.databases()));

    system.ok(["apk", "add", spare(native)]);
    let ours = Ours::between(&before.1, &system.databases());
    assert!(ours.0.contains_key(spare(native)), "{ours:?}");
    let after = Answers::of(&system);
    before.0.assert_same_but_for(&after, &ours);
    // Without knowing whose package it is, the judge objects.
    let blind = Ours::between(&system.databases(), &system.databases());
    let objection =
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| before.0.assert_same_but_for(&after, &blind)));
    assert!(objection.is_err());
}

#[test]
fn real_apk_leaves_no_trace_on_an_overlay_of_openwrt() {
    no_trace(Ecosystem::Openwrt);
}

#[test]
fn real_apk_leaves_no_trace_on_an_overlay_of_alpine() {
    no_trace(Ecosystem::Alpine);
}

fn no_trace(native: Ecosystem) {
    let Some(fresh) = System::fresh(native) else { return };
    let Some(mut overlay) = Overlay::new(fresh.dir()) else { return };
    let system = System::at(native, overlay.merged());
    system.ok(["apk", "update"]);
    let before = Trace::of(&system);
    system.ok(["apk", "add", spare(native)]);
    let with = Trace::of(&system);
    assert!(before.changes(&with).paths().len() > 1);
    overlay.remount();
    with.assert_same(&Trace::of(&system), &[]);
    system.ok(["apk", "del", spare(native)]);
    before.assert_same(&Trace::of(&system), &["tmp/log/apk.log", "lib/apk/db/lock"]);
    assert!(overlay.upper_paths().1.is_empty(), "{:?}", overlay.upper_paths().1);
}
