#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2154,SC2030,SC2031 # lib.bash's; bats runs each test in a subshell
# The kvm engine with a guest of our own (tests/guest), straight on /dev/kvm:
# software KVM will do. The guest drives, or ill-treats, what it is given.
load lib

setup_test()
{
	need_root
	[[ -c /dev/kvm ]] || skip "no /dev/kvm"
	guests=$(dirname "$B")/tests/guest
	[[ -e $guests/probe ]] || skip "no freestanding guests: make guests"
	new_image disk 4
}

# probe TEST [OPTION…]: run it; $status, $out.clean
probe()
{
	local t=$1
	shift
	run_guest "$guests/probe" "t=$t" "$@"
}

run_guest() # KERNEL ARGUMENT [OPTION…]
{
	local kernel=$1 argument=$2
	shift 2
	out=$BATS_TEST_TMPDIR/out
	status=0
	"$L" --engine=kvm "${user[@]}" --no-reboot --timeout=60 --stats "$@" 64 "$kernel" "$argument" \
		< /dev/null > "$out" 2>&1 3>&- || status=$?
	tr -d '\r' < "$out" > "$out.clean"
	tail -n 40 "$out.clean"
}

passed()
{
	is_status 0
	grep -qx passed "$out.clean"
	lacks FAILED "$out.clean"
}

count() # ROLE TEXT
{
	sed -n "s/^lguest-sep: $1 *\([0-9]*\)  $2\$/\1/p" "$out.clean"
}

disk() { echo "--block=$BATS_TEST_TMPDIR/disk"; }

@test "guest: a disk works by MSI-X and doorbells without an exit per request" {
	probe block "$(disk)"
	passed
	[[ $(count blk0 requests) == 100 && $(count blk0 kicks) == 100 ]]
	[[ $(count vcpu 'exits: memory access') -lt 60 ]]
}

@test "guest: 1100 requests more make no exit more" {
	local few
	probe block "$(disk)"
	passed
	few=$(count vcpu 'exits: memory access')
	probe load "$(disk)"
	passed
	[[ $(count blk0 requests) == 1200 ]]
	# one: it looks at the status register at its end
	[[ $(count vcpu 'exits: memory access') == $((few + 1)) ]]
}

@test "guest: a disk works by its interrupt line" {
	probe line "$(disk)"
	passed
	[[ $(count blk0 requests) == 100 ]]
}

@test "guest: each broken ring asks for a reset and works after it" {
	probe rings "$(disk)"
	passed
	[[ $(grep -c '^asks for a reset' "$out.clean") -ge 9 ]]
	[[ $(count blk0 'ring faults of the guest') -ge 9 ]]
}

@test "guest: every register and width of every device is touched, and the disk works after it" {
	ip link add br9 type bridge
	probe sweep "$(disk)" --rng --net=bridge=br9,queues=2
	ip link del br9
	passed
	grep -qx 'devices: 4' "$out.clean"
}

@test "guest: BARs may lie on anything, and move with their doorbells" {
	probe bars "$(disk)"
	passed
}

@test "guest: the console's ring and its emergency write" {
	probe console
	passed
	grep -qx "said through the ring" "$out.clean"
	grep -qx "emergency" "$out.clean"
}

@test "guest: input reaches the serial port and the console's ring" {
	for how in serial ring; do
		out=$BATS_TEST_TMPDIR/out
		status=0
		console=console=hvc0
		[[ $how == ring ]] || console=console=ttyS0
		# At once: it waits for the driver of the console that is named.
		echo "a line longer than sixteen bytes" |
			"$L" --engine=kvm "${user[@]}" --timeout=30 64 "$guests/probe" "$console" "t=$how-in" > "$out" 2>&1 3>&- || status=$?
		tr -d '\r' < "$out" > "$out.clean"
		cat "$out.clean"
		passed
		grep -qx "$how got a line longer than sixteen bytes" "$out.clean"
	done
}

@test "guest: every port" {
	probe ports "$(disk)"
	passed
}

@test "guest: MSRs far and wide" {
	probe msrs
	passed
}

@test "guest: half a MiB of serial output arrives whole" {
	probe flood
	passed
	[[ $(grep -c '^flood flood' "$out.clean") == 8192 ]]
}

