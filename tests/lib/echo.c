/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The echo device. Runs in a child of a test program, with the descriptor table
 * of a helper and nothing else open.
 */
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/backend.h"
#include "common/iov.h"
#include "common/log.h"
#include "tests/lib/echo.h"
#include "tests/lib/sanitized.h"

static struct backend be;
static struct echo_config config;
static struct {
	uint16_t head[VQ_MAX_SIZE];
	uint32_t written[VQ_MAX_SIZE];
	unsigned n;
} held[ECHO_QUEUES];

static bool slow;

static void answer_held(unsigned q)
{
	for (unsigned i = 0; i < held[q].n; i++)
		vq_push(&be.vq[q], held[q].head[i], held[q].written[i]);
	config.held -= held[q].n;
	held[q].n = 0;
	backend_flush(&be, &be.vq[q]);
}

static void queue_start(struct backend *b, struct vq *vq)
{
	(void)b;
	(void)vq;
	config.starts++;
}

static void queue_stop(struct backend *b, struct vq *vq)
{
	(void)b;
	config.stops++;
	answer_held(vq->index);
}

static bool queue_work(struct backend *b, struct vq *vq, unsigned budget)
{
	static uint8_t bytes[65536];
	struct iovec iov[VQ_MAX_SIZE];
	struct vq_chain c;
	bool more = true;

	for (unsigned n = 0; n < budget; n++) {
		size_t len;

		if (vq_pop(vq, iov, VQ_MAX_SIZE, &c) != VQ_POP_CHAIN) {
			more = false;
			break;
		}
		b->stats.requests++;
		len = iov_to_buf(iov, c.nout, 0, bytes, sizeof(bytes));
		len = iov_from_buf(iov + c.nout, c.nin, 0, bytes, len);
		vq_wrote(vq, iov + c.nout, c.nin, 0, len);
		if (config.hold && held[vq->index].n < VQ_MAX_SIZE) {
			held[vq->index].head[held[vq->index].n] = c.head;
			held[vq->index].written[held[vq->index].n++] = (uint32_t)len;
			config.held++;
		} else {
			vq_push(vq, c.head, (uint32_t)len);
			/* Answer one chain at a time, so that a driver can stay ahead of the device for ever. */
			backend_flush(b, vq);
		}
	}
	if (slow)
		usleep(20);
	return more;
}

static void get_config(struct backend *b, unsigned off, void *buf, unsigned len)
{
	config.open_fds = 0;
	for (int fd = 0; !b->sealed && fd < HFD_LIMIT; fd++)
		config.open_fds += fcntl(fd, F_GETFD) >= 0;
	config.mappings = b->mem.nregions;
	memcpy(buf, (uint8_t *)&config + off, len);
}

static bool set_config(struct backend *b, unsigned off, const void *buf, unsigned len)
{
	(void)b;
	if (off != offsetof(struct echo_config, hold) || len != 1)
		return false;
	config.hold = *(const uint8_t *)buf;
	for (unsigned q = 0; q < ECHO_QUEUES && !config.hold; q++)
		answer_held(q);
	return true;
}

static void reset(struct backend *b)
{
	(void)b;
	config.resets++;
}

static bool checkpoint(struct backend *b, bool back)
{
	config.kept += !back;
	config.back += back;
	return !b->c.own_front || config.kept;
}

/* Its state for a file is a byte, or 100 when it is read. */
static bool saved(struct backend *b, bool load, struct vhu_saved *s)
{
	(void)b;
	s->at += load ? 100 : 1;
	s->state = VHU_SAVED_DONE;
	return true;
}

/* Install a filter that allows only the calls which the loop may make once it is sealed. */
static void seal(struct backend *b)
{
#define ALLOW(nr) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (nr), 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
	static const struct sock_filter insns[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		ALLOW(__NR_epoll_pwait),
		ALLOW(__NR_write),
		ALLOW(__NR_recvmsg),
		ALLOW(__NR_sendmsg),
#ifdef __NR_socketcall
		ALLOW(__NR_socketcall), /* what libc calls in its place on i386 */
#endif
		ALLOW(__NR_exit_group),
		ALLOW(__NR_clock_gettime), /* where it is not in the vDSO */
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	const struct sock_fprog prog = { ARRAY_SIZE(insns), (struct sock_filter *)(uintptr_t)insns };

	(void)b;
	if (SANITIZED)
		return;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog))
		_exit(99);
}

static const struct backend_ops ops = {
	.name = "echo",
	.features = 1ull << ECHO_FEATURE,
	.protocol_features = 1ull << VHU_PF_INFLIGHT_SHMFD,
	.queue_start = queue_start,
	.queue_stop = queue_stop,
	.queue_work = queue_work,
	.config_len = sizeof(config),
	.get_config = get_config,
	.set_config = set_config,
	.reset = reset,
	.checkpoint = checkpoint,
	.saved = saved,
};

static int serve(const struct backend_config *c, bool listening)
{
	int status;

	if (backend_prepare(&be, c) < 0)
		return 98;
	do {
		if (listening && backend_accept(&be) < 0)
			return 97;
		status = backend_run(&be);
		config.hold = 0;
	} while (listening && !be.quit);
	return status;
}

static NORETURN void child(const struct echo_options *o, int sock, int ctl, const struct stat *mem)
{
	const struct rlimit nofile = { HFD_LIMIT, HFD_LIMIT };
	struct backend_config c = { .ops = &ops,
				    .device_name = "echo0",
				    .max_queues = ECHO_QUEUES,
				    .features = ops.features,
				    .own_front = o->own_front,
				    .log_pages = o->log_pages,
				    .checkpoint = o->checkpoint,
				    .seal = seal,
				    .poll_us = o->poll_us };

	slow = o->slow;
	c.memory = (struct shm_policy){
		.same_inode = o->same_inode, .allow_unsealed = o->allow_unsealed, .dev = mem->st_dev, .ino = mem->st_ino
	};
	sock = fcntl(sock, F_DUPFD, 200);
	ctl = ctl < 0 ? -1 : fcntl(ctl, F_DUPFD, 200);
	close_range(3, 199, 0);
	if (ctl >= 0)
		dup2(ctl, HFD_CTL);
	dup2(sock, o->path ? HFD_LISTEN : HFD_FRONT);
	close_range(HFD_LIMIT, ~0u, 0);
	setrlimit(RLIMIT_NOFILE, &nofile);
	prctl(PR_SET_PDEATHSIG, 9);
	log_to_fd(2, "echo0", LOG_ERROR);
	_exit(serve(&c, o->path));
}

static bool listening_pair(const char *path, int pair[2])
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	memcpy(a.sun_path, path, MIN(strlen(path), sizeof(a.sun_path) - 1));
	pair[0] = -1;
	pair[1] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return pair[1] >= 0 && bind(pair[1], (struct sockaddr *)&a, sizeof(a)) == 0 && listen(pair[1], 4) == 0;
}

bool echo_start(struct front *f, const struct echo_options *o, int *ctl)
{
	struct stat mem = { 0 };
	int pair[2], control[2] = { -1, -1 };

	if (o->path ? !listening_pair(o->path, pair) : socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return false;
	if (ctl && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control) < 0)
		return false;
	if (f->mem && fstat(f->memfd, &mem) < 0)
		return false;
	f->pid = fork();
	if (f->pid == 0)
		child(o, pair[1], control[1], &mem);
	close(pair[1]);
	f->sock = pair[0];
	if (ctl) {
		close(control[1]);
		*ctl = control[0];
	}
	return f->pid > 0;
}
