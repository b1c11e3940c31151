//! What a tmux has to do, whoever's it is: a server, a second window, a client on a pseudo-terminal, and UTF-8 all the way.

use xpkg_fixtures::real::Output;

/// Goes through a whole session with the system's `tmux`. `run` runs a script of the system's shell.
pub fn session(run: impl Fn(&str) -> Output) {
    let said = run(SESSION);
    let seen: Vec<&str> = said.lines().collect();
    assert!(said.success(), "{said:?}\n{}", run("cat /tmp/tmux-test/* 2>/dev/null").stdout);
    assert_eq!(seen, ["windows: 2", "client: 80x24", "text: Grüße → ☃ ─┼─", "process: tmux"], "{said:?}");
    let gone = run("ps | grep -v grep | grep -q '[t]mux -L'");
    assert!(!gone.success(), "a server is left: {:?}", run("ps"));
}

/// The client's terminal is a pane of another tmux, whose screen can be read back. A chroot has no pseudo-terminals of its
/// own, a booted system has.
const SESSION: &str = r#"
set -e
test -c /dev/ptmx || { mkdir -p /dev/pts; mount -t devpts -o newinstance,ptmxmode=0666 devpts /dev/pts; ln -sf pts/ptmx /dev/ptmx; made=1; }
export LANG=C.UTF-8 TERM=vt100
unset TMUX
mkdir -p /tmp/tmux-test
inner() { tmux -L inner -f /dev/null "$@"; }
outer() { tmux -L outer -f /dev/null "$@"; }
until_true() { i=0; until "$@" >/tmp/tmux-test/waited 2>&1; do i=$((i+1)); test $i -lt 120; sleep 1; done; }
inner new-session -d -x 80 -y 24 "printf 'Gr\303\274\303\237e \342\206\222 \342\230\203 \342\224\200\342\224\274\342\224\200\n'; sleep 900"
inner set-option -g default-terminal screen
inner new-window -d 'sleep 900'
echo "windows: $(inner list-windows | wc -l)"
outer new-session -d -x 80 -y 24 "TMUX= LANG=C.UTF-8 tmux -L inner attach 2>/tmp/tmux-test/attach; sleep 900"
attached() { inner list-clients -F '#{client_width}x#{client_height}' | grep -q x; }
until_true attached
echo "client: $(inner list-clients -F '#{client_width}x#{client_height}')"
shown() { outer capture-pane -p -t :0 | grep -q Gr; }
until_true shown
echo "text: $(outer capture-pane -p -t :0 | grep Gr)"
echo "process: $(cat /proc/$(inner display-message -p '#{pid}')/comm | cut -d: -f1)"
inner kill-server
outer kill-server
until_true sh -c '! ps | grep -v grep | grep -q "[t]mux -L"'
rm -r /tmp/tmux-test "/tmp/tmux-$(id -u)"
test -z "$made" || { umount /dev/pts; rm -f /dev/ptmx; rmdir /dev/pts; }
"#;
