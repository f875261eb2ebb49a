/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Between the hostile cases of confinement and the role that they have started. */
#ifndef TESTS_HOST_HOSTILE_ROLE_H
#define TESTS_HOST_HOSTILE_ROLE_H

enum attempt_filter { NO_FILTER, F_BLKD, F_NETD, F_BLKD_FOREIGN, F_NETD_FOREIGN, F_KVM, F_LGUEST, F_QEMU };

/* Put a filter on if one is said, make the call, answer with its result or -errno (a long). */
struct attempt {
	unsigned filter;
	long nr; /* -1: only the filter */
	unsigned long arg[6];
	int text_arg; /* this argument is @text's address; -1: none */
	char text[64];
};

#endif