@test "guest: memory above 4 GiB" {
	(($(awk '/MemTotal/ { print $2 }' /proc/meminfo) > 6000000)) || skip "this host has too little memory"
	out=$BATS_TEST_TMPDIR/out
	status=0
	"$L" --engine=kvm "${user[@]}" --timeout=60 4096 "$guests/probe" t=high < /dev/null > "$out" 2>&1 3>&- || status=$?
	tr -d '\r' < "$out" > "$out.clean"
	cat "$out.clean"
	passed
}

@test "guest: a triple fault has its status and reason" {
	probe triple
	is_status 3
	grep -q 'triple fault' "$out.clean"
}

@test "guest: pvpanic and the reset port" {
	probe panic
	is_status 3
	grep -qx "lguest-sep: the guest's kernel panicked: reported through pvpanic" "$out.clean"
	probe reset
	is_status 0
	grep -q reboot "$out.clean"
}

@test "guest: one that spins with interrupts off is ended" {
	probe spin --timeout=2
	is_status 5
}

@test "guest: blkd killed again and again under load: nothing is lost, the guest notices a pause only" {
	out=$BATS_TEST_TMPDIR/out
	"$L" --engine=kvm "${user[@]}" --timeout=120 --max-restarts=100 "$(disk)" 64 "$guests/probe" t=load \
		< /dev/null > "$out" 2>&1 3>&- &
	pid=$!
	wait_for "round 1"
	for _ in {1..10}; do
		for p in $(role_pids blkd); do
			kill -9 "$p" || true
		done
		sleep 0.2
	done
	finish 120
	is_status 0
	grep -qx passed "$out.clean"
	[[ $(grep -c 'it is started again' "$out.clean") -ge 5 ]]
}

# A qcow2 image of $1 bytes, by the storage daemon itself.
make_qcow2() # FILE BYTES
{
	: > "$1"
	{
		echo '{"execute":"qmp_capabilities"}'
		echo '{"execute":"blockdev-create","arguments":{"job-id":"j","options":{"driver":"qcow2","file":"f","size":'"$2"'}}}'
		sleep 1
		echo '{"execute":"job-dismiss","arguments":{"id":"j"}}'
		echo '{"execute":"quit"}'
	} | qemu-storage-daemon --blockdev "driver=file,node-name=f,filename=$1" \
		--chardev stdio,id=c --monitor c > /dev/null
}

@test "guest: a QCOW2 image behind qemu-storage-daemon, through a reboot on one connection" {
	command -v qemu-storage-daemon > /dev/null || skip "no qemu-storage-daemon"
	local image=$BATS_TEST_TMPDIR/q.qcow2 sock=$BATS_TEST_TMPDIR/q.sock
	make_qcow2 "$image" 16777216
	qemu-storage-daemon --blockdev "driver=file,node-name=f,filename=$image" \
		--blockdev driver=qcow2,node-name=q,file=f \
		--export "type=vhost-user-blk,id=e,node-name=q,addr.type=unix,addr.path=$sock,writable=on,num-queues=1" 3>&- &
	daemon=$!
	for _ in {1..50}; do
		[[ -S $sock ]] && break
		sleep 0.1
	done
	out=$BATS_TEST_TMPDIR/out
	status=0
	"$L" --engine=kvm "${user[@]}" --timeout=60 --vhost-user-blk="$sock" 64 "$guests/probe" t=again \
		< /dev/null > "$out" 2>&1 3>&- || status=$?
	tr -d '\r' < "$out" > "$out.clean"
	cat "$out.clean"
	kill "$daemon"
	wait "$daemon" || true
	passed
	grep -qx "start 0" "$out.clean"
	grep -qx "start 1" "$out.clean"
	grep -qx "start 2" "$out.clean"
	[[ $(stat -c %s "$image") -gt 200000 ]]
}

# host DEV FLAG COMMAND…: on a host whose /dev/kvm is there (dev) or not (nodev), and
# whose processors say FLAG. Root opens any device: no permission is for other users.
host()
{
	local dev=$1 flag=$2
	shift 2
	sed "s/^flags.*/flags\t\t: fpu $flag/" /proc/cpuinfo > "$BATS_TEST_TMPDIR/cpuinfo"
	# shellcheck disable=SC2016
	unshare -m bash -c '
		mount --bind "$1/cpuinfo" /proc/cpuinfo || exit
		if [[ $2 == nodev ]]; then
			mount -t tmpfs none /mnt
			for d in null zero full random urandom; do
				: > /mnt/$d
				mount --bind /dev/$d /mnt/$d
			done
			mkdir /mnt/shm
			mount --move /mnt /dev
		fi
		shift 2
		exec "$@"' sh "$BATS_TEST_TMPDIR" "$dev" "$@"
}

