/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Moves frames from the tap to the guest. */
#ifndef NETD_RX_H
#define NETD_RX_H

#include "netd/netd.h"

/* Move at most @budget frames from the tap of @p to the queue @vq. True if the budget was used up. */
bool rx_work(struct backend *be, struct net_pair *p, struct vq *vq, unsigned budget);
/* Drop the frames of @p that netd has read and that wait for buffers of the guest. */
void rx_drop_waiting(struct net_pair *p);
/* Drop all frames that have arrived for @p and that the guest has not got yet. No queue may run. */
void rx_forget(struct backend *be, struct net_pair *p);

#endif
