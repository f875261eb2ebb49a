# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2154 # variables are bench/run's
#
# The section "share" of bench/run: fsd beside the virtiofsd of Debian 12 (package qemu-system-common), which serves one
# connection and exits. So each load starts a new one of both.

virtiofsd=/usr/lib/qemu/virtiofsd

# share_load CANDIDATE CASE ARGUMENT…
share_load()
{
	local c=$1 case=$2 back=(--socket-path="$tmp/share.sock")
	shift 2
	rm -f "$tmp/share.sock"
	case $c in
	fsd) back=("$bin/lguest-sep-fsd" "${back[@]}" --shared-dir="$tmp/shm/share") ;;
	virtiofsd) back=("$virtiofsd" "${back[@]}" -f -o "source=$tmp/shm/share,log_level=err") ;;
	esac
	# Both warn if they may open fewer files than they want to; the load needs 10,000.
	daemon "${back[@]}" 2> "$tmp/share.log"
	wait_socket "$tmp/share.sock" || { cat "$tmp/share.log" >&2; return 1; }
	if [[ $case == memory ]]; then
		"$fsload" --socket="$tmp/share.sock" --memory "$@" | sed "s/.*: \(.*\)}/share|10,000 files|$c|kib|\1/" >> "$raw"
	else
		"${rt[@]}" "$fsload" --socket="$tmp/share.sock" --cpu=0 --ms="$ms" "$@" | record share "$case" "$c"
	fi
	stop_all
}

measure_share()
{
	local rep case args c candidates=(fsd)
	if [[ -x $virtiofsd ]]; then
		candidates+=(virtiofsd)
	else
		echo "bench/run: no $virtiofsd here (apt-get install qemu-system-common): left out" >&2
	fi
	mkdir -p "$tmp/shm/share/many"
	"$blkload" --fill="$tmp/shm/share/data" --size=64M
	# The load checks that f00042 has 42 bytes.
	perl -e 'chdir $ARGV[0] or die; for (0 .. 9999) { my $n = sprintf "f%05d", $_; open my $f, ">", $n or die; truncate $f, $_ or die }' \
		"$tmp/shm/share/many"
	local cases=("4k read d1:--op=read --path=data" "4k read d32:--op=read --path=data --depth=32"
		"128k seq read d1:--op=read --path=data --bs=128k --sequential"
		"128k seq read d8:--op=read --path=data --bs=128k --sequential --depth=8"
		"first LOOKUP of 10,000 files:--op=lookup-new --path=many" "LOOKUP of known files d32:--op=lookup --path=many --depth=32"
		"GETATTR d1:--op=getattr --path=many" "GETATTR d32:--op=getattr --path=many --depth=32")
	for ((rep = 0; rep < reps; rep++)); do
		for case in "${cases[@]}"; do
			read -ra args <<< "${case#*:}"
			for c in "${candidates[@]}"; do
				share_load "$c" "${case%%:*}" --seed=$((rep + 1)) "${args[@]}"
			done
		done
	done
	for c in "${candidates[@]}"; do
		share_load "$c" memory --op=lookup-new --path=many
	done
	rm -rf "$tmp/shm/share"
}
