/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A vhost-user front-end for tests, fuzzers and the load generator. It can send valid and
 * invalid messages, and build rings that follow or break the rules. Runs in test programs
 * only; checks little, and asserts nothing.
 */
#ifndef TESTS_LIB_FRONT_H
#define TESTS_LIB_FRONT_H

#include <linux/virtio_ring.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/vhost_user.h"

#define FRONT_MAX_QUEUES 16
/* How long to wait for an answer that must come (ms). It takes milliseconds, but the machine may be busy. */
#define PATIENCE_MS 60000

/* One queue in the front-end's memory, with all of its parts in one window of 64 KiB. */
struct front_queue {
	struct front *f;
	unsigned index;
	uint16_t size;
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	uint64_t gpa;	     /* of the window */
	int kick, call, err; /* eventfds */
	uint16_t avail_idx;  /* next to publish */
	uint16_t used_seen;
	uint16_t next_desc; /* front_add() takes descriptors round and round */
	bool event_idx;
};

struct front {
	int sock;
	pid_t pid; /* of a back-end that was started for it, or 0 */
	int memfd;
	uint8_t *mem;
	uint64_t mem_size;
	uint64_t gpa; /* guest physical address of mem[0] */
	struct front_queue q[FRONT_MAX_QUEUES];
	uint64_t features, protocol_features;
	uint32_t refused; /* messages that were answered with a nonzero acknowledgement */
};

/* One buffer of a chain. */
struct front_buf {
	uint64_t gpa;
	uint32_t len;
	bool writable;
};

/* Create and map a memfd of @size bytes, with or without seals. Its guest physical address is @gpa. */
bool front_memory(struct front *f, uint64_t size, uint64_t gpa, bool sealed);
int front_memfd(uint64_t size, bool sealed);
bool front_connect(struct front *f, const char *path);
/* Close and unmap everything and wait for the child, if any. Returns its exit status, -signal, or 0. */
int front_close(struct front *f);
void *front_ptr(struct front *f, uint64_t gpa);

/* ---- messages ---- */

/* Send any bytes with any descriptors. */
bool front_raw(struct front *f, const void *bytes, size_t len, const int *fds, unsigned nfds);
/* Send a message with a correct header. @flags are added to the version. */
bool front_send(struct front *f, uint32_t request, uint32_t flags, const void *payload, uint32_t size, const int *fds,
		unsigned nfds);
/* Receive the next message from the back-end. Returns false if none arrives within @ms or the connection ended. */
bool front_recv(struct front *f, struct vhu_msg *m, int ms);
/* Returns true if the back-end closes the connection within @ms. */
bool front_closed(struct front *f, int ms);
/*
 * Send a message with NEED_REPLY. Returns the acknowledgement: 0 accepted, UINT64_MAX no
 * answer, any other value refused.
 */
uint64_t front_ack(struct front *f, uint32_t request, const void *payload, uint32_t size, const int *fds,
		   unsigned nfds);
uint64_t front_ack_u64(struct front *f, uint32_t request, uint64_t v);
uint64_t front_ack_state(struct front *f, uint32_t request, uint32_t index, uint32_t num);
uint64_t front_ack_fd(struct front *f, uint32_t request, unsigned q, int fd);
/* Send a GET_ request that is answered with one u64. Returns that, or UINT64_MAX without an answer. */
uint64_t front_get(struct front *f, uint32_t request);
bool front_get_config(struct front *f, uint32_t offset, uint32_t size, void *to);

/* ---- the usual order ---- */

/* Negotiate those features of @want and @want_protocol that are offered, and set the owner. */
bool front_negotiate(struct front *f, uint64_t want, uint64_t want_protocol);
bool front_send_memory(struct front *f); /* ADD_MEM_REG of all of it */
bool front_send_table(struct front *f);	 /* the same by SET_MEM_TABLE */
/* Lay queue @q out in the 64 KiB window at @gpa, zeroed, with new eventfds. */
struct front_queue *front_queue(struct front *f, unsigned q, uint16_t size, uint64_t gpa);
/* Kick, call and error descriptors. */
bool front_queue_fds(struct front_queue *q);
/* NUM, BASE, ADDR. */
bool front_queue_setup(struct front_queue *q, uint16_t base);
bool front_queue_enable(struct front_queue *q, bool on);
/* Do all of the above in the order of QEMU: NUM, BASE, ADDR, KICK, CALL, ENABLE. */
bool front_queue_start(struct front_queue *q);
/* Stop the queue with GET_VRING_BASE. Returns the base, or -1 without an answer. */
int front_queue_stop(struct front_queue *q);

/* ---- rings ---- */

/* Write one descriptor unchecked. */
void front_desc(struct front_queue *q, uint16_t i, uint64_t addr, uint32_t len, uint16_t flags, uint16_t next);
/* Write a valid chain to the next free descriptors, without making it available. Returns its head. */
uint16_t front_chain(struct front_queue *q, const struct front_buf *b, unsigned n);
/* Put a head on the available ring and publish it. */
void front_offer(struct front_queue *q, uint16_t head);
/* Publish avail->idx = @idx, valid or not. */
void front_set_avail(struct front_queue *q, uint16_t idx);
void front_kick(struct front_queue *q);
/* Kick only if the device asked for it within the last @added chains (virtio 1.2, 2.7.10). */
void front_notify(struct front_queue *q, uint16_t added);
/* Wait for the call eventfd. Returns false after @ms. */
bool front_wait_call(struct front_queue *q, int ms);
bool front_wait_err(struct front_queue *q, int ms);
/* Take the next used entry. Returns false if there is none. */
bool front_used(struct front_queue *q, uint32_t *id, uint32_t *len);
/* The same, waiting for calls for up to @ms. */
bool front_wait_used(struct front_queue *q, uint32_t *id, uint32_t *len, int ms);

#endif
