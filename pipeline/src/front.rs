//! What the native managers' own command lines ask for, as values or carried out: only the native side is looked at and
//! solved, as its own manager decides. Never prints.

pub mod apk;
pub mod opkg;
