//! HTTP: conditional requests, resumed transfers, bounded retries and redirects. Redirects are followed here and not by
//! the library, so that each hop is judged: never from https to http, never to another scheme.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::sync::OnceLock;
use std::time::Duration;

use reqwest::blocking::{Client, Response};
use reqwest::header::{
    ACCEPT_ENCODING, CONTENT_RANGE, ETAG, HeaderMap, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, LAST_MODIFIED,
    LOCATION, RANGE,
};
use reqwest::{StatusCode, Url, redirect};

use super::{Get, Got, Options, Transfer, Transport, Validators, shown};
use crate::error::{Error, Result};

/// Hops; browsers follow 20, mirrors need two or three.
const MAX_REDIRECTS: usize = 8;
/// Attempts in all, those that brought something included.
const MAX_ATTEMPTS: u32 = 64;
/// Longest pause between two attempts.
const MAX_BACKOFF: Duration = Duration::from_secs(5);
/// Bytes moved at once.
const CHUNK: usize = 32 * 1024;

/// One client for http, which loads no certificates (memory, and hosts that have none), one for https.
#[derive(Debug, Default)]
pub(super) struct Clients {
    plain: OnceLock<Result<Client, String>>,
    tls: OnceLock<Result<Client, String>>,
}

impl Clients {
    fn for_url(&self, url: &Url, options: &Options) -> Result<&Client> {
        let tls = url.scheme() == "https";
        let cell = if tls { &self.tls } else { &self.plain };
        let client = cell.get_or_init(|| {
            let mut builder = Client::builder()
                .user_agent(concat!("xpkg/", env!("CARGO_PKG_VERSION")))
                .redirect(redirect::Policy::none())
                .timeout(options.timeout)
                .connect_timeout(options.timeout)
                .pool_max_idle_per_host(4)
                .tls_built_in_root_certs(tls);
            if !options.proxies {
                builder = builder.no_proxy();
            }
            builder.build().map_err(|e| causes(&e))
        });
        client.as_ref().map_err(|reason| Error::Network { url: shown(url.as_str()), reason: reason.clone() })
    }
}

/// How one attempt failed.
enum Failure {
    /// May pass: try again.
    Passing(String),
    /// Will not.
    Final(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Final(error)
    }
}

/// What `dest` holds so far.
struct Progress {
    have: u64,
    version: Validators,
}

pub(super) fn get(
    transport: &Transport,
    url: Url,
    get: &Get<'_>,
    dest: &mut File,
    transfer: &Transfer<'_>,
) -> Result<Got> {
    let broken = |e| Error::Io { what: format!("cannot write what {} gives", shown(get.url)), source: e };
    let mut progress = match get.resume {
        Some(version) if version.for_range().is_some() => {
            Progress { have: dest.seek(SeekFrom::End(0)).map_err(broken)?, version: version.clone() }
        }
        _ => Progress { have: 0, version: Validators::default() },
    };
    // A beginning that is already too long begins something else.
    if progress.have >= get.limit.min(get.expected.unwrap_or(u64::MAX)) {
        progress.have = 0;
    }
    let options = &transport.options;
    let mut idle = 0;
    for _ in 0..MAX_ATTEMPTS {
        let before = progress.have;
        let failed = match attempt_once(transport, &url, get, dest, &mut progress, transfer) {
            Ok(got) => return Ok(got),
            Err(Failure::Final(error)) => return Err(error),
            Err(Failure::Passing(reason)) => reason,
        };
        // A line that drops every few megabytes still brings a large file.
        idle = if progress.have > before { 0 } else { idle + 1 };
        if idle > options.retries {
            return Err(Error::Network { url: shown(get.url), reason: failed });
        }
        transfer.detail(format!("{}: {failed}; trying again", shown(get.url)));
        #[allow(clippy::disallowed_methods, reason = "the bounded pause between two attempts")]
        std::thread::sleep(options.backoff.saturating_mul(1 << idle.saturating_sub(1).min(16)).min(MAX_BACKOFF));
    }
    Err(Error::Network { url: shown(get.url), reason: format!("broken off {MAX_ATTEMPTS} times") })
}

fn attempt_once(
    transport: &Transport,
    url: &Url,
    get: &Get<'_>,
    dest: &mut File,
    progress: &mut Progress,
    transfer: &Transfer<'_>,
) -> Result<Got, Failure> {
    let response = ask(transport, url, get, progress)?;
    let status = response.status();
    let headers = response.headers();
    match status {
        StatusCode::NOT_MODIFIED if get.known.is_some() => return Ok(Got::NotModified),
        StatusCode::NOT_FOUND | StatusCode::GONE => return Err(Error::NotFound { url: shown(get.url) }.into()),
        StatusCode::PARTIAL_CONTENT if progress.have > 0 => {
            if range_start(headers) != Some(progress.have) {
                progress.have = 0;
                return Err(Failure::Passing("the server resumed at another place".into()));
            }
        }
        StatusCode::OK => {
            progress.have = 0;
            progress.version = validators(headers);
            if let Some(note) = get.on_version {
                note(&progress.version);
            }
        }
        StatusCode::RANGE_NOT_SATISFIABLE if progress.have > 0 => {
            progress.have = 0;
            return Err(Failure::Passing("the server has less than what came before".into()));
        }
        _ if status.is_server_error() || matches!(status.as_u16(), 408 | 429) => {
            return Err(Failure::Passing(format!("the server answered {status}")));
        }
        _ => return Err(Error::Status { url: shown(get.url), status: status.as_u16() }.into()),
    }
    receive(response, get, dest, progress, transfer)
}

