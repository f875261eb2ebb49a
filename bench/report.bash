# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2154 # variables are bench/run's
#
# The output of bench/run: tables, JSON, plots, and docs/performance.md.

machine()
{
	printf '%s, %d CPUs, Linux %s' "$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1)" "$(nproc)" "$(uname -r)"
}

table() # TITLE SECTION METRIC [SCALE [BASE]]
{
	local rows
	rows=$(awk -v as=table -v section="$2" -v metric="$3" -v scale="${4:-1}" -v base="${5:-}" -f bench/report.awk "$raw")
	[[ -z $rows ]] || printf '\n%s\n\n%s\n' "$1" "$rows"
}

# latencies TITLE SECTION: rows for the median, p99 and p99.9 of the section's cases of depth 1
latencies()
{
	awk -F'|' -v s="$2" '
		BEGIN { name["p50_us"] = "median"; name["p99_us"] = "p99"; name["p999_us"] = "p99.9" }
		$1 == s && ($4 in name) && $2 ~ / d1$/ { print s "|" $2 ", " name[$4] "|" $3 "|us|" $5 }' "$raw" > "$tmp/latencies"
	raw=$tmp/latencies table "$1" "$2" us
}

start_title()
{
	echo "**Start-up** with one disk and one NIC on a new tap, with none, with one on an existing tap (no rules)," \
		"and with nat; and what the kernel alone needs for as many processes and a tap without rules (bare)." \
		"ms (first instruction: since exec)"
}

report()
{
	awk -v as=json -v machine="$(machine)" -v date="$(date -u +%F)" -v commit="$(git rev-parse --short HEAD 2>&-)" \
		-f bench/report.awk "$raw" > "$out/results.json"
	local peers=qsd-threads,qsd-io_uring
	table "**Disk, cached image (tmpfs)**: thousand requests a second (beside the better qemu-storage-daemon)" blk-cached ops_per_s 0.001 $peers
	table "The same beside the bare loop of preadv or pwritev" blk-cached ops_per_s 0.001 bare-preadv
	table "Processor time of the back-end, µs a request" blk-cached cpu_us_per_op
	latencies "Time until a request is complete, µs" blk-cached
	table "**Disk, O_DIRECT on a file**: thousand requests a second (beside the better qemu-storage-daemon)" blk-disk ops_per_s 0.001 $peers
	table "The same beside the bare io_uring loop" blk-disk ops_per_s 0.001 bare-io_uring
	table "Processor time of the back-end, µs a request" blk-disk cpu_us_per_op
	latencies "Time until a request is complete, µs" blk-disk
	table "**Network**: thousand frames a second (beside one thread that reads or writes that tap)" net ops_per_s 0.001 bare
	table "Processor time of the back-end, µs a frame" net cpu_us_per_op
	latencies "Time until the other side has a frame that is sent alone, µs (bare: one thread that sends it and receives it)" net-latency
	table "$(start_title)" start ms
	table "Each further disk or NIC adds to the first instruction, ms (of three more)" start-further ms
	table "**Boot**: exec of lguest-sep to the first process of a stock Debian kernel, ms" boot ms
	table "**Memory**: PSS without guest memory, KiB" memory kib
	table "**1, 4, 16 disks at once**: thousand requests a second in all, 4 KiB, depth 8 each" disks ops_per_s 0.001
	table "Processor time of a back-end, µs a request" disks cpu_us_per_op
	table "**1 to 8 queues**, 32 requests in flight in all: thousand requests a second (beside qemu-storage-daemon)" queues ops_per_s 0.001 qsd-io_uring
	table "Processor time of the back-end, µs a request" queues cpu_us_per_op
	table "**1 to 64 guests of 32 MiB started together**: PSS of a guest's processes without guest memory, KiB" guests kib
	table "Time to start all of them, ms a guest" guests "ms a guest, all started"
	table "Start-up of each, ms, where so many (columns) start at once on these processors" guests-start ms
	table "**A command in a guest** (qemu engine): \`run -- true\` beside the same kernel and initrd to power-off, ms" run ms 1 "boot to power-off"
	table "Standard output of a command, MiB a second, beside a virtserialport of QEMU started by hand" run mib_per_s 1 "bare QEMU"
	table "**--net=user**: TCP from a guest (qemu engine) to the host, Mbit a second, beside QEMU's own stream back-end with the same passt" user mbit_per_s 1 "QEMU stream"
	table "**Share**, read-only, cached files (tmpfs): thousand requests a second, beside Debian's virtiofsd (QEMU's, in C)" share ops_per_s 0.001 virtiofsd
	table "The same, µs until the reply (median)" share p50_us
	table "Processor time of the back-end, µs a request" share cpu_us_per_op
	table "Memory of the back-end with 10,000 files known to the guest, KiB (PSS without guest memory)" share kib
	table "**Machines of the qemu engine**, a kernel without devices: parts of the start until QEMU's first instruction, ms (beside x86_64)" machines ms 1 x86_64
	table "Exec to the kernel's first byte on the console, ms (beside x86_64)" machines first_byte_ms 1 x86_64
	table "**lguest**, on one emulated host: elapsed time, s (beside the launcher that this project began from)" lguest s 1 classic
	table "**Control plane**: PSS without guest memory, KiB, with and without --name, --result, --console and a port" control kib
	table "\`lguest-sep ps\`, ms" control us 0.001
	resets_page
	hosts
}

