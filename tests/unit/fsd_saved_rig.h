/* SPDX-License-Identifier: GPL-2.0-or-later */
/* For tests: the device of a guest that is written to a file, or started from one (fsd/saved.h). */
#ifndef TESTS_FSD_SAVED_RIG_H
#define TESTS_FSD_SAVED_RIG_H

#include <zlib.h>

#include "fsd/saved.h"
#include "tests/unit/fsd_past_rig.h"

/* Where its part of the file begins. */
#define PART_AT 8192

static unsigned parts; /* Number of replies to the last part_of() */

static inline struct vhu_saved ask_part(uint32_t request, struct vhu_saved s)
{
	struct vhu_msg m;

	assert_true(front_send(&w.f, request, 0, &s, sizeof(s), NULL, 0) && front_recv(&w.f, &m, PATIENCE_MS));
	assert_int_equal(m.request, request);
	return m.saved;
}

/* While the device is held: write its part of the file, or read it. Returns the last reply. */
static inline struct vhu_saved part_of(uint32_t request)
{
	struct vhu_saved s = { .at = PART_AT };

	for (parts = 0; s.state == VHU_SAVED_MORE; parts++) {
		struct vhu_saved got = ask_part(request, s);

		/* The front-end would give up. */
		assert_true(got.state != VHU_SAVED_MORE || (got.cluster > s.cluster && got.at >= s.at));
		s = got;
	}
	return s;
}

static inline void begin_saved(void)
{
	w.file = memfd_create("saved", MFD_CLOEXEC);
	assert_true(w.file > 0);
	begin_past();
}

static inline void save_it(void)
{
	struct vhu_saved s;

	assert_int_equal(ftruncate(w.file, 0), 0);
	hold();
	s = part_of(VHU_SAVE);
	assert_int_equal(s.state, VHU_SAVED_DONE);
	assert_int_equal(lseek(w.file, 0, SEEK_END), s.at);
	checkpoint();
}

/* Another guest begins, which has not opened anything. It is held. */
static inline void another(void)
{
	end_process();
	w.generation = 0;
	begin();
	hold();
}

/* A guest from the file goes on. */
static inline void from_it(void)
{
	struct vhu_saved s;

	another();
	s = part_of(VHU_LOAD);
	assert_int_equal(s.state, VHU_SAVED_DONE);
	assert_int_equal(lseek(w.file, 0, SEEK_END), s.at);
	checkpoint();
}

/* ---- the file ---- */

static uint8_t *bytes; /* Of the part, which has @bytes_len, once changed() has been called */
static size_t bytes_len;

static inline void read_part(void)
{
	bytes_len = (size_t)(lseek(w.file, 0, SEEK_END) - PART_AT);
	free(bytes);
	bytes = malloc(bytes_len);
	assert_int_equal(pread(w.file, bytes, bytes_len, PART_AT), bytes_len);
}

/* Write it, with right checksums. */
static inline void write_part(void)
{
	struct saved_block b;

	for (size_t at = 0; bytes_len - at >= sizeof(b); at += sizeof(b) + b.bytes) {
		memcpy(&b, bytes + at, sizeof(b));
		if (b.bytes > bytes_len - at - sizeof(b))
			break;
		b.crc = (uint32_t)crc32(0, bytes + at + sizeof(b), b.bytes);
		memcpy(bytes + at, &b, sizeof(b));
	}
	assert_int_equal(pwrite(w.file, bytes, bytes_len, PART_AT), bytes_len);
}

/* The @n-th entry of the kind @kind, from 0 on, in the first block. */
static inline struct saved_entry *nth(unsigned kind, unsigned n)
{
	for (size_t at = sizeof(struct saved_block); at < bytes_len;) {
		struct saved_entry *e = (void *)(bytes + at);

		if (e->kind == kind && !n--)
			return e;
		at += sizeof(*e) + ((e->name_len + 7u) & ~7u);
	}
	fail_msg("no such entry");
	__builtin_unreachable();
}

#endif
