/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The block load: one pattern of requests, given to a vhost-user back-end
 * (blk_front.c) or to a file itself (blk_bare.c). Part of bench/blkload.
 */
#ifndef BENCH_BLKLOAD_H
#define BENCH_BLKLOAD_H

#include "bench/measure.h"

/* Every block of this size begins with its own number: reads check it, writes keep it. */
#define LOAD_BLOCK	4096u
#define LOAD_MAX_QUEUES 8
#define LOAD_MAX_SLOTS	512

struct blk_load {
	const char *socket, *file, *api; /* one of @socket and @file; @api: preadv, io_uring or io_uring-guest */
	const char *fill;
	bool write, sequential, direct, poll, no_event_idx, batch;
	uint64_t bs, depth, queues, ms, size, cpu, seed, count;
};

/* Chooses the byte offset of the next request. */
struct blk_next {
	uint64_t state, at;
};
uint64_t blk_next(const struct blk_load *l, struct blk_next *n);
/* blk_mark() writes the block numbers to a buffer for offset @off; the other checks those of one that was read. */
void blk_mark(const struct blk_load *l, void *buffer, uint64_t off);
bool blk_marked(const void *buffer, uint64_t off);

void blk_front(const struct blk_load *l, struct bench_result *r);
void blk_bare(const struct blk_load *l, struct bench_result *r);

#endif
