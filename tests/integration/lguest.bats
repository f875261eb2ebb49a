#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2154 # user is lib.bash's
# The lguest engine as a whole program, with the test double of /dev/lguest
# (tests/host/lguest_double.c): its guest drives the devices and checks every interrupt and byte.

load lib.bash

double=$B/../tests/host/lguest-double
kernel=$B/../tests/host/lguest-kernel
mac=02:00:00:00:00:42

setup()
{
	need_root
	[[ -x $double ]] || skip "no double (libfuse3-dev, make lguest-double)"
	[[ -c /dev/fuse ]] || skip "no /dev/fuse"
	# the device is a file, on which the double is mounted
	report=$BATS_TEST_TMPDIR/report
	out=$BATS_TEST_TMPDIR/out
	disk=$BATS_TEST_TMPDIR/disk
	disk2=$BATS_TEST_TMPDIR/disk2
	[[ -e /dev/lguest ]] || { : > /dev/lguest; touch "$BATS_TEST_TMPDIR/made"; }
	truncate -s 1M "$disk" "$disk2"
}

teardown()
{
	umount -l /dev/lguest 2>/dev/null || true
	[[ ! -e $BATS_TEST_TMPDIR/made ]] || rm -f /dev/lguest
	ip link del lgq0 2>/dev/null || true
	# Kill it: at an orderly end it would unmount the file that the next test has mounted.
	[[ -z ${double_pid:-} ]] || { kill -KILL "$double_pid" && wait "$double_pid"; } 2>/dev/null || true
}

start_double() # SCRIPT
{
	"$double" "$1" "$report" /dev/lguest 3>&- &
	double_pid=$!
	for _ in {1..600}; do
		mountpoint -q /dev/lguest && return
		sleep 0.05
	done
	return 1
}

# guest SCRIPT [OPTION...]: with input on standard input
guest()
{
	local script=$1
	shift
	start_double "$script"
	status=0
	timeout -k 5 600 "$L" --engine=lguest "${user[@]}" "$@" 16 "$kernel" first second=2 > "$out" 2>&1 3>&- || status=$?
	cat "$out"
	sed 's/^/double: /' "$report"
}

devices()
{
	all_devices=(--rng --block="$disk" "--tunnet=10.66.0.1/24:$mac" --block="$disk2")
}

promises_kept() { grep -Eq '^[0-9]+ checks, 0 broken$' "$report"; }
# exec: bash would keep copies of bats' descriptors, and bats would wait for their end.
typed() { printf 'typed by the test\n'; exec sleep 600; }

works() # SCRIPT: all devices of a guest, twice
{
	devices
	guest "$1" --stats "${all_devices[@]}" < <(typed 3>&-)
	promises_kept
	[[ $status == 0 ]]
	grep -q '^early words' "$out"
	grep -q 'hello from the double' "$out"
	[[ $(dd if="$disk" bs=512 skip=3 count=1 2>/dev/null | head -c 21) == "written by the double" ]]
	[[ $(dd if="$disk2" bs=512 skip=3 count=1 2>/dev/null | head -c 21) == "written by the double" ]]
}

@test "lguest 3.x: console, rng, disks and a NIC, started and reset twice" { works page-boot; }
@test "lguest 4.x: console, rng, disks and a NIC, started and reset twice" { works pci-boot; }

# A guest that waits for input while it is looked at.
audited() # SCRIPT
{
	devices
	start_double "$1"
	mkfifo "$BATS_TEST_TMPDIR/silence"
	sleep 600 > "$BATS_TEST_TMPDIR/silence" 3>&- &
	silence=$!
	"$L" --engine=lguest --name=one "${user[@]}" "${all_devices[@]}" 16 "$kernel" < "$BATS_TEST_TMPDIR/silence" > "$out" 2>&1 3>&- &
	pid=$!
	for _ in {1..600}; do
		! grep -q 'hello from the double' "$out" || break
		sleep 0.1
	done
	cat "$out"
	grep -q 'hello from the double' "$out"
	run "$L" audit one
	kill -9 "$pid" "$silence"
	echo "$output" | grep -E '^(weaker|verdict)'
	[[ $status == 0 ]]
}

