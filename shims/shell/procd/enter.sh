#!/bin/sh
# Runs a command where /etc/init.d and /etc/rc.d are OpenWrt's, as its scripts expect: they name each other by these paths.
# Outside of the command nothing changes. Usage: enter COMMAND [ARGUMENT...]
if [ "$XPKG_ENTERED" != "$0" ]; then
	export XPKG_ENTERED="$0"
	exec unshare -m --propagation slave /bin/sh "$0" "$@"
fi
unset XPKG_ENTERED
mount --bind /etc/openwrt/init.d /etc/init.d && mount --bind /etc/openwrt/rc.d /etc/rc.d || exit 1
exec "$@"
