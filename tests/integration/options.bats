#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Options and signals whose effect a guest or its user sees.
load lib

setup_test()
{
	need_root
	need_kernel
}

teardown_test()
{
	[[ -z ${loop:-} ]] || losetup -d "$loop"
	ip link del brtest 2>/dev/null || true
}

# The guest's own stopwatch: seconds*100 of a command.
watch_fn='took() { local s e; s=$(cut -d " " -f 1 /proc/uptime | tr -d .); "$@" > /dev/null 2>&1; e=$(cut -d " " -f 1 /proc/uptime | tr -d .); echo $((e - s)); }'

@test "rate= and bandwidth= hold a disk back" {
	new_image one 4
	new_image two 4
	guest_script <<-END
		$watch_fn
		n=\$(took dd if=/dev/vda of=/dev/null bs=4k count=200 iflag=direct)
		say "reads \$n"; [ \$n -ge 75 ] && [ \$n -lt 300 ] && say "rate held"
		n=\$(took dd if=/dev/vdb of=/dev/null bs=64k count=32 iflag=direct)
		say "bytes \$n"; [ \$n -ge 150 ] && [ \$n -lt 400 ] && say "bandwidth held"
	END
	boot --block="$BATS_TEST_TMPDIR/one,rate=200" --block="$BATS_TEST_TMPDIR/two,bandwidth=1M"
	is_status 0
	said "rate held"
	said "bandwidth held"
}

@test "queues= of a disk and of a NIC on a bridge, rate= of the NIC" {
	new_image disk 4
	ip link add brtest type bridge
	ip addr add 10.99.20.1/24 dev brtest
	ip link set brtest up
	guest_script <<-'END'
		ip link set lo up; ip addr add 10.99.20.2/24 dev eth0; ip link set eth0 up
		say "disk $(ls /sys/block/vda/mq | wc -l)"
		say "nic $(ls -d /sys/class/net/eth0/queues/rx-* | wc -l) $(cat /sys/class/net/eth0/address)"
		dd if=/dev/vda of=/dev/null bs=4k iflag=direct 2>/dev/null &
		dd if=/dev/vda bs=4k skip=512 iflag=direct 2>/dev/null | md5sum > /dev/null &
		wait
		say "sum $(md5sum < /dev/vda | cut -d ' ' -f 1)"
		ping -c 3 -W 5 10.99.20.1 > /dev/null 2>&1 && say pong
		# As many at once as the limit allows in two seconds.
		for i in $(seq 40); do ping -c 1 -W 60 10.99.20.1 > /dev/null 2>&1 & done
		wait
	END
	boot --smp=2 --stats --block="$BATS_TEST_TMPDIR/disk,queues=2" \
		--net=bridge=brtest,queues=2,rate=20,mac=02:00:00:00:00:09
	is_status 0
	said "disk 2"
	said "nic 2 02:00:00:00:00:09"
	said "sum $(sum "$BATS_TEST_TMPDIR/disk")"
	said pong
	grep -E 'lguest-sep: net0 +[0-9]+ +waits for the rate limit' "$out.clean"
}

@test "a block device as disk: its size, its contents, and what is written to it" {
	new_image disk 4
	loop=$(losetup -f --show "$BATS_TEST_TMPDIR/disk") || skip "no loop devices"
	guest_script <<-'END'
		say "size $(cat /sys/block/vda/size)"
		say "sum $(md5sum < /dev/vda | cut -d ' ' -f 1)"
		printf loop | dd of=/dev/vda bs=512 seek=5 conv=sync,fsync 2>/dev/null
	END
	before=$(sum "$BATS_TEST_TMPDIR/disk")
	boot --block="$loop"
	is_status 0
	said "size 8192"
	said "sum $before"
	[[ $(dd if="$loop" bs=512 skip=5 count=1 iflag=direct status=none | head -c 4) == loop ]]
}

