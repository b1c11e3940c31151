//! Accounts around one transaction: those that foreign packages need are made with them, remembered as ours, and taken away
//! when the last package that needed them is gone and nothing else is theirs. Stages text, runs nothing.

use std::collections::{BTreeMap, BTreeSet};

use xpkg_model::accounts::{Account, User};
use xpkg_model::root::RootView;
use xpkg_model::{Action, Ecosystem, RelPath};

use super::files::{Files, PATHS};
use super::making::{Habits, Numbers};
use super::{Accounts, required, used};
use crate::native::apk::stage_bytes;
use crate::state::{Kind, MadeAccount};
use crate::transaction::stage::Work;
use crate::transaction::survey::Incoming;
use crate::transaction::{ApplyInput, Receipt};
use crate::{Error, Meta, Result, Target};

/// How foreign accounts are written on a root of one world.
pub(super) fn habits(native: Ecosystem, root: &(impl RootView + ?Sized)) -> Result<Habits> {
    let has = |path: &'static str| -> Result<bool> {
        let path = RelPath::literal(path);
        root.node(&path).map(|node| node.is_some()).map_err(|e| Error::io("reading", &path, e))
    };
    let nologin = has("sbin/nologin")?;
    // The ranges in which the root's own tools choose: busybox's adduser -S, and OpenWrt's lib/functions.sh.
    let (first, last) = if native == Ecosystem::Openwrt { (32_768, 65_533) } else { (100, 999) };
    Ok(Habits {
        numbers: Numbers::ByName(first, last),
        no_shell: if nologin { "/sbin/nologin" } else { "/bin/false" },
        any_shell: nologin,
        shadow: "!::0:99999:7:::",
        joins_own: true,
    })
}

/// Stages what changes in passwd, group and shadow. Answers the accounts as they will be; `None` when nothing changes.
pub(crate) fn stage(
    target: &mut dyn Target,
    input: &ApplyInput<'_>,
    work: &mut Work<'_>,
    scripts_run: bool,
    receipt: &mut Receipt,
) -> Result<Option<Accounts>> {
    let Some(before) = Files::load(target)? else { return Ok(None) };
    let mut files = before.clone();
    if input.native == Ecosystem::Openwrt && !scripts_run {
        let habits = required::habits(target)?;
        for package in work.prepared.incoming.iter().filter(|p| !p.is_foreign(input.native)) {
            for account in required::words(target, package)? {
                note(files.require(&account, &habits), package, receipt);
            }
        }
    }
    let habits = habits(input.native, target)?;
    let mut known = std::mem::take(&mut work.prepared.state.accounts);
    let mut homes = Vec::new();
    for package in work.prepared.incoming.iter().filter(|p| p.is_foreign(input.native)) {
        let key = (package.package().ecosystem, package.package().name.clone());
        for account in wanted(target, package)? {
            let Some(made) = note(files.require(&account, &habits), package, receipt) else { continue };
            homes.extend(account.user.clone().filter(|user| user.make_home));
            let now = files.accounts();
            let user = account.user.iter().filter_map(|u| Some((Kind::User, u.name.clone(), now.user(&u.name)?)));
            let groups = account.groups().filter_map(|g| Some((Kind::Group, g.name.clone(), now.group(&g.name)?)));
            for (kind, name, number) in user.chain(groups) {
                // What the package's own script made a moment ago is ours as well.
                let was = match kind {
                    Kind::User => work.accounts.user(&name),
                    Kind::Group => work.accounts.group(&name),
                };
                let ours = known.contains_key(&(kind, name.clone())) || was.is_none();
                if ours {
                    let entry = known.entry((kind, name)).or_insert(MadeAccount { number, by: BTreeSet::new() });
                    entry.by.insert(key.clone());
                }
            }
            if !made.users.is_empty() || !made.groups.is_empty() {
                receipt.notes.push(format!("{}: made {}", package.title(), account.title()));
            }
        }
    }
    stage_homes(target, work, &files, &homes)?;
    remove(target, input, work, &mut files, &mut known, receipt)?;
    work.prepared.state.accounts = known;
    if files == before {
        return Ok(None);
    }
    for path in PATHS {
        let (old, new) = (before.content(path), files.content(path));
        if let Some(new) = new.filter(|new| old.as_ref() != Some(new)) {
            stage_bytes(target, &RelPath::literal(path), &new)?;
        }
    }
    Ok(Some(files.accounts()))
}

fn note<T>(result: std::result::Result<T, super::Refusal>, package: &Incoming<'_>, receipt: &mut Receipt) -> Option<T> {
    result.map_err(|why| receipt.notes.push(format!("{}: an account is not made: {why}", package.title()))).ok()
}

