/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The messages between confinement.c and the test role that it has started. */
#ifndef TESTS_HOST_HOSTILE_ROLE_H
#define TESTS_HOST_HOSTILE_ROLE_H

#include <stdint.h>

enum attempt_filter {
	NO_FILTER,
	F_BLKD,
	F_NETD,
	F_BLKD_FOREIGN,
	F_NETD_FOREIGN,
	F_KVM,
	F_LGUEST,
	F_QEMU,
	F_KVM_LOAD,
	F_LGUEST_LOAD,
	F_QEMU_LOAD,
	F_CONTROLD,
	F_FSD,
	F_FSD_FOREIGN,
	F_FSD_RW,
	F_FSD_RW_FOREIGN,
	F_BLKD_SAVED,
	F_BLKD_SAVED_FOREIGN,
	F_FSD_SAVED,
	F_FSD_SAVED_FOREIGN,
};

/* Ask the role to install a filter (if given) and make a call. It answers with the result or -errno (a long). */
struct attempt {
	unsigned filter;
	long nr; /* -1: only the filter */
	unsigned long arg[6];
	int text_arg; /* this argument is @text's address; -1: none */
	char text[64];
	/* openat2(2): flags, mode and resolve flags, whose address becomes argument 2. */
	uint64_t how[3];
};

#endif
