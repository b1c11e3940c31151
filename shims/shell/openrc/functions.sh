# What OpenRC gives to the shell of a service (openrc-run(8), and the programs of its bin directory), in plain shell for a
# root without OpenRC. Part of xpkg; read by run.sh.

# --- words for the person ----------------------------------------------------------------------------------------------

xpkg_indent=
xpkg_say() { [ "$EINFO_QUIET" = yes ] || printf '%s%s%s' " * $xpkg_indent" "$1" "$2"; }
xpkg_log() { logger -t "$RC_SVCNAME" -p "daemon.$1" -- "$2" 2>/dev/null; }
einfo() { xpkg_say "$*" "
"; }
einfon() { xpkg_say "$*" ""; }
ewarn() { xpkg_say "$*" "
" >&2; xpkg_log warning "$*"; }
ewarnn() { xpkg_say "$*" "" >&2; }
eerror() { printf ' * %s%s\n' "$xpkg_indent" "$*" >&2; xpkg_log err "$*"; return 1; }
eerrorn() { printf ' * %s%s' "$xpkg_indent" "$*" >&2; return 1; }
ebegin() { einfo "$* ..."; }
# eend STATUS [MESSAGE...]: tells a failure, and answers the status.
xpkg_end() {
	local tell=$1 status=${2:-0}
	shift
	[ $# -eq 0 ] || shift
	[ "$status" -eq 0 ] || [ -z "$*" ] || "$tell" "$@"
	return "$status"
}
eend() { xpkg_end eerror "$@"; }
ewend() { xpkg_end ewarn "$@"; }
eindent() { xpkg_indent="$xpkg_indent  "; }
eoutdent() { xpkg_indent=${xpkg_indent#  }; }
esyslog() { local level=$1 tag=$2; shift 2; logger -p "$level" -t "$tag" -- "$*"; }
xpkg_verbose() { ! yesno "$EINFO_VERBOSE" || "$@"; }
veinfo() { xpkg_verbose einfo "$@"; }
veinfon() { xpkg_verbose einfon "$@"; }
vewarn() { xpkg_verbose ewarn "$@"; }
vewarnn() { xpkg_verbose ewarnn "$@"; }
vebegin() { xpkg_verbose ebegin "$@"; }
veend() { yesno "$EINFO_VERBOSE" || return "${1:-0}"; eend "$@"; }
vewend() { yesno "$EINFO_VERBOSE" || return "${1:-0}"; ewend "$@"; }
veindent() { xpkg_verbose eindent; }
veoutdent() { xpkg_verbose eoutdent; }
eval_ecolors() { :; }

# --- questions ---------------------------------------------------------------------------------------------------------

# The value itself, or the variable of that name.
yesno() {
	case $1 in
	[Yy][Ee][Ss] | [Tt][Rr][Uu][Ee] | [Oo][Nn] | 1) return 0 ;;
	[Nn][Oo] | [Ff][Aa][Ll][Ss][Ee] | [Oo][Ff][Ff] | 0 | '') return 1 ;;
	*[!A-Za-z0-9_]* | [0-9]*) return 1 ;;
	esac
	local value
	eval "value=\$$1"
	case $value in
	[Yy][Ee][Ss] | [Tt][Rr][Uu][Ee] | [Oo][Nn] | 1) return 0 ;;
	esac
	return 1
}

shell_var() { printf '%s' "$*" | tr -c 'A-Za-z0-9_' '_'; }
is_newer_than() {
	local one=$1 other
	shift
	for other; do [ ! "$other" -nt "$one" ] || return 1; done
}
is_older_than() {
	local one=$1 other
	shift
	for other; do [ ! "$one" -nt "$other" ] || return 0; done
	return 1
}
get_bootparam() {
	local word
	for word in $(cat /proc/cmdline 2>/dev/null); do [ "$word" != "$1" ] || return 0; done
	return 1
}
get_bootparam_value() {
	local word
	for word in $(cat /proc/cmdline 2>/dev/null); do
		case $word in
		"$1"=*) echo "${word#*=}"; return 0 ;;
		esac
	done
}
# mountinfo [-q] [-f TYPE] PATH...: which of the paths are mounted.
mountinfo() {
	local quiet='' type='' found=1 path
	while [ $# -gt 0 ]; do
		case $1 in
		-q | --quiet) quiet=1 ;;
		-f | --fstype-regex) shift; type=$1 ;;
		-*) ;;
		*) break ;;
		esac
		shift
	done
	for path; do
		if awk -v path="$path" -v type="$type" \
			'$2 == path && (type == "" || $3 ~ type) { found = 1 } END { exit !found }' /proc/mounts; then
			found=0
			[ -n "$quiet" ] || echo "$path"
		fi
	done
	return $found
}
fstabinfo() { return 1; }
on_ac_power() { return 0; }
ewaitfile() {
	local left=$1 path
	shift
	for path; do
		while [ ! -e "$path" ]; do
			[ "$left" -gt 0 ] || return 1
			sleep 1
			left=$((left - 1))
		done
	done
}
need_if_exists() {
	local service
	for service; do [ ! -e "/etc/init.d/$service" ] || need "$service"; done
}

