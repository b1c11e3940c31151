//! The scripts of OpenWrt's packages: the stub that its build puts around each, and what becomes of one on another system.
//! Text in, text out; runs nothing.

use super::TOOLS_DIR;

/// How scripts name the file of functions, longest first.
const FUNCTIONS: [&str; 4] = [
    "\"${IPKG_INSTROOT}\"/lib/functions.sh",
    "${IPKG_INSTROOT}/lib/functions.sh",
    "$IPKG_INSTROOT/lib/functions.sh",
    "/lib/functions.sh",
];
/// What the functions that we give need in turn.
const BEHIND: [(&str, &[&str]); 5] = [
    ("group_add", &["addgroup"]),
    ("group_add_next", &["addgroup"]),
    ("group_add_user", &["addgroup"]),
    ("user_add", &["adduser"]),
    ("service", &["service"]),
];
/// What an init script of OpenWrt is asked to do.
const ACTIONS: [&str; 9] = ["start", "stop", "restart", "reload", "enable", "disable", "enabled", "running", "boot"];
const INIT: &str = "/etc/init.d/";

/// Whether a script reads OpenWrt's functions.
pub(super) fn reads_functions(text: &str) -> bool {
    text.lines().any(|line| line.contains("/lib/functions.sh"))
}

/// Lines that are not of the stub which OpenWrt puts around every package's own script
/// (include/package-pack.mk and package-ipkg.mk).
pub(super) fn own_lines(text: &str) -> Vec<&str> {
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
        // What `opkg` here puts in.
        ["set", "--", "install" | "upgrade" | "configure" | "remove", ..] => true,
        ["export", "PKG_ROOT=/", upgrade] => upgrade.starts_with("PKG_UPGRADE="),
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

/// The text that runs here: it reads our own functions, and asks for services through the tool `service`.
pub(super) fn adapted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        out.push_str(&services(&functions(line)));
        out.push('\n');
    }
    out
}

/// [`adapted`], where that is another text.
pub(super) fn changed(text: &str) -> Option<String> {
    let new = adapted(text);
    (!new.lines().eq(text.lines())).then_some(new)
}

/// A script that holds the lines `beside` (`postinst-pkg`, `prerm-pkg`) where OpenWrt's default steps would read them from
/// opkg's database, in a subshell as there (base-files, `lib/functions.sh`, default_postinst). `None`: nothing reads them, or
/// they say nothing.
pub fn whole(text: &str, beside: &str) -> Option<String> {
    if own_lines(beside).is_empty() {
        return None;
    }
    let mut out = String::with_capacity(text.len().saturating_add(beside.len()));
    let mut done = false;
    for line in text.lines() {
        out.push_str(line);
        out.push('\n');
        let step = line.split_ascii_whitespace().next().unwrap_or_default();
        if !done && matches!(step, "default_postinst" | "default_prerm") {
            done = true;
            out.push_str("(\n");
            out.push_str(beside.trim_end());
            out.push_str("\n)\n");
        }
    }
    done.then_some(out)
}

fn functions(line: &str) -> String {
    for word in FUNCTIONS {
        if line.contains(word) {
            return line.replace(word, &format!("{TOOLS_DIR}/functions.sh"));
        }
    }
    line.to_owned()
}

/// `/etc/init.d/NAME reload` becomes `service NAME reload`: services of OpenWrt lie elsewhere on another system.
fn services(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find(INIT) {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let after = from.get(INIT.len()..).unwrap_or_default();
        let starts = before.chars().next_back().is_none_or(|c| c.is_whitespace() || ";&|({`".contains(c));
        let mut words = after.split(|c: char| c.is_whitespace() || ";&|)}`".contains(c));
        let name = words.next().unwrap_or_default();
        let action = words.next().unwrap_or_default();
        let plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        out.push_str(if starts && plain && ACTIONS.contains(&action) { "service " } else { INIT });
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Whether our own functions have one of this name.
pub(super) fn is_function(name: &str) -> bool {
    super::FUNCTIONS.lines().any(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with("() {")))
}

/// Tools that the functions among `called` need in turn.
pub(super) fn behind(called: &[String]) -> impl Iterator<Item = &'static str> + '_ {
    let of = |name: &String| BEHIND.iter().find(|(function, _)| name == function).map(|(_, tools)| *tools);
    called.iter().filter_map(of).flatten().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_asked_for_through_the_tool() {
        let to = |line: &str| services(line);
        assert_eq!(
            to("[ -n \"$X\" ] || /etc/init.d/rpcd reload 2>/dev/null"),
            "[ -n \"$X\" ] || service rpcd reload 2>/dev/null"
        );
        assert_eq!(to("/etc/init.d/a enabled && /etc/init.d/a start"), "service a enabled && service a start");
        for same in
            ["[ -x /etc/init.d/a ] && x", "cp x /etc/init.d/a", "rm -f /etc/init.d/$n", "echo '/etc/init.d/a start'"]
        {
            assert_eq!(to(same), same);
        }
    }

    #[test]
    fn functions_and_what_lies_beside() {
        let text = "#!/bin/sh\n[ -x ${IPKG_INSTROOT}/lib/functions.sh ] || exit 0\n. ${IPKG_INSTROOT}/lib/functions.sh\ndefault_postinst $0 $@\n";
        let new = adapted(&whole(text, "killall -HUP rpcd\nexit 0\n").unwrap());
        assert_eq!(
            new,
            format!(
                "#!/bin/sh\n[ -x {TOOLS_DIR}/functions.sh ] || exit 0\n. {TOOLS_DIR}/functions.sh\n\
                 default_postinst $0 $@\n(\nkillall -HUP rpcd\nexit 0\n)\n"
            )
        );
        assert_eq!(whole(text, "#!/bin/sh\nexit 0\n"), None, "it says nothing");
        assert_eq!(whole("#!/bin/sh\necho\n", "killall rpcd\n"), None, "nothing reads it");
        assert!(is_function("user_add") && is_function("config_get") && !is_function("reboot"));
    }
}
