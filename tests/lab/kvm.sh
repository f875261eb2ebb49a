# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
# Runs on the lab host (busybox sh): guests on the kvm engine, one after the other.
# What each said stands between "== begin NAME" and "== end NAME STATUS". Kernels
# and initial RAM disks are here as NAME.vmlinuz and NAME.initrd; the file part says
# which half of it all this host does ("devices" or "kernels").

# launch NAME KERNEL "OPTIONS" "KERNEL ARGUMENTS": to its end; the supervisor is in /tmp/pid-NAME
launch() {
	echo "== begin $1"
	# shellcheck disable=SC2086
	lguest-sep --engine=kvm --drop-to nobody --timeout=150 $3 \
		--initrd="${2%%-elf*}.initrd" 256 "$2.vmlinuz" console=hvc0 quiet $4 < /dev/null 2>&1 &
	echo $! > "/tmp/pid-$1"
	wait $!
	echo "== end $1 $?"
}
# guest NAME KERNEL "OPTIONS" "KERNEL ARGUMENTS": in the background, to /tmp/out-NAME
guest() {
	launch "$@" > "/tmp/out-$1" &
}
# disk NAME MIB
disk() {
	rm -f "/tmp/disk-$1"
	dd if=/dev/zero of="/tmp/disk-$1" bs=1M count="$2" 2>/dev/null
	chmod 666 "/tmp/disk-$1"
}
# says LINE NAME: wait for it
says() {
	for _ in $(seq 600); do
		grep -q "^$1.\?\$" "/tmp/out-$2" && return
		sleep 0.2
	done
}
left() {
	# shellcheck disable=SC2009
	ps | grep -c '[l]guest-sep'
	ip link | grep -c tap
}
nothing_left() {
	echo "left $(left | tr '\n' ' ')"
}

# what there is to see with disk, NIC, counters, and the ways to end
devices() {
	mkdir /tmp/www
	dd if=/dev/urandom of=/tmp/www/tcp bs=1M count=8 2>/dev/null
	echo "tcp $(md5sum < /tmp/www/tcp | cut -d ' ' -f 1)"
	httpd -p 8080 -h /tmp/www
	disk main 64
	guest main cloud "--stats --block=/tmp/disk-main --tunnet=10.99.0.1/24 --rng --smp=2" "mitigations=off case=main"
	# the counters before and after a stretch of nothing but requests
	for line in "T: steady" "T: steady no more"; do
		says "$line" main
		kill -USR1 "$(cat /tmp/pid-main)"
	done
	wait
	cat /tmp/out-main
	echo "disk $(head -c 16777216 /tmp/disk-main | md5sum | cut -d ' ' -f 1)"
	nothing_left

	ip link add br0 type bridge
	ip addr add 10.99.1.1/24 dev br0
	ip link set br0 up
	launch queues cloud "--block=/tmp/disk-main,queues=2 --net=bridge=br0,queues=2 --smp=2" \
		"mitigations=off case=queues net=1"
	ip link del br0

	disk reboot 1
	launch reboot cloud "--block=/tmp/disk-reboot" "mitigations=off case=reboot"
	launch panic cloud "" "mitigations=off case=panic"
	# SIGTERM to the supervisor presses the power button
	guest button cloud "" "mitigations=off case=button"
	says "T: waiting" button
	kill -TERM "$(cat /tmp/pid-button)"
	wait
	cat /tmp/out-button
	# a guest that spins is ended all the same
	launch spin cloud "--timeout=30" "mitigations=off case=spin"
}

# disk and NIC of other programs, by path: our own helpers as such
foreign() {
	disk foreign 16
	lguest-sep-blkd --socket-path=/tmp/b.sock --blk-file=/tmp/disk-foreign > /tmp/blkd.log 2>&1 &
	others=$!
	lguest-sep-netd --socket-path=/tmp/n.sock --tap=ft0 --spoof-check=off > /tmp/netd.log 2>&1 &
	others="$others $!"
	for _ in $(seq 50); do
		[ -S /tmp/b.sock ] && [ -S /tmp/n.sock ] && break
		sleep 0.1
	done
	ip addr add 10.99.3.1/24 dev ft0
	ip link set ft0 up
	launch foreign cloud "--vhost-user-blk=/tmp/b.sock --vhost-user-net=/tmp/n.sock" "mitigations=off case=boot net=3"
	cat /tmp/blkd.log /tmp/netd.log
	# shellcheck disable=SC2086
	kill $others 2> /dev/null
	wait
}

# boot NAME…: each of those kernels that is here
boot() {
	for k; do
		[ -e "$k.vmlinuz" ] || continue
		disk boot 8
		launch "boot-$k" "$k" "--block=/tmp/disk-boot --tunnet=10.99.4.1/24" "case=boot net=4"
	done
}

kernels() {
	disk nomsi 16
	launch nomsi cloud "--block=/tmp/disk-nomsi --tunnet=10.99.2.1/24" "mitigations=off case=nomsi net=2 pci=nomsi"
	foreign
	boot full cloud13 full13 full-elf-gz
	# this QEMU's nested paging does not know the page tables of PAE guests
	rmmod kvm_amd
	insmod /modules/kvm-amd.ko npt=0
	boot i686 i686-elf
}

"$(cat part)"
nothing_left
dmesg | grep -E 'WARNING: CPU|BUG:|Oops|general protection' | sed 's/^/== host: /'
