/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Counters of a role, sent to the supervisor as one message (CTL_STATS). The text is what
 * --stats shows. A counter that a role does not use stays 0 and is not shown.
 */
#ifndef COMMON_STATS_H
#define COMMON_STATS_H

#include <stdint.h>

#define STATS(X)                                              \
	X(wakeups, "wake-ups")                                \
	X(kicks, "kicks")                                     \
	X(calls, "calls")                                     \
	X(calls_suppressed, "calls the driver did not want")  \
	X(requests, "requests")                               \
	X(bytes_read, "bytes read")                           \
	X(bytes_written, "bytes written")                     \
	X(flushes, "flushes")                                 \
	X(io_errors, "I/O errors")                            \
	X(frames_in, "frames to the guest")                   \
	X(frames_out, "frames from the guest")                \
	X(dropped_spoof, "frames dropped: another's address") \
	X(dropped_bad, "frames dropped: malformed")           \
	X(dropped_full, "frames dropped: no room")            \
	X(faults, "ring faults of the guest")                 \
	X(bad_messages, "bad vhost-user messages")            \
	X(throttled, "waits for the rate limit")              \
	X(exits, "exits")                                     \
	X(exits_io, "exits: port access")                     \
	X(exits_mmio, "exits: memory access")                 \
	X(exits_hlt, "exits: halt")                           \
	X(exits_other, "exits: other")                        \
	X(polls, "busy-polls")                                \
	X(polls_hit, "busy-polls that found work")            \
	X(dropped_reach, "frames dropped: not to be reached") \
	X(resets, "resets")                                   \
	X(reset_pages, "pages that resets took back")         \
	X(reset_memory_us, "microseconds: memory of resets")  \
	X(reset_state_us, "microseconds: the rest of resets")

struct stats {
#define X(name, text) uint64_t name;
	STATS(X)
#undef X
};

#endif
