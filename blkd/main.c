/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lguest-sep-blkd serves one disk image to a vhost-user front-end. Either the supervisor
 * starts it (--supervised), or a user starts it as a stand-alone vhost-user back-end. Once
 * confined, it opens nothing and allocates nothing; it maps only guest memory and an
 * inflight area, and only until the connection is sealed (common/backend.h).
 */
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "blkd/device.h"
#include "blkd/nbd.h"
#include "blkd/options.h"
#include "blkd/standalone.h"
#include "common/log.h"
#include "common/role.h"
#include "common/sandbox.h"
#include "policy/policies.h"

static struct blkd disk;
static struct backend loop;
static struct role_config role;
static int missing_layers; /* LAYER_IO_URING if the host has no io_uring */

static void command_line(struct blkd_options *o, int argc, char **argv)
{
	const char *why;

	if (argc == 2 && !strcmp(argv[1], "--supervised")) {
		memset(o, 0, sizeof(*o));
		o->supervised = true;
		return;
	}
	log_unblock();
	if (blkd_options(o, argc, argv, &why)) {
		opt_complain("lguest-sep-blkd", why);
		_exit(2);
	}
	if (o->act) {
		if (blkd_print(o->act))
			die("cannot write to standard output: %m");
		_exit(0);
	}
}

/* Receive the configuration from the supervisor. */
static void receive_role(void)
{
	if (ctl_recv_config(HFD_CTL, ROLE_BLKD, &role))
		die("no configuration from the supervisor: %m");
	log_to_ctl(HFD_CTL, role.name, role.log_level);
}

/* True if there is another file with changes of the snapshot: of --from, or HFD_LOWER, which has the same number. */
static bool reads_more(void)
{
	return role.blk.saved || role.blk.lower;
}

static void seal(struct backend *be)
{
	(void)be;
	if (sandbox_filter(reads_more() ? &policy_blkd_saved : &policy_blkd, NULL))
		die("cannot install the strict seccomp filter: %m");
}

/* Initialise the disk and, if the host has it, the io_uring. @device is unused, there is only one disk. */
static void make_disk(void *device)
{
	char why[LOG_LINE_MAX];

	(void)device;
	missing_layers = blkd_init(&disk, &role.blk, HFD_DISK, HFD_DELTA, why, sizeof(why));
	if (missing_layers < 0)
		die("%s", why);
}

/* Use the supervisor's map of the snapshot, which outlives this process. */
static void share_map(void)
{
	if (role.blk.snapshot && role.mem_ino && !snapshot_share(&disk.snap, HFD_SNAPMAP))
		die("cannot map the supervisor's map of the snapshot: %m");
	if (role.blk.levels && role.mem_ino && !snapshot_levels(&disk.snap, HFD_SNAPMAP2))
		die("cannot map the supervisor's other maps of the snapshot: %m");
	if (role.blk.lower && !snapshot_lower(&disk.snap, HFD_LOWER, HFD_LOWMAP, BLKD_LOWER_SLOT, role.blk.begins))
		die("cannot use what the snapshot had at the checkpoint: %m");
}

/* Do everything else that the filter will forbid: snapshot map, epoll set, inflight area. */
static void make_loop(void)
{
	struct backend_config bc = role_backend(&role);

	bc.seal = seal;
	share_map();
	blkd_backend(&disk, role.name, &bc);
	if (backend_prepare(&loop, &bc) || blkd_watch(&disk, &loop))
		die("cannot set up epoll: %m");
	if (role.inflight && !backend_keep_inflight(&loop))
		die("the supervisor's inflight area has the wrong size");
	if (role.inflight)
		blkd_keep_note(&disk, backend_note(&loop));
}

static uint32_t confine(uint32_t missing)
{
	static const struct sandbox_options options;

	missing |= sandbox_enter(&options);
	blkd_mseal(&disk);
	if (sandbox_filter(reads_more() ? &policy_blkd_saved_foreign : &policy_blkd_foreign, &missing))
		die("cannot install the seccomp filter: %m");
	return missing;
}

/* Confine this process and serve one front-end with the initialised disk. Returns the exit status. */
static int serve(bool supervised)
{
	int status;

	/* With SIGXFSZ ignored, a write beyond RLIMIT_FSIZE is an error instead of a crash. */
	(void)signal(SIGXFSZ, SIG_IGN);
	if (supervised && role.blk.nbd) {
		share_map();
		return nbd_main(&disk, (uint32_t)missing_layers);
	}
	make_loop();
	role_ready(confine((uint32_t)missing_layers), supervised);
	/* QEMU connects by path: accept its connection, also after blkd was restarted. */
	if (supervised && role.listening && backend_accept(&loop)) {
		if (loop.quit)
			return 0;
		die("no front-end connected: %m");
	}
	status = backend_run(&loop);
	if (blkd_sync(&disk))
		log_line(LOG_ERROR, "the flush at exit failed, recent writes may be lost: %m");
	return status;
}

static int serve_connection(void *device)
{
	(void)device;
	return serve(false);
}

int main(int argc, char **argv)
{
	struct blkd_options o;
	int status;

	sandbox_undumpable();
	/* After execveat(), kernels before Linux 6.14 would show the descriptor's number as our name. */
	prctl(PR_SET_NAME, "lguest-sep-blkd");
	log_to_fd(HFD_DIAG, "lguest-sep-blkd", LOG_WARN);
	if (sandbox_elevated())
		die(ELEVATED_TEXT);
	command_line(&o, argc, argv);
	if (o.verbose)
		log_to_fd(HFD_DIAG, "lguest-sep-blkd", LOG_DEBUG);
	if (!o.supervised) {
		if (!log_fill_standard())
			die("cannot open /dev/null: %m");
		return blkd_standalone(&o, &role, make_disk, serve_connection);
	}
	receive_role();
	make_disk(NULL);
	status = serve(true);
	/* exit() would make system calls, in libc or a sanitizer, that the filter forbids. */
	syscall(SYS_exit_group, status);
	return status;
}
