#!/bin/sh
# Runs one command of a service that was written for OpenRC's openrc-run(8), on a root without OpenRC. Part of xpkg.
#
# run.sh SCRIPT NAME COMMAND: reads rc.conf, the service's conf.d and SCRIPT, checks what openrc-run would check, then runs
# COMMAND. What `start` would put into the background is not started here: it is written to $XPKG_STATE/instances as calls
# of procd's shell functions, and procd starts it.

RC_SERVICE=$1 RC_SVCNAME=$2 xpkg_command=$3
[ -n "$xpkg_command" ] || { echo "run.sh: too few arguments" >&2; exit 2; }
[ -r "$RC_SERVICE" ] || { echo "$RC_SVCNAME: $RC_SERVICE cannot be read" >&2; exit 1; }
shift 3

XPKG_LIB=/usr/lib/xpkg
XPKG_OPENRC=${0%/*}
XPKG_STATE=/var/run/xpkg/openrc/$RC_SVCNAME
SVCNAME=$RC_SVCNAME
RC_UNAME=Linux RC_SYS='' RC_LIBEXECDIR=$XPKG_OPENRC RC_SVCDIR=/var/run/xpkg/openrc
RC_RUNLEVEL=${RC_RUNLEVEL:-default} RC_CMD=${RC_CMD:-$xpkg_command}
RC_CONFDIR=/etc/conf.d
EINFO_QUIET=${EINFO_QUIET:-no} EINFO_VERBOSE=${EINFO_VERBOSE:-no}
PATH=$XPKG_OPENRC/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export RC_SERVICE RC_SVCNAME SVCNAME RC_UNAME RC_RUNLEVEL RC_CMD RC_SVCDIR RC_LIBEXECDIR PATH
mkdir -p "$XPKG_STATE" || exit 1

. "$XPKG_OPENRC/functions.sh"
. "$XPKG_OPENRC/daemon.sh"
# What a service exports goes into the environment of its program.
XPKG_EXPORTED=" $(xpkg_exported) "
export XPKG_LIB XPKG_OPENRC XPKG_STATE XPKG_EXPORTED

# --- the service's own variables and functions -------------------------------------------------------------------------

# Words of depend(): read by xpkg when the package is installed; at run time only `need` is looked at.
config() { :; }
use() { :; }
want() { :; }
before() { :; }
after() { :; }
provide() { :; }
keyword() { :; }
need() { xpkg_needed="$xpkg_needed $*"; }

# As openrc-run's: what a script does not define.
depend() { :; }
start() { default_start; }
stop() { default_stop; }
status() { default_status; }

xpkg_source() { [ ! -e "$1" ] || . "$1" || { eerror "$RC_SVCNAME: $1 cannot be loaded"; exit 1; }; }
xpkg_source /etc/rc.conf
for xpkg_file in /etc/rc.conf.d/*.conf; do xpkg_source "$xpkg_file"; done
case $RC_SVCNAME in
?*.*) xpkg_source "/etc/conf.d/${RC_SVCNAME%%.*}" ;;
esac
xpkg_source "/etc/conf.d/$RC_SVCNAME"
. "$RC_SERVICE" || { eerror "$RC_SVCNAME: $RC_SERVICE cannot be loaded"; exit 1; }

xpkg_is_function() {
	case "$(type "$1" 2>/dev/null)" in
	*function*) return 0 ;;
	esac
	return 1
}

# --- checks ------------------------------------------------------------------------------------------------------------

xpkg_check() {
	local path
	eval "set -- $required_dirs"
	for path; do
		[ -d "$path" ] || { eerror "$RC_SVCNAME: \`$path' is not a directory"; return 1; }
	done
	eval "set -- $required_files"
	for path; do
		[ -r "$path" ] || { eerror "$RC_SVCNAME: \`$path' is not readable"; return 1; }
	done
	if [ -n "${rc_ulimit:-$RC_ULIMIT}" ]; then
		ulimit ${rc_ulimit:-$RC_ULIMIT} || eerror "$RC_SVCNAME: the limits of rc_ulimit cannot be set"
	fi
}

# Other translated services that this one needs and that do not run yet.
xpkg_start_needed() {
	local service script
	xpkg_needed=
	depend >/dev/null 2>&1
	for service in $xpkg_needed $rc_need; do
		script=/etc/init.d/$service
		case " $XPKG_STARTING " in
		*" $service "*) continue ;;
		esac
		[ -x "$script" ] && grep -qs "^XPKG_SCRIPT=" "$script" || continue
		"$script" running && continue
		XPKG_STARTING="$XPKG_STARTING $RC_SVCNAME" "$script" start || {
			eerror "$RC_SVCNAME needs $service, which does not start"
			return 1
		}
	done
}

# --- the command -------------------------------------------------------------------------------------------------------

# A step that may or may not be there.
xpkg_step() { ! xpkg_is_function "$1" || "$@"; }

case $xpkg_command in
start)
	xpkg_volatile
	rm -rf "$XPKG_STATE"
	mkdir -p "$XPKG_STATE" || exit 1
	export XPKG_INSTANCES=$XPKG_STATE/instances
	: >"$XPKG_INSTANCES"
	xpkg_start_needed && xpkg_check || exit 1
	xpkg_step start_pre || exit $?
	start || exit $?
	;;
started)
	xpkg_step start_post || exit $?
	: >"$XPKG_STATE/started"
	;;
stop)
	xpkg_step stop_pre || exit $?
	stop || exit $?
	;;
stopped)
	xpkg_step stop_post
	rm -f "$XPKG_STATE/started"
	;;
*)
	case " status describe $extra_commands $opts $extra_started_commands $extra_stopped_commands " in
	*" $xpkg_command "*) xpkg_is_function "$xpkg_command" ;;
	*) false ;;
	esac || { eerror "$RC_SVCNAME: unknown function \`$xpkg_command'"; exit 1; }
	case " $extra_started_commands " in
	*" $xpkg_command "*)
		service_started || { eerror "$RC_SVCNAME: cannot \`$xpkg_command' as it has not been started"; exit 1; }
		;;
	esac
	case " $extra_stopped_commands " in
	*" $xpkg_command "*)
		! service_started || { eerror "$RC_SVCNAME: cannot \`$xpkg_command' as it has not been stopped"; exit 1; }
		;;
	esac
	xpkg_check || exit 1
	xpkg_step "${xpkg_command}_pre" || exit $?
	"$xpkg_command" "$@" || exit $?
	xpkg_step "${xpkg_command}_post" || exit $?
	;;
esac
