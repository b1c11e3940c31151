//! Booted systems: real roots under their own init and their own kernel. One guest per world, because a boot is what costs;
//! each suite is a module, takes the running guest, and leaves it as it found it.
//!
//! The two guests boot at the same time, as tests of one binary do.

mod alpine;
mod openrc_services;
mod openwrt;
mod procd;
