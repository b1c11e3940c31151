# Functions that scripts of OpenWrt's packages call, for roots that have no OpenWrt. It is there only while such a script
# runs: what lies on the root afterwards is the package's own.

IPKG_INSTROOT=
root=
export IPKG_INSTROOT root

# Services, links of alternatives and accounts are made without these scripts, from what the package says.
default_preinst() { :; }
default_prerm() { :; }
default_postrm() { :; }
add_group_and_user() { :; }
update_alternatives() { :; }
default_postinst() {
	for file in $XPKG_UCI_DEFAULTS; do
		[ ! -f "$file" ] || ( cd "${file%/*}" && . "$file" )
	done
	return 0
}

group_exists() { grep -qs "^${1}:" /etc/group; }
user_exists() { grep -qs "^${1}:" /etc/passwd; }
group_add() { addgroup -S ${2:+-g "$2"} "$1"; }
group_add_next() {
	group_exists "$1" || addgroup -S "$1"
	grep "^${1}:" /etc/group | cut -d: -f3
}
group_add_user() { addgroup "$2" "$1"; }
user_add() {
	local group=
	[ -z "$3" ] || group=$(cut -d: -f1,3 /etc/group | grep ":${3}\$" | cut -d: -f1)
	adduser -S -D -H -h "${5:-/var/run/$1}" -s "${6:-/sbin/nologin}" -g "${4:-$1}" \
		${2:+-u "$2"} ${group:+-G "$group"} "$1"
}

append() {
	local before sep="${3:- }"
	eval "before=\$$1"
	eval "$1=\${before:+\$before\$sep}\$2"
}
list_contains() {
	local all
	eval "all=\" \$$1 \""
	[ -z "${all##* $2 *}" ]
}
include() {
	local file
	for file in "$1"/*.sh; do
		[ ! -e "$file" ] || . "$file"
	done
}

# Configuration is uci's, where there is uci.
config_load() { XPKG_CONFIG=$1; [ -n "$(command -v uci)" ]; }
config_get() {
	local value
	value=$(uci -q get "$XPKG_CONFIG.$2.$3") || value=$4
	eval "$1=\$value"
}
config_get_bool() {
	config_get "$@"
	eval "case \$$1 in 1|on|true|yes|enabled) $1=1 ;; 0|off|false|no|disabled) $1=0 ;; *) $1=$4 ;; esac"
}
config_set() { uci -q set "$XPKG_CONFIG.$1.$2=$3"; }
config_foreach() {
	local call="$1" type="$2" section
	shift; [ $# -eq 0 ] || shift
	for section in $(uci -q -X show "$XPKG_CONFIG" | sed -n "s/^[^.=]*\.\([^.=]*\)=${type:-.*}\$/\1/p"); do
		"$call" "$section" "$@"
	done
}
