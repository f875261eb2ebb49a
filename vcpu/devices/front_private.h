/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Interface between front.c (state of a connection), front_held.c (checkpoints) and front_msg.c (single messages). */
#ifndef VCPU_FRONT_PRIVATE_H
#define VCPU_FRONT_PRIVATE_H

#include "vcpu/devices/front.h"

/* Close the connection for good, because @what failed with the reason @why, and log it. Returns false. */
bool front_dead(struct front *f, const char *what, const char *why);
/* True if the message in f->rx is VHU_RESUME of a restarted helper. */
bool front_is_resume(struct front *f);
/* Send @m. False if the connection is closed or a reply is late. A full socket closes the connection. */
bool front_transmit(struct front *f, struct vhu_msg *m);
/*
 * Send a request and wait for its reply of @reply_size payload bytes, stored in f->rx.msg.
 * False if the connection is closed or the reply is late.
 */
bool front_ask(struct front *f, struct vhu_msg *m, uint32_t reply_size);
/*
 * The two halves of that: send, and wait for the reply to @request. Several requests may be sent first, if none of
 * their replies may be late; their replies come in the same order.
 */
bool front_ask_early(struct front *f, struct vhu_msg *m);
bool front_answered(struct front *f, uint32_t request, uint32_t reply_size);
/*
 * Send a request that has no reply. With VHU_PF_REPLY_ACK, wait for the acknowledgement.
 * False if it was refused, the connection is closed or the acknowledgement is late.
 */
bool front_tell(struct front *f, struct vhu_msg *m);
/* The two halves of that: send, and wait for the acknowledgement of @request. As above. */
bool front_tell_early(struct front *f, struct vhu_msg *m);
bool front_told(struct front *f, uint32_t request);

/* Ask a helper to hold its rings, unless @sent: it was asked. True if it does; *@at is where they stand. */
bool front_ask_hold(struct front *f, bool sent, struct vhu_rings *at);

/* Wait for VHU_RESUME of a helper that is being started, for at most @ms. Returns false if something else comes. */
bool front_await_resume(struct front *f, unsigned ms);

/* For front_held.c, single requests of front.c: true if the back-end has accepted them. */
bool front_set_state(struct front *f, uint32_t request, unsigned q, uint32_t num);
bool front_send_features(struct front *f);
bool front_send_ring(struct front *f, unsigned q);
bool front_stop_ring(struct front *f, unsigned q);
bool front_send_unsent(struct front *f);
/*
 * Finish a request. @done: the back-end has accepted it. If the helper was restarted
 * meanwhile, send it all state, which includes this request. True if it is done or recorded.
 */
bool front_settle(struct front *f, bool done);

/* How often a helper may be restarted while its state is being sent, until we give up. */
#define FRONT_RESTARTS_MAX 5

#endif
