/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Self-confinement of a role, once it has mapped everything, in this order:
 * PR_SET_DUMPABLE 0 (no ptrace by others), no_new_privs, Landlock without any right,
 * MDWE (memory-deny-write-execute), mseal(2) of mappings that never change, and finally
 * its seccomp filter. Before that the parent has confined it from outside, in
 * parent/room/confine.c.
 *
 * No allocation: the build compiles each filter into a constant array (policy/).
 */
#ifndef COMMON_SANDBOX_H
#define COMMON_SANDBOX_H

#include <linux/filter.h>

#include "common/util.h"

/*
 * Placeholder in a filter for the process ID of the process that installs it: "SELF" in
 * policy/NAME.policy. No process has this ID.
 */
#define POLICY_SELF 0x7e1f7e1f

struct policy {
	const char *name;
	const struct sock_filter *insns;
	unsigned short ninsns;
	unsigned short ncalls;	    /* System calls allowed */
	unsigned short nrules;	    /* Lines of the policy that allow a call */
	unsigned short nconditions; /* Those of them with conditions on arguments */
	bool names_self;	    /* Some instruction compares with POLICY_SELF */
};

struct sandbox_options {
	/*
	 * Descriptors of directories whose files stay readable and executable, ended by -1;
	 * NULL: none. Only the qemu engine needs them.
	 */
	const int *readable;
	/* Descriptors of directories below which files may be read, written, made and removed, ended by -1; NULL: none. */
	const int *writable;
	bool no_mdwe; /* Skip MDWE, because a just-in-time compiler (QEMU's TCG) runs here */
};

/*
 * Save memory: drop the pages of the program's own code, most of which only the start
 * needs. Code that runs again is mapped again on demand. Part of sandbox_enter(); call it
 * once more if much code runs after that and before the main loop.
 */
void sandbox_forget_code(void);
/* The same for a program that uses shared libraries: also drops their code and all constants. */
void sandbox_forget_libraries(void);

/* Do every step but the filter. Returns the LAYER_BIT()s of layers that this host lacks; never fails. */
uint32_t sandbox_enter(const struct sandbox_options *o);

/*
 * Install a seccomp filter, in addition to those already installed. Kernels without
 * seccomp(2) get it through prctl(2). Kernels without the action kill-process end the
 * process by SIGSYS instead, and LAYER_KILL_PROCESS is set in *@missing (may be NULL).
 * Returns 0, or -1 with errno set.
 */
int sandbox_filter(const struct policy *p, uint32_t *missing);

/*
 * Seal a mapping against munmap(), mremap() and mprotect() (mseal(2), Linux 6.10). Returns 0,
 * or -1 with errno set; ENOSYS if the kernel lacks it.
 */
int sandbox_mseal(void *addr, size_t len);

/*
 * A value of RLIMIT_CORE that prevents every core dump. The value 0 prevents only files: if
 * core_pattern names a program, the kernel still pipes the dump to it. With the value 1 it does
 * neither (fs/coredump.c of Linux).
 */
#define CORE_LIMIT_NONE 1

/*
 * Set RLIMIT_CORE to CORE_LIMIT_NONE. If the hard limit is 0 and the caller may not raise it, it stays
 * at 0 and *@partly becomes true (@partly may be NULL). Returns 0, or -1 with errno set.
 */
int sandbox_no_core(bool *partly);

/*
 * True if execve(2) gave this process more rights than its caller has, by a set-user-ID or
 * set-group-ID bit or by file capabilities. AT_SECURE alone does not show that, because a security
 * module may set it for other reasons.
 */
bool sandbox_elevated(void);
#define ELEVATED_TEXT                                                                                    \
	"this copy has the set-user-ID or set-group-ID bit or file capabilities, so that it would open " \
	"any file for anybody; take them off (chmod ug-s, setcap -r)"

/*
 * Set PR_SET_DUMPABLE to 0: other processes of the same user cannot read or trace this one (ptrace(2),
 * /proc/PID/mem), and the kernel writes no core dump. Each role calls this first, because execve(2)
 * makes a process dumpable again.
 */
void sandbox_undumpable(void);

/*
 * Set resource limits: RLIMIT_NOFILE to @table_len, no new processes, no core dump, files of at
 * most @fsize bytes, and @address_space bytes of address space (0: unchanged). Never raises a
 * limit, except RLIMIT_CORE from 0 to 1. Returns 0, or -1 with errno set.
 */
int sandbox_rlimits(unsigned table_len, uint64_t fsize, uint64_t address_space);

/* Write the names of the layers in @missing to @buf, "a, b, c". Returns the length. */
size_t sandbox_missing_text(uint32_t missing, char *buf, size_t size);

#endif
