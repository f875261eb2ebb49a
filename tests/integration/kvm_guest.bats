#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2154,SC2030,SC2031 # lib.bash's; bats runs each test in a subshell
# The kvm engine with a guest of our own (tests/guest), directly on /dev/kvm; software KVM
# is sufficient. The guest uses its devices correctly, or attacks them.
load lib

setup_test()
{
	need_kvm_guests
	new_image disk 4
}

# probe TEST [OPTION…]: run it; $status, $out.clean
probe()
{
	local t=$1
	shift
	run_guest "$guests/probe" "t=$t" "$@"
}

run_guest() # KERNEL ARGUMENT [OPTION…]
{
	local kernel=$1 argument=$2
	shift 2
	out=$BATS_TEST_TMPDIR/out
	status=0
	# Do not give --timeout twice.
	[[ " $*" == *" --timeout="* ]] || set -- --timeout=600 "$@"
	# The guest reports on the serial port, whatever it writes to the virtio console.
	"$L" --engine=kvm "${user[@]}" --no-reboot --stats "$@" 64 "$kernel" console=ttyS0 "$argument" \
		< /dev/null > "$out" 2>&1 3>&- || status=$?
	tr -d '\r' < "$out" > "$out.clean"
	tail -n 40 "$out.clean"
}

passed()
{
	is_status 0
	grep -qx passed "$out.clean"
	lacks FAILED "$out.clean"
}

count() # ROLE TEXT
{
	sed -n "s/^lguest-sep: $1 *\([0-9]*\)  $2\$/\1/p" "$out.clean"
}

disk() { echo "--block=$BATS_TEST_TMPDIR/disk"; }

@test "guest: a disk works by MSI-X and doorbells without an exit per request" {
	probe block "$(disk)"
	passed
	[[ $(count blk0 requests) == 100 && $(count blk0 kicks) == 100 ]]
	[[ $(count vcpu 'exits: memory access') -lt 60 ]]
}

@test "guest: 1100 requests more make no exit more" {
	local few
	probe block "$(disk)"
	passed
	few=$(count vcpu 'exits: memory access')
	probe load "$(disk)"
	passed
	[[ $(count blk0 requests) == 1200 ]]
	# One more: the guest reads the status register at its end.
	[[ $(count vcpu 'exits: memory access') == $((few + 1)) ]]
}

@test "guest: a disk works by its interrupt line" {
	probe line "$(disk)"
	passed
	[[ $(count blk0 requests) == 100 ]]
}

@test "guest: each broken ring asks for a reset and works after it" {
	probe rings "$(disk)"
	passed
	[[ $(grep -c '^asks for a reset' "$out.clean") -ge 9 ]]
	[[ $(count blk0 'ring faults of the guest') -ge 9 ]]
}

@test "guest: every register and width of every device is touched, and the disk works after it" {
	ip link add br9 type bridge
	probe sweep "$(disk)" --rng --net=bridge=br9,queues=2
	ip link del br9
	passed
	grep -qx 'devices: 4' "$out.clean"
}

@test "guest: BARs may lie on anything, and move with their doorbells" {
	probe bars "$(disk)"
	passed
}

@test "guest: the console's ring and its emergency write" {
	probe console
	passed
	grep -qx "said through the ring" "$out.clean"
	grep -qx "emergency" "$out.clean"
}

@test "guest: an emergency write without an end of line is shown" {
	probe prompt --timeout=5
	is_status 5
	grep -q '^login: ' "$out.clean"
}

