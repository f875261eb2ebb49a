/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The files of disks and shares: see disks.h. Runs in the supervisor, which never maps them. */
#include <unistd.h>

#include "common/shm.h"
#include "common/snapmap.h"
#include "parent/supervise/disks.h"
#include "parent/supervise/lines.h"

void sup_disk_files(const struct supervisor *s, const struct sup_role *r, const struct disk_host *d, struct role_fds *f,
		    struct role_config *rc)
{
	bool two = d->low_map >= 0;
	int from = d->delta >= 0 && !two && s->c->from ? s->h->kernel : -1,
	    save = d->delta >= 0 && !two ? s->h->save : -1;

	role_fds_add(f, d->fd, HFD_DISK);
	role_fds_add_open(f, two ? d->upper : d->delta, HFD_DELTA);
	role_fds_add_open(f, d->map, HFD_SNAPMAP);
	role_fds_add_open(f, two ? d->low_map : d->levels, HFD_SNAPMAP2);
	/* What the guest has changed on a snapshot is in the files of --save and --from. */
	role_fds_add_open(f, from, HFD_FROM);
	role_fds_add_open(f, save, HFD_SAVE);
	if (two)
		role_fds_add(f, d->lower, HFD_LOWER);
	rc->blk.saved = from >= 0 || save >= 0;
	rc->blk.lower = two;
	rc->blk.begins = two && r->begins;
}

void sup_share_files(const struct supervisor *s, const struct sup_role *r, const struct share_host *h,
		     struct role_fds *f, struct role_config *rc)
{
	bool kept = h->kept_nodes >= 0;

	role_fds_add_open(f, h->added, HFD_ADDED);
	role_fds_add_open(f, h->kept_nodes, HFD_KEPT_NODES);
	role_fds_add(f, h->nodes, HFD_NODES);
	/* What the guest knows and has open is in the files of --save and --from. */
	role_fds_add_open(f, s->c->from && !kept ? s->h->kernel : -1, HFD_FROM);
	role_fds_add_open(f, kept ? -1 : s->h->save, HFD_SAVE);
	rc->fs.saved = rc->fs.saved && !kept;
	rc->fs.begins = kept && r->begins;
}

/*
 * The memory file *@now becomes *@kept, which nobody can write any more, if @keeps; another one takes its place.
 * Returns NULL, or what failed, with errno set.
 */
static const char *renew(int *now, int *kept, const char *name, uint64_t bytes, bool keeps)
{
	if (keeps) {
		/* EBUSY: somebody has it mapped, and could change it still. */
		if (shm_freeze(*now) < 0)
			return "cannot protect what it keeps for resets";
		*kept = *now;
	} else {
		close(*now);
	}
	*now = shm_create_to_freeze(name, bytes);
	return *now < 0 ? "cannot create memory that it keeps" : NULL;
}

/* Returns 0, or -1 after logging the reason. */
static int renew_one(struct supervisor *s, const struct sup_role *r, bool keeps)
{
	unsigned i = s->c->device[r->device].index;
	bool share = s->c->device[r->device].kind == DEV_FS;
	struct disk_host *d = &s->h->disk[i];
	struct share_host *h = &s->h->share[i];
	int *kept = share ? &h->kept_nodes : &d->low_map;
	const char *failed;

	/* The guest has rebooted since. */
	if (keeps && *kept >= 0) {
		sup_line(s,
			 "%s: --reset=fresh keeps what a snapshot or share has only once, and the guest takes a second "
			 "checkpoint; ending the guest",
			 r->host->name);
		return -1;
	}
	/* Without a checkpoint there is no reset: the vCPU process lies. */
	if (!keeps && *kept < 0)
		return 0;
	if (share)
		failed = renew(&h->nodes, kept, "files", fs_tables_bytes(h->config.inodes, false), keeps);
	else
		failed = renew(&d->map, kept, "snapshot", snapmap_map(d->config.capacity), keeps);
	if (failed)
		sup_line(s, "%s: %s: %m", r->host->name, failed);
	return failed ? -1 : 0;
}

int sup_disks_renew(struct supervisor *s, bool keeps)
{
	for (unsigned i = 0; i + 1 < s->nroles; i++) {
		const struct sup_role *r = &s->role[i];
		enum device_kind kind = r->device < 0 ? DEV_NET : s->c->device[r->device].kind;

		if (kind == DEV_BLK && s->h->disk[s->c->device[r->device].index].upper < 0)
			continue;
		if (kind != DEV_NET && renew_one(s, r, keeps) < 0)
			return -1;
	}
	return 0;
}
