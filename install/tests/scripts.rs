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
use xpkg_install::live::Failpoint;
use xpkg_install::scripts::ScriptCall;
use xpkg_install::{ApplyInput, Options, PayloadSource, Target as _, apply};
use xpkg_model::Ecosystem::Alpine;
use xpkg_model::adaptation::AS_THEY_ARE;
use xpkg_model::{Event, Observer};

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    match args.next() {
        Some(word) if word == xpkg_install::helper::WORD => {
            return ExitCode::from(xpkg_install::helper::main(args.collect::<Vec<OsString>>()));
        }
        // The process that is killed: see `killed_while_scripts_run`.
        Some(word) if word == VICTIM => {
            owing(Path::new(&args.next().unwrap()), None).unwrap();
            return ExitCode::SUCCESS;
        }
        _ => {}
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
        ("scripts that are owed", scripts_that_are_owed),
        ("killed while scripts run", killed_while_scripts_run),
        ("commit hooks", commit_hooks),
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

const VICTIM: &str = "victim";
/// What scripts wrote.
const LOG: &str = "said";

/// Installs two packages with scripts, one of which waits for `/go`, and a trigger; stops where a crash would.
fn owing(dir: &Path, point: Option<Failpoint>) -> xpkg_install::Result<Vec<Event>> {
    let say = |word: &str| format!("#!/bin/sh\necho {word} \"$@\" >>/{LOG}\n");
    let wait = format!("{}while [ ! -e /go ]; do :; done\n", say("first"));
    let first = Apk::new("first", "1-r0").file("usr/share/first/x", "x").script(ScriptKind::PostInstall, &wait);
    let first = first.script(ScriptKind::PreInstall, &say("before"));
    let second = Apk::new("second", "2-r0").script(ScriptKind::PostInstall, &say("second"));
    let watcher = Apk::new("watch", "1-r0").trigger(&["/usr/share/*"], &say("trigger"));
    let sources = [first, second, watcher].map(|apk| Source::new(apk, Alpine));
    let mut target = live(dir);
    target.set_failpoint(point);
    let plan = plan(sources.iter().map(|s| s.step(None)));
    let files: Vec<&dyn PayloadSource> = sources.iter().map(|s| s as &dyn PayloadSource).collect();
    let options = Options::default();
    let input = ApplyInput {
        plan: &plan,
        native: Alpine,
        sources: &files,
        provider: None,
        adaptations: &AS_THEY_ARE,
        mark: &[],
        unmark: &[],
        options,
    };
    let told = Told::default();
    apply(&mut target, &input, &told).map(|_| told.0.into_inner().unwrap())
}

/// Keeps events.
#[derive(Default)]
struct Told(Mutex<Vec<Event>>);

impl Observer for Told {
    fn event(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

const ALL: [&str; 4] = ["before 1-r0", "first 1-r0", "second 2-r0", "trigger /usr/share/first"];

fn said(root: &Root) -> Vec<String> {
    let text = std::fs::read_to_string(root.dir().join(LOG)).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// A fresh root beside the given one.
fn another(root: &Root) -> (tempfile::TempDir, Root) {
    let dir = tempfile::tempdir().unwrap();
    let fresh = shell_root(dir.path()).unwrap();
    assert_ne!(fresh.dir(), root.dir());
    (dir, fresh)
}

fn scripts_that_are_owed(root: &Root) {
    let (_dir, whole) = another(root);
    std::fs::write(whole.dir().join("go"), "").unwrap();
    let told = owing(whole.dir(), None).unwrap();
    assert_eq!(said(&whole), ALL);
    let after = support::look(whole.dir());
    // In the words and order of the native tool: a package, then its scripts.
    let order: Vec<String> = told
        .iter()
        .filter_map(|event| match event {
            Event::PackageStep { number, of, name, version, .. } => Some(format!("({number}/{of}) {name} {version}")),
            Event::Script { package, kind, .. } => Some(format!("{package}.{}", kind.unwrap().as_str())),
            _ => None,
        })
        .collect();
    let want = ["(1/3) first 1-r0", "first.pre-install", "first.post-install", "(2/3) second 2-r0"];
    assert_eq!(order, [want.as_slice(), &["second.post-install", "(3/3) watch 1-r0", "watch.trigger"]].concat());

    let points = [Failpoint::AfterMarker, Failpoint::Renamed(1), Failpoint::BeforeClear];
    for point in points.into_iter().chain((0..4).map(Failpoint::ScriptRan)) {
        let (_dir, root) = another(root);
        std::fs::write(root.dir().join("go"), "").unwrap();
        match owing(root.dir(), Some(point)) {
            Err(xpkg_install::Error::Stopped(_)) => {}
            other => panic!("{point:?}: {other:?}"),
        }
        let mut target = live(root.dir());
        target.lock().unwrap();
        target.recover(&Told::default()).unwrap();
        target.recover(&Told::default()).unwrap();
        drop(target);
        assert_eq!(said(&root), ALL, "{point:?}");
        let left = xpkg_fixtures::real::diff(&after, &support::look(root.dir()));
        assert!(left.is_empty(), "{point:?}: {left:?}");
    }
}

fn killed_while_scripts_run(root: &Root) {
    let (_dir, root) = another(root);
    let mut victim = Command::new(std::env::current_exe().unwrap()).arg(VICTIM).arg(root.dir()).spawn().unwrap();
    while said(&root).len() < 2 {
        assert!(victim.try_wait().unwrap().is_none(), "it ended by itself");
        std::thread::yield_now();
    }
    victim.kill().unwrap();
    victim.wait().unwrap();
    assert!(root.dir().join("usr/share/first/x").exists());
    std::fs::write(root.dir().join("go"), "").unwrap();
    let mut target = live(root.dir());
    // The kernel frees the locks of a process that is dead, not always before its parent hears of it.
    while target.lock().is_err() {
        std::thread::yield_now();
    }
    target.recover(&Told::default()).unwrap();
    // The one that was cut off runs again.
    let again = [ALL[0], ALL[1], ALL[1], ALL[2], ALL[3]];
    assert_eq!(said(&root), again);
    assert!(!root.dir().join("usr/lib/xpkg").exists());
}

fn commit_hooks(root: &Root) {
    let (_dir, root) = another(root);
    let hook = |path: &str, text: &str| {
        let path = root.dir().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    };
    let pack = |n: u32| Source::new(Apk::new(&format!("p{n}"), "1-r0").file(&format!("usr/p{n}"), "x"), Alpine);
    hook("etc/apk/commit_hooks.d/a", &format!("#!/bin/sh\necho \"$0 $1\" >>/{LOG}\n"));
    hook("etc/apk/commit_hooks.d/.hidden", "#!/bin/sh\necho hidden >>/said\n");
    let run = |source: &Source, change: fn(&mut Options)| {
        let run = Run::new(Alpine, &[source]).options(|o| o.no_scripts = false).options(change);
        run.on(&mut live(root.dir()), [source.step(None)])
    };
    run(&pack(1), |_| {}).unwrap();
    let both = ["/etc/apk/commit_hooks.d/a pre-commit", "/etc/apk/commit_hooks.d/a post-commit"];
    assert_eq!(said(&root), both);
    run(&pack(2), |o| o.no_commit_hooks = true).unwrap();
    assert_eq!(said(&root), both);
    hook("lib/apk/commit_hooks.d/b", "#!/bin/sh\n[ $1 = post-commit ]\n");
    let error = run(&pack(3), |_| {}).unwrap_err();
    assert!(error.to_string().contains("lib/apk/commit_hooks.d/b failed"), "{error}");
    assert!(!root.dir().join("usr/p3").exists());
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
        let input = ApplyInput {
            plan: &plan,
            native: Alpine,
            sources,
            provider: None,
            adaptations: &AS_THEY_ARE,
            mark: &[],
            unmark: &[],
            options,
        };
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
