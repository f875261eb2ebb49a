# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154,SC2119,SC2120 # variables and arguments are the tests'
#
# Shared by the whole-program tests. As root, tools/run-bats runs each file in new PID and
# network namespaces, so that all processes and interfaces there belong to the test.

top=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
L=${LGUEST_SEP:-$top/build/bin/lguest-sep}
B=$(dirname "$L")
K=$top/.cache/kernel/vmlinuz
mem=128
append=
user=(--drop-to nobody)
own_namespaces=${OWN_NAMESPACES:-}

# Other users cannot use a build in root's home directory. There L becomes a copy that they can.
build_for_all()
{
	setpriv --reuid 1234 --regid 1235 --clear-groups --inh-caps=-all test -r "$L" && return
	cp -r "${L%/*}" "$BATS_TEST_TMPDIR/bin"
	L=$BATS_TEST_TMPDIR/bin/lguest-sep
}

need_root()
{
	[[ $EUID == 0 && -n $own_namespaces ]] || skip "needs root, and namespaces of its own (tools/run-bats)"
}

# Skips the test if guests of our own cannot run on /dev/kvm; $guests is their folder.
need_kvm_guests()
{
	need_root
	[[ -c /dev/kvm ]] || skip "no /dev/kvm"
	guests=$(dirname "$B")/tests/guest
	[[ -e $guests/probe ]] || skip "no freestanding guests: make guests"
}

# Skips the test if no user namespace can be made, for example in a chroot.
need_user_namespaces()
{
	unshare --user --map-root-user true 2> /dev/null &&
		setpriv --reuid 1234 --regid 1235 --clear-groups --inh-caps=-all unshare --user --mount true 2> /dev/null ||
		skip "this host (or a chroot) gives no user namespaces"
}

# Skips a test without passt, and otherwise gives it a network to take over; `ip link del cp0` ends that.
network_for_passt()
{
	command -v passt > /dev/null || skip "no passt (tools/quickstart install)"
	need_user_namespaces
	ip link set lo up
	ip link add cp0 type veth peer name cp1
	ip addr add 10.99.7.1/24 dev cp0
	ip link set cp0 up
	ip link set cp1 up
	ip route add default via 10.99.7.2
}

# Mounts a /dev/net/tun that all users may open over the host's; without udev only root may open
# that. The mount exists only in the tests' mount namespace.
need_tun_for_everybody()
{
	local node=$BATS_TEST_TMPDIR/tun
	[[ -c /dev/net/tun ]] || skip "no /dev/net/tun (modprobe tun)"
	mknod "$node" c 10 200 && chmod 666 "$node" && mount --bind "$node" /dev/net/tun ||
		skip "cannot mount a node of our own over /dev/net/tun"
	setpriv --reuid 1234 --regid 1235 --clear-groups --inh-caps=-all test -r /dev/net/tun -a -w /dev/net/tun
	true < /dev/net/tun || skip "device nodes cannot be opened on $BATS_TEST_TMPDIR (nodev)"
	own_tun=1
}

need_kernel()
{
	[[ -e $K && -e $top/.cache/initrd-test ]] || skip "no kernel: tools/quickstart kernel"
	command -v qemu-system-x86_64 > /dev/null || [[ -e /dev/kvm ]] || skip "no QEMU"
}

# guest_script: copies standard input to /test.sh of the guest; sets $initrd.
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

# boot [OPTION…]: runs a guest to its end; sets $status, and $out, the file with all output.
boot()
{
	boot_bg "$@"
	finish
}

# The same without waiting: $pid is lguest-sep's. cryptomgr.notests: the guest's kernel does not test its ciphers, which
# takes a tenth of the time that an emulated processor needs to boot it.
boot_bg()
{
	out=$BATS_TEST_TMPDIR/out
	# shellcheck disable=SC2086 # $append is words
	"$L" "${user[@]}" --initrd="$initrd" "$@" "$mem" "$K" console=hvc0 quiet no_timer_check cryptomgr.notests $append \
		< "${input:-/dev/null}" > "$out" 2>&1 3>&- 7>&- &
	pid=$!
}

