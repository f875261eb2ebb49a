/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stand-alone blkd: the image and the socket are opened here, and a listening
 * socket is served by one confined process per connection, one after the other.
 */
#ifndef BLKD_SERVE_H
#define BLKD_SERVE_H

#include "blkd/options.h"

/*
 * Open image, delta and socket and put them at their numbers (common/fdtab.h);
 * everything else but HFD_DIAG is closed. *@listening: HFD_LISTEN is the
 * socket, else HFD_FRONT. Dies with a line if the host refuses.
 */
void serve_open(struct blkd_options *o, bool *listening);

/*
 * Wait for front-ends and run each connection in a child: returns 0 in that child,
 * with HFD_FRONT connected. In the process that listens it does not return: it
 * ends at SIGTERM, SIGINT or SIGHUP, and takes the child and the socket's name with it.
 */
int serve_connections(const struct blkd_options *o);

#endif
