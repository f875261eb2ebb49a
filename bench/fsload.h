/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The file system load: FUSE requests of one kind, given to a vhost-user-fs back-end. Part of bench/fsload. */
#ifndef BENCH_FSLOAD_H
#define BENCH_FSLOAD_H

#include "bench/measure.h"

#define FS_BLOCK     4096u /* Every block of the file begins with its own number, as blkload --fill writes it */
#define FS_MAX_DEPTH 64u
#define FS_MAX_FILES 100000u
#define FS_NAME_LEN  7u /* Of "f00042", with its NUL */

/* What is measured. LOOKUP_NEW: every name once; LOOKUP and GETATTR: names and files that the back-end knows. */
enum fs_op { FS_READ, FS_LOOKUP_NEW, FS_LOOKUP, FS_GETATTR };

struct fs_load {
	const char *socket, *op_name, *path; /* @path: the file to read, or the directory of f00000, f00001, … */
	enum fs_op op;
	bool sequential, memory; /* @memory: print the back-end's memory after the load, instead of times */
	uint64_t bs, depth, ms, size, files, cpu, seed;
};

/* Returns the memory of @pid and its children in KiB, without memory shared with the guest (Pss minus Pss_Shmem). */
uint64_t fs_memory(pid_t pid);

void fs_front(const struct fs_load *l, struct bench_result *r);
/* For --memory: the back-end's memory, measured by fs_front(). */
extern uint64_t fs_memory_kib;

#endif
