/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Between the parts of the back-end loop: backend.c (the loop), backend_msg.c
 * (what the front-end says) and backend_ring.c (rings and their descriptors).
 */
#ifndef COMMON_BACKEND_PRIVATE_H
#define COMMON_BACKEND_PRIVATE_H

#include "backend.h"

/* One whole message in be->rx.msg: judge, obey, answer. False if the answer could not be sent. */
bool backend_message(struct backend *be);
/* Bad input that is not a ring's: counted, one rate-limited line. Returns false. */
bool backend_bad(struct backend *be, const char *what, const char *why);

/* Start the ring if everything for it is there. False if it should start and cannot. */
bool ring_try_start(struct backend *be, unsigned q);
/* Stop it where it is; ring.base is then the next entry to take. */
void ring_stop(struct backend *be, unsigned q);
/* GET_VRING_BASE and resets: stopped until the front-end sets it up again. */
void ring_retire(struct backend *be, unsigned q);
bool any_ring_started(const struct backend *be);

enum ring_fd { RING_KICK, RING_CALL, RING_ERR };
/*
 * Judge the descriptor of @m (an eventfd) and put it at its number. It stays in
 * @m, to be closed with it, unless that is where it came in.
 */
bool ring_set_fd(struct backend *be, unsigned q, enum ring_fd kind, struct vhu_msg *m);
void ring_drop_fd(struct backend *be, unsigned q, enum ring_fd kind);
void ring_on_fault(struct vq *vq, enum guest_fault f, uint64_t detail);

#endif
