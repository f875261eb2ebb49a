/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Spawners seen from the parent: made inside the privileged window, used ever
 * after by the supervisor without any privilege.
 */
#ifndef PARENT_SPAWN_H
#define PARENT_SPAWN_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/ctl.h"
#include "common/fdtab.h"
#include "common/spawn_proto.h"

/* Descriptors of a spawner: a whole table of the vCPU process, and as many on their way to it. */
#define SPAWNER_NOFILE (2 * VFD_LIMIT)

/* How one role's room is furnished. */
struct room {
	const char *name; /* "blk0": for lines */
	enum role role;
	uid_t uid; /* what the role runs as; -1: unprivileged, stay who we are */
	gid_t gid;
	uid_t own_uid; /* who we are, for spawner_begin() to fill in: in a new */
	gid_t own_gid; /* user namespace nobody has an id by which he could tell */
	int exe;       /* the role's executable, O_RDONLY|O_CLOEXEC */
	int init_exe;  /* lguest-sep-init */
	bool qemu;     /* root shows QEMU's files; policy_start_qemu */
	/*
	 * Listening unix sockets to make in the root before it is sealed, owned by
	 * uid: their names there ("net0.sock"); the descriptors come back in the spawner.
	 */
	unsigned nlisten;
	const char *listen[MAX_DEVICES];
	int nice; /* what spawner and role run with */
	int diag; /* becomes descriptor 2 of spawner and role */
};

struct spawner {
	const char *name;
	enum role role;
	pid_t pid;	  /* in our namespace */
	int sock;	  /* SOCK_SEQPACKET, non-blocking */
	uint32_t missing; /* layers (LAYER_BIT) */
	bool running;	  /* a role has been started and has not ended */
	unsigned nlisten; /* as the room asked; close-on-exec, owned by the caller */
	int listen_fd[MAX_DEVICES];
};

/*
 * Clone the spawner into new namespaces, where it furnishes and confines itself
 * and executes lguest-sep-init; then wait for SPAWN_READY. 0; or -1, having
 * said why with log_line(LOG_ERROR).
 *
 * Several rooms are furnished at once by beginning all of them before the first
 * is finished. A spawner whose begin failed needs no finish.
 */
int spawner_begin(struct spawner *s, const struct room *asked);
int spawner_finish(struct spawner *s);
int spawner_create(struct spawner *s, const struct room *r); /* both */

/*
 * Start the role: fds[i] goes to number[i]. The descriptors stay the caller's.
 * 0 or -1 with errno; the outcome comes as SPAWN_STARTED or SPAWN_FAILED.
 */
struct role_fds {
	unsigned n;
	int fd[SPAWN_MAX_FDS];
	uint16_t number[SPAWN_MAX_FDS];
};
void role_fds_add(struct role_fds *f, int fd, unsigned number);
int spawner_start_role(struct spawner *s, const struct role_fds *f, uint32_t nofile, uint32_t threads, uint64_t fsize,
		       uint64_t as);
int spawner_kill_role(struct spawner *s);
/* One message, without blocking: 1 got one, 0 none, -1 the spawner is gone. */
int spawner_recv(struct spawner *s, struct spawn_msg *m);
/* End the spawner and everything in its namespaces; reaps it. */
void spawner_destroy(struct spawner *s);

/* "system call 59 (execve)" etc. for a SPAWN_ENDED message, or how it ended otherwise. */
size_t spawn_end_text(const struct spawn_msg *m, char *buf, size_t size);

/*
 * Give up every privilege for good: groups, uid, gid, capabilities and the
 * bounding set (libcap-ng), no_new_privs, dumpable 0. uid -1: as we are. 0, or
 * -1 having said why.
 */
int confine_self(uid_t uid, gid_t gid);

/* What keeps this process from becoming user @uid and group @gid; NULL: nothing. */
const char *cannot_become(uid_t uid, gid_t gid);

/*
 * The first range of subordinate user ids that @file (/etc/subuid) gives to
 * @user (its name, or its id in digits). 0, or -1 with errno (ENOENT: none).
 */
int subid_range(const char *file, const char *user, uid_t *first, uid_t *count);

#endif
