#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# What a guest reaches of the host, and beyond the host, over a tap that lguest-sep made.
load lib

setup_test()
{
	need_root
	need_kernel
	need_nftables
	nft list ruleset > "$BATS_TEST_TMPDIR/rules"
}

teardown_test()
{
	[[ -z ${server:-} ]] || kill "$server" || true
	[[ -z ${host_server:-} ]] || kill "$host_server" || true
	ip link del br9 2>/dev/null || true
	ip link del near 2>/dev/null || true
	[[ -z ${far:-} ]] || kill "$far" || true
}

# Skips the test unless this host's nftables tables can belong to a process.
need_nftables()
{
	printf 'table inet probe {\n flags owner\n}\n' | nft -i > /dev/null 2>&1 || skip "no nftables, or older than Linux 5.12"
}

# A server on all addresses of the host, and another interface with an address.
host_listens()
{
	ip link add br9 type bridge
	ip addr add 10.99.9.1/24 dev br9
	ip addr add fd09::1/64 dev br9 nodad
	ip link set br9 up
	busybox nc -ll -p 5000 -e /bin/echo hello 3>&- &
	server=$!
}

probe='
	# The address of a guest is no source before the kernel knows that nobody else has it; until then packets
	# would come from the link-local address, which no router forwards: hence ping -I ADDRESS in the tests.
	probe() { if [ "$(nc -w 3 "$1" 5000 < /dev/null 2> /dev/null)" = hello ]; then say "$1 answers"; else say "$1 refused"; fi; }
	ip link set eth0 up; ip addr add 10.99.0.2/24 dev eth0; ip -6 addr add fd99::2/64 dev eth0
	ip route add default via 10.99.0.1; ip -6 route add default via fd99::1'

# Adds an IPv6 address to the existing tap, as an administrator may do at any time.
give_ipv6()
{
	wait_for "T: begin"
	ip addr add fd99::1/64 dev guest0 nodad
}

same_rules()
{
	nft list ruleset | diff "$BATS_TEST_TMPDIR/rules" -
}

@test "a guest reaches no service of the host, whichever address it names" {
	host_listens
	guest_script <<-END
		$probe
		say begin
		until ping -6 -I fd99::2 -c 1 -W 1 fd99::1 > /dev/null 2>&1; do sleep 1; done
		say "echo"
		probe 10.99.0.1
		probe 10.99.9.1
		probe fd99::1
		probe fd09::1
	END
	boot_bg --tunnet=10.99.0.1/24,ifname=guest0
	give_ipv6
	finish
	is_status 0
	said echo
	for a in 10.99.0.1 10.99.9.1 fd99::1 fd09::1; do
		said "$a refused"
	done
	same_rules
}

@test "reach=tcp:PORT opens that port alone; an IPv6 tap has its address at once" {
	host_listens
	guest_script <<-END
		$probe
		until ping -6 -I fd99::2 -c 1 -W 1 fd99::1 > /dev/null 2>&1; do sleep 1; done
		probe fd99::1
		ip link set eth1 up; ip addr add 10.99.5.2/24 dev eth1
		probe 10.99.5.1
	END
	boot "--tunnet=[fd99::1]/64,reach=tcp:5000" --tunnet=10.99.5.1/24,reach=tcp:5001
	is_status 0
	said "fd99::1 answers"
	said "10.99.5.1 refused"
	same_rules
}

# Makes a neighbouring namespace with a server that has no route to the guest's network.
far_network()
{
	unshare -n sleep 1000 3>&- &
	far=$!
	until [[ $(readlink /proc/$far/ns/net) != "$(readlink /proc/self/ns/net)" ]]; do
		sleep 0.1
	done
	ip link add near type veth peer name near netns "$far"
	ip addr add 10.98.0.1/24 dev near
	ip link set near up
	nsenter -t "$far" -n sh -c 'ip link set lo up; ip addr add 10.98.0.2/24 dev near; ip link set near up'
	nsenter -t "$far" -n busybox nc -ll -p 5000 -e /bin/echo hello 3>&- &
	server=$!
	echo 1 > /proc/sys/net/ipv4/ip_forward
}

@test "nothing is forwarded without nat, and with it a server in another network answers" {
	far_network
	guest_script <<-END
		$probe
		probe 10.98.0.2
	END
	boot --tunnet=10.99.0.1/24
	is_status 0
	said "10.98.0.2 refused"
	boot --tunnet=10.99.0.1/24,nat
	is_status 0
	said "10.98.0.2 answers"
	same_rules
	echo 0 > /proc/sys/net/ipv4/ip_forward
}

