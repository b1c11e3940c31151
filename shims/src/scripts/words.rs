//! The words of a script in the place of commands: which tools it calls. A scan of text, no shell: it may miss what is put
//! together at run time and may name what is never reached. Runs nothing.

use std::collections::BTreeSet;

/// How many tools one script's notes name.
const MAX_TOOLS: usize = 64;

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
    // A line that ends in a backslash goes on.
    let script = super::cut(script).replace("\\\n", " ");
    for line in script.lines() {
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
    use super::*;

    #[test]
    fn words_in_the_place_of_commands() {
        let text = "f() { mv a b; }\nif grep -q x /etc/passwd; then A=1 sed -i s/a/b/ x | sort; fi\n\
            case \"$1\" in\n  install|upgrade) /usr/sbin/update-x \"$(dirname y)\" ;;\nesac\nf # awk\n\
            tr a \\\n  /etc/x b\ncat <<EOF\nperl in text\nEOF\necho \"rm no\"; [ -e z ] && ln -s z 'w v'\n$tool x\n";
        assert_eq!(needs(text), ["/usr/sbin/update-x", "cat", "dirname", "grep", "ln", "mv", "sed", "sort", "tr"]);
    }
}
