#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Readers of a guest's output that stop reading or close it: every kind of end must still work.
load lib

setup_test()
{
	need_root
	need_kernel
}

# start_stalled [OPTION…]: starts a guest that prints without end to a pipe that nobody reads; $pid, messages in $err
start_stalled()
{
	err=$BATS_TEST_TMPDIR/err pipe=$BATS_TEST_TMPDIR/pipe
	mkfifo "$pipe"
	rm -f "$pipe.first"
	bash -c 'head -c 100 > "$1.first"; exec sleep 1000' reads "$pipe" < "$pipe" 3>&- &
	reader=$!
	# A shell's background jobs ignore SIGQUIT, and what is ignored stays ignored.
	env --default-signal=QUIT "$L" "${user[@]}" --initrd="$initrd" "$@" "$mem" "$K" console=hvc0 quiet no_timer_check cryptomgr.notests < /dev/null > "$pipe" 2> "$err" 3>&- &
	pid=$!
}

teardown_test()
{
	[[ -z ${server:-} ]] || kill -9 "$server" 2> /dev/null || true
	[[ -z ${mount_point:-} ]] || umount -l "$mount_point" 2> /dev/null || true
	[[ -z ${reader:-} ]] || kill "$reader" 2> /dev/null || true
}

# True if the pipe takes no more bytes.
is_full()
{
	perl -e 'open(P, ">", $ARGV[0]); vec($w, fileno(P), 1) = 1; exit(select(undef, $w, undef, 0) ? 1 : 0)' "$pipe"
}

# until_stalled: waits until the guest has printed something and the pipe is full, and then a little longer
until_stalled()
{
	local i
	for i in $(seq 1200); do
		[[ -s $pipe.first ]] && is_full && break
		sleep 0.1
	done
	sleep 2
}

# ends STATUS: checks that it ends with that status, and reports the lost bytes
ends()
{
	out=$err
	finish
	is_status "$1"
	[[ $(grep -cE 'standard output: its reader stopped reading; [0-9]+ bytes that the guest wrote are lost' "$err") == 1 ]]
}

prints_without_end()
{
	guest_script <<< 'exec 2>/dev/null; while :; do echo 0123456789012345678901234567890123456789012345678901234567890; done'
}

@test "--timeout ends a guest whose output nobody reads, and the loss is counted" {
	prints_without_end
	start_stalled --timeout=30
	ends 5
}

@test "SIGQUIT, and a second SIGTERM, end a guest whose output nobody reads" {
	prints_without_end
	start_stalled --verbose
	until_stalled
	kill -QUIT "$pid"
	ends 131
	rm "$pipe"
	start_stalled --verbose
	until_stalled
	kill -TERM "$pid"
	sleep 0.5
	kill -TERM "$pid"
	ends 143
}

@test "a guest that powers off while nobody reads ends with 0, and the loss is counted" {
	# It powers off once it has been waiting for its reader for three seconds.
	guest_script <<- 'END'
		i=0
		while [ $i -lt 3000 ]; do
			echo 0123456789012345678901234567890123456789012345678901234567890
			i=$((i + 1))
			echo $i > /printed
		done &
		at=0
		while [ "$at" -lt 100 ] || [ "$at" != "$before" ]; do
			before=$at
			sleep 3
			at=$(cat /printed)
		done
		poweroff -f
		sleep 60
	END
	start_stalled
	ends 0
}

@test "three ^C end a guest on a terminal that nobody reads" {
	[[ -x $B/../tests/host/on-pty ]] || skip "not built: make tests"
	prints_without_end
	run timeout -k 1 120 "$B/../tests/host/on-pty" --stall 01234 '\003\003\003' "$L" "${user[@]}" --initrd="$initrd" \
		"$mem" "$K" console=hvc0 quiet no_timer_check cryptomgr.notests
	[[ $status == 130 ]]
}

