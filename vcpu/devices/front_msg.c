/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sends a message to a back-end and receives its reply: see front_private.h. Runs in the
 * vCPU process, under the device lock. All fields of a reply are untrusted.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "common/closefds.h"
#include "common/fmt.h"
#include "vcpu/devices/front_private.h"

int front_prepare(void)
{
	return place_fd(epoll_create1(EPOLL_CLOEXEC), VFD_REPLY);
}

bool front_dead(struct front *f, const char *what, const char *why)
{
	if (!f->dead)
		log_line(LOG_WARN, "%s: %s: %s; the device does not work until the guest is restarted", f->name, what,
			 why);
	f->dead = true;
	f->overdue = 0;
	fmt_line(f->error, sizeof(f->error), "%s: %s: %s", f->name, what, why);
	vhu_rx_reset(&f->rx);
	return false;
}

/* The reply to @request did not come in time: mark it as late, or close the connection. Returns false. */
static bool overdue(struct front *f, uint32_t request)
{
	const char *name = vhu_request_name(request);

	if (!f->attached || f->rx.have || f->late == FRONT_LATE_MAX)
		return front_dead(f, name, "the back-end did not reply in time");
	f->late++;
	f->overdue = request;
	log_line(LOG_WARN, "%s: %s: the back-end did not reply in time; the device waits until it does", f->name, name);
	return false;
}

/*
 * The supervisor may stop this process at any time, to pause the guest, and the back-end as well. So the time limit
 * counts only time spent waiting, in slices of this length (ms): a pause costs one slice at most.
 */
#define SLICE_MS 100

/*
 * Wait until the socket is readable, at most for *@left (ms), from which it subtracts the time that it waited. Returns
 * false if it is not readable then.
 */
static bool wait_readable(struct front *f, unsigned *left)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.fd = f->sock };
	bool ready = false;

	if (epoll_ctl(VFD_REPLY, EPOLL_CTL_ADD, f->sock, &ev) < 0)
		return false;
	while (*left) {
		unsigned slice = MIN(*left, SLICE_MS);
		uint64_t from = now_ms();
		int n = epoll_pwait(VFD_REPLY, &ev, 1, (int)slice, NULL);

		*left -= n == 0 ? slice : (unsigned)MIN(now_ms() - from, slice);
		if (n > 0)
			ready = true;
		if (n > 0 || (n < 0 && errno != EINTR))
			break;
	}
	epoll_ctl(VFD_REPLY, EPOLL_CTL_DEL, f->sock, &ev);
	return ready;
}

bool front_is_resume(struct front *f)
{
	const struct vhu_msg *m = &f->rx.msg;

	if (f->foreign || m->request != VHU_RESUME || m->flags != (VHU_VERSION | VHU_REPLY) ||
	    m->size != sizeof(m->u64))
		return false;
	f->generation = m->u64;
	return true;
}

static bool receive(struct front *f, uint32_t request, uint32_t min, uint32_t max)
{
	unsigned left = f->timeout_ms ? f->timeout_ms : FRONT_TIMEOUT_MS;
	const char *name = vhu_request_name(request);
	const struct vhu_msg *m = &f->rx.msg;

	vhu_rx_reset(&f->rx);
	for (;;) {
		switch (vhu_recv(f->sock, &f->rx, false)) {
		case VHU_OK:
			if (front_is_resume(f)) {
				f->restarted = true;
				return false;
			}
			if (m->request != request || !(m->flags & VHU_REPLY) || m->size < min || m->size > max)
				return front_dead(f, name, "the reply does not match the request");
			return true;
		case VHU_AGAIN:
			if (!wait_readable(f, &left))
				return overdue(f, request);
			break;
		case VHU_CLOSED:
			return front_dead(f, name, "the back-end closed the connection");
		default:
			return front_dead(f, name, "the reply is not a valid message");
		}
	}
}

bool front_await_resume(struct front *f, unsigned ms)
{
	unsigned before = f->timeout_ms;

	/* A helper that is not there yet is never late. */
	f->attached = false;
	f->timeout_ms = ms;
	if (receive(f, VHU_RESUME, sizeof(uint64_t), sizeof(uint64_t)))
		front_dead(f, vhu_request_name(VHU_RESUME), "the reply does not match the request");
	f->timeout_ms = before;
	return f->restarted;
}

bool front_transmit(struct front *f, struct vhu_msg *m)
{
	if (f->dead || f->overdue || f->leaving)
		return false;
	m->flags = VHU_VERSION | (m->flags & VHU_NEED_REPLY);
	if (vhu_send(f->sock, m) != VHU_OK)
		return front_dead(f, vhu_request_name(m->request),
				  "the back-end closed the connection or does not read from it");
	return true;
}

bool front_ask_early(struct front *f, struct vhu_msg *m)
{
	m->flags = 0;
	return front_transmit(f, m);
}

bool front_answered(struct front *f, uint32_t request, uint32_t reply_size)
{
	return receive(f, request, reply_size, reply_size);
}

bool front_ask(struct front *f, struct vhu_msg *m, uint32_t reply_size)
{
	return front_ask_early(f, m) && front_answered(f, m->request, reply_size);
}

static bool acknowledges(const struct front *f)
{
	return (f->protocol >> VHU_PF_REPLY_ACK) & 1;
}

bool front_tell_early(struct front *f, struct vhu_msg *m)
{
	m->flags = acknowledges(f) ? VHU_NEED_REPLY : 0;
	return front_transmit(f, m);
}

bool front_told(struct front *f, uint32_t request)
{
	return !acknowledges(f) || (receive(f, request, sizeof(uint64_t), sizeof(uint64_t)) && f->rx.msg.u64 == 0);
}

bool front_tell(struct front *f, struct vhu_msg *m)
{
	return front_tell_early(f, m) && front_told(f, m->request);
}

bool front_ask_hold(struct front *f, bool sent, struct vhu_rings *at)
{
	struct vhu_msg m = { .request = VHU_HOLD };

	if ((!sent && !front_transmit(f, &m)) || !receive(f, VHU_HOLD, sizeof(m.rings), sizeof(m.rings)))
		return false;
	/* The indices have a meaning only for the helper, which gets them back. */
	*at = f->rx.msg.rings;
	if (at->nqueues < f->nqueues || at->nqueues > MAX_QUEUES)
		return front_dead(f, "HOLD", "the reply does not match the request");
	return true;
}
