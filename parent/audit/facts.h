/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What /proc shows of one process. Only reads. */
#ifndef PARENT_AUDIT_FACTS_H
#define PARENT_AUDIT_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/util.h"

/* The kind of object that a descriptor refers to. Bits, so that a table can allow several. */
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
	FD_CHAR = 1 << 14, /* Another character device: a terminal, /dev/null. */
	FD_OTHER = 1 << 15,
	FD_DIRECTORY = 1 << 16,
};

struct audit_fd {
	unsigned number;
	enum fd_kind kind;
	bool kept;	   /* Stays open at execve(2): not close-on-exec. */
	bool writable;	   /* Opened for writing. */
	char target[128];  /* The link in /proc/PID/fd, printable. */
	const char *wrong; /* Why it should not be open; NULL: its table has it. */
};

enum ns_kind { NS_MNT, NS_PID, NS_NET, NS_IPC, NS_UTS, NS_CGROUP, NS_USER, NS_COUNT };
enum cap_set { CAP_INH, CAP_PRM, CAP_EFF, CAP_BND, CAP_AMB, CAP_SETS };
enum limit_kind { LIM_FSIZE, LIM_CORE, LIM_NPROC, LIM_NOFILE, LIM_AS, LIM_COUNT };
enum link_kind { LINK_UNKNOWN, LINK_STATIC_PIE, LINK_PIE, LINK_FIXED };

#define LIM_INFINITY UINT64_MAX

/* What /proc shows of one process. If its threads differ, the weakest value. */
struct facts {
	pid_t pid, ppid, tracer;
	uint64_t born; /* When it started, in clock ticks since boot. */
	char name[64]; /* The last part of argv[0], or the name in /proc/PID/comm. */
	bool have_status, have_maps, have_smaps, have_fds, have_limits, have_root;
	uint32_t uid[4], gid[4];
	unsigned groups, threads;
	uint64_t cap[CAP_SETS];
	int no_new_privs, seccomp, filters; /* -1: this kernel does not show it. */
	int dumpable;			    /* -1: unknown. */
	char ns[NS_COUNT][48];		    /* The namespace's link; empty: hidden from this user. */
	char exe[256];			    /* Path of the program; empty: hidden from this user. */
	char label[64];			    /* AppArmor's label, such as "lguest-sep-blkd (enforce)"; empty: none. */
	enum link_kind link;
	struct {
		uint64_t soft, hard;
	} limit[LIM_COUNT];
	/* The root directory, and the mounts below it. */
	unsigned root_entries, writable_mounts;
	bool root_read_only;
	char root_type[16];
	unsigned write_exec;		/* Mappings that are writable and executable. */
	unsigned odd_exec;		/* Executable mappings that are no file and not the kernel's own. */
	char odd_exec_what[96];		/* One of them, for the message. */
	unsigned guest_maps;		/* Mappings of guest memory. */
	unsigned guest_exec;		/* Those of them that are executable. */
	unsigned guest_dumped;		/* Those of them that core dumps include. */
	unsigned sealed_maps;		/* Mappings that mseal(2) has sealed. */
	uint64_t guest_ino, guest_size; /* Inode and size in bytes of the largest mapping of guest memory. */
	int seals;			/* F_SEAL_* of guest memory; -1: hidden from this user. */
	struct audit_fd *fd;		/* @nfds descriptors, sorted by number. */
	unsigned nfds;
	uint64_t disk_size; /* blkd: size of the image in bytes, if it is a regular file; 0: it is not. */
	bool disk_block;    /* blkd: the image is a block device. */
};

/* Read everything about @pid. Returns false if there is no such process. Call facts_free() in both cases. */
bool facts_read(struct facts *f, pid_t pid);
void facts_free(struct facts *f);
/* Read only the parent, start time and name of @pid. Returns false if there is no such process. */
bool facts_brief(pid_t pid, pid_t *ppid, uint64_t *born, char *name, size_t size);
/* Read the NUL-separated command line of @pid into @buf. Returns its length in bytes, or 0. */
size_t facts_cmdline(pid_t pid, char *buf, size_t size);
/* Returns the name of a namespace's kind as in /proc/PID/ns, such as "mnt". */
const char *ns_text(enum ns_kind k);

#endif
