//! Packages as rows of a block. Hot rows hold what resolving needs, cold rows what only showing needs. A hot block begins
//! with all names, so that a name is looked for without decoding anything else.

use xpkg_model::dependency::Op;
use xpkg_model::opkg::Opkg;
use xpkg_model::{Dependency, Ecosystem, Identity, Package, Provide, Requirement, VersionScheme, identity};

use super::codec::{Bad, Reader, put_bytes, put_int, put_str};

/// Packages of one block: enough for deflate to find what repeats, few enough to inflate for one row.
pub(super) const PER_BLOCK: usize = 32;

/// Room made for a list before its items are read. What a solve looks at stays in memory until its end, and a list that grows by
/// doubling would take up to four times what it holds.
const AT_ONCE: usize = 1024;

/// Packs a block's packages: the hot bytes and the cold ones.
pub(super) fn write_block(packages: &[Package]) -> (Vec<u8>, Vec<u8>) {
    let (mut hot, mut cold, mut row) = (Vec::new(), Vec::new(), Vec::new());
    put_int(&mut hot, packages.len() as u64);
    for package in packages {
        put_str(&mut hot, &package.name);
    }
    for package in packages {
        row.clear();
        write_hot(&mut row, package);
        put_bytes(&mut hot, &row);
        row.clear();
        write_cold(&mut row, package);
        put_bytes(&mut cold, &row);
    }
    (hot, cold)
}

fn write_hot(out: &mut Vec<u8>, p: &Package) {
    out.push(match p.scheme {
        VersionScheme::Apk => 0,
        VersionScheme::Deb => 1,
    });
    put_str(out, &p.version);
    put_str(out, &p.arch);
    put_str(out, &p.origin);
    put_int(out, p.provider_priority.map_or(0, |n| u64::from(n) + 1));
    put_int(out, p.replaces_priority.into());
    put_int(out, p.layer.into());
    put_str(out, p.filename.as_deref().unwrap_or_default());
    write_requirements(out, &p.depends);
    put_int(out, p.provides.len() as u64);
    for provide in &p.provides {
        put_str(out, &provide.name);
        match &provide.version {
            Some(version) => {
                out.push(1);
                put_str(out, version);
            }
            None => out.push(0),
        }
    }
    write_dependencies(out, &p.replaces);
    write_dependencies(out, &p.install_if);
    write_requirements(out, &p.recommends);
    put_int(out, p.size);
    put_int(out, p.installed_size);
    match p.identity {
        None => out.push(0),
        Some(Identity::ApkSha1(b)) => put_digest(out, 1, &b),
        Some(Identity::ApkSha256(b)) => put_digest(out, 2, &b),
        Some(Identity::ApkSha256Short(b)) => put_digest(out, 3, &b),
        Some(Identity::File(b)) => put_digest(out, 4, &b),
    }
    match &p.opkg {
        None => out.push(0),
        Some(opkg) => {
            out.push(1 | u8::from(opkg.essential) << 1);
            put_str(out, &opkg.abi_version);
        }
    }
}

fn write_requirements(out: &mut Vec<u8>, list: &[Requirement]) {
    put_int(out, list.len() as u64);
    for requirement in list {
        write_dependencies(out, requirement.alternatives());
    }
}

fn put_digest(out: &mut Vec<u8>, family: u8, bytes: &[u8]) {
    out.push(family);
    out.extend_from_slice(bytes);
}

fn write_dependencies(out: &mut Vec<u8>, list: &[Dependency]) {
    put_int(out, list.len() as u64);
    for d in list {
        let flags = (d.op.0 & 15) | u8::from(d.conflict) << 4 | u8::from(!d.version.is_empty()) << 5;
        out.push(flags | u8::from(d.tag.is_some()) << 6);
        put_str(out, &d.name);
        if !d.version.is_empty() {
            put_str(out, &d.version);
        }
        if let Some(tag) = &d.tag {
            put_str(out, tag);
        }
    }
}

