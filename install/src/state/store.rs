//! The state as an SQLite file. Always written whole, in one transaction on an empty database and in sorted order: the same
//! state gives the same bytes, and a reader never meets a half-written one. Keeps no file open.

use rusqlite::{Connection, MAIN_DB, params};
use semver::Version;
use serde::Serialize;
use xpkg_model::adaptation::Placement;
use xpkg_model::{Ecosystem, RelPath, schema};

use super::{Displaced, Files, ForeignPackage, Kind, LinkOwner, MadeAccount, State};
use crate::{Error, Result};

/// Small pages: a state of a few packages stays in a few kilobytes, which on a router is flash or memory.
const SCHEMA: &str = "
PRAGMA page_size = 1024;
PRAGMA journal_mode = OFF;
BEGIN;
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE packages (ecosystem TEXT, name TEXT, version TEXT NOT NULL, identity TEXT, registered TEXT NOT NULL,
  explicit INTEGER NOT NULL, needs TEXT NOT NULL, source TEXT, package TEXT NOT NULL, files BLOB NOT NULL,
  placement TEXT NOT NULL,
  PRIMARY KEY (ecosystem, name)) WITHOUT ROWID;
CREATE TABLE held (ecosystem TEXT, name TEXT, PRIMARY KEY (ecosystem, name)) WITHOUT ROWID;
CREATE TABLE displaced (path BLOB PRIMARY KEY, target BLOB NOT NULL, uid INTEGER NOT NULL, gid INTEGER NOT NULL,
  by TEXT NOT NULL, owner TEXT, record TEXT) WITHOUT ROWID;
