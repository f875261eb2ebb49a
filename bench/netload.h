/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The network load: frames of one size, from a guest to a tap or back, through a
 * vhost-user back-end (net_front.c) or directly (net_bare.c). Runs
 * in bench/netload alone, which is best started in a network namespace of its own.
 */
#ifndef BENCH_NETLOAD_H
#define BENCH_NETLOAD_H

#include <linux/virtio_net.h>

#include "bench/measure.h"

#define NET_HDR	  ((unsigned)sizeof(struct virtio_net_hdr_mrg_rxbuf))
#define NET_LARGE 1514u	 /* longer ones are TCP segments for the kernel to cut */
#define NET_MAX	  65214u /* 45 times 1448 bytes, and their headers */
/* Frames on their way to the guest at once: fewer than any queue holds. */
#define NET_WINDOW	 128
#define NET_WINDOW_LARGE 8
#define NET_BUFFERS	 256 /* a queue's frames */

struct net_load {
	const char *socket, *tap; /* through @socket if it is given; @tap is the tap's name */
	bool receive, poll;	  /* tap to guest; sleep never */
	bool batch;   /* 32 frames are waiting for the back-end before it may begin, and done before the next */
	bool latency; /* one frame at a time, until the other side has it */
	uint64_t size, ms, cpu, sender_cpu, count;
	uint64_t buffers; /* the bare loop takes so many in turn */
};

/* Write a header and a frame of @size bytes, together at most NET_HDR + NET_MAX bytes. Returns their length. */
uint32_t net_frame(void *at, uint32_t size, bool to_guest);
bool net_is_frame(const void *frame, uint32_t size);

/* The host's side, which sends frames into the tap. */
struct net_sender;
struct net_sender *net_sender(const char *tap, uint32_t size);
/* Send up to @n frames. Returns how many the kernel accepted. */
unsigned net_send(struct net_sender *s, unsigned n);
/* Returns how many frames the tap has received from its owner. */
uint64_t net_tap_took(const char *tap);
int net_open_tap(const char *name);
/* The host's side, which receives the frames that come out of the tap. Returns a socket. */
int net_receiver(const char *tap);
/* Wait until it has received a frame of @size bytes. Returns false after ten seconds, or if it is another frame. */
bool net_received(int sock, uint32_t size);
/* Add a frame that was sent at @began and is there now. */
void net_took(struct bench_result *r, uint64_t began);

void net_front(const struct net_load *l, struct bench_result *r);
void net_bare(const struct net_load *l, struct bench_result *r);

#endif