@test "a reader that goes away stops the guest with status 129, although it prints nothing more" {
	err=$BATS_TEST_TMPDIR/err
	guest_script <<< 'say ready; sleep 600'
	run_it=("$L" "${user[@]}" --initrd="$initrd" "$mem" "$K" console=hvc0 quiet no_timer_check cryptomgr.notests)
	timeout -k 1 120 "${run_it[@]}" < /dev/null 2> "$err" 3>&- | grep -am 1 ready
	[[ ${PIPESTATUS[0]} == 129 ]]
	[[ $(grep -c 'standard output was closed by its reader' "$err") == 1 ]]
	never grep 'are lost' "$err"
}

@test "--timeout fires on a host that has no clock in its vDSO" {
	[[ -x $B/../tests/host/no-vdso ]] || skip "not built: make tests"
	guest_script <<< 'sleep 600'
	run timeout -k 1 120 "$B/../tests/host/no-vdso" "$L" "${user[@]}" --initrd="$initrd" --timeout=5 "$mem" "$K" \
		console=hvc0 quiet no_timer_check cryptomgr.notests
	[[ $output == *"still running after 5 s (--timeout); stopped"* ]]
	[[ $status == 5 ]]
}

# stalled_disk MIB [flush|nostatfs]: $image on a file system whose server ($server) will stall when it gets SIGUSR1;
# with "flush", each close(2) of the image waits for the server; with "nostatfs", it never answers statfs(2)
stalled_disk()
{
	[[ -x $B/../tests/host/stalled-fuse ]] || skip "not built: make tests"
	mount_point=$BATS_TEST_TMPDIR/mnt image=$BATS_TEST_TMPDIR/mnt/image
	mkdir "$mount_point"
	"$B/../tests/host/stalled-fuse" "$mount_point" "$@" 3>&- &
	server=$!
	for _ in $(seq 100); do
		[[ ! -e $image ]] || return 0
		kill -0 "$server" 2> /dev/null || skip "no file system in user space here (/dev/fuse)"
		sleep 0.1
	done
	skip "no file system in user space here"
}

@test "an open file whose server is dead holds up neither the search for a disk's holder nor audit" {
	stalled_disk 4
	new_image disk 1
	sleep 1000 < "$image" 3>&- &
	reader=$!
	guest_script <<< 'say ready; sleep 600'
	boot_bg --block="$BATS_TEST_TMPDIR/disk" --block="$image"
	wait_for "T: ready"
	kill -USR1 "$server"
	run timeout -k 1 100 "$L" "${user[@]}" --initrd="$initrd" --block="$BATS_TEST_TMPDIR/disk" "$mem" "$K"
	[[ $status == 1 && $output == *"in use by process $pid "* ]]
	run timeout -k 1 100 "$L" audit "$pid"
	[[ $status == 0 && $output == *blk1* ]]
	kill -9 "$server"
	kill -TERM "$pid"
	sleep 0.5
	kill -TERM "$pid"
	finish
	is_status 143
}

@test "a disk or kernel whose server is dead already is named, and nothing waits for it" {
	stalled_disk 4
	kill -USR1 "$server"
	: > "$BATS_TEST_TMPDIR/initrd"
	run timeout -k 1 300 "$L" "${user[@]}" --block="$image" "$mem" "$K"
	[[ $status == 1 && $output == *"--block=$image: its file system does not answer"* ]]
	run timeout -k 1 300 "$L" "${user[@]}" "$mem" "$image"
	[[ $status == 1 && $output == *"lguest-sep: $image: its file system does not answer"* ]]
	for option in --firmware --vhost-user-fs; do
		run timeout -k 1 300 "$L" "${user[@]}" "$option=$image" "$mem" "$K"
		[[ $status == 1 && $output == *"$option=$image: its file system does not answer"* ]]
	done
	kill -9 "$server"
}

