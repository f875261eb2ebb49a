# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2154 # variables are bench/run's
#
# The section "checkpoint" of bench/run: how long a reset takes (--checkpoint), by the pages that the guest has dirtied
# since. One value is the mean of many resets of one guest.

measure_checkpoint()
{
	local rep pages resets
	[[ -c /dev/kvm && -e $build/tests/guest/probe ]] || { echo "bench: no /dev/kvm, or no make guests" >&2; return 0; }
	for ((rep = 0; rep < reps; rep++)); do
		for pages in 0 50 500 5000; do
			resets=$((pages == 5000 ? 50 : 1000))
			nice -n -20 "$bin/lguest-sep" --engine=kvm --checkpoint --resets="$resets" --stats --no-reboot --timeout=300 64 \
				"$build/tests/guest/probe" console=ttyS0 t=dirty-"$pages" < /dev/null > "$tmp/checkpoint.log" 2>&1
			put checkpoint "$pages pages" memory us_per_reset "$(checkpoint_us "memory of resets")"
			put checkpoint "$pages pages" "processors and devices" us_per_reset "$(checkpoint_us "the rest of resets")"
			put checkpoint "$pages pages" "both" us_per_reset "$(checkpoint_us ".* resets")"
			put checkpoint "$pages pages" "with the guest's own work" resets_per_s \
				"$(sed -n 's/.* resets, \([0-9]*\) a second.*/\1/p' "$tmp/checkpoint.log")"
		done
	done
}

checkpoint_us() # TEXT: microseconds a reset
{
	tr -d '\r' < "$tmp/checkpoint.log" | awk -v text="microseconds: $1\$" '
		$0 ~ text { us += $3 }
		/  resets$/ { n = $3 }
		END { if (n) print us / n }'
}
