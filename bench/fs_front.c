/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The file system load as a vhost-user front-end: keeps --depth requests in flight on the request queue, as Linux's
 * virtiofs driver does (one buffer for each header, one for each page of data; event index; sleep until notified). Part
 * of bench/fsload.
 */
#include <linux/fuse.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/fsload.h"
#include "tests/lib/front.h"

#define WINDOW	 0x10000u /* Of a queue (front_queue()) */
#define QUEUE	 1	  /* The first request queue; 0 is for urgent ones */
#define RING	 1024u
#define PAGES	 32u   /* Most pages of one reply */
#define HEADERS	 4096u /* Bytes of a slot before its data */
#define ARGS_AT	 128u
#define OUT_AT	 1024u
#define REPLY_AT 2048u
#define BIT(n)	 (1ull << (n))

struct slot {
	uint64_t gpa, began, at; /* @at: offset of the read, or index of the file */
	uint8_t *mem;
	uint16_t head, descs;
};

static struct front front;
static struct front_queue *queue;
static struct slot slots[FS_MAX_DEPTH];
static uint64_t nodes[FS_MAX_FILES];
static uint64_t dir, node, fh; /* The directory of files; the file to read and its handle */
static uint64_t random_state, turn_at;
uint64_t fs_memory_kib;

static void fail(const char *what)
{
	fprintf(stderr, "fsload: %s\n", what);
	exit(1);
}

static void start(const struct fs_load *l)
{
	uint64_t want = BIT(VIRTIO_F_VERSION_1) | BIT(VHU_F_PROTOCOL_FEATURES) | BIT(VIRTIO_RING_F_EVENT_IDX);
	uint64_t stride = HEADERS + PAGES * FS_BLOCK, size = 2 * WINDOW + l->depth * stride;
	uint16_t first = 0;

	if (!front_memory(&front, (size + 0x1fffff) & ~0x1fffffull, 0, true) || !front_connect(&front, l->socket))
		bench_die(l->socket);
	if (!front_negotiate(&front, want, BIT(VHU_PF_MQ) | BIT(VHU_PF_REPLY_ACK)) || !front_send_table(&front))
		fail("the back-end does not agree");
	if (!front_queue_start(front_queue(&front, 0, 128, 0)))
		fail("the urgent queue does not start");
	queue = front_queue(&front, QUEUE, RING, WINDOW);
	if (!front_queue_start(queue))
		fail("the request queue does not start");
	for (unsigned i = 0; i < l->depth; i++) {
		slots[i].gpa = 2 * WINDOW + i * stride;
		slots[i].mem = front_ptr(&front, slots[i].gpa);
		slots[i].head = first;
		slots[i].descs = (uint16_t)(RING / l->depth);
		first = (uint16_t)(first + slots[i].descs);
	}
}

/* Write the request's descriptors: header, arguments of @args bytes, reply's header, and @room bytes of reply. */
static void describe(const struct slot *s, uint32_t args, uint32_t room, bool pages)
{
	uint16_t d = s->head;

	front_desc(queue, d, s->gpa, sizeof(struct fuse_in_header), VRING_DESC_F_NEXT, (uint16_t)(d + 1));
	d++;
	front_desc(queue, d, s->gpa + ARGS_AT, args, VRING_DESC_F_NEXT, (uint16_t)(d + 1));
	d++;
	front_desc(queue, d, s->gpa + OUT_AT, sizeof(struct fuse_out_header), VRING_DESC_F_NEXT | VRING_DESC_F_WRITE,
		   (uint16_t)(d + 1));
	d++;
	if (!pages) {
		front_desc(queue, d, s->gpa + REPLY_AT, room, VRING_DESC_F_WRITE, 0);
		return;
	}
	for (uint32_t at = 0; at < room; at += FS_BLOCK, d++)
		front_desc(queue, d, s->gpa + HEADERS + at, FS_BLOCK,
			   (uint16_t)(VRING_DESC_F_WRITE | (at + FS_BLOCK < room ? VRING_DESC_F_NEXT : 0)),
			   (uint16_t)(d + 1));
}

