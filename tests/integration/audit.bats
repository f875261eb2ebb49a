#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# lguest-sep audit with unmodified guests and with guests that lack a layer; lguest-sep doctor.
load lib

weak=${LGUEST_SEP_TESTS:-$(dirname "$B")/tests/host}

need_weak()
{
	[[ -e $weak/weaken.so && -e $weak/blkd_weak && -e $weak/blkd_fixed ]] || skip "not built: make tests"
}

setup_test()
{
	need_root
	need_kernel
	new_image disk 4
	guest_script <<< 'say ready; dd if=/dev/vda of=/dev/null bs=64k 2>/dev/null; ip link set eth0 up; say busy; sleep 100'
}

teardown_test()
{
	[[ -z ${pid:-} ]] || kill -9 "$pid" 2>/dev/null || true
}

start() # [OPTION…]
{
	boot_bg --name=one --block="$BATS_TEST_TMPDIR/disk" --tunnet=10.99.7.1/24 "$@"
	wait_for "T: busy"
}

start_with() # SERIAL: what blkd_weak leaves out
{
	boot_bg --name=one --block="$BATS_TEST_TMPDIR/disk,serial=$1" --tunnet=10.99.7.1/24
	wait_for "T: busy"
}

# audit_row PROCESS WHAT: prints the verdict of one row
audit_row()
{
	"$L" audit one --json | python3 -c '
import json, sys
for p in json.load(sys.stdin)["guests"][0]["processes"]:
    if p["name"].startswith(sys.argv[1]) and "spawner" not in p["name"]:
        print("; ".join(c["verdict"] for c in p["checks"] if c["what"] == sys.argv[2]))' "$1" "$2"
}

@test "a good guest is as promised: by name, by pid, among all, for root and for its user" {
	start
	run "$L" audit one
	echo "$output"
	[[ $status == 0 ]]
	[[ ${lines[-1]} == "verdict: 1 guest, 9 processes: as promised; 0 promises weaker, "* ]]
	run "$L" audit "$pid"
	[[ $status == 0 ]]
	run "$L" audit
	[[ $status == 0 ]]
	run setpriv --reuid nobody --regid nogroup --clear-groups "$L" audit one
	echo "$output"
	[[ $status == 0 ]]
	# Another user can check less, but sees which guest it is.
	run setpriv --reuid 1234 --regid 1235 --clear-groups "$L" audit one
	[[ $output == *"verdict: 1 guest, "* ]]
	[[ $output != *--drop-to* ]]
	run "$L" audit another
	[[ $status == 1 ]]
	one_line
	run "$L" audit --jsno
	[[ $status == 2 ]]
	one_line
	run "$L" audit one --json
	[[ $status == 0 ]]
	python3 -m json.tool <<< "$output" > /dev/null
	[[ $(audit_row blk0 "guest memory in dumps") == "as promised" ]]
	[[ $(audit_row net0 "guest memory in dumps") == "as promised" ]]
	[[ $(audit_row vcpu "guest memory in dumps") == "as promised" ]]
	[[ $(audit_row blk0 "guest memory's seals") == "as promised" ]]
	[[ $(audit_row net0 "guest memory's access") == "as promised" ]]
	[[ $(audit_row blk0 "file size limit") == "as promised" ]]
	[[ $(audit_row net0 "code outside its program") == "as promised" ]]
}

@test "what was left open by whoever started it does not stay open" {
	start 9< /etc/passwd 200< /etc/passwd
	for p in $(our_pids); do
		left=$(find "/proc/$p/fd/" -lname /etc/passwd)
		[[ -z $left ]] || { echo "open in $(readlink "/proc/$p/exe"): $left"; return 1; }
	done
}

@test "the kernel holds the guest's address on the tap" {
	command -v tc > /dev/null || skip "no tc"
	start
	tap=$(ip -o link show type tun | cut -d : -f 2 | tr -d ' ')
	tc filter show dev "$tap" ingress
	tc filter show dev "$tap" ingress | grep -q 'bpf .*direct-action'
}

# weaker PROCESS WHAT: checks that the audit ends with status 3 and names this
weaker()
{
	run "$L" audit one
	echo "$output" | grep -E '^(weaker|verdict)'
	[[ $status == 3 ]]
	[[ ${lines[-1]} == *"WEAKER than promised"* ]]
	grep -qE "^weaker: guest one: $1 \(pid [0-9]+\): $2" <<< "$output"
}

