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

/*
 * What resets of a guest took, by part: the vCPU process sends it before CTL_STATS, which has no room for more
 * (CTL_RESETS). The first three are the parts of reset_state_us.
 */
#define RESET_STATS(X)                                                     \
	X(reset_cpu_us, "microseconds: CPU state of resets")               \
	X(reset_devices_us, "microseconds: devices of resets")             \
	X(reset_helpers_us, "microseconds: waiting for helpers in resets") \
	X(reset_span_us, "microseconds since the first checkpoint")

/*
 * Percentiles of the time that one reset took. They are not counters: those of two vCPU processes have no sum, so a
 * guest that was started again has those of its last start.
 */
#define RESET_TIMES(X)                                        \
	X(reset_median_us, "microseconds: median of a reset") \
	X(reset_p99_us, "microseconds: 99th percentile of a reset")

struct reset_stats {
#define X(name, text) uint64_t name;
	RESET_STATS(X)
	RESET_TIMES(X)
#undef X
};

/* Resets a second since the first checkpoint; 0: none. */
static inline uint64_t resets_a_second(uint64_t resets, uint64_t span_us)
{
	return span_us && resets <= UINT64_MAX / 1000000 ? resets * 1000000 / span_us : 0;
}

#endif
