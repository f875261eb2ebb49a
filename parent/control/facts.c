/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is known about a guest: see facts.h. */
#include <string.h>

#include "parent/control/facts.h"

#define TEXT(sym, text) text,
static const char *const phases[] = { GUEST_PHASES(TEXT) };
static const char *const engines[] = { ENGINES(TEXT) };
static const char *const net_kinds[] = { NET_KINDS(TEXT) };
#undef TEXT

/* The text of a value that a guest's process sent. */
#define TEXT_OF(table, value) ((value) < ARRAY_SIZE(table) ? (table)[value] : "?")

const char *part_label(enum part_kind kind)
{
	static const char *const text[PART_KINDS] = {
		[PART_DISK] = "disk",	[PART_NIC] = "NIC",   [PART_FORWARD] = "forward",
		[PART_SHARE] = "share", [PART_PORT] = "port", [PART_CONSOLE] = "output",
	};

	return text[kind];
}

const char *part_type(enum part_kind kind)
{
	return kind == PART_NIC ? "nic" : kind == PART_CONSOLE ? "console" : part_label(kind);
}

static uint64_t uptime_ms(const struct guest_state *s)
{
	uint64_t now = now_ms();

	return s->began_ms && now > s->began_ms ? now - s->began_ms : 0;
}

/* Copy the facts of a table to @f. */
#define RETURN_FACTS(table)                         \
	do {                                        \
		memcpy(f, table, sizeof(table));    \
		return (unsigned)ARRAY_SIZE(table); \
	} while (0)
_Static_assert(MAX_FACTS >= 19, "facts_of_guest() has more");

unsigned facts_of_guest(const struct shown_guest *g, struct fact *f)
{
	const struct guest_state *s = &g->state;
	const struct fact all[] = {
		{ "name", "name", .form = FACT_TEXT, .text = g->guest->name },
		{ "uid", "user", .form = FACT_NUMBER, .value = g->guest->uid },
		{ "pid", "process", .form = FACT_NUMBER, .value = (uint64_t)g->guest->pid },
		{ "state", "state", .form = FACT_TEXT, .text = TEXT_OF(phases, s->phase) },
		{ "engine", "engine", .form = FACT_TEXT, .text = TEXT_OF(engines, s->engine) },
		{ "kernel", "kernel", .form = FACT_TEXT, .text = s->kernel },
		{ "memory_bytes", "memory", .form = FACT_BYTES, .value = s->mem_bytes, .metric = "memory_bytes",
		  .type = "gauge", .help = "Memory of the guest." },
		{ "cpus", "cpus", .form = FACT_NUMBER, .value = s->smp, .metric = "cpus", .type = "gauge",
		  .help = "Processors of the guest." },
		{ "disks", "disks", .form = FACT_NUMBER, .value = s->disks },
		{ "nics", "NICs", .form = FACT_NUMBER, .value = s->nics },
		{ "shares", "shares", .form = FACT_NUMBER, .value = s->shares },
		{ "ports", "ports", .form = FACT_NUMBER, .value = s->ports },
		{ "uptime_seconds", "uptime", .form = FACT_DURATION, .value = uptime_ms(s), .metric = "uptime_seconds",
		  .type = "gauge", .help = "Time since the first start of the guest." },
		{ "reboots", "reboots", .form = FACT_NUMBER, .value = s->starts ? s->starts - 1 : 0,
		  .metric = "reboots_total", .type = "counter", .help = "How often the guest was started again." },
		{ "restarts", "restarts", .form = FACT_NUMBER, .value = s->restarts, .metric = "restarts_total",
		  .type = "counter", .help = "How often processes of devices were started again." },
		{ "processes", "processes", .form = FACT_NUMBER, .value = g->use.processes },
		{ "cpu_seconds", "cpu time", .form = FACT_MS, .value = g->use.cpu_us / 1000 },
		{ "resident_bytes", "resident", .form = FACT_BYTES, .value = g->use.rss_bytes },
	};

	memcpy(f, all, sizeof(all));
	return (unsigned)ARRAY_SIZE(all) - (g->have_use ? 0 : 3);
}

unsigned facts_of_limits(const struct guest_state *s, struct fact *f)
{
	const struct fact all[] = {
		{ "memory_max", "memory-max", "none", FACT_BYTES, !s->memory_max, .value = s->memory_max,
		  .metric = "limit_memory_bytes", .type = "gauge", .help = "--memory-max" },
		{ "cpus_thousandths", "cpus-max", "none", FACT_THOUSANDTHS, !s->cpus_thousandths,
		  .value = s->cpus_thousandths, .metric = "limit_cpus", .type = "gauge", .help = "--cpus" },
		{ "pids_max", "pids-max", "none", FACT_NUMBER, !s->pids_max, .value = s->pids_max,
		  .metric = "limit_pids", .type = "gauge", .help = "--pids-max" },
		{ "timeout_seconds", "timeout", "none", FACT_MS, !s->timeout_ms, .value = s->timeout_ms,
		  .metric = "limit_seconds", .type = "gauge", .help = "--timeout" },
		{ "cpu_timeout_seconds", "cpu-timeout", "none", FACT_MS, !s->cpu_timeout_ms, .value = s->cpu_timeout_ms,
		  .metric = "limit_cpu_seconds", .type = "gauge", .help = "--cpu-timeout" },
	};

	RETURN_FACTS(all);
}

