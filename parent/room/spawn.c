/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The parent's, and later the supervisor's, side of spawners: starts them, sends
 * requests and receives their reports. Reports are checked: a packet of another size
 * ends the connection. Every wait has a limit.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/fdpass.h"
#include "common/fmt.h"
#include "common/log.h"
#include "parent/room/child.h"
#include "parent/room/room.h"
#include "policy/policies.h"

#define READY_MS 20000 /* How long a spawner may take to get ready. */
#define END_MS	 5000  /* How long to wait for its end. */
/* The same if its role is stuck: then the spawner, process 1 of the role's namespace, cannot end either. */
#define STUCK_END_MS 100

static pid_t clone_flags(unsigned long flags)
{
	return (pid_t)syscall(__NR_clone, flags | SIGCHLD, 0UL, 0UL, 0UL, 0UL);
}

/*
 * Clone a child into a new pid namespace, where it is process 1, and as an ordinary user also into a new user
 * namespace. If the host refuses that, clone it without namespaces.
 */
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
	char path[64];
	int pair[2];

	room.own_uid = getuid();
	room.own_gid = getgid();
	memset(s, 0, sizeof(*s));
	s->name = r->name;
	s->role = r->role;
	s->sock = s->children = -1;
	s->pid = -1;
	s->nlisten = r->share ? 1 : r->nlisten;
	for (unsigned i = 0; i < MAX_DEVICES; i++)
		s->listen_fd[i] = -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
		log_line(LOG_ERROR, "%s: cannot make a socket to its spawner: %m", r->name);
		return -1;
	}
	s->pid = clone_room(r, pair[1]);
	close(pair[1]);
	if (s->pid < 0 || fcntl(pair[0], F_SETFL, O_NONBLOCK) < 0) {
		log_line(LOG_ERROR, "%s: cannot start a process: %m%s", r->name, spawn_limit_text(errno));
		close(pair[0]);
		return -1;
	}
	s->sock = pair[0];
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)s->pid, (int)s->pid);
	s->children = open(path, O_RDONLY | O_CLOEXEC);
	return 0;
}

_Static_assert(SPAWN_MAX_FDS <= FDPASS_MAX, "all descriptors of a role fit into one message");

/* Read one message of a new spawner. Returns 1 if it is ready, 0 to call again, or -1 after logging the reason. */
static int ready_message(struct spawner *s)
{
	struct spawn_msg m = { 0 };
	unsigned n = ARRAY_SIZE(s->listen_fd);
	int got = fdpass_recv(s->sock, &m, sizeof(m), s->listen_fd, &n);

	if (got == 0)
		return 0;
	if (got < 0) {
		log_line(LOG_ERROR, "%s: its spawner process ended during its set-up: %m", s->name);
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
		log_line(LOG_ERROR, "%s: %s: %m%s", s->name, room_step_text(m.step), spawn_limit_text(errno));
		return -1;
	default:
		log_line(LOG_ERROR, "%s: its spawner sent an invalid message", s->name);
		return -1;
	}
}

/* Wait until @fd (-1: none) is readable, at most @ms. ppoll() is the only wait that the supervisor's filter allows. */
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
		log_line(LOG_ERROR, "%s: its spawner did not get ready in time", s->name);
	spawner_destroy(s);
	for (unsigned i = 0; i < s->nlisten; i++)
		if (s->listen_fd[i] >= 0)
			close(s->listen_fd[i]);
	return -1;
}

void role_fds_add(struct role_fds *f, int fd, unsigned number)
{
	if (f->n < SPAWN_MAX_FDS) {
		f->fd[f->n] = fd;
		f->number[f->n] = (uint16_t)number;
	}
	f->n++; /* spawner_start_role() refuses too many. */
}

int spawner_start_role(struct spawner *s, const struct role_fds *f, uint32_t nofile, uint32_t threads, uint64_t fsize,
		       uint64_t as)
{
	struct spawn_msg m = { .type = SPAWN_START,
			       .role = s->role,
			       .nfds = f->n,
			       .nofile = nofile,
			       .more = f->more,
			       .threads = threads,
			       .fsize = fsize,
			       .as = as };

	if (f->n > SPAWN_MAX_FDS || s->sock < 0) {
		errno = f->n > SPAWN_MAX_FDS ? E2BIG : EPIPE;
		return -1;
	}
	memcpy(m.number, f->number, f->n * sizeof(f->number[0]));
	if (f->args)
		memcpy(m.words, f->args, sizeof(m.words));
	if (fdpass_send(s->sock, &m, sizeof(m), f->fd, f->n, MSG_DONTWAIT) < 0)
		return -1;
	s->running = true;
	return 0;
}

