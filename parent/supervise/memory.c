/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Memory files that a start of the guest needs: see memory.h. Runs in the supervisor, which never maps guest memory. */
#include <sys/stat.h>
#include <unistd.h>

#include "common/fdstat.h"
#include "common/inflight.h"
#include "common/shm.h"
#include "common/snapmap.h"
#include "parent/supervise/lines.h"
#include "parent/supervise/memory.h"

/* Address space beyond guest memory that a role may use (RLIMIT_AS); QEMU has no limit. */
#define ROLE_SPACE (UINT64_C(512) << 20)

int sup_fresh_notes(struct supervisor *s, struct sup_role *r, unsigned queues)
{
	uint64_t bytes;

	/* A host without memfd_create (before Linux 3.17) cannot create it now: a dead blkd's requests are lost. */
	if (!s->h->mem_sealed)
		return 0;
	r->inflight = inflight_create((uint16_t)queues, INFLIGHT_MAX_SIZE, &bytes);
	if (r->inflight >= 0)
		return 0;
	sup_line(s, "%s: cannot create its inflight area: %m", r->host->name);
	return -1;
}

uint64_t sup_space_limit(const struct supervisor *s, uint64_t disk)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__i386__)
	(void)s;
	(void)disk;
	return 0;
#else
	/* A snapshot's maps have a bit for each 4096 bytes of the disk, at most; --checkpoint copies guest memory. */
	return (s->c->checkpoint ? 2 : 1) * s->c->mem_bytes + s->h->shmem_bytes + ROLE_SPACE + disk / 4096 / 8 * 5;
#endif
}

uint64_t sup_vcpu_file_size(const struct supervisor *s)
{
	if (s->h->save >= 0)
		return SAVE_FILE_MAX(s->c->mem_bytes);
	/* It writes guest memory as a file. */
	if (s->c->from)
		return s->c->mem_bytes;
	return s->h->engine == ENGINE_QEMU ? UINT64_MAX : s->h->engine_is_file ? 4096 : 0;
}

uint64_t sup_save_file_size(const struct supervisor *s)
{
	uint64_t file = SAVE_FILE_MAX(s->c->mem_bytes);

	/* At most 24 bytes in front of each 4096 of a disk, and up to a page between the parts of devices. */
	for (unsigned i = 0; i < s->c->ndisks; i++)
		file += s->h->disk[i].config.capacity / 4096 * (4096 + 24) + 3 * 4096;
	for (unsigned i = 0; i < s->c->nshares; i++)
		file += fs_saved_bytes(s->h->share[i].config.inodes);
	return file;
}

uint64_t sup_disk_file_size(const struct supervisor *s, const struct disk_host *d)
{
	uint64_t own = snapmap_delta_bytes(d->config.capacity, d->config.levels);

	if (d->delta < 0)
		return d->config.is_block_device ? 0 : own;
	if (s->h->save < 0)
		return own;
	return MAX(own, sup_save_file_size(s));
}

int sup_fresh_log(struct supervisor *s, unsigned d)
{
	/* A bit for each page up to the end of guest memory, which may lie above 4 GiB. Unused pages take no memory. */
	uint64_t bytes = ((s->c->mem_bytes + (UINT64_C(4) << 30)) / 4096 / 8 + 4095) & ~UINT64_C(4095);
	bool sealed;
	int fd = shm_create_named("log", bytes, &sealed);

	if (fd < 0)
		sup_line(s, "%s: cannot create its log of written pages: %m", s->role[d].host->name);
	return fd;
}

/* On a host without memfd_create, guest memory is one file. Truncate it, so that a reboot starts with zero pages. */
static int emptied_memory(struct supervisor *s, struct stat *st)
{
	if (ftruncate(s->mem, 0) == 0 && ftruncate(s->mem, (off_t)s->c->mem_bytes) == 0 && fd_stat(s->mem, st) == 0)
		return 0;
	sup_line(s, "guest memory: %m");
	return -1;
}

int sup_fresh_memory(struct supervisor *s, struct stat *st)
{
	if (s->starts == 0)
		s->mem = s->h->mem;
	else if (!s->h->mem_sealed)
		return emptied_memory(s, st);
	else
		s->mem = shm_create(s->c->mem_bytes, &s->h->mem_sealed);
	if (s->mem < 0 || fd_stat(s->mem, st) < 0) {
		sup_line(s, "guest memory: %m");
		return -1;
	}
	return 0;
}
