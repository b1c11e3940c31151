#!/bin/sh
# What OpenRC supervises. procd never takes up again what an earlier one started, so that goes first.
/usr/lib/xpkg/procd/sweep
exec /usr/lib/xpkg/procd/enter /usr/lib/xpkg/procd/main
