# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2154 # variables are bench/run's
#
# The section "dispatch" of bench/run, and the part "Many hosts" of docs/performance.md with a model that is
# calculated from what this run has measured.

measure_dispatch()
{
	local line
	bench/dispatch "$((quick ? 2 : 3))" > "$tmp/dispatch"
	while read -r line; do
		printf 'dispatch|%s\n' "$line" >> "$raw"
	done < "$tmp/dispatch"
}

# model: what the numbers of "dispatch" say about N hosts, from medians; prints nothing if they were not measured
model()
{
	awk -v as=json -f bench/report.awk "$raw" | awk '
		function field(name) { match($0, "\"" name "\": \"[^\"]*\""); return substr($0, RSTART + length(name) + 5, RLENGTH - length(name) - 6) }
		/"section": "dispatch"/ {
			match($0, /"median": [0-9.e+-]+/)
			median = substr($0, RSTART + 10, RLENGTH - 10) / 1000
			v[field("candidate"), field("metric")] = median
		}
		function up(x) { return x == int(x) ? x : int(x) + 1 }
		END {
			if (!(("by hand", "cpu ms") in v)) exit
			e = v["one element", "cpu ms"]; d = v["1 in an element", "controller cpu ms"]
			g = v["by hand", "cpu ms"]; c1 = v["1 in an element", "cpu ms"]; c16 = v["16 in an element", "cpu ms"]
			# c1 = g + l + f, c16 = g + l + f / 16: f for an element of lguest-farm, l for a guest
			f = (c1 - c16) * 16 / 15; l = c1 - g - f; if (l < 0) l = 0
			printf "\n**Model for N hosts.** Measured above, in processor seconds: one element of a job array without work costs all daemons\n"
			printf "E = %.3f; the smallest guest costs G = %.3f by hand. With `lguest-farm` one element costs F = %.3f (E, Python, reading the\n", e, g, f
			printf "plan), of which the controller D = %.4f, and each guest costs L = %.3f on top of its own W (W = G for the smallest). With k\n", d, l
			printf "guests an element (`--chunk=k`), N hosts of C processors and one controller that works on one processor:\n\n"
			printf "    guests an hour = 3600 * min(N * C / (W + L + F / k), k / D)\n\n"
			printf "At 10,000 guests an hour with k = 1 the controller works %.1f %% of the time, so the hosts are the limit, and Slurm'"'"'s MaxJobCount\n", d * 1000000 / 3600
			printf "(10,000 by default), which k > 1 leaves far away. On idle processors the model gives %d guests a minute for this machine with\n", 120 / (g + l + f)
			printf "k = 1 and %d with k = 16; the tables have what it did beside its other work. Hosts with 2 processors like these, needed for\n", 120 / (g + l + f / 16)
			printf "10,000 guests an hour, by processor seconds W of a guest:\n\n| | k = 1 | k = 16 |\n|---|---|---|\n"
			n = split(sprintf("%.3f 1 10 60", g), w, " ")
			for (i = 1; i <= n; i++)
				printf "| W = %s | %d | %d |\n", w[i], up(10000 / 3600 * (w[i] + l + f) / 2), up(10000 / 3600 * (w[i] + l + f / 16) / 2)
			printf "\nNot measured: more than two nodes, a network and a shared file system between them (here both nodes are namespaces of one\n"
			printf "machine and share its processors and disk), other users of the controller, accounting in a database, and guests that wait more\n"
			printf "than they work. E, D, F, L and G are processor time, which other load on the machine changes less than the rates; rates that were\n"
			printf "measured at a load above the number of processors cannot be compared with each other.\n"
		}'
}

# hosts: the part of the page; prints nothing if neither section was measured
hosts()
{
	grep -qE '^(farm|dispatch)\|' "$raw" || return 0
	begin_part "many hosts" "Many guests, many hosts" farm,dispatch
	table "**Many short guests** that report through an exit port (qemu engine): guests a minute, beside QEMU started by hand" farm "guests a minute" 1 "bare QEMU"
	table "Processor time, ms a guest" farm "cpu ms a guest"
	table "**Slurm** (bench/dispatch: controller and two nodes in namespaces of this machine): elements or guests a minute" dispatch "a minute"
	table "Processor time of all processes, ms for one element or guest" dispatch "cpu ms"
	table "Processor time of the controller, ms for one element or guest" dispatch "controller cpu ms"
	model
	printf '<!-- many hosts: end -->\n'
}
