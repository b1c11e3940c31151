# Starting and stopping programs as OpenRC's start-stop-daemon(8) and supervise-daemon(8) do, with procd as the one who
# keeps them. Part of xpkg; read by run.sh and by bin/start-stop-daemon.

# --- small things ------------------------------------------------------------------------------------------------------

# Words for the shell to read again.
xpkg_quoted() {
	local word
	for word; do printf " '%s'" "$(printf '%s' "$word" | sed "s/'/'\\\\''/g")"; done
}

xpkg_exported() {
	export -p | sed -n 's/^export \([A-Za-z_][A-Za-z0-9_]*\).*/\1/p' | tr '\n' ' '
}

# A process that is there and is no zombie.
xpkg_lives() {
	[ -n "$1" ] && [ -r "/proc/$1/stat" ] || return 1
	case "$(sed 's/.*) //; s/ .*//' "/proc/$1/stat" 2>/dev/null)" in
	Z | X | '') return 1 ;;
	esac
}

# Process ids that a daemon is told by: its pid file, else its program, else its name.
xpkg_find() {
	local pidfile=$1 exec=$2 name=$3 pid dir
	if [ -n "$pidfile" ]; then
		read -r pid 2>/dev/null <"$pidfile" || [ -n "$pid" ] || return 1
		case $pid in
		'' | *[!0-9]*) return 1 ;;
		esac
		xpkg_lives "$pid" && echo "$pid"
		return
	fi
	[ -n "$exec$name" ] || return 1
	for dir in /proc/[0-9]*; do
		pid=${dir#/proc/}
		[ "$pid" != $$ ] || continue
		if [ -n "$exec" ]; then
			[ "$(readlink "$dir/exe" 2>/dev/null)" = "$exec" ] || continue
		fi
		if [ -n "$name" ]; then
			[ "$(cat "$dir/comm" 2>/dev/null)" = "$(printf '%.15s' "$name")" ] || continue
		fi
		xpkg_lives "$pid" && echo "$pid"
	done
}

xpkg_signal_name() {
	local name=${1#-}
	echo "${name#SIG}"
}

# Signals by a schedule of start-stop-daemon(8): SECONDS, or SIGNAL/SECONDS/SIGNAL/SECONDS...
xpkg_stop_pids() {
	local signal=$1 schedule=$2 pids=$3 step left pid alive
	case $schedule in
	'' | *[!0-9]*) ;;
	*) schedule="$signal/$schedule/KILL/5" ;;
	esac
	schedule=${schedule:-$signal/5}
	while [ -n "$schedule" ]; do
		step=${schedule%%/*}
		case $schedule in
		*/*) schedule=${schedule#*/} ;;
		*) schedule= ;;
		esac
		case $step in
		forever | *[!0-9]*)
			[ "$step" != forever ] || { left=86400; step=; }
			if [ -n "$step" ]; then
				kill -"$(xpkg_signal_name "$step")" $pids 2>/dev/null
				left=0
			fi
			;;
		*) left=$step ;;
		esac
		while :; do
			alive=
			for pid in $pids; do ! xpkg_lives "$pid" || alive="$alive $pid"; done
			[ -n "$alive" ] || return 0
			[ "$left" -gt 0 ] || break
			sleep 1
			left=$((left - 1))
		done
	done
	return 1
}

# The xpkg that follows programs which put themselves into the background.
xpkg_supervisor() {
	local program
	for program in /usr/bin/xpkg /usr/sbin/xpkg "$XPKG_LIB/bin/xpkg"; do
		[ ! -x "$program" ] || { echo "$program"; return 0; }
	done
	return 1
}

# The option that keeps a program in the foreground, for those whose manual has one and whose reload keeps their process:
# procd can then look after them where there is no xpkg.
xpkg_foreground() {
	case ${1##*/} in
	sshd | sshd.pam | sshd.krb5) printf %s -D ;;
	chronyd) printf %s -n ;;
	dnsmasq) printf %s -k ;;
	dbus-daemon) printf %s --nofork ;;
	*) return 1 ;;
	esac
}

# --- start-stop-daemon and supervise-daemon ----------------------------------------------------------------------------

