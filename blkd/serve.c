/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The part of stand-alone blkd that is not confined but for no_new_privs: it
 * opens, listens, and starts a child per connection. It never reads a byte of
 * what a front-end sends, and never maps guest memory.
 */
#include "blkd/serve.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "blkd/image.h"
#include "common/log.h"
#include "common/vhost_user.h"

/* Out of the way of the table's numbers, until everything is there. */
static int high(int fd)
{
	int to = fcntl(fd, F_DUPFD_CLOEXEC, HFD_LIMIT);

	if (to < 0)
		die("cannot move a descriptor: %m");
	close(fd);
	return to;
}

static void place(int fd, int number)
{
	if (fd >= 0 && dup3(fd, number, O_CLOEXEC) < 0)
		die("cannot place descriptor %d: %m", number);
}

static bool is_listening(int fd)
{
	int on = 0, type = 0;
	socklen_t len = sizeof(on), tlen = sizeof(type);

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &tlen) < 0 || type != SOCK_STREAM)
		die("--fd=%d is not a stream socket", fd);
	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &len) == 0 && on;
}

void serve_open(struct blkd_options *o, bool *listening)
{
	struct image_open io = {
		.path = o->image,
		.read_only = o->blk.read_only,
		.snapshot = o->blk.snapshot,
		.direct = o->blk.direct,
	};
	char why[LOG_LINE_MAX];
	int sock, disk, delta = -1, null;

	disk = image_open(&io, &o->blk, why, sizeof(why));
	if (disk < 0)
		die("%s", why);
	disk = high(disk);
	if (o->blk.snapshot && !o->blk.read_only) {
		delta = image_delta(o->blk.capacity);
		if (delta < 0)
			die("cannot make the snapshot's file: %m");
		o->blk.discard = image_can_punch(delta, o->blk.capacity);
		delta = high(delta);
	}
	if (o->socket_path) {
		sock = high(vhu_listen(o->socket_path));
		*listening = true;
	} else {
		*listening = is_listening(o->fd);
		sock = high(o->fd);
	}
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0)
		die("cannot open /dev/null: %m");
	null = high(null);
	if (close_range(HFD_CTL, HFD_LIMIT - 1, 0) < 0)
		for (int fd = HFD_CTL; fd < HFD_LIMIT; fd++)
			close(fd);
	place(null, HFD_NULL_IN);
	place(null, HFD_NULL_OUT);
	place(disk, HFD_DISK);
	place(delta, HFD_DELTA);
	place(sock, *listening ? HFD_LISTEN : HFD_FRONT);
	if (close_range(HFD_LIMIT, ~0u, 0) < 0)
		for (int fd = HFD_LIMIT; fd < HFD_LIMIT + 1024; fd++)
			close(fd);
}

static volatile sig_atomic_t stop;

static void on_stop(int sig)
{
	stop = sig;
}

static void on_child(int sig)
{
	(void)sig;
}

static const int watched[] = { SIGTERM, SIGINT, SIGHUP, SIGCHLD };

static void catch_signals(sigset_t *unblocked)
{
	sigset_t block;

	sigemptyset(&block);
	for (unsigned i = 0; i < ARRAY_SIZE(watched); i++) {
		struct sigaction sa = { .sa_handler = watched[i] == SIGCHLD ? on_child : on_stop };

		sigaddset(&block, watched[i]);
		sigaction(watched[i], &sa, NULL);
	}
	sigprocmask(SIG_BLOCK, &block, unblocked);
}

static void child_signals(const sigset_t *unblocked)
{
	for (unsigned i = 0; i < ARRAY_SIZE(watched); i++) {
		struct sigaction sa = { .sa_handler = SIG_DFL };

		sigaction(watched[i], &sa, NULL);
	}
	sigprocmask(SIG_SETMASK, unblocked, NULL);
}

static NORETURN void end(const struct blkd_options *o, pid_t child)
{
	struct flock unlock = { .l_type = F_UNLCK, .l_whence = SEEK_SET };

	if (child > 0) {
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
	}
	/*
	 * Everything that a guest was told is on disk is there already. The lock is
	 * let go by name: the child's ring may hold the file a moment longer.
	 */
	fcntl(HFD_DISK, F_OFD_SETLK, &unlock);
	if (o->socket_path)
		unlink(o->socket_path);
	_exit(0);
}

static void reap(pid_t *child)
{
	int status;

	if (*child <= 0 || waitpid(*child, &status, WNOHANG) != *child)
		return;
	*child = 0;
	if (WIFSIGNALED(status))
		log_line(LOG_ERROR, "a connection's process died of signal %d%s", WTERMSIG(status),
			 WTERMSIG(status) == SIGSYS ? " (a forbidden system call)" : "");
}

int serve_connections(const struct blkd_options *o)
{
	pid_t child = 0, self = getpid();
	sigset_t unblocked;

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	catch_signals(&unblocked);
	while (!stop) {
		struct pollfd p = { .fd = child > 0 ? -1 : HFD_LISTEN, .events = POLLIN };
		int fd;

		if (ppoll(&p, 1, NULL, &unblocked) <= 0) {
			reap(&child);
			continue;
		}
		fd = accept4(HFD_LISTEN, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			continue;
		/* What the last guest wrote into its snapshot goes with it. */
		if (o->blk.snapshot && !o->blk.read_only &&
		    (ftruncate(HFD_DELTA, 0) < 0 || ftruncate(HFD_DELTA, (off_t)o->blk.capacity) < 0))
			log_line(LOG_WARN, "cannot empty the snapshot's file: %m");
		child = fork();
		if (child == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
			if (getppid() != self)
				_exit(1);
			child_signals(&unblocked);
			if (fd != HFD_FRONT) {
				place(fd, HFD_FRONT);
				close(fd);
			}
			close(HFD_LISTEN);
			return 0;
		}
		if (child < 0)
			log_line(LOG_ERROR, "cannot start a process for a connection: %m");
		close(fd);
	}
	end(o, child);
}
