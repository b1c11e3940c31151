#!/bin/sh
# What OpenRC supervises. procd never takes up again what an earlier one started, so that goes first; where the root has
# xpkg, its supervisor also ends what procd leaves behind in the moment in which it dies.
/usr/lib/xpkg/procd/sweep
for xpkg in /usr/lib/xpkg/bin/xpkg /usr/bin/xpkg; do
	[ -x "$xpkg" ] && "$xpkg" applet supervise --help >/dev/null 2>&1 &&
		exec "$xpkg" applet supervise -- /usr/lib/xpkg/procd/enter /usr/lib/xpkg/procd/main
done
exec /usr/lib/xpkg/procd/enter /usr/lib/xpkg/procd/main
