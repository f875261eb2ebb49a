/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * blkd's own command line, as the vhost-user specification lays it down for
 * back-end programs ("Backend program conventions"). Strings point into argv.
 */
#ifndef BLKD_OPTIONS_H
#define BLKD_OPTIONS_H

#include "common/ctl.h"

struct blkd_options {
	bool supervised, print_capabilities, help, version, verbose;
	bool allow_unsealed; /* guest memory without seals is taken */
	const char *socket_path;
	const char *image;
	int fd; /* -1: none */
	unsigned poll_us;
	struct blk_config blk; /* read_only, snapshot, direct, cache, queues, io, serial, rates */
};

extern const char blkd_help_text[];
extern const char blkd_capabilities[];

/* Parse and check. 0, or -1 with one line in @err. */
int blkd_options(struct blkd_options *o, int argc, char **argv, char *err, size_t err_size);

#endif