fn receive(
    mut response: Response,
    get: &Get<'_>,
    dest: &mut File,
    progress: &mut Progress,
    transfer: &Transfer<'_>,
) -> Result<Got, Failure> {
    let cannot_write = |source: io::Error| {
        let path = std::path::PathBuf::from(get.name);
        Failure::Final(Error::io("write", &path, source))
    };
    if let Some(length) = response.content_length() {
        check(get, progress.have.saturating_add(length), true)?;
    }
    dest.set_len(progress.have).and_then(|()| dest.seek(SeekFrom::Start(progress.have))).map_err(cannot_write)?;
    let mut buffer = vec![0; CHUNK];
    loop {
        let n = match response.read(&mut buffer) {
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => {
                // Without a validator nothing says that the rest would belong to this beginning.
                if progress.version.for_range().is_none() {
                    progress.have = 0;
                }
                return Err(Failure::Passing(causes(&e)));
            }
        };
        let Some(chunk) = buffer.get(..n).filter(|c| !c.is_empty()) else { break };
        check(get, progress.have + n as u64, false)?;
        dest.write_all(chunk).map_err(cannot_write)?;
        progress.have += n as u64;
        transfer.progress(progress.have);
    }
    check(get, progress.have, true)?;
    Ok(Got::Whole { bytes: progress.have, validators: progress.version.clone() })
}

/// Compares a size, final or so far, with what was promised and with the bound.
fn check(get: &Get<'_>, bytes: u64, is_final: bool) -> Result<()> {
    match get.expected {
        Some(expected) if bytes > expected || (is_final && bytes != expected) => {
            Err(Error::Size { url: shown(get.url), expected, found: bytes })
        }
        _ if bytes > get.limit => Err(Error::TooLarge { url: shown(get.url), limit: get.limit }),
        _ => Ok(()),
    }
}

/// Asks, following redirects.
fn ask(transport: &Transport, url: &Url, get: &Get<'_>, progress: &Progress) -> Result<Response, Failure> {
    let mut url = url.clone();
    for _ in 0..=MAX_REDIRECTS {
        let client = transport.http.for_url(&url, &transport.options)?;
        let mut request = client.get(url.clone()).header(ACCEPT_ENCODING, "identity");
        match progress.version.for_range() {
            Some(version) if progress.have > 0 => {
                request = request.header(RANGE, format!("bytes={}-", progress.have)).header(IF_RANGE, version);
            }
            _ => {
                if let Some(etag) = get.known.and_then(|k| k.etag.as_deref()) {
                    request = request.header(IF_NONE_MATCH, etag);
                }
                if let Some(date) = get.known.and_then(|k| k.last_modified.as_deref()) {
                    request = request.header(IF_MODIFIED_SINCE, date);
                }
            }
        }
        let response = request.send().map_err(|e| Failure::Passing(causes(&e.without_url())))?;
        if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
            return Ok(response);
        }
        let target = text(response.headers(), LOCATION.as_str()).unwrap_or_default();
        url = follow(&url, &target, get.url)?;
    }
    Err(refused(get.url, url.as_str(), "too many redirects").into())
}

fn follow(from: &Url, target: &str, asked: &str) -> Result<Url> {
    let to = from.join(target).map_err(|_| refused(asked, target, "not a url"))?;
    match (from.scheme(), to.scheme()) {
        (_, "https") | ("http", "http") => Ok(to),
        ("https", "http") => Err(refused(asked, target, "from https to http")),
        _ => Err(refused(asked, target, "to a scheme other than http and https")),
    }
}

fn refused(url: &str, target: &str, reason: &'static str) -> Error {
    Error::Redirect { url: shown(url), target: shown(target), reason }
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().filter(|v| v.len() <= 2048).map(str::to_owned)
}

fn validators(headers: &HeaderMap) -> Validators {
    Validators { etag: text(headers, ETAG.as_str()), last_modified: text(headers, LAST_MODIFIED.as_str()) }
}

fn range_start(headers: &HeaderMap) -> Option<u64> {
    let range = text(headers, CONTENT_RANGE.as_str())?;
    range.strip_prefix("bytes ")?.split_once('-')?.0.trim().parse().ok()
}

/// An error with its causes: reqwest's own text says little without them.
fn causes(error: &dyn std::error::Error) -> String {
    let mut out = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !out.contains(&text) {
            out = format!("{out}: {text}");
        }
        next = cause.source();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_never_lose_encryption() {
        let https = Url::parse("https://h/a").unwrap();
        assert_eq!(follow(&https, "/b", "x").unwrap().as_str(), "https://h/b");
        assert!(follow(&https, "http://h/b", "x").is_err());
        assert!(follow(&https, "file:///etc/passwd", "x").is_err());
        let http = Url::parse("http://h/a").unwrap();
        assert!(follow(&http, "https://h/b", "x").is_ok());
    }
}
