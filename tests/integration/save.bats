#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2154,SC2030,SC2031 # lib.bash's; bats runs each test in a subshell
# --save and --from: a guest of our own (tests/guest/checkpoint.c) on /dev/kvm is written to a file, and others start from
# it; software KVM is sufficient.
load lib

setup_test()
{
	need_kvm_guests
	saved=$BATS_TEST_TMPDIR/saved
	reboots=--no-reboot
	limit=600
}

# start [OPTION...]: runs a guest to its end; $status, $out.clean
start()
{
	out=$BATS_TEST_TMPDIR/out
	status=0
	"$L" "${user[@]}" "$reboots" --timeout="$limit" "$@" < /dev/null > "$out" 2>&1 3>&- || status=$?
	tr -d '\r' < "$out" > "$out.clean"
	tail -n 30 "$out.clean"
}

# save TEST RESETS [OPTION...]: a guest of 64 MiB that asks for a checkpoint, then for resets
save()
{
	local t=$1 n=$2
	shift 2
	start --engine=kvm --save="$saved" --resets="$n" "$@" 64 "$guests/probe" console=ttyS0 "t=$t"
}

# resets N: the output has no complaint of the guest, and all N resets are done
resets()
{
	is_status 0
	lacks FAILED "$out.clean"
	grep -q "^lguest-sep: vcpu: $1 resets, [0-9]* a second\$" "$out.clean"
}

# The file is refused with status 1 and one line that has TEXT; nothing crashes.
refused() # TEXT FILE [OPTION...]
{
	local text=$1 file=$2
	shift 2
	start --quiet --from="$file" "$@"
	is_status 1
	[[ $(grep -cv 'this host lacks' "$out.clean") == 1 ]]
	grep -qF "lguest-sep: $file: " "$out.clean"
	grep -qF -- "$text" "$out.clean"
}

@test "save: a guest from the file finds memory, registers, MSRs, timers, controllers and devices as they were" {
	save checkpoint 1
	resets 1
	grep -q '^lguest-sep: vcpu: --save: wrote [0-9]* KiB of the guest.s memory in [0-9]* microseconds$' "$out.clean"
	[[ $(stat -c '%a' "$saved") == 600 ]]
	# Only pages that hold data: the guest has 64 MiB.
	(($(stat -c '%s' "$saved") < 1 << 20))
	start --from="$saved" --checkpoint --resets=3 64
	resets 3
	[[ $(grep -c '^round' "$out.clean") == 4 ]]
}

@test "save: 32 MiB of data; the other pages of a guest from the file take no memory" {
	save cp-full 1
	is_status 0
	grep -q '^all there' "$out.clean"
	(($(stat -c '%s' "$saved") > 32 << 20 && $(stat -c '%s' "$saved") < 33 << 20))
	start --from="$saved" 64
	is_status 0
	grep -q '^all there' "$out.clean"
	lacks FAILED "$out.clean"
}

@test "save: the rings of console and rng work on in a guest from the file" {
	save cp-rings 1 --rng
	resets 1
	start --from="$saved" --rng --checkpoint --resets=5 64
	resets 5
	[[ $(grep -c '^through the ring' "$out.clean") == 6 ]]
}

@test "save: with two processors; several guests at once start from one file, which does not change" {
	local i pids=() failed=0 before
	save reset-two 1 --smp=2
	resets 1
	before=$(sum "$saved")
	for i in 1 2 3; do
		"$L" "${user[@]}" --no-reboot --timeout=600 --from="$saved" --smp=2 --checkpoint --resets=20 64 \
			< /dev/null > "$BATS_TEST_TMPDIR/guest.$i" 2>&1 3>&- &
		pids+=($!)
	done
	for i in "${pids[@]}"; do
		wait "$i" || failed=1
	done
	cat "$BATS_TEST_TMPDIR"/guest.*
	[[ $failed == 0 ]]
	[[ $(cat "$BATS_TEST_TMPDIR"/guest.* | grep -c 'vcpu: 20 resets') == 3 ]]
	[[ $(sum "$saved") == "$before" ]]
	# Without --checkpoint a request for a reset is a report like any other (R is 82).
	start --from="$saved" --smp=2 64
	is_status 9
	grep -q 'the guest reported 82 through its exit port' "$out.clean"
}

@test "save: lguest-sep checkpoint, audit, and a guest that goes on where the other was" {
	local name=save-$$ n
	out=$BATS_TEST_TMPDIR/out
	"$L" --engine=kvm "${user[@]}" --no-reboot --save="$saved" --name="$name" --timeout=600 64 "$guests/probe" \
		console=ttyS0 t=cp-host < /dev/null > "$out" 2>&1 3>&- &
	pid=$!
	wait_for 'tick 10'
	"$L" audit "$name"
	"$L" checkpoint "$name"
	wait_for '--save: wrote'
	"$L" audit "$name"
	"$L" checkpoint "$name"
	wait_for 'later ones are not written'
	"$L" kill "$name"
	wait "$pid" || true
	"$L" "${user[@]}" --no-reboot --from="$saved" --name="$name" --timeout=600 64 < /dev/null > "$out" 2>&1 3>&- &
	pid=$!
	wait_for 'tick'
	"$L" audit "$name"
	n=$(tr -d '\r' < "$out" | sed -n 's/^tick //p' | head -n 1)
	((n >= 10))
	wait_for "tick $((n + 20))"
	"$L" kill "$name"
	wait "$pid" || true
}

