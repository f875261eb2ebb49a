#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2154 # lib.bash's
# The control plane: pause, resume, nmi, sysrq.
load lib

setup_test()
{
	need_root
	need_kernel
}

# ctl WORD…: runs one command; sets $output and $status
ctl()
{
	run timeout $((BUSY * 30)) "$L" "$@"
	echo "$* -> $status: $output"
}

# The processor time of the processes given, in ticks.
ticks() # PID...
{
	local p sum=0 stat
	for p in "$@"; do
		stat=$(< "/proc/$p/stat")
		# shellcheck disable=SC2086
		set -- ${stat##*)}
		sum=$((sum + ${12} + ${13}))
	done
	echo "$sum"
}

# No role uses processor time for two seconds. A thread that waits for a processor stops when it gets one.
stands_still()
{
	local -a roles
	local before
	mapfile -t roles < <(vcpu_pids; role_pids blkd; role_pids netd)
	((${#roles[@]} >= $1))
	wait_until all_stopped "${roles[@]}"
	before=$(ticks "${roles[@]}")
	sleep 2
	[[ $(ticks "${roles[@]}") == "$before" ]]
}

all_stopped()
{
	local p
	for p in "$@"; do
		never grep -q '^State:[[:space:]]*[^Tt[:space:]]' "/proc/$p"/task/*/status || return 1
	done
}

uses_time() # PID...
{
	(($(ticks "$@") > used))
}

@test "pause stops every process, resume goes on; sysrq and nmi reach a stock kernel" {
	new_image disk 4
	guest_waits
	guest_script <<- 'END'
		exec 3< /dev/input/event0
		echo 1 > /proc/sys/kernel/sysrq
		while :; do :; done &
		(dd of=/dev/null bs=24 count=1 <&3 2> /dev/null && say asked && poweroff -f) &
		say ready
		while read -r x; do
			dd if=/dev/vda of=/dev/null bs=64k count=16 iflag=direct 2> /dev/null && say "read after $x"
		done
	END
	boot_bg --name=web --block="$BATS_TEST_TMPDIR/disk,ro" --timeout=3000
	wait_for "T: ready"
	ctl resume web
	[[ $status == 1 && $output == *"web: it is not paused" ]]
	ctl pause web
	[[ $status == 0 && -z $output ]]
	[[ $("$L" ps) == *"web "*" paused "* && $("$L" status web) == *"state       paused"* ]]
	stands_still 2
	ctl pause web
	[[ $status == 1 && $output == *"web: it is paused already" ]]
	for words in "nmi web" "sysrq web h"; do
		# shellcheck disable=SC2086
		ctl $words
		[[ $status == 1 && $output == *"web: it is paused; resume it first" ]]
	done
	ctl stats web
	[[ $status == 0 && $output == *"blk0 "* ]]
	tell_guest
	ctl resume web
	[[ $status == 0 && -z $output ]]
	wait_for "T: read after go"
	ctl sysrq web h
	[[ $status == 0 ]]
	wait_for "sysrq: HELP"
	ctl nmi web
	[[ $status == 0 ]]
	wait_for "NMI received for unknown reason"
	# A guest that is paused can be stopped at once.
	ctl pause web
	[[ $status == 0 ]]
	ctl stop web
	[[ $status == 0 ]]
	finish
	is_status 0
	said asked
}

@test "with QEMU a disk process that dies during a pause ends the guest, which would wait for it" {
	new_image disk 4
	guest_script <<< 'say ready; sleep 600'
	boot_bg --name=web --block="$BATS_TEST_TMPDIR/disk,ro"
	wait_for "T: ready"
	ctl pause web
	[[ $status == 0 ]]
	kill -9 "$(role_pids blkd)"
	finish
	is_status 4
	grep -q "blk0: its process ended; ending the guest: killed by signal 9" "$out.clean"
}

@test "sysrq on a serial port is a break and the key; input goes on after it" {
	guest_waits
	guest_script <<- 'END'
		say ready
		while read -r x; do say "got $x"; done
	END
	append=console=ttyS0
	boot_bg --name=web
	wait_for "T: ready"
	ctl sysrq web h
	[[ $status == 0 ]]
	wait_for "sysrq: HELP"
	tell_guest
	wait_for "T: got go"
	ctl sysrq web h2
	[[ $status == 2 ]]
	ctl sysrq web
	[[ $status == 2 ]]
	ctl kill web
	finish
	is_status 137
}

# A guest of our own on /dev/kvm (software KVM is sufficient) that never sleeps.
@test "kvm: pause stops every thread; a break with a key, and an NMI" {
	local guests
	need_kvm_guests
	out=$BATS_TEST_TMPDIR/out
	new_image disk 4
	"$L" --engine=kvm "${user[@]}" --no-reboot --name=own --timeout=3000 --smp=2 --block="$BATS_TEST_TMPDIR/disk" 64 "$guests/probe" \
		console=ttyS0 t=steer < /dev/null > "$out" 2>&1 3>&- &
	pid=$!
	wait_for ready
	ctl pause own
	[[ $status == 0 ]]
	stands_still 2
	# Each round finds the threads at another place.
	for _ in {1..20}; do
		ctl resume own
		[[ $status == 0 ]]
		ctl pause own
		[[ $status == 0 ]]
	done
	ctl resume own
	used=$(ticks "$(role_pids vcpu)")
	wait_until uses_time "$(role_pids vcpu)"
	ctl sysrq own k
	[[ $status == 0 ]]
	wait_for "waits"
	ctl nmi own
	[[ $status == 0 ]]
	finish
	is_status 0
	grep -qx 'break and k' "$out.clean"
	grep -qx 'NMIs 1' "$out.clean"
}
