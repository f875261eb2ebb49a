# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2154 # the variables are those of tests/needed/run
#
# The guests of tests/needed/run. Each piece runs $dir/bin/lguest-sep with a guest of
# tests/guest on /dev/kvm, or with a guest of the test double of /dev/lguest. It returns
# status 0 if the guest did everything and no filter killed a process. Together the pieces
# for a policy need each of its lines.

user=()
((EUID)) || user=(--drop-to nobody)

kvm_pieces=(window line console rings rng typed reboot terminal run pause)
# The piece that needs the system call of a line, if known: it runs first, to save time.
piece_of()
{
	case $1 in
	*KVM_KVMCLOCK_CTRL*) echo pause ;;
	*KVM_IRQ_LINE* | *VFD_QCALL0*) echo line ;;
	*KVM_SIGNAL_MSI* | *VFD_OWNKICK0*) echo console ;;
	*VFD_QERR0*) echo rings ;;
	*VFD_PORT0*) echo run ;;
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
	timeout -k 1 300 "$dir/bin/lguest-sep" --engine=kvm "${user[@]}" --timeout=200 "${@:1:$#-1}" 64 \
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

until_true() # COMMAND...: 200 seconds, while lguest-sep is there
{
	local i
	for ((i = 0; i < 10000; i++)); do
		"$@" && return
		kill -0 "$pid" 2>/dev/null || return
		sleep 0.02
	done
	return 1
}

said() { grep -aq -- "$1" "$dir/said"; }
in_state() { grep -q "^State:.$1" "/proc/$pid/status"; }
not_in_state() { never in_state "$1"; }

# Typed input reaches the guest, and each signal has its effect.
signals()
{
	until_true said '^type' || return
	kill -USR1 "$pid" && until_true said 'vcpu .*exits' || return
	kill -TSTP "$pid" && until_true in_state T || return
	kill -CONT "$pid" && until_true not_in_state T || return
	# the handler restores the terminal and returns; since there was no real fault, the supervisor continues
	kill -SEGV "$pid" && printf 'abcq' >&"$typed"
}

piece_typed()
{
	local typed pid status=0
	rm -f "$dir/typed"
	mkfifo "$dir/typed"
	exec {typed}<> "$dir/typed"
	"$dir/bin/lguest-sep" --engine=kvm "${user[@]}" --timeout=200 64 "$B/tests/guest/probe" console=ttyS0 t=typed \
		< "$dir/typed" > "$dir/said" 2>&1 {typed}>&- &
	pid=$!
	signals || { kill -CONT "$pid"; kill -KILL "$pid"; } 2>/dev/null
	wait "$pid" 2>/dev/null || status=$?
	exec {typed}>&-
	((status == 0)) && said '^passed' && unfiltered
}

# A pause interrupts the CPU's thread; the guest runs on after it.
piece_pause()
{
	local typed pid status=0 name=needed-$$ round
	rm -f "$dir/typed"
	mkfifo "$dir/typed"
	exec {typed}<> "$dir/typed"
	"$dir/bin/lguest-sep" --engine=kvm "${user[@]}" --timeout=200 --name="$name" 64 "$B/tests/guest/probe" console=ttyS0 \
		t=typed < "$dir/typed" > "$dir/said" 2>&1 {typed}>&- &
	pid=$!
	until_true said '^type' &&
		for round in {1..5}; do
			"$dir/bin/lguest-sep" pause "$name" && "$dir/bin/lguest-sep" resume "$name" || break
		done
	printf 'abcq' >&"$typed"
	wait "$pid" 2>/dev/null || status=$?
	exec {typed}>&-
	((status == 0 && round == 5)) && said '^passed' && unfiltered
}

# On a terminal, which is raw meanwhile.
piece_terminal()
{
	local status=0
	timeout -k 1 300 "$B/tests/host/on-pty" type q "$dir/bin/lguest-sep" --engine=kvm "${user[@]}" \
		--timeout=200 64 "$B/tests/guest/probe" t=typed > "$dir/said" 2>&1 || status=$?
	((status == 0)) && said '^passed' && unfiltered
}

piece_window() { guest 0 --block="$dir/disk" window; }
piece_line() { guest 0 --block="$dir/disk" line; }
piece_console() { guest 0 console; }
piece_rings() { guest 0 --block="$dir/disk" rings; }
piece_rng() { guest 0 --rng rng; }
piece_reboot() { guest 7 --max-reboots=1 reset; }

# The ports of lguest-sep run: what goes in comes out again.
run_words()
{
	mkdir -p "$dir/modules"
	: > "$dir/modules/modules.order"
	head -c 1000 /dev/zero > "$dir/run-initrd"
	run_options=("${user[@]}" --modules="$dir/modules" --initrd="$dir/run-initrd")
}

piece_run()
{
	local status=0
	run_words
	printf 'through ports' | timeout -k 1 300 "$dir/bin/lguest-sep" run --engine=kvm --timeout=200 "${run_options[@]}" 64 \
		"$B/tests/guest/probe" console=ttyS0 t=run -- command > "$dir/said" 2> "$dir/err" || status=$?
	((status == 7)) && said '^through ports$'
}

# Returns 0 if guests of the kvm engine can run here; otherwise prints why not.
prepare_kvm()
{
	[[ $ARCH == x86_64 ]] || { echo "the kvm engine is for x86-64"; return 1; }
	[[ -r /dev/kvm && -w /dev/kvm ]] || { echo "no /dev/kvm"; return 1; }
	truncate -s 1M "$dir/disk"
	chmod 755 "$dir"
	chmod 666 "$dir/disk"
}

