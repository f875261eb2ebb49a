/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The part of the tests' vhost-user front-end that uses the socket. Runs in test
 * programs only; sends messages unchecked.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/front.h"

int front_memfd(uint64_t size, bool sealed)
{
	int fd = memfd_create("front", MFD_CLOEXEC | (sealed ? MFD_ALLOW_SEALING : 0));

	if (fd < 0)
		return -1;
	if (ftruncate(fd, (off_t)size) < 0 ||
	    (sealed && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)) {
		close(fd);
		return -1;
	}
	return fd;
}

bool front_memory(struct front *f, uint64_t size, uint64_t gpa, bool sealed)
{
	void *at;

	f->memfd = front_memfd(size, sealed);
	if (f->memfd < 0)
		return false;
	at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, f->memfd, 0);
	if (at == MAP_FAILED)
		return false;
	f->mem = at;
	f->mem_size = size;
	f->gpa = gpa;
	return true;
}

bool front_connect(struct front *f, const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(a.sun_path))
		return false;
	memcpy(a.sun_path, path, strlen(path));
	f->sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return f->sock >= 0 && connect(f->sock, (struct sockaddr *)&a, sizeof(a)) == 0;
}

int front_close(struct front *f)
{
	int status = 0;

	close(f->sock);
	for (unsigned i = 0; i < FRONT_MAX_QUEUES; i++) {
		if (!f->q[i].f)
			continue;
		close(f->q[i].kick);
		close(f->q[i].call);
		close(f->q[i].err);
	}
	if (f->mem) {
		munmap(f->mem, f->mem_size);
		close(f->memfd);
	}
	if (f->pid > 0) {
		waitpid(f->pid, &status, 0);
		status = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
	}
	memset(f, 0, sizeof(*f));
	return status;
}

void *front_ptr(struct front *f, uint64_t gpa)
{
	return f->mem + (gpa - f->gpa);
}

bool front_raw(struct front *f, const void *bytes, size_t len, const int *fds, unsigned nfds)
{
	union {
		char room[CMSG_SPACE(253 * sizeof(int))];
		struct cmsghdr align;
	} control = { .room = { 0 } };
	struct iovec iov = { .iov_base = (void *)(uintptr_t)bytes, .iov_len = len };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (nfds > 253)
		return false;
	if (nfds) {
		mh.msg_control = control.room;
		mh.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(nfds * sizeof(int));
		memcpy(CMSG_DATA(&control.align), fds, nfds * sizeof(int));
	}
	return sendmsg(f->sock, &mh, MSG_NOSIGNAL) == (ssize_t)len;
}

bool front_send(struct front *f, uint32_t request, uint32_t flags, const void *payload, uint32_t size, const int *fds,
		unsigned nfds)
{
	uint8_t bytes[VHU_HDR_SIZE + 1024];
	const uint32_t header[3] = { request, VHU_VERSION | flags, size };

	if (size > 1024)
		return false;
	memcpy(bytes, header, VHU_HDR_SIZE);
	if (size)
		memcpy(bytes + VHU_HDR_SIZE, payload, size);
	return front_raw(f, bytes, VHU_HDR_SIZE + size, fds, nfds);
}

static bool wait_fd(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, ms) == 1;
}

bool front_recv(struct front *f, struct vhu_msg *m, int ms)
{
	static struct vhu_rx rx;
	bool got;

	memset(&rx, 0, sizeof(rx));
	got = wait_fd(f->sock, ms) && vhu_recv(f->sock, &rx, true) == VHU_OK;
	*m = rx.msg;
	return got;
}

bool front_closed(struct front *f, int ms)
{
	char c;

	return wait_fd(f->sock, ms) && recv(f->sock, &c, 1, MSG_PEEK) <= 0;
}

uint64_t front_ack(struct front *f, uint32_t request, const void *payload, uint32_t size, const int *fds, unsigned nfds)
{
	struct vhu_msg m;

	if (!front_send(f, request, VHU_NEED_REPLY, payload, size, fds, nfds) || !front_recv(f, &m, 5000) ||
	    m.request != request || m.size != 8)
		return UINT64_MAX;
	f->refused += m.u64 != 0;
	return m.u64;
}

uint64_t front_ack_u64(struct front *f, uint32_t request, uint64_t v)
{
	return front_ack(f, request, &v, sizeof(v), NULL, 0);
}

uint64_t front_ack_state(struct front *f, uint32_t request, uint32_t index, uint32_t num)
{
	struct vhu_vring_state s = { .index = index, .num = num };

	return front_ack(f, request, &s, sizeof(s), NULL, 0);
}

uint64_t front_ack_fd(struct front *f, uint32_t request, unsigned q, int fd)
{
	uint64_t v = q;

	return front_ack(f, request, &v, sizeof(v), &fd, 1);
}

