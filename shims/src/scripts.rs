//! Which foreign maintainer scripts can run on a root, with what, and which are done without: told from their text. Never
//! runs one.
//!
//! - [`words`]: the tools that a script calls
//! - [`openwrt`]: the stub around every script of OpenWrt, and the text that runs on another system
//! - `opkg`: what an ipk's scripts are told, and when

pub mod openwrt;
mod opkg;
pub mod words;

use std::collections::BTreeSet;

use xpkg_model::adaptation::COMPOSED;
use xpkg_model::payload::{EntryKind, ScriptKind};
use xpkg_model::{Adaptation, Ecosystem, RelPath};

pub use openwrt::is_stub;
pub use words::needs;

use crate::{Foreign, HostProbe, Rules};

/// How many bytes of a script are looked at.
const MAX_TEXT: usize = 262_144;

/// Our own functions for scripts that read `/lib/functions.sh`, for roots that have no such file.
pub const FUNCTIONS: &str = include_str!("scripts/functions.sh");
/// Tools that the program itself is when it is called by their names.
pub const APPLETS: [&str; 8] =
    ["addgroup", "adduser", "delgroup", "deluser", "getent", "rc-service", "rc-update", "service"];
/// A directory of the root that exists only while a script runs: tools, and [`FUNCTIONS`] as `functions.sh`.
pub const TOOLS_DIR: &str = "/usr/lib/xpkg/exec/bin";

/// What is read beside each script.
const BESIDE: [(ScriptKind, &str); 2] =
    [(ScriptKind::PostInstall, "postinst-pkg"), (ScriptKind::PreDeinstall, "prerm-pkg")];

/// What to do with one script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Run it.
    Run(Run),
    /// What it does is done without it, and how.
    Mapped(String),
    /// Nothing is lost without it.
    Skip(String),
    /// It has work of its own to do and cannot do it here.
    CannotRun(String),
}

/// How a script runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Run {
    /// The text that runs, where it is another one than the package's.
    pub text: Option<String>,
    /// Our own tools that it gets, among [`APPLETS`].
    pub applets: BTreeSet<String>,
    /// Tools that do nothing here, by rule.
    pub silent: BTreeSet<String>,
    /// Whether it reads [`FUNCTIONS`].
    pub functions: bool,
    /// For the person, before anything is changed: what it misses, what is left out.
    pub notes: Vec<String>,
    /// What it calls and is not to be had: these lines of it will fail.
    pub missing: Vec<String>,
}

impl Run {
    /// Whether it runs as it would on its own system.
    pub fn is_native(&self) -> bool {
        self.text.is_none() && self.applets.is_empty() && self.silent.is_empty() && !self.functions
    }
}

/// What a decision looks at.
pub struct Scene<'a> {
    /// The world of the package.
    pub foreign: Ecosystem,
    /// The root.
    pub probe: &'a dyn HostProbe,
    /// The rules of the root.
    pub rules: &'a Rules,
    /// Whether a path will be there although it is not yet: it comes with the plan.
    pub coming: &'a dyn Fn(&str) -> bool,
    /// Files of the package below `/etc/uci-defaults`.
    pub uci_defaults: &'a [String],
}

/// An ipk's scripts for every occasion that other managers know, told what opkg tells them. What opkg keeps beside them and
/// its functions read when they run, becomes part of them: on a root of another manager nobody keeps it, and at the removal
/// it would be gone.
pub fn translate(foreign: &Foreign<'_>) -> Adaptation {
    let mut adaptation = Adaptation::default();
    if foreign.control.is_empty() {
        return adaptation;
    }
    let mut whole = foreign.scripts.clone();
    for (kind, member) in BESIDE {
        let Some(beside) = foreign.control.get(member) else { continue };
        let text = whole.get(&kind).map(|text| String::from_utf8_lossy(text).into_owned());
        if let Some(text) = text.and_then(|text| openwrt::whole(&text, &String::from_utf8_lossy(beside))) {
            whole.insert(kind, text.into_bytes());
        }
    }
    let defaults = RelPath::literal("etc/uci-defaults");
    let configures = foreign.files.iter().any(|f| f.kind == EntryKind::File && f.path.starts_with(&defaults));
    adaptation.scripts = opkg::on_each_occasion(&whole, configures);
    adaptation
}

