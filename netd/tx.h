/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Moves frames from the guest to the tap. */
#ifndef NETD_TX_H
#define NETD_TX_H

#include "netd/netd.h"

/* Move at most @budget frames from the queue @vq to the tap of @p. True if the budget was used up. */
bool tx_work(struct backend *be, struct net_pair *p, struct vq *vq, unsigned budget);

/* Queue an unsolicited router advertisement (netd/ra.h) for the guest, if it takes a frame now. Needs n->c.ra. */
void tx_advertise(struct backend *be);

#endif