# resets_page: the part of the page about resets; prints nothing if the section was not measured
resets_page()
{
	grep -q '^checkpoint|' "$raw" || return 0
	begin_part resets "Resets and starts from a file" checkpoint
	[[ ! -e $out/checkpoint.svg ]] || printf '\n![checkpoint](img/checkpoint.svg)\n'
	table "**A reset** (\`--checkpoint\`) by the pages that the guest has dirtied, µs" checkpoint us_per_reset
	table "**A reset that starts the helpers again** (\`--reset=fresh\`) beside one that holds them, µs" reset us_per_reset 1 --reset=keep
	table "Resets a second, with the time in which the guest dirties them" checkpoint resets_per_s
	table "**A start from a file** (\`--from\`) beside one from a kernel, µs" from us
	printf '<!-- resets: end -->\n'
}

# begin_part NAME TITLE SECTIONS: the beginning of a part of the page that can be measured by itself
begin_part()
{
	printf '\n<!-- %s: begin -->\n## %s\n\n' "$1" "$2"
	printf 'Measured by `bench/run --only=%s`. Machine: %s. Date: %s. Commit: %s. Load before the run: %s%s.\n' "$3" \
		"$(machine)" "$(date -u +%F)" "$(git rev-parse --short HEAD)" "$load_before" "$( ((!quick)) || echo '; short run (--quick)')"
}

# old_part NAME: that part of docs/performance.md as it is now
old_part()
{
	sed -n "/^<!-- $1: begin -->\$/,/^<!-- $1: end -->\$/p" docs/performance.md
}

# write_part NAME FUNCTION [PLOT...]: replaces that part of docs/performance.md by what FUNCTION prints, or adds it at the end
write_part()
{
	sed "/^<!-- $1: begin -->\$/,/^<!-- $1: end -->\$/d" docs/performance.md > "$tmp/page"
	copy_plots "${@:3}"
	{
		cat -s "$tmp/page"
		"$2"
	} | cat -s > docs/performance.md
}

copy_plots() # PLOT...
{
	local f
	mkdir -p docs/img
	for f; do
		[[ ! -e $out/$f.svg ]] || cp "$out/$f.svg" "docs/img/$f.svg"
	done
}

# bars SECTION TITLE YLABEL SCALE: candidates side by side for each case
bars()
{
	awk -F'|' -v s="$1" -v k="$4" '
		$1 == s && $4 == "ops_per_s" {
			if (!($2 in ci)) { ci[$2] = nc; cn[nc++] = $2 }
			if (!($3 in di)) { di[$3] = nd; dn[nd++] = $3 }
			v[$2, $3] = v[$2, $3] " " $5 }
		function med(t,  a, n, i, j, x) { n = split(t, a, " "); for (i = 2; i <= n; i++) for (j = i; j > 1 && a[j-1] + 0 > a[j] + 0; j--) { x = a[j]; a[j] = a[j-1]; a[j-1] = x } return n ? a[int((n + 1) / 2)] * k : 0 }
		END { if (!nc) exit; printf "case"; for (d = 0; d < nd; d++) printf "\t%s", dn[d]; print ""
			for (c = 0; c < nc; c++) { printf "%s", cn[c]; for (d = 0; d < nd; d++) printf "\t%s", med(v[cn[c], dn[d]]); print "" } }' "$raw" > "$tmp/$1.tsv"
	[[ -s $tmp/$1.tsv ]] || return 0
	local columns
	columns=$(head -n 1 "$tmp/$1.tsv" | awk -F'\t' '{ print NF }')
	gnuplot <<-GNUPLOT
		set terminal svg size 900,420 font "sans,12" background "white"
		set output "$out/$1.svg"
		set datafile separator "\t"
		set title "$2"
		set ylabel "$3"
		set style data histograms
		set style histogram clustered gap 1
		set style fill solid 0.8
		set grid ytics
		set yrange [0:*]
		set key outside right noenhanced
		set xtics noenhanced
		plot for [i=2:$columns] "$tmp/$1.tsv" using i:xtic(1) title columnheader(i)
	GNUPLOT
}

