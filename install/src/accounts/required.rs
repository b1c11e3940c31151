//! Accounts that OpenWrt's packages require (`Require-User`, or `/lib/apk/packages/NAME.rusers` since 25.12) on OpenWrt
//! itself, as lib/functions.sh makes them: for roots in which no script runs. Reads texts, writes and runs nothing.

use std::io::Read;

use xpkg_model::RelPath;
use xpkg_model::accounts::Account;
use xpkg_model::root::RootView;

use super::MAX_FILE;
use super::making::{Habits, Numbers};
use crate::transaction::survey::{Fate, Incoming};
use crate::{Error, Result, Target};

/// First number for accounts that ask for none, since OpenWrt 21; older releases say another in lib/functions.sh.
const FIRST: u32 = 32768;
/// A shell library of a few hundred lines.
const MAX_FUNCTIONS: u64 = 1 << 20;
/// Where packages of OpenWrt 25.12 list their accounts.
pub(super) const LISTS: &str = "lib/apk/packages";

/// What a package of OpenWrt requires: its control file's words and those of the list that it brings.
pub(super) fn words(target: &dyn Target, package: &Incoming<'_>) -> Result<Vec<Account>> {
    let mut text = String::new();
    let list = format!("{LISTS}/{}.rusers", package.package().name);
    let item = package.items.iter().find(|i| i.entry.path.as_bytes() == list.as_bytes() && i.fate == Fate::Write);
    if let Some(item) = item
        && let Some(file) = target.open_staged(&item.real)?
    {
        let read = file.take(MAX_FILE).read_to_string(&mut text);
        read.map_err(|e| Error::io("reading", &item.real, e))?;
    }
    Ok(Account::required(package.package().opkg.as_deref(), &text))
}

/// How lib/functions.sh writes accounts, with the number at which this release begins.
pub(super) fn habits(root: &(impl RootView + ?Sized)) -> Result<Habits> {
    let path = RelPath::literal("lib/functions.sh");
    let bytes = root.read(&path, MAX_FUNCTIONS).map_err(|e| Error::io("reading", &path, e))?.unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let number = text.lines().find_map(|line| line.trim().strip_prefix("gid=")?.parse().ok());
    Ok(Habits {
        numbers: Numbers::Ascending(number.unwrap_or(FIRST)),
        no_shell: "/bin/false",
        any_shell: false,
        shadow: "x:0:0:99999:7:::",
        joins_own: true,
    })
}

#[cfg(test)]
mod tests {
    use super::super::files::Files;
    use super::*;

    #[test]
    fn accounts_are_made_once_and_with_free_numbers() {
        let mut files = Files {
            passwd: "root:x:0:0:root:/root:/bin/ash\n".to_owned(),
            group: "root:x:0:\ndialout:x:20:a\nlast:x:32768:".to_owned(),
            shadow: Some(String::new()),
        };
        let habits = Habits {
            numbers: Numbers::Ascending(FIRST),
            no_shell: "/bin/false",
            any_shell: false,
            shadow: "x:0:0:99999:7:::",
            joins_own: true,
        };
        for word in
            ["dnsmasq=453:dnsmasq=453", ":audio=29", "own:own", "own:own", "x:dialout:audio,new=7", "b:a/d", "::"]
        {
            files.require(&word.parse().unwrap(), &habits).unwrap();
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
        assert_eq!(files.shadow.unwrap().lines().count(), 4);
    }
}