@test "guest: input reaches the serial port and the console's ring" {
	for how in serial ring late late-default serial-default; do
		out=$BATS_TEST_TMPDIR/out
		status=0
		console=console=hvc0
		case $how in
		serial) console=console=ttyS0 ;;
		late*) t=ring-late ;;&
		# Without console=, the serial port gets it when the guest has been silent for 10 s.
		*-default) console=word ;;&
		serial-default) t=serial-in ;;
		esac
		[[ $how == *-* || $how == late ]] || t=$how-in
		# At once: it waits for the driver of the console that is named.
		echo "a line longer than sixteen bytes" |
			"$L" --engine=kvm "${user[@]}" --timeout=300 64 "$guests/probe" "$console" "t=$t" > "$out" 2>&1 3>&- || status=$?
		tr -d '\r' < "$out" > "$out.clean"
		cat "$out.clean"
		is_status 0
		if [[ $how == late-default ]]; then
			# Its report is on the serial port, which is no longer shown.
			grep -qx up "$out.clean"
		else
			passed
			grep -qx "${how%-*} got a line longer than sixteen bytes" "$out.clean"
		fi
	done
}

@test "guest: every port" {
	probe ports "$(disk)"
	passed
}

@test "guest: MSRs far and wide" {
	probe msrs
	passed
}

@test "guest: half a MiB of serial output arrives whole" {
	probe flood
	passed
	[[ $(grep -c '^flood flood' "$out.clean") == 8192 ]]
}

@test "guest: memory above 4 GiB" {
	(($(awk '/MemTotal/ { print $2 }' /proc/meminfo) > 6000000)) || skip "this host has too little memory"
	out=$BATS_TEST_TMPDIR/out
	status=0
	"$L" --engine=kvm "${user[@]}" --timeout=600 4096 "$guests/probe" t=high < /dev/null > "$out" 2>&1 3>&- || status=$?
	tr -d '\r' < "$out" > "$out.clean"
	cat "$out.clean"
	passed
}

@test "guest: a triple fault has its status and reason" {
	probe triple
	is_status 3
	grep -q 'triple fault' "$out.clean"
}

another_size()
{
	wait_until grep -aq 'rows: 31' "$out"
	# In one call: stty(1) would set columns and rows one after the other, and the guest waits for one change.
	python3 -c 'import fcntl, struct, sys, termios
fcntl.ioctl(open(sys.argv[1]), termios.TIOCSWINSZ, struct.pack("HHHH", 50, 132, 0, 0))' "$(cat "$BATS_TEST_TMPDIR/tty")"
	wait_until test -e "$BATS_TEST_TMPDIR/status"
}

@test "guest: the terminal's size reaches the console, and so does a change of it" {
	out=$BATS_TEST_TMPDIR/out
	cat > "$BATS_TEST_TMPDIR/inside" <<-END
		cd "$BATS_TEST_TMPDIR"
		tty > tty
		stty cols 97 rows 31
		$L --engine=kvm ${user[*]} --no-reboot --timeout=600 64 $guests/probe console=ttyS0 t=size
		echo \$? > status
	END
	another_size | timeout 600 script -qefc "bash $BATS_TEST_TMPDIR/inside" "$out" > /dev/null 2>&1 3>&-
	tr -d '\r' < "$out" | tee "$out.clean"
	status=$(cat "$BATS_TEST_TMPDIR/status")
	passed
	grep -A 1 -x 'columns: 97' "$out.clean" | grep -x 'rows: 31'
	grep -A 1 -x 'columns: 132' "$out.clean" | grep -x 'rows: 50'
}

@test "guest: pvpanic and the reset port" {
	probe panic
	is_status 3
	grep -qx "lguest-sep: the guest's kernel panicked: reported through pvpanic" "$out.clean"
	probe reset
	is_status 7
	grep -q reboot "$out.clean"
}

@test "guest: one that spins with interrupts off is ended" {
	probe spin --timeout=2
	is_status 5
}

@test "guest: blkd killed again and again under load: nothing is lost, the guest notices a pause only" {
	out=$BATS_TEST_TMPDIR/out
	"$L" --engine=kvm "${user[@]}" --timeout=1200 --max-restarts=100 "$(disk)" 64 "$guests/probe" t=load \
		< /dev/null > "$out" 2>&1 3>&- &
	pid=$!
	wait_for "round 1"
	for _ in {1..10}; do
		for p in $(role_pids blkd); do
			kill -9 "$p" || true
		done
		sleep 0.2
	done
	finish 120
	is_status 0
	grep -qx passed "$out.clean"
	[[ $(grep -c 'it is started again' "$out.clean") -ge 5 ]]
}

