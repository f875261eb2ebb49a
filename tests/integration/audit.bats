#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# lguest-sep audit against guests as they are, and against guests weakened by hand; doctor.
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

# The verdict of one row: audit_row PROCESS WHAT
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
	[[ ${lines[-1]} == "verdict: 1 guest, 7 processes: as promised; 0 promises weaker, "* ]]
	run "$L" audit "$pid"
	[[ $status == 0 ]]
	run "$L" audit
	[[ $status == 0 ]]
	run setpriv --reuid nobody --regid nogroup --clear-groups "$L" audit one
	echo "$output"
	[[ $status == 0 ]]
	# Another user sees less, but which guest it is.
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

# weaker PROCESS WHAT: the audit ends with 3 and names it
weaker()
{
	run "$L" audit one
	echo "$output" | grep -E '^(weaker|verdict)'
	[[ $status == 3 ]]
	[[ ${lines[-1]} == *"WEAKER than promised"* ]]
	grep -qE "^weaker: guest one: $1 \(pid [0-9]+\): $2" <<< "$output"
}

# without WORD [OPTION…]: started with that layer taken out (tests/host/weaken.c); no guest is waited for
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
	for _ in {1..50}; do
		[[ -n $(our_pids) ]] || return 0
		sleep 0.1
	done
	return 1
}

# other_blkd FILE: $L starts that in blkd's place
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
	weaker net0 "root folder: empty on tmpfs"
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
	# Only where root may raise limits (CAP_SYS_RESOURCE).
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
time.sleep(30)' "$pid" > "$BATS_TEST_TMPDIR/tracer" 3>&- &
	tracer=$!
	for _ in {1..50}; do
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
	(exec -a lguest-sep bash -c "bash -c 'exec -a lguest-sep-init sleep 20' & wait") &
	other=$!
	sleep 0.5
	run "$L" audit "$other"
	kill -9 "$other"
	pkill -9 -P "$other" || true
	echo "$output" | grep -E '^(weaker|verdict)'
	[[ $status == 3 ]]
	grep -qE "^weaker: .*: supervisor \(pid [0-9]+\): program: /.*bash" <<< "$output"
	grep -qE "^weaker: .*: supervisor \(pid [0-9]+\): user id: 0 0 0 0" <<< "$output"
}

@test "doctor says what works here, and its JSON parses" {
	run "$L" doctor
	echo "$output"
	[[ $status == 0 ]]
	[[ ${lines[-1]} == "verdict: guests can run here"* ]]
	grep -qE '^  (yes|limited) +qemu ' <<< "$output"
	grep -qE '^  yes +tap ' <<< "$output"
	"$L" doctor --json | python3 -c '
import json, sys
d = json.load(sys.stdin)
assert d["guests_can_run"]
assert {f["group"] for f in d["findings"]} == {"caller", "engine", "layer", "network"}'
	run setpriv --reuid nobody --regid nogroup --clear-groups "$L" doctor
	[[ $status == 0 ]]
	run "$L" doctor --jsno
	[[ $status == 2 ]]
}

# Without /proc entries of the engine and with a kernel interface taken away, doctor says so.
@test "doctor names what is missing" {
	run unshare -m bash -c 'mount -t tmpfs none /dev && mknod -m 666 /dev/null c 1 3 && "$0" doctor' "$L"
	echo "$output"
	grep -qE '^  no +tap +no /dev/net/tun' <<< "$output"
	grep -qE '^  no +kvm ' <<< "$output"
}
