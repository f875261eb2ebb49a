/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest memory: creating it (parent), checking and mapping a descriptor of it (roles), and
 * translating guest addresses to pointers. No other code does that translation.
 *
 * Mappings are MAP_SHARED, PROT_READ|PROT_WRITE, never executable, and left out
 * of core dumps (MADV_DONTDUMP).
 */
#ifndef COMMON_SHM_H
#define COMMON_SHM_H

#include <sys/stat.h>
#include <sys/types.h>

#include "common/util.h"

/* Most regions of guest memory: the answer to GET_MAX_MEM_SLOTS, and the limit of SET_MEM_TABLE. */
#define SHM_MAX_REGIONS 8

struct shm_region {
	uint64_t gpa;	/* Guest physical address */
	uint64_t size;	/* In bytes */
	uint64_t uva;	/* Address in the front-end's address space; vhost-user gives ring addresses so */
	uint8_t *hva;	/* Address in this process */
	void *map;	/* Arguments for munmap(): address */
	size_t map_len; /* And length */
};

struct guest_mem {
	unsigned nregions;
	struct shm_region r[SHM_MAX_REGIONS]; /* Sorted by gpa, without overlaps */
};

/* Which descriptors are accepted as guest memory. */
struct shm_policy {
	bool same_inode; /* Only the file (dev, ino): the memory that the parent created */
	/*
	 * Accept memory whose size is not sealed: with same_inode, on a host without memfd;
	 * without it, because the user of a stand-alone program (--allow-unsealed-memory)
	 * trusts its front-end not to truncate the file, which would kill us by SIGBUS.
	 */
	bool allow_unsealed;
	dev_t dev;
	ino_t ino;
};

enum shm_error {
	SHM_OK,
	SHM_BAD_FD,	 /* Not a regular file of a memory file system */
	SHM_UNSEALED,	 /* Could be truncated while mapped, which would kill us by SIGBUS */
	SHM_OTHER_INODE, /* Not the file (dev, ino) of the policy */
	SHM_PAST_END,	 /* offset + size is beyond the end of the file, or wraps around */
	SHM_MISALIGNED,	 /* Empty, or (with same_inode) not in whole pages */
	SHM_OVERLAP,	 /* Overlaps another region */
	SHM_TOO_MANY,	 /* More than SHM_MAX_REGIONS regions */
	SHM_NO_SUCH,	 /* shm_remove(): no such region */
	SHM_MAP_FAILED,	 /* mmap() failed; errno is set */
};
/* Text for messages: "not sealed against shrinking". */
const char *shm_strerror(enum shm_error e);

/*
 * Create @bytes (a multiple of the page size) of zeroed guest memory, a memfd, and seal
 * its size (F_SEAL_SHRINK|F_SEAL_GROW|F_SEAL_SEAL). Returns a close-on-exec descriptor,
 * or -1 with errno set. On hosts without memfd_create(2) (before Linux 3.17) it is an
 * unlinked file in /dev/shm, and *@sealed is false.
 */
int shm_create(uint64_t bytes, bool *sealed);
/* The same for other shared memory; @name appears in /proc/PID/maps. */
#define SHM_GUEST "guest"
int shm_create_named(const char *name, uint64_t bytes, bool *sealed);
/*
 * The same for memory that shm_freeze() will make unchangeable, for everybody and for ever; -1 with errno set, also on a host
 * without memfd_create(2). shm_freeze() fails with EBUSY while a process has the memory mapped for writing.
 */
int shm_create_to_freeze(const char *name, uint64_t bytes);
int shm_freeze(int fd);

/*
 * Check that @p allows mapping @fd, and seal it against shrinking if nobody has and the
 * file permits it. *@st: the result of fstat() after that. Returns SHM_OK or the reason.
 */
enum shm_error shm_judge(const struct shm_policy *p, int fd, struct stat *st);
/*
 * Map bytes [offset, offset + size) of a file that shm_judge() accepted. Returns the
 * address of @offset, or NULL with errno set. *@map, *@map_len: arguments for munmap().
 */
void *shm_map(int fd, const struct stat *st, uint64_t offset, uint64_t size, void **map, size_t *map_len);

/*
 * Check @fd and map bytes [offset, offset + size) of it as guest memory at @gpa. @uva:
 * the same region in the front-end's address space. @fd stays open. Returns SHM_OK or
 * the reason.
 */
enum shm_error shm_add(struct guest_mem *m, const struct shm_policy *p, int fd, uint64_t gpa, uint64_t size,
		       uint64_t uva, uint64_t offset);
/* Unmap the region with exactly these values. Returns SHM_OK or SHM_NO_SUCH. */
enum shm_error shm_remove(struct guest_mem *m, uint64_t gpa, uint64_t size, uint64_t uva);
/* Unmap all regions. */
void shm_clear(struct guest_mem *m);

/*
 * Translate guest physical addresses [gpa, gpa + len) to a pointer. NULL if they do not
 * all lie in one region, or if @len is 0.
 */
void *shm_ptr(const struct guest_mem *m, uint64_t gpa, uint64_t len);
/* The same for an address in the front-end's own address space. */
void *shm_ptr_uva(const struct guest_mem *m, uint64_t uva, uint64_t len);
/* The guest physical address of @ptr, in *@gpa. False if it lies in no region. */
bool shm_gpa(const struct guest_mem *m, const void *ptr, uint64_t *gpa);
/* Set *@ptr to the address of @gpa. Returns the bytes from there to the end of its region; 0 if in none. */
uint64_t shm_span(const struct guest_mem *m, uint64_t gpa, void **ptr);

#endif
