/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The qemu engine: the vCPU process executes QEMU. Its root directory contains the files of
 * QEMU, read-only, and /proc of its PID namespace.
 *
 * QEMU opens kernel and initrd by path (/proc/self/fd/N), but as another user than the one
 * who opened the files. So both are first copied to sealed memfds. They also cannot change
 * while QEMU reads them. QEMU gets no writable path, no terminal and no descriptor outside
 * the table.
 *
 * QEMU is not a security boundary: a guest may compromise it. What confines it are the
 * namespaces, limits and the filter that this process has when it executes QEMU
 * (policy/vcpu-qemu.policy).
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/sandbox.h"
#include "policy/policies.h"
#include "vcpu/engine.h"
#include "vcpu/qemu/args.h"
#include "vcpu/qemu/kernel.h"
#include "vcpu/vm.h"

static struct qemu_args args;

/* Directories that QEMU and the dynamic linker read. */
static const char *const folders[] = { "/usr", "/lib", "/lib64", "/etc" };

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static int qemu_create(struct vm *vm)
{
	const struct machine *m = machine_get(vm->c->machine);
	int exe = open(machine_program(m), O_RDONLY | O_CLOEXEC);

	if (exe < 0 && errno == ENOENT)
		return vm_fail(vm, GUEST_ENGINE_FAILED, "no %s; install it (Debian: apt install %s)", m->program,
			       m->package);
	if (exe < 0)
		return vm_fail(vm, GUEST_ENGINE_FAILED, "%s: %m", machine_program(m));
	/* The filter allows executing only this descriptor. */
	return vm_place(vm, exe, VFD_ENGINE);
}

/*
 * Confine the process: Landlock allows only reading and executing below the directories.
 * Then load kernel and initrd under the loader's filter, forbid writing files
 * (RLIMIT_FSIZE), and install the filter for QEMU.
 */
static int qemu_confine(struct vm *vm)
{
	struct sandbox_options o = { .no_mdwe = true };
	struct rlimit none = { 0, 0 };
	uint64_t kernel_end = 0;
	bool bare = false;
	int readable[ARRAY_SIZE(folders) + 1];
	unsigned n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		int fd = open(folders[i], O_PATH | O_DIRECTORY | O_CLOEXEC);

		if (fd >= 0)
			readable[n++] = fd;
	}
	readable[n] = -1;
	o.readable = readable;
	vm->missing |= sandbox_enter(&o);
	while (n > 0)
		close(readable[--n]);
	/* At its start QEMU tries to write to a memfd; that must fail instead of killing it. exec keeps SIG_IGN. */
	signal(SIGXFSZ, SIG_IGN);
	/* RLIMIT_NPROC is not set, because QEMU creates threads. The filter forbids creating processes. */
	if (sandbox_filter(&policy_vcpu_qemu_load, &vm->missing) < 0)
		return vm_fail(vm, GUEST_ENGINE_FAILED, "cannot install the loader's seccomp filter: %m");
	if ((vm->c->has_kernel && qemu_load_kernel(vm, &kernel_end, &bare) < 0) ||
	    qemu_load_initrd(vm, kernel_end) < 0 || qemu_load_firmware(vm) < 0)
		return -1;
	if (qemu_args(&args, vm->c, is_open(VFD_SERIAL), is_open(VFD_MONITOR), bare) < 0)
		return vm_fail(vm, GUEST_ENGINE_FAILED, "QEMU's command line is too long");
	if (setrlimit(RLIMIT_FSIZE, &none) < 0)
		return vm_fail(vm, GUEST_ENGINE_FAILED, "cannot set RLIMIT_FSIZE: %m");
	if (sandbox_filter(&policy_vcpu_qemu, &vm->missing) < 0)
		return vm_fail(vm, GUEST_ENGINE_FAILED, "cannot install the seccomp filter: %m");
	return 0;
}

static void qemu_run(struct vm *vm)
{
	/* A fresh environment. One heap for all threads, to save memory. */
	char *const env[] = { (char *)"LC_ALL=C", (char *)"MALLOC_ARENA_MAX=1", NULL };

	if (ctl_send_text(VFD_CTL, CTL_RUNNING, 0, "") < 0) {
		vm_fail(vm, GUEST_ENGINE_FAILED, "the supervisor is gone: %m");
		return;
	}
	execveat(VFD_ENGINE, "", args.argv, env, AT_EMPTY_PATH);
	vm_fail(vm, GUEST_ENGINE_FAILED, "%s: %m", args.argv[0]);
}

const struct engine engine_qemu = {
	.create = qemu_create,
	.confine = qemu_confine,
	.run = qemu_run,
};
