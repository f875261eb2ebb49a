# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2154 # variables are bench/run's
#
# The sections "run", "control" and "farm" of bench/run: commands in guests, the control plane, and many
# short guests.

now_ms() { echo $((${EPOCHREALTIME/./} / 1000)); }

# The guest's own root directory as an archive, with two more programs: /off powers off at once, and
# /speed writes 256 MiB to a port and powers off.
guest_archive() # FILE
{
	# shellcheck disable=SC2016 # the guest's variables
	lguest_run -- sh -c '
		printf "#!/bin/busybox sh\n/bin/busybox poweroff -f\n" > /off
		printf "#!/bin/busybox sh\n/bin/busybox sh /speed-later\n" > /speed
		cat > /speed-later <<-"END"
			b=/bin/busybox
			$b mount -t devtmpfs none /dev
			$b mount -t sysfs none /sys
			$b mount -t proc none /proc
			for pass in 1 2 3 4; do
				for m in $($b find /lib/modules -name "*.ko*"); do $b insmod $m 2> /dev/null; done
			done
			for n in $($b seq 100); do [ -e /dev/vport0p1 ] && break || $b sleep 0.1; done
			read from rest < /proc/uptime
			$b dd if=/dev/zero of=/dev/vport0p1 bs=1M count=256 2> /dev/null
			read to rest < /proc/uptime
			echo "uptime $from $to" > /dev/ttyS0
			$b poweroff -f
		END
		chmod 755 /off /speed
		cd / && find . -xdev | cpio -o -H newc 2> /dev/null' > "$1"
}

lguest_run() # ARGUMENTS...
{
	"$bin/lguest-sep" run --quiet --engine=qemu --timeout=120 --modules="$PWD/.cache/kernel/modules" 512 "$tmp/vmlinuz" "$@"
}

mib_per_second() # FILE: from the guest's line "uptime FROM TO", for 256 MiB
{
	tr -d '\r' < "$1" | awk '$1 == "uptime" && $3 > $2 { print int(256 / ($3 - $2)); exit }'
}

measure_run()
{
	local rep from
	prepare_guest
	[[ -e $tmp/vmlinuz ]] || return 0
	guest_archive "$tmp/archive"
	for ((rep = 0; rep < (quick ? 1 : reps); rep++)); do
		from=$(now_ms)
		"$bin/lguest-sep" --quiet --engine=qemu --drop-to nobody --initrd="$tmp/archive" 512 "$tmp/vmlinuz" quiet no_timer_check rdinit=/off \
			< /dev/null > /dev/null
		put run "stock kernel" "boot to power-off" ms $(($(now_ms) - from))
		from=$(now_ms)
		lguest_run -- true < /dev/null
		put run "stock kernel" "run -- true" ms $(($(now_ms) - from))

		# shellcheck disable=SC2016 # the guest's variables
		lguest_run -- sh -c 'read from rest < /proc/uptime; dd if=/dev/zero bs=1M count=256 2> /dev/null
			read to rest < /proc/uptime; echo "uptime $from $to" >&2' < /dev/null 2> "$tmp/speed" | cat > /dev/null
		put run "standard output" "run" mib_per_s "$(mib_per_second "$tmp/speed")"
		timeout 120 qemu-system-x86_64 -M q35 -m 512 -nodefaults -display none -no-reboot -serial "file:$tmp/speed" \
			-kernel "$tmp/vmlinuz" -initrd "$tmp/archive" -append "quiet no_timer_check rdinit=/speed" -device virtio-serial-pci \
			-chardev stdio,id=out,signal=off -device virtserialport,chardev=out,name=out < /dev/null 2>&1 | cat > /dev/null
		put run "standard output" "bare QEMU" mib_per_s "$(mib_per_second "$tmp/speed")"
	done
}

# The memory of a guest with all of a control plane, result and console file, and without.
measure_control()
{
	local i n=64 rep from sum role pid with
	prepare_guest
	[[ -c /dev/kvm ]] || n=8
	for with in without with; do
		guest "$([[ -c /dev/kvm ]] && echo kvm || echo qemu)"
		[[ $with == without ]] ||
			guest=("${guest[0]}" --name=memory --result="$tmp/result" --console="$tmp/console" --port=p:/dev/null "${guest[@]:1}")
		start_guest "control-$with"
		sum=0
		while read -r role pid; do
			[[ $role == qemu ]] || sum=$((sum + $(pss "$pid")))
			put control "$role" "$with" kib "$(pss "$pid")"
		done < <(roles "${pids[0]}")
		put control "all" "$with" kib "$sum"
		stop_guests
	done
	for ((i = 0; i < n; i++)); do
		guest "$([[ -c /dev/kvm ]] && echo kvm || echo qemu)" none
		guest=("${guest[0]}" --name="bench$i" "${guest[@]:1}")
		start_guest "c$i"
	done
	for ((rep = 0; rep < 5 * reps; rep++)); do
		from=${EPOCHREALTIME/./}
		"$bin/lguest-sep" ps > "$tmp/ps"
		put control "ps" "$n guests" us $((${EPOCHREALTIME/./} - from))
	done
	[[ $(wc -l < "$tmp/ps") == $((n + 1)) ]] || { echo "bench: ps lists $(wc -l < "$tmp/ps") lines for $n guests" >&2; return 1; }
	stop_guests
}

# Starts guests that report success through their exit port at once, N at a time, beside QEMU started by hand with the
# same kernel; both emulate the CPU.
measure_farm()
{
	local n total=$((quick ? 32 : 128)) rep kernel=$tmp/reports
	LC_ALL=C sed 's/preset=b00 /exit=b00   /' "$build/tests/guest/exit" > "$kernel"
	cat > "$tmp/one-lguest-sep" <<-END
		#!/bin/sh
		exec "$bin/lguest-sep" --quiet --engine=qemu --drop-to nobody --exit-port=isa-debug-exit --timeout=60 64 "$kernel" \
			< /dev/null > /dev/null 2>&1
	END
	cat > "$tmp/one-qemu" <<-END
		#!/bin/sh
		timeout 60 qemu-system-x86_64 -M q35 -m 64 -nodefaults -display none -no-reboot -serial stdio \
			-device isa-debug-exit,iobase=0xf4,iosize=4 -kernel "$kernel" < /dev/null > /dev/null 2>&1
		[ \$? = 1 ]
	END
	chmod 755 "$tmp"/one-*
	for ((rep = 0; rep < (quick ? 1 : 3); rep++)); do
		for n in 1 4 16 64; do
			farm_round lguest-sep
			farm_round qemu "bare QEMU"
		done
	done
}

# farm_round COMMAND [NAME]: all guests once; measures the whole and the processor time of it
farm_round()
{
	local from=${EPOCHREALTIME/./} us times
	times=$({ TIMEFORMAT='%U %S'; time seq "$total" | xargs -P "$n" -I N "$tmp/one-$1" 2>&1; } 2>&1) ||
		{ echo "bench: a guest of $1 did not report success" >&2; return 1; }
	us=$((${EPOCHREALTIME/./} - from))
	put farm "$n at a time" "${2:-$1}" "guests a minute" $((total * 60000000 / us))
	put farm "$n at a time" "${2:-$1}" "cpu ms a guest" "$(awk -v n="$total" '{ print ($1 + $2) * 1000 / n }' <<< "${times##*$'\n'}")"
}
