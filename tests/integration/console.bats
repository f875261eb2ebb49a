#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# The console without console=: the boot is shown once, on whichever console the guest has; input waits until it is read.
load lib

setup_test()
{
	need_root
	need_kernel
	engine=${ENGINE:-qemu}
}

# start_guest [OPTION...] -- [KERNEL-ARGUMENT...]: starts a guest without console=, with the caller's standard input
start_guest()
{
	local options=()
	while [[ $1 != -- ]]; do
		options+=("$1")
		shift
	done
	shift
	out=$BATS_TEST_TMPDIR/out
	"$L" --engine="$engine" "${user[@]}" --initrd="$initrd" "${options[@]}" "$mem" "$K" "$@" \
		<&"${input:-0}" > "$out" 2>&1 3>&- &
	pid=$!
}

# Like Debian's own initramfs: the driver of the serial port is built in, and virtio_console is missing.
without_virtio_console()
{
	cp -r "$top/.cache/kernel/modules" "$BATS_TEST_TMPDIR/modules"
	find "$BATS_TEST_TMPDIR/modules" -name 'virtio_console.ko*' -delete
	"$top/tools/initramfs" "$BATS_TEST_TMPDIR/base" "$BATS_TEST_TMPDIR/modules" "$top/tests/guest/init"
	mkdir "$BATS_TEST_TMPDIR/top"
	cat > "$BATS_TEST_TMPDIR/top/test.sh"
	initrd=$BATS_TEST_TMPDIR/initrd
	"$top/tools/initramfs" --add "$BATS_TEST_TMPDIR/base" "$initrd" "$BATS_TEST_TMPDIR/top"
	chmod 755 "$BATS_RUN_TMPDIR" "$BATS_RUN_TMPDIR/test" "$BATS_TEST_TMPDIR"
}

# A line of the kernel's log does not come twice with the same time, except one that the kernel itself says three times
# in a row, perhaps in one tick of a slow clock.
nothing_twice()
{
	grep -a '^\[ *[0-9]*\.[0-9]*\]' "$out.clean" | grep -v 'cblist_init_generic' | sort | uniq -d > "$BATS_TEST_TMPDIR/twice"
	[[ ! -s $BATS_TEST_TMPDIR/twice ]] || { echo "shown twice:"; cat "$BATS_TEST_TMPDIR/twice"; return 1; }
}

boot_shown()
{
	[[ $(grep -ac 'Linux version' "$out.clean") == 1 ]]
	grep -aq 'Run /init as init process' "$out.clean"
}

@test "console: serial and then hvc0, which is a module: the boot is shown, nothing twice" {
	guest_script <<< 'say "on $(tty)"; echo "from a program" > /dev/ttyS0'
	start_guest -- < /dev/null
	finish
	is_status 0
	boot_shown
	nothing_twice
	said "on /dev/hvc0"
	said "done"
	# By then programs use hvc0, so output to the serial port is not shown.
	lacks 'from a program' "$out.clean"
}

@test "console: a program that has serial open when hvc0 comes is not cut off" {
	guest_script <<< 'exec < /dev/ttyS0 > /dev/ttyS0 2>&1; say "on $(tty)"; echo x > /dev/kmsg; say "after it"'
	sed 's/^con=\$(sed.*/con=ttyS0/' "$top/tests/guest/init" > "$BATS_TEST_TMPDIR/init"
	"$top/tools/initramfs" "$BATS_TEST_TMPDIR/base" "$top/.cache/kernel/modules" "$BATS_TEST_TMPDIR/init"
	"$top/tools/initramfs" --add "$BATS_TEST_TMPDIR/base" "$initrd" "${initrd%/*}/root"
	start_guest -- < /dev/null
	finish
	is_status 0
	boot_shown
	nothing_twice
	said "on /dev/ttyS0"
	said "after it"
	said "done"
}

@test "console: without a driver for hvc0 the serial port shows the boot" {
	without_virtio_console <<< 'say "on $(tty) $(ls /dev | grep -c hvc0)"'
	start_guest -- < /dev/null
	finish
	is_status 0
	boot_shown
	nothing_twice
	said "done"
}

@test "console: quiet, with and without a driver for hvc0" {
	guest_script <<< 'say "on $(tty)"'
	start_guest -- quiet < /dev/null
	finish
	is_status 0
	said "on /dev/hvc0"
	nothing_twice
	without_virtio_console <<< 'say "here"'
	start_guest -- quiet < /dev/null
	finish
	is_status 0
	said "here"
}

@test "console: a panic without a driver for hvc0 is shown" {
	without_virtio_console <<< 'echo 1 > /proc/sys/kernel/sysrq; echo c > /proc/sysrq-trigger; sleep 60'
	start_guest -- quiet < /dev/null
	finish
	is_status 3
	grep -aq 'Kernel panic - not syncing: sysrq triggered crash' "$out.clean"
}

@test "console: a guest without a byte of output ends with a line that says what to try" {
	guest_script <<< 'sleep 600'
	start_guest --timeout=8 -- console=tty0 < /dev/null
	finish
	is_status 5
	grep -a 'lguest-sep: the guest wrote nothing to its consoles; ' "$out.clean"
	# A guest with output does not cause that line.
	guest_script <<< 'say up'
	boot
	is_status 0
	lacks 'wrote nothing' "$out.clean"
}

reads_all='for i in 1 2 3 4 5; do read -r x && say "line $x"; done; n=5; while read -r x; do n=$((n + 1)); [ "$x" != 1000 ] || break; done; say "last $x of $n"'

@test "console: piped input is there from its first line, however early it comes" {
	guest_script <<< "$reads_all"
	for console in "" console=hvc0; do
		# shellcheck disable=SC2086 # perhaps no word
		start_guest -- quiet $console < <(seq 1000)
		finish
		is_status 0
		said "line 1"
		said "line 5"
		said "last 1000 of 1000"
	done
}

@test "console: piped input reaches a guest without a driver for hvc0" {
	without_virtio_console <<< "$reads_all"
	start_guest -- < <(seq 1000)
	finish
	is_status 0
	said "line 1"
	said "last 1000 of 1000"
}
