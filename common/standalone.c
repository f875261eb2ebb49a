/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The main loop of a stand-alone back-end: see standalone.h. Runs before confinement. It
 * must never serve two front-ends at once, nor accept a front-end while I/O of the
 * previous one may still reach the device.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/closefds.h"
#include "common/fdtab.h"
#include "common/listen.h"
#include "common/log.h"
#include "common/sandbox.h"
#include "common/standalone.h"

/* Descriptors without a number in the table (common/fdtab.h) are moved to this number or above. */
#define OUT_OF_TABLE 256
/* The listening socket, or the connected one. */
#define SOCKET OUT_OF_TABLE
/* On hosts without close_range(2), open descriptors are searched below this number. */
#define HIGHEST 4096
/*
 * How long the last I/O of an ended process may take until a message reports it and, if we
 * were asked to stop, until we exit without waiting for it.
 */
#define LINGER_MS 5000

_Static_assert(HFD_LIMIT <= OUT_OF_TABLE, "OUT_OF_TABLE must not be inside the descriptor table");

static volatile sig_atomic_t stop_asked;

static void on_stop(int sig)
{
	(void)sig;
	stop_asked = 1;
}

static void on_child(int sig)
{
	(void)sig;
}

static const int watched[] = { SIGTERM, SIGINT, SIGHUP, SIGCHLD };

/*
 * Block the signals that end a wait; ppoll() with *@open_mask lets them in. A signal that
 * was ignored at the start (nohup) stays ignored.
 */
static void catch_signals(sigset_t *open_mask)
{
	sigset_t block;

	sigemptyset(&block);
	for (unsigned i = 0; i < ARRAY_SIZE(watched); i++) {
		struct sigaction sa = { .sa_handler = watched[i] == SIGCHLD ? on_child : on_stop }, old;

		if (watched[i] != SIGCHLD && sigaction(watched[i], NULL, &old) == 0 && old.sa_handler == SIG_IGN)
			continue;
		sigaction(watched[i], &sa, NULL);
		sigaddset(&block, watched[i]);
	}
	(void)signal(SIGPIPE, SIG_IGN);
	sigprocmask(SIG_BLOCK, &block, open_mask);
	for (unsigned i = 0; i < ARRAY_SIZE(watched); i++)
		sigdelset(open_mask, watched[i]);
}

/* Move @fd out of the table. Returns its new number, or -1 with errno set and @fd still open. */
static int move_out(int fd)
{
	int to = fcntl(fd, F_DUPFD_CLOEXEC, OUT_OF_TABLE + 1);

	if (to >= 0)
		close(fd);
	return to;
}

int standalone_move_out(int fd, const char *option)
{
	int to = move_out(fd);

	if (to < 0)
		die("--%s=%d: %m", option, fd);
	return to;
}

void standalone_place(int fd, int number)
{
	if (place_fd(fd, number) < 0)
		die("cannot move descriptor %d to %d: %m", fd, number);
}

/* ---- the process that serves one connection ---- */

static void drop_capabilities(void)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { { 0 }, { 0 } };

	for (int cap = 0; cap < 64 && prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		(void)prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
	if (syscall(SYS_capset, &h, none) != 0)
		die("cannot drop capabilities: %m");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		die("cannot set no_new_privs: %m");
}

/*
 * Body of the process that serves the connection @conn. @tether: a socket whose other end
 * tells the first process when this process and its last I/O have ended.
 */
static NORETURN void serve_child(const struct standalone *s, int conn, int tether, pid_t parent)
{
	struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	int status;

	for (unsigned i = 0; i < ARRAY_SIZE(watched); i++)
		(void)signal(watched[i], SIG_DFL);
	sigprocmask(SIG_SETMASK, &(sigset_t){ 0 }, NULL);
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (getppid() != parent)
		_exit(1);
	standalone_place(conn, HFD_FRONT);
	standalone_place(tether, HFD_CTL);
	close_fds(OUT_OF_TABLE, ~0u, HIGHEST);
	/* Before Linux 5.12, the memory of an io_uring counts as locked memory. */
	(void)setrlimit(RLIMIT_MEMLOCK, &all);
	if (s->open)
		s->open(s->device);
	drop_capabilities();
	if (s->make)
		s->make(s->device);
	close(HFD_CTL);
	if (sandbox_rlimits(s->files ? s->files : HFD_LIMIT, s->file_bytes, 0) != 0)
		die("cannot limit resources: %m");
	status = s->serve(s->device);
	/* exit() would make system calls that the seccomp filter forbids. */
	syscall(SYS_exit_group, status);
	_exit(1);
}

/* ---- the first process, which accepts connections ---- */

/*
 * Wait until the other end of @tether is closed. That may take a while after the process
 * was killed, because its io_uring finishes its requests first. Returns 0, or -1 if it
 * took more than LINGER_MS after we were asked to stop.
 */
