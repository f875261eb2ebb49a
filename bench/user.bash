# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2154 # variables are bench/run's
#
# The section "user" of bench/run: TCP from a guest to the host by --net=user, beside the same
# kernel, initrd and passt on QEMU's own stream back-end.

# An initrd whose guest sets up its network as passt offers and sends for @user_seconds seconds.
user_seconds=5
user_initrd() # FILE
{
	local root=$tmp/user f
	mkdir -p "$root"
	for f in "$(command -v iperf3)" $(ldd "$(command -v iperf3)" | grep -o '/[^ ]*'); do
		cp --parents -L "$f" "$root"
	done
	mkdir -p "$root/etc" "$root/tmp"
	cat > "$root/dhcp.sh" <<-"END"
		#!/bin/sh
		[ "$1" = bound ] || exit 0
		ip addr add $ip/$mask dev $interface
		ip route add default via $router
	END
	cat > "$root/test.sh" <<-END
		ip link set lo up; ip link set eth0 up mtu 65520
		udhcpc -i eth0 -n -q -f -t 10 -s /dhcp.sh
		/usr/bin/iperf3 -c 10.5.0.1 -t $user_seconds -O 1
	END
	chmod 755 "$root/dhcp.sh"
	tools/initramfs --add .cache/initrd-test "$1" "$root"
}

# user_rate CANDIDATE COMMAND...: run that guest; what the server on the host received is recorded
user_rate()
{
	local candidate=$1 server i
	shift
	"${rt[@]}" iperf3 -s -1 -J > "$tmp/iperf" 2>&1 &
	server=$!
	pids+=("$server")
	timeout 300 "${rt[@]}" "$@" < /dev/null > "$tmp/user.log" 2>&1 || true
	for ((i = 0; i < 100; i++)); do
		kill -0 "$server" 2>&- || break
		sleep 0.1
	done
	awk -v candidate="$candidate" '/"sum_received"/ { in_sum = 1 }
		in_sum && /"bits_per_second"/ { gsub(/[^0-9.e+]/, "", $2); printf "user|TCP, guest to host|%s|mbit_per_s|%d\n", candidate, $2 / 1e6; exit }' \
		"$tmp/iperf" > "$tmp/user.rate"
	[[ -s $tmp/user.rate ]] || { echo "bench: user: $candidate: nothing was received" >&2; tail -n 5 "$tmp/user.log" "$tmp/iperf" >&2; }
	cat "$tmp/user.rate" >> "$raw"
	stop_all
}

measure_user()
{
	local rep common board
	prepare_guest
	if [[ ! -e $tmp/vmlinuz || ! -e .cache/initrd-test ]] || ! command -v iperf3 > "$tmp/found" || ! command -v passt > "$tmp/found"; then
		echo "bench: user: no kernel, iperf3 or passt: left out" >&2
		return
	fi
	user_initrd "$tmp/user.initrd"
	# passt gives the guest the network behind the default route; its gateway stands for the host.
	ip link add user0 type veth peer name user1
	ip addr add 10.5.0.2/24 dev user0
	ip link set user0 up
	ip link set user1 up
	ip route add default via 10.5.0.1
	# The machine that lguest-sep gives its guests.
	board=q35,memory-backend=m,hpet=off,smm=off,vmport=off,i8042=off,sata=off,smbus=off,usb=off
	# shellcheck disable=SC2054 # commas of QEMU's
	common=(-M "$board" -accel "tcg,tb-size=128"
		-cpu "max,la57=off" -m 512 -object "memory-backend-memfd,id=m,size=512M,share=on" -nodefaults -display none -no-reboot
		-serial none -chardev stdio,id=con,signal=off -device virtio-serial-pci -device virtconsole,chardev=con
		-kernel "$tmp/vmlinuz" -initrd "$tmp/user.initrd" -append "console=hvc0 quiet no_timer_check panic=-1")
	mkdir "$tmp/passt"
	chmod 777 "$tmp/passt"
	for ((rep = 0; rep < reps; rep++)); do
		user_rate netd "$bin/lguest-sep" --engine=qemu --drop-to nobody --net=user,reach=host --initrd="$tmp/user.initrd" \
			512 "$tmp/vmlinuz" console=hvc0 quiet no_timer_check panic=-1
		rm -f "$tmp/passt/socket"
		"${rt[@]}" passt --foreground --quiet --one-off --runas nobody --mtu 65520 --socket "$tmp/passt/socket" > "$tmp/passt.log" 2>&1 &
		pids+=($!)
		wait_socket "$tmp/passt/socket"
		user_rate "QEMU stream" qemu-system-x86_64 "${common[@]}" \
			-netdev "stream,id=n0,server=off,addr.type=unix,addr.path=$tmp/passt/socket" \
			-device virtio-net-pci,netdev=n0,mac=02:00:00:00:00:01,host_mtu=65520,romfile=,disable-legacy=on
	done
	ip link del user0
}
