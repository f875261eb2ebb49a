/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Decides which frames of a guest with --net=user go to passt, which is in the host's network:
 * none to the host itself, and with `restrict` only answers. Works on copies, without I/O; the
 * caller passes the time.
 */
#ifndef NETD_USER_H
#define NETD_USER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/ctl.h"

/* Bytes of a frame that user_judge() and user_learn() need: Ethernet, the longest IPv4 header, ports and TCP flags. */
#define USER_PEEK 96u

/* UDP from outside that the guest may answer: the peer's address and port, and the guest's port. */
struct user_flow {
	struct in6_addr peer;
	uint16_t peer_port, guest_port; /* network order */
	uint64_t used_ms;		/* 0: free */
};

#define USER_FLOWS   256
#define USER_FLOW_MS 180000

struct user {
	struct user_flow flow[USER_FLOWS];
};

/*
 * Check a frame of @len bytes from the guest, of which the first @have are at @frame (at least USER_PEEK, or all).
 * Returns NULL if passt may get the frame, otherwise the reason for a capture's comment. @now in milliseconds.
 */
const char *user_judge(struct user *u, const struct user_config *c, const uint8_t *frame, size_t have, uint64_t len,
		       uint64_t now);

/* Record a frame from passt to the guest: if it is UDP, the guest may answer it for USER_FLOW_MS. */
void user_learn(struct user *u, const struct user_config *c, const uint8_t *frame, size_t len, uint64_t now);

#endif
