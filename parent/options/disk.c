/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Parses --block=FILE[,...], --boot-disk=FILE[,...] and --cdrom=FILE[,...], one disk of the
 * guest each. Runs in the parent before it opens anything; parent/setup/disk.c checks if the
 * file exists.
 */
#include <limits.h>
#include <string.h>

#include "common/bucket.h"
#include "parent/options/disk.h"
#include "parent/options/util.h"

static struct disk_option *new_disk(struct config *c)
{
	struct disk_option *d;

	if (c->ndevices == MAX_DEVICES)
		return NULL;
	c->device[c->ndevices].kind = DEV_BLK;
	c->device[c->ndevices++].index = c->ndisks;
	d = &c->disk[c->ndisks++];
	d->queues = 1;
	return d;
}

static const char *set_serial(struct opt_parser *p, void *to, const char *s)
{
	struct disk_option *d = to;
	size_t len = strlen(s);

	(void)p;
	if (!len || len >= sizeof(d->serial))
		return "a serial has 1 to 20 characters";
	for (size_t i = 0; i < len; i++)
		if (s[i] <= ' ' || s[i] > '~')
			return "a serial is made of visible ASCII characters";
	memcpy(d->serial, s, len + 1);
	return NULL;
}

static const char *set_format(struct opt_parser *p, void *to, const char *s)
{
	struct disk_option *d = to;

	(void)p;
	if (strcmp(s, "raw") != 0)
		return "raw is the only format; convert others (qemu-img convert -O raw), or let qemu-storage-daemon "
		       "serve them (--vhost-user-blk=SOCKET)";
	d->format_raw = true;
	return NULL;
}

#define DISK(member) OPT_TO(struct disk_option, member)

const struct opt_row block_settings[] = {
	{ .name = "ro", .kind = OPT_FLAG, DISK(read_only) },
	{ .name = "snapshot", .kind = OPT_FLAG, DISK(snapshot) },
	{ .name = "format", .kind = OPT_CUSTOM, .arg = "raw", .parse = set_format },
	{ .name = "serial", .kind = OPT_CUSTOM, .arg = "TEXT", .parse = set_serial },
	{ .name = "lock", .kind = OPT_ON_OFF, .arg = "on|off", DISK(no_lock), .inverted = true },
	{ .name = "direct", .kind = OPT_ON_OFF, .arg = "on|off", DISK(direct) },
	{ .name = "cache", .kind = OPT_CHOICE, .arg = BLK_CACHE_NAMES, DISK(cache) },
	{ .name = "queues", .kind = OPT_NUMBER, .arg = "N", .min = 1, .max = MAX_QUEUES, DISK(queues) },
	{ .name = "io", .kind = OPT_CHOICE, .arg = BLK_IO_NAMES, DISK(io) },
	{ .name = "rate",
	  .kind = OPT_SIZE,
	  .arg = "REQUESTS/s",
	  .min = 1,
	  .max = RATE_MAX,
	  DISK(rate_ops),
	  .reason = "give requests a second, as 500 or 10k" },
	{ .name = "bandwidth",
	  .kind = OPT_SIZE,
	  .arg = "BYTES/s",
	  .min = 1,
	  .max = RATE_MAX,
	  DISK(rate_bytes),
	  .reason = "give bytes a second, as 20M (k, M, G)" },
	{ .name = NULL },
};

const struct opt_row boot_settings[] = {
	{ .name = "bus", .kind = OPT_CHOICE, .arg = "auto|ide|virtio", DISK(bus) },
	{ .name = "ro", .kind = OPT_FLAG, DISK(read_only) },
	{ .name = "snapshot", .kind = OPT_FLAG, DISK(snapshot) },
	{ .name = "format", .kind = OPT_CUSTOM, .arg = "raw", .parse = set_format },
	{ .name = "serial", .kind = OPT_CUSTOM, .arg = "TEXT", .parse = set_serial },
	{ .name = "lock", .kind = OPT_ON_OFF, .arg = "on|off", DISK(no_lock), .inverted = true },
	{ .name = NULL },
};

