# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
# The guest's part of tests/lab/kvm.sh: /test.sh of its initramfs. "case=NAME" on
# the kernel command line selects the case; lines for the test begin with "T: ".
net=0
for w in $(cat /proc/cmdline); do
	[ "${w#case=}" = "$w" ] || what=${w#case=}
	[ "${w#net=}" = "$w" ] || net=${w#net=}
done
up() {
	ip link set eth0 up
	ip addr add "10.99.$net.2/24" dev eth0
}
md() { md5sum | cut -d ' ' -f 1; }

case $what in
main)
	up
	say "kernel $(uname -r)"
	say "cpus $(grep -c ^processor /proc/cpuinfo)"
	say "clock $(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)"
	dd if=/dev/urandom of=/tmp/data bs=1M count=16 2>/dev/null
	dd if=/tmp/data of=/dev/vda bs=1M oflag=direct 2>/dev/null
	sync
	echo 3 > /proc/sys/vm/drop_caches
	[ "$(md < /tmp/data)" = "$(dd if=/dev/vda bs=1M count=16 iflag=direct 2>/dev/null | md)" ] && say "read back"
	say "sum $(md < /tmp/data)"
	ping -c 1 -W 5 "10.99.$net.1" > /dev/null 2>&1
	say "steady"
	sleep 1
	dd if=/dev/vda of=/dev/null bs=4k count=3000 iflag=direct 2>/dev/null && reads=3000
	ping -c 3 -W 5 "10.99.$net.1" > /dev/null 2>&1 && answers=3
	sleep 1
	say "steady no more"
	sleep 1
	say "$reads reads"
	say "$answers pings"
	wget -q -O /tmp/tcp "http://10.99.$net.1:8080/tcp"
	say "tcp $(md < /tmp/tcp)"
	dd if=/dev/hwrng bs=64 count=1 2>/dev/null | wc -c | sed 's/^/T: rng /'
	grep -c 'PCI-MSI.*virtio' /proc/interrupts | sed 's/^/T: msi /'
	grep -q 'IO-APIC.*virtio' /proc/interrupts && say "intx"
	say "complaints $(dmesg | grep -cE 'WARNING: CPU|BUG:|Call Trace|Oops')"
	dmesg | grep -E 'WARNING: CPU|BUG:|Call Trace|Oops'
	;;
boot)
	up
	say "kernel $(uname -r)"
	dd if=/dev/urandom of=/tmp/data bs=1M count=4 2>/dev/null
	dd if=/tmp/data of=/dev/vda bs=1M oflag=direct 2>/dev/null
	[ "$(md < /tmp/data)" = "$(dd if=/dev/vda bs=1M count=4 iflag=direct 2>/dev/null | md)" ] && say "disk"
	ping -c 1 -W 5 "10.99.$net.1" > /dev/null 2>&1 && say "net"
	;;
queues)
	up
	say "cpus $(grep -c ^processor /proc/cpuinfo)"
	say "disk queues $(ls /sys/block/vda/mq | wc -l)"
	say "net queues $(ls -d /sys/class/net/eth0/queues/tx-* | wc -l)"
	for i in 1 2 3 4; do
		dd if=/dev/vda of=/dev/null bs=64k skip=$((i * 100)) count=100 iflag=direct 2>/dev/null &
	done
	wait
	ping -c 3 -W 5 "10.99.$net.1" > /dev/null 2>&1 && say "ping"
	;;
nomsi)
	up
	grep -q 'PCI-MSI.*virtio' /proc/interrupts || say "no msi"
	grep -q 'IO-APIC.*virtio' /proc/interrupts && say "lines"
	dd if=/dev/vda of=/dev/null bs=64k count=64 iflag=direct 2>/dev/null && say "disk"
	ping -c 1 -W 5 "10.99.$net.1" > /dev/null 2>&1 && say "net"
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
	;;
button)
	mkdir -p /etc/acpi
	printf '#!/bin/sh\necho "T: button"\npoweroff -f\n' > /etc/acpi/PWRF
	chmod 755 /etc/acpi/PWRF
	mkdir -p /etc/acpi/PWRF.d
	acpid -d -l /dev/console -p /tmp/acpid.pid > /dev/null 2>&1 &
	dd if=/dev/input/event0 of=/tmp/event bs=24 count=1 2>/dev/null &
	# A press before the device is open would be lost.
	n=0
	# shellcheck disable=SC2010
	until ls -l "/proc/$!/fd" | grep -q event0 || [ $n -ge 300 ]; do sleep 0.1; n=$((n + 1)); done
	say "waiting"
	n=0
	while [ ! -s /tmp/event ] && [ $n -lt 300 ]; do sleep 0.1; n=$((n + 1)); done
	[ -s /tmp/event ] && say "pressed"
	;;
spin)
	say "spinning"
	while :; do :; done
	;;
esac
