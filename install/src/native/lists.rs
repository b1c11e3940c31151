//! The line files beside apk's database, `world` and `arch`: edited line by line, so that what a person wrote otherwise
//! than apk would stays as it is. Pure text.

use xpkg_formats::apk::db::name_order;
use xpkg_model::Dependency;

/// Sets and removes entries of `/etc/apk/world`. A name has one entry: what is set takes the place of a conflict with it, and
/// the other way round. `!NAME` removes a conflict, `NAME` never does.
pub(super) fn edit_world(text: &str, set: &[Dependency], remove: &[String]) -> String {
    let named = |token: &str, name: &str| token.parse::<Dependency>().is_ok_and(|d| d.name == name);
    let is = |token: &str, entry: &str| match entry.strip_prefix('!') {
        Some(name) => token.starts_with('!') && named(token, name),
        None => !token.starts_with('!') && named(token, entry),
    };
    let mut lines: Vec<String> = Vec::new();
    for line in text.split_inclusive('\n') {
        let gone = |token: &str| remove.iter().any(|entry| is(token, entry));
        if line.split_ascii_whitespace().any(gone) {
            let kept: Vec<&str> = line.split_ascii_whitespace().filter(|token| !gone(token)).collect();
            if !kept.is_empty() {
                lines.push(format!("{}\n", kept.join(" ")));
            }
        } else {
            lines.push(line.to_owned());
        }
    }
    for dep in set {
        let entry = dep.to_string();
        let there = lines.iter_mut().find(|line| line.split_ascii_whitespace().any(|token| named(token, &dep.name)));
        if let Some(line) = there {
            let tokens = line.split_ascii_whitespace();
            let replaced: Vec<&str> = tokens.map(|t| if named(t, &dep.name) { entry.as_str() } else { t }).collect();
            *line = format!("{}\n", replaced.join(" "));
            continue;
        }
        if let Some(last) = lines.last_mut().filter(|line| !line.ends_with('\n')) {
            last.push('\n');
        }
        let after = |line: &String| line.parse_first().is_some_and(|name| name_order(&name) > name_order(&dep.name));
        let at = lines.iter().position(after).unwrap_or(lines.len());
        lines.insert(at, format!("{entry}\n"));
    }
    lines.concat()
}

trait FirstName {
    fn parse_first(&self) -> Option<String>;
}

impl FirstName for String {
    fn parse_first(&self) -> Option<String> {
        self.split_ascii_whitespace().next()?.parse::<Dependency>().ok().map(|d| d.name)
    }
}

/// Adds and removes whole lines at the end of `/etc/apk/arch`; never touches the first line.
pub(super) fn edit_arch(text: &str, add: &[String], remove: &[String]) -> String {
    let mut out = String::new();
    for (i, line) in text.split_inclusive('\n').enumerate() {
        if i == 0 || !remove.iter().any(|word| word == line.trim()) {
            out.push_str(line);
        }
    }
    for word in add.iter().filter(|word| !text.lines().any(|line| line.trim() == word.as_str())) {
        if !out.is_empty() && !out.ends_with('\n') {
            out.push('\n');
        }
        out.push_str(word);
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn world_comes_back_byte_by_byte() {
        let dep = |t: &str| t.parse::<Dependency>().unwrap();
        for text in ["alpine-base\nopenssh\nwget\n", "b a\n\nz=1\n", "only", ""] {
            let set = edit_world(text, &[dep("jq><Q1AYNx2pLOAHRYZQgv3nM8TNtvRWY=")], &[]);
            assert!(set.lines().any(|l| l.starts_with("jq><")), "{text:?} {set:?}");
            let back = edit_world(&set, &[], &["jq".into()]);
            assert_eq!(back.trim_end(), text.trim_end());
        }
        assert_eq!(edit_world("a\njq\nz\n", &[dep("jq=2")], &[]), "a\njq=2\nz\n");
        assert_eq!(edit_world("a jq z\n", &[], &["jq".into()]), "a z\n");
        assert_eq!(edit_world("!jq\n", &[], &["jq".into()]), "!jq\n");
        assert_eq!(edit_world("a\n!jq\nz\n", &[], &["!jq".into()]), "a\nz\n");
        assert_eq!(edit_world("a\n!jq\nz\n", &[dep("jq")], &[]), "a\njq\nz\n");
        assert_eq!(edit_world("a\njq\n", &[dep("!jq")], &[]), "a\n!jq\n");
        assert_eq!(edit_world("a\nb\n", &[dep("B2"), dep("A")], &[]), "A\na\nb\nB2\n");
    }

    #[test]
    fn foreign_arches_come_and_go() {
        let with = edit_arch("aarch64_cortex-a53\n", &["aarch64".into()], &[]);
        assert_eq!(with, "aarch64_cortex-a53\naarch64\n");
        assert_eq!(edit_arch(&with, &[], &["aarch64".into()]), "aarch64_cortex-a53\n");
        assert_eq!(edit_arch("x86_64\n", &["x86_64".into()], &["x86_64".into()]), "x86_64\n");
    }
}
