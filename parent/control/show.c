/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Output of the control commands: see show.h. Text from guests' processes was made printable by ctl_recv(). */
#include <stdio.h>
#include <string.h>

#include "parent/control/facts.h"
#include "parent/control/show.h"
#include "parent/json.h"

/* ---- facts ---- */

static void duration_text(uint64_t ms, char text[32])
{
	unsigned long long t = ms / 1000;

	if (t >= 86400)
		snprintf(text, 32, "%llud%02lluh", t / 86400, t / 3600 % 24);
	else if (t >= 3600)
		snprintf(text, 32, "%lluh%02llum", t / 3600, t / 60 % 60);
	else if (t >= 60)
		snprintf(text, 32, "%llum%02llus", t / 60, t % 60);
	else
		snprintf(text, 32, "%llus", t);
}

/* "128 MiB"; sizes that are no whole number of them in bytes. */
static void bytes_text(uint64_t bytes, char text[32])
{
	bool whole = bytes >= 1048576 && !(bytes % 1048576);

	snprintf(text, 32, "%llu %s", (unsigned long long)(whole ? bytes >> 20 : bytes), whole ? "MiB" : "bytes");
}

static void thousandths_text(uint64_t value, char text[32])
{
	snprintf(text, 32, "%llu.%03llu", (unsigned long long)(value / 1000), (unsigned long long)(value % 1000));
}

/* The value of @f for people, or NULL if there is nothing to print. */
static const char *fact_text(const struct fact *f, char buf[32])
{
	if (f->form == FACT_FLAG)
		return f->value ? f->label : f->otherwise;
	if (f->absent)
		return f->otherwise;
	switch (f->form) {
	case FACT_TEXT:
	case FACT_WORDS:
		return f->text;
	case FACT_BYTES:
		bytes_text(f->value, buf);
		break;
	case FACT_DURATION:
		duration_text(f->value, buf);
		break;
	case FACT_MS:
		snprintf(buf, 32, "%llu.%03llu s", (unsigned long long)(f->value / 1000),
			 (unsigned long long)(f->value % 1000));
		break;
	case FACT_THOUSANDTHS:
		thousandths_text(f->value, buf);
		break;
	default:
		snprintf(buf, 32, "%llu", (unsigned long long)f->value);
		break;
	}
	return buf;
}

static void lines_of(const struct fact *f, unsigned n)
{
	char buf[32];

	for (unsigned i = 0; i < n; i++)
		printf("%-11s %s\n", f[i].label, fact_text(&f[i], buf));
}

/* One line for a part of the guest. */
static void line_of_part(const struct guest_part *p)
{
	struct fact f[MAX_FACTS];
	unsigned n = facts_of_part(p, f);
	const char *between = "";
	char buf[32];

	printf("%-11s ", part_label((enum part_kind)p->kind));
	for (unsigned i = 0; i < n; i++) {
		const char *text = fact_text(&f[i], buf);

		if (!text)
			continue;
		printf("%s%s", between, text);
		if (f[i].form != FACT_FLAG && !f[i].absent && *f[i].label)
			printf(" %s", f[i].label);
		between = i ? ", " : ": ";
	}
	putchar('\n');
}

static void json_words(const char *words)
{
	char copy[sizeof(((struct guest_part *)0)->where)], *save = NULL, *word;
	const char *comma = "";

	snprintf(copy, sizeof(copy), "%s", words);
	putchar('[');
	for (word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		fputs(comma, stdout);
		json_string(stdout, word);
		comma = ", ";
	}
	putchar(']');
}

static void json_value(const struct fact *f)
{
	char buf[32];

	if (f->form == FACT_FLAG) {
		fputs(f->value ? "true" : "false", stdout);
	} else if (f->absent) {
		fputs("null", stdout);
	} else if (f->form == FACT_TEXT) {
		json_string(stdout, f->text);
	} else if (f->form == FACT_WORDS) {
		json_words(f->text);
	} else if (f->form == FACT_MS || f->form == FACT_DURATION) {
		thousandths_text(f->value, buf);
		fputs(buf, stdout);
	} else {
		printf("%llu", (unsigned long long)f->value);
	}
}

