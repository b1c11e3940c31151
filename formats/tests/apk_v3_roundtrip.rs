//! What the apk v3 writers write, the readers read back: packages with every kind of entry, and indexes.

use std::collections::{BTreeMap, HashSet};
use std::io::Cursor;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use xpkg_formats::apk::{index, v3};
use xpkg_formats::keys::{Hash, Keyring, SecretKey};
use xpkg_formats::{Error, Limits, package};
use xpkg_model::payload::{Digest, Entry, EntryKind, ScriptKind, Scripts};
use xpkg_model::{Dependency, Ecosystem, Identity, Package, Provide, RelPath};

const P256: &str = include_str!("../../fixtures/keys/xpkg-fixture-0001.p256");
const RSA: &str = include_str!("../../fixtures/keys/xpkg-fixture-0001.rsa");

fn key(pem: &str) -> SecretKey {
    SecretKey::parse("key", pem.as_bytes()).unwrap()
}

fn keyring(key: &SecretKey) -> Keyring {
    [key.public().clone()].into_iter().collect()
}

fn version() -> impl Strategy<Value = String> {
    "[0-9]{1,3}(\\.[0-9]{1,3}){0,3}[a-z]?(_(rc|p)[0-9])?(~[0-9a-f]{8})?(-r[0-9]{1,2})?"
}

fn dependency() -> impl Strategy<Value = Dependency> {
    let name =
        prop_oneof!["[a-z][a-z0-9_+.-]{0,12}", "so:lib[a-z]{1,5}\\.so\\.[0-9]", "cmd:[a-z\\[]{1,6}", "/bin/[a-z]{1,4}"];
    let op = select(vec!["=", "<", ">", ">=", "<=", "~", "<~", ">~", "><"]);
    (name, option::of((op, version())), any::<bool>()).prop_map(|(name, condition, conflict)| {
        let condition = condition.map(|(op, version)| format!("{op}{version}")).unwrap_or_default();
        format!("{}{name}{condition}", if conflict { "!" } else { "" }).parse().unwrap()
    })
}

/// apk's order in an ADB file: by name, each item once.
fn sorted(mut items: Vec<Dependency>) -> Vec<Dependency> {
    items.sort_by(|a, b| a.name.cmp(&b.name));
    items.dedup();
    items
}

fn provides(items: Vec<Dependency>) -> Vec<Provide> {
    let exact = |d: Dependency| Dependency {
        op: xpkg_model::Op(if d.version.is_empty() { 7 } else { 1 }),
        conflict: false,
        ..d
    };
    sorted(items.into_iter().map(exact).collect()).into_iter().map(Provide::from).collect()
}

fn package() -> impl Strategy<Value = Package> {
    let text = "[ -~]{0,40}";
    let words = ("[a-z][a-z0-9_+.-]{0,20}", version(), select(vec!["x86_64", "noarch", "aarch64_cortex-a53"]));
    let texts = (
        text,
        text,
        text,
        text,
        text,
        prop_oneof![Just(String::new()), Just("0123456789abcdef".repeat(3)[..40].to_owned())],
    );
    let list = || vec(dependency(), 0..6).prop_map(sorted);
    let lists =
        (list(), vec(dependency(), 0..6).prop_map(provides), list(), list(), list(), vec("[a-z:=0-9]{1,20}", 0..4));
    let numbers = (0_u64..1 << 33, 0_u64..1 << 40, option::of(1_u32..), any::<[u8; 32]>(), any::<bool>(), 0_u32..3);
    (words, texts, lists, numbers).prop_map(|(words, texts, lists, numbers)| {
        let mut package = Package::new(Ecosystem::Openwrt, words.0, words.1);
        package.arch = words.2.to_owned();
        (package.description, package.url, package.license, package.origin, package.maintainer, package.commit) = texts;
        package.depends = lists.0.into_iter().map(Into::into).collect();
        package.provides = lists.1;
        package.replaces = lists.2;
        package.install_if = lists.3;
        package.recommends = lists.4.into_iter().map(Into::into).collect();
        package.tags = lists.5;
        (package.build_time, package.installed_size, package.provider_priority) = (numbers.0, numbers.1, numbers.2);
        package.identity = Some(match numbers.4 {
            true => Identity::ApkSha256(numbers.3),
            false => Identity::ApkSha256Short(Identity::ApkSha256(numbers.3).prefix()),
        });
        package.layer = numbers.5;
        package
    })
}

