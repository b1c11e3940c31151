//! `pkgname-spec`: where the files of an index lie, as a pattern with variables (apk-mkndx(8), `--pkgname-spec`).

use xpkg_model::{Package, RelPath};

/// Fills in a package. The result is a path below the directory of the index.
pub(super) fn expand(spec: &str, package: &Package) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = spec;
    while let Some((text, variable)) = rest.split_once("${") {
        let (variable, after) = variable.split_once('}').ok_or("the pattern of file names has a `${` without `}`")?;
        let (name, most) = match variable.split_once(':') {
            Some((name, most)) => {
                (name, most.parse().map_err(|_| format!("`${{{variable}}}` in the pattern of file names"))?)
            }
            None => (variable, usize::MAX),
        };
        let value = match name {
            "name" => package.name.clone(),
            "version" => package.version.clone(),
            "arch" => package.arch.clone(),
            "hash" => package.identity.map(|identity| identity.hex()).unwrap_or_default(),
            _ => return Err(format!("the pattern of file names has the unknown variable `{}`", name.escape_debug())),
        };
        out.push_str(text);
        out.extend(value.chars().take(most));
        rest = after;
    }
    out.push_str(rest);
    match RelPath::from_package(out.as_bytes()) {
        Ok(path) if !path.is_root() && path.as_bytes() == out.as_bytes() => Ok(out),
        Ok(_) => Err(format!("its file name would be `{}`", out.escape_debug())),
        Err(e) => Err(e.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use xpkg_model::{Ecosystem, Identity};

    use super::*;

    #[test]
    fn patterns_are_filled_in() {
        let mut package = Package::new(Ecosystem::Openwrt, "a", "1-r0");
        package.arch = "x86_64".into();
        package.identity = Some(Identity::ApkSha256([0xab; 32]));
        let ok = |spec| expand(spec, &package);
        assert_eq!(ok("${name}-${version}.apk").unwrap(), "a-1-r0.apk");
        assert_eq!(ok("${name:3}/${arch}/x.${hash:8}.apk").unwrap(), "a/x86_64/x.abababab.apk");
        for bad in ["", "/x", "../${name}", "${name", "${path}", "${name:x}", "a//b"] {
            assert!(ok(bad).is_err(), "{bad}");
        }
    }
}
