/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Output of the option parser: --help, the list of options, error messages. Runs before
 * confinement, without stdio.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/fmt.h"
#include "common/options.h"

/* Width of the help text, without its indentation of eight blanks. */
#define HELP_COLUMNS 72

static int write_all(int fd, const char *text, size_t len)
{
	while (len) {
		ssize_t put = write(fd, text, len);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return -1;
		text += put;
		len -= (size_t)put;
	}
	return 0;
}

int opt_print(const char *text)
{
	return write_all(STDOUT_FILENO, text, strlen(text));
}

/* Output buffer: fewer write() calls, so that the reader of a pipe gets large pieces. */
struct page {
	char text[16384];
	size_t used;
	int failed; /* An errno */
};

static void flush(struct page *g)
{
	if (!g->failed && write_all(STDOUT_FILENO, g->text, g->used) < 0)
		g->failed = errno;
	g->used = 0;
}

static void add(struct page *g, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void add(struct page *g, const char *fmt, ...)
{
	va_list ap;

	if (sizeof(g->text) - g->used < OPT_WHY_MAX)
		flush(g);
	va_start(ap, fmt);
	g->used += fmt_vline(g->text + g->used, sizeof(g->text) - g->used, fmt, ap);
	va_end(ap);
}

static int finish(struct page *g)
{
	flush(g);
	errno = g->failed;
	return g->failed ? -1 : 0;
}

static void add_wrapped(struct page *g, const char *text)
{
	while (*text) {
		size_t cut = strlen(text);

		if (cut > HELP_COLUMNS) {
			for (cut = HELP_COLUMNS; cut > 0 && text[cut] != ' '; cut--)
				;
			if (!cut)
				cut = HELP_COLUMNS;
		}
		add(g, "        %.*s\n", (int)cut, text);
		text += cut + (text[cut] == ' ');
	}
}

int opt_print_help(const struct opt_row *rows, const char *head, const char *tail)
{
	static struct page g;

	add(&g, "%s", head);
	for (const struct opt_row *r = rows; r->name; r++) {
		if (r->hidden)
			continue;
		add(&g, "  --%s%s%s%s%s", r->name, r->optional ? "[" : "", r->arg ? "=" : "", r->arg ? r->arg : "",
		    r->optional ? "]" : "");
		if (r->letter)
			add(&g, ", -%c", r->letter);
		add(&g, "\n");
		add_wrapped(&g, r->help);
	}
	if (tail)
		add(&g, "%s", tail);
	return finish(&g);
}

static void add_row(struct page *g, const struct opt_row *parent, const struct opt_row *r)
{
	static const char *const kinds[] = {
		[OPT_FLAG] = "flag",	 [OPT_NUMBER] = "number", [OPT_SIZE] = "size",
		[OPT_CHOICE] = "choice", [OPT_ON_OFF] = "choice", [OPT_MAC] = "mac",
		[OPT_TEXT] = "text",	 [OPT_CUSTOM] = "custom", [OPT_ACTION] = "flag",
	};
	char letter[] = { '-', r->letter, '\0' };

	add(g, "--%s%s%s\t%s\t%s\t%s\t%s\n", parent ? parent->name : r->name, parent ? "," : "", parent ? r->name : "",
	    letter, kinds[r->kind], r->arg ? r->arg : "-", r->repeats ? "repeats" : "once");
}

int opt_print_list(const struct opt_row *rows)
{
	static struct page g;

	for (const struct opt_row *r = rows; r->name; r++) {
		if (r->hidden)
			continue;
		add_row(&g, NULL, r);
		for (const struct opt_row *s = r->settings; s && s->name; s++)
			add_row(&g, r, s);
	}
	return finish(&g);
}

void opt_complain(const char *program, const char *line)
{
	char text[OPT_LINE_MAX + 64];
	size_t len = fmt_line(text, sizeof(text) - 1, "%s: %s", program, line);

	make_printable_utf8(text, len);
	text[len++] = '\n';
	(void)write_all(STDERR_FILENO, text, len);
}
