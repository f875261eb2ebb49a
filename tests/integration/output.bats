#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Where a guest's output goes, and how much of it: --console=, --quiet.
load lib

setup_test()
{
	need_root
	need_kernel
	log=$BATS_TEST_TMPDIR/log
}

@test "output: a flood ends at max=, is said once, and nothing of it is on the terminal" {
	guest_script <<< 'dd if=/dev/zero bs=64k count=64 2>/dev/null | tr "\0" x; echo; say "after it"'
	echo old > "$log"
	boot --quiet --console="$log,max=1M"
	is_status 0
	[[ $(stat -c %s "$log") == 1048576 ]]
	never grep -q old "$log"
	[[ $(grep -c 'dropping the rest' "$out.clean") == 1 ]]
	# Nothing else was said.
	[[ $(wc -l < "$out.clean") == 1 ]]
}

@test "output: timestamps, into a pipe; the lines of lguest-sep are apart" {
	local pipe=$BATS_TEST_TMPDIR/pipe
	guest_script <<< 'say "one"; say "two"'
	mkfifo "$pipe"
	cat "$pipe" > "$log" 3>&- &
	reader=$!
	exec 8> "$pipe" # Waits until the pipe is open for reading.
	boot --console="$pipe,timestamps" 8>&-
	is_status 0
	exec 8>&-
	wait "$reader"
	grep -Eaq '^20[0-9-]+T[0-9:.]+Z T: one.?$' "$log"
	never grep -Evaq '^20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z ' "$log"
	never grep -q lguest-sep "$log"
	grep -q 'lguest-sep: vcpu: QEMU emulates' "$out.clean"
}

@test "output: a file that cannot be written, a pipe without a reader: one line, and no guest" {
	guest_script <<< 'say "never"'
	mkfifo "$BATS_TEST_TMPDIR/pipe"
	boot --console="$BATS_TEST_TMPDIR/pipe"
	is_status 1
	grep -q -- "--console=.*pipe: cannot open it for writing: .*start the program that reads this pipe first" "$out.clean"
	boot --console="$BATS_TEST_TMPDIR/no/such"
	is_status 1
	grep -q -- "--console=.*no/such: cannot open it for writing: No such file" "$out.clean"
	boot --console="$log,max=none"
	is_status 2
	boot --quiet --verbose
	is_status 2
}
