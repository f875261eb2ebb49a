/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The block device for the loop of common/backend.h: queues, configuration space, start
 * and end. Runs in blkd. The work of one turn is bounded, so that no queue or chain can
 * starve the others.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "blkd/device.h"
#include "blkd/io_sync.h"
#include "blkd/saved.h"
#include "blkd/transfer.h"
#include "common/closefds.h"
#include "common/fmt.h"
#include "common/sandbox.h"

static struct blkd *device(struct backend *be)
{
	return be->c.device;
}

static void flush_dirty(struct backend *be, struct blkd *d)
{
	while (d->dirty) {
		unsigned q = (unsigned)__builtin_ctz(d->dirty);

		d->dirty &= ~(1u << q);
		backend_flush(be, &be->vq[q]);
	}
}

/* The chains of @vq must wait: add it to @waiters and leave its kicks disabled until wake_all(). */
static void hold(struct vq *vq, uint32_t *waiters)
{
	*waiters |= 1u << vq->index;
	vq->quiet = true;
}

/*
 * Have epoll report the next expiry of the rate limit's timer. The descriptor is watched
 * edge-triggered: without this read it is not reported again, so blkd is not woken while
 * no queue waits.
 */
static void restart_timer(void)
{
	uint64_t ticks;

	/* EAGAIN: it has not expired since the last read, so it will expire anyway. */
	if (read(HFD_TIMER, &ticks, sizeof(ticks)) < 0)
		return;
}

static bool have_slot(const struct blkd *d)
{
	return d->free || d->fresh < ARRAY_SIZE(d->req);
}

static struct blk_req *first_slot(struct blkd *d)
{
	return d->free ? d->free : &d->req[d->fresh];
}

static void take_slot(struct blkd *d)
{
	if (d->free)
		d->free = d->free->next;
	else
		d->fresh++;
}

static bool take_chains(struct backend *be, struct blkd *d, struct vq *vq, unsigned budget)
{
	uint64_t bytes = 0, called_at = 0, submitted_at = 0;

	for (; budget && bytes < BLK_TURN_BYTES; budget--) {
		struct blk_req *r = have_slot(d) ? first_slot(d) : NULL;
		struct vq_chain c;
		enum guest_fault f;

		if (!r) {
			hold(vq, &d->slot_waiters);
			return false;
		}
		if (!limit_ready(&d->limit, d->limit.on ? now_us() : 0)) {
			d->stats->throttled++;
			hold(vq, &d->rate_waiters);
			restart_timer();
			return false;
		}
		if (vq_pop(vq, r->iov, ARRAY_SIZE(r->iov), &c) != VQ_POP_CHAIN)
			return false;
		f = blk_judge(&d->shape, &c, r);
		if (f != FAULT_NONE) {
			guest_fault(vq, f, c.head);
			return false;
		}
		take_slot(d);
		r->vq = vq;
		limit_take(&d->limit, r->data_len);
		/* Discard and write-zeroes finish inside blkd_begin() and may take long: one in each turn. */
		bytes += r->nranges ? BLK_TURN_BYTES : r->data_len;
		blkd_begin(d, r);
		if (blkd_call_due(d, vq, bytes - called_at)) {
			flush_dirty(be, d);
			called_at = bytes;
		} else if (budget % BLK_PUBLISH == 0) {
			vq_publish(vq);
		}
		if (ring_batch_due(&d->ring, bytes - submitted_at, vq_known(vq))) {
			blkd_pump(d, UINT32_MAX);
			submitted_at = bytes;
		}
	}
	return true;
}

/* Let the loop serve each queue in @waiters again. */
static void wake_all(struct backend *be, uint32_t *waiters)
{
	for (; *waiters; *waiters &= *waiters - 1) {
		struct vq *vq = &be->vq[__builtin_ctz(*waiters)];

		vq->quiet = false;
		backend_wake(be, vq);
	}
}

/*
 * Call this after blkd_pump(): publish the requests that it finished, and let queues
 * continue that wait for the slots freed by them. No descriptor reports these completions.
 */
static void after_pump(struct backend *be, struct blkd *d)
{
	be->host_busy = d->ring.in_flight;
	flush_dirty(be, d);
	if (have_slot(d))
		wake_all(be, &d->slot_waiters);
}

