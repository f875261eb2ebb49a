/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command line of fsd. The vhost-user specification ("Backend program conventions") defines the options of
 * stand-alone back-ends. Strings point into argv.
 */
#ifndef FSD_OPTIONS_H
#define FSD_OPTIONS_H

#include "common/ctl.h"

struct fsd_options {
	int act; /* enum opt_act: what to print instead of serving; 0: serve */
	bool supervised, verbose;
	bool allow_unsealed;	 /* Accept guest memory whose size is not sealed */
	const char *socket_path; /* Value of --socket-path, or NULL */
	const char *directory;	 /* Value of --shared-dir */
	int fd;			 /* Value of --fd, or -1 */
	unsigned poll_us;	 /* Busy polling, in microseconds; 0: off */
	struct fs_config fs;
};

/*
 * Parse the command line of stand-alone fsd into @o and check it. Returns 0; or -1 with the error message in *@why,
 * which stays valid until the next call. No side effects.
 */
int fsd_options(struct fsd_options *o, int argc, char **argv, const char **why);
/* Print to standard output what @act (enum opt_act) asks for. Returns 0, or -1 with errno set. */
int fsd_print(int act);

#endif
