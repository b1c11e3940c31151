//! What the walk asks of whoever holds the root: fetching, unpacking, removing, configuring, and telling the person.
//! Answers are taken as they come; the walk decides what follows.

use super::database::Package;

/// How important a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Collected, and told at the end.
    Error,
    /// Told as it happens.
    Notice,
    /// Told when more is asked for.
    Info,
}

/// A package that is to be unpacked.
#[derive(Debug)]
pub struct Incoming<'a> {
    /// It.
    pub package: &'a Package,
    /// The version that it takes the place of.
    pub old: Option<&'a Package>,
    /// Destination.
    pub dest: usize,
}

/// A package that goes.
#[derive(Debug)]
pub struct Outgoing<'a> {
    /// It.
    pub package: &'a Package,
    /// Destination that it is on.
    pub dest: usize,
}

/// The one side of the walk that touches anything. Each method tells what went wrong by itself, in opkg's words.
pub trait Hands {
    /// A message, its line ends included: some of opkg's errors are pieces of lines.
    fn say(&mut self, level: Level, text: String);

    /// Whether there is room for it (`--force-space` is the hands' business).
    fn has_room(&mut self, incoming: &Incoming<'_>) -> bool;

    /// Gets the package's file and checks it: download, signature of its list, size and digests.
    fn fetch(&mut self, incoming: &Incoming<'_>) -> bool;

    /// Reads what the file says of itself, after it was fetched and before its dependencies are.
    fn open(&mut self, incoming: &Incoming<'_>) -> bool;

    /// Old `prerm`, new `preinst`, clashes, old `postrm`, files. `false` when it was not unpacked.
    fn unpack(&mut self, incoming: &Incoming<'_>) -> bool;

    /// `prerm`. `false` when it failed.
    fn before_removal(&mut self, outgoing: &Outgoing<'_>) -> bool;

    /// Files, `postrm`, scripts. `false` when `postrm` failed.
    fn remove(&mut self, outgoing: &Outgoing<'_>) -> bool;

    /// Everything asked for so far may be carried out now: what follows is configuring, or the end. `named` are
    /// the packages that are there and that a person asked for. `false` when it could not be.
    fn settle(&mut self, named: &[String]) -> bool;

    /// `postinst configure`. `false` when it failed.
    fn configure(&mut self, package: &Package) -> bool;
}
