//! The transport against a real server on loopback that misbehaves on purpose.

mod support;

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::net::TcpListener;
use std::sync::Mutex;
use std::time::Duration;

use support::quick;
use xpkg_fixtures::Server;
use xpkg_fixtures::http::Fault;
use xpkg_model::event::Silent;
use xpkg_model::{Event, Observer};
use xpkg_repos::transport::{Get, Got, Options, Validators};
use xpkg_repos::{Error, Transport};

const MIB: u64 = 1 << 20;

fn served(name: &str, bytes: &[u8]) -> (tempfile::TempDir, Server, String) {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(name), bytes).unwrap();
    let server = Server::start(dir.path()).unwrap();
    let url = server.url_of(name);
    (dir, server, url)
}

fn bytes(n: usize) -> Vec<u8> {
    (0..n).map(|i| (i * 7 + i / 251) as u8).collect()
}

fn content(file: &mut File) -> Vec<u8> {
    let mut out = Vec::new();
    file.seek(SeekFrom::Start(0)).unwrap();
    file.read_to_end(&mut out).unwrap();
    out
}

fn get(get: &Get<'_>, file: &mut File) -> Result<Got, Error> {
    Transport::new(quick()).get(get, file, &Silent)
}

#[test]
fn what_has_not_changed_is_not_sent_again() {
    let (dir, server, url) = served("x", &bytes(100_000));
    let mut file = tempfile::tempfile().unwrap();
    let Got::Whole { bytes: n, validators } = get(&Get::new(&url, "x", MIB), &mut file).unwrap() else { panic!() };
    assert_eq!((n, content(&mut file)), (100_000, bytes(100_000)));
    let conditional = Get { known: Some(&validators), ..Get::new(&url, "x", MIB) };
    assert_eq!(get(&conditional, &mut file).unwrap(), Got::NotModified);
    assert_eq!(server.requests().last().unwrap().sent, 0);
    fs::write(dir.path().join("x"), b"new").unwrap();
    assert!(matches!(get(&conditional, &mut file).unwrap(), Got::Whole { bytes: 3, .. }));
    assert_eq!(content(&mut file), b"new");
}

#[test]
fn a_broken_transfer_goes_on_where_it_broke() {
    let (_dir, server, url) = served("x", &bytes(250_000));
    server.fault("/x", Fault::Truncate(100_000));
    let mut file = tempfile::tempfile().unwrap();
    let version = std::cell::RefCell::new(None);
    let note = |v: &Validators| drop(version.replace(Some(v.clone())));
    let wish = Get { on_version: Some(&note), ..Get::new(&url, "x", MIB) };
    assert!(matches!(get(&wish, &mut file), Err(Error::Network { .. })));
    let had = content(&mut file).len();
    let asked = |i: usize| server.requests()[i].header("range").map(str::to_owned);
    assert_eq!((asked(0), asked(1)), (None, Some(format!("bytes={had}-"))));
    assert!(server.requests()[1].header("if-range").is_some());
    server.heal("/x");
    server.forget();
    let version = version.borrow().clone().unwrap();
    let got = get(&Get { resume: Some(&version), ..wish }, &mut file).unwrap();
    assert!(matches!(got, Got::Whole { bytes: 250_000, .. }));
    assert_eq!(content(&mut file), bytes(250_000));
    assert_eq!((server.requests().len(), asked(0)), (1, Some(format!("bytes={had}-"))));
}

#[test]
fn a_beginning_of_another_version_is_thrown_away() {
    let (_dir, server, url) = served("x", &bytes(50_000));
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"something else entirely").unwrap();
    let old = Validators { etag: Some("\"old\"".into()), last_modified: None };
    let resume = Get { resume: Some(&old), expected: Some(50_000), ..Get::new(&url, "x", MIB) };
    assert!(matches!(get(&resume, &mut file).unwrap(), Got::Whole { .. }));
    assert_eq!(content(&mut file), bytes(50_000));
    assert_eq!(server.requests()[0].header("range"), Some("bytes=23-"));
    assert_eq!(server.requests()[0].status, 200);
}

#[test]
fn patience_is_bounded_and_failures_are_told_apart() {
    let (_dir, server, url) = served("x", &bytes(1000));
    let mut file = tempfile::tempfile().unwrap();
    let plain = Get::new(&url, "x", MIB);
    server.fault("/x", Fault::Status(503));
    assert!(matches!(get(&plain, &mut file), Err(Error::Network { .. })));
    assert_eq!(server.count("/x"), 3);
    server.fault("/x", Fault::Truncate(0));
    assert!(matches!(get(&plain, &mut file), Err(Error::Network { .. })));
    server.forget();
    server.fault("/x", Fault::Status(403));
    assert!(matches!(get(&plain, &mut file), Err(Error::Status { status: 403, .. })));
    assert_eq!(server.count("/x"), 1, "a refusal is not asked for again");
    let absent = server.url_of("absent");
    assert!(matches!(get(&Get::new(&absent, "x", MIB), &mut file), Err(Error::NotFound { .. })));
    drop(server);
    assert!(matches!(get(&plain, &mut file), Err(Error::Network { .. })));
}

