#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# A guest from its start to each of its ends.
load lib

setup_test()
{
	need_root
	need_kernel
}

@test "power-off ends with status 0; memory, CPUs and command line are as asked" {
	append="hello=world"
	mem=200
	guest_script <<-'END'
		say "mem $(awk '/MemTotal/ { print ($2 > 120000 && $2 < 204800) }' /proc/meminfo)"
		say "cpus $(grep -c ^processor /proc/cpuinfo)"
		grep -o hello=world /proc/cmdline | sed 's/^/T: /'
	END
	boot --smp=2
	is_status 0
	said "mem 1"
	said "cpus 2"
	said "hello=world"
	said "done"
}

@test "a gzip-compressed kernel boots" {
	gzip -1 < "$K" > "$BATS_TEST_TMPDIR/packed"
	K=$BATS_TEST_TMPDIR/packed
	guest_script <<< 'say unpacked'
	boot
	is_status 0
	said "unpacked"
}

@test "the guest finds no device beyond those asked for" {
	guest_script <<-'END'
		ls /sys/block | grep -c ^vd | sed 's/^/T: disks /'
		ls /sys/class/net | grep -vc lo | sed 's/^/T: nics /'
		ls /dev/hwrng 2>/dev/null | wc -l | sed 's/^/T: rng /'
	END
	boot
	is_status 0
	said "disks 0"
	said "nics 0"
}

@test "--rng gives /dev/hwrng with different bytes each time" {
	guest_script <<-'END'
		a=$(dd if=/dev/hwrng bs=4096 count=4 2>/dev/null | md5sum)
		b=$(dd if=/dev/hwrng bs=4096 count=4 2>/dev/null | md5sum)
		[ "$a" != "$b" ] && say differ
		say "bytes $(dd if=/dev/hwrng bs=512 count=8 iflag=fullblock 2>/dev/null | wc -c)"
		say "from $(cat /sys/class/misc/hw_random/rng_current)"
	END
	boot --rng
	is_status 0
	said "differ"
	said "bytes 4096"
	said "from virtio_rng.0"
}

@test "a reboot starts the guest again on the same disk and tap, with new processes" {
	new_image disk 4
	guest_script <<-'END'
		n=$(dd if=/dev/vda bs=1 count=1 2>/dev/null)
		say "boot $n mac $(cat /sys/class/net/eth0/address)"
		if [ "$n" != 3 ]; then
			printf %d $((n + 1)) | dd of=/dev/vda bs=1 conv=notrunc 2>/dev/null
			sync
			reboot -f
			sleep 30
		fi
	END
	printf 1 | dd of="$BATS_TEST_TMPDIR/disk" conv=notrunc status=none
	boot --block="$BATS_TEST_TMPDIR/disk" --tunnet=10.99.1.1/24:02:00:00:00:00:07
	is_status 0
	said "boot 1 mac 02:00:00:00:00:07"
	said "boot 2 mac 02:00:00:00:00:07"
	said "boot 3 mac 02:00:00:00:00:07"
}

@test "--no-reboot ends where the guest reboots" {
	guest_script <<< 'say once; reboot -f; sleep 30'
	boot --no-reboot
	is_status 7
	[[ $(grep -ac 'T: once' "$out.clean") == 1 ]]
}

@test "a panic ends with status 3 and says so" {
	guest_script <<< 'echo 1 > /proc/sys/kernel/sysrq; echo c > /proc/sysrq-trigger; sleep 30'
	boot
	is_status 3
	grep -ai 'lguest-sep: .*panic' "$out.clean"
}

@test "--timeout ends with status 5" {
	guest_script <<< 'say waiting; sleep 60'
	boot --timeout=6
	is_status 5
	grep -a 'lguest-sep: .*' "$out.clean"
}

@test "SIGTERM asks the guest, which powers off, and ends with status 0" {
	guest_script <<-'END'
		exec 3< /dev/input/event0
		say ready
		dd of=/dev/null bs=24 count=1 <&3 2> /dev/null && say asked && poweroff -f
		sleep 60
	END
	boot_bg
	wait_for "T: ready"
	kill -TERM "$pid"
	finish 30
	is_status 0
	said "asked"
}

@test "a second SIGTERM ends the guest at once" {
	guest_script <<< 'rmmod button 2>/dev/null; say ready; sleep 300'
	boot_bg --stop-timeout=100000
	wait_for "T: ready"
	kill -TERM "$pid"
	wait_for "asked the guest to power off"
	kill -TERM "$pid"
	finish 60
	is_status 143
}

