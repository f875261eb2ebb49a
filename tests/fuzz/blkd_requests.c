/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz: requests to the block device without its loop, on an image in memory. The input
 * determines headers, segments, lengths and directions. Each taken chain must be answered
 * once with a status; the disk keeps its size, and a read-only disk its content.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/virtio_config.h>

#include "blkd/device.h"
#include "blkd/transfer.h"
#include "common/log.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/world.h"

#define DISK   (64u << 10)
#define HEADER DATA
#define STATUS (DATA + 0x800)
#define STEPS  64

enum { PLAIN, READ_ONLY, SNAPSHOT, DISKS };

static struct world *w;
static struct blkd disk[DISKS];
static struct backend_config config[DISKS];
static int image[DISKS], delta;
static uint8_t *content[DISKS];
static struct backend be;
static unsigned faults;

static int high(int fd)
{
	int to = fcntl(fd, F_DUPFD_CLOEXEC, 200);

	PROMISE(fd >= 0 && to >= 0);
	close(fd);
	return to;
}

static int new_image(void)
{
	int fd = high(memfd_create("disk", 0));

	PROMISE(ftruncate(fd, DISK) == 0);
	return fd;
}

static void prepare(void)
{
	symbolizer_first();
	log_to_fd(high(open("/dev/null", O_WRONLY)), "fuzz", LOG_ERROR);
	w = world_new();
	delta = new_image();
	for (unsigned i = 0; i < DISKS; i++) {
		struct blk_config c = { .capacity = DISK,
					.blk_size = 512,
					.queues = 1,
					.serial = "fuzz",
					.discard = true,
					.read_only = i == READ_ONLY,
					.snapshot = i == SNAPSHOT,
					.io = i == PLAIN ? BLK_IO_AUTO : BLK_IO_SYNC };
		char why[LOG_LINE_MAX];

		image[i] = new_image();
		content[i] = mmap(NULL, DISK, PROT_READ | PROT_WRITE, MAP_SHARED, image[i], 0);
		PROMISE(content[i] != MAP_FAILED);
		PROMISE(blkd_init(&disk[i], &c, image[i], delta, why, sizeof(why)) >= 0);
		blkd_backend(&disk[i], "fuzz0", &config[i]);
	}
}

static void on_fault(struct vq *vq, enum guest_fault f, uint64_t detail)
{
	(void)vq;
	(void)detail;
	PROMISE(f > FAULT_NONE && f < FAULT_COUNT);
	faults++;
}

static void start(uint8_t how)
{
	const struct vq_setup s = {
		.size = WORLD_SIZE, .desc = DESC, .avail = AVAIL, .used = USED, .indirect = how & 8
	};

	memset(w->room[0], 0, A_LEN);
	be.vq[0] = (struct vq){ .name = "fuzz0", .on_fault = on_fault };
	PROMISE(vq_start(&be.vq[0], &w->mem, &s) == VQ_START_OK);
	be.c.ops->queue_start(&be, &be.vq[0]);
}

static void stop(void)
{
	be.c.ops->queue_stop(&be, &be.vq[0]);
	/* A faulty chain is never answered. */
	PROMISE(be.vq[0].in_flight == (be.vq[0].broken ? be.vq[0].in_flight & 1 : 0));
	PROMISE(!disk[PLAIN].busy[0]);
}

/* Returns the address of a segment's data: in any region, across two, or outside. */
static uint64_t somewhere(struct input *in)
{
	uint8_t what = take8(in);

	switch (what & 7) {
	case 0:
		return take64(in);
	case 1:
		return B_GPA - what / 8 * 16;
	case 2:
		return C_GPA + what / 8;
	case 3:
		return HEADER;
	default:
		return B_GPA + what / 8 * 512;
	}
}