# make_share: a directory with one file, for everybody to read
make_share()
{
	mkdir "$BATS_TEST_TMPDIR/share"
	echo "shared text" > "$BATS_TEST_TMPDIR/share/file"
	chmod -R a+rX "$BATS_RUN_TMPDIR" "$BATS_TEST_TMPDIR"
}

@test "guest: a shared directory, with its tag" {
	make_share
	probe share --share="$BATS_TEST_TMPDIR/share,tag=a.tag-of_36-bytes-as-long-as-may-be-"
	passed
	grep -qx 'a.tag-of_36-bytes-as-long-as-may-be- has request queues: 1' "$out.clean"
	grep -qx 'shared text' "$out.clean"
	[[ $(count fs0 'bytes read') == 12 ]]
	# One request queue for each processor, at most 4, or as many as the user wants.
	probe share --smp=2 --share="$BATS_TEST_TMPDIR/share"
	passed
	grep -qx 'fs0 has request queues: 2' "$out.clean"
	probe share --smp=8 --share="$BATS_TEST_TMPDIR/share"
	passed
	grep -qx 'fs0 has request queues: 4' "$out.clean"
	probe share --share="$BATS_TEST_TMPDIR/share,queues=15"
	passed
	grep -qx 'fs0 has request queues: 15' "$out.clean"
	grep -qx 'shared text' "$out.clean"
}

@test "guest: a file system of another program" {
	make_share
	"$B/lguest-sep-fsd" --socket-path="$BATS_TEST_TMPDIR/socket" --shared-dir="$BATS_TEST_TMPDIR/share" 2> /dev/null 3>&- &
	server=$!
	wait_until test -S "$BATS_TEST_TMPDIR/socket"
	chmod 666 "$BATS_TEST_TMPDIR/socket"
	probe share --vhost-user-fs="$BATS_TEST_TMPDIR/socket,tag=foreign"
	kill "$server"
	passed
	grep -qx 'foreign has request queues: 1' "$out.clean"
	grep -qx 'shared text' "$out.clean"
}

@test "guest: fsd is killed: open files stay open" {
	make_share
	out=$BATS_TEST_TMPDIR/out
	"$L" --engine=kvm "${user[@]}" --timeout=600 --share="$BATS_TEST_TMPDIR/share,queues=3" 64 "$guests/probe" t=share-killed \
		< /dev/null > "$out" 2>&1 3>&- &
	pid=$!
	wait_for "reading"
	kill -9 "$(role_pids fsd)"
	wait_for "it is started again"
	printf 'other  text\n' 1<> "$BATS_TEST_TMPDIR/share/file"
	finish 60
	is_status 0
	grep -qx passed "$out.clean"
	grep -qx 'again: other  text' "$out.clean"
	[[ $(grep -c 'it is started again' "$out.clean") == 1 ]]
}

# A qcow2 image of $1 bytes, by the storage daemon itself.
make_qcow2() # FILE BYTES
{
	: > "$1"
	{
		echo '{"execute":"qmp_capabilities"}'
		echo '{"execute":"blockdev-create","arguments":{"job-id":"j","options":{"driver":"qcow2","file":"f","size":'"$2"'}}}'
		wait_until test -s "$1"
		sleep 1
		echo '{"execute":"job-dismiss","arguments":{"id":"j"}}'
		echo '{"execute":"quit"}'
	} | qemu-storage-daemon --blockdev "driver=file,node-name=f,filename=$1" \
		--chardev stdio,id=c --monitor c > /dev/null
}

