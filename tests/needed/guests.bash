# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2154 # the variables are those of tests/needed/run
#
# What guests do for tests/needed/run: each piece runs $dir/bin/lguest-sep with a
# guest of tests/guest on /dev/kvm, or with one of the double of /dev/lguest, and
# ends with status 0 if all was done and no filter ended a process. Together the
# pieces of a policy need each of its lines.

user=()
((EUID)) || user=(--drop-to nobody)

kvm_pieces=(window line console rings rng typed reboot terminal)
# Some of the names of a line, and the piece that needs it: that one runs first.
piece_of()
{
	case $1 in
	*KVM_IRQ_LINE* | *VFD_QCALL0*) echo line ;;
	*KVM_SIGNAL_MSI* | *VFD_OWNKICK0*) echo console ;;
	*VFD_QERR0*) echo rings ;;
	getrandom*) echo rng ;;
	kill* | rt_sigreturn* | *VFD_CON_IN* | *"recvmsg 0==VFD_CTL"*) echo typed ;;
	memfd_create* | ftruncate* | fcntl* | newfstatat*) echo reboot ;;
	ioctl*TC* | ioctl*TIOC*) echo terminal ;;
	*) echo window ;;
	esac
}

guest() # STATUS OPTION... TEST: status and words of a guest of ours
{
	local want=$1 test=${*: -1} status=0
	shift
	timeout -k 1 30 "$dir/bin/lguest-sep" --engine=kvm "${user[@]}" --timeout=20 "${@:1:$#-1}" 64 \
		"$B/tests/guest/probe" "t=$test" < /dev/null > "$dir/said" 2>&1 || status=$?
	((status == want)) && unfiltered
}

unfiltered()
{
	never grep -aq 'ended by its filter' "$dir/said"
}

never()
{
	if "$@"; then
		return 1
	fi
}

until_true() # COMMAND...: ten seconds, while lguest-sep is there
{
	local i
	for ((i = 0; i < 500; i++)); do
		"$@" && return
		kill -0 "$pid" 2>/dev/null || return
		sleep 0.02
	done
	return 1
}

said() { grep -aq -- "$1" "$dir/said"; }
in_state() { grep -q "^State:.$1" "/proc/$pid/status"; }
not_in_state() { never in_state "$1"; }

# What is typed reaches the guest; and each signal does what it says.
signals()
{
	until_true said '^type' || return
	kill -USR1 "$pid" && until_true said 'vcpu .*exits' || return
	kill -TSTP "$pid" && until_true in_state T || return
	kill -CONT "$pid" && until_true not_in_state T || return
	# a fault's handler puts the terminal back and returns to the fault, which here there is none of
	kill -SEGV "$pid" && printf 'abcq' >&"$typed"
}

piece_typed()
{
	local typed pid status=0
	rm -f "$dir/typed"
	mkfifo "$dir/typed"
	exec {typed}<> "$dir/typed"
	"$dir/bin/lguest-sep" --engine=kvm "${user[@]}" --timeout=20 64 "$B/tests/guest/probe" t=typed \
		< "$dir/typed" > "$dir/said" 2>&1 {typed}>&- &
	pid=$!
	signals || { kill -CONT "$pid"; kill -KILL "$pid"; } 2>/dev/null
	wait "$pid" 2>/dev/null || status=$?
	exec {typed}>&-
	((status == 0)) && said '^passed' && unfiltered
}

# On a terminal, which is raw meanwhile.
piece_terminal()
{
	local status=0
	timeout -k 1 30 "$B/tests/host/on-pty" type q "$dir/bin/lguest-sep" --engine=kvm "${user[@]}" \
		--timeout=20 64 "$B/tests/guest/probe" t=typed > "$dir/said" 2>&1 || status=$?
	((status == 0)) && said '^passed' && unfiltered
}

piece_window() { guest 0 --block="$dir/disk" window; }
piece_line() { guest 0 --block="$dir/disk" line; }
piece_console() { guest 0 console; }
piece_rings() { guest 0 --block="$dir/disk" rings; }
piece_rng() { guest 0 --rng rng; }
piece_reboot() { guest 7 --max-reboots=1 reset; }

