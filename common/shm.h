/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest memory: making it (parent), judging a descriptor of it and mapping it
 * (roles), and the only translation from guest addresses to pointers.
 *
 * Mappings are MAP_SHARED, PROT_READ|PROT_WRITE, never executable, and left out
 * of core dumps (MADV_DONTDUMP).
 */
#ifndef COMMON_SHM_H
#define COMMON_SHM_H

#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "util.h"

/* vhost-user: Get_max_mem_slots; also the most regions of one SET_MEM_TABLE. */
#define SHM_MAX_REGIONS 8

struct shm_region {
	uint64_t gpa;  /* guest physical address */
	uint64_t size; /* bytes */
	uint64_t uva;  /* the front-end's own address of it (vring addresses are in these) */
	uint8_t *hva;  /* ours */
	void *map;     /* what munmap() takes */
	size_t map_len;
};

struct guest_mem {
	unsigned nregions;
	struct shm_region r[SHM_MAX_REGIONS]; /* sorted by gpa, never overlapping */
};

/* Which descriptors are guest memory. */
struct shm_policy {
	bool same_inode; /* must be (dev, ino): the memory that the parent made */
	/*
	 * Together with same_inode: a host without memfd. Alone: the user of a
	 * stand-alone program trusts its front-end not to truncate the file (SIGBUS).
	 */
	bool allow_unsealed;
	dev_t dev;
	ino_t ino;
};

enum shm_error {
	SHM_OK,
	SHM_BAD_FD,   /* not a regular file of a memory file system */
	SHM_UNSEALED, /* could be truncated under us: SIGBUS */
	SHM_OTHER_INODE,
	SHM_PAST_END,	/* offset + size beyond the file, or wraps */
	SHM_MISALIGNED, /* empty, or (with same_inode) not in whole pages */
	SHM_OVERLAP,
	SHM_TOO_MANY,
	SHM_NO_SUCH,	/* remove: no region like that */
	SHM_MAP_FAILED, /* errno */
};
const char *shm_strerror(enum shm_error e);

/*
 * Make @bytes (a multiple of the page size) of zeroed guest memory and seal its
 * size: F_SEAL_SHRINK|F_SEAL_GROW|F_SEAL_SEAL. Returns a close-on-exec
 * descriptor or -1 with errno. Where the host has no memfd_create (before
 * Linux 3.17) it is an unlinked file in /dev/shm and *@sealed is false.
 */
int shm_create(uint64_t bytes, bool *sealed);
/* The same for what is not the guest's: @name is what /proc calls it. */
#define SHM_GUEST "guest"
int shm_create_named(const char *name, uint64_t bytes, bool *sealed);

/*
 * Is @fd a file that may be mapped? It is sealed against shrinking if it was
 * not yet and can be. *@st is what fstat() says after that.
 */
enum shm_error shm_judge(const struct shm_policy *p, int fd, struct stat *st);
/*
 * Map [offset, offset + size) of a file that was judged. Returns the address of
 * @offset, or NULL with errno; *@map and *@map_len are what munmap() takes.
 */
void *shm_map(int fd, const struct stat *st, uint64_t offset, uint64_t size, void **map, size_t *map_len);

/*
 * Judge @fd and map [offset, offset + size) of it as guest memory at @gpa. @fd
 * stays the caller's.
 */
enum shm_error shm_add(struct guest_mem *m, const struct shm_policy *p, int fd, uint64_t gpa, uint64_t size,
		       uint64_t uva, uint64_t offset);
enum shm_error shm_remove(struct guest_mem *m, uint64_t gpa, uint64_t size, uint64_t uva);
void shm_clear(struct guest_mem *m); /* unmap everything */

/*
 * Guest physical [gpa, gpa + len) as one pointer, or NULL unless all of it lies
 * inside one region. len 0 gives NULL.
 */
void *shm_ptr(const struct guest_mem *m, uint64_t gpa, uint64_t len);
/* The same for an address in the front-end's own address space. */
void *shm_ptr_uva(const struct guest_mem *m, uint64_t uva, uint64_t len);
/* Bytes from @gpa to the end of its region (0 if in none); *@ptr is set. */
uint64_t shm_span(const struct guest_mem *m, uint64_t gpa, void **ptr);

#endif
