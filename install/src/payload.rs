//! Where a transaction gets the content of the packages that come. Never fetches and never trusts: whoever implements it
//! has verified the file.

use std::fs::File;
use std::sync::Arc;

use xpkg_formats::package::Opened;
use xpkg_model::Package;

/// An open package file.
pub type OpenPackage = Opened<File>;

/// A package whose signatures or identity were verified, and which can be read as often as needed. Its payload is verified
/// again each time it is read.
pub trait PayloadSource {
    /// The package.
    fn package(&self) -> &Package;

    /// Opens its file.
    fn open(&self) -> Result<OpenPackage, Box<dyn std::error::Error + Send + Sync>>;

    /// Name of the source that offered it, for the record.
    fn source_name(&self) -> Option<&str> {
        None
    }
}

impl<T: PayloadSource + ?Sized> PayloadSource for Arc<T> {
    fn package(&self) -> &Package {
        (**self).package()
    }
    fn open(&self) -> Result<OpenPackage, Box<dyn std::error::Error + Send + Sync>> {
        (**self).open()
    }
    fn source_name(&self) -> Option<&str> {
        (**self).source_name()
    }
}

impl PayloadSource for xpkg_repos::FetchedPackage {
    fn package(&self) -> &Package {
        self.package()
    }
    fn open(&self) -> Result<OpenPackage, Box<dyn std::error::Error + Send + Sync>> {
        Ok(self.open()?)
    }
}
