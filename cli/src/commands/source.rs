//! `xpkg source` and `xpkg key`.

use serde_json::json;
use xpkg_model::Ecosystem;
use xpkg_pipeline::{NewSource, Session};

use super::{Context, Done};
use crate::args::{Key, KeyKind, Source, Trust, World};
use crate::error::Failure;
use crate::terminal;

pub fn run(context: &Context<'_>, command: &Source) -> Result<Done, Failure> {
    let mut session = context.session()?;
    match command {
        Source::List => return list(context, &session),
        Source::Add { name, urls, ecosystem, keys, trust, priority } => {
            if urls.is_empty() {
                if !name.contains('@') {
                    let how = format!("`xpkg source add {name} URL --ecosystem WORLD`");
                    return Err(Failure::usage(format!(
                        "`{name}` is no release, such as alpine@v3.19; with its address it is {how}"
                    )));
                }
                return add_release(context, &mut session, name);
            }
            let Some(ecosystem) = ecosystem else {
                return Err(Failure::usage("say which world it is: --ecosystem alpine or --ecosystem openwrt"));
            };
            let new = NewSource {
                name: name.clone(),
                urls: urls.clone(),
                ecosystem: world(*ecosystem),
                keys: keys.clone(),
                unsigned: matches!(trust, Some(Trust::None)),
                priority: priority.unwrap_or(0),
            };
            session.source_add(&new)?;
            context.terminal.say(&format!("added source {name}; `xpkg update` fetches its index"));
        }
        Source::Remove { name } => {
            session.source_remove(name)?;
            context.terminal.say(&format!("removed source {name}"));
        }
        Source::Enable { name } => session.source_enable(name, true)?,
        Source::Disable { name } => session.source_enable(name, false)?,
        Source::Set { name, settings } => {
            for setting in settings {
                let Some((key, value)) = setting.split_once('=') else {
                    return Err(Failure::usage(format!("`{setting}` is no `key=value`")));
                };
                session.source_set(name, key, value)?;
            }
        }
    }
    if context.global.json { list(context, &session) } else { Ok(Done::Well) }
}

fn world(world: World) -> Ecosystem {
    match world {
        World::Alpine => Ecosystem::Alpine,
        World::Openwrt => Ecosystem::Openwrt,
    }
}

/// Adds a known release, and shows whose signatures will be trusted from now on.
pub fn add_release(context: &Context<'_>, session: &mut Session, release: &str) -> Result<Done, Failure> {
    let added = session.source_add_release(release)?;
    if context.global.json {
        let keys: Vec<_> =
            added.keys.iter().map(|(name, fingerprint)| json!({ "name": name, "sha256": fingerprint })).collect();
        terminal::json("source", json!({ "release": release, "sources": added.sources, "keys": keys }));
        return Ok(Done::Well);
    }
    for source in &added.sources {
        context.terminal.say(&format!("added source {source}"));
    }
    for (name, fingerprint) in &added.keys {
        context.terminal.say(&format!("trusted key {name}\n  SHA-256 {fingerprint}"));
    }
    Ok(Done::Well)
}

fn list(context: &Context<'_>, session: &Session) -> Result<Done, Failure> {
    let sources = session.source_list()?;
    if context.global.json {
        terminal::json("sources", json!({ "sources": sources }));
    } else {
        let rows: Vec<Vec<String>> = sources
            .iter()
            .map(|s| {
                let state = match (s.enabled, s.packages) {
                    (false, _) => "disabled".to_owned(),
                    (true, Some(packages)) => format!("{packages} packages"),
                    (true, None) => "not updated yet".to_owned(),
                };
                vec![s.name.clone(), s.ecosystem.to_string(), state, s.trust.clone(), s.url.clone(), s.origin.clone()]
            })
            .collect();
        terminal::table(&rows);
    }
    Ok(Done::Well)
}

pub fn keys(context: &Context<'_>, command: &Key) -> Result<Done, Failure> {
    if let Key::Generate { file, kind } = command {
        return generate(context, file, *kind);
    }
    let mut session = context.session()?;
    match command {
        Key::List | Key::Generate { .. } => {}
        Key::Add { source, file } => session.key_add(source, file)?,
        Key::Remove { source, key } => session.key_remove(source, key)?,
    }
    let keys = session.key_list()?;
    if context.global.json {
        terminal::json("keys", json!({ "keys": keys }));
    } else if matches!(command, Key::List) {
        let rows: Vec<Vec<String>> = keys
            .iter()
            .map(|k| vec![k.source.clone(), k.name.clone(), k.kind.clone(), k.fingerprint.clone()])
            .collect();
        terminal::table(&rows);
    }
    Ok(Done::Well)
}

/// Makes a key pair; needs no root.
fn generate(context: &Context<'_>, file: &std::path::Path, kind: KeyKind) -> Result<Done, Failure> {
    let kind = match kind {
        KeyKind::P256 => "p256",
        KeyKind::Usign => "usign",
        KeyKind::Rsa => "rsa",
    };
    let (public, fingerprint) = xpkg_pipeline::package_files::generate_key(file, kind)?;
    if context.global.json {
        terminal::json("key", json!({ "secret": file, "public": public, "sha256": fingerprint }));
    } else {
        terminal::print(&public.display().to_string());
        context.terminal.say(&format!("SHA-256 {fingerprint}"));
    }
    Ok(Done::Well)
}