CREATE TABLE made (path BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE adopted (path BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE accounts (kind TEXT, name TEXT, number INTEGER NOT NULL, by TEXT NOT NULL, PRIMARY KEY (kind, name)) WITHOUT ROWID;
CREATE TABLE arches (word TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE log (id INTEGER PRIMARY KEY, time INTEGER NOT NULL, what TEXT NOT NULL);
";

fn failed(e: impl std::fmt::Display) -> Error {
    Error::State(e.to_string())
}

pub(super) fn write(state: &State) -> Result<Vec<u8>> {
    let mut db = Connection::open_in_memory().map_err(failed)?;
    fill(&db, state)?;
    let bytes = db.serialize(MAIN_DB).map_err(failed)?;
    Ok(bytes.to_vec())
}

fn fill(db: &Connection, state: &State) -> Result<()> {
    db.execute_batch(SCHEMA).map_err(failed)?;
    let run = |sql: &str, values: &[&dyn rusqlite::ToSql]| {
        db.prepare(sql).and_then(|mut statement| statement.execute(values)).map(drop).map_err(failed)
    };
    run("INSERT INTO meta VALUES ('schema', ?)", params![schema::STATE.to_string()])?;
    if let Some(provider) = &state.provider {
        run("INSERT INTO meta VALUES ('provider', ?)", params![provider])?;
    }
    for ((ecosystem, name), p) in &state.packages {
        let mut package = p.package.clone();
        package.source = None; // an index into one run's catalogue
        let identity = package.identity.map(|id| id.to_string());
        let sql = "INSERT INTO packages VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
        let placement = placement_word(p.placement);
        let version = &package.version;
        let text = json(&package)?;
        let needs = p.needs.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
        let (word, files) = (ecosystem.as_str(), &p.files.0);
        run(
            sql,
            params![word, name, version, identity, p.registered, p.explicit, needs, p.source, text, files, placement],
        )?;
    }
    for (ecosystem, name) in &state.held {
        run("INSERT INTO held VALUES (?, ?)", params![ecosystem.as_str(), name])?;
    }
    for (path, d) in &state.displaced {
        let owner = d.owner.as_ref().map(|o| &o.package);
        let record = d.owner.as_ref().map(LinkOwner::record);
        let sql = "INSERT INTO displaced VALUES (?, ?, ?, ?, ?, ?, ?)";
        run(sql, params![path.as_bytes(), d.target, d.ids.0, d.ids.1, d.by, owner, record])?;
    }
    for path in &state.made {
        run("INSERT INTO made VALUES (?)", params![path.as_bytes()])?;
    }
    for path in &state.adopted {
        run("INSERT INTO adopted VALUES (?)", params![path.as_bytes()])?;
    }
    for ((kind, name), made) in &state.accounts {
        let by: Vec<String> = made.by.iter().map(|(ecosystem, name)| format!("{ecosystem}:{name}")).collect();
        run("INSERT INTO accounts VALUES (?, ?, ?, ?)", params![kind.as_str(), name, made.number, by.join(" ")])?;
    }
    for word in &state.arches {
        run("INSERT INTO arches VALUES (?)", params![word])?;
    }
    for (time, what) in &state.log {
        // SQLite's integers are signed; a time beyond them is no time.
        run("INSERT INTO log (time, what) VALUES (?, ?)", params![i64::try_from(*time).unwrap_or(i64::MAX), what])?;
    }
    db.execute_batch("COMMIT").map_err(failed)
}

fn json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(failed)
}

pub(super) fn read(bytes: &[u8]) -> Result<State> {
    let mut db = Connection::open_in_memory().map_err(failed)?;
    db.deserialize_read_exact(MAIN_DB, bytes, bytes.len(), true).map_err(failed)?;
    let mut state = State::default();
    let mut version = None;
    rows(&db, "SELECT key, value FROM meta", |row| {
        let value: String = row.get(1)?;
        match row.get::<_, String>(0)?.as_str() {
            "schema" => version = Some(value),
            "provider" => state.provider = Some(value),
            _ => {}
        }
        Ok(Ok(()))
    })?;
    let found = version.ok_or_else(|| failed("it names no schema"))?;
    let found = Version::parse(&found).map_err(failed)?;
    if !schema::readable(&schema::STATE, &found) {
        return Err(failed(format!("it was written by a newer xpkg (schema {found}, known {})", schema::STATE)));
    }
    // Before 1.1 everything lived among the root's own files.
    let placed = if found < Version::new(1, 1, 0) { "'host'" } else { "placement" };
    let columns = "ecosystem, name, registered, explicit, source, package, files, needs";
    rows(&db, &format!("SELECT {columns}, {placed} FROM packages"), |row| {
        let key = (row.get::<_, String>(0)?, row.get::<_, String>(1)?);
        let text: String = row.get(5)?;
        let (registered, explicit, source) = (row.get(2)?, row.get(3)?, row.get(4)?);
        let files = Files(row.get(6)?);
        let needs: String = row.get(7)?;
        let placed: String = row.get(8)?;
        Ok(ecosystem(&key.0).and_then(|ecosystem| {
            let package = serde_json::from_str(&text).map_err(failed)?;
            let needs = needs.split_ascii_whitespace().map(str::to_owned).collect();
            let placement = placement(&placed)?;
            let package = ForeignPackage { package, registered, explicit, needs, source, placement, files };
            state.packages.insert((ecosystem, key.1), package);
            Ok(())
        }))
    })?;
    rows(&db, "SELECT ecosystem, name FROM held", |row| {
        let (word, name) = (row.get::<_, String>(0)?, row.get(1)?);
        Ok(ecosystem(&word).map(|ecosystem| _ = state.held.insert((ecosystem, name))))
    })?;
    rows(&db, "SELECT path, target, uid, gid, by, owner, record FROM displaced", |row| {
        let bytes: Vec<u8> = row.get(0)?;
        let ids = (row.get(2)?, row.get(3)?);
        let owner: Option<(String, String)> = row.get::<_, Option<_>>(5)?.zip(row.get(6)?);
        let (target, by) = (row.get(1)?, row.get(4)?);
        Ok(path(&bytes).map(|path| {
            let owner = owner.and_then(|(package, record)| LinkOwner::parse(package, path.file_name(), &record));
            state.displaced.insert(path, Displaced { target, ids, by, owner });
        }))
    })?;
    rows(&db, "SELECT path FROM made", |row| {
        let bytes: Vec<u8> = row.get(0)?;
        Ok(path(&bytes).map(|path| _ = state.made.insert(path)))
    })?;
    rows(&db, "SELECT path FROM adopted", |row| {
        let bytes: Vec<u8> = row.get(0)?;
        Ok(path(&bytes).map(|path| _ = state.adopted.insert(path)))
    })?;
    // Since 1.1.
    if has_table(&db, "accounts")? {
        rows(&db, "SELECT kind, name, number, by FROM accounts", |row| {
            let (word, name): (String, String) = (row.get(0)?, row.get(1)?);
            let (number, by): (u32, String) = (row.get(2)?, row.get(3)?);
            Ok([Kind::User, Kind::Group].into_iter().find(|kind| kind.as_str() == word).map_or_else(
                || Err(failed(format!("`{word}` is no kind of account"))),
                |kind| {
                    let owner =
                        |text: &str| Some((text.split_once(':')?.0.parse().ok()?, text.split_once(':')?.1.to_owned()));
                    let by = by.split_ascii_whitespace().filter_map(owner).collect();
                    state.accounts.insert((kind, name), MadeAccount { number, by });
                    Ok(())
                },
            ))
        })?;
    }
    rows(&db, "SELECT word FROM arches", |row| {
        state.arches.insert(row.get(0)?);
        Ok(Ok(()))
    })?;
    rows(&db, "SELECT time, what FROM log ORDER BY id", |row| {
        state.log.push((row.get::<_, i64>(0)?.try_into().unwrap_or(0), row.get(1)?));
        Ok(Ok(()))
    })?;
    Ok(state)
}

fn has_table(db: &Connection, name: &str) -> Result<bool> {
    let sql = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = ?";
    db.query_row(sql, params![name], |row| row.get::<_, i64>(0)).map(|n| n > 0).map_err(failed)
}

fn rows(
    db: &Connection,
    sql: &str,
    mut each: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<Result<()>>,
) -> Result<()> {
    let mut statement = db.prepare(sql).map_err(failed)?;
    let mut rows = statement.query([]).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        each(row).map_err(failed)??;
    }
    Ok(())
}

fn ecosystem(word: &str) -> Result<Ecosystem> {
    word.parse().map_err(failed)
}

const fn placement_word(placement: Placement) -> &'static str {
    match placement {
        Placement::Host => "host",
        Placement::Layer => "layer",
    }
}

