/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Chooses the engine that runs the guest, and opens its device. Runs in the parent,
 * inside the privileged window. --engine=auto takes the first one that works of lguest,
 * kvm and qemu; --verbose reports why an engine was skipped.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "parent/options/util.h"
#include "parent/setup/engines.h"
#include "parent/setup/setup.h"

#define KVM_VERSION 12 /* Documentation/virt/kvm/api.rst, KVM_GET_API_VERSION */
#define WHY_MAX	    256

const char *engine_name(enum engine_kind kind)
{
	static const char *const name[] = {
#define X(sym, text) text,
		ENGINES(X)
#undef X
	};

	return (unsigned)kind < ARRAY_SIZE(name) ? name[kind] : "?";
}

/* Allocate h->engine_fd for @n descriptors. Returns 0, or -1 with the reason in @why. */
static int alloc_fds(struct host *h, unsigned n, char *why)
{
	h->engine_fd = calloc(n, sizeof(*h->engine_fd));
	if (!h->engine_fd)
		snprintf(why, WHY_MAX, "out of memory");
	return h->engine_fd ? 0 : -1;
}

/* Descriptors that this process opens in addition: each role's channels, taps, images. */
#define OTHER_DESCRIPTORS 256u

/*
 * True, with the reason in @why, if @starts descriptors are too many. The limit is that of a spawner's table, because
 * each spawner begins as a copy of this process.
 */
static bool too_many(unsigned starts, char *why)
{
	unsigned most = SPAWNER_NOFILE - OTHER_DESCRIPTORS;
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < SPAWNER_NOFILE)
		most = r.rlim_cur > OTHER_DESCRIPTORS ? (unsigned)r.rlim_cur - OTHER_DESCRIPTORS : 1;
	if (starts <= most)
		return false;
	snprintf(
		why, WHY_MAX,
		"--max-reboots=%u: each start needs a descriptor of /dev/lguest, and there can be at most %u; give %u or less",
		starts - 1, most, most - 1);
	return true;
}

/*
 * Opens one descriptor of /dev/lguest per start of the guest. A descriptor serves only the
 * process that initialised it, and after the window no process may open another one.
 */
static int try_lguest(struct host *h, char *why)
{
#ifdef __i386__
	static const char host_hint[] = ": the host kernel has no lguest";
#else
	static const char host_hint[] = "; only 32-bit hosts have lguest, and it needs the i386 build (make ARCH=i386)";
#endif
	unsigned starts;
	struct stat sb;
	int fd;

#ifndef __i386__
	if (h->c->engine == ENGINE_AUTO) {
		snprintf(why, WHY_MAX, "needs a 32-bit x86 host with /dev/lguest; not possible here");
		return -1;
	}
#endif
	if (h->c->smp > 1) {
		snprintf(why, WHY_MAX, "--smp=%u: a guest of the lguest engine has one CPU", h->c->smp);
		return -1;
	}
	fd = open("/dev/lguest", O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		if (errno == EACCES || errno == EPERM)
			snprintf(why, WHY_MAX, "no permission to open /dev/lguest; start as root");
		else
			snprintf(why, WHY_MAX, "no /dev/lguest%s (%s)", host_hint, strerror(errno));
		return -1;
	}
	starts = h->c->no_reboot ? 1 : h->c->max_reboots + 1;
	if (too_many(starts, why) || alloc_fds(h, starts, why) < 0) {
		close(fd);
		return -1;
	}
	if (h->c->rng)
		h->random = MAX(open("/dev/urandom", O_RDONLY | O_CLOEXEC), 0);
	h->engine_is_file = fstat(fd, &sb) == 0 && S_ISREG(sb.st_mode);
	h->engine_fd[h->nengine++] = fd;
	while (h->nengine < starts) {
		fd = open("/dev/lguest", O_RDWR | O_CLOEXEC);
		if (fd < 0) {
			snprintf(why, WHY_MAX, "cannot open /dev/lguest for start %u of %u: %s", h->nengine + 1, starts,
				 strerror(errno));
			while (h->nengine)
				close(h->engine_fd[--h->nengine]);
			engine_forget(h);
			return -1;
		}
		h->engine_fd[h->nengine++] = fd;
	}
	return 0;
}

/* True if the CPU's flags have @flag. */
static bool cpu_has(const char *flag)
{
	static char text[16384];
	char word[16];
	int fd = open("/proc/cpuinfo", O_RDONLY | O_CLOEXEC);
	size_t have = 0;
	ssize_t n;

	if (fd < 0)
		return false;
	while (have < sizeof(text) - 1 && (n = read(fd, text + have, sizeof(text) - 1 - have)) > 0)
		have += (size_t)n;
	close(fd);
	text[have] = '\0';
	for (unsigned i = 0; i < 2; i++) {
		snprintf(word, sizeof(word), " %s%c", flag, " \n"[i]);
		if (strstr(text, word))
			return true;
	}
	return false;
}

static bool cpu_has_virtualization(void)
{
	return cpu_has("vmx") || cpu_has("svm");
}

/* True if the module's parameter at @path is known to be on. */
static bool parameter_is_on(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char c = 'N';

	if (fd < 0)
		return false;
	(void)!read(fd, &c, 1);
	close(fd);
	return c == 'Y' || c == '1';
}

/* A module that is part of the kernel has its parameter on every processor, so the flags choose. */
static bool kvm_has_nested_paging(void)
{
	return (cpu_has("vmx") && parameter_is_on("/sys/module/kvm_intel/parameters/ept")) ||
	       (cpu_has("svm") && parameter_is_on("/sys/module/kvm_amd/parameters/npt"));
}