# Whether guests can run here; says why not.
prepare_kvm()
{
	[[ $ARCH == x86_64 ]] || { echo "the kvm engine is for x86-64"; return 1; }
	[[ -r /dev/kvm && -w /dev/kvm ]] || { echo "no /dev/kvm"; return 1; }
	truncate -s 1M "$dir/disk"
	chmod 755 "$dir"
	chmod 666 "$dir/disk"
}

# All pieces, the one that the line @1 is for first.
kvm_work()
{
	local first piece
	first=$(piece_of "$1")
	"piece_$first" || return
	for piece in "${kvm_pieces[@]}"; do
		[[ $piece == "$first" ]] || "piece_$piece" || return
	done
}

# ---- the lguest engine, on the double of /dev/lguest ----

lguest_pieces=(page-boot pci-boot page-hostile page-lone)

# A /dev of our own, in which the double's file is. As root, in a mount namespace.
prepare_lguest()
{
	local f
	[[ $EUID == 0 && ${OWN_NAMESPACES:-} ]] || { echo "needs root, for namespaces of its own"; return 1; }
	[[ -x $B/tests/host/lguest-double && -c /dev/fuse ]] || { echo "no double of /dev/lguest (libfuse3-dev, /dev/fuse)"; return 1; }
	[[ -c /dev/net/tun ]] || { echo "no /dev/net/tun"; return 1; }
	mkdir "$dir/dev"
	mount -t tmpfs none "$dir/dev" && mkdir "$dir/dev/net" || return
	for f in null zero full random urandom tty fuse net/tun; do
		: > "$dir/dev/$f"
		mount --bind "/dev/$f" "$dir/dev/$f" || return
	done
	ln -s /proc/self/fd "$dir/dev/fd"
	: > "$dir/dev/lguest"
	mount --move "$dir/dev" /dev || return
	rm -f "$dir/disk"
	truncate -s 1M "$dir/disk" "$dir/disk2"
	chmod 755 "$dir"
	chmod 666 "$dir/disk" "$dir/disk2"
	rm -f "$dir/typed"
	mkfifo "$dir/typed"
}

takes_signals()
{
	local mask
	mask=$(sed -n 's/^SigBlk:.//p' "/proc/$pid/status") && ((0x$mask & 0x200))
}

# All devices driven by one script of the double, whose promises are all kept.
# SIGUSR1 comes while the guest is started; the hostile guest never reads its console.
play() # SCRIPT
{
	local double typed pid i status=0 words='typed by the test\n'
	timeout -k 1 40 "$B/tests/host/lguest-double" "$1" "$dir/report" /dev/lguest &
	double=$!
	for ((i = 0; i < 200; i++)); do
		mountpoint -q /dev/lguest && break
		sleep 0.02
	done
	exec {typed}<> "$dir/typed"
	[[ $1 != page-hostile ]] || printf -v words '%16384s' ' '
	printf '%b' "$words" >&"$typed"
	"$dir/bin/lguest-sep" --engine=lguest "${user[@]}" --timeout=20 --stats --rng \
		--block="$dir/disk" --tunnet=10.66.0.1/24:02:00:00:00:00:42 --block="$dir/disk2" 16 \
		"$B/tests/host/lguest-kernel" first second=2 < "$dir/typed" > "$dir/said" 2>&1 {typed}>&- &
	pid=$!
	until_true takes_signals && kill -USR1 "$pid"
	wait "$pid" || status=$?
	exec {typed}>&-
	umount -l /dev/lguest # which ends the double
	wait "$double"
	cat "$dir/report" >> "$dir/said"
	((status == 0)) && said '^[0-9]* checks, 0 broken$' && unfiltered
}

lguest_work()
{
	local first=page-boot script
	case $1 in
	*VFD_QERR0* | *"epoll_ctl 0==VFD_EPOLL"*) first=page-hostile ;;
	esac
	play "$first" || return
	for script in "${lguest_pieces[@]}"; do
		[[ $script == "$first" ]] || play "$script" || return
	done
}
