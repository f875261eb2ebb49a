#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2154,SC2030,SC2031 # lib.bash's; bats runs each test in a subshell
# --checkpoint: a guest of our own (tests/guest/checkpoint.c) on /dev/kvm goes back to an earlier state; software KVM is
# sufficient.
load lib

setup_test()
{
	need_kvm_guests
}

# A disk of 1 MiB of zeros
zero_disk()
{
	truncate -s 1M "$BATS_TEST_TMPDIR/disk"
	chmod 666 "$BATS_TEST_TMPDIR/disk"
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
	grep -q '^lguest-sep: vcpu *[0-9]*  microseconds: CPU state of resets$' "$out.clean"
	# Half of all took at least the median, so it is at most twice the mean.
	awk '/ microseconds: (memory|the rest) of resets$/ { us += $3 }
		/ microseconds: median of a reset$/ { median = $3 }
		/ microseconds: 99th percentile of a reset$/ { p99 = $3 }
		END { exit !(median > 0 && median <= p99 && median <= 2 * us / '"$1"' * 33 / 32 + 1) }' "$out.clean"
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

# ids N INTERRUPTS: the guest has seen N generation IDs, and had so many interrupts of them
ids()
{
	[[ $(grep '^id ' "$out.clean" | sort -u | wc -l) == "$1" && $(grep -c '^interrupt 0*1$' "$out.clean") == "$2" ]]
}

@test "checkpoint: each reset gives the guest a new generation ID and an interrupt, unless it shall keep it" {
	resets cp-id 5
	all_done 5
	ids 6 5
	resets cp-id 5 --vmgenid=same
	all_done 5
	ids 1 0
	run "$L" --vmgenid=new 64 "$guests/probe"
	is_status 2
	[[ $output == *"--vmgenid: only with --checkpoint, --save or --from"* ]]
}

@test "checkpoint: a timer that counted goes on, also if the guest has given it a deadline since" {
	resets cp-timer 20
	all_done 20
	[[ $(grep -c '^the timer runs' "$out.clean") == 21 ]]
}

@test "checkpoint: no translation of page tables that a reset took back is left, with pages of each kind" {
	resets cp-paging 100
	all_done 100
	[[ $(grep -c '^round' "$out.clean") == 101 ]]
}

@test "checkpoint: a guest that dirties all of its memory" {
	resets dirty-all 5
	all_done 5
}

@test "checkpoint: two processors ask at the same time, and the second one is stopped again" {
	resets reset-two 300 --smp=2
	all_done 300
}

# on_end TEST EVENT NAME: the guest ends in that way 6 times, and goes back 5 times
on_end()
{
	resets "$1" 5 --reset-on="$2"
	all_done 5
	[[ $(grep -c '^round' "$out.clean") == 6 ]]
	grep -q "^lguest-sep: vcpu: 5 of the resets: $3\$" "$out.clean"
}

@test "checkpoint: --reset-on takes a guest back that powers off, reboots, panics, crashes or reports a number" {
	on_end cp-off poweroff poweroff
	on_end cp-reset panic,reboot reboot
	on_end cp-panic panic panic
	on_end cp-triple crash crash
	on_end cp-exit exit-port exit-port
}

@test "checkpoint: --reset-on takes a guest back that runs for too long, and ends others as ever" {
	on_end cp-spin timeout=0.2 timeout
	resets cp-panic 5 --reset-on=poweroff,reboot,crash,exit-port,timeout=100
	is_status 3
	[[ $(grep -c '^round' "$out.clean") == 1 ]]
	# Without a checkpoint
	resets panic 5 --reset-on=panic
	is_status 3
	run "$L" --reset-on=panic 64 "$guests/probe"
	is_status 2
	[[ ${#lines[@]} == 1 && $output == *"--reset-on: only with --checkpoint"* ]]
	run "$L" --checkpoint --reset-on=panics 64 "$guests/probe"
	is_status 2
	[[ ${#lines[@]} == 1 && $output == *"--reset-on=panics: panics: there is no such setting"* ]]
}

@test "checkpoint: a reset without a checkpoint ends the guest" {
	resets reset-first 1
	is_status 3
	grep -q 'it asked for a reset before a checkpoint was taken' "$out.clean"
}

@test "checkpoint: lguest-sep checkpoint and reset, while the guest sleeps and its timer runs" {
	local name=cp-$$ n i
	out=$BATS_TEST_TMPDIR/out
	zero_disk
	"$L" --engine=kvm --no-reboot --checkpoint --name="$name" --timeout=600 --block="$BATS_TEST_TMPDIR/disk,snapshot" \
		"$nic" --port=p:"$BATS_TEST_TMPDIR/port" 64 "$guests/probe" console=ttyS0 t=cp-host < /dev/null > "$out" 2>&1 3>&- &
	pid=$!
	wait_for 'tick 3'
	run "$L" reset "$name"
	is_status 0
	wait_for 'reset: no checkpoint was taken yet'
	"$L" audit "$name"
	"$L" checkpoint "$name"
	n=$(tr -d '\r' < "$out" | grep '^tick' | tail -n 1 | cut -d ' ' -f 2)
	wait_for "tick $((n + 50))"
	# The same number comes again after each reset.
	for i in 2 3 4; do
		"$L" reset "$name"
		wait_until eval '(($(tr -d "\r" < "$out" | grep -cx "tick $((n + 3))") == '"$i"'))'
	done
	run "$L" stats "$name"
	for part in 'resets' 'pages that resets took back' 'microseconds: memory of resets' \
		'microseconds: CPU state of resets' 'microseconds: devices of resets' \
		'microseconds: waiting for helpers in resets' 'microseconds since the first checkpoint' \
		'microseconds: median of a reset' 'microseconds: 99th percentile of a reset'; do
		grep -q "^vcpu  *[1-9][0-9]*  $part\$" <<< "$output"
	done
	"$L" stats "$name" --json | jq -e '.roles[] | select(.name == "vcpu").counters |
		.resets == 3 and .reset_median_us <= .reset_p99_us and .reset_p99_us > 0 and
		.reset_cpu_us + .reset_devices_us + .reset_helpers_us == .reset_state_us' > /dev/null
	"$L" stats "$name" --prometheus > "$out.prometheus"
	grep -q '^lguest_sep_reset_helpers_us_total{.*role="vcpu".*} [1-9]' "$out.prometheus"
	grep -q '^# TYPE lguest_sep_reset_median_us gauge$' "$out.prometheus"
	grep -q '^lguest_sep_reset_median_us{.*role="vcpu".*} [1-9]' "$out.prometheus"
	"$L" kill "$name"
	wait "$pid" || true
}

# disk_resets TEST N WAYS [OPTION…]: the same as resets, with that disk, which does not change
disk_resets()
{
	local t=$1 n=$2 ways=$3
	shift 3
	zero_disk
	resets "$t" "$n" --block="$BATS_TEST_TMPDIR/disk,$ways" "$@"
	cmp "$BATS_TEST_TMPDIR/disk" <(head -c 1M /dev/zero)
}

@test "checkpoint: no nonce in a snapshot's disk, its rings, buffers and registers outlives a reset with requests in flight" {
	disk_resets cp-disk 100 snapshot
	all_done 100
	grep -q '^lguest-sep: vcpu: [0-9]* microseconds of the rest of resets: waiting for helpers$' "$out.clean"
}

@test "checkpoint: the same without io_uring, and with a read-only disk" {
	disk_resets cp-disk 20 snapshot,io=sync
	all_done 20
	disk_resets cp-disk-ro 50 ro
	all_done 50
}

@test "checkpoint: two processors ask at the same time, with a disk" {
	disk_resets reset-two 100 snapshot --smp=2
	all_done 100
}

@test "checkpoint: blkd is killed again and again; the guest is taken back all the same" {
	zero_disk
	out=$BATS_TEST_TMPDIR/out
	"$L" --engine=kvm "${user[@]}" --no-reboot --stats --checkpoint --resets=100 --timeout=600 --max-restarts=1000 \
		--block="$BATS_TEST_TMPDIR/disk,snapshot" 64 "$guests/probe" console=ttyS0 t=cp-disk-killed \
		< /dev/null > "$out" 2>&1 3>&- &
	pid=$!
	kill_often blkd 8
	all_done 100
}

# The tests have a network namespace of their own (tools/run-bats).
nic=--tunnet=10.99.0.1/24

@test "checkpoint: no nonce in a NIC's frames, rings, buffers and registers outlives a reset with frames on their way" {
	resets cp-net 30 "$nic"
	all_done 30
}

@test "checkpoint: the same with two pairs of queues and the control queue, and with a capture" {
	resets cp-net-pairs 20 "$nic,queues=2"
	all_done 20
	: > "$BATS_TEST_TMPDIR/pcap"
	resets cp-net 8 "$nic,pcap=$BATS_TEST_TMPDIR/pcap"
	all_done 8
	grep -aq 'dropped: it came before a reset' "$BATS_TEST_TMPDIR/pcap"
}

@test "checkpoint: the same with a limit of frames, and with two processors, a disk and a NIC" {
	resets cp-net 10 "$nic,rate=200"
	all_done 10
	disk_resets dirty-both 100 snapshot "$nic" --smp=2
	all_done 100
}

@test "checkpoint: netd is killed again and again; the guest is taken back all the same" {
	out=$BATS_TEST_TMPDIR/out
	"$L" --engine=kvm "${user[@]}" --no-reboot --stats --checkpoint --resets=60 --timeout=600 --max-restarts=1000 \
		"$nic,queues=2" 64 "$guests/probe" console=ttyS0 t=cp-net-pairs < /dev/null > "$out" 2>&1 3>&- &
	pid=$!
	kill_often netd 5
	all_done 60
}

@test "checkpoint: --net=user, with passt behind the NIC" {
	network_for_passt
	resets cp-net-user 10 --net=user
	ip link del cp0
	all_done 10
}

@test "checkpoint: a port goes back, with its messages; the rest of what was half sent is not sent" {
	resets cp-port 20 --port=p:"$BATS_TEST_TMPDIR/port"
	all_done 20
	[[ $(grep -cx round "$BATS_TEST_TMPDIR/port") == 21 ]]
	lacks '^a' "$BATS_TEST_TMPDIR/port"
}

# share_dir: a directory with the files that the guest's test needs
share_dir()
{
	mkdir -p "$BATS_TEST_TMPDIR/share/dir"
	chmod 755 "$BATS_TEST_TMPDIR" "$BATS_TEST_TMPDIR/share" "$BATS_TEST_TMPDIR/share/dir"
	echo 'shared text' > "$BATS_TEST_TMPDIR/share/file"
	touch "$BATS_TEST_TMPDIR/share/dir/"{a,b,c,d} "$BATS_TEST_TMPDIR/share/new"
	chmod 644 "$BATS_TEST_TMPDIR/share/file" "$BATS_TEST_TMPDIR/share/new"
}

@test "checkpoint: what the guest knows and has open in a share is what it was, and nothing newer is left" {
	share_dir
	resets cp-share 40 --share="$BATS_TEST_TMPDIR/share"
	all_done 40
	# Numbers do not count the resets.
	[[ $(grep -c '^number' "$out.clean") == 41 && $(grep '^number\|^handle' "$out.clean" | sort -u | wc -l) == 2 ]]
	resets cp-share 10 --share="$BATS_TEST_TMPDIR/share,queues=3,cache=none" --block="$(zero_disk; echo "$BATS_TEST_TMPDIR/disk"),ro"
	all_done 10
}

@test "checkpoint: fsd is killed again and again; the guest is taken back all the same" {
	share_dir
	out=$BATS_TEST_TMPDIR/out
	"$L" --engine=kvm "${user[@]}" --no-reboot --stats --checkpoint --resets=60 --timeout=600 --max-restarts=1000 \
		--share="$BATS_TEST_TMPDIR/share" 64 "$guests/probe" console=ttyS0 t=cp-share < /dev/null > "$out" 2>&1 3>&- &
	pid=$!
	kill_often fsd 4
	all_done 60
}

@test "checkpoint: a directory that the guest writes to cannot be taken back" {
	local options
	mkdir "$BATS_TEST_TMPDIR/d"
	for options in "--share=$BATS_TEST_TMPDIR/d,rw" "--share=$BATS_TEST_TMPDIR/d,rw,max=1M"; do
		run "$L" "$options" --checkpoint 64 "$guests/probe"
		echo "$output"
		is_status 2
		[[ ${#lines[@]} == 1 && $output == *"a directory that the guest writes to cannot be taken back; leave rw out"* ]]
	done
}

@test "checkpoint: a disk that the guest writes cannot be taken back" {
	zero_disk
	run "$L" --block="$BATS_TEST_TMPDIR/disk" --checkpoint 64 "$guests/probe"
	echo "$output"
	is_status 2
	[[ ${#lines[@]} == 1 && $output == *"a file that the guest writes cannot be taken back"* ]]
}

@test "checkpoint: what cannot be combined with it is one line" {
	local options
	for options in "--block=x" "--vhost-user-blk=x" "--vhost-user-net=x" "--vhost-user-fs=x" "--engine=qemu" "--engine=lguest" \
		"--machine=riscv64"; do
		run "$L" "$options" --checkpoint 64 "$guests/probe"
		echo "$output"
		is_status 2
		[[ ${#lines[@]} == 1 && $output == *--checkpoint:* ]]
	done
	run "$L" run --checkpoint 64 "$guests/probe" -- true
	is_status 125
	[[ $output == *"--checkpoint: with run give --checkpoint-at=command instead"* ]]
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
