/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Shared by the tests of snapshots that keep an earlier state: a small disk, and what it should contain. */
#ifndef TESTS_UNIT_BLKD_MODEL_H
#define TESTS_UNIT_BLKD_MODEL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "blkd/io_sync.h"
#include "blkd/snapshot.h"

/* Not a whole number of clusters */
#define SIZE (40 * 4096 + 1536)

static struct image_file base, delta;
static struct snapshot s;
static uint8_t original[SIZE], model[SIZE], kept[SIZE], buf[SIZE];

static inline void put(uint64_t off, uint64_t len, uint8_t fill)
{
	memset(model + off, fill, len);
	while (len) {
		uint64_t part = len;
		struct image_file *f = snapshot_map(&s, true, off, &part);
		struct iovec v = { model + off, f ? part : len };
		ssize_t done = f ? io_wait(f, true, &v, 1, off, false) : snapshot_write(&s, &v, 1, off, len);

		assert_true(f == NULL || f == &delta || f == &s.other);
		assert_true(done > 0 && (uint64_t)done <= len);
		off += (uint64_t)done;
		len -= (uint64_t)done;
	}
}

static inline void all_as_modelled(void)
{
	for (uint64_t off = 0, part; off < SIZE; off += part) {
		struct iovec v = { buf + off, 0 };
		struct image_file *f;

		part = SIZE - off;
		f = snapshot_map(&s, false, off, &part);
		assert_true(part > 0 && part <= SIZE - off);
		v.iov_len = part;
		assert_int_equal(io_wait(f, false, &v, 1, off, false), part);
	}
	assert_memory_equal(buf, model, SIZE);
	assert_int_equal(pread(base.fd, buf, SIZE, 0), SIZE);
	assert_memory_equal(buf, original, SIZE);
}

#endif
