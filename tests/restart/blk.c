/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Kills blkd under load. Every block contains its number and a version, so that lost,
 * repeated and late writes are detected. While blkd is dead, the image must contain each
 * block's last acknowledged version, or that of a write in flight. Each request must be
 * answered exactly once.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/inflight.h"
#include "tests/restart/restart.h"

#define BLOCK	  4096u
#define BLOCKS	  2048u
#define SLOTS	  32u
#define MOST	  4u /* blocks of one request */
#define QUEUE	  128
#define DATA_AT	  0x100000u
#define SLOT_SIZE (MOST * BLOCK)
#define HEAD_AT	  0x80000u
#define FEATURES                                                                                           \
	((1ull << VIRTIO_F_VERSION_1) | (1ull << VHU_F_PROTOCOL_FEATURES) | (1ull << VIRTIO_BLK_F_FLUSH) | \
	 (1ull << VIRTIO_RING_F_EVENT_IDX))

struct block {
	uint32_t acked, pending; /* versions; pending 0: no write is under way */
	bool busy;
};

struct slot {
	bool used;
	uint32_t type, first, n;
};

static struct block block[BLOCKS];
static struct slot slot[SLOTS];
static struct helper h;
static struct front front;
static struct front_queue *q;
static unsigned outstanding;
static bool write_through; /* chosen by the driver */
static uint64_t verified, flushes;

static uint64_t word(uint32_t b, uint32_t version)
{
	return version ? (uint64_t)b << 32 | version : 0;
}

static uint8_t *data_of(unsigned s)
{
	return front_ptr(&front, DATA_AT + (uint64_t)s * SLOT_SIZE);
}

static volatile uint8_t *status_of(unsigned s)
{
	return (uint8_t *)front_ptr(&front, HEAD_AT + s * 64) + 32;
}

static bool all_free(uint32_t first, uint32_t n)
{
	for (uint32_t b = first; b < first + n; b++)
		if (block[b].busy)
			return false;
	return true;
}

static void claim(unsigned s)
{
	uint64_t *at = (uint64_t *)(void *)data_of(s);

	memset(at, 0xee, SLOT_SIZE);
	for (uint32_t i = 0; i < slot[s].n; i++) {
		uint32_t b = slot[s].first + i;

		block[b].busy = true;
		if (slot[s].type != VIRTIO_BLK_T_OUT)
			continue;
		block[b].pending = block[b].acked + 1;
		for (unsigned k = 0; k < BLOCK / 8; k++)
			*at++ = word(b, block[b].pending);
	}
}

static void put_chain(unsigned s)
{
	struct virtio_blk_outhdr *hdr = front_ptr(&front, HEAD_AT + s * 64);
	uint64_t at = HEAD_AT + s * 64;
	uint16_t d = (uint16_t)(s * 3), next = d;
	bool read = slot[s].type == VIRTIO_BLK_T_IN;

	hdr->type = slot[s].type;
	hdr->sector = (uint64_t)slot[s].first * (BLOCK / 512);
	*status_of(s) = 0xff;
	next = (uint16_t)(slot[s].n ? d + 1 : d + 2);
	front_desc(q, d, at, sizeof(*hdr), VRING_DESC_F_NEXT, next);
	front_desc(q, (uint16_t)(d + 1), DATA_AT + (uint64_t)s * SLOT_SIZE, slot[s].n * BLOCK,
		   (uint16_t)(VRING_DESC_F_NEXT | (read ? VRING_DESC_F_WRITE : 0)), (uint16_t)(d + 2));
	front_desc(q, (uint16_t)(d + 2), at + 32, 1, VRING_DESC_F_WRITE, 0);
	front_offer(q, d);
}

/* Submit one more request, if a slot and blocks for it are free. */
static bool submit(void)
{
	unsigned s = 0, kind = (unsigned)rnd(20);
	uint32_t n = 1 + (uint32_t)rnd(MOST), first = (uint32_t)rnd(BLOCKS - MOST);

	while (s < SLOTS && slot[s].used)
		s++;
	if (s == SLOTS || (kind && !all_free(first, n)))
		return false;
	slot[s] = (struct slot){ true, VIRTIO_BLK_T_FLUSH, 0, 0 };
	if (kind)
		slot[s] = (struct slot){ true, kind < 13 ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN, first, n };
	claim(s);
	put_chain(s);
	outstanding++;
	return true;
}

static void check_read(unsigned s)
{
	const uint64_t *at = (const uint64_t *)(const void *)data_of(s);

	for (uint32_t b = slot[s].first; b < slot[s].first + slot[s].n; b++)
		for (unsigned k = 0; k < BLOCK / 8; k++, at++)
			if (*at != word(b, block[b].acked))
				fail("block %u: read 0x%llx at word %u, not version %u", b, (unsigned long long)*at, k,
				     block[b].acked);
}