const struct opt_row cdrom_settings[] = {
	{ .name = "format", .kind = OPT_CUSTOM, .arg = "raw", .parse = set_format },
	{ .name = "lock", .kind = OPT_ON_OFF, .arg = "on|off", DISK(no_lock), .inverted = true },
	{ .name = NULL },
};

const struct opt_row root_settings[] = {
	{ .name = "ro", .kind = OPT_FLAG, DISK(read_only) },
	{ .name = "rw", .kind = OPT_FLAG, DISK(rw) },
	{ .name = "snapshot", .kind = OPT_FLAG, DISK(snapshot) },
	{ .name = "part", .kind = OPT_NUMBER, .arg = "N", .min = 1, .max = 255, DISK(part) },
	{ .name = "format", .kind = OPT_CUSTOM, .arg = "raw", .parse = set_format },
	{ .name = "lock", .kind = OPT_ON_OFF, .arg = "on|off", DISK(no_lock), .inverted = true },
	{ .name = NULL },
};

/* Returns the reason for a refused device: the guest already has as many as it can have. */
static const char *too_many(struct opt_parser *p)
{
	return opt_why(p, "a guest has %d disks, NICs and shares at most", MAX_DEVICES);
}

static const char *copy_path(struct opt_parser *p, struct disk_option *d, const char *path)
{
	char *to = config_text(p->to, strlen(path) + 1);

	if (!*path)
		return "the name of a file is missing";
	if (!to)
		return "the names of all disks together are too long";
	memcpy(to, path, strlen(path) + 1);
	d->path = to;
	return NULL;
}

/* Parse FILE[,SETTING...] into the new disk @d; NULL: there are too many. Returns NULL, or what is wrong. */
static const char *parse_disk(struct opt_parser *p, struct disk_option *d, const char *value,
			      const struct opt_row *settings)
{
	const char *rest = value, *why;
	char path[PATH_MAX];

	if (!d)
		return too_many(p);
	if (opt_field(&rest, path, sizeof(path)) < 0)
		return "the name of the file is too long";
	why = copy_path(p, d, path);
	if (!why && rest)
		why = opt_settings(p, settings, d, rest);
	if (why)
		return why;
	if (d->read_only && d->snapshot)
		return "ro and snapshot: take one of the two";
	if (d->cache == BLK_CACHE_NONE)
		d->direct = true;
	return NULL;
}

const char *parse_block(struct opt_parser *p, void *to, const char *value)
{
	return parse_disk(p, new_disk(to), value, block_settings);
}

const char *parse_boot_disk(struct opt_parser *p, void *to, const char *value)
{
	struct config *c = to;
	struct disk_option *d = new_disk(c);

	if (d)
		d->boot = ++c->nboots;
	return parse_disk(p, d, value, boot_settings);
}

const char *parse_cdrom(struct opt_parser *p, void *to, const char *value)
{
	struct config *c = to;
	struct disk_option *d = new_disk(c);

	if (d) {
		d->boot = ++c->nboots;
		d->cdrom = d->read_only = true;
	}
	return parse_disk(p, d, value, cdrom_settings);
}

const char *disk_add_root(struct opt_parser *p, struct config *c, const char *path, const char *settings)
{
	struct disk_option *d = new_disk(c);
	const char *why;

	if (!d)
		return too_many(p);
	d->path = path;
	d->root = true;
	why = settings ? opt_settings(p, root_settings, d, settings) : NULL;
	if (why)
		return why;
	if (d->read_only + d->rw + d->snapshot > 1)
		return "ro, rw and snapshot: take one of the three";
	d->read_only = !d->rw && !d->snapshot;
	memcpy(d->serial, RUN_DISK_SERIAL, sizeof(RUN_DISK_SERIAL));
	c->run.disk = d->read_only ? RUN_DISK_READ_ONLY : RUN_DISK_WRITABLE;
	c->run.part = d->part;
	return NULL;
}

const char *parse_vhost_user_blk(struct opt_parser *p, void *to, const char *value)
{
	struct disk_option *d = new_disk(to);

	if (!d)
		return too_many(p);
	d->vhost_user = true;
	return copy_path(p, d, value);
}
