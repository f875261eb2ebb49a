/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sends or reads many small frames with one system call. Runs in netd, on private copies; batch_open() runs before
 * confinement.
 *
 * RWF_NOWAIT makes each operation complete inside io_uring_enter(2): it is never left to a thread
 * of the kernel, and nothing is in flight between two calls. So frames keep their order.
 */
#include <errno.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/sandbox.h"
#include "netd/batch.h"

/* The result of a frame: the tap is full, or nobody has tried to send it yet. */
#define NOT_SENT (-EAGAIN)

struct ring batch_ring;
static struct {
	unsigned n; /* Frames that wait */
	uint16_t head[BATCH_MAX];
	int result[BATCH_MAX]; /* Bytes sent, or -errno */
	struct iovec part[BATCH_MAX];
	struct frame_copy copy[BATCH_MAX];
} batch;

/* Bytes between two slots of frames: they put small frames into different sets of the processor's caches. */
#define SLOT_GAP 1600

/* Frames that were read with one call. Each has room for the largest one; the kernel only touches what it fills. */
static struct {
	const struct net_pair *pair;
	unsigned first, end; /* slot[first .. end) may be full */
	struct {
		struct held_frame frame;
		uint8_t gap[SLOT_GAP];
	} slot[BATCH_MAX];
} many;

int batch_open(unsigned pairs)
{
	static const uint8_t ops[] = { IORING_OP_WRITE, IORING_OP_READ };
	int files[NETD_MAX_PAIRS + 1];
	struct ring_setup s = {
		.at = HFD_RING, .event = -1, .entries = BATCH_MAX, .ops = ops, .nops = ARRAY_SIZE(ops), .files = files
	};
	struct stat st;

	for (; s.nfiles < pairs && s.nfiles < NETD_MAX_PAIRS; s.nfiles++)
		files[s.nfiles] = HFD_TAP0 + (int)s.nfiles;
	if (fstat(HFD_CTL, &st) == 0 && S_ISSOCK(st.st_mode))
		files[s.nfiles++] = HFD_CTL;
	return ring_open(&batch_ring, &s);
}

void batch_mseal(void)
{
	if (!batch_ring.ok)
		return;
	sandbox_mseal(batch_ring.map, batch_ring.map_len);
	sandbox_mseal(batch_ring.sqes, batch_ring.sqes_len);
}

bool batch_works(void)
{
	return batch_ring.ok;
}

struct frame_copy *batch_next(void)
{
	return &batch.copy[batch.n];
}

void batch_add(uint16_t head, const void *at, size_t len)
{
	batch.head[batch.n] = head;
	batch.result[batch.n] = NOT_SENT;
	batch.part[batch.n++] = (struct iovec){ (void *)(uintptr_t)at, len };
}

/* Queue operation number @i, on @len bytes @at, for the tap of @p. False if the ring is full. */
static bool push(uint8_t opcode, const struct net_pair *p, unsigned i, const void *at, size_t len)
{
	struct io_uring_sqe *sqe = ring_push(&batch_ring, opcode, p->index, (void *)(uintptr_t)(i + 1));

	if (!sqe)
		return false;
	sqe->addr = (uintptr_t)at;
	sqe->len = (uint32_t)len;
	sqe->off = UINT64_MAX;
	sqe->rw_flags = RWF_NOWAIT;
	return true;
}

/* Use read() and write() from now on if the ring has @refused an operation, or has not done all of them. */
static bool must_stop(bool refused)
{
	return refused || ring_unsubmitted(&batch_ring) || batch_ring.in_flight;
}

/* A frame of the first @n that the io_uring still has counts as lost. */
static void stop_sending(unsigned n)
{
	void *user;

	while ((user = ring_take_back(&batch_ring)))
		batch.result[(uintptr_t)user - 1] = NOT_SENT;
	for (unsigned i = 0; i < n; i++)
		if (batch.result[i] == -EINPROGRESS)
			batch.result[i] = -EIO;
	batch_ring.ok = false;
}

