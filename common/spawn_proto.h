/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The protocol between the supervisor and a spawner (program lguest-sep-init), on a
 * SOCK_SEQPACKET socket.
 *
 * A spawner is process 1 of the namespaces of one role, and starts the role. Before its
 * execve(), the parent has set its root directory, user IDs and capabilities. A spawner
 * can only fork, move descriptors to their numbers and execute the one program on
 * IFD_EXE. It never handles data of the guest. When the supervisor closes the socket, the
 * spawner exits, and the kernel then kills every process in its PID namespace.
 */
#ifndef COMMON_SPAWN_PROTO_H
#define COMMON_SPAWN_PROTO_H

#include <stdint.h>

#define SPAWN_MAX_FDS 128
/* Bytes of a program's arguments, and most of them. */
#define SPAWN_ARGS_MAX 4096
#define SPAWN_ARGC_MAX 160

/*
 * On hosts without execveat(2) (before Linux 3.19): paths of the two programs in the role's
 * root directory, which holds nothing else.
 */
#define SPAWN_INIT_PATH "/init"
#define SPAWN_ROLE_PATH "/role"

enum spawn_type {
	/* Supervisor to spawner. */
	SPAWN_START = 1, /* Start the role with the descriptors in this packet; fails if it runs already */
	SPAWN_KILL,	 /* Send SIGKILL to the role */
	SPAWN_GET_USAGE, /* Answered by SPAWN_USAGE while the role runs */
	SPAWN_PAUSE,	 /* Stop the role; answered by SPAWN_PAUSED while it runs. value: number of the request */
	SPAWN_RESUME,	 /* Let the role run again */
	/* Spawner to supervisor. */
	SPAWN_READY = 64, /* Confined and waiting for SPAWN_START; value: missing layers */
	SPAWN_STARTED,	  /* value: process ID of the role inside the namespace */
	SPAWN_FAILED,	  /* The role could not be started; value: errno */
	SPAWN_ENDED,	  /* value: wait status; if the seccomp filter killed the role, also call and args */
	SPAWN_LISTENING,  /* Before SPAWN_READY; the packet carries the listening sockets in its root */
	SPAWN_USAGE,	  /* cpu_us: what the role has used so far */
	SPAWN_PAUSED,	  /* The role's first thread has stopped, the others must; value: number of the request */
	SPAWN_NO_ROOM,	  /* Instead of SPAWN_READY: confinement failed; value: errno, step: enum room_step */
};

struct spawn_msg {
	uint32_t type;
	uint32_t value;
	uint32_t missing; /* SPAWN_STARTED: layers found missing while starting the role (LAYER_TRACE) */
	uint32_t step;	  /* SPAWN_NO_ROOM: the step that failed */
	/* SPAWN_START */
	uint32_t role; /* enum role; gives the process its name */
	uint32_t nfds;
	uint16_t number[SPAWN_MAX_FDS]; /* Descriptor i of the packet gets this number in the role */
	uint32_t nofile;		/* Length of the role's table */
	uint32_t more;			/* RLIMIT_NOFILE is @nofile and this many more */
	uint32_t threads;		/* Not 0: the role creates threads, so RLIMIT_NPROC is not set to 0 */
	uint64_t fsize;			/* RLIMIT_FSIZE, in bytes */
	uint64_t as;			/* RLIMIT_AS, in bytes; 0: no limit */
	char words[SPAWN_ARGS_MAX];	/* ROLE_PASST: its arguments, each with its NUL; an empty one ends them */
	/* SPAWN_ENDED, SPAWN_USAGE */
	uint64_t cpu_us;       /* Processor time, in microseconds */
	uint64_t peak_rss_kib; /* SPAWN_ENDED: most resident memory, in KiB */
	/* SPAWN_ENDED */
	uint32_t call_known;
	uint32_t arch;
	uint64_t call;
	uint64_t args[6];
};

#endif