# without WORD [OPTION…]: starts a guest without that layer (tests/host/weaken.c); does not wait until it runs
without()
{
	local word=$1
	shift
	LD_PRELOAD=$weak/weaken.so WEAKEN=$word boot_bg --verbose --name=one \
		--block="$BATS_TEST_TMPDIR/disk" --tunnet=10.99.7.1/24 "$@"
	wait_for "confined and running"
}

# stop: the guest of without(), so that another can be started
stop()
{
	kill -9 "$pid"
	wait "$pid" || true
	rm -f "$out"
	for _ in {1..600}; do
		[[ -n $(our_pids) ]] || return 0
		sleep 0.1
	done
	return 1
}

# other_blkd FILE: $L starts FILE instead of blkd
other_blkd()
{
	local dir=$BATS_TEST_TMPDIR/bin
	rm -rf "$dir"
	cp -r "$B" "$dir"
	chmod -R a+rX "$dir"
	cp "$1" "$dir/lguest-sep-blkd"
	L=$dir/lguest-sep
}

@test "one descriptor too many is named" {
	need_weak
	without descriptor
	weaker blk0 "descriptor: number 64 is a file"
}

@test "a user, group or capability that was kept is named" {
	need_weak
	without groups
	weaker supervisor "supplementary groups: 1"
	weaker "blk0's spawner" "supplementary groups: 1"
	stop
	without gid
	weaker supervisor "group id: 0 0 0 0"
	weaker net0 "group id: 0 0 0 0"
	stop
	without bounding
	weaker supervisor "bounding set: [0-9a-f]+"
	weaker "vcpu's spawner" "bounding set: [0-9a-f]+"
	stop
	without caps
	weaker supervisor "permitted capabilities: [0-9a-f]+"
	weaker supervisor "effective capabilities: [0-9a-f]+"
}

@test "a room that is not one's own, or not empty and read-only, is named" {
	need_weak
	without namespaces
	weaker blk0 "own namespaces: mnt pid net uts cgroup; shared: ipc"
	stop
	without root
	weaker net0 "root directory: empty on tmpfs"
}

@test "a spawner without no_new_privs and filter is named" {
	need_weak
	without bare
	weaker "blk0's spawner" "no_new_privs: 0"
	weaker "blk0's spawner" "seccomp mode: 0"
	weaker blk0 "seccomp filters: 1"
}

@test "a limit that was never set, or was raised, is named" {
	need_weak
	without processes
	weaker blk0 "process limit"
	# Only if root may raise limits (CAP_SYS_RESOURCE).
	if prlimit --pid "$(role_pids netd)" --nproc=100:100; then
		weaker net0 "process limit: 100, 100"
	fi
	stop
	without core
	weaker "net0's spawner" "core limit: .*unlimited"
	stop
	without descriptors
	weaker blk0 "descriptor limit: 1536, 1536"
	stop
	without size
	weaker blk0 "file size limit: unlimited"
	stop
	without space
	weaker blk0 "address space limit: unlimited"
}

@test "a tracer that is not the role's spawner, and a stranger, are named" {
	need_weak
	without stranger
	weaker ".*" "process"
	grep -q "strange processes" <<< "$output"
	python3 -c '
import ctypes, sys, time
libc = ctypes.CDLL(None, use_errno=True)
if libc.ptrace(0x4206, int(sys.argv[1]), 0, 0): sys.exit(1) # PTRACE_SEIZE
print("traced", flush=True)
time.sleep(600)' "$pid" > "$BATS_TEST_TMPDIR/tracer" 3>&- &
	tracer=$!
	for _ in {1..600}; do
		[[ ! -s $BATS_TEST_TMPDIR/tracer ]] || break
		sleep 0.1
	done
	run "$L" audit one
	kill "$tracer"
	grep -qE "^weaker: guest one: supervisor \(pid [0-9]+\): traced by: $tracer" <<< "$output"
}

@test "guest memory that can be truncated, dumped or executed, or is another guest's, is named" {
	need_weak
	LD_PRELOAD=$weak/weaken.so WEAKEN=seals start
	weaker vcpu.* "guest memory's seals"
	stop
	other_blkd "$weak/blkd_weak"
	LD_PRELOAD=$weak/weaken.so WEAKEN=bare start_with dumps
	weaker blk0 "guest memory in dumps"
	stop
	LD_PRELOAD=$weak/weaken.so WEAKEN=bare start_with code
	weaker blk0 "guest memory's access"
	weaker blk0 "writable and executable"
	weaker blk0 "code outside its program"
	weaker blk0 "dumpable"
	stop
	LD_PRELOAD=$weak/weaken.so WEAKEN=size start_with memory
	run "$L" audit one
	grep -q "another guest's memory" <<< "$output"
	[[ $status == 3 ]]
}