static void json_facts(const struct fact *f, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		printf("%s\"%s\": ", i ? ", " : "", f[i].key);
		json_value(&f[i]);
	}
}

static void json_limits(const struct guest_state *s)
{
	struct fact f[MAX_FACTS];
	unsigned n = facts_of_limits(s, f);

	fputs("\"limits\": {", stdout);
	json_facts(f, n);
	putchar('}');
}

/* null if they could not be received. */
static void json_parts(const struct shown_parts *p)
{
	struct fact f[MAX_FACTS];

	fputs("\"parts\": ", stdout);
	if (!p->known) {
		fputs("null", stdout);
		return;
	}
	putchar('[');
	for (unsigned i = 0; i < p->n; i++) {
		unsigned n = facts_of_part(&p->part[i], f);

		fputs(i ? ",\n {" : "{", stdout);
		json_member("type", part_type((enum part_kind)p->part[i].kind), ", ");
		json_facts(f, n);
		putchar('}');
	}
	putchar(']');
}

/* Without the closing brace. */
static void json_guest(const struct shown_guest *g)
{
	struct fact f[MAX_FACTS];
	unsigned n = facts_of_guest(g, f);

	putchar('{');
	json_facts(f, n);
	fputs(", ", stdout);
	json_limits(&g->state);
}

/* ---- ps and status ---- */

/* The limits of a guest in one word for the table of ps. */
static void limits_word(const struct guest_state *s, char text[128])
{
	struct fact f[MAX_FACTS];
	unsigned n = facts_of_limits(s, f);
	size_t used = 0;
	char buf[32];

	text[0] = '\0';
	for (unsigned i = 0; i < n && used < 128; i++) {
		const char *value;

		if (f[i].absent)
			continue;
		value = fact_text(&f[i], buf);
		used += (size_t)snprintf(text + used, 128 - used, "%s%s=%.*s%s", used ? "," : "", f[i].label,
					 (int)strcspn(value, " "), value, strstr(value, " MiB") ? "M" : "");
	}
	if (!used)
		snprintf(text, 128, "-");
}

void show_ps(const struct shown_guest *g, unsigned n, bool json)
{
	char up[32], limits[128];
	struct fact f[MAX_FACTS];

	if (json) {
		putchar('[');
		for (unsigned i = 0; i < n; i++) {
			fputs(i ? ",\n " : "", stdout);
			json_guest(&g[i]);
			putchar('}');
		}
		puts("]");
		return;
	}
	if (!n) {
		puts("no guest runs (those started without --name, --control or --detach are not listed)");
		return;
	}
	printf("%-24s %6s %8s %-9s %8s %8s %4s %5s %4s %6s %5s %-8s %s\n", "NAME", "UID", "PID", "STATE", "UPTIME",
	       "MEMORY", "CPUS", "DISKS", "NICS", "SHARES", "PORTS", "LIMITS", "KERNEL");
	for (unsigned i = 0; i < n; i++) {
		const struct guest_state *s = &g[i].state;

		(void)facts_of_guest(&g[i], f);
		duration_text(f[FACT_AT_UPTIME].value, up);
		limits_word(s, limits);
		printf("%-24s %6u %8d %-9s %8s %7lluM %4u %5u %4u %6u %5u %-8s %s\n", g[i].guest->name, g[i].guest->uid,
		       (int)g[i].guest->pid, f[FACT_AT_STATE].text, up, (unsigned long long)(s->mem_bytes >> 20),
		       s->smp, s->disks, s->nics, s->shares, s->ports, limits, s->kernel);
	}
}

void show_status(const struct shown_guest *g, const struct shown_parts *p, bool json)
{
	struct fact f[MAX_FACTS];
	unsigned facts;

	if (json) {
		json_guest(g);
		fputs(",\n ", stdout);
		json_parts(p);
		puts("}");
		return;
	}
	facts = facts_of_guest(g, f);
	lines_of(f, facts);
	facts = facts_of_limits(&g->state, f);
	lines_of(f, facts);
	for (unsigned i = 0; i < p->n; i++)
		line_of_part(&p->part[i]);
	if (!p->known)
		puts("its disks, NICs, shares and ports are not known: it did not answer");
}

