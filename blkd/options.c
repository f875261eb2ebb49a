/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Parsing of the stand-alone command line. Runs in blkd before anything is
 * opened; has no side effects.
 */
#include "blkd/options.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/words.h"

const char blkd_help_text[] =
	"lguest-sep-blkd: a confined vhost-user block back-end on a file or block device\n"
	"\n"
	"  --socket-path=PATH   listen there; one front-end after another until SIGTERM\n"
	"  --fd=FDNUM           or: a connected or a listening socket that was inherited\n"
	"  --print-capabilities what this program can do, as JSON\n"
	"  --blk-file=PATH      the disk image\n"
	"  --read-only          refuse writes\n"
	"  --snapshot           keep writes in an unlinked file ($TMPDIR, /var/tmp) and drop them\n"
	"                       when the front-end goes\n"
	"  --serial=TEXT        what GET_ID gives, at most 20 bytes\n"
	"  --direct             bypass the page cache (O_DIRECT)\n"
	"  --cache=MODE         writeback (default), none (the same as --direct), unsafe (flush is ignored)\n"
	"  --queues=N           1 to 16 request queues (default 1)\n"
	"  --io=auto|uring|sync io_uring where it is there, only it, or preadv2 and pwritev2\n"
	"  --rate=OPS           requests a second (default: no limit)\n"
	"  --bandwidth=BYTES    bytes a second (default: no limit)\n"
	"  --poll-us=N          look at the rings for so long before sleeping, while requests keep\n"
	"                       coming (default 50; 0 with one processor)\n"
	"  --allow-unsealed-memory\n"
	"                       take guest memory that the front-end could truncate, which would end\n"
	"                       the connection's process (libblkio and DPDK give such memory)\n"
	"  --verbose, --help, --version\n";

const char blkd_capabilities[] = "{\n"
				 "  \"type\": \"block\",\n"
				 "  \"features\": [\n"
				 "    \"read-only\",\n"
				 "    \"blk-file\"\n"
				 "  ]\n"
				 "}\n";

enum option {
	O_SUPERVISED,
	O_SOCKET_PATH,
	O_FD,
	O_CAPABILITIES,
	O_BLK_FILE,
	O_READ_ONLY,
	O_SNAPSHOT,
	O_SERIAL,
	O_DIRECT_IO,
	O_CACHE,
	O_QUEUES,
	O_IO,
	O_RATE,
	O_BANDWIDTH,
	O_POLL,
	O_UNSEALED,
	O_VERBOSE,
	O_HELP,
	O_VERSION,
};

static const struct {
	const char *name;
	bool has_value;
} table[] = {
	[O_SUPERVISED] = { "supervised", false },
	[O_SOCKET_PATH] = { "socket-path", true },
	[O_FD] = { "fd", true },
	[O_CAPABILITIES] = { "print-capabilities", false },
	[O_BLK_FILE] = { "blk-file", true },
	[O_READ_ONLY] = { "read-only", false },
	[O_SNAPSHOT] = { "snapshot", false },
	[O_SERIAL] = { "serial", true },
	[O_DIRECT_IO] = { "direct", false },
	[O_CACHE] = { "cache", true },
	[O_QUEUES] = { "queues", true },
	[O_IO] = { "io", true },
	[O_RATE] = { "rate", true },
	[O_BANDWIDTH] = { "bandwidth", true },
	[O_POLL] = { "poll-us", true },
	[O_UNSEALED] = { "allow-unsealed-memory", false },
	[O_VERBOSE] = { "verbose", false },
	[O_HELP] = { "help", false },
	[O_VERSION] = { "version", false },
};

static bool one_of(const char *s, const char *const names[], unsigned n, uint8_t *out)
{
	for (unsigned i = 0; i < n; i++)
		if (strcmp(s, names[i]) == 0) {
			*out = (uint8_t)i;
			return true;
		}
	return false;
}