@test "save: after a reboot a guest starts from the file again; the file has the first checkpoint of all starts" {
	reboots=--max-reboots=2
	save cp-reboot 1
	is_status 7
	[[ $(grep -c '^before' "$out.clean") == 3 && $(grep -c '^after' "$out.clean") == 3 ]]
	[[ $(grep -c -- '--save: wrote' "$out.clean") == 1 ]]
	[[ $(grep -c 'later ones are not written' "$out.clean") == 2 ]]
	start --from="$saved" 64
	is_status 7
	[[ $(grep -c '^before' "$out.clean") == 0 && $(grep -c '^after' "$out.clean") == 3 ]]
}

@test "save: without a checkpoint, a line says that no guest can start from the file" {
	save exit0 1
	grep -q -- '--save: no checkpoint was taken, so no guest can start from the file' "$out.clean"
	run "$L" --from="$saved" 64
	is_status 1
	[[ $output == *"--from=$saved: this is an empty file"* ]]
}

@test "save: an existing file is not touched, and a full disk ends the guest with a line and status 1" {
	local small=$BATS_TEST_TMPDIR/small
	echo text > "$saved"
	save cp-rings 1 --rng
	is_status 1
	grep -qF -- "--save=$saved: cannot create it: File exists; remove it, or choose another name" "$out.clean"
	[[ $(cat "$saved") == text ]]
	mkdir "$small"
	mount -t tmpfs -o size=48k none "$small"
	saved=$small/saved
	save cp-rings 1 --rng
	is_status 1
	grep -qF -- '--save: cannot write the file: No space left on device; it is not complete' "$out.clean"
	refused "it is not complete" "$saved" --rng 64
	umount "$small"
	ulimit -f 16 # KiB
	saved=$BATS_TEST_TMPDIR/short
	save cp-rings 1 --rng
	is_status 1
}

@test "save: another machine, version or kind of file is one line" {
	save cp-rings 1 --rng
	refused "the guest has 64 MiB of memory, and MEM-MB says 128; give 64" "$saved" --rng 128
	refused "the guest has 1 processors, and --smp says 2; give --smp=1" "$saved" --rng --smp=2 64
	refused "the guest has an rng device; give --rng" "$saved" 64
	refused "change --exit-port" "$saved" --rng --exit-port=isa-debug-exit 64
	refused "it is not a file that --save has written" "$guests/probe" 64
	cp "$saved" "$saved.v2"
	printf '\002' | dd of="$saved.v2" bs=1 seek=8 conv=notrunc status=none
	refused "its format has version 2, and this lguest-sep reads version 1; save the guest again" "$saved.v2" --rng 64
	head -c 30000 "$saved" > "$saved.cut"
	refused "it is truncated after 30000 bytes" "$saved.cut" --rng 64
	cp "$saved" "$saved.bit"
	printf '\377' | dd of="$saved.bit" bs=1 seek=$(($(stat -c '%s' "$saved") - 100)) conv=notrunc status=none
	refused "its pages do not fit their checksum: it is damaged" "$saved.bit" --rng 64
}

@test "save: options that do not go together are one line" {
	local options
	for options in "--block=x" "--vhost-user-blk=x" "--net=bridge=b" "--share=/tmp" "--port=p:x" "--engine=qemu" "--engine=lguest" \
		"--machine=riscv64" "--boot-disk=x"; do
		run "$L" "$options" --save="$saved" 64 "$guests/probe"
		echo "$output"
		is_status 2
		[[ ${#lines[@]} == 1 && $output == *--save:* || $output == *--boot-disk=x:* ]]
		run "$L" "$options" --from="$saved" 64
		echo "$output"
		is_status 2
		[[ ${#lines[@]} == 1 && $output == *--from:* || $output == *--boot-disk=x:* ]]
	done
	run "$L" --from="$saved" 64 "$guests/probe" console=ttyS0
	is_status 2
	[[ ${#lines[@]} == 1 && $output == *"leave KERNEL ($guests/probe) and its words out"* ]]
	run "$L" --from="$saved"
	is_status 2
	[[ ${#lines[@]} == 1 && $output == *"MEM-MB is missing"* ]]
	run "$L" --from="$saved" --initrd=x 64
	is_status 2
	[[ $output == *"--initrd: the saved guest has its own"* ]]
	run "$L" --from="$saved" --save="$saved" 64
	is_status 2
	[[ $output == *"--save=$saved: this is the file of --from"* ]]
	run "$L" run --save="$saved" 64 "$guests/probe" -- true
	is_status 125
	[[ $output == *"run: it starts a kernel for its command; leave --save out"* ]]
	[[ ! -e $saved ]]
}

# Files whose checksums fit, with changed records: each is refused, or its guest runs or ends; no process is ended by its
# filter or by a signal, and the status is one of those for guests and files. tests/long/hostile-files has more of them.
@test "save: hostile files end in a line" {
	local i
	command -v python3 > /dev/null || skip "no python3"
	save checkpoint 1
	limit=0.2
	for ((i = 0; i < 6; i++)); do
		rm -f "$saved.$i"
		python3 "$top/tests/lib/hostile_save.py" "$saved" "$saved.$i" "$i"
		start --quiet --from="$saved.$i" --checkpoint --resets=2 64
		[[ $status == [013569] ]]
		lacks 'ended by its filter\|signal\|its process ended' "$out.clean"
		rm "$saved.$i"
	done
}
