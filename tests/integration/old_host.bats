#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Hosts that cannot confine a guest (tests/host/old_host.c): they are refused before anything is opened or started. The
# same is checked on a real one by make check-lguest with a kernel of Linux 2.6.30.
load lib

old=$B/../tests/host/old-host
static=$B/../static/lguest-sep

setup()
{
	[[ -x $old && -x $static ]] || skip "not built: make tests"
	"$old" today true || skip "no seccomp filter can be installed here"
	result=$BATS_TEST_TMPDIR/result
	truncate -s 1M "$BATS_TEST_TMPDIR/disk"
}

# refused YEAR STATUS PROGRAM OPTION...
refused()
{
	local year=$1 expected=$2
	shift 2
	run timeout -k 5 60 "$old" "$year" "$@"
	echo "$output"
	[[ $status == "$expected" ]]
	[[ $(wc -l <<< "$output") == 1 ]]
	[[ $output == *"cannot confine a guest: it lacks seccomp filters"* ]]
}

@test "a host of 2009 is refused by one line that names what it lacks" {
	for program in "$L" "$static"; do
		refused 2009 1 "$program" --engine=lguest 16 /vmlinuz
		[[ $output == "lguest-sep: this host's kernel, Linux 2.6."* ]]
		[[ $output == *"it lacks seccomp filters, no_new_privs, prlimit64 (and memfd_create, execveat, getrandom,"* ]]
		[[ $output == *"use Linux 3.5 or later, built with CONFIG_SECCOMP_FILTER; /dev/lguest exists up to 4.13" ]]
	done
}

@test "a kernel of today without seccomp filters is refused, whatever the engine" {
	for engine in auto lguest kvm qemu; do
		refused today 1 "$L" --engine=$engine 16 /vmlinuz
		[[ $output == *"use one that was built with CONFIG_SECCOMP_FILTER" ]]
	done
}

@test "a refused host: the result file has the reason, run ends with 125, --detach with 1" {
	refused 2009 1 "$static" --result="$result" 16 /vmlinuz
	jq -e '.end == "host" and .status == 1 and (.supervisor.message | contains("lacks seccomp filters"))' "$result"
	refused 2009 125 "$L" run 16 /vmlinuz -- true
	refused 2009 1 "$L" --detach --name=x 16 /vmlinuz
}

@test "a refused host: no tap is made, no process started, no disk opened" {
	need_root
	strace -f -qq -e trace=openat,ioctl,clone,clone3,fork,vfork -o "$BATS_TEST_TMPDIR/trace" \
		"$old" 2009 "$L" --tunnet=10.66.0.1/24 --block="$BATS_TEST_TMPDIR/disk" 16 /vmlinuz || [[ $? == 1 ]]
	grep -q 'openat.*/etc/passwd' "$BATS_TEST_TMPDIR/trace" # it was traced
	! grep -E 'clone|fork|/dev/(net|kvm|lguest)|TUNSETIFF|test/.*disk' "$BATS_TEST_TMPDIR/trace" || false
}

@test "the static program is the ordinary one, but for nftables" {
	need_kvm_guests
	"$static" --version | cmp - <("$L" --version)
	run timeout -k 5 120 "$static" --engine=kvm "${user[@]}" --tunnet=10.66.0.1/24 16 "$guests/probe" poweroff
	echo "$output"
	[[ $status == 0 ]]
	[[ $output == *"this host lacks: nftables rules for a tap"* ]]
}
