/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Why a guest ended: the one place where an engine says so. Runs in the vCPU
 * process. It must never end the process: vcpu/main.c reports what stands here.
 */
#include "engine.h"

int vm_fail(struct vm *v, enum guest_end end, const char *fmt, ...)
{
	va_list ap;

	v->end = end;
	va_start(ap, fmt);
	fmt_vline(v->end_text, sizeof(v->end_text), fmt, ap);
	va_end(ap);
	return -1;
}