@test "guest: a QCOW2 image behind qemu-storage-daemon, through a reboot on one connection" {
	command -v qemu-storage-daemon > /dev/null || skip "no qemu-storage-daemon"
	local image=$BATS_TEST_TMPDIR/q.qcow2 sock=$BATS_TEST_TMPDIR/q.sock
	make_qcow2 "$image" 16777216
	qemu-storage-daemon --blockdev "driver=file,node-name=f,filename=$image" \
		--blockdev driver=qcow2,node-name=q,file=f \
		--export "type=vhost-user-blk,id=e,node-name=q,addr.type=unix,addr.path=$sock,writable=on,num-queues=1" 3>&- &
	daemon=$!
	for _ in {1..600}; do
		[[ -S $sock ]] && break
		sleep 0.1
	done
	out=$BATS_TEST_TMPDIR/out
	status=0
	"$L" --engine=kvm "${user[@]}" --timeout=600 --vhost-user-blk="$sock" 64 "$guests/probe" t=again \
		< /dev/null > "$out" 2>&1 3>&- || status=$?
	tr -d '\r' < "$out" > "$out.clean"
	cat "$out.clean"
	kill "$daemon"
	wait "$daemon" || true
	passed
	grep -qx "start 0" "$out.clean"
	grep -qx "start 1" "$out.clean"
	grep -qx "start 2" "$out.clean"
	[[ $(stat -c %s "$image") -gt 200000 ]]
}

# host DEV FLAG COMMAND…: runs COMMAND on a host that has /dev/kvm (dev) or not (nodev), and
# whose CPUs have FLAG. Root may open any device, so missing permission is tested as another user.
host()
{
	local dev=$1 flag=$2
	shift 2
	sed "s/^flags.*/flags\t\t: fpu $flag/" /proc/cpuinfo > "$BATS_TEST_TMPDIR/cpuinfo"
	# shellcheck disable=SC2016
	unshare -m bash -c '
		mount --bind "$1/cpuinfo" /proc/cpuinfo || exit
		if [[ $2 == nodev ]]; then
			mount -t tmpfs none /mnt
			for d in null zero full random urandom; do
				: > /mnt/$d
				mount --bind /dev/$d /mnt/$d
			done
			mkdir /mnt/shm
			mount --move /mnt /dev
		fi
		shift 2
		exec "$@"' sh "$BATS_TEST_TMPDIR" "$dev" "$@"
}

@test "guest: no device, no permission and no hardware support are three messages, and auto's reasons" {
	build_for_all
	local auto=("$L" "${user[@]}" --engine=auto --verbose --no-reboot --timeout=200 64 "$guests/probe" t=word)
	local kvm=("$L" "${user[@]}" --engine=kvm --no-reboot --timeout=200 64 "$guests/probe" t=word)
	local none='no /dev/kvm, and no hardware support' module='no /dev/kvm; load its module'
	local useless='this CPU does not offer VT-x or AMD-V; force it with --engine=kvm'

	run host nodev none "${kvm[@]}"
	[[ $status == 1 && $output == *"--engine=kvm: $none"* ]]
	one_line
	run host nodev svm "${kvm[@]}"
	[[ $status == 1 && $output == *"--engine=kvm: $module"* ]]
	one_line
	chmod 755 "$BATS_TEST_TMPDIR"
	run setpriv --reuid 65534 --regid 65534 --clear-groups "$L" --engine=kvm 64 /proc/version
	[[ $status == 1 && $output == *"--engine=kvm: no permission to open /dev/kvm"* ]]
	one_line

	run host nodev none "${auto[@]}"
	[[ $output == *"engine kvm passed over: $none"* && $output == *"engine: qemu"* ]]
	run host dev none "${auto[@]}"
	grep -q "engine kvm passed over: $useless" <<< "$output"
	[[ $output == *"engine: qemu"* ]]
	# said, it is tried all the same
	run host dev none "${kvm[@]}"
	[[ $status == 0 ]]
	for flag in vmx svm; do
		run host dev "$flag" "${auto[@]}"
		[[ $status == 0 && $output == *"engine: kvm"* ]]
	done
}

