//! Changes a root: staging, conflicts, journal, commit, recovery, scripts. The only writer of a root.
