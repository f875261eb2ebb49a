# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154,SC2119,SC2120 # variables and arguments are the tests'
#
# What the whole-program tests share. tools/run-bats gives them, as root, pid and
# network namespaces of their own: what is seen there is the test's alone.

top=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
L=${LGUEST_SEP:-$top/build/bin/lguest-sep}
B=$(dirname "$L")
K=$top/.cache/kernel/vmlinuz
mem=128
append=
user=(--drop-to nobody)
own_namespaces=${OWN_NAMESPACES:-}

need_root()
{
	[[ $EUID == 0 && -n $own_namespaces ]] || skip "needs root, and namespaces of its own (tools/run-bats)"
}

# A user namespace of root's or of an ordinary user's own; not to be had in a chroot.
need_user_namespaces()
{
	unshare --user --map-root-user true 2> /dev/null &&
		setpriv --reuid 1234 --regid 1235 --clear-groups --inh-caps=-all unshare --user --mount true 2> /dev/null ||
		skip "this host (or a chroot) gives no user namespaces"
}

need_kernel()
{
	[[ -e $K && -e $top/.cache/initrd-test ]] || skip "no kernel: tools/quickstart kernel"
	command -v qemu-system-x86_64 > /dev/null || [[ -e /dev/kvm ]] || skip "no QEMU"
}

# guest_script: standard input becomes /test.sh of the guest; sets $initrd.
guest_script()
{
	local dir
	dir=$(mktemp -d "$BATS_TEST_TMPDIR/guest.XXXX")
	mkdir "$dir/root"
	cat > "$dir/root/test.sh"
	initrd=$dir/initrd
	"$top/tools/initramfs" --add "$top/.cache/initrd-test" "$initrd" "$dir/root"
	chmod 755 "$BATS_RUN_TMPDIR" "$BATS_RUN_TMPDIR/test" "$BATS_TEST_TMPDIR" "$dir"
}

# boot [OPTION…]: run a guest to its end; sets $status, and $out, the file with all it said.
boot()
{
	boot_bg "$@"
	finish
}

# The same without waiting: $pid is lguest-sep's.
boot_bg()
{
	out=$BATS_TEST_TMPDIR/out
	# shellcheck disable=SC2086 # $append is words
	"$L" "${user[@]}" --initrd="$initrd" "$@" "$mem" "$K" console=hvc0 quiet $append \
		< /dev/null > "$out" 2>&1 3>&- &
	pid=$!
}

finish() # [SECONDS]
{
	local end=$((SECONDS + ${1:-60}))
	while kill -0 "$pid" 2>/dev/null && ((SECONDS < end)); do
		sleep 0.1
	done
	if kill -0 "$pid" 2>/dev/null; then
		echo "still running; it said:"
		cat "$out"
		kill -9 "$pid"
		return 1
	fi
	status=0
	wait "$pid" || status=$?
	tr -d '\r' < "$out" > "$out.clean"
	cat "$out.clean" # seen only when the test fails
}

# wait_for TEXT [SECONDS]: until the guest or lguest-sep has said it.
wait_for()
{
	local end=$((SECONDS + ${2:-30}))
	until grep -aqF -- "$1" "$out"; do
		if ((SECONDS >= end)) || ! kill -0 "$pid" 2>/dev/null; then
			echo "never said: $1; but:"
			cat "$out"
			return 1
		fi
		sleep 0.1
	done
}

said() # TEXT: as a whole line of the guest, "T: TEXT"
{
	grep -aqxF -- "T: $1" "$out.clean" || { echo "not said: $1"; return 1; }
}

lacks() # PATTERN FILE: which has no such line
{
	if grep -- "$1" "$2"; then
		return 1
	fi
}

is_status() # NUMBER
{
	[[ $status == "$1" ]] || { echo "status $status, not $1"; return 1; }
}

