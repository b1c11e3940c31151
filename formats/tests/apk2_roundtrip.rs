//! What the apk v2 writers write, the readers read back: packages with every kind of entry, and indexes.

use std::io::Cursor;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use xpkg_formats::apk::{index, v2};
use xpkg_formats::keys::{Hash, Keyring, SecretKey};
use xpkg_formats::{Limits, package};
use xpkg_model::payload::{Digest, Entry, EntryKind, ScriptKind, Scripts};
use xpkg_model::{Dependency, Ecosystem, Identity, Package, Provide, RelPath};

fn key() -> SecretKey {
    let pem = include_str!("../../fixtures/keys/xpkg-fixture-0001.rsa");
    SecretKey::parse("xpkg-fixture-0001.rsa", pem.as_bytes()).unwrap()
}

fn keyring(key: &SecretKey) -> Keyring {
    [key.public().clone()].into_iter().collect()
}

fn version() -> impl Strategy<Value = String> {
    "[0-9]{1,3}(\\.[0-9]{1,3}){0,3}[a-z]?(_(rc|p)[0-9])?(-r[0-9]{1,2})?"
}

fn dependency() -> impl Strategy<Value = Dependency> {
    let name =
        prop_oneof!["[a-z][a-z0-9_+.-]{0,12}", "so:lib[a-z]{1,5}\\.so\\.[0-9]", "cmd:[a-z\\[]{1,6}", "/bin/[a-z]{1,4}"];
    (name, option::of((select(vec!["=", "<", ">", ">=", "<=", "~"]), version())), any::<bool>()).prop_map(
        |(name, condition, conflict)| {
            let condition = condition.map(|(op, version)| format!("{op}{version}")).unwrap_or_default();
            format!("{}{name}{condition}", if conflict { "!" } else { "" }).parse().unwrap()
        },
    )
}

fn package() -> impl Strategy<Value = Package> {
    let text = "[ -~]{0,40}";
    let words = ("[a-z][a-z0-9_+.-]{0,20}", version(), select(vec!["x86_64", "noarch", "aarch64"]));
    let texts = (text, text, text, text, text, "[0-9a-f]{40}");
    let lists = (vec(dependency(), 0..6), vec(dependency(), 0..6), vec(dependency(), 0..3), vec(dependency(), 0..3));
    let numbers = (0_u64..1 << 33, 0_u64..1 << 40, option::of(1_u32..), any::<[u8; 20]>());
    (words, texts, lists, numbers).prop_map(|(words, texts, lists, numbers)| {
        let mut package = Package::new(Ecosystem::Alpine, words.0, words.1);
        package.arch = words.2.to_owned();
        (package.description, package.url, package.license, package.origin, package.maintainer, package.commit) = texts;
        package.depends = lists.0.into_iter().map(Into::into).collect();
        package.provides = lists.1.into_iter().filter(|d| !d.conflict).map(exact).collect();
        package.replaces = lists.2;
        package.install_if = lists.3;
        (package.build_time, package.installed_size, package.provider_priority) = (numbers.0, numbers.1, numbers.2);
        package.identity = Some(Identity::ApkSha1(numbers.3));
        package
    })
}

fn exact(dependency: Dependency) -> Provide {
    Provide { version: Some(dependency.version).filter(|v| !v.is_empty()), name: dependency.name }
}

/// Directories begin with `d`, everything else with `f`: the tree never contradicts itself.
fn entries() -> impl Strategy<Value = Vec<(Entry, Vec<u8>)>> {
    let dirs = || vec("d[a-zA-Z0-9 ._-]{0,60}", 0..4);
    let kind = prop_oneof![
        4 => vec(any::<u8>(), 0..2000).prop_map(|content| (EntryKind::File, content)),
        1 => Just((EntryKind::Dir, Vec::new())),
        1 => vec(1_u8..255, 1..300).prop_map(|target| (EntryKind::Symlink(target), Vec::new())),
        1 => (0_u32..4096, 0_u32..256).prop_map(|(a, b)| (EntryKind::Char(a, b), Vec::new())),
        1 => (0_u32..4096, 0_u32..256).prop_map(|(a, b)| (EntryKind::Block(a, b), Vec::new())),
        1 => Just((EntryKind::Fifo, Vec::new())),
    ];
    let owner = (any::<u32>(), any::<u32>(), "[a-z]{0,40}", "[a-z]{0,40}", 0_u64..1 << 33, 0_u32..0o10000);
    let xattrs = vec(("[a-z]{1,8}\\.[a-z=]{1,9}", vec(any::<u8>(), 0..300)), 0..3);
    let one = (dirs(), vec(prop_oneof![9 => b'a'..=b'z', 1 => 128_u8..=255], 1..120), kind, owner, xattrs);
    vec(one, 0..12).prop_map(|made| {
        let mut out: Vec<(Entry, Vec<u8>)> = Vec::new();
        for (at, (dirs, name, (kind, content), owner, xattrs)) in made.into_iter().enumerate() {
            let letter = if kind == EntryKind::Dir { "d" } else { "f" };
            let mut path = dirs.iter().flat_map(|d| d.bytes().chain([b'/'])).collect::<Vec<_>>();
            path.extend_from_slice(format!("{letter}{at}").as_bytes());
            path.extend_from_slice(&name);
            let mut entry = Entry::new(RelPath::from_package(&path).unwrap(), kind, owner.5);
            (entry.uid, entry.gid, entry.user, entry.group, entry.mtime) =
                (owner.0, owner.1, owner.2, owner.3, owner.4);
            entry.xattrs = xattrs.into_iter().map(|(name, value)| (name.replace('=', "_"), value)).collect();
            if let Some((file, _)) = out.iter().find(|(e, _)| e.kind == EntryKind::File && at % 3 == 0) {
                let mut link = entry.clone();
                link.path = entry.path.parent().unwrap().join(format!("f{at}.link").as_bytes()).unwrap();
                link.kind = EntryKind::Hardlink(file.path.clone());
                out.push((link, Vec::new()));
            }
            out.push((entry, content));
        }
        out
    })
}

