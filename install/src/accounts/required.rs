//! Accounts that OpenWrt's packages require (`Require-User`, or `/lib/apk/packages/NAME.rusers` since 25.12), made as
//! lib/functions.sh makes them: for roots in which no script runs. Stages text, runs nothing.

use std::collections::BTreeSet;
use std::io::Read;

use xpkg_model::RelPath;
use xpkg_model::root::RootView;

use super::{Accounts, MAX_FILE};
use crate::native::apk::stage_bytes;
use crate::transaction::ApplyInput;
use crate::transaction::stage::Work;
use crate::transaction::survey::Fate;
use crate::{Error, Result, Target};

/// First number for accounts that ask for none, since OpenWrt 21; older releases say another in lib/functions.sh.
const FIRST: u32 = 32768;
/// The last number that is given away.
const LAST: u32 = 131_071;
/// A shell library of a few hundred lines.
const MAX_FUNCTIONS: u64 = 1 << 20;

/// The files of one root, as they will be.
struct Files {
    passwd: String,
    group: String,
    shadow: String,
    first: u32,
}

/// Stages the accounts of everything that comes. Answers the accounts as they will be; `None` when nothing changes.
pub(crate) fn stage_required(
    target: &mut dyn Target,
    input: &ApplyInput<'_>,
    work: &Work<'_>,
) -> Result<Option<Accounts>> {
    let mut words: Vec<String> = Vec::new();
    for package in work.prepared.incoming.iter().filter(|p| !p.is_foreign(input.native)) {
        words.extend(package.package().opkg.iter().flat_map(|opkg| opkg.require_user.iter().cloned()));
        let list = format!("lib/apk/packages/{}.rusers", package.registered);
        let item = package.items.iter().find(|i| i.entry.path.as_bytes() == list.as_bytes() && i.fate == Fate::Write);
        if let Some(item) = item
            && let Some(file) = target.open_staged(&item.real)?
        {
            let mut text = String::new();
            let read = file.take(MAX_FILE).read_to_string(&mut text);
            read.map_err(|e| Error::io("reading", &item.real, e))?;
            words.extend(text.split_ascii_whitespace().map(str::to_owned));
        }
    }
    let text = |path: &'static str| -> Result<Option<String>> {
        let path = RelPath::literal(path);
        let bytes = target.read(&path, MAX_FILE).map_err(|e| Error::io("reading", &path, e))?;
        Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    };
    // Where there is no such file, the scripts add to none either.
    let (Some(passwd), Some(group)) = (text("etc/passwd")?, text("etc/group")?) else { return Ok(None) };
    let shadow = text("etc/shadow")?;
    let mut files = Files { passwd, group, shadow: shadow.clone().unwrap_or_default(), first: first(target)? };
    let before = (files.passwd.clone(), files.group.clone());
    words.iter().for_each(|word| files.require(word));
    if before == (files.passwd.clone(), files.group.clone()) {
        return Ok(None);
    }
    stage_bytes(target, &RelPath::literal("etc/passwd"), files.passwd.as_bytes())?;
    stage_bytes(target, &RelPath::literal("etc/group"), files.group.as_bytes())?;
    if shadow.is_some_and(|shadow| shadow != files.shadow) {
        stage_bytes(target, &RelPath::literal("etc/shadow"), files.shadow.as_bytes())?;
    }
    Ok(Some(Accounts::parse(files.passwd.as_bytes(), files.group.as_bytes())))
}

/// The number at which this release begins, as its own library says.
fn first(root: &(impl RootView + ?Sized)) -> Result<u32> {
    let path = RelPath::literal("lib/functions.sh");
    let bytes = root.read(&path, MAX_FUNCTIONS).map_err(|e| Error::io("reading", &path, e))?.unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let number = text.lines().find_map(|line| line.trim().strip_prefix("gid=")?.parse().ok());
    Ok(number.unwrap_or(FIRST))
}

