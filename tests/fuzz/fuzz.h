/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the fuzz targets share: taking values off the input, and promises that
 * end the run when they do not hold.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <fcntl.h>
#include <sanitizer/common_interface_defs.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/util.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

#define PROMISE(c)                                                                        \
	do {                                                                              \
		if (!(c)) {                                                               \
			fprintf(stderr, "%s:%d: not kept: %s\n", __FILE__, __LINE__, #c); \
			abort();                                                          \
		}                                                                         \
	} while (0)

/*
 * When libFuzzer first finds a new function, it starts a program that prints function names
 * and connects to it over the lowest free descriptors. These numbers belong to a role's
 * table, and the role would close them. So start that program here, while they are in use.
 */
static inline void symbolizer_first(void)
{
	int taken[200], n = 0;
	char text[256];

	while (n < (int)ARRAY_SIZE(taken)) {
		taken[n] = open("/dev/null", O_RDONLY | O_CLOEXEC);
		if (taken[n] < 0 || taken[n] >= (int)ARRAY_SIZE(taken))
			break;
		n++;
	}
	__sanitizer_symbolize_pc((void *)(uintptr_t)LLVMFuzzerTestOneInput, "%p %f %L", text, sizeof(text));
	if (n < (int)ARRAY_SIZE(taken) && taken[n] >= 0)
		close(taken[n]);
	while (n)
		close(taken[--n]);
}

struct input {
	const uint8_t *p, *end;
};

static inline size_t left(const struct input *in)
{
	return (size_t)(in->end - in->p);
}

/* Take the next @len bytes of the input; zeroes after its end. */
static inline void take(struct input *in, void *to, size_t len)
{
	size_t n = MIN(len, left(in));

	memset(to, 0, len);
	if (n)
		memcpy(to, in->p, n);
	in->p += n;
}

static inline uint8_t take8(struct input *in)
{
	uint8_t v;

	take(in, &v, sizeof(v));
	return v;
}

static inline uint16_t take16(struct input *in)
{
	uint16_t v;

	take(in, &v, sizeof(v));
	return v;
}

static inline uint32_t take32(struct input *in)
{
	uint32_t v;

	take(in, &v, sizeof(v));
	return v;
}

static inline uint64_t take64(struct input *in)
{
	uint64_t v;

	take(in, &v, sizeof(v));
	return v;
}

#endif
