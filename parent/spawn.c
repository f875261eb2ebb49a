/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Spawners, seen from the parent and later the supervisor: making them, and
 * what is said to and heard from them. What a spawner says is judged: a packet
 * of another size ends it. It is never waited for without a limit.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"
#include "policy/policies.h"
#include "room.h"

/* The slowest host that is still worth starting a guest on. */
#define READY_MS 20000
#define END_MS	 5000

static pid_t clone_flags(unsigned long flags)
{
	return (pid_t)syscall(__NR_clone, flags | SIGCHLD, 0UL, 0UL, 0UL, 0UL);
}

/* Process 1 of a new pid namespace (and, without privilege, owner of a new user namespace), as far
 * as the host lets us. */
static pid_t clone_room(const struct room *r, int sock)
{
	bool root = geteuid() == 0;
	uint32_t missing = 0;
	pid_t pid = clone_flags(CLONE_NEWPID | (root ? 0UL : (unsigned long)CLONE_NEWUSER));

	if (pid == 0)
		spawn_child(r, sock, !root, 0);
	if (pid > 0)
		return pid;
	missing = LAYER_BIT(LAYER_NAMESPACES) | (root ? 0 : LAYER_BIT(LAYER_USERNS));
	pid = clone_flags(0);
	if (pid == 0)
		spawn_child(r, sock, false, missing);
	return pid;
}

int spawner_begin(struct spawner *s, const struct room *asked)
{
	struct room room = *asked;
	const struct room *r = &room;
	int pair[2];

	room.own_uid = getuid();
	room.own_gid = getgid();
	memset(s, 0, sizeof(*s));
	s->name = r->name;
	s->role = r->role;
	s->sock = -1;
	s->pid = -1;
	s->nlisten = r->nlisten;
	for (unsigned i = 0; i < MAX_DEVICES; i++)
		s->listen_fd[i] = -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
		log_line(LOG_ERROR, "%s: socket to its spawner: %m", r->name);
		return -1;
	}
	s->pid = clone_room(r, pair[1]);
	close(pair[1]);
	if (s->pid < 0 || fcntl(pair[0], F_SETFL, O_NONBLOCK) < 0) {
		log_line(LOG_ERROR, "%s: cannot start a process: %m", r->name);
		close(pair[0]);
		return -1;
	}
	s->sock = pair[0];
	return 0;
}

