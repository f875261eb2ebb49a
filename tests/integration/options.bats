#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Options and signals that a guest or its user sees the effect of.
load lib

setup_test()
{
	need_root
	need_kernel
}

teardown_test()
{
	[[ -z ${loop:-} ]] || losetup -d "$loop"
	ip link del brtest 2>/dev/null || true
}

# The guest's own stopwatch: seconds*100 of a command.
watch_fn='took() { local s e; s=$(cut -d " " -f 1 /proc/uptime | tr -d .); "$@" > /dev/null 2>&1; e=$(cut -d " " -f 1 /proc/uptime | tr -d .); echo $((e - s)); }'

@test "rate= and bandwidth= hold a disk back" {
	new_image one 4
	new_image two 4
	guest_script <<-END
		$watch_fn
		n=\$(took dd if=/dev/vda of=/dev/null bs=4k count=200 iflag=direct)
		say "reads \$n"; [ \$n -ge 75 ] && [ \$n -lt 300 ] && say "rate held"
		n=\$(took dd if=/dev/vdb of=/dev/null bs=64k count=32 iflag=direct)
		say "bytes \$n"; [ \$n -ge 150 ] && [ \$n -lt 400 ] && say "bandwidth held"
	END
	boot --block="$BATS_TEST_TMPDIR/one,rate=200" --block="$BATS_TEST_TMPDIR/two,bandwidth=1M"
	is_status 0
	said "rate held"
	said "bandwidth held"
}

@test "queues= of a disk and of a NIC on a bridge, rate= of the NIC" {
	new_image disk 4
	ip link add brtest type bridge
	ip addr add 10.99.20.1/24 dev brtest
	ip link set brtest up
	guest_script <<-'END'
		ip link set lo up; ip addr add 10.99.20.2/24 dev eth0; ip link set eth0 up
		say "disk $(ls /sys/block/vda/mq | wc -l)"
		say "nic $(ls -d /sys/class/net/eth0/queues/rx-* | wc -l) $(cat /sys/class/net/eth0/address)"
		dd if=/dev/vda of=/dev/null bs=4k iflag=direct 2>/dev/null &
		dd if=/dev/vda bs=4k skip=512 iflag=direct 2>/dev/null | md5sum > /dev/null &
		wait
		say "sum $(md5sum < /dev/vda | cut -d ' ' -f 1)"
		ping -c 3 -W 5 10.99.20.1 > /dev/null 2>&1 && say pong
		dd if=/dev/zero bs=1000 count=200 2>/dev/null | timeout 4 nc -u -w 1 10.99.20.1 9
	END
	boot --smp=2 --stats --block="$BATS_TEST_TMPDIR/disk,queues=2" \
		--net=bridge=brtest,queues=2,rate=100,mac=02:00:00:00:00:09
	is_status 0
	said "disk 2"
	said "nic 2 02:00:00:00:00:09"
	said "sum $(sum "$BATS_TEST_TMPDIR/disk")"
	said pong
	grep -E 'lguest-sep: net0 +[0-9]+ +waits for the rate limit' "$out.clean"
}

@test "a block device as disk: its size, its contents, and what is written to it" {
	new_image disk 4
	loop=$(losetup -f --show "$BATS_TEST_TMPDIR/disk") || skip "no loop devices"
	guest_script <<-'END'
		say "size $(cat /sys/block/vda/size)"
		say "sum $(md5sum < /dev/vda | cut -d ' ' -f 1)"
		printf loop | dd of=/dev/vda bs=512 seek=5 conv=sync,fsync 2>/dev/null
	END
	before=$(sum "$BATS_TEST_TMPDIR/disk")
	boot --block="$loop"
	is_status 0
	said "size 8192"
	said "sum $before"
	[[ $(dd if="$loop" bs=512 skip=5 count=1 iflag=direct status=none | head -c 4) == loop ]]
}

# The guest's driver leaves the disk alone, and the guest lays a ring over its kernel by hand.
broken_ring()
{
	guest_script <<-'END'
		d=/sys/bus/pci/devices/$(basename "$(readlink -f /sys/block/vda/device/..)")
		a=$(sed -n 5p "$d/resource" | cut -d ' ' -f 1)
		basename "$d" > /sys/bus/pci/drivers/virtio-pci/unbind
		echo 1 > "$d/enable"
		printf '\006\004' | dd of="$d/config" bs=1 seek=4 conv=notrunc 2>/dev/null
		w() { devmem $((a + $1)) "$2" "$3"; }
		w 20 8 0; w 20 8 1; w 20 8 3
		w 8 32 1; w 12 32 1; w 20 8 11
		w 22 16 0; w 24 16 128
		w 32 32 0x1000000; w 36 32 0
		w 40 32 0x1000000; w 44 32 0
		w 48 32 0x7e00000; w 52 32 0
		w 28 16 1; w 20 8 15
		devmem $((a + 0x3000)) 16 0
		sleep 1
		say "$(cat /sys/block/vdb/size) goes on: $(dd if=/dev/vdb bs=4 count=1 2>/dev/null)"
	END
	new_image disk 4
	printf next | dd of="$BATS_TEST_TMPDIR/next" bs=1M conv=sync status=none
	chmod 666 "$BATS_TEST_TMPDIR/next"
}

@test "--on-fault=kill: a broken ring ends the guest with status 6" {
	broken_ring
	boot --on-fault=kill --block="$BATS_TEST_TMPDIR/disk" --block="$BATS_TEST_TMPDIR/next"
	is_status 6
	[[ $(grep -c 'lguest-sep: blk0: .*available index' "$out.clean") == 1 ]]
	grep 'on-fault=kill' "$out.clean"
}