@test "dhcp: a guest comes up with nat by what it is told, and no request reaches the host" {
	far_network
	guest_script <<-'END'
		cat > /dhcp.sh <<-"X"
			#!/bin/sh
			[ "$1" = bound ] || [ "$1" = renew ] || exit 0
			ip addr flush dev $interface
			ip addr add $ip/$mask dev $interface
			ip route replace default via $router
			echo "$1 $ip/$mask via $router from $serverid for $lease, mtu $mtu" >> /told
		X
		chmod 755 /dhcp.sh
		ip link set eth0 up
		udhcpc -i eth0 -f -t 10 -r 10.99.0.9 -s /dhcp.sh > /tmp/dhcp 2>&1 &
		client=$!
		comes() { for i in $(seq 60); do grep -qs "$1" /told && return; sleep 1; done; cat /tmp/dhcp; }
		comes bound
		kill -USR1 "$client"
		comes renew
		while read -r x; do say "$x"; done < /told
		say "$(nc -w 3 10.98.0.2 5000 < /dev/null)"
	END
	boot --tunnet=10.99.0.1/24,nat,dhcp,mtu=1400,pcap="$BATS_TEST_TMPDIR/pcap"
	is_status 0
	for what in bound renew; do
		said "$what 10.99.0.2/24 via 10.99.0.1 from 10.99.0.1 for 86400, mtu 1400"
	done
	said hello
	# Every request has its comment in the capture: netd sent none of them.
	[[ $(grep -ac "not sent: lguest-sep answers DHCP" "$BATS_TEST_TMPDIR/pcap") -ge 1 ]]
	same_rules
	echo 0 > /proc/sys/net/ipv4/ip_forward
}

@test "IPv6: nothing is forwarded without nat, and with it a server in another network answers" {
	far_network
	ip addr add fd98::1/64 dev near nodad
	nsenter -t "$far" -n ip addr add fd98::2/64 dev near nodad
	echo 1 > /proc/sys/net/ipv6/conf/all/forwarding
	guest_script <<-END
		$probe
		until ping -6 -I fd99::2 -c 1 -W 1 fd99::1 > /dev/null 2>&1; do sleep 1; done
		probe fd98::2
	END
	boot "--tunnet=[fd99::1]/64"
	is_status 0
	said "fd98::2 refused"
	boot "--tunnet=[fd99::1]/64,nat"
	is_status 0
	said "fd98::2 answers"
	same_rules
	echo 0 > /proc/sys/net/ipv6/conf/all/forwarding
	echo 0 > /proc/sys/net/ipv4/ip_forward
}

@test "dhcp on an IPv6 tap: a guest comes up by router advertisement, and reaches what nat allows" {
	host_listens
	host_server=$server
	far_network
	ip addr add fd98::1/64 dev near nodad
	nsenter -t "$far" -n ip addr add fd98::2/64 dev near nodad
	echo 1 > /proc/sys/net/ipv6/conf/all/forwarding
	guest_script <<-'END'
		probe() { if [ "$(nc -w 3 "$1" 5000 < /dev/null 2> /dev/null)" = hello ]; then say "$1 answers"; else say "$1 refused"; fi; }
		ip link set eth0 up
		ready() { ip -6 route | grep -q '^default via' && ip -6 addr show dev eth0 scope global | grep inet6 | grep -qv tentative; }
		for i in $(seq 60); do ready && break; sleep 1; done
		ip -6 route | sed -n 's/^\(default via .* dev eth0\) .*/\1/p' | while read -r x; do say "$x"; done
		ip -6 addr show dev eth0 scope global | sed -n 's/.*\(inet6 .* scope global\).*/\1/p' | while read -r x; do say "$x"; done
		say "mtu $(cat /proc/sys/net/ipv6/conf/eth0/mtu)"
		router=$(ip -6 route | sed -n 's/^default via \([^ ]*\).*/\1/p')
		ping -6 -c 1 -W 10 "$router%eth0" > /dev/null && say "router there"
		probe fd98::2
		probe fd99::1
		probe "$router%eth0"
	END
	boot "--tunnet=[fd99::1]/64:52:54:00:0a:0b:0c,nat,dhcp,mtu=1400,pcap=$BATS_TEST_TMPDIR/pcap"
	is_status 0
	said "default via fe80::fc54:ff:fe0a:b0c dev eth0"
	said "inet6 fd99::5054:ff:fe0a:b0c/64 scope global"
	said "mtu 1400"
	said "router there"
	said "fd98::2 answers"
	said "fd99::1 refused"
	said "fe80::fc54:ff:fe0a:b0c%eth0 refused"
	# The solicitation did not reach the host.
	[[ $(grep -ac "not sent: lguest-sep advertises the router" "$BATS_TEST_TMPDIR/pcap") -ge 1 ]]
	same_rules
	echo 0 > /proc/sys/net/ipv6/conf/all/forwarding
	echo 0 > /proc/sys/net/ipv4/ip_forward
}