fn write_cold(out: &mut Vec<u8>, p: &Package) {
    for text in [&p.description, &p.url, &p.license, &p.maintainer] {
        put_str(out, text);
    }
    put_int(out, p.build_time);
    match identity::parse_hex::<20>(&p.commit).filter(|b| identity::hex(b) == p.commit) {
        Some(bytes) => put_digest(out, 1, &bytes),
        None => {
            out.push(0);
            put_str(out, &p.commit);
        }
    }
    put_strs(out, p.tags.iter());
    // What resolving needs of these is in the hot row, which also says whether there are any.
    if let Some(opkg) = &p.opkg {
        put_strs(out, opkg.alternatives.iter().map(ToString::to_string));
        put_strs(out, opkg.require_user.iter());
        put_str(out, &opkg.section);
        write_requirements(out, &opkg.pre_depends);
        write_dependencies(out, &opkg.suggests);
        put_strs(out, opkg.other.iter().flat_map(|(name, value)| [name, value]));
    }
}

fn put_strs<T: AsRef<str>>(out: &mut Vec<u8>, list: impl Iterator<Item = T>) {
    let list: Vec<T> = list.collect();
    put_int(out, list.len() as u64);
    for text in list {
        put_str(out, text.as_ref());
    }
}

/// The names of a hot block, in row order.
pub(super) fn names(hot: &[u8]) -> Result<Vec<&str>, Bad> {
    let mut reader = Reader(hot);
    let n = reader.count()?;
    (0..n).map(|_| reader.str()).collect()
}

/// Reads one row of a hot block.
pub(super) fn read_hot(hot: &[u8], row: usize, ecosystem: Ecosystem) -> Result<Package, Bad> {
    let mut reader = Reader(hot);
    let n = reader.count()?;
    let mut name = "";
    for i in 0..n {
        let bytes = reader.bytes()?;
        if i == row {
            name = std::str::from_utf8(bytes).map_err(|_| Bad("a text is not UTF-8"))?;
        }
    }
    for _ in 0..row {
        reader.bytes()?;
    }
    let mut r = Reader(reader.bytes()?);
    let mut p = Package::new(ecosystem, name, "");
    p.scheme = if r.byte()? == 0 { VersionScheme::Apk } else { VersionScheme::Deb };
    p.version = r.string()?;
    p.arch = r.string()?;
    p.origin = r.string()?;
    p.provider_priority = r.int32()?.checked_sub(1);
    p.replaces_priority = r.int32()?;
    p.layer = r.int32()?;
    p.filename = Some(r.string()?).filter(|f| !f.is_empty());
    p.depends = read_requirements(&mut r)?;
    let n = r.count()?;
    p.provides.reserve_exact(n.min(AT_ONCE));
    for _ in 0..n {
        let name = r.string()?;
        let version = if r.byte()? == 1 { Some(r.string()?) } else { None };
        p.provides.push(Provide { name, version });
    }
    p.replaces = read_dependencies(&mut r)?;
    p.install_if = read_dependencies(&mut r)?;
    p.recommends = read_requirements(&mut r)?;
    p.size = r.int()?;
    p.installed_size = r.int()?;
    p.identity = match r.byte()? {
        0 => None,
        1 => Some(Identity::ApkSha1(r.array()?)),
        2 => Some(Identity::ApkSha256(r.array()?)),
        3 => Some(Identity::ApkSha256Short(r.array()?)),
        4 => Some(Identity::File(r.array()?)),
        _ => return Err(Bad("an unknown kind of identity")),
    };
    let flags = r.byte()?;
    if flags != 0 {
        p.opkg = Some(Box::new(Opkg { essential: flags & 2 != 0, abi_version: r.string()?, ..Opkg::default() }));
    }
    Ok(p)
}

fn read_requirements(r: &mut Reader<'_>) -> Result<Vec<Requirement>, Bad> {
    let n = r.count()?;
    let mut list = Vec::with_capacity(n.min(AT_ONCE));
    for _ in 0..n {
        list.push(Requirement::any_of(read_dependencies(r)?).ok_or(Bad("an empty requirement"))?);
    }
    Ok(list)
}

fn read_dependencies(r: &mut Reader<'_>) -> Result<Vec<Dependency>, Bad> {
    let n = r.count()?;
    let mut list = Vec::with_capacity(n.min(AT_ONCE));
    for _ in 0..n {
        let flags = r.byte()?;
        list.push(Dependency {
            op: Op(flags & 15),
            conflict: flags & 16 != 0,
            name: r.string()?,
            version: if flags & 32 != 0 { r.string()? } else { String::new() },
            tag: if flags & 64 != 0 { Some(r.string()?) } else { None },
        });
    }
    Ok(list)
}

