//! What the suites across crates share: the built program, real systems, the real native managers as judges, mounts.
//!
//! For tests only; everything here panics when the machine does not do what a test needs.

pub mod breadth;
pub mod commits;
pub mod damage;
pub mod database;
pub mod elf_lab;
pub mod feed;
pub mod fidelity;
pub mod image;
pub mod inside;
pub mod judge;
pub mod loader_judge;
pub mod openrc;
pub mod opkg_lab;
pub mod overlay;
pub mod program;
pub mod small_disk;
pub mod system;
pub mod tls;
pub mod tmux;
pub mod trace;
pub mod vm;

pub mod verdict_table;

pub use database::Databases;
pub use judge::Answers;
pub use overlay::Overlay;
pub use program::Xpkg;
pub use small_disk::SmallDisk;
pub use system::{System, add_source, data_server};
pub use tls::TlsServer;
pub use trace::Trace;
pub use vm::Vm;
