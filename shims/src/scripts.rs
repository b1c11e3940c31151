//! Which foreign maintainer scripts can run on a root, told from their text. Never runs one.

use std::collections::BTreeSet;

use xpkg_model::Ecosystem;
use xpkg_model::adaptation::COMPOSED;

use crate::HostProbe;

/// How many bytes of a script are looked at.
const MAX_TEXT: usize = 262_144;
/// How many tools one script's notes name.
const MAX_TOOLS: usize = 64;

/// What to do with one script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Run it. The notes are for the person: tools it may miss.
    Run {
        /// In words.
        notes: Vec<String>,
    },
    /// Nothing is lost without it.
    Skip(String),
    /// It has work of its own to do and cannot do it here.
    CannotRun(String),
}

/// Decides about one script of a package of world `foreign` on this root.
pub fn decide(foreign: Ecosystem, text: &str, probe: &dyn HostProbe) -> Decision {
    let text = cut(text);
    if text.lines().take(3).any(|line| line.starts_with(COMPOSED)) {
        return Decision::Run { notes: Vec::new() };
    }
    if foreign == Ecosystem::Openwrt && wants_functions(text) && !probe.exists("/lib/functions.sh") {
        let own = own_lines(text);
        return match own.first() {
            None => Decision::Skip("only calls OpenWrt's default steps, which belong to OpenWrt's init".to_owned()),
            Some(line) => Decision::CannotRun(format!(
                "cannot run here: needs /lib/functions.sh ({} own lines are left out, from `{}`)",
                own.len(),
                line.chars().take(60).collect::<String>()
            )),
        };
    }
    if foreign == Ecosystem::Alpine && only_links_applets(text) {
        return Decision::Skip(
            "only has busybox link its tools again; links that gave way come back anyway".to_owned(),
        );
    }
    let missing: Vec<String> = needs(text).into_iter().filter(|tool| !is_there(tool, probe)).collect();
    let notes = if missing.is_empty() {
        Vec::new()
    } else {
        vec![format!("calls what this root may not have: {}", missing.join(", "))]
    };
    Decision::Run { notes }
}