/* Write a request to the ring, without publishing it. */
static void add(struct slot *s, uint32_t opcode, uint64_t nodeid, const void *args, uint32_t len, uint32_t room,
		bool pages)
{
	const struct fuse_in_header h = { .len = (uint32_t)sizeof(h) + len,
					  .opcode = opcode,
					  .unique = (uint64_t)(s - slots) + 1,
					  .nodeid = nodeid };
	struct fuse_out_header *out = (void *)(s->mem + OUT_AT);

	memcpy(s->mem, &h, sizeof(h));
	memcpy(s->mem + ARGS_AT, args, len);
	out->unique = 0;
	describe(s, len, room, pages);
	queue->avail->ring[queue->avail_idx++ & (RING - 1)] = s->head;
}

static void publish(uint16_t added, struct bench_result *r)
{
	const uint16_t *event = (const uint16_t *)&queue->used->ring[queue->size];
	bool wanted;

	front_set_avail(queue, queue->avail_idx); /* A full barrier as well */
	if (queue->event_idx)
		wanted = vring_need_event(__atomic_load_n(event, __ATOMIC_RELAXED), queue->avail_idx,
					  (uint16_t)(queue->avail_idx - added));
	else
		wanted = !(__atomic_load_n(&queue->used->flags, __ATOMIC_RELAXED) & VRING_USED_F_NO_NOTIFY);
	if (wanted) {
		r->kicks++;
		front_kick(queue);
	}
}

static void wait_call(struct bench_result *r)
{
	struct pollfd p = { .fd = queue->call, .events = POLLIN };
	uint64_t v;

	if (queue->event_idx)
		__atomic_store_n(&queue->avail->ring[queue->size], queue->used_seen, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&queue->used->idx, __ATOMIC_SEQ_CST) != queue->used_seen)
		return;
	if (poll(&p, 1, 10000) <= 0)
		fail("no answer for ten seconds");
	if (read(queue->call, &v, sizeof(v)) > 0)
		r->calls++;
}

/* One request outside of the measurement, in slot 0. Returns the reply's data; ends the program on an error. */
static const void *call(uint32_t opcode, uint64_t nodeid, const void *args, uint32_t len, uint32_t room)
{
	const struct fuse_out_header *out = (const void *)(slots[0].mem + OUT_AT);
	struct bench_result unused = { 0 };

	add(&slots[0], opcode, nodeid, args, len, room, false);
	publish(1, &unused);
	while (__atomic_load_n(&queue->used->idx, __ATOMIC_ACQUIRE) == queue->used_seen)
		wait_call(&unused);
	queue->used_seen++;
	if (out->error || out->unique != 1)
		fail("the back-end refuses a request of the preparation; is --path right?");
	return slots[0].mem + REPLY_AT;
}

static uint64_t look_up(uint64_t parent, const char *name)
{
	const struct fuse_entry_out *e =
		call(FUSE_LOOKUP, parent, name, (uint32_t)strlen(name) + 1, sizeof(struct fuse_entry_out));

	return e->nodeid;
}

static void file_name(uint64_t i, char name[FS_NAME_LEN + 1])
{
	snprintf(name, FS_NAME_LEN + 1, "f%05u", (unsigned)(i % FS_MAX_FILES));
}

static void prepare(const struct fs_load *l)
{
	const struct fuse_init_in init = { .major = FUSE_KERNEL_VERSION,
					   .minor = 31,
					   .max_readahead = 128u << 10,
					   .flags = FUSE_ASYNC_READ | FUSE_DO_READDIRPLUS | FUSE_MAX_PAGES |
						    FUSE_PARALLEL_DIROPS };
	const struct fuse_open_in open = { .flags = 0 };
	char name[FS_NAME_LEN + 1];

	call(FUSE_INIT, 0, &init, sizeof(init), sizeof(struct fuse_init_out));
	node = dir = look_up(FUSE_ROOT_ID, l->path);
	if (l->op == FS_READ)
		fh = ((const struct fuse_open_out *)call(FUSE_OPEN, node, &open, sizeof(open),
							 sizeof(struct fuse_open_out)))
			     ->fh;
	for (uint64_t i = 0; (l->op == FS_GETATTR || l->op == FS_LOOKUP) && i < l->files; i++) {
		file_name(i, name);
		nodes[i] = look_up(dir, name);
	}
}

