/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Stand-alone netd. */
#ifndef NETD_STANDALONE_H
#define NETD_STANDALONE_H

struct netd_options; /* netd/options.h */

/*
 * Open the tap and serve front-ends as the options say. Changes o->tap_fd to the number that
 * the descriptor is moved to. Returns the exit status; on an error of the host it logs the
 * reason and exits with status 1.
 */
int netd_standalone(struct netd_options *o);

#endif
