//! `xpkg package`: making and looking at package files. Needs no root.

use serde_json::json;
use xpkg_pipeline::package_files::{self, Build, Inspected};

use super::{Context, Done};
use crate::args::{Format, Package};
use crate::error::Failure;
use crate::report;
use crate::terminal::{self, outln};

/// The format as the pipeline knows it.
pub fn format(format: Format) -> package_files::Format {
    use package_files::Format as F;
    match format {
        Format::Ipk => F::Ipk,
        Format::Apk2 => F::Apk2,
        Format::Apk3 => F::Apk3,
    }
}

pub fn run(context: &Context<'_>, command: &Package) -> Result<Done, Failure> {
    match command {
        Package::Build { from, format: wanted, sign, output } => {
            let request = Build {
                from,
                format: format(*wanted),
                output: output.as_deref(),
                key: sign.as_deref(),
                now: super::now(),
            };
            let (written, lost) = package_files::build(&request)?;
            if context.global.json {
                terminal::json("package-build", json!({ "packages": [written], "lost": lost }));
            } else {
                report::lost_text(context.terminal, &lost);
                outln!("{}", written.path.display());
            }
        }
        Package::Inspect { files, scripts } => {
            let packages: Result<Vec<_>, _> = files.iter().map(|file| package_files::inspect(file)).collect();
            let packages = packages?;
            if context.global.json {
                terminal::json("package-inspect", json!({ "packages": packages }));
            } else {
                packages.iter().for_each(|package| text(package, *scripts));
            }
        }
        Package::Verify { files, keys } => {
            let keys = package_files::load_keys(keys)?;
            let checked: Result<Vec<_>, _> = files.iter().map(|file| package_files::verify(file, &keys)).collect();
            let checked = checked?;
            if context.global.json {
                terminal::json("package-verify", json!({ "packages": checked }));
            } else {
                for package in &checked {
                    let by = package
                        .signed_by
                        .as_deref()
                        .map_or("signature not asked for".to_owned(), |k| format!("signed by {k}"));
                    outln!("{}: OK, {} entries, {by}", package.path.display(), package.entries);
                }
            }
        }
        Package::Extract { file, output, scripts } => {
            let done = package_files::extract(file, output, *scripts)?;
            if context.global.json {
                terminal::json("package-extract", json!(done));
            } else {
                for left_out in &done.left_out {
                    context.terminal.say(&format!("note: left out: {left_out}"));
                }
                outln!("{}: {} entries", done.path.display(), done.entries);
            }
        }
        Package::Sign { files, key, output } => {
            if files.len() > 1 && output.is_some() {
                return Err(Failure::usage("-o is for one package"));
            }
            let signed: Result<Vec<_>, _> =
                files.iter().map(|file| package_files::sign(file, key, output.as_deref())).collect();
            let signed = signed?;
            if context.global.json {
                terminal::json("package-sign", json!({ "packages": signed }));
            } else {
                signed.iter().for_each(|package| outln!("{}", package.path.display()));
            }
        }
    }
    Ok(Done::Well)
}

fn text(package: &Inspected, scripts: bool) {
    report::package_text(&package.package, None, package.format);
    let line = |label: &str, words: &[String]| {
        if !words.is_empty() {
            outln!("  {label:<13} {}", words.join(" "));
        }
    };
    if let Some(opkg) = package.package.opkg.as_deref() {
        line("accounts", &opkg.require_user);
        line("alternatives", &opkg.alternatives.iter().map(ToString::to_string).collect::<Vec<_>>());
    }
    line("triggers", &package.triggers);
    line("conffiles", &package.conffiles);
    line("needs", &package.needs);
    line("sonames", &package.sonames);
    line("scripts", &package.scripts.iter().map(|s| s.name.clone()).collect::<Vec<_>>());
    terminal::rows(|| {
        package.files.iter().map(|file| {
            let path = match &file.target {
                Some(target) => format!("{} -> {target}", file.path),
                None => file.path.clone(),
            };
            vec![format!("  {}", file.mode), file.owner.clone(), file.size.to_string(), path]
        })
    });
    if scripts {
        for script in &package.scripts {
            outln!("--- {}\n{}", script.name, script.text.trim_end());
        }
    }
}
