/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Helpers of all engines: recording why a guest ended, moving a descriptor to its number,
 * entering the load phase. Runs in the vCPU process. Nothing here ends the process, because
 * vcpu/main.c must still report the reason.
 */
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/closefds.h"
#include "common/fmt.h"
#include "vcpu/engine.h"
#include "vcpu/vm.h"

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
	return place_fd(fd, number) < 0 ? vm_fail(vm, GUEST_ENGINE_FAILED, "descriptor %d: %m", number) : 0;
}

int vm_load_phase(struct vm *vm, const struct policy *load, bool no_threads)
{
	const struct rlimit none = { 0, 0 };

	if (no_threads && setrlimit(RLIMIT_NPROC, &none) < 0)
		return vm_fail(vm, GUEST_ENGINE_FAILED, "cannot set RLIMIT_NPROC: %m");
	if (sandbox_filter(load, &vm->missing) < 0)
		return vm_fail(vm, GUEST_ENGINE_FAILED, "cannot install the loader's seccomp filter: %m");
	return 0;
}