/* ---- counters ---- */

static const struct {
	const char *name, *text;
	size_t at;
	bool gauge; /* Not a count, but a value of now */
} counters[] = {
#define X(name, text) { #name, text, offsetof(struct shown_role, stats.stats.name), false },
	STATS(X)
#undef X
#define X(name, text) { #name, text, offsetof(struct shown_role, resets.name), false },
		RESET_STATS(X)
#undef X
#define X(name, text) { #name, text, offsetof(struct shown_role, resets.name), true },
			RESET_TIMES(X)
#undef X
};

static uint64_t counter(const struct shown_role *r, unsigned i)
{
	uint64_t value;

	memcpy(&value, (const uint8_t *)r + counters[i].at, sizeof(value));
	return value;
}

static void stats_text(const struct shown_role *r)
{
	uint64_t rate = resets_a_second(r->stats.stats.resets, r->resets.reset_span_us);

	if (r->have_use)
		printf("%-7s %14llu  ms of processor time\n%-7s %14llu  KiB resident\n", r->stats.name,
		       (unsigned long long)(r->use.cpu_us / 1000), r->stats.name,
		       (unsigned long long)(r->use.rss_bytes >> 10));
	for (unsigned i = 0; i < ARRAY_SIZE(counters); i++)
		if (*counters[i].text && counter(r, i))
			printf("%-7s %14llu  %s\n", r->stats.name, (unsigned long long)counter(r, i), counters[i].text);
	if (rate)
		printf("%-7s %14llu  resets a second\n", r->stats.name, (unsigned long long)rate);
}

static void stats_json(const struct shown_role *r)
{
	const char *comma = "";

	putchar('{');
	json_member("name", r->stats.name, ", ");
	if (r->have_use)
		printf("\"pid\": %d, \"cpu_seconds\": %llu.%06llu, \"resident_bytes\": %llu, ", (int)r->use.pid,
		       (unsigned long long)(r->use.cpu_us / 1000000), (unsigned long long)(r->use.cpu_us % 1000000),
		       (unsigned long long)r->use.rss_bytes);
	fputs("\"counters\": {", stdout);
	for (unsigned i = 0; i < ARRAY_SIZE(counters) && r->stats.counted; i++) {
		if (!*counters[i].text)
			continue;
		printf("%s\"%s\": %llu", comma, counters[i].name, (unsigned long long)counter(r, i));
		comma = ", ";
	}
	fputs("}}", stdout);
}

static void metric(const char *name, const char *type, const char *help)
{
	printf("# HELP lguest_sep_%s %s\n# TYPE lguest_sep_%s %s\n", name, help, name, type);
}

/* Names of guests, roles and ports contain no character that this format requires to be escaped. @which may be NULL. */
static void sample(const char *name, const struct guest *g, const char *label, const char *which)
{
	printf("lguest_sep_%s{guest=\"%s\"", name, g->name);
	if (which)
		printf(",%s=\"%s\"", label, which);
	printf(",uid=\"%u\"} ", g->uid);
}

static void fact_sample(const struct fact *f, const struct guest *g, const char *label, const char *which)
{
	char buf[32];

	if (f->absent)
		return;
	sample(f->metric, g, label, which);
	if (f->form == FACT_NUMBER || f->form == FACT_BYTES)
		snprintf(buf, sizeof(buf), "%llu", (unsigned long long)f->value);
	else
		thousandths_text(f->value, buf);
	puts(buf);
}

static void guest_prometheus(const struct guest *g, const struct fact *f, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (!f[i].metric || f[i].absent)
			continue;
		metric(f[i].metric, f[i].type, f[i].help);
		fact_sample(&f[i], g, NULL, NULL);
	}
}

