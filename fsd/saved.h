/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The files that the guest knows and has open, in the files of --save and --from. Each share has a part of the file: blocks
 * (struct saved_block) of entries (struct saved_entry), each followed by its name and zeros up to a multiple of 8 bytes.
 * The first entry is SAVED_BEGIN, the last SAVED_END; a directory comes before what is in it, and handles come in ascending
 * order behind their files. Files are named by the directory and the name under which the guest found them last, and nothing
 * is said of their inodes, so that the share can be a copy.
 *
 * This code works in fsd, confined, while all rings stand still. It does not trust the file: each entry is judged
 * before use, and each file is opened as for a LOOKUP. If the name leads nowhere, or to a file of another type, the guest gets
 * ESTALE, as after a restart. Nothing here allocates; each call does a limited amount of work.
 */
#ifndef FSD_SAVED_H
#define FSD_SAVED_H

#include "common/vhost_user.h"
#include "fsd/fsd.h"

enum saved_kind { SAVED_BEGIN = 1, SAVED_NODE, SAVED_HANDLE, SAVED_END };

struct saved_entry {
	/* Node: references of the guest's kernel; SAVED_END: number of the entries before */
	uint64_t lookups;
	uint32_t
		index; /* Node, handle: in its table, the lower half of its number; SAVED_BEGIN: 1 if INIT was received */
	/* Upper half of the number; SAVED_BEGIN: that of entries which were not in use */
	uint32_t count;
	uint32_t parent; /* Node: index of its directory; handle: of its node */
	uint16_t type;	 /* Node: S_IFMT bits of its mode */
	uint8_t kind;	 /* enum saved_kind */
	uint8_t name_len;
};
_Static_assert(sizeof(struct saved_entry) == 24, "no holes: the file has the same layout everywhere");

/* Most bytes of entries in a block. */
#define SAVED_BLOCK_MAX 16384
struct saved_block {
	uint32_t bytes; /* Of its entries, not 0 */
	uint32_t crc;	/* CRC-32 (zlib's) of these; it finds accidents */
};

/* With cfg.saved, map what the functions below need. Returns 0, or -1 with errno set. */
int fsd_saved_map(struct fsd *d);
/*
 * Write the next block to the file @fd at m->at, or read and execute it, and set *@m for the reply. The first call of
 * fsd_load() makes the tables empty; if one fails, they are empty afterwards.
 */
void fsd_save(struct fsd *d, int fd, struct vhu_saved *m);
void fsd_load(struct fsd *d, int fd, struct vhu_saved *m);
/* The guest goes on: if it does so in the middle of fsd_load(), the tables are empty. */
void fsd_load_over(struct fsd *d);

#endif
