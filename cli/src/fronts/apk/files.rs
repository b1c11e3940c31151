//! What is about package files: `manifest`, `verify`, `extract`, `index` and `mkndx`. Reads and writes through the pipeline.

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use xpkg_model::identity::hex;
use xpkg_pipeline::front::apk::packages::{self, Listed};
use xpkg_pipeline::front::apk::{Error, Need};

use super::{Call, Outcome};

/// `manifest`
pub(super) fn manifest(call: &Call) -> Outcome {
    let database = call.open(Need { without_repositories: true, ..Need::default() })?;
    let mut failed = 0;
    for name in &call.options.arguments {
        if name.contains(".apk") {
            let listed = database.open_file(Path::new(name)).and_then(|file| packages::digests(&file));
            match listed {
                Ok(listed) => listed.iter().for_each(|Listed { kind, digest, path }| {
                    call.talk.print(&format!("{kind}:{}  {path}", hex(digest)));
                }),
                Err(error) => {
                    call.talk.error(&super::words_of(&error));
                    failed += 1;
                }
            }
            continue;
        }
        let Some(record) = database.record(name) else {
            failed += 1;
            continue;
        };
        let kind = if record.flags.contains('S') { "sha256-160" } else { "sha1" };
        // With `-v` the package is named too.
        let prefix = if call.talk.verbosity() > 1 { format!("{name}: ") } else { String::new() };
        for (path, file) in record.file_paths() {
            if let Some(digest) = &file.digest {
                let path = path.to_string();
                call.talk.print(&format!("{prefix}{kind}:{}  {}", hex(digest), path.trim_start_matches('/')));
            }
        }
    }
    // apk 3 tells of files that are not there and goes on.
    Ok(if call.apk3() { 0 } else { failed })
}

/// `verify`
pub(super) fn verify(call: &Call) -> Outcome {
    let database = call.open(Need { without_state: true, without_repositories: true, ..Need::default() })?;
    let mut failed = 0;
    for name in &call.options.arguments {
        let (good, why) = match database.open_file(Path::new(name)) {
            Ok(_) => (true, "OK".to_owned()),
            Err(error) => (false, super::words_of(&error)),
        };
        let why = why.strip_prefix(&format!("{name}: ")).unwrap_or(&why);
        let code = if call.apk3() {
            ""
        } else if good {
            "0 - "
        } else {
            "-2 - "
        };
        if call.talk.verbosity() > 0 {
            call.talk.print(&format!("{name}: {code}{why}"));
        } else if !good {
            call.talk.print(name);
        }
        failed += usize::from(!good);
    }
    Ok(failed)
}

/// `extract`
pub(super) fn extract(call: &Call) -> Outcome {
    let database = call.open(Need { without_state: true, without_repositories: true, ..Need::default() })?;
    let to = PathBuf::from(call.options.value("destination").unwrap_or("."));
    if !to.is_dir() {
        return Err(Error::Said(format!("Error opening destination '{}': No such file or directory", to.display())));
    }
    for name in &call.options.arguments {
        call.talk.message(&format!("Extracting {name}..."));
        let file = database.open_file(Path::new(name))?;
        packages::extract(&file, &to)?;
    }
    Ok(0)
}

/// `index` and `mkndx`
pub(super) fn index(call: &Call) -> Outcome {
    let options = &call.options;
    let v3 = options.verb == "mkndx";
    let database = call.open(Need { without_state: true, without_repositories: true, ..Need::default() })?;
    let out = options.value("output");
    if v3 && out.is_none() {
        return Err(Error::Said("No output file specified".to_owned()));
    }
    if out.is_none() && std::io::stdout().is_terminal() && !options.has("force-binary-stdout") {
        return Err(Error::Said(
            "Will not write binary data to a terminal: use --output or --force-binary-stdout".to_owned(),
        ));
    }
    let mut files = Vec::new();
    for name in &options.arguments {
        files.push(database.open_file(Path::new(name))?);
    }
    let key = options.value("sign-key").map(Path::new);
    let arch = options.value("rewrite-arch");
    let bytes = packages::index(&files, options.value("description").unwrap_or_default(), arch, key, v3)?;
    match out {
        Some(path) => std::fs::write(path, &bytes).map_err(|e| Error::Said(format!("{path}: {e}")))?,
        None => std::io::stdout().write_all(&bytes).map_err(|e| Error::Said(e.to_string()))?,
    }
    let line = format!("Index has {} packages (of which {} are new)", files.len(), files.len());
    if out.is_some() {
        call.talk.message(&line)
    } else {
        call.talk.go_on(&line)
    }
    Ok(0)
}
