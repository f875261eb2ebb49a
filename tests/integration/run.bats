#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# lguest-sep run: a command's standard streams and status, and forged reports; named ports.
load lib

setup_test()
{
	need_root
	need_kernel
	[[ -x /bin/busybox ]] || skip "no /bin/busybox (apt install busybox-static)"
	M=$top/.cache/kernel/modules
	as=()
}

# run_guest [OPTION…] -- COMMAND…: runs it with the caller's standard input; sets $status, writes $dir/out and $dir/err.
run_guest()
{
	local options=()
	while [[ $1 != -- ]]; do
		options+=("$1")
		shift
	done
	dir=$BATS_TEST_TMPDIR
	status=0
	timeout $((BUSY * 60)) "${as[@]}" "$L" run --modules="$M" "${options[@]}" 256 "$K" "$@" \
		> "$dir/out" 2> "$dir/err" 3>&- || status=$?
	tail -n 60 "$dir/err" # seen only when the test fails
}

is_out() # TEXT: true if TEXT is the whole standard output
{
	[[ $(cat "$dir/out") == "$1" ]] || { echo "standard output: $(cat "$dir/out")"; return 1; }
}

err_has() # TEXT
{
	grep -aqF -- "$1" "$dir/err" || { echo "standard error lacks: $1"; return 1; }
}

@test "run: input, output and status are the command's" {
	run_guest -- sh -c 'cat; exit 7' <<< hello
	is_status 7
	is_out hello
	lacks 'console:' "$dir/err"
}

@test "run: an ordinary user may, with a kernel named by its version and modules found beside it" {
	local d=$BATS_TEST_TMPDIR/boot
	mkdir -p "$d/lib/modules" "$d/boot"
	cp "$K" "$d/boot/vmlinuz-1.2.3"
	ln -s "$M" "$d/lib/modules/1.2.3"
	chmod 755 "$BATS_RUN_TMPDIR" "$BATS_RUN_TMPDIR/test" "$BATS_TEST_TMPDIR"
	as=(setpriv --reuid 1234 --regid 1235 --clear-groups --inh-caps=-all)
	[[ -n $("${as[@]}" cat "$M/modules.order") ]] || skip "user 1234 cannot read $M"
	dir=$BATS_TEST_TMPDIR
	status=0
	echo hello | timeout $((BUSY * 60)) "${as[@]}" "$L" run 256 "$d/boot/vmlinuz-1.2.3" -- sh -c 'cat; exit 9' \
		> "$dir/out" 2> "$dir/err" 3>&- || status=$?
	tail -n 60 "$dir/err"
	is_status 9
	is_out hello
}

@test "run: 64 MiB through each stream, byte for byte; standard error is the command's alone" {
	local sum
	head -c 64M /dev/urandom > "$BATS_TEST_TMPDIR/in"
	run_guest -- sh -c 'tee /tmp/x; cat /tmp/x >&2' < "$BATS_TEST_TMPDIR/in"
	is_status 0
	cmp "$BATS_TEST_TMPDIR/in" "$dir/out"
	# Our own lines come before the first byte of the command's.
	tail -c 64M "$dir/err" | cmp - "$BATS_TEST_TMPDIR/in"
	sum=$(grep -ac '^lguest-sep: ' "$dir/err")
	[[ $sum -lt 10 ]]
	rm -f "$dir/err" "$dir/out" "$BATS_TEST_TMPDIR/in"
}

@test "run: environment, directory, copied files, words with blanks; the user's initrd stays beneath" {
	echo content > "$BATS_TEST_TMPDIR/a,b"
	run_guest --env=A='x  y' --env=HOME=/elsewhere --cwd=/tmp --copy="$BATS_TEST_TMPDIR/a,,b,to=/some/where" -- \
		sh -c 'echo "$A|$HOME|$PWD|$1|$(cat /some/where)"; ls /test.sh 2>&1' sh 'one  word'
	is_status 1
	[[ $(head -n 1 "$dir/out") == 'x  y|/elsewhere|/tmp|one  word|content' ]]
	guest_script <<< 'say no'
	run_guest --initrd="$initrd" -- /bin/sh -c 'cat /test.sh'
	is_status 0
	is_out 'say no'
}

