/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command line of stand-alone netd. Strings point into argv.
 */
#ifndef NETD_OPTIONS_H
#define NETD_OPTIONS_H

#include "netd/netd.h"

struct netd_options {
	int act;		 /* enum opt_act: what to print instead of serving; 0: serve */
	const char *socket_path; /* Value of --socket-path, or NULL */
	int fd;			 /* Value of --fd, or -1 */
	const char *tap_name;	 /* Value of --tap, or NULL */
	int tap_fd;		 /* Value of --tap-fd, or -1 */
	bool have_mac, spoof_check_asked;
	uint32_t poll_us;
	struct net_config net;
	bool allow_unsealed; /* Accept guest memory whose size is not sealed */
};

/*
 * Parse the command line into @o and check it. Returns 0; or -1 with the error message in
 * *@why, which stays valid until the next call. No side effects.
 */
int netd_parse(int argc, char **argv, struct netd_options *o, const char **why);
/* Print to standard output what @act (enum opt_act) asks for. Returns 0, or -1 with errno set. */
int netd_print(int act);

#endif
