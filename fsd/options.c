/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command line of stand-alone fsd. Runs before any file is opened; has no side effects.
 */
#include <string.h>

#include "common/role.h"
#include "fsd/options.h"

#define INTO(member) OPT_TO(struct fsd_options, member)

static const struct opt_row table[] = {
	ROLE_SOCKET_ROWS(struct fsd_options),
	{ .name = "shared-dir",
	  .kind = OPT_TEXT,
	  .arg = "DIR",
	  INTO(directory),
	  .help = "the directory to share, read-only without --rw",
	  .reason = "the name of a directory is missing" },
	{ .name = "rw",
	  .kind = OPT_FLAG,
	  INTO(fs.read_write),
	  .help = "the guest may write to the directory; what it makes belongs to the directory's owner" },
	{ .name = "max",
	  .kind = OPT_SIZE,
	  .arg = "SIZE",
	  .min = FSD_MIN_MAX,
	  .max = UINT64_C(1) << 50,
	  INTO(fs.max),
	  .help = "with --rw: most that all guests together may add until this program ends (default: 256M)" },
	{ .name = "queues",
	  .kind = OPT_NUMBER,
	  .arg = "N",
	  .min = 1,
	  .max = FS_MAX_REQUEST_QUEUES,
	  INTO(fs.request_queues),
	  .help = "1 to 15 request queues, in addition to the one for urgent requests (default: 1)" },
	{ .name = "inodes",
	  .kind = OPT_NUMBER,
	  .arg = "N",
	  .min = FSD_MIN_INODES,
	  .max = FSD_MAX_INODES,
	  INTO(fs.inodes),
	  .help = "most files and directories that a guest can hold at a time (default: 262144)" },
	{ .name = "cache",
	  .kind = OPT_CHOICE,
	  .arg = FS_CACHE_NAMES,
	  INTO(fs.cache),
	  .help = "how long the guest uses what it knows of a file without asking again: a second (auto, the default), "
		  "not at all (none), or a day (always, for directories that do not change)" },
	ROLE_LOOP_ROWS(struct fsd_options),
	{ .name = "verbose", .letter = 'v', .kind = OPT_FLAG, INTO(verbose), .help = "log more" },
	ROLE_LAST_ROWS,
};
_Static_assert(ARRAY_SIZE(table) <= OPT_ROWS_MAX + 1, "the parser keeps one bit for each option");

/* Check combinations of options. Returns NULL, or what is wrong. */
static const char *check(const struct fsd_options *o)
{
	if (!o->directory)
		return "--shared-dir=DIR is missing";
	if (!o->socket_path == (o->fd < 0))
		return "give one of --socket-path=PATH and --fd=FDNUM";
	if (o->fs.max && !o->fs.read_write)
		return "--max=SIZE is only for a share with --rw";
	return NULL;
}

int fsd_options(struct fsd_options *o, int argc, char **argv, const char **why)
{
	static struct opt_parser p;

	memset(o, 0, sizeof(*o));
	o->fd = -1;
	o->fs.inodes = FSD_DEFAULT_INODES;
	o->fs.request_queues = 1;
	o->poll_us = role_poll_us();
	opt_begin(&p, table, o);
	o->act = opt_all(&p, argc, argv);
	if (!o->fs.max && o->fs.read_write)
		o->fs.max = FSD_DEFAULT_MAX;
	*why = o->act < 0 ? p.line : o->act ? NULL : check(o);
	return *why ? -1 : 0;
}

int fsd_print(int act)
{
	return role_print(act, table, "lguest-sep-fsd",
			  "a confined vhost-user file system back-end that shares a directory",
			  "  \"type\": \"fs\",\n  \"features\": []");
}
