/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * blkd: one disk image behind one vhost-user socket. Runs confined, as a role of
 * lguest-sep (--supervised) or as a back-end program of its own. Once confined it
 * must never open, allocate or map anything that its phase does not allow.
 */
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "blkd/device.h"
#include "blkd/options.h"
#include "blkd/serve.h"
#include "common/log.h"
#include "common/sandbox.h"
#include "policy/policies.h"

static struct blkd disk;
static struct backend loop;
static struct role_config role;

static void print(const char *text)
{
	size_t len = strlen(text);

	while (len) {
		ssize_t put = write(STDOUT_FILENO, text, len);

		if (put <= 0)
			_exit(1);
		text += put;
		len -= (size_t)put;
	}
	_exit(0);
}

static void command_line(struct blkd_options *o, int argc, char **argv)
{
	char why[LOG_LINE_MAX];

	if (blkd_options(o, argc, argv, why, sizeof(why))) {
		log_line(LOG_ERROR, "%s (see --help)", why);
		_exit(2);
	}
	if (o->help)
		print(blkd_help_text);
	if (o->version)
		print("lguest-sep-blkd " LGUEST_SEP_VERSION "\n");
	if (o->print_capabilities)
		print(blkd_capabilities);
}

/* What to serve, and the descriptors for it, from the supervisor. */
static void receive_role(void)
{
	if (ctl_recv_config(HFD_CTL, ROLE_BLKD, &role))
		die("no configuration from the supervisor: %m");
	log_to_ctl(HFD_CTL, role.name, role.log_level);
}

/* The same from the command line and the file system; returns in the process that serves the connection. */
static void receive_stand_alone(struct blkd_options *o)
{
	bool listening;

	if (!log_fill_standard())
		die("cannot open /dev/null: %m");
	serve_open(o, &listening);
	if (listening)
		serve_connections(o);
	role.blk = o->blk;
	role.poll_us = o->poll_us;
	role.mem_unsealed = o->allow_unsealed;
	memcpy(role.name, "blk", sizeof("blk"));
}

static void seal(struct backend *be)
{
	(void)be;
	if (sandbox_filter(&policy_blkd, NULL))
		die("the filter: %m");
}

/* Everything that has to be made before the filter is on. Returns missing layers. */
static uint32_t map(void)
{
	struct backend_config bc = {
		.memory = {
			.same_inode = role.mem_ino != 0,
			.allow_unsealed = role.mem_unsealed,
			.dev = role.mem_dev,
			.ino = role.mem_ino,
		},
		.own_front = role.own_front,
		.seal = seal,
		.generation = role.generation,
		.poll_us = role.poll_us,
	};
	char why[LOG_LINE_MAX];
	int missing = blkd_init(&disk, &role.blk, HFD_DISK, HFD_DELTA, why, sizeof(why));

	if (missing < 0)
		die("%s", why);
	if (role.blk.snapshot && role.mem_ino && !snapshot_share(&disk.snap, HFD_SNAPMAP))
		die("the snapshot's map: %m");
	blkd_backend(&disk, role.name, &bc);
	if (backend_prepare(&loop, &bc) || blkd_watch(&disk, &loop))
		die("epoll: %m");
	if (role.inflight && !backend_keep_inflight(&loop))
		die("the supervisor's area of requests in flight does not fit");
	if (role.inflight)
		blkd_keep_note(&disk, backend_note(&loop));
	return (uint32_t)missing;
}

static uint32_t confine(uint32_t missing, bool supervised)
{
	static const struct sandbox_options options;
	uint64_t fsize = role.blk.is_block_device ? UINT64_MAX : role.blk.capacity;

	/* A write beyond the limit is an error of that request, not the end. */
	signal(SIGXFSZ, SIG_IGN);
	if (!supervised && sandbox_rlimits(HFD_LIMIT, fsize, 0))
		die("resource limits: %m");
	missing |= sandbox_enter(&options);
	blkd_mseal(&disk);
	if (sandbox_filter(&policy_blkd_foreign, &missing))
		die("the filter: %m");
	return missing;
}

static void ready(uint32_t missing, bool supervised)
{
	char text[LOG_LINE_MAX];

	if (supervised) {
		ctl_send_text(HFD_CTL, CTL_READY, missing, "");
	} else if (missing) {
		sandbox_missing_text(missing, text, sizeof(text));
		log_line(LOG_INFO, "this host lacks: %s", text);
	}
}

int main(int argc, char **argv)
{
	struct blkd_options o;
	uint32_t missing;
	int status;

	log_to_fd(HFD_DIAG, "lguest-sep-blkd", LOG_WARN);
	command_line(&o, argc, argv);
	if (o.verbose)
		log_to_fd(HFD_DIAG, "lguest-sep-blkd", LOG_DEBUG);

	if (o.supervised)
		receive_role();
	else
		receive_stand_alone(&o);
	missing = map();
	missing = confine(missing, o.supervised);
	ready(missing, o.supervised);
	/* QEMU connects again by path when a process of ours was started again. */
	if (o.supervised && role.listening && backend_accept(&loop)) {
		if (loop.quit)
			return 0;
		die("no front-end connected: %m");
	}
	status = backend_run(&loop);
	if (blkd_sync(&disk))
		log_line(LOG_ERROR, "the last flush failed: %m");
	/* What libc, or a sanitizer, does on its way out is more than the filter allows. */
	syscall(SYS_exit_group, status);
	return status;
}
