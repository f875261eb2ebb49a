/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lguest-sep-netd: one NIC. Either the supervisor started it, with every
 * descriptor of common/fdtab.h in its place (--supervised), or it is a vhost-user
 * back-end program of its own. Reads: receive; then serve.c maps, confines and
 * loops. It opens nothing and parses nothing of the guest's itself.
 */
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "netd.h"

static int serve_supervised(void)
{
	static struct role_config rc;
	int status;

	log_to_ctl(HFD_CTL, "netd", LOG_INFO);
	if (ctl_recv_config(HFD_CTL, ROLE_NETD, &rc) != 0)
		die("no configuration from the supervisor");
	log_to_ctl(HFD_CTL, rc.name, (enum log_level)rc.log_level);
	if (!rc.net.queue_pairs || rc.net.queue_pairs > NETD_MAX_PAIRS)
		die("%u queue pairs are not possible", rc.net.queue_pairs);
	/* What libc, or a sanitizer, does on its way out is more than the filter allows. */
	status = netd_serve(&rc, true);
	syscall(SYS_exit_group, status);
	return status;
}

int main(int argc, char **argv)
{
	static struct netd_options o;
	char err[LOG_LINE_MAX];

	if (argc == 2 && strcmp(argv[1], "--supervised") == 0)
		return serve_supervised();
	log_to_fd(STDERR_FILENO, "lguest-sep-netd", LOG_INFO);
	if (!log_fill_standard())
		die("cannot open /dev/null: %m");
	if (netd_parse(argc, argv, &o, err, sizeof(err)) != 0) {
		log_line(LOG_ERROR, "%s", err);
		return 2;
	}
	return netd_standalone(&o);
}
