/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lguest-sep-fsd shares one directory with a vhost-user front-end. Either the supervisor starts it (--supervised), or a
 * user starts it as a stand-alone vhost-user back-end. Once confined, it opens only files below that directory and
 * allocates nothing; it maps only guest memory, and only until the connection is sealed (common/backend.h).
 */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/log.h"
#include "common/role.h"
#include "common/sandbox.h"
#include "fsd/device.h"
#include "fsd/options.h"
#include "fsd/restore.h"
#include "fsd/standalone.h"
#include "policy/policies.h"

static struct fsd share;
static struct backend loop;
static struct role_config role;

static void command_line(struct fsd_options *o, int argc, char **argv)
{
	const char *why;

	if (argc == 2 && !strcmp(argv[1], "--supervised")) {
		memset(o, 0, sizeof(*o));
		o->supervised = true;
		return;
	}
	log_unblock();
	if (fsd_options(o, argc, argv, &why)) {
		opt_complain("lguest-sep-fsd", why);
		_exit(2);
	}
	if (o->act) {
		if (fsd_print(o->act))
			die("cannot write to standard output: %m");
		_exit(0);
	}
}

/* Receive the configuration from the supervisor. */
static void receive_role(void)
{
	if (ctl_recv_config(HFD_CTL, ROLE_FSD, &role))
		die("no configuration from the supervisor: %m");
	log_to_ctl(HFD_CTL, role.name, role.log_level);
}

/*
 * Open every free number of the table, so that a file that is opened from now on gets a number above it: there the
 * strict filter allows fewer calls, and open_in() needs no second call.
 */
static void fill_table(void)
{
	for (int fd = 0; fd < FSD_FD0; fd++)
		if (fcntl(fd, F_GETFL) < 0 && fcntl(HFD_ROOT, F_DUPFD_CLOEXEC, fd) != fd)
			die("cannot fill the table of descriptors at %d: %m", fd);
}

static void seal(struct backend *be)
{
	(void)be;
	fill_table();
	if (sandbox_filter(share.cfg.read_write ? &policy_fsd_rw
			   : share.cfg.saved	? &policy_fsd_saved
						: &policy_fsd,
			   NULL))
		die("cannot install the strict seccomp filter: %m");
}

/* Make the tables. @device is unused, there is only one share. */
static void make_share(void *device)
{
	char why[LOG_LINE_MAX];

	(void)device;
	if (fsd_init(&share, &role.fs, role.generation, why, sizeof(why)) < 0)
		die("%s", why);
}

static void make_loop(void)
{
	struct backend_config bc = role_backend(&role);

	bc.seal = seal;
	fsd_backend(&share, role.name, &bc);
	if (backend_prepare(&loop, &bc))
		die("cannot set up epoll: %m");
	if (role.inflight && !backend_keep_inflight(&loop))
		die("the supervisor's inflight area has the wrong size");
}

static uint32_t confine(void)
{
	static const int root[] = { HFD_ROOT, -1 };
	bool rw = share.cfg.read_write;
	const struct sandbox_options options = { .readable = rw ? NULL : root, .writable = rw ? root : NULL };
	uint32_t missing = sandbox_enter(&options);

	if (sandbox_filter(rw		     ? &policy_fsd_rw_foreign
			   : share.cfg.saved ? &policy_fsd_saved_foreign
					     : &policy_fsd_foreign,
			   &missing))
		die("cannot install the seccomp filter: %m");
	return missing;
}

/* Confine this process and serve one front-end. Returns the exit status. */
static int serve(bool supervised)
{
	uint32_t missing;

	make_loop();
	missing = confine();
	fsd_restore(&share);
	role_ready(missing, supervised);
	return backend_run(&loop);
}

static int serve_connection(void *device)
{
	(void)device;
	return serve(false);
}

int main(int argc, char **argv)
{
	struct fsd_options o;
	int status;

	sandbox_undumpable();
	/* After execveat(), kernels before Linux 6.14 would show the descriptor's number as our name. */
	prctl(PR_SET_NAME, "lguest-sep-fsd");
	log_to_fd(HFD_DIAG, "lguest-sep-fsd", LOG_WARN);
	if (sandbox_elevated())
		die(ELEVATED_TEXT);
	command_line(&o, argc, argv);
	if (o.verbose)
		log_to_fd(HFD_DIAG, "lguest-sep-fsd", LOG_DEBUG);
	if (!o.supervised) {
		if (!log_fill_standard())
			die("cannot open /dev/null: %m");
		return fsd_standalone(&o, &role, make_share, serve_connection);
	}
	/* With SIGXFSZ ignored, a write beyond RLIMIT_FSIZE is an error instead of a crash. */
	(void)signal(SIGXFSZ, SIG_IGN);
	receive_role();
	make_share(NULL);
	status = serve(true);
	/* exit() would make system calls, in libc or a sanitizer, that the filter forbids. */
	syscall(SYS_exit_group, status);
	return status;
}
