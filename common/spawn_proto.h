/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Between the supervisor and a spawner (lguest-sep-init), on SOCK_SEQPACKET.
 *
 * A spawner is process 1 of one role's namespaces. The parent finished its
 * root, ids and capabilities before it was executed; it can only fork, place
 * descriptors at their numbers and execute the one program on IFD_EXE. It
 * holds nothing of the guest. End of file on the socket ends it, and with it,
 * by the kernel's own rule, every process in its pid namespace.
 */
#ifndef COMMON_SPAWN_PROTO_H
#define COMMON_SPAWN_PROTO_H

#include <stdint.h>

#define SPAWN_MAX_FDS 128

/* Where a host without execveat(2) (before Linux 3.19) has the two programs; their room holds nothing else. */
#define SPAWN_INIT_PATH "/init"
#define SPAWN_ROLE_PATH "/role"

enum spawn_type {
	SPAWN_START = 1,  /* + descriptors: start the role; fails if one is running */
	SPAWN_KILL,	  /* SIGKILL the role */
	SPAWN_READY = 64, /* spawner: confined and waiting; value: missing layers */
	SPAWN_STARTED,	  /* value: pid inside the namespace */
	SPAWN_FAILED,	  /* value: errno */
	SPAWN_ENDED,	  /* value: wait status; if it died of its filter: call, args */
	SPAWN_LISTENING,  /* + descriptors, before SPAWN_READY: the listening sockets of its room */
	SPAWN_NO_ROOM,	  /* in place of SPAWN_READY; value: errno, step: enum room_step */
};

struct spawn_msg {
	uint32_t type;
	uint32_t value;
	uint32_t missing; /* SPAWN_STARTED: layers that turned out to be missing (LAYER_TRACE) */
	uint32_t step;	  /* SPAWN_NO_ROOM */
	/* SPAWN_START */
	uint32_t role; /* enum role: its name */
	uint32_t nfds;
	uint16_t number[SPAWN_MAX_FDS]; /* descriptor i of the packet goes to this number in the role */
	uint32_t nofile;		/* RLIMIT_NOFILE */
	uint32_t threads;		/* 0: RLIMIT_NPROC 0 */
	uint64_t fsize;			/* RLIMIT_FSIZE */
	uint64_t as;			/* RLIMIT_AS; 0: no limit */
	/* SPAWN_ENDED */
	uint32_t call_known;
	uint32_t arch;
	uint64_t call;
	uint64_t args[6];
};

#endif