/// What a reader must say of an entry that was written.
fn expected(entry: &Entry, content: &[u8], before: &[Entry]) -> Entry {
    let sha1 = |bytes: &[u8]| Some(Digest::Sha1(Hash::Sha1.of(bytes).try_into().unwrap()));
    let mut entry = entry.clone();
    match &entry.kind {
        EntryKind::File => (entry.size, entry.digest) = (content.len() as u64, sha1(content)),
        EntryKind::Symlink(target) => entry.digest = sha1(target),
        EntryKind::Hardlink(to) => entry.digest = before.iter().find(|e| e.path == *to).unwrap().digest,
        _ => {}
    }
    entry
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_package_is_read_back_as_written(
        package in package(),
        entries in entries(),
        scripts in vec((select(ScriptKind::ALL.to_vec()), vec(any::<u8>(), 0..600)), 0..4),
        triggers in vec("/[a-z/*]{1,20}", 0..3),
    ) {
        let key = key();
        let scripts: Scripts = scripts.into_iter().collect();
        let write = |key: Option<&SecretKey>| {
            let mut builder =
                v2::Builder::new(package.clone()).unwrap().scripts(scripts.clone()).triggers(triggers.clone());
            for (entry, content) in &entries {
                builder.entry(entry, &mut content.as_slice()).unwrap();
            }
            let mut file = Vec::new();
            let written = builder.finish(&mut file, key).unwrap();
            (file, written)
        };
        let (file, written) = write(Some(&key));
        prop_assert_eq!(&write(Some(&key)).0, &file);
        prop_assert_eq!(written.size, file.len() as u64);

        let mut opened = package::open(Cursor::new(&file), "p.apk", Ecosystem::Alpine, &Limits::default()).unwrap();
        opened.verify_signature(&keyring(&key)).unwrap();
        prop_assert_eq!(opened.identity(), written.identity);
        prop_assert_eq!(write(None).1.identity, written.identity);
        let meta = opened.meta();
        let mut want = package.clone();
        want.identity = Some(written.identity);
        want.size = written.size;
        want.installed_size = written.installed_size;
        prop_assert_eq!(&meta.package, &want);
        prop_assert_eq!(&meta.scripts, &scripts);
        prop_assert_eq!(&meta.triggers, &triggers);

        let mut read: Vec<Entry> = Vec::new();
        let mut contents = Vec::new();
        opened.read_payload(&mut |entry, content| {
            read.push(entry.clone());
            let mut bytes = Vec::new();
            content.read_to_end(&mut bytes)?;
            contents.push(bytes);
            Ok(())
        }).unwrap();
        let mut at = 0;
        for (entry, content) in &entries {
            while read[at].path != entry.path {
                // A directory that the builder added.
                prop_assert!(read[at].kind == EntryKind::Dir && read[at].mode == 0o755 && entry.path.starts_with(&read[at].path));
                at += 1;
            }
            let mut found = read[at].clone();
            // `root` is written for an unnamed owner 0.
            if entry.user.is_empty() && entry.uid == 0 { found.user.clear(); }
            if entry.group.is_empty() && entry.gid == 0 { found.group.clear(); }
            prop_assert_eq!(found, expected(entry, content, &read));
            prop_assert_eq!(&contents[at], content);
            at += 1;
        }
        prop_assert_eq!(at, read.len());
    }

    #[test]
    fn an_index_is_read_back_as_written(packages in vec(package(), 0..8), description in "[!-~]{0,30}") {
        let key = key();
        let mut packages = packages;
        for package in &mut packages {
            package.replaces.clear();
            package.size = package.installed_size / 2;
        }
        let mut file = Vec::new();
        index::write_v2(&mut file, &description, &packages, Some(&key)).unwrap();
        let mut opened = index::open(Cursor::new(&file), "APKINDEX.tar.gz", &Limits::default()).unwrap();
        opened.verify(&keyring(&key)).unwrap();
        let mut read = Vec::new();
        let info = opened.read(Ecosystem::Alpine, &mut |p| { read.push(p); Ok(()) }).unwrap();
        prop_assert_eq!(info.description, description);
        prop_assert_eq!((info.count, info.skipped), (packages.len() as u64, 0), "{:?}", info.reasons);
        prop_assert_eq!(read, packages);
    }

    #[test]
    fn garbage_is_an_error_and_never_a_panic(bytes in vec(any::<u8>(), 0..400), flips in vec((any::<prop::sample::Index>(), any::<u8>()), 0..6)) {
        let mut file = [&[0x1f, 0x8b, 8, 0][..], &bytes].concat();
        prop_assert!(package::open(Cursor::new(&file), "x", Ecosystem::Alpine, &Limits::default()).is_err());
        // Uncompressed tar damage reaches further: stored blocks keep the headers readable.
        file.clear();
        index::write_v2(&mut file, "d", &[Package { identity: Some(Identity::ApkSha1([1; 20])), ..Package::new(Ecosystem::Alpine, "a", "1") }], None).unwrap();
        for (at, value) in flips {
            let at = at.index(file.len());
            file[at] ^= value;
        }
        if let Ok(mut opened) = index::open(Cursor::new(&file), "x", &Limits::default()) {
            let _ = opened.read(Ecosystem::Alpine, &mut |_| Ok(()));
        }
    }
}
