/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The block load: one pattern of requests, given to a vhost-user back-end
 * (blk_front.c) or to a file itself (blk_bare.c). Runs in bench/blkload alone.
 */
#ifndef BENCH_BLKLOAD_H
#define BENCH_BLKLOAD_H

#include "measure.h"

/* Every block of this size begins with its own number: reads are checked, writes keep it so. */
#define LOAD_BLOCK	4096u
#define LOAD_MAX_QUEUES 8
#define LOAD_MAX_SLOTS	512

struct blk_load {
	const char *socket, *file, *api; /* one of @socket and @file; @api: preadv or io_uring */
	const char *fill;
	bool write, sequential, direct, poll, no_event_idx, batch;
	uint64_t bs, depth, queues, ms, size, cpu, seed, count;
};

/* The next request's byte offset. */
struct blk_next {
	uint64_t state, at;
};
uint64_t blk_next(const struct blk_load *l, struct blk_next *n);
/* Mark a buffer that is to be written to @off; is one that was read from there right? */
void blk_mark(const struct blk_load *l, void *buffer, uint64_t off);
bool blk_marked(const void *buffer, uint64_t off);

void blk_front(const struct blk_load *l, struct bench_result *r);
void blk_bare(const struct blk_load *l, struct bench_result *r);

#endif
