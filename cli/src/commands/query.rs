//! The commands that only answer: search, info, list, files, owns, why.

use serde_json::json;
use xpkg_pipeline::Session;

use super::{Context, Done};
use crate::args::{Files, Info, List, Owns, Search, Why};
use crate::error::Failure;
use crate::terminal::outln;
use crate::{report, terminal};

pub fn search(context: &Context<'_>, arguments: &Search) -> Result<Done, Failure> {
    let session = context.session()?;
    let found = session.search(&arguments.patterns, arguments.name_only)?;
    context.terminal.finish();
    if context.global.json {
        terminal::json_list("search", "packages", || found.iter());
    } else {
        terminal::rows(|| {
            found.iter().map(|f| {
                let mark = if f.installed_version.is_some() { "*" } else { " " };
                vec![format!("{mark} {}:{}", f.ecosystem, f.name), f.version.to_owned(), f.description.to_owned()]
            })
        });
    }
    if found.is_empty() {
        tell_missing(context, &session)?;
    }
    Ok(Done::well_if(!found.is_empty()))
}

/// A source that was never fetched may be why nothing was found.
fn tell_missing(context: &Context<'_>, session: &Session) -> Result<(), Failure> {
    let missing = session.never_updated()?;
    if !missing.is_empty() {
        context.terminal.say(&format!("note: not fetched yet: {}; `xpkg update` does it", missing.join(", ")));
    }
    Ok(())
}

pub fn info(context: &Context<'_>, arguments: &Info) -> Result<Done, Failure> {
    let session = context.session()?;
    let mut all = Vec::new();
    for text in &arguments.packages {
        let spec = super::spec(text)?;
        let answers = session.info(&spec)?;
        if answers.is_empty() {
            context.terminal.say(&format!("no package is called {text}"));
        }
        all.push(answers);
    }
    let complete = all.iter().all(|answers| !answers.is_empty());
    if !complete {
        tell_missing(context, &session)?;
    }
    let answers: Vec<_> = all.into_iter().flatten().collect();
    if context.global.json {
        let packages: Vec<_> = answers
            .iter()
            .map(|a| {
                let mut body = report::package_json(&a.package);
                if let Some(object) = body.as_object_mut() {
                    object.insert("source".into(), json!(a.source));
                    object.insert("installed".into(), json!(a.installed));
                    object.insert("explicit".into(), json!(a.explicit));
                    object.insert("held".into(), json!(a.held));
                }
                body
            })
            .collect();
        terminal::json("info", json!({ "packages": packages }));
    } else {
        for answer in &answers {
            let status = match (answer.installed, answer.explicit) {
                (true, true) => "installed",
                (true, false) => "installed for others",
                (false, _) => "available",
            };
            report::package_text(&answer.package, answer.source.as_deref(), status);
        }
    }
    Ok(Done::well_if(complete))
}

pub fn list(context: &Context<'_>, arguments: &List) -> Result<Done, Failure> {
    let session = context.session()?;
    let installed = session.installed()?;
    let native = session.native();
    let newer = if arguments.upgradeable { session.upgradeable(&installed)? } else { Vec::new() };
    let mut packages: Vec<_> = installed
        .packages
        .iter()
        .filter(|p| !arguments.foreign || p.package.ecosystem != native)
        .filter(|p| !arguments.explicit || p.explicit)
        .filter(|p| arguments.patterns.is_empty() || arguments.patterns.iter().any(|t| p.package.name.contains(t)))
        .filter_map(|p| {
            let upgrade = newer.iter().find(|n| n.ecosystem == p.package.ecosystem && n.name == p.package.name);
            (!arguments.upgradeable || upgrade.is_some()).then_some((p, upgrade.map(|n| n.version.clone())))
        })
        .collect();
    packages
        .sort_by(|(a, _), (b, _)| (a.package.ecosystem, &a.package.name).cmp(&(b.package.ecosystem, &b.package.name)));
    if context.global.json {
        let rows: Vec<_> = packages
            .iter()
            .map(|(p, newer)| json!({ "ecosystem": p.package.ecosystem, "name": p.package.name, "version": p.package.version, "explicit": p.explicit, "held": p.held, "foreign": p.foreign, "newer_version": newer }))
            .collect();
        terminal::json("list", json!({ "packages": rows }));
    } else {
        let rows: Vec<Vec<String>> = packages
            .iter()
            .map(|(p, newer)| {
                let mut flags = Vec::new();
                if !p.explicit {
                    flags.push("for others".to_owned());
                }
                if p.held {
                    flags.push("held".to_owned());
                }
                if let Some(version) = newer {
                    flags.push(format!("newer: {version}"));
                }
                vec![p.package.scoped(), p.package.version.clone(), flags.join(", ")]
            })
            .collect();
        terminal::table(&rows);
    }
    Ok(Done::Well)
}

pub fn files(context: &Context<'_>, arguments: &Files) -> Result<Done, Failure> {
    let session = context.session()?;
    let spec = super::spec(&arguments.package)?;
    let paths = session.files(&spec)?;
    if context.global.json {
        let paths: Vec<_> = paths.iter().map(ToString::to_string).collect();
        terminal::json("files", json!({ "package": arguments.package, "files": paths }));
    } else {
        for path in &paths {
            terminal::print(&path.to_string());
        }
    }
    Ok(Done::Well)
}

pub fn owns(context: &Context<'_>, arguments: &Owns) -> Result<Done, Failure> {
    let session = context.session()?;
    let answers: Vec<_> =
        arguments.paths.iter().map(|path| session.owner(path).map(|owner| (path, owner))).collect::<Result<_, _>>()?;
    if context.global.json {
        let rows: Vec<_> = answers
            .iter()
            .map(|(path, owner)| json!({ "path": path, "package": owner.as_ref().map(|o| json!({ "ecosystem": o.ecosystem, "name": o.name, "version": o.version })) }))
            .collect();
        terminal::json("owns", json!({ "paths": rows }));
    } else {
        for (path, owner) in &answers {
            match owner {
                Some(key) => outln!("{path} is owned by {key}"),
                None => outln!("{path} is owned by no package"),
            }
        }
    }
    Ok(Done::well_if(answers.iter().all(|(_, owner)| owner.is_some())))
}

pub fn why(context: &Context<'_>, arguments: &Why) -> Result<Done, Failure> {
    let session = context.session()?;
    let answer = session.why(&arguments.name)?;
    if context.global.json {
        terminal::json("why", json!({ "name": arguments.name, "found": answer.found, "reasons": answer.reasons }));
    } else {
        outln!("{}", answer.text.trim_end());
    }
    Ok(Done::well_if(answer.found))
}
