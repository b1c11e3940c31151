//! Brings the bytes behind a URL into a file: plain paths, `file://`, `http://` and `https://`. Bounded in size, retries,
//! redirects and patience. Knows nothing of packages, and trusts nothing it brings.

mod http;
mod local;

use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::Url;
use xpkg_model::{Event, Observer};

use crate::error::{Error, Result};

/// How patient the transport is, and whether it may use the network at all.
#[derive(Clone, Debug)]
pub struct Options {
    /// Refuse `http` and `https`.
    pub no_network: bool,
    /// Use `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy` of the environment.
    pub proxies: bool,
    /// Further attempts after a failure that may pass, counted from the last one that brought something.
    pub retries: u32,
    /// Pause before the first further attempt; doubles each time, five seconds at most.
    pub backoff: Duration,
    /// Longest silence while connecting, waiting for an answer, or between two reads.
    pub timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            no_network: false,
            proxies: true,
            retries: 3,
            backoff: Duration::from_millis(300),
            timeout: Duration::from_secs(30),
        }
    }
}

/// What a server says to recognise a version of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Validators {
    /// `ETag`.
    pub etag: Option<String>,
    /// `Last-Modified`.
    pub last_modified: Option<String>,
}

impl Validators {
    /// Whether there is anything to ask with.
    pub fn is_empty(&self) -> bool {
        self.etag.is_none() && self.last_modified.is_none()
    }

    /// What `If-Range` may hold (RFC 9110, section 13.1.5): a strong entity tag, else the date.
    pub(crate) fn for_range(&self) -> Option<&str> {
        self.etag.as_deref().filter(|tag| !tag.starts_with("W/")).or(self.last_modified.as_deref())
    }
}

/// Is told which version of a file begins to arrive.
pub type VersionSink<'a> = &'a dyn Fn(&Validators);

/// One wish.
#[derive(Clone, Copy)]
pub struct Get<'a> {
    /// What to bring.
    pub url: &'a str,
    /// What to call it in events.
    pub name: &'a str,
    /// Most bytes.
    pub limit: u64,
    /// Exact bytes, where they are known.
    pub expected: Option<u64>,
    /// Bring it only if it differs from the version with these validators.
    pub known: Option<&'a Validators>,
    /// `dest` already holds the beginning of the version with these validators.
    pub resume: Option<&'a Validators>,
    /// Is told the version when its first bytes are about to come, so that a broken transfer can be resumed later.
    pub on_version: Option<VersionSink<'a>>,
}

impl<'a> Get<'a> {
    /// The whole file, whatever its version.
    pub fn new(url: &'a str, name: &'a str, limit: u64) -> Self {
        Self { url, name, limit, expected: None, known: None, resume: None, on_version: None }
    }
}

/// What became of a wish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Got {
    /// The known version is still the one.
    NotModified,
    /// `dest` holds the file.
    Whole {
        /// Its size.
        bytes: u64,
        /// How to recognise this version.
        validators: Validators,
    },
}

/// Brings files. One serves all threads; it connects to nothing before it is asked to.
#[derive(Debug)]
pub struct Transport {
    options: Options,
    http: http::Clients,
}

/// Where a URL leads.
#[derive(Debug)]
pub(crate) enum Location {
    Local(PathBuf),
    Http(Url),
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

impl Transport {
    /// A transport with these options.
    pub fn new(options: Options) -> Self {
        Self { options, http: http::Clients::default() }
    }

    /// Its options.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Fulfils one wish. `dest` is written from its start, or appended to when resuming; on failure it holds what came.
    pub fn get(&self, get: &Get<'_>, dest: &mut File, observer: &dyn Observer) -> Result<Got> {
        let location = locate(get.url)?;
        let transfer = Transfer { id: NEXT_ID.fetch_add(1, Ordering::Relaxed), observer };
        if let Location::Http(_) = location
            && self.options.no_network
        {
            return Err(Error::NoNetwork { url: shown(get.url) });
        }
        observer.event(Event::TransferStart { id: transfer.id, name: get.name.to_owned(), size: get.expected });
        let got = match location {
            Location::Local(path) => local::get(&path, get, dest, &transfer),
            Location::Http(url) => http::get(self, url, get, dest, &transfer),
        };
        observer.event(Event::TransferEnd { id: transfer.id });
        got
    }
}

/// Tells how far a transfer is.
pub(crate) struct Transfer<'a> {
    id: u64,
    observer: &'a dyn Observer,
}

impl Transfer<'_> {
    fn progress(&self, bytes: u64) {
        self.observer.event(Event::TransferProgress { id: self.id, bytes });
    }

    fn detail(&self, text: String) {
        self.observer.event(Event::Detail(text));
    }
}

/// Whether a URL can be used at all.
pub fn check_url(url: &str) -> Result<()> {
    locate(url).map(|_| ())
}

/// Whether a URL needs the network.
pub fn is_remote(url: &str) -> bool {
    matches!(locate(url), Ok(Location::Http(_)))
}

pub(crate) fn locate(url: &str) -> Result<Location> {
    let bad = |reason: &str| Error::BadUrl { url: shown(url), reason: reason.to_owned() };
    if url.len() > 4096 || url.chars().any(char::is_control) {
        return Err(bad("longer than 4096 bytes, or holds control characters"));
    }
    if url.starts_with('/') || url.starts_with("./") || url.starts_with("../") {
        return Ok(Location::Local(PathBuf::from(url)));
    }
    let parsed = Url::parse(url).map_err(|e| bad(&e.to_string()))?;
    match parsed.scheme() {
        "http" | "https" if parsed.has_host() => Ok(Location::Http(parsed)),
        "file" => parsed.to_file_path().map(Location::Local).map_err(|()| bad("names another machine")),
        other => Err(bad(&format!("`{other}` is neither a path nor file, http or https"))),
    }
}

/// A URL without its password, for messages.
pub fn shown(url: &str) -> String {
    match Url::parse(url) {
        Ok(mut parsed) if parsed.password().is_some() => {
            let _ = parsed.set_password(Some("***"));
            parsed.into()
        }
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_lead_somewhere_or_are_refused() {
        assert!(matches!(locate("/a/b c"), Ok(Location::Local(p)) if p.to_str() == Some("/a/b c")));
        assert!(matches!(locate("file:///a/b%20c"), Ok(Location::Local(p)) if p.to_str() == Some("/a/b c")));
        assert!(matches!(locate("https://h/x"), Ok(Location::Http(_))));
        for bad in ["ftp://h/x", "file://host/x", "nonsense", "", "http://"] {
            assert!(locate(bad).is_err(), "{bad}");
        }
        assert_eq!(shown("http://u:secret@h/x"), "http://u:***@h/x");
    }
}
