#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2154,SC2030,SC2031 # lib.bash's; bats runs each test in a subshell
# --reset=fresh: each reset starts all helpers again. The guests are those of checkpoint.bats.
load lib

setup_test()
{
	need_kvm_guests
	truncate -s 1M "$BATS_TEST_TMPDIR/disk"
	chmod 666 "$BATS_TEST_TMPDIR/disk"
	out=$BATS_TEST_TMPDIR/out
}

# The tests have a network namespace of their own (tools/run-bats).
nic=--tunnet=10.99.0.1/24

# begin TEST N [OPTION…]: a guest in the background that goes back N times; $pid. With --from there is no TEST.
begin()
{
	local t=$1 n=$2 reset=--reset=fresh
	shift 2
	local kernel=("$guests/probe" console=ttyS0 "t=$t")
	[[ " $*" != *" --from="* ]] || kernel=()
	[[ " $*" != *" --reset="* ]] || reset=
	"$L" --engine=kvm "${user[@]}" --no-reboot --stats --verbose --checkpoint $reset --resets="$n" --timeout=600 "$@" 64 \
		"${kernel[@]}" < /dev/null > "$out" 2>&1 3>&- &
	pid=$!
}

# ended N OTHERS NAME…: N resets; OTHERS times every process of the helpers NAME ended, and another one came
ended()
{
	local n=$1 others=$2 name
	shift 2
	finish 600
	tail -n 30 "$out.clean"
	is_status 0
	lacks FAILED "$out.clean"
	grep -q "^lguest-sep: vcpu *$n  resets\$" "$out.clean"
	for name in "$@"; do
		[[ $(grep -c "^lguest-sep: $name: serves again" "$out.clean") == "$others" ]]
	done
	lacks 'it is started again' "$out.clean"
}

@test "fresh: no nonce in a disk's rings, buffers and registers outlives a reset, and each has another blkd" {
	begin cp-disk-ro 15 --block="$BATS_TEST_TMPDIR/disk,ro"
	ended 15 15 blk0
	# Counters of the processes before are not lost.
	(($(grep -o '^lguest-sep: blk0 *[0-9]*  requests' "$out.clean" | grep -o '[0-9]* *requests' | cut -d ' ' -f 1) >= 15))
}

@test "fresh: the same with a snapshot, which keeps what was written before the checkpoint, with and without io_uring" {
	begin cp-disk 15 --block="$BATS_TEST_TMPDIR/disk,snapshot"
	# And one for the checkpoint
	ended 15 16 blk0
	begin cp-disk 5 --block="$BATS_TEST_TMPDIR/disk,snapshot,io=sync" --save="$BATS_TEST_TMPDIR/saved"
	ended 5 6 blk0
	cmp "$BATS_TEST_TMPDIR/disk" <(head -c 1M /dev/zero)
	# The file is that of the checkpoint.
	begin cp-disk 3 --reset=keep --from="$BATS_TEST_TMPDIR/saved" --block="$BATS_TEST_TMPDIR/disk,snapshot"
	ended 3 0
}

@test "fresh: the same with a NIC of two pairs, its control queue and frames on their way" {
	begin cp-net-pairs 20 "$nic,queues=2"
	ended 20 20 net0
}

@test "fresh: the same with --net=user: passt is another process, too" {
	network_for_passt
	begin cp-net-user 5 --net=user
	ended 5 5 net0
	ip link del cp0
}

@test "fresh: what the guest knows and has open in a share is what it was, with the same numbers" {
	mkdir -p "$BATS_TEST_TMPDIR/share/dir"
	chmod 755 "$BATS_TEST_TMPDIR" "$BATS_TEST_TMPDIR/share" "$BATS_TEST_TMPDIR/share/dir"
	echo 'shared text' > "$BATS_TEST_TMPDIR/share/file"
	touch "$BATS_TEST_TMPDIR/share/dir/"{a,b,c,d} "$BATS_TEST_TMPDIR/share/new"
	chmod 644 "$BATS_TEST_TMPDIR/share/file" "$BATS_TEST_TMPDIR/share/new"
	begin cp-share 8 --share="$BATS_TEST_TMPDIR/share,queues=3" --save="$BATS_TEST_TMPDIR/saved"
	ended 8 9 fs0
	[[ $(grep -c '^number' "$out.clean") == 9 && $(grep '^number\|^handle' "$out.clean" | sort -u | wc -l) == 2 ]]
}

@test "fresh: two processors dirty memory, with a disk and a NIC" {
	begin dirty-both 50 "$nic" --smp=2 --block="$BATS_TEST_TMPDIR/disk,snapshot"
	ended 50 51 blk0 net0
}

