/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Replaces common/sandbox.c: no confinement at all. Valgrind makes system calls of its own,
 * so it can count the instructions of blkd and netd only without their filters.
 * For bench/counters only; never installed.
 */
#include "common/sandbox.h"

void sandbox_forget_code(void)
{
}

uint32_t sandbox_enter(const struct sandbox_options *o)
{
	(void)o;
	return 0;
}

int sandbox_filter(const struct policy *p, uint32_t *missing)
{
	(void)p;
	(void)missing;
	return 0;
}

int sandbox_mseal(void *addr, size_t len)
{
	(void)addr;
	(void)len;
	return 0;
}

bool sandbox_elevated(void)
{
	return false;
}

void sandbox_undumpable(void)
{
}

int sandbox_rlimits(unsigned table_len, uint64_t fsize, uint64_t address_space)
{
	(void)table_len;
	(void)fsize;
	(void)address_space;
	return 0;
}

size_t sandbox_missing_text(uint32_t missing, char *buf, size_t size)
{
	(void)missing;
	if (size)
		*buf = '\0';
	return 0;
}
