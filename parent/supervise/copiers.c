/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Starts and ends the copiers of the supervisor: see copiers.h. */
#include <errno.h>
#include <poll.h>

#include "common/fmt.h"
#include "parent/setup/keeper.h"
#include "parent/supervise/copiers.h"
#include "parent/supervise/drain.h"
#include "parent/supervise/lines.h"
#include "parent/terminal/copier.h"

/* How often to look if a copier has written everything (ms). */
#define STEP_MS 5
/* The limit for a server that takes a byte now and then (ms). */
#define TOTAL_MS 60000

/* Returns where the descriptor of file @i is. */
static int *place_of(struct supervisor *s, unsigned i)
{
	switch (i) {
	case OUTPUT_CONSOLE:
		return &s->h->console.fd;
	case OUTPUT_RESULT:
		return &s->result_fd;
	case OUTPUT_IN:
		return &s->h->term.in;
	case OUTPUT_OUT:
		return &s->h->term.out;
	case OUTPUT_ERR:
		return &s->h->term.err;
	default:
		return &s->h->port_file[i];
	}
}

static const char *name_of(const struct supervisor *s, unsigned i, char *text, size_t size)
{
	if (i == OUTPUT_CONSOLE)
		fmt_line(text, size, "--console=%s", s->c->console.path);
	else if (i == OUTPUT_RESULT)
		fmt_line(text, size, "--result=%s", s->c->result);
	else if (i >= OUTPUT_IN)
		fmt_line(text, size, "standard %s", i == OUTPUT_IN ? "input" : i == OUTPUT_OUT ? "output" : "error");
	else
		fmt_line(text, size, "--port=%s:%s", s->c->port[i].name, s->c->port[i].path);
	return text;
}

static uint32_t bit(unsigned i)
{
	return UINT32_C(1) << i;
}

static void start(struct supervisor *s, unsigned i)
{
	int *place = place_of(s, i), fd;
	char name[LOG_LINE_MAX / 2];

	fd = i == OUTPUT_IN ? copier_input(*place) : copier_output(*place, i == OUTPUT_RESULT);
	if (fd >= 0) {
		*place = fd;
		s->copied |= bit(i);
		return;
	}
	sup_line(s,
		 "%s: cannot create the process that uses it in our place (%m): if its file server stops answering, "
		 "lguest-sep waits for it",
		 name_of(s, i, name, sizeof(name)));
}

void sup_copiers_start(struct supervisor *s)
{
	struct terminal *t = &s->h->term;
	bool console_is_out = s->h->console_file < 0;

	for (unsigned i = 0; i < OUTPUT_COUNT; i++)
		if (s->h->served & bit(i) && !(i == OUTPUT_ERR && t->together && s->copied & bit(OUTPUT_OUT)))
			start(s, i);
	if (s->copied & bit(OUTPUT_OUT)) {
		t->out_own = true;
		/* One pipe for both, so that the order of the lines stays. */
		if (t->together) {
			t->err = t->out;
			t->err_own = true;
		}
		if (console_is_out) {
			s->h->console.fd = t->out;
			s->h->console.own = true;
		}
	}
	if (s->copied & bit(OUTPUT_ERR))
		t->err_own = true;
	if (s->copied & bit(OUTPUT_CONSOLE))
		s->h->console.own = true;
}

/* Returns the bytes that are on their way to the files @first to @last. */
static uint64_t left_of(struct supervisor *s, unsigned first, unsigned last)
{
	uint64_t left = 0;

	for (unsigned i = first; i <= last; i++)
		if (s->copied & bit(i) && !copier_error(*place_of(s, i)))
			left += copier_left(*place_of(s, i));
	return left;
}

/* Wait until the files @first to @last have everything, or their servers answer no longer. */
static void wait_for(struct supervisor *s, unsigned first, unsigned last)
{
	const struct timespec step = { .tv_nsec = STEP_MS * 1000000 };
	uint64_t left = left_of(s, first, last), before = left, since = now_ms(), end = since + TOTAL_MS;

	while (left && now_ms() < MIN(since + sup_patience_ms(s), end)) {
		(void)ppoll(NULL, 0, &step, NULL);
		left = left_of(s, first, last);
		if (left < before)
			since = now_ms();
		before = left;
	}
}

void sup_copiers_end(struct supervisor *s)
{
	char name[LOG_LINE_MAX / 2];

	wait_for(s, 0, OUTPUT_RESULT);
	/* The reader of the lines below has not had its time yet. */
	s->drain_from = 0;
	for (unsigned i = 0; i <= OUTPUT_RESULT; i++) {
		int fd = *place_of(s, i), error = copier_error(fd);
		unsigned long long left = copier_left(fd);

		if (!(s->copied & bit(i)) || !left)
			continue;
		name_of(s, i, name, sizeof(name));
		errno = error;
		if (error)
			sup_line(s, "%s: %m; %llu bytes are lost", name, left);
		else
			sup_line(
				s,
				"%s: its file server does not answer; process %d still waits to write the last %llu bytes",
				name, (int)copier_pid(fd), left);
	}
}

void sup_copiers_last(struct supervisor *s)
{
	wait_for(s, OUTPUT_OUT, OUTPUT_ERR);
}
