/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Why a guest ended: the one place where an engine says so; and a descriptor's way
 * to its number, which may be such a reason. Runs in the vCPU process. It must
 * never end the process: vcpu/main.c reports what stands here.
 */
#include <fcntl.h>
#include <unistd.h>

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

int vm_place(struct vm *vm, int fd, int number)
{
	if (fd < 0 || (fd != number && dup3(fd, number, O_CLOEXEC) < 0))
		return vm_fail(vm, GUEST_ENGINE_FAILED, "descriptor %d: %m", number);
	if (fd != number)
		close(fd);
	return 0;
}