static bool queue_work(struct backend *be, struct vq *vq, unsigned budget)
{
	struct blkd *d = device(be);
	bool more;

	d->stats = &be->stats;
	more = take_chains(be, d, vq, budget);
	blkd_pump(d, UINT32_MAX);
	after_pump(be, d);
	return more;
}

static void completions(struct backend *be, struct blkd *d)
{
	blkd_pump(d, UINT32_MAX);
	after_pump(be, d);
}

static bool poll_ring(struct backend *be)
{
	struct blkd *d = device(be);

	if (!ring_has_news(&d->ring))
		return false;
	d->stats = &be->stats;
	completions(be, d);
	return true;
}

static bool fd_ready(struct backend *be, int fd, uint32_t events)
{
	struct blkd *d = device(be);

	(void)events;
	d->stats = &be->stats;
	if (fd == HFD_TIMER)
		wake_all(be, &d->rate_waiters);
	else
		completions(be, d);
	return false;
}

static void forget_waiter(struct blkd *d, const struct vq *vq)
{
	d->slot_waiters &= ~(1u << vq->index);
	d->rate_waiters &= ~(1u << vq->index);
}

static void queue_stop(struct backend *be, struct vq *vq)
{
	struct blkd *d = device(be);

	d->stats = &be->stats;
	forget_waiter(d, vq);
	while (d->busy[vq->index] && !d->ring_broken)
		blkd_pump(d, d->ring.in_flight ? d->ring.in_flight - 1 : 0);
	after_pump(be, d);
}

static void queue_start(struct backend *be, struct vq *vq)
{
	forget_waiter(device(be), vq);
}

static void judge_durability(struct blkd *d)
{
	/* 5.2.5.2: without FLUSH the driver cannot make data durable, so each write must be durable itself. */
	bool can_flush = d->driver_features & BIT64(VIRTIO_BLK_F_FLUSH);

	d->dsync = d->cfg.cache != BLK_CACHE_UNSAFE && !d->snap.on && !(can_flush && d->wce);
}

static void set_features(struct backend *be, uint64_t features)
{
	struct blkd *d = device(be);

	d->driver_features = features;
	d->shape.discard = features & d->features & BIT64(VIRTIO_BLK_F_DISCARD);
	d->shape.write_zeroes = features & d->features & BIT64(VIRTIO_BLK_F_WRITE_ZEROES);
	judge_durability(d);
}

static void set_wce(struct blkd *d, bool wce)
{
	d->wce = wce;
	if (d->note)
		WRITE_ONCE(*d->note, !wce);
	judge_durability(d);
}

void blkd_keep_note(struct blkd *d, uint64_t *note)
{
	d->note = note;
	set_wce(d, READ_ONCE(*note) != 1);
}

static void reset(struct backend *be)
{
	struct blkd *d = device(be);

	d->driver_features = 0;
	set_wce(d, true);
}

/* A disk without a snapshot has no state but the driver's choices, which the front-end sends. */
static bool checkpoint(struct backend *be, bool back)
{
	struct blkd *d = device(be);

	/* The checkpoint is the lower level; a reset comes with another process. */
	if (d->snap.low_bits)
		return true;
	if (d->snap.on && !d->snap.kept_now)
		return false;
	snapshot_checkpoint(&d->snap, back);
	return d->snap.on || d->shape.read_only;
}

static bool saved(struct backend *be, bool load, struct vhu_saved *m)
{
	struct blkd *d = device(be);

	if (!d->snap.on || !d->cfg.saved)
		return false;
	if (load)
		saved_read(&d->snap, HFD_FROM, m);
	else
		saved_write(&d->snap, HFD_SAVE, m);
	return true;
}

static uint8_t exponent(uint64_t v)
{
	return v ? (uint8_t)(63 - __builtin_clzll(v)) : 0;
}

static void get_config(struct backend *be, unsigned off, void *buf, unsigned len)
{
	struct blkd *d = device(be);
	uint64_t bs = d->cfg.blk_size, phys = MAX(d->cfg.phys_size, bs);
	struct virtio_blk_config c;

	memset(&c, 0, sizeof(c));
	c.capacity = htole64(d->cfg.capacity >> SECTOR_SHIFT);
	c.seg_max = htole32(BLK_SEG_MAX);
	c.blk_size = htole32((uint32_t)bs);
	c.physical_block_exp = exponent(phys / bs);
	c.min_io_size = htole16((uint16_t)MIN(phys / bs, UINT16_MAX));
	c.opt_io_size = htole32((uint32_t)MIN(d->cfg.opt_io / bs, UINT32_MAX));
	c.wce = d->wce;
	c.num_queues = htole16(d->cfg.queues);
	c.max_discard_sectors = htole32(BLK_MAX_DISCARD);
	c.max_discard_seg = htole32(BLK_MAX_SEGS);
	c.discard_sector_alignment = htole32((uint32_t)(phys >> SECTOR_SHIFT));
	c.max_write_zeroes_sectors = htole32(BLK_MAX_ZEROES);
	c.max_write_zeroes_seg = htole32(1);
	c.write_zeroes_may_unmap = 1;
	memcpy(buf, (const uint8_t *)&c + off, len);
}

