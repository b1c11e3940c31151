//! The words of a line: three, each quoted or not, and a fourth that is not. Knows no directives.

/// Splits a line; missing words are empty. `None` when a fifth follows.
pub(super) fn words(line: &str) -> Option<([String; 3], Option<String>)> {
    let mut rest = line.trim();
    let mut out = [String::new(), String::new(), String::new()];
    for word in &mut out {
        let (taken, left) = word_of(rest);
        taken.clone_into(word);
        rest = left.trim_start();
    }
    match rest.split_ascii_whitespace().collect::<Vec<_>>().as_slice() {
        [] => Some((out, None)),
        [extra] => Some((out, Some((*extra).to_owned()))),
        _ => None,
    }
}

/// The first word and what follows it. A quotation mark counts only at the start, and only when there is another.
fn word_of(text: &str) -> (&str, &str) {
    if let Some((quoted, rest)) = text.strip_prefix('"').and_then(|rest| rest.split_once('"')) {
        return (quoted, rest);
    }
    text.split_at(text.find(char::is_whitespace).unwrap_or(text.len()))
}

/// A word that is read again as it is.
pub(super) fn quoted(word: &str) -> String {
    if word.is_empty() || word.contains(char::is_whitespace) { format!("\"{word}\"") } else { word.to_owned() }
}