# The guest unbinds its driver from the disk, and builds an invalid ring itself.
broken_ring()
{
	guest_waits
	guest_script <<-'END'
		d=/sys/bus/pci/devices/$(basename "$(readlink -f /sys/block/vda/device/..)")
		a=$(sed -n 5p "$d/resource" | cut -d ' ' -f 1)
		basename "$d" > /sys/bus/pci/drivers/virtio-pci/unbind
		echo 1 > "$d/enable"
		printf '\006\004' | dd of="$d/config" bs=1 seek=4 conv=notrunc 2>/dev/null
		w() { devmem $((a + $1)) "$2" "$3"; }
		w 20 8 0; w 20 8 1; w 20 8 3
		w 8 32 1; w 12 32 1; w 20 8 11
		w 22 16 0; w 24 16 128
		w 32 32 0x1000000; w 36 32 0
		w 40 32 0x1000000; w 44 32 0
		w 48 32 0x7e00000; w 52 32 0
		w 28 16 1; w 20 8 15
		devmem $((a + 0x3000)) 16 0
		read -r x
		say "$(cat /sys/block/vdb/size) goes on: $(dd if=/dev/vdb bs=4 count=1 2>/dev/null)"
	END
	new_image disk 4
	printf next | dd of="$BATS_TEST_TMPDIR/next" bs=1M conv=sync status=none
	chmod 666 "$BATS_TEST_TMPDIR/next"
}

@test "--on-fault=kill: a broken ring ends the guest with status 6" {
	broken_ring
	boot --on-fault=kill --block="$BATS_TEST_TMPDIR/disk" --block="$BATS_TEST_TMPDIR/next"
	is_status 6
	[[ $(grep -c 'lguest-sep: blk0: .*available index' "$out.clean") == 1 ]]
	grep 'on-fault=kill' "$out.clean"
}

@test "without it a broken ring stops that queue alone, in one line" {
	broken_ring
	boot_bg --block="$BATS_TEST_TMPDIR/disk" --block="$BATS_TEST_TMPDIR/next"
	wait_for "lguest-sep: blk0: "
	tell_guest
	finish
	is_status 0
	[[ $(grep -c 'lguest-sep: blk0: ' "$out.clean") == 1 ]]
	said "2048 goes on: next"
}

@test "--max-reboots: one more ends with status 7 and says so" {
	guest_script <<< 'say once; reboot -f; sleep 30'
	boot --max-reboots=1
	is_status 7
	[[ $(grep -ac 'T: once' "$out.clean") == 2 ]]
	grep 'lguest-sep: .*rebooted 1 time, .*--max-reboots' "$out.clean"
}

@test "SIGHUP asks the guest to power off, which is status 0" {
	# Under nohup(1) the signal is ignored from the start, and lguest-sep leaves it so.
	local program=$L L=$BATS_TEST_TMPDIR/launch
	printf '#!/bin/bash\nexec env --default-signal=HUP "%s" "$@"\n' "$program" > "$L"
	chmod +x "$L"
	guest_script <<< 'exec 3< /dev/input/event0; say ready; dd of=/dev/null bs=24 count=1 <&3 2>/dev/null && poweroff -f'
	boot_bg
	wait_for "T: ready"
	kill -HUP "$pid"
	finish 30
	is_status 0
}

@test "SIGUSR1 prints every process's counters, and the guest goes on" {
	new_image disk 4
	guest_script <<< 'dd if=/dev/vda of=/dev/null bs=64k 2>/dev/null; say ready; read -r x; say later'
	guest_waits
	boot_bg --block="$BATS_TEST_TMPDIR/disk" --tunnet=10.99.21.1/24
	wait_for "T: ready"
	kill -USR1 "$pid"
	wait_until grep -aE 'lguest-sep: net0 ' "$out"
	tell_guest
	finish
	is_status 0
	said later
	grep -E 'lguest-sep: blk0 +[0-9]+ +bytes read' "$out.clean"
	grep -E 'lguest-sep: net0 ' "$out.clean"
}

