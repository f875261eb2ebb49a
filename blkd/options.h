/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command line of blkd. The vhost-user specification ("Backend program conventions")
 * defines the options of stand-alone back-ends. Strings point into argv.
 */
#ifndef BLKD_OPTIONS_H
#define BLKD_OPTIONS_H

#include "common/ctl.h"

struct blkd_options {
	int act; /* enum opt_act: what to print instead of serving; 0: serve */
	bool supervised, verbose;
	bool allow_unsealed;	 /* Accept guest memory whose size is not sealed */
	const char *socket_path; /* Value of --socket-path, or NULL */
	const char *image;	 /* Value of --blk-file */
	bool format_raw;	 /* Accept the image as raw, whatever its first bytes are */
	bool no_lock;		 /* Do not lock the image */
	int fd;			 /* Value of --fd, or -1 */
	unsigned poll_us;	 /* Busy polling, in microseconds; 0: off */
	struct blk_config blk;	 /* read_only, snapshot, direct, cache, queues, io, serial, rates */
};

/*
 * Parse the command line of stand-alone blkd into @o and check it. Returns 0; or -1 with the
 * error message in *@why, which stays valid until the next call. No side effects.
 */
int blkd_options(struct blkd_options *o, int argc, char **argv, const char **why);
/* Print to standard output what @act (enum opt_act) asks for. Returns 0, or -1 with errno set. */
int blkd_print(int act);

#endif
