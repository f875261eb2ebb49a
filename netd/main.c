/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lguest-sep-netd serves one NIC. Either the supervisor starts it (--supervised), with the
 * descriptors of common/fdtab.h at their numbers, or a user starts it as a stand-alone
 * vhost-user back-end. This file reads the configuration; run.c then confines the process
 * and serves the front-end. Nothing here reads data of the guest.
 */
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/options.h"
#include "common/sandbox.h"
#include "netd/options.h"
#include "netd/run.h"
#include "netd/standalone.h"

static int serve_supervised(void)
{
	static struct role_config rc;
	int status;

	log_to_ctl(HFD_CTL, "netd", LOG_INFO);
	if (ctl_recv_config(HFD_CTL, ROLE_NETD, &rc) != 0)
		die("no configuration from the supervisor");
	log_to_ctl(HFD_CTL, rc.name, (enum log_level)rc.log_level);
	if (!rc.net.queue_pairs || rc.net.queue_pairs > NETD_MAX_PAIRS)
		die("%u queue pairs: expected 1 to %u", rc.net.queue_pairs, NETD_MAX_PAIRS);
	netd_make(&rc);
	/* exit() would make system calls, in libc or a sanitizer, that the filter forbids. */
	status = netd_run(&rc, true);
	syscall(SYS_exit_group, status);
	return status;
}

int main(int argc, char **argv)
{
	static struct netd_options o;
	const char *why;

	sandbox_undumpable();
	/* After execveat(), kernels before Linux 6.14 would show the descriptor's number as our name. */
	prctl(PR_SET_NAME, "lguest-sep-netd");
	if (argc == 2 && strcmp(argv[1], "--supervised") == 0)
		return serve_supervised();
	log_to_fd(STDERR_FILENO, "lguest-sep-netd", LOG_INFO);
	log_unblock();
	if (sandbox_elevated())
		die(ELEVATED_TEXT);
	if (!log_fill_standard())
		die("cannot open /dev/null: %m");
	if (netd_parse(argc, argv, &o, &why) != 0) {
		opt_complain("lguest-sep-netd", why);
		return 2;
	}
	if (o.act) {
		if (netd_print(o.act) != 0)
			die("cannot write to standard output: %m");
		return 0;
	}
	return netd_standalone(&o);
}
