//! Fields that .PKGINFO and APKINDEX share: lists of dependencies, and words that become part of file names.

use xpkg_model::Package;
use xpkg_model::dependency::{Dependency, valid_package_name};

/// Adds the items of a list (separated by blanks), of which a package may have at most `max`.
pub(crate) fn extend<T: TryFrom<Dependency>>(list: &mut Vec<T>, text: &str, max: u64) -> Result<(), String>
where
    T::Error: std::fmt::Display,
{
    for token in text.split_ascii_whitespace() {
        if list.len() as u64 >= max {
            return Err(format!("more than {max} items in one list"));
        }
        let dependency: Dependency = token.parse().map_err(|e| format!("{e}"))?;
        list.push(T::try_from(dependency).map_err(|e| e.to_string())?);
    }
    Ok(())
}

/// Whether name, version and architecture are there and can be part of a file name.
pub(crate) fn check_words(package: &Package) -> Result<(), String> {
    let shown = |text: &str| text.chars().take(80).collect::<String>().escape_debug().to_string();
    if !valid_package_name(&package.name) {
        return Err(format!("`{}` is no package name", shown(&package.name)));
    }
    let word = |text: &str| {
        text.len() <= 256 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._+-~:".contains(&b)) && text != ".."
    };
    if package.version.is_empty() || !word(&package.version) {
        return Err(format!("`{}` is no version", shown(&package.version)));
    }
    if !word(&package.arch) {
        return Err(format!("`{}` is no architecture", shown(&package.arch)));
    }
    Ok(())
}

/// Reads a decimal number.
pub(crate) fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.trim()
        .parse()
        .map_err(|_| format!("`{}` is no number in range", text.chars().take(40).collect::<String>().escape_debug()))
}

/// A list as apk writes it.
pub(crate) fn join<T: std::fmt::Display>(items: &[T]) -> String {
    items.iter().map(T::to_string).collect::<Vec<_>>().join(" ")
}
