/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Creates or opens taps in the privileged window. */
#ifndef PARENT_SETUP_NET_H
#define PARENT_SETUP_NET_H

#include "parent/setup/setup.h"

/* Create or open the tap of @o. Returns 0, or -1 after logging the reason. Call net_close() in both cases. */
int net_open(const struct net_option *o, struct net_host *n, bool change_user);
void net_close(struct net_host *n);

#endif