static uint64_t get_within(struct front *f, uint32_t request, int ms)
{
	struct vhu_msg m;

	if (!front_send(f, request, 0, NULL, 0, NULL, 0) || !front_recv(f, &m, ms) || m.request != request ||
	    m.size != 8)
		return UINT64_MAX;
	return m.u64;
}

uint64_t front_get(struct front *f, uint32_t request)
{
	return get_within(f, request, 5000);
}

bool front_get_config(struct front *f, uint32_t offset, uint32_t size, void *to)
{
	struct vhu_config c = { .offset = offset, .size = size };
	struct vhu_msg m;

	if (!front_send(f, VHU_GET_CONFIG, 0, &c, 12 + size, NULL, 0) || !front_recv(f, &m, 5000) ||
	    m.request != VHU_GET_CONFIG || m.size != 12 + size)
		return false;
	memcpy(to, m.config.data, size);
	return true;
}

bool front_negotiate(struct front *f, uint64_t want, uint64_t want_protocol)
{
	/* A process that goes on with another one's files opens them before its first answer. */
	uint64_t offered = get_within(f, VHU_GET_FEATURES, PATIENCE_MS), protocol;

	if (offered == UINT64_MAX)
		return false;
	f->features = offered & want;
	if (f->features & (1ull << VHU_F_PROTOCOL_FEATURES)) {
		protocol = front_get(f, VHU_GET_PROTOCOL_FEATURES);
		if (protocol == UINT64_MAX)
			return false;
		f->protocol_features = protocol & want_protocol;
		if (!front_send(f, VHU_SET_PROTOCOL_FEATURES, 0, &f->protocol_features, 8, NULL, 0))
			return false;
	}
	return front_send(f, VHU_SET_OWNER, 0, NULL, 0, NULL, 0) &&
	       front_send(f, VHU_SET_FEATURES, 0, &f->features, 8, NULL, 0);
}

static struct vhu_mem_region whole(const struct front *f)
{
	return (struct vhu_mem_region){ .gpa = f->gpa, .size = f->mem_size, .uva = (uintptr_t)f->mem };
}

/* Send a message, and wait for its acknowledgement if that was negotiated. */
static bool say(struct front *f, uint32_t request, const void *payload, uint32_t size, const int *fds, unsigned nfds)
{
	if (f->protocol_features & (1ull << VHU_PF_REPLY_ACK))
		return front_ack(f, request, payload, size, fds, nfds) == 0;
	return front_send(f, request, 0, payload, size, fds, nfds);
}

bool front_send_memory(struct front *f)
{
	struct vhu_mem_reg r = { .region = whole(f) };

	return say(f, VHU_ADD_MEM_REG, &r, sizeof(r), &f->memfd, 1);
}

bool front_send_table(struct front *f)
{
	struct vhu_mem_table t = { .nregions = 1 };

	t.regions[0] = whole(f);
	return say(f, VHU_SET_MEM_TABLE, &t, 8 + sizeof(t.regions[0]), &f->memfd, 1);
}

static bool say_fd(struct front_queue *q, uint32_t request, int fd)
{
	uint64_t v = q->index;

	return say(q->f, request, &v, sizeof(v), &fd, 1);
}

static bool say_state(struct front_queue *q, uint32_t request, uint32_t num)
{
	struct vhu_vring_state s = { .index = q->index, .num = num };

	return say(q->f, request, &s, sizeof(s), NULL, 0);
}

bool front_queue_fds(struct front_queue *q)
{
	return say_fd(q, VHU_SET_VRING_KICK, q->kick) && say_fd(q, VHU_SET_VRING_CALL, q->call) &&
	       say_fd(q, VHU_SET_VRING_ERR, q->err);
}

bool front_queue_setup(struct front_queue *q, uint16_t base)
{
	struct vhu_vring_addr a = {
		.index = q->index, .desc = (uintptr_t)q->desc, .avail = (uintptr_t)q->avail, .used = (uintptr_t)q->used
	};

	return say_state(q, VHU_SET_VRING_NUM, q->size) && say_state(q, VHU_SET_VRING_BASE, base) &&
	       say(q->f, VHU_SET_VRING_ADDR, &a, sizeof(a), NULL, 0);
}

bool front_queue_enable(struct front_queue *q, bool on)
{
	return say_state(q, VHU_SET_VRING_ENABLE, on);
}

bool front_queue_start(struct front_queue *q)
{
	return front_queue_setup(q, q->used_seen) && front_queue_fds(q) &&
	       (!(q->f->features & (1ull << VHU_F_PROTOCOL_FEATURES)) || front_queue_enable(q, true));
}

int front_queue_stop(struct front_queue *q)
{
	struct vhu_vring_state s = { .index = q->index };
	struct vhu_msg m;

	if (!front_send(q->f, VHU_GET_VRING_BASE, 0, &s, sizeof(s), NULL, 0) || !front_recv(q->f, &m, 5000) ||
	    m.request != VHU_GET_VRING_BASE || m.size != sizeof(s))
		return -1;
	return (int)m.state.num;
}