fn placement(word: &str) -> Result<Placement> {
    let known = [Placement::Host, Placement::Layer].into_iter().find(|p| placement_word(*p) == word);
    known.ok_or_else(|| failed(format!("a package lies in `{word}`, which nobody knows")))
}

fn path(bytes: &[u8]) -> Result<RelPath> {
    RelPath::from_package(bytes).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use xpkg_model::Package;

    fn sample() -> State {
        let mut state = State::default();
        let package = Package::new(Ecosystem::Alpine, "jq", "1.7.1-r0");
        let mut files = Files::default();
        files.add('f', Some(&[7; 20]), &RelPath::from_package(b"usr/bin/\xff j").unwrap());
        let entry = ForeignPackage {
            package,
            registered: "jq".into(),
            explicit: true,
            needs: ["libgcc".to_owned()].into(),
            source: None,
            placement: Placement::Layer,
            files,
        };
        state.packages.insert((Ecosystem::Alpine, "jq".into()), entry);
        state.held.insert((Ecosystem::Openwrt, "dnsmasq".into()));
        let owner = LinkOwner::parse("busybox".into(), b"grep", "0:0:777 Q1TmUsI0U+Wfr/D3hofTCmLIDo+Ng=");
        assert!(owner.is_some());
        let link = Displaced { target: b"busybox".to_vec(), ids: (0, 0), by: "grep".into(), owner };
        state.displaced.insert(RelPath::literal("bin/grep"), link);
        let by = [(Ecosystem::Alpine, "jq".to_owned())].into();
        state.accounts.insert((Kind::User, "jq".into()), MadeAccount { number: 33_000, by });
        state.made.insert(RelPath::literal("usr/share/jq"));
        state.provider = Some("xpkg-abi-alpine".into());
        state.note(5, "install alpine:jq".into());
        state
    }

    #[test]
    fn what_is_written_is_read_and_the_same_bytes_come_out() {
        let state = sample();
        let bytes = state.to_bytes().unwrap();
        assert_eq!(bytes, state.to_bytes().unwrap());
        let read = read(&bytes).unwrap();
        assert_eq!(read, state);
        assert_eq!(read.packages.values().next().unwrap().files.iter().count(), 1);
        assert!(bytes.len() < 32 * 1024, "{}", bytes.len());
    }

    #[test]
    fn a_newer_schema_and_damage_are_refused() {
        let db_bytes = sample().to_bytes().unwrap();
        let text = schema::STATE.to_string();
        let at = db_bytes.windows(text.len()).position(|w| w == text.as_bytes()).unwrap();
        let mut newer = db_bytes.clone();
        newer[at] = b'9';
        assert!(read(&newer).unwrap_err().to_string().contains("newer"));
        assert!(read(b"no database at all, but long enough to be looked at").is_err());
        assert!(read(&[]).is_err());
    }
}
