# The procd side of a service that was written for OpenRC: read by a script of OpenWrt's rc.common that sets XPKG_SCRIPT,
# XPKG_NAME, XPKG_SERVICE (its own name, the same unless another has it), XPKG_COMMANDS and XPKG_OPENRC (where this lies). What runs and how is told by run.sh; procd starts it. Part of xpkg.

EXTRA_COMMANDS="$EXTRA_COMMANDS$(for xpkg_word in $XPKG_COMMANDS; do
	[ "$xpkg_word" = reload ] || printf ' %s' "$xpkg_word"
done) status"

# In a shell of its own, without the lock of procd.sh: what is left running must not hold it.
xpkg_run() {
	local runlevel=default
	[ "$action" != shutdown ] || runlevel=shutdown
	RC_CMD=$action RC_RUNLEVEL=$runlevel /bin/sh "$XPKG_OPENRC/run.sh" "$XPKG_SCRIPT" "$XPKG_NAME" "$@" 1000>&-
}

start_service() {
	# A start that fails leaves what procd knows as it is.
	xpkg_run start || exit 1
	. "/var/run/xpkg/openrc/$XPKG_NAME/instances"
}
service_started() { xpkg_run started; }
stop_service() { xpkg_run stop; }
service_stopped() { xpkg_run stopped; }
reload_service() {
	case " $XPKG_COMMANDS " in
	*" reload "*) xpkg_run reload ;;
	*) restart ;;
	esac
}
# Later versions of rc.common put their own in its place.
status() { if running; then echo running; else echo "not running"; return 5; fi; }
service_running() { procd_running "$XPKG_SERVICE"; }

for xpkg_word in $XPKG_COMMANDS; do
	case $xpkg_word in
	reload) ;;
	*) eval "$xpkg_word() { xpkg_run $xpkg_word \"\$@\"; }" ;;
	esac
done
