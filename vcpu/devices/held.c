/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Devices of a guest that stands still: see held.h. Runs in the vCPU process, under the device lock. */
#include <sys/epoll.h>
#include <unistd.h>

#include "vcpu/devices/held.h"

void held_begin_early(struct device *d)
{
	if (d->type == DEVICE_BACKED)
		front_hold_early(&d->front);
}

bool held_begin(struct device *d)
{
	return d->type != DEVICE_BACKED || front_hold(&d->front);
}

void held_leave(struct device *d)
{
	if (d->type == DEVICE_BACKED)
		front_leave(&d->front);
}

void held_renew(struct device *d)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.fd = d->front.sock };

	if (d->type != DEVICE_BACKED)
		return;
	front_renew(&d->front);
	/* If the last process has broken the connection, nobody watches it any more. EEXIST: somebody does. */
	(void)epoll_ctl(VFD_EPOLL, EPOLL_CTL_ADD, ev.data.fd, &ev);
}

/* Read an eventfd, which resets it. False if it was 0. */
static bool drain(int fd)
{
	uint64_t n;

	return read(fd, &n, sizeof(n)) == sizeof(n);
}

void held_signals(struct device *d, bool deliver)
{
	if (d->type != DEVICE_BACKED)
		return;
	for (unsigned q = 0; q < d->front.nqueues; q++)
		if (drain(device_call_fd(d, q)) && deliver)
			vpci_interrupt(&d->v, q);
	if (!drain(d->front.err))
		return;
	d->front.any_page = true;
	if (deliver)
		vpci_needs_reset(&d->v);
}

void held_save(const struct device *d, struct held_device *s)
{
	s->v = d->v;
	s->ctl = d->ctl;
	s->ctl_again = d->ctl_again;
	s->pairs = d->pairs;
	if (d->type == DEVICE_BACKED)
		front_save(&d->front, &s->front);
}

bool held_load(struct device *d, const struct held_device *s)
{
	d->v = s->v;
	d->ctl = s->ctl;
	d->ctl_again = s->ctl_again;
	d->pairs = s->pairs;
	return d->type != DEVICE_BACKED || front_load(&d->front, &s->front);
}

void held_end_early(struct device *d, enum vhu_go what)
{
	if (d->type == DEVICE_BACKED)
		front_go_early(&d->front, what);
}

bool held_end(struct device *d, enum vhu_go what)
{
	return d->type != DEVICE_BACKED || front_go(&d->front, what);
}