/// What a foreign package needs: its adaptation says it, but for the words that feeds leave out and its own file has.
fn wanted(target: &dyn Target, package: &Incoming<'_>) -> Result<Vec<Account>> {
    let mut accounts = package.adaptation.accounts.clone();
    accounts.extend(required::words(target, package)?);
    let mut seen = BTreeSet::new();
    accounts.retain(|account| seen.insert(account.clone()));
    Ok(accounts)
}

/// Home directories, where nothing is yet.
fn stage_homes(target: &mut dyn Target, work: &mut Work<'_>, files: &Files, homes: &[User]) -> Result<()> {
    for user in homes {
        let Some(path) = home_of(files, &user.name) else { continue };
        let failed = |e| Error::io("resolving", &path, e);
        let real = target.real_path(&path, true).map_err(failed)?;
        let parent = real.parent().unwrap_or_else(RelPath::root);
        let there = target.node(&real).map_err(failed)?.is_some() || target.staged(&real)?.is_some();
        let parent_there = target.node(&parent).map_err(failed)?.is_some() || target.staged(&parent)?.is_some();
        // A home deep below what is not there yet is for the service that runs there to make.
        if there || !parent_there {
            continue;
        }
        let now = files.accounts();
        let Some((uid, gid)) = ids(files, &user.name).or_else(|| now.user(&user.name).map(|uid| (uid, uid))) else {
            continue;
        };
        target.stage_dir(&real, &Meta { uid, gid, ..Meta::new(0o755) }, false)?;
        work.prepared.state.made.insert(real);
    }
    Ok(())
}

pub(super) fn home_of(files: &Files, user: &str) -> Option<RelPath> {
    let home = files.user_line(user)?.split(':').nth(5)?;
    RelPath::from_absolute(home).ok().filter(|path| !path.is_root() && !path.starts_with(&RelPath::literal("dev")))
}

pub(super) fn ids(files: &Files, user: &str) -> Option<(u32, u32)> {
    let mut fields = files.user_line(user)?.split(':').skip(2);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

/// Takes away what nobody needs any more.
fn remove(
    target: &mut dyn Target,
    input: &ApplyInput<'_>,
    work: &mut Work<'_>,
    files: &mut Files,
    known: &mut BTreeMap<(Kind, String), MadeAccount>,
    receipt: &mut Receipt,
) -> Result<()> {
    let mut gone: BTreeSet<(Ecosystem, String)> = work.prepared.vanished.clone();
    let steps = input.plan.steps.iter().filter(|s| s.action == Action::Remove);
    gone.extend(steps.map(|s| (s.package.ecosystem, s.package.name.clone())));
    if gone.is_empty() || known.is_empty() {
        return Ok(());
    }
    known.values_mut().for_each(|made| made.by.retain(|key| !gone.contains(key)));
    let now = files.accounts();
    // Whoever gave an account another number, or took it away, has taken it over.
    known.retain(|(kind, name), made| {
        let number = match kind {
            Kind::User => now.user(name),
            Kind::Group => now.group(name),
        };
        number == Some(made.number)
    });
    let free: Vec<(Kind, String, u32)> = known
        .iter()
        .filter(|(_, made)| made.by.is_empty())
        .map(|((kind, name), made)| (*kind, name.clone(), made.number))
        .collect();
    if free.is_empty() {
        return Ok(());
    }
    let uses = used::uses(target, work, &free)?;
    // Users first: their groups are free then.
    for (kind, name, _) in &free {
        let word = if *kind == Kind::User { "user" } else { "group" };
        if let Some(why) = uses.get(&(*kind, name.clone())) {
            receipt.notes.push(format!("{word} {name} stays: {why}"));
            continue;
        }
        let home = home_of(files, name).filter(|_| *kind == Kind::User);
        let members = if *kind == Kind::Group { files.members(name) } else { Vec::new() };
        let done = match (kind, members.first()) {
            (Kind::User, _) => files.remove_user(name).map_err(|why| why.to_string()),
            (Kind::Group, Some(member)) => Err(format!("{member} is a member of it")),
            (Kind::Group, None) => files.remove_group(name).map_err(|why| why.to_string()),
        };
        if let Err(why) = done {
            receipt.notes.push(format!("{word} {name} stays: {why}"));
            continue;
        }
        known.remove(&(*kind, name.clone()));
        if let Some(home) = home
            && work.prepared.state.made.remove(&home)
        {
            target.stage_remove(&home)?;
        }
    }
    Ok(())
}
