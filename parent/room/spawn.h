/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Spawners: the parent starts them inside the privileged window, and the supervisor uses
 * them afterwards without any privilege.
 */
#ifndef PARENT_SPAWN_H
#define PARENT_SPAWN_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/ctl.h"
#include "common/fdtab.h"
#include "common/machine.h"
#include "common/spawn_proto.h"

/* RLIMIT_NOFILE of a spawner: room for the vCPU process's table, and as many received descriptors. */
#define SPAWNER_NOFILE (2 * VFD_LIMIT)

/* A room: the environment of one role. */
struct room {
	const char *name; /* Name of the role for messages: "blk0". */
	enum role role;
	uid_t uid; /* The role's user ID; -1: started by an ordinary user, keep that user. */
	gid_t gid; /* The role's group ID. */
	/* Our own user and group, set by spawner_begin(): a child in a new user namespace cannot find them out. */
	uid_t own_uid;
	gid_t own_gid;
	int exe;      /* The role's executable, O_RDONLY|O_CLOEXEC. */
	int init_exe; /* lguest-sep-init, the same. */
	/* The root shows the files of this machine's QEMU, and the filter is policy_start_qemu; NULL: another room. */
	const struct machine *qemu;
	/* passt's room: its libraries, and the host's network. Text of its /etc/resolv.conf; NULL: another room. */
	const char *resolv;
	/*
	 * Names of the listening unix sockets ("net0.sock") to make in the root before it becomes read-only. They
	 * belong to @uid; the descriptors are in spawner.listen_fd.
	 */
	unsigned nlisten;
	const char *listen[MAX_DEVICES];
	const char
		*share; /* fsd: the directory to clone, whose root becomes spawner.listen_fd[0]; NULL: another room. */
	bool share_writable; /* The clone can be written to. */
	int share_userns;    /* For that: user namespace that maps the directory's owner to @uid; -1: none. */
	bool checkpoint;     /* vCPU process: the filter is policy_start_checkpoint. */
	unsigned files;	     /* Limit of open files that the role needs, if it is above SPAWNER_NOFILE. */
	int nice;	     /* Nice value of spawner and role. */
	int diag;	     /* Becomes standard error of spawner and role. */
};

struct spawner {
	const char *name;
	enum role role;
	pid_t pid;	  /* Process ID in our namespace. */
	int sock;	  /* SOCK_SEQPACKET, non-blocking; -1: closed. */
	uint32_t missing; /* Confinement layers that it lacks (LAYER_BIT()). */
	bool running;	  /* A role was started and has not ended. */
	bool stuck;	  /* The role was killed but cannot end. */
	int children;	  /* /proc/PID/task/PID/children, which lists the role's process ID; -1: not available. */
	unsigned nlisten; /* Number of descriptors in @listen_fd, as struct room asked. */
	int listen_fd[MAX_DEVICES]; /* Close-on-exec; owned by the caller of spawner_finish(). */
};

/*
 * spawner_begin() clones a child into new namespaces, where it confines itself and
 * executes lguest-sep-init. spawner_finish() waits until that child is ready, at most
 * 20 s. Both return 0, or -1 after logging the reason.
 *
 * To start several spawners in parallel, begin all of them before finishing the first.
 * After a failed spawner_begin(), do not call spawner_finish().
 */
int spawner_begin(struct spawner *s, const struct room *asked);
int spawner_finish(struct spawner *s);

/*
 * The descriptors of a role: fd[i] becomes the role's descriptor number[i]. The caller
 * keeps owning them.
 */
struct role_fds {
	unsigned n;
	int fd[SPAWN_MAX_FDS];
	uint16_t number[SPAWN_MAX_FDS];
	uint32_t more;	  /* Descriptors that the role may open itself, in addition to its table. */
	const char *args; /* SPAWN_ARGS_MAX bytes for a program of others; NULL: a program of lguest-sep */
};
/* Add @fd at @number. spawner_start_role() fails if there are too many. */
void role_fds_add(struct role_fds *f, int fd, unsigned number);
/* The same, if there is such a descriptor (@fd is not -1). */
static inline void role_fds_add_open(struct role_fds *f, int fd, unsigned number)
{
	if (fd >= 0)
		role_fds_add(f, fd, number);
}
/*
 * Ask the spawner to start its role with the descriptors @f and the limits RLIMIT_NOFILE @nofile, RLIMIT_FSIZE @fsize
 * (bytes) and RLIMIT_AS @as (bytes; 0: none). @threads: how many threads it may have; 0 sets RLIMIT_NPROC to 0.
 * Returns 0, or -1 with errno set. The result arrives as SPAWN_STARTED or SPAWN_FAILED.
 */
int spawner_start_role(struct spawner *s, const struct role_fds *f, uint32_t nofile, uint32_t threads, uint64_t fsize,
		       uint64_t as);
/* Ask the spawner to kill its role. Returns 0, or -1 with errno set. The result arrives as SPAWN_ENDED. */
int spawner_kill_role(struct spawner *s);
/*
 * Ask the spawner to stop all threads of its role, and to let them run again. Return 0, or -1 with errno set. The
 * spawner answers the first request by SPAWN_PAUSED with @number, once the role's first thread has stopped and the
 * others must (enum trace_pause).
 */
int spawner_pause_role(struct spawner *s, uint32_t number);
int spawner_resume_role(struct spawner *s);
/* Ask how much processor time the role has used. Returns 0, or -1 with errno set. Answered by SPAWN_USAGE. */
int spawner_get_usage(struct spawner *s);
/* Returns the process ID of the role in our namespace, or -1. May be called only once per spawner. */
pid_t spawner_role_pid(const struct spawner *s);
/* Receive one message without blocking. Returns 1 for a message, 0 for none, -1 if the spawner has ended. */
int spawner_recv(struct spawner *s, struct spawn_msg *m);
/* Tell the spawner to end, with everything in its namespaces, and do not wait. spawner_destroy() follows. */
void spawner_hang_up(struct spawner *s);
/* End the spawner and everything in its namespaces, and reap it; waits at most 5 s. */
void spawner_destroy(struct spawner *s);

/* Returns which limit the errno value @err of a failed fork or exec hints at, to follow "%m"; "" if none. */
const char *spawn_limit_text(int err);
/*
 * Write to @buf (@size bytes) how the role of a SPAWN_ENDED or SPAWN_FAILED message ended, such as "ended by its
 * filter: system call 59 (execve), ...". Returns the length.
 */
size_t spawn_end_text(const struct spawn_msg *m, char *buf, size_t size);

#endif
