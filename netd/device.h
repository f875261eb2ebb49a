/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The network device for the loop of common/backend.h. */
#ifndef NETD_DEVICE_H
#define NETD_DEVICE_H

#include "netd/netd.h"

/* Functions for the loop; backend_config.device must point to the struct netd. */
extern const struct backend_ops netd_ops;

/*
 * Initialise @n. Copies @c. The taps must be at HFD_TAP0 and above and, if @c has a rate
 * limit, the timer at HFD_TIMER. Returns the features to offer (backend_config.features).
 */
uint64_t netd_init(struct netd *n, const struct net_config *c);

/*
 * Register taps and timer with the loop. Call it after backend_prepare() and before the
 * seccomp filter. Returns 0, or -1 with errno set.
 */
int netd_watch(struct netd *n, struct backend *be);

#endif
