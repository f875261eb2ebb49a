#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2154 # lib.bash's
# Live migration from QEMU to QEMU with blkd and netd as back-ends: they log the pages that they write
# (tests/guest/checkpoint_disk.c, test_migrate()). The guest is one of our own on /dev/kvm: with emulation, QEMU 7.2 does not
# notice each page that a guest writes, with devices of its own neither.
load lib

setup_test()
{
	need_root
	need_kvm_guests
	command -v qemu-system-x86_64 > /dev/null || skip "no qemu-system-x86_64"
	command -v python3 > /dev/null || skip "no python3"
	guest=$guests/probe-pvh
	cd "$BATS_TEST_TMPDIR" || return
}

teardown_test()
{
	local p
	for p in ${started:-}; do
		kill "$p" 2> /dev/null && wait "$p" || true
	done
	ip link del br9 2> /dev/null || true
}

# back_ends SIDE: a blkd and a netd, whose tap is at the bridge
back_ends()
{
	"$B/lguest-sep-blkd" --socket-path="blkd.$1" --blk-file=disk --lock=off > "blkd.$1.log" 2>&1 3>&- &
	started="${started:-} $!"
	"$B/lguest-sep-netd" --socket-path="netd.$1" --tap="tap9$1" --mac=02:00:00:00:00:31 > "netd.$1.log" 2>&1 3>&- &
	started="$started $!"
	wait_until test -S "blkd.$1" -a -S "netd.$1"
	ip link set "tap9$1" master br9 up
}

# front_end NAME SIDE [ARGUMENT...]: a QEMU with the back-ends of SIDE. vectors=0: QEMU 7.2 crashes otherwise when a guest
# uses MSI-X for a vhost-user NIC without an interrupt for each queue.
# kvmclock=off: KVM writes that clock into memory when the destination is made.
front_end()
{
	timeout 600 qemu-system-x86_64 -machine q35,accel=kvm,memory-backend=mem,hpet=off -cpu qemu64,kvmclock=off -m 64 \
		-object memory-backend-memfd,id=mem,size=64M,share=on -nodefaults -nographic -no-reboot \
		-serial "file:serial.$1" -qmp "unix:qmp.$1,server=on,wait=off" -kernel "$guest" -append "console=ttyS0 t=migrate" \
		-chardev "socket,id=c,path=blkd.$2" -device vhost-user-blk-pci,chardev=c,num-queues=1,disable-legacy=on \
		-chardev "socket,id=d,path=netd.$2" -netdev vhost-user,id=n,chardev=d \
		-device virtio-net-pci,netdev=n,mac=02:00:00:00:00:31,vectors=0,romfile=,disable-legacy=on \
		"${@:3}" > "qemu.$1.log" 2>&1 3>&- &
	started="$started $!"
}

# rounds NAME N: waits until that guest has printed N lines since it is there
rounds()
{
	wait_until eval "((\$(grep -ac ^round serial.$1) >= $2)) || grep -aq FAILED serial.$1" || true
	tail -n 3 "serial.$1" "qemu.$1.log"
	lacks FAILED "serial.$1"
	(($(grep -ac ^round "serial.$1") >= $2))
}

@test "QEMU to QEMU and back, with a disk and a NIC in use: all of memory is the same, and the guest goes on" {
	local sides=(a b) i
	truncate -s 8M disk
	chmod 666 disk
	ip link set lo up
	ip link add br9 type bridge
	ip addr add 10.99.0.1/24 dev br9
	ip link set br9 up
	back_ends a
	back_ends b
	front_end 0 a
	rounds 0 4
	for i in 1 2 3; do
		front_end "$i" "${sides[i % 2]}" -incoming "unix:incoming.$i" -S
		wait_until test -S "incoming.$i"
		python3 "$top/tests/lib/migrate.py" "qmp.$((i - 1))" "qmp.$i" "incoming.$i" "$BATS_TEST_TMPDIR" $((64 << 20))
		cmp source.memory destination.memory
		rounds "$i" 4
	done
}
