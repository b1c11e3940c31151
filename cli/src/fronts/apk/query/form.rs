//! The three forms of an answer: text for people, JSON, YAML. Knows no package.

use super::fields::Value;

/// A form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Form {
    /// `Key: value`
    Default,
    /// JSON, one value a line.
    Json,
    /// YAML.
    Yaml,
}

/// A package's fields.
type Item = Vec<(&'static str, Value)>;

/// Longest text that YAML has on the line of its key.
const LONG: usize = 80;

impl Form {
    /// The form that an option names.
    pub fn of(name: Option<&str>) -> Result<Self, String> {
        match name {
            None | Some("default") => Ok(Self::Default),
            Some("json") => Ok(Self::Json),
            Some("yaml") => Ok(Self::Yaml),
            Some(other) => Err(other.to_owned()),
        }
    }

    /// Hands over the lines of an answer.
    pub fn print(self, items: &[Item], line: &mut dyn FnMut(&str)) {
        match self {
            Self::Default => default(items, line),
            Self::Json => json(items, line),
            Self::Yaml => yaml(items, line),
        }
    }
}

fn default(items: &[Item], line: &mut dyn FnMut(&str)) {
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            line("");
        }
        for (field, value) in item {
            let label = label(field);
            match value {
                Value::Text(text) => line(&format!("{label}: {text}")),
                Value::Number(number) => line(&format!("{label}: {number}")),
                Value::Words(words) | Value::Gathered(words) => {
                    line(format!("{label}: {}", words.join(" ")).trim_end());
                }
                Value::Lines(lines) => {
                    line(&format!("{label}:"));
                    lines.iter().for_each(|l| line(&format!("  {l}")));
                }
            }
        }
    }
}

/// `installed-size` → `Installed-Size`, `url` → `URL`.
fn label(field: &str) -> String {
    let word = |word: &str| {
        if word == "url" {
            return "URL".to_owned();
        }
        let mut chars = word.chars();
        chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
    };
    field.split('-').map(word).collect::<Vec<_>>().join("-")
}

fn json(items: &[Item], line: &mut dyn FnMut(&str)) {
    line("[");
    for (i, item) in items.iter().enumerate() {
        line(if i == 0 { "  {" } else { "  }, {" });
        for (n, (field, value)) in item.iter().enumerate() {
            let comma = if n + 1 < item.len() { "," } else { "" };
            match value {
                Value::Text(text) => line(&format!("    \"{field}\": {}{comma}", quoted(text))),
                Value::Number(number) => line(&format!("    \"{field}\": {number}{comma}")),
                Value::Words(words) | Value::Gathered(words) | Value::Lines(words) => {
                    line(&format!("    \"{field}\": ["));
                    for (w, word) in words.iter().enumerate() {
                        let comma = if w + 1 < words.len() { "," } else { "" };
                        line(&format!("      {}{comma}", quoted(word)));
                    }
                    line(&format!("    ]{comma}"));
                }
            }
        }
    }
    if !items.is_empty() {
        line("  }");
    }
    line("]");
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

fn yaml(items: &[Item], line: &mut dyn FnMut(&str)) {
    line(&format!("# {} items", items.len()));
    for item in items {
        for (n, (field, value)) in item.iter().enumerate() {
            let lead = if n == 0 { "- " } else { "  " };
            match value {
                Value::Text(text) if text.len() > LONG || text.contains('\n') => {
                    line(&format!("{lead}{field}: |"));
                    text.lines().for_each(|l| line(&format!("    {l}")));
                }
                Value::Text(text) => line(&format!("{lead}{field}: {text}")),
                Value::Number(number) => line(&format!("{lead}{field}: {number}")),
                Value::Words(words) => {
                    line(&format!("{lead}{field}: # {} items", words.len()));
                    words.iter().for_each(|w| line(&format!("    - {w}")));
                }
                Value::Gathered(words) | Value::Lines(words) => {
                    line(&format!("{lead}{field}:"));
                    words.iter().for_each(|w| line(&format!("    - {w}")));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(form: Form, items: &[Item]) -> Vec<String> {
        let mut lines = Vec::new();
        form.print(items, &mut |line| lines.push(line.to_owned()));
        lines
    }

    #[test]
    fn every_form_has_apks_shape() {
        let item: Item = vec![
            ("name", Value::Text("a\"b".to_owned())),
            ("file-size", Value::Number(7)),
            ("depends", Value::Words(vec!["x".to_owned(), "y".to_owned()])),
            ("reverse-depends", Value::Gathered(Vec::new())),
            ("contents", Value::Lines(vec!["p".to_owned()])),
        ];
        let items = [item.clone(), vec![("name", Value::Text("z".to_owned()))]];
        assert_eq!(
            lines(Form::Default, &items),
            ["Name: a\"b", "File-Size: 7", "Depends: x y", "Reverse-Depends:", "Contents:", "  p", "", "Name: z"]
        );
        let text = lines(Form::Json, &items).join("\n");
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read[0]["depends"][1], "y");
        assert!(text.contains("  }, {\n    \"name\": \"z\"\n  }\n]"), "{text}");
        assert_eq!(lines(Form::Json, &[]), ["[", "]"]);
        let yaml = lines(Form::Yaml, &[item]);
        assert_eq!(yaml[..4], ["# 1 items", "- name: a\"b", "  file-size: 7", "  depends: # 2 items"]);
    }
}
