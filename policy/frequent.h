/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Compares a few frequent calls first in a filter for i386 that is a binary tree. Kernels with lguest interpret
 * filters, and an emulated port access is eight system calls. Build host only; included only by policy/compile.c.
 */
#ifndef POLICY_FREQUENT_H
#define POLICY_FREQUENT_H

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "policy/expr.h"
#include "policy/i386.h"

#define FREQUENT_MAX 4

/* The number of the call @name; negative if it stands for another call, for several, or for a part of socketcall(2). */
static int one_call(const char *name)
{
	for (size_t i = 0; i < sizeof(i386_names) / sizeof(i386_names[0]); i++)
		if (!strcmp(i386_names[i].name, name))
			return -1;
	for (size_t i = 0; i < sizeof(i386_sockets) / sizeof(i386_sockets[0]); i++)
		if (!strcmp(i386_sockets[i].name, name))
			return -1;
	return seccomp_syscall_resolve_name_arch(SCMP_ARCH_X86, name);
}

/*
 * Insert comparisons with the first calls of the policy: up to the first one that is not allowed with any arguments
 * (@bare). @insns: a filter of @n instructions as libseccomp makes it, with room for @max: it loads the architecture,
 * compares it, and loads the number. Returns the new number of instructions; @n if the filter begins in another way.
 */
static unsigned frequent_first(struct sock_filter *insns, unsigned n, unsigned max, char (*name)[NAME_SIZE],
			       const bool *bare, unsigned ncalls)
{
	const struct sock_filter load_arch = BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
	const struct sock_filter load_nr = BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	struct sock_filter *p = insns + 3;
	unsigned count = 0;

	while (count < ncalls && count < FREQUENT_MAX && bare[count] && one_call(name[count]) >= 0)
		count++;
	if (!count || n < 4 || n + count + 1 > max || memcmp(&insns[0], &load_arch, sizeof(*insns)) ||
	    insns[1].code != (BPF_JMP | BPF_JEQ | BPF_K) || insns[1].k != AUDIT_ARCH_I386 || insns[1].jt ||
	    insns[1].jf < 1 || insns[1].jf + count + 1 > UINT8_MAX || memcmp(&insns[2], &load_nr, sizeof(*insns)))
		return n;
	memmove(p + count + 1, p, (n - 3) * sizeof(*p));
	/* The branch for other architectures leads past the new instructions. All others lie behind them. */
	insns[1].jf = (uint8_t)(insns[1].jf + count + 1);
	for (unsigned i = 0; i < count; i++) {
		uint32_t nr = (uint32_t)one_call(name[i]);

		p[i] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, (uint8_t)(count - 1 - i),
						    i + 1 == count);
	}
	p[count] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	return n + count + 1;
}

#endif