fn cut(text: &str) -> &str {
    let mut end = text.len().min(MAX_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

fn is_there(tool: &str, probe: &dyn HostProbe) -> bool {
    if tool.starts_with('/') {
        return probe.exists(tool);
    }
    ["/usr/sbin", "/usr/bin", "/sbin", "/bin"].iter().any(|dir| probe.exists(&format!("{dir}/{tool}")))
}

fn wants_functions(text: &str) -> bool {
    text.lines().any(|line| line.contains("/lib/functions.sh"))
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

/// Lines that are not of the stub which OpenWrt puts around every package's own script
/// (include/package-pack.mk and package-ipkg.mk).
fn own_lines(text: &str) -> Vec<&str> {
    text.lines().map(str::trim).filter(|line| !is_stub(line)).collect()
}

/// Whether a trimmed line belongs to the stub that OpenWrt puts around every package's own script.
pub fn is_stub(line: &str) -> bool {
    let plain = line.replace(['"', '{', '}'], "");
    let words: Vec<&str> = plain.split_ascii_whitespace().collect();
    match words.as_slice() {
        [] => true,
        [first, ..] if first.starts_with('#') => true,
        ["exit", "0"] | ["export", "PKG_UPGRADE=1"] | ["return", "0"] => true,
        ["export", assignment] => assignment.starts_with("root=$IPKG_INSTROOT") || assignment.starts_with("pkgname="),
        ["[", "$IPKG_NO_SCRIPT", "=", "1", "]", "&&", "exit", "0"] => true,
        ["[", "-s" | "-x", file, "]", "||", "exit", "0"] | [".", file] => file.ends_with("/lib/functions.sh"),
        ["add_group_and_user", ..] => true,
        ["default_postinst" | "default_prerm" | "default_preinst" | "default_postrm", rest @ ..] => {
            rest.iter().all(|word| matches!(*word, "$0" | "$@"))
        }
        _ => false,
    }
}

/// Words of the shell itself, and commands that every shell has built in.
const SHELL: [&str; 59] = [
    "!", "[", "[[", "]]", "{", "}", ".", ":", "alias", "bg", "break", "case", "cd", "command", "continue", "do",
    "done", "echo", "elif", "else", "esac", "eval", "exec", "exit", "export", "false", "fi", "for", "function",
    "getopts", "hash", "if", "in", "jobs", "kill", "let", "local", "printf", "pwd", "read", "readonly", "return",
    "set", "shift", "source", "test", "then", "times", "trap", "true", "type", "ulimit", "umask", "unalias", "unset",
    "until", "wait", "while", "fg",
];

/// Tools a script calls, by a simple scan of its words: names and absolute paths in the place of a command. It may miss
/// what is put together at run time and may name what is never reached.
pub fn needs(script: &str) -> Vec<String> {
    let mut functions = BTreeSet::new();
    let mut tools = BTreeSet::new();
    let mut heredoc: Option<String> = None;
    for line in cut(script).lines() {
        let line = line.trim();
        if let Some(end) = &heredoc {
            if line == end {
                heredoc = None;
            }
            continue;
        }
        if let Some(name) = line.split("()").next().filter(|_| line.contains("()")) {
            functions.insert(name.trim().trim_start_matches("function ").to_owned());
        }
        heredoc = heredoc_end(line);
        scan_line(line, &mut tools);
        if tools.len() > MAX_TOOLS * 8 {
            break;
        }
    }
    tools.retain(|tool| !functions.contains(tool));
    tools.into_iter().take(MAX_TOOLS).collect()
}

fn heredoc_end(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("<<")?;
    if rest.starts_with('<') {
        return None;
    }
    let word =
        rest.trim_start_matches('-').trim_start().split(|c: char| c.is_whitespace() || ";|&)".contains(c)).next()?;
    let word = word.trim_matches(['"', '\'']);
    (!word.is_empty()).then(|| word.to_owned())
}

/// Walks one line: quotes are taken out, separators start a new command.
fn scan_line(line: &str, tools: &mut BTreeSet<String>) {
    let line = after_case_pattern(line);
    let mut command = String::new();
    let mut quote = None;
    let mut outer = Vec::new(); // quotes around the command substitutions that are open
    let mut chars = line.chars().peekable();
    let mut before = ' ';
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            // A command substitution inside double quotes is a command all the same.
            (Some('"') | None, '$') if chars.peek() == Some(&'(') => {
                chars.next();
                command.push('_');
                flush(&mut command, tools);
                outer.push(quote.take());
            }
            (Some(_), _) => command.push('_'),
            (None, '"' | '\'') => {
                quote = Some(c);
                command.push('_'); // a quoted word is no plain name
            }
            (None, '#') if before.is_whitespace() => break,
            (None, ')') => {
                flush(&mut command, tools);
                if let Some(restored) = outer.pop() {
                    quote = restored;
                    command.push('_');
                }
            }
            (None, ';' | '|' | '&' | '(' | '`') => flush(&mut command, tools),
            (None, '\\') => {
                chars.next();
                command.push('_');
            }
            (None, c) => command.push(c),
        }
        before = c;
    }
    flush(&mut command, tools);
}

/// What follows `pattern)` of a `case`.
fn after_case_pattern(line: &str) -> &str {
    match (line.find(')'), line.find('(')) {
        (Some(close), open) if open.is_none_or(|open| open > close) => line.get(close + 1..).unwrap_or_default(),
        _ => line,
    }
}

/// The first word of a command that is neither an assignment nor a word of the shell.
fn flush(command: &mut String, tools: &mut BTreeSet<String>) {
    let text = std::mem::take(command);
    let mut words = text.split_ascii_whitespace().peekable();
    while let Some(word) = words.next() {
        match word {
            "if" | "then" | "else" | "elif" | "do" | "while" | "until" | "!" | "{" | "exec" | "command" | "time" => {
                continue;
            }
            _ if is_assignment(word) => continue,
            _ if word.contains(['<', '>']) => {
                if word.ends_with(['<', '>']) {
                    words.next();
                }
                continue;
            }
            _ => {}
        }
        let plain = word.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._+-".contains(&b));
        let name = word.starts_with('/') || word.starts_with(|c: char| c.is_ascii_alphabetic());
        // `_` stands for what was quoted; no tool of a script has it at its end.
        if plain && name && !word.ends_with('_') && !SHELL.contains(&word) {
            tools.insert(word.to_owned());
        }
        return;
    }
}

fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    })
}

