/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz: all messages of a front-end to the loop of netd and blkd, with descriptors of every
 * kind, over a socket; and rings in the memory that it passes. After each connection,
 * nothing may be left open or mapped.
 */
#include <endian.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/backend.h"
#include "common/iov.h"
#include "common/log.h"
#include "tests/fuzz/fuzz.h"

#define QUEUES	 2
#define MESSAGES 40
#define MEM	 (1u << 20)
#define UVA	 0x7f0000000000ull
#define HIGH	 200 /* above the table of a helper */

/* LOG has bits for MEM of guest memory, and ends at the end of its page. */
enum kind { SEALED, UNSEALED, TINY, EVENT, SOCKET, NULL_DEVICE, PIPE, LOG, KINDS };
#define LOG_BYTES (MEM / 4096 / 8)

static struct backend be;
static int gift[KINDS];
static uint8_t *mem, *logged;
static unsigned starts, stops;

/* The front-end makes one step of the script per turn of the loop, so that rings work in between. */
static struct input script;
static unsigned steps;
static int front;

static bool next_step(struct backend *b, int fd, uint32_t events);

static void queue_start(struct backend *b, struct vq *vq)
{
	(void)b;
	PROMISE(vq->running && vq->index < QUEUES);
	starts++;
}

static void queue_stop(struct backend *b, struct vq *vq)
{
	(void)b;
	(void)vq;
	stops++;
}

/* Answer each chain with its own bytes. */
static bool queue_work(struct backend *b, struct vq *vq, unsigned budget)
{
	static struct iovec iov[VQ_MAX_SIZE];
	uint8_t bytes[512];
	struct vq_chain c;

	PROMISE(!b->held);
	while (budget--) {
		size_t n;

		if (vq_pop(vq, iov, VQ_MAX_SIZE, &c) != VQ_POP_CHAIN)
			return false;
		n = iov_to_buf(iov, c.nout, 0, bytes, sizeof(bytes));
		n = iov_from_buf(iov + c.nout, c.nin, 0, bytes, n);
		vq_wrote(vq, iov + c.nout, c.nin, 0, n);
		vq_push(vq, c.head, (uint32_t)n);
		backend_flush(b, vq);
	}
	return true;
}

static uint8_t config[32];

static void get_config(struct backend *b, unsigned off, void *buf, unsigned len)
{
	(void)b;
	PROMISE(off <= sizeof(config) && len <= sizeof(config) - off);
	memcpy(buf, config + off, len);
}

static bool set_config(struct backend *b, unsigned off, const void *buf, unsigned len)
{
	(void)b;
	PROMISE(off <= sizeof(config) && len <= sizeof(config) - off);
	memcpy(config + off, buf, len);
	return true;
}

static bool checkpoint(struct backend *b, bool back)
{
	PROMISE(b->held);
	for (unsigned q = 0; q < QUEUES; q++)
		PROMISE(!b->vq[q].running);
	return !back;
}

static const struct backend_ops ops = {
	.name = "fuzz",
	.features = 1 << 5,
	.protocol_features = 1ull << VHU_PF_INFLIGHT_SHMFD,
	.queue_start = queue_start,
	.queue_stop = queue_stop,
	.queue_work = queue_work,
	.config_len = sizeof(config),
	.get_config = get_config,
	.set_config = set_config,
	.fd_ready = next_step,
	.checkpoint = checkpoint,
};

static int high(int fd)
{
	int to = fcntl(fd, F_DUPFD_CLOEXEC, HIGH);

	PROMISE(fd >= 0 && to >= 0);
	close(fd);
	return to;
}