@test "lguest 3.x: audit finds every process as promised" { audited page-boot; }
@test "lguest 4.x: audit finds every process as promised" { audited pci-boot; }

one_queue() # SCRIPT: the guest has one CPU, whatever was asked for
{
	ip tuntap add dev lgq0 mode tap multi_queue
	ip addr add 10.66.0.1/24 dev lgq0
	ip link set lgq0 up
	all_devices=(--rng --block="$disk,queues=4" --net=tap=lgq0,mac=$mac,queues=2 --block="$disk2")
	guest "$1" "${all_devices[@]}" < <(typed 3>&-)
	[[ $status == 0 ]]
	grep -q 'blk0: using only one of 4 queues' "$out"
	grep -q 'net0: using only one of 2 queue pairs' "$out"
	promises_kept
}

@test "lguest 3.x: of several queues one is used" { one_queue page-queues; }
@test "lguest 4.x: of several queues one is used" { one_queue pci-queues; }

lone() # SCRIPT DISK-OPTIONS: reads, one at a time and two
{
	guest "$1" --stats --block="$disk$2" < /dev/null
	promises_kept
	[[ $status == 0 ]]
}

@test "lguest 3.x: requests that are waited for, and pairs that are not, are all answered" { lone page-lone ""; }
@test "lguest 4.x: requests that are waited for, and pairs that are not, are all answered" { lone pci-lone ""; }
@test "lguest 3.x: a slow disk's answers all come" { lone page-lone ,rate=400; }
@test "lguest 4.x: a slow disk's answers all come" { lone pci-lone ,rate=400; }

@test "lguest 3.x: the host's wish to be called is taken back before the guest goes on" {
	guest page-flag < /dev/null
	promises_kept
	[[ $status == 0 ]]
}

@test "lguest 4.x: the host's wish to be called is taken back before the guest goes on" {
	guest pci-flag < /dev/null
	promises_kept
	[[ $status == 0 ]]
}

@test "lguest 3.x: a driver without any feature has ten bytes of header" {
	devices
	guest page-plain-net "${all_devices[@]}" < /dev/null
	promises_kept
	[[ $status == 0 ]]
}

@test "lguest 3.x: notifications, statuses and a page of nonsense, and the devices go on" {
	devices
	guest page-hostile "${all_devices[@]}" < /dev/null
	promises_kept
	[[ $status == 0 ]]
	grep -q 'which is no queue or device' "$out"
	grep -q 'blk0: .*available index' "$out"
}

@test "lguest 4.x: every register, width and edge, and the devices go on" {
	devices
	guest pci-hostile "${all_devices[@]}" < /dev/null
	promises_kept
	[[ $status == 0 ]]
}

@test "lguest 4.x: what is not understood is given back, ports are the guest kernel's" {
	guest pci-traps < /dev/null
	# No check failed; there is no count, because the launcher ends this guest.
	[[ ! -s $report ]]
	[[ $status == 3 ]]
	grep -q 'unhandled trap 13 at 0x123450' "$out"
}

@test "lguest: a guest that the host kernel ends" {
	guest page-crash < /dev/null
	promises_kept
	[[ $status == 3 ]]
	grep -q 'bad page table entry' "$out"
}

@test "lguest: a host without a page to give has failed itself" {
	guest page-nopage < /dev/null
	[[ $status == 1 ]]
	grep -q '^lguest-sep: vcpu: the host is out of memory for the guest (failed to get page 4711)' "$out"
	# The guest cannot forge the host's message.
	teardown
	setup
	guest page-claim < /dev/null
	[[ $status == 3 ]]
	never grep -q 'the host is out of memory' "$out"
}

@test "lguest: an early panic, which the host reports as a bad address" {
	guest page-early < /dev/null
	[[ $status == 3 ]]
	grep -q 'an early panic or exception.*Bad address 0xbffffff8' "$out"
}

