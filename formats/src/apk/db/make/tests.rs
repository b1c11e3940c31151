//! Entries of packages of both generations in databases of both.

use xpkg_model::payload::Digest;
use xpkg_model::{Ecosystem, Provide};

use super::*;
use crate::apk::db::write_record;

fn package(identity: Identity) -> Package {
    let mut package = Package::new(Ecosystem::Openwrt, "kmod-x", "6.12.74~88179747-r1");
    package.identity = Some(identity);
    package.tags = vec!["openwrt:abiversion=1".to_owned()];
    package.description = "two\nC:lines".to_owned();
    package.depends = vec!["kernel=6.12.74~88179747-r1".parse::<Dependency>().unwrap().into()];
    package.provides = vec![Provide::versioned("x", "1~ab")];
    package
}

fn entries(digest: Digest) -> Vec<Entry> {
    let path = RelPath::literal;
    let mut file = Entry::new(path("usr/lib/b.ko"), EntryKind::File, 0o644);
    file.digest = Some(digest);
    let mut tool = Entry::new(path("usr/lib/a"), EntryKind::File, 0o4755);
    tool.digest = Some(digest);
    tool.xattrs = vec![("user.x".to_owned(), vec![1])];
    vec![
        Entry::new(RelPath::root(), EntryKind::Dir, 0o755),
        Entry::new(path("usr"), EntryKind::Dir, 0o755),
        file,
        tool,
        Entry::new(path("usr/lib/c"), EntryKind::Hardlink(path("usr/lib/b.ko")), 0o644),
        Entry::new(path("usr/lib/d"), EntryKind::Symlink(b"b.ko".to_vec()), 0o755),
        Entry::new(path("dev"), EntryKind::Dir, 0o1777),
        Entry::new(path("dev/null"), EntryKind::Char(1, 3), 0o666),
        Entry::new(path("empty"), EntryKind::Dir, 0o755),
    ]
}

fn text(identity: Identity, digest: Digest, generation: Generation) -> String {
    let entries = entries(digest);
    let placed = entries.iter().map(|entry| Placed { entry, uid: 0, gid: 0, digest: None });
    let record = InstalledRecord::for_package(&package(identity), placed, generation).unwrap();
    let mut out = Vec::new();
    write_record(&mut out, &record).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn apk_3_gets_flag_tags_and_short_sha256() {
    let text = text(Identity::ApkSha256([7; 32]), Digest::Sha256([7; 32]), Generation::Apk3);
    let z = q1(&[7; 20]);
    let attributes = q1(&xattr_digest(&[("user.x".to_owned(), vec![1])]).unwrap());
    let link = q1(&DigestKind::Sha256Short.of(b"b.ko"));
    assert_eq!(
        text,
        format!(
            "C:{z}\nP:kmod-x\nV:6.12.74~88179747-r1\nS:0\nI:0\nT:two C:lines\nU:\nL:\nD:kernel=6.12.74~88179747-r1\n\
             p:x=1~ab\ng:openwrt:abiversion=1\nf:S\nF:dev\nM:0:0:1777\nR:null\na:0:0:666\nF:empty\nF:usr\nF:usr/lib\n\
             R:a\na:0:0:4755:{attributes}\nZ:{z}\nR:b.ko\nZ:{z}\nR:c\nZ:{z}\nR:d\na:0:0:777\nZ:{link}\n\n"
        )
    );
}

#[test]
fn apk_2_gets_none_of_that() {
    let text = text(Identity::ApkSha256([7; 32]), Digest::Sha1([9; 20]), Generation::Apk2);
    assert!(text.contains("V:6.12.74-r1\n") && text.contains("D:kernel=6.12.74-r1\np:x=1\nF:dev\n"), "{text}");
    let link = q1(&DigestKind::Sha1.of(b"b.ko"));
    assert!(text.contains(&format!("Z:{}\n", q1(&[9; 20]))) && text.contains(&format!("Z:{link}\n")), "{text}");
    assert!(!text.contains("\ng:") && !text.contains("\nf:") && !text.contains('~'), "{text}");
}

#[test]
fn what_the_database_cannot_say_is_refused() {
    let entries = entries(Digest::Sha256([7; 32]));
    let placed = || entries.iter().map(|entry| Placed { entry, uid: 0, gid: 0, digest: None });
    // A v3 package for apk 2: somebody has to make SHA-1 digests first.
    let refused = InstalledRecord::for_package(&package(Identity::ApkSha256([7; 32])), placed(), Generation::Apk2);
    assert!(refused.unwrap_err().to_string().contains("/usr/lib/b.ko has no digest"));
    let mut choice = package(Identity::ApkSha1([1; 20]));
    choice.depends = vec![Requirement::any_of(vec![Dependency::any("a"), Dependency::any("b")]).unwrap()];
    let record = InstalledRecord::for_package(&choice, [], Generation::Apk3).unwrap();
    assert!(write_record(&mut Vec::new(), &record).unwrap_err().to_string().contains("`a | b` is a choice"));
    choice.depends.clear();
    choice.version = "1\nP:evil".to_owned();
    let record = InstalledRecord::for_package(&choice, [], Generation::Apk3).unwrap();
    assert!(write_record(&mut Vec::new(), &record).is_err());
}
