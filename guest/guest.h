/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The init program that `lguest-sep run` puts into a guest. It runs inside the guest as
 * process 1; no process of the host trusts it.
 */
#ifndef GUEST_GUEST_H
#define GUEST_GUEST_H

#include <sys/types.h>

#include "common/run_proto.h"

/* Contents of the file RUN_COMMAND: what to do. Strings point into a copy of the file. */
struct instructions {
	char *module[RUN_MODULES_MAX]; /* Kernel modules to load, in order */
	unsigned nmodules;
	char *fs_module[RUN_MODULES_MAX]; /* TYPE:MODULE, to load if the root disk has a file system of TYPE */
	unsigned nfs_modules;
	char *env[RUN_WORDS_MAX + 1], *arg[RUN_WORDS_MAX + 1]; /* Environment and command; ended by NULL */
	unsigned nenv, nargs;
	const char *cwd;    /* Working directory of the command; NULL: / */
	bool rounds;	    /* Take a checkpoint right before the command starts */
	bool busybox;	    /* /bin/busybox exists: create links to it */
	bool root, in, out; /* --root=DIR, --in=, --out= were given */
	enum run_disk disk; /* --root=DISK */
	const char *part;   /* Its partition; NULL: the whole disk */
};

/* Mount /proc, /sys and /dev, load the modules, create busybox's links. Logs what fails and continues. */
void set_up(const struct instructions *in);
/* Load the module of the file name @name. Logs the reason if that fails. */
void load_module(const char *name);
/*
 * Mount the share or disk of --root= and the shares of --in= and --out=. The first becomes the root
 * directory. Returns 0, or -1 with the reason in @r.
 */
int mount_roots(const struct instructions *in, struct run_result *r);
/* Before power-off: end all processes and mount a writable root disk read-only, which empties its journal. */
void leave_disk(const struct instructions *in);
/* Open the four ports into @fd, indexed by enum run_port. Returns 0, or -1 after logging which one is missing. */
int open_ports(int fd[RUN_PORTS]);
/*
 * Run the command, with its standard streams connected to the ports, until it has ended and its output
 * was written to the ports. Fills in @r.
 */
void run_command(const struct instructions *in, const int port[RUN_PORTS], struct run_result *r);

/* With rounds: have the host take the whole guest back to its checkpoint. Returns if there is none. */
void go_back(void);

/* Write "lguest-sep-guest: WHATWHICH" to the guest's console, with the text of the errno @error if it is not 0. */
void say(const char *what, const char *which, int error);

#endif
