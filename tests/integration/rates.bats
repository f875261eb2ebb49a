#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Rate limits hold under a load that would be a hundred times faster, and allow as much as
# they state; large segments pass whole.
load lib

setup_test()
{
	need_root
	load_dir=$(dirname "$B")/bench
	[[ -x $load_dir/netload && -x $load_dir/blkload ]] || skip "no load generators: make bench"
	cd "$BATS_TEST_TMPDIR" || return
	ip tuntap add tap9 mode tap vnet_hdr
	echo 1 > /proc/sys/net/ipv6/conf/tap9/disable_ipv6
	ip link set tap9 up
	"$load_dir/blkload" --fill=disk --size=4M
}

teardown_test()
{
	[[ -z ${backend:-} ]] || { kill "$backend" && wait "$backend"; } 2>/dev/null || true
	ip link del tap9 2>/dev/null || true
}

backend() # NAME OPTION…
{
	"$B/lguest-sep-$1" --socket-path="$PWD/sock" "${@:2}" > log 2>&1 3>&- &
	backend=$!
	for _ in {1..600}; do
		[[ -S sock ]] && return
		sleep 0.1
	done
	cat log
	return 1
}

# per_second LEAST MOST PROGRAM OPTION…
per_second()
{
	local got
	# The limit must hold always. It is reached only in a second in which other programs leave us the CPU, so retry.
	for _ in {1..20}; do
		got=$("$load_dir/$3" --socket="$PWD/sock" --ms=1000 "${@:4}" | sed 's/.*"ops_per_s": \([0-9]*\).*/\1/')
		echo "$got a second, wanted $1 to $2"
		((got <= $2)) || return 1
		((got < $1)) || return 0
	done
	return 1
}

@test "netd: --rate holds in both directions" {
	backend netd --tap=tap9 --mac=02:00:00:00:00:01 --rate=2000
	per_second 1600 2500 netload --tap=tap9 --size=64
	per_second 1000 2500 netload --tap=tap9 --size=64 --receive
}

@test "netd: --bandwidth holds in both directions" {
	backend netd --tap=tap9 --mac=02:00:00:00:00:01 --bandwidth=3028000
	per_second 1600 2500 netload --tap=tap9 --size=1514
	per_second 1000 2500 netload --tap=tap9 --size=1514 --receive
}

@test "blkd: --rate and --bandwidth hold, with io_uring and without" {
	for io in uring sync; do
		for limit in --rate=2000 --bandwidth=8192000; do
			backend blkd --blk-file=disk --io=$io $limit
			per_second 1600 2500 blkload --size=4M --depth=32
			per_second 1600 2500 blkload --size=4M --depth=1 --write
			kill "$backend"
			wait "$backend" || true
			rm -f sock
		done
	done
}

@test "segments of 64 KiB pass whole, in both directions, and no frame is lost" {
	backend netd --tap=tap9 --mac=02:00:00:00:00:01
	per_second 1000 10000000 netload --tap=tap9 --size=65214
	per_second 1000 10000000 netload --tap=tap9 --size=65214 --receive
}
