#!/bin/sh
# procd and what it starts, as OpenWrt's own start would: once it answers on the bus, first the settings that packages
# make once, then each S* with `boot`. Runs inside of `enter`.
#
# The mark is inherited by everything that procd starts; `sweep` finds by it what a procd that was killed left behind.
export XPKG_PROCD=1
umask 022
mkdir -p /var/lock /var/run/uci /tmp/resolv.conf.d
(
	tries=0
	until ubus -t 30 wait_for service 2>/dev/null; do
		tries=$((tries + 1))
		[ "$tries" -lt 30 ] || exit 1
		sleep 1
	done
	/usr/lib/xpkg/procd/defaults
	/sbin/reload_config # what it finds later has changed since now
	for script in /etc/rc.d/S*; do
		[ -x "$script" ] && "$script" boot
	done
) </dev/null &
# As a later process it only serves the bus: devices, mounts, the watchdog and /etc/inittab stay with the root's own init.
exec /sbin/procd -S
