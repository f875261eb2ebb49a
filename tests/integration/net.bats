#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# NICs: taps in the tests' own network namespace, guest on the other side.
load lib

setup_test()
{
	need_root
	need_kernel
}

teardown_test()
{
	ip link del br9 2>/dev/null || true
	ip link del tap8 2>/dev/null || true
	ip link del tap7 2>/dev/null || true
}

net_up='ip link set eth0 up; ip addr add 10.99.0.2/24 dev eth0'

@test "ping both ways" {
	guest_script <<-END
		$net_up
		ping -c 3 -W 5 10.99.0.1 > /tmp/ping 2>&1 && say "guest pings host"
		say ready
		sleep 60
	END
	boot_bg --tunnet=10.99.0.1/24
	wait_for "T: ready"
	busybox ping -c 3 -W 5 10.99.0.2
	kill -TERM "$pid"
	finish 20
	said "guest pings host"
}

@test "64 MiB by TCP arrive whole, in both directions" {
	dd if=/dev/urandom of="$BATS_TEST_TMPDIR/data" bs=1M count=64 status=none
	want=$(sum "$BATS_TEST_TMPDIR/data")
	guest_script <<-END
		$net_up
		ip link set lo up
		say ready
		nc -l -p 5000 > /tmp/data
		say "in \$(md5sum < /tmp/data | cut -d ' ' -f 1)"
		nc -l -p 5001 < /tmp/data > /dev/null
		say sent
	END
	mem=384
	boot_bg --tunnet=10.99.0.1/24
	wait_for "T: ready"
	sleep 0.5
	busybox nc 10.99.0.2 5000 < "$BATS_TEST_TMPDIR/data"
	wait_for "T: in $want" 30
	sleep 0.5
	mkfifo "$BATS_TEST_TMPDIR/quiet" # never at its end, as the guest would take that for ours
	busybox nc 10.99.0.2 5001 <> "$BATS_TEST_TMPDIR/quiet" > "$BATS_TEST_TMPDIR/back"
	finish
	is_status 0
	[[ $(sum "$BATS_TEST_TMPDIR/back") == "$want" ]]
}

@test "two NICs in order, with the addresses and MTU asked for" {
	ip link add br9 mtu 1400 type bridge
	ip addr add 10.99.9.1/24 dev br9
	ip link set br9 up
	guest_script <<-'END'
		say "eth0 $(cat /sys/class/net/eth0/address) $(cat /sys/class/net/eth0/mtu)"
		say "eth1 $(cat /sys/class/net/eth1/address) $(cat /sys/class/net/eth1/mtu)"
		ip link set eth1 up; ip addr add 10.99.9.2/24 dev eth1
		ping -c 2 -W 5 10.99.9.1 > /tmp/ping 2>&1 && say "over the bridge"
	END
	boot --tunnet=10.99.0.1/24:02:00:00:00:00:11 --tunnet=bridge:br9:02:00:00:00:00:22
	is_status 0
	said "eth0 02:00:00:00:00:11 1500"
	said "eth1 02:00:00:00:00:22 1400"
	said "over the bridge"
}

@test "frames from a source address that is not the guest's are dropped, and counted" {
	guest_script <<-END
		ip link set eth0 down
		ip link set eth0 address 02:00:00:00:00:99 2>/dev/null
		$net_up
		say "address \$(cat /sys/class/net/eth0/address)"
		ping -c 2 -W 2 10.99.0.1 > /tmp/ping 2>&1 || say "no answer"
	END
	boot --tunnet=10.99.0.1/24:02:00:00:00:00:11 --stats
	is_status 0
	said "no answer"
	grep -a 'not the guest.s MAC' "$out.clean"
}

@test "a network that another interface has already is warned of" {
	ip tuntap add dev tap7 mode tap
	ip addr add 10.99.60.1/22 dev tap7
	echo "no kernel" > "$BATS_TEST_TMPDIR/words"
	run "$L" "${user[@]}" --tunnet=10.99.61.9/24 64 "$BATS_TEST_TMPDIR/words" < /dev/null
	[[ $output == *"--tunnet=10.99.61.9: warning: interface tap7 has an address in this network too"* ]]
	run "$L" "${user[@]}" --tunnet=10.99.64.9/24 64 "$BATS_TEST_TMPDIR/words" < /dev/null
	[[ $output == *"a text file"* && $output != *warning* ]]
}

@test "an ordinary user's guest on a tap that root made for that user" {
	need_user_namespaces
	ip tuntap add dev tap8 mode tap user 1234
	ip addr add 10.99.8.1/24 dev tap8
	ip link set tap8 up
	guest_script <<-'END'
		ip link set eth0 up; ip addr add 10.99.8.2/24 dev eth0
		ping -c 3 -W 5 10.99.8.1 > /tmp/ping 2>&1 && say "guest pings host"
	END
	as=(setpriv --reuid 1234 --regid 1235 --clear-groups --inh-caps=-all)
	"${as[@]}" test -r "$K" -a -x "$L" || skip "$K cannot be read by everybody"
	out=$BATS_TEST_TMPDIR/out
	"${as[@]}" "$L" --net=tap=tap8 --initrd="$initrd" "$mem" "$K" quiet < /dev/null > "$out" 2>&1 3>&- &
	pid=$!
	finish
	is_status 0
	said "guest pings host"
	# Another one's tap is refused.
	as[2]=1236
	run "${as[@]}" "$L" --net=tap=tap8 "$mem" "$K" < /dev/null
	[[ $status == 1 ]]
	one_line
	[[ $output == *"--net=tap=tap8: no permission for this tap"* ]]
}