@test "a program that does not move in memory is named" {
	need_weak
	other_blkd "$weak/blkd_fixed"
	start
	weaker blk0 "linked as: fixed address"
}

@test "a role without its filter is named; what it then tries, other layers refuse" {
	need_weak
	other_blkd "$weak/blkd_weak"
	start
	weaker blk0 "seccomp filters: 1 \(promised: 2 or more\)"
	grep -F "taken: behind the end: -1, too large" "$out"
	grep -F "taken: room behind the end: refused" "$out"
	grep -F "taken: executable memory: refused" "$out"
	[[ $(stat -c %s "$BATS_TEST_TMPDIR/disk") == 4194304 ]]
}

@test "a process that does not belong there is named" {
	dir=$BATS_TEST_TMPDIR/bin
	cp -r "$B" "$dir"
	cp "$(command -v sleep)" "$dir/stranger"
	start
	# A child of the supervisor that it did not start: the shell becomes one by exec.
	(exec -a lguest-sep bash -c "bash -c 'exec -a lguest-sep-init sleep 600' & wait") &
	other=$!
	wait_until eval 'grep -q "^lguest-sep.init" "/proc/$(pgrep -P $other)/cmdline"'
	run "$L" audit "$other"
	# Kill its child first: bats would wait for an orphan.
	pkill -9 -P "$other" || true
	kill -9 "$other" 2> /dev/null || true # its wait may have ended it
	echo "$output" | grep -E '^(weaker|verdict)'
	[[ $status == 3 ]]
	grep -qE "^weaker: .*: supervisor \(pid [0-9]+\): program: /.*bash" <<< "$output"
	grep -qE "^weaker: .*: supervisor \(pid [0-9]+\): user id: 0 0 0 0" <<< "$output"
}

@test "a guest without an initrd, with files and ports of its own, is as promised" {
	local dir=$BATS_TEST_TMPDIR options
	for options in "" "--exit-port --console=$dir/con --result=$dir/json --port=p:$dir/p --rng --smp=2 --detach --timeout=600"; do
		# shellcheck disable=SC2086
		"$L" --engine=qemu --name=one --quiet $options 64 "$top/build/tests/guest/exit" < /dev/null > "$dir/out" 2>&1 3>&- &
		pid=$!
		wait_until eval '"$L" status one 2> /dev/null | grep -q running'
		run "$L" audit one
		echo "$output"
		[[ $status == 0 ]]
		"$L" kill one
		wait "$pid" || true
	done
}

@test "doctor says what works here, and its JSON parses" {
	build_for_all
	run "$L" doctor
	echo "$output"
	[[ $status == 0 ]]
	[[ ${lines[-1]} == "verdict: guests can run here"* ]]
	grep -qE '^  (yes|limited) +qemu ' <<< "$output"
	[[ -e /dev/lguest ]] || grep -q 'needs a 32-bit x86 host with /dev/lguest; not possible here' <<< "$output"
	grep -qE '^  yes +tap ' <<< "$output"
	for what in 'rules for a tap' nat 'nat, IPv6' IPv6 'ordinary users'; do
		grep -qE "^  (yes|no|limited) +$what  " <<< "$output"
	done
	[[ $output == *"yes      read-only views "* ]]
	grep -qE '^  yes +x86_64 +/usr/bin/qemu-system-x86_64$' <<< "$output"
	# The machines are those of --machine, whether their programs are installed or not.
	[[ $(grep -cE '^  (yes|limited) +(x86_64|i386|aarch64|arm|riscv64|riscv32) +' <<< "$output") == 6 ]]
	"$L" doctor --json | python3 -c '
import json, sys
d = json.load(sys.stdin)
assert d["guests_can_run"] and d["auto_engine"] in ("kvm", "qemu"), d["auto_engine"]
assert {f["group"] for f in d["findings"]} == {"caller", "engine", "machine", "firmware", "layer", "network"}'
	run setpriv --reuid nobody --regid nogroup --clear-groups "$L" doctor
	[[ $status == 0 ]]
	run "$L" doctor --jsno
	[[ $status == 2 ]]
}

