//! apk's own decisions, faithfully: the same question put to apk-tools 2.14 or 3.0 has the same answer, step by step and
//! word by word. Pure: no files, no network, nothing printed.
//!
//! A [`Universe`] holds what apk would read (installed database, world, repositories in their order), a [`Verb`] what it is
//! asked, and [`decide`] says what it would do and say. The differences between the generations are in the code where they are,
//! behind [`Generation`]; what is known to differ from the real tools is listed in docs/fidelity.md.
//!
//! Inside: `pool` numbers the universe in apk's order, `state` is what is known while deciding, `propagate` draws
//! conclusions, `choose` picks, `changes` orders the steps, `explain` says why nothing fits, `request` knows the verbs.

mod changes;
mod choose;
mod explain;
mod layout;
mod matching;
mod options;
mod plan;
mod pool;
mod propagate;
mod request;
mod state;
mod universe;
mod verb;

pub use plan::{Action, Change, Plan};
pub use request::decide;
pub use universe::{Generation, Record, Repository, Universe};
pub use verb::{Add, Answer, Fix, Line, Options, Upgrade, Verb};
