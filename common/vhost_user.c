/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sending and receiving vhost-user messages. Runs in netd and blkd (back-ends) and in the
 * vCPU process (front-end). It never blocks on a non-blocking socket. Every descriptor
 * that it receives is either in the caller's struct vhu_msg or closed.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/vhost_user.h"

#define U64	   sizeof(uint64_t)
#define STATE	   sizeof(struct vhu_vring_state)
#define ANY_FD	   0xff /* The number of descriptors depends on the message: see fds_ok() */
#define CONFIG_HDR offsetof(struct vhu_config, data)

/* For each request: its name, least and most payload bytes, and number of descriptors. */
static const struct shape {
	const char *name;
	uint16_t min, max;
	uint8_t fds;
} shapes[VHU_REQUEST_MAX] = {
	[VHU_GET_FEATURES] = { "GET_FEATURES", 0, 0, 0 },
	[VHU_SET_FEATURES] = { "SET_FEATURES", U64, U64, 0 },
	[VHU_SET_OWNER] = { "SET_OWNER", 0, 0, 0 },
	[VHU_RESET_OWNER] = { "RESET_OWNER", 0, 0, 0 },
	[VHU_SET_MEM_TABLE] = { "SET_MEM_TABLE", 8, sizeof(struct vhu_mem_table), ANY_FD },
	[VHU_SET_LOG_BASE] = { "SET_LOG_BASE", sizeof(struct vhu_log), sizeof(struct vhu_log), 1 },
	[VHU_SET_LOG_FD] = { "SET_LOG_FD", 0, 0, 1 },
	[VHU_SET_VRING_NUM] = { "SET_VRING_NUM", STATE, STATE, 0 },
	[VHU_SET_VRING_ADDR] = { "SET_VRING_ADDR", sizeof(struct vhu_vring_addr), sizeof(struct vhu_vring_addr), 0 },
	[VHU_SET_VRING_BASE] = { "SET_VRING_BASE", STATE, STATE, 0 },
	[VHU_GET_VRING_BASE] = { "GET_VRING_BASE", STATE, STATE, 0 },
	[VHU_SET_VRING_KICK] = { "SET_VRING_KICK", U64, U64, ANY_FD },
	[VHU_SET_VRING_CALL] = { "SET_VRING_CALL", U64, U64, ANY_FD },
	[VHU_SET_VRING_ERR] = { "SET_VRING_ERR", U64, U64, ANY_FD },
	[VHU_GET_PROTOCOL_FEATURES] = { "GET_PROTOCOL_FEATURES", 0, 0, 0 },
	[VHU_SET_PROTOCOL_FEATURES] = { "SET_PROTOCOL_FEATURES", U64, U64, 0 },
	[VHU_GET_QUEUE_NUM] = { "GET_QUEUE_NUM", 0, 0, 0 },
	[VHU_SET_VRING_ENABLE] = { "SET_VRING_ENABLE", STATE, STATE, 0 },
	[VHU_SEND_RARP] = { "SEND_RARP", U64, U64, 0 },
	[VHU_NET_SET_MTU] = { "NET_SET_MTU", U64, U64, 0 },
	[VHU_SET_BACKEND_REQ_FD] = { "SET_BACKEND_REQ_FD", 0, 0, 1 },
	[VHU_IOTLB_MSG] = { "IOTLB_MSG", 0, 64, 0 },
	[VHU_SET_VRING_ENDIAN] = { "SET_VRING_ENDIAN", STATE, STATE, 0 },
	[VHU_GET_CONFIG] = { "GET_CONFIG", CONFIG_HDR, sizeof(struct vhu_config), 0 },
	[VHU_SET_CONFIG] = { "SET_CONFIG", CONFIG_HDR + 1, sizeof(struct vhu_config), 0 },
	[VHU_GET_INFLIGHT_FD] = { "GET_INFLIGHT_FD", VHU_INFLIGHT_SIZE, sizeof(struct vhu_inflight), 0 },
	[VHU_SET_INFLIGHT_FD] = { "SET_INFLIGHT_FD", VHU_INFLIGHT_SIZE, sizeof(struct vhu_inflight), 1 },
	[VHU_RESET_DEVICE] = { "RESET_DEVICE", 0, 0, 0 },
	[VHU_GET_MAX_MEM_SLOTS] = { "GET_MAX_MEM_SLOTS", 0, 0, 0 },
	[VHU_ADD_MEM_REG] = { "ADD_MEM_REG", sizeof(struct vhu_mem_reg), sizeof(struct vhu_mem_reg), 1 },
	/* Older front-ends send the region's descriptor too, which is not needed. */
	[VHU_REM_MEM_REG] = { "REM_MEM_REG", sizeof(struct vhu_mem_reg), sizeof(struct vhu_mem_reg), ANY_FD },
	[VHU_SET_STATUS] = { "SET_STATUS", U64, U64, 0 },
	[VHU_GET_STATUS] = { "GET_STATUS", 0, 0, 0 },
	[VHU_SAVE] = { "SAVE", sizeof(struct vhu_saved), sizeof(struct vhu_saved), 0 },
	[VHU_LOAD] = { "LOAD", sizeof(struct vhu_saved), sizeof(struct vhu_saved), 0 },
	[VHU_GO] = { "GO", sizeof(struct vhu_rings), sizeof(struct vhu_rings), 0 },
	[VHU_HOLD] = { "HOLD", 0, 0, 0 },
	[VHU_RESUME] = { "RESUME", U64, U64, 0 },
};

const char *vhu_request_name(uint32_t request)
{
	const char *name = request < VHU_REQUEST_MAX ? shapes[request].name : NULL;

	return name ? name : "?";
}

