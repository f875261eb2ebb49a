#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# blkd and netd as ordinary vhost-user programs: the distribution's QEMU, run
# plainly, is the front-end and takes them by path.
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
}

# backend NAME OPTION…: start lguest-sep-NAME; waits for its socket
backend()
{
	"$B/lguest-sep-$1" --socket-path="$BATS_TEST_TMPDIR/$1.sock" "${@:2}" > "$1.log" 2>&1 3>&- &
	backends="${backends:-} $!"
	for _ in $(seq 50); do
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
		run timeout 5 "$B"/lguest-sep-$program --socket-path=disk
		[[ $status == 1 && $output == *"--socket-path=disk: something that is no socket"* ]]
		[[ $(sum disk) == "$was" ]]
	done
	backend blkd --blk-file=disk
	new_image other 1
	run timeout 5 "$B/lguest-sep-blkd" --blk-file=other --socket-path=blkd.sock
	[[ $status == 1 && $output == *"another program listens there"* ]]
	# Killed, it leaves its name behind; the next one takes it.
	kill -9 ${backends:?}
	wait $backends || true
	[[ -S blkd.sock ]]
	"$B/lguest-sep-blkd" --blk-file=other --socket-path=blkd.sock 3>&- &
	backends=$!
	sleep 0.5
	kill $backends
	status=0
	wait $backends || status=$?
	is_status 0
	[[ ! -e blkd.sock ]]
	backends=
}

@test "a path where somebody listens, if not to us, is not taken away" {
	truncate -s 1M image
	# Of the datagram kind: it cannot be connected to as a front-end would.
	python3 -c '
import socket, time
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind("used")
time.sleep(30)' 3>&- &
	backends=$!
	for _ in $(seq 50); do
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
