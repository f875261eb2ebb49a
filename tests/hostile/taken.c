/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A taken role against the supervisor: the real lguest-sep with a test role in
 * the place of one of its own, which does nothing that its filter forbids, and is
 * as bad as it can be with what it has. The supervisor says little, obeys its
 * user, ends in time, and leaves nothing. Needs root.
 */
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "launch.h"

/* Lines that a flood of seconds may leave: a burst, and a few a second, each with its count. */
#define FEW_LINES 200

struct taken {
	const char *name, *role, *want;
	struct launch l;
	int status;	  /* exit status of lguest-sep */
	int sig;	  /* sent when roles run; 0: none */
	unsigned ms;	  /* to end, on the slowest host */
	const char *line; /* one of its lines; NULL: any */
};

static const struct taken cases[] = {
	{ "the console's end in a queue of blkd's that nobody reads",
	  "vcpu",
	  "ended",
	  { { "--max-restarts=0", "--engine=kvm" }, NULL, "taken=stash" },
	  0,
	  0,
	  20000,
	  NULL },
	{ "the same, in connections that nobody accepts",
	  "vcpu",
	  "ended",
	  { { "--engine=qemu" }, NULL, "taken=stash" },
	  0,
	  0,
	  20000,
	  NULL },
	{ "a vCPU process floods its control channel",
	  "vcpu",
	  "ended",
	  { { "--verbose", "--engine=qemu" }, NULL, "taken=flood" },
	  0,
	  0,
	  25000,
	  "lines left out" },
	{ "the same, and the user has had enough",
	  "vcpu",
	  "ended",
	  { { "--verbose", "--engine=qemu" }, NULL, "taken=flood" },
	  143,
	  SIGTERM,
	  25000,
	  "asked to power off" },
	{ "blkd floods its control channel",
	  "blkd",
	  "ended",
	  { { "--verbose" }, "taken=flood", NULL },
	  143,
	  SIGTERM,
	  25000,
	  "lines left out" },
	{ "blkd says what is no message",
	  "blkd",
	  "ended",
	  { { "--max-restarts=0" }, "taken=garbage", NULL },
	  4,
	  0,
	  20000,
	  "said something that is no message" },
	{ "a vCPU process says what is no message",
	  "vcpu",
	  "ended",
	  { { "--engine=qemu" }, NULL, "taken=garbage" },
	  4,
	  0,
	  20000,
	  "said something that is no message" },
	{ "blkd does not end when it is told to",
	  "blkd",
	  "ended",
	  { { NULL }, "taken=deaf", NULL },
	  143,
	  SIGTERM,
	  25000,
	  "does not end; it is killed" },
	{ "a vCPU process that is never ready",
	  "vcpu",
	  "ended",
	  { { "--engine=qemu" }, NULL, "taken=mute" },
	  143,
	  SIGTERM,
	  20000,
	  NULL },
};

static void stand(const void *arg)
{
	const struct taken *t = arg;
	char line[1024] = "";
	unsigned lines;
	pid_t pid;
	int status;

	/* Our own front-end's connection; the role does not need a CPU that can do it. */
	if (strcmp(t->l.option[1] ? t->l.option[1] : "", "--engine=kvm") == 0 && access("/dev/kvm", R_OK | W_OK) != 0)
		skipped("no /dev/kvm on this host");
	launch_prepare(t->role);
	pid = launch(&t->l);
	if (t->sig) {
		/* Supervisor and spawners, and one of their roles: signals are looked at. */
		for (unsigned i = 0; i < PATIENCE && launch_left() < 5; i++)
			usleep(1000);
		usleep(700000);
		need(kill(pid, t->sig) == 0);
	}
	status = launch_end(pid, t->ms);
	lines = launch_said("", line, sizeof(line));
	need(WIFEXITED(status));
	if (WEXITSTATUS(status) != t->status)
		snprintf(report.why, sizeof(report.why), "status %d; %u lines, the last: %.120s", WEXITSTATUS(status),
			 lines, line);
	need(WEXITSTATUS(status) == t->status);
	need(lines <= FEW_LINES);
	need(!launch_said("\033", NULL, 0));
	need(!t->line || launch_said(t->line, NULL, 0) >= 1);
	need(launch_gone());
	counted("ended");
}

void taken_group(void)
{
	if (sanitized || geteuid() != 0)
		return;
	group("a taken role and the supervisor");
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++)
		play(cases[i].name, cases[i].want, stand, &cases[i]);
}
