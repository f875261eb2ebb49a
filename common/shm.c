/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest memory: created by the parent, checked and mapped by the roles. Runs in every
 * process. It never maps memory executable and never maps a file that could shrink. Each
 * pointer that it returns was checked to lie inside one region.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fdstat.h"

#include "common/shm.h"

const char *shm_strerror(enum shm_error e)
{
	static const char *const text[] = {
		[SHM_OK] = "no error",
		[SHM_BAD_FD] = "not shared memory (memfd, tmpfs or hugetlbfs)",
		[SHM_UNSEALED] = "not sealed against shrinking",
		[SHM_OTHER_INODE] = "not the memory of this guest",
		[SHM_PAST_END] = "beyond the end of its file",
		[SHM_MISALIGNED] = "empty, or not in whole pages",
		[SHM_OVERLAP] = "overlaps another region",
		[SHM_TOO_MANY] = "too many regions",
		[SHM_NO_SUCH] = "no such region",
		[SHM_MAP_FAILED] = "cannot be mapped",
	};

	return (unsigned)e < ARRAY_SIZE(text) && text[e] ? text[e] : "?";
}

static uint64_t page_size(void)
{
	return (uint64_t)sysconf(_SC_PAGESIZE);
}

/* For hosts without memfd_create(2) (before Linux 3.17): an unlinked file, whose size cannot be sealed. */
static int create_unlinked(uint64_t bytes)
{
	char path[] = "/dev/shm/lguest-sep-XXXXXX";
	int fd = mkostemp(path, O_CLOEXEC);

	if (fd < 0)
		return -1;
	unlink(path);
	if (ftruncate(fd, (off_t)bytes) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

int shm_create(uint64_t bytes, bool *sealed)
{
	return shm_create_named(SHM_GUEST, bytes, sealed);
}

/* @more: seals in addition to those of the size. */
static int create(const char *name, uint64_t bytes, int more, bool *sealed)
{
	int fd;

	*sealed = false;
	if (!bytes || !is_aligned(bytes, page_size()) || bytes > SIZE_MAX || bytes > INT64_MAX) {
		errno = EINVAL;
		return -1;
	}
	fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return errno == ENOSYS ? create_unlinked(bytes) : -1;
	if (ftruncate(fd, (off_t)bytes) < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | more) < 0) {
		int saved = errno;

		close(fd);
		errno = saved;
		return -1;
	}
	*sealed = true;
	return fd;
}

int shm_create_named(const char *name, uint64_t bytes, bool *sealed)
{
	return create(name, bytes, F_SEAL_SEAL, sealed);
}

int shm_create_to_freeze(const char *name, uint64_t bytes)
{
	bool sealed;
	int fd = create(name, bytes, 0, &sealed);

	if (fd < 0 || sealed)
		return fd;
	close(fd);
	errno = ENOSYS;
	return -1;
}

int shm_freeze(int fd)
{
	return fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SEAL) < 0 ? -1 : 0;
}

/*
 * Calls F_GET_SEALS before fstat(): it succeeds only on memory file systems. On a FUSE
 * file system that the sender controls, fstat() might never return.
 */
enum shm_error shm_judge(const struct shm_policy *p, int fd, struct stat *st)
{
	int seals = fcntl(fd, F_GET_SEALS);
	bool sealed = seals >= 0 && (seals & F_SEAL_SHRINK);

	if (seals < 0 && !(p->same_inode && p->allow_unsealed))
		return SHM_BAD_FD;
	if (fd_stat(fd, st) < 0 || !S_ISREG(st->st_mode))
		return SHM_BAD_FD;
	if (p->same_inode && (st->st_dev != p->dev || st->st_ino != p->ino))
		return SHM_OTHER_INODE;
	/* Nobody can remove a seal, so it does not matter whether the sender or we add it. */
	if (!sealed && seals >= 0 && !(seals & F_SEAL_SEAL))
		sealed = fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) == 0;
	/* Read the size again: until the seal it could change. */
	if (sealed && fd_stat(fd, st) < 0)
		return SHM_BAD_FD;
	return sealed || p->allow_unsealed ? SHM_OK : SHM_UNSEALED;
}

void *shm_map(int fd, const struct stat *st, uint64_t offset, uint64_t size, void **map, size_t *map_len)
{
	uint64_t unit = page_size(), lead, whole;
	void *at;

	/* mmap() of huge pages needs multiples of their size; the region keeps its own bounds. */
	if (st->st_blksize > 0 && is_power_of_two((uint64_t)st->st_blksize))
		unit = MAX(unit, (uint64_t)st->st_blksize);
	lead = offset & (unit - 1);
	whole = (size + lead + unit - 1) & ~(unit - 1);
	if (whole < size || whole > SIZE_MAX) {
		errno = ENOMEM;
		return NULL;
	}
	at = mmap(NULL, (size_t)whole, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, (off_t)(offset - lead));
	if (at == MAP_FAILED)
		return NULL;
	madvise(at, (size_t)whole, MADV_DONTDUMP);
	*map = at;
	*map_len = (size_t)whole;
	return (uint8_t *)at + lead;
}

