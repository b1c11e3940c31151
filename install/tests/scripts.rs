//! Maintainer scripts in a real chroot. The test binary is its own helper, as the command line is in real life; therefore it
//! has a `main` of its own and runs its cases itself.

#![allow(missing_docs, clippy::print_stdout)]

mod support;

use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::Mutex;
use std::time::Duration;

use support::{Run, Source, live, plan};
use xpkg_fixtures::{Apk, Root, ScriptKind};
use xpkg_install::scripts::ScriptCall;
use xpkg_install::{ApplyInput, Options, PayloadSource, Target as _, apply};
use xpkg_model::Ecosystem::Alpine;
use xpkg_model::{Event, Observer};

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    if args.next().is_some_and(|word| word == xpkg_install::helper::WORD) {
        return ExitCode::from(xpkg_install::helper::main(args.collect::<Vec<OsString>>()));
    }
    if !xpkg_fixtures::real::root_rights() {
        return ExitCode::SUCCESS;
    }
    let dir = tempfile::tempdir().unwrap();
    let Some(root) = shell_root(dir.path()) else { return ExitCode::SUCCESS };
    for (name, case) in [
        ("what a script sees", what_a_script_sees as fn(&Root)),
        ("failures and time", failures_and_time),
        ("a whole transaction", a_whole_transaction),
    ] {
        case(&root);
        println!("ok: {name}");
    }
    ExitCode::SUCCESS
}

/// A root with a shell that runs: this machine's, with the libraries it needs.
fn shell_root(dir: &Path) -> Option<Root> {
    let root = Root::alpine(dir).unwrap();
    let program = ["/bin/busybox", "/bin/dash", "/bin/sh"].into_iter().find(|p| Path::new(p).exists())?;
    let libraries = Command::new("ldd").arg(program).output().ok()?;
    for word in String::from_utf8_lossy(&libraries.stdout).split_ascii_whitespace().filter(|w| w.starts_with('/')) {
        copy(word, &dir.join(word.trim_start_matches('/')));
    }
    let _ = std::fs::remove_file(dir.join("bin/sh"));
    copy(program, &dir.join("bin/sh"));
    std::fs::create_dir_all(dir.join("dev")).unwrap();
    std::fs::create_dir_all(dir.join("proc")).unwrap();
    Some(root)
}

fn copy(from: &str, to: &Path) {
    std::fs::create_dir_all(to.parent().unwrap()).unwrap();
    let _ = std::fs::remove_file(to);
    std::fs::copy(from, to).unwrap_or_else(|e| panic!("{from} to {}: {e}", to.display()));
}

#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl Observer for Heard {
    fn event(&self, event: Event) {
        match event {
            Event::ScriptOutput { line, .. } => self.0.lock().unwrap().push(line),
            Event::Warning(text) => self.0.lock().unwrap().push(format!("warning: {text}")),
            _ => {}
        }
    }
}

impl Heard {
    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

fn call(root: &Root, text: &str, args: &[&str], timeout: Duration) -> (Result<(), String>, Vec<String>) {
    let mut target = live(root.dir());
    target.runner_mut().unwrap().set_timeout(timeout);
    let heard = Heard::default();
    let args = args.iter().map(|a| a.as_bytes().to_vec()).collect();
    let call = ScriptCall::apk("pkg", "1.0-r0", ScriptKind::PostInstall, text.as_bytes(), args);
    let result = target.script_runner().unwrap().run(&call, &heard);
    (result, heard.lines())
}

const LONG: Duration = Duration::from_secs(60);

fn what_a_script_sees(root: &Root) {
    let before = support::look(root.dir());
    let text = "#!/bin/sh\necho \"$#:$1:$2\"\npwd\necho \"$PATH|$HOME|$APK_PACKAGE|$APK_SCRIPT|$SECRET\"\n\
        echo x >/dev/null && echo null\nread line || echo no input\necho error >&2\ncd / && for f in etc/apk/world; do echo $f; done\n";
    let (result, lines) = call(root, text, &["1.0-r0", "two words"], LONG);
    result.unwrap();
    let path = "/usr/sbin:/usr/bin:/sbin:/bin|/|pkg|post-install|";
    assert_eq!(lines, ["2:1.0-r0:two words", "/", path, "null", "no input", "error", "etc/apk/world"]);
    support::assert_same(&before, root.dir());
    assert_eq!(std::fs::metadata(root.dir()).unwrap().dev(), std::fs::metadata(root.dir().join("dev")).unwrap().dev());
}

fn failures_and_time(root: &Root) {
    let before = support::look(root.dir());
    assert!(call(root, "#!/bin/sh\nexit 3\n", &[], LONG).0.unwrap_err().contains("exit code 3"));
    assert!(call(root, "#!/no/such\n", &[], LONG).0.unwrap_err().contains("127"));
    let (result, lines) = call(root, "#!/bin/sh\necho begun\nwhile :; do :; done\n", &[], Duration::from_millis(300));
    assert!(result.unwrap_err().contains("was killed"));
    assert_eq!(lines, ["begun"]);
    support::assert_same(&before, root.dir());
}

fn a_whole_transaction(root: &Root) {
    let say = |word: &str| format!("#!/bin/sh\necho {word} \"$@\"\n");
    let with_scripts = |version: &str| {
        ScriptKind::ALL
            .into_iter()
            .filter(|k| *k != ScriptKind::Trigger)
            .fold(Apk::new("said", version), |apk, kind| apk.script(kind, &say(kind.as_str())))
    };
    let seen = "#!/bin/sh\ncase $1 in 1*) [ -e /usr/share/said/x ] && echo too early;; esac\n\
        echo 'said:x:777:777::/:/bin/false' >>/etc/passwd\necho 'said:x:778:' >>/etc/group\necho pre-install \"$@\"\n";
    let file = |apk: Apk| apk.file("usr/share/said/x", "x").owner(("said", 5), ("said", 6));
    let old = Source::new(file(with_scripts("1.0-r0")).script(ScriptKind::PreInstall, seen), Alpine);
    let new = Source::new(file(with_scripts("1.1-r0")), Alpine);
    let watcher = Source::new(Apk::new("watch", "1-r0").trigger(&["/usr/share/*"], &say("trigger")), Alpine);
    let apply = |sources: &[&dyn PayloadSource], steps| {
        let heard = Heard::default();
        let plan = plan(steps);
        let options = Options::default();
        let input =
            ApplyInput { plan: &plan, native: Alpine, sources, provider: None, mark: &[], unmark: &[], options };
        let receipt = apply(&mut live(root.dir()), &input, &heard).unwrap();
        assert_eq!(receipt.failures, []);
        heard.lines()
    };
    apply(&[&watcher], vec![watcher.step(None)]);
    let lines = apply(&[&old], vec![old.step(None)]);
    assert_eq!(lines, ["pre-install 1.0-r0", "post-install 1.0-r0", "trigger /usr/share/said"]);
    // The account that the script made owns the file that was staged before it.
    let data = std::fs::metadata(root.dir().join("usr/share/said/x")).unwrap();
    assert_eq!((data.uid(), data.gid()), (777, 778));
    let lines = apply(&[&new], vec![new.step(Some(&old))]);
    assert_eq!(lines, ["pre-upgrade 1.1-r0 1.0-r0", "post-upgrade 1.1-r0 1.0-r0", "trigger /usr/share/said"]);
    let lines = apply(&[], vec![new.removal()]);
    assert_eq!(lines, ["pre-deinstall 1.1-r0", "post-deinstall 1.1-r0", "trigger /usr/share/said"]);
    Run::new(Alpine, &[]).go(root.dir(), [watcher.removal()]);
}
