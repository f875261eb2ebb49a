/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Captures the frames of a NIC (setting pcap=FILE) in pcapng format
 * (draft-ietf-opsawg-pcapng), into the file at HFD_CAPTURE. Only netd uses it.
 */
#ifndef NETD_CAPTURE_H
#define NETD_CAPTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* As the guest sees it: the direction flags of an enhanced packet block. */
enum capture_direction {
	CAPTURE_TO_GUEST = 1,	/* inbound */
	CAPTURE_FROM_GUEST = 2, /* outbound */
};

struct capture {
	bool on;
	uint64_t used;	   /* Bytes in the file */
	uint64_t max;	   /* Most bytes that the file may have */
	uint64_t clock_us; /* Microseconds since 1970 minus now_us() */
};

/* Longest comment of a frame in bytes, without its NUL. */
#define CAPTURE_COMMENT_MAX 80

/*
 * Start a capture, before confinement: write the section header and the description of the
 * interface @name to HFD_CAPTURE, a regular file opened with O_APPEND. If they do not fit
 * into @max bytes, the capture ends at once with a log message. Returns 0, or -1 with errno
 * set.
 */
int capture_begin(struct capture *c, const char *name, uint64_t max);

/*
 * Record a frame of @len bytes, of which the first @have are at @data (not guest memory).
 * @why: the reason why netd drops the frame, recorded as a comment; NULL if it is passed on.
 * If the file is full or cannot be written, the capture ends with a log message. A frame is
 * recorded completely or not at all.
 */
void capture_frame(struct capture *c, enum capture_direction to, const void *data, uint64_t have, uint64_t len,
		   const char *why);

#endif
