#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2154 # lib.bash's
#
# contrib/slurm/lguest-farm without Slurm: manifests, attempts, verdicts, and reports whose text is hostile.
# tests/long/slurm runs it on a cluster.
load lib

setup_test()
{
	command -v python3 > /dev/null || skip "no python3 (apt install python3)"
	farm=$top/contrib/slurm/lguest-farm
	cd "$BATS_TEST_TMPDIR" || return
}

# A program in place of lguest-sep: it notes that it ran, and does what the file named by its last word says
double()
{
	cat > double <<-'END'
		#!/bin/bash
		for word; do
			case $word in
			--result=*) result=${word#*=} ;;
			--timeout=*) limit=${word#*=} ;;
			esac
		done
		echo "$limit $*" >> "$word.ran"
		. "$word"
	END
	chmod 755 double
	cat > result.bash <<-'END'
		result() # END STATUS
		{
			printf '{"schema":1,"version":"0","name":null,"kernel":"k","end":"%s","status":%d}\n' "$1" "$2" > "$result"
			exit "$2"
		}
	END
}

guest() # NAME COMMAND: a line of the manifest, and what the guest does
{
	printf '. ./result.bash\n%s\n' "$2" > "$1.guest"
	echo "$1 ${3:-} -- 1 ./$1.guest" >> manifest
}

runs() # NAME
{
	wc -l < "$1.guest.ran"
}

wrong() # TEXT-OF-MESSAGE LINE...: this manifest is refused with one line that contains the text
{
	printf '%s\n' "${@:2}" > bad
	run "$farm" prepare bad new --program=true
	is_status 2
	one_line
	[[ $output == *"$1"* && ! -e new ]] || { echo "for '${*:2}': $output"; return 1; }
}

@test "farm: a wrong manifest is refused with its line" {
	wrong "bad:2: tmeout=1: no setting of this name; there are expect=" "# comment" "a tmeout=1 -- 64 k"
	wrong "bad:1: expected NAME" "a 64 k"
	wrong "the name a is taken by line 1" "a -- 64 k" "a -- 64 k"
	wrong "cannot be a name" "../../etc -- 64 k"
	wrong "cannot be a name" ".. -- 64 k"
	wrong "expect=good: expected pass, fail" "a expect=good -- 64 k"
	wrong "expect=256" "a expect=256 -- 64 k"
	wrong "timeout=0: expected seconds" "a timeout=0 -- 64 k"
	wrong "memory=much: expected a size" "a memory=much -- 64 k"
	wrong "cpus= is given twice" "a cpus=1 cpus=2 -- 64 k"
	wrong "--result=x: the farm sets this option itself" "a -- --result=x 64 k"
	wrong "not closed" "a -- 64 'k"
	wrong "expected MEM-MB and a kernel" "a -- --no-reboot"
	wrong "no guests in this manifest" "# nothing"
	printf '\xff -- 64 k\n' > bad
	run "$farm" prepare bad new --program=true
	is_status 2
	one_line
	run "$farm" prepare missing new --program=true
	[[ $status == 2 && $output == "lguest-farm: missing: No such file or directory" ]]
	echo "a -- 64 k" > good
	run "$farm" prepare good new --program=/nowhere/lguest-sep
	[[ $status == 2 && $output == *"no such program"* ]]
	mkdir new
	run "$farm" prepare good new --program=true
	[[ $status == 2 && $output == *"exists already"* ]]
	run env PATH=/nowhere /usr/bin/python3 "$farm" submit good new2
	[[ $status == 2 && $output == *"scontrol: no such program"* && ! -e new2 ]]
}

@test "farm: faults of the host run again, verdicts never" {
	double
	guest pass 'result poweroff 0'
	guest fail 'result exit-port 9'
	guest panic 'result panic 3' expect=panic
	guest late 'result timeout 5' "expect=5 timeout=7.5"
	guest died 'result role-died 4'
	guest usage 'exit 2'
	guest host 'result host 1'
	guest second '[[ $(wc -l < "$word.ran") == 2 ]] && result poweroff 0; result host 1'
	guest killed 'result unfinished 137'
	guest half 'echo "{\"end\":" > "$result"; exit 0'
	guest signal 'result signal 143'
	guest noresult 'exit 0'
	run "$farm" prepare manifest f --program=./double --chunk=20 --attempts=2
	[[ $status == 0 && $output == 0 ]]
	run timeout $((BUSY * 10)) "$farm" task f 0
	is_status 0
	for name in pass fail panic late died usage; do [[ $(runs $name) == 1 ]]; done
	for name in host second killed half signal noresult; do [[ $(runs $name) == 2 ]]; done
	grep -q '^7.5 --quiet --timeout=7.5 --result=.*/f/guests/late/1/result.json --console=.* 1 ./late.guest$' late.guest.ran

	run "$farm" collect f --jsonl=all
	is_status 3
	grep -qxF '12 guests: 4 as expected, 3 not as expected, 5 without a verdict' <<< "$output"
	for name in fail died usage; do grep -q "^not as expected: $name: $name, " <<< "$output"; done
	for name in host killed half signal noresult; do grep -q "^no verdict: $name: .*; attempts: 2\$" <<< "$output"; done
	[[ $(jq -r 'select(.name == "second") | [.attempts, .verdict, .faults[0].reason] | join(" ")' all) == "2 pass the host could not start the guest" ]]

	# Another run of the task has nothing to do. A guest that never started is reported.
	run "$farm" task f 0
	is_status 0
	[[ $(runs host) == 2 ]]
	rm -r f/guests/pass
	run "$farm" collect f
	is_status 3
	grep -q '^no verdict: pass: never started' <<< "$output"
	run "$farm" task f 1
	[[ $status == 2 && $output == *"has no task 1"* ]]
}

