/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a guest has, for those who control it: the supervisor's description of each disk, NIC, share, port and of the
 * console, in messages of the control plane (common/ctl.h, CTL_PART). Paths are cut, so that messages have one size.
 */
#ifndef COMMON_PARTS_H
#define COMMON_PARTS_H

#include <stdint.h>

#include "common/run_proto.h"

/* What a guest has. Each message has @name and the members below; the others are 0 or empty. */
enum part_kind {
	PART_DISK,    /* @where: the image or socket; @what: serial number; @size: capacity; @flags */
	PART_NIC,     /* @where: address, interface or socket; @what: MAC address; @ifname: tap; @detail; @size: MTU */
	PART_FORWARD, /* Ports that the NIC @name forwards: @where, as in forward=, separated by spaces */
	PART_SHARE,   /* @where: the directory; @what: tag; @flags; @used and @max: bytes that the guest added */
	PART_PORT,    /* @where: the file; @used: bytes from the guest; @lost: those not written; @max: of the file */
	PART_CONSOLE, /* The same; @where is empty for standard output */
	PART_KINDS,
};

/* Bits of guest_part.flags. */
#define PART_READ_ONLY (1u << 0)
#define PART_SNAPSHOT  (1u << 1) /* The guest's writes are discarded at its end */
#define PART_FOREIGN   (1u << 2) /* Another program serves the device; @where is its socket */
#define PART_LIMITED   (1u << 3) /* @max is a limit */
#define PART_COUNTED   (1u << 4) /* @used is known */
#define PART_CUT       (1u << 5) /* @where was too long: it begins with "..." and the end follows */

/* Kinds of NICs, with their names in options and JSON. */
#define NET_KINDS(X)                \
	X(TUNNET_IP, "tunnet")      \
	X(BRIDGE, "bridge")         \
	X(TAP, "tap")               \
	X(FD, "fd")                 \
	X(VHOST_USER, "vhost-user") \
	X(USER, "user")

enum net_kind {
#define X(sym, text) NET_##sym,
	NET_KINDS(X)
#undef X
		NET_KIND_COUNT,
};

struct guest_part {
	uint32_t kind;	 /* enum part_kind */
	uint32_t flags;	 /* PART_* */
	uint32_t detail; /* PART_NIC: enum net_kind */
	uint32_t reserved;
	char name[PORT_NAME_MAX];
	char what[40];
	char ifname[16];
	char where[112];
	uint64_t size, used, max, lost; /* In bytes */
};

/* Most messages about one guest. Forwarded ports that do not fit are left out. */
#define MAX_PARTS 128

#endif