lines() # SECTION: what a guest costs as their number grows
{
	awk -F'|' '$1 == "guests" && ($4 == "kib" || $4 == "ms a guest, all started") { m = $4 == "kib"; s[$2, m] += $5; n[$2, m]++; seen[$2] = 1 }
		END { for (g in seen) printf "%s\t%s\t%s\n", g, s[g, 1] / n[g, 1], s[g, 0] / n[g, 0] }' "$raw" | sort -n > "$tmp/guests.tsv"
	[[ -s $tmp/guests.tsv ]] || return 0
	gnuplot <<-GNUPLOT
		set terminal svg size 700,380 font "sans,12" background "white"
		set output "$out/guests.svg"
		set title "Guests of 32 MiB started together: what one of them costs"
		set xlabel "guests"
		set ylabel "KiB (PSS without guest memory)"
		set y2label "ms to start"
		set logscale x 2
		set yrange [0:*]
		set y2range [0:*]
		set y2tics
		set ytics nomirror
		set grid
		set key bottom right
		plot "$tmp/guests.tsv" using 1:2 with linespoints title "memory", "" using 1:3 axes x1y2 with linespoints title "time"
	GNUPLOT
}

resets() # How the time of a reset grows with the pages that the guest has dirtied
{
	awk -F'|' '$1 == "checkpoint" && $4 == "us_per_reset" && $2 ~ /^[0-9]+ pages$/ && ($3 == "memory" || $3 == "median") {
			g = $2 + 0; m = $3 == "memory"; v[g, m] = v[g, m] " " $5; seen[g] = 1 }
		function med(t,  a, n, i, j, x) { n = split(t, a, " "); for (i = 2; i <= n; i++) for (j = i; j > 1 && a[j-1] + 0 > a[j] + 0; j--) { x = a[j]; a[j] = a[j-1]; a[j-1] = x } return a[int((n + 1) / 2)] }
		END { for (g in seen) printf "%s\t%s\t%s\n", g, med(v[g, 0]), med(v[g, 1]) }' "$raw" | sort -n > "$tmp/checkpoint.tsv"
	[[ -s $tmp/checkpoint.tsv ]] || return 0
	gnuplot <<-GNUPLOT
		set terminal svg size 700,380 font "sans,12" background "white"
		set output "$out/checkpoint.svg"
		set title "A reset, without devices"
		set xlabel "pages that the guest has dirtied"
		set ylabel "µs"
		set yrange [0:*]
		set grid
		set key top left
		plot "$tmp/checkpoint.tsv" using 1:2 with linespoints title "all (median)", "" using 1:3 with linespoints title "memory (mean)"
	GNUPLOT
}

plots()
{
	command -v gnuplot > /dev/null || return 0
	bars blk-cached "4 and 128 KiB requests on a cached image" "thousand a second" 0.001
	bars blk-disk "4 and 128 KiB requests on a file, O_DIRECT" "thousand a second" 0.001
	bars net "Frames through a tap" "thousand a second" 0.001
	lines
	resets
}

write_docs()
{
	local f resets hosts
	resets=$(old_part resets) hosts=$(old_part "many hosts")
	copy_plots blk-cached net guests checkpoint
	{
		cat <<-'TEXT'
			<!-- Written by bench/run --write-docs; changes made by hand are lost. -->
			# Performance

			Measured in one run by `bench/run`. In every round all candidates run one after the other; each number is the
			median of the rounds. The load is a vhost-user front-end of this project, which sleeps until it is notified, like a
			guest's driver. It runs on CPU 0 and the measured back-end on CPU 1, both with the priority named below (O_DIRECT:
			normal priority). `bare` is the same work without a back-end: one thread that accesses the file or tap directly; for the
			network with one buffer that stays in the cache, or with as many buffers as a queue has; `bare-io_uring-guest` uses
			shared memory in small pages that is not registered, as a guest's is. `qsd` is qemu-storage-daemon on the same file. Spoof
			checks, seccomp filters and all other confinement are on.
		TEXT
		printf '\nMachine: %s. Date: %s. Commit: %s. Priority: %s. Load of the machine before the run: %s.\n' "$(machine)" "$(date -u +%F)" "$(git rev-parse --short HEAD)" "${rt[*]:-normal}" "$load_before"
		for f in blk-cached net guests; do
			[[ ! -e docs/img/$f.svg ]] || printf '\n![%s](img/%s.svg)\n' "$f" "$f"
		done
		cat "$out/tables.md"
		[[ -n $(resets_page) ]] || printf '%s\n' "$resets"
		[[ -n $(hosts) ]] || printf '%s\n' "$hosts"
	} > docs/performance.md
}
