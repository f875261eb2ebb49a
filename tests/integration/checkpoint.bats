#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2154,SC2030,SC2031 # lib.bash's; bats runs each test in a subshell
# --checkpoint: a guest of our own (tests/guest/checkpoint.c) on /dev/kvm goes back to an earlier state; software KVM is
# sufficient.
load lib

setup_test()
{
	need_root
	[[ -c /dev/kvm ]] || skip "no /dev/kvm"
	guests=$(dirname "$B")/tests/guest
	[[ -e $guests/probe ]] || skip "no freestanding guests: make guests"
}

# resets TEST N [OPTION…]: N resets, then the end; $status, $out.clean
resets()
{
	local t=$1 n=$2
	shift 2
	out=$BATS_TEST_TMPDIR/out
	status=0
	"$L" --engine=kvm "${user[@]}" --no-reboot --stats --verbose --checkpoint --resets="$n" --timeout=600 "$@" 64 \
		"$guests/probe" console=ttyS0 "t=$t" < /dev/null > "$out" 2>&1 3>&- || status=$?
	tr -d '\r' < "$out" > "$out.clean"
	tail -n 30 "$out.clean"
}

all_done() # N
{
	is_status 0
	lacks FAILED "$out.clean"
	grep -q "^lguest-sep: vcpu *$1  resets\$" "$out.clean"
	grep -q "^lguest-sep: vcpu: $1 resets, [0-9]* a second\$" "$out.clean"
}

@test "checkpoint: no nonce in memory, registers, MSRs, timers, controllers or devices outlives a reset" {
	resets checkpoint 50
	all_done 50
	[[ $(grep -c '^round' "$out.clean") == 51 ]]
}

@test "checkpoint: all of a large area is zero again" {
	resets checkpoint-all 2
	all_done 2
}

@test "checkpoint: what the vCPU process wrote to the rings of console and rng is taken back, and they work on" {
	resets cp-rings 50 --rng
	all_done 50
	[[ $(grep -c '^through the ring' "$out.clean") == 51 ]]
}

@test "checkpoint: a guest that dirties all of its memory" {
	resets dirty-all 5
	all_done 5
}

@test "checkpoint: two processors ask at the same time, and the second one is stopped again" {
	resets reset-two 300 --smp=2
	all_done 300
}

@test "checkpoint: a reset without a checkpoint ends the guest" {
	resets reset-first 1
	is_status 3
	grep -q 'it asked for a reset before a checkpoint was taken' "$out.clean"
}

@test "checkpoint: lguest-sep checkpoint and reset, while the guest sleeps and its timer runs" {
	local name=cp-$$ n
	out=$BATS_TEST_TMPDIR/out
	"$L" --engine=kvm --no-reboot --checkpoint --name="$name" --timeout=600 64 "$guests/probe" console=ttyS0 t=cp-host \
		< /dev/null > "$out" 2>&1 3>&- &
	pid=$!
	wait_for 'tick 3'
	run "$L" reset "$name"
	is_status 0
	wait_for 'reset: no checkpoint was taken yet'
	"$L" checkpoint "$name"
	n=$(tr -d '\r' < "$out" | grep '^tick' | tail -n 1 | cut -d ' ' -f 2)
	wait_for "tick $((n + 50))"
	for _ in 1 2 3; do
		"$L" reset "$name"
		sleep 0.3
	done
	"$L" kill "$name"
	wait "$pid" || true
	# The same number comes again after each reset.
	[[ $(tr -d '\r' < "$out" | grep -cx "tick $((n + 3))") == 4 ]]
}

@test "checkpoint: what cannot be combined with it is one line" {
	local options
	for options in "--block=x" "--net=bridge=b" "--share=/tmp" "--port=p:x" "--engine=qemu" "--engine=lguest" \
		"--machine=riscv64"; do
		run "$L" "$options" --checkpoint 64 "$guests/probe"
		echo "$output"
		is_status 2
		[[ ${#lines[@]} == 1 && $output == *--checkpoint:* ]]
	done
	run "$L" --resets=3 64 "$guests/probe"
	is_status 2
	[[ $output == *"--resets: only with --checkpoint"* ]]
	out=$BATS_TEST_TMPDIR/out
	"$L" --engine=kvm --no-reboot --name=cp-$$ --timeout=600 64 "$guests/probe" console=ttyS0 t=cp-host \
		< /dev/null > "$out" 2>&1 3>&- &
	pid=$!
	wait_for 'tick 3'
	run "$L" reset cp-$$
	is_status 1
	[[ $output == *"started without --checkpoint"* ]]
	"$L" kill cp-$$
	wait "$pid" || true
}
