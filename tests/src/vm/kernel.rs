//! Debian's cloud kernel, its modules in an order in which they load, and a static busybox: what `.ci/setup` unpacked.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use xpkg_fixtures::real::skip;

/// What a guest needs before its root is mounted; what these depend on comes by itself.
const WANTED: [&str; 4] = ["virtio_pci", "virtio_blk", "virtio_console", "virtio_net"];
/// Uses symbols of `virtio_ring` without naming it in its `depends`.
const FIRST: &str = "virtio_ring";

/// Files for a boot.
pub struct Kernel {
    /// The kernel.
    pub image: PathBuf,
    /// A static busybox.
    pub busybox: PathBuf,
    /// Modules, to be loaded in this order.
    pub modules: Vec<PathBuf>,
}

impl Kernel {
    /// In `XPKG_TOOLS`; `None`, said aloud, where there is none.
    pub fn find() -> Option<Self> {
        let Some(dir) = std::env::var_os("XPKG_TOOLS").map(|d| Path::new(&d).join("kernel")).filter(|d| d.is_dir())
        else {
            return skip("needs a kernel in $XPKG_TOOLS/kernel: see .ci/setup");
        };
        let mut found = BTreeMap::new();
        for entry in fs::read_dir(dir.join("modules")).unwrap() {
            let path = entry.unwrap().path();
            found.insert(path.file_stem().unwrap().to_str().unwrap().replace('-', "_"), path);
        }
        let mut modules = Vec::new();
        for name in [FIRST].iter().chain(&WANTED) {
            order(name, &found, &mut modules);
        }
        Some(Self { image: dir.join("vmlinuz"), busybox: dir.join("busybox"), modules })
    }
}

/// Adds a module after those that it depends on.
fn order(name: &str, found: &BTreeMap<String, PathBuf>, modules: &mut Vec<PathBuf>) {
    // One that is not there as a file is built in.
    let Some(path) = found.get(name).filter(|path| !modules.contains(path)) else { return };
    for needed in depends(&fs::read(path).unwrap()) {
        order(&needed, found, modules);
    }
    modules.push(path.clone());
}

/// The `depends=` field of a module's `.modinfo`, whose fields end with NUL.
fn depends(module: &[u8]) -> Vec<String> {
    let fields = module.split(|byte| *byte == 0);
    let text = fields.filter_map(|field| field.strip_prefix(b"depends=")).find_map(|f| std::str::from_utf8(f).ok());
    text.unwrap_or_default().split(',').filter(|n| !n.is_empty()).map(|n| n.replace('-', "_")).collect()
}