#[cfg(test)]
mod tests {
    use xpkg_model::RelPath;
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

    fn decided(foreign: Ecosystem, text: &str, files: &'static [&'static str]) -> Decision {
        let root = Names(files);
        decide(foreign, text, &RootProbe::new(&root, [], Vec::new()))
    }

    const STUB: &str = "#!/bin/sh\n[ \"${IPKG_NO_SCRIPT}\" = \"1\" ] && exit 0\n\
        [ -s ${IPKG_INSTROOT}/lib/functions.sh ] || exit 0\n. ${IPKG_INSTROOT}/lib/functions.sh\n\
        export root=\"${IPKG_INSTROOT}\"\nexport pkgname=\"ucode\"\nadd_group_and_user\ndefault_postinst\n";

    #[test]
    fn stubs_of_openwrt() {
        assert!(matches!(decided(Ecosystem::Openwrt, STUB, &[]), Decision::Skip(_)));
        let links = "#!/bin/sh\n# says why\nexec /bin/busybox --install -s\n";
        assert!(matches!(decided(Ecosystem::Alpine, links, &[]), Decision::Skip(_)));
        assert!(matches!(decided(Ecosystem::Alpine, &format!("{links}rm x\n"), &["/bin/rm"]), Decision::Run { .. }));
        let opkg = "#!/bin/sh\n[ \"${IPKG_NO_SCRIPT}\" = \"1\" ] && exit 0\n[ -s \"${IPKG_INSTROOT}/lib/functions.sh\" ] || exit 0\n\
            . ${IPKG_INSTROOT}/lib/functions.sh\ndefault_postinst $0 $@\n";
        assert!(matches!(decided(Ecosystem::Openwrt, opkg, &[]), Decision::Skip(_)));
        let older = opkg.replace("[ -s ", "[ -x ").replace('"', "");
        assert!(matches!(decided(Ecosystem::Openwrt, &older, &[]), Decision::Skip(_)));
        let own = format!("{STUB}[ -n \"${{IPKG_INSTROOT}}\" ] || /etc/init.d/rpcd reload\n");
        let Decision::CannotRun(why) = decided(Ecosystem::Openwrt, &own, &[]) else { unreachable!("{own}") };
        assert!(why.starts_with("cannot run here: needs /lib/functions.sh") && why.contains("rpcd"), "{why}");
        // Where the functions are, scripts run.
        assert!(matches!(decided(Ecosystem::Openwrt, &own, &["/lib/functions.sh"]), Decision::Run { .. }));
    }

    #[test]
    fn alpine_scripts_run_with_notes() {
        let text = "#!/bin/sh\naddgroup -S -g 22 sshd 2>/dev/null\nadduser -S -D -H sshd 2>/dev/null\nexit 0\n";
        let Decision::Run { notes } = decided(Ecosystem::Alpine, text, &["/bin/sh"]) else { unreachable!() };
        assert_eq!(notes, ["calls what this root may not have: addgroup, adduser"]);
        let there = &["/usr/sbin/addgroup", "/usr/sbin/adduser"];
        assert_eq!(decided(Ecosystem::Alpine, text, there), Decision::Run { notes: Vec::new() });
    }

    #[test]
    fn words_in_the_place_of_commands() {
        let text = "f() { mv a b; }\nif grep -q x /etc/passwd; then A=1 sed -i s/a/b/ x | sort; fi\n\
            case \"$1\" in\n  install|upgrade) /usr/sbin/update-x \"$(dirname y)\" ;;\nesac\nf # awk\n\
            cat <<EOF\nperl in text\nEOF\necho \"rm no\"; [ -e z ] && ln -s z 'w v'\n$tool x\n";
        assert_eq!(needs(text), ["/usr/sbin/update-x", "cat", "dirname", "grep", "ln", "mv", "sed", "sort"]);
    }
}