/* Write advice that fits the permissions of /dev/kvm to @why. */
static void kvm_no_permission(char *why)
{
	struct stat st;
	struct group *gr =
		stat("/dev/kvm", &st) == 0 && st.st_gid != 0 && st.st_mode & 0020 ? getgrgid(st.st_gid) : NULL;

	if (geteuid() == 0)
		snprintf(why, WHY_MAX,
			 "no permission to open /dev/kvm, also as root: the container or a device cgroup forbids it");
	else if (gr)
		snprintf(why, WHY_MAX, "no permission to open /dev/kvm; join the group %s or start as root",
			 gr->gr_name);
	else
		snprintf(
			why, WHY_MAX,
			"no permission to open /dev/kvm, which is root's alone; start as root, or as root: chgrp kvm /dev/kvm && chmod 660 /dev/kvm, and join that group");
}

static int kvm_open_failed(char *why)
{
	if (errno == EACCES || errno == EPERM)
		kvm_no_permission(why);
	else if (!cpu_has_virtualization())
		snprintf(why, WHY_MAX,
			 "no /dev/kvm, and no hardware support in this CPU's flags (vmx or svm); use --engine=qemu");
	else
		snprintf(
			why, WHY_MAX,
			"no /dev/kvm; load its module (modprobe kvm-intel or kvm-amd), or enable virtualization in the firmware");
	return -1;
}

static int try_kvm(struct host *h, char *why)
{
	int fd, version;

#ifndef __x86_64__
	snprintf(why, WHY_MAX,
		 "this 32-bit build cannot use it, because it starts guests in 64-bit mode; use the x86-64 build");
	return -1;
#endif
	fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return kvm_open_failed(why);
	version = ioctl(fd, KVM_GET_API_VERSION, 0);
	if (version != KVM_VERSION) {
		snprintf(why, WHY_MAX, "/dev/kvm has version %d of its API; version 12 is needed", version);
	} else if (h->c->engine != ENGINE_KVM && !cpu_has_virtualization()) {
		snprintf(why, WHY_MAX, "this CPU does not offer VT-x or AMD-V; force it with --engine=kvm");
	} else if (alloc_fds(h, 1, why) == 0) {
		h->engine_fd[h->nengine++] = fd;
		h->shadow_paging = h->c->checkpoint && !kvm_has_nested_paging();
		return 0;
	}
	close(fd);
	return -1;
}

static int try_qemu(struct host *h, char *why)
{
	const struct machine *m = machine_get(h->c->machine);
	void *code;

#ifndef __x86_64__
	snprintf(
		why, WHY_MAX,
		"this 32-bit build cannot use it, because there is no system call filter for a 32-bit QEMU; use the x86-64 build");
	return -1;
#endif
	if (access(machine_program(m), X_OK) < 0) {
		if (errno == ENOENT)
			snprintf(why, WHY_MAX, "no %s; install it (Debian: apt install %s)", m->program, m->package);
		else
			snprintf(why, WHY_MAX, "%s: %s", machine_program(m), strerror(errno));
		return -1;
	}
	if (m->firmware && h->c->firmware != FIRMWARE_NONE && h->c->firmware != FIRMWARE_FILE &&
	    access(m->firmware, R_OK) < 0) {
		snprintf(
			why, WHY_MAX,
			"%s, the firmware of --machine=%s: %s; install it (Debian: apt install qemu-system-data opensbi), or give --firmware=none",
			m->firmware, m->name, strerror(errno));
		return -1;
	}
	/* QEMU's emulator writes code and executes it. */
	code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (code == MAP_FAILED) {
		snprintf(
			why, WHY_MAX,
			"no memory that is writable and executable (%s); QEMU's emulator needs it: MemoryDenyWriteExecute= of systemd, or a security module, forbids it",
			strerror(errno));
		return -1;
	}
	munmap(code, 4096);
	return 0;
}

static const struct {
	enum engine_kind kind;
	int (*open)(struct host *h, char *why);
} engine[] = {
	{ ENGINE_LGUEST, try_lguest },
	{ ENGINE_KVM, try_kvm },
	{ ENGINE_QEMU, try_qemu },
};

int engine_try(struct host *h, enum engine_kind kind, char *why)
{
	for (unsigned i = 0; i < ARRAY_SIZE(engine); i++)
		if (engine[i].kind == kind)
			return engine[i].open(h, why);
	return -1;
}

void engine_forget(struct host *h)
{
	free(h->engine_fd);
	h->engine_fd = NULL;
	h->nengine = 0;
}

int engine_open(struct host *h)
{
	char why[ARRAY_SIZE(engine)][WHY_MAX] = { "" };

	for (unsigned i = 0; i < ARRAY_SIZE(engine); i++) {
		if (h->c->engine != ENGINE_AUTO && h->c->engine != engine[i].kind)
			continue;
		if (engine[i].open(h, why[i]) == 0) {
			h->engine = engine[i].kind;
			return 0;
		}
		if (h->c->engine != ENGINE_AUTO)
			return complain(-1, "--engine=%s: %s", engine_name(engine[i].kind), why[i]);
		if (h->c->verbose)
			complain(0, "engine %s passed over: %s", engine_name(engine[i].kind), why[i]);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(engine) && !h->c->verbose; i++)
		complain(0, "engine %s: %s", engine_name(engine[i].kind), why[i]);
	return complain(-1, "no engine works on this host");
}