/* Both ranges lie below 2^64 and are not empty. */
static bool overlap(uint64_t a, uint64_t alen, uint64_t b, uint64_t blen)
{
	return a < b ? b - a < alen : a - b < blen;
}

static enum shm_error judge_range(const struct guest_mem *m, const struct shm_policy *p, uint64_t gpa, uint64_t size,
				  uint64_t uva, uint64_t offset)
{
	uint64_t page = page_size();

	if (m->nregions >= SHM_MAX_REGIONS)
		return SHM_TOO_MANY;
	/* vhost-user demands no alignment, and libblkio has none; memory of our parent is page-aligned. */
	if (!size || (p->same_inode && !is_aligned(gpa | size | offset, page)))
		return SHM_MISALIGNED;
	if (!range_ok(gpa, size, UINT64_MAX) || !range_ok(uva, size, UINT64_MAX) || !range_ok(offset, size, INT64_MAX))
		return SHM_PAST_END;
	for (unsigned i = 0; i < m->nregions; i++) {
		const struct shm_region *r = &m->r[i];

		if (overlap(gpa, size, r->gpa, r->size) || overlap(uva, size, r->uva, r->size))
			return SHM_OVERLAP;
	}
	return SHM_OK;
}

enum shm_error shm_add(struct guest_mem *m, const struct shm_policy *p, int fd, uint64_t gpa, uint64_t size,
		       uint64_t uva, uint64_t offset)
{
	struct shm_region r = { .gpa = gpa, .size = size, .uva = uva };
	enum shm_error e = judge_range(m, p, gpa, size, uva, offset);
	struct stat st;
	unsigned at;

	if (e == SHM_OK)
		e = shm_judge(p, fd, &st);
	if (e != SHM_OK)
		return e;
	if (!range_ok(offset, size, (uint64_t)st.st_size))
		return SHM_PAST_END;
	r.hva = shm_map(fd, &st, offset, size, &r.map, &r.map_len);
	if (!r.hva)
		return SHM_MAP_FAILED;

	for (at = m->nregions; at > 0 && m->r[at - 1].gpa > gpa; at--)
		m->r[at] = m->r[at - 1];
	m->r[at] = r;
	m->nregions++;
	return SHM_OK;
}

enum shm_error shm_remove(struct guest_mem *m, uint64_t gpa, uint64_t size, uint64_t uva)
{
	for (unsigned i = 0; i < m->nregions; i++) {
		struct shm_region *r = &m->r[i];

		if (r->gpa != gpa || r->size != size || r->uva != uva)
			continue;
		munmap(r->map, r->map_len);
		m->nregions--;
		for (; i < m->nregions; i++)
			m->r[i] = m->r[i + 1];
		return SHM_OK;
	}
	return SHM_NO_SUCH;
}

void shm_clear(struct guest_mem *m)
{
	for (unsigned i = 0; i < m->nregions; i++)
		munmap(m->r[i].map, m->r[i].map_len);
	m->nregions = 0;
}

uint64_t shm_span(const struct guest_mem *m, uint64_t gpa, void **ptr)
{
	for (unsigned i = 0; i < m->nregions; i++) {
		const struct shm_region *r = &m->r[i];
		uint64_t off = gpa - r->gpa;

		if (gpa < r->gpa || off >= r->size)
			continue;
		*ptr = r->hva + off;
		return r->size - off;
	}
	*ptr = NULL;
	return 0;
}

void *shm_ptr(const struct guest_mem *m, uint64_t gpa, uint64_t len)
{
	void *p;
	uint64_t span = shm_span(m, gpa, &p);

	return len && len <= span ? p : NULL;
}

void *shm_ptr_uva(const struct guest_mem *m, uint64_t uva, uint64_t len)
{
	for (unsigned i = 0; i < m->nregions; i++) {
		const struct shm_region *r = &m->r[i];

		if (len && uva >= r->uva && range_ok(uva - r->uva, len, r->size))
			return r->hva + (uva - r->uva);
	}
	return NULL;
}

bool shm_gpa(const struct guest_mem *m, const void *ptr, uint64_t *gpa)
{
	for (unsigned i = 0; i < m->nregions; i++) {
		const struct shm_region *r = &m->r[i];
		uint64_t off = (uintptr_t)ptr - (uintptr_t)r->hva;

		if ((uintptr_t)ptr < (uintptr_t)r->hva || off >= r->size)
			continue;
		*gpa = r->gpa + off;
		return true;
	}
	return false;
}