/* Offer a chain of a header, up to six segments and a status byte; each may be invalid. */
static void offer(struct input *in)
{
	struct virtio_blk_outhdr h = { 0 };
	uint8_t what = take8(in), type = take8(in);
	unsigned n = 0, segs = what & 7;

	h.type = type & 0x80 ? take32(in) : type & 15;
	h.sector = type & 0x40 ? take64(in) : take8(in);
	memcpy(shm_ptr(&w->mem, HEADER, 16), &h, sizeof(h));
	if (what & 8)
		take(in, shm_ptr(&w->mem, B_GPA, 64), 64); /* discard segments */
	world_put(w, DESC, n++, (struct vring_desc){ HEADER, what & 16 ? take8(in) : 16, VRING_DESC_F_NEXT, 1 });
	for (; segs && n < WORLD_SIZE - 1; segs--) {
		uint16_t len = take16(in);

		world_put(w, DESC, n,
			  (struct vring_desc){ somewhere(in), len & 0x8000 ? len : len / 512 % 16 * 512,
					       (uint16_t)(VRING_DESC_F_NEXT | (len & 1 ? VRING_DESC_F_WRITE : 0)),
					       (uint16_t)(n + 1) });
		n++;
	}
	*(uint8_t *)shm_ptr(&w->mem, STATUS, 1) = 0xee;
	world_put(w, DESC, n,
		  (struct vring_desc){ STATUS, what & 32 ? take8(in) : 1, what & 64 ? take16(in) : VRING_DESC_F_WRITE,
				       0 });
	be.vq[0].avail->ring[be.vq[0].avail->idx % WORLD_SIZE] = what & 128 ? take16(in) : 0;
	be.vq[0].avail->idx++;
}

static void work(bool good_status)
{
	struct vq *vq = &be.vq[0];
	uint16_t used = vq->used->idx;
	uint64_t chains = vq->n_chains;
	unsigned before = faults, writable = 0;

	/* Remember the chain as it was offered, because data read from the disk may overwrite the table. */
	for (unsigned i = 0; i < WORLD_SIZE; i++)
		if (vq->desc[i].flags & VRING_DESC_F_WRITE)
			writable += vq->desc[i].len;
	be.c.ops->queue_work(&be, vq, 8);
	while (disk[PLAIN].busy[0])
		blkd_pump(&disk[PLAIN], 0);
	be.c.ops->fd_ready(&be, HFD_RINGEV, 0);
	if (faults != before) {
		PROMISE(faults == before + 1 && !vq->running);
		return;
	}
	PROMISE(vq->n_chains == chains + 1 && vq->in_flight == 0);
	PROMISE((uint16_t)(vq->used->idx - used) == 1);
	PROMISE(vq->used->ring[used % WORLD_SIZE].len <= writable);
	if (good_status)
		PROMISE(*(uint8_t *)shm_ptr(&w->mem, STATUS, 1) <= VIRTIO_BLK_S_UNSUPP);
}

static void check_disks(unsigned which)
{
	struct stat st;

	PROMISE(fstat(image[which], &st) == 0 && st.st_size == DISK);
	PROMISE(fstat(delta, &st) == 0 && st.st_size <= DISK);
	if (which == PLAIN)
		return;
	for (unsigned i = 0; i < DISK; i++)
		PROMISE(content[which][i] == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, data + size };
	unsigned which, steps = 0;
	uint8_t how;

	if (!w)
		prepare();
	how = take8(&in);
	which = (how & 3) % DISKS;
	be.c = config[which];
	be.c.ops->reset(&be);
	be.c.ops->set_features(&be, how & 4 ? take64(&in) : disk[which].features);
	if (how & 16)
		be.c.ops->set_config(&be, take8(&in), &(uint8_t){ take8(&in) }, 1 + take8(&in) % 2);
	start(how);
	while (left(&in) && steps++ < STEPS) {
		/* Bits 4 and 6 of the second byte: a status byte that may be elsewhere. */
		bool plain = !(in.p[0] & (32 | 64 | 128));

		memset(be.vq[0].desc, 0, 16 * WORLD_SIZE);
		offer(&in);
		work(plain && be.vq[0].desc[0].len == 16);
		if (!be.vq[0].running) {
			stop();
			start(how);
		}
	}
	stop();
	check_disks(which);
	return 0;
}