@test "lines of ours stand between the guest's own, where both go to one file" {
	new_image disk 1
	guest_script <<-'END'
		printf 'T: whole'
		n=0
		while [ $n -lt 60 ]; do printf ' word'; n=$((n + 1)); [ $((n % 5)) != 0 ] || usleep 10000; done
		echo
		printf 'prompt> '
		read -r x
		echo said
	END
	guest_waits
	boot_bg --block="$BATS_TEST_TMPDIR/disk"
	wait_for "T: whole"
	for n in 1 2 3; do
		kill -USR1 "$pid"
		sleep 0.06
	done
	wait_for "prompt>"
	before=$(grep -ac '^lguest-sep: blk0 ' "$out")
	kill -USR1 "$pid"
	wait_until eval '(($(grep -ac "^lguest-sep: blk0 " "$out") > before))'
	tr -d '\r' < "$out" > "$out.prompt"
	tell_guest
	finish
	is_status 0
	said "whole$(printf ' word%.0s' {1..60})"
	# The line of a prompt does not end soon, so our message starts a new line.
	tail -n 1 "$out.prompt" | grep -E '^lguest-sep: blk0 '
	lacks '[^ ]lguest-sep: ' "$out.clean"
}

stop_it()
{
	kill -TSTP "$(role_pids lguest-sep)"
	wait_until test -s "$BATS_TEST_TMPDIR/jobs"
	echo go
	wait_until test -e "$BATS_TEST_TMPDIR/status"
}

@test "SIGTSTP gives the terminal back, SIGCONT takes it again" {
	guest_script <<< 'say ready; read -r x; say later'
	inside='stty -g > stopped; jobs > jobs; fg'
	on_terminal stop_it
	grep -a 'T: later' "$out"
	grep Stopped "$BATS_TEST_TMPDIR/jobs"
	cmp "$before" "$BATS_TEST_TMPDIR/stopped"
	cmp "$before" "$after"
	is_status 0
}

is_raw()
{
	stty -F "$(cat "$BATS_TEST_TMPDIR/tty")" -a | grep -q -e '-icanon'
}

stop_hard()
{
	is_raw || return 1
	kill -STOP "$(role_pids lguest-sep)"
	wait_until test -s "$BATS_TEST_TMPDIR/jobs"
	wait_until is_raw
	echo go
	wait_until test -e "$BATS_TEST_TMPDIR/status"
}

@test "after SIGSTOP and SIGCONT the terminal is raw again" {
	guest_script <<< 'say ready; read -r x; say later'
	# As an interactive shell does: its own settings, while it has the terminal.
	inside='stty "$(cat before)"; jobs > jobs; fg'
	on_terminal stop_hard
	grep -a 'T: later' "$out"
	grep Stopped "$BATS_TEST_TMPDIR/jobs"
	cmp "$before" "$after"
	is_status 0
}

bring_forward()
{
	! is_raw || return 1
	touch "$BATS_TEST_TMPDIR/go"
	wait_until is_raw
	echo go
	wait_until test -e "$BATS_TEST_TMPDIR/status"
}

@test "started with & it leaves the terminal alone, and takes it after fg" {
	guest_script <<< 'say ready; read -r x; say later'
	background=1
	inside='until [[ -e go ]]; do sleep 0.1; done; stty -g > waiting; fg'
	on_terminal bring_forward
	grep -a 'T: later' "$out"
	cmp "$before" "$BATS_TEST_TMPDIR/waiting"
	cmp "$before" "$after"
	is_status 0
}

type_another_key()
{
	printf '\003\003\003\035\035'
	wait_until grep -aq 'T: typed' "$out"
	printf '\035\035\035'
	wait_until test -e "$BATS_TEST_TMPDIR/status"
}

@test "--escape=^] leaves by that key, and ^C is the guest's" {
	user+=(--escape=^])
	guest_script <<< 'stty raw -echo; say ready; dd bs=1 count=5 2> /dev/null | od -An -c; say typed; sleep 1000'
	on_terminal type_another_key
	tr -d '\r' < "$out" | grep -x ' *003 *003 *003 *035 *035'
	grep -a 'three ^]: ' "$out"
	is_status 130
	cmp "$before" "$after"
}

