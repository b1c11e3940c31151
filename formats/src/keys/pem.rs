//! The text armour around keys. Reads the first block and skips what stands before it; OpenWrt writes a comment line there.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Key files are a few hundred bytes; nothing larger is looked at.
pub(super) const MAX_KEY_FILE: usize = 64 << 10;

/// The first block's label and content.
pub(super) fn decode(text: &str) -> Option<(&str, Vec<u8>)> {
    let (_, rest) = text.split_once("-----BEGIN ")?;
    let (label, rest) = rest.split_once("-----")?;
    let (body, end) = rest.split_once("-----END ")?;
    if !end.starts_with(label) {
        return None;
    }
    let body: String = body.split_ascii_whitespace().collect();
    Some((label, STANDARD.decode(body).ok()?))
}

/// A block with that label.
pub(super) fn encode(label: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let mut out = format!("-----BEGIN {label}-----\n");
    for (i, c) in body.chars().enumerate() {
        if i > 0 && i % 64 == 0 {
            out.push('\n');
        }
        out.push(c);
    }
    out.push_str(&format!("\n-----END {label}-----\n"));
    out
}
