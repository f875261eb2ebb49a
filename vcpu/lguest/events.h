/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The second thread, which handles all events except exits of the guest. */
#ifndef VCPU_LGUEST_EVENTS_H
#define VCPU_LGUEST_EVENTS_H

#include "vcpu/lguest/lguest.h"

/* Start the thread. It installs its seccomp filter, posts lg->confined and waits for lg->start. Returns 0 or -1. */
int lguest_events_create(struct lguest *lg);
/* Watch the call eventfds of all helpers, after devices_attach(). Returns 0, or -1 with vm->end set. */
int lguest_events_watch(struct lguest *lg);
/* Send CTL_STATS to the supervisor. */
void lguest_send_stats(struct lguest *lg);

#endif
