// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * --block=FILE[,…]: one disk of the guest. Runs in the parent before it has
 * opened anything; whether the file is there is parent/setup_disk.c's to say.
 */
#include <limits.h>
#include <string.h>

#include "options.h"

#define RATE_MAX (UINT64_C(1) << 50)

static struct disk_option *new_disk(struct parse *p)
{
	struct config *c = p->c;
	struct disk_option *d;

	if (c->ndevices == MAX_DEVICES)
		return NULL;
	c->device[c->ndevices].kind = DEV_BLK;
	c->device[c->ndevices++].index = c->ndisks;
	d = &c->disk[c->ndisks++];
	d->queues = 1;
	return d;
}

static int bad(const struct parse *p, const char *value, const char *field, const char *why)
{
	return complain(EXIT_USAGE, "%s=%s: %s: %s", p->opt, value, field, why);
}

static const char *set_serial(struct disk_option *d, const char *s)
{
	size_t len = strlen(s);

	if (!len || len >= sizeof(d->serial))
		return "a serial has 1 to 20 characters";
	for (size_t i = 0; i < len; i++)
		if (s[i] <= ' ' || s[i] > '~')
			return "a serial is made of visible ASCII characters";
	memcpy(d->serial, s, len + 1);
	return NULL;
}

static const char *set_cache(struct disk_option *d, const char *s)
{
	if (!strcmp(s, "writeback"))
		d->cache = BLK_CACHE_WRITEBACK;
	else if (!strcmp(s, "none"))
		d->cache = BLK_CACHE_NONE;
	else if (!strcmp(s, "unsafe"))
		d->cache = BLK_CACHE_UNSAFE;
	else
		return "say writeback, none or unsafe";
	return NULL;
}

static const char *set_io(struct disk_option *d, const char *s)
{
	if (!strcmp(s, "auto"))
		d->io = BLK_IO_AUTO;
	else if (!strcmp(s, "uring"))
		d->io = BLK_IO_URING;
	else if (!strcmp(s, "sync"))
		d->io = BLK_IO_SYNC;
	else
		return "say auto, uring or sync";
	return NULL;
}

/* A field of the form KEY=VALUE. NULL, or what is wrong with it. */
static const char *set_value(struct disk_option *d, const char *key, const char *v)
{
	uint64_t n;
	bool on;

	if (!strcmp(key, "serial"))
		return set_serial(d, v);
	if (!strcmp(key, "cache"))
		return set_cache(d, v);
	if (!strcmp(key, "io"))
		return set_io(d, v);
	if (!strcmp(key, "lock")) {
		if (!parse_on_off(v, &on))
			return "say lock=on or lock=off";
		d->no_lock = !on;
		return NULL;
	}
	if (!strcmp(key, "direct"))
		return parse_on_off(v, &d->direct) ? NULL : "say direct=on or direct=off";
	if (!strcmp(key, "queues")) {
		if (!parse_number(v, 1, MAX_QUEUES, &n))
			return "the number of queues is 1 to 16";
		d->queues = (unsigned)n;
		return NULL;
	}
	if (!strcmp(key, "rate"))
		return parse_size(v, 1, RATE_MAX, &d->rate_ops) ? NULL : "give requests a second, as 500";
	if (!strcmp(key, "bandwidth"))
		return parse_size(v, 1, RATE_MAX, &d->rate_bytes) ? NULL : "give bytes a second, as 20M (k, M, G)";
	return "there is no such setting (ro, snapshot, serial=, lock=, direct=, cache=, queues=, io=, rate=, bandwidth=; a comma in a file name is written ,,)";
}

static const char *set_field(struct disk_option *d, char *field)
{
	char *eq = strchr(field, '=');
	const char *why;

	if (!strcmp(field, "ro")) {
		d->read_only = true;
		return NULL;
	}
	if (!strcmp(field, "snapshot")) {
		d->snapshot = true;
		return NULL;
	}
	if (!eq)
		return set_value(d, field, "");
	*eq = '\0';
	why = set_value(d, field, eq + 1);
	*eq = '=';
	return why;
}

static int copy_path(struct parse *p, struct disk_option *d, const char *value, const char *path)
{
	char *to = config_text(p->c, strlen(path) + 1);

	if (!to)
		return complain(EXIT_USAGE, "%s: the names of all disks together are too long", p->opt);
	if (!*path)
		return complain(EXIT_USAGE, "%s=%s: the name of a file is missing", p->opt, value);
	memcpy(to, path, strlen(path) + 1);
	d->path = to;
	return -1;
}

int parse_block(struct parse *p, const char *value)
{
	struct disk_option *d = new_disk(p);
	const char *rest = value;
	char field[PATH_MAX];
	int status, got;

	if (!d)
		return complain(EXIT_USAGE, "%s=%s: a guest has %d disks and NICs at most", p->opt, value, MAX_DEVICES);
	if (next_field(&rest, field, sizeof(field)) < 0)
		return complain(EXIT_USAGE, "%s: the name of the file is too long", p->opt);
	status = copy_path(p, d, value, field);
	if (status >= 0)
		return status;
	while ((got = next_field(&rest, field, sizeof(field))) != 0) {
		const char *why = got < 0 ? "too long" : set_field(d, field);

		if (why)
			return bad(p, value, got < 0 ? "a setting" : *field ? field : "(nothing)", why);
	}
	if (d->read_only && d->snapshot)
		return bad(p, value, "ro and snapshot", "take one of the two");
	if (d->cache == BLK_CACHE_NONE)
		d->direct = true;
	return -1;
}

int parse_vhost_user_blk(struct parse *p, const char *value)
{
	struct disk_option *d = new_disk(p);

	if (!d)
		return complain(EXIT_USAGE, "%s=%s: a guest has %d disks and NICs at most", p->opt, value, MAX_DEVICES);
	d->vhost_user = true;
	return copy_path(p, d, value, value);
}