static int wait_for_ring(int tether, const sigset_t *open_mask)
{
	uint64_t began = now_ms(), asked = 0;
	bool reported = false;

	for (;;) {
		struct pollfd p = { .fd = tether, .events = POLLRDHUP };
		struct timespec tick = { .tv_nsec = 100 * 1000 * 1000 };

		if (ppoll(&p, 1, &tick, open_mask) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR)))
			return 0;
		if (stop_asked && !asked)
			asked = now_ms();
		if (asked && now_ms() - asked >= LINGER_MS)
			return -1;
		if (!reported && now_ms() - began >= LINGER_MS) {
			log_line(LOG_WARN, "the last front-end is gone, but some of its I/O has not finished; "
					   "waiting for it before the next front-end is served");
			reported = true;
		}
	}
}

/*
 * Wait for the process @pid; kill it when we are asked to stop. Returns 0 with its wait
 * status in *@status, or -1 if it did not end within LINGER_MS after that.
 */
static int wait_for_child(pid_t pid, int *status, const sigset_t *open_mask)
{
	uint64_t killed = 0;
	pid_t got;

	while ((got = waitpid(pid, status, WNOHANG)) == 0) {
		struct timespec tick = { .tv_sec = killed ? 1 : 3600 };

		if (stop_asked && !killed) {
			kill(pid, SIGKILL);
			killed = now_ms();
			continue;
		}
		if (killed && now_ms() - killed >= LINGER_MS)
			return -1;
		ppoll(NULL, 0, &tick, open_mask);
	}
	return got == pid ? 0 : -1;
}

/* Create a socket pair, both ends out of the table. Returns 0, or -1 with errno set. */
static int make_tether(int tether[2])
{
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, tether) < 0)
		return -1;
	for (unsigned i = 0; i < 2; i++) {
		int to = move_out(tether[i]);

		if (to < 0)
			return -1;
		tether[i] = to;
	}
	return 0;
}

/*
 * Serve the front-end at @conn (a number out of the table) in a new process. Returns the
 * exit status of that process; or -1 if we were asked to stop and its I/O did not finish.
 */
static int serve_one(const struct standalone *s, int conn, const sigset_t *open_mask)
{
	pid_t me = getpid(), pid;
	int tether[2], status = 0;

	if (make_tether(tether) < 0)
		die("cannot make a socket for a connection: %m");
	pid = fork();
	if (!pid) {
		close(tether[0]);
		serve_child(s, conn, tether[1], me);
	}
	if (pid < 0)
		log_line(LOG_ERROR, "cannot start a process for a connection: %m");
	close(conn);
	close(tether[1]);
	if (pid > 0 && (wait_for_child(pid, &status, open_mask) < 0 || wait_for_ring(tether[0], open_mask) < 0)) {
		log_line(LOG_ERROR,
			 "I/O of process %d, which served the last front-end, does not finish; exiting, "
			 "but the device stays in use until it does",
			 (int)pid);
		return -1;
	}
	close(tether[0]);
	if (pid > 0 && WIFSIGNALED(status) && !stop_asked)
		log_line(LOG_ERROR, "the process that served a front-end was killed by signal %d%s", WTERMSIG(status),
			 WTERMSIG(status) == SIGSYS ? " (a forbidden system call)" : "");
	return pid > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static int serve_all(const struct standalone *s, const sigset_t *open_mask)
{
	while (!stop_asked) {
		struct pollfd p = { .fd = SOCKET, .events = POLLIN };
		int conn, status;

		if (ppoll(&p, 1, NULL, open_mask) < 0)
			continue;
		conn = accept4(SOCKET, NULL, NULL, SOCK_CLOEXEC);
		if (conn < 0 && (errno == EINTR || errno == ECONNABORTED || errno == EAGAIN))
			continue;
		if (conn < 0 || (conn = move_out(conn)) < 0)
			die("cannot accept a connection: %m");
		status = serve_one(s, conn, open_mask);
		if (status < 0)
			return status;
	}
	return 0;
}

static bool is_listening(int fd)
{
	int on = 0, type = 0;
	socklen_t len = sizeof(on), tlen = sizeof(type);

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &tlen) < 0 || type != SOCK_STREAM)
		die("--fd: this descriptor is not a stream socket");
	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &len) == 0 && on;
}

/*
 * Fill the table: /dev/null as standard input and output, @sock at SOCKET. Close everything
 * else that the caller passed on, except standard error and the device's descriptors.
 */
static void clean_table(const struct standalone *s, int sock)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0)
		die("/dev/null: cannot open it: %m");
	null = move_out(null);
	standalone_place(dup(null), HFD_NULL_IN);
	standalone_place(null, HFD_NULL_OUT);
	standalone_place(sock, SOCKET);
	close_fds(HFD_DIAG + 1, (unsigned)s->first - 1, HIGHEST);
	close_fds((unsigned)s->last + 1, SOCKET - 1, HIGHEST);
	close_fds(SOCKET + 1, ~0u, HIGHEST);
}

int standalone_serve(const struct standalone *s)
{
	sigset_t open_mask;
	int status;

	clean_table(s, s->socket_path ? vhu_listen(s->socket_path) : s->fd);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	catch_signals(&open_mask);
	status = is_listening(SOCKET) ? serve_all(s, &open_mask) : serve_one(s, SOCKET, &open_mask);
	if (s->socket_path)
		unlink(s->socket_path);
	if (status < 0)
		return 1;
	return stop_asked ? 0 : status;
}
