#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# blkd and netd as ordinary vhost-user programs: the front-end is the distribution's
# QEMU, started without lguest-sep, which connects to their sockets.
load lib

setup_test()
{
	need_root
	need_kernel
	command -v qemu-system-x86_64 > /dev/null || skip "no qemu-system-x86_64"
	cd "$BATS_TEST_TMPDIR"
}

teardown_test()
{
	local p
	rm -f "${shm:-}"
	for p in ${backends:-}; do
		kill "$p" 2>/dev/null && wait "$p" || true
	done
	ip link del tap9 2>/dev/null || true
	[[ -z ${mounted:-} ]] || umount "$mounted"
	[[ -z ${loop:-} ]] || losetup -d "$loop"
}

# front_end NAME: connects to the back-end NAME without sending a message; $front is that process, $child its server
front_end()
{
	python3 -c '
import socket, sys, time
s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
s.connect(sys.argv[1])
s.settimeout(600)
s.recv(1)' "$1.sock" 3>&- &
	front=$!
	child=
	for _ in $(seq 600); do
		child=$(pgrep -P "${backends##* }") && grep -q '^Seccomp:.2$' "/proc/$child/status" && return
		sleep 0.1
	done
	cat "$1.log"
	return 1
}

# The end of a front-end, and of the process that served it.
front_end_leaves()
{
	kill "$front"
	wait "$front" || true
	for _ in $(seq 600); do
		[[ -d /proc/$child ]] || return 0
		sleep 0.1
	done
	return 1
}

# powerless PID: it has no capability, cannot gain one, and has a role's limits
powerless()
{
	cat "/proc/$1/status" "/proc/$1/limits"
	[[ $(grep -cE '^Cap(Inh|Prm|Eff|Bnd|Amb):.0000000000000000$' "/proc/$1/status") == 5 ]]
	grep -q '^NoNewPrivs:.1$' "/proc/$1/status"
	grep -q '^Seccomp:.2$' "/proc/$1/status"
	grep -qE '^Max processes +0 +0 ' "/proc/$1/limits"
	grep -qE '^Max core file size +1 +1 ' "/proc/$1/limits"
}

# backend NAME OPTION…: start lguest-sep-NAME; waits for its socket
backend()
{
	"$B/lguest-sep-$1" --socket-path="$BATS_TEST_TMPDIR/$1.sock" "${@:2}" > "$1.log" 2>&1 3>&- &
	backends="${backends:-} $!"
	for _ in {1..600}; do
		[[ -S $1.sock ]] && return
		sleep 0.1
	done
	cat "$1.log"
	return 1
}

# plain_qemu ARGUMENT…: to its end; what the guest said is in $out.clean
plain_qemu()
{
	out=$BATS_TEST_TMPDIR/out
	timeout "${limit:-60}" qemu-system-x86_64 -machine q35,accel=tcg,memory-backend=mem,hpet=off -cpu max,la57=off \
		-m 192 -object "${qemu_memory:-memory-backend-memfd},id=mem,size=192M,share=on" -nodefaults -nographic -no-reboot \
		-serial stdio -kernel "$K" -initrd "$initrd" -append "console=ttyS0 quiet" "$@" \
		< /dev/null > "$out" 2>&1 3>&-
	tr -d '\r' < "$out" > "$out.clean"
	cat "$out.clean"
}

@test "QEMU with blkd by path: the same bytes in both directions, twice in a row" {
	new_image disk 8
	was=$(sum disk)
	guest_script <<-'END'
		say "reads $(dd if=/dev/vda bs=64k 2>/dev/null | md5sum | cut -d ' ' -f 1)"
		say "serial $(cat /sys/block/vda/serial)"
		dd if=/dev/urandom of=/tmp/new bs=64k count=16 2>/dev/null
		dd if=/tmp/new of=/dev/vda bs=4k seek=100 conv=notrunc,fsync 2>/dev/null
		say "wrote $(md5sum < /tmp/new | cut -d ' ' -f 1)"
	END
	backend blkd --blk-file=disk --serial=ABC
	for _ in 1 2; do
		was=$(sum disk)
		plain_qemu -chardev socket,id=c,path=blkd.sock -device vhost-user-blk-pci,chardev=c,num-queues=1
		said "reads $was"
		said "serial ABC"
		said "wrote $(dd if=disk bs=4k skip=100 count=256 status=none | md5sum | cut -d ' ' -f 1)"
	done
}

