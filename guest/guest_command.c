/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs the command, and moves data between its pipes and the ports, in one poll() loop with
 * fixed buffers. While a port is full, the command's pipe is not read. The ports are
 * non-blocking, because in blocking mode the kernel busy-waits until the host has read all.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/exit_port.h"
#include "guest/guest.h"

/* Pause before a port is checked again that the host has not connected, in milliseconds. */
#define AGAIN_MS 10

/* Capacity of the command's pipes, in bytes: at most what an ordinary user may ask for. */
#define PIPE_SIZE (1 << 20)

/* Moves data from a pipe to a port: with splice(2), or through a buffer where the kernel lacks it for ports. */
struct stream {
	int from, to;	  /* -1: closed */
	bool copy;	  /* The kernel cannot splice to this port. */
	bool full;	  /* There is data in the pipe, and the port was full. */
	size_t head, len; /* Data in buf: buf[head .. head + len) */
	uint64_t passed;  /* Bytes written so far */
	char buf[65536];
};

struct run {
	struct stream out, err;
	int in_port, in;				       /* The stdin port; the command's pipe, -1: closed */
	char in_buf[sizeof(struct run_frame) + RUN_FRAME_MAX]; /* Frame being received */
	size_t in_head, in_have; /* Bytes of its data written to the command; bytes of it received */
	pid_t pid;		 /* Process ID of the command; 0: it has ended */
	int signals;		 /* Signalfd for SIGCHLD */
};

static struct run run;
static bool checkpoint_taken;

static bool pending(const struct stream *s)
{
	return s->len || s->full;
}

/* Returns false if the data has to be copied. */
static bool splice_stream(struct stream *s)
{
	ssize_t n = splice(s->from, NULL, s->to, NULL, PIPE_SIZE, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);

	s->full = n < 0 && errno == EAGAIN;
	if (n > 0)
		s->passed += (uint64_t)n;
	if (n >= 0 || errno == EAGAIN || errno == EINTR) {
		if (n == 0) {
			close(s->from);
			s->from = -1;
		}
		return true;
	}
	s->copy = true;
	return false;
}

static void read_stream(struct stream *s)
{
	ssize_t n;

	if (!s->copy && splice_stream(s))
		return;
	n = read(s->from, s->buf, sizeof(s->buf));
	if (n > 0) {
		s->head = 0;
		s->len = (size_t)n;
	} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		close(s->from);
		s->from = -1;
	}
}

static void write_stream(struct stream *s)
{
	ssize_t n;

	if (s->full) {
		s->full = false;
		read_stream(s);
		return;
	}
	n = write(s->to, s->buf + s->head, s->len);
	if (n > 0) {
		s->head += (size_t)n;
		s->len -= (size_t)n;
		s->passed += (uint64_t)n;
	} else if (n < 0 && errno != EAGAIN && errno != EINTR) {
		say("cannot write output of the command; it is lost", "", errno);
		s->len = 0;
	}
}

static void close_in(struct run *r)
{
	if (r->in >= 0)
		close(r->in);
	r->in = -1;
	r->in_head = r->in_have = 0;
}

/* A whole frame was received: pass its data or signal to the command. */
static void take_frame(struct run *r)
{
	struct run_frame f;
	ssize_t n;

	memcpy(&f, r->in_buf, sizeof(f));
	if (f.type == RUN_SIGNAL && r->pid > 0)
		kill(-r->pid, f.value);
	if (f.type == RUN_EOF)
		close_in(r);
	if (f.type == RUN_DATA && r->in >= 0 && r->in_head < f.value) {
		n = write(r->in, r->in_buf + sizeof(f) + r->in_head, f.value - r->in_head);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n < 0)
			close_in(r); /* The command does not read any more: drop the rest, frame by frame */
		else
			r->in_head += (size_t)n;
		if (r->in >= 0 && r->in_head < f.value)
			return;
	}
	r->in_head = r->in_have = 0;
}

/* Size of the frame being received, as far as it is known. */
static size_t frame_size(const struct run *r)
{
	struct run_frame f;

	if (r->in_have < sizeof(f))
		return sizeof(f);
	memcpy(&f, r->in_buf, sizeof(f));
	return sizeof(f) + (f.type == RUN_DATA ? MIN(f.value, RUN_FRAME_MAX) : 0);
}

static bool frame_is_whole(const struct run *r)
{
	return r->in_have >= sizeof(struct run_frame) && r->in_have == frame_size(r);
}

static void read_port(struct run *r)
{
	while (!frame_is_whole(r)) {
		ssize_t n = read(r->in_port, r->in_buf + r->in_have, frame_size(r) - r->in_have);

		if (n <= 0)
			return;
		r->in_have += (size_t)n;
	}
	take_frame(r);
}

static NORETURN void become(const struct instructions *in, int stdin_fd, int stdout_fd, int stderr_fd, int why)
{
	sigset_t none;
	int error;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	setsid();
	if (in->cwd && chdir(in->cwd) < 0) {
		error = errno;
	} else if (dup2(stdin_fd, 0) < 0 || dup2(stdout_fd, 1) < 0 || dup2(stderr_fd, 2) < 0) {
		error = errno;
	} else {
		execvpe(in->arg[0], in->arg, in->env);
		error = errno;
	}
	if (write(why, &error, sizeof(error)) < 0)
		_exit(126);
	_exit(127);
}