static int ask(struct spawner *s, enum spawn_type type, uint32_t value)
{
	struct spawn_msg m = { .type = type, .value = value };
	struct iovec iov = { &m, sizeof(m) };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };

	return sendmsg(s->sock, &mh, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -1 : 0;
}

int spawner_kill_role(struct spawner *s)
{
	return ask(s, SPAWN_KILL, 0);
}

int spawner_pause_role(struct spawner *s, uint32_t number)
{
	return ask(s, SPAWN_PAUSE, number);
}

int spawner_resume_role(struct spawner *s)
{
	return ask(s, SPAWN_RESUME, 0);
}

int spawner_get_usage(struct spawner *s)
{
	return ask(s, SPAWN_GET_USAGE, 0);
}

pid_t spawner_role_pid(const struct spawner *s)
{
	char text[32];
	pid_t pid = 0;
	ssize_t n = s->children < 0 ? -1 : read(s->children, text, sizeof(text));

	for (ssize_t i = 0; i < n && text[i] >= '0' && text[i] <= '9'; i++)
		pid = pid * 10 + (text[i] - '0');
	return pid > 0 ? pid : -1;
}

int spawner_recv(struct spawner *s, struct spawn_msg *m)
{
	int got = s->sock < 0 ? -1 : fdpass_recv(s->sock, m, sizeof(*m), NULL, NULL);

	if (got <= 0)
		return got;
	switch (m->type) {
	case SPAWN_STARTED:
		s->missing |= m->missing & LAYER_BIT(LAYER_TRACE);
		return 1;
	case SPAWN_FAILED:
		/* EBUSY: the spawner refused because a role is running, and that one keeps running. */
		s->running = m->value == EBUSY;
		return 1;
	case SPAWN_ENDED:
		s->running = false;
		return 1;
	case SPAWN_USAGE:
	case SPAWN_PAUSED:
		return 1;
	default:
		errno = EPROTO;
		return -1;
	}
}

void spawner_hang_up(struct spawner *s)
{
	/* End of file ends the spawner. It cannot be killed, because it may run as another user. */
	if (s->sock >= 0)
		close(s->sock);
	s->sock = -1;
}

void spawner_destroy(struct spawner *s)
{
	uint64_t limit = now_ms() + (s->stuck ? STUCK_END_MS : END_MS);

	spawner_hang_up(s);
	if (s->children >= 0)
		close(s->children);
	s->children = -1;
	s->running = false;
	while (s->pid > 0 && waitpid(s->pid, NULL, WNOHANG) == 0 && now_ms() < limit)
		wait_for(-1, 1);
	s->pid = -1;
}

const char *spawn_limit_text(int err)
{
	if (err == EAGAIN)
		return " (too many processes: see ulimit -u, and pids.max of the cgroup)";
	if (err == ENOMEM)
		return " (out of memory: see ulimit -v, and memory.max of the cgroup)";
	return "";
}

/* Returns the likely reason why a process that we did not kill got the signal @sig, or "". */
static const char *signal_hint(int sig)
{
	if (sig == SIGKILL)
		return ", by a user or because the host is out of memory (see dmesg)";
	return sig == SIGBUS ? ", because the host is out of memory" : "";
}

size_t spawn_end_text(const struct spawn_msg *m, char *buf, size_t size)
{
	int status = (int)m->value;
	const char *signal_name;

	if (m->type == SPAWN_FAILED) {
		errno = status;
		return fmt_line(buf, size, "could not be started: %m%s", spawn_limit_text(errno));
	}
	if (WIFEXITED(status))
		return fmt_line(buf, size, "ended with status %d", WEXITSTATUS(status));
	if (!WIFSIGNALED(status))
		return fmt_line(buf, size, "ended");
	if (WTERMSIG(status) != SIGSYS) {
		signal_name = sigdescr_np(WTERMSIG(status));
		return fmt_line(buf, size, "killed by signal %d (%s)%s", WTERMSIG(status),
				signal_name ? signal_name : "?", signal_hint(WTERMSIG(status)));
	}
	if (!m->call_known)
		return fmt_line(buf, size, "ended by its filter: a system call that the host does not name");
	return fmt_line(buf, size, "ended by its filter: system call %llu (%s), arguments 0x%llx 0x%llx 0x%llx",
			(unsigned long long)m->call, syscall_name(m->call), (unsigned long long)m->args[0],
			(unsigned long long)m->args[1], (unsigned long long)m->args[2]);
}