/* One packet. @fds: where up to MAX_DEVICES descriptors go, *@n of them; NULL: none are taken. */
static int receive(int sock, struct spawn_msg *m, int *fds, unsigned *n)
{
	union {
		char buf[CMSG_SPACE(MAX_DEVICES * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = { m, sizeof(*m) };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c;
	ssize_t got;

	if (fds) {
		mh.msg_control = &control;
		mh.msg_controllen = sizeof(control);
	}
	do
		got = recvmsg(sock, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return errno == EAGAIN ? 0 : -1;
	c = fds ? CMSG_FIRSTHDR(&mh) : NULL;
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
		*n = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(fds, CMSG_DATA(c), *n * sizeof(int));
	}
	if ((size_t)got != sizeof(*m) || (mh.msg_flags & (MSG_TRUNC | MSG_CTRUNC))) {
		errno = got == 0 ? EPIPE : EPROTO;
		return -1;
	}
	return 1;
}

/* 1: ready; 0: something else came first; -1: there will be no spawner. */
static int ready_message(struct spawner *s)
{
	struct spawn_msg m = { 0 };
	unsigned n = 0;
	int got = receive(s->sock, &m, s->listen_fd, &n);

	if (got == 0)
		return 0;
	if (got < 0) {
		log_line(LOG_ERROR, "%s: its spawner ended while it was being made: %m", s->name);
		return -1;
	}
	switch (m.type) {
	case SPAWN_LISTENING:
		return n == s->nlisten ? 0 : -1;
	case SPAWN_READY:
		s->missing |= m.value;
		return 1;
	case SPAWN_NO_ROOM:
		errno = (int)m.value;
		log_line(LOG_ERROR, "%s: %s: %m", s->name, room_step_text(m.step));
		return -1;
	default:
		log_line(LOG_ERROR, "%s: its spawner says what it should not", s->name);
		return -1;
	}
}

/* ppoll() by name: the supervisor's filter knows no other wait. @fd -1: only time passes. */
static void wait_for(int fd, uint64_t ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct timespec t = { (time_t)(ms / 1000), (long)(ms % 1000) * 1000000 };

	(void)ppoll(&p, fd >= 0, &t, NULL);
}

int spawner_finish(struct spawner *s)
{
	uint64_t limit = now_ms() + READY_MS, now;
	int got;

	for (;;) {
		got = ready_message(s);
		if (got > 0)
			return 0;
		now = now_ms();
		if (got < 0 || now >= limit)
			break;
		wait_for(s->sock, limit - now);
	}
	if (got == 0)
		log_line(LOG_ERROR, "%s: its spawner does not answer", s->name);
	spawner_destroy(s);
	for (unsigned i = 0; i < s->nlisten; i++)
		if (s->listen_fd[i] >= 0)
			close(s->listen_fd[i]);
	return -1;
}

int spawner_create(struct spawner *s, const struct room *r)
{
	return spawner_begin(s, r) < 0 ? -1 : spawner_finish(s);
}

void role_fds_add(struct role_fds *f, int fd, unsigned number)
{
	if (f->n < SPAWN_MAX_FDS) {
		f->fd[f->n] = fd;
		f->number[f->n] = (uint16_t)number;
	}
	f->n++; /* too many: spawner_start_role() refuses */
}

int spawner_start_role(struct spawner *s, const struct role_fds *f, uint32_t nofile, uint32_t threads, uint64_t fsize,
		       uint64_t as)
{
	struct spawn_msg m = { .type = SPAWN_START,
			       .role = s->role,
			       .nfds = f->n,
			       .nofile = nofile,
			       .threads = threads,
			       .fsize = fsize,
			       .as = as };
	union {
		char buf[CMSG_SPACE(SPAWN_MAX_FDS * sizeof(int))];
		struct cmsghdr align;
	} control = { .buf = { 0 } };
	struct iovec iov = { &m, sizeof(m) };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c;

	if (f->n > SPAWN_MAX_FDS || s->sock < 0) {
		errno = f->n > SPAWN_MAX_FDS ? E2BIG : EPIPE;
		return -1;
	}
	memcpy(m.number, f->number, f->n * sizeof(f->number[0]));
	if (f->n) {
		mh.msg_control = &control;
		mh.msg_controllen = CMSG_SPACE(f->n * sizeof(int));
		c = CMSG_FIRSTHDR(&mh);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(f->n * sizeof(int));
		memcpy(CMSG_DATA(c), f->fd, f->n * sizeof(int));
	}
	if (sendmsg(s->sock, &mh, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return -1;
	s->running = true;
	return 0;
}

int spawner_kill_role(struct spawner *s)
{
	struct spawn_msg m = { .type = SPAWN_KILL };
	struct iovec iov = { &m, sizeof(m) };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };

	return sendmsg(s->sock, &mh, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -1 : 0;
}

int spawner_recv(struct spawner *s, struct spawn_msg *m)
{
	int got = s->sock < 0 ? -1 : receive(s->sock, m, NULL, NULL);

	if (got <= 0)
		return got;
	switch (m->type) {
	case SPAWN_STARTED:
		s->missing |= m->missing & LAYER_BIT(LAYER_TRACE);
		return 1;
	case SPAWN_FAILED:
		/* Refused because one is running: that one goes on. */
		s->running = m->value == EBUSY;
		return 1;
	case SPAWN_ENDED:
		s->running = false;
		return 1;
	default:
		errno = EPROTO;
		return -1;
	}
}

void spawner_destroy(struct spawner *s)
{
	uint64_t limit = now_ms() + END_MS;

	/* End of file is what ends it; it may be another user's process by now. */
	if (s->sock >= 0)
		close(s->sock);
	s->sock = -1;
	s->running = false;
	while (s->pid > 0 && waitpid(s->pid, NULL, WNOHANG) == 0 && now_ms() < limit)
		wait_for(-1, 1);
	s->pid = -1;
}

size_t spawn_end_text(const struct spawn_msg *m, char *buf, size_t size)
{
	int status = (int)m->value;
	const char *signal_name;

	if (m->type == SPAWN_FAILED) {
		errno = status;
		return fmt_line(buf, size, "could not be started: %m");
	}
	if (WIFEXITED(status))
		return fmt_line(buf, size, "ended with status %d", WEXITSTATUS(status));
	if (!WIFSIGNALED(status))
		return fmt_line(buf, size, "ended");
	if (WTERMSIG(status) != SIGSYS) {
		signal_name = sigdescr_np(WTERMSIG(status));
		return fmt_line(buf, size, "killed by signal %d (%s)", WTERMSIG(status),
				signal_name ? signal_name : "?");
	}
	if (!m->call_known)
		return fmt_line(buf, size, "ended by its filter: a system call that the host does not name");
	return fmt_line(buf, size, "ended by its filter: system call %llu (%s), arguments 0x%llx 0x%llx 0x%llx",
			(unsigned long long)m->call, syscall_name(m->call), (unsigned long long)m->args[0],
			(unsigned long long)m->args[1], (unsigned long long)m->args[2]);
}
