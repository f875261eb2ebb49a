/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lguest-sep audit: what /proc says of a running guest's processes, beside what
 * this build promises of them. Runs as a program of its own, as root or as the
 * user whose guest it is; reads, and changes nothing.
 */
#ifndef PARENT_AUDIT_H
#define PARENT_AUDIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "common/util.h"

enum part {
	PART_SUPERVISOR,
	PART_SPAWNER,
	PART_VCPU,
	PART_QEMU,
	PART_NETD,
	PART_BLKD,
	PART_STRANGER, /* a process of the guest that none of the above is */
};

/* What a descriptor is of. Bits, so that a table can allow several. */
enum fd_kind {
	FD_PIPE = 1 << 0,
	FD_SOCKET = 1 << 1,
	FD_EVENTFD = 1 << 2,
	FD_EPOLL = 1 << 3,
	FD_TIMERFD = 1 << 4,
	FD_SIGNALFD = 1 << 5,
	FD_URING = 1 << 6,
	FD_MEMFD = 1 << 7,
	FD_TAP = 1 << 8,
	FD_FILE = 1 << 9,
	FD_BLOCK = 1 << 10,
	FD_ENGINE = 1 << 11, /* /dev/kvm, /dev/lguest */
	FD_VM = 1 << 12,
	FD_CPU = 1 << 13,
	FD_CHAR = 1 << 14, /* a terminal, /dev/null */
	FD_OTHER = 1 << 15,
};

struct audit_fd {
	unsigned number;
	enum fd_kind kind;
	char target[128];  /* the link in /proc, printable */
	const char *wrong; /* NULL, or why its table has no such descriptor */
};

enum ns_kind { NS_MNT, NS_PID, NS_NET, NS_IPC, NS_UTS, NS_CGROUP, NS_USER, NS_COUNT };
enum cap_set { CAP_INH, CAP_PRM, CAP_EFF, CAP_BND, CAP_AMB, CAP_SETS };
enum limit_kind { LIM_FSIZE, LIM_CORE, LIM_NPROC, LIM_NOFILE, LIM_AS, LIM_COUNT };
enum link_kind { LINK_UNKNOWN, LINK_STATIC_PIE, LINK_PIE, LINK_FIXED };

#define LIM_INFINITY UINT64_MAX

/* What /proc tells of one process; the weakest of its threads where they differ. */
struct facts {
	pid_t pid, ppid, tracer;
	uint64_t born; /* clock ticks */
	char name[64]; /* last part of argv[0], or its short name */
	bool have_status, have_maps, have_smaps, have_fds, have_limits, have_root;
	uint32_t uid[4], gid[4];
	unsigned groups, threads;
	uint64_t cap[CAP_SETS];
	int no_new_privs, seccomp, filters; /* -1: this kernel does not say */
	int dumpable;			    /* -1: not to be told */
	char ns[NS_COUNT][48];		    /* empty: not to be seen */
	char exe[256];			    /* empty: not to be seen */
	enum link_kind link;
	struct {
		uint64_t soft, hard;
	} limit[LIM_COUNT];
	/* the root folder, and mounts below it */
	unsigned root_entries, writable_mounts;
	bool root_read_only;
	char root_type[16];
	/* mappings */
	unsigned write_exec, odd_exec, guest_maps, guest_exec, guest_dumped, sealed_maps;
	char odd_exec_what[96];
	uint64_t guest_ino, guest_size; /* of the largest mapping */
	int seals;			/* -1: not to be seen */
	/* descriptors, by number */
	struct audit_fd *fd;
	unsigned nfds;
	uint64_t disk_size; /* blkd: of the regular file at its number; 0: none */
	bool disk_block;
};

/* Reads everything of @pid. False if there is no such process (any more). facts_free() in any case. */
bool facts_read(struct facts *f, pid_t pid);
void facts_free(struct facts *f);
/* Parent, age and name alone. False if there is no such process (any more). */
bool facts_brief(pid_t pid, pid_t *ppid, uint64_t *born, char *name, size_t size);
/* Its command line, NUL-separated, into @buf; length, or 0. */
size_t facts_cmdline(pid_t pid, char *buf, size_t size);
/* parent/audit_maps.c: mappings, seals, descriptors, root. */
void facts_maps(struct facts *f);
void facts_fds(struct facts *f);
void facts_root(struct facts *f);
const char *ns_text(enum ns_kind k);
const char *fd_kind_text(enum fd_kind k);

enum verdict { AS_PROMISED, WEAKER, NOT_SHOWN };

struct check {
	const char *what; /* "no_new_privs" */
	char promised[64];
	char is[192];
	enum verdict verdict;
};

struct audit_process {
	enum part part;
	char name[24]; /* "blk0", "blk0's spawner" */
	struct facts f;
	struct check check[48];
	unsigned nchecks;
};

struct audit_guest {
	pid_t pid;
	char name[64];
	bool configured; /* the command line could be read: the numbers below hold */
	unsigned disks, nics;
	bool asked_uid;
	uint32_t uid; /* of --drop-to */
	struct audit_process *process;
	unsigned n;
	/* what is wrong with the guest as a whole: a process too many or too few */
	struct check check[8];
	unsigned nchecks;
};

/* parent/audit_check.c: fills check[] of every process and of the guest. */
void audit_judge(struct audit_guest *g);
/* parent/audit_fds.c: marks the descriptors that the table of @part has not. */
void audit_judge_fds(enum part part, struct facts *f);

/* parent/audit_print.c. audit_verdict(): the exit status. */
void audit_print_text(const struct audit_guest *g, unsigned n);
void audit_print_json(const struct audit_guest *g, unsigned n);
unsigned audit_count(const struct audit_guest *g, enum verdict v);
void json_string(FILE *f, const char *s);

/* lguest-sep audit …: @argv[0] is "audit". Returns the exit status. */
int audit_main(int argc, char **argv);
/* lguest-sep doctor …: @argv[0] is "doctor". Returns the exit status. */
int doctor_main(int argc, char **argv);

#endif