/* Start the command. Returns 0, or -1 with the errno of the step that failed. */
static int start(const struct instructions *in, struct run *r)
{
	int to[2], out[2], err[2], why[2], error = 0;
	ssize_t n;

	if (pipe2(to, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0 ||
	    pipe2(why, O_CLOEXEC) < 0)
		return -1;
	fcntl(to[1], F_SETFL, O_NONBLOCK);
	fcntl(out[1], F_SETPIPE_SZ, PIPE_SIZE);
	fcntl(err[1], F_SETPIPE_SZ, PIPE_SIZE);
	r->pid = fork();
	if (r->pid < 0)
		return -1;
	if (r->pid == 0)
		become(in, to[0], out[1], err[1], why[1]);
	close(to[0]);
	close(out[1]);
	close(err[1]);
	close(why[1]);
	r->in = to[1];
	r->out.from = out[0];
	r->err.from = err[0];
	do
		n = read(why[0], &error, sizeof(error));
	while (n < 0 && errno == EINTR);
	close(why[0]);
	if (n != sizeof(error))
		return 0;
	errno = error;
	return -1;
}

/* As process 1, reap orphans too. */
static void reap(struct run *r, struct run_result *res)
{
	struct signalfd_siginfo si;
	pid_t pid;
	int status;

	while (read(r->signals, &si, sizeof(si)) == sizeof(si))
		;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid != r->pid)
			continue;
		r->pid = 0;
		res->end = WIFSIGNALED(status) ? RUN_SIGNALED : RUN_EXITED;
		res->value = (uint32_t)(WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	}
}

/* Fill in the array for poll(). Descriptors that are closed or not needed now are -1. */
static void fill(const struct run *r, struct pollfd p[7])
{
	bool whole = frame_is_whole(r);

	p[0] = (struct pollfd){ .fd = r->signals, .events = POLLIN };
	p[1] = (struct pollfd){ .fd = pending(&r->out) ? -1 : r->out.from, .events = POLLIN };
	p[2] = (struct pollfd){ .fd = pending(&r->err) ? -1 : r->err.from, .events = POLLIN };
	p[3] = (struct pollfd){ .fd = pending(&r->out) ? r->out.to : -1, .events = POLLOUT };
	p[4] = (struct pollfd){ .fd = pending(&r->err) ? r->err.to : -1, .events = POLLOUT };
	p[5] = (struct pollfd){ .fd = whole ? -1 : r->in_port, .events = POLLIN };
	p[6] = (struct pollfd){ .fd = whole ? r->in : -1, .events = POLLOUT };
}

/* True if the host has not connected a port, or has closed it: poll() would then return at once. */
static bool any_hangup(const struct pollfd p[7])
{
	return ((p[3].revents | p[4].revents | p[5].revents) & POLLHUP) != 0;
}

/*
 * Move data until the command has ended and both pipes are empty. Background processes may keep the
 * pipes open, so after the end of the command only output that is in the pipes already counts.
 */
static void loop(struct run *r, struct run_result *res)
{
	bool idle = false;

	while (r->pid || pending(&r->out) || pending(&r->err) || ((r->out.from >= 0 || r->err.from >= 0) && !idle)) {
		struct pollfd p[7];
		int ready;

		fill(r, p);
		ready = poll(p, 7, r->pid || pending(&r->out) || pending(&r->err) ? -1 : 0);
		idle = ready == 0;
		if (p[0].revents)
			reap(r, res);
		if (p[1].revents)
			read_stream(&r->out);
		if (p[2].revents)
			read_stream(&r->err);
		if (p[3].revents & POLLOUT)
			write_stream(&r->out);
		if (p[4].revents & POLLOUT)
			write_stream(&r->err);
		if (p[5].revents & POLLIN)
			read_port(r);
		if (p[6].revents)
			take_frame(r);
		if (!r->pid && !p[1].revents && !p[2].revents && !pending(&r->out) && !pending(&r->err))
			idle = true;
		if (any_hangup(p))
			poll(NULL, 0, AGAIN_MS);
	}
}

/*
 * Write @request to the host's exit port. A child does it, so the command inherits no access to the port; and on a host
 * that QEMU's TCG emulates, it gets a fault after a reset. Returns 0, or -1 with errno set.
 */
static int ask_host(uint8_t request)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		if (ioperm(EXIT_PORT, 1, 1) < 0)
			_exit(errno);
		outb(request, EXIT_PORT);
		_exit(0);
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (pid < 0)
		return -1;
	errno = WIFEXITED(status) ? WEXITSTATUS(status) : EPERM;
	return errno ? -1 : 0;
}

/* Each reset returns here, so nothing that follows may need what the host has sent before. */
static int take_checkpoint(void)
{
	checkpoint_taken = ask_host(EXIT_PORT_CHECKPOINT) == 0;
	return checkpoint_taken ? 0 : -1;
}

void go_back(void)
{
	if (checkpoint_taken)
		(void)ask_host(EXIT_PORT_RESET);
}

static void not_started(struct run_result *res, const char *what)
{
	res->end = RUN_NOT_STARTED;
	snprintf(res->text, sizeof(res->text), "%.60s: %.30s", what, strerror(errno));
}

void run_command(const struct instructions *in, const int port[RUN_PORTS], struct run_result *res)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	run.signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	run.in_port = port[RUN_STDIN];
	run.out.to = port[RUN_STDOUT];
	run.err.to = port[RUN_STDERR];
	run.out.from = run.err.from = run.in = -1;
	/* execvpe() searches the command in the PATH of this process. */
	for (unsigned i = 0; i < in->nenv; i++)
		if (!strncmp(in->env[i], "PATH=", 5))
			putenv(in->env[i]);
	if (in->rounds && take_checkpoint() < 0) {
		not_started(res, "--checkpoint-at: I/O port 0xf4");
		return;
	}
	if (run.signals < 0 || start(in, &run) < 0) {
		not_started(res, in->arg[0]);
		return;
	}
	/* With rounds there is no input: it would be missing after a reset. */
	if (in->rounds)
		close_in(&run);
	loop(&run, res);
	res->out_bytes = run.out.passed;
	res->err_bytes = run.err.passed;
}
