/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * netd as a vhost-user back-end program of its own (the specification's
 * "Backend program conventions"). The first process keeps the tap and the
 * listening socket and talks to nobody; each front-end gets a fresh child that
 * places its descriptors, drops its capabilities, confines itself and serves
 * that one connection. The first process removes the socket at the end.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/sandbox.h"
#include "netd.h"

/* Inherited descriptors are moved here, out of the table's way. */
#define OUT_OF_TABLE 256
/* Room for an inflight area that a front-end asks for. */
#define FILE_BYTES (1u << 20)

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

static int put_text(const char *s)
{
	size_t n = strlen(s);

	while (n) {
		ssize_t w = write(STDOUT_FILENO, s, n);

		if (w < 0)
			return 1;
		s += w;
		n -= (size_t)w;
	}
	return 0;
}

/* @fd moved above the table; dies if it is not open. */
static int move_out(int fd, const char *option)
{
	int n = fcntl(fd, F_DUPFD_CLOEXEC, OUT_OF_TABLE);

	if (n < 0)
		die("%s=%d: %m", option, fd);
	close(fd);
	return n;
}

static const char *tap_hint(int err, unsigned pairs)
{
	if (err == EPERM || err == EACCES)
		return " (it must exist and be yours, or start with CAP_NET_ADMIN)";
	if (err == EINVAL)
		return pairs > 1 ? " (was it made with vnet_hdr and multi_queue?)" : " (was it made with vnet_hdr?)";
	return "";
}

/* Tap at HFD_TAP0…, and what it can do into @c. */
static void set_tap_up(struct netd_options *o, struct net_config *c)
{
	char name[IFNAMSIZ] = { 0 };

	if (o->tap_name) {
		memcpy(name, o->tap_name, strlen(o->tap_name));
		if (tap_open(name, c->queue_pairs) != 0)
			die("tap %s: %m%s", o->tap_name, tap_hint(errno, c->queue_pairs));
	} else if (dup3(o->tap_fd, HFD_TAP0, O_CLOEXEC) < 0) {
		die("--tap-fd: %m");
	}
	if (tap_prepare(HFD_TAP0, &c->vnet_hdr) != 0)
		die("this is no tap without packet information: %m");
	if (c->vnet_hdr && c->offload)
		c->tap_offloads = tap_probe(HFD_TAP0);
	if (!c->mtu) {
		unsigned mtu = tap_mtu(HFD_TAP0);

		c->mtu = (uint16_t)MIN(mtu, (unsigned)UINT16_MAX);
	}
}

static void drop_capabilities(void)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { { 0 }, { 0 } };

	for (int cap = 0; cap <= CAP_LAST_CAP; cap++)
		prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
	if (syscall(SYS_capset, &h, none) != 0)
		die("cannot drop capabilities: %m");
}

