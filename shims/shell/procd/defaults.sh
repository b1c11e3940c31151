#!/bin/sh
# Runs what packages have in /etc/uci-defaults on OpenWrt, each file once: one that ends well leaves a mark. OpenWrt itself
# deletes such a file; here it belongs to a package, and stays. Runs inside of `enter`.
[ -x /sbin/uci ] && [ -s /lib/functions.sh ] || exit 0
done=/var/lib/xpkg/uci-defaults
ran=
for file in /etc/openwrt/uci-defaults/*; do
	name=${file##*/}
	[ -f "$file" ] && [ ! -e "$done/$name" ] || continue
	mkdir -p "$done" /tmp/.uci
	ran=1
	(
		(
			. /lib/functions.sh
			cd /etc/openwrt/uci-defaults && . "./$name"
		) && : >"$done/$name"
	) </dev/null 2>&1 | logger -t uci-defaults
done
[ -z "$ran" ] || uci commit