static bool fds_ok(const struct vhu_msg *m, const struct shape *s)
{
	switch (m->request) {
	case VHU_SET_MEM_TABLE:
		return m->mem.nregions <= SHM_MAX_REGIONS && m->nfds == m->mem.nregions &&
		       m->size == 8 + m->mem.nregions * sizeof(struct vhu_mem_region);
	case VHU_SET_VRING_KICK:
	case VHU_SET_VRING_CALL:
	case VHU_SET_VRING_ERR:
		return m->nfds == ((m->u64 & VHU_VRING_NOFD) ? 0 : 1) &&
		       !(m->u64 & ~(uint64_t)(VHU_VRING_IDX | VHU_VRING_NOFD));
	case VHU_REM_MEM_REG:
		return m->nfds <= 1;
	default:
		return m->nfds == s->fds;
	}
}

bool vhu_shape_ok(const struct vhu_msg *m)
{
	const struct shape *s = &shapes[m->request < VHU_REQUEST_MAX ? m->request : 0];

	return s->name && !(m->flags & VHU_REPLY) && m->size >= s->min && m->size <= s->max && fds_ok(m, s);
}

void vhu_close_fds(struct vhu_msg *m)
{
	while (m->nfds)
		close(m->fds[--m->nfds]);
}

void vhu_rx_reset(struct vhu_rx *rx)
{
	vhu_close_fds(&rx->msg);
	memset(&rx->msg, 0, VHU_HDR_SIZE);
	rx->have = 0;
	rx->fds_truncated = false;
}

/* Store received descriptors in rx->msg.fds; close those that do not fit. */
static void keep_fds(struct vhu_rx *rx, struct msghdr *mh)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c)) {
		size_t n;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (rx->msg.nfds < VHU_MAX_FDS) {
				rx->msg.fds[rx->msg.nfds++] = fd;
			} else {
				close(fd);
				rx->fds_truncated = true;
			}
		}
	}
}

/* Call recvmsg() for at most @len bytes. */
static ssize_t receive(int sock, struct vhu_rx *rx, void *to, size_t len, bool take_fds)
{
	union {
		char room[CMSG_SPACE(VHU_MAX_FDS * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = { .iov_base = to, .iov_len = len };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	if (take_fds) {
		mh.msg_control = control.room;
		mh.msg_controllen = sizeof(control.room);
	}
	do
		n = recvmsg(sock, &mh, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return n;
	if (mh.msg_flags & MSG_CTRUNC)
		rx->fds_truncated = true;
	if (take_fds)
		keep_fds(rx, &mh);
	return n;
}

enum vhu_status vhu_recv(int sock, struct vhu_rx *rx, bool take_fds)
{
	for (;;) {
		uint8_t *to = (uint8_t *)&rx->msg + rx->have;
		size_t want = VHU_HDR_SIZE - rx->have;
		ssize_t n;

		if (rx->have >= VHU_HDR_SIZE) {
			if ((rx->msg.flags & VHU_VERSION_MASK) != VHU_VERSION || rx->msg.size > sizeof(rx->msg.bytes))
				return VHU_BAD;
			want = VHU_HDR_SIZE + rx->msg.size - rx->have;
			if (!want)
				return VHU_OK;
			to = rx->msg.bytes + (rx->have - VHU_HDR_SIZE);
		}
		n = receive(sock, rx, to, want, take_fds);
		if (n == 0)
			return VHU_CLOSED;
		if (n < 0)
			return errno == EAGAIN ? VHU_AGAIN : errno == ECONNRESET ? VHU_CLOSED : VHU_ERROR;
		rx->have += (size_t)n;
	}
}

enum vhu_status vhu_send(int sock, const struct vhu_msg *m)
{
	union {
		char room[CMSG_SPACE(VHU_MAX_FDS * sizeof(int))];
		struct cmsghdr align;
	} control = { .room = { 0 } };
	struct iovec iov[2] = { { .iov_base = (void *)(uintptr_t)m, .iov_len = VHU_HDR_SIZE },
				{ .iov_base = (void *)(uintptr_t)m->bytes, .iov_len = m->size } };
	struct msghdr mh = { .msg_iov = iov, .msg_iovlen = 2 };
	size_t left = VHU_HDR_SIZE + m->size;

	if (m->nfds > VHU_MAX_FDS || m->size > sizeof(m->bytes))
		return VHU_BAD;
	if (m->nfds) {
		mh.msg_control = control.room;
		mh.msg_controllen = CMSG_SPACE(m->nfds * sizeof(int));
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(m->nfds * sizeof(int));
		memcpy(CMSG_DATA(&control.align), m->fds, m->nfds * sizeof(int));
	}
	while (left) {
		ssize_t n = sendmsg(sock, &mh, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN && left == VHU_HDR_SIZE + m->size ? VHU_AGAIN
			       : errno == EPIPE || errno == ECONNRESET		 ? VHU_CLOSED
										 : VHU_ERROR;
		left -= (size_t)n;
		/* The descriptors were sent with the first byte. */
		mh.msg_control = NULL;
		mh.msg_controllen = 0;
		for (unsigned i = 0; i < 2; i++) {
			size_t done = MIN((size_t)n, iov[i].iov_len);

			iov[i].iov_base = (uint8_t *)iov[i].iov_base + done;
			iov[i].iov_len -= done;
			n -= (ssize_t)done;
		}
	}
	return VHU_OK;
}

void vhu_drain(int sock)
{
	uint8_t bytes[1024];
	struct iovec iov = { bytes, sizeof(bytes) };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t got;

	/* Without a control buffer the kernel discards descriptors. */
	do
		got = recvmsg(sock, &mh, MSG_DONTWAIT);
	while (got > 0 || (got < 0 && errno == EINTR));
}
