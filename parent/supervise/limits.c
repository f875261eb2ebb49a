/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads the counters of the guest's cgroup: see limits.h. Runs in the supervisor, which has
 * the files open since the privileged window. The kernel writes them; no role can.
 */
#include <string.h>
#include <unistd.h>

#include "common/words.h"
#include "parent/supervise/end.h"
#include "parent/supervise/limits.h"
#include "parent/supervise/lines.h"

#define TEXT_MAX 1024

/* Read the file *@fd, which is used up by that, to @text. Returns false if it is not open or not readable. */
static bool read_once(int *fd, char text[TEXT_MAX])
{
	ssize_t n = *fd < 0 ? -1 : read(*fd, text, TEXT_MAX - 1);

	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	text[MAX(n, 0)] = '\0';
	return n > 0;
}

uint64_t sup_limits_counter(const char *text, const char *name)
{
	size_t len = strlen(name);
	uint64_t value = 0;

	for (const char *line = text; line && *line; line = strchr(line, '\n')) {
		char word[24];

		line += *line == '\n';
		if (strncmp(line, name, len) != 0 || line[len] != ' ')
			continue;
		fmt_line(word, sizeof(word), "%.*s", (int)strcspn(line + len + 1, "\n"), line + len + 1);
		return parse_number(word, 0, UINT64_MAX, &value) ? value : 0;
	}
	return 0;
}

/*
 * The kernel also counts victims of a limit above this cgroup, or of a host without memory. "oom" counts only how often
 * this cgroup's own limit was reached and nothing could be freed.
 */
static void count_kills(struct supervisor *s, const char *text)
{
	if (s->c->limit.memory && sup_limits_counter(text, "oom"))
		s->oom_kills = MAX(s->oom_kills, sup_limits_counter(text, "oom_kill"));
}

static void read_events(struct supervisor *s)
{
	struct limits_host *l = &s->h->limits;
	char text[TEXT_MAX];

	for (unsigned i = 0; i < ARRAY_SIZE(l->events); i++) {
		if (l->events[i] < 0)
			continue;
		if (read_once(&l->events[i], text))
			count_kills(s, text);
		return;
	}
}

void sup_limits_check(struct supervisor *s)
{
	if (s->out_of_memory || s->status >= 0)
		return;
	read_events(s);
	if (!s->oom_kills)
		return;
	s->out_of_memory = true;
	sup_line(s,
		 "out of memory: the guest's processes need more than --memory-max=%llu%s, and the kernel has killed "
		 "them; allow more than the guest's own memory, or give the guest less",
		 (unsigned long long)(s->c->limit.memory % 1048576 ? s->c->limit.memory : s->c->limit.memory >> 20),
		 s->c->limit.memory % 1048576 ? "" : "M");
	sup_force(s, EXIT_ROLE_DIED);
}

void sup_limits_end(struct supervisor *s)
{
	char text[TEXT_MAX];

	read_events(s);
	if (read_once(&s->h->limits.peak, text)) {
		text[strcspn(text, "\n")] = '\0';
		(void)parse_number(text, 0, UINT64_MAX, &s->memory_peak);
	}
	if (read_once(&s->h->limits.refused, text))
		s->pids_refused = sup_limits_counter(text, "max");
	if (s->pids_refused && s->c->limit.pids)
		sup_line(s, "the kernel refused the guest's processes a process or thread %llu time%s (--pids-max=%u)",
			 (unsigned long long)s->pids_refused, s->pids_refused == 1 ? "" : "s", s->c->limit.pids);
}

void sup_limits_result(const struct supervisor *s, struct json *j)
{
	const struct limit_option *o = &s->c->limit;

	if (s->h->limits.procs < 0) {
		json_null(j, "limits");
		return;
	}
	json_open(j, "limits", '{');
	if (o->memory)
		json_number(j, "memory_max", o->memory);
	else
		json_null(j, "memory_max");
	if (o->cpus)
		json_number(j, "cpus_thousandths", o->cpus);
	else
		json_null(j, "cpus_thousandths");
	if (o->pids)
		json_number(j, "pids_max", o->pids);
	else
		json_null(j, "pids_max");
	if (s->memory_peak)
		json_number(j, "memory_peak", s->memory_peak);
	else
		json_null(j, "memory_peak");
	json_number(j, "oom_kills", s->oom_kills);
	json_number(j, "pids_refused", s->pids_refused);
	json_close(j, '}');
}
