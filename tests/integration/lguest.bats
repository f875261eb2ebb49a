#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2154 # user is lib.bash's
# The lguest engine, whole program, on the double of /dev/lguest (tests/host/lguest_double.c):
# the double's guest drives the devices and checks every interrupt and byte.

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
	# At an end of its own it would unmount what the next test has mounted there by then.
	[[ -z ${double_pid:-} ]] || { kill -KILL "$double_pid" && wait "$double_pid"; } 2>/dev/null || true
}

start_double() # SCRIPT
{
	"$double" "$1" "$report" /dev/lguest 3>&- &
	double_pid=$!
	for _ in {1..100}; do
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
	timeout -k 5 60 "$L" --engine=lguest "${user[@]}" "$@" 16 "$kernel" first second=2 > "$out" 2>&1 3>&- || status=$?
	cat "$out"
	sed 's/^/double: /' "$report"
}

devices()
{
	all_devices=(--rng --block="$disk" "--tunnet=10.66.0.1/24:$mac" --block="$disk2")
}

promises_kept() { grep -Eq '^[0-9]+ checks, 0 broken$' "$report"; }
typed() { printf 'typed by the test\n'; sleep 30; }

works() # SCRIPT: all devices of a guest, twice
{
	devices
	guest "$1" --stats "${all_devices[@]}" < <(typed)
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
	sleep 30 > "$BATS_TEST_TMPDIR/silence" 3>&- &
	silence=$!
	"$L" --engine=lguest --name=one "${user[@]}" "${all_devices[@]}" 16 "$kernel" < "$BATS_TEST_TMPDIR/silence" > "$out" 2>&1 3>&- &
	pid=$!
	for _ in {1..100}; do
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
	guest "$1" "${all_devices[@]}" < <(typed)
	[[ $status == 0 ]]
	grep -q 'blk0: one of its 4 queues is used' "$out"
	grep -q 'net0: one of its 2 queue pairs is used' "$out"
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
	grep -q 'where nothing is' "$out"
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
	# no promise is broken; there is no count, since the launcher ends this guest
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

@test "lguest: a guest that panics, and its last words" {
	guest page-panic < /dev/null
	promises_kept
	[[ $status == 3 ]]
	grep -q 'Attempted to kill init!' "$out"
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
	grep -q -- '--smp=2: an lguest guest has one CPU' "$out"
}

@test "lguest: more reboots than this process may have descriptors" {
	ulimit -n 4096
	guest page-reboot --max-reboots=2816 < /dev/null
	[[ $status == 1 ]]
	grep -q -- '--max-reboots=2816: .*; say 2815 or less$' "$out"
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