# Runs all pieces; the one that needs the line $1 comes first.
kvm_work()
{
	local first piece
	first=$(piece_of "$1")
	"piece_$first" || return
	for piece in "${kvm_pieces[@]}"; do
		[[ $piece == "$first" ]] || "piece_$piece" || return
	done
}

# Two processors, so that one has to be interrupted, and each reset needs all calls: the guest also changes an MSR.
checkpoint_work()
{
	guest 0 --checkpoint --resets=20 --smp=2 reset-two && from_file 0 --checkpoint --resets=3
}

save_work()
{
	rm -f "$dir/saved"
	guest 0 --save="$dir/saved" --resets=1 --smp=2 reset-two || return
	rm -f "$dir/saved"
	from_file 0 --save="$dir/saved" --resets=1
}

# from_file STATUS OPTION...: a saved guest goes on
from_file()
{
	local want=$1 status=0
	shift
	if [[ ! -s $dir/from ]]; then
		"$B/bin/lguest-sep" --engine=kvm --timeout=200 --save="$dir/from" --resets=1 --smp=2 64 "$B/tests/guest/probe" \
			t=reset-two < /dev/null > "$dir/said" 2>&1 || return
	fi
	timeout -k 1 300 "$dir/bin/lguest-sep" "${user[@]}" --timeout=200 --from="$dir/from" --smp=2 "$@" 64 < /dev/null \
		> "$dir/said" 2>&1 || status=$?
	((status == want)) && unfiltered
}

# It reports R (82) to its exit port, because it was not started with --checkpoint.
from_work() { from_file 9; }

# ---- the qemu engine: loading alone, under its own filter ----

prepare_qemu()
{
	[[ -x /usr/bin/qemu-system-x86_64 && -e .cache/kernel/vmlinuz ]] || { echo "no QEMU, or no kernel: tools/quickstart kernel"; return 1; }
	[[ -r /usr/share/seabios/bios-256k.bin ]] || { echo "no SeaBIOS: apt-get install seabios"; return 1; }
	chmod 755 "$dir"
	head -c 20000 /dev/zero > "$dir/initrd"
	cp .cache/kernel/vmlinuz "$dir/vmlinuz"
	chmod 644 "$dir/initrd" "$dir/vmlinuz"
}

# QEMU loads kernel, initrd and a firmware file; the kernel runs until it panics because there is no init, and resets.
qemu_work()
{
	local status=0
	timeout -k 1 200 "$dir/bin/lguest-sep" --engine=qemu "${user[@]}" --timeout=180 --max-reboots=0 \
		--initrd="$dir/initrd" --firmware=/usr/share/seabios/bios-256k.bin 128 "$dir/vmlinuz" console=hvc0 panic=-1 < /dev/null > "$dir/said" 2>&1 || status=$?
	((status == 7 || status == 3)) && unfiltered
}

# ---- the lguest engine, on the double of /dev/lguest ----

lguest_pieces=(page-boot pci-boot page-hostile page-lone pci-run)

# Makes a /dev with the file of the test double. Needs root and a mount namespace.
prepare_lguest()
{
	local f
	[[ $EUID == 0 && ${OWN_NAMESPACES:-} ]] || { echo "needs root, for namespaces of its own"; return 1; }
	[[ -x $B/tests/host/lguest-double && -c /dev/fuse ]] || { echo "no double of /dev/lguest (libfuse3-dev, /dev/fuse)"; return 1; }
	[[ -c /dev/net/tun ]] || { echo "no /dev/net/tun"; return 1; }
	mkdir -p "$dir/dev"
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
	head -c 20000 /dev/zero > "$dir/initrd"
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

start_double() # SCRIPT
{
	local i
	timeout -k 1 400 "$B/tests/host/lguest-double" "$1" "$dir/report" /dev/lguest &
	double=$!
	for ((i = 0; i < 5000; i++)); do
		mountpoint -q /dev/lguest && break
		sleep 0.02
	done
}

# The ports of lguest-sep run, by a script of the double.
play_run() # SCRIPT
{
	local double status=0
	run_words
	start_double "$1"
	printf 'through ports' | "$dir/bin/lguest-sep" run --engine=lguest --timeout=200 "${run_options[@]}" 16 \
		"$B/tests/host/lguest-kernel" -- command > "$dir/said" 2> "$dir/err" || status=$?
	umount -l /dev/lguest # which ends the double
	wait "$double"
	cat "$dir/report" >> "$dir/said"
	((status == 7)) && said '^through ports' && said ' checks, 0 broken$'
}

# One script of the test double drives all devices, and none of its checks fails.
# SIGUSR1 arrives while the guest starts; the hostile guest never reads its console.
play() # SCRIPT
{
	local double typed pid status=0 words='typed by the test\n'
	[[ $1 != *-run ]] || { play_run "$1"; return; }
	start_double "$1"
	exec {typed}<> "$dir/typed"
	[[ $1 != page-hostile ]] || printf -v words '%16384s' ' '
	printf '%b' "$words" >&"$typed"
	"$dir/bin/lguest-sep" --engine=lguest "${user[@]}" --timeout=200 --stats --rng --initrd="$dir/initrd" \
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
	local first=page-boot script again=0
	case $1 in
	# Each request may be answered before the vCPU thread waits for it; on a busy machine this happens to many.
	*VFD_WAIT*) first=page-lone again=4 ;;
	*VFD_QERR0* | *"epoll_ctl 0==VFD_EPOLL"*) first=page-hostile ;;
	*VFD_PORT0*) first=pci-run ;;
	esac
	play "$first" || return
	for ((; again; again--)); do
		play "$first" || return
	done
	for script in "${lguest_pieces[@]}"; do
		[[ $script == "$first" ]] || play "$script" || return
	done
}