# Starts a service on all addresses of the host and one on 127.0.0.1, and a guest that tries to reach
# them. Run it in a private network namespace.
world()
{
	cat > "$BATS_TEST_TMPDIR/world" <<-END
		ip link set lo up
		ip link add br8 type bridge
		ip addr add 10.99.9.1/24 dev br8
		ip link set br8 up
		busybox nc -ll -p 5000 -e /bin/echo hello &
		python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 5001)); s.listen()
		while True: c = s.accept()[0]; c.send(b"hello"); c.close()' &
		$L ${user[*]} --initrd=$initrd --tunnet=10.99.0.1/24\$1 $mem $K console=hvc0 quiet no_timer_check cryptomgr.notests < /dev/null 2>&1 | tr -d '\r'
		kill %1 %2
	END
	chmod 644 "$BATS_TEST_TMPDIR/world"
}

probe_script()
{
	guest_script <<-END
		$probe
		try() { if [ "\$(nc -w 3 "\$1" "\$2" < /dev/null 2> /dev/null)" = hello ]; then say answers; else say refused; fi; }
		try 10.99.0.1 5000
		try 10.99.9.1 5000
		try 10.99.0.1 5001
	END
}

@test "the probe of three services prints refused three times" {
	probe_script
	world
	run unshare -n bash "$BATS_TEST_TMPDIR/world" ""
	echo "$output"
	[[ $(grep -c '^T: refused$' <<< "$output") == 3 ]]
	run unshare -n bash "$BATS_TEST_TMPDIR/world" ,reach=tcp:5000
	[[ $(grep -c '^T: answers$' <<< "$output") == 2 ]]
}

@test "it does so for an ordinary user in a network of that user's own" {
	need_user_namespaces
	need_tun_for_everybody
	user=()
	probe_script
	world
	run setpriv --reuid 1234 --regid 1235 --clear-groups unshare -Un --map-current-user --keep-caps \
		bash "$BATS_TEST_TMPDIR/world" ""
	echo "$output"
	[[ $(grep -c '^T: refused$' <<< "$output") == 3 && $output != *"nftables rules for a tap"* ]]
	# The servers are there: one port that is open answers.
	run setpriv --reuid 1234 --regid 1235 --clear-groups unshare -Un --map-current-user --keep-caps \
		bash "$BATS_TEST_TMPDIR/world" ,reach=tcp:5000
	[[ $(grep -c '^T: answers$' <<< "$output") == 2 ]]
}

# There the user is root and no other user ID exists, so roles could not be separated from root.
@test "in plain unshare -Urn one line says how to keep one's user ID, which works" {
	need_user_namespaces
	run setpriv --reuid 1234 --regid 1235 --clear-groups unshare -Urn "$L" --tunnet=10.99.0.1/24 64 "$K" < /dev/null
	[[ $status == 1 ]]
	one_line
	[[ $output == *"--drop-to=nobody: no such user is mapped"*"unshare -Un --map-current-user --keep-caps"* ]]
}

# Makes another machine on the bridge br9.
machine_on_bridge()
{
	unshare -n sleep 1000 3>&- &
	far=$!
	until [[ $(readlink /proc/$far/ns/net) != "$(readlink /proc/self/ns/net)" ]]; do
		sleep 0.1
	done
	ip link add br9 type bridge
	ip link add near type veth peer name near netns "$far"
	ip link set near master br9
	ip link set near up
	ip link set br9 up
	nsenter -t "$far" -n sh -c 'ip link set lo up; ip addr add 10.99.9.8/24 dev near; ip link set near up'
}

# from_machine ADDRESS: true if the guest answers there to the other machine
from_machine()
{
	nsenter -t "$far" -n busybox ping -c 2 -W 2 "$1" > /dev/null
}

@test "on a bridge with ip= a guest that claims another address is not heard" {
	machine_on_bridge
	guest_script <<-END
		ip link set eth0 up; ip addr add 10.99.9.2/24 dev eth0; ip addr add 10.99.9.7/24 dev eth0
		until ping -c 1 -W 1 10.99.9.8 > /dev/null; do sleep 1; done
		arping -U -c 2 -I eth0 -s 10.99.9.7 10.99.9.7 > /dev/null
		say "as another: \$(ping -c 2 -W 2 -I 10.99.9.7 10.99.9.8 > /dev/null && echo heard || echo silence)"
		sleep 600
	END
	# Without ip= the guest may claim both addresses.
	boot_bg --tunnet=bridge:br9
	wait_for "T: as another"
	wait_until from_machine 10.99.9.2
	wait_until from_machine 10.99.9.7
	stop_now
	said "as another: heard"
	nsenter -t "$far" -n ip neigh flush all
	boot_bg --tunnet=bridge:br9,ip=10.99.9.2
	wait_for "T: as another"
	wait_until from_machine 10.99.9.2
	never from_machine 10.99.9.7
	[[ -z $(nsenter -t "$far" -n ip neigh show 10.99.9.7 | grep lladdr) ]]
	stop_now
	said "as another: silence"
}