# role_pids NAME: processes that run lguest-sep-NAME (or qemu), spawners not among them
role_pids()
{
	local p exe
	for p in /proc/[0-9]*; do
		exe=$(readlink "$p/exe" 2>/dev/null) || continue
		case $exe in
		*/"lguest-sep-$1" | */"$1") echo "${p#/proc/}" ;;
		esac
	done
}

vcpu_pids()
{
	role_pids vcpu
	role_pids qemu-system-x86_64
}

our_pids()
{
	local p
	for p in /proc/[0-9]*; do
		case $(readlink "$p/exe" 2>/dev/null) in
		*/lguest-sep | */lguest-sep-* | */qemu-system-*) echo "${p#/proc/}" ;;
		esac
	done
}

# Nothing may be left of a guest that has ended: no process, tap, or temporary file.
nothing_left()
{
	local i left=
	[[ -n $own_namespaces ]] || return 0
	for i in 1 2 3 4 5 6 7 8 9 10; do
		left=$(our_pids)
		[[ -n $left ]] || break
		sleep 0.1
	done
	# shellcheck disable=SC2086
	[[ -z $left ]] || { echo "processes left:" $left; kill -9 $left; return 1; }
	left=$(ip -o link show type tun | cut -d : -f 2)
	[[ -z $left ]] || { echo "taps left: $left"; return 1; }
	left=$(find /tmp /var/tmp /dev/shm -maxdepth 1 -type f -name '*lguest*' -newer "$BATS_TEST_TMPDIR/began" 2>/dev/null)
	[[ -z $left ]] || { echo "files left: $left"; return 1; }
}

setup()
{
	touch "$BATS_TEST_TMPDIR/began"
	if declare -F setup_test > /dev/null; then
		setup_test
	fi
}

teardown()
{
	if [[ -n ${pid:-} ]] && kill -0 "$pid" 2>/dev/null; then
		kill -9 "$pid"
		wait "$pid" || true
	fi
	if declare -F teardown_test > /dev/null; then
		teardown_test
	fi
	nothing_left
}

# new_image NAME MIB: random contents, in $BATS_TEST_TMPDIR
new_image()
{
	dd if=/dev/urandom of="$BATS_TEST_TMPDIR/$1" bs=1M count="$2" status=none
	chmod 666 "$BATS_TEST_TMPDIR/$1"
}

sum() # FILE [BYTES FROM THE START]
{
	if [[ -n ${2:-} ]]; then
		head -c "$2" "$1" | md5sum | cut -d ' ' -f 1
	else
		md5sum < "$1" | cut -d ' ' -f 1
	fi
}

one_line() # the only line of $output, or says what there is
{
	[[ ${#lines[@]} == 1 ]] || { echo "not one line: $output"; return 1; }
}

# The command must fail: a bare "! command" does not fail a test of bats.
never() # COMMAND...
{
	if "$@"; then
		return 1
	fi
}

# on_terminal COMMAND…: run a guest on a terminal of its own, with COMMAND (whose
# output is what is typed) from the moment it says "ready". Leaves $out, $status, and the
# terminal's settings in $before and $after. $inside: what the shell does when the guest stops.
on_terminal()
{
	out=$BATS_TEST_TMPDIR/out
	before=$BATS_TEST_TMPDIR/before after=$BATS_TEST_TMPDIR/after
	cat > "$BATS_TEST_TMPDIR/inside" <<-END
		${inside:+set -m}
		cd "$BATS_TEST_TMPDIR"
		stty -g > before
		$L ${user[*]} --initrd=$initrd $mem $K console=hvc0 quiet
		${inside:-}
		echo \$? > status
		stty -g > after
	END
	{
		for _ in $(seq 300); do
			sleep 0.1
			grep -aq 'T: ready' "$out" && break
		done
		"$@"
	} | timeout 60 script -qefc "bash $BATS_TEST_TMPDIR/inside" "$out" > /dev/null 2>&1 3>&-
	cat "$out"
	status=$(cat "$BATS_TEST_TMPDIR/status")
}
