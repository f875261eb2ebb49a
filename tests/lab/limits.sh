# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
# Runs on the lab host (busybox sh), which has cgroup version 2 with all controllers: --memory-max,
# --cpus, --pids-max and --cgroup-parent. Prints "ok TEXT" or "not ok TEXT" for each promise.
cg=/sys/fs/cgroup
mkdir -p $cg /tmp/modules /tmp/w
mount -t cgroup2 none $cg
tar -xf modules.tar -C /tmp/modules
chmod 777 /tmp/w

ok() { # TEXT COMMAND...
	text=$1
	shift
	if "$@" > /tmp/why 2>&1; then
		echo "ok $text"
	else
		echo "not ok $text"
		sed 's/^/# /' /tmp/why
		tail -n 15 /tmp/w/err /tmp/w/out | tr -d '\r' | sed 's/^/# /'
		ls $cg | grep lguest
	fi
}
has() { grep -q -- "$@"; }
hasnt() { ! grep -q -- "$@"; }
none_left() { [ -z "$(find $cg -name 'lguest-sep-*')" ]; }
# guest "OPTIONS" COMMAND: output in /tmp/w/out, messages in /tmp/w/err, sets $status
guest() {
	rm -f /tmp/w/result
	# shellcheck disable=SC2086
	lguest-sep run --engine=kvm --timeout="${limit:-200}" --result=/tmp/w/result --modules=/tmp/modules \
		$1 256 cloud.vmlinuz mitigations=off -- sh -c "$2" > /tmp/w/out 2> /tmp/w/err < /dev/null
	status=$?
}
# in_group DIR COMMAND...: run COMMAND with its shell replaced, in that cgroup
in_group() {
	dir=$1
	shift
	# shellcheck disable=SC2016
	sh -c 'echo $$ > "$0/cgroup.procs" && exec "$@"' "$dir" "$@"
}
hog='mkdir /h; mount -t tmpfs -o size=100% h /h; dd if=/dev/zero of=/h/x bs=64k; echo filled'

guest "--memory-max=300M --cpus=2.5 --pids-max=50 --drop-to=nobody" 'echo fine'
ok "a guest within its limits ends in order" [ "$status" = 0 ]
ok "its result has the limits and the peak" has '"limits":{"memory_max":314572800,"cpus_thousandths":2500,"pids_max":50,"memory_peak":[1-9][0-9]*,"oom_kills":0,"pids_refused":0}' /tmp/w/result
ok "nothing is left of its cgroup" none_left

guest "--memory-max=100M --drop-to=nobody" "$hog"
ok "--memory-max: a guest that fills its memory is ended" [ "$status" = 125 ]
ok "--memory-max: out of memory is the reason" has 'out of memory: .*--memory-max=100M' /tmp/w/err
ok "--memory-max: no other reason is printed" hasnt 'spawner process died' /tmp/w/err
ok "--memory-max: the result says out-of-memory" has '"end":"out-of-memory"' /tmp/w/result
ok "--memory-max: the result counts the kills" has '"oom_kills":[1-9]' /tmp/w/result
ok "--memory-max: nothing is left" none_left

limit=40 guest "--cpus=0.3 --drop-to=nobody" 'while :; do :; done'
cpu=$(grep -o '"cpu_ms":[0-9]*' /tmp/w/result | cut -d : -f 2 | awk '{ n += $1 } END { print n }')
wall=$(grep -o '"wall_ms":[0-9]*' /tmp/w/result | cut -d : -f 2)
ok "--cpus: a guest that spins gets 0.3 of a processor: $cpu of $wall ms" [ $((${cpu:-1000000} * 100)) -le $((wall * 36)) ]
ok "--cpus: and not much less" [ $((cpu * 100)) -ge $((${wall:-1000000} * 15)) ]

guest "--pids-max=2 --drop-to=nobody" 'echo fine'
ok "--pids-max: a guest with too few does not start" [ "$status" = 125 ]
ok "--pids-max: is named" has '--pids-max=2\|pids.max' /tmp/w/err
ok "--pids-max: nothing is left" none_left

lguest-sep --engine=kvm --drop-to=nobody --memory-max=200M --name=killed 128 cloud.vmlinuz mitigations=off > /tmp/w/out 2> /tmp/w/err < /dev/null &
pid=$!
for _ in $(seq 500); do
	[ -n "$(cat $cg/lguest-sep-$pid/cgroup.procs 2> /dev/null)" ] && lguest-sep status killed > /dev/null 2>&1 && break
	sleep 0.1
done
ok "the roles are in the guest's cgroup, the supervisor is not" hasnt "^$pid\$" $cg/lguest-sep-$pid/cgroup.procs
ok "it has that limit" [ "$(cat $cg/lguest-sep-$pid/memory.max)" = $((200 << 20)) ]
kill -9 $pid
wait $pid 2> /dev/null
for _ in $(seq 600); do
	none_left && break
	sleep 0.1
done
ok "kill -9 of the supervisor: nothing is left" none_left
# shellcheck disable=SC2009
ok "kill -9 of the supervisor: no process is left" [ "$(ps | grep -c '[l]guest-sep')" = 0 ]