@test "without it a broken ring stops that queue alone, in one line" {
	broken_ring
	boot --block="$BATS_TEST_TMPDIR/disk" --block="$BATS_TEST_TMPDIR/next"
	is_status 0
	[[ $(grep -c 'lguest-sep: blk0: ' "$out.clean") == 1 ]]
	said "2048 goes on: next"
}

@test "--max-reboots: one more ends with status 7 and says so" {
	guest_script <<< 'say once; reboot -f; sleep 30'
	boot --max-reboots=1
	is_status 7
	[[ $(grep -ac 'T: once' "$out.clean") == 2 ]]
	grep 'lguest-sep: .*rebooted 1 time, .*--max-reboots' "$out.clean"
}

@test "SIGHUP asks the guest to power off and ends with status 129" {
	guest_script <<< 'say ready; dd if=/dev/input/event0 of=/dev/null bs=24 count=1 2>/dev/null && poweroff -f'
	boot_bg
	wait_for "T: ready"
	kill -HUP "$pid"
	finish 30
	is_status 129
}

@test "SIGUSR1 prints every process's counters, and the guest goes on" {
	new_image disk 4
	guest_script <<< 'dd if=/dev/vda of=/dev/null bs=64k 2>/dev/null; say ready; sleep 2; say later'
	boot_bg --block="$BATS_TEST_TMPDIR/disk" --tunnet=10.99.21.1/24
	wait_for "T: ready"
	kill -USR1 "$pid"
	finish
	is_status 0
	said later
	grep -E 'lguest-sep: blk0 +[0-9]+ +bytes read' "$out.clean"
	grep -E 'lguest-sep: net0 ' "$out.clean"
}

@test "lines of ours stand between the guest's own, where both go to one file" {
	new_image disk 1
	guest_script <<-'END'
		printf 'T: whole'
		n=0
		while [ $n -lt 60 ]; do printf ' word'; n=$((n + 1)); [ $((n % 5)) != 0 ] || usleep 10000; done
		echo
		printf 'prompt> '
		sleep 2
		echo said
	END
	boot_bg --block="$BATS_TEST_TMPDIR/disk"
	wait_for "T: whole"
	for n in 1 2 3; do
		kill -USR1 "$pid"
		sleep 0.06
	done
	wait_for "prompt>"
	sleep 0.1
	kill -USR1 "$pid"
	sleep 1
	tr -d '\r' < "$out" > "$out.prompt"
	finish
	is_status 0
	said "whole$(printf ' word%.0s' {1..60})"
	# A prompt is no line that ends soon: ours begins one of its own.
	tail -n 1 "$out.prompt" | grep -E '^lguest-sep: blk0 '
	lacks '[^ ]lguest-sep: ' "$out.clean"
}

stop_it()
{
	kill -TSTP "$(role_pids lguest-sep)"
	sleep 8
}

@test "SIGTSTP gives the terminal back, SIGCONT takes it again" {
	guest_script <<< 'say ready; sleep 4; say later'
	inside='stty -g > stopped; jobs > jobs; fg'
	on_terminal stop_it
	grep -a 'T: later' "$out"
	grep Stopped "$BATS_TEST_TMPDIR/jobs"
	cmp "$before" "$BATS_TEST_TMPDIR/stopped"
	cmp "$before" "$after"
	is_status 0
}

@test "a foreign disk with the qemu engine: a QCOW2 image behind qemu-storage-daemon, for one start" {
	command -v qemu-storage-daemon > /dev/null || skip "no qemu-storage-daemon"
	local image=$BATS_TEST_TMPDIR/q.qcow2 sock=$BATS_TEST_TMPDIR/q.sock
	: > "$image"
	{
		echo '{"execute":"qmp_capabilities"}'
		echo '{"execute":"blockdev-create","arguments":{"job-id":"j","options":{"driver":"qcow2","file":"f","size":67108864}}}'
		sleep 1
		echo '{"execute":"quit"}'
	} | qemu-storage-daemon --blockdev "driver=file,node-name=f,filename=$image" \
		--chardev stdio,id=c --monitor c > /dev/null
	qemu-storage-daemon --blockdev "driver=file,node-name=f,filename=$image" \
		--blockdev driver=qcow2,node-name=q,file=f \
		--export "type=vhost-user-blk,id=e,node-name=q,addr.type=unix,addr.path=$sock,writable=on" \
		> /dev/null 2>&1 3>&- &
	daemon=$!
	for _ in $(seq 50); do
		[[ -S $sock ]] && break
		sleep 0.1
	done
	guest_script <<-'END'
		say "size $(cat /sys/block/vda/size)"
		say "had $(dd if=/dev/vda bs=4 count=1 2>/dev/null | tr -d '\0')"
		printf kept | dd of=/dev/vda conv=notrunc,fsync 2>/dev/null
		[ -e /sys/block/vdb ] || reboot -f
	END
	boot --engine=qemu --vhost-user-blk="$sock"
	first=$status
	said "size 131072"
	grep 'lguest-sep: the guest rebooted; .*--vhost-user-blk' "$out.clean"
	new_image second 1
	boot --engine=qemu --vhost-user-blk="$sock" --block="$BATS_TEST_TMPDIR/second"
	kill "$daemon"
	[[ $first == 7 ]]
	is_status 0
	said "had kept"
}

@test "a kernel that panics before it has a console is not started for ever" {
	head -c 65536 /dev/urandom > "$BATS_TEST_TMPDIR/junk"
	initrd=$BATS_TEST_TMPDIR/junk
	boot
	is_status 3
	grep -q 'lguest-sep: the guest reset 3 times without a word: ' "$out"
}
