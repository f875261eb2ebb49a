#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Invalid input: one line that names it, the right exit status, nothing left behind.
load lib

setup_test()
{
	need_root
	cd "$BATS_TEST_TMPDIR"
	[[ -e $K ]] || K=/bin/true
	new_image disk 1
}

teardown_test()
{
	! mountpoint -q mnt || umount mnt
	[[ -z ${loop:-} ]] || losetup -d "$loop"
}

# refused STATUS TEXT ARGUMENT…
refused()
{
	local want=$1 text=$2
	shift 2
	run timeout 200 "$L" "$@" < /dev/null
	echo "$* -> $status: $output"
	[[ $status == "$want" ]]
	# The warning about the emulator may precede the one line with the reason.
	mapfile -t lines < <(grep -v 'not a security boundary' <<< "$output")
	[[ ${#lines[@]} == 1 ]]
	[[ ${lines[0]} == *"$text"* ]]
	[[ ${lines[0]} == lguest-sep:* ]]
}

@test "usage: unknown user, option, engine; no memory, no kernel" {
	refused 2 nosuchuser --drop-to nosuchuser 64 "$K"
	refused 2 --nonsense --nonsense 64 "$K"
	refused 2 engine --engine=vmware 64 "$K"
	refused 2 0 --drop-to nobody 0 "$K"
	refused 2 many --drop-to nobody many "$K"
	refused 2 99999999999999999999 --drop-to nobody 99999999999999999999 "$K"
	refused 2 "--drop-to=nobody:" --drop-to nobody: 64 "$K"
	refused 2 "a value is missing" --block
	refused 2 --smp=0 --smp=0 64 "$K"
	refused 2 "" --drop-to nobody 64
	refused 2 "" --drop-to nobody
	refused 2 "" --timeout=x 64 "$K"
}

@test "usage: bad addresses" {
	refused 2 10.0.0.999 --tunnet=10.0.0.999 64 "$K"
	refused 2 10.0.0.1/33 --tunnet=10.0.0.1/33 64 "$K"
	refused 2 zz --tunnet=10.0.0.1:02:00:00:00:00:zz 64 "$K"
	refused 2 "(nothing)" --tunnet=10.0.0.1: 64 "$K"
	refused 2 "mtu=1:" --net=tap=t0,mtu=1 64 "$K"
	refused 2 01:00:00:00:00:01 --tunnet=10.0.0.1:01:00:00:00:00:01 64 "$K"
}

@test "host: files that are missing, or are not what they should be" {
	refused 1 nokernel 64 nokernel
	refused 1 nodisk --block=nodisk 64 "$K"
	refused 1 noinitrd --initrd=noinitrd 64 "$K"
	refused 1 /tmp --block=/tmp 64 "$K"
	refused 1 /tmp 64 /tmp
	refused 1 /tmp --initrd=/tmp 64 "$K"
	: > empty
	refused 1 empty 64 empty
	refused 1 --block=empty --block=empty 64 "$K"
	refused 1 --initrd=empty --initrd=empty 64 "$K"
	refused 1 "a character device" --block=/dev/null 64 "$K"
	refused 1 "a,b" --block=a,,b 64 "$K"
	refused 1 "is not a tap" --net=fd=3 64 "$K"
	refused 1 "--net=bridge=nobridge" --net=bridge=nobridge 64 "$K"
}

@test "host: the same disk twice, also under another name" {
	ln disk hard
	ln -s disk soft
	refused 1 disk --block=disk --block=disk 64 "$K"
	refused 1 hard --block=disk --block=hard 64 "$K"
	refused 1 soft --block=disk --block=soft 64 "$K"
	loop=$(losetup -f --show disk) || skip "no loop devices"
	refused 1 "$loop: the same file is given twice, also as --block=disk" --block=disk --block="$loop" 64 "$K"
	refused 1 "disk: the same file is given twice, also as --block=$loop" --block="$loop" --block=disk 64 "$K"
	refused 1 "$loop: the same file is given twice" --block="$loop" --block="$loop" 64 "$K"
}

@test "host: an image that is no raw disk, and a block that direct I/O cannot write" {
	cp disk image
	printf 'QFI\373\0\0\0\3' | dd of=image conv=notrunc status=none
	sum=$(sha256sum image)
	refused 1 "--block=image: this file is a qcow2 image" --block=image 64 "$K"
	[[ $output == *"qemu-img convert -O raw"*"--vhost-user-blk"*"format=raw"* ]]
	[[ $(sha256sum image) == "$sum" ]]
	refused 1 "--block=nodisk: cannot open it" --block=image,format=raw --block=nodisk 64 "$K"
	truncate -s 64M big
	loop=$(losetup -b 4096 -f --show big) || skip "no loop devices"
	mkfs.ext4 -q -F "$loop"
	mkdir -p mnt
	mount "$loop" mnt || skip "no mount of a loop device"
	truncate -s $((1024 * 1024 + 512)) mnt/disk
	refused 1 "direct=on needs blocks of 4096 bytes here" --block=mnt/disk,direct=on 64 "$K"
	refused 1 "direct=on needs blocks of 4096 bytes here" --block=mnt/disk,cache=none 64 "$K"
	refused 1 "--block=nodisk: cannot open it" --block=mnt/disk,direct=on,ro --block=nodisk 64 "$K"
	umount mnt
}

@test "host: more memory than there is; a bridge that is not there; an address in use" {
	refused 1 "" 16000000 "$K"
	refused 1 nobridge --tunnet=bridge:nobridge 64 "$K"
	refused 1 127.0.0.1 --tunnet=127.0.0.1 64 "$K"
}

@test "a kernel that is none: the line says what it is" {
	need_kernel
	echo "just some words" > words
	printf '\x89PNG\r\n\x1a\n....' > picture
	echo hello | gzip > packed
	head -c 100000 /dev/urandom > noise
	refused 1 "a text file" 64 words
	refused 1 "PNG" 64 picture
	refused 1 "a text file in a gzip file" 64 packed
	refused 1 "noise" 64 noise
	refused 1 "ELF" 64 /bin/busybox
	head -c 5000 "$K" > short
	gzip < "$K" | head -c 5000 > short.gz
	refused 1 "short.gz" 64 short.gz
	refused 1 "truncated" --engine=qemu 128 short
	refused 1 "give it more" --engine=qemu 48 "$K"
	head -c 4096 /dev/zero > arm64
	printf 'ARM\x64' | dd of=arm64 bs=1 seek=56 conv=notrunc status=none
	refused 1 "for aarch64; give --machine=aarch64" 64 arm64
	# Beside a disk, whose process ends with the connection, before it has begun.
	for engine in qemu kvm; do
		[[ $engine == qemu || -e /dev/kvm ]] || continue
		refused 1 "a text file" --engine=$engine --block=disk 64 words
	done
}

@test "a kernel that is packed as a whole, or of another boot protocol: the line says what it is and what to do" {
	need_kernel
	xz -0 < "$K" | head -c 100000 > kernel.xz
	printf '\x04\x22\x4d\x18and more' > kernel.lz4
	{ head -c 4096 /dev/zero; printf '\x02\xb0\xad\x1b\0\0\0\0\xfe\x4f\x52\xe4'; head -c 100 /dev/zero; } > multiboot
	# Version 2, 24 bytes, only an end tag
	{ head -c 4096 /dev/zero; printf '\xd6\x50\x52\xe8\0\0\0\0\x18\0\0\0\x12\xaf\xad\x17\0\0\0\0\x08\0\0\0'; } > multiboot2
	for engine in qemu kvm; do
		[[ $engine == qemu || -e /dev/kvm ]] || continue
		refused 1 "an xz file; unpack it first: xz -dc FILE > KERNEL" --engine=$engine 64 kernel.xz
		refused 1 "an lz4 file; unpack it first: lz4 -dc FILE > KERNEL" --engine=$engine 64 kernel.lz4
		refused 1 "the Multiboot 1 kernel is no ELF file, and its header has no addresses" --engine=$engine 64 multiboot
	done
	refused 1 "a Multiboot 2 kernel, which the qemu engine does not start; use --engine=kvm" --engine=qemu 64 multiboot2
	if [[ -x /usr/bin/qemu-system-aarch64 ]]; then
		printf '\x28\xb5\x2f\xfdand more' > Image.zst
		refused 1 "a zstd file; unpack it first: zstd -dc FILE > KERNEL" --machine=aarch64 64 Image.zst
		refused 1 "a Multiboot 1 kernel, for x86; give --machine=x86_64" --machine=aarch64 64 multiboot
	fi
	refused 1 "without a PVH entry" --engine=qemu 64 /bin/busybox
}

@test "a kernel and an initrd that do not both fit into memory are refused, whatever the engine" {
	need_kernel
	truncate -s 40M large
	for engine in qemu kvm; do
		[[ $engine == qemu || -e /dev/kvm ]] || continue
		refused 1 "do not both fit into the guest's memory" --engine=$engine --initrd=large 96 "$K"
	done
}

@test "a host that does not let root do what it needs: one line that says so" {
	need_kernel
	need_user_namespaces
	run unshare --user --map-root-user "$L" --block=disk 64 "$K" < /dev/null
	[[ $status == 1 ]]
	one_line
	[[ $output == *"--drop-to=nobody: no such user is mapped"* ]]
	run unshare --user --map-root-user "$L" doctor
	[[ $status == 1 && $output == *"no such user is mapped"* ]]
	run setpriv --bounding-set=-setuid --inh-caps=-setuid "$L" --block=disk 64 "$K" < /dev/null
	[[ $status == 1 ]]
	one_line
	[[ $output == *"--drop-to=nobody: "*CAP_SETUID* ]]
	run setpriv --bounding-set=-sys_admin --inh-caps=-sys_admin "$L" --engine=qemu --block=disk 64 "$K" < /dev/null
	[[ $status == 1 ]]
	one_line
	[[ $output == *CAP_SYS_ADMIN* ]]
	run setpriv --bounding-set=-sys_resource --inh-caps=-sys_resource \
		bash -c 'ulimit -n 100; exec "$@"' sh "$L" --block=disk 64 "$K" < /dev/null
	[[ $status == 1 ]]
	one_line
	[[ $output == *"ulimit -Hn"* ]]
	run bash -c 'ulimit -f 100; exec "$@"' sh "$L" --block=disk 64 "$K" < /dev/null
	[[ $status == 1 ]]
	one_line
	[[ $output == *"ulimit -f"* ]]
}

@test "help and version" {
	run "$L" --help
	[[ $status == 0 && $output == *"--tunnet"* && $output == *"--block"* ]]
	[[ $output == *"Press Ctrl-C three times within a second to quit."* ]]
	[[ $output =~ the\ user\ that\ all\ processes\ switch\ to\ once\ everything\ is\ open ]]
	local LC_ALL=C.UTF-8
	for line in "${lines[@]}"; do
		((${#line} <= 80)) || { echo "longer than 80 columns: $line"; return 1; }
	done
	run "$L" --version
	[[ $status == 0 && ${lines[0]} == "lguest-sep $(cat "$top/VERSION")" ]]
	# The budget: one line a policy, as policy/BUDGET has it (on x86-64).
	while read -r name calls rules bound _; do
		[[ $name != handover && $name != vcpu-load ]] || continue # never alone
		grep -qE "^ +$name +$calls calls, +$rules rules, +$bound of them" <<< "$output" ||
			{ echo "not said: $name $calls $rules $bound"; return 1; }
	done < <(grep -v '^#' "$top/policy/BUDGET")
	for option in --help --version; do
		run bash -c '"$@" > /dev/full' sh "$L" $option
		[[ $status == 1 && $output == *"$option: cannot write"* ]]
	done
}

@test "what make install lays out works wherever it is" {
	need_kernel
	make -s -C "$top" install DESTDIR="$BATS_TEST_TMPDIR/root" PREFIX=/opt/sep > /dev/null || skip "nothing built"
	mv root/opt/sep moved
	echo "just some words" > words
	L=$BATS_TEST_TMPDIR/moved/bin/lguest-sep
	refused 1 "a text file" --block=disk 64 words
	rm moved/libexec/lguest-sep/lguest-sep-blkd
	refused 1 "lguest-sep-blkd is neither in" --block=disk 64 words
}

@test "an ordinary user boots a guest with a disk; what needs a privilege is named" {
	need_kernel
	need_user_namespaces
	# Not the user nobody, whose ID all users have in a new user namespace.
	as=(setpriv --reuid 1234 --regid 1235 --clear-groups --inh-caps=-all)
	"${as[@]}" test -r "$K" -a -x "$L" || skip "$K cannot be read by everybody"
	chown 1234 disk
	guest_script <<< 'say "disk $(cat /sys/block/vda/size)"'
	chmod 777 "$BATS_TEST_TMPDIR"
	user=()
	out=$BATS_TEST_TMPDIR/out
	"${as[@]}" "$L" --block=disk --initrd="$initrd" "$mem" "$K" console=hvc0 quiet no_timer_check cryptomgr.notests \
		< /dev/null > "$out" 2>&1 3>&- &
	pid=$!
	finish
	is_status 0
	said "disk 2048"
	run "${as[@]}" "$L" --tunnet=10.99.4.1 "$mem" "$K" < /dev/null
	[[ $status == 1 ]]
	one_line
	[[ $output == *permission* || $output == *CAP_NET_ADMIN* ]]
}
