//! What is told to someone who called opkg wrongly: our own words, opkg's exit code.

use std::process::ExitCode;

const USAGE: &str = "usage: opkg [options...] sub-command [arguments...]

Packages:
  update                        fetch the lists of the feeds
  install PACKAGE|FILE|URL...   install, with what they need
  upgrade PACKAGE...            bring to the newest version
  remove PATTERN...             remove
  configure [PATTERN]           configure what is only unpacked
  flag FLAG PACKAGE...          hold, noprune, user, ok, installed, unpacked
  download PACKAGE...           fetch into the current directory

Questions:
  list, find, info [PATTERN]    what the feeds offer
  list-installed, status [PATTERN]
  list-upgradable
  list-changed-conffiles [PATTERN]
  files PACKAGE                 which files a package has
  search PATTERN                which package has a file
  depends, whatdepends, whatdependsrec, whatrecommends, whatsuggests, whatprovides, whatconflicts, whatreplaces
                                [-A] PATTERN...
  compare-versions V1 OP V2     OP is one of < << <= = >= >> >
  print-architecture

Options:
  -A, --query-all               ask for what is not installed too
  -V[N], --verbosity[=N]        0 errors, 1 as usual, 2 more
  -f, --conf FILE               read instead of /etc/opkg.conf
  -o, --offline-root DIR        the root to work on; no scripts are run
  -d, --dest NAME               destination to work on
  --add-dest NAME:PATH, --add-arch ARCH:PRIORITY
  -l, --lists-dir DIR   -t, --tmp-dir DIR   --cache DIR
  --nodeps --noaction --download-only --autoremove --nocase --size
  --force-depends --force-maintainer --force-reinstall --force-overwrite --force-downgrade --force-space
  --force-postinstall --force-remove --force-checksum --force-signature
  --force-removal-of-dependent-packages --force-removal-of-essential-packages
";

/// Prints it.
pub fn told() -> ExitCode {
    print!("{USAGE}");
    ExitCode::from(1)
}
