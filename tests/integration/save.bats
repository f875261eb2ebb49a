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

@test "save: each guest from a file has a generation ID of its own, unless it shall keep that of the saved guest" {
	local was ids=()
	save cp-id 1
	resets 1
	was=$(grep -m 1 '^id ' "$out.clean")
	for options in --vmgenid=new --vmgenid=new --vmgenid=same; do
		start --from="$saved" --checkpoint --resets=1 "$options" 64
		resets 1
		ids+=("$(grep -m 1 '^id ' "$out.clean")")
		[[ $options == *same ]] || grep -q '^interrupt 0*1$' "$out.clean"
	done
	[[ $was != "${ids[0]}" && $was != "${ids[1]}" && ${ids[0]} != "${ids[1]}" && $was == "${ids[2]}" ]]
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

# A disk of 1 MiB of zeros, written at a known time
zero_disk()
{
	disk=$BATS_TEST_TMPDIR/disk
	truncate -s 1M "$disk"
	chmod 666 "$disk"
	touch -d @1000000000 "$disk"
}

# from_too N OPTION...: a guest from the file, with the same options, returns to it N times
from_too()
{
	local n=$1
	shift
	start --from="$saved" --checkpoint --resets="$n" "$@" 64
	resets "$n"
}

# from_too_killed ROLE TIMES N OPTION...: the same, while its process ROLE is killed again and again
from_too_killed()
{
	local role=$1 times=$2 n=$3
	shift 3
	out=$BATS_TEST_TMPDIR/out
	"$L" --no-reboot "${user[@]}" --checkpoint --resets="$n" --timeout="$limit" --max-restarts=1000 --from="$saved" "$@" 64 \
		< /dev/null > "$out" 2>&1 3>&- &
	pid=$!
	kill_often "$role" "$times"
	resets "$n"
}

# The tests have a network namespace of their own (tools/run-bats).
nic=--tunnet=10.99.0.1/24,mac=02:00:00:00:00:07

@test "save: a read-only disk goes on, with its registers and rings; another image is one line" {
	zero_disk
	save cp-disk-ro 2 --block="$disk,ro"
	resets 2
	from_too 3 --block="$disk,ro"
	# Without --checkpoint
	start --from="$saved" --block="$disk,ro" 64
	is_status 9
	lacks FAILED "$out.clean"
	refused "the guest has 1 disks, NICs and shares, and this one 0; give the same ones" "$saved" 64
	truncate -s 2M "$disk.2"
	chmod 666 "$disk.2"
	refused "blk0: its image has 2048 sectors, and this one 4096; give the image of the saved guest" "$saved" \
		--block="$disk.2,ro" 64
	cp "$disk" "$disk.3"
	chmod 666 "$disk.3"
	touch -d @1000000001 "$disk.3"
	refused "blk0: its image was written at 1000000000, and this one at 1000000001 (stat -c %Y); give the image" "$saved" \
		--block="$disk.3,ro" 64
	refused "device 1 is a disk, and here a NIC; give the options in the same order" "$saved" "$nic" 64
	refused "blk0: it has queues=1, and here queues=2; give queues=1" "$saved" --block="$disk,ro,queues=2" 64
}

@test "save: a snapshot goes on with what the guest has changed, with io_uring and without, and after a reboot" {
	zero_disk
	truncate -s 3M "$disk.2"
	chmod 666 "$disk.2"
	save cp-disk 1 --block="$disk,snapshot" --block="$disk.2,snapshot"
	resets 1
	# Changed clusters only, of 4 MiB
	(($(stat -c '%s' "$saved") < 256 << 10))
	from_too 3 --block="$disk,snapshot" --block="$disk.2,snapshot"
	# Each start begins with the file's changes: what the guest wrote before the reboot is gone.
	reboots=--max-reboots=2
	start --from="$saved" --block="$disk,snapshot,io=sync" --block="$disk.2,snapshot" --verbose 64
	is_status 9
	lacks FAILED "$out.clean"
	cmp "$disk" <(head -c 1M /dev/zero)
	refused "blk0: the disk is a snapshot, and here ro; give the option of the saved guest" "$saved" --block="$disk,ro" \
		--block="$disk.2,snapshot" 64
}

@test "save: blkd is killed again and again in a guest from a file" {
	zero_disk
	save cp-disk-killed 1 --block="$disk,snapshot"
	resets 1
	from_too_killed blkd 2 15 --block="$disk,snapshot"
}

@test "save: a damaged part of a disk, and a full disk while it is written, are one line" {
	local size small=$BATS_TEST_TMPDIR/small
	zero_disk
	save cp-disk 1 --block="$disk,snapshot"
	size=$(stat -c '%s' "$saved")
	cp "$saved" "$saved.bit"
	printf '\377' | dd of="$saved.bit" bs=1 seek=$((size - 2000)) conv=notrunc status=none
	refused "blk0: what the guest had changed on its disk is damaged; save the guest again" "$saved.bit" --block="$disk,snapshot" 64
	head -c $((size - 1)) "$saved" > "$saved.cut"
	refused "blk0: what the guest had changed on its disk is damaged; save the guest again" "$saved.cut" --block="$disk,snapshot" 64
	{ cat "$saved" && echo; } > "$saved.long"
	refused "it is longer than it should be" "$saved.long" --block="$disk,snapshot" 64
	mkdir "$small"
	# Room for memory, and not for all changes
	mount -t tmpfs -o size=$(((size - 8192) / 1024))k none "$small"
	saved=$small/saved
	save cp-disk 1 --block="$disk,snapshot"
	is_status 1
	grep -qF -- '--save: cannot write the file: blk0: what the guest has changed on its disk: No space left on device; it is not complete' \
		"$out.clean"
	refused "it is not complete" "$saved" --block="$disk,snapshot" 64
	umount "$small"
}

@test "save: a NIC goes on, with one pair of queues and with two and the control queue; another MAC address is one line" {
	save cp-net 2 "$nic"
	resets 2
	from_too 3 "$nic"
	refused "net0: give mac=02:00:00:00:00:07, the saved guest's address; here it is 02:00:00:00:00:08" "$saved" \
		--tunnet=10.99.0.1/24,mac=02:00:00:00:00:08 64
	rm "$saved"
	save cp-net-pairs 1 "$nic,queues=2"
	resets 1
	from_too 2 "$nic,queues=2"
}

@test "save: with a disk, a NIC and two processors, two guests at once" {
	local i pids=() failed=0
	zero_disk
	save dirty-both 2 "$nic" --block="$disk,ro" --smp=2
	resets 2
	for i in 1 2; do
		# Each has a network of its own, because both have the same addresses.
		unshare -n "$L" "${user[@]}" --no-reboot --timeout=600 --from="$saved" --smp=2 "$nic" --block="$disk,ro" \
			--checkpoint --resets=20 64 < /dev/null > "$BATS_TEST_TMPDIR/guest.$i" 2>&1 3>&- &
		pids+=($!)
	done
	for i in "${pids[@]}"; do
		wait "$i" || failed=1
	done
	cat "$BATS_TEST_TMPDIR"/guest.*
	[[ $failed == 0 ]]
	[[ $(cat "$BATS_TEST_TMPDIR"/guest.* | grep -c 'vcpu: 20 resets') == 2 ]]
}

@test "save: netd is killed again and again in a guest from a file" {
	save cp-net-pairs 1 "$nic,queues=2"
	resets 1
	from_too_killed netd 2 10 "$nic,queues=2"
}

# share_dir: a directory with the files that the guest's tests need
share_dir()
{
	share=$BATS_TEST_TMPDIR/share
	mkdir -p "$share/dir"
	chmod 755 "$BATS_TEST_TMPDIR" "$share" "$share/dir"
	echo 'shared text' > "$share/file"
	touch "$share/dir/"{a,b,c,d} "$share/new"
	chmod 644 "$share/file" "$share/new" "$share/dir/"*
}

@test "save: what the guest knows and has open in a share goes on in two guests at once, also with a copy of the share" {
	local i pids=()
	share_dir
	save cp-share-reader 1 --share="$share"
	resets 1
	rm -rf "$share.2"
	cp -r "$share" "$share.2"
	chmod -R a+rX "$share.2"
	for i in "$share" "$share.2"; do
		"$L" "${user[@]}" --no-reboot --timeout=600 --from="$saved" --share="$i" --checkpoint --resets=2 64 \
			< /dev/null > "$BATS_TEST_TMPDIR/guest.${#pids[@]}" 2>&1 3>&- &
		pids+=($!)
	done
	for i in 0 1; do
		status=0
		wait "${pids[i]}" || status=$?
		tr -d '\r' < "$BATS_TEST_TMPDIR/guest.$i" > "$out.clean"
		cat "$out.clean"
		resets 2
		[[ $(grep -cx 'goes on: text' "$out.clean") == 3 ]]
	done
	# Without --checkpoint, and after a reboot (R is 82)
	reboots=--max-reboots=1
	start --from="$saved" --share="$share" 64
	is_status 9
	[[ $(grep -cx 'goes on: text' "$out.clean") == 1 ]]
	# Without the file, or with a directory in its place
	mv "$share/file" "$share/file.2"
	start --from="$saved" --share="$share" 64
	grep -q 'FAILED: READ' "$out.clean"
	mkdir "$share/file"
	start --from="$saved" --share="$share" 64
	grep -q 'FAILED: READ' "$out.clean"
}

@test "save: numbers and directories of a share go on, with queues and a disk, and while fsd is killed; audit" {
	local name=save-share-$$
	share_dir
	zero_disk
	save cp-share 1 --share="$share,queues=3,cache=none" --block="$disk,snapshot"
	resets 1
	from_too 3 --share="$share,queues=3,cache=none" --block="$disk,snapshot"
	[[ $(grep '^number' "$out.clean" | sort -u | wc -l) == 1 && $(grep '^handle' "$out.clean" | sort -u | wc -l) == 1 ]]
	from_too_killed fsd 2 80 --share="$share,queues=3,cache=none" --block="$disk,snapshot"
	out=$BATS_TEST_TMPDIR/audited
	"$L" "${user[@]}" --no-reboot --from="$saved" --save="$saved.2" --name="$name" --timeout=600 \
		--share="$share,queues=3,cache=none" --block="$disk,snapshot" 64 < /dev/null > "$out" 2>&1 3>&- &
	pid=$!
	wait_for 'handle'
	"$L" audit "$name"
	"$L" kill "$name"
	wait "$pid" || true
}

@test "save: another share or option of it is one line; so is a damaged part of the file" {
	local size
	share_dir
	save cp-share 1 --share="$share"
	size=$(stat -c '%s' "$saved")
	refused "fs0: its tag is fs0, and here other; give tag=fs0" "$saved" --share="$share,tag=other" 64
	refused "fs0: it has queues=1, and here queues=2; give queues=1" "$saved" --share="$share,queues=2" 64
	refused "fs0: it has cache=auto, and here cache=always; give cache=auto" "$saved" --share="$share,cache=always" 64
	refused "fs0: it has inodes=262144, and here inodes=100; give inodes=262144" "$saved" --share="$share,inodes=100" 64
	cp "$saved" "$saved.bit"
	printf '\377' | dd of="$saved.bit" bs=1 seek=$((size - 40)) conv=notrunc status=none
	refused "fs0: what the guest had open in its share is damaged; save the guest again" "$saved.bit" --share="$share" 64
	head -c $((size - 1)) "$saved" > "$saved.cut"
	refused "fs0: what the guest had open in its share is damaged; save the guest again" "$saved.cut" --share="$share" 64
	{ cat "$saved" && echo; } > "$saved.long"
	refused "it is longer than it should be" "$saved.long" --share="$share" 64
}

@test "save: a port goes on, with its messages; other ports are one line" {
	local port=$BATS_TEST_TMPDIR/port
	save cp-port 3 --port=p:"$port"
	resets 3
	[[ $(grep -cx round "$port") == 4 ]]
	rm "$port"
	from_too 5 --port=p:"$port"
	[[ $(grep -cx round "$port") == 6 ]]
	refused "the guest has 1 ports, and this one 0; give the --port options of the saved guest" "$saved" 64
	refused "port 1 of the guest is not named q; give the --port options of the saved guest" "$saved" --port=q:"$port.q" 64
}

@test "save: another machine, version or kind of file is one line" {
	save cp-rings 1 --rng
	refused "the guest has 64 MiB of memory, and MEM-MB says 128; give 64" "$saved" --rng 128
	refused "the guest has 1 processors, and --smp says 2; give --smp=1" "$saved" --rng --smp=2 64
	refused "the guest has an rng device; give --rng" "$saved" 64
	refused "change --exit-port" "$saved" --rng --exit-port=isa-debug-exit 64
	refused "it is not a file that --save has written" "$guests/probe" 64
	cp "$saved" "$saved.v5"
	printf '\005' | dd of="$saved.v5" bs=1 seek=8 conv=notrunc status=none
	refused "its format has version 5, and this lguest-sep reads version 4; save the guest again" "$saved.v5" --rng 64
	head -c 30000 "$saved" > "$saved.cut"
	refused "it is truncated after 30000 bytes" "$saved.cut" --rng 64
	cp "$saved" "$saved.bit"
	printf '\377' | dd of="$saved.bit" bs=1 seek=$(($(stat -c '%s' "$saved") - 100)) conv=notrunc status=none
	refused "its pages do not fit their checksum: it is damaged" "$saved.bit" --rng 64
}

@test "save: options that do not go together are one line" {
	local options
	for options in "--block=x" "--vhost-user-blk=x" "--vhost-user-net=x" "--vhost-user-fs=x" "--share=/tmp,rw" "--engine=qemu" "--engine=lguest" \
		"--machine=riscv64" "--boot-disk=x"; do
		run "$L" "$options" --save="$saved" 64 "$guests/probe"
		echo "$output"
		is_status 2
		[[ ${#lines[@]} == 1 && $output == *--save:* || $output == *--boot-disk=x* ]]
		run "$L" "$options" --from="$saved" 64
		echo "$output"
		is_status 2
		[[ ${#lines[@]} == 1 && $output == *--from:* ]]
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
