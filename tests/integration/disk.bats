#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Disks from both sides: the guest reads and writes the same bytes as the host.
load lib

setup_test()
{
	need_root
	need_kernel
	cd "$BATS_TEST_TMPDIR"
}

@test "host to guest and guest to host: the same bytes, on two disks in order" {
	new_image one 16
	new_image two 5
	was=$(sum one)
	two=$(sum two)
	guest_script <<-'END'
		for d in vda vdb; do
			say "$d $(($(cat /sys/block/$d/size) / 2048)) MiB $(dd if=/dev/$d bs=64k 2>/dev/null | md5sum | cut -d ' ' -f 1)"
		done
		dd if=/dev/urandom of=/tmp/new bs=1M count=6 2>/dev/null
		dd if=/tmp/new of=/dev/vda bs=4k seek=512 conv=notrunc,fsync 2>/dev/null
		say "wrote $(md5sum < /tmp/new | cut -d ' ' -f 1)"
	END
	boot --block=one --block=two
	is_status 0
	said "vda 16 MiB $was"
	said "vdb 5 MiB $two"
	said "wrote $(dd if=one bs=1M skip=2 count=6 status=none | md5sum | cut -d ' ' -f 1)"
	[[ $(stat -c %s one) == $((16 << 20)) ]]
	[[ $(sum two) == "$two" ]]
}

@test "a file system made and written by the guest is sound on the host" {
	truncate -s 32M fs
	chmod 666 fs
	command -v e2fsck > /dev/null || skip "no e2fsck"
	mkfs.ext4 -q -F fs
	guest_script <<-'END'
		mount -t ext4 /dev/vda /mnt && say mounted
		mkdir /mnt/d
		for i in $(seq 1 50); do echo "$i" > "/mnt/d/$i"; done
		cp /bin/busybox /mnt/busybox
		umount /mnt
		say "sum $(md5sum < /bin/busybox | cut -d ' ' -f 1)"
	END
	boot --block=fs
	is_status 0
	said "mounted"
	e2fsck -fn fs
	said "sum $(debugfs -R 'cat /busybox' fs 2>/dev/null | md5sum | cut -d ' ' -f 1)"
}

@test "ro: the guest sees a read-only disk and cannot write it" {
	new_image disk 4
	was=$(sum disk)
	chmod 444 disk
	guest_script <<-'END'
		say "ro $(cat /sys/block/vda/ro)"
		dd if=/dev/zero of=/dev/vda bs=4k count=1 conv=fsync 2>/dev/null || say refused
		say "reads $(dd if=/dev/vda bs=64k 2>/dev/null | md5sum | cut -d ' ' -f 1)"
	END
	boot --block=disk,ro
	is_status 0
	said "ro 1"
	said "refused"
	said "reads $was"
	[[ $(sum disk) == "$was" ]]
}

@test "snapshot: the guest reads back what it wrote, and the image keeps nothing of it" {
	new_image disk 4
	was=$(sum disk)
	guest_script <<-'END'
		say "first $(dd if=/dev/vda bs=64k 2>/dev/null | md5sum | cut -d ' ' -f 1)"
		dd if=/dev/urandom of=/tmp/new bs=4k count=100 2>/dev/null
		dd if=/tmp/new of=/dev/vda bs=4k seek=7 conv=notrunc,fsync 2>/dev/null && say written
		echo 3 > /proc/sys/vm/drop_caches
		[ "$(dd if=/dev/vda bs=4k skip=7 count=100 2>/dev/null | md5sum)" = "$(md5sum < /tmp/new)" ] && say same
	END
	boot --block=disk,snapshot
	is_status 0
	said "first $was"
	said "written"
	said "same"
	[[ $(sum disk) == "$was" ]]
}

@test "serial=: the guest reads it" {
	new_image disk 1
	guest_script <<< 'say "serial $(cat /sys/block/vda/serial)"'
	boot --block=disk,serial=HELLO-1234
	is_status 0
	said "serial HELLO-1234"
}

@test "one image is one guest's: the second is refused while the first has it" {
	new_image disk 1
	guest_script <<< 'say ready; sleep 60'
	boot_bg --block=disk
	wait_for "T: ready"
	run "$L" "${user[@]}" --block=disk "$mem" "$K" < /dev/null
	[[ $status == 1 ]]
	one_line
	[[ $output == *disk* ]]
	stop_now
	is_status 143
}

@test "discard gives room back; write-zeroes leaves zeroes" {
	new_image disk 8
	guest_script <<-'END'
		say "discard $(($(cat /sys/block/vda/queue/discard_max_bytes) > 0))"
		say "zeroes $(($(cat /sys/block/vda/queue/write_zeroes_max_bytes) > 0))"
		blkdiscard -o 1048576 -l 4194304 /dev/vda && say discarded
		say "reads $(dd if=/dev/vda bs=1M skip=1 count=4 2>/dev/null | tr -d '\0' | wc -c)"
	END
	grep -q blkdiscard <(busybox --list) || skip "this busybox has no blkdiscard"
	before=$(du -k disk | cut -f 1)
	boot --block=disk
	is_status 0
	said "discard 1"
	said "discarded"
	said "reads 0"
	(($(du -k disk | cut -f 1) <= before - 4000))
}

@test "as many devices as a guest can have come up in their order" {
	local i devices=()
	for i in {1..31}; do
		printf 'disk%s' "$i" | dd of="$BATS_TEST_TMPDIR/d$i" bs=512 conv=sync status=none
		chmod 666 "$BATS_TEST_TMPDIR/d$i"
		devices+=(--block="$BATS_TEST_TMPDIR/d$i")
	done
	devices+=(--tunnet=10.99.9.1/24:02:00:00:00:00:20)
	guest_script <<-'END'
		for d in vda vdz vdaa vdae; do
			say "$d $(dd if=/dev/$d bs=8 count=1 2>/dev/null | tr -d '\0')"
		done
		say "eth0 $(cat /sys/class/net/eth0/address)"
	END
	boot --engine=qemu --rng "${devices[@]}"
	is_status 0
	said "vda disk1"
	said "vdz disk26"
	said "vdaa disk27"
	said "vdae disk31"
	said "eth0 02:00:00:00:00:20"
}

@test "a disk of one sector, smaller than what blkd notes of its requests" {
	truncate -s 512 "$BATS_TEST_TMPDIR/tiny"
	chmod 666 "$BATS_TEST_TMPDIR/tiny"
	guest_script <<-'END'
		say "size $(cat /sys/block/vda/size)"
		printf abcd | dd of=/dev/vda conv=notrunc,fsync 2>/dev/null && say written
	END
	boot --block="$BATS_TEST_TMPDIR/tiny"
	is_status 0
	said "size 1"
	said written
	[[ $(head -c 4 "$BATS_TEST_TMPDIR/tiny") == abcd && $(stat -c %s "$BATS_TEST_TMPDIR/tiny") == 512 ]]
}
