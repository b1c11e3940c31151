//! Lines of passwd, group and shadow: fields between colons, the name first. Changes one line and no byte of another; reads
//! and writes no file.

/// One character per byte: files may hold what is no UTF-8.
pub(super) fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// The way back; characters beyond one byte came from a caller and are written as UTF-8.
pub(super) fn bytes(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for c in text.chars() {
        match u8::try_from(u32::from(c)) {
            Ok(byte) => out.push(byte),
            Err(_) => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out
}

/// The first line of a name.
pub(super) fn line_of<'a>(file: &'a str, name: &str) -> Option<&'a str> {
    file.lines().find(|line| line.split(':').next() == Some(name))
}

/// Adds a line at the end.
pub(super) fn push(file: &mut String, line: &str) {
    if !file.is_empty() && !file.ends_with('\n') {
        file.push('\n');
    }
    file.push_str(line);
    file.push('\n');
}

/// Gives the first line of a name another text, or takes it away.
pub(super) fn replace(file: &mut String, name: &str, new: Option<&str>) {
    let mut out = String::with_capacity(file.len());
    let mut done = false;
    for line in file.split_inclusive('\n') {
        let body = line.strip_suffix('\n').unwrap_or(line);
        if done || body.split(':').next() != Some(name) {
            out.push_str(line);
            continue;
        }
        done = true;
        if let Some(new) = new {
            out.push_str(new);
            out.push_str(line.get(body.len()..).unwrap_or_default());
        }
    }
    *file = out;
}
