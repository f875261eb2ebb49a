#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2154 # lib.bash's
# --result= writes one JSON object that matches its schema, for every kind of end; --cpu-timeout.
load lib

setup_test()
{
	guests=$(dirname "$B")/tests/guest
	json=$BATS_TEST_TMPDIR/result
	schema=$top/docs/result.schema.json
	python3 -c 'import jsonschema' || skip "no jsonschema (apt install python3-jsonschema)"
	[[ -e $guests/probe ]] || skip "no freestanding guests: make guests"
}

need_kvm()
{
	[[ -c /dev/kvm && -w /dev/kvm ]] || skip "no /dev/kvm"
}

# valid: true if the file is one object that matches the schema
valid()
{
	python3 - "$json" "$schema" <<-'END'
		import json, jsonschema, sys
		schema = json.load(open(sys.argv[2]))
		jsonschema.Draft7Validator.check_schema(schema)
		jsonschema.validate(json.load(open(sys.argv[1])), schema)
	END
}

# is PATH VALUE: true if the member PATH (names joined by dots) has this value, as JSON
is()
{
	local got
	got=$(python3 -c 'import json, sys
v = json.load(open(sys.argv[1]))
for k in sys.argv[2].split("."):
    v = v[int(k) if k.isdigit() else k]
print(json.dumps(v))' "$json" "$1")
	[[ $got == "$2" ]] || { echo "$1 is $got, not $2"; return 1; }
}

# ends STATUS END [OPTION...]: runs a guest, with its kernel and arguments last; checks the status and the file's "end"
ends()
{
	local want=$1 end=$2
	shift 2
	rm -f "$json"
	status=0
	"$L" --engine=kvm --no-reboot --result="$json" "$@" < /dev/null > "$BATS_TEST_TMPDIR/out" 2>&1 3>&- || status=$?
	cat "$BATS_TEST_TMPDIR/out" "$json"
	is_status "$want"
	valid
	is end "\"$end\""
	is status "$want"
}

@test "result: each kind of end, by the schema" {
	need_kvm
	ends 0 poweroff --name=one --rng 64 "$guests/probe" t=rng
	is name '"one"'
	is vcpu.end '"poweroff"'
	is supervisor.starts 1
	ends 3 panic 64 "$guests/probe" t=panic
	is vcpu.end '"panic"'
	ends 3 panic 64 "$guests/probe" t=triple
	is vcpu.end '"crash"'
	ends 7 reboot 64 "$guests/probe" t=reset
	ends 9 exit-port --exit-port 64 "$guests/exit" exit=b2a
	is guest.exit_port 42
	is supervisor.console.bytes 20
	ends 0 exit-port --exit-port=isa-debug-exit 64 "$guests/exit" exit=l00
	is guest.exit_port 1
	ends 5 timeout --timeout=1 64 "$guests/probe" t=spin
	ends 5 cpu-timeout --cpu-timeout=0.3 --timeout=$((BUSY * 60)) 64 "$guests/probe" t=spin
	grep -q 'have used 0.300 s of processor time (--cpu-timeout)' "$BATS_TEST_TMPDIR/out"
	ends 1 host 64 "$guests/exit.S"
	is supervisor.message "\"kernel $guests/exit.S: cannot open it: No such file or directory\""
	head -c 5000 /dev/zero > "$BATS_TEST_TMPDIR/zeros"
	ends 1 host 64 "$BATS_TEST_TMPDIR/zeros"
	is vcpu.end '"load-failed"'
}

@test "result: a wrong command line leaves the file alone; one that cannot be written is said before the start" {
	echo mine > "$json"
	run "$L" --result="$json" --no-such 64 "$guests/exit"
	[[ $status == 2 && $(< "$json") == mine ]]
	run "$L" --result="$BATS_TEST_TMPDIR/no/such" 64 "$guests/exit"
	[[ $status == 1 && $output == *"--result=$BATS_TEST_TMPDIR/no/such: cannot open it for writing"* ]]
	run "$L" --result=/dev/full 64 "$guests/exit.S"
	[[ $status == 1 && $output == *"--result=/dev/full: cannot write to it: No space left on device"* ]]
}

@test "result: unfinished while the guest runs, and after the supervisor was killed" {
	need_kvm
	"$L" --engine=kvm --result="$json" 64 "$guests/exit" exit=b00 < /dev/null > "$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	pid=$!
	wait_until grep -q 'this kernel' "$BATS_TEST_TMPDIR/out"
	valid
	is end '"unfinished"'
	kill -9 "$pid"
	wait "$pid" || true
	valid
	is end '"unfinished"'
}

@test "result: run: what the guest claims stands under its own key" {
	need_root
	need_kernel
	[[ -x /bin/busybox ]] || skip "no /bin/busybox (apt install busybox-static)"
	status=0
	"$L" run --result="$json" --modules="$top/.cache/kernel/modules" 256 "$K" -- sh -c 'echo out; kill -9 $$' \
		< /dev/null > "$BATS_TEST_TMPDIR/out" 2> "$BATS_TEST_TMPDIR/err" 3>&- || status=$?
	cat "$BATS_TEST_TMPDIR/err" "$json"
	is_status 123
	valid
	is status 123
	is end '"poweroff"'
	is guest.command.end '"signaled"'
	is guest.command.value 9
	is supervisor.ports.1.name '"lguest-sep.stdout"'
	is supervisor.ports.1.bytes 4
}
