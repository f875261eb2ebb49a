/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lguest-sep audit: compares what /proc shows of a running guest's processes with what
 * this build promises. Runs as root or as the user whose guest it is. It only reads.
 */
#ifndef PARENT_AUDIT_H
#define PARENT_AUDIT_H

#include "common/machine.h"
#include "parent/audit/facts.h"

enum part {
	PART_SUPERVISOR,
	PART_SPAWNER,
	PART_VCPU,
	PART_QEMU,
	PART_NETD,
	PART_BLKD,
	PART_PASST,
	PART_CONTROLD,
	PART_FSD,
	PART_STRANGER, /* A descendant of the supervisor that is none of the above. */
};

enum verdict { AS_PROMISED, WEAKER, NOT_SHOWN };

struct check {
	const char *what;  /* Name of the property: "no_new_privs". */
	char promised[64]; /* What this build promises. */
	char is[192];	   /* What /proc shows. */
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
	bool configured;	       /* The command line could be read: the fields down to @from_bytes are set. */
	unsigned disks, nics, shares;  /* Devices with a helper of ours. */
	unsigned controls;	       /* 1 if it has a control socket, otherwise 0. */
	enum machine_id machine;       /* What QEMU emulates, if the engine is qemu. */
	bool no_kernel;		       /* The firmware boots a disk. */
	bool saves;		       /* --save was given. */
	bool starts_saved;	       /* --from was given. */
	bool fresh;		       /* --reset=fresh was given. */
	unsigned snapshots;	       /* Disks of ours that are snapshots. */
	bool asked_uid;		       /* --drop-to was given. */
	uint32_t uid;		       /* The user ID of --drop-to. */
	uint64_t from_bytes;	       /* Guest memory, if the guest was started with --from; otherwise 0. */
	struct audit_process *process; /* @n processes; the supervisor is the first. */
	unsigned n;
	struct check check[48]; /* Checks of the guest as a whole: its number of processes, its taps' rules. */
	unsigned nchecks;
};

/* Run "lguest-sep audit ..."; @argv[0] is "audit". Returns the exit status, 0 to 3 (README). */
int audit_main(int argc, char **argv);

#endif
