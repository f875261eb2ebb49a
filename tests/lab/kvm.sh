# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
# Runs on the lab host (busybox sh): guests on the kvm engine, one after the
# other. What each said stands between "== begin NAME" and "== end NAME STATUS".
# Kernels and initial RAM disks are here as NAME.vmlinuz and NAME.initrd.
disk=/tmp/disk.img

# guest NAME KERNEL MIB "OPTIONS" "KERNEL ARGUMENTS"
guest() {
	echo "== begin $1"
	# shellcheck disable=SC2086
	lguest-sep --engine=kvm --drop-to nobody --stats --timeout=120 $4 \
		--initrd="$2.initrd" "$3" "$2.vmlinuz" console=hvc0 quiet mitigations=off "case=$1" $5 < /dev/null 2>&1
	echo "== end $1 $?"
}
fresh_disk() {
	rm -f $disk
	dd if=/dev/zero of=$disk bs=1M count=64 2>/dev/null
	chmod 666 $disk
}
# says LINE FILE: wait for it
says() {
	for _ in $(seq 600); do
		grep -q "^$1.\?\$" "$2" && return
		sleep 0.2
	done
}
supervisor() { pidof lguest-sep | tr ' ' '\n' | sort -n | head -n 1; }
has() { [ -e "$1.vmlinuz" ]; }
left() {
	# shellcheck disable=SC2009
	ps | grep -c '[l]guest-sep'
	ip link | grep -c tap
}

mkdir /tmp/www
dd if=/dev/urandom of=/tmp/www/tcp bs=1M count=8 2>/dev/null
echo "tcp $(md5sum < /tmp/www/tcp | cut -d ' ' -f 1)"
httpd -p 8080 -h /tmp/www

fresh_disk
guest main cloud 256 "--block=$disk --tunnet=10.99.0.1/24 --rng --smp=2" > /tmp/main &
# the counters before and after a stretch of nothing but requests
for line in "T: steady" "T: steady no more"; do
	says "$line" /tmp/main
	kill -USR1 "$(supervisor)"
done
wait
cat /tmp/main
echo "disk $(head -c 33554432 $disk | md5sum | cut -d ' ' -f 1)"
echo "left $(left | tr '\n' ' ')"

ip link add br0 type bridge
ip addr add 10.99.0.1/24 dev br0
ip link set br0 up
guest queues cloud 256 "--block=$disk,queues=2 --net=bridge=br0,queues=2 --smp=2"
ip link del br0

fresh_disk
guest reboot cloud 192 "--block=$disk"
guest panic cloud 192 ""
guest nomsi cloud 192 "--block=$disk --tunnet=10.99.0.1/24" "pci=nomsi"

# disk and NIC of other programs, by path: our own helpers as such
fresh_disk
lguest-sep-blkd --socket-path=/tmp/b.sock --blk-file=$disk > /tmp/blkd.log 2>&1 &
others=$!
lguest-sep-netd --socket-path=/tmp/n.sock --tap=ft0 --spoof-check=off > /tmp/netd.log 2>&1 &
others="$others $!"
for _ in $(seq 50); do
	[ -S /tmp/b.sock ] && [ -S /tmp/n.sock ] && break
	sleep 0.1
done
ip addr add 10.99.0.1/24 dev ft0
ip link set ft0 up
echo "== begin foreign"
lguest-sep --engine=kvm --drop-to nobody --timeout=120 --vhost-user-blk=/tmp/b.sock --vhost-user-net=/tmp/n.sock \
	--initrd=cloud.initrd 192 cloud.vmlinuz console=hvc0 quiet mitigations=off case=boot < /dev/null 2>&1
echo "== end foreign $?"
cat /tmp/blkd.log /tmp/netd.log
# shellcheck disable=SC2086
kill $others
wait

# SIGTERM to the supervisor presses the power button
guest button cloud 192 "" > /tmp/button &
says "T: waiting" /tmp/button
kill -TERM "$(supervisor)"
wait
cat /tmp/button

# a guest that spins is ended all the same
guest spin cloud 192 "--timeout=40"
echo "left $(left | tr '\n' ' ')"

# boot NAME NUMBER: in the background, to /tmp/boot-NAME
boot() {
	dd if=/dev/zero of="/tmp/disk-$1" bs=1M count=16 2>/dev/null
	chmod 666 "/tmp/disk-$1"
	{
		echo "== begin boot-$1"
		lguest-sep --engine=kvm --drop-to nobody --timeout=180 --block="/tmp/disk-$1" --tunnet="10.99.$2.1/24" \
			--initrd="${1%%-elf*}.initrd" 320 "$1.vmlinuz" console=hvc0 quiet case=boot "net=$2" < /dev/null 2>&1
		echo "== end boot-$1 $?"
	} > "/tmp/boot-$1"
}
# boot_all NAME…: each of them that is here, two at a time
boot_all() {
	n=1
	for k; do
		has "$k" || continue
		boot "$k" $n &
		[ $((n % 2)) != 0 ] || wait
		n=$((n + 1))
	done
	wait
	for k; do
		[ ! -e "/tmp/boot-$k" ] || cat "/tmp/boot-$k"
	done
}
boot_all full cloud13 full13 full-elf full-elf-gz
# this QEMU's nested paging does not know the page tables of PAE guests
rmmod kvm_amd
insmod /modules/kvm-amd.ko npt=0
boot_all i686 i686-elf i686-elf-gz
echo "left $(left | tr '\n' ' ')"
dmesg | grep -E 'WARNING: CPU|BUG:|Oops|general protection' | sed 's/^/== host: /'