/* Try to send all of the first @n frames with one call. */
static void send_by_ring(const struct net_pair *p, unsigned n)
{
	bool refused = false;
	void *user;
	int res;

	for (unsigned i = 0; i < n; i++) {
		if (!push(IORING_OP_WRITE, p, i, batch.part[i].iov_base, batch.part[i].iov_len))
			return;
		batch.result[i] = -EINPROGRESS;
	}
	res = ring_submit(&batch_ring, batch_ring.queued);
	while (ring_reap(&batch_ring, &user, &res)) {
		/*
		 * Before Linux 6.4 a tap does not know RWF_NOWAIT. A tap that can be full (its owner has set
		 * TUNSETSNDBUF) may refuse a frame and accept the next one, which changes their order.
		 */
		refused |= res == -EOPNOTSUPP || res == -EAGAIN;
		batch.result[(uintptr_t)user - 1] = res == -EOPNOTSUPP ? NOT_SENT : res;
	}
	if (must_stop(refused))
		stop_sending(n);
}

/* Send what is left, frame by frame, until the tap is full. */
static void send_by_write(const struct net_pair *p, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		ssize_t sent;

		if (batch.result[i] != NOT_SENT)
			continue;
		do
			sent = write(p->tap, batch.part[i].iov_base, batch.part[i].iov_len);
		while (sent < 0 && errno == EINTR);
		batch.result[i] = sent < 0 ? -errno : (int)sent;
		if (batch.result[i] == NOT_SENT)
			return;
	}
}

static void count(struct stats *s, int result)
{
	if (result >= 0) {
		s->frames_out++;
		s->bytes_written += (unsigned)result;
	} else if (result == NOT_SENT) {
		/* The tap was full for it, and had room for a later one. */
		s->dropped_full++;
	} else if (result == -EINVAL) {
		s->dropped_bad++;
	} else {
		s->io_errors++;
	}
}

bool batch_send(struct backend *be, struct net_pair *p, struct vq *vq, unsigned later)
{
	unsigned n = batch.n, done = n;

	batch.n = 0;
	if (n >= BATCH_WORTH && batch_ring.ok)
		send_by_ring(p, n);
	send_by_write(p, n);
	while (done && batch.result[done - 1] == NOT_SENT)
		done--;
	for (unsigned i = 0; i < done; i++) {
		count(&be->stats, batch.result[i]);
		vq_push(vq, batch.head[i], 0);
	}
	if (done == n)
		return true;
	vq_unpop(vq, n - done + later);
	p->tap_full = true;
	return false;
}

bool batch_can_read(void)
{
	return batch_ring.ok && !batch_waiting(many.pair);
}

void batch_read(const struct net_pair *p, unsigned hdr, unsigned n, int *got)
{
	bool refused = false;
	void *user;
	int res;

	many.pair = p;
	many.first = 0;
	many.end = n;
	for (unsigned i = 0; i < n; i++) {
		struct held_frame *f = batch_frame(i);

		got[i] = -ECANCELED;
		f->full = false;
		(void)push(IORING_OP_READ, p, i, (const uint8_t *)f + offsetof(struct held_frame, data) - hdr,
			   hdr + sizeof(f->data));
	}
	(void)ring_submit(&batch_ring, 0);
	while (ring_reap(&batch_ring, &user, &res)) {
		refused |= res == -EOPNOTSUPP;
		got[(uintptr_t)user - 1] = res == -EOPNOTSUPP || res == -EINTR ? -ECANCELED : res;
	}
	if (!must_stop(refused))
		return;
	while (ring_take_back(&batch_ring))
		;
	batch_ring.ok = false;
}

struct held_frame *batch_frame(unsigned i)
{
	return &many.slot[i].frame;
}

struct held_frame *batch_waiting(const struct net_pair *p)
{
	if (many.pair != p)
		return NULL;
	while (many.first < many.end && !batch_frame(many.first)->full)
		many.first++;
	return many.first < many.end ? batch_frame(many.first) : NULL;
}

void batch_forget(const struct net_pair *p)
{
	if (many.pair == p)
		many.first = many.end;
}
