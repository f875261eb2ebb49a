#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2154 # lib.bash's
# --exit-port: a kernel without user space (tests/guest/exit.S) that reports a number, on kvm and qemu.
load lib

setup_test()
{
	kernel=$(dirname "$B")/tests/guest/exit
	[[ -e $kernel ]] || skip "no freestanding guests: make guests"
}

# reports "EXIT=" STATUS NUMBER [OPTION...]: checks status and reported number with each engine; NUMBER -: no report is printed
reports()
{
	local how=$1 want=$2 number=$3 engine
	shift 3
	for engine in $engines; do
		out=$BATS_TEST_TMPDIR/out.$engine
		status=0
		"$L" --quiet --engine="$engine" --timeout=$((BUSY * 10)) --no-reboot "$@" 64 "$kernel" "exit=$how" \
			< /dev/null > "$out" 2>&1 3>&- || status=$?
		echo "$engine $how $*: $status"
		tr -d '\r' < "$out"
		is_status "$want"
		# What it printed before is there, and nothing is said but the number.
		[[ $(head -n 1 "$out") == 'this kernel reports'* ]]
		if [[ $number == - ]]; then
			[[ $(wc -l < "$out") == 1 ]]
		else
			grep -q "^lguest-sep: the guest reported $number through its exit port$" "$out"
		fi
	done
}

set_engines()
{
	engines=
	[[ ! -c /dev/kvm || ! -w /dev/kvm ]] || engines+=" kvm"
	! command -v qemu-system-x86_64 > /dev/null || engines+=" qemu"
	[[ -n $engines ]] || skip "neither /dev/kvm nor QEMU"
}

@test "exit port: a byte of 0 is status 0, another one 9" {
	set_engines
	reports b00 0 - --exit-port
	reports b01 9 1 --exit-port
	# One bit more than QEMU's own device passes on.
	reports b80 9 128 --exit-port
	reports b21 0 - --exit-port=byte,success=33
}

@test "exit port: as QEMU's isa-debug-exit, at any width" {
	set_engines
	reports b00 0 - --exit-port=isa-debug-exit
	reports l10 0 - --exit-port=isa-debug-exit,success=33
	reports w11 9 35 --exit-port=isa-debug-exit
	# Pintos writes 0x31 to the port that QEMU's device has by default.
	reports b31h 0 - --exit-port=isa-debug-exit,iobase=0x501,success=99
}

@test "exit port: a flood, a reset and a panic after the report change nothing; a panic before it does" {
	set_engines
	reports b05f 9 5 --exit-port
	reports b00r 0 - --exit-port
	reports b02p 9 2 --exit-port
	out=$BATS_TEST_TMPDIR/panic
	for engine in $engines; do
		run "$L" --quiet --engine="$engine" --timeout=$((BUSY * 10)) --exit-port 64 "$kernel" exit=b00q < /dev/null
		[[ $status == 3 ]]
	done
}

@test "exit port: none where it is not asked for" {
	set_engines
	for engine in $engines; do
		run "$L" --quiet --engine="$engine" --timeout=10 64 "$kernel" exit=b00 < /dev/null
		[[ $status == 5 && $output == *"this kernel reports"* ]]
	done
	run "$L" run --exit-port 64 "$kernel" -- true
	[[ $status == 125 && $output == *"--exit-port: not with run"* ]]
}

@test "exit port: a Multiboot 1 kernel on the qemu engine, as an ELF file and as a plain binary" {
	local k mb
	mb=$(dirname "$kernel")/multiboot
	[[ -e $mb/1 ]] || skip "no Multiboot guests: make guests"
	set_engines
	[[ $engines == *qemu* ]] || skip "no QEMU"
	echo "text of the module" > "$BATS_TEST_TMPDIR/module"
	for k in 1 1.flat; do
		status=0
		"$L" --quiet --engine=qemu --timeout=$((BUSY * 10)) --no-reboot --exit-port --initrd="$BATS_TEST_TMPDIR/module" 64 \
			"$mb/$k" console=ttyS0 word < /dev/null > "$BATS_TEST_TMPDIR/out" 2>&1 3>&- || status=$?
		tr -d '\r' < "$BATS_TEST_TMPDIR/out" | tee "$BATS_TEST_TMPDIR/clean"
		is_status 0
		lacks WRONG "$BATS_TEST_TMPDIR/clean"
		grep -qx 'magic 2badb002' "$BATS_TEST_TMPDIR/clean"
		grep -qx 'map 100000 .* 1' "$BATS_TEST_TMPDIR/clean"
		grep -qx 'text of the module' "$BATS_TEST_TMPDIR/clean"
		grep -q '^command line: .*word$' "$BATS_TEST_TMPDIR/clean"
	done
	head -c 1000 "$mb/1" > "$BATS_TEST_TMPDIR/short"
	status=0
	output=$("$L" --engine=qemu 64 "$BATS_TEST_TMPDIR/short" 2>&1 < /dev/null) || status=$?
	[[ $status == 1 && $output == *"short is a truncated kernel (1000 of "* ]]
	# A 64-bit ELF file, which QEMU does not take, is loaded by the kvm engine.
	objcopy -I elf32-i386 -O elf64-x86-64 "$mb/1" "$BATS_TEST_TMPDIR/wide"
	status=0
	output=$("$L" --engine=qemu 64 "$BATS_TEST_TMPDIR/wide" 2>&1 < /dev/null) || status=$?
	[[ $status == 1 && $output == *"in a 64-bit ELF file"*"objcopy -O elf32-i386"* ]]
	if [[ $engines == *kvm* ]]; then
		"$L" --engine=kvm --timeout=$((BUSY * 10)) --no-reboot --exit-port 64 "$BATS_TEST_TMPDIR/wide" console=ttyS0 \
			< /dev/null > "$BATS_TEST_TMPDIR/out" 2>&1 3>&- || status=$?
		grep -q 'magic 2badb002' "$BATS_TEST_TMPDIR/out"
	fi
}

@test "exit port: the smallest kernel of lguest-sep-guest(7), built and run by the page's own commands" {
	local page=$top/docs/lguest-sep-guest.7 engine
	set_engines
	cd "$BATS_TEST_TMPDIR"
	# The first two examples of the page: the source and the commands.
	awk '/^\.EX$/ { n++; on = 1; next } /^\.EE$/ { on = 0 }
		on && n <= 2 { gsub(/\\-/, "-"); print > (n == 1 ? "hello.S" : "commands") }' "$page"
	grep -q '^lguest-sep ' commands
	for engine in $engines; do
		# shellcheck disable=SC2317 # called by the commands
		lguest-sep() { "$L" --quiet --engine="$engine" --timeout=$((BUSY * 10)) "$@" < /dev/null; }
		status=0
		# shellcheck source=/dev/null
		(set -e; . ./commands) > out 2>&1 3>&- || status=$?
		cat out
		is_status 0
		[[ $(tr -d '\r' < out) == 'hello from a kernel of my own' ]]
	done
	# Without the exit port it powers itself off.
	for engine in $engines; do
		"$L" --quiet --engine="$engine" --timeout=$((BUSY * 10)) 64 hello < /dev/null > out 2>&1 3>&-
	done
}