@test "guest: doctor says whether shared memory has huge pages, where kvm is of use" {
	local sys=/sys/kernel/mm/transparent_hugepage/shmem_enabled mode
	[[ -e $sys ]] || skip "this host has no such setting"
	for mode in "always [advise] never:yes" "always advise [never]:limited"; do
		echo "${mode%:*}" > "$BATS_TEST_TMPDIR/mode"
		# shellcheck disable=SC2016
		run host dev svm bash -c 'mount --bind "$1" "$2" && exec "$3" doctor' sh "$BATS_TEST_TMPDIR/mode" "$sys" "$L"
		grep -qE "^  ${mode#*:} +huge pages" <<< "$output"
	done
	[[ $output == *"-> echo advise > $sys"* ]]
	# Without the kvm engine, doctor does not mention huge pages.
	run host dev none "$L" doctor
	[[ $output != *"huge pages"* ]]
}

@test "guest: 32-bit and PVH entries, plain and compressed" {
	for k in entry32 pvh; do
		for z in '' .gz; do
			cp "$guests/$k" "$BATS_TEST_TMPDIR/$k"
			[[ -z $z ]] || gzip "$BATS_TEST_TMPDIR/$k"
			run_guest "$BATS_TEST_TMPDIR/$k$z" word
			is_status 0
			grep -qE '^(32-bit|pvh) entry .* word$' "$out.clean"
		done
	done
}

@test "guest: Multiboot 1 and 2 kernels get what their specifications say" {
	echo "text of the module" > "$BATS_TEST_TMPDIR/module"
	for k in 1 2 1.flat; do
		[[ -e $guests/multiboot/$k ]] || skip "no Multiboot guests: make guests"
		run_guest "$guests/multiboot/$k" word --exit-port --verbose --initrd="$BATS_TEST_TMPDIR/module"
		is_status 0
		grep -q ": entered at 0x20.* by Multiboot ${k%.flat}$" "$out.clean"
		lacks WRONG "$out.clean"
		grep -qx "magic $([[ $k == 2 ]] && echo 36d76289 || echo 2badb002)" "$out.clean"
		grep -qx 'lower 27f upper fc00' "$out.clean"
		grep -qx 'map 100000 3f00000 1' "$out.clean"
		grep -qx 'module bytes 13 aligned name initrd' "$out.clean"
		grep -qx 'text of the module' "$out.clean"
		grep -q '^command line: .*word$' "$out.clean"
		[[ $k == 1.flat ]] || grep -qx 'symtab entry 10' "$out.clean"
		[[ $k != 2 ]] || grep -qx ACPI "$out.clean"
	done
}

@test "guest: in the loop the vCPU process is confined in every thread" {
	out=$BATS_TEST_TMPDIR/out
	"$L" --engine=kvm "${user[@]}" --smp=2 --verbose --timeout=600 64 "$guests/probe" t=spin < /dev/null > "$out" 2>&1 3>&- &
	pid=$!
	wait_for "the guest runs"
	p=$(role_pids vcpu)
	n=0
	for t in /proc/"$p"/task/*; do
		grep -q '^Seccomp:.2$' "$t/status"
		grep -q '^NoNewPrivs:.1$' "$t/status"
		grep -qE '^CapEff:.0+$' "$t/status"
		((n += 1))
	done
	((n >= 3)) # and, on newer hosts, a thread of KVM's own
	# /dev/kvm itself is closed
	readlink "/proc/$p/fd/"* > "$out.fds"
	lacks '^/dev/kvm$' "$out.fds"
	stop_now
}

@test "guest: the ports of run carry a command's streams, whatever control messages it sends before" {
	local dir=$BATS_TEST_TMPDIR
	mkdir "$dir/modules"
	: > "$dir/modules/modules.order"
	head -c 1000 /dev/zero > "$dir/initrd"
	head -c 20000 /dev/urandom > "$dir/in"
	status=0
	"$L" run --engine=kvm "${user[@]}" --timeout=600 --modules="$dir/modules" --initrd="$dir/initrd" 64 "$guests/probe" \
		console=ttyS0 t=run -- command < "$dir/in" > "$dir/got" 2> "$dir/err" 3>&- || status=$?
	cat "$dir/err"
	is_status 7
	cmp "$dir/in" "$dir/got"
	grep -qx 'to standard error' "$dir/err"
}
