# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2154 # variables are bench/run's
#
# The section "lguest" of bench/run: the launcher that this project began from and lguest-sep on the same emulated host
# (tests/lab/lguest-compare.sh). Needs LGUEST_HOST_KERNEL= and LGUEST_CLASSIC= (tests/lab/lguest), and takes minutes.

measure_lguest()
{
	local word who what n
	if [[ -z ${LGUEST_HOST_KERNEL:-} || -z ${LGUEST_CLASSIC:-} ]]; then
		echo "bench/run: no LGUEST_HOST_KERNEL= and LGUEST_CLASSIC=: lguest left out" >&2
		return
	fi
	make -s ARCH=i386 B="$build-i386" all "$build-i386/static/lguest-sep" "$build-i386/tests/host/on-pty"
	LGUEST_WORDS="ONLY=compare ROUNDS=$reps" tests/lab/lguest "$LGUEST_HOST_KERNEL" "$build-i386/bin" > "$tmp/lguest"
	while read -r word who what n; do
		[[ $word == compare && $n == [0-9]* ]] || continue
		[[ $who == classic ]] || who=lguest-sep
		put lguest "${lguest_cases[$what]:-$what}" "$who" s "$(awk -v n="$n" 'BEGIN { print n / 100 }')"
	done < "$tmp/lguest"
	for who in classic lguest-sep; do
		grep -q "^lguest|[^|]*|$who|" "$raw" && continue
		echo "bench/run: $who started no guest on $LGUEST_HOST_KERNEL; what it said:" >&2
		tail -n 20 "$tmp/lguest" >&2
		return 1
	done
}

declare -A lguest_cases=(
	[start]="start to the guest's init"
	[read1m]="1 GiB in blocks of 1 MiB, O_DIRECT, read"
	[write1m]="128 MiB in blocks of 1 MiB, written and synced"
	[read4k]="16384 blocks of 4 KiB, O_DIRECT, read"
	[write4k]="8192 blocks of 4 KiB, O_DIRECT, written"
)