/// Directories begin with `d`, everything else with `f`: the tree never contradicts itself.
fn entries() -> impl Strategy<Value = Vec<(Entry, Vec<u8>)>> {
    let kind = prop_oneof![
        4 => vec(any::<u8>(), 0..2000).prop_map(|content| (EntryKind::File, content)),
        1 => Just((EntryKind::Dir, Vec::new())),
        1 => vec(1_u8..255, 1..300).prop_map(|target| (EntryKind::Symlink(target), Vec::new())),
        1 => (any::<u32>(), any::<u32>()).prop_map(|(a, b)| (EntryKind::Char(a, b), Vec::new())),
        1 => (any::<u32>(), any::<u32>()).prop_map(|(a, b)| (EntryKind::Block(a, b), Vec::new())),
        1 => Just((EntryKind::Fifo, Vec::new())),
    ];
    let owner = (select(vec!["root", "www"]), select(vec!["root", "adm"]), 0_u64..1 << 33, 0_u32..0o10000);
    let xattrs = prop::collection::btree_map("[a-z]{1,8}\\.[a-z]{1,9}", vec(any::<u8>(), 0..300), 0..3);
    let name = vec(prop_oneof![9 => b'a'..=b'z', 1 => 128_u8..=255], 1..40);
    let one = (vec("d[a-zA-Z0-9 ._-]{0,20}", 0..4), name, kind, owner, xattrs, any::<bool>());
    vec(one, 0..12).prop_map(|made| {
        let mut out: Vec<(Entry, Vec<u8>)> = Vec::new();
        for (at, (dirs, name, (kind, content), owner, xattrs, link)) in made.into_iter().enumerate() {
            let letter = if kind == EntryKind::Dir { "d" } else { "f" };
            let mut path = dirs.iter().flat_map(|d| d.bytes().chain([b'/'])).collect::<Vec<_>>();
            path.extend_from_slice(letter.as_bytes());
            path.extend_from_slice(&name);
            path.extend_from_slice(at.to_string().as_bytes());
            let number = |name| if name == "root" { 0 } else { 65534 };
            let mut entry = Entry::new(RelPath::from_package(&path).unwrap(), kind, owner.3);
            (entry.user, entry.uid) = (owner.0.to_owned(), number(owner.0));
            (entry.group, entry.gid) = (owner.1.to_owned(), number(owner.1));
            // Directories have no time in this format.
            entry.mtime = if entry.kind == EntryKind::Dir { 0 } else { owner.2 };
            entry.xattrs = xattrs.into_iter().collect();
            let file = out.iter().find(|(e, _)| link && matches!(e.kind, EntryKind::File | EntryKind::Hardlink(_)));
            if let Some((file, content)) = file.cloned() {
                let path = entry.path.parent().unwrap().join(format!("f{at}.link").as_bytes()).unwrap();
                // Names of one file share everything but the name.
                let kind = EntryKind::Hardlink(file.path.clone());
                out.push((Entry { path, kind, ..file }, content));
            }
            out.push((entry, content));
        }
        out
    })
}

fn sha256(bytes: &[u8]) -> Option<Digest> {
    Some(Digest::Sha256(Hash::Sha256.of(bytes).try_into().unwrap()))
}

