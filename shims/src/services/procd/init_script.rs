//! What the text of an init script for OpenWrt's rc.common says by itself. Reading is all that happens: what a script does
//! is only known when it runs.

/// Longest text that is looked at.
const MAX_TEXT: usize = 1 << 20;

/// The facts of one script.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InitScript {
    /// Its number in the start order, as it is written: `19`, `05`. Without one it is never started by itself.
    pub start: Option<String>,
    /// Its number in the order of stopping.
    pub stop: Option<String>,
    /// Whether it hands its programs to procd.
    pub uses_procd: bool,
}

impl InitScript {
    /// Reads a script; `None` when it is none of rc.common's.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(text.get(..MAX_TEXT).unwrap_or(text));
        let mut lines = text.lines();
        let first = lines.next()?.strip_prefix("#!")?;
        first.split_ascii_whitespace().any(|word| word == "/etc/rc.common").then_some(())?;
        let mut script = Self::default();
        for line in lines {
            // Indented lines belong to functions, which run after the numbers were taken.
            let Some((name, value)) = line.split_once('=') else { continue };
            match name {
                "START" => script.start = number(value),
                "STOP" => script.stop = number(value),
                "USE_PROCD" => script.uses_procd = !value.trim_start().is_empty(),
                _ => {}
            }
        }
        Some(script)
    }

    /// The links in the directory of the start order that make it start and stop: names and targets.
    pub fn links(&self, name: &str) -> Vec<(String, String)> {
        let link = |letter: char, number: &String| (format!("{letter}{number}{name}"), format!("../init.d/{name}"));
        let start = self.start.iter().map(|number| link('S', number));
        start.chain(self.stop.iter().map(|number| link('K', number))).collect()
    }
}

/// One to three digits, quoted or not, with a comment behind them or not.
fn number(value: &str) -> Option<String> {
    let word = value.split([' ', '\t', '#', ';']).next()?.trim_matches(['"', '\'']);
    let plain = (1..=3).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| word.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_of_scripts() {
        let facts = |text: &str| InitScript::parse(text.as_bytes());
        let dropbear =
            "#!/bin/sh /etc/rc.common\n# x\nSTART=19\nSTOP='50' # late\n\nUSE_PROCD=1\nstart() {\n\tSTART=3\n}\n";
        let script = facts(dropbear).unwrap();
        assert_eq!(
            (script.start.as_deref(), script.stop.as_deref(), script.uses_procd),
            (Some("19"), Some("50"), true)
        );
        let links = script.links("dropbear");
        assert_eq!(links[0], ("S19dropbear".to_owned(), "../init.d/dropbear".to_owned()));
        assert_eq!(links[1].0, "K50dropbear");
        for (text, start) in [("START=05", Some("05")), ("START=", None), ("START=$(id)", None), ("START=1234", None)] {
            let found = facts(&format!("#!/bin/sh /etc/rc.common\n{text}\n")).unwrap();
            assert_eq!(found.start.as_deref(), start, "{text}");
        }
        assert_eq!(facts("#!/sbin/openrc-run\nSTART=1\n"), None);
        assert_eq!(facts(""), None);
        assert_eq!(InitScript::parse(b"\x7fELF\xff\xfe"), None);
    }
}