/* The child: everything but diagnostics, front-end and taps is closed. Never returns. */
static NORETURN void serve_child(const struct netd_options *o, const struct net_config *c, int conn, pid_t parent)
{
	static struct role_config rc;

	signal(SIGTERM, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	signal(SIGHUP, SIG_DFL);
	signal(SIGCHLD, SIG_DFL);
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (getppid() != parent)
		_exit(1);
	if (conn != HFD_FRONT && dup3(conn, HFD_FRONT, O_CLOEXEC) < 0)
		die("the front-end's socket cannot be placed: %m");
	for (int fd = 0; fd < OUT_OF_TABLE; fd++)
		if (fd != HFD_DIAG && fd != HFD_FRONT && !(fd >= HFD_TAP0 && fd < HFD_TAP0 + c->queue_pairs))
			close(fd);
	/* close_range(2) by number: hosts before 5.9 lack it, and then close-on-exec has no say. */
	if (syscall(SYS_close_range, OUT_OF_TABLE, ~0u, 0) != 0)
		for (int fd = OUT_OF_TABLE; fd < 4 * OUT_OF_TABLE; fd++)
			close(fd);
	drop_capabilities();
	if (sandbox_rlimits(HFD_LIMIT, FILE_BYTES, 0) != 0)
		die("cannot limit resources: %m");
	rc.type = CTL_CONFIG;
	rc.role = ROLE_NETD;
	memcpy(rc.name, "net", 4);
	rc.poll_us = o->poll_us;
	rc.mem_unsealed = o->allow_unsealed;
	rc.net = *c;
	sigprocmask(SIG_SETMASK, &(sigset_t){ 0 }, NULL);
	syscall(SYS_exit_group, netd_serve(&rc, false)); /* and nothing of libc's */
	_exit(1);
}

/* Serve one front-end in a child; wait for it, or end it when stopping. Returns its exit status. */
static int serve_one(const struct netd_options *o, const struct net_config *c, int conn, const sigset_t *open_mask)
{
	pid_t me = getpid(), pid = fork(), got;
	int status;

	if (pid < 0) {
		log_line(LOG_ERROR, "fork: %m");
		return 1;
	}
	if (!pid)
		serve_child(o, c, conn, me);
	close(conn);
	while ((got = waitpid(pid, &status, WNOHANG)) == 0) {
		if (stop_asked)
			kill(pid, SIGKILL);
		sigsuspend(open_mask);
	}
	if (got == pid && WIFSIGNALED(status) && !stop_asked)
		log_line(LOG_ERROR, "the process that served the front-end was ended by signal %d", WTERMSIG(status));
	return got == pid && WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static void catch_signals(sigset_t *open_mask)
{
	static const int stops[] = { SIGTERM, SIGINT, SIGHUP };
	struct sigaction a = { .sa_handler = on_stop };
	sigset_t block;

	sigemptyset(&block);
	for (unsigned i = 0; i < ARRAY_SIZE(stops); i++) {
		sigaction(stops[i], &a, NULL);
		sigaddset(&block, stops[i]);
	}
	a.sa_handler = on_child;
	sigaction(SIGCHLD, &a, NULL);
	sigaddset(&block, SIGCHLD);
	signal(SIGPIPE, SIG_IGN);
	sigprocmask(SIG_BLOCK, &block, open_mask);
	for (unsigned i = 0; i < ARRAY_SIZE(stops); i++)
		sigdelset(open_mask, stops[i]);
	sigdelset(open_mask, SIGCHLD);
}

static int accept_loop(const struct netd_options *o, const struct net_config *c, int listener)
{
	sigset_t open_mask;

	catch_signals(&open_mask);
	while (!stop_asked) {
		struct pollfd p = { .fd = listener, .events = POLLIN };
		int conn;

		if (ppoll(&p, 1, NULL, &open_mask) < 0)
			continue;
		conn = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (conn >= 0)
			serve_one(o, c, conn, &open_mask);
		else if (errno != EINTR && errno != ECONNABORTED && errno != EAGAIN)
			die("accept: %m");
	}
	return 0;
}

static int serve(struct netd_options *o, struct net_config *c, int sock)
{
	sigset_t open_mask;
	int listening = 0, status;
	socklen_t len = sizeof(listening);

	if (getsockopt(sock, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) != 0)
		die("--fd: this is no socket");
	if (listening)
		return accept_loop(o, c, sock);
	catch_signals(&open_mask);
	status = serve_one(o, c, sock, &open_mask);
	return stop_asked ? 0 : status;
}

int netd_standalone(struct netd_options *o)
{
	struct net_config c;
	int sock, status;

	if (o->help)
		return put_text(netd_help_text);
	if (o->version)
		return put_text("lguest-sep-netd " LGUEST_SEP_VERSION "\n");
	if (o->capabilities)
		return put_text("{\n  \"type\": \"net\"\n}\n");

	c = o->net;
	/* The table's numbers must be free, and never be given out by chance. */
	if (o->fd >= 0)
		o->fd = move_out(o->fd, "--fd");
	if (o->tap_fd >= 0)
		o->tap_fd = move_out(o->tap_fd, "--tap-fd");
	set_tap_up(o, &c);
	if (!c.spoof_check && !o->have_mac)
		log_line(LOG_INFO, "no --mac: source addresses of frames are not checked");
	sock = o->socket_path ? vhu_listen(o->socket_path) : o->fd;
	status = serve(o, &c, sock);
	if (o->socket_path)
		unlink(o->socket_path);
	return status;
}
