/* SPDX-License-Identifier: GPL-2.0-or-later */
/* --shmem=: a file of the host's as the memory of a PCI device. */
#ifndef PARENT_OPTIONS_SHMEM_H
#define PARENT_OPTIONS_SHMEM_H

#include "common/options.h"
#include "parent/options/config.h"

extern const struct opt_row shmem_settings[];
/* Parser for the table of options: @to is the struct config. Returns NULL, or why @value is refused. */
const char *parse_shmem(struct opt_parser *p, void *to, const char *value);
/*
 * Check --shmem= against the other options, and choose the engine. Returns -1, or the exit status after printing the
 * reason.
 */
int shmem_check(struct config *c);

#endif
