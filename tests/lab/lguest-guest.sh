#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=dash
# shellcheck disable=SC2013,SC2018 # words of the command line; plain letters
# /init of the lguest guest (tests/lab/lguest). "case=NAME" on the command line
# selects the case; lines for the test begin with "T: ".
/bin/busybox --install -s /bin
mkdir -p /proc /sys /dev /tmp
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
for w in $(cat /proc/cmdline); do
	[ "${w#case=}" = "$w" ] || what=${w#case=}
done
say() { echo "T: $*"; }
md() { md5sum | cut -d ' ' -f 1; }
up() {
	ifconfig lo up
	ifconfig eth0 10.98.0.2 netmask 255.255.255.0 up
}

say "init $(uname -r)"
case $what in
main)
	up
	# 32 MiB minus 4 KiB of a pattern, then 4 KiB of random data: urandom is slow in these kernels
	dd if=/dev/urandom of=/tmp/data bs=64k count=1 2>/dev/null
	for _ in 1 2 3; do
		cat /tmp/data /tmp/data /tmp/data /tmp/data /tmp/data /tmp/data /tmp/data /tmp/data > /tmp/more
		mv /tmp/more /tmp/data
	done
	truncate -s 33550336 /tmp/data
	dd if=/dev/urandom bs=4k count=1 >> /tmp/data 2>/dev/null
	dd if=/tmp/data of=/dev/vda bs=1M 2>/dev/null
	sync
	echo 3 > /proc/sys/vm/drop_caches
	say "written $(md < /tmp/data)"
	rm /tmp/data
	say "read $(dd if=/dev/vda bs=1M count=32 2>/dev/null | md)"
	say "second disk $(dd if=/dev/vdb bs=512 count=1 2>/dev/null | tr -dc a-z)"
	dd if=/dev/zero of=/dev/vdb bs=512 count=1 2>/dev/null
	[ -e /sys/class/net/eth1 ] && say "second nic $(cat /sys/class/net/eth1/address)"
	ping -c 3 -W 5 10.98.0.1 > /dev/null 2>&1 && say "ping"
	wget -q -O /tmp/tcp http://10.98.0.1:8080/tcp
	say "tcp $(md < /tmp/tcp)"
	httpd -p 8081 -h /tmp
	dd if=/dev/hwrng bs=64 count=1 2>/dev/null | wc -c | sed 's/^/T: rng /'
	say "waiting"
	read -r line
	say "typed $line"
	# meanwhile the host pings and downloads
	read -r line
	say "complaints $(dmesg | grep -ciE 'warning:|bug:|call trace')"
	;;
reboot)
	n=$(dd if=/dev/vda bs=512 count=1 2>/dev/null | tr -dc 0-9)
	say "boot ${n:=0}"
	printf '%-512s' $((n + 1)) | dd of=/dev/vda bs=512 conv=notrunc 2>/dev/null
	sync
	[ "$n" -lt 2 ] && reboot -f
	;;
panic)
	echo c > /proc/sysrq-trigger
	exec false # init's end is a panic as well
	;;
idle)
	say "idle"
	cat > /dev/null
	;;
kills)
	# meanwhile the host kills blkd; written data must not be lost
	dd if=/dev/urandom of=/tmp/data bs=64k count=4 2>/dev/null
	want=$(md5sum < /tmp/data)
	end=$(($(cut -d . -f 1 /proc/uptime) + 6))
	say "go"
	while [ "$(cut -d . -f 1 /proc/uptime)" -lt $end ]; do
		for i in $(seq 0 63); do
			dd if=/tmp/data of=/dev/vda bs=4k seek=$((i * 64)) count=64 oflag=direct conv=notrunc 2>/dev/null ||
				say "write $i failed"
		done
	done
	echo 3 > /proc/sys/vm/drop_caches
	bad=0
	for i in $(seq 0 63); do
		[ "$(dd if=/dev/vda bs=4k skip=$((i * 64)) count=64 2>/dev/null | md5sum)" = "$want" ] || bad=$((bad + 1))
	done
	say "kills bad $bad"
	;;
init) ;;
dd | read1m | write1m | read4k | write4k)
	list=$what
	[ "$what" = dd ] && list="read1m write1m read4k write4k"
	# enough for a clock of hundredths: 1 GiB, 128, 64 and 32 MiB
	for what in $list; do
		times=1
		case $what in
		read1m) args="if=/dev/vda of=/dev/null bs=1M count=128 iflag=direct" times="1 2 3 4 5 6 7 8" ;;
		write1m) args="if=/dev/zero of=/dev/vda bs=1M count=128 conv=fsync" ;;
		read4k) args="if=/dev/vda of=/dev/null bs=4k count=16384 iflag=direct" ;;
		write4k) args="if=/dev/zero of=/dev/vda bs=4k count=8192 oflag=direct" ;;
		esac
		# the guest's own clock
		a=$(cut -d ' ' -f 1 /proc/uptime)
		for _ in $times; do
			# shellcheck disable=SC2086
			dd $args 2>/dev/null
		done
		b=$(cut -d ' ' -f 1 /proc/uptime)
		say "dd $what $(echo "($b - $a) * 100 / 1" | bc)"
	done
	;;
esac
poweroff -f