impl Files {
    /// `user=uid:group=gid[:more=gid,…]`; any part may be absent.
    fn require(&mut self, word: &str) {
        let mut parts = word.split(':');
        let mut next = || parts.next().and_then(account);
        let (user, group) = (next(), next());
        let gid = group.map(|(name, number)| self.group(name, number));
        let Some((user, number)) = user else { return };
        if !has(&self.passwd, user) {
            let uid = number.unwrap_or_else(|| free(&self.passwd, self.first));
            line(&mut self.passwd, &format!("{user}:x:{uid}:{}:{user}:/var/run/{user}:/bin/false", gid.unwrap_or(uid)));
            line(&mut self.shadow, &format!("{user}:x:0:0:99999:7:::"));
        }
        if let Some((group, _)) = group {
            self.join(group, user);
        }
        for (name, number) in parts.next().into_iter().flat_map(|more| more.split(',')).filter_map(account) {
            self.group(name, number);
            self.join(name, user);
        }
    }

    /// Makes sure of a group; answers the number that its users get.
    fn group(&mut self, name: &str, number: Option<u32>) -> u32 {
        if let Some(there) = super::parse(self.group.as_bytes()).get(name) {
            // A number that was asked for is taken as it is, as the scripts do.
            return number.unwrap_or(*there);
        }
        let gid = number.unwrap_or_else(|| free(&self.group, self.first));
        line(&mut self.group, &format!("{name}:x:{gid}:"));
        gid
    }

    fn join(&mut self, group: &str, user: &str) {
        let mut lines: Vec<String> = self.group.lines().map(str::to_owned).collect();
        let of_group = |line: &&mut String| line.split(':').next() == Some(group);
        let Some(entry) = lines.iter_mut().find(of_group) else { return };
        let members = entry.splitn(4, ':').nth(3).unwrap_or_default();
        if members.split(',').any(|member| member == user) {
            return;
        }
        let comma = if members.is_empty() { "" } else { "," };
        entry.push_str(&format!("{comma}{user}"));
        self.group = lines.join("\n") + "\n";
    }
}

/// `name=number`; a name that would break the file's lines is nobody.
fn account(text: &str) -> Option<(&str, Option<u32>)> {
    let (name, number) = text.split_once('=').map_or((text, None), |(name, number)| (name, number.parse().ok()));
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    (!name.is_empty() && name.bytes().all(plain)).then_some((name, number))
}

fn has(file: &str, name: &str) -> bool {
    file.lines().any(|line| line.split(':').next() == Some(name))
}

fn free(file: &str, first: u32) -> u32 {
    let used: BTreeSet<u32> = super::parse(file.as_bytes()).into_values().collect();
    (first..=LAST).find(|number| !used.contains(number)).unwrap_or(LAST)
}

fn line(file: &mut String, line: &str) {
    if !file.is_empty() && !file.ends_with('\n') {
        file.push('\n');
    }
    file.push_str(line);
    file.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_made_once_and_with_free_numbers() {
        let mut files = Files {
            passwd: "root:x:0:0:root:/root:/bin/ash\n".to_owned(),
            group: "root:x:0:\ndialout:x:20:a\nlast:x:32768:".to_owned(),
            shadow: String::new(),
            first: FIRST,
        };
        for word in
            ["dnsmasq=453:dnsmasq=453", ":audio=29", "own:own", "own:own", "x:dialout:audio,new=7", "b:a/d", "::"]
        {
            files.require(word);
        }
        assert_eq!(
            files.group,
            "root:x:0:\ndialout:x:20:a,x\nlast:x:32768:\ndnsmasq:x:453:dnsmasq\naudio:x:29:x\nown:x:32769:own\nnew:x:7:x\n"
        );
        let users: Vec<&str> = files.passwd.lines().skip(1).collect();
        assert_eq!(
            users,
            [
                "dnsmasq:x:453:453:dnsmasq:/var/run/dnsmasq:/bin/false",
                "own:x:32768:32769:own:/var/run/own:/bin/false",
                "x:x:32769:20:x:/var/run/x:/bin/false",
                "b:x:32770:32770:b:/var/run/b:/bin/false",
            ]
        );
        assert_eq!(files.shadow.lines().count(), 4);
    }
}
