/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The qemu engine: this process becomes QEMU. Runs in the vCPU process, in a
 * root that shows QEMU's own files read-only and /proc of its own namespace.
 *
 * QEMU reopens kernel and initrd by path as another user than the one who opened
 * them, so both are copied into sealed memory files first: what QEMU parses
 * cannot change under it. It must never get a writable path, the terminal, or a
 * descriptor beyond the table.
 *
 * An emulator is no security boundary: what holds a taken QEMU is what this
 * process puts around it before it is executed (policy/vcpu-qemu.policy).
 */
#include "engine.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/sandbox.h"
#include "kernel_check.h"
#include "load_priv.h"
#include "policy/policies.h"
#include "qemu_args.h"

/* Most bytes of one sendfile() call (its own limit is a little under 2 GiB). */
#define COPY_STEP (1u << 30)

static struct qemu_args args;

/* The folders of the root that QEMU and the dynamic linker read. */
static const char *const folders[] = { "/usr", "/lib", "/lib64", "/etc" };

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

/* Seal @mem, which has all its contents, and put it in the place of @fd. 0 or -1 with errno. */
static int seal_as(int mem, int fd)
{
	int r = fcntl(mem, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL);

	if (r == 0 && dup2(mem, fd) < 0)
		r = -1;
	close(mem);
	return r;
}

/* Replace descriptor @fd by a sealed memory file with @size bytes of it. 0 or -1 with errno. */
static int copy_sealed(int fd, const char *name, uint64_t size)
{
	off_t off = 0;
	int mem = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	while (mem >= 0 && (uint64_t)off < size) {
		ssize_t n = sendfile(mem, fd, &off, MIN(size - (uint64_t)off, COPY_STEP));

		if (n == 0)
			errno = ENODATA; /* it became shorter */
		if (n <= 0) {
			close(mem);
			return -1;
		}
	}
	return mem < 0 ? -1 : seal_as(mem, fd);
}

/* The same for a gzip file, unpacked; 0, or -1 with out->error. */
static int unpack_sealed(struct load_src *src, int fd, const char *name, struct load_result *out)
{
	static uint8_t buf[65536];
	uint64_t off = 0;
	int64_t n;
	int mem = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (mem < 0)
		return load_fail(out, "memory for the unpacked kernel: %m");
	while ((n = src_read_some(src, off, buf, sizeof(buf))) > 0) {
		if (write(mem, buf, (size_t)n) != n) {
			load_fail(out, "memory for the unpacked kernel: %m");
			break;
		}
		off += (uint64_t)n;
	}
	if (n != 0 || src_finish(src) < 0) {
		close(mem);
		return -1;
	}
	return seal_as(mem, fd) < 0 ? load_fail(out, "memory for the unpacked kernel: %m") : 0;
}

/* A regular file that guest memory has room for; its size, or -1. */
static int64_t usable_size(struct vm *vm, int fd, const char *what)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return vm_fail(vm, GUEST_LOAD_FAILED, "%s: %m", what);
	if (!S_ISREG(st.st_mode))
		return vm_fail(vm, GUEST_LOAD_FAILED, "%s is not a regular file", what);
	if ((uint64_t)st.st_size > vm->c->mem_bytes)
		return vm_fail(vm, GUEST_LOAD_FAILED,
			       "%s has %lld bytes, more than the guest's memory; give it more (MEM-MB)", what,
			       (long long)st.st_size);
	return st.st_size;
}

/* QEMU takes a bzImage that is cut off, or too large to run, for one that reboots. */
static int judge_bzimage(struct vm *vm, const uint8_t *head, size_t len)
{
	struct kernel_needs needs = kernel_needs(head, len);
	const char *name = vm->c->kernel_name;
	struct stat st;

	if (fstat(VFD_KERNEL, &st) < 0)
		return vm_fail(vm, GUEST_ENGINE_FAILED, "%s: %m", name);
	if ((uint64_t)st.st_size < needs.file)
		return vm_fail(vm, GUEST_LOAD_FAILED,
			       "%s is a kernel that is cut off: %llu bytes of %llu; copy it again", name,
			       (unsigned long long)st.st_size, (unsigned long long)needs.file);
	if (vm->c->mem_bytes < needs.memory)
		return vm_fail(vm, GUEST_LOAD_FAILED,
			       "%s needs %llu MiB at least, the guest has %llu; give it more (MEM-MB)", name,
			       (unsigned long long)((needs.memory - 1) >> 20) + 1,
			       (unsigned long long)(vm->c->mem_bytes >> 20));
	return 0;
}

