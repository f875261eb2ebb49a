/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A compromised role against the supervisor: the real lguest-sep with a test role in place
 * of one of its own, which does the worst that its filter allows. The supervisor must print
 * few lines, obey its user, end in time, and leave nothing behind. Needs root.
 */
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/hostile/launch.h"

/* Most lines that a flood may cause: a burst, and a few per second with the number of dropped ones. */
#define FEW_LINES(seconds) (150 + 15 * (seconds))

struct taken {
	const char *name, *role, *want;
	struct launch l;
	int status;	   /* exit status of lguest-sep */
	int sig;	   /* sent when the role runs; 0: none */
	const char *line;  /* one of its lines; NULL: any */
	const char *first; /* the signal waits for this line; NULL: for none */
};

static const struct taken cases[] = {
	{ "the console's end in a queue of blkd's that nobody reads",
	  "vcpu",
	  "ended",
	  { { "--max-restarts=0", "--engine=kvm" }, NULL, "taken=stash" },
	  0,
	  0,
	  NULL,
	  NULL },
	{ "the same, in connections that nobody accepts",
	  "vcpu",
	  "ended",
	  { { "--engine=qemu" }, NULL, "taken=stash" },
	  0,
	  0,
	  NULL,
	  NULL },
	{ "a vCPU process floods its control channel",
	  "vcpu",
	  "ended",
	  { { "--verbose", "--engine=qemu" }, NULL, "taken=flood" },
	  0,
	  0,
	  "lines left out",
	  NULL },
	{ "the same, and the user has had enough",
	  "vcpu",
	  "ended",
	  { { "--verbose", "--engine=qemu" }, NULL, "taken=flood" },
	  0, /* It powers off after its flood. */
	  SIGTERM,
	  "asked the guest to power off",
	  "confined and running" },
	{ "blkd floods its control channel",
	  "blkd",
	  "ended",
	  { { "--verbose", "--stop-timeout=5" }, "taken=flood", NULL },
	  143,
	  SIGTERM,
	  "lines left out",
	  "lines left out" },
	{ "blkd says what is no message",
	  "blkd",
	  "ended",
	  { { "--max-restarts=0" }, "taken=garbage", NULL },
	  4,
	  0,
	  "sent an invalid message",
	  NULL },
	{ "a vCPU process says what is no message",
	  "vcpu",
	  "ended",
	  { { "--engine=qemu" }, NULL, "taken=garbage" },
	  4,
	  0,
	  "sent an invalid message",
	  NULL },
	{ "blkd does not end when it is told to",
	  "blkd",
	  "ended",
	  { { "--verbose", "--stop-timeout=1" }, "taken=deaf", NULL },
	  143,
	  SIGTERM,
	  "did not exit; killing it",
	  "all processes confined and running" },
	{ "a vCPU process that is never ready",
	  "vcpu",
	  "ended",
	  { { "--engine=qemu" }, NULL, "taken=mute" },
	  143,
	  SIGTERM,
	  NULL,
	  NULL },
};

static void stand(const void *arg)
{
	const struct taken *t = arg;
	char line[1024] = "";
	uint64_t began;
	unsigned lines;
	pid_t pid;
	int status;

	/* The kvm engine uses our own front-end; the test role only needs to open /dev/kvm. */
	if (strcmp(t->l.option[1] ? t->l.option[1] : "", "--engine=kvm") == 0 && access("/dev/kvm", R_OK | W_OK) != 0)
		skipped("no /dev/kvm on this host");
	launch_prepare(t->role);
	began = now_ms();
	pid = launch(&t->l);
	if (t->sig) {
		need(launch_runs(pid, t->role));
		for (unsigned i = 0; i < PATIENCE && t->first && !launch_said(t->first, NULL, 0); i++)
			usleep(1000);
		need(kill(pid, t->sig) == 0);
	}
	status = launch_end(pid, 4 * PATIENCE);
	lines = launch_said("", line, sizeof(line));
	need(WIFEXITED(status));
	if (WEXITSTATUS(status) != t->status)
		snprintf(report.why, sizeof(report.why), "status %d; %u lines, the last: %.120s", WEXITSTATUS(status),
			 lines, line);
	need(WEXITSTATUS(status) == t->status);
	need(lines <= FEW_LINES((now_ms() - began) / 1000));
	need(!launch_said("\033", NULL, 0));
	need(!t->line || launch_said(t->line, NULL, 0) >= 1);
	need(launch_gone());
	counted("ended");
}

/* A compromised netd can write anything to its capture file, but at most max= bytes. */
static void fill_the_capture(const void *arg)
{
	char option[200], path[150];
	const struct launch l = { .option = { "--max-restarts=0", option } };
	struct stat st;
	int status;

	(void)arg;
	launch_prepare("netd");
	snprintf(path, sizeof(path), "%s/capture", work_dir);
	snprintf(option, sizeof(option), "--tunnet=10.99.8.1/24,pcap=%s,max=64k", path);
	unlink(path);
	status = launch_end(launch(&l), 4 * PATIENCE);
	/* 1: the guest's other processes were not ready yet when netd was ended. */
	need(WIFEXITED(status) && (WEXITSTATUS(status) == 4 || WEXITSTATUS(status) == 1));
	need(stat(path, &st) == 0 && st.st_size == 65536);
	need(launch_gone());
	counted("full");
}

void taken_group(void)
{
	if (sanitized || geteuid() != 0)
		return;
	group("a taken role and the supervisor");
	play("netd fills its capture file", "full", fill_the_capture, NULL);
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++)
		play(cases[i].name, cases[i].want, stand, &cases[i]);
}
