/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Interfaces between the parts of the back-end loop: backend_loop.c (events),
 * backend_msg.c (messages of the front-end) and backend_ring.c (rings and their
 * eventfds).
 */
#ifndef COMMON_BACKEND_PRIVATE_H
#define COMMON_BACKEND_PRIVATE_H

#include "common/backend.h"

/* Validate the message in be->rx.msg, apply it and send its reply. False if the reply could not be sent. */
bool backend_message(struct backend *be);
/* Count invalid input other than a ring fault and log it, rate-limited. Always returns false. */
bool backend_bad(struct backend *be, const char *what, const char *why);

/* Start ring @q if the front-end has set up everything it needs. False if it is set up but invalid. */
bool ring_try_start(struct backend *be, unsigned q);
/* Stop ring @q; ring.base becomes the index of the next available entry. */
void ring_stop(struct backend *be, unsigned q);
/* For GET_VRING_BASE and resets: stop ring @q until the front-end sets it up again. */
void ring_retire(struct backend *be, unsigned q);
bool any_ring_started(const struct backend *be);

enum ring_fd { RING_KICK, RING_CALL, RING_ERR };
/*
 * Check that the descriptor in @m is an eventfd, and duplicate it to its number in the
 * descriptor table. The original stays in @m, whose owner closes it; only if it already
 * has the right number, it is removed from @m. Returns false if it is refused.
 */
bool ring_set_fd(struct backend *be, unsigned q, enum ring_fd kind, struct vhu_msg *m);
void ring_drop_fd(struct backend *be, unsigned q, enum ring_fd kind);
void ring_on_fault(struct vq *vq, enum guest_fault f, uint64_t detail);

#endif