/// Decides about one script.
pub fn decide(scene: &Scene<'_>, kind: ScriptKind, text: &str) -> Decision {
    let text = cut(text);
    if text.lines().take(3).any(|line| line.starts_with(COMPOSED)) {
        // What it contains of the package's own script may still call our tools.
        let ours = |tool: &String| APPLETS.contains(&tool.as_str()) && !is_there(tool, scene);
        let applets = needs(text).into_iter().filter(ours).collect();
        return Decision::Run(Run { applets, ..Run::default() });
    }
    match scene.foreign {
        Ecosystem::Alpine => of_alpine(scene, kind, text),
        _ => of_openwrt(scene, kind, text),
    }
}

fn of_alpine(scene: &Scene<'_>, kind: ScriptKind, text: &str) -> Decision {
    if only_links_applets(text) {
        return Decision::Skip(
            "only has busybox link its tools again; links that gave way come back anyway".to_owned(),
        );
    }
    if matches!(kind, ScriptKind::PreInstall | ScriptKind::PreUpgrade)
        && let (accounts, None) = crate::accounts::from_script(text)
        && !accounts.is_empty()
    {
        let titles: Vec<String> = accounts.iter().map(xpkg_model::accounts::Account::title).collect();
        return Decision::Mapped(format!("only makes {}, which comes with the package itself", titles.join(", ")));
    }
    judge(scene, text, Run::default())
}

fn of_openwrt(scene: &Scene<'_>, kind: ScriptKind, text: &str) -> Decision {
    let uci = is_there("uci", scene);
    let takes = |kind| matches!(kind, ScriptKind::PostInstall | ScriptKind::PostUpgrade);
    let defaults: Vec<&String> = scene.uci_defaults.iter().filter(|_| takes(kind)).collect();
    if !openwrt::reads_functions(text) {
        return judge(scene, &openwrt::adapted(text), Run { text: openwrt::changed(text), ..Run::default() });
    }
    let own = openwrt::own_lines(text);
    if own.is_empty() && (defaults.is_empty() || !uci) {
        return Decision::Skip(match defaults.first() {
            Some(first) => format!("first configuration ({first} …) needs uci, which this root has not"),
            None => "only calls OpenWrt's default steps, which xpkg itself takes where they mean something".to_owned(),
        });
    }
    let composed = openwrt::adapted(text);
    let mut run = Run { functions: true, ..Run::default() };
    if uci {
        let list: Vec<&str> = defaults.iter().map(|path| path.as_str()).collect();
        let line = format!("\nXPKG_UCI_DEFAULTS='{}'\n", list.join(" ").replace('\'', ""));
        run.text = Some(composed.replacen('\n', &line, usize::from(!list.is_empty())));
    } else {
        run.text = Some(composed.clone());
        if !defaults.is_empty() {
            run.notes.push("leaves first configuration out: this root has no uci".to_owned());
        }
    }
    judge(scene, &composed, run)
}

/// Looks up every tool that a text calls.
fn judge(scene: &Scene<'_>, text: &str, mut run: Run) -> Decision {
    for tool in needs(text) {
        // The root's own `service` fails where there is no such service, and OpenWrt's names are its own.
        if tool == "service" && scene.foreign == Ecosystem::Openwrt {
            run.applets.insert(tool);
            continue;
        }
        if is_there(&tool, scene) || run.functions && openwrt::is_function(&tool) {
            continue;
        }
        let name = tool.rsplit('/').next().unwrap_or(&tool);
        let rule = scene.rules.hook(scene.foreign, scene.probe, name);
        match rule {
            Some((true, why)) => return Decision::CannotRun(format!("calls {name}: {why}")),
            Some((false, why)) => {
                run.notes.push(format!("calls {name}, which does nothing here: {why}"));
                run.silent.insert(name.to_owned());
            }
            // By its path it is not found in a directory of ours.
            None if APPLETS.contains(&tool.as_str()) => _ = run.applets.insert(tool),
            None => run.missing.push(tool),
        }
    }
    run.silent.retain(|tool| !tool.is_empty());
    if run.functions {
        // What the functions call in turn.
        let called = needs(text);
        let more = openwrt::behind(&called).filter(|tool| !is_there(tool, scene));
        run.applets.extend(more.map(str::to_owned));
    }
    if !run.missing.is_empty() {
        run.notes.push(format!("calls what is neither on this root nor in the plan: {}", run.missing.join(", ")));
    }
    Decision::Run(run)
}