@test "the text of a panic is the guest's claim: power-off after it is status 0" {
	guest_script <<< 'echo "Kernel panic - not syncing: forged" > /dev/console; poweroff -f; sleep 60'
	boot
	is_status 0
	grep -a 'lguest-sep: the guest printed: Kernel panic - not syncing: forged' "$out.clean"
}

@test "SIGTERM ends a guest that does not listen" {
	guest_script <<< 'rmmod button 2>/dev/null; say ready; sleep 300'
	boot_bg --stop-timeout=3
	wait_for "T: ready"
	kill -TERM "$pid"
	finish 30
	is_status 143
}

@test "standard descriptors that are closed, full or gone do not hold a guest up" {
	guest_script <<< 'say hello; dd if=/dev/vda of=/dev/null bs=64k 2>/dev/null && say read'
	new_image disk 1
	was=$(sum "$BATS_TEST_TMPDIR/disk")
	run_it=(timeout -k 1 300 "$L" "${user[@]}" --initrd="$initrd" --block="$BATS_TEST_TMPDIR/disk" "$mem" "$K" quiet)
	# None is open: what is opened first must not be taken for one of them.
	"${run_it[@]}" <&- >&- 2>&- 3>&-
	[[ $(sum "$BATS_TEST_TMPDIR/disk") == "$was" ]]
	"${run_it[@]}" < /dev/null 2> "$BATS_TEST_TMPDIR/err" > /dev/full
	grep -E 'lguest-sep: standard output: No space left on device; [0-9]+ bytes' "$BATS_TEST_TMPDIR/err"
	"${run_it[@]}" < /dev/null 2> "$BATS_TEST_TMPDIR/err" | head -c 3
	[[ ${PIPESTATUS[0]} == 129 ]]
	never grep 'are lost' "$BATS_TEST_TMPDIR/err"
}

@test "three 0x03 bytes in piped input are data" {
	guest_script <<< 'read -r line < /dev/console; say "got $line"; poweroff -f; sleep 60'
	out=$BATS_TEST_TMPDIR/out
	status=0
	printf '\003\003\003word\n' | "$L" "${user[@]}" --timeout=120 --initrd="$initrd" "$mem" "$K" console=hvc0 quiet no_timer_check cryptomgr.notests > "$out" 2>&1 3>&- ||
		status=$?
	tr -d '\r' < "$out" > "$out.clean"
	cat "$out.clean"
	is_status 0
	grep -aq "T: got .*word" "$out.clean"
}

@test "a signal that was ignored at the start stays ignored" {
	guest_script <<< 'say ready; sleep 8; say later; poweroff -f'
	out=$BATS_TEST_TMPDIR/out
	(trap '' INT HUP; exec "$L" "${user[@]}" --initrd="$initrd" "$mem" "$K" console=hvc0 quiet no_timer_check cryptomgr.notests < /dev/null > "$out" 2>&1 3>&-) &
	pid=$!
	wait_for "T: ready"
	kill -INT "$pid"
	kill -HUP "$pid"
	finish 120
	is_status 0
	said later
	never grep -a 'asked the guest' "$out.clean"
}

type_ctrl_c()
{
	# One, and after more than a second two more: not enough.
	printf '\003'
	sleep 4
	printf '\003\003'
	sleep 4
	[[ -e $BATS_TEST_TMPDIR/status ]] || touch "$BATS_TEST_TMPDIR/still"
	printf '\003\003\003'
	wait_until test -e "$BATS_TEST_TMPDIR/status"
}

@test "three ^C within a second leave with 130 and restore the terminal" {
	guest_script <<< 'say ready; sleep 100'
	on_terminal type_ctrl_c
	[[ -e $BATS_TEST_TMPDIR/still ]]
	is_status 130
	cmp "$before" "$after"
}

kill_vcpu()
{
	# shellcheck disable=SC2046
	kill -9 $(vcpu_pids)
	wait_until test -e "$BATS_TEST_TMPDIR/status"
}

@test "the terminal is restored when the vCPU process is killed" {
	guest_script <<< 'say ready; sleep 100'
	on_terminal kill_vcpu
	is_status 4
	cmp "$before" "$after"
}

quit_it()
{
	local signal
	for signal in ALRM USR2 PROF IO XCPU; do
		kill -"$signal" "$(role_pids lguest-sep)"
	done
	sleep 0.5
	touch "$BATS_TEST_TMPDIR/still"
	kill -QUIT "$(role_pids lguest-sep)" || rm "$BATS_TEST_TMPDIR/still"
	wait_until test -e "$BATS_TEST_TMPDIR/status"
}

