# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2154 # variables are bench/run's
#
# The section "checkpoint" of bench/run: how long a reset takes (--checkpoint), by the pages that the guest has dirtied
# since. One value is the mean of many resets of one guest, or a percentile of them: where the host's kernel makes a few
# resets wait long, for instance for its own threads, the mean says more about these than about the others. The guest has
# the normal priority, so that those threads, which KVM waits for in each reset without nested paging, do not wait for it.

measure_checkpoint()
{
	local rep pages
	[[ -c /dev/kvm && -e $build/tests/guest/probe ]] || { echo "bench: no /dev/kvm, or no make guests" >&2; return 0; }
	truncate -s 16M "$tmp/checkpoint.img"
	for ((rep = 0; rep < reps; rep++)); do
		for pages in 0 50 500 5000; do
			checkpoint_run "$pages pages" dirty-"$pages" $((pages == 5000 ? 50 : 1000))
		done
		# The guest reads 4 KiB each time.
		checkpoint_run "50 pages and a read-only disk" dirty-disk 1000 --block="$tmp/checkpoint.img,ro"
		checkpoint_run "50 pages and a snapshot" dirty-disk 1000 --block="$tmp/checkpoint.img,snapshot"
		# It also asks for the host's address.
		checkpoint_run "50 pages, a snapshot and a NIC" dirty-both 1000 --block="$tmp/checkpoint.img,snapshot" \
			--tunnet=10.99.0.1/24
		fresh_run "50 pages and a read-only disk" dirty-disk --block="$tmp/checkpoint.img,ro"
		fresh_run "50 pages and a snapshot" dirty-disk --block="$tmp/checkpoint.img,snapshot"
		fresh_run "50 pages, a snapshot and a NIC" dirty-both --block="$tmp/checkpoint.img,snapshot" \
			--tunnet=10.99.0.1/24
	done
	rm -f "$tmp/checkpoint.img"
	measure_from
}

# Starts from a file (--from) beside starts from the kernel, which does nothing but write one byte in each page of 32 MiB
# before its checkpoint.
measure_from()
{
	local rep
	for ((rep = 0; rep < 2 * reps + 1; rep++)); do
		rm -f "$tmp/saved" "$tmp/saved.full"
		from_run "kernel of 20 KiB, no data" --engine=kvm --save="$tmp/saved" --resets=1 64 "$build/tests/guest/probe" t=dirty-0
		from_run "file, no data" --from="$tmp/saved" --checkpoint --resets=1 64
		"$bin/lguest-sep" --quiet --engine=kvm --save="$tmp/saved.full" 64 "$build/tests/guest/probe" t=cp-full < /dev/null > /dev/null 2>&1
		from_run "file, 32 MiB of data" --from="$tmp/saved.full" 64
	done
	rm -f "$tmp/saved" "$tmp/saved.full"
}

from_run() # CASE OPTION...: microseconds from exec to the first instruction
{
	nice -n -20 "$bin/lguest-sep" --verbose --no-reboot --timeout=300 "${@:2}" < /dev/null > "$tmp/from.log" 2>&1
	put from "$1" "exec to the first instruction" us "$(sed -n 's/.*first instruction after \([0-9]*\) us.*/\1/p' "$tmp/from.log")"
}

fresh_run() # CASE TEST [OPTION...]: first with helpers that are held, then with helpers that are started again
{
	local reset
	for reset in keep fresh; do
		checkpoint_guest "$2" 100 --reset="$reset" "${@:3}"
		put reset "$1" "--reset=$reset" us_per_reset "$(checkpoint_us "(memory|the rest) of resets")"
	done
}

checkpoint_run() # CASE TEST RESETS [OPTION...]
{
	local name=$1 t=$2 resets=$3 us
	shift 3
	checkpoint_guest "$t" "$resets" "$@"
	put checkpoint "$name" memory us_per_reset "$(checkpoint_us "memory of resets")"
	put checkpoint "$name" "processors and devices" us_per_reset "$(checkpoint_us "the rest of resets")"
	us=$(sed -n 's/.*: \([0-9]*\) microseconds of the rest of resets: waiting for helpers.*/\1/p' "$tmp/checkpoint.log")
	[[ -z $us ]] || put checkpoint "$name" "of these, waiting for helpers" us_per_reset $((us / resets))
	put checkpoint "$name" "both" us_per_reset "$(checkpoint_us "(memory|the rest) of resets")"
	put checkpoint "$name" "median" us_per_reset "$(checkpoint_count "median of a reset")"
	put checkpoint "$name" "99th percentile" us_per_reset "$(checkpoint_count "99th percentile of a reset")"
	put checkpoint "$name" "with the guest's own work" resets_per_s \
		"$(sed -n 's/.* resets, \([0-9]*\) a second.*/\1/p' "$tmp/checkpoint.log")"
}

checkpoint_guest() # TEST RESETS [OPTION...]: a guest in $tmp/checkpoint.log
{
	"$bin/lguest-sep" --engine=kvm --checkpoint --resets="$2" --stats --no-reboot --timeout=300 "${@:3}" 64 \
		"$build/tests/guest/probe" console=ttyS0 t="$1" < /dev/null > "$tmp/checkpoint.log" 2>&1
}

checkpoint_count() # TEXT: the number before it
{
	tr -d '\r' < "$tmp/checkpoint.log" | sed -n "s/^lguest-sep: vcpu *\([0-9]*\)  microseconds: $1\$/\1/p"
}

checkpoint_us() # TEXT: microseconds a reset
{
	tr -d '\r' < "$tmp/checkpoint.log" | awk -v text="microseconds: $1\$" '
		$0 ~ text { us += $3 }
		/  resets$/ { n = $3 }
		END { if (n) print us / n }'
}