# Without /proc entries of the engine and with a kernel interface taken away, doctor says so.
@test "doctor names what is missing" {
	if [[ -x /usr/bin/qemu-system-riscv64 ]]; then
		run unshare -m bash -c 'mount --bind /dev/null "$1" && exec "$0" doctor' "$L" /usr/bin/qemu-system-riscv64
		grep -qE '^  limited +riscv64 +not with --machine: /usr/bin/qemu-system-riscv64: Permission denied$' <<< "$output"
		grep -qF -- '-> apt install qemu-system-misc' <<< "$output"
	fi
	run unshare -m bash -c 'mount -t tmpfs none /dev && mknod -m 666 /dev/null c 1 3 && "$0" doctor' "$L"
	echo "$output"
	grep -qE '^  no +tap +no /dev/net/tun' <<< "$output"
	grep -qE '^  no +kvm ' <<< "$output"
}

# doctor and the start use the same function, and so report the same.
@test "doctor and the start name an inherited memory-deny-write-execute" {
	mdwe=(perl -e 'syscall(157, 65, 1, 0, 0, 0) == 0 or exit 77; exec @ARGV')
	"${mdwe[@]}" true || skip "this kernel has no PR_SET_MDWE"
	run "${mdwe[@]}" "$L" doctor
	echo "$output"
	grep -qE '^  no +qemu +no memory that is writable and executable' <<< "$output"
	run "${mdwe[@]}" "$L" --engine=qemu 64 "$K" < /dev/null
	[[ $status == 1 && $output == *"MemoryDenyWriteExecute="* ]]
	one_line
}

@test "doctor asks an ordinary user for no more than that user can do" {
	build_for_all
	run setpriv --reuid 1234 --regid 1235 --clear-groups "$L" doctor
	echo "$output"
	grep -qE '^  no +bridge +only root can create one' <<< "$output"
	# A device file that only root may open: there is no group to join.
	mknod "$BATS_TEST_TMPDIR/kvm" c 10 232 && chmod 600 "$BATS_TEST_TMPDIR/kvm"
	[[ -c /dev/kvm ]] || skip "no /dev/kvm to hide"
	run unshare -m sh -c 'mount --bind "$1" /dev/kvm && exec setpriv --reuid 1234 --regid 1235 --clear-groups "$2" --engine=kvm 64 /proc/version' \
		sh "$BATS_TEST_TMPDIR/kvm" "$L"
	[[ $output == *"no permission to open /dev/kvm, which is root's alone"* ]]
	chmod 660 "$BATS_TEST_TMPDIR/kvm" && chgrp disk "$BATS_TEST_TMPDIR/kvm"
	run unshare -m sh -c 'mount --bind "$1" /dev/kvm && exec setpriv --reuid 1234 --regid 1235 --clear-groups "$2" --engine=kvm 64 /proc/version' \
		sh "$BATS_TEST_TMPDIR/kvm" "$L"
	[[ $output == *"join the group disk"* ]]
}

@test "descriptors that were open before are closed in the supervisor, however many and however high" {
	local fd
	# As a shell would leave them: over a thousand, and some far above.
	ulimit -n 4096
	for ((fd = 100; fd < 1400; fd++)); do
		eval "exec $fd< /dev/null"
	done
	exec 4000< /etc/passwd
	start
	run "$L" audit one
	echo "$output"
	[[ $status == 0 ]]
	[[ ! -e /proc/$pid/fd/4000 && ! -e /proc/$pid/fd/1399 ]]
}

# Any user can name a program lguest-sep and give it a child of the right name.
@test "processes that only look like a guest do not disturb the audit of others" {
	local fake=$BATS_TEST_TMPDIR/fake
	start
	cp "$(command -v sleep)" "$BATS_TEST_TMPDIR/lguest-sep-init"
	chmod 755 "$BATS_TEST_TMPDIR/lguest-sep-init"
	cat > "$fake" <<-'END'
		exec -a lguest-sep bash -c '"$0" 300 & wait' "$1" --version --help 64
	END
	setpriv --reuid 1234 --regid 1235 --clear-groups bash "$fake" "$BATS_TEST_TMPDIR/lguest-sep-init" 3>&- &
	until pgrep -u 1234 -f lguest-sep-init > /dev/null; do sleep 0.1; done
	"$L" audit --json > "$BATS_TEST_TMPDIR/json"
	python3 -c 'import json, sys; g = json.load(open(sys.argv[1]))["guests"]; assert [x["name"] for x in g] == ["one"], g' "$BATS_TEST_TMPDIR/json"
	# An ordinary user does not see which program it is, but still gets JSON and nothing else.
	setpriv --reuid 1236 --regid 1235 --clear-groups "$L" audit --json 2>&1 | python3 -c 'import json, sys; json.load(sys.stdin)'
	pkill -9 -u 1234
}

