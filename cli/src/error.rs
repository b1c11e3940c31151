//! Errors for the person at the keyboard: `error:`, `caused by:`, `hint:`.

use std::error::Error;
use std::fmt;

use serde_json::json;

use crate::terminal;

/// What ends a command.
#[derive(Debug)]
pub enum Failure {
    /// It failed or was refused.
    Pipeline(Box<xpkg_pipeline::Error>),
    /// It was called wrongly.
    Usage(String),
    /// The question was answered with no, or there was nobody to ask.
    Declined,
}

impl Failure {
    pub fn usage(text: impl fmt::Display) -> Self {
        Self::Usage(text.to_string())
    }

    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Pipeline(_) | Self::Declined => 1,
            Self::Usage(_) => 2,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Pipeline(error) => error.hint(),
            Self::Usage(_) => Some("`xpkg help` shows the commands and their options".to_owned()),
            Self::Declined => Some("nothing was changed; `--yes` answers the question in advance".to_owned()),
        }
    }
}

impl From<xpkg_pipeline::Error> for Failure {
    fn from(error: xpkg_pipeline::Error) -> Self {
        Self::Pipeline(Box::new(error))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pipeline(error) => error.fmt(f),
            Self::Usage(text) => f.write_str(text),
            Self::Declined => f.write_str("not confirmed"),
        }
    }
}

/// Prints it: for people on standard error, as JSON on standard output.
pub fn report(failure: &Failure, json: bool) {
    let causes = causes(failure);
    if json {
        let mut body = json!({ "error": failure.to_string(), "causes": causes, "hint": failure.hint() });
        if let Failure::Pipeline(error) = failure
            && let (Some(reasons), Some(object)) =
                (error.reasons().and_then(|r| serde_json::to_value(r).ok()), body.as_object_mut())
        {
            object.insert("reasons".into(), reasons);
        }
        terminal::json("error", body);
        return;
    }
    eprintln!("error: {}", terminal::shown(&failure.to_string()));
    for cause in causes {
        eprintln!("caused by: {}", terminal::shown(&cause));
    }
    if let Some(hint) = failure.hint() {
        eprintln!("hint: {}", terminal::shown(&hint));
    }
}

fn causes(failure: &Failure) -> Vec<String> {
    let Failure::Pipeline(error) = failure else { return Vec::new() };
    let mut causes: Vec<String> = Vec::new();
    let mut source = error.source();
    let mut last = failure.to_string();
    while let Some(cause) = source {
        let text = cause.to_string();
        // A transparent wrapper says the same words again.
        if !last.contains(&text) {
            causes.push(text.clone());
            last = text;
        }
        source = cause.source();
    }
    causes
}
