/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The vhost-user protocol (specification: QEMU's docs/interop/vhost-user.rst): sending and
 * receiving messages with descriptors, for both ends. Nothing here keeps state of the
 * connection; that is in backend_msg.c and vcpu/devices/front.c.
 *
 * vhu_recv() refuses a message larger than struct vhu_msg; vhu_shape_ok() checks whether
 * size and number of descriptors fit the request. At most VHU_MAX_FDS descriptors are
 * kept.
 */
#ifndef COMMON_VHOST_USER_H
#define COMMON_VHOST_USER_H

#include "common/fdtab.h"
#include "common/shm.h"
#include "common/util.h"

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
	 * Not in the specification, only between our front-end and our helpers. HOLD (struct vhu_rings in the reply):
	 * finish what is in flight, stop all rings, and start none until GO. GO (struct vhu_rings): start the rings
	 * again. SAVE and LOAD (struct vhu_saved, also in the reply), between HOLD and GO: write a part of what the
	 * guest has changed on this disk, or knows and has open in this share, to the file of --save, or read it from that
	 * of --from. See backend_config.checkpoint.
	 */
	VHU_SAVE = 59,
	VHU_LOAD = 60,
	VHU_GO = 61,
	VHU_HOLD = 62,
	/*
	 * Not in the specification: sent between our front-end and a helper that was
	 * restarted on the same connection. See backend_config.generation.
	 */
	VHU_RESUME = 63,
	VHU_REQUEST_MAX = 64,
};

/* Requests of a back-end to the front-end, on the socket of SET_BACKEND_REQ_FD. */
enum vhu_backend_request {
	VHU_BACKEND_CONFIG_CHANGE_MSG = 2,
};

/* Bit numbers of GET_PROTOCOL_FEATURES. */
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
#define VHU_F_PROTOCOL_FEATURES 30 /* Bit number of GET_FEATURES */

#define VHU_VERSION	 1u
#define VHU_VERSION_MASK 3u
#define VHU_REPLY	 (1u << 2)
#define VHU_NEED_REPLY	 (1u << 3)
#define VHU_VRING_IDX	 0xffu	   /* SET_VRING_KICK, CALL, ERR: bits of u64 with the queue's index */
#define VHU_VRING_NOFD	 (1u << 8) /* SET_VRING_KICK, CALL, ERR: bit of u64, no descriptor is sent */
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
	/* Not in the specification, but front-ends written in C send the padded struct (24 bytes). */
	uint32_t padding;
};
#define VHU_INFLIGHT_SIZE 20 /* Bytes without the padding */

struct vhu_log {
	uint64_t mmap_size, mmap_offset;
};

/* What the helper shall do with the state of its device before GO starts the rings. */
enum vhu_go { VHU_GO_ON, VHU_GO_CHECKPOINT, VHU_GO_RESET, VHU_GO_MAX };
struct vhu_rings {
	uint32_t what;		   /* GO: enum vhu_go; HOLD: 0 */
	uint32_t nqueues;	   /* The helper's */
	uint16_t base[MAX_QUEUES]; /* Where each ring goes on: index of the next available entry */
};

/* SAVE and LOAD: the front-end sends back what the reply says, until it says DONE or FAILED. It begins with zeros and @at. */
enum vhu_saved_state { VHU_SAVED_MORE, VHU_SAVED_DONE, VHU_SAVED_FAILED };
struct vhu_saved {
	uint64_t at;	  /* Offset in the file, in bytes */
	uint64_t cluster; /* The next cluster that may follow; share: a number that grows with each part */
	uint64_t count;	  /* Clusters so far; share: entries */
	uint32_t state;	  /* enum vhu_saved_state; in a request MORE */
	uint32_t error;	  /* FAILED: number of the error, or 0 if the file is damaged */
};

struct vhu_msg {
	uint32_t request, flags, size; /* The header: VHU_HDR_SIZE bytes of the message */
	uint32_t unused;	       /* Aligns the payload; not part of the message */
	union {
		uint64_t u64;
		struct vhu_vring_state state;
		struct vhu_vring_addr addr;
		struct vhu_mem_table mem;
		struct vhu_mem_reg reg;
		struct vhu_config config;
		struct vhu_inflight inflight;
		struct vhu_log log;
		struct vhu_rings rings;
		struct vhu_saved saved;
		uint8_t bytes[512];
	};
	/* Descriptors sent with the message (SCM_RIGHTS). */
	int fds[VHU_MAX_FDS];
	unsigned nfds;
};
#define VHU_HDR_SIZE 12

enum vhu_status {
	VHU_OK,
	VHU_AGAIN,  /* Non-blocking socket: no whole message yet, or no room to send */
	VHU_CLOSED, /* The peer closed the connection */
	VHU_BAD,    /* Wrong version, or too large: the next message cannot be found, close the connection */
	VHU_ERROR,  /* Another error; errno is set */
};

/* State of receiving one message, which may arrive in pieces. */
struct vhu_rx {
	struct vhu_msg msg;
	size_t have;	    /* Bytes of header and payload received so far */
	bool fds_truncated; /* More descriptors came than could be kept: refuse the message */
};
/*
 * Receive the rest of a message. Returns VHU_OK when rx->msg is complete; call
 * vhu_rx_reset() before the next message. If @take_fds is false, the kernel discards
 * descriptors (a sealed back-end).
 */
enum vhu_status vhu_recv(int sock, struct vhu_rx *rx, bool take_fds);
/* Prepare for the next message; closes descriptors left in rx->msg. */
void vhu_rx_reset(struct vhu_rx *rx);
/* Close all descriptors in @m. */
void vhu_close_fds(struct vhu_msg *m);
/* Read and drop everything queued, with descriptors, so that the next byte begins a message. */
void vhu_drain(int sock);
/* True if a request to a back-end has the size and the number of descriptors that it must have. */
bool vhu_shape_ok(const struct vhu_msg *m);
/* Send header, m->size payload bytes and m->nfds descriptors, which stay open. */
enum vhu_status vhu_send(int sock, const struct vhu_msg *m);
/* Name of a request for messages: "SET_VRING_NUM"; "?" if there is none of that number. */
const char *vhu_request_name(uint32_t request);

#endif
