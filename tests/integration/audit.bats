#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# lguest-sep audit against guests as they are, and against guests weakened by hand; doctor.
load lib

weak=${LGUEST_SEP_TESTS:-$(dirname "$B")/tests/host}

need_weak()
{
	[[ -e $weak/weaken.so && -e $weak/blkd_weak ]] || skip "not built: make tests"
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

@test "one descriptor too many is named" {
	need_weak
	LD_PRELOAD=$weak/weaken.so WEAKEN=descriptor start
	weaker blk0 "descriptor: number 64 is a file"
}

@test "a limit that was never set, or was raised, is named" {
	need_weak
	LD_PRELOAD=$weak/weaken.so WEAKEN=processes start
	weaker blk0 "process limit"
	# Only where root may raise limits (CAP_SYS_RESOURCE).
	if prlimit --pid "$(role_pids netd)" --nproc=100:100; then
		weaker net0 "process limit: 100, 100"
	fi
}

@test "a role without its filter is named; what it then tries, other layers refuse" {
	need_weak
	dir=$BATS_TEST_TMPDIR/bin
	cp -r "$B" "$dir"
	chmod -R a+rX "$dir"
	cp "$weak/blkd_weak" "$dir/lguest-sep-blkd"
	L=$dir/lguest-sep
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
