# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034 # variables are the tests'
#
# Shared by the long tests. Each test prints one line for each promise, and the sum as the last line.

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
B=${LONG_BUILD:-$top/build}
passed=0 failed=0 skipped=0

ok()
{
	((passed += 1))
	echo "ok $*"
}

not_ok()
{
	((failed += 1))
	echo "not ok $*"
}

# promise TEXT COMMAND...: prints "ok TEXT" if COMMAND succeeds, otherwise "not ok TEXT" and fails
promise()
{
	if "${@:2}"; then
		ok "$1"
	else
		not_ok "$1"
		return 1
	fi
}

# skip WHY: skips the whole test
skip()
{
	((skipped += 1))
	echo "ok # skip $*"
	sum
	exit
}

sum()
{
	printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
	((failed == 0))
}

# Starts the script again in new PID, mount and network namespaces, which end with it. Needs root.
own_namespaces() # SCRIPT [ARGUMENT...]
{
	[[ -z ${LONG_OWN:-} ]] || { ip link set lo up; return 0; }
	((EUID == 0)) || skip "needs root"
	unshare -pfmn --mount-proc true 2> /dev/null || skip "this host gives no namespaces"
	LONG_OWN=1 exec unshare -pfmn --mount-proc --kill-child "$@"
}

never() # COMMAND...: succeeds if COMMAND fails
{
	! "$@"
}

# wait_until COMMAND...: waits until COMMAND succeeds; fails after a time limit for busy machines
wait_until()
{
	local end=$((SECONDS + ${LIMIT:-60}))
	until "$@" > /dev/null 2>&1; do
		((SECONDS < end)) || return 1
		sleep 0.01
	done
}
