/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lguest-sep: parses the command line, opens everything in one short privileged
 * window, and then supervises the guest's processes without any privilege.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/fmt.h"
#include "common/log.h"
#include "common/sandbox.h"
#include "parent/audit/audit.h"
#include "parent/control/control.h"
#include "parent/detach.h"
#include "parent/doctor/doctor.h"
#include "parent/options/options.h"
#include "parent/options/util.h"
#include "parent/run/run.h"
#include "parent/setup/answers.h"
#include "parent/setup/inherited.h"
#include "parent/setup/kernel.h"
#include "parent/setup/mac.h"
#include "parent/setup/notify.h"
#include "parent/setup/result.h"
#include "parent/setup/setup.h"
#include "parent/supervise/supervise.h"

/* How long the file system of a disk or kernel may take to answer, in ms. */
#define ANSWER_MS 10000

static struct config config;
static struct host host;

/*
 * Warn about environment variables that load foreign code into this process. That code
 * may make system calls which the supervisor's seccomp filter forbids, and the kernel
 * then kills the supervisor without a message. The other processes have no environment.
 */
static void warn_about_preload(void)
{
	static const char *const names[] = { "LD_PRELOAD", "LD_AUDIT", "LD_LIBRARY_PATH", "GLIBC_TUNABLES",
					     /* With these the dynamic linker writes at the end. */
					     "LD_DEBUG", "LD_PROFILE" };
	char set[512] = "", unset[100] = "";
	unsigned n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const char *value = getenv(names[i]);
		size_t len = strlen(set), ulen = strlen(unset);

		if (!value || !*value)
			continue;
		fmt_line(set + len, sizeof(set) - len, "%s%s=%s", n ? " and " : "", names[i], value);
		fmt_line(unset + ulen, sizeof(unset) - ulen, " -u %s", names[i]);
		n++;
	}
	if (n)
		complain(
			0,
			"%s %s foreign code in lguest-sep, and its seccomp filter may kill it for that without a message; "
			"start it with env%s",
			set, n > 1 ? "run" : "runs", unset);
}

/* This host cannot run any guest: report that as the end of this one. Returns @status. */
static int refused(int status)
{
	if (result_open(&config) == 0)
		result_host_failed(&config, status);
	notify_status(notify_open(), complaint_last());
	return status;
}

/*
 * End without the destructors of the libraries, which only free memory. With the page faults of their code and the
 * symbols that they look up, they take 0.6 ms of processor time.
 */
static NORETURN void leave(int status)
{
	fflush(NULL);
#if defined(__SANITIZE_ADDRESS__)
	exit(status); /* Looks for leaks. */
#else
	_exit(status);
#endif
}

int main(int argc, char **argv)
{
	uint64_t began = now_us();
	int status, tell_ready = -1, notify;

	if (!log_fill_standard())
		return complain(EXIT_HOST, "cannot open /dev/null: %m");
	log_unblock();
	/* If SIGCHLD is ignored, as the program that started us may have left it, waitpid() reports no child. */
	(void)signal(SIGCHLD, SIG_DFL);
	if (sandbox_elevated())
		return complain(EXIT_HOST, ELEVATED_TEXT);
	if (argc > 1 && !strcmp(argv[1], "audit"))
		return audit_main(argc - 1, argv + 1);
	if (argc > 1 && !strcmp(argv[1], "doctor"))
		return doctor_main(argc - 1, argv + 1);
	if (argc > 1 && control_is_command(argv[1]))
		return control_main(argc - 1, argv + 1);
	status = options_parse(argc, argv, &config);
	if (status > 0 && config.run.on)
		status = EXIT_RUN_FAILED;
	if (status >= 0)
		return status;
	config.began_us = began;
	config.parsed_us = now_us();
	log_to_fd(2, "lguest-sep", config.verbose ? LOG_DEBUG : config.quiet ? LOG_WARN : LOG_INFO);
	warn_about_preload();
	mac_name_nics(&config, MACHINE_ID, getuid());
	status = config.run.on ? EXIT_RUN_FAILED : EXIT_HOST;
	(void)signal(SIGXFSZ, SIG_IGN); /* With ulimit -f, write() must fail with EFBIG instead of killing us. */
	if (kernel_check() < 0)
		return refused(status);
	if (inherited_note() < 0)
		return status;
	if (config.detach) {
		int detached = detach(&tell_ready);

		if (detached >= 0)
			return detached;
	}
	notify = notify_open();
	if (files_answer(&config, ANSWER_MS) == 0 && result_open(&config) == 0 &&
	    (!config.run.on || run_initrd(&config) == 0) && host_open(&host, &config) == 0) {
		inherited_close(&config);
		host.tell_ready = tell_ready;
		host.notify = notify;
		status = supervise(&host);
	} else {
		if (host.name_taken && !config.run.on)
			status = EXIT_USAGE;
		result_host_failed(&config, status);
		notify_status(notify, complaint_last());
	}
	host_close(&host);
	leave(status);
}
