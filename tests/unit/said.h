/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Captures what the code under test prints to standard error between said_begin() and
 * said_end().
 */
#ifndef TESTS_UNIT_SAID_H
#define TESTS_UNIT_SAID_H

#include <sys/mman.h>
#include <unistd.h>

static char said[8192];
static int said_file, said_before;

static inline void said_begin(void)
{
	said_file = memfd_create("said", 0);
	said_before = dup(2);
	dup2(said_file, 2);
}

static inline void said_end(void)
{
	ssize_t n;

	dup2(said_before, 2);
	n = pread(said_file, said, sizeof(said) - 1, 0);
	said[n > 0 ? n : 0] = '\0';
	close(said_before);
	close(said_file);
}

/* Check that the captured text is one whole line which contains @text. */
static inline void said_one_line(const char *text)
{
	if (!strstr(said, text))
		fail_msg("not \"%s\": %s", text, said);
	assert_ptr_equal(strchr(said, '\n'), said + strlen(said) - 1);
}

#endif