@test "a foreign disk with the qemu engine: a QCOW2 image behind qemu-storage-daemon, for one start" {
	command -v qemu-storage-daemon > /dev/null || skip "no qemu-storage-daemon"
	local image=$BATS_TEST_TMPDIR/q.qcow2 sock=$BATS_TEST_TMPDIR/q.sock
	: > "$image"
	{
		echo '{"execute":"qmp_capabilities"}'
		echo '{"execute":"blockdev-create","arguments":{"job-id":"j","options":{"driver":"qcow2","file":"f","size":67108864}}}'
		wait_until test -s "$image"
		sleep 1
		echo '{"execute":"quit"}'
	} | qemu-storage-daemon --blockdev "driver=file,node-name=f,filename=$image" \
		--chardev stdio,id=c --monitor c > /dev/null
	qemu-storage-daemon --blockdev "driver=file,node-name=f,filename=$image" \
		--blockdev driver=qcow2,node-name=q,file=f \
		--export "type=vhost-user-blk,id=e,node-name=q,addr.type=unix,addr.path=$sock,writable=on" \
		> /dev/null 2>&1 3>&- &
	daemon=$!
	for _ in {1..600}; do
		[[ -S $sock ]] && break
		sleep 0.1
	done
	guest_script <<-'END'
		say "size $(cat /sys/block/vda/size)"
		say "had $(dd if=/dev/vda bs=4 count=1 2>/dev/null | tr -d '\0')"
		printf kept | dd of=/dev/vda conv=notrunc,fsync 2>/dev/null
		[ -e /sys/block/vdb ] || reboot -f
	END
	boot --engine=qemu --vhost-user-blk="$sock"
	first=$status
	said "size 131072"
	grep 'lguest-sep: the guest rebooted; .*--vhost-user-blk' "$out.clean"
	new_image second 1
	boot --engine=qemu --vhost-user-blk="$sock" --block="$BATS_TEST_TMPDIR/second"
	kill "$daemon"
	[[ $first == 7 ]]
	is_status 0
	said "had kept"
}

@test "a kernel that panics before it has a console is not started for ever" {
	head -c 65536 /dev/urandom > "$BATS_TEST_TMPDIR/junk"
	initrd=$BATS_TEST_TMPDIR/junk
	boot
	is_status 3
	grep -q 'lguest-sep: the guest reset 3 times in a row without any output: ' "$out"
}