@test "run: --root=DISK is the root directory, writable with rw, unchanged without" {
	command -v mkfs.ext4 > /dev/null || skip "no mkfs.ext4"
	cd "$BATS_TEST_TMPDIR"
	mkdir -p tree/bin tree/etc
	cp /bin/busybox tree/bin/sh
	cp /bin/busybox tree/bin/cat
	echo "of the disk" > tree/etc/what
	truncate -s 8M "disk,1"
	mkfs.ext4 -q -F -d tree "disk,1"
	run_guest --root="disk,,1,rw" -- sh -c 'cat /etc/what; echo new > /etc/new; exit 5'
	is_status 5
	is_out "of the disk"
	# The guest has unmounted it: nothing is left in its journal.
	e2fsck -fn "disk,1"
	cksum "disk,1" > before
	run_guest --root="disk,,1" -- sh -c 'cat /etc/new; echo lost > /etc/new; cat /etc/new'
	is_status 0
	is_out $'new\nlost'
	cksum "disk,1" | cmp - before
}

@test "run: statuses above 123 and signals become 123, or are passed as they are" {
	run_guest -- sh -c 'exit 200'
	is_status 123
	run_guest --raw-status -- sh -c 'exit 200'
	is_status 200
	run_guest --raw-status -- sh -c 'kill -KILL $$'
	is_status 137
}

@test "run: --timeout is 124, a wrong command line and a missing command 125, each with a line" {
	run_guest --timeout=0.5 -- sleep 1000
	is_status 124
	err_has "(--timeout)"
	run_guest --frobnicate -- true
	is_status 125
	err_has "frobnicate"
	run_guest -- /no/such/command
	is_status 125
	err_has "could not start the command: /no/such/command: No such file or directory"
}

@test "run: a panic is 125, with the end of the console; a power-off without a report too" {
	run_guest -- sh -c 'echo noise; echo c > /proc/sysrq-trigger; sleep 1000'
	is_status 125
	err_has "| "
	grep -aq 'panicked\|panic' "$dir/err"
	run_guest -- sh -c 'poweroff -f; sleep 1000'
	is_status 125
	err_has "did not report how the command ended"
	run_guest -- sh -c 'reboot -f; sleep 1000'
	is_status 125
	err_has "rebooted"
}

@test "run: SIGTERM ends it with 143" {
	dir=$BATS_TEST_TMPDIR
	"$L" run --modules="$M" 256 "$K" -- sh -c 'echo up; exec sleep 100000' > "$dir/out" 2> "$dir/err" < /dev/null 3>&- &
	pid=$!
	out=$dir/out
	wait_for up
	kill -TERM "$pid"
	finish
	is_status 143
}

@test "a port's file gets what the guest writes, up to max; what is more is counted and said" {
	guest_script <<-'END'
		for p in /sys/class/virtio-ports/*; do
			[ "$(cat $p/name 2>/dev/null)" = mine ] && echo 123456789 > /dev/${p##*/}
		done
	END
	boot --port=mine:"$BATS_TEST_TMPDIR/mine",max=5 --port=other:"$BATS_TEST_TMPDIR/other"
	is_status 0
	[[ $(cat "$BATS_TEST_TMPDIR/mine") == 12345 ]]
	[[ -e $BATS_TEST_TMPDIR/other && ! -s $BATS_TEST_TMPDIR/other ]]
	grep -qE "[^0-9]5 bytes beyond max=5" "$out.clean"
}

@test "a guest that forges, garbles or floods the result port gets no verdict but its own, and ends nothing" {
	# The guest's init uses the ports; an init of the guest's choice can write anything to them.
	guest_script <<-'END'
		port() {
			for p in /sys/class/virtio-ports/*; do
				[ "$(cat $p/name 2>/dev/null)" = "$1" ] && echo /dev/${p##*/}
			done
		}
		case $(cat /proc/cmdline) in
		*garbage*) dd if=/dev/urandom bs=4k count=64 of=$(port lguest-sep.result) 2>/dev/null ;;
		*liar*) printf 'lsup\1\0\0\0\0\0\0\0\0\0\0\0\377\377\377\377\377\377\377\377%0104d' 0 | tr 0 '\000' > $(port lguest-sep.result) ;;
		esac
	END
	dir=$BATS_TEST_TMPDIR
	for kind in garbage liar; do
		status=0
		timeout $((BUSY * 60)) "$L" run --initrd="$initrd" --modules="$M" 256 "$K" rdinit=/init $kind -- true \
			> "$dir/out" 2> "$dir/err" < /dev/null 3>&- || status=$?
		tail -n 20 "$dir/err"
		is_status 125
		is_out ""
	done
	err_has "before all of the command's output had arrived"
}

@test "run: a module that is missing is one line and 125" {
	cp "$M/modules.order" "$BATS_TEST_TMPDIR/"
	M=$BATS_TEST_TMPDIR
	run_guest -- true < /dev/null
	is_status 125
	[[ $(wc -l < "$dir/err") == 1 ]]
	err_has "cannot find this module"
}
