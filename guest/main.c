/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lguest-sep-guest, the init program of `lguest-sep run`. Prepares the guest, runs one
 * command with its standard streams on named ports of the console device, reports its exit
 * status, waits until the host has received all output, and powers off.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/reboot.h>
#include <unistd.h>

#include "guest/guest.h"

/* If the host has closed the ports for a minute (6000 steps of 10 ms), stop waiting for it. */
#define HOST_STEP_US	10000
#define HOST_GONE_STEPS 6000

static struct instructions instructions;
static char text[RUN_COMMAND_MAX + 1];

/* Parse one KEY=VALUE string. Returns 0, or -1 if the key is unknown or there are too many. */
static int take(struct instructions *in, char *word)
{
	if (!strncmp(word, "module=", 7) && in->nmodules < RUN_MODULES_MAX)
		in->module[in->nmodules++] = word + 7;
	else if (!strncmp(word, "env=", 4) && in->nenv < RUN_WORDS_MAX)
		in->env[in->nenv++] = word + 4;
	else if (!strncmp(word, "arg=", 4) && in->nargs < RUN_WORDS_MAX)
		in->arg[in->nargs++] = word + 4;
	else if (!strncmp(word, "fsmodule=", 9) && in->nfs_modules < RUN_MODULES_MAX)
		in->fs_module[in->nfs_modules++] = word + 9;
	else if (!strncmp(word, "part=", 5))
		in->part = word + 5;
	else if (!strcmp(word, "disk=ro"))
		in->disk = RUN_DISK_READ_ONLY;
	else if (!strcmp(word, "disk=rw"))
		in->disk = RUN_DISK_WRITABLE;
	else if (!strncmp(word, "cwd=", 4))
		in->cwd = word + 4;
	else if (!strcmp(word, "busybox="))
		in->busybox = true;
	else if (!strcmp(word, "rounds="))
		in->rounds = true;
	else if (!strcmp(word, "root="))
		in->root = true;
	else if (!strcmp(word, "in="))
		in->in = true;
	else if (!strcmp(word, "out="))
		in->out = true;
	else
		return -1;
	return 0;
}

/* Read RUN_COMMAND. Returns 0, or -1 after logging the reason. */
static int read_instructions(struct instructions *in)
{
	int fd = open(RUN_COMMAND, O_RDONLY | O_CLOEXEC);
	size_t have = 0;
	ssize_t n = -1;

	while (fd >= 0 && have < RUN_COMMAND_MAX && (n = read(fd, text + have, RUN_COMMAND_MAX - have)) > 0)
		have += (size_t)n;
	if (fd >= 0)
		close(fd);
	if (fd < 0 || n < 0) {
		say("cannot read ", RUN_COMMAND, errno);
		return -1;
	}
	for (char *w = text; w < text + have; w += strlen(w) + 1)
		if (take(in, w) < 0) {
			say("unknown or too many instructions in " RUN_COMMAND ": ", w, 0);
			return -1;
		}
	if (in->nargs)
		return 0;
	say("no command in ", RUN_COMMAND, 0);
	return -1;
}

static void power_off(void)
{
	sync();
	reboot(RB_POWER_OFF);
	/* If the machine cannot power off, reset it; that ends the guest too. */
	reboot(RB_AUTOBOOT);
	for (;;)
		pause();
}

/* Send @r to the host, then wait until the host confirms (RUN_TAKEN) that it has received all output. */
static void report(int fd, const struct run_result *r)
{
	const char *from = (const char *)r;
	size_t left = sizeof(*r);
	char taken = 0;

	while (left) {
		struct pollfd p = { .fd = fd, .events = POLLOUT };
		ssize_t n = write(fd, from, left);

		if (n > 0) {
			from += n;
			left -= (size_t)n;
		} else if (n < 0 && errno != EAGAIN && errno != EINTR) {
			say("cannot report the result", "", errno);
			return;
		} else {
			poll(&p, 1, 1000);
		}
	}
	for (unsigned alone = 0; taken != RUN_TAKEN && alone < HOST_GONE_STEPS;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };

		poll(&p, 1, 1000);
		if (read(fd, &taken, 1) > 0 || !(p.revents & POLLHUP)) {
			alone = 0;
			continue;
		}
		alone++;
		usleep(HOST_STEP_US);
	}
}

int main(void)
{
	static struct run_result result = { .magic = RUN_MAGIC };
	int port[RUN_PORTS];

	if (getpid() != 1) {
		say("this program works only as process 1 of a guest that lguest-sep run has started", "", 0);
		return 2;
	}
	if (read_instructions(&instructions) == 0) {
		set_up(&instructions);
		if (open_ports(port) == 0) {
			if (mount_roots(&instructions, &result) == 0)
				run_command(&instructions, port, &result);
			leave_disk(&instructions);
			report(port[RUN_RESULT], &result);
			/* Faster than a power-off, to which the host would answer the same way. */
			go_back();
		}
	}
	power_off();
	return 1;
}
