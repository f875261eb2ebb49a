/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Shared by the tests of rooms and spawners: makes a room for the test role
 * (tests/host/spawn_role.c), starts the role, sends it commands, and ends it.
 */
#ifndef TESTS_UNIT_PARENT_RIG_H
#define TESTS_UNIT_PARENT_RIG_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "parent/room/spawn.h"

#define ROLE_UID 54321
#define ROLE_GID 54322

static char folder[640];
static int init_exe = -1, role_exe = -1;

struct running {
	struct spawner s;
	int ctl;
	pid_t role; /* as this test sees it */
};

static inline void need_root(void)
{
	if (geteuid() != 0) {
		print_message("skipped: needs root\n");
		skip();
	}
}

static inline struct room a_room(void)
{
	struct room r = { .name = "blk0",
			  .role = ROLE_BLKD,
			  .uid = ROLE_UID,
			  .gid = ROLE_GID,
			  .exe = role_exe,
			  .init_exe = init_exe,
			  .diag = 2 };
	return r;
}

static inline int wait_message(struct spawner *s, struct spawn_msg *m)
{
	struct pollfd p = { .fd = s->sock, .events = POLLIN };

	if (poll(&p, 1, 60000) != 1)
		return 0;
	return spawner_recv(s, m);
}

static inline long ask(int ctl, char command)
{
	struct pollfd p = { .fd = ctl, .events = POLLIN };
	long value = -1;

	assert_int_equal(send(ctl, &command, 1, MSG_NOSIGNAL), 1);
	if (poll(&p, 1, 60000) != 1 || recv(ctl, &value, sizeof(value), 0) != sizeof(value))
		return -12345;
	return value;
}

static inline pid_t child_of(pid_t pid)
{
	char path[64];
	int child = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	f = fopen(path, "r");
	if (f) {
		if (fscanf(f, "%d", &child) != 1)
			child = -1;
		fclose(f);
	}
	return child;
}

/* @threads 0: the role may make none, and no process. */
static inline void start_with(struct running *r, const struct role_fds *more, uint32_t threads)
{
	struct role_fds f = { 0 };
	struct spawn_msg m;
	int pair[2];

	if (more)
		f = *more;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	role_fds_add(&f, pair[1], HFD_CTL);
	assert_int_equal(spawner_start_role(&r->s, &f, HFD_LIMIT, threads, 4096, 0), 0);
	close(pair[1]);
	r->ctl = pair[0];
	assert_int_equal(wait_message(&r->s, &m), 1);
	assert_int_equal(m.type, SPAWN_STARTED);
	assert_int_equal(ask(r->ctl, 'h'), 0);
	r->role = child_of(r->s.pid);
	assert_true(r->role > 0);
}

static inline void start_in(struct running *r, const struct role_fds *more)
{
	start_with(r, more, 0);
}

static inline int spawner_create(struct spawner *s, const struct room *r)
{
	return spawner_begin(s, r) < 0 ? -1 : spawner_finish(s);
}

static inline void start(struct running *r)
{
	struct room room = a_room();

	memset(r, 0, sizeof(*r));
	assert_int_equal(spawner_create(&r->s, &room), 0);
	start_in(r, NULL);
}

static inline void stop(struct running *r)
{
	close(r->ctl);
	spawner_destroy(&r->s);
}

static inline bool gone(pid_t pid)
{
	for (int i = 0; i < 6000; i++) {
		if (kill(pid, 0) < 0 && errno == ESRCH)
			return true;
		usleep(10000);
	}
	return false;
}

static inline int open_programs(const char *argv0)
{
	char path[700];
	char *slash;

	snprintf(folder, sizeof(folder), "%s", argv0);
	slash = strrchr(folder, '/');
	if (slash)
		*slash = '\0';
	snprintf(path, sizeof(path), "%s/../../bin/lguest-sep-init", folder);
	init_exe = open(path, O_RDONLY | O_CLOEXEC);
	snprintf(path, sizeof(path), "%s/../host/spawn_role", folder);
	role_exe = open(path, O_RDONLY | O_CLOEXEC);
	return init_exe < 0 || role_exe < 0 ? -1 : 0;
}

#endif