static void complete(uint32_t id)
{
	unsigned s = id / 3;

	if (id % 3 || s >= SLOTS || !slot[s].used)
		fail("request %u was answered twice, or never made", id);
	if (*status_of(s) != VIRTIO_BLK_S_OK)
		fail("a request of type %u has status %u", slot[s].type, *status_of(s));
	if (slot[s].type == VIRTIO_BLK_T_IN)
		check_read(s);
	flushes += slot[s].type == VIRTIO_BLK_T_FLUSH;
	for (uint32_t b = slot[s].first; b < slot[s].first + slot[s].n; b++) {
		if (block[b].pending)
			block[b].acked = block[b].pending;
		block[b].pending = 0;
		block[b].busy = false;
	}
	slot[s].used = false;
	outstanding--;
	verified++;
}

static void reap(void)
{
	uint32_t id, len;

	while (front_used(q, &id, &len))
		complete(id);
}

/* Submit requests and handle answers for @us microseconds. @drain: submit nothing, until none is in flight. */
static void load(uint64_t us, bool drain)
{
	uint64_t until = now_us() + us;

	while (drain ? outstanding > 0 : now_us() < until) {
		uint16_t added = 0;

		while (!drain && added < 8 && submit())
			added++;
		if (added)
			front_notify(q, added);
		reap();
		if (drain && now_us() > until)
			fail("%u requests are not answered", outstanding);
		if (outstanding == SLOTS || drain)
			front_wait_call(q, drain ? 100 : 1);
		reap();
	}
}

/* Check the image while blkd is dead. */
static void check_image(int fd)
{
	static uint64_t buf[BLOCK / 8];

	for (uint32_t b = 0; b < BLOCKS; b++) {
		const struct block *k = &block[b];

		if (pread(fd, buf, BLOCK, (off_t)b * BLOCK) != BLOCK)
			fail("image: %s", strerror(errno));
		for (unsigned i = 0; i < BLOCK / 8; i++)
			if (buf[i] != word(b, k->acked) && !(k->pending && buf[i] == word(b, k->pending)))
				fail("block %u has 0x%llx at word %u; acknowledged: %u, under way: %u", b,
				     (unsigned long long)buf[i], i, k->acked, k->pending);
	}
}

/* The driver's choice of write-through must outlive blkd; otherwise answered writes would not be durable. */
static void check_cache(void)
{
	uint8_t wce = 0xff;
	struct vhu_config c = { .offset = offsetof(struct virtio_blk_config, wce), .size = 1 };

	if (!front_get_config(&front, c.offset, 1, &wce) || wce != !write_through)
		fail("generation %u: the cache is of kind %u, not %u", h.rc.generation, wce, !write_through);
	if (rnd(4))
		return;
	write_through = !write_through;
	c.data[0] = !write_through;
	if (front_ack(&front, VHU_SET_CONFIG, &c, 13, NULL, 0) != 0)
		fail("the kind of cache is refused");
}

static void attach(void)
{
	helper_attach(&h, FEATURES, 1ull << VHU_PF_REPLY_ACK | 1ull << VHU_PF_CONFIG);
	check_cache();
	if (!front_queue_start(q))
		fail("the queue of generation %u does not start", h.rc.generation);
	/* There is no kick for requests already in the ring: the successor must look for them itself. */
}

static void open_disk(const char *exe, const char *image, bool direct, bool sync_io, int *check)
{
	uint64_t bytes;
	int disk = open(image, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | (direct ? O_DIRECT : 0), 0600);

	*check = open(image, O_RDONLY | O_CLOEXEC);
	if (disk < 0 || *check < 0 || ftruncate(disk, (off_t)BLOCKS * BLOCK) < 0)
		fail("%s: %s", image, strerror(errno));
	helper_prepare(&h, exe, ROLE_BLKD, "blk0", &front, DATA_AT + SLOTS * SLOT_SIZE);
	h.rc.blk = (struct blk_config){ .capacity = (uint64_t)BLOCKS * BLOCK,
					.queues = 1,
					.direct = direct,
					.blk_size = 512,
					.phys_size = BLOCK,
					.io = sync_io ? BLK_IO_SYNC : BLK_IO_AUTO };
	h.rc.inflight = true;
	helper_add_fd(&h, disk, HFD_DISK);
	helper_add_fd(&h, inflight_create(1, INFLIGHT_MAX_SIZE, &bytes), HFD_INFLIGHT);
}

uint64_t kill_blkd(const char *exe, unsigned kills, const char *image, bool direct, bool sync_io)
{
	int check;

	memset(block, 0, sizeof(block));
	verified = flushes = 0;
	write_through = false;
	open_disk(exe, image, direct, sync_io, &check);
	helper_start(&h);
	helper_attach(&h, FEATURES, 1ull << VHU_PF_REPLY_ACK);
	q = front_queue(&front, 0, QUEUE, 0x10000);
	if (!front_queue_start(q))
		fail("the queue does not start");
	for (unsigned i = 0; i < kills; i++) {
		load(rnd(8000), false);
		helper_kill(&h);
		check_image(check);
		helper_start_anew(&h);
		attach();
	}
	load(10000000, true);
	helper_kill(&h);
	check_image(check);
	nap_us(100000);
	check_image(check);
	if (!flushes)
		fail("no flush was made");
	close(check);
	front_close(&front);
	close(h.far);
	for (unsigned i = 0; i < h.nfds; i++)
		close(h.fd[i]);
	unlink(image);
	return verified;
}
