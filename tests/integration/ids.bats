#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# If the target user has subordinate IDs, every role has an ID of its own, and everything
# works as without them: the end, a reboot, a dead helper.
load lib

setup_test()
{
	need_root
	need_kernel
	echo "nobody:300000:65536" > "$BATS_TEST_TMPDIR/ids"
	touch /etc/subuid /etc/subgid
	mount --bind "$BATS_TEST_TMPDIR/ids" /etc/subuid
	mount --bind "$BATS_TEST_TMPDIR/ids" /etc/subgid
	new_image disk 4
}

teardown_test()
{
	umount /etc/subuid /etc/subgid 2>/dev/null || true
}

ids() # PID: "uid gid"
{
	awk '/^[UG]id:/ { printf "%s%s", $1 == "Uid:" ? "" : " ", $2 }' "/proc/$1/status"
}

@test "roles have ids of their own from /etc/subuid, before and after a reboot" {
	guest_script <<- 'EOF'
		n=$(dd if=/dev/vda bs=1 count=1 2>/dev/null)
		[ "$n" = 2 ] && { say second; read -r x; poweroff -f; }
		say first
		printf 2 | dd of=/dev/vda bs=1 conv=notrunc 2>/dev/null; sync
		read -r x
		reboot -f
	EOF
	guest_waits
	boot_bg --rng --block="$BATS_TEST_TMPDIR/disk" --tunnet=10.99.8.1/24
	for turn in first second; do
		wait_for "T: $turn"
		seen=
		for p in $(role_pids blkd) $(role_pids netd) $(vcpu_pids); do
			echo "$turn: $p $(ids "$p")"
			read -r uid gid <<< "$(ids "$p")"
			((uid >= 300000 && uid < 365536 && gid >= 300000 && gid < 365536))
			[[ $seen != *" $uid "* ]]
			seen+=" $uid "
		done
		[[ $(wc -w <<< "$seen") == 3 ]]
		read -r uid _ <<< "$(ids "$pid")"
		[[ $uid == "$(id -u nobody)" ]]
		tell_guest
	done
	finish
	is_status 0
}

@test "several lines and numeric names of /etc/subuid count together" {
	printf '%s\n' "nobody:300000:1" "other:1:5" "$(id -u nobody):310000:2" > "$BATS_TEST_TMPDIR/ids"
	guest_script <<< 'say ready; sleep 100'
	boot_bg --strict --block="$BATS_TEST_TMPDIR/disk" --tunnet=10.99.8.1/24
	wait_for "T: ready"
	for p in $(role_pids blkd) $(role_pids netd) $(vcpu_pids); do
		read -r uid _ <<< "$(ids "$p")"
		[[ $uid == 300000 || $uid == 31000[01] ]]
	done
	kill -9 "$pid"
}

@test "one user ID for all roles is a missing layer, which --strict refuses" {
	echo "nobody:300000:1" > "$BATS_TEST_TMPDIR/ids"
	guest_script <<< 'say ready'
	boot --block="$BATS_TEST_TMPDIR/disk"
	is_status 0
	grep -a 'this host lacks user ID of its own (/etc/subuid): ' "$out.clean"
	boot --strict --block="$BATS_TEST_TMPDIR/disk"
	is_status 1
	grep -a 'user ID of its own (/etc/subuid).*--strict: not started' "$out.clean"
}
