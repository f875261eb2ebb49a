/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The vhost-user wire (the specification in QEMU's docs/interop/vhost-user.rst),
 * both ends: messages, descriptors, and no memory of what was said.
 *
 * A message is received whole or not at all, and never larger than the largest
 * that there is; vhu_shape_ok() says whether its size and its descriptors are
 * what the request wants. Descriptors beyond VHU_MAX_FDS are never installed.
 */
#ifndef COMMON_VHOST_USER_H
#define COMMON_VHOST_USER_H

#include "shm.h"
#include "util.h"

enum vhu_request {
	VHU_GET_FEATURES = 1,
	VHU_SET_FEATURES = 2,
	VHU_SET_OWNER = 3,
	VHU_RESET_OWNER = 4,
	VHU_SET_MEM_TABLE = 5,
	VHU_SET_LOG_BASE = 6,
	VHU_SET_LOG_FD = 7,
	VHU_SET_VRING_NUM = 8,
	VHU_SET_VRING_ADDR = 9,
	VHU_SET_VRING_BASE = 10,
	VHU_GET_VRING_BASE = 11,
	VHU_SET_VRING_KICK = 12,
	VHU_SET_VRING_CALL = 13,
	VHU_SET_VRING_ERR = 14,
	VHU_GET_PROTOCOL_FEATURES = 15,
	VHU_SET_PROTOCOL_FEATURES = 16,
	VHU_GET_QUEUE_NUM = 17,
	VHU_SET_VRING_ENABLE = 18,
	VHU_SEND_RARP = 19,
	VHU_NET_SET_MTU = 20,
	VHU_SET_BACKEND_REQ_FD = 21,
	VHU_IOTLB_MSG = 22,
	VHU_SET_VRING_ENDIAN = 23,
	VHU_GET_CONFIG = 24,
	VHU_SET_CONFIG = 25,
	VHU_GET_INFLIGHT_FD = 31,
	VHU_SET_INFLIGHT_FD = 32,
	VHU_RESET_DEVICE = 34,
	VHU_GET_MAX_MEM_SLOTS = 36,
	VHU_ADD_MEM_REG = 37,
	VHU_REM_MEM_REG = 38,
	VHU_SET_STATUS = 39,
	VHU_GET_STATUS = 40,
	/*
	 * Ours alone, between our front-end and a helper that was started again on the
	 * same connection: see backend_config.generation.
	 */
	VHU_RESUME = 63,
	VHU_REQUEST_MAX = 64,
};

/* Back-end to front-end, on the channel of SET_BACKEND_REQ_FD. */
enum vhu_backend_request {
	VHU_BACKEND_CONFIG_CHANGE_MSG = 2,
};

/* Bits of GET_PROTOCOL_FEATURES. */
enum {
	VHU_PF_MQ = 0,
	VHU_PF_LOG_SHMFD = 1,
	VHU_PF_RARP = 2,
	VHU_PF_REPLY_ACK = 3,
	VHU_PF_MTU = 4,
	VHU_PF_BACKEND_REQ = 5,
	VHU_PF_CONFIG = 9,
	VHU_PF_BACKEND_SEND_FD = 10,
	VHU_PF_INFLIGHT_SHMFD = 12,
	VHU_PF_RESET_DEVICE = 13,
	VHU_PF_CONFIGURE_MEM_SLOTS = 15,
	VHU_PF_STATUS = 16,
};
#define VHU_F_PROTOCOL_FEATURES 30 /* bit of GET_FEATURES */

#define VHU_VERSION	 1u
#define VHU_VERSION_MASK 3u
#define VHU_REPLY	 (1u << 2)
#define VHU_NEED_REPLY	 (1u << 3)
#define VHU_VRING_IDX	 0xffu /* of the u64 of VRING_KICK/CALL/ERR */
#define VHU_VRING_NOFD	 (1u << 8)
#define VHU_MAX_FDS	 SHM_MAX_REGIONS
#define VHU_CONFIG_MAX	 256

struct vhu_vring_state {
	uint32_t index, num;
};
struct vhu_vring_addr {
	uint32_t index, flags;
	uint64_t desc, used, avail, log;
};
struct vhu_mem_region {
	uint64_t gpa, size, uva, offset;
};
struct vhu_mem_table {
	uint32_t nregions, padding;
	struct vhu_mem_region regions[SHM_MAX_REGIONS];
};
struct vhu_mem_reg {
	uint64_t padding;
	struct vhu_mem_region region;
};
struct vhu_config {
	uint32_t offset, size, flags;
	uint8_t data[VHU_CONFIG_MAX];
};
struct vhu_inflight {
	uint64_t mmap_size, mmap_offset;
	uint16_t num_queues, queue_size;
	/* Not in the specification's text; front-ends in C send the padded struct (24 bytes). */
	uint32_t padding;
};
#define VHU_INFLIGHT_SIZE 20 /* without the padding */

struct vhu_msg {
	uint32_t request, flags, size; /* the header: VHU_HDR_SIZE bytes on the wire */
	uint32_t unused;	       /* keeps the payload aligned; not on the wire */
	union {
		uint64_t u64;
		struct vhu_vring_state state;
		struct vhu_vring_addr addr;
		struct vhu_mem_table mem;
		struct vhu_mem_reg reg;
		struct vhu_config config;
		struct vhu_inflight inflight;
		uint8_t bytes[512];
	};
	/* Not on the wire. */
	int fds[VHU_MAX_FDS];
	unsigned nfds;
};
#define VHU_HDR_SIZE 12

enum vhu_status {
	VHU_OK,
	VHU_AGAIN,  /* nothing (whole) there yet: the descriptor is non-blocking */
	VHU_CLOSED, /* the peer is gone */
	VHU_BAD,    /* wrong version, or larger than any message: the connection is of no more use */
	VHU_ERROR,  /* errno */
};

/*
 * Receives byte by byte as they come; state between calls is kept in here.
 * @take_fds false: descriptors are never installed at all (a sealed back-end).
 */
struct vhu_rx {
	struct vhu_msg msg;
	size_t have;	    /* bytes of header + payload so far */
	bool fds_truncated; /* more descriptors came than were taken: the message is not fit for use */
};
enum vhu_status vhu_recv(int sock, struct vhu_rx *rx, bool take_fds);
/* Ready for the next message; closes descriptors still in it. */
void vhu_rx_reset(struct vhu_rx *rx);
void vhu_close_fds(struct vhu_msg *m);
/* Read and drop all that is there, descriptors too: the stream then begins with a whole message. */
void vhu_drain(int sock);
/* Does a request (to a back-end) have the size and the number of descriptors that are due? */
bool vhu_shape_ok(const struct vhu_msg *m);
/* Send header, m->size payload bytes and m->nfds descriptors (which stay the caller's). */
enum vhu_status vhu_send(int sock, const struct vhu_msg *m);
const char *vhu_request_name(uint32_t request); /* "SET_VRING_NUM", or "?" */

/*
 * common/listen.c: a listening socket at @path, close-on-exec; the name is the
 * caller's to remove. A socket that nobody listens on is replaced. Dies, having
 * said why, where that cannot be done.
 */
int vhu_listen(const char *path);

#endif