/* All samples of a metric have to follow each other. */
static void parts_prometheus(const struct guest *g, const struct shown_parts *p, enum part_kind kind)
{
	struct fact f[MAX_FACTS];
	unsigned facts = 1;

	for (unsigned at = 0; at < facts; at++) {
		bool begun = false;

		for (unsigned i = 0; i < p->n; i++) {
			if (p->part[i].kind != (uint32_t)kind)
				continue;
			facts = MIN(facts_of_part(&p->part[i], f), MAX_FACTS);
			if (at >= facts || !f[at].metric || f[at].absent)
				continue;
			if (!begun)
				metric(f[at].metric, f[at].type, f[at].help);
			begun = true;
			fact_sample(&f[at], g, kind == PART_PORT || kind == PART_CONSOLE ? "port" : "role",
				    p->part[i].name);
		}
	}
}

/* Numbers from the kernel. */
static void use_prometheus(const struct guest *g, const struct shown_role *r, unsigned n)
{
	static const char cpu[] = "cpu_seconds_total", memory[] = "resident_memory_bytes";

	metric(cpu, "counter", "Processor time of the role's processes, from the kernel.");
	for (unsigned i = 0; i < n; i++) {
		if (!r[i].have_use)
			continue;
		sample(cpu, g, "role", r[i].stats.name);
		printf("%llu.%06llu\n", (unsigned long long)(r[i].use.cpu_us / 1000000),
		       (unsigned long long)(r[i].use.cpu_us % 1000000));
	}
	metric(memory, "gauge", "Resident memory of the role's processes, from the kernel.");
	for (unsigned i = 0; i < n; i++) {
		if (!r[i].have_use)
			continue;
		sample(memory, g, "role", r[i].stats.name);
		printf("%llu\n", (unsigned long long)r[i].use.rss_bytes);
	}
}

static void counters_prometheus(const struct guest *g, const struct shown_role *r, unsigned n)
{
	char name[64], help[96];
	bool any = false;

	for (unsigned i = 0; i < n; i++)
		any |= r[i].stats.counted;
	for (unsigned c = 0; c < ARRAY_SIZE(counters) && any; c++) {
		if (!*counters[c].text)
			continue;
		snprintf(name, sizeof(name), "%s%s", counters[c].name, counters[c].gauge ? "" : "_total");
		snprintf(help, sizeof(help), "The role's own %s%s.", counters[c].gauge ? "" : "count of ",
			 counters[c].text);
		metric(name, counters[c].gauge ? "gauge" : "counter", help);
		for (unsigned i = 0; i < n; i++) {
			if (!r[i].stats.counted)
				continue;
			sample(name, g, "role", r[i].stats.name);
			printf("%llu\n", (unsigned long long)counter(&r[i], c));
		}
	}
}

static void stats_prometheus(const struct shown_guest *g, const struct shown_parts *p, const struct shown_role *r,
			     unsigned n)
{
	struct fact f[MAX_FACTS];
	unsigned facts = facts_of_guest(g, f);

	guest_prometheus(g->guest, f, facts);
	facts = facts_of_limits(&g->state, f);
	guest_prometheus(g->guest, f, facts);
	for (unsigned kind = 0; kind < PART_KINDS; kind++)
		parts_prometheus(g->guest, p, (enum part_kind)kind);
	use_prometheus(g->guest, r, n);
	counters_prometheus(g->guest, r, n);
}

void show_stats(const struct shown_guest *g, const struct shown_parts *p, const struct shown_role *r, unsigned n,
		enum stats_format format)
{
	if (format == STATS_PROMETHEUS) {
		stats_prometheus(g, p, r, n);
		return;
	}
	if (format == STATS_JSON) {
		putchar('{');
		json_member("name", g->guest->name, ", \"roles\": [");
		for (unsigned i = 0; i < n; i++) {
			fputs(i ? ",\n " : "", stdout);
			stats_json(&r[i]);
		}
		fputs("],\n ", stdout);
		json_limits(&g->state);
		fputs(",\n ", stdout);
		json_parts(p);
		puts("}");
		return;
	}
	for (unsigned i = 0; i < n; i++)
		stats_text(&r[i]);
	for (unsigned i = 0; i < p->n; i++)
		if (p->part[i].flags & PART_COUNTED)
			line_of_part(&p->part[i]);
}
