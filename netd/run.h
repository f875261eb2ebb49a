/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Confines netd and serves one front-end. */
#ifndef NETD_RUN_H
#define NETD_RUN_H

#include "common/ctl.h"

/*
 * Create the io_uring (netd/batch.h) for the NIC of @device, a struct role_config, unless each
 * of its frames has to be sent by itself. If the host has none, netd works without it. Before
 * the resource limits of a role are set.
 */
void netd_make(void *device);

/*
 * Confine this process, then serve one front-end until it disconnects: the one connected at
 * HFD_FRONT or, if that is closed, the first to connect at HFD_LISTEN. @supervised: send
 * CTL_READY to the supervisor. Returns the exit status; on an error of the host before
 * serving, it logs the reason and exits with status 1.
 */
int netd_run(const struct role_config *rc, bool supervised);

#endif