# Guests that boot_bg starts from now on wait at each "read x" for tell_guest, so that they are
# still running when the test needs them, however slow it is.
guest_waits()
{
	input=$BATS_TEST_TMPDIR/input
	mkfifo "$input"
	exec 7<> "$input"
}

tell_guest()
{
	echo go >&7
}

# wait_until COMMAND...: waits until COMMAND succeeds, and discards its output
wait_until()
{
	local end=$((SECONDS + BUSY * 10))
	until "$@" > /dev/null 2>&1; do
		((SECONDS < end)) || { echo "did not come true: $*"; return 1; }
		sleep 0.1
	done
}

# Factor for the time limits of finish() and wait_for(), because the machine may be busy.
BUSY=10

finish() # [SECONDS on a quiet machine]
{
	local end=$((SECONDS + BUSY * ${1:-60}))
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

# Ends the guest without waiting for its power-off, by a second SIGTERM.
stop_now()
{
	while kill -TERM "$pid" 2> /dev/null; do
		sleep 0.2
	done
	finish
}

# wait_for TEXT [SECONDS]: waits until the guest or lguest-sep has printed TEXT
wait_for()
{
	local end=$((SECONDS + BUSY * ${2:-30}))
	until grep -aqF -- "$1" "$out"; do
		if ((SECONDS >= end)) || ! kill -0 "$pid" 2>/dev/null; then
			echo "never said: $1; but:"
			cat "$out"
			return 1
		fi
		sleep 0.1
	done
}

said() # TEXT: true if the guest has printed the line "T: TEXT"
{
	grep -aqxF -- "T: $1" "$out.clean" || { echo "not said: $1"; return 1; }
}

lacks() # PATTERN FILE: true if no line of FILE matches
{
	if grep -- "$1" "$2"; then
		return 1
	fi
}

is_status() # NUMBER
{
	[[ $status == "$1" ]] || { echo "status $status, not $1"; return 1; }
}

# role_pids NAME: prints the processes that run lguest-sep-NAME (or qemu), without spawners
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

# kill_often ROLE TIMES: kills the process ROLE of the guest $pid so often, each time a little later than it was started, and
# waits for the guest's end; $out.clean. Fails if no successor was started.
kill_often()
{
	local i
	for ((i = 0; i < $2; i++)); do
		wait_until eval '[[ -n $(role_pids '"$1"') ]] || ! kill -0 "$pid"'
		kill -0 "$pid" 2> /dev/null || break
		sleep 0.2
		kill -9 "$(role_pids "$1")" 2> /dev/null || true
	done
	finish 300
	grep -q 'it is started again' "$out.clean"
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

# Checks that nothing is left of a guest that has ended: no process, tap, or temporary file.
nothing_left()
{
	local i left=
	[[ -n $own_namespaces ]] || return 0
	for i in {1..100}; do
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
	[[ -z ${own_tun:-} ]] || umount /dev/net/tun
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

one_line() # true if $output is one line; otherwise prints it
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

# on_terminal COMMAND…: runs a guest on a terminal of its own. When the guest prints "ready",
# the output of COMMAND is typed. Sets $out, $status, and the terminal's settings in $before
# and $after. $inside: what the shell does when lguest-sep stops (SIGTSTP).
on_terminal()
{
	out=$BATS_TEST_TMPDIR/out
	before=$BATS_TEST_TMPDIR/before after=$BATS_TEST_TMPDIR/after
	cat > "$BATS_TEST_TMPDIR/inside" <<-END
		${inside:+set -m}
		cd "$BATS_TEST_TMPDIR"
		tty > tty
		stty -g > before
		$L ${user[*]} --initrd=$initrd $mem $K console=hvc0 quiet no_timer_check cryptomgr.notests ${background:+&}
		${inside:-}
		echo \$? > status
		stty -g > after
	END
	{
		for _ in {1..3000}; do
			sleep 0.1
			grep -aq 'T: ready' "$out" && break
		done
		"$@"
	} | timeout 600 script -qefc "bash $BATS_TEST_TMPDIR/inside" "$out" > /dev/null 2>&1 3>&-
	cat "$out"
	status=$(cat "$BATS_TEST_TMPDIR/status")
}
