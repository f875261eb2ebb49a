#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=dash
# The lguest host under QEMU (tests/lab/lguest). It moves its initramfs to a tmpfs, because
# the kernel cannot unmount "rootfs", and runs the same kernel as guest.
# shellcheck disable=SC2016,SC2086,SC1091 # sh -c expands; /proc has no odd names; compare is put there
# Lines with test results begin with "ok" or "not ok".
# Linux before 3.5 has no seccomp filters: only the refusal of guests is checked there. Before 2.6.39, Debian's busybox
# cannot read directories, so the tools that are used below it work without.
old=
case $(/bin/busybox uname -r) in
2.6.* | 3.[0-4] | 3.[0-4].*) old=1 ;;
esac
if [ ! "$old" ] && [ ! -e /second ]; then
	/bin/busybox mkdir /second /new
	/bin/busybox mount -t tmpfs -o size=75% root /new
	for f in bin lib kernel guest.gz init second classic; do
		[ -e /$f ] && /bin/busybox cp -a /$f /new/
	done
	/bin/busybox mkdir -p /new/dev /new/proc /new/sys /new/tmp /new/etc
	exec /bin/busybox switch_root /new /init
fi
/bin/busybox --install -s /bin
export PATH=/bin:/bin/sep
mkdir -p /dev /proc /sys /tmp /etc
mount -t proc proc /proc
mount -t sysfs sysfs /sys
if [ "$old" ]; then # Before 2.6.32 there is no devtmpfs
	mkdir -p /dev/net
	mknod /dev/null c 1 3
	mknod /dev/urandom c 1 9
	mknod /dev/net/tun c 10 200
	mknod /dev/lguest c 10 "$(sed -n 's/^ *\([0-9]*\) lguest$/\1/p' /proc/misc)"
else
	mount -t devtmpfs dev /dev
fi
mkdir -p /dev/pts /dev/shm
mount -t devpts pts /dev/pts
mount -t tmpfs shm /dev/shm
ifconfig lo up
printf 'root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n' > /etc/passwd
printf 'root:x:0:\nnogroup:x:65534:\n' > /etc/group

# drop the kernel's boot messages
dmesg -c > /dev/null

n=0
check() { # DESCRIPTION COMMAND…
	n=$((n + 1))
	d=$1
	shift
	if "$@"; then echo "ok $n $d"; else
		echo "not ok $n $d"
		sed 's/^/# /' /tmp/out | tail -n 30
	fi
}
said() { grep -q "^T: $1" /tmp/out; }
value() { sed -n "s/^T: $1 //p" /tmp/out | tr -d '\r'; }
same() { [ -n "$1" ] && [ "$1" = "$2" ]; }
has() { grep -q "$1" /tmp/out; }
wait_for() { # PATTERN
	for _ in $(seq 3000); do
		grep -q "$1" /tmp/out && return 0
		sleep 0.1
	done
	return 1
}
zeroes() { dd if=/dev/zero of="$1" bs=1M count="$2" 2>/dev/null; }
nothing_left() {
	# shellcheck disable=SC2009
	! ps | grep -q '[l]guest-sep' && ! ip link | grep -q tap
}
# guest CASE INPUT-COMMAND OPTION…
guest() {
	what=$1
	input=$2
	shift 2
	$input | "${program:-lguest-sep}" --engine=lguest --drop-to nobody --initrd=/guest.gz "$@" 96 /kernel quiet rdinit=/init \
		"case=$what" > /tmp/out 2>&1
	status=$?
}
status_is() { [ "$status" = "$1" ]; }

main() {
	mkdir -p /tmp/www
	dd if=/dev/urandom of=/tmp/www/tcp bs=128k count=1 2>/dev/null
	cat /kernel >> /tmp/www/tcp
	httpd -p 8080 -h /tmp/www
	zeroes /tmp/disk 32
	printf '%-512s' second > /tmp/disk2
	mkfifo /tmp/in
	: > /tmp/out
	lguest-sep --engine=lguest --drop-to nobody --rng --tunnet=10.98.0.1/24:02:00:00:00:00:01,reach=tcp:8080 \
		--block=/tmp/disk --block=/tmp/disk2,ro --tunnet=10.97.0.1/24:02:00:00:00:00:02 \
		--initrd=/guest.gz --stats 96 /kernel quiet rdinit=/init case=main < /tmp/in > /tmp/out 2>&1 &
	pid=$!
	exec 9> /tmp/in
	check "boots to init" wait_for "T: init"
	check "waits for input" wait_for "T: waiting"
	confined
	echo "hello console" >&9
	check "console input" wait_for "T: typed hello console"
	check "the host pings the guest" ping -c 2 -W 5 10.98.0.2
	check "TCP from the guest" sh -c 'wget -q -O - http://10.98.0.2:8081/tcp | cmp - /tmp/www/tcp'
	echo "the end" >&9
	exec 9>&-
	wait $pid
	status=$?
	check "power-off is status 0" status_is 0
	check "the disk reads back what was written" same "$(value written)" "$(value read)"
	check "and the image holds it" same "$(value written)" "$(head -c 33554432 /tmp/disk | md5sum | cut -d ' ' -f 1)"
	check "disks are in order" said "second disk second"
	check "a read-only disk stays as it was" grep -q second /tmp/disk2
	check "NICs are in order" said "second nic 02:00:00:00:00:02"
	check "the guest pings the host" said ping
	check "TCP to the guest" same "$(value tcp)" "$(md5sum < /tmp/www/tcp | cut -d ' ' -f 1)"
	check "rng" said "rng 64"
	check "the guest's log has no complaint" said "complaints 0"
	check "nothing is left" nothing_left
}