@test "fresh: --reset-on takes a guest back in place of each kind of end, with other helpers" {
	local end t on name
	for end in "off poweroff poweroff" "reset reboot reboot" "panic panic panic" "triple crash crash" \
		"exit exit-port exit-port" "spin timeout=0.2 timeout"; do
		read -r t on name <<< "$end"
		begin "cp-$t" 3 --reset-on="$on" --block="$BATS_TEST_TMPDIR/disk,snapshot" "$nic"
		# And one for the checkpoint
		ended 3 4 blk0 net0
		[[ $(grep -c '^round' "$out.clean") == 4 ]]
		grep -q "^lguest-sep: vcpu: 3 of the resets: $name\$" "$out.clean"
	done
}

# others ROLE PID: waits for a process of ROLE other than PID that is confined
others()
{
	wait_until eval '[[ $(role_pids '"$1"') != '"$2"' ]] && grep -q "^Seccomp:.2" "/proc/$(role_pids '"$1"')/status" 2> /dev/null'
}

@test "fresh: lguest-sep reset, with helpers that have not answered for long" {
	local name=fresh-$$ blkd netd controld i
	begin cp-host 100 --name="$name" --block="$BATS_TEST_TMPDIR/disk,snapshot" "$nic" --port=p:"$BATS_TEST_TMPDIR/port"
	wait_for 'tick 3'
	"$L" checkpoint "$name"
	wait_for 'checkpoint taken'
	controld=$(role_pids controld)
	for i in 1 2 3; do
		blkd=$(role_pids blkd)
		netd=$(role_pids netd)
		# It ignores that it shall end.
		[[ $i != 2 ]] || kill -STOP "$blkd"
		"$L" reset "$name"
		others blkd "$blkd"
		others netd "$netd"
		wait_until eval '[[ $("$L" stats "$name" | grep "  resets$" | grep -o "[0-9]*") == '"$i"' ]]'
	done
	[[ $(role_pids controld) == "$controld" ]]
	# What the snapshot has is kept once.
	"$L" checkpoint "$name"
	wait_for 'with --reset=fresh and a snapshot or share there is only one'
	"$L" audit "$name"
	"$L" status "$name"
	"$L" kill "$name"
	wait "$pid" || true
}

# least: prints the smallest number of descriptors of the supervisor and all spawners in 40 looks; some are short-lived
least()
{
	local p n all=1000000
	for _ in {1..40}; do
		n=0
		for p in "$pid" $(pgrep -P "$pid"); do
			n=$((n + $(find "/proc/$p/fd" -mindepth 1 | wc -l)))
		done
		all=$((n < all ? n : all))
		sleep 0.01
	done
	echo "$all"
}

@test "fresh: 150 resets leave no descriptor more in the supervisor and its spawners" {
	local name=fresh-$$ first last
	mkdir -m 755 "$BATS_TEST_TMPDIR/d"
	chmod 755 "$BATS_TEST_TMPDIR"
	begin dirty-both 1000000 "$nic" --name="$name" --block="$BATS_TEST_TMPDIR/disk,snapshot" --share="$BATS_TEST_TMPDIR/d"
	# reached N: so many resets were done
	reached()
	{
		local n
		n=$("$L" stats "$name" | sed -n 's/^vcpu *\([0-9]*\)  resets$/\1/p')
		((n >= $1))
	}
	wait_until reached 10
	first=$(least)
	wait_until reached 160
	# On a busy machine helpers are always being started. A descriptor that is left stays.
	for _ in {1..6}; do
		last=$(least)
		echo "$first $last"
		((last > first)) || break
	done
	((last <= first))
	"$L" kill "$name"
	wait "$pid" || true
}

@test "fresh: helpers that are killed between resets" {
	begin cp-disk-killed 12 "$nic" --block="$BATS_TEST_TMPDIR/disk,snapshot" --max-restarts=1000
	for _ in 1 2 3; do
		wait_until eval '[[ -n $(role_pids blkd) ]] || ! kill -0 "$pid"'
		kill -9 $(role_pids blkd) $(role_pids netd) 2> /dev/null || true
		sleep 0.2
	done
	finish 600
	tail -n 30 "$out.clean"
	is_status 0
	lacks FAILED "$out.clean"
	grep -q '^lguest-sep: vcpu *12  resets$' "$out.clean"
}

@test "fresh: what cannot be combined with it is one line" {
	mkdir "$BATS_TEST_TMPDIR/d"
	one_line()
	{
		run "$L" "$@" 64 "$guests/probe"
		echo "$output"
		is_status 2
		[[ ${#lines[@]} == 1 && $output == *--reset* ]]
	}
	one_line --reset=fresh
	one_line --reset=keep
	one_line --reset=fresh --engine=qemu
	one_line --reset=others --checkpoint
	run "$L" --reset=fresh --checkpoint --from=x --block="$BATS_TEST_TMPDIR/disk,snapshot" 64
	is_status 2
	[[ ${#lines[@]} == 1 && $output == *"--reset=fresh: not with --from and"* ]]
}
