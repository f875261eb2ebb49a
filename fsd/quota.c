/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The count of quota.h. Runs in fsd; after fsd_quota_map() nothing here makes a system call, except for one log
 * message.
 */
#include <sys/mman.h>

#include "common/log.h"
#include "fsd/quota.h"

int fsd_quota_map(struct fsd *d)
{
	void *p = mmap(NULL, sizeof(*d->added), PROT_READ | PROT_WRITE, MAP_SHARED, HFD_ADDED, 0);

	if (p == MAP_FAILED)
		return -1;
	d->added = p;
	return 0;
}

uint64_t fsd_quota_left(const struct fsd *d)
{
	return d->cfg.max - MIN(*d->added, d->cfg.max);
}

bool fsd_quota_allows(struct fsd *d, uint64_t more)
{
	if (more <= fsd_quota_left(d))
		return true;
	if (!d->full_said)
		log_line(
			LOG_WARN,
			"the guest has filled the share: it added %llu of %llu bytes (max=) and asks for %llu more; it gets "
			"ENOSPC",
			(unsigned long long)*d->added, (unsigned long long)d->cfg.max, (unsigned long long)more);
	d->full_said = true;
	return false;
}

void fsd_quota_add(struct fsd *d, uint64_t more)
{
	*d->added += MIN(more, fsd_quota_left(d));
}

void fsd_quota_release(struct fsd *d, uint64_t less)
{
	*d->added -= MIN(less, *d->added);
}
