#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# The control plane: ps, status, stop, kill, wait, stats, logs, attach; who may use them.
load lib

setup_test()
{
	need_root
	need_kernel
}

stranger=(setpriv --reuid 1234 --regid 1235 --clear-groups)

# start NAME [OPTION…]: starts a guest and waits until it prints "ready"
start()
{
	boot_bg --name="$1" "${@:2}"
	wait_for "T: ready"
}

# ctl WORD…: runs one command; sets $output and $status
ctl()
{
	run timeout $((BUSY * 30)) "$L" "$@"
	echo "$* -> $status: $output"
}

# The text exposition format: each sample after the HELP and TYPE of its metric, in one block, with a number.
exposition()
{
	python3 -c '
import re, sys
done, name = set(), None
for line in sys.stdin.read().split("\n")[:-1]:
    m = re.fullmatch(r"# (HELP|TYPE) ([a-z_][a-z0-9_]*) (.+)", line)
    if m:
        if m[1] == "HELP":
            assert m[2] not in done, line
            done.add(m[2])
            name = m[2]
        else:
            assert m[2] == name and m[3] in ("counter", "gauge"), line
            assert m[3] == "gauge" or name.endswith("_total"), line
        continue
    m = re.fullmatch(r"([a-z_][a-z0-9_]*)\{guest=\"[\w.-]+\"(?:,(?:role|port)=\"[\w.-]+\")?,uid=\"\d+\"\} (\d+(?:\.\d+)?)", line)
    assert m and m[1] == name, line
    print(m[1], m[2])'
}

