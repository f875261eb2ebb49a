/* SPDX-License-Identifier: GPL-2.0-or-later */
/* For tests: the device's tables in memory that outlives its process, so that a successor takes them over. */
#ifndef TESTS_FSD_RESTORE_RIG_H
#define TESTS_FSD_RESTORE_RIG_H

#include <signal.h>

#include "tests/unit/fsd_write_rig.h"

static uint8_t *tables;

/* Make that memory, for the processes that begin() starts from now on. */
static inline void make_tables(void)
{
	uint64_t bytes = fs_tables_bytes(INODES, true);

	w.nodes = memfd_create("tables", MFD_CLOEXEC);
	assert_true(w.nodes > 0 && ftruncate(w.nodes, (off_t)bytes) == 0);
	tables = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, w.nodes, 0);
	assert_ptr_not_equal(tables, MAP_FAILED);
}

/* Kill the process; begin() starts its successor. */
static inline void end_process(void)
{
	assert_int_equal(kill(w.f.pid, SIGKILL), 0);
	(void)front_close(&w.f);
	close(w.ctl[0]);
	w.generation++;
}

/* The table's entry of the number @nodeid. */
static inline struct node *entry_of(uint64_t nodeid)
{
	struct node *first = (void *)(tables + FSD_KEPT_BYTES + (FSD_HANDLES + 1ull) * FSD_HANDLE_BYTES);

	return &first[(uint32_t)nodeid];
}

#endif
