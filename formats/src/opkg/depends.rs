//! The dependency lists of control files: `a | b`, `name (op version)`. Reads and writes them; resolves nothing.

use std::fmt::Write as _;

use xpkg_model::dependency::{MAX_TOKEN, valid_name};
use xpkg_model::{Dependency, Op, Requirement};

/// Operators, longest first: `<` and `>` are the old spellings of `<=` and `>=` (parseDepends in opkg's pkg_depends.c).
const OPS: [(&str, Op); 7] = [
    ("<<", Op::LESS),
    (">>", Op::GREATER),
    ("<=", Op(1 | 2)),
    (">=", Op(1 | 4)),
    ("<", Op(1 | 2)),
    (">", Op(1 | 4)),
    ("=", Op::EQUAL),
];

/// Reads a list as `Depends`, `Pre-Depends`, `Recommends` and `Suggests` hold it; at most `max` items. A `*` behind an item
/// (greedy: everything that provides the name) is taken and has no effect; neither has a second bracket.
pub fn parse(text: &str, max: u64) -> Result<Vec<Requirement>, String> {
    let mut out: Vec<Requirement> = Vec::new();
    let mut count = 0;
    for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
        let mut alternatives = Vec::new();
        for alternative in item.split('|').map(str::trim) {
            count += 1;
            if count > max {
                return Err(format!("more than {max} items in one list"));
            }
            alternatives.push(dependency(alternative)?);
        }
        out.extend(Requirement::any_of(alternatives));
    }
    Ok(out)
}

/// Reads one `name`, `name (op version)` or either with `*` behind it.
pub fn dependency(text: &str) -> Result<Dependency, String> {
    let bad = |reason: &str| {
        format!("`{}` is no dependency: {reason}", text.chars().take(80).collect::<String>().escape_debug())
    };
    if text.len() > MAX_TOKEN {
        return Err(bad("longer than 1024 bytes"));
    }
    let text = text.trim().trim_end_matches('*').trim_end();
    let (name, condition) = match text.split_once('(') {
        None => (text, None),
        Some((name, rest)) => {
            // opkg (parseDepends in pkg_depends.c) looks no further than the first bracket; real feeds hold
            // `nginx-ssl-util (>=1.5-1) (<2)`.
            let (condition, rest) = rest.split_once(')').ok_or_else(|| bad("its bracket is not closed"))?;
            let rest = rest.trim();
            let ignored = rest.is_empty() || (rest.starts_with('(') && rest.ends_with(')'));
            if !ignored {
                return Err(bad("something follows its bracket"));
            }
            (name.trim_end(), Some(condition.trim()))
        }
    };
    if !valid_literal(name) {
        return Err(bad("not a valid name"));
    }
    let mut dependency = Dependency::any(name);
    if let Some(condition) = condition {
        let (op, version) = OPS
            .iter()
            .find_map(|(word, op)| condition.strip_prefix(word).map(|version| (*op, version.trim())))
            .ok_or_else(|| bad("no operator before its version"))?;
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-+~:/=".contains(&b);
        if version.is_empty() || !version.bytes().all(allowed) {
            return Err(bad("not a valid version"));
        }
        dependency.op = op;
        version.clone_into(&mut dependency.version);
    }
    Ok(dependency)
}

/// Names of `Provides` and `Replaces`, separated by commas or blanks. opkg knows no versions there: `foo=1.2` is a name.
pub fn names(text: &str, max: u64) -> Result<Vec<String>, String> {
    let mut out = Vec::new();
    for name in text.split([',', ' ', '\t', '\n']).map(str::trim).filter(|name| !name.is_empty()) {
        if out.len() as u64 >= max {
            return Err(format!("more than {max} items in one list"));
        }
        if !valid_literal(name) {
            return Err(format!("`{}` is no name", name.chars().take(80).collect::<String>().escape_debug()));
        }
        out.push(name.to_owned());
    }
    Ok(out)
}

/// What opkg takes for a name. It checks nothing; this refuses what would not survive in its own files.
fn valid_literal(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= MAX_TOKEN
        && !name.starts_with('!')
        && name.bytes().all(|b| b.is_ascii_graphic() && !b"(),|*".contains(&b))
}

/// A list as opkg writes it. Fails for what its grammar cannot say: `~`, `><`, tags.
pub fn join(items: &[Requirement]) -> Result<String, String> {
    let mut out = String::new();
    for item in items {
        let mut separator = if out.is_empty() { "" } else { ", " };
        for dependency in item.alternatives() {
            out.push_str(separator);
            write_dependency(&mut out, dependency)?;
            separator = " | ";
        }
    }
    Ok(out)
}

/// One dependency as opkg writes it; whether it is a conflict is said by its field.
pub fn write_dependency(out: &mut String, dependency: &Dependency) -> Result<(), String> {
    let unfit = |reason: &str| format!("`{dependency}`: {reason}");
    if !valid_literal(&dependency.name) && !valid_name(&dependency.name) || dependency.name.contains([',', '|']) {
        return Err(unfit("a control file cannot hold that name"));
    }
    if dependency.tag.is_some() {
        return Err(unfit("opkg knows no tags"));
    }
    out.push_str(&dependency.name);
    if dependency.op == Op::ANY {
        return Ok(());
    }
    let op = match dependency.op.0 {
        1 => "=",
        2 => "<<",
        3 => "<=",
        4 => ">>",
        5 => ">=",
        _ => return Err(unfit("opkg has no such relation")),
    };
    write!(out, " ({op} {})", dependency.version).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_real_feeds_round_trip() {
        for (text, written) in [
            (
                "libc, kernel (=5.15.137-1-4796f3), libubox20210516",
                "libc, kernel (= 5.15.137-1-4796f3), libubox20210516",
            ),
            ("a | b (>= 2) | c", "a | b (>= 2) | c"),
            ("a(<<1), b (<2),c ( > 3 ),d (>>4) , e (<= 1:2~3)", "a (<< 1), b (<= 2), c (>= 3), d (>> 4), e (<= 1:2~3)"),
            ("a *, b (>= 1)*", "a, b (>= 1)"),
            ("nginx-ssl-util (>=1.5-1) (<2), b", "nginx-ssl-util (>= 1.5-1), b"),
            ("", ""),
            (",", ""),
            ("libstdc++6, python3-base@x", "libstdc++6, python3-base@x"),
        ] {
            assert_eq!(join(&parse(text, 9).unwrap()).unwrap(), written, "{text}");
        }
    }

    #[test]
    fn broken_items_are_refused() {
        for bad in ["a b", "a (1)", "a (>= )", "a (>= 1", "a ||", "| a", "!a", "a (>= 1 2)", "a (>= 1) b", "(>= 1)"] {
            assert!(parse(bad, 9).is_err(), "{bad}");
        }
        assert!(parse("a, b | c", 2).is_err());
        assert!(names("a b c", 2).is_err());
    }

    #[test]
    fn provides_are_names_only() {
        assert_eq!(
            names("ca-certs, libfoo foo=1.2,,@bar-any", 9).unwrap(),
            ["ca-certs", "libfoo", "foo=1.2", "@bar-any"]
        );
        for bad in ["a (>= 1)", "a|b"] {
            assert!(names(bad, 9).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_only_apk_says_is_not_written() {
        for text in ["a~1", "a><Q1xx", "a@tag"] {
            let dependency: Dependency = text.parse().unwrap();
            assert!(join(&[dependency.into()]).is_err(), "{text}");
        }
    }
}
