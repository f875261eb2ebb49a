/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How a guest of lguest-sep run ended. The command's status is a claim of the guest.
 * It counts only together with two things that the supervisor observed itself: the
 * guest powered off in order, and all the output that the claim names has arrived.
 * Runs in the supervisor.
 */
#include <string.h>

#include "common/fmt.h"
#include "parent/supervise/lines.h"
#include "parent/supervise/ports.h"
#include "parent/supervise/run_result.h"

#define TAIL_SIZE  16384
#define TAIL_LINES 50
/* Longest shown line of the console, in bytes: TAIL_LINES of them fit into the buffer for log messages. */
#define TAIL_LINE 200

static struct {
	uint8_t buf[TAIL_SIZE];
	size_t len; /* Bytes that the console has printed so far; only the last TAIL_SIZE are kept. */
} tail;

void sup_run_console(const uint8_t *buf, size_t n)
{
	for (size_t i = 0; i < n; i++)
		tail.buf[tail.len++ % TAIL_SIZE] = buf[i];
}

static uint8_t byte_at(size_t i)
{
	return tail.buf[i % TAIL_SIZE];
}

/* Returns the position (in all bytes so far) where the last TAIL_LINES lines begin. */
static size_t tail_start(void)
{
	size_t first = tail.len > TAIL_SIZE ? tail.len - TAIL_SIZE : 0, i = tail.len;

	for (unsigned lines = 0; i > first; i--)
		if (byte_at(i - 1) == '\n' && i < tail.len && ++lines == TAIL_LINES)
			break;
	return i;
}

static void show_console(struct supervisor *s)
{
	char line[TAIL_LINE];
	size_t n = 0;

	if (!tail.len || s->c->quiet)
		return;
	s->quoting = true;
	sup_line(s, "the last lines of the guest's console:");
	for (size_t i = tail_start(); i < tail.len; i++) {
		uint8_t b = byte_at(i);

		if (b != '\n' && b != '\r' && n < sizeof(line) - 1)
			line[n++] = (char)b;
		if ((b != '\n' && i + 1 < tail.len) || (b == '\n' && !n))
			continue;
		make_printable(line, n);
		sup_line(s, "| %.*s", (int)n, line);
		n = 0;
	}
	s->quoting = false;
}

int sup_run_claim(struct supervisor *s, char *text, size_t size)
{
	const struct run_result *r = sup_run_result(s);
	int status;

	*text = '\0';
	if (!r) {
		fmt_line(text, size, "the guest powered off and did not report how the command ended");
		return EXIT_RUN_FAILED;
	}
	if (!sup_run_complete(s, r)) {
		fmt_line(text, size, "the guest powered off before all of the command's output had arrived");
		return EXIT_RUN_FAILED;
	}
	status = run_result_status(r, s->c->run.raw_status);
	if (status < 0) {
		fmt_line(text, size, "the guest could not start the command: %s", r->text);
		return EXIT_RUN_FAILED;
	}
	return status;
}

/* The guest powered off. Returns the command's status, or EXIT_RUN_FAILED after logging the reason. */
static int claimed_status(struct supervisor *s)
{
	char text[LOG_LINE_MAX];
	int status = sup_run_claim(s, text, sizeof(text));

	if (*text)
		sup_line(s, "run: %s", text);
	else if (sup_run_result(s)->end == RUN_SIGNALED)
		sup_verbose(s, "run: the guest reports that signal %u ended the command", sup_run_result(s)->value);
	return status;
}

int sup_run_status(struct supervisor *s, int status)
{
	if (status == EXIT_POWEROFF) {
		status = claimed_status(s);
		if (status == EXIT_RUN_FAILED && (!sup_run_result(s) || run_result_status(sup_run_result(s), true) < 0))
			show_console(s);
		return status;
	}
	if (status >= EXIT_SIGHUP)
		return status;
	show_console(s);
	return status == EXIT_TIMEOUT ? EXIT_RUN_TIMEOUT : EXIT_RUN_FAILED;
}
