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

/*
 * Frames that were read with one call. Each has room for the largest one, of which the kernel only touches what a frame
 * fills. The bytes between two slots put small frames into different sets of the processor's caches.
 */
static struct {
	const struct net_pair *pair;
	unsigned first, end; /* slot[first .. end) may be full */
	struct {
		struct held_frame frame;
		uint8_t apart[1600];
	} slot[BATCH_MAX];
} held;

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

/* Use read() and write() from now on. A frame that the io_uring still has counts as lost. */
static void stop_ring(unsigned n)
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
		struct io_uring_sqe *sqe =
			ring_push(&batch_ring, IORING_OP_WRITE, p->index, (void *)(uintptr_t)(i + 1));

		if (!sqe)
			return;
		sqe->addr = (uintptr_t)batch.part[i].iov_base;
		sqe->len = (uint32_t)batch.part[i].iov_len;
		sqe->off = UINT64_MAX;
		sqe->rw_flags = RWF_NOWAIT;
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
	if (refused || ring_unsubmitted(&batch_ring) || batch_ring.in_flight)
		stop_ring(n);
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
	return batch_ring.ok && !batch_waiting(held.pair);
}

void batch_read(const struct net_pair *p, unsigned hdr, unsigned n, int *got)
{
	bool refused = false;
	void *user;
	int res;

	held.pair = p;
	held.first = 0;
	held.end = n;
	for (unsigned i = 0; i < n; i++) {
		struct held_frame *f = batch_held(i);
		struct io_uring_sqe *sqe = ring_push(&batch_ring, IORING_OP_READ, p->index, (void *)(uintptr_t)(i + 1));

		got[i] = -ECANCELED;
		f->full = false;
		if (!sqe)
			continue;
		sqe->addr = (uintptr_t)f->data - hdr;
		sqe->len = (uint32_t)(hdr + sizeof(f->data));
		sqe->off = UINT64_MAX;
		sqe->rw_flags = RWF_NOWAIT;
	}
	(void)ring_submit(&batch_ring, 0);
	while (ring_reap(&batch_ring, &user, &res)) {
		refused |= res == -EOPNOTSUPP;
		got[(uintptr_t)user - 1] = res == -EOPNOTSUPP ? -ECANCELED : res;
	}
	if (refused || ring_unsubmitted(&batch_ring) || batch_ring.in_flight)
		stop_ring(0);
}

struct held_frame *batch_held(unsigned i)
{
	return &held.slot[i].frame;
}

struct held_frame *batch_waiting(const struct net_pair *p)
{
	if (held.pair != p)
		return NULL;
	while (held.first < held.end && !batch_held(held.first)->full)
		held.first++;
	return held.first < held.end ? batch_held(held.first) : NULL;
}

void batch_forget(const struct net_pair *p)
{
	if (held.pair == p)
		held.first = held.end;
}
