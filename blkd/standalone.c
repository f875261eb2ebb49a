/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stand-alone blkd: opens the image and, with --snapshot, a new delta file for each
 * connection; common/standalone.h serves the front-ends. Runs before confinement; never
 * reads data from a front-end.
 */
#include <string.h>
#include <unistd.h>

#include "blkd/image.h"
#include "blkd/standalone.h"
#include "common/log.h"
#include "common/standalone.h"

/*
 * Create the delta for one connection. Each connection has its own file: if a guest
 * compromises its blkd process and that process keeps the descriptor, it still cannot
 * change what the next guest reads.
 */
static void open_delta(void *device)
{
	const struct role_config *role = device;
	int delta = image_delta(role->blk.capacity);

	if (delta < 0)
		die("--snapshot: cannot create a file in $TMPDIR or /var/tmp: %m");
	standalone_place(delta, HFD_DELTA);
}

/* True if a delta can be created; sets c->discard to whether it supports holes. */
static bool try_delta(struct blk_config *c)
{
	int delta = image_delta(c->capacity);

	if (delta < 0)
		return false;
	c->discard = image_can_punch(delta, c->capacity);
	close(delta);
	return true;
}

int blkd_standalone(const struct blkd_options *o, struct role_config *role, void (*make)(void *device),
		    int (*serve)(void *device))
{
	struct image_open io = {
		.path = o->image,
		.read_only = o->blk.read_only,
		.snapshot = o->blk.snapshot,
		.direct = o->blk.direct,
		.format_raw = o->format_raw,
		.no_lock = o->no_lock,
	};
	struct standalone s = {
		.socket_path = o->socket_path,
		.fd = o->fd,
		.first = HFD_DISK,
		.last = HFD_DISK,
		.device = role,
		.make = make,
		.serve = serve,
	};
	char why[LOG_LINE_MAX];
	int image;

	/* Move an inherited descriptor away before others are opened at the table's numbers. */
	if (o->fd >= 0)
		s.fd = standalone_move_out(o->fd, "fd");
	role->blk = o->blk;
	role->poll_us = o->poll_us;
	role->mem_unsealed = o->allow_unsealed;
	memcpy(role->name, "blk", sizeof("blk"));
	image = image_open(&io, &role->blk, why, sizeof(why));
	if (image < 0)
		die("%s", why);
	standalone_place(image, HFD_DISK);
	if (o->blk.snapshot && !o->blk.read_only) {
		if (!try_delta(&role->blk))
			die("--snapshot: cannot create a file in $TMPDIR or /var/tmp: %m");
		s.open = open_delta;
	}
	s.file_bytes = role->blk.is_block_device ? UINT64_MAX : role->blk.capacity;
	return standalone_serve(&s);
}
