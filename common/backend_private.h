/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Interfaces between the parts of the back-end loop: backend_loop.c (events),
 * backend_msg.c and backend_ring_msg.c (messages of the front-end), backend_ring.c
 * (rings and their eventfds) and backend_log.c (the log of written pages).
 */
#ifndef COMMON_BACKEND_PRIVATE_H
#define COMMON_BACKEND_PRIVATE_H

#include "common/backend.h"

/*
 * Result of a message's handler. REPLY: the handler has turned the message into its reply. END: close the connection,
 * because the front-end relies on a log of written pages that cannot be kept (be->bad_log), and would lose pages.
 */
enum verdict { OK, REPLY, BAD, END };

static inline enum verdict reply_u64(struct vhu_msg *m, uint64_t v)
{
	m->u64 = v;
	m->size = sizeof(m->u64);
	return REPLY;
}

/* Handlers in backend_ring_msg.c. */
enum verdict msg_set_vring_num(struct backend *be, struct vhu_msg *m);
enum verdict msg_set_vring_addr(struct backend *be, struct vhu_msg *m);
enum verdict msg_set_vring_base(struct backend *be, struct vhu_msg *m);
enum verdict msg_get_vring_base(struct backend *be, struct vhu_msg *m);
enum verdict msg_set_vring_enable(struct backend *be, struct vhu_msg *m);
enum verdict msg_set_vring_fd(struct backend *be, struct vhu_msg *m);
enum verdict msg_set_log_fd(struct backend *be, struct vhu_msg *m);
enum verdict msg_hold(struct backend *be, struct vhu_msg *m);
enum verdict msg_saved(struct backend *be, struct vhu_msg *m);
enum verdict msg_go(struct backend *be, struct vhu_msg *m);
/* And in backend_log.c. */
enum verdict msg_set_log_base(struct backend *be, struct vhu_msg *m);

/* Validate the message in be->rx.msg, apply it and send its reply. False if the reply could not be sent. */
bool backend_message(struct backend *be);
/*
 * Tell the supervisor with CTL_FRONT, if the front-end connected by path, what it does now. If the channel is full, the
 * supervisor goes on with the last value, and the next call tries again: the next message of a front-end that was silent.
 */
void backend_tell_front(struct backend *be, enum ctl_front front);
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
/* True if @fd is an eventfd. Makes it non-blocking. */
bool is_eventfd(int fd);

/* Log what queue @q writes as the front-end has asked last. */
void log_apply(struct backend *be, unsigned q);
/* Returns NULL; or, if a log is there that is too short for @mem or for a used ring, text that says so. */
const char *log_judge(const struct backend *be, const struct guest_mem *mem);
/* The front-end has changed what is to be logged: apply it to the rings that run. Returns OK or END. */
enum verdict log_follow(struct backend *be);
/* Log nothing any more, and unmap the log. */
void log_end(struct backend *be);

#endif
