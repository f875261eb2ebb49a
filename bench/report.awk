# SPDX-License-Identifier: GPL-2.0-or-later
#
# Reads lines "section|case|candidate|metric|value" in the order of measuring and
# writes medians: -v as=json|table. A table has a row for each case and a column
# for each candidate of one section and metric (-v section= -v metric= -v scale=,
# -v base=CANDIDATE: ratios to it behind each number; several, comma-separated:
# the best of them).
BEGIN { FS = "|"; if (!scale) scale = 1 }
{
	key = $1 "|" $2 "|" $3 "|" $4
	if (!(key in n)) keys[nkeys++] = key
	v[key, n[key]++] = $5
}
function median(key,    i, j, t, c) {
	c = n[key]
	for (i = 0; i < c; i++) s[i] = v[key, i] + 0
	for (i = 1; i < c; i++)
		for (j = i; j > 0 && s[j - 1] > s[j]; j--) { t = s[j]; s[j] = s[j - 1]; s[j - 1] = t }
	return c % 2 ? s[int(c / 2)] : (s[c / 2 - 1] + s[c / 2]) / 2
}
function number(x) {
	x *= scale
	return x >= 100 ? sprintf("%.0f", x) : x >= 10 ? sprintf("%.1f", x) : sprintf("%.2f", x)
}
function json(    i, p, m) {
	printf "{\n \"machine\": \"%s\",\n \"date\": \"%s\",\n \"commit\": \"%s\",\n \"results\": [\n", machine, date, commit
	for (i = 0; i < nkeys; i++) {
		split(keys[i], p, "|")
		m = median(keys[i])
		printf "  {\"section\": \"%s\", \"case\": \"%s\", \"candidate\": \"%s\", \"metric\": \"%s\", \"median\": %.6g, \"min\": %.6g, \"max\": %.6g, \"n\": %d}%s\n", \
			p[1], p[2], p[3], p[4], m, s[0], s[n[keys[i]] - 1], n[keys[i]], i + 1 < nkeys ? "," : ""
	}
	print " ]\n}"
}
function table(    i, j, p, nb, b, best, k, ncase, ncand, line) {
	for (i = 0; i < nkeys; i++) {
		split(keys[i], p, "|")
		if (p[1] != section || p[4] != metric) continue
		if (!(p[2] in seen)) { seen[p[2]] = 1; cases[ncase++] = p[2] }
		if (!(("c " p[3]) in seen)) { seen["c " p[3]] = 1; cands[ncand++] = p[3] }
	}
	if (!ncase) return
	line = "| |"
	for (j = 0; j < ncand; j++) line = line " " cands[j] " |"
	print line
	gsub(/[^|]+/, "---", line)
	print line
	nb = split(base, b, ",")
	for (i = 0; i < ncase; i++) {
		best = 0
		for (j = 1; j <= nb; j++) {
			k = section "|" cases[i] "|" b[j] "|" metric
			if ((k in n) && median(k) > best) best = median(k)
		}
		line = "| " cases[i] " |"
		for (j = 0; j < ncand; j++) {
			k = section "|" cases[i] "|" cands[j] "|" metric
			line = line " " ((k in n) ? number(median(k)) (best ? sprintf(" (%.2f×)", median(k) / best) : "") : "–") " |"
		}
		print line
	}
}
END { if (as == "json") json(); else table() }