static bool set_config(struct backend *be, unsigned off, const void *buf, unsigned len)
{
	struct blkd *d = device(be);
	uint8_t wce;

	/* 5.2.5.1: the driver may write only this field. */
	if (off != offsetof(struct virtio_blk_config, wce) || len != 1)
		return false;
	memcpy(&wce, buf, 1);
	if (wce > 1)
		return false;
	set_wce(d, wce);
	return true;
}

static const struct backend_ops ops = {
	.name = "blk",
	.features = BIT64(VIRTIO_BLK_F_SEG_MAX) | BIT64(VIRTIO_BLK_F_BLK_SIZE) | BIT64(VIRTIO_BLK_F_TOPOLOGY) |
		    BIT64(VIRTIO_BLK_F_FLUSH) | BIT64(VIRTIO_BLK_F_CONFIG_WCE) | BIT64(VIRTIO_BLK_F_RO) |
		    BIT64(VIRTIO_BLK_F_MQ) | BIT64(VIRTIO_BLK_F_DISCARD) | BIT64(VIRTIO_BLK_F_WRITE_ZEROES),
	.protocol_features = BIT64(VHU_PF_INFLIGHT_SHMFD),
	.set_features = set_features,
	.queue_start = queue_start,
	.queue_stop = queue_stop,
	.queue_work = queue_work,
	.fd_ready = fd_ready,
	.config_len = sizeof(struct virtio_blk_config),
	.get_config = get_config,
	.set_config = set_config,
	.reset = reset,
	.checkpoint = checkpoint,
	.saved = saved,
	.poll = poll_ring,
};

static uint64_t offered(const struct blkd *d, bool can_discard)
{
	uint64_t f = ops.features;

	if (d->shape.read_only)
		f &= ~BIT64(VIRTIO_BLK_F_WRITE_ZEROES);
	else
		f &= ~BIT64(VIRTIO_BLK_F_RO);
	if (d->shape.read_only || !can_discard)
		f &= ~BIT64(VIRTIO_BLK_F_DISCARD);
	if (d->cfg.queues < 2)
		f &= ~BIT64(VIRTIO_BLK_F_MQ);
	return f;
}

/*
 * FALLOCATE is not among them: its mode cannot be restricted, and with KEEP_SIZE a
 * compromised blkd could allocate space behind the end of the image until the host's disk is
 * full.
 */
const uint8_t blk_ring_ops[BLK_RING_OPS] = { IORING_OP_READ, IORING_OP_READV, IORING_OP_WRITE, IORING_OP_WRITEV,
					     IORING_OP_FSYNC };

/*
 * Open the io_uring, unless io=sync. When blkd is killed, its io_uring stays alive until the
 * last operation has finished. The control channel is registered with it as a file, so the
 * supervisor sees that channel closed only then, and starts the next blkd only then: its
 * operations never overlap with ours. Returns 0 or -errno.
 */
static int open_ring(struct blkd *d)
{
	int files[4] = { d->base.fd, d->delta.fd, HFD_LOWER };
	struct ring_setup s = { .at = HFD_RING,
				.event = HFD_RINGEV,
				.entries = RING_ENTRIES,
				.ops = blk_ring_ops,
				.nops = BLK_RING_OPS,
				.files = files };
	unsigned n = d->cfg.lower ? BLKD_LOWER_SLOT + 1 : d->snap.on ? 2 : 1;
	struct stat st;

	if (d->cfg.io == BLK_IO_SYNC)
		return 0;
	if (fstat(HFD_CTL, &st) == 0 && S_ISSOCK(st.st_mode))
		files[n++] = HFD_CTL;
	s.nfiles = n;
	return ring_open(&d->ring, &s);
}

