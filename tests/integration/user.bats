#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# --net=user: passt behind netd. The tests' network namespace is the host, with its default
# route to a neighbouring namespace, whose server answers TCP, UDP and DNS.
load lib

setup_test()
{
	need_root
	need_kernel
	need_user_namespaces
	command -v passt > /dev/null || skip "no passt (tools/quickstart install)"
	command -v python3 > /dev/null || skip "no python3"
	make_neighbour
	append="panic=-1"
}

teardown_test()
{
	kill ${neighbour:+"$neighbour"} "${servers[@]}" 2> /dev/null || true
	umount "$(realpath /etc/resolv.conf)" 2> /dev/null || true
	ip link del v0 2> /dev/null || true
	ip addr flush dev lo scope global 2> /dev/null || true
}

servers=()

# Answers on all addresses: TCP at 7777 with a word, UDP at DNS-PORT with the address 10.5.0.1 for every name.
server='
import socket, sys, threading
def tcp():
    s = socket.create_server(("::", 7777), family=socket.AF_INET6, dualstack_ipv6=True, reuse_port=True)
    while True:
        c, a = s.accept()
        c.sendall(b"HTTP/1.0 200 OK\r\n\r\n" + sys.argv[1].encode() + b" by TCP from " + a[0].encode() + b"\n")
        c.shutdown(socket.SHUT_WR)
        c.recv(4096)
        c.close()
def udp(port, answer):
    s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    s.bind(("::", port))
    while True:
        d, a = s.recvfrom(2000)
        s.sendto(answer(d), a)
def dns(q):
    end = q.index(b"\0", 12) + 5
    if q[end - 3] != 1:
        return q[:2] + b"\x81\x80" + q[4:6] + b"\0\0" * 3 + q[12:end]
    return q[:2] + b"\x81\x80" + q[4:6] + q[4:6] + b"\0\0" * 2 + q[12:end] + b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x0a\5\0\1"
threading.Thread(target=tcp).start()
threading.Thread(target=udp, args=(int(sys.argv[2]), dns)).start()
print("serving", flush=True)
'

make_neighbour()
{
	ip link set lo up
	ip link add v0 type veth peer name v1
	unshare -n sh -c 'echo; exec sleep 1000' > "$BATS_TEST_TMPDIR/up" 3>&- 7>&- &
	neighbour=$!
	for _ in {1..600}; do [[ ! -s $BATS_TEST_TMPDIR/up ]] || break; sleep 0.1; done
	ip link set v1 netns "$neighbour"
	in_neighbour sh -c 'ip link set lo up; ip addr add 10.5.0.1/24 dev v1; ip -6 addr add fd00:5::1/64 dev v1 nodad; ip link set v1 up'
	ip addr add 10.5.0.2/24 dev v0
	ip -6 addr add fd00:5::2/64 dev v0 nodad
	ip link set v0 up
	ip route add default via 10.5.0.1
	ip -6 route add default via fd00:5::1
	echo '0 2147483647' > /proc/sys/net/ipv4/ping_group_range
	serve in_neighbour neighbour 53
	# Another address of the host's, and a resolver on loopback.
	ip addr add 10.6.6.6/32 dev lo
	serve env host 5300
	echo 'nameserver 10.5.0.1' > "$BATS_TEST_TMPDIR/resolv.conf"
	mount --bind "$BATS_TEST_TMPDIR/resolv.conf" "$(realpath /etc/resolv.conf)"
}

in_neighbour()
{
	nsenter -t "$neighbour" -n "$@"
}

# serve WHERE NAME DNS-PORT: start the server
serve()
{
	"$1" python3 -c "$server" "$2" "$3" > "$BATS_TEST_TMPDIR/$2" 2>&1 3>&- 7>&- < /dev/null &
	servers+=($!)
	for _ in {1..600}; do
		! grep -qs serving "$BATS_TEST_TMPDIR/$2" || return 0
		sleep 0.1
	done
	cat "$BATS_TEST_TMPDIR/$2"
	return 1
}

# The first part of the guest's script: sets up its network by DHCP and router advertisement.
dhcp='
mkdir -p /etc
cat > /dhcp.sh <<-"X"
	#!/bin/sh
	[ "$1" = bound ] || exit 0
	ip addr add $ip/$mask dev $interface
	ip route add default via $router
	for d in $dns; do echo "nameserver $d"; done > /etc/resolv.conf
X
chmod 755 /dhcp.sh
ip link set lo up
ip link set eth0 up
get() { echo | timeout 3 nc "$1" 7777 | tail -n 1; }
udhcpc -i eth0 -n -q -f -t 10 -s /dhcp.sh > /tmp/dhcp 2>&1 || cat /tmp/dhcp
'

@test "TCP, UDP, echo, DNS and IPv6 by what DHCP and router advertisement say" {
	guest_script <<-END
		$dhcp
		say "mtu \$(cat /sys/class/net/eth0/mtu)"
		say "\$(get 10.5.0.1)"
		say "UDP \$(nslookup udp.example 10.5.0.1 | grep -c "^Address: 10.5.0.1$")"
		ping -c 1 -W 10 10.5.0.1 > /tmp/ping && say "echo"
		say "DNS \$(nslookup name.example | grep -c "^Address: 10.5.0.1$")"
		for i in 1 2 3 4 5 6 7 8 9 10; do ip -6 route | grep -q default && break; sleep 1; done
		say "\$(wget -q -O - 'http://[fd00:5::1]:7777/')"
	END
	boot --net=user
	is_status 0
	said "mtu 65520"
	said "neighbour by TCP from ::ffff:10.5.0.2"
	said "UDP 1"
	said "echo"
	said "DNS 1"
	said "neighbour by TCP from fd00:5::2"
}