static bool set_flag(struct blkd_options *o, enum option opt)
{
	switch (opt) {
	case O_SUPERVISED:
		o->supervised = true;
		break;
	case O_CAPABILITIES:
		o->print_capabilities = true;
		break;
	case O_READ_ONLY:
		o->blk.read_only = true;
		break;
	case O_SNAPSHOT:
		o->blk.snapshot = true;
		break;
	case O_DIRECT_IO:
		o->blk.direct = true;
		break;
	case O_UNSEALED:
		o->allow_unsealed = true;
		break;
	case O_VERBOSE:
		o->verbose = true;
		break;
	case O_HELP:
		o->help = true;
		break;
	case O_VERSION:
		o->version = true;
		break;
	default:
		return false;
	}
	return true;
}

static bool set_value(struct blkd_options *o, enum option opt, const char *v)
{
	static const char *const caches[] = { "writeback", "none", "unsafe" };
	static const char *const ios[] = { "auto", "uring", "sync" };
	uint64_t n = 0;
	bool ok = true;

	switch (opt) {
	case O_SOCKET_PATH:
		o->socket_path = v;
		return *v;
	case O_BLK_FILE:
		o->image = v;
		return *v;
	case O_FD:
		ok = parse_number(v, 0, INT32_MAX, &n);
		o->fd = (int)n;
		return ok;
	case O_SERIAL:
		if (strlen(v) >= sizeof(o->blk.serial))
			return false;
		memcpy(o->blk.serial, v, strlen(v) + 1);
		return true;
	case O_CACHE:
		return one_of(v, caches, ARRAY_SIZE(caches), &o->blk.cache);
	case O_IO:
		return one_of(v, ios, ARRAY_SIZE(ios), &o->blk.io);
	case O_QUEUES:
		ok = parse_number(v, 1, MAX_QUEUES, &n);
		o->blk.queues = (uint8_t)n;
		return ok;
	case O_RATE:
		return parse_number(v, 1, INT64_MAX, &o->blk.rate_ops);
	case O_BANDWIDTH:
		return parse_number(v, 1, INT64_MAX, &o->blk.rate_bytes);
	case O_POLL:
		ok = parse_number(v, 0, 1000000, &n);
		o->poll_us = (unsigned)n;
		return ok;
	default:
		return false;
	}
}

/* The option that @arg names, and its value after "=" or NULL. -1: none. */
static int lookup(const char *arg, const char **value)
{
	size_t n = strcspn(arg, "=");

	if (arg[0] != '-' || arg[1] != '-')
		return -1;
	*value = arg[n] ? arg + n + 1 : NULL;
	for (unsigned i = 0; i < ARRAY_SIZE(table); i++)
		if (strlen(table[i].name) == n - 2 && strncmp(arg + 2, table[i].name, n - 2) == 0)
			return (int)i;
	return -1;
}

static int complain(char *err, size_t size, const char *text)
{
	fmt_line(err, size, "%s", text);
	return -1;
}

static int check(const struct blkd_options *o, char *err, size_t size)
{
	if (o->supervised || o->help || o->version || o->print_capabilities)
		return 0;
	if (!o->image)
		return complain(err, size, "--blk-file=PATH is missing");
	if (!o->socket_path == (o->fd < 0))
		return complain(err, size, "give one of --socket-path=PATH and --fd=FDNUM");
	return 0;
}

int blkd_options(struct blkd_options *o, int argc, char **argv, char *err, size_t err_size)
{
	memset(o, 0, sizeof(*o));
	o->fd = -1;
	o->blk.queues = 1;
	/* Measured: doubles depth 1 where the front-end has a processor of its own. */
	o->poll_us = sysconf(_SC_NPROCESSORS_ONLN) > 1 ? 50 : 0;
	for (int i = 1; i < argc; i++) {
		const char *arg = argv[i], *v;
		int opt = lookup(arg, &v);

		if (opt < 0) {
			fmt_line(err, err_size, "unknown option: %s", arg);
			return -1;
		}
		if (table[opt].has_value && !v && i + 1 < argc)
			v = argv[++i];
		if (table[opt].has_value != (v != NULL) ||
		    !(v ? set_value(o, (enum option)opt, v) : set_flag(o, (enum option)opt))) {
			fmt_line(err, err_size, "bad value of --%s: %s", table[opt].name, v ? v : "(none)");
			return -1;
		}
	}
	if (o->blk.cache == BLK_CACHE_NONE)
		o->blk.direct = true;
	return check(o, err, err_size);
}
