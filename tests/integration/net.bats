#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# NICs: taps in a network namespace of the tests, with the guest at the other end.
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
	stop_now
	said "guest pings host"
}

# connected PORT: runs nc to the guest, as soon as a program listens there
connected()
{
	for _ in {1..600}; do
		! busybox nc 10.99.0.2 "$1" || return 0
		sleep 0.1
	done
	return 1
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
	connected 5000 < "$BATS_TEST_TMPDIR/data"
	wait_for "T: in $want" 30
	mkfifo "$BATS_TEST_TMPDIR/quiet" # never at its end, as the guest would take that for ours
	connected 5001 <> "$BATS_TEST_TMPDIR/quiet" > "$BATS_TEST_TMPDIR/back"
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
	grep -aE "net0 +[1-9][0-9]*  frames dropped: another's address" "$out.clean"
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
	need_tun_for_everybody
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
	# A tap of another user is refused.
	as[2]=1236
	run "${as[@]}" "$L" --net=tap=tap8 "$mem" "$K" < /dev/null
	[[ $status == 1 ]]
	one_line
	[[ $output == *"--net=tap=tap8: no permission for this tap"* ]]
	# If the user may not open the device file itself, the line names that file, not the tap.
	chmod 600 "$BATS_TEST_TMPDIR/tun"
	run "${as[@]}" "$L" --net=tap=tap8 "$mem" "$K" < /dev/null
	[[ $status == 1 ]]
	one_line
	[[ $output == *"--net=tap=tap8: cannot open /dev/net/tun: Permission denied;"* ]]
	run "${as[@]}" "$L" doctor < /dev/null
	[[ $output == *"no permission to open /dev/net/tun"* ]]
}

bridge_address() { ip -o link show dev br8 | grep -o 'link/ether [0-9a-f:]*'; }

@test "a guest on a bridge does not change the bridge's own address" {
	need_root
	ip link add br8 type bridge
	ip tuntap add dev high8 mode tap
	ip link set high8 address 02:ff:00:00:00:01 master br8
	ip link set br8 up
	local before
	before=$(bridge_address)
	guest_script <<-'END'
		say ready
		sleep 30
	END
	boot_bg --tunnet=bridge:br8:02:00:00:00:00:22
	wait_for "T: ready"
	[[ -n $before && $(bridge_address) == "$before" ]]
	stop_now
	ip link del high8
}

# As in many containers, and under systemd's ProtectKernelTunables=.
@test "a read-only /proc/sys is named as a missing layer, and --strict refuses it" {
	need_root
	echo "no kernel" > "$BATS_TEST_TMPDIR/words"
	read_only=(unshare --mount sh -c 'mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys && exec "$@"' sh)
	run "${read_only[@]}" "$L" "${user[@]}" --tunnet=10.99.62.1/24 64 "$BATS_TEST_TMPDIR/words" < /dev/null
	[[ $output == *"this host lacks: switching off router advertisements and redirects on the tap (/proc/sys/net/ipv6/conf/"*": Read-only file system)"* ]]
	run "${read_only[@]}" "$L" "${user[@]}" --strict --tunnet=10.99.62.1/24 64 "$BATS_TEST_TMPDIR/words" < /dev/null
	[[ $status == 1 && $output == *"--strict: not started"* ]]
	run "$L" "${user[@]}" --tunnet=10.99.62.1/24 64 "$BATS_TEST_TMPDIR/words" < /dev/null
	[[ $output != *"router advertisements"* ]]
}

@test "a guest with a name keeps its MAC address and its tap, and one without has a new one" {
	local options=(--verbose --tunnet=10.99.63.1/24) macs
	[[ -s /etc/machine-id ]] || skip "no /etc/machine-id here"
	echo "no kernel" > "$BATS_TEST_TMPDIR/words"
	mac() { "$L" "${user[@]}" "${options[@]}" "$@" 64 "$BATS_TEST_TMPDIR/words" 2>&1 < /dev/null | grep -o 'MAC [0-9a-f:]*'; }
	macs=("$(mac --name=web)" "$(mac --name=web)" "$(mac --name=db)" "$(mac)" "$(mac)")
	echo "${macs[@]}"
	[[ -n ${macs[0]} && ${macs[0]} == "${macs[1]}" && ${macs[0]} != "${macs[2]}" ]]
	[[ ${macs[3]} != "${macs[4]}" ]]
	run "$L" "${user[@]}" "${options[@]}" --name=web 64 "$BATS_TEST_TMPDIR/words" < /dev/null
	[[ $output == *"net0: tap-web-0, guest's MAC"* ]]
}

@test "pcap= records both directions and the frames that are dropped, for tshark" {
	command -v tshark > /dev/null || skip "no tshark (tools/quickstart install)"
	guest_script <<-END
		$net_up
		ping -c 2 -W 5 10.99.0.1 > /tmp/ping 2>&1 && say "guest pings host"
		ip link set eth0 down
		ip link set eth0 address 02:00:00:00:00:99 && ip link set eth0 up
		ping -c 1 -W 1 10.99.0.1 > /tmp/ping 2>&1 || say "no answer"
	END
	file=$BATS_TEST_TMPDIR/eth0.pcapng
	boot_bg --tunnet=10.99.0.1/24:02:00:00:00:00:11,pcap="$file",max=1M
	wait_for "T: guest pings host"
	grep -q '^Max file size  *1048576  *1048576' "/proc/$(pgrep -f '^lguest-sep-netd' -P "$(pgrep -P "$pid" | tr '\n' ,)0" | head -n 1)/limits"
	finish
	is_status 0
	said "no answer"
	[[ $(stat -c %a "$file") == 600 ]]
	# Direction 2 is outbound (from the guest), 1 inbound.
	[[ $(tshark -r "$file" -Y 'icmp.type == 8 && frame.packet_flags_direction == 2' 2> /dev/null | wc -l) -ge 2 ]]
	[[ $(tshark -r "$file" -Y 'icmp.type == 0 && frame.packet_flags_direction == 1' 2> /dev/null | wc -l) == 2 ]]
	tshark -r "$file" -Y 'frame.comment contains "source address" && eth.src == 02:00:00:00:00:99' 2> /dev/null | grep -q .
	tshark -r "$file" > "$BATS_TEST_TMPDIR/packets" 2>&1
	never grep -i "cut short\|damaged" "$BATS_TEST_TMPDIR/packets"
}

@test "pcap= ends at max with one line, and names what cannot be a capture" {
	guest_script <<-END
		$net_up
		ping -c 30 -A -s 1000 -W 5 10.99.0.1 > /tmp/ping 2>&1 && say "all answered"
	END
	file=$BATS_TEST_TMPDIR/eth0.pcapng
	boot --tunnet=10.99.0.1/24,pcap="$file",max=8k
	is_status 0
	said "all answered"
	[[ $(grep -ac 'pcap=: the next frame would exceed max=' "$out") == 1 ]]
	[[ $(stat -c %s "$file") -le 8192 ]]
	mkfifo "$BATS_TEST_TMPDIR/pipe"
	run "$L" "${user[@]}" --tunnet=10.99.0.1/24,pcap="$BATS_TEST_TMPDIR/pipe" 64 "$K" < /dev/null
	[[ $status == 1 ]]
	one_line
	[[ $output == *"--tunnet=10.99.0.1: pcap=$BATS_TEST_TMPDIR/pipe: this is a named pipe or socket; a capture needs a regular file"* ]]
}
