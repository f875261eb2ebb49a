#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2154,SC2030,SC2031 # lib.bash's; bats runs each test in a subshell
# --shmem: a file of the host's is the memory of a PCI device of a guest of our own (tests/guest/shmem.c) on /dev/kvm;
# software KVM is sufficient.
load lib

setup_test()
{
	need_kvm_guests
	page=$BATS_TEST_TMPDIR/page
}

# guest TEST OPTION...: runs a guest of 64 MiB to its end; $status, $out.clean
guest()
{
	local t=$1
	shift
	out=$BATS_TEST_TMPDIR/out
	status=0
	"$L" --engine=kvm "${user[@]}" --no-reboot --timeout=600 "$@" 64 "$guests/probe" console=ttyS0 "t=$t" \
		< /dev/null > "$out" 2>&1 3>&- || status=$?
	tr -d '\r' < "$out" > "$out.clean"
	tail -n 30 "$out.clean"
}

passed()
{
	is_status 0
	lacks FAILED "$out.clean"
	grep -qx passed "$out.clean"
}

# word N: the number in the file's Nth 8 bytes
word()
{
	od -An -tu8 -j $((8 * $1)) -N 8 "$page" | tr -d ' '
}

# A file of $1 bytes that begins with the number 8721
page_of()
{
	printf '\x11\x22' > "$page"
	truncate -s "$1" "$page"
}

@test "shmem: guest and host see each other's bytes, and no register moves the memory over other memory" {
	local size
	for size in 4096 1048576; do
		page_of "$size"
		guest shmem --shmem="$page"
		passed
		grep -qx "bytes $size" "$out.clean"
		grep -qx "host 8721" "$out.clean"
		[[ $(word 1) == 8722 && $(word $((size / 8 - 1))) == $((0x5a5a)) ]]
		[[ $(stat -c %s "$page") == "$size" ]]
	done
}

@test "shmem: the largest file, beside other devices" {
	page_of 256M
	truncate -s 1M "$BATS_TEST_TMPDIR/disk"
	chmod 644 "$BATS_TEST_TMPDIR/disk"
	guest shmem --shmem="$page" --rng --block="$BATS_TEST_TMPDIR/disk,ro"
	passed
	grep -qx "bytes $((256 << 20))" "$out.clean"
}

@test "shmem: with ro the guest's writes have no effect" {
	page_of 8192
	cp "$page" "$page.was"
	guest shmem-ro --shmem="$page,ro"
	passed
	cmp "$page" "$page.was"
}

@test "shmem: no reset takes the file back; the device's registers go back" {
	guest shmem-reset --checkpoint --resets=50 --shmem="$page,size=64k"
	is_status 0
	lacks FAILED "$out.clean"
	[[ $(word 0) == 51 && $(word 8191) == 51 && $(stat -c '%a %s' "$page") == "600 65536" ]]
}

@test "shmem: a saved guest has no bytes of the file; each clone has its own file" {
	local saved=$BATS_TEST_TMPDIR/saved n
	page_of 64k
	printf 'secret-of-the-page' | dd of="$page" bs=1 seek=4096 conv=notrunc status=none
	guest shmem-reset --save="$saved" --resets=1 --shmem="$page"
	is_status 0
	lacks FAILED "$out.clean"
	lacks secret-of-the-page "$saved"
	for n in 1 2; do
		page=$BATS_TEST_TMPDIR/clone$n
		out=$BATS_TEST_TMPDIR/out
		"$L" "${user[@]}" --no-reboot --timeout=600 --from="$saved" --checkpoint --resets=10 --shmem="$page,size=64k" 64 \
			< /dev/null > "$out" 2>&1 3>&-
		lacks FAILED "$out"
		[[ $(word 0) == 11 ]]
	done
	run "$L" "${user[@]}" --quiet --from="$saved" --shmem="$page-2,size=4k" 64
	is_status 1
	[[ $output == *"the guest has a --shmem of 65536 bytes, and here it is 4096 bytes; give a file of that size"* ]]
	run "$L" "${user[@]}" --quiet --from="$saved" 64
	is_status 1
	[[ $output == *"the guest has a --shmem of 65536 bytes; give --shmem=FILE,size=65536" ]]
	guest cp-id --save="$saved-2" --resets=1
	is_status 0
	run "$L" "${user[@]}" --quiet --from="$saved-2" --shmem="$page" 64
	is_status 1
	[[ $output == *"the guest has no --shmem; leave it out" ]]
}

@test "shmem: a file that is shortened meanwhile ends the guest with one line" {
	out=$BATS_TEST_TMPDIR/out
	"$L" --engine=kvm "${user[@]}" --quiet --no-reboot --timeout=600 --shmem="$page,size=1M" 64 "$guests/probe" console=ttyS0 \
		t=shmem-cut < /dev/null > "$out" 2>&1 3>&- &
	pid=$!
	wait_for 'in use'
	truncate -s 4096 "$page"
	finish
	is_status 1
	[[ $(grep -c 'lguest-sep:' "$out") == 1 ]]
	grep -q -- '--shmem: the guest used a part of the file that is gone; was it shortened' "$out"
}

@test "shmem: a memory file by its descriptor; nothing of it is open in the vCPU process" {
	local name=shmem-$$
	out=$BATS_TEST_TMPDIR/out
	page_of 4096
	"$L" --engine=kvm "${user[@]}" --no-reboot --name="$name" --timeout=600 --shmem=/dev/fd/9 64 "$guests/probe" console=ttyS0 \
		t=shmem-cut 9<> "$page" < /dev/null > "$out" 2>&1 3>&- &
	pid=$!
	wait_for 'in use'
	"$L" audit "$name"
	for p in $(role_pids vcpu); do
		lacks "$page" <(readlink "/proc/$p/fd/"*)
		grep -q "rw-s .*$page\$" "/proc/$p/maps"
	done
	"$L" kill "$name"
	wait "$pid" || true
}

@test "shmem: other engines, and files that it cannot be, are one line" {
	local options
	page_of 4096
	for options in --engine=qemu --engine=lguest --machine=riscv64; do
		run "$L" "$options" --shmem="$page" 64 "$guests/probe"
		is_status 2
		[[ ${#lines[@]} == 1 && $output == *"--shmem=$page: only the kvm engine has this device"* ]]
	done
	for options in /dev/null "$BATS_TEST_TMPDIR" "$page,size=8k" "$BATS_TEST_TMPDIR/none"; do
		run "$L" --engine=kvm --shmem="$options" 64 "$guests/probe"
		echo "$output"
		is_status 1
		[[ ${#lines[@]} == 1 && $output == *--shmem=* ]]
	done
}