xpkg_daemon() {
	local action='' exec='' startas='' background='' user='' group='' dir='' umask='' nice='' pidfile='' root='' name=''
	local signal=TERM signalled='' retry='' out='' err='' oknodo='' supervise='' test='' delay=5 max=5 period=3600
	local environment='' foreground option value has pids pid words
	while [ $# -gt 0 ]; do
		option=$1 has=
		case $option in
		--) shift; break ;;
		--*=*) value=${option#*=} option=${option%%=*} has=1 ;;
		--*) value=$2 ;;
		-[abcdegiknNprRsuwxI1234ADm]?*) value=${option#??} option=${option%"$value"} has=1 ;;
		-*) value=$2 ;;
		*) break ;;
		esac
		# Those without a value first: the rest takes one.
		case $option in
		-m | --make-pidfile | -b | --background)
			background=1
			# Several letters in one word: `-bm`.
			[ -z "$has" ] || { shift; set -- "-$value" "$@"; continue; }
			;;
		-S | --start) action=start ;;
		-K | --stop) action=stop ;;
		-t | --test) test=1 ;;
		-o | --oknodo) oknodo=1 ;;
		-q | --quiet | -v | --verbose | -P | --progress | -C | --nocolor | --no-new-privs) ;;
		--supervise) supervise=1 ;;
		*)
			[ -n "$has" ] || shift
			case $option in
			-x | --exec) exec=$value ;;
			-a | --startas) startas=$value ;;
			-c | --chuid | -u | --user) user=$value ;;
			-g | --group) group=$value ;;
			-d | --chdir) dir=$value ;;
			-k | --umask) umask=$value ;;
			-N | --nicelevel) nice=$value ;;
			-p | --pidfile) pidfile=$value ;;
			-r | --chroot) root=$value ;;
			-n | --name) name=$value ;;
			-s | --signal) signal=$(xpkg_signal_name "$value") signalled=1 ;;
			-R | --retry) retry=$value ;;
			-1 | --stdout) out=$value ;;
			-2 | --stderr) err=$value ;;
			-e | --env) environment="$environment$(xpkg_quoted "$value")" ;;
			-D | --respawn-delay) [ -z "$supervise" ] || delay=$value ;;
			--respawn-max) max=$value ;;
			--respawn-period) period=$value ;;
			-w | --wait | -i | --ionice | -I | --interpreted | -3 | -4 | --stdout-logger | --stderr-logger | -A | \
				--capabilities | --secbits | --scheduler | --scheduler-priority | --oom-score-adj | --healthcheck-timer | \
				--healthcheck-delay) ;;
			*) eerror "start-stop-daemon: option $option is not known here"; return 1 ;;
			esac
			;;
		esac
		shift
	done
	# supervise-daemon SERVICE --start EXEC -- ARGS
	case $user in
	*:*) group=${user#*:} user=${user%%:*} ;;
	esac
	if [ -n "$supervise" ] && [ -z "$action" ] && [ $# -gt 0 ]; then
		shift
		xpkg_daemon --supervise "$@"
		return
	fi
	if [ -z "$action" ] && [ -n "$signalled" ]; then
		pids=$(xpkg_find "$pidfile" "$exec" "$name")
		[ -n "$pids" ] || { [ -n "$oknodo" ]; return; }
		kill -"$signal" $pids
		return
	fi
	case $action in
	stop)
		pids=$(xpkg_find "$pidfile" "$exec" "$name")
		[ -n "$pids" ] || return 0
		[ -z "$test" ] || return 0
		xpkg_stop_pids "$signal" "$retry" "$pids"
		return
		;;
	start) ;;
	*) eerror "start-stop-daemon: neither --start nor --stop"; return 1 ;;
	esac
	exec=${startas:-$exec}
	if [ -z "$exec" ]; then
		[ $# -gt 0 ] || { eerror "start-stop-daemon: nothing to start"; return 1; }
		exec=$1
		shift
	fi
	case $exec in
	*/*) [ -n "$root" ] || [ -x "$exec" ] || { eerror "$exec does not exist"; return 1; } ;;
	*) command -v "$exec" >/dev/null || { eerror "$exec does not exist"; return 1; } ;;
	esac
	if [ -n "$user" ] && ! grep -q "^$user:" /etc/passwd; then
		case $user in
		*[!0-9]*) eerror "user $user does not exist"; return 1 ;;
		esac
	fi
	[ -z "$test" ] || return 0
	foreground=
	if [ -z "$background$supervise" ] && [ -n "$XPKG_INSTANCES" ] && ! xpkg_supervisor >/dev/null; then
		! foreground=$(xpkg_foreground "$exec") || { set -- "$foreground" "$@"; pidfile=; }
	fi
	set -- "$exec" "$@"
	# What procd has no word for is done by a shell that then becomes the program.
	words=
	[ -z "$dir" ] || words="${words}cd$(xpkg_quoted "$dir") && "
	[ -z "$umask" ] || words="${words}umask$(xpkg_quoted "$umask") && "
	[ -z "${rc_ulimit:-$RC_ULIMIT}" ] || words="${words}ulimit ${rc_ulimit:-$RC_ULIMIT}; "
	words="${words}exec"
	[ -z "$nice" ] || words="$words nice -n$(xpkg_quoted "$nice")"
	[ -z "$root" ] || words="$words chroot$(xpkg_quoted "$root")"
	if [ "$words$out$err" != exec ]; then
		words="$words \"\$@\""
		[ -z "$out" ] || words="$words >>$(xpkg_quoted "$out")"
		[ -z "$err" ] || words="$words 2>>$(xpkg_quoted "$err")"
		set -- /bin/sh -c "$words" "$RC_SVCNAME" "$@"
	fi
	if [ -n "$background$supervise$foreground" ]; then
		xpkg_instance "$@"
		return
	fi
	if [ -z "$XPKG_INSTANCES" ] || ! pid=$(xpkg_supervisor); then
		[ -z "$XPKG_INSTANCES" ] || ewarn "$RC_SVCNAME puts itself into the background: nobody restarts it (there is no xpkg here)"
		[ -z "$user" ] && [ -z "$group" ] || ewarn "$RC_SVCNAME is started as root"
		"$@"
		return
	fi
	set -- --term "$signal" -- "$@"
	[ -z "$root$pidfile" ] || set -- --pidfile "$root$pidfile" "$@"
	pidfile=
	xpkg_instance "$pid" applet supervise "$@"
}

# One instance, in procd's words (OpenWrt's /lib/functions/procd.sh); uses the variables of xpkg_daemon.
xpkg_instance() {
	local wait value variable
	[ -n "$XPKG_INSTANCES" ] || { eerror "$RC_SVCNAME: programs are put into the background by start only"; return 1; }
	wait=$(printf '%s' "$retry" | tr -c '0-9' ' ' | awk '{ for (i = 1; i <= NF; i++) sum += $i } END { print sum + 0 }')
	[ "$wait" -ge 5 ] || wait=5
	{
		echo "procd_open_instance"
		echo "procd_set_param command$(xpkg_quoted "$@")"
		echo "procd_set_param respawn$(xpkg_quoted "$period" "$delay" "$max")"
		echo "procd_set_param term_timeout $((wait + 5))"
		[ -z "$user" ] || echo "procd_set_param user$(xpkg_quoted "$user")"
		[ -z "$group" ] || echo "procd_set_param group$(xpkg_quoted "$group")"
		[ -z "$pidfile" ] || echo "procd_set_param pidfile$(xpkg_quoted "$pidfile")"
		[ -n "$out" ] || echo "procd_set_param stdout 1"
		[ -n "$err" ] || echo "procd_set_param stderr 1"
		set --
		for variable in $(xpkg_exported); do
			case " $XPKG_EXPORTED XPKG_INSTANCES XPKG_EXPORTED XPKG_LIB XPKG_OPENRC XPKG_STATE RC_DEFAULTLEVEL PWD OLDPWD SHLVL _ " in
			*" $variable "*) continue ;;
			esac
			eval "value=\$$variable"
			set -- "$@" "$variable=$value"
		done
		eval "set -- \"\$@\" $environment"
		[ $# -eq 0 ] || echo "procd_set_param env$(xpkg_quoted "$@")"
		echo "procd_close_instance"
	} >>"$XPKG_INSTANCES"
}

# --- what a script falls back to (openrc-run(8)) -----------------------------------------------------------------------

default_start() {
	if [ -z "$command" ]; then
		[ -z "$RC_SVCNAME" ] || ewarn "there is nothing for ${name:-$RC_SVCNAME} to start"
		return 0
	fi
	local how=--start background=''
	ebegin "Starting ${name:-$RC_SVCNAME}"
	if [ "$supervisor" = supervise-daemon ]; then
		how="--supervise --start"
		background="$supervise_daemon_args $command_args_foreground"
		[ -z "$respawn_delay" ] || how="$how --respawn-delay $respawn_delay"
		[ -z "$respawn_max" ] || how="$how --respawn-max $respawn_max"
		[ -z "$respawn_period" ] || how="$how --respawn-period $respawn_period"
		eval xpkg_daemon $how --exec $command \
			'${chroot:+--chroot} $chroot ${directory:+--chdir} $directory' \
			'${output_log:+--stdout} $output_log ${error_log:+--stderr} $error_log' \
			'${command_user:+--user} $command_user ${umask:+--umask} $umask ${retry:+--retry} $retry' \
			$supervise_daemon_args -- $command_args $command_args_foreground
		eend $? "Failed to start ${name:-$RC_SVCNAME}"
		return
	fi
	if yesno "$command_background"; then
		[ -n "$pidfile" ] || { eend 1 "command_background option used but no pidfile specified"; return 1; }
		background="--background --make-pidfile"
	fi
	# The eval is upstream's way too: command_args may hold quoted words.
	eval xpkg_daemon $how --exec $command \
		'${chroot:+--chroot} $chroot ${directory:+--chdir} $directory' \
		'${output_log:+--stdout} $output_log ${error_log:+--stderr} $error_log' \
		'${procname:+--name} $procname ${pidfile:+--pidfile} $pidfile' \
		'${command_user:+--user} $command_user ${umask:+--umask} $umask ${retry:+--retry} $retry' \
		$background $start_stop_daemon_args -- $command_args $command_args_background
	eend $? "Failed to start ${name:-$RC_SVCNAME}" || return 1
	service_set_value command "${command}"
	service_set_value pidfile "${pidfile}"
	service_set_value procname "${procname}"
}

# procd ends what has no pid file of its own.
default_stop() {
	local started
	started=$(service_get_value pidfile)
	pidfile=${started:-$pidfile}
	[ -n "$pidfile" ] || return 0
	ebegin "Stopping ${name:-$RC_SVCNAME}"
	xpkg_daemon --stop --pidfile "$chroot$pidfile" ${retry:+--retry "$retry"} ${stopsig:+--signal "$stopsig"}
	eend $? "Failed to stop ${name:-$RC_SVCNAME}"
}