@test "farm: a task that is told to end, or killed, leaves no verdict" {
	double
	guest slow 'trap "" INT; trap "result poweroff 0" TERM; echo $$ > running; for i in {1..600}; do sleep 0.1; done'
	guest next 'result poweroff 0'
	"$farm" prepare manifest f --program=./double --chunk=2 > /dev/null
	for how in TERM KILL; do
		rm -f running
		"$farm" task f 0 3>&- &
		task=$!
		wait_until test -s running
		kill -$how $task
		wait $task || true
		kill -TERM "$(< running)" 2> /dev/null || true
		run "$farm" collect f
		is_status 3
		grep -q '^no verdict: slow: ' <<< "$output"
	done
	[[ ! -e next.guest.ran ]]
	echo '. ./result.bash; result poweroff 0' > slow.guest
	run "$farm" task f 0
	is_status 0
	run "$farm" collect f
	is_status 0
	[[ $(runs slow) == 3 && $(runs next) == 1 ]]
}

@test "farm: outputs without end do not fill the disk" {
	double
	guest flood 'head -c 3000000 /dev/zero; head -c 3000000 /dev/zero >&2; result poweroff 0'
	"$farm" prepare manifest f --program=./double > /dev/null
	run "$farm" task f 0
	is_status 0
	[[ $(stat -c %s f/guests/flood/1/output.txt f/guests/flood/1/messages.txt) == 1048576$'\n'1048576 ]]
	[[ $(jq .output_dropped f/guests/flood/1/record.json) == $((6000000 - 2097152)) ]]
}

@test "farm: a report that cannot be written, or is no regular file" {
	double
	guest pass 'result poweroff 0'
	"$farm" prepare manifest f --program=./double > /dev/null
	"$farm" task f 0
	# A device of our own: the host's must not be at risk.
	if ! { mknod full c 1 7 && : > full; } 2> /dev/null; then
		[[ $EUID != 0 ]] || skip "device nodes cannot be opened on $BATS_TEST_TMPDIR (nodev)"
		rm -f full
		ln -s /dev/full full
	fi
	run "$farm" collect f --tap=full
	[[ $status == 2 && $output == "lguest-farm: full: No space left on device" && -c full ]]
	run "$farm" collect f --tap=nowhere/tap
	[[ $status == 2 && $output == "lguest-farm: "*"/nowhere/tap: No such file or directory" ]]
	mkfifo pipe
	cat pipe > piped &
	run "$farm" collect f --tap=pipe
	wait $!
	[[ $status == 0 && -p pipe && $(grep -c '^ok 1 - pass' piped) == 1 ]]
	[[ $("$farm" collect f --tap=/dev/stdout 2> /dev/null | grep -c '^ok 1 - pass') == 1 ]]
	ln -s target link
	touch target
	"$farm" collect f --tap=link --quiet
	[[ -L link && -s target && -z $(find . -name '*.tmp') ]]
}

@test "farm: a submission that Slurm refuses" {
	mkdir bin
	printf '#!/bin/sh\necho "sbatch: error: invalid partition" >&2\nexit 1\n' > bin/sbatch
	printf '#!/bin/sh\necho MaxArraySize = 1001\n' > bin/scontrol
	chmod 755 bin/*
	echo "a -- 64 k" > manifest
	PATH=$PWD/bin:$PATH run "$farm" submit manifest f --program=true -- --partition=none
	is_status 2
	one_line
	[[ $output == "lguest-farm: sbatch: sbatch: error: invalid partition; "*"lguest-farm again f" ]]
	run "$farm" collect f
	is_status 3
}

@test "farm: hostile text is harmless in every report" {
	python3 "$top/tests/lib/farm_hostile.py" "$farm"
}