@test "QEMU with netd by path: ping over its tap" {
	backend netd --tap=tap9 --mac=02:00:00:00:00:31
	ip addr add 10.99.7.1/24 dev tap9
	ip link set tap9 up
	guest_script <<-'END'
		ip link set eth0 up
		ip addr add 10.99.7.2/24 dev eth0
		ping -c 3 -W 5 10.99.7.1 > /tmp/ping 2>&1 && say "pings"
		say "mac $(cat /sys/class/net/eth0/address)"
	END
	plain_qemu -chardev socket,id=c,path=netd.sock -netdev vhost-user,id=n,chardev=c \
		-device virtio-net-pci,netdev=n,mac=02:00:00:00:00:31,vectors=0,romfile=
	said "pings"
	said "mac 02:00:00:00:00:31"
}

@test "memory that could be truncated is refused in one line, and taken with --allow-unsealed-memory" {
	new_image disk 1
	guest_script <<< 'say "sectors $(cat /sys/block/vda/size)"'
	shm=$(mktemp -p /dev/shm unsealed.XXXXXX)
	backend blkd --blk-file=disk
	qemu_memory=memory-backend-file,mem-path=$shm
	limit=8 plain_qemu -chardev socket,id=c,path=blkd.sock -device vhost-user-blk-pci,chardev=c,num-queues=1 || true
	grep -q 'not sealed against shrinking (--allow-unsealed-memory takes it)' blkd.log
	never said "sectors 2048"
	kill "${backends##* }" && wait "${backends##* }" || true
	backend blkd --blk-file=disk --allow-unsealed-memory
	plain_qemu -chardev socket,id=c,path=blkd.sock -device vhost-user-blk-pci,chardev=c,num-queues=1
	rm -f "$shm"
	said "sectors 2048"
}

@test "the programs say what they can do, as the specification asks" {
	run "$B/lguest-sep-blkd" --print-capabilities
	[[ $status == 0 && $output == *'"type": "block"'* && $output == *'"blk-file"'* ]]
	run "$B/lguest-sep-netd" --print-capabilities
	[[ $status == 0 && $output == *'"type": "net"'* ]]
}

@test "--socket-path takes the place of a dead socket alone, never of a file" {
	new_image disk 1
	was=$(sum disk)
	for program in "blkd --blk-file=disk" "netd --tap=tap9"; do
		run timeout 60 "$B"/lguest-sep-$program --socket-path=disk
		[[ $status == 1 && $output == *"--socket-path=disk: this file exists and is not a socket"* ]]
		[[ $(sum disk) == "$was" ]]
	done
	backend blkd --blk-file=disk
	new_image other 1
	run timeout 60 "$B/lguest-sep-blkd" --blk-file=other --socket-path=blkd.sock
	[[ $status == 1 && $output == *"another program listens on this socket"* ]]
	# Killed, it leaves its name behind; the next one takes it.
	kill -9 ${backends:?}
	wait $backends || true
	[[ -S blkd.sock ]]
	"$B/lguest-sep-blkd" --blk-file=other --socket-path=blkd.sock 3>&- &
	backends=$!
	# It listens, and handles signals.
	wait_until grep -q '^SigCgt:.*[1-9a-f]' "/proc/$backends/status"
	kill $backends
	status=0
	wait $backends || status=$?
	is_status 0
	[[ ! -e blkd.sock ]]
	backends=
}

