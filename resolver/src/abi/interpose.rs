//! Two libraries of one process that give the same names: the first loaded wins for everyone, which is only sound when
//! they are the same code. Warnings only, and only where it tells something.

use std::cmp::Ordering;

use xpkg_model::elf::ElfFacts;
use xpkg_model::verdict::Severity;

use super::Report;
use super::closure::{Closure, Object};

/// How many names must coincide before two different libraries are worth a word. A handful is normal: `_init`, `main`,
/// `xmalloc`, copies of small sources.
const MANY: usize = 16;

/// Names that every toolchain puts into libraries.
const TOOLCHAIN: [&str; 4] = ["_init", "_fini", "__bss_start", "_end"];

/// Libraries that share their names with others on purpose (unwinder, helper functions of the compiler).
const COMPILER: [&str; 5] = ["libgcc_s.", "libatomic.", "libstdc++.", "libssp", "libunwind."];

/// Whether two objects come from different worlds, or are two versions of one library.
fn worth_comparing(a: &Object, b: &Object) -> Option<&'static str> {
    let (name_a, name_b) = (name(a), name(b));
    if COMPILER.iter().any(|c| name_a.starts_with(c) || name_b.starts_with(c)) {
        return None;
    }
    let (stem_a, stem_b) = (stem(name_a), stem(name_b));
    if !stem_a.is_empty() && stem_a == stem_b {
        return Some("two-versions");
    }
    let world = |o: &Object| o.owner.as_ref().and_then(super::Owner::ecosystem);
    (a.owner != b.owner && world(a) != world(b)).then_some("duplicate-names")
}

/// Looks through all pairs. `count` may be remembered by the caller, by the two paths.
pub(super) fn warn(report: &mut Report, closure: &Closure, count: &dyn Fn(&Object, &Object) -> usize) {
    let libraries = closure.objects.get(1..).unwrap_or_default();
    for (i, a) in libraries.iter().enumerate() {
        for b in libraries.iter().skip(i + 1) {
            let Some(code) = worth_comparing(a, b) else { continue };
            let same = count(a, b);
            let smaller = a.facts.exports.len().min(b.facts.exports.len());
            if same >= MANY && same * 4 >= smaller {
                let detail = format!(
                    "{} and {} are both loaded and {same} names are in both; {} wins for all of them",
                    a.path,
                    b.path,
                    name(a)
                );
                report.find(Severity::Warning, code, &b.path, name(b), detail);
            }
        }
    }
}

/// How many strong names both give.
pub(super) fn overlap(a: &ElfFacts, b: &ElfFacts) -> usize {
    let strong = |facts: &'_ ElfFacts, i: usize| {
        facts.exports.get(i).is_some_and(|e| !e.weak && !TOOLCHAIN.contains(&e.name.as_str()))
    };
    let (mut i, mut j, mut same) = (0, 0, 0);
    while let (Some(x), Some(y)) = (a.exports.get(i), b.exports.get(j)) {
        match x.name.cmp(&y.name) {
            Ordering::Less => i += 1,
            Ordering::Greater => j += 1,
            Ordering::Equal => {
                same += usize::from(strong(a, i) && strong(b, j));
                i += 1;
                j += 1;
            }
        }
    }
    same
}

fn name(object: &Object) -> &str {
    object.facts.soname.as_deref().unwrap_or_else(|| object.path.rsplit('/').next().unwrap_or_default())
}

/// `libfoo` of `libfoo.so.1`, `libfoo-1.2.so`.
fn stem(soname: &str) -> &str {
    let base = soname.split(".so").next().unwrap_or(soname);
    base.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.').trim_end_matches('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stems() {
        assert_eq!(stem("libssl.so.1.1"), "libssl");
        assert_eq!(stem("libevent-2.1.so.7"), "libevent");
        assert_eq!(stem("libubox.so.20260213"), "libubox");
        assert_ne!(stem("libncurses.so.6"), stem("libncursesw.so.6"));
    }
}
