#!/usr/bin/env bats
# Helpers that die are restarted; the guest notices only a pause.
load lib

setup_test()
{
	need_root
	need_kernel
}

# kill_role NAME: kills that role with SIGKILL, and waits until its successor exists. A disk's must also serve, because
# QEMU forgets a disk whose process ends while it connects again (parent/supervise/restart.c): needs --verbose.
kill_role()
{
	local old new= served
	old=$(role_pids "$1")
	[[ -n $old ]] || { echo "no $1"; return 1; }
	served=$(grep -ac 'blk0: serves again' "$out" || true)
	kill -9 "$old"
	if [[ $1 == blkd ]]; then
		wait_until eval '(($(grep -ac "blk0: serves again" "$out") > served))'
		return
	fi
	for _ in {1..600}; do
		new=$(role_pids "$1")
		[[ -n $new && $new != "$old" ]] && return 0
		sleep 0.1
	done
	echo "$1 was not started again"
	return 1
}

@test "blkd is killed under load: nothing is lost, and its successor is confined as it was" {
	new_image disk 16
	guest_script <<-'END'
		say ready
		i=0
		while [ $i -lt 30 ]; do
			dd if=/dev/urandom of=/tmp/x bs=1M count=1 2>/dev/null
			dd if=/tmp/x of=/dev/vda bs=64k seek=$((i % 16 * 16)) conv=fsync 2>/dev/null
			echo 3 > /proc/sys/vm/drop_caches
			a=$(md5sum < /tmp/x)
			b=$(dd if=/dev/vda bs=64k skip=$((i % 16 * 16)) count=16 2>/dev/null | md5sum)
			[ "$a" = "$b" ] || say "lost $i"
			i=$((i + 1))
		done
		read -r x
		say "sum $(md5sum < /dev/vda | cut -d ' ' -f 1)"
	END
	guest_waits
	boot_bg --verbose --max-restarts=20 --block="$BATS_TEST_TMPDIR/disk"
	wait_for "T: ready"
	before=$(grep -E '^(Uid|Gid|Cap|NoNewPrivs|Seccomp)' "/proc/$(role_pids blkd)/status")
	for _ in 1 2 3 4; do
		sleep 0.7
		kill_role blkd
	done
	after=$(grep -E '^(Uid|Gid|Cap|NoNewPrivs|Seccomp)' "/proc/$(role_pids blkd)/status")
	tell_guest
	finish 60
	is_status 0
	[[ $before == "$after" ]] || { echo "$before"; echo "$after"; return 1; }
	never grep -a 'T: lost' "$out.clean"
	said "sum $(sum "$BATS_TEST_TMPDIR/disk")"
	[[ $(grep -ac 'blk0: serves again' "$out.clean") == 4 ]]
}

@test "netd is killed: a transfer goes on, and so does the next one" {
	guest_script <<-'END'
		ip link set lo up; ip addr add 10.99.8.2/24 dev eth0; ip link set eth0 up
		say ready
		i=0; ok=0
		while [ $i -lt 60 ]; do
			ping -c 1 -W 10 10.99.8.1 > /dev/null 2>&1 && ok=$((ok + 1))
			i=$((i + 1)); usleep 100000
		done
		read -r x
		say "answers $((ok > 45 ? 1 : 0))"
		say "last $(ping -c 3 -W 10 10.99.8.1 > /dev/null 2>&1 && echo yes)"
	END
	guest_waits
	boot_bg --verbose --max-restarts=20 --tunnet=10.99.8.1/24
	wait_for "T: ready"
	for _ in 1 2 3; do
		sleep 1.5
		kill_role netd
	done
	tell_guest
	finish 60
	is_status 0
	said "answers 1"
	said "last yes"
	[[ $(grep -ac 'net0: serves again' "$out.clean") == 3 ]]
}

@test "--max-restarts: one more ends the guest with status 8 and one line" {
	new_image disk 4
	guest_script <<< 'say ready; sleep 100'
	boot_bg --verbose --max-restarts=2 --block="$BATS_TEST_TMPDIR/disk"
	wait_for "T: ready"
	kill_role blkd
	kill_role blkd
	kill -9 "$(role_pids blkd)"
	finish 20
	is_status 8
	[[ $(grep -ac 'lguest-sep: blk0: .*--max-restarts=2' "$out.clean") == 1 ]]
}

@test "with QEMU a disk process that dies while the guest does not use the disk ends the guest, which would wait for it" {
	new_image disk 4
	guest_script <<-'END'
		dd if=/dev/vda of=/dev/null bs=4k count=1 2> /dev/null && say works
		device=$(readlink -f /sys/block/vda/device)
		echo "${device##*/}" > /sys/bus/virtio/drivers/virtio_blk/unbind && say unused
		sleep 600
	END
	boot_bg --max-restarts=20 --block="$BATS_TEST_TMPDIR/disk"
	wait_for "T: unused"
	grep -aq "T: works" "$out"
	kill -9 "$(role_pids blkd)"
	finish 20
	is_status 4
	grep -a "blk0: its process ended; ending the guest: killed by signal 9 .*; QEMU would not use another one now" "$out.clean"
}

@test "a snapshot's contents survive a reboot and a killed blkd, and end with lguest-sep" {
	new_image disk 8
	before=$(sum "$BATS_TEST_TMPDIR/disk")
	guest_script <<-'END'
		if [ "$(dd if=/dev/vda bs=5 count=1 2>/dev/null)" != again ]; then
			printf again | dd of=/dev/vda conv=notrunc 2>/dev/null
			dd if=/dev/zero of=/dev/vda bs=64k seek=16 count=16 conv=notrunc 2>/dev/null
			sync
			reboot -f
			sleep 30
		fi
		say second
		read -r x
		echo 3 > /proc/sys/vm/drop_caches
		say "head $(dd if=/dev/vda bs=5 count=1 2>/dev/null)"
		say "zeroes $(dd if=/dev/vda bs=64k skip=16 count=16 2>/dev/null | tr -d '\0' | wc -c)"
		say "base $(dd if=/dev/vda bs=64k skip=32 2>/dev/null | md5sum | cut -d ' ' -f 1)"
	END
	guest_waits
	boot_bg --verbose --block="$BATS_TEST_TMPDIR/disk,snapshot"
	wait_for "T: second" 30
	kill_role blkd
	tell_guest
	finish 60
	is_status 0
	said "head again"
	said "zeroes 0"
	said "base $(dd if="$BATS_TEST_TMPDIR/disk" bs=64k skip=32 status=none | md5sum | cut -d ' ' -f 1)"
	[[ $(sum "$BATS_TEST_TMPDIR/disk") == "$before" ]]
}

@test "blkd and netd killed under a load that verifies: nothing lost, twice, or late" {
	[[ -x ${B%/bin}/tests/restart-kills ]] || skip "make ${B%/bin}/tests/restart-kills"
	LONG_BUILD=${B%/bin} "$top/tests/long/helper-kills" 40
}