static int load_kernel(struct vm *vm)
{
	static uint8_t head[KERNEL_CHECK_BYTES];
	static struct load_result out;
	struct load_src src;
	const char *what, *name = vm->c->kernel_name;
	int64_t size = usable_size(vm, VFD_KERNEL, name), n;
	enum kernel_kind kind;

	if (size < 0)
		return -1;
	if (src_open(&src, VFD_KERNEL, vm->c->mem_bytes, &out) < 0)
		return vm_fail(vm, GUEST_LOAD_FAILED, "%s: %s", name, out.error);
	n = src_read_some(&src, 0, head, sizeof(head));
	if (n < 0)
		return vm_fail(vm, GUEST_LOAD_FAILED, "%s: %s", name, out.error);
	kind = kernel_kind(head, (size_t)n, &what);
	if (kind != KERNEL_BZIMAGE && kind != KERNEL_ELF)
		return vm_fail(vm, GUEST_LOAD_FAILED, "%s is not a kernel: it is %s%s", name, what,
			       src.gzip ? " in a gzip file" : "");
	if (src.gzip) {
		if (unpack_sealed(&src, VFD_KERNEL, "kernel", &out) < 0)
			return vm_fail(vm, GUEST_LOAD_FAILED, "%s: %s", name, out.error);
	} else if (copy_sealed(VFD_KERNEL, "kernel", (uint64_t)size) < 0) {
		return vm_fail(vm, GUEST_ENGINE_FAILED, "copy of %s: %m", name);
	}
	if (kind == KERNEL_ELF && !kernel_has_pvh(VFD_KERNEL))
		return vm_fail(vm, GUEST_LOAD_FAILED,
			       "%s is an ELF file without a PVH entry: no kernel that QEMU can start", name);
	return kind == KERNEL_BZIMAGE ? judge_bzimage(vm, head, (size_t)n) : 0;
}

static int load_initrd(struct vm *vm)
{
	int64_t size;

	if (!vm->c->has_initrd)
		return 0;
	size = usable_size(vm, VFD_INITRD, "the initrd");
	if (size < 0)
		return -1;
	if (size == 0)
		return vm_fail(vm, GUEST_LOAD_FAILED, "the initrd is an empty file");
	if (copy_sealed(VFD_INITRD, "initrd", (uint64_t)size) < 0)
		return vm_fail(vm, GUEST_ENGINE_FAILED, "copy of the initrd: %m");
	return 0;
}

static int qemu_create(struct vm *vm)
{
	int exe = open(QEMU_PATH, O_RDONLY | O_CLOEXEC);

	if (exe < 0)
		return vm_fail(vm, GUEST_ENGINE_FAILED, "%s: %m (Debian: apt-get install qemu-system-x86)", QEMU_PATH);
	/* The filter allows the execution of this descriptor alone. */
	if (exe != VFD_ENGINE) {
		if (dup3(exe, VFD_ENGINE, O_CLOEXEC) < 0)
			return vm_fail(vm, GUEST_ENGINE_FAILED, "descriptor of QEMU: %m");
		close(exe);
	}
	if (load_kernel(vm) < 0 || load_initrd(vm) < 0)
		return -1;
	if (qemu_args(&args, vm->c, is_open(VFD_SERIAL), is_open(VFD_MONITOR)) < 0)
		return vm_fail(vm, GUEST_ENGINE_FAILED, "QEMU's command line is too long");
	return 0;
}

/* Landlock: read and execute below the root's folders, nothing else; then no more files are written. */
static int qemu_confine(struct vm *vm)
{
	struct sandbox_options o = { .no_mdwe = true };
	struct rlimit none = { 0, 0 };
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
	/* Its probe of memory files must fail, not end it; an ignored signal stays so across exec. */
	signal(SIGXFSZ, SIG_IGN);
	if (setrlimit(RLIMIT_FSIZE, &none) < 0)
		return vm_fail(vm, GUEST_ENGINE_FAILED, "limit of file size: %m");
	if (sandbox_filter(&policy_vcpu_qemu, &vm->missing) < 0)
		return vm_fail(vm, GUEST_ENGINE_FAILED, "filter: %m");
	return 0;
}

static void qemu_run(struct vm *vm)
{
	/* Nothing of the caller's environment; one allocator arena for all threads. */
	char *const env[] = { (char *)"LC_ALL=C", (char *)"MALLOC_ARENA_MAX=1", NULL };

	if (ctl_send_text(VFD_CTL, CTL_RUNNING, 0, "") < 0) {
		vm_fail(vm, GUEST_ENGINE_FAILED, "the supervisor is gone: %m");
		return;
	}
	execveat(VFD_ENGINE, "", args.argv, env, AT_EMPTY_PATH);
	vm_fail(vm, GUEST_ENGINE_FAILED, "%s: %m", QEMU_PATH);
}

static void qemu_destroy(struct vm *vm)
{
	(void)vm; /* the end of the process gives everything back */
}

const struct engine engine_qemu = {
	.name = "qemu",
	.kind = ENGINE_QEMU,
	.create = qemu_create,
	.wire = NULL,
	.confine = qemu_confine,
	.run = qemu_run,
	.destroy = qemu_destroy,
};
