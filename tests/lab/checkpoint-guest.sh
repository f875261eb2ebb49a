# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
# The guest's part of tests/long/checkpoint-lab: /test.sh of its initramfs.
say "clock $(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)"
if grep -q only-disk /proc/cmdline; then
	say busy
	while :; do
		dd if=/dev/urandom of=/dev/vda bs=64k count=128 oflag=direct 2> /dev/null
		dd if=/dev/vda of=/dev/null bs=64k count=128 iflag=direct 2> /dev/null
	done
fi
# New processes, and pages that change their place: work for KVM's shadow page tables
if grep -q paging /proc/cmdline; then
	while :; do
		cp /bin/busybox /tmp/copy
		cmp -s /bin/busybox /tmp/copy || say "FAILED a copy differs"
		rm /tmp/copy
	done &
fi
if [ -e /sys/class/net/eth0 ]; then
	ip link set eth0 up
	ip addr add 10.99.0.2/24 dev eth0
	ping -c 1 -W 5 10.99.0.1 > /dev/null || say "FAILED no answer from the host"
	ping -i 0.01 10.99.0.1 > /dev/null &
fi
resets