@test "a file of a server is refused as the guest's memory, and nothing waits for one that does not tell its kind" {
	local kind said=('a file on a file server' 'its file system does not answer')
	need_kvm_guests
	for kind in '' nostatfs; do
		stalled_disk 4 $kind
		run timeout -k 1 300 "$L" "${user[@]}" --engine=kvm --shmem="$image" 64 "$guests/probe"
		is_status 1
		[[ ${#lines[@]} == 1 && $output == *"--shmem=$image: ${said[${#kind} > 0]}"* ]]
		kill -9 "$server"
		umount -l "$mount_point"
		rmdir "$mount_point"
	done
}

@test "errors that nobody reads hold up neither lguest-sep nor a back-end" {
	local pipe=$BATS_TEST_TMPDIR/pipe program
	mkfifo "$pipe"
	exec 8<> "$pipe"
	head -c 65536 /dev/zero >&8
	for program in "$L --nonsense" "$B/../libexec/lguest-sep/lguest-sep-blkd --nonsense" \
		"$B/../libexec/lguest-sep/lguest-sep-netd --nonsense" "$B/lguest-sep-blkd --nonsense" "$B/lguest-sep-netd --nonsense"; do
		[[ -x ${program%% *} ]] || continue
		status=0
		# shellcheck disable=SC2086 # words
		timeout -k 1 60 $program 2> "$pipe" 8>&- || status=$?
		[[ $status == 2 ]]
	done
	exec 8>&-
}

# dead_server [flush]: makes the server of the guest's disk stall, then sends two SIGTERM
dead_server()
{
	stalled_disk 4 "$@"
	guest_script <<-'END'
		say ready
		while [ ! -e /tmp/never ]; do dd if=/dev/vda of=/dev/null bs=4096 count=1 iflag=direct 2>/dev/null; done
	END
	boot_bg --block="$image"
	wait_for "T: ready"
	blkd=$(role_pids blkd)
	kill -USR1 "$server"
	sleep 2
	kill -TERM "$pid"
	sleep 0.5
	kill -TERM "$pid"
	finish
	is_status 143
	grep -aE "blk0: (process $blkd was killed but cannot end|its last I/O never completed).*; $image stays locked until then" "$out.clean"
	kill -9 "$server"
}

@test "a disk whose server is dead does not keep lguest-sep alive, and the line names process and lock" {
	dead_server
}

@test "nor does one whose server would have to answer each close(2)" {
	dead_server flush
	# Nothing is left once the server is gone.
	for _ in $(seq 100); do
		pgrep -x lguest-sep > /dev/null || return 0
		sleep 0.1
	done
	ps -ef
	return 1
}

@test "nor does a reader of its output wait for such a server" {
	stalled_disk 4 flush
	guest_script <<< 'say ready; while true; do dd if=/dev/vda of=/dev/null bs=4096 count=1 iflag=direct 2>/dev/null; done'
	out=$BATS_TEST_TMPDIR/out
	{
		"$L" "${user[@]}" --initrd="$initrd" --block="$image" "$mem" "$K" console=hvc0 quiet no_timer_check cryptomgr.notests < /dev/null 2>&1 | cat > "$out"
		echo over > "$BATS_TEST_TMPDIR/over"
	} 3>&- &
	wait_until grep -q "T: ready" "$out"
	pid=$(pgrep -o -x lguest-sep)
	kill -USR1 "$server"
	sleep 2
	kill -TERM "$pid"
	sleep 0.5
	kill -TERM "$pid"
	wait_until test -e "$BATS_TEST_TMPDIR/over"
	kill -9 "$server"
}

@test "audit knows the process that closes such files in the supervisor's place" {
	stalled_disk 4 flush
	guest_script <<< 'say ready; sleep 600'
	boot_bg --block="$image"
	wait_for "T: ready"
	[[ $(pgrep -x lguest-sep | wc -l) == 2 ]]
	run "$L" audit "$pid"
	[[ $status == 0 ]]
	kill -TERM "$pid"
	sleep 0.5
	kill -TERM "$pid"
	finish
	is_status 143
	kill -9 "$server"
}

@test "a server that does not tell the kind of its file system does not hold up the start" {
	stalled_disk 4 nostatfs
	guest_script <<< 'say ready; poweroff -f; sleep 60'
	boot --console="$image"
	is_status 0
	kill -9 "$server"
}

# served_outputs SAID OPTION…: a guest that writes to a port and to its console without end; SAID gets its console
served_outputs()
{
	guest_script <<-'END'
		for p in /sys/class/virtio-ports/*; do [ "$(cat $p/name)" = log ] && port=/dev/${p##*/}; done
		say ready
		while :; do echo 012345678901234567890123456789012345678901234567890123456789; echo more > $port; done
	END
	boot_bg "${@:2}"
	wait_until grep -aq "T: ready" "$1"
}

# ends_stalled FILE: two SIGTERM end the guest although the server has stopped; FILE is named, and written by a process
# that stays
ends_stalled()
{
	kill -USR1 "$server"
	sleep 2
	stop_now
	is_status 143
	grep -aE -- "$1: its file server does not answer; process [0-9]+ still waits to write the last [0-9]+ bytes" "$out.clean"
	pgrep -x lguest-sep-copy
	kill -9 "$server"
	wait_until none_copies
}

none_copies() { ! pgrep -x lguest-sep-copy; }

@test "a file of the console whose server stalls while the guest runs does not hold up the end" {
	stalled_disk 4
	served_outputs "$image" --console="$image" --port="log:$BATS_TEST_TMPDIR/log"
	[[ $(pgrep -x lguest-sep-copy | wc -l) == 1 ]]
	run "$L" audit "$pid"
	[[ $status == 0 ]]
	ends_stalled "--console=$image"
}

@test "nor does that of a port, or of standard output" {
	stalled_disk 64
	served_outputs "$BATS_TEST_TMPDIR/out" --port="log:$image"
	ends_stalled "--port=log:$image"
	umount "$mount_point"
	rmdir "$mount_point"
	# One file for both, and a server that each close(2) of it has to wait for.
	stalled_disk 64 flush
	guest_script <<< 'say ready; while :; do echo 012345678901234567890123456789012345678901234567890123456789; done'
	"$L" "${user[@]}" --initrd="$initrd" --timeout=20 "$mem" "$K" console=hvc0 quiet no_timer_check cryptomgr.notests < /dev/null > "$image" 2>&1 3>&- &
	pid=$!
	wait_until grep -aq "T: ready" "$image"
	kill -USR1 "$server"
	finish
	is_status 5
	kill -9 "$server"
}

@test "files of a server that answers are written whole: console, port, result, standard output and input" {
	local n
	stalled_disk 64
	guest_script <<-'END'
		for p in /sys/class/virtio-ports/*; do [ "$(cat $p/name)" = log ] && port=/dev/${p##*/}; done
		seq 100000 > $port
		say ready
	END
	boot --port="log:$image"
	is_status 0
	cmp "$image" <(seq 100000)
	boot --result="$image" --port="log:/dev/null"
	jq -e '.end == "poweroff"' "$image"
	"$L" run --modules="$top/.cache/kernel/modules" 256 "$K" -- sh -c 'seq 100000' > "$image" < /dev/null
	cmp "$image" <(seq 100000)
	[[ $("$L" run --modules="$top/.cache/kernel/modules" 256 "$K" -- md5sum < "$image") == "$(seq 100000 | md5sum)" ]]
	# A full disk is reported as such.
	kill -9 "$server"
	umount "$mount_point"
	rmdir "$mount_point"
	stalled_disk 1
	guest_script <<< 'say ready; dd if=/dev/zero bs=1M count=2 2> /dev/null | tr "\0" x'
	boot --console="$image"
	is_status 0
	grep -aE -- "--console=$image: No space left on device; [0-9]+ bytes that the guest wrote are lost" "$out.clean"
	kill -9 "$server"
}

@test "audit knows such a process of an ordinary user's guest, who cannot empty a bounding set" {
	need_user_namespaces
	stalled_disk 4
	guest_script <<< 'say ready; sleep 600'
	chmod 777 "$BATS_TEST_TMPDIR"
	setpriv --reuid 1234 --regid 1235 --clear-groups --inh-caps=-all "$L" --engine=qemu --initrd="$initrd" --console="$image" \
		"$mem" "$K" console=hvc0 quiet no_timer_check cryptomgr.notests < /dev/null > "$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	pid=$!
	out=$BATS_TEST_TMPDIR/out
	wait_until grep -aq "T: ready" "$image"
	pgrep -x lguest-sep-copy
	run "$L" audit "$pid"
	echo "$output"
	[[ $status == 0 ]]
	stop_now
	is_status 143
	kill -9 "$server"
}