# Checks in /proc the confinement of each process while the guest runs.
confined() {
	for role in vcpu blkd netd; do
		for p in $(pidof lguest-sep-$role); do
			s=/proc/$p/status
			check "$role: nobody" grep -q '^Uid:.65534.65534.65534.65534$' $s
			check "$role: no capability" sh -c "! grep '^Cap[IPE]' $s | grep -qv '0000000000000000\$'"
			check "$role: a filter" grep -q '^Seccomp:.2$' $s
			check "$role: no files of the host" sh -c "! ls /proc/$p/root/ | grep -qvx 'init\\|role'"
		done
	done
	check "one vcpu, two blkd, two netd" sh -c '[ "$(pidof lguest-sep-vcpu lguest-sep-blkd lguest-sep-netd | wc -w)" = 5 ]'
	check "one process alone holds the running guest's device" sh -c '
		mine=$(ls -l /proc/*/fd 2>/dev/null | grep -c /dev/lguest)
		[ "$mine" -ge 1 ] && ls -l /proc/$(pidof lguest-sep-vcpu)/fd | grep -q "7 -> .*lguest"'
	for p in $(pidof lguest-sep-vcpu); do
		check "vcpu: both threads have the filter" sh -c "[ \"\$(cat /proc/$p/task/*/status | grep -c '^Seccomp:.2$')\" = 2 ]"
	done
}

log_is_clean() {
	dmesg > /tmp/out
	check "the host kernel's log has no complaint" sh -c '! dmesg | grep -iE "warning:|bug:|call trace|oops|general protection"'
}

refused() { # STATUS ARGUMENT...: one line says why no guest can be started
	expected=$1
	shift
	/bin/static/lguest-sep "$@" 96 /kernel quiet -- true > /tmp/out 2>&1
	status=$?
	status_is "$expected" && [ "$(wc -l < /tmp/out)" = 1 ] && has "Linux $(uname -r), cannot confine a guest: it lacks seccomp filters"
}
tasks() { sed 's,.*/\([0-9]*\) .*,\1,' /proc/loadavg; }

# Every other check needs a running guest.
old_host() {
	echo "# Linux $(uname -r) has no seccomp filters: no guest is started, only the refusal by the static program is checked"
	echo "# the program with shared libraries: $(lguest-sep --version 2>&1 | head -n 1)"
	before=$(tasks)
	check "this host has lguest" sh -c '[ -c /dev/lguest ] && dd if=/dev/lguest count=0 2> /tmp/out'
	check "the static program loads" sh -c '/bin/static/lguest-sep --version > /tmp/out 2>&1'
	check "a guest is refused, with status 1" refused 1 --engine=lguest --drop-to nobody --tunnet=10.98.0.1/24 --rng
	sed 's/^/# /' /tmp/out
	check "what the host lacks is named" has "no_new_privs, .*memfd_create, execveat, getrandom"
	check "and what to use" has "use Linux 3.5 or later, built with CONFIG_SECCOMP_FILTER; /dev/lguest exists up to 4.13"
	check "whatever the engine and user" refused 1
	check "run: status 125" refused 125 run
	check "--detach: status 1" refused 1 --detach
	check "--result has the reason" sh -c '/bin/static/lguest-sep --result=/tmp/result 96 /kernel 2> /tmp/out || grep -q "\"end\":\"host\".*lacks seccomp filters" /tmp/result'
	/bin/static/lguest-sep doctor > /tmp/out 2>&1
	status=$?
	check "doctor: guests cannot run here" status_is 1
	check "and names the filters" has "no  *system call filters"
	check "no process is left" same "$before" "$(tasks)"
	check "no tap is left" sh -c '! grep -q tap /proc/net/dev'
	log_is_clean
	echo "1..$n"
	reboot -f
}

[ ! "$old" ] || old_host

if [ "$ONLY" = compare ]; then
	echo "1..0"
	. /bin/compare
	reboot -f
fi

main
printf '%-512s' 0 > /tmp/disk
# no hardware address given: hosts before 3.17 have no getrandom
guest reboot "echo" --block=/tmp/disk --tunnet=192.168.19.1 --rng
check "reboots twice, then powers off" status_is 0
check "with the disk of before" said "boot 2"
zeroes /tmp/disk 16
: > /tmp/out
lguest-sep --engine=lguest --drop-to nobody --max-restarts=100 --block=/tmp/disk --initrd=/guest.gz 96 /kernel quiet \
	rdinit=/init case=kills < /dev/null > /tmp/out 2>&1 &
pid=$!
wait_for "T: go"
for _ in 1 2 3; do
	kill -9 "$(pidof lguest-sep-blkd)"
	sleep 0.4
done
wait $pid
status=$?
check "a disk's process is killed thrice under load: the guest goes on" status_is 0
check "each time another one is started" sh -c '[ "$(grep -c "it is started again" /tmp/out)" = 3 ]'
check "and nothing is lost" said "kills bad 0"
guest reboot "echo" --no-reboot --block=/tmp/disk
guest panic "echo" --block=/tmp/disk
check "a panic is status 3" status_is 3
check "with the guest's reason" has "panic\|Attempted to kill init\|SysRq\|sysrq\|NULL pointer"
guest init "echo"
check "without devices" status_is 0
program=/bin/static/lguest-sep guest init "echo"
check "the static program starts a guest too" status_is 0

: > /tmp/out
on-pty 'T: idle' '\003\003\003' lguest-sep --engine=lguest --drop-to nobody --initrd=/guest.gz 96 /kernel quiet \
	rdinit=/init case=idle > /tmp/out 2>&1
status=$?
check "three ^C end it" status_is 130
check "nothing is left" nothing_left
log_is_clean
echo "1..$n"
[ -e /classic ] && . /bin/compare
reboot -f
