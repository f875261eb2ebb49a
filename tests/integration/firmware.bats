#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2154 # lib.bash's
# --boot-disk, --cdrom: the firmware boots a boot sector (tests/guest/boot/sector.S) from a disk or a CD.
load lib

setup_test()
{
	sector=$(dirname "$B")/tests/guest/boot/sector
	[[ -e $sector ]] || skip "no freestanding guests: make guests"
	command -v qemu-system-x86_64 > /dev/null || skip "no qemu-system-x86_64"
	img=$BATS_TEST_TMPDIR/disk.img
}

# sector LETTER TEXT: makes the disk, whose boot sector prints TEXT and does what LETTER stands for
sector()
{
	{ cat "$sector"; printf '%s%s\r\n' "$1" "$2"; } > "$img"
	truncate -s 1M "$img"
	chmod 666 "$img"
}

# boot STATUS [SETTING] [OPTION...]: boots the disk and checks the status; sets $output
boot()
{
	local want=$1 setting=${2-}
	shift $(($# < 2 ? 1 : 2))
	[[ "$*" == *--timeout=* ]] || set -- --timeout=$((BUSY * 20)) "$@"
	run "$L" --quiet "${user[@]}" "$@" --boot-disk="$img$setting" 16 < /dev/null 3>&-
	output=${output//$'\r'/}
	echo "boot $setting $*: $status"
	echo "$output"
	[[ $status == "$want" ]]
}

# iso LETTER TEXT: the same as a CD (El Torito, no emulation), whose sectors have 2048 bytes
iso()
{
	at() { dd of="$img" bs=1 seek="$1" conv=notrunc status=none; }
	truncate -s 64K "$img"
	chmod 666 "$img"
	printf '%s%s\r\n' "$1" "$2" | at 2048
	printf '\1CD001\1' | at $((16 * 2048))
	printf '\0CD001\1EL TORITO SPECIFICATION' | at $((17 * 2048))
	printf '\22\0\0\0' | at $((17 * 2048 + 71)) # the catalogue is in sector 18
	printf '\1' | at $((18 * 2048))
	printf '\252\125\125\252\210\0\0\0\0\0\1\0\23' | at $((18 * 2048 + 28)) # checksum; bootable; in sector 19
	at $((19 * 2048)) < "$sector"
}

@test "firmware: SeaBIOS boots a sector from IDE, virtio and SATA; how it ends decides the status" {
	sector o passed
	boot 0 ,bus=virtio --exit-port
	[[ $output == *"a boot sector"*passed* ]]
	boot 0 "" --exit-port --machine=i386:q35
	[[ $output == *"a boot sector"*passed* ]]
	sector f failed
	boot 9 ,ro --exit-port
	[[ $output == *failed*"the guest reported 3 through its exit port" ]]
	sector v "a VGA card"
	boot 0 "" --exit-port
	sector i twice
	boot 0 ,snapshot
	[[ $output == *twice*twice* ]]
	sector h hangs
	boot 5 "" --timeout=2
	sector t "triple fault"
	boot 7 "" --no-reboot
	sector l "for ever"
	boot 5 "" --cpu-timeout=1 --console="$BATS_TEST_TMPDIR/console,max=64k"
	[[ $(stat -c %s "$BATS_TEST_TMPDIR/console") -le 65536 ]]
}

@test "firmware: a disk keeps what the guest writes, but not with snapshot; ro refuses it" {
	local bus
	for bus in ide virtio; do
		sector w first
		boot 0 ,bus=$bus --exit-port --max-reboots=1
		[[ $output == *first*first* && $(dd if="$img" bs=1 skip=512 count=1 status=none) == o ]]
		sector w kept
		boot 9 ,ro,bus=$bus --exit-port
		[[ $(dd if="$img" bs=1 skip=512 count=1 status=none) == w ]]
	done
	boot 0 ,snapshot --exit-port --max-reboots=1
	[[ $(dd if="$img" bs=1 skip=512 count=1 status=none) == w ]]
}

@test "firmware: a CD boots, and nobody writes to it" {
	iso o "from a CD"
	run "$L" --quiet "${user[@]}" --timeout=$((BUSY * 20)) --exit-port --cdrom="$img" 16 < /dev/null 3>&-
	[[ $status == 0 && $output == *"from a CD"* ]]
	iso w "from a CD"
	run "$L" --quiet "${user[@]}" --timeout=$((BUSY * 20)) --exit-port --cdrom="$img" 16 < /dev/null 3>&-
	[[ $status == 9 && $(dd if="$img" bs=1 skip=2048 count=1 status=none) == w ]]
}

@test "firmware: audit finds nothing weaker in a guest without a kernel" {
	out=$BATS_TEST_TMPDIR/out
	sector h hangs
	"$L" --quiet "${user[@]}" --name=boots --timeout=$((BUSY * 30)) --boot-disk="$img" 16 < /dev/null > "$out" 2>&1 3>&- &
	pid=$!
	wait_for hangs
	run "$L" audit boots
	echo "$output"
	stop_now
	[[ $output == *blk0* && $output != *"another kind of descriptor"* ]]
}

@test "firmware: a file of the user's is the firmware; wrong files are one clear line" {
	local bios=$BATS_TEST_TMPDIR/bios
	[[ -r /usr/share/seabios/bios-256k.bin ]] || skip "no SeaBIOS"
	sector o passed
	# Only root may read it, as a file of root's with --drop-to.
	install -m 600 /usr/share/seabios/bios-256k.bin "$bios"
	boot 0 "" --exit-port --firmware="$bios"
	[[ $output == *passed* ]]
	boot 1 "" --firmware="$bios.none"
	[[ $output == "lguest-sep: --firmware=$bios.none: cannot open it: No such file or directory" ]]
	boot 1 "" --firmware="$BATS_TEST_TMPDIR"
	[[ $output == "lguest-sep: --firmware=$BATS_TEST_TMPDIR: this is a directory, not a file" ]]
	truncate -s 65M "$bios"
	boot 1 "" --firmware="$bios"
	[[ $output == "lguest-sep: --firmware=$bios: it is larger than 64 MiB"* ]]
	truncate -s 100k "$bios"
	boot 1 "" --firmware="$bios"
	[[ $output == "lguest-sep: --firmware=$bios: the firmware of an x86 machine is a multiple of 64 KiB long, and this file has 102400 bytes" ]]
	: > "$bios"
	boot 1 "" --firmware="$bios"
	[[ $output == "lguest-sep: --firmware=$bios: this is an empty file" ]]
}

@test "firmware: a package that is not installed is named" {
	truncate -s 1M "$BATS_TEST_TMPDIR/empty"
	while read -r machine name package file; do
		[[ ! -e $file ]] || continue
		missing=1
		run "$L" --machine="$machine" --firmware="$name" --boot-disk="$BATS_TEST_TMPDIR/empty" 64 < /dev/null
		[[ $status == 1 ]]
		[[ $output == "lguest-sep: --firmware=$name: $file: No such file or directory; install it (Debian: apt install $package)" ]]
	done <<-END
		x86_64 ovmf ovmf /usr/share/ovmf/OVMF.fd
		arm ovmf qemu-efi-arm /usr/share/AAVMF/AAVMF32_CODE.fd
		aarch64 u-boot u-boot-qemu /usr/lib/u-boot/qemu_arm64/u-boot.bin
	END
	[[ -n ${missing:-} ]] || skip "all of them are installed"
}

@test "firmware: wrong files for --boot-disk are one clear line" {
	boot 1
	[[ $output == "lguest-sep: --boot-disk=$img: cannot open it: No such file or directory"* ]]
	mkdir "$img"
	boot 1
	[[ $output == "lguest-sep: --boot-disk=$img: this is a directory"* ]]
	rmdir "$img"
	: > "$img"
	boot 1
	[[ $output == "lguest-sep: --boot-disk=$img: it has less than one sector"* ]]
}