/// Completes a package with its cold row.
pub(super) fn read_cold(cold: &[u8], row: usize, p: &mut Package) -> Result<(), Bad> {
    let mut reader = Reader(cold);
    for _ in 0..row {
        reader.bytes()?;
    }
    let mut r = Reader(reader.bytes()?);
    for text in [&mut p.description, &mut p.url, &mut p.license, &mut p.maintainer] {
        *text = r.string()?;
    }
    p.build_time = r.int()?;
    p.commit = if r.byte()? == 1 { identity::hex(&r.array::<20>()?) } else { r.string()? };
    p.tags = read_strs(&mut r)?;
    if let Some(opkg) = &mut p.opkg {
        let alternatives = read_strs(&mut r)?.iter().map(|text| text.parse()).collect::<Result<_, _>>();
        opkg.alternatives = alternatives.map_err(|_| Bad("an alternative is broken"))?;
        opkg.require_user = read_strs(&mut r)?;
        opkg.section = r.string()?;
        opkg.pre_depends = read_requirements(&mut r)?;
        opkg.suggests = read_dependencies(&mut r)?;
        let mut other = read_strs(&mut r)?.into_iter();
        opkg.other = std::iter::from_fn(|| Some((other.next()?, other.next()?))).collect();
    }
    Ok(())
}

fn read_strs(r: &mut Reader<'_>) -> Result<Vec<String>, Bad> {
    let n = r.count()?;
    (0..n).map(|_| r.string()).collect()
}

/// The description alone.
pub(super) fn descriptions(cold: &[u8]) -> impl Iterator<Item = Result<&str, Bad>> {
    let mut reader = Reader(cold);
    std::iter::from_fn(move || {
        (!reader.0.is_empty()).then(|| {
            let row = reader.bytes()?;
            Reader(row).str()
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_comes_back() {
        let mut p = Package::new(Ecosystem::Openwrt, "a", "1-r0");
        p.scheme = VersionScheme::Deb;
        for (i, text) in [&mut p.arch, &mut p.description, &mut p.url, &mut p.license, &mut p.origin, &mut p.maintainer]
            .into_iter()
            .enumerate()
        {
            *text = format!("text {i}");
        }
        p.commit = "da4780262417a9446b7d13fe9bb7e83c54edb53d".into();
        (p.build_time, p.size, p.installed_size, p.replaces_priority, p.layer) = (1, 2, 3, 4, 1);
        p.provider_priority = Some(u32::MAX - 1);
        p.identity = Some(Identity::ApkSha256([3; 32]));
        let dep = |t: &str| t.parse::<Dependency>().unwrap();
        p.depends = vec![Requirement::any_of(vec![dep("x>=1"), dep("y")]).unwrap(), dep("!z@t~2").into()];
        p.provides = vec![Provide::new("v"), Provide::versioned("so:l", "1")];
        p.replaces = vec![dep("r<2")];
        p.install_if = vec![dep("i=1"), dep("j")];
        p.recommends = vec![dep("k").into()];
        p.tags = vec!["openwrt:abiversion=1".into()];
        p.filename = Some("f.apk".into());
        p.opkg = Some(Box::new(Opkg {
            abi_version: "7".into(),
            alternatives: vec!["200:/usr/bin/wget:/usr/bin/wget-ssl".parse().unwrap()],
            require_user: vec!["a=1:b=2".into()],
            essential: true,
            section: "net".into(),
            pre_depends: vec![dep("q").into()],
            suggests: vec![dep("s>1")],
            other: vec![("CPE-ID".into(), "cpe:/a:x".into())],
        }));
        let mut second = p.clone();
        second.opkg = None;
        (second.name, second.commit, second.identity) = ("b".into(), "zz".into(), None);
        let list = [p, second];
        let (hot, cold) = write_block(&list);
        assert_eq!(names(&hot).unwrap(), ["a", "b"]);
        for (row, want) in list.iter().enumerate() {
            let mut got = read_hot(&hot, row, Ecosystem::Openwrt).unwrap();
            read_cold(&cold, row, &mut got).unwrap();
            assert_eq!(&got, want);
        }
        assert_eq!(descriptions(&cold).collect::<Result<Vec<_>, _>>().unwrap(), ["text 1", "text 1"]);
        for end in 0..hot.len() {
            let _ = read_hot(&hot[..end], 1, Ecosystem::Openwrt);
        }
        assert!(read_hot(&hot[..hot.len() / 2], 1, Ecosystem::Openwrt).is_err());
    }
}