@test "a path where somebody listens, if not to us, is not taken away" {
	truncate -s 1M image
	# A datagram socket, to which a front-end could not connect.
	python3 -c '
import socket, time
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind("used")
time.sleep(600)' 3>&- &
	backends=$!
	for _ in {1..600}; do
		[[ ! -S used ]] || break
		sleep 0.1
	done
	before=$(stat -c %i used)
	run "$B/lguest-sep-blkd" --socket-path=used --blk-file=image
	[[ $status == 1 && ${#lines[@]} == 1 ]]
	ip tuntap add dev tap9 mode tap vnet_hdr
	run "$B/lguest-sep-netd" --socket-path=used --tap=tap9 --mac=02:00:00:00:00:31
	echo "$output"
	[[ $status == 1 && ${#lines[@]} == 1 ]]
	[[ $(stat -c %i used) == "$before" ]]
}

@test "blkd that root started serves a connection without any capability" {
	new_image disk 1
	backend blkd --blk-file=disk
	[[ $(sed -n 's/^CapEff:.//p' "/proc/${backends##* }/status") != 0000000000000000 ]]
	front_end blkd
	powerless "$child"
	front_end_leaves
}

@test "netd that root started serves a connection without any capability" {
	backend netd --tap=tap9 --mac=02:00:00:00:00:31
	[[ $(sed -n 's/^CapEff:.//p' "/proc/${backends##* }/status") != 0000000000000000 ]]
	front_end netd
	powerless "$child"
	front_end_leaves
}

@test "fsd --rw that root started: no capability, a writable view of one mount, and one count for all connections" {
	need_user_namespaces
	mkdir -p dir/mounted
	mount -t tmpfs none dir/mounted && mounted=$PWD/dir/mounted
	chown 1234:1235 dir
	backend fsd --shared-dir=dir --rw --max=3M
	front_end fsd
	powerless "$child"
	grep -qE '^Max file size +3145728 +3145728 ' "/proc/$child/limits"
	grep -q '^Umask:.0000$' "/proc/$child/status"
	# What the process makes, as root without capabilities, belongs to the owner; the mount below is not there.
	: > "/proc/$child/fd/6/made"
	[[ $(stat -c %u:%g dir/made) == 1234:1235 ]]
	[[ $(stat -c %d "/proc/$child/fd/6/mounted") == "$(stat -c %d dir)" ]]
	first=$(stat -L -c '%d %i' "/proc/$child/fd/14")
	front_end_leaves
	front_end fsd
	[[ $(stat -L -c '%d %i' "/proc/$child/fd/14") == "$first" ]]
	front_end_leaves
}

@test "each connection of blkd --snapshot has a new unnamed file" {
	new_image disk 1
	backend blkd --blk-file=disk --snapshot
	front_end blkd
	# Keep it open as a compromised process would.
	exec 8<> "/proc/$child/fd/7"
	first=$(stat -L -c '%d %i %h' "/proc/$child/fd/7")
	front_end_leaves
	front_end blkd
	second=$(stat -L -c '%d %i %h' "/proc/$child/fd/7")
	echo "$first and $second"
	[[ $first == *" 0" && $second == *" 0" && $first != "$second" ]]
	printf evil | dd of=/proc/self/fd/8 conv=notrunc status=none
	cmp -n 4 "/proc/$child/fd/7" /dev/zero
	exec 8>&-
	front_end_leaves
}

@test "blkd's ring holds the socket whose end lets the next front-end in" {
	new_image disk 1
	backend blkd --blk-file=disk --direct
	front_end blkd
	[[ -e /proc/$child/fd/9 ]] || skip "no io_uring here"
	# The ring's first file is the image, its last the socket; the process has no other descriptor of them.
	[[ $(sed -n 's/^UserFiles:[[:space:]]*//p' "/proc/$child/fdinfo/9") == 2 ]]
	[[ ! -e /proc/$child/fd/3 ]]
	front_end_leaves
}

@test "blkd does not write to a block device that the host has mounted" {
	truncate -s 16M fs
	command -v mkfs.ext4 > /dev/null || skip "no mkfs.ext4"
	mkfs.ext4 -q fs
	loop=$(losetup -f --show fs) || skip "no loop devices"
	mkdir mnt
	mount "$loop" mnt || skip "cannot mount here"
	mounted=$PWD/mnt
	run timeout 200 "$B/lguest-sep-blkd" --blk-file="$loop" --socket-path=blkd.sock
	echo "$output"
	[[ $status == 1 && ${#lines[@]} == 1 && $output == *"$loop: the host uses this device"*"--read-only"* ]]
	backend blkd --blk-file="$loop" --read-only
	umount "$mounted"
	mounted=
	kill "${backends##* }" && wait "${backends##* }" || true
	backend blkd --blk-file="$loop"
}
