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
	dd if=/dev/zero of=$disk bs=1M count="${1:-64}" 2>/dev/null
	chmod 666 $disk
}
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
guest main cloud 256 "--block=$disk --tunnet=10.99.0.1/24 --rng --smp=2"
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
lguest-sep-netd --socket-path=/tmp/n.sock --tap=ft0 --spoof-check=off > /tmp/netd.log 2>&1 &
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
kill %1 %2 2> /dev/null
wait

# SIGTERM to the supervisor presses the power button
guest button cloud 192 "" > /tmp/button &
for _ in $(seq 300); do
	grep -q 'T: waiting' /tmp/button && break
	sleep 0.2
done
kill -TERM "$(pidof lguest-sep | tr ' ' '\n' | sort -n | head -n 1)"
wait
cat /tmp/button

# a guest that spins is ended all the same
guest spin cloud 192 "--timeout=40"
echo "left $(left | tr '\n' ' ')"

for k in full cloud13 i686; do
	has $k || continue
	# this QEMU's nested paging does not know the page tables of PAE guests
	[ $k != i686 ] || { rmmod kvm_amd; insmod /modules/kvm-amd.ko npt=0; }
	fresh_disk
	echo "== begin boot-$k"
	lguest-sep --engine=kvm --drop-to nobody --timeout=120 --block=$disk --tunnet=10.99.0.1/24 \
		--initrd=$k.initrd 384 $k.vmlinuz console=hvc0 quiet case=boot < /dev/null 2>&1
	echo "== end boot-$k $?"
done
dmesg | grep -E 'WARNING: CPU|BUG:|Oops|general protection' | sed 's/^/== host: /'
