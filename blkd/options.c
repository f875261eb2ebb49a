/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command line of stand-alone blkd. Runs before any file is opened; has no side
 * effects.
 */
#include <string.h>

#include "blkd/options.h"
#include "common/bucket.h"
#include "common/role.h"
#include "common/words.h"

static const char *parse_serial(struct opt_parser *p, void *to, const char *value)
{
	struct blkd_options *o = to;
	size_t len = strlen(value);

	(void)p;
	if (!len || len >= sizeof(o->blk.serial))
		return "a serial number has 1 to 20 bytes";
	memcpy(o->blk.serial, value, len + 1);
	return NULL;
}

static const char *parse_format(struct opt_parser *p, void *to, const char *value)
{
	struct blkd_options *o = to;

	(void)p;
	if (strcmp(value, "raw") != 0)
		return "only raw is supported; convert other formats (qemu-img convert -O raw)";
	o->format_raw = true;
	return NULL;
}

#define INTO(member) OPT_TO(struct blkd_options, member)

static const struct opt_row table[] = {
	ROLE_SOCKET_ROWS(struct blkd_options),
	{ .name = "blk-file",
	  .kind = OPT_TEXT,
	  .arg = "PATH",
	  INTO(image),
	  .help = "the disk image: a file or a block device",
	  .reason = "the path of the image is missing" },
	{ .name = "format",
	  .kind = OPT_CUSTOM,
	  .arg = "raw",
	  .help = "accept the image even if it begins like a compressed file or an image in another format",
	  .parse = parse_format },
	{ .name = "lock",
	  .kind = OPT_ON_OFF,
	  .arg = "on|off",
	  INTO(no_lock),
	  .inverted = true,
	  .help = "off: do not lock the image; for a live migration, in which two front-ends have it open in turn" },
	{ .name = "read-only", .kind = OPT_FLAG, INTO(blk.read_only), .help = "refuse writes" },
	{ .name = "snapshot",
	  .kind = OPT_FLAG,
	  INTO(blk.snapshot),
	  .help = "keep writes in an unlinked file ($TMPDIR, /var/tmp) and drop them when the front-end disconnects" },
	{ .name = "serial",
	  .kind = OPT_CUSTOM,
	  .arg = "TEXT",
	  .help = "serial number that the guest sees, at most 20 bytes",
	  .parse = parse_serial },
	{ .name = "direct", .kind = OPT_FLAG, INTO(blk.direct), .help = "bypass the page cache (O_DIRECT)" },
	{ .name = "cache",
	  .kind = OPT_CHOICE,
	  .arg = BLK_CACHE_NAMES,
	  INTO(blk.cache),
	  .help = "writeback (default), none (the same as --direct), unsafe (ignore flushes; data may be lost)" },
	{ .name = "queues",
	  .kind = OPT_NUMBER,
	  .arg = "N",
	  .min = 1,
	  .max = MAX_QUEUES,
	  INTO(blk.queues),
	  .help = "1 to 16 request queues (default: 1)" },
	{ .name = "io",
	  .kind = OPT_CHOICE,
	  .arg = BLK_IO_NAMES,
	  INTO(blk.io),
	  .help = "auto (default): io_uring if the host has it; uring: only io_uring; sync: preadv2 and pwritev2" },
	{ .name = "rate",
	  .kind = OPT_SIZE,
	  .arg = "REQUESTS/s",
	  .min = 1,
	  .max = RATE_MAX,
	  INTO(blk.rate_ops),
	  .help = "most requests a second (default: no limit); k, M and G are powers of 1024" },
	{ .name = "bandwidth",
	  .kind = OPT_SIZE,
	  .arg = "BYTES/s",
	  .min = 1,
	  .max = RATE_MAX,
	  INTO(blk.rate_bytes),
	  .help = "most bytes a second, as 20M (default: no limit)" },
	ROLE_LOOP_ROWS(struct blkd_options),
	{ .name = "verbose", .letter = 'v', .kind = OPT_FLAG, INTO(verbose), .help = "log more" },
	ROLE_LAST_ROWS,
};
_Static_assert(ARRAY_SIZE(table) <= OPT_ROWS_MAX + 1, "the parser keeps one bit for each option");

/* Check combinations of options. Returns NULL, or what is wrong. */
static const char *check(const struct blkd_options *o)
{
	if (!o->image)
		return "--blk-file=PATH is missing";
	if (!o->socket_path == (o->fd < 0))
		return "give one of --socket-path=PATH and --fd=FDNUM";
	return NULL;
}

int blkd_options(struct blkd_options *o, int argc, char **argv, const char **why)
{
	static struct opt_parser p;

	memset(o, 0, sizeof(*o));
	o->fd = -1;
	o->blk.queues = 1;
	o->poll_us = role_poll_us();
	opt_begin(&p, table, o);
	o->act = opt_all(&p, argc, argv);
	if (o->blk.cache == BLK_CACHE_NONE)
		o->blk.direct = true;
	*why = o->act < 0 ? p.line : o->act ? NULL : check(o);
	return *why ? -1 : 0;
}

int blkd_print(int act)
{
	return role_print(act, table, "lguest-sep-blkd",
			  "a confined vhost-user block back-end on a file or block device",
			  "  \"type\": \"block\",\n  \"features\": [\n    \"read-only\",\n    \"blk-file\"\n  ]");
}
