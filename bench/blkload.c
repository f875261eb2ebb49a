/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * blkload: measures a vhost-user block back-end as its front-end, or the image file
 * directly, without a back-end.
 *
 *   blkload --fill=FILE --size=1G
 *   blkload --socket=PATH [--queues=N] [--poll] …
 *   blkload --file=PATH --api=preadv|io_uring|io_uring-guest [--direct] …
 *   … --bs=4k --depth=32 [--write] [--sequential] [--ms=1000 | --count=N] [--size=BYTES] [--cpu=N]
 *   --batch: start new requests only when all are complete, so that system calls can be counted
 *
 * Prints one line of JSON. Runs on its own; never part of what is installed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/blkload.h"

uint64_t blk_next(const struct blk_load *l, struct blk_next *n)
{
	uint64_t blocks = l->size / l->bs, at;

	if (l->sequential) {
		at = n->at++ % blocks;
	} else {
		n->state ^= n->state << 13;
		n->state ^= n->state >> 7;
		n->state ^= n->state << 17;
		at = n->state % blocks;
	}
	return at * l->bs;
}

void blk_mark(const struct blk_load *l, void *buffer, uint64_t off)
{
	for (uint64_t i = 0; i < l->bs; i += LOAD_BLOCK) {
		uint64_t number = (off + i) / LOAD_BLOCK;

		memcpy((char *)buffer + i, &number, sizeof(number));
	}
}

bool blk_marked(const void *buffer, uint64_t off)
{
	uint64_t number;

	memcpy(&number, buffer, sizeof(number));
	return number == off / LOAD_BLOCK;
}

/* Create a file in which every block is allocated and has known content. */
static void fill(const struct blk_load *l)
{
	static uint8_t buffer[1u << 20];
	struct blk_load whole = { .bs = sizeof(buffer) };
	int fd = open(l->fill, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);

	if (fd < 0)
		bench_die(l->fill);
	for (size_t i = 0; i < sizeof(buffer); i++)
		buffer[i] = (uint8_t)(i * 2654435761u >> 13);
	for (uint64_t at = 0; at < l->size; at += sizeof(buffer)) {
		blk_mark(&whole, buffer, at);
		if (pwrite(fd, buffer, sizeof(buffer), (off_t)at) != (ssize_t)sizeof(buffer))
			bench_die(l->fill);
	}
	if (fsync(fd) != 0 || close(fd) != 0)
		bench_die(l->fill);
}

static void check(const struct blk_load *l)
{
	if (!l->bs || l->bs % LOAD_BLOCK || l->bs > 1u << 20 || l->bs > l->size || !l->depth || !l->queues ||
	    l->queues > LOAD_MAX_QUEUES || l->depth * l->queues > LOAD_MAX_SLOTS || l->depth > 256 ||
	    !l->socket == !l->file) {
		fprintf(stderr,
			"blkload: one of --socket, --file; --bs a multiple of 4k, at most 1M; "
			"--depth times --queues at most %u\n",
			LOAD_MAX_SLOTS);
		exit(2);
	}
}

int main(int argc, char **argv)
{
	static struct bench_latency latency;
	struct bench_result r = { .latency = &latency };
	struct blk_load l = { .bs = 4096, .depth = 1, .queues = 1, .ms = 1000, .size = 64u << 20, .seed = 1 };
	const struct bench_option options[] = {
		{ "socket", &l.socket, NULL, NULL },
		{ "file", &l.file, NULL, NULL },
		{ "api", &l.api, NULL, NULL },
		{ "fill", &l.fill, NULL, NULL },
		{ "write", NULL, NULL, &l.write },
		{ "sequential", NULL, NULL, &l.sequential },
		{ "direct", NULL, NULL, &l.direct },
		{ "poll", NULL, NULL, &l.poll },
		{ "no-event-idx", NULL, NULL, &l.no_event_idx },
		{ "batch", NULL, NULL, &l.batch },
		{ "bs", NULL, &l.bs, NULL },
		{ "depth", NULL, &l.depth, NULL },
		{ "queues", NULL, &l.queues, NULL },
		{ "ms", NULL, &l.ms, NULL },
		{ "size", NULL, &l.size, NULL },
		{ "cpu", NULL, &l.cpu, NULL },
		{ "seed", NULL, &l.seed, NULL },
		{ "count", NULL, &l.count, NULL },
	};

	l.cpu = UINT64_MAX;
	bench_options(argc, argv, options, sizeof(options) / sizeof(options[0]));
	if (l.fill) {
		fill(&l);
		return 0;
	}
	check(&l);
	if (l.cpu != UINT64_MAX)
		bench_pin(l.cpu);
	if (l.socket)
		blk_front(&l, &r);
	else
		blk_bare(&l, &r);
	bench_print(&r);
	if (r.bad)
		fprintf(stderr, "blkload: %llu requests failed or brought wrong data\n", (unsigned long long)r.bad);
	return r.bad != 0;
}