@test "a copy with the set-user-ID bit, or that lets its group in, refuses to start for anybody" {
	need_root
	mkdir "$BATS_TEST_TMPDIR/suid"
	cp "$B"/bin/lguest-sep* "$BATS_TEST_TMPDIR/suid/" 2>/dev/null || cp "$(dirname "$L")"/lguest-sep* "$BATS_TEST_TMPDIR/suid/"
	chmod 755 "$BATS_TEST_TMPDIR" "$BATS_TEST_TMPDIR/suid"
	for program in lguest-sep lguest-sep-blkd lguest-sep-netd; do
		for bit in u+s g+s; do
			chmod 755 "$BATS_TEST_TMPDIR/suid/$program"
			chmod "$bit" "$BATS_TEST_TMPDIR/suid/$program"
			run setpriv --reuid=nobody --regid=nogroup --clear-groups "$BATS_TEST_TMPDIR/suid/$program" --help
			echo "$program $bit: $status $output"
			[[ $output != *ermission\ denied* ]] || skip "the test's directory cannot be reached by others"
			((status == 1))
			[[ $output == *"set-user-ID"* && ${#lines[@]} == 1 ]]
		done
		chmod 755 "$BATS_TEST_TMPDIR/suid/$program"
		run setpriv --reuid=nobody --regid=nogroup --clear-groups "$BATS_TEST_TMPDIR/suid/$program" --help
		((status == 0))
	done
}

@test "variables of the dynamic linker are named in one line, which says what to do" {
	LD_LIBRARY_PATH=/nonexistent GLIBC_TUNABLES=glibc.malloc.arena_max=1 run "$L" 64 /nonexistent
	echo "$output"
	[[ ${lines[0]} == *"LD_LIBRARY_PATH=/nonexistent and GLIBC_TUNABLES=glibc.malloc.arena_max=1 run foreign code"* ]]
	[[ ${lines[0]} == *"start it with env -u LD_LIBRARY_PATH -u GLIBC_TUNABLES" ]]
	[[ ${#lines[@]} == 2 ]]
	LD_LIBRARY_PATH='' run "$L" 64 /nonexistent
	[[ $output != *"foreign code"* ]]
	LD_PRELOAD=libm.so.6 run "$L" 64 /nonexistent
	echo "$output"
	((status != 0))
	[[ $output == *"LD_PRELOAD=libm.so.6 runs foreign code"*"env -u LD_PRELOAD"* ]]
	LD_DEBUG=statistics run "$L" 64 /nonexistent
	[[ $output == *"LD_DEBUG=statistics runs foreign code"*"env -u LD_DEBUG"* ]]
}

@test "a limit of processes is named; kernel errors show the whole path; --help is ASCII in every locale" {
	build_for_all
	local below="$BATS_TEST_TMPDIR/below"
	mkdir "$below"
	chmod 755 "$BATS_RUN_TMPDIR" "$BATS_RUN_TMPDIR/test" "$BATS_TEST_TMPDIR" "$below"
	printf 'words %.0s' {1..2000} > "$below/words"
	run "$L" "${user[@]}" 64 "$below/words"
	echo "$output"
	((status == 1))
	[[ $output == *"lguest-sep: $below/words is not a kernel"* ]]
	# Not root, whom the limit does not hold; nobody else has this ID.
	install -m 644 "$K" "$below/kernel"
	run setpriv --reuid=61234 --regid=61234 --clear-groups bash -c 'ulimit -u 2; exec "$@"' sh "$L" 64 "$below/kernel"
	echo "$output"
	((status == 1))
	[[ $output == *"(too many processes: see ulimit -u, and pids.max of the cgroup)"* ]]
	for locale in C C.UTF-8; do
		LC_ALL=$locale LANG=$locale "$L" --help > "$BATS_TEST_TMPDIR/help"
		never env LC_ALL=C grep '[^ -~]' "$BATS_TEST_TMPDIR/help"
	done
}

@test "memory as 1G or 128M, fractions of a second, and the word help" {
	run "$L" help
	((status == 0))
	[[ $output == Usage:* ]]
	for words in "1G" "128M" "--timeout=0.5 128M"; do
		# shellcheck disable=SC2086 # words
		run "$L" $words /nonexistent/kernel
		echo "$words: $status $output"
		((status == 1))
		[[ $output == *"/nonexistent/kernel"* ]]
	done
}

@test "a guest starts whatever the umask of its user is" {
	local mask
	guest_script <<< 'say started'
	for mask in 027 077 777; do
		(umask $mask && exec "$L" "${user[@]}" --initrd="$initrd" "$mem" "$K" quiet < /dev/null > "$BATS_TEST_TMPDIR/said" 2>&1)
		grep -a 'T: started' "$BATS_TEST_TMPDIR/said"
	done
}

# The message names the file that could not be opened, not its neighbour.
@test "a missing /proc and a directory that is closed to the user are named" {
	need_root
	no_proc=(unshare -m sh -c 'mount -t tmpfs none /proc && exec "$@"' sh)
	run "${no_proc[@]}" "$L" "${user[@]}" 64 "$K" < /dev/null
	echo "$output"
	[[ $status == 1 && $output == *"/proc"*"is /proc mounted?"* ]]
	one_line
	mkdir -m 700 "$BATS_TEST_TMPDIR/closed"
	as=(setpriv --reuid 1234 --regid 1235 --clear-groups --inh-caps=-all)
	"${as[@]}" test -r "$K" -a -x "$L" || skip "$K cannot be read by everybody"
	run "${as[@]}" "$L" --engine=qemu --vhost-user-blk="$BATS_TEST_TMPDIR/closed/socket" 64 "$K" < /dev/null
	[[ $output == *"closed/socket: cannot find it: Permission denied" ]]
	one_line
}