#[test]
fn a_silent_server_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/x", listener.local_addr().unwrap());
    let options = Options { timeout: Duration::from_millis(100), retries: 1, ..quick() };
    let mut file = tempfile::tempfile().unwrap();
    let result = Transport::new(options).get(&Get::new(&url, "x", MIB), &mut file, &Silent);
    assert!(matches!(result, Err(Error::Network { .. })), "{result:?}");
}

#[test]
fn sizes_are_held_to() {
    let (_dir, server, url) = served("x", &bytes(5000));
    let mut file = tempfile::tempfile().unwrap();
    assert!(matches!(get(&Get::new(&url, "x", 4999), &mut file), Err(Error::TooLarge { limit: 4999, .. })));
    let promised = Get { expected: Some(6000), ..Get::new(&url, "x", MIB) };
    assert!(matches!(get(&promised, &mut file), Err(Error::Size { expected: 6000, found: 5000, .. })));
    // Without a length announced, the bytes themselves are counted.
    server.fault("/x", Fault::NoLength);
    assert!(matches!(get(&Get::new(&url, "x", 4999), &mut file), Err(Error::TooLarge { .. })));
    assert!(matches!(get(&promised, &mut file), Err(Error::Size { .. })));
    assert!(matches!(get(&Get::new(&url, "x", 5000), &mut file), Ok(Got::Whole { bytes: 5000, .. })));
}

#[test]
fn redirects_are_followed_so_far() {
    let (_dir, server, url) = served("x", b"here");
    let mut file = tempfile::tempfile().unwrap();
    server.fault("/a", Fault::Redirect("/x".into()));
    let a = server.url_of("a");
    assert!(get(&Get::new(&a, "x", MIB), &mut file).is_ok());
    assert_eq!(content(&mut file), b"here");
    server.fault("/a", Fault::Redirect("/a".into()));
    assert!(matches!(get(&Get::new(&a, "x", MIB), &mut file), Err(Error::Redirect { .. })));
    server.fault("/x", Fault::Redirect("file:///etc/passwd".into()));
    assert!(matches!(get(&Get::new(&url, "x", MIB), &mut file), Err(Error::Redirect { .. })));
}

#[test]
fn files_of_this_machine() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a b");
    fs::write(&path, bytes(70_000)).unwrap();
    let mut file = tempfile::tempfile().unwrap();
    let offline = Transport::new(Options { no_network: true, ..quick() });
    for url in [path.display().to_string(), format!("file://{}/a%20b", dir.path().display())] {
        let wish = Get::new(&url, "x", MIB);
        let Got::Whole { validators, .. } = offline.get(&wish, &mut file, &Silent).unwrap() else { panic!() };
        assert_eq!(content(&mut file), bytes(70_000));
        assert_eq!(
            offline.get(&Get { known: Some(&validators), ..wish }, &mut file, &Silent).unwrap(),
            Got::NotModified
        );
        let short = Get { limit: 10, ..wish };
        assert!(matches!(offline.get(&short, &mut file, &Silent), Err(Error::TooLarge { .. })));
    }
    let here = dir.path().display().to_string();
    assert!(matches!(offline.get(&Get::new(&here, "x", MIB), &mut file, &Silent), Err(Error::NotFound { .. })));
}

#[test]
fn without_network_nothing_is_asked() {
    let (_dir, server, url) = served("x", b"y");
    let mut file = tempfile::tempfile().unwrap();
    let offline = Transport::new(Options { no_network: true, ..quick() });
    let result = offline.get(&Get::new(&url, "x", MIB), &mut file, &Silent);
    assert!(matches!(result, Err(Error::NoNetwork { .. })));
    assert!(server.requests().is_empty());
}

#[derive(Default)]
struct Watcher(Mutex<Vec<Event>>);

impl Observer for Watcher {
    fn event(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

#[test]
fn progress_is_told() {
    let (_dir, _server, url) = served("x", &bytes(200_000));
    let (watcher, mut file) = (Watcher::default(), tempfile::tempfile().unwrap());
    Transport::new(quick()).get(&Get::new(&url, "x", MIB), &mut file, &watcher).unwrap();
    let events = watcher.0.into_inner().unwrap();
    assert!(matches!(&events[0], Event::TransferStart { name, .. } if name == "x"));
    let last = events
        .iter()
        .rev()
        .find_map(|e| if let Event::TransferProgress { bytes, .. } = e { Some(*bytes) } else { None });
    assert_eq!(last, Some(200_000));
    assert!(matches!(events.last(), Some(Event::TransferEnd { .. })));
}
