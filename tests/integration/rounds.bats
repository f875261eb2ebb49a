#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2154 # lib.bash's
# lguest-sep run --checkpoint-at=command: a guest of our own (tests/guest/ports.c) in place of our init, honest or not, in
# several rounds on /dev/kvm; software KVM is sufficient. With our init and a stock kernel: kvm.bats.
load lib

setup_test()
{
	need_kvm_guests
	mkdir "$BATS_TEST_TMPDIR/modules"
	: > "$BATS_TEST_TMPDIR/modules/modules.order"
	head -c 1000 /dev/zero > "$BATS_TEST_TMPDIR/initrd"
}

# rounds TEST N [OPTION…]: N rounds; $status, $dir/out, $dir/err, $dir/console, $dir/result
rounds()
{
	local t=$1 n=$2
	shift 2
	dir=$BATS_TEST_TMPDIR
	status=0
	"$L" run --engine=kvm "${user[@]}" --checkpoint-at=command --resets=$((n - 1)) --timeout=600 --modules="$dir/modules" \
		--initrd="$dir/initrd" --console="$dir/console" --result="$dir/result" "$@" 64 "$guests/probe" console=ttyS0 "t=$t" \
		-- command < /dev/zero > "$dir/out" 2> "$dir/err" 3>&- || status=$?
	tail -n 30 "$dir/err"
	lacks FAILED "$dir/console"
}

judged() # DONE FAILED FIRST STATUS
{
	jq -e ".rounds == {done: $1, failed: $2, first_failed: $3, first_status: $4}" "$dir/result" > /dev/null
	[[ $(grep -cx round "$dir/out") == "$1" ]]
}

@test "rounds: each one begins at the checkpoint, and all succeed" {
	rounds rounds 50
	is_status 0
	judged 50 0 0 0
	grep -aq '^.*lguest-sep: vcpu: 49 resets, [0-9]* a second$' "$dir/err"
}

@test "rounds: the status is that of the first failure, as the guest reports it" {
	rounds rounds-7 3
	is_status 7
	judged 3 3 1 7
	grep -aq 'run: round 2: status 7, as the guest reports$' "$dir/err"
	jq -e '.guest.command.value == 7 and .end == "poweroff"' "$dir/result" > /dev/null
}

@test "rounds: halves of two rounds make no report, and output of an earlier round does not count" {
	rounds rounds-half 6
	is_status 125
	judged 6 6 1 125
	rounds rounds-earlier 6
	is_status 125
	judged 6 6 1 125
	grep -aq "run: round 6: status 125, because the guest powered off before all of the command's output had arrived$" "$dir/err"
}

@test "rounds: an acknowledgement that was not delivered is not delivered in the next round" {
	rounds rounds-deaf 20
	is_status 0
	judged 20 0 0 0
}

@test "rounds: the guest may ask for the reset itself, and a round that takes too long is 124" {
	rounds rounds-reset 20
	is_status 0
	judged 20 0 0 0
	rounds rounds-spin 3 --reset-on=timeout=0.2
	is_status 124
	judged 3 3 1 124
}

@test "rounds: with --reset=fresh each one has other helpers, whoever ends it" {
	dir=$BATS_TEST_TMPDIR
	local options=(--reset=fresh --verbose --block="$dir/disk,snapshot" --tunnet=10.99.0.1/24)
	truncate -s 1M "$dir/disk"
	chmod 666 "$dir/disk"
	# others TIMES: so often all helpers were replaced, one of these times at the checkpoint
	others()
	{
		local name
		for name in blk0 net0; do
			[[ $(grep -ac "^.*lguest-sep: $name: serves again" "$dir/err") == "$1" ]]
		done
	}
	rounds rounds 10 "${options[@]}"
	is_status 0
	judged 10 0 0 0
	others 10
	rounds rounds-7 3 "${options[@]}"
	is_status 7
	judged 3 3 1 7
	others 3
	rounds rounds-reset 5 "${options[@]}"
	is_status 0
	judged 5 0 0 0
	# The guest asks for one more reset, at which the last round is judged instead.
	others 5
	rounds rounds-spin 3 "${options[@]}" --reset-on=timeout=0.2
	is_status 124
	judged 3 3 1 124
	others 3
}

@test "rounds: a slow reader holds the guest back, and nothing is lost" {
	dir=$BATS_TEST_TMPDIR
	"$L" run --engine=kvm "${user[@]}" --checkpoint-at=command --resets=499 --timeout=600 --modules="$dir/modules" \
		--initrd="$dir/initrd" --console="$dir/console" 64 "$guests/probe" console=ttyS0 t=rounds -- command \
		2> "$dir/err" < /dev/null 3>&- | (sleep 1 && cat > "$dir/out")
	[[ $(grep -cx round "$dir/out") == 500 ]]
}

@test "rounds: missing ones are a failure, and what cannot be combined is one line" {
	local options
	# This guest takes no checkpoint.
	dir=$BATS_TEST_TMPDIR
	rounds spin 3 --cpu-timeout=0.5
	is_status 124
	grep -q 'run: the guest ended in round 1 of 3' "$dir/err"
	mkdir "$dir/o"
	for options in "--checkpoint" "--checkpoint-at=command" "--checkpoint-at=init --resets=1" \
		"--checkpoint-at=command --resets=1 --out=$dir/o" "--checkpoint-at=command --resets=1 --engine=qemu" \
		"--checkpoint-at=command --resets=1 --save=$dir/f"; do
		# shellcheck disable=SC2086
		run "$L" run $options 64 "$guests/probe" -- true
		echo "$output"
		is_status 125
		[[ ${#lines[@]} == 1 ]]
	done
	run "$L" --checkpoint-at=command --resets=1 64 "$guests/probe"
	is_status 2
	[[ ${#lines[@]} == 1 && $output == *"--checkpoint-at: only with lguest-sep run"* ]]
}

@test "rounds: lguest-sep reset ends a round, and checkpoint is refused" {
	local name=rounds-$$
	dir=$BATS_TEST_TMPDIR
	out=$dir/err
	"$L" run --engine=kvm --name="$name" --checkpoint-at=command --resets=1 --timeout=600 --modules="$dir/modules" \
		--initrd="$dir/initrd" 64 "$guests/probe" console=ttyS0 t=rounds-spin -- command > "$dir/out" 2> "$dir/err" < /dev/null 3>&- &
	pid=$!
	wait_until grep -qx round "$dir/out"
	run "$L" checkpoint "$name"
	is_status 1
	[[ $output == *"it takes its only checkpoint itself"* ]]
	"$L" reset "$name"
	wait_for 'round 1: status 125, because the guest was taken back before the command had ended'
	wait_until eval '(($(grep -cx round "$dir/out") == 2))'
	"$L" reset "$name"
	status=0
	wait "$pid" || status=$?
	is_status 125
}