@test "on a bridge the host's own addresses are closed as well" {
	host_listens
	guest_script <<-END
		ip link set eth0 up; ip addr add 10.99.9.2/24 dev eth0
		$probe
		ping -c 2 -W 5 10.99.9.1 > /dev/null && say echo
		probe 10.99.9.1
	END
	boot --tunnet=bridge:br9
	is_status 0
	said echo
	said "10.99.9.1 refused"
	boot --net=bridge=br9,reach=tcp:5000
	is_status 0
	said "10.99.9.1 answers"
	same_rules
}

@test "the rules and the tap are gone after kill -9 of the supervisor" {
	guest_script <<-'END'
		ip link set eth0 up; ip addr add 10.99.0.2/24 dev eth0
		echo flood > /tmp/word
		say ready
		while :; do nc -w 1 10.99.0.1 5000 < /tmp/word; done
	END
	host_listens
	boot_bg --tunnet=10.99.0.1/24,ifname=guest0
	wait_for "T: ready"
	[[ $(nft list tables) == *"table inet lguest-sep-guest0-$pid"* ]]
	kill -9 "$pid"
	for _ in $(seq 100); do
		ip link show guest0 > /dev/null 2>&1 || break
		sleep 0.1
	done
	never ip link show guest0
	for _ in $(seq 100); do
		[[ $(nft list tables) == *lguest-sep* ]] || break
		sleep 0.1
	done
	same_rules
}

@test "a start that is killed half-way leaves no rules" {
	guest_script <<-'END'
		say never
	END
	for i in $(seq 20); do
		"$L" "${user[@]}" --initrd="$initrd" --tunnet=10.99.0.1/24 "$mem" "$K" < /dev/null > /dev/null 2>&1 3>&- &
		pid=$!
		sleep "0.0$((i * 4))"
		kill -9 "$pid" 2> /dev/null || true
		wait "$pid" || true
	done
	for _ in $(seq 100); do
		[[ $(nft list tables) == *lguest-sep* ]] || break
		sleep 0.1
	done
	same_rules
}

@test "rules of others stay as they are, and a policy that closes what reach= opens is named" {
	nft -f - <<-END
		table inet firewalld {
			chain filter_INPUT {
				type filter hook input priority 10; policy drop;
				ct state established,related accept
			}
		}
	END
	nft list ruleset > "$BATS_TEST_TMPDIR/rules"
	echo "no kernel" > "$BATS_TEST_TMPDIR/words"
	run "$L" "${user[@]}" --tunnet=10.99.0.1/24 64 "$BATS_TEST_TMPDIR/words" < /dev/null
	[[ $output != *firewalld* ]]
	run "$L" "${user[@]}" --tunnet=10.99.0.1/24,reach=tcp:80 64 "$BATS_TEST_TMPDIR/words" < /dev/null
	[[ $output == *"net0: reach: the table inet firewalld drops incoming packets unless one of its own rules accepts them"* ]]
	same_rules
	nft delete table inet firewalld
}

# Simulates a host without nftables.
@test "without nftables the start says what is weaker, and --strict refuses" {
	echo "no kernel" > "$BATS_TEST_TMPDIR/words"
	# A table of that name exists, so the kernel refuses ours, as it would without nftables.
	taken()
	{
		run sh -c 'nft add table inet lguest-sep-guest0-$$ && exec "$@"' sh \
			"$L" "${user[@]}" --tunnet=10.99.0.1/24,ifname=guest0"$1" "${@:2}" 64 "$BATS_TEST_TMPDIR/words" < /dev/null
		nft list tables | grep -o 'inet lguest-sep-guest0-.*' | xargs -n 2 nft delete table
	}
	taken ""
	[[ $output == *"this host lacks: nftables rules for a tap ("*"a filter that knows no connections takes their place"* ]]
	taken "" --strict
	[[ $status == 1 && $output == *"--strict: not started"* ]]
	taken ,nat
	[[ $status == 1 && $output == *"net0: nat: this host's nftables refuses"* ]]
	same_rules
}

@test "an interface that has the name of ifname= is left alone" {
	ip tuntap add dev guest0 mode tap
	echo "no kernel" > "$BATS_TEST_TMPDIR/words"
	run "$L" "${user[@]}" --tunnet=10.99.0.1/24,ifname=guest0 64 "$BATS_TEST_TMPDIR/words" < /dev/null
	[[ $status == 1 && $output == *"ifname=guest0: there is an interface of that name already; take another"* ]]
	ip link del guest0
}
