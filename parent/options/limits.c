/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The options that limit a guest's time and processors: see limits.h. Runs in the parent before it opens anything. */
#include <string.h>

#include "common/fmt.h"
#include "parent/options/limits.h"
#include "parent/options/util.h"

#define MAX_TIMEOUT_S 100000000

/* Parse seconds with up to three decimals, such as 0.5, into milliseconds. */
static const char *seconds_to_ms(const char *value, uint64_t *to)
{
	static const char why[] = "give a number of seconds, 0.001 to 100000000";
	uint64_t seconds, thousandths = 0, ms;
	const char *dot = strchr(value, '.');
	char whole[16] = "", part[] = "000";
	size_t len = dot ? (size_t)(dot - value) : strlen(value), digits = dot ? strlen(dot + 1) : 0;

	if (len >= sizeof(whole) || (dot && (!digits || digits > 3)))
		return why;
	fmt_line(whole, sizeof(whole), "%.*s", (int)len, value);
	if (dot)
		for (size_t i = 0; i < digits; i++)
			part[i] = dot[1 + i];
	if (!parse_number(whole, 0, MAX_TIMEOUT_S, &seconds) || !parse_number(part, 0, 999, &thousandths))
		return why;
	ms = seconds * 1000 + thousandths;
	if (!ms || ms > MAX_TIMEOUT_S * 1000ull)
		return why;
	*to = ms;
	return NULL;
}

const char *parse_timeout(struct opt_parser *p, void *to, const char *value)
{
	(void)p;
	return seconds_to_ms(value, &((struct config *)to)->timeout_ms);
}

const char *parse_cpu_timeout(struct opt_parser *p, void *to, const char *value)
{
	(void)p;
	return seconds_to_ms(value, &((struct config *)to)->cpu_timeout_ms);
}

static const char *parse_run(struct opt_parser *p, void *to, const char *value)
{
	struct reset_on_option *o = to;

	(void)p;
	o->on[RESET_ON_TIMEOUT] = true;
	return seconds_to_ms(value, &o->timeout_ms);
}

const struct opt_row reset_on_settings[] = {
	{ .name = "poweroff", .kind = OPT_FLAG, OPT_TO(struct reset_on_option, on[RESET_ON_POWEROFF]) },
	{ .name = "reboot", .kind = OPT_FLAG, OPT_TO(struct reset_on_option, on[RESET_ON_REBOOT]) },
	{ .name = "panic", .kind = OPT_FLAG, OPT_TO(struct reset_on_option, on[RESET_ON_PANIC]) },
	{ .name = "crash", .kind = OPT_FLAG, OPT_TO(struct reset_on_option, on[RESET_ON_CRASH]) },
	{ .name = "exit-port", .kind = OPT_FLAG, OPT_TO(struct reset_on_option, on[RESET_ON_EXIT_PORT]) },
	{ .name = "timeout", .kind = OPT_CUSTOM, .arg = "SECONDS", .parse = parse_run },
	{ .name = NULL },
};

const char *parse_reset_on(struct opt_parser *p, void *to, const char *value)
{
	return opt_settings(p, reset_on_settings, &((struct config *)to)->reset_on, value);
}

/* Parse a number of processors, such as 1.5, into thousandths. One hundredth is the least that the kernel accepts. */
const char *parse_cpus(struct opt_parser *p, void *to, const char *value)
{
	struct config *c = to;

	(void)p;
	if (seconds_to_ms(value, &c->limit.cpus) || c->limit.cpus < 10 || c->limit.cpus > 4096 * 1000)
		return "give processor time as a number of processors, 0.01 to 4096, such as 1.5 (the guest's number of "
		       "virtual CPUs is --smp=N)";
	return NULL;
}

const char *parse_cgroup_parent(struct opt_parser *p, void *to, const char *value)
{
	(void)p;
	if (value[0] != '/')
		return "give the path of a cgroup's directory, such as /sys/fs/cgroup/guests";
	((struct config *)to)->limit.parent = value;
	return NULL;
}
