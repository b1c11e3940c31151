//! opkg's options by the rules of getopt_long_only(3): anywhere on the line until `--`, with one dash or two, values
//! behind `=` or as the next word, long names shortened as long as they stay clear.

use std::time::{SystemTime, UNIX_EPOCH};

use xpkg_pipeline::front::opkg::Options;

/// A command line taken apart.
pub struct Parsed {
    pub options: Options,
    pub verb: Option<String>,
    pub arguments: Vec<String>,
}

/// Why there is nothing to do.
pub enum Refused {
    /// `-v`: the version was asked for.
    Version,
    /// What getopt would say.
    Bad(String),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    Nothing,
    Value,
    Maybe,
}

/// Long names, whether they take a value, and what they stand for: a letter, or a switch of the configuration.
const LONG: [(&str, Takes, &str); 50] = [
    ("query-all", Takes::Nothing, "A"),
    ("autoremove", Takes::Nothing, "autoremove"),
    ("cache", Takes::Value, "cache"),
    ("conf-file", Takes::Value, "f"),
    ("conf", Takes::Value, "f"),
    ("dest", Takes::Value, "d"),
    ("force-maintainer", Takes::Nothing, "force_maintainer"),
    ("force_maintainer", Takes::Nothing, "force_maintainer"),
    ("force-depends", Takes::Nothing, "force_depends"),
    ("force_depends", Takes::Nothing, "force_depends"),
    ("force-overwrite", Takes::Nothing, "force_overwrite"),
    ("force_overwrite", Takes::Nothing, "force_overwrite"),
    ("force_downgrade", Takes::Nothing, "force_downgrade"),
    ("force-downgrade", Takes::Nothing, "force_downgrade"),
    ("force-reinstall", Takes::Nothing, "force_reinstall"),
    ("force_reinstall", Takes::Nothing, "force_reinstall"),
    ("force-space", Takes::Nothing, "force_space"),
    ("force_space", Takes::Nothing, "force_space"),
    ("recursive", Takes::Nothing, "force_removal_of_dependent_packages"),
    ("force-removal-of-dependent-packages", Takes::Nothing, "force_removal_of_dependent_packages"),
    ("force_removal_of_dependent_packages", Takes::Nothing, "force_removal_of_dependent_packages"),
    ("force-removal-of-essential-packages", Takes::Nothing, "force_removal_of_essential_packages"),
    ("force_removal_of_essential_packages", Takes::Nothing, "force_removal_of_essential_packages"),
    ("force-postinstall", Takes::Nothing, "force_postinstall"),
    ("force_postinstall", Takes::Nothing, "force_postinstall"),
    ("force-remove", Takes::Nothing, "force_remove"),
    ("force_remove", Takes::Nothing, "force_remove"),
    ("force-checksum", Takes::Nothing, "force_checksum"),
    ("force_checksum", Takes::Nothing, "force_checksum"),
    ("force-signature", Takes::Nothing, "force_signature"),
    ("force_signature", Takes::Nothing, "force_signature"),
    ("no-check-certificate", Takes::Nothing, "no_check_certificate"),
    ("no_check_certificate", Takes::Nothing, "no_check_certificate"),
    ("noaction", Takes::Nothing, "noaction"),
    ("download-only", Takes::Nothing, "download_only"),
    ("nodeps", Takes::Nothing, "nodeps"),
    ("nocase", Takes::Nothing, "nocase"),
    ("offline", Takes::Value, "o"),
    ("offline-root", Takes::Value, "o"),
    ("add-arch", Takes::Value, "add-arch"),
    ("add-dest", Takes::Value, "add-dest"),
    ("size", Takes::Nothing, "size"),
    ("test", Takes::Nothing, "noaction"),
    ("tmp-dir", Takes::Value, "t"),
    ("tmp_dir", Takes::Value, "t"),
    ("lists-dir", Takes::Value, "l"),
    ("lists_dir", Takes::Value, "l"),
    ("verbosity", Takes::Maybe, "V"),
    ("version", Takes::Nothing, "v"),
    ("volatile-cache", Takes::Nothing, "volatile_cache"),
];

/// Letters, and whether they take a value. `n` and `p` are taken and have no effect, as in opkg.
const LETTERS: [(char, Takes); 11] = [
    ('A', Takes::Nothing),
    ('d', Takes::Value),
    ('f', Takes::Value),
    ('i', Takes::Nothing),
    ('n', Takes::Nothing),
    ('o', Takes::Value),
    ('p', Takes::Value),
    ('l', Takes::Value),
    ('t', Takes::Value),
    ('v', Takes::Nothing),
    ('V', Takes::Maybe),
];

