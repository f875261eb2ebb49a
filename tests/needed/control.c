/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * work controld PROGRAM: PROGRAM serves clients as under the supervisor: counters, the
 * console both ways, one client too many, the end of the guest. Runs as a test alone.
 */
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/needed/work.h"

static struct sockaddr_un address;
static socklen_t address_len = sizeof(address);
static int ctl, console;

static pid_t start(const char *program)
{
	int channel[2], stream[2], listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	static struct role_config config = { .type = CTL_CONFIG, .role = ROLE_CONTROLD, .name = "control" };
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	pid_t pid;

	config.control.owner = getuid();
	/* A name of the kernel's choice. */
	MUST(bind(listener, (struct sockaddr *)&a, sizeof(a.sun_family)) == 0 && listen(listener, 8) == 0);
	MUST(getsockname(listener, (struct sockaddr *)&address, &address_len) == 0);
	MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel) == 0);
	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, stream) == 0);
	pid = fork();
	if (pid == 0) {
		int from[] = { listener, stream[1], channel[1] }, to[] = { CFD_LISTEN, CFD_CONSOLE, CFD_CTL };

		for (unsigned i = 0; i < 3; i++)
			from[i] = fcntl(from[i], F_DUPFD_CLOEXEC, 200);
		for (int fd = 3; fd < 200; fd++)
			close(fd);
		for (unsigned i = 0; i < 3; i++)
			dup2(from[i], to[i]);
		execl(program, program, "--supervised", NULL);
		_exit(127);
	}
	close(listener);
	close(channel[1]);
	close(stream[1]);
	ctl = channel[0];
	console = stream[0];
	MUST(write(ctl, &config, sizeof(config)) == sizeof(config));
	return pid;
}

/* The next message at @fd, which has to be of @type. */
static struct ctl_msg expect(int fd, enum ctl_type type)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct ctl_msg m = { 0 };

	MUST(poll(&p, 1, WAIT_MS) == 1);
	MUST(recv(fd, &m, sizeof(m), 0) == sizeof(m) && m.type == type);
	return m;
}

static void tell(struct ctl_msg m)
{
	MUST(send(ctl, &m, sizeof(m), MSG_NOSIGNAL) == sizeof(m));
}

static int ask(enum control_command command)
{
	struct ctl_msg m = { .type = CTL_COMMAND, .value = command };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	MUST(connect(fd, (struct sockaddr *)&address, address_len) == 0);
	MUST(send(fd, &m, sizeof(m), MSG_NOSIGNAL) == sizeof(m));
	return fd;
}

int controld(const char *program)
{
	pid_t pid = start(program);
	struct ctl_msg typed = { .type = CTL_CONSOLE, .count = 2, .text = "ls" };
	struct pollfd p = { .fd = console, .events = POLLIN };
	int wait, stats, attached, status;
	char in[8];

	(void)expect(ctl, CTL_READY);
	tell((struct ctl_msg){ .type = CTL_STATE, .state = { .name = "one" } });
	wait = ask(CONTROL_WAIT);
	stats = ask(CONTROL_STATS);
	MUST(expect(ctl, CTL_COMMAND).value == CONTROL_STATS);
	tell((struct ctl_msg){ .type = CTL_ROLE_STATS, .count = 1 });
	(void)expect(stats, CTL_ROLE_STATS);
	close(stats);
	attached = ask(CONTROL_ATTACH);
	MUST(write(console, "$ ", 2) == 2);
	MUST(expect(attached, CTL_CONSOLE).count == 2);
	MUST(send(attached, &typed, sizeof(typed), MSG_NOSIGNAL) == sizeof(typed));
	MUST(poll(&p, 1, WAIT_MS) == 1 && read(console, in, sizeof(in)) == 2);
	tell((struct ctl_msg){ .type = CTL_OVER, .value = 3 });
	MUST(expect(wait, CTL_OVER).value == 3);
	MUST(expect(attached, CTL_OVER).value == 3);
	MUST(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
	return 0;
}
