/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Memory files that a start of the guest needs: see memory.h. Runs in the supervisor, which never maps guest memory. */
#include <sys/stat.h>
#include <unistd.h>

#include "common/fdstat.h"
#include "common/inflight.h"
#include "common/shm.h"
#include "parent/supervise/lines.h"
#include "parent/supervise/memory.h"

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