# An ordinary user, with a delegated cgroup as systemd makes it.
mkdir $cg/user
for f in $cg/user $cg/user/cgroup.procs $cg/user/cgroup.subtree_control; do chown nobody $f; done
before=$(cat $cg/user/cgroup.subtree_control)
chmod 666 /dev/kvm
cp cloud.vmlinuz modules.tar /tmp/w/ && chmod 644 /tmp/w/cloud.vmlinuz
cat > /tmp/w/as-user << 'END'
exec lguest-sep run --engine=kvm --timeout=200 --result=/tmp/w/uresult --modules=/tmp/modules $1 256 /tmp/w/cloud.vmlinuz mitigations=off -- sh -c "$2"
END
echo 'nobody:x:65534:65534::/:/bin/sh' > /etc/passwd.new
grep -v '^nobody' /etc/passwd >> /etc/passwd.new
mv /etc/passwd.new /etc/passwd
user() { # "OPTIONS" COMMAND
	in_group "${place:-$cg/user}" su nobody -c "exec sh /tmp/w/as-user '$1' '$2'" > /tmp/w/out 2> /tmp/w/err < /dev/null
	status=$?
	cp /tmp/w/uresult /tmp/w/result
}
user "--memory-max=300M --strict-not" 'echo fine' # A wrong option: nothing may be made.
ok "a wrong command line makes no cgroup" none_left
user "--memory-max=300M" 'echo fine'
ok "an ordinary user: a delegated cgroup works" [ "$status" = 0 ]
ok "an ordinary user: the limit is set" has '"memory_max":314572800' /tmp/w/result
ok "an ordinary user: the delegated cgroup is as before" [ "$(cat $cg/user/cgroup.subtree_control)" = "$before" ]
ok "an ordinary user: nothing is left" none_left
user "--memory-max=100M" "$hog"
ok "an ordinary user: out of memory is the reason" has 'out of memory: .*--memory-max=100M' /tmp/w/err
ok "an ordinary user: nothing is left after that" none_left

mkdir $cg/other
place=$cg/other user "--pids-max=50" 'echo fine'
ok "without a delegated cgroup: the guest starts without limits, and one line says so" has '^lguest-sep: --pids-max: .*Delegate=yes.*; starting without limits$' /tmp/w/err
ok "without a delegated cgroup: the guest runs" [ "$status" = 0 ]
ok "without a delegated cgroup: the result has no limits" has '"limits":null' /tmp/w/result
place=$cg/other user "--pids-max=50 --strict" 'echo fine'
ok "--strict refuses that" [ "$status" = 125 ]

# A cgroup with limits of its own and other processes is not left.
mkdir $cg/job
echo 100 > $cg/job/pids.max
sh -c "echo \$\$ > $cg/job/cgroup.procs; exec sleep 1000" &
sleeper=$!
# shellcheck disable=SC2086
in_group $cg/job lguest-sep run --engine=kvm --timeout=200 --drop-to=nobody --pids-max=50 --strict --modules=/tmp/modules \
	256 cloud.vmlinuz -- true > /tmp/w/out 2> /tmp/w/err < /dev/null
ok "a cgroup with limits and other processes is not left" has 'contains other processes and has limits' /tmp/w/err
mkdir $cg/guests
in_group $cg/job lguest-sep run --engine=kvm --timeout=200 --drop-to=nobody --pids-max=50 --cgroup-parent=$cg/guests --result=/tmp/w/result \
	--modules=/tmp/modules 256 cloud.vmlinuz mitigations=off -- true > /tmp/w/out 2> /tmp/w/err < /dev/null
ok "--cgroup-parent names another place" [ $? = 0 ]
ok "it has its limits there" has '"pids_max":50' /tmp/w/result
ok "the other cgroup is as before" [ -z "$(cat $cg/job/cgroup.subtree_control)" ]
ok "nothing is left there" none_left
kill $sleeper

# Guests that spin and fill their memory, many at once: the host's own work goes on.
many=${MANY:-64}
work() { # prints how many milliseconds of real time a fixed amount of work takes
	from=$(cut -d ' ' -f 1 /proc/uptime | tr -d .)
	i=0
	while [ $i -lt 20000 ]; do i=$((i + 1)); done
	echo $((($(cut -d ' ' -f 1 /proc/uptime | tr -d .) - from) * 10))
}
free() { awk '/MemAvailable/ { print int($2 / 1024) }' /proc/meminfo; }
guests=
alone=$(work)
free_before=$(free)
i=0
while [ $i -lt "$many" ]; do
	lguest-sep --engine=kvm --drop-to=nobody --timeout=900 --memory-max=24M --cpus=0.02 --pids-max=20 --quiet \
		32 exit exit=b00m > /dev/null 2> "/tmp/w/many-$i" < /dev/null &
	guests="$guests $!"
	i=$((i + 1))
done
for _ in $(seq 6000); do
	[ "$(find $cg -maxdepth 1 -name 'lguest-sep-*' 2> /dev/null | wc -l)" -ge "$many" ] && break
	sleep 0.1
done
groups=$(find $cg -maxdepth 1 -name 'lguest-sep-*' | wc -l)
among=$(work)
low=$(free)
ok "$many guests at once run, each in its cgroup ($groups)" [ "$groups" -ge $((many * 3 / 4)) ]
ok "$many guests at once: the host's own work takes $among ms, $alone ms without them" [ "$among" -le $((alone * 20 + 2000)) ]
ok "$many guests at once: they use $((free_before - low)) MiB" [ $((free_before - low)) -le $((many * 30)) ]
# Some have ended. The first signal asks the others to power off, which they do not understand; the second ends them.
kill $guests 2> /dev/null
kill $guests 2> /dev/null
wait
for _ in $(seq 600); do
	none_left 2> /dev/null && break
	sleep 0.1
done
ok "$many guests at once: nothing is left" none_left
echo "== all"
