#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# The kvm engine with distribution kernels, in the nested lab: tests/lab/kvm runs once, and
# each test here evaluates a part of its output. Slow: a hypervisor inside an emulated CPU.
# alone: two labs use two processors, and their guests have a limit of time
load lib

setup_file()
{
	local top
	top=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
	export LAB_OUT=$BATS_FILE_TMPDIR/out
	: > "$LAB_OUT"
	[[ -e $top/.cache/kernel/vmlinuz && -e $top/.cache/initrd-test ]] || return 0
	"$top/tests/lab/kvm" > "$LAB_OUT" 2>&1 3>&- || true
	grep '^lab: ' "$LAB_OUT" | sed 's/^/# /' >&3 || true
}

setup_test()
{
	local reason
	need_kernel
	reason=$(sed -n 's/^lab: skipped: //p' "$LAB_OUT")
	[[ -z $reason ]] || skip "$reason"
}

# section NAME: writes the output of that guest and its launcher to $out.clean; sets $status
section()
{
	out=$BATS_TEST_TMPDIR/out
	sed -n "/^== begin $1 at/,/^== end $1 /p" "$LAB_OUT" > "$out.clean"
	status=$(sed -n "s/^== end $1 //p" "$out.clean")
	if [[ -z $status ]]; then
		tail -n 40 "$LAB_OUT"
		return 1
	fi
	cat "$out.clean"
}

stats_of() # ROLE TEXT: the counter's value each time that they were printed
{
	sed -n "s/^lguest-sep: $1 *\([0-9]*\)  $2\$/\1/p" "$out.clean"
}

@test "kvm: a stock kernel boots with two CPUs, disk, NIC and rng, and powers off" {
	section main
	is_status 0
	said "cpus 2"
	said "clock kvm-clock"
	said "read back"
	said "3 pings"
	said "rng 64"
	said "complaints 0"
	said "done"
	grep -qxF "disk $(sed -n 's/^T: sum //p' "$out.clean")" "$LAB_OUT"
	grep -qxF "tcp $(sed -n 's/^T: tcp //p' "$out.clean")" "$LAB_OUT"
}

@test "kvm: interrupts are messages, and no request makes an exit" {
	section main
	[[ $(sed -n 's/^T: msi //p' "$out.clean") -ge 8 ]]
	lacks '^T: intx' "$out.clean"
	said "3000 reads"
	mapfile -t requests < <(stats_of blk0 requests)
	mapfile -t frames < <(stats_of net0 'frames from the guest')
	mapfile -t exits < <(stats_of vcpu exits) # of any kind
	((${#requests[@]} == 3 && ${#frames[@]} == 3 && ${#exits[@]} == 3))
	((requests[1] - requests[0] >= 3000 && frames[1] - frames[0] >= 3))
	((exits[1] == exits[0]))
}

@test "kvm: nothing is left of guests that have ended" {
	section main
	ended=$(grep -c '^== ended ' "$LAB_OUT")
	((ended >= 8)) # those of the cloud kernel, which is always there
	[[ $(grep -cx 'left 0 0 ' "$LAB_OUT") == "$ended" ]]
	lacks '^== host:' "$LAB_OUT"
}

@test "kvm: disk and NIC with two queues each" {
	section queues
	is_status 0
	said "disk queues 2"
	said "net queues 2"
	said "ping"
}

@test "kvm: a guest reboots twice and finds its disk as it left it" {
	section reboot
	is_status 0
	said "boot 0"
	said "boot 1"
	said "boot 2"
}

@test "kvm: run: a command's streams, its status, and a named port" {
	section run
	is_status 9
	grep -qx 'error' "$out.clean"
	grep -q -- '--port=mine:/tmp/mine: dropped 7 bytes beyond max=5' "$out.clean"
	grep -qx 'same bytes' "$LAB_OUT"
	grep -qx 'port by th' "$LAB_OUT"
}

@test "kvm: run: a command in six rounds, each from the same state and without input" {
	section rounds
	is_status 3
	[[ $(grep -c '^T: round' "$out.clean") == 6 && $(grep -c "open '/tmp/mark'" "$out.clean") == 6 ]]
	lacks '^lost\|^input' "$out.clean"
	grep -q 'run: round 6: status 3, as the guest reports' "$out.clean"
	grep -q 'vcpu: 5 resets, ' "$out.clean"
}

@test "kvm: a panic has its status and reason" {
	section panic
	is_status 3
	grep -q 'panicked' "$out.clean"
}

@test "kvm: without MSI the interrupt lines serve" {
	section nomsi
	is_status 0
	said "no msi"
	said "lines"
	said "disk"
	said "net"
}

@test "kvm: disk and NIC may be other programs', by path" {
	section foreign
	is_status 0
	said "disk"
	said "net"
}

@test "kvm: SIGTERM presses the guest's power button" {
	section button
	said "waiting"
	said "pressed"
}

@test "kvm: a guest that spins is ended" {
	section spin
	is_status 5
	said "spinning"
}

# booted NAME: checks that this kernel booted as a guest, with disk and network
booted()
{
	[[ -e $top/.cache/lab/$1.vmlinuz ]] || skip "no such kernel to be had"
	section "boot-$1"
	is_status 0
	said "disk"
	said "net"
}

@test "kvm: the full kernel of Debian 12 boots to init with disk and network" {
	booted full
}

@test "kvm: the same as a compressed ELF file, by its PVH entry" {
	booted full-elf-gz
}

@test "kvm: the cloud kernel of Debian 13 boots to init with disk and network" {
	booted cloud13
}

@test "kvm: the full kernel of Debian 13 boots to init with disk and network" {
	booted full13
}

@test "kvm: the 686 kernel of Debian 12 boots to init with disk and network" {
	booted i686
}

@test "kvm: the same as a 32-bit ELF file" {
	booted i686-elf
}
