/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Shared by the tests of options: parse a command line, and check mistakes in it. */
#ifndef TESTS_UNIT_PARENT_OPTIONS_RIG_H
#define TESTS_UNIT_PARENT_OPTIONS_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "parent/options/config.h"
#include "parent/options/options.h"
#include "tests/unit/said.h"

#define MAX_ARGS 12

static struct config c;

/* Parse a command line of words; standard output and error are caught. */
static inline int parse(const char *const *words)
{
	char *argv[MAX_ARGS + 2], copy[MAX_ARGS][256];
	int argc = 0, status, null = memfd_create("null", 0), out = dup(1);

	argv[argc++] = (char *)(uintptr_t) "lguest-sep";
	for (; *words; words++) {
		assert_true(strlen(*words) < sizeof(copy[0]));
		memcpy(copy[argc - 1], *words, strlen(*words) + 1);
		argv[argc] = copy[argc - 1];
		argc++;
	}
	argv[argc] = NULL;
	said_begin();
	dup2(null, 1);
	status = options_parse(argc, argv, &c);
	dup2(out, 1);
	said_end();
	close(out);
	close(null);
	return status;
}

#define PARSE(...) parse((const char *const[]){ __VA_ARGS__, NULL })
/* One option, with memory and kernel after it. */
#define WITH(...) PARSE(__VA_ARGS__, "64", "vmlinuz")

/* A command line with a mistake. */
struct bad {
	const char *words[8];
	const char *text; /* part of the message */
};

/* Check that each of the @n command lines at @b gives status 2 and one line with its text. */
static inline void expect_refused(const struct bad *b, unsigned n)
{
	for (; n > 0; n--, b++) {
		const char *words[ARRAY_SIZE(b->words) + 1] = { 0 };

		for (unsigned w = 0; w < ARRAY_SIZE(b->words); w++)
			words[w] = b->words[w];
		if (parse(words) != EXIT_USAGE || !strstr(said, b->text))
			fail_msg("%s %s: %s", words[0], words[1] ? words[1] : "", said);
		assert_int_equal(strncmp(said, "lguest-sep: ", 12), 0);
		assert_ptr_equal(strchr(said, '\n'), said + strlen(said) - 1);
	}
}

#endif
