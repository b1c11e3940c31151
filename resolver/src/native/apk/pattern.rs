//! Shell patterns in arguments, as fnmatch(3) matches them. Never looks at files.

/// fnmatch(3) with `*`, `?` and `[…]`, without flags.
pub(super) fn glob(pattern: &str, text: &str) -> bool {
    fn matches(p: &[u8], t: &[u8]) -> bool {
        let (mut p, mut t) = (p, t);
        let mut back: Option<(&[u8], &[u8])> = None;
        loop {
            let step = match (p.split_first(), t.split_first()) {
                (None, None) => return true,
                (Some((b'*', rest)), _) => {
                    back = Some((rest, t));
                    p = rest;
                    continue;
                }
                (Some((b'?', p_rest)), Some((_, t_rest))) => Some((p_rest, t_rest)),
                (Some((b'[', p_rest)), Some((c, t_rest))) => class(p_rest, *c).map(|rest| (rest, t_rest)),
                (Some((a, p_rest)), Some((b, t_rest))) if a == b => Some((p_rest, t_rest)),
                _ => None,
            };
            match (step, back) {
                (Some((p_rest, t_rest)), _) => (p, t) = (p_rest, t_rest),
                (None, Some((p_star, t_star))) => match t_star.split_first() {
                    Some((_, rest)) => {
                        back = Some((p_star, rest));
                        (p, t) = (p_star, rest);
                    }
                    None => return false,
                },
                (None, None) => return false,
            }
        }
    }
    matches(pattern.as_bytes(), text.as_bytes())
}

/// A bracket expression after its `[`: what follows it when the byte is in it.
fn class(pattern: &[u8], byte: u8) -> Option<&[u8]> {
    let negated = pattern.first().is_some_and(|c| *c == b'!' || *c == b'^');
    let body = if negated { pattern.get(1..)? } else { pattern };
    let end = 1 + body.get(1..)?.iter().position(|c| *c == b']')?;
    let (set, rest) = (body.get(..end)?, body.get(end + 1..)?);
    let mut hit = false;
    let mut at = 0;
    while let Some(&low) = set.get(at) {
        match (set.get(at + 1), set.get(at + 2)) {
            (Some(b'-'), Some(&high)) => {
                hit |= (low..=high).contains(&byte);
                at += 3;
            }
            _ => {
                hit |= low == byte;
                at += 1;
            }
        }
    }
    (hit != negated).then_some(rest)
}