@test "guest: no device, no permission and no hardware support are three messages, and auto's reasons" {
	local auto=("$L" "${user[@]}" --engine=auto --verbose --no-reboot --timeout=20 64 "$guests/probe" t=word)
	local kvm=("$L" "${user[@]}" --engine=kvm --no-reboot --timeout=20 64 "$guests/probe" t=word)
	local none='no /dev/kvm, and no hardware support' module='no /dev/kvm; load its module'
	local useless='/dev/kvm is there, but the CPU.s flags have no hardware support'

	run host nodev none "${kvm[@]}"
	[[ $status == 1 && $output == *"--engine=kvm: $none"* ]]
	one_line
	run host nodev svm "${kvm[@]}"
	[[ $status == 1 && $output == *"--engine=kvm: $module"* ]]
	one_line
	chmod 755 "$BATS_TEST_TMPDIR"
	run setpriv --reuid 65534 --regid 65534 --clear-groups "$L" --engine=kvm 64 /proc/version
	[[ $status == 1 && $output == *"--engine=kvm: no permission to open /dev/kvm"* ]]
	one_line

	run host nodev none "${auto[@]}"
	[[ $output == *"engine kvm passed over: $none"* && $output == *"engine: qemu"* ]]
	run host dev none "${auto[@]}"
	grep -q "engine kvm passed over: $useless" <<< "$output"
	[[ $output == *"engine: qemu"* ]]
	# said, it is tried all the same
	run host dev none "${kvm[@]}"
	[[ $status == 0 ]]
	for flag in vmx svm; do
		run host dev "$flag" "${auto[@]}"
		[[ $status == 0 && $output == *"engine: kvm"* ]]
	done
}

@test "guest: doctor says whether shared memory has huge pages, where kvm is of use" {
	local sys=/sys/kernel/mm/transparent_hugepage/shmem_enabled mode
	[[ -e $sys ]] || skip "this host has no such setting"
	for mode in "always [advise] never:yes" "always advise [never]:limited"; do
		echo "${mode%:*}" > "$BATS_TEST_TMPDIR/mode"
		# shellcheck disable=SC2016
		run host dev svm bash -c 'mount --bind "$1" "$2" && exec "$3" doctor' sh "$BATS_TEST_TMPDIR/mode" "$sys" "$L"
		grep -qE "^  ${mode#*:} +huge pages" <<< "$output"
	done
	[[ $output == *"-> echo advise > $sys"* ]]
	# no guest of the kvm engine, no word of it
	run host dev none "$L" doctor
	[[ $output != *"huge pages"* ]]
}

@test "guest: 32-bit and PVH entries, plain and compressed" {
	for k in entry32 pvh; do
		for z in '' .gz; do
			cp "$guests/$k" "$BATS_TEST_TMPDIR/$k"
			[[ -z $z ]] || gzip "$BATS_TEST_TMPDIR/$k"
			run_guest "$BATS_TEST_TMPDIR/$k$z" word
			is_status 0
			grep -qE '^(32-bit|pvh) entry .* word$' "$out.clean"
		done
	done
}

@test "guest: in the loop the vCPU process is confined in every thread" {
	out=$BATS_TEST_TMPDIR/out
	"$L" --engine=kvm "${user[@]}" --smp=2 --timeout=60 64 "$guests/probe" t=spin < /dev/null > "$out" 2>&1 3>&- &
	pid=$!
	for _ in {1..50}; do
		[[ -n $(role_pids vcpu) ]] && break
		sleep 0.1
	done
	sleep 0.3
	p=$(role_pids vcpu)
	n=0
	for t in /proc/"$p"/task/*; do
		grep -q '^Seccomp:.2$' "$t/status"
		grep -q '^NoNewPrivs:.1$' "$t/status"
		grep -qE '^CapEff:.0+$' "$t/status"
		((n += 1))
	done
	((n >= 3)) # and, on newer hosts, a thread of KVM's own
	# /dev/kvm itself is closed
	readlink "/proc/$p/fd/"* > "$out.fds"
	lacks '^/dev/kvm$' "$out.fds"
	kill "$pid"
	wait "$pid" || true
}