static bool arm_timer(void)
{
	struct itimerspec its = {
		.it_value = { 0, BUCKET_TICK_MS * 1000000l },
		.it_interval = { 0, BUCKET_TICK_MS * 1000000l },
	};
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);

	if (place_fd(fd, HFD_TIMER) < 0)
		return false;
	return timerfd_settime(HFD_TIMER, 0, &its, NULL) == 0;
}

static bool config_ok(const struct blk_config *c)
{
	return c->capacity && c->capacity % SECTOR_SIZE == 0 && c->capacity <= INT64_MAX && c->queues &&
	       c->queues <= MAX_QUEUES && c->cache <= BLK_CACHE_UNSAFE && c->io <= BLK_IO_SYNC &&
	       c->serial[BLK_ID_LEN] == '\0';
}

int blkd_init(struct blkd *d, const struct blk_config *c, int disk, int delta, char *why, size_t why_size)
{
	int missing = 0, err;

	if (!config_ok(c)) {
		fmt_line(why, why_size, "the supervisor sent an invalid disk configuration");
		return -1;
	}
	memset(d, 0, offsetof(struct blkd, part));
	d->cfg = *c;
	if (!is_power_of_two(d->cfg.blk_size) || d->cfg.blk_size < SECTOR_SIZE || d->cfg.blk_size > IMAGE_MAX_ALIGN)
		d->cfg.blk_size = SECTOR_SIZE;
	d->shape.capacity = c->capacity;
	d->shape.read_only = c->read_only;
	d->wce = true;
	image_probe(&d->base, disk, 0, c->direct, c->blk_size, c->capacity);
	if (c->direct && !c->read_only && !c->snapshot && !is_aligned(c->capacity, d->base.off_align)) {
		fmt_line(why, why_size,
			 "direct I/O needs blocks of %u bytes on this file system, but the image's size is not a "
			 "multiple of that; enlarge the image (truncate) or do not use direct I/O",
			 d->base.off_align);
		return -1;
	}
	if (c->snapshot && !c->read_only) {
		image_probe(&d->delta, delta, 1, false, 0, c->capacity);
		err = snapshot_init(&d->snap, &d->base, &d->delta, c->capacity);
		if (err) {
			fmt_line(why, why_size, "out of memory for the map of the snapshot");
			return -1;
		}
	}
	err = open_ring(d);
	if (err && c->io == BLK_IO_URING) {
		errno = -err;
		fmt_line(why, why_size, "io_uring is not available: %m; use io=auto or io=sync");
		return -1;
	}
	if (err) {
		errno = -err;
		log_line(LOG_INFO, "io_uring is not available (%m): using preadv2 and pwritev2, which is slower");
		missing |= LAYER_BIT(LAYER_IO_URING);
	}
	limit_init(&d->limit, c->rate_ops, c->rate_bytes, now_us());
	if (d->limit.on && !arm_timer()) {
		fmt_line(why, why_size, "cannot create the timer of the rate limit: %m");
		return -1;
	}
	d->features = offered(d, c->discard);
	judge_durability(d);
	return missing;
}

void blkd_mseal(const struct blkd *d)
{
	if (d->ring.ok) {
		sandbox_mseal(d->ring.map, d->ring.map_len);
		sandbox_mseal(d->ring.sqes, d->ring.sqes_len);
	}
	if (d->snap.on)
		sandbox_mseal(d->snap.bits, d->snap.bits_len);
	if (d->snap.kept_now)
		sandbox_mseal(d->snap.kept_now, d->snap.levels_len);
	if (d->snap.low_bits)
		sandbox_mseal((void *)(uintptr_t)d->snap.low_bits, d->snap.bits_len);
}

void blkd_backend(struct blkd *d, const char *name, struct backend_config *bc)
{
	bc->ops = &ops;
	bc->device = d;
	bc->device_name = name;
	bc->max_queues = d->cfg.queues;
	bc->features = d->features;
}

int blkd_watch(struct blkd *d, struct backend *be)
{
	if (d->ring.ok && backend_watch(be, HFD_RINGEV, EPOLLIN | EPOLLET))
		return -1;
	if (d->limit.on && backend_watch(be, HFD_TIMER, EPOLLIN | EPOLLET))
		return -1;
	return 0;
}

int blkd_sync(struct blkd *d)
{
	if (d->snap.on || d->shape.read_only || d->cfg.cache == BLK_CACHE_UNSAFE)
		return 0;
	return io_flush(&d->base);
}