@test "SIGQUIT ends with status 131 and restores the terminal; stray signals do nothing" {
	guest_script <<< 'say ready; sleep 100'
	on_terminal quit_it
	[[ -e $BATS_TEST_TMPDIR/still ]]
	is_status 131
	cmp "$before" "$after"
}

# Start a guest in the background, whose output goes to $out; what is written to descriptor 7 is typed into it.
start_with_keys() # WORD... (the kernel's command line)
{
	mkfifo "$BATS_TEST_TMPDIR/keys"
	"$L" "${user[@]}" --initrd="$initrd" "$mem" "$K" "$@" \
		< "$BATS_TEST_TMPDIR/keys" > "$out" 2>&1 3>&- &
	pid=$!
	exec 7> "$BATS_TEST_TMPDIR/keys"
}

@test "what is typed reaches the guest byte for byte" {
	guest_script <<-'END'
		stty raw -echo
		say ready
		say "sum $(dd bs=1 count=5000 2>/dev/null | md5sum | cut -d ' ' -f 1)"
	END
	out=$BATS_TEST_TMPDIR/out
	tr -dc 'a-zA-Z0-9' < /dev/urandom | head -c 5000 > "$BATS_TEST_TMPDIR/typed"
	start_with_keys console=hvc0 quiet no_timer_check cryptomgr.notests
	wait_for "T: ready"
	cat "$BATS_TEST_TMPDIR/typed" >&7
	finish
	exec 7>&-
	is_status 0
	said "sum $(sum "$BATS_TEST_TMPDIR/typed")"
}

@test "a closed standard input is no reason to end, and output keeps flowing" {
	guest_script <<< 'sleep 1; say later'
	out=$BATS_TEST_TMPDIR/out
	"$L" "${user[@]}" --initrd="$initrd" "$mem" "$K" console=hvc0 quiet no_timer_check cryptomgr.notests <&- > "$out" 2>&1 3>&- &
	pid=$!
	finish
	is_status 0
	said "later"
}

@test "--max-restarts=0: a helper that is killed ends the guest with status 4, and is named" {
	new_image disk 4
	guest_script <<< 'say ready; sleep 100'
	boot_bg --max-restarts=0 --block="$BATS_TEST_TMPDIR/disk"
	wait_for "T: ready"
	# shellcheck disable=SC2046
	kill -9 $(role_pids blkd)
	finish 20
	is_status 4
	grep -a 'lguest-sep: .*blk0' "$out.clean"
}

@test "a vCPU process that is killed ends the guest with status 4" {
	guest_script <<< 'say ready; sleep 100'
	boot_bg
	wait_for "T: ready"
	# shellcheck disable=SC2046
	kill -9 $(vcpu_pids)
	finish 20
	is_status 4
	grep -a 'lguest-sep: .*vcpu' "$out.clean"
}

@test "a guest that is stopped and goes on (as when the host sleeps) loses no process" {
	new_image disk 1
	guest_script <<-'END'
		say ready
		for i in $(seq 60); do [ -e /tmp/asked ] || sleep 0.2; dd if=/dev/vda of=/dev/null bs=512 count=1 iflag=direct 2>/dev/null; done
		say "goes on"
	END
	boot_bg --max-restarts=0 --block="$BATS_TEST_TMPDIR/disk" --tunnet=10.99.6.1/24
	wait_for "T: ready"
	for _ in 1 2 3; do
		kill -0 "$pid" || break
		# shellcheck disable=SC2046
		kill -STOP $(our_pids)
		sleep 0.3
		# shellcheck disable=SC2046
		kill -CONT $(our_pids)
		sleep 0.3
	done
	finish 40
	is_status 0
	said "goes on"
}

@test "when the supervisor is killed, every other process goes with it" {
	new_image disk 4
	guest_script <<< 'say ready; sleep 100'
	boot_bg --block="$BATS_TEST_TMPDIR/disk" --tunnet=10.99.2.1/24
	wait_for "T: ready"
	kill -9 "$pid"
	wait "$pid" || true
	nothing_left
}

@test "console=ttyS0: the serial port works both ways" {
	guest_script <<< 'say serial; read -r line; say "got $line"'
	out=$BATS_TEST_TMPDIR/out
	start_with_keys quiet console=ttyS0
	wait_for "T: serial"
	printf 'words\n' >&7
	finish
	exec 7>&-
	is_status 0
	said "got words"
}
