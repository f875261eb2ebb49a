/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Messages of NBD as a client sends and receives them (the NBD project's doc/proto.md); numbers are in network byte order.
 * For test programs only.
 */
#ifndef TESTS_NBD_WIRE_H
#define TESTS_NBD_WIRE_H

#include <stdint.h>

#define NBD_WIRE_HELLO	 UINT64_C(0x4e42444d41474943)
#define NBD_WIRE_OPTION	 UINT64_C(0x49484156454f5054)
#define NBD_WIRE_REQUEST 0x25609513u
#define NBD_WIRE_REPLY	 0x67446698u

enum nbd_wire_command { NBD_READ, NBD_WRITE, NBD_DISCONNECT, NBD_FLUSH };

/* The server's first message, and the client's flags that answer it. */
struct nbd_wire_hello {
	uint64_t magic, option;
	uint16_t flags;
} __attribute__((packed));

struct nbd_wire_option {
	uint64_t magic;
	uint32_t option, len;
} __attribute__((packed));

/* NBD_OPT_GO for the export without a name. */
struct nbd_wire_go {
	struct nbd_wire_option o;
	uint32_t name_len;
	uint16_t infos;
} __attribute__((packed));

/* Bytes of blkd's answers to it: the export, the sizes of blocks, the acknowledgement. */
#define NBD_WIRE_GO_ANSWERS (20 + 12 + 20 + 14 + 20)

struct nbd_wire_request {
	uint32_t magic;
	uint16_t flags, type;
	uint64_t handle, off;
	uint32_t len;
} __attribute__((packed));

struct nbd_wire_reply {
	uint32_t magic, error;
	uint64_t handle;
} __attribute__((packed));

#endif