static uint64_t next(const struct fs_load *l, uint64_t range)
{
	if (l->sequential || l->op == FS_LOOKUP_NEW)
		return turn_at++ % range;
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state % range;
}

/* The next request, in slot @s. */
static void begin(const struct fs_load *l, struct slot *s, uint64_t now)
{
	const struct fuse_getattr_in attr = { 0 };
	char name[FS_NAME_LEN + 1];

	s->began = now;
	s->at = next(l, l->op == FS_READ ? l->size / l->bs : l->files);
	if (l->op == FS_READ) {
		struct fuse_read_in in = { .fh = fh, .offset = s->at * l->bs, .size = (uint32_t)l->bs };

		add(s, FUSE_READ, node, &in, sizeof(in), (uint32_t)l->bs, true);
	} else if (l->op == FS_GETATTR) {
		add(s, FUSE_GETATTR, nodes[s->at], &attr, sizeof(attr), sizeof(struct fuse_attr_out), false);
	} else {
		file_name(s->at, name);
		add(s, FUSE_LOOKUP, dir, name, FS_NAME_LEN, sizeof(struct fuse_entry_out), false);
	}
}

/* Returns true if the reply in slot @s is the right one. */
static bool right(const struct fs_load *l, const struct slot *s)
{
	const struct fuse_out_header *out = (const void *)(s->mem + OUT_AT);
	const struct fuse_entry_out *e = (const void *)(s->mem + REPLY_AT);
	const struct fuse_attr_out *a = (const void *)(s->mem + REPLY_AT);
	uint64_t number, want = l->op == FS_READ ? l->bs : l->op == FS_GETATTR ? sizeof(*a) : sizeof(*e);

	if (out->error || out->unique != (uint64_t)(s - slots) + 1 || out->len != sizeof(*out) + want)
		return false;
	if (l->op == FS_READ) {
		memcpy(&number, s->mem + HEADERS, sizeof(number));
		return number == s->at * l->bs / FS_BLOCK;
	}
	/* Each file is as long as its number says (f00042: 42 bytes). */
	return (l->op == FS_GETATTR ? a->attr.size : e->attr.size) == s->at;
}

static void run(const struct fs_load *l, struct bench_result *r)
{
	uint64_t began = bench_ns(), until = began + l->ms * 1000000, begun = 0;
	uint64_t limit = l->op == FS_LOOKUP_NEW ? l->files : UINT64_MAX;
	uint64_t before = bench_cpu_ns(bench_peer(front.sock));

	began = bench_ns();
	for (; begun < l->depth && begun < limit; begun++)
		begin(l, &slots[begun], began);
	publish((uint16_t)begun, r);
	while (r->ops < begun) {
		uint16_t idx = __atomic_load_n(&queue->used->idx, __ATOMIC_ACQUIRE), added = 0;
		uint64_t now = bench_ns();

		for (; idx != queue->used_seen; queue->used_seen++) {
			uint32_t head = queue->used->ring[queue->used_seen & (RING - 1)].id;
			struct slot *s = &slots[head / slots[0].descs % l->depth];

			r->bad += s->head != head || !right(l, s);
			bench_latency_add((struct bench_latency *)(uintptr_t)r->latency, now - s->began);
			r->ops++;
			if (begun < limit && (limit != UINT64_MAX || now < until)) {
				begin(l, s, now);
				begun++;
				added++;
			}
		}
		if (added)
			publish(added, r);
		if (r->ops < begun && __atomic_load_n(&queue->used->idx, __ATOMIC_ACQUIRE) == queue->used_seen)
			wait_call(r);
	}
	r->ns = bench_ns() - began;
	r->bytes = l->op == FS_READ ? r->ops * l->bs : 0;
	r->cpu_ns = bench_cpu_ns(bench_peer(front.sock)) - before;
}

void fs_front(const struct fs_load *l, struct bench_result *r)
{
	random_state = l->seed * 0x9e3779b97f4a7c15ull | 1;
	start(l);
	prepare(l);
	run(l, r);
	fs_memory_kib = l->memory ? fs_memory(bench_peer(front.sock)) : 0;
	front_queue_stop(queue);
	front_queue_stop(&front.q[0]);
	front_close(&front);
}
