/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Parses --share=DIR[,...], one shared directory, and --vhost-user-fs=SOCKET[,...]. Runs in the parent before it opens
 * anything; parent/setup/share.c checks if the directory exists.
 */
#include <string.h>

#include "common/fmt.h"
#include "parent/options/share.h"
#include "parent/options/util.h"

static const char *set_tag(struct opt_parser *p, void *to, const char *value)
{
	struct share_option *s = to;
	size_t good = strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.");

	(void)p;
	if (!*value || value[good] || strlen(value) > FS_TAG_MAX)
		return "a tag has 1 to 36 letters, digits, dashes, dots and underscores";
	memcpy(s->tag, value, strlen(value) + 1);
	return NULL;
}

#define SHARE(member) OPT_TO(struct share_option, member)

const struct opt_row share_settings[] = {
	{ .name = "tag", .kind = OPT_CUSTOM, .arg = "TAG", .parse = set_tag },
	{ .name = "inodes",
	  .kind = OPT_NUMBER,
	  .arg = "N",
	  .min = FSD_MIN_INODES,
	  .max = FSD_MAX_INODES,
	  SHARE(inodes) },
	{ .name = "queues", .kind = OPT_NUMBER, .arg = "N", .min = 1, .max = FS_MAX_REQUEST_QUEUES, SHARE(queues) },
	{ .name = "cache", .kind = OPT_CHOICE, .arg = FS_CACHE_NAMES, SHARE(cache) },
	{ .name = "rw", .kind = OPT_FLAG, SHARE(read_write) },
	{ .name = "max", .kind = OPT_SIZE, .arg = "SIZE", .min = FSD_MIN_MAX, .max = UINT64_C(1) << 50, SHARE(max) },
	{ .name = NULL },
};

const struct opt_row foreign_share_settings[] = {
	{ .name = "tag", .kind = OPT_CUSTOM, .arg = "TAG", .parse = set_tag },
	{ .name = NULL },
};

const struct opt_row out_settings[] = {
	{ .name = "max", .kind = OPT_SIZE, .arg = "SIZE", .min = FSD_MIN_MAX, .max = UINT64_C(1) << 50, SHARE(max) },
	{ .name = NULL },
};

static const char *no_room(struct opt_parser *p)
{
	return opt_why(p, "a guest has %d disks, NICs and shares at most", MAX_DEVICES);
}

/* The share after the last one belongs to the guest from now on. */
static void keep(struct config *c)
{
	c->device[c->ndevices].kind = DEV_FS;
	c->device[c->ndevices++].index = c->nshares++;
}

const char *share_add_out(struct opt_parser *p, struct config *c, const char *value)
{
	struct share_option *s = &c->share[c->nshares];
	const char *path, *why;

	if (c->ndevices == MAX_DEVICES)
		return no_room(p);
	path = config_path(c, &value, &why);
	if (!path)
		return "the name of a directory is missing";
	*s = (struct share_option){ .path = path, .option = "--out=", .read_write = true };
	why = value ? opt_settings(p, out_settings, s, value) : NULL;
	if (why)
		return why;
	fmt_line(s->tag, sizeof(s->tag), "%s", RUN_OUT_TAG);
	c->run.out = path;
	keep(c);
	return NULL;
}

const char *share_add(struct opt_parser *p, struct config *c, const char *path, const char *tag, const char *option)
{
	struct share_option *s = &c->share[c->nshares];

	if (c->ndevices == MAX_DEVICES)
		return no_room(p);
	if (!*path)
		return "the name of a directory is missing";
	*s = (struct share_option){ .path = path, .option = option };
	fmt_line(s->tag, sizeof(s->tag), "%s", tag);
	keep(c);
	return NULL;
}

static const char *check_tag(struct opt_parser *p, const struct config *c, const char *tag)
{
	if (!strncmp(tag, RUN_PREFIX, strlen(RUN_PREFIX)))
		return "tags that begin with " RUN_PREFIX " are reserved for lguest-sep run";
	for (unsigned i = 0; i < c->nshares; i++)
		if (!strcmp(c->share[i].tag, tag))
			return opt_why(p, "another share has the tag %s; give each its own, with tag=", tag);
	return NULL;
}

/* Parse the rest of --share= or --vhost-user-fs=, which is the option @how. */
static const char *add(struct opt_parser *p, struct config *c, const char *value, const char *how,
		       const struct opt_row *settings, const char *nothing)
{
	struct share_option *s;
	unsigned before = 0;
	const char *why;

	if (c->ndevices == MAX_DEVICES)
		return no_room(p);
	for (unsigned i = 0; i < c->nshares; i++)
		before += !strcmp(c->share[i].option, "--share=") || c->share[i].vhost_user;
	s = &c->share[c->nshares];
	s->option = how;
	s->path = config_path(c, &value, &why);
	if (!s->path)
		return nothing;
	fmt_line(s->tag, sizeof(s->tag), "fs%u", before);
	why = value ? opt_settings(p, settings, s, value) : NULL;
	if (why)
		return why;
	if (s->max && !s->read_write)
		return "max= is only for a share with rw";
	why = check_tag(p, c, s->tag);
	if (why)
		return why;
	keep(c);
	return NULL;
}

const char *parse_share(struct opt_parser *p, void *to, const char *value)
{
	return add(p, to, value, "--share=", share_settings, "the name of a directory is missing");
}

const char *parse_vhost_user_fs(struct opt_parser *p, void *to, const char *value)
{
	struct config *c = to;

	if (c->ndevices < MAX_DEVICES)
		c->share[c->nshares].vhost_user = true;
	return add(p, c, value, "--vhost-user-fs=", foreign_share_settings, "the name of a socket is missing");
}