/* ---- parts ---- */

static unsigned of_disk(const struct guest_part *p, struct fact *f)
{
	const struct fact all[] = {
		{ "name", "", .text = p->name },
		{ "path", "", .text = p->where },
		{ "capacity_bytes", "", NULL, FACT_BYTES, !p->size, .value = p->size, .metric = "disk_capacity_bytes",
		  .type = "gauge", .help = "Size of the disk." },
		{ "serial", "is its serial number", NULL, FACT_TEXT, !*p->what, .text = p->what },
		{ "read_only", "read-only", NULL, FACT_FLAG, .value = p->flags & PART_READ_ONLY },
		{ "snapshot", "snapshot", NULL, FACT_FLAG, .value = p->flags & PART_SNAPSHOT },
		{ "vhost_user", "vhost-user", NULL, FACT_FLAG, .value = p->flags & PART_FOREIGN },
	};

	RETURN_FACTS(all);
}

static unsigned of_nic(const struct guest_part *p, struct fact *f)
{
	static const char *const place[NET_KIND_COUNT] = {
		[NET_TUNNET_IP] = "address", [NET_BRIDGE] = "bridge", [NET_TAP] = "tap", [NET_VHOST_USER] = "socket"
	};
	const char *key = p->detail < ARRAY_SIZE(place) ? place[p->detail] : NULL;
	const struct fact all[] = {
		{ "name", "", .text = p->name },
		{ "kind", "", .text = TEXT_OF(net_kinds, p->detail) },
		{ "mac", "", .text = p->what },
		{ "interface", "on the host", NULL, FACT_TEXT, !*p->ifname, .text = p->ifname },
		{ "mtu", "bytes MTU", NULL, FACT_NUMBER, !p->size, .value = p->size },
		{ key, "", NULL, FACT_TEXT, !*p->where, .text = p->where },
	};

	memcpy(f, all, sizeof(all));
	return (unsigned)ARRAY_SIZE(all) - (key ? 0 : 1);
}

static unsigned of_forward(const struct guest_part *p, struct fact *f)
{
	const struct fact all[] = {
		{ "nic", "", .text = p->name },
		{ "ports", "", NULL, FACT_WORDS, .text = p->where },
	};

	RETURN_FACTS(all);
}

static unsigned of_share(const struct guest_part *p, struct fact *f)
{
	bool limited = p->flags & PART_LIMITED;
	const struct fact all[] = {
		{ "name", "", .text = p->name },
		{ "tag", "", .text = p->what },
		{ "path", "", .text = p->where },
		{ "read_only", "read-only", "read-write", FACT_FLAG, .value = p->flags & PART_READ_ONLY },
		{ "used_bytes", "added", NULL, FACT_BYTES, !(p->flags & PART_COUNTED), .value = p->used,
		  .metric = "share_used_bytes", .type = "gauge",
		  .help = "Bytes that the guest has added to the share." },
		{ "max_bytes", "at most", NULL, FACT_BYTES, !limited, .value = p->max, .metric = "share_max_bytes",
		  .type = "gauge", .help = "Most bytes that the guest may add to the share." },
	};

	RETURN_FACTS(all);
}

/* Ports and the console. */
static unsigned of_output(const struct guest_part *p, struct fact *f)
{
	bool port = p->kind == PART_PORT;
	const struct fact all[] = {
		{ "name", "", .text = p->name },
		{ "path", "", "standard output", FACT_TEXT, !*p->where, .text = p->where },
		{ "bytes", "from the guest", NULL, FACT_BYTES, !(p->flags & PART_COUNTED), .value = p->used,
		  .metric = port ? "port_bytes_total" : "console_bytes_total", .type = "counter",
		  .help = "Bytes that the guest wrote." },
		{ "dropped", "dropped", NULL, FACT_BYTES, !(p->flags & PART_COUNTED), .value = p->lost,
		  .metric = port ? "port_dropped_bytes_total" : "console_dropped_bytes_total", .type = "counter",
		  .help = "Bytes of the guest that were not written to the file." },
		{ "max_bytes", "at most", "no limit", FACT_BYTES, !(p->flags & PART_LIMITED), .value = p->max,
		  .metric = port ? "port_max_bytes" : "console_max_bytes", .type = "gauge",
		  .help = "Most bytes of the file." },
	};

	RETURN_FACTS(all);
}

unsigned facts_of_part(const struct guest_part *p, struct fact *f)
{
	static unsigned (*const of[PART_KINDS])(const struct guest_part *, struct fact *) = {
		[PART_DISK] = of_disk,	 [PART_NIC] = of_nic,	  [PART_FORWARD] = of_forward,
		[PART_SHARE] = of_share, [PART_PORT] = of_output, [PART_CONSOLE] = of_output,
	};
	unsigned n = of[p->kind](p, f);

	if (p->flags & PART_CUT)
		f[n++] = (struct fact){ "path_cut", NULL, NULL, FACT_FLAG, .value = 1 };
	return n;
}