# The guest reaches a resolver on the host's loopback (systemd-resolved) by a stand-in address.
@test "a resolver on the host's loopback; services of the host are not reached, with reach=host they are" {
	echo 'nameserver 127.0.0.1' > "$BATS_TEST_TMPDIR/resolv.conf"
	serve env host 53
	guest_script <<-END
		$dhcp
		say "DNS \$(nslookup name.example | grep -c "^Address: 10.5.0.1$")"
		for a in 10.6.6.6 10.5.0.2; do
			say "\$a \$(get \$a)"
		done
		say "gateway \$(get 10.5.0.1)"
		say "other \$(nslookup name.example 10.6.6.6 2>&1 | grep -c 10.5.0.1)"
	END
	boot --net=user --stats
	is_status 0
	said "DNS 1"
	said "10.6.6.6 "
	said "10.5.0.2 "
	said "gateway neighbour by TCP from ::ffff:10.5.0.2"
	said "other 0"
	[[ $(grep -ac 'host by TCP' "$out.clean") == 0 ]]
	grep -a 'not to be reached' "$out.clean"
	boot --net=user,reach=host
	is_status 0
	said "10.6.6.6 host by TCP from ::ffff:10.6.6.6"
	said "gateway host by TCP from ::ffff:127.0.0.1"
}

@test "forward= lets others in, and restrict nothing out" {
	guest_script <<-END
		$dhcp
		say "TCP \$(get 10.5.0.1)"
		say "ping \$(ping -c 1 -W 3 10.5.0.1 > /dev/null && echo open || echo closed)"
		say "DNS \$(nslookup name.example | grep -c "^Address: 10.5.0.1$"), \$(nslookup name.example 10.5.0.1 | grep -c "^Address: 10.5.0.1$")"
		say ready
		echo "the guest" > /tmp/word
		while true; do nc -l -p 22 < /tmp/word; done &
		while true; do nc -l -p 23 < /tmp/word; done &
		sleep 60
	END
	boot_bg --net=user,restrict,forward=tcp:2222:22,forward=tcp:0.0.0.0:2223:23
	wait_for "T: ready"
	# Somebody may come before the guest listens.
	wait_until reads env 127.0.0.1 2222
	# Without an address it is the host's loopback, and with 0.0.0.0 everybody.
	run reads in_neighbour 10.5.0.2 2222
	[[ $status != 0 ]]
	wait_until reads in_neighbour 10.5.0.2 2223
	stop_now
	said "TCP "
	said "ping closed"
	said "DNS 0, 0"
}

# reads WHERE ADDRESS PORT: true if the guest answers there
reads()
{
	[[ $("$1" timeout 20 busybox nc "$2" "$3" < /dev/null) == "the guest" ]]
}

@test "an ordinary user; passt ends with the guest however that ends, and is started again" {
	guest_script <<-END
		$dhcp
		say "\$(get 10.5.0.1)"
		say ready
		read x
		say "\$(get 10.5.0.1) again"
		say told
		read x
	END
	guest_waits
	setpriv --reuid 1234 --regid 1235 --clear-groups --inh-caps=-all test -r "$K" -a -x "$L" || skip "$K cannot be read by everybody"
	out=$BATS_TEST_TMPDIR/out
	setpriv --reuid 1234 --regid 1235 --clear-groups --inh-caps=-all "$L" --net=user --initrd="$initrd" "$mem" "$K" \
		console=hvc0 quiet no_timer_check cryptomgr.notests < "$input" > "$out" 2>&1 3>&- 7>&- &
	pid=$!
	wait_for "T: ready"
	[[ $(passts | wc -l) == 1 ]]
	kill -9 "$(passts)"
	wait_for "it is started again"
	for _ in {1..600}; do [[ $(passts | wc -l) != 1 ]] || break; sleep 0.1; done
	tell_guest
	wait_for "T: told" 60
	grep -aq "neighbour by TCP from ::ffff:10.5.0.2 again" "$out"
	kill -9 "$pid"
	for _ in {1..600}; do [[ -n $(passts) ]] || break; sleep 0.1; done
	[[ -z $(passts) ]]
}

passts()
{
	pgrep -x 'passt(.avx2)?' || true
}

@test "what is missing is named: a default route, a port, passt" {
	run "$L" "${user[@]}" --net=user,forward=tcp:127.0.0.1:7777:22 64 "$K" < /dev/null
	[[ $status == 1 ]]
	one_line
	[[ $output == *"--net=user: forward=tcp:127.0.0.1:7777:22: cannot listen there: Address already in use; take another port"* ]]
	run "$L" "${user[@]}" --net=user,forward=tcp:80:80 64 "$K" < /dev/null
	[[ $status == 1 && $output == *"ports below 1024 are root's"* ]]
	mount --bind /dev/null "$(command -v passt).avx2" && mount --bind /dev/null "$(command -v passt)"
	run "$L" "${user[@]}" --net=user 64 "$K" < /dev/null
	umount "$(command -v passt)" "$(command -v passt).avx2"
	[[ $status == 1 && $output == *"/usr/bin/passt is too old: it has no --fd; install that of Debian 12 or later"* ]]
	ip route del default
	ip -6 route del default
	run "$L" "${user[@]}" --net=user 64 "$K" < /dev/null
	[[ $status == 1 ]]
	one_line
	[[ $output == *"--net=user: this host has no default route"* ]]
}
