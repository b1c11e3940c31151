#!/bin/sh
# Stops what procd runs: each K* with `stop`, then the instances that no script stops. Runs inside of `enter`, while procd
# still answers.
ubus -t 5 wait_for service 2>/dev/null || exit 0
for script in /etc/rc.d/K*; do
	[ -x "$script" ] && "$script" stop
done
services() {
	ubus -t 5 call service list 2>/dev/null | sed -n 's/^\t"\(.*\)": {$/\1/p'
}
services | while read -r name; do
	# It may be gone by now: procd drops a service with its last instance.
	ubus -t 5 call service delete "{\"name\":\"$name\"}" 2>/dev/null
done
tries=0
while [ -n "$(services)" ] && [ "$tries" -lt 10 ]; do
	tries=$((tries + 1))
	sleep 1
done
exit 0