/// Takes a command line apart.
pub fn parse(words: Vec<String>) -> Result<Parsed, Refused> {
    let mut options = Options { now: now(), offline_root: std::env::var("OFFLINE_ROOT").ok(), ..Options::default() };
    let mut plain = Vec::new();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        if word == "--" {
            plain.extend(words.by_ref());
        } else if let Some(name) = word.strip_prefix('-').filter(|name| !name.is_empty()) {
            option(&mut options, &word, name, &mut words)?;
        } else {
            plain.push(word);
        }
    }
    let mut plain = plain.into_iter();
    Ok(Parsed { options, verb: plain.next(), arguments: plain.collect() })
}

fn option(
    options: &mut Options,
    word: &str,
    name: &str,
    words: &mut dyn Iterator<Item = String>,
) -> Result<(), Refused> {
    let double = name.strip_prefix('-');
    let long = double.unwrap_or(name);
    let (key, value) = long.split_once('=').map_or((long, None), |(key, value)| (key, Some(value.to_owned())));
    // With one dash, letters win over long names that only begin so.
    let letter = name.chars().next().and_then(|c| LETTERS.iter().find(|(l, _)| *l == c));
    if double.is_none() && !LONG.iter().any(|(l, ..)| *l == key) && letter.is_some() {
        return letters(options, name, words);
    }
    let exact = LONG.iter().find(|(l, ..)| *l == key);
    let begun: Vec<_> = LONG.iter().filter(|(l, ..)| l.starts_with(key)).collect();
    let clear = begun.first().filter(|first| begun.iter().all(|(.., means)| *means == first.2)).copied();
    let Some((found, takes, means)) = exact.or(clear) else {
        let shown = long;
        let what = if begun.is_empty() { "unrecognized option" } else { "option is ambiguous" };
        return Err(Refused::Bad(format!("{what}: {shown}")));
    };
    let value = match takes {
        Takes::Nothing if value.is_some() => {
            return Err(Refused::Bad(format!("option does not take an argument: {found}")));
        }
        Takes::Value if value.is_none() => {
            Some(words.next().ok_or_else(|| Refused::Bad(format!("option requires an argument: {found}")))?)
        }
        _ => value,
    };
    let _ = word;
    apply(options, means, value)
}

/// Letters behind one dash, the last of which may have a value.
fn letters(options: &mut Options, text: &str, words: &mut dyn Iterator<Item = String>) -> Result<(), Refused> {
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
        let Some((_, takes)) = LETTERS.iter().find(|(letter, _)| *letter == c) else {
            return Err(Refused::Bad(format!("unrecognized option: {c}")));
        };
        let glued = (!rest.is_empty()).then(|| rest.to_owned());
        let value = match takes {
            Takes::Nothing => None,
            Takes::Maybe => glued,
            Takes::Value => {
                let value = glued.or_else(|| words.next());
                Some(value.ok_or_else(|| Refused::Bad(format!("option requires an argument: {c}")))?)
            }
        };
        apply(options, &c.to_string(), value)?;
        if *takes != Takes::Nothing {
            return Ok(());
        }
    }
    Ok(())
}

fn apply(options: &mut Options, means: &str, value: Option<String>) -> Result<(), Refused> {
    match means {
        "A" => options.query_all = true,
        "d" => options.dest = value,
        "f" => options.conf_file = value,
        "i" => _ = options.switches.insert("nocase"),
        "n" | "p" => {}
        "o" => options.offline_root = value,
        "t" => options.tmp_dir = value,
        "l" => options.lists_dir = value,
        "v" => return Err(Refused::Version),
        "V" => options.verbosity = Some(value.map_or(2, |v| v.parse().unwrap_or(0))),
        "cache" => options.cache = value,
        "size" => options.size = true,
        "add-arch" | "add-dest" => {
            let value = value.unwrap_or_default();
            if let Some((name, what)) =
                value.split_once(':').filter(|(name, what)| !name.is_empty() && !what.is_empty())
            {
                let list = if means == "add-arch" { &mut options.add_arch } else { &mut options.add_dest };
                list.push((name.to_owned(), what.to_owned()));
            }
        }
        switch => {
            if let Some((.., switch)) = LONG.iter().find(|(.., means)| *means == switch) {
                options.switches.insert(switch);
            }
        }
    }
    Ok(())
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}
