/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a role does to itself, once mapped and ready, in this order: dumpable 0,
 * no_new_privs (again), Landlock deny-all, MDWE, mseal of what never changes,
 * then its filter. What the parent did to it before is parent/confine.c.
 *
 * No allocation: the filters are arrays that the build made (policy/).
 */
#ifndef COMMON_SANDBOX_H
#define COMMON_SANDBOX_H

#include <linux/filter.h>

#include "util.h"

struct policy {
	const char *name;
	const struct sock_filter *insns;
	unsigned short ninsns;
	unsigned short ncalls;		    /* system calls allowed */
	unsigned short nrules, nconditions; /* lines that allow; those of them with conditions on arguments */
};

struct sandbox_options {
	/*
	 * Folders that stay readable (and executable), as descriptors; only the qemu
	 * engine has any. -1 ends the list; NULL: none.
	 */
	const int *readable;
	bool no_mdwe; /* a JIT (QEMU TCG) runs here */
};

/*
 * Unmap the program's own code, most of which served the start alone: what is
 * still needed is mapped again when it runs. Part of sandbox_enter(); once more
 * where much runs between that and the loop.
 */
void sandbox_forget_code(void);
/* The same for a program that is linked with libraries, with their code and all constants. */
void sandbox_forget_libraries(void);

/* Everything but the filter. Returns the missing layers (LAYER_BIT); never fails. */
uint32_t sandbox_enter(const struct sandbox_options *o);

/*
 * Put a filter on (it stacks on those before). Falls back from seccomp(2) to
 * prctl(2) on old kernels, and from kill-process to a SIGSYS that nobody handles where the
 * kernel lacks it (*@missing gains that bit; @missing may be NULL). 0 or -1 with errno.
 */
int sandbox_filter(const struct policy *p, uint32_t *missing);

/* Seal a mapping against munmap, mremap, mprotect (Linux 6.10). 0, or -1 with errno (ENOSYS). */
int sandbox_mseal(void *addr, size_t len);

/* Limit of descriptors = @table_len, no processes, no core, @fsize bytes of file. 0 or -1 with errno. */
int sandbox_rlimits(unsigned table_len, uint64_t fsize, uint64_t address_space);

/* "a, b, c" for the missing layers. */
size_t sandbox_missing_text(uint32_t missing, char *buf, size_t size);

#endif
