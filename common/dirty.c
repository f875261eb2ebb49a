/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The log of written pages: see dirty.h. Runs in netd, blkd and fsd. Reads nothing from the log, and writes no byte
 * outside the size that it was mapped with.
 */
#include <sys/mman.h>

#include "common/dirty.h"

enum shm_error dirty_map(struct dirty_log *l, bool unsealed, int fd, uint64_t offset, uint64_t bytes)
{
	const struct shm_policy any = { .allow_unsealed = unsealed };
	struct dirty_log new = { .bytes = bytes };
	enum shm_error e;
	struct stat st;

	if (!bytes)
		return SHM_MISALIGNED;
	e = shm_judge(&any, fd, &st);
	if (e != SHM_OK)
		return e;
	if (!range_ok(offset, bytes, (uint64_t)st.st_size))
		return SHM_PAST_END;
	new.bits = shm_map(fd, &st, offset, bytes, &new.map, &new.map_len);
	if (!new.bits)
		return SHM_MAP_FAILED;
	dirty_unmap(l);
	*l = new;
	return SHM_OK;
}

void dirty_unmap(struct dirty_log *l)
{
	if (l->bits)
		munmap(l->map, l->map_len);
	*l = (struct dirty_log){ 0 };
}

bool dirty_covers(const struct dirty_log *l, uint64_t gpa, uint64_t len)
{
	return !len || (range_ok(gpa, len, UINT64_MAX) && (gpa + len - 1) / DIRTY_PAGE / 8 < l->bytes);
}

bool dirty_mark(const struct dirty_log *l, uint64_t gpa, uint64_t len)
{
	uint64_t page = gpa / DIRTY_PAGE, end;

	if (!len || !dirty_covers(l, gpa, len))
		return !len;
	end = (gpa + len - 1) / DIRTY_PAGE + 1;
	while (page < end) {
		unsigned first = page % 8, n = (unsigned)MIN(8 - first, end - page);
		uint8_t mask = (uint8_t)(((1u << n) - 1) << first);

		/*
		 * Always with an atomic operation, even if the bits are set: it is also the barrier after the write
		 * to the page, without which the front-end might clear the bit and copy the page as it was.
		 */
		__atomic_fetch_or(&l->bits[page / 8], mask, __ATOMIC_SEQ_CST);
		page += n;
	}
	return true;
}