/// Checks what was read against what was written; links of one file may have swapped which of them is the file.
fn compare(written: &[(Entry, Vec<u8>)], read: &[(Entry, Vec<u8>)]) {
    let mut missing: BTreeMap<&RelPath, &(Entry, Vec<u8>)> = written.iter().map(|w| (&w.0.path, w)).collect();
    let mut seen: BTreeMap<RelPath, Vec<u8>> = BTreeMap::new();
    for (entry, content) in read {
        if let EntryKind::Hardlink(to) = &entry.kind {
            let content = seen.get(to).expect("a link to an earlier entry").clone();
            seen.insert(entry.path.clone(), content);
        } else {
            seen.insert(entry.path.clone(), content.clone());
        }
        let Some((want, want_content)) = missing.remove(&entry.path) else {
            assert_eq!((&entry.kind, entry.mode, entry.uid), (&EntryKind::Dir, 0o755, 0), "{entry:?}");
            assert!(entry.path.is_root() || written.iter().any(|(e, _)| e.path.starts_with(&entry.path)));
            continue;
        };
        let mut want = want.clone();
        let linked = |kind: &EntryKind| matches!(kind, EntryKind::File | EntryKind::Hardlink(_));
        if linked(&want.kind) {
            assert!(linked(&entry.kind));
            assert_eq!(seen.get(&entry.path), Some(want_content));
            want.digest = sha256(want_content);
            want.size = if entry.kind == EntryKind::File { want_content.len() as u64 } else { 0 };
            want.kind = entry.kind.clone();
        }
        assert_eq!(*entry, want);
    }
    assert!(missing.is_empty(), "{missing:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_package_is_read_back_as_written(
        package in package(),
        entries in entries(),
        scripts in vec((select(ScriptKind::ALL.to_vec()), vec(any::<u8>(), 1..600)), 0..4),
        triggers in vec("/[a-z/*]{1,20}", 0..3),
        plain in any::<bool>(),
        rsa in any::<bool>(),
        priority in 0_u32..9,
    ) {
        let key = key(if rsa { RSA } else { P256 });
        let scripts: Scripts = scripts.into_iter().collect();
        let mut package = package;
        package.replaces_priority = priority;
        let write = |key: Option<&SecretKey>| {
            let mut builder =
                v3::Builder::new(package.clone()).unwrap().scripts(scripts.clone()).triggers(triggers.clone());
            if plain {
                builder = builder.compression(v3::Compression::None);
            }
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

        let mut opened = package::open(Cursor::new(&file), "p.apk", Ecosystem::Openwrt, &Limits::default()).unwrap();
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

        for _again in 0..2 {
            let mut read = Vec::new();
            opened.read_payload(&mut |entry, content| {
                let mut bytes = Vec::new();
                content.read_to_end(&mut bytes)?;
                read.push((entry.clone(), bytes));
                Ok(())
            }).unwrap();
            compare(&entries, &read);
        }
        // Content that nobody reads is verified all the same.
        opened.read_payload(&mut |_, _| Ok(())).unwrap();
    }

    #[test]
    fn an_index_is_read_back_as_written(packages in vec(package(), 0..8), description in "[!-~]{0,30}", rsa in any::<bool>()) {
        let key = key(if rsa { RSA } else { P256 });
        let mut packages = packages;
        let mut names = HashSet::new();
        packages.retain(|p| names.insert(p.name.clone()));
        packages.sort_by(|a, b| a.name.cmp(&b.name));
        for package in &mut packages {
            package.size = package.installed_size / 2;
        }
        let mut file = Vec::new();
        index::write_adb(&mut file, &description, packages.iter().rev(), Some(&key)).unwrap();
        let mut opened = index::open(Cursor::new(&file), "packages.adb", &Limits::default()).unwrap();
        opened.verify(&keyring(&key)).unwrap();
        let mut read = Vec::new();
        let info = opened.read(Ecosystem::Openwrt, &mut |p| { read.push(p); Ok(()) }).unwrap();
        prop_assert_eq!(info.description, description);
        prop_assert_eq!((info.count, info.skipped), (packages.len() as u64, 0), "{:?}", info.reasons);
        prop_assert_eq!(read, packages);
    }

    #[test]
    fn garbage_is_an_error_and_never_a_panic(
        package in package(),
        flips in vec((any::<prop::sample::Index>(), 1_u8..), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut builder = v3::Builder::new(package.clone()).unwrap().compression(v3::Compression::None);
        let entry = Entry::new(RelPath::literal("usr/bin/x"), EntryKind::File, 0o755);
        builder.entry(&entry, &mut &b"content of it"[..]).unwrap();
        let mut file = Vec::new();
        let written = builder.finish(&mut file, None).unwrap();
        let whole = |file: &[u8]| -> Result<Identity, Error> {
            let mut opened = package::open(Cursor::new(file), "x", Ecosystem::Openwrt, &Limits::default())?;
            opened.read_payload(&mut |_, _| Ok(()))?;
            Ok(opened.identity())
        };
        prop_assert_eq!(whole(&file).unwrap(), written.identity);
        let mut short = file.clone();
        short.truncate(cut.index(file.len()));
        prop_assert!(whole(&short).is_err());
        let mut flipped = file.clone();
        for (at, bits) in &flips {
            let at = at.index(flipped.len());
            flipped[at] ^= bits;
        }
        // Whatever is still readable is another package.
        prop_assert!(flipped == file || whole(&flipped).map_or(true, |identity| identity != written.identity));
    }
}

/// More than stays in memory: the reader puts the heap into a file and reads it through its pages.
#[test]
fn a_large_index_is_read_back_as_written() {
    let package = |i: u32| {
        let mut package = Package::new(Ecosystem::Openwrt, format!("package-{i:05}"), format!("{}.{i}-r1", i % 7));
        package.arch = "x86_64".into();
        package.description = format!("number {i} of very many");
        package.depends = (1..i % 9).map(|n| Dependency::any(format!("package-{:05}", i / (n + 1))).into()).collect();
        package.depends.sort_by_key(|d| d.to_string());
        package.depends.dedup();
        package.provides = vec![Provide::versioned(format!("so:lib{i}.so.1"), "1"), Provide::new(format!("v{i}"))];
        package.identity = Some(Identity::ApkSha256(Hash::Sha256.of(&i.to_le_bytes()).try_into().unwrap()));
        package.size = u64::from(i) * 1000;
        package
    };
    let packages: Vec<Package> = (0..25_000).map(package).collect();
    let key = key(P256);
    let mut file = Vec::new();
    index::write_adb(&mut file, "large", &packages, Some(&key)).unwrap();
    let mut opened = index::open(Cursor::new(&file), "packages.adb", &Limits::default()).unwrap();
    opened.verify(&keyring(&key)).unwrap();
    for _again in 0..2 {
        let mut at = 0;
        let info = opened.read(Ecosystem::Openwrt, &mut |package| {
            assert_eq!(package, packages[at]);
            at += 1;
            Ok(())
        });
        assert_eq!(info.unwrap().count, 25_000);
    }
    let few = Limits { max_entries: 24_999, ..Limits::default() };
    let mut opened = index::open(Cursor::new(&file), "packages.adb", &few).unwrap();
    assert!(matches!(opened.read(Ecosystem::Openwrt, &mut |_| Ok(())), Err(Error::Limit { .. })));
    let small = Limits { max_index_unpacked: 1 << 20, ..Limits::default() };
    assert!(matches!(index::open(Cursor::new(&file), "packages.adb", &small), Err(Error::Limit { .. })));
}
