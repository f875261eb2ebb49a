#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# The confinement of every process while a guest runs, as /proc shows it.
load lib

setup_test()
{
	need_root
	need_kernel
	new_image disk 4
	guest_script <<< 'say ready; dd if=/dev/vda of=/dev/null bs=64k 2>/dev/null; ip link set eth0 up; say busy; sleep 100'
	GLIBC_TUNABLES=glibc.malloc.arena_max=1 OF_THE_CALLER=1 boot_bg --rng --block="$BATS_TEST_TMPDIR/disk" --tunnet=10.99.3.1/24
	wait_for "T: busy"
	blkd=$(role_pids blkd)
	netd=$(role_pids netd)
	vcpu=$(vcpu_pids)
	spawners=$(role_pids init)
}

teardown_test()
{
	stop_now
}

@test "there is one process per device, one vCPU process, one spawner each" {
	[[ $(wc -w <<< "$blkd") == 1 ]]
	[[ $(wc -w <<< "$netd") == 1 ]]
	[[ $(wc -w <<< "$vcpu") == 1 ]]
	[[ $(wc -w <<< "$spawners") == 3 ]]
}

@test "no process has root's id, a group, a capability, or a way to gain one" {
	for p in $pid $blkd $netd $vcpu $spawners; do
		s=$(cat "/proc/$p/status")
		echo "== $p $(readlink "/proc/$p/exe")"
		echo "$s" | grep -E '^(Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp)'
		read -r _ a b c d <<< "$(grep ^Uid: <<< "$s")"
		((a && b && c && d))
		read -r _ a b c d <<< "$(grep ^Gid: <<< "$s")"
		((a && b && c && d))
		[[ -z $(sed -n 's/^Groups:[[:space:]]*//p' <<< "$s") ]]
		[[ $(grep -cE '^Cap(Inh|Prm|Eff|Bnd|Amb):	0000000000000000$' <<< "$s") == 5 ]]
		grep -qx 'NoNewPrivs:	1' <<< "$s"
		grep -qx 'Seccomp:	2' <<< "$s"
	done
}

@test "no process but the supervisor has a word of the caller's environment" {
	grep -q GLIBC_TUNABLES "$out"
	tr '\0' '\n' < "/proc/$pid/environ" | grep -qx OF_THE_CALLER=1
	for p in $blkd $netd $vcpu $spawners; do
		tr '\0' '\n' < "/proc/$p/environ" > "$BATS_TEST_TMPDIR/environ"
		never grep -vxE 'LC_ALL=C|MALLOC_ARENA_MAX=1' "$BATS_TEST_TMPDIR/environ"
	done
}

@test "each role has namespaces that neither we nor its siblings have" {
	for ns in mnt pid net ipc uts cgroup; do
		seen=$(readlink "/proc/self/ns/$ns")
		for p in $blkd $netd $vcpu; do
			n=$(readlink "/proc/$p/ns/$ns")
			echo "$ns of $p: $n"
			[[ -n $n && $seen != *"$n"* ]]
			seen+=" $n"
		done
	done
}

@test "blkd and netd have an empty read-only root; QEMU's shows nothing that can be written" {
	for p in $blkd $netd; do
		[[ -z $(ls -A "/proc/$p/root/") ]]
		grep ' / / ' "/proc/$p/mountinfo"
		[[ $(awk '$5 == "/" { print $6 }' "/proc/$p/mountinfo" | tail -n 1) == ro* ]]
	done
	awk '$6 !~ /^ro/ && $5 != "/proc"' "/proc/$vcpu/mountinfo" > "$BATS_TEST_TMPDIR/writable"
	cat "$BATS_TEST_TMPDIR/writable"
	[[ ! -s $BATS_TEST_TMPDIR/writable ]]
	for p in root home etc/shadow; do
		[[ ! -e /proc/$vcpu/root/$p ]]
	done
}

# What may be open at each number of a helper (common/fdtab.h).
helper_fd() # NUMBER LINK
{
	case $1 in
	0 | 1) [[ $2 == /dev/null ]] ;;
	2) [[ $2 == pipe:* ]] ;;
	3 | 4 | 5 | 13) [[ $2 == socket:* ]] ;;
	6) [[ $role == netd && $2 == socket:* ]] || # the tap's nftables rules
		[[ $role == blkd && ($2 == "$BATS_TEST_TMPDIR/disk" || $2 == */disk) ]] ;;
	7) [[ $role == blkd && ($2 == "$BATS_TEST_TMPDIR/disk" || $2 == */disk) ]] ;;
	8) [[ $2 == *eventpoll* ]] ;;
	9) [[ $2 == *io_uring* ]] ;;
	10) [[ $role == blkd && $2 == *eventfd* ]] ;;
	11) [[ $2 == *timerfd* ]] ;;
	12) [[ $2 == /memfd:* ]] ;;
	1[6-9] | [2-5][0-9] | 6[0-3]) [[ $2 == *eventfd* ]] ;;
	6[4-9] | 7[0-9]) [[ $role == netd && $2 == */net/tun ]] ;;
	*) false ;;
	esac
}

@test "each helper has the descriptors of its table and no other" {
	for role in blkd netd; do
		p=${!role}
		for fd in "/proc/$p/fd/"*; do
			link=$(readlink "$fd")
			echo "$role ${fd##*/} $link"
			helper_fd "${fd##*/}" "$link"
		done
	done
	[[ -e /proc/$blkd/fd/6 && $(readlink "/proc/$netd/fd/6") != */disk ]]
	[[ -e /proc/$netd/fd/64 && ! -e /proc/$blkd/fd/64 ]]
	for p in $blkd $netd; do
		awk '/Max open files/ { exit !($4 == 98 && $5 == 98) }' "/proc/$p/limits"
		awk '/Max processes/ { exit !($3 == 0 && $4 == 0) }' "/proc/$p/limits"
		awk '/Max core file size/ { exit !($5 == 1 && $6 == 1) }' "/proc/$p/limits"
	done
	awk '/Max file size/ { exit !($4 == 0 && $5 == 0) }' "/proc/$netd/limits"
}

@test "the vCPU process has no disk, no tap, no terminal, and no path of the host" {
	for fd in "/proc/$vcpu/fd/"*; do
		link=$(readlink "$fd")
		echo "${fd##*/} $link"
		[[ $link == pipe:* || $link == socket:* || $link == anon_inode:* || $link == /memfd:* ||
			$link == /dev/kvm || $link == /dev/null ]]
	done
	awk '/Max file size/ { exit !($4 == 0 && $5 == 0) }' "/proc/$vcpu/limits"
}

@test "only the vCPU process and the helpers map guest memory" {
	for p in $blkd $netd $vcpu; do
		grep -q 'memfd:.*guest' "/proc/$p/maps"
	done
	for p in $pid $spawners; do
		never grep 'memfd:.*guest' "/proc/$p/maps"
	done
	never grep -E 'rwxs|r-xs' /proc/"$blkd"/maps /proc/"$netd"/maps
}

@test "nothing listens, and QEMU's network namespace is empty" {
	for p in $blkd $netd $vcpu; do
		never grep -vE 'lo:|Inter|face' "/proc/$p/net/dev"
	done
}
