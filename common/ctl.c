/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The control channel: whole packets, judged on arrival, in the supervisor and
 * in every role. Nothing here takes a descriptor from a packet, and what passes
 * has its strings ended and printable.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "common/ctl.h"

const char *layer_text(enum layer l)
{
	static const char *const text[LAYER_COUNT] = {
#define X(sym, s) [LAYER_##sym] = (s),
		LAYERS(X)
#undef X
	};

	return (unsigned)l < LAYER_COUNT ? text[l] : "?";
}

/* One packet of exactly @size bytes. 1; 0: none there; -1 with errno: closed, wrong size, or it
 * carried descriptors. */
static int recv_packet(int fd, void *buf, size_t size, int flags)
{
	struct iovec iov = { buf, size };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	do
		n = recvmsg(fd, &mh, flags);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? 0 : -1;
	if (n == 0) {
		errno = EPIPE;
		return -1;
	}
	if ((size_t)n != size || (mh.msg_flags & (MSG_TRUNC | MSG_CTRUNC))) {
		errno = EPROTO;
		return -1;
	}
	return 1;
}

static bool ended(const char *s, size_t size)
{
	return memchr(s, '\0', size) != NULL;
}

static bool vcpu_config_ok(const struct vcpu_config *c)
{
	if (c->ndevices > MAX_DEVICES || c->smp == 0 || c->smp > MAX_VCPUS || c->engine > ENGINE_QEMU ||
	    !ended(c->kernel_name, sizeof(c->kernel_name)) || !ended(c->cmdline, sizeof(c->cmdline)))
		return false;
	for (unsigned i = 0; i < c->ndevices; i++)
		if (c->dev[i].kind > DEV_NET || c->dev[i].queues == 0 || c->dev[i].queues > MAX_QUEUES ||
		    c->dev[i].index >= MAX_DEVICES)
			return false;
	return true;
}

static bool config_ok(const struct role_config *rc, enum role role)
{
	if (rc->type != CTL_CONFIG || rc->role != (uint32_t)role || !ended(rc->name, sizeof(rc->name)) ||
	    rc->log_level > LOG_DEBUG)
		return false;
	switch (role) {
	case ROLE_VCPU:
		return vcpu_config_ok(&rc->vcpu);
	case ROLE_NETD:
		return rc->net.queue_pairs > 0 && rc->net.queue_pairs <= MAX_QUEUES / 2;
	case ROLE_BLKD:
		return rc->blk.queues > 0 && rc->blk.queues <= MAX_QUEUES && rc->blk.capacity % 512 == 0 &&
		       rc->blk.cache <= BLK_CACHE_UNSAFE && rc->blk.io <= BLK_IO_SYNC &&
		       ended(rc->blk.serial, sizeof(rc->blk.serial));
	default:
		return false;
	}
}

int ctl_recv_config(int fd, enum role role, struct role_config *rc)
{
	int got = recv_packet(fd, rc, sizeof(*rc), 0);

	if (got == 0)
		errno = EAGAIN;
	if (got <= 0)
		return -1;
	if (!config_ok(rc, role)) {
		errno = EPROTO;
		return -1;
	}
	return 0;
}

int ctl_send(int fd, const struct ctl_msg *m)
{
	struct iovec iov = { (void *)(uintptr_t)m, sizeof(*m) };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	do
		n = sendmsg(fd, &mh, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -1 : 0;
}

int ctl_send_text(int fd, enum ctl_type type, uint32_t value, const char *text)
{
	struct ctl_msg m = { .type = type, .value = value };

	fmt_line(m.text, sizeof(m.text), "%s", text);
	return ctl_send(fd, &m);
}

static void make_printable(char *s)
{
	for (; *s; s++)
		if (*s < 0x20 || *s > 0x7e)
			*s = '?';
}

/* True if what @m says it is can be so; its text is made fit for a terminal. */
static bool msg_ok(struct ctl_msg *m)
{
	switch (m->type) {
	case CTL_STATS:
		return true;
	case CTL_GET_STATS:
	case CTL_STOP:
	case CTL_POWER_BUTTON:
	case CTL_READY:
	case CTL_RUNNING:
	case CTL_FAULT:
		break;
	case CTL_LOG:
		if (m->value > LOG_DEBUG)
			return false;
		break;
	case CTL_GUEST_END:
		if (m->value < GUEST_POWEROFF || m->value > GUEST_ENGINE_FAILED)
			return false;
		break;
	default:
		return false;
	}
	if (!ended(m->text, sizeof(m->text)))
		return false;
	make_printable(m->text);
	return true;
}

int ctl_recv(int fd, struct ctl_msg *m)
{
	int got = recv_packet(fd, m, sizeof(*m), MSG_DONTWAIT);

	if (got <= 0)
		return got;
	if (!msg_ok(m)) {
		errno = EPROTO;
		return -1;
	}
	return 1;
}