static void prepare(void)
{
	static const struct backend_config c = {
		.ops = &ops,
		.device_name = "fuzz0",
		.max_queues = QUEUES,
		.features = 1 << 5,
		.log_pages = true,
		.checkpoint = true,
	};
	int pair[2];

	symbolizer_first();
	log_to_fd(high(open("/dev/null", O_WRONLY)), "fuzz", LOG_ERROR);
	gift[SEALED] = high(memfd_create("sealed", MFD_ALLOW_SEALING));
	gift[UNSEALED] = high(memfd_create("unsealed", 0));
	gift[TINY] = high(memfd_create("tiny", MFD_ALLOW_SEALING));
	PROMISE(ftruncate(gift[SEALED], MEM) == 0 && ftruncate(gift[UNSEALED], MEM) == 0);
	PROMISE(ftruncate(gift[TINY], 100) == 0);
	PROMISE(fcntl(gift[SEALED], F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0);
	gift[LOG] = high(memfd_create("log", MFD_ALLOW_SEALING));
	PROMISE(ftruncate(gift[LOG], 4096) == 0);
	logged = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, gift[LOG], 0);
	PROMISE(logged != MAP_FAILED);
	gift[EVENT] = high(eventfd(1, EFD_NONBLOCK));
	PROMISE(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	gift[SOCKET] = high(pair[0]);
	close(pair[1]);
	gift[NULL_DEVICE] = high(open("/dev/null", O_RDWR));
	PROMISE(pipe(pair) == 0);
	gift[PIPE] = high(pair[1]);
	close(pair[0]);
	mem = mmap(NULL, MEM, PROT_READ | PROT_WRITE, MAP_SHARED, gift[SEALED], 0);
	PROMISE(mem != MAP_FAILED);
	PROMISE(backend_prepare(&be, &c) == 0);
	/* An event that is always ready, so that next_step() is called in each turn. */
	PROMISE(dup2(gift[EVENT], HFD_TIMER) == HFD_TIMER);
	PROMISE(eventfd_write(HFD_TIMER, 1) == 0);
	gift[EVENT] = high(eventfd(1, EFD_NONBLOCK));
	PROMISE(backend_watch(&be, HFD_TIMER, EPOLLIN) == 0);
}

/* Fill in a mostly valid payload for requests that have one. */
static uint32_t payload(struct vhu_msg *m, struct input *in)
{
	uint8_t v = take8(in);
	uint32_t q = (v & 7) == 7 ? take8(in) : v & 1;

	switch (m->request) {
	case VHU_SET_VRING_NUM:
	case VHU_SET_VRING_BASE:
	case VHU_GET_VRING_BASE:
	case VHU_SET_VRING_ENABLE:
		m->state.index = q;
		m->state.num = v & 0x10 ? take16(in) : m->request == VHU_SET_VRING_NUM ? 8 : v >> 7;
		return sizeof(m->state);
	case VHU_SET_VRING_ADDR:
		m->addr = (struct vhu_vring_addr){ .index = q, .flags = v & 0x20 ? take8(in) : 0 };
		m->addr.desc = UVA + (v & 0x10 ? take32(in) : 0);
		m->addr.avail = UVA + 0x400 + (v & 0x40 ? take16(in) : 0);
		m->addr.used = UVA + 0x600 + (v & 0x80 ? take16(in) : 0);
		m->addr.log = m->addr.flags ? take32(in) : 0;
		return sizeof(m->addr);
	case VHU_SET_VRING_KICK:
	case VHU_SET_VRING_CALL:
	case VHU_SET_VRING_ERR:
		m->u64 = q | (v & 0x10 ? VHU_VRING_NOFD : 0);
		return sizeof(m->u64);
	case VHU_ADD_MEM_REG:
	case VHU_REM_MEM_REG:
		m->reg.padding = 0;
		m->reg.region = (struct vhu_mem_region){ .gpa = v & 0x10 ? take64(in) : 0,
							 .size = v & 0x20 ? take64(in) : MEM,
							 .uva = UVA + (v & 0x40 ? take32(in) : 0),
							 .offset = v & 0x80 ? take32(in) : 0 };
		return sizeof(m->reg);
	case VHU_SET_LOG_BASE:
		m->log.mmap_size = v & 0x10 ? take8(in) : LOG_BYTES;
		m->log.mmap_offset = 0;
		return sizeof(m->log);
	case VHU_GO:
		m->rings = (struct vhu_rings){ .what = v & 3, .nqueues = v & 0x10 ? take32(in) : QUEUES };
		m->rings.base[0] = v & 0x20 ? take16(in) : 0;
		return sizeof(m->rings);
	case VHU_SET_FEATURES:
		m->u64 = take32(in) | (uint64_t)(v & 1) << 32;
		return sizeof(m->u64);
	case VHU_SET_PROTOCOL_FEATURES:
		m->u64 = take32(in);
		return sizeof(m->u64);
	case VHU_GET_CONFIG:
	case VHU_SET_CONFIG:
		m->config.offset = v & 0x10 ? take32(in) : v & 7;
		m->config.size = v & 0x20 ? take32(in) : v >> 6;
		take(in, m->config.data, v >> 6);
		return 12 + (v >> 6);
	default:
		take(in, m->bytes, sizeof(uint64_t) * (v & 15));
		return (uint32_t)sizeof(uint64_t) * (v & 15);
	}
}

static bool send_message(int sock, struct vhu_msg *m, size_t len, const int *fds, unsigned nfds)
{
	union {
		char room[CMSG_SPACE(16 * sizeof(int))];
		struct cmsghdr align;
	} control = { { 0 } };
	struct iovec v[2] = { { m, MIN(len, (size_t)VHU_HDR_SIZE) }, { m->bytes, 0 } };
	struct msghdr mh = { .msg_iov = v, .msg_iovlen = 2 };

	if (len > VHU_HDR_SIZE)
		v[1].iov_len = len - VHU_HDR_SIZE;
	if (nfds) {
		struct cmsghdr *c;

		mh.msg_control = &control;
		mh.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		c = CMSG_FIRSTHDR(&mh);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(nfds * sizeof(int));
		memcpy(CMSG_DATA(c), fds, nfds * sizeof(int));
	}
	return sendmsg(sock, &mh, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

static bool say(int sock, struct input *in)
{
	static struct vhu_msg m;
	uint8_t request = take8(in), how = take8(in);
	int fds[16];
	unsigned nfds = how & 7;

	memset(&m, 0, sizeof(m));
	m.request = request & 0x80 ? take32(in) : request;
	m.flags = how & 0x10 ? take8(in) : VHU_VERSION | (how & 0x20 ? VHU_NEED_REPLY : 0);
	m.size = payload(&m, in);
	/* A wrong length; the bytes are those of the payload. */
	if (how & 0x40)
		m.size = how & 0x80 ? take32(in) : take8(in);
	if (nfds == 7)
		nfds = 7 + take8(in) % 9;
	for (unsigned i = 0; i < nfds; i++)
		fds[i] = gift[take8(in) % KINDS];
	return send_message(sock, &m, VHU_HDR_SIZE + MIN(m.size, sizeof(m.bytes)), fds, nfds);
}

/* Another CPU of the guest stores eight bytes into the rings, and kicks. */
static void store(struct input *in)
{
	size_t at = take16(in) % 0x800;
	uint64_t v = take64(in);

	memcpy(mem + at, &v, sizeof(v));
	eventfd_write(gift[EVENT], 1);
}

static bool next_step(struct backend *b, int fd, uint32_t events)
{
	(void)b;
	(void)fd;
	(void)events;
	if (!left(&script) || steps++ == MESSAGES) {
		shutdown(front, SHUT_WR);
	} else if (*script.p == 0x7f) {
		take8(&script);
		store(&script);
	} else if (!say(front, &script)) {
		shutdown(front, SHUT_WR);
	}
	return false;
}

/* Returns how many descriptors of a connection are open. */
static unsigned open_descriptors(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < HFD_LIMIT; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned before, rings;
	int pair[2];

	if (!mem)
		prepare();
	script = (struct input){ data, data + size };
	steps = starts = stops = 0;
	before = open_descriptors();
	memset(mem, 0, 0x1000);
	memset(logged, 0, 4096);
	rings = take8(&script);
	take(&script, mem, rings & 1 ? 128 : 0);
	take(&script, mem + 0x400, rings & 2 ? 22 : 0);
	take(&script, mem + 0x600, rings & 4 ? 4 : 0);
	PROMISE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	front = high(pair[0]);
	PROMISE(dup2(pair[1], HFD_FRONT) == HFD_FRONT);
	if (pair[1] != HFD_FRONT)
		close(pair[1]);
	PROMISE(backend_run(&be) <= 1);
	close(front);
	PROMISE(starts == stops);
	PROMISE(be.mem.nregions == 0 && !be.log.bits);
	/* take8() gives no log of more than 255 bytes. */
	for (unsigned i = 256; i < 4096; i++)
		PROMISE(!logged[i]);
	PROMISE(open_descriptors() == before);
	return 0;
}