pub(crate) fn cut(text: &str) -> &str {
    let mut end = text.len().min(MAX_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

fn is_there(tool: &str, scene: &Scene<'_>) -> bool {
    let there = |path: &str| scene.probe.exists(path) || (scene.coming)(path);
    if tool.starts_with('/') {
        return there(tool);
    }
    ["/usr/sbin", "/usr/bin", "/sbin", "/bin"].iter().any(|dir| there(&format!("{dir}/{tool}")))
}

/// Alpine's coreutils and its like put busybox's links back when they go. OpenWrt's busybox has no `--install`.
fn only_links_applets(text: &str) -> bool {
    let mut own = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let is_it = |line: &str| {
        let line = line.strip_prefix("exec ").unwrap_or(line);
        matches!(line, "/bin/busybox --install -s" | "busybox --install -s" | "exit 0")
    };
    own.clone().next().is_some() && own.all(is_it)
}

#[cfg(test)]
mod tests {
    use xpkg_model::root::{Node, NodeKind, ReadSeek, RootView};

    use super::*;
    use crate::RootProbe;

    /// A root that has these files and nothing in them.
    struct Names(&'static [&'static str]);

    impl RootView for Names {
        fn node(&self, path: &RelPath) -> std::io::Result<Option<Node>> {
            let kind = NodeKind::File;
            let node = Node { kind, mode: 0o755, uid: 0, gid: 0, size: 0, mtime: 0, nlink: 1 };
            Ok(self.0.contains(&path.to_string().as_str()).then_some(node))
        }
        fn real_path(&self, path: &RelPath, _: bool) -> std::io::Result<RelPath> {
            Ok(path.clone())
        }
        fn open(&self, _: &RelPath) -> std::io::Result<Option<Box<dyn ReadSeek>>> {
            Ok(None)
        }
        fn list(&self, _: &RelPath) -> std::io::Result<Vec<Vec<u8>>> {
            Ok(Vec::new())
        }
        fn xattrs(&self, _: &RelPath) -> std::io::Result<Vec<(String, Vec<u8>)>> {
            Ok(Vec::new())
        }
    }

    fn decided(foreign: Ecosystem, kind: ScriptKind, text: &str, files: &'static [&'static str]) -> Decision {
        let (root, rules) = (Names(files), crate::load_builtin().unwrap());
        let probe = RootProbe::new(&root, [], Vec::new());
        let uci_defaults = ["/etc/uci-defaults/a".to_owned()];
        let scene = Scene {
            foreign,
            probe: &probe,
            rules: &rules,
            coming: &|path| path == "/usr/bin/own",
            uci_defaults: if text.contains("ucode") { &[] } else { &uci_defaults },
        };
        decide(&scene, kind, text)
    }

    fn runs(foreign: Ecosystem, text: &str, files: &'static [&'static str]) -> Run {
        match decided(foreign, ScriptKind::PostInstall, text, files) {
            Decision::Run(run) => run,
            other => unreachable!("{other:?}"),
        }
    }

    const STUB: &str = "#!/bin/sh\n[ \"${IPKG_NO_SCRIPT}\" = \"1\" ] && exit 0\n\
        [ -s ${IPKG_INSTROOT}/lib/functions.sh ] || exit 0\n. ${IPKG_INSTROOT}/lib/functions.sh\n\
        export root=\"${IPKG_INSTROOT}\"\nexport pkgname=\"ucode\"\nadd_group_and_user\ndefault_postinst\n";

    #[test]
    fn stubs_of_openwrt() {
        let skipped = |text: &str| decided(Ecosystem::Openwrt, ScriptKind::PostInstall, text, &[]);
        assert!(matches!(skipped(STUB), Decision::Skip(_)));
        let opkg = "#!/bin/sh\n[ \"${IPKG_NO_SCRIPT}\" = \"1\" ] && exit 0\n[ -s \"${IPKG_INSTROOT}/lib/functions.sh\" ] || exit 0\n\
            . ${IPKG_INSTROOT}/lib/functions.sh\ndefault_postinst $0 $@\n";
        // It has first configuration, and there is no uci.
        let Decision::Skip(why) = skipped(opkg) else { unreachable!() };
        assert!(why.contains("needs uci"), "{why}");
        let run = runs(Ecosystem::Openwrt, opkg, &["/sbin/uci"]);
        assert!(run.functions && run.text.is_some_and(|t| t.contains("XPKG_UCI_DEFAULTS='/etc/uci-defaults/a'\n")));
        let own = format!("{STUB}[ -n \"${{IPKG_INSTROOT}}\" ] || /etc/init.d/rpcd reload\nuser_add x\n");
        let run = runs(Ecosystem::Openwrt, &own, &[]);
        assert_eq!(run.applets, ["adduser", "service"].map(str::to_owned).into());
        assert!(run.missing.is_empty() && run.functions, "{run:?}");
        assert!(run.text.is_some_and(|text| text.contains("|| service rpcd reload\n")));
    }

    #[test]
    fn alpines_scripts() {
        let links = "#!/bin/sh\n# says why\nexec /bin/busybox --install -s\n";
        let of = |kind, text: &str| decided(Ecosystem::Alpine, kind, text, &["/bin/sh", "/bin/rm"]);
        assert!(matches!(of(ScriptKind::PostInstall, links), Decision::Skip(_)));
        let text = "#!/bin/sh\naddgroup -S -g 22 sshd 2>/dev/null\nadduser -S -D -H -G sshd sshd 2>/dev/null\nexit 0\n";
        let Decision::Mapped(how) = of(ScriptKind::PreInstall, text) else { unreachable!() };
        assert_eq!(how, "only makes user sshd (group sshd), which comes with the package itself");
        // With work of its own it runs, with our tools.
        let run = runs(Ecosystem::Alpine, &format!("{text}rm x\nown --now\nfrobnicate\n"), &["/bin/rm"]);
        assert_eq!(run.applets, ["addgroup", "adduser"].map(str::to_owned).into());
        assert_eq!(run.missing, ["frobnicate"]);
        assert!(runs(Ecosystem::Alpine, "#!/bin/sh\nrm x\n", &["/bin/rm"]).is_native());
        assert!(runs(Ecosystem::Alpine, text, &["/usr/sbin/addgroup", "/usr/sbin/adduser"]).is_native());
    }

    #[test]
    fn rules_silence_tools_and_refuse_scripts() {
        let run = runs(Ecosystem::Alpine, "#!/bin/sh\nudevadm control --reload\n", &[]);
        assert_eq!(run.silent, ["udevadm".to_owned()].into());
        let text = "#!/bin/sh\nglib-compile-schemas /usr/share/glib-2.0/schemas\nfc-cache -s\nown\n";
        let run = runs(Ecosystem::Alpine, text, &["/usr/bin/glib-compile-schemas"]);
        assert_eq!((run.silent, run.missing.is_empty()), (["fc-cache".to_owned()].into(), true));
        let run = runs(Ecosystem::Openwrt, "#!/bin/sh\n/sbin/kmodloader\n", &[]);
        assert_eq!(run.silent, ["kmodloader".to_owned()].into());
        let there = runs(Ecosystem::Alpine, "#!/bin/sh\nudevadm control --reload\n", &["/sbin/udevadm"]);
        assert!(there.is_native(), "a tool that is there is used");
        let text = "schema = '1.1.0'\nrequires-xpkg = '*'\nnative = 'openwrt'\nforeign = 'alpine'\n[[hook]]\n\
            tools = ['mkinitfs']\ndo = 'refuse'\nreason = 'no'\n";
        let (root, rules) = (Names(&[]), Rules::parse("x", text).unwrap());
        let probe = RootProbe::new(&root, [], Vec::new());
        let (foreign, coming) = (Ecosystem::Alpine, |_: &str| false);
        let scene = Scene { foreign, probe: &probe, rules: &rules, coming: &coming, uci_defaults: &[] };
        let refused = decide(&scene, ScriptKind::Trigger, "#!/bin/sh\nmkinitfs -b /\n");
        assert_eq!(refused, Decision::CannotRun("calls mkinitfs: no".to_owned()));
    }
}
