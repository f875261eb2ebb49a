#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2154 # lib.bash's
# --machine: kernels without user space (tests/guest/machines/kernel.c) on each machine of the qemu engine.
load lib

kernels=$(dirname "$B")/tests/guest/machines
others="aarch64 arm riscv64 riscv32"

has_machine() # NAME: its QEMU program is installed, and its test kernel is built
{
	[[ -x /usr/bin/qemu-system-$1 ]] || { echo "# no qemu-system-$1" >&3; return 1; }
	[[ $1 == x86_64 || $1 == i386 || -e $kernels/$1 ]] || { echo "# no test kernel (clang, lld)" >&3; return 1; }
}

# need_machine NAME...: skips the test if none of them is there
need_machine()
{
	local m
	for m; do
		! has_machine "$m" || return 0
	done
	skip "no QEMU or no test kernels for $*"
}

# machine NAME [OPTION...] KERNEL [WORD...]: runs a guest with 64 MiB to its end; sets $status, $output
machine()
{
	local name=$1 options=()
	shift
	[[ "$*" == *--timeout=* ]] || options=(--timeout=$((BUSY * 20)))
	while [[ $1 == --* ]]; do
		options+=("$1")
		shift
	done
	run "$L" --quiet "${user[@]}" --machine="$name" "${options[@]}" 64 "$@" < "${input:-/dev/null}" 3>&-
	output=${output//$'\r'/}
	echo "$name ${options[*]} $*: $status"
	echo "$output"
}

@test "machines: power-off, reset, a hanging and an endlessly printing kernel" {
	for m in $others; do
		has_machine "$m" || continue
		machine "$m" "$kernels/$m" do=o
		[[ $status == 0 && $output == "this kernel runs" ]]
		machine "$m" --smp=3 --no-reboot "$kernels/$m" do=r
		[[ $status == 7 && $output == "this kernel runs"* ]]
		machine "$m" --max-reboots=1 "$kernels/$m" do=r
		[[ $status == 7 && $(grep -c "this kernel runs" <<< "$output") == 2 ]]
		last=$m
		machine "$m" --timeout=0.5 "$kernels/$m" do=h
		[[ $status == 5 ]]
	done
	[[ -n ${last:-} ]] || skip "no QEMU for other machines"
	machine "$last" --console="$BATS_TEST_TMPDIR/console,max=64k" --cpu-timeout=0.5 "$kernels/$last" do=l
	[[ $status == 5 && $(stat -c %s "$BATS_TEST_TMPDIR/console") -le 65536 ]]
}

@test "machines: i386 as x86_64, both types, and no kernel of the other kind" {
	need_machine x86_64 i386
	for m in x86_64 i386; do
		has_machine "$m" || continue
		kernel=$(dirname "$kernels")/exit
		[[ $m == x86_64 ]] || kernel+=32
		for type in q35 pc; do
			machine "$m:$type" --exit-port "$kernel" exit=b00
			[[ $status == 0 && $output == "this kernel reports" ]]
			machine "$m:$type" --exit-port "$kernel" exit=b05
			[[ $status == 9 ]]
		done
		machine "$m" --exit-port "$kernel" exit=b00q
		[[ $status == 3 ]]
	done
	has_machine i386 || skip "no qemu-system-i386"
	machine i386 "$(dirname "$kernels")/exit" exit=b00
	[[ $status == 1 && $output == *"is a kernel for x86_64; give --machine=x86_64" ]]
}

@test "machines: the first disk is on the first virtio-mmio bus, and input reaches the serial port" {
	# shellcheck disable=SC2086
	need_machine $others
	truncate -s 1M "$BATS_TEST_TMPDIR/disk"
	chmod 666 "$BATS_TEST_TMPDIR/disk"
	chmod 755 "$BATS_RUN_TMPDIR" "$BATS_RUN_TMPDIR/test" "$BATS_TEST_TMPDIR"
	printf x > "$BATS_TEST_TMPDIR/input"
	for m in $others; do
		has_machine "$m" || continue
		machine "$m" --block="$BATS_TEST_TMPDIR/disk" "$kernels/$m" do=d
		[[ $status == 0 && $output == *"a disk is on the first bus" ]]
		machine "$m" "$kernels/$m" do=d
		[[ $status == 0 && $output == *"no disk" ]]
		serial=ttyS0
		[[ $m == riscv* ]] || serial=ttyAMA0
		input=$BATS_TEST_TMPDIR/input machine "$m" "$kernels/$m" do=e "console=$serial"
		[[ $status == 0 && $output == *"read x" ]]
	done
}

@test "machines: riscv's test device and firmware" {
	has_machine riscv64 || skip "no qemu-system-riscv64"
	machine riscv64 "$kernels/riscv64" do=f07
	[[ $status == 3 && $output == *"wrote the code 7 to its test device"* ]]
	machine riscv64 --exit-port=sifive-test "$kernels/riscv64" do=f07
	[[ $status == 9 && $output == *"the guest reported 7 through its exit port" ]]
	machine riscv64 --exit-port=sifive-test "$kernels/riscv64" do=f01
	[[ $status == 9 && $output == *"the guest reported 1 through its exit port" ]]
	machine riscv64 --exit-port=sifive-test "$kernels/riscv64" do=o
	[[ $status == 0 ]]
	machine riscv64 --exit-port=sifive-test,success=7 "$kernels/riscv64" do=f07
	[[ $status == 0 ]]
	# A QEMU that cannot start, or that a signal from outside ended, is no report.
	machine riscv64 --exit-port=sifive-test --cpu=nosuch "$kernels/riscv64" do=o
	[[ $status == 1 && $output == *"unable to find CPU model 'nosuch'"* ]]
	machine riscv64 --exit-port=sifive-test --cpu=help "$kernels/riscv64" do=o
	[[ $status == 2 && $output == *"--cpu=help: give a CPU model"* ]]
	machine riscv64 "$kernels/riscv64-sbi" do=o
	[[ $status == 0 && $output == *OpenSBI*"this kernel runs" ]]
	machine riscv64 --firmware=none "$kernels/riscv64-sbi" do=o
	[[ $status == 1 && $output == *"without firmware, riscv64 starts at 0x80000000"* ]]
	machine riscv64 --firmware=opensbi "$kernels/riscv64" do=o
	[[ $status == 1 && $output == *"is linked to 0x80000000, where the firmware is; give --firmware=none"* ]]
}

@test "machines: one line for a kernel of another machine, a compressed one, and a program that is not installed" {
	has_machine aarch64 && has_machine riscv64 || skip "no QEMU for other machines"
	machine aarch64 "$kernels/riscv64"
	[[ $status == 1 && $output == *"is a kernel for riscv64; give --machine=riscv64" ]]
	machine x86_64 "$kernels/aarch64"
	[[ $status == 1 && $output == *"is a kernel for aarch64; give --machine=aarch64" ]]
	machine riscv64 "$kernels/riscv32"
	[[ $status == 1 && $output == *"is a kernel for riscv32; give --machine=riscv32" ]]
	gzip -c "$kernels/aarch64" > "$BATS_TEST_TMPDIR/kernel.gz"
	chmod 644 "$BATS_TEST_TMPDIR/kernel.gz"
	machine aarch64 "$BATS_TEST_TMPDIR/kernel.gz" do=o
	[[ $status == 0 && $output == "this kernel runs" ]]
	run unshare -m bash -c 'mount -t tmpfs none /usr/bin && exec "$@"' bash "$L" --machine=arm 64 "$kernels/arm" < /dev/null
	echo "$output"
	[[ $status == 1 && $output == *"no /usr/bin/qemu-system-arm; install it (Debian: apt install qemu-system-arm)" ]]
}

@test "machines: audit finds each of them as promised" {
	# shellcheck disable=SC2086
	need_machine $others
	need_root
	for m in $others; do
		has_machine "$m" || continue
		out=$BATS_TEST_TMPDIR/out.$m
		"$L" "${user[@]}" --name="machine-$m" --machine="$m" --timeout=$((BUSY * 60)) 64 "$kernels/$m" do=h \
			< /dev/null > "$out" 2>&1 3>&- &
		pid=$!
		wait_for "this kernel runs"
		run "$L" audit "machine-$m"
		echo "$output"
		[[ $status == 0 ]]
		run "$L" audit "machine-$m" --json
		[[ $output == *"/usr/bin/qemu-system-$m"* ]]
		stop_now
	done
}

# What the room's files, its limits and its network stop fails; what no QEMU needs ends it.
@test "machines: a QEMU that its guest has taken reaches no file, network or process" {
	# shellcheck disable=SC2086
	need_machine x86_64 i386 $others
	need_root
	double=$(dirname "$B")/tests/host/qemu-double
	for m in x86_64 i386 $others; do
		has_machine "$m" || continue
		program=/usr/bin/qemu-system-$m
		[[ ! -x /usr/libexec/qemu-system-$m ]] || program=/usr/libexec/qemu-system-$m
		mount --bind "$double" "$program"
		kernel=$kernels/$m
		[[ -e $kernel ]] || kernel=$(dirname "$kernels")/exit
		[[ $m != i386 ]] || kernel+=32
		machine "$m" "$kernel" try=read
		[[ $output == reached* ]]
		for try in others create update memory grow connect execute; do
			machine "$m" "$kernel" "try=$try"
			[[ $output == failed* || $output == *"ended by its filter"* ]]
		done
		for try in write internet netlink fork; do
			machine "$m" "$kernel" "try=$try"
			[[ $status == 4 && $output == *"ended by its filter"* ]]
		done
		umount "$program"
	done
}