@test "ps, status, stats and logs tell of a guest; another user is refused" {
	new_image disk 4
	guest_script <<< 'dd if=/dev/vda of=/dev/null bs=64k count=16 2>/dev/null; say ready; sleep 1000'
	ctl ps
	[[ $status == 0 && $output == "no guest runs"* ]]
	ctl ps --json
	[[ $output == "[]" ]]
	ctl status web
	[[ $status == 1 && $output == *"no guest of that name runs here"* ]]
	one_line
	start web --block="$BATS_TEST_TMPDIR/disk,ro" --port=log:"$BATS_TEST_TMPDIR/log",max=4096 --timeout=3000
	ctl ps
	[[ ${#lines[@]} == 2 && ${lines[1]} == "web "*" 0 "*"$pid running "*"vmlinuz"* ]]
	[[ $("$L" ps --json | python3 -c 'import json, sys
g = json.load(sys.stdin)[0]
print(g["name"], g["uid"], g["pid"], g["state"], g["disks"], g["reboots"], g["memory_bytes"], g["cpu_seconds"] > 0)') == \
		"web 0 $pid running 1 0 134217728 True" ]]
	ctl status web
	[[ $status == 0 && $output == *"state       running"* && $output == *"processes   7"* && $output == *"timeout     3000.000 s"* ]]
	[[ $output == *"disk        blk0: $BATS_TEST_TMPDIR/disk, 4 MiB, read-only"* ||
		$output == *"disk        blk0: ..."*"/disk, 4 MiB, read-only"* ]]
	[[ $("$L" status web --json | python3 -c 'import json, sys
g = json.load(sys.stdin)
p = {p["type"]: p for p in g["parts"]}
print(g["kernel"], g["ports"], g["limits"]["timeout_seconds"], g["limits"]["memory_max"], sorted(p),
      p["disk"]["read_only"], p["port"]["name"], p["port"]["max_bytes"], p["console"]["bytes"] > 0)') == \
		"vmlinuz 1 3000.0 None ['console', 'disk', 'port'] True log 4096 True" ]]
	ctl stats web
	[[ $output == *"blk0 "*" bytes read"* && $output == *"vcpu "*" ms of processor time"* ]]
	[[ $("$L" stats web --json | python3 -c 'import json, sys
r = {r["name"]: r for r in json.load(sys.stdin)["roles"]}
print(sorted(r), r["blk0"]["counters"]["bytes_read"] >= 1 << 20, r["vcpu"]["resident_bytes"] > 1 << 20)') == \
		"['blk0', 'vcpu'] True True" ]]
	"$L" stats web --prometheus > "$BATS_TEST_TMPDIR/metrics"
	exposition < "$BATS_TEST_TMPDIR/metrics" > "$BATS_TEST_TMPDIR/samples"
	grep -qE '^lguest_sep_bytes_read_total [1-9][0-9]{6}' "$BATS_TEST_TMPDIR/samples"
	grep -qx 'lguest_sep_port_max_bytes 4096' "$BATS_TEST_TMPDIR/samples"
	grep -qx 'lguest_sep_limit_seconds 3000.000' "$BATS_TEST_TMPDIR/samples"
	ctl logs web
	[[ $output == *"T: ready"* ]]
	# Another user: by name, by full name, and he sees no guest of others.
	run "${stranger[@]}" "$L" stop web
	[[ $status == 1 && $output == *"that of user 0 can be controlled by this user and by root only"* ]]
	run "${stranger[@]}" "$L" kill 0/web
	[[ $status == 1 && $output == *"only root and the user who started it may control this guest"* ]]
	run "${stranger[@]}" "$L" ps
	[[ $output == "no guest runs"* ]]
	# The name is taken, and by nobody once the guest is gone.
	run "$L" --name=web "$mem" "$K" < /dev/null
	[[ $status == 2 && $output == *"--name=web: a guest of that name runs already"* ]]
	one_line
	ctl kill web
	[[ $status == 0 ]]
	finish
	is_status 137
	ctl kill web
	[[ $status == 1 ]]
}

@test "wrong words get one line" {
	local words
	for words in "ps web" "ps --jsno" "status" "status a b" "stop web --timeout=0" "stats web --json --prometheus" "wait a/b" "logs /x" \
		"attach a.b.c.d/e" "pause" "resume a b" "nmi --now web" "sysrq web" "sysrq web hh" "sysrq web /" "sysrq web h i"; do
		# shellcheck disable=SC2086
		ctl $words
		[[ $status != 0 ]]
		one_line
	done
	for words in ps status stop kill wait stats logs attach pause resume nmi checkpoint reset sysrq; do
		ctl "$words" --help
		[[ $status == 0 && $output == "Usage: lguest-sep $words"* ]]
	done
}

@test "stop asks the guest, wait ends with its status, nothing is left when stop returns" {
	guest_script <<- 'END'
		exec 3< /dev/input/event0
		say ready
		dd of=/dev/null bs=24 count=1 <&3 2> /dev/null && say asked && poweroff -f
		sleep 1000
	END
	start web
	"$L" wait web 3>&- & waiter=$!
	wait_until waits web
	ctl stop web
	[[ $status == 0 ]]
	[[ -z $(our_pids | grep -vx "$waiter") ]]
	status=0
	wait "$waiter" || status=$?
	is_status 0
	finish
	is_status 0
	said asked
	ctl ps
	[[ $output == "no guest runs"* ]]
}

# True if a client is connected to that guest: controld has more descriptors than the four of its table.
waits()
{
	local p
	for p in $(role_pids controld); do
		[[ ! -e /proc/$p/fd/4 ]] || return 0
	done
	return 1
}

@test "attach shows and types, twice at once; silent and half connections harm nobody" {
	guest_that_reads
	start web
	mkfifo "$BATS_TEST_TMPDIR/typed"
	exec 8<> "$BATS_TEST_TMPDIR/typed"
	"$L" attach web < "$BATS_TEST_TMPDIR/typed" > "$BATS_TEST_TMPDIR/a" 2>&1 3>&- 8>&- & a=$!
	"$L" attach web < /dev/null > "$BATS_TEST_TMPDIR/b" 2>&1 3>&- 8>&- & b=$!
	wait_until grep -q 'T: ready' "$BATS_TEST_TMPDIR/a"
	wait_until grep -q 'T: ready' "$BATS_TEST_TMPDIR/b"
	python3 - <<- 'END' 3>&- 8>&- & noise=$!
		import socket, time
		kept = []
		for i in range(1000):
		    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
		    s.connect(b"\0lguest-sep/0/web")
		    if i % 3 == 1:
		        s.send(b"half a message")
		    kept.append(s)
		print("all", flush=True)
		time.sleep(1000)
	END
	sleep 1
	ctl status web
	[[ $status == 0 ]]
	echo hello >&8
	wait_until grep -q 'T: got hello' "$BATS_TEST_TMPDIR/a"
	wait_until grep -q 'T: got hello' "$BATS_TEST_TMPDIR/b"
	wait_for 'T: got hello'
	for _ in {1..20}; do
		"$L" ps --json | grep -q '"web"'
	done
	kill "$noise"
	echo bye >&8
	finish
	is_status 0
	wait "$a"
	wait "$b"
}

guest_that_reads()
{
	guest_script <<- 'END'
		say ready
		while read -r x; do
			say "got $x"
			[ "$x" != bye ] || break
		done
	END
}

@test "a user's own guest: he and root control it, others do not, not even as the overflow user" {
	need_user_namespaces
	guest_script <<< 'say ready; sleep 1000'
	user=()
	out=$BATS_TEST_TMPDIR/out
	# shellcheck disable=SC2154 # guest_script sets it
	setpriv --reuid nobody --regid nogroup --clear-groups --inh-caps=-all "$L" --name=own --initrd="$initrd" "$mem" "$K" \
		console=hvc0 quiet no_timer_check cryptomgr.notests < /dev/null > "$out" 2>&1 3>&- & pid=$!
	wait_for "T: ready"
	run "${stranger[@]}" "$L" kill 65534/own
	[[ $status == 1 && $output == *"only root and the user who started it"* ]]
	run setpriv --reuid nobody --regid nogroup --clear-groups --inh-caps=-all "$L" status own
	[[ $status == 0 ]]
	ctl ps
	[[ $output == *"own "*" 65534 "* ]]
	ctl stats own
	[[ $status == 0 ]]
	ctl kill own
	[[ $status == 0 ]]
	finish
	is_status 137
}

@test "controld that dies is started again; a reboot keeps connections" {
	guest_script <<< 'say ready; read -r x; say "got $x"; reboot -f'
	guest_waits
	start web
	kill -9 "$(role_pids controld)"
	wait_for "control: its process killed by signal 9"
	wait_until "$L" status web
	"$L" logs web --follow > "$BATS_TEST_TMPDIR/log" 3>&- 7>&- & log=$!
	wait_until waits
	tell_guest
	wait_until grep -q 'T: got go' "$BATS_TEST_TMPDIR/log"
	wait_until grep -q 'T: ready' "$BATS_TEST_TMPDIR/log"
	ctl status web --json
	cat "$BATS_TEST_TMPDIR/log"
	[[ $output =~ '"reboots": '[1-9] ]]
	run "$L" audit web
	[[ $status == 0 && ${lines[-1]} == "verdict: 1 guest, 5 processes: as promised"* ]]
	ctl kill web
	wait "$log"
	finish
	is_status 137
}

@test "--detach ends when the guest runs, or with the reason why it does not" {
	local name
	guest_script <<< 'say ready; sleep 1000'
	run timeout $((BUSY * 60)) "$L" "${user[@]}" --detach --initrd="$initrd" "$mem" "$K" console=hvc0 quiet no_timer_check cryptomgr.notests < /dev/null 3>&-
	echo "$output"
	[[ $status == 0 ]]
	name=${lines[-1]}
	[[ $name =~ ^vmlinuz-[0-9]+$ ]]
	pid=$("$L" ps --json | python3 -c 'import json, sys; print(json.load(sys.stdin)[0]["pid"])')
	# It has nothing of the caller's: no terminal, no descriptor, a session of its own.
	[[ $(cut -d ' ' -f 6 "/proc/$pid/stat") == "$pid" && $(readlink "/proc/$pid/fd/1") == /dev/null ]]
	wait_until logs_have "$name" 'T: ready'
	logs_have "$name" 'lguest-sep: vcpu: QEMU emulates the CPU' || [[ -e /dev/kvm ]]
	ctl stop "$name" --timeout=1
	[[ $status == 0 ]]
	never kill -0 "$pid"
	run timeout $((BUSY * 60)) "$L" "${user[@]}" --detach --name=bad --initrd=/does/not/exist "$mem" "$K" < /dev/null 3>&-
	[[ $status == 1 && $output == *"/does/not/exist"* ]]
	one_line
	run timeout $((BUSY * 60)) "$L" "${user[@]}" --detach --name=bad "$mem" /etc/passwd < /dev/null 3>&-
	[[ $status == 1 && $output == *passwd* ]]
}

logs_have() # NAME TEXT
{
	"$L" logs "$1" | grep -aqF -- "$2"
}

@test "--detach returns when the guest runs, whatever becomes of its line" {
	guest_script <<< 'say ready; sleep 1000'
	run timeout "$((BUSY * 30))" bash -c '"$@" > /dev/full' sh "$L" "${user[@]}" --detach --name=full --initrd="$initrd" \
		"$mem" "$K" console=hvc0 quiet no_timer_check cryptomgr.notests
	[[ $status == 0 && $output == *"--detach: cannot write the guest's name to standard output"* ]]
	ctl kill full
	[[ $status == 0 ]]
}