# --- the service's state -----------------------------------------------------------------------------------------------

service_set_value() { printf '%s' "$2" >"$XPKG_STATE/value.$1"; }
service_get_value() { cat "$XPKG_STATE/value.$1" 2>/dev/null; }
save_options() { local name=$1; shift; service_set_value "option.$name" "$*"; }
get_options() { service_get_value "option.$1"; }
service_started() { [ -e "/var/run/xpkg/openrc/${1:-$RC_SVCNAME}/started" ]; }
service_stopped() { ! service_started "$@"; }
service_starting() { [ "$RC_CMD" = start ] && [ "${1:-$RC_SVCNAME}" = "$RC_SVCNAME" ]; }
service_stopping() { [ "$RC_CMD" = stop ] && [ "${1:-$RC_SVCNAME}" = "$RC_SVCNAME" ]; }
service_inactive() { return 1; }
service_wasinactive() { return 1; }
service_hotplugged() { return 1; }
service_crashed() { return 1; }
mark_service_started() { :; }
mark_service_stopped() { :; }
mark_service_starting() { :; }
mark_service_stopping() { :; }
mark_service_inactive() { :; }
mark_service_wasinactive() { :; }
mark_service_failed() { :; }
mark_service_crashed() { :; }
default_status() { if service_started; then einfo "status: started"; else einfo "status: stopped"; return 3; fi; }
describe() { einfo "${description:-No description for $RC_SVCNAME}"; }

# --- files -------------------------------------------------------------------------------------------------------------

# checkpath [-dDfFp] [-m MODE] [-o OWNER] PATH...: makes what is missing, and sets mode and owner (openrc-run(8)).
checkpath() {
	local kind='' mode='' owner='' truncate='' first path
	while [ $# -gt 0 ]; do
		case $1 in
		-d | --directory) kind=dir ;;
		-D | --directory-truncate) kind=dir truncate=1 ;;
		-f | --file) kind=file ;;
		-F | --file-truncate) kind=file truncate=1 ;;
		-p | --pipe) kind=pipe ;;
		-m | --mode) shift; mode=$1 ;;
		--mode=*) mode=${1#*=} ;;
		-o | --owner) shift; owner=$1 ;;
		--owner=*) owner=${1#*=} ;;
		-W | --writable) kind=writable ;;
		-m?*) mode=${1#-m} ;;
		-o?*) owner=${1#-o} ;;
		-[dDfFpWq]?*)
			first=${1%"${1#??}"} path=-${1#??}
			shift
			set -- "$first" "$path" "$@"
			continue
			;;
		-*) ;;
		*) break ;;
		esac
		shift
	done
	for path; do
		case $kind in
		writable) [ -w "$path" ] || return 1; continue ;;
		dir)
			[ -d "$path" ] || { mkdir -p "$path" && chmod "${mode:-0775}" "$path"; } || return 1
			[ -z "$truncate" ] || find "$path" -mindepth 1 -delete
			;;
		file)
			[ -e "$path" ] && [ -z "$truncate" ] || : >"$path" || return 1
			;;
		pipe) [ -p "$path" ] || mkfifo "$path" || return 1 ;;
		*) [ -e "$path" ] || return 1; continue ;;
		esac
		[ -z "$mode" ] || chmod "$mode" "$path" || return 1
		[ -z "$owner" ] || chown "$owner" "$path" || return 1
	done
}

# /run, and what packages keep below /var where /var is emptied at every start: one line per path in volatile/*, as
# `d MODE USER GROUP PATH` for a directory, `l TARGET PATH` for a link.
xpkg_volatile() {
	local file kind mode user group path
	mkdir -p /var/run /var/lock /var/log /var/tmp /var/lib /var/cache /var/spool 2>/dev/null
	[ -e /run ] || [ -L /run ] || ln -s /var/run /run
	for file in "$XPKG_LIB"/volatile/*; do
		[ -f "$file" ] || continue
		while read -r kind mode user group path; do
			case $kind in
			d)
				[ ! -d "$path" ] || continue
				mkdir -p "$path" || continue
				# The group may be one that this system does not have.
				chown "$user:$group" "$path" 2>/dev/null || chown "$user" "$path" 2>/dev/null
				chmod "$mode" "$path"
				;;
			l)
				# mode is the target here and user the path.
				[ ! -e "$user" ] && [ ! -L "$user" ] || continue
				mkdir -p "${user%/*}" && ln -s "$mode" "$user"
				;;
			esac
		done <"$file"
	done
}
