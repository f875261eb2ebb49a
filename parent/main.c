// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lguest-sep: parse the command line, open everything in one short privileged
 * window, and supervise what was started, without any privilege, to its end.
 */
#include <signal.h>
#include <string.h>

#include "audit.h"
#include "options.h"
#include "setup.h"
#include "supervise.h"

static struct config config;
static struct host host;

int main(int argc, char **argv)
{
	uint64_t began = now_us();
	int status;

	if (!log_fill_standard())
		return complain(EXIT_HOST, "/dev/null: cannot open it: %m");
	if (argc > 1 && !strcmp(argv[1], "audit"))
		return audit_main(argc - 1, argv + 1);
	if (argc > 1 && !strcmp(argv[1], "doctor"))
		return doctor_main(argc - 1, argv + 1);
	status = options_parse(argc, argv, &config);
	if (status >= 0)
		return status;
	config.began_us = began;
	config.parsed_us = now_us();
	log_to_fd(2, "lguest-sep", config.verbose ? LOG_DEBUG : LOG_INFO);
	status = EXIT_HOST;
	(void)signal(SIGXFSZ, SIG_IGN); /* ulimit -f: an error to be told, no death */
	inherited_note();
	if (host_open(&host, &config) == 0) {
		inherited_close(&config);
		status = supervise(&host);
	}
	host_close(&host);
	return status;
}