@test "a background job of the shell that became lguest-sep is not the guest's" {
	out=$BATS_TEST_TMPDIR/out
	# One job is another guest.
	bash -c 'sleep 300 & "$0" --name=two "$2" "$3" 128 "$1" console=hvc0 quiet no_timer_check cryptomgr.notests < /dev/null > "$4" 2>&1 &
		shift 4; exec "$@"' "$L" "$K" "--initrd=$initrd" --timeout=600 "$out.two" "$L" "${user[@]}" \
		--name=one --block="$BATS_TEST_TMPDIR/disk" --tunnet=10.99.7.1/24 \
		--initrd="$initrd" "$mem" "$K" console=hvc0 quiet no_timer_check cryptomgr.notests < /dev/null > "$out" 2>&1 3>&- &
	pid=$!
	wait_for "T: busy"
	wait_until "$L" audit two
	run "$L" audit one
	echo "$output"
	[[ $status == 0 ]]
	pkill -9 -P "$pid" sleep
	pkill -9 -P "$pid" -f name=two
}

# Changes the guest's table as only root and the supervisor can: over the socket that it belongs to.
remove_rules()
{
	python3 - "$pid" <<-'END'
		import ctypes, os, socket, struct, sys
		call = ctypes.CDLL(None, use_errno=True).syscall
		pid = int(sys.argv[1])
		holder = call(434, pid, 0)  # pidfd_open
		rules = []
		for fd in map(int, os.listdir(f"/proc/{pid}/fd")):
		    if os.readlink(f"/proc/{pid}/fd/{fd}").startswith("socket:"):
		        s = socket.socket(fileno=call(438, holder, fd, 0))  # pidfd_getfd
		        if s.family == socket.AF_NETLINK:
		            rules.append(s)
		def message(kind, family, res, seq, attrs=b""):
		    body = struct.pack("=BBH", family, 0, socket.htons(res)) + attrs
		    return struct.pack("=IHHII", 16 + len(body), kind, 5, seq, 0) + body
		name = f"lguest-sep-guest0-{pid}\0".encode()
		attr = struct.pack("=HH", 4 + len(name), 1) + name + b"\0" * (-len(name) % 4)
		rules[0].send(message(0x10, 0, 10, 1) + message(0xa02, 1, 0, 2, attr) + message(0x11, 0, 10, 3))
	END
}

@test "rules of a tap that are gone are a finding, and root's alone to see" {
	boot_bg --name=one --block="$BATS_TEST_TMPDIR/disk" --tunnet=10.99.7.1/24,ifname=guest0,reach=tcp:80
	wait_for "T: busy"
	run "$L" audit one
	echo "$output"
	[[ $status == 0 && $output == *"ok      tap rules                  table lguest-sep-guest0-$pid"* ]]
	[[ $output == *"ok      owner of the tap rules     held by all of them"* ]]
	[[ $output == *"ok      filter on a tap            guest0"* ]]
	# From another network namespace as well.
	run unshare -n "$L" audit one
	[[ $status == 0 && $output == *"ok      tap rules "* ]]
	run setpriv --reuid nobody --regid nogroup --clear-groups "$L" audit one
	[[ $status == 0 && $output == *"?       tap rules                  only root may see them"* ]]
	remove_rules
	run "$L" audit one
	echo "$output"
	[[ $status == 3 && $output == *"weaker: guest one: tap rules: no table inet lguest-sep-guest0-$pid (promised: those of its options)"* ]]
}

@test "doctor names another table that drops, and forwarding that is off" {
	nft 'table inet walls { chain in { type filter hook input priority 0; policy drop; }; }'
	run "$L" doctor
	echo "$output"
	grep -qE '^  limited +reach= +the table inet walls drops' <<< "$output"
	grep -qE '^  limited +nat +this host forwards nothing' <<< "$output"
	nft delete table inet walls
	echo 1 > /proc/sys/net/ipv4/ip_forward
	run "$L" doctor
	echo 0 > /proc/sys/net/ipv4/ip_forward
	grep -qE '^  yes +nat +--tunnet=IP,nat works' <<< "$output"
	never grep -q 'walls' <<< "$output"
	need_user_namespaces
	need_tun_for_everybody
	run setpriv --reuid 1234 --regid 1235 --clear-groups "$L" doctor
	grep -qE '^  yes +ordinary users +taps, rules and nat in a network of their own' <<< "$output"
}