@test "lguest: a host of 2.6.29 or 2.6.30 is named" {
	guest old-boot < /dev/null
	[[ $status == 1 ]]
	grep -q 'this is Linux 2.6.29 or 2.6.30' "$out"
}

@test "lguest: a guest that panics, and its last words" {
	guest page-panic < /dev/null
	promises_kept
	[[ $status == 3 ]]
	grep -q "the guest's kernel panicked: the guest reported: .*Attempted to kill init!" "$out"
	grep -q 'no newline before the end' "$out"
}

@test "lguest: reboots have fresh memory and another descriptor" {
	guest page-reboot < /dev/null
	promises_kept
	[[ $status == 0 ]]
	[[ $(grep -c '^start ' "$out") == 3 ]]
}

@test "lguest: --smp is refused" {
	guest page-boot --smp=2 < /dev/null
	[[ $status == 1 ]]
	grep -q -- '--smp=2: a guest of the lguest engine has one CPU' "$out"
}

@test "lguest: more reboots than this process may have descriptors" {
	ulimit -n 4096
	guest page-reboot --max-reboots=2816 < /dev/null
	[[ $status == 1 ]]
	grep -q -- '--max-reboots=2816: .*; give 2815 or less$' "$out"
}

@test "lguest: as many reboots as it may have descriptors" {
	ulimit -n 4096
	devices
	guest page-reboot --max-reboots=2815 "${all_devices[@]}" < /dev/null
	promises_kept
	[[ $status == 0 ]]
}

@test "lguest: --max-reboots used up is said" {
	guest page-reboot --max-reboots=1 < /dev/null
	[[ $status == 7 ]]
	[[ $(grep -c '^start ' "$out") == 2 ]]
}

@test "lguest 4.x: --exit-port ends the guest with what it reports; 3.x cannot" {
	guest pci-report --exit-port < /dev/null
	never grep -q 'goes on after its report' "$report"
	[[ $status == 9 ]]
	grep -q 'the guest reported 7 through its exit port' "$out"
	teardown
	setup
	guest page-boot --exit-port < /dev/null
	[[ $status == 1 ]]
	grep -q -- "--exit-port: this host's lguest (Linux 3.5 to 3.19)" "$out"
}

run_ports() # SCRIPT: what goes in comes out, and the report is the status
{
	mkdir -p "$BATS_TEST_TMPDIR/modules"
	: > "$BATS_TEST_TMPDIR/modules/modules.order"
	head -c 1000 /dev/zero > "$BATS_TEST_TMPDIR/initrd"
	head -c 20000 /dev/urandom > "$BATS_TEST_TMPDIR/in"
	start_double "$1"
	status=0
	timeout -k 5 600 "$L" run --engine=lguest "${user[@]}" --modules="$BATS_TEST_TMPDIR/modules" \
		--initrd="$BATS_TEST_TMPDIR/initrd" 16 "$kernel" -- command < "$BATS_TEST_TMPDIR/in" \
		> "$out" 2> "$BATS_TEST_TMPDIR/err" 3>&- || status=$?
	cat "$BATS_TEST_TMPDIR/err"
	sed 's/^/double: /' "$report"
	promises_kept
	[[ $status == 7 ]]
	cmp "$BATS_TEST_TMPDIR/in" "$out"
}

@test "lguest 3.x: the ports of run carry a command's streams" { run_ports page-run; }
@test "lguest 4.x: the ports of run carry a command's streams" { run_ports pci-run; }

@test "double: shared directories are refused with one line" {
	for option in "--share=$BATS_TEST_TMPDIR" "--vhost-user-fs=$BATS_TEST_TMPDIR/none"; do
		guest page-boot "$option" < /dev/null
		[[ $status == 1 ]]
		grep -Fqx "lguest-sep: $option: guests of the lguest engine have no driver for shared directories (virtio-fs); use --engine=kvm or --engine=qemu" "$out"
		teardown
		setup
	done
}
