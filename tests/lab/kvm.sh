# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
# Runs on the lab host (busybox sh): starts guests on the kvm engine one after the other, as
# listed in the file cases. The output of each guest is between "== begin NAME" and "== end
# NAME STATUS", that of a case between "== case NAME" and "== ended NAME". Kernels and
# initial RAM disks are files NAME.vmlinuz and NAME.initrd here.

# launch NAME KERNEL "OPTIONS" "KERNEL ARGUMENTS": to its end, or for $limit seconds (100); the supervisor is in /tmp/pid-NAME
launch() {
	echo "== begin $1 at $(cut -d ' ' -f 1 /proc/uptime)"
	# shellcheck disable=SC2086
	lguest-sep --engine=kvm --drop-to nobody --timeout="${limit:-100}" $3 \
		--initrd="${2%%-elf*}.initrd" 256 "$2.vmlinuz" console=hvc0 quiet $4 < /dev/null 2>&1 &
	echo $! > "/tmp/pid-$1"
	wait $!
	echo "== end $1 $?"
}
# guest NAME KERNEL "OPTIONS" "KERNEL ARGUMENTS": in the background, to /tmp/out-NAME
guest() {
	launch "$@" > "/tmp/out-$1" &
	guest=$!
}
# disk NAME MIB
disk() {
	rm -f "/tmp/disk-$1"
	dd if=/dev/zero of="/tmp/disk-$1" bs=1M count="$2" 2>/dev/null
	chmod 666 "/tmp/disk-$1"
}
# says LINE NAME: wait until guest NAME prints LINE or ends
says() {
	for _ in $(seq 500); do
		! grep -q "^$1.\?\$" "/tmp/out-$2" && kill -0 "$guest" 2>/dev/null || return
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

# Disk, NIC, rng, and the counters before and after a series of requests.
case_main() {
	mkdir /tmp/www
	dd if=/dev/urandom of=/tmp/www/tcp bs=1M count=8 2>/dev/null
	echo "tcp $(md5sum < /tmp/www/tcp | cut -d ' ' -f 1)"
	httpd -p 8080 -h /tmp/www
	disk main 64
	guest main cloud "--stats --block=/tmp/disk-main --tunnet=10.99.0.1/24,reach=tcp:8080 --rng --smp=2" "mitigations=off cryptomgr.notests case=main"
	for line in "T: steady" "T: steady no more"; do
		says "$line" main
		kill -USR1 "$(cat /tmp/pid-main)"
	done
	wait "$guest"
	cat /tmp/out-main
	echo "disk $(head -c 16777216 /tmp/disk-main | md5sum | cut -d ' ' -f 1)"
}

case_queues() {
	disk queues 16
	ip link add br0 type bridge
	ip addr add 10.99.1.1/24 dev br0
	ip link set br0 up
	launch queues cloud "--block=/tmp/disk-queues,queues=2 --net=bridge=br0,queues=2 --smp=2" \
		"mitigations=off cryptomgr.notests case=queues net=1"
	ip link del br0
}

case_reboot() {
	disk reboot 1
	launch reboot cloud "--block=/tmp/disk-reboot" "mitigations=off cryptomgr.notests case=reboot"
}

case_panic() {
	launch panic cloud "" "mitigations=off cryptomgr.notests case=panic"
}

# A command in a guest that returns its input, and a port that the user named.
case_run() {
	mkdir -p /tmp/modules
	tar -xf modules.tar -C /tmp/modules
	dd if=/dev/urandom of=/tmp/in bs=64k count=32 2>/dev/null
	echo "== begin run at $(cut -d ' ' -f 1 /proc/uptime)"
	# shellcheck disable=SC2016
	lguest-sep run --engine=kvm --drop-to nobody --timeout=100 --modules=/tmp/modules --port=mine:/tmp/mine,max=5 \
		256 cloud.vmlinuz mitigations=off cryptomgr.notests -- sh -c 'cat; echo error >&2
		for p in /sys/class/virtio-ports/*; do
			[ "$(cat "$p/name")" = mine ] && echo "by the port" > "/dev/${p##*/}"
		done
		exit 9' < /tmp/in 2>&1 > /tmp/run-out
	echo "== end run $?"
	cmp /tmp/in /tmp/run-out && echo "same bytes"
	echo "port $(cat /tmp/mine)"
}

# The same command in six rounds, each from a clean state, without input; the status is that of the first one that failed.
case_rounds() {
	mkdir -p /tmp/modules
	tar -xf modules.tar -C /tmp/modules
	echo "== begin rounds at $(cut -d ' ' -f 1 /proc/uptime)"
	# shellcheck disable=SC2016
	echo input | lguest-sep run --engine=kvm --drop-to nobody --timeout=200 --modules=/tmp/modules --checkpoint-at=command \
		--resets=5 --reset-on=panic,timeout=20 256 cloud.vmlinuz mitigations=off cryptomgr.notests -- sh -c 'cat; cat /tmp/mark; echo lost > /tmp/mark
		echo "T: round"; exit 3' 2>&1
	echo "== end rounds $?"
}

# SIGTERM to the supervisor presses the power button
case_button() {
	guest button cloud "" "mitigations=off cryptomgr.notests case=button"
	says "T: waiting" button
	kill -TERM "$(cat /tmp/pid-button)"
	wait "$guest"
	cat /tmp/out-button
}

# --timeout ends a guest that spins
case_spin() {
	limit=30 launch spin cloud "" "mitigations=off cryptomgr.notests case=spin"
}

case_nomsi() {
	disk nomsi 16
	launch nomsi cloud "--block=/tmp/disk-nomsi --tunnet=10.99.2.1/24" "mitigations=off cryptomgr.notests case=nomsi net=2 pci=nomsi"
}

# A disk and a NIC of other programs, by socket path; our own helpers play these programs.
case_foreign() {
	disk foreign 16
	lguest-sep-blkd --socket-path=/tmp/b.sock --blk-file=/tmp/disk-foreign > /tmp/blkd.log 2>&1 &
	blkd=$!
	lguest-sep-netd --socket-path=/tmp/n.sock --tap=ft0 --spoof-check=off > /tmp/netd.log 2>&1 &
	netd=$!
	for _ in $(seq 1000); do
		[ -S /tmp/b.sock ] && [ -S /tmp/n.sock ] && break
		sleep 0.1
	done
	ip addr add 10.99.3.1/24 dev ft0
	ip link set ft0 up
	launch foreign cloud "--vhost-user-blk=/tmp/b.sock --vhost-user-net=/tmp/n.sock" "mitigations=off cryptomgr.notests case=boot net=3"
	cat /tmp/blkd.log /tmp/netd.log
	kill $blkd $netd 2> /dev/null
	wait $blkd $netd
}

# boot NAME: that kernel
boot() {
	# this QEMU's nested paging does not support the page tables of PAE guests
	case $1 in i686*)
		rmmod kvm_amd
		insmod /modules/kvm-amd.ko npt=0
		;;
	esac
	disk boot 8
	launch "boot-$1" "$1" "--block=/tmp/disk-boot --tunnet=10.99.4.1/24" "case=boot net=4"
}

while read -r c; do
	echo "== case $c"
	case $c in
	boot-*) boot "${c#boot-}" ;;
	*) "case_$c" ;;
	esac
	nothing_left
	echo "== ended $c"
done < cases
dmesg | grep -E 'WARNING: CPU|BUG:|Oops|general protection' | sed 's/^/== host: /'
