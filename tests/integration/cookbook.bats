#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2154 # lib.bash's
# Each sh block of docs/cookbook.md runs as written, and prints what the page says.
load lib

setup_test()
{
	need_root
	need_kernel
	[[ -e $top/build/tests/guest/exit ]] || skip "no freestanding guests: make guests"
}

# kernel NAME WORD: a kernel that behaves as WORD says (tests/guest/exit.S)
kernel()
{
	mkdir -p "submissions/$1"
	printf -v word '%-11s' "$2"
	LC_ALL=C sed "s/preset=b00 /$word/" "$top/build/tests/guest/exit" > "submissions/$1/kernel"
}

# 30 kernels: 16 pass (one of them panics afterwards, one resets, one writes on), the others fail in several ways
submissions()
{
	local i
	for i in {1..13}; do kernel "pass$i" exit=b00; done
	kernel panic-later exit=b00p
	kernel reset-later exit=b00r
	kernel flood-later exit=b00f
	for i in {1..6}; do kernel "fail$i" "exit=b0$i"; done
	for i in 1 2 3 4; do kernel "panic$i" exit=b00q; done
	kernel endless exit=b00o
	kernel endless2 exit=l00o
	kernel slow preset=b00
	kernel triple exit=b00t
}

# blocks HEADING: writes a program that runs the section's sh blocks one after the other, each with standard output in
# outN, and the expected outputs into wantN
blocks()
{
	awk -v heading="## $1" '
	$0 == heading { on = 1; next }
	/^## / { on = 0 }
	!on { next }
	/^```sh$/ { in_sh = 1; n++; print "{"; next }
	/^```$/ && in_sh { in_sh = 0; print "} > \"$out/out" n "\""; next }
	/^```$/ { in_want = !in_want; next }
	in_sh { print }
	in_want { print > (ENVIRON["out"] "/want" n) }' "$top/docs/cookbook.md" > "$out/program"
	grep -qE 'lguest-sep|farm' "$out/program" || { echo "no section \"$1\" with commands"; return 1; }
}

# section HEADING: runs its blocks in a new directory
section()
{
	local want
	export out=$BATS_TEST_TMPDIR/out kernel=$BATS_TEST_TMPDIR/boot/vmlinuz-1.2.3 farm=$top/contrib/slurm/lguest-farm
	mkdir -p "$out" "$BATS_TEST_TMPDIR/boot" "$BATS_TEST_TMPDIR/lib/modules"
	ln -s "$K" "$kernel"
	ln -s "$top/.cache/kernel/modules" "$BATS_TEST_TMPDIR/lib/modules/1.2.3"
	blocks "$1"
	status=0
	PATH=$B:$PATH timeout $((BUSY * 60)) bash -euo pipefail "$out/program" > "$out/rest" 2>&1 3>&- < /dev/null || status=$?
	cat "$out/rest"
	is_status 0
	for want in "$out"/want*; do
		[[ -e $want ]] || continue
		diff -u "$want" "$out/out${want##*want}"
	done
}

in_directory()
{
	setup_test
	mkdir "$BATS_TEST_TMPDIR/here"
	cd "$BATS_TEST_TMPDIR/here" || return
}

@test "cookbook: 30 kernels, by exit status and by result" {
	in_directory
	submissions
	section "Grade 30 kernels"
	[[ $(find results -size +1024k) == "" ]]
}

@test "cookbook: GNU parallel" {
	in_directory
	command -v parallel > /dev/null || skip "no parallel (apt install parallel)"
	command -v python3 > /dev/null || skip "no python3 (apt install python3)"
	submissions
	section "Grade with GNU parallel"
	python3 -c 'import sys, xml.etree.ElementTree as tree
suite = tree.parse("grades.xml").getroot()
sys.exit([suite.get(k) for k in ("tests", "failures", "errors")] != ["6", "3", "0"])'
	[[ $(jq -s 'map(.verdict)' -c grades.jsonl) == '["fail","fail","fail","pass","pass","pass"]' ]]
	grep -q '6 guests: 3 as expected, 3 not as expected, 0 without a verdict' summary.txt
	grep -qF 'href="./results/1.txt"' grades.html
}

@test "cookbook: a list of guests" {
	in_directory
	command -v python3 > /dev/null || skip "no python3 (apt install python3)"
	kernel pass1 exit=b00
	kernel fail1 exit=b01
	kernel panic1 exit=b00q
	section "Thousands of guests on a cluster"
	[[ -s class.1/report.html ]]
}

@test "cookbook: kernels for other machines" {
	local machine
	in_directory
	command -v python3 > /dev/null || skip "no python3 (apt install python3)"
	for machine in aarch64 arm riscv64; do
		command -v "qemu-system-$machine" > /dev/null || skip "no qemu-system-$machine"
		[[ -e $top/build/tests/guest/machines/$machine ]] || skip "no test kernel for $machine (clang, lld)"
		mkdir -p "submissions/$machine"
		cp "$top/build/tests/guest/machines/$machine" "submissions/$machine/kernel"
	done
	section "Kernels for other machines"
}

@test "cookbook: git bisect finds the commit" {
	in_directory
	export HOME=$BATS_TEST_TMPDIR GIT_CONFIG_NOSYSTEM=1
	git config --global user.name Tester
	git config --global user.email tester@example.com
	git init -q project
	(
		cd project
		printf 'program: program.in\n\tcp program.in program && chmod 755 program\n' > Makefile
		for title in Start Document Optimize "Make it faster" "Tidy up" Release; do
			printf '#!/bin/sh\n# %s\n' "$title" > program.in
			case $title in "Make it faster" | "Tidy up" | Release) echo 'exit 5' >> program.in ;; esac
			git add Makefile program.in
			git commit -q -m "$title"
			[[ $title != Start ]] || git tag v1.0
			sleep 0.01
		done
	)
	section "Find the commit that broke a kernel"
}

@test "cookbook: a test suite, and files that come out" {
	need_user_namespaces
	in_directory
	mkdir suite
	cat > suite/run-all <<-'END'
		echo 1..2
		[ "$LEVEL" = 2 ] && echo "ok 1 LEVEL is 2"
		rm -rf /bin/sh && echo "ok 2 files can be deleted"
	END
	section "Run a test suite in a guest"
}

@test "cookbook: a network with addresses by DHCP" {
	in_directory
	section "A network with addresses by DHCP"
}

@test "cookbook: guests in the background" {
	in_directory
	kernel slow preset=b00
	section "Guests in the background"
	# ps shows it, status names it, and after kill it is gone.
	[[ $(< "$out/out1") == NAME*web*$'\n'web$'\n'* ]]
	[[ $(grep -c '^web ' "$out/out1") == 1 ]]
}

@test "cookbook: resets" {
	in_directory
	[[ -c /dev/kvm ]] || skip "no /dev/kvm"
	cp "$top/build/tests/guest/probe" kernel
	section "The same clean machine a thousand times"
}

# The stock kernel's guest is in tests/long/checkpoint-lab; here a kernel of ours uses the same page.
@test "cookbook: a fuzzer of the host feeds a guest that is reset after each input" {
	in_directory
	[[ -c /dev/kvm ]] || skip "no /dev/kvm"
	command -v busybox > /dev/null || skip "no busybox"
	mkdir bin
	printf '#!/bin/sh\nexec %s "$@" t=shmem-fuzz\n' "$B/lguest-sep" > bin/lguest-sep
	chmod 755 bin/lguest-sep
	K=$top/build/tests/guest/probe B=$PWD/bin section "Fuzz a system call of a stock kernel"
	# About half of the inputs, which are random.
	[[ $(cut -d ' ' -f 1 accepted) -gt 300 && $(cut -d ' ' -f 1 accepted) -lt 700 ]]
}

@test "cookbook: boot once, start from the file" {
	in_directory
	[[ -c /dev/kvm ]] || skip "no /dev/kvm"
	cp "$top/build/tests/guest/probe" kernel
	section "Boot once, start a hundred times"
}

@test "cookbook: results with jq" {
	in_directory
	kernel pass1 exit=b00
	kernel fail1 exit=b01
	kernel slow preset=b00
	section "Collect results with jq"
	[[ $(jq -s 'map(.cpu_ms) | min >= 0' all.jsonl) == true ]]
}
