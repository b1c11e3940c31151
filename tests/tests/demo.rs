//! `xpkg demo`, as anybody may run it: no network, no root rights, no real data. What it tells is what happened.

use xpkg_tests::program;

#[test]
fn every_scene_goes_as_it_must() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("demo");
    let answer = std::process::Command::new(program::binary()).args(["--json", "demo"]).arg(&at).output().unwrap();
    let text = String::from_utf8_lossy(&answer.stdout);
    assert!(answer.status.success(), "{text}\n{}", String::from_utf8_lossy(&answer.stderr));
    let json: serde_json::Value = serde_json::from_slice(&answer.stdout).unwrap();
    let scenes = json["scenes"].as_array().unwrap();
    assert_eq!(scenes.len(), 5);
    for scene in scenes {
        assert_eq!(scene["as_expected"], true, "{scene:#}");
    }
    assert!(at.join("openwrt/usr/bin/minijq").exists() && at.join("alpine/usr/bin/miniucode").exists());
    assert!(!at.join("openwrt/usr/bin/zfuture").exists());
}
