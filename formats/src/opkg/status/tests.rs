//! Records come back as they were, and changes land where opkg writes them.

use super::*;

const TEXT: &str = "Package: opkg
Version: 2020-01-25-c09fe209-1
Depends: libc, kernel (=4.14), uclient-fetch
Status: install hold,user installed
Essential: yes
Architecture: x86_64
Conffiles:
 /etc/opkg.conf f38c19f696ea87c0b30eb5bfeb8657237f4625e1a749c58b99f01595edfb6446
 /etc/old name 0123456789abcdef0123456789abcdef
Installed-Time: 1795394981
Auto-Installed: yes
X-Unknown: stays

Package: odd
Status: weird strange,user states

";

fn records(text: &str) -> Result<Vec<Record>, Error> {
    let mut out = Vec::new();
    read(text.as_bytes(), "status", &Limits::default(), &mut |record| {
        out.push(record);
        Ok(())
    })?;
    Ok(out)
}

fn text(records: &[Record]) -> String {
    let mut out = Vec::new();
    records.iter().for_each(|record| write(&mut out, record).unwrap());
    String::from_utf8(out).unwrap()
}

#[test]
fn unchanged_records_keep_their_bytes() {
    let all = records(TEXT).unwrap();
    assert_eq!(text(&all), TEXT);
    let opkg = &all[0];
    assert!(opkg.auto_installed && opkg.status.flags.has(Flags::HOLD) && opkg.status.state == State::Installed);
    assert!(matches!(opkg.conffiles[0].digest, ConffileDigest::Sha256(_)));
    assert!(matches!(opkg.conffiles[1].digest, ConffileDigest::Md5(_)));
    assert_eq!(opkg.conffiles[1].path.to_string(), "/etc/old name");
    let package = opkg.package(Ecosystem::Openwrt, &Limits::default()).unwrap();
    assert_eq!((package.depends.len(), package.opkg.unwrap().other.len()), (3, 1));
    assert_eq!(all[1].status, Status { want: Want::Unknown, flags: Flags::USER, state: State::NotInstalled });
}

#[test]
fn changes_land_in_opkgs_order() {
    let control = "Package: a\nVersion: 1-1\nDepends: kernel (=4)\nSection: base\nMaintainer: x\nArchitecture: all\n\
        Installed-Size: 1\nAlternatives: 1:/a:/b\nDescription: d\n";
    let control = Control::parse(control.as_bytes(), "control", &Limits::default()).unwrap();
    let mut record = Record::new(&control).unwrap();
    record.status = Status { want: Want::Install, flags: Flags::USER.with(Flags::HOLD), state: State::Unpacked };
    record.installed_time = 7;
    record.auto_installed = true;
    let conffile = Conffile { path: RelPath::literal("etc/a"), digest: ConffileDigest::Sha256([1; 32]) };
    record.conffiles = vec![conffile];
    let sum = "01".repeat(32);
    let expected = format!(
        "Package: a\nVersion: 1-1\nDepends: kernel (=4)\nStatus: install hold,user unpacked\nArchitecture: all\n\
         Conffiles:\n /etc/a {sum}\nInstalled-Time: 7\nAuto-Installed: yes\nAlternatives: 1:/a:/b\n\n"
    );
    assert_eq!(text(&[record.clone()]), expected);
    let mut again = records(&expected).unwrap().remove(0);
    assert_eq!(again.status, record.status);
    again.status.flags = Flags::OK;
    (again.installed_time, again.auto_installed) = (0, false);
    again.conffiles.clear();
    assert_eq!(
        text(&[again]),
        "Package: a\nVersion: 1-1\nDepends: kernel (=4)\nStatus: install ok unpacked\nArchitecture: all\n\
         Alternatives: 1:/a:/b\n\n"
    );
}

#[test]
fn broken_records_are_errors() {
    for bad in ["Version: 1\n", "Package: a\nConffiles:\n /etc/a\n", "Package: a\nConffiles:\n ../x 00\n"] {
        assert!(records(bad).is_err(), "{bad}");
    }
}
