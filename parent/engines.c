// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which engine runs the guest, and its device. Runs in the parent, inside the
 * privileged window. With --engine=auto the first that works is taken: lguest,
 * kvm, qemu; --verbose says why one was passed over.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "options.h"
#include "room.h"
#include "setup.h"

#ifdef HAVE_ENGINE_KVM
#define HAVE_KVM 1
#else
#define HAVE_KVM 0
#endif
#ifdef HAVE_ENGINE_LGUEST
#define HAVE_LGUEST 1
#else
#define HAVE_LGUEST 0
#endif
#define QEMU_PATH   "/usr/bin/qemu-system-x86_64"
#define KVM_VERSION 12 /* Documentation/virt/kvm/api.rst, KVM_GET_API_VERSION */
#define WHY_MAX	    256

const char *engine_name(enum engine_kind kind)
{
	static const char *const name[] = { "auto", "lguest", "kvm", "qemu" };

	return (unsigned)kind < ARRAY_SIZE(name) ? name[kind] : "?";
}

/* Room for one descriptor per start of the guest. */
static int keep(struct host *h, unsigned n, char *why)
{
	h->engine_fd = calloc(n, sizeof(*h->engine_fd));
	if (!h->engine_fd)
		snprintf(why, WHY_MAX, "out of memory");
	return h->engine_fd ? 0 : -1;
}

/* What else this process opens: each role's channels, taps, images. */
#define OTHER_DESCRIPTORS 256u

/* A room begins as a copy of this process, with the table of a spawner. */
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
		"--max-reboots=%u: /dev/lguest is opened once for every start, and the most descriptors there is room for is %u; say %u or less",
		starts - 1, most, most - 1);
	return true;
}

/*
 * An initialised device belongs to the process that initialised it for good,
 * and after the window nobody may open another: so one per start of the guest.
 */
static int try_lguest(struct host *h, char *why)
{
#ifdef __i386__
	static const char host_hint[] = ": the host kernel has no lguest";
#else
	static const char host_hint[] =
		"; lguest is there on 32-bit hosts alone, and wants the i386 build (make ARCH=i386)";
#endif
	unsigned starts;
	struct stat sb;
	int fd;

	if (!HAVE_LGUEST) {
		snprintf(why, WHY_MAX, "the lguest engine is not in this build yet");
		return -1;
	}
#ifndef __i386__
	if (h->c->engine == ENGINE_AUTO) {
		snprintf(why, WHY_MAX,
			 "real ones are on 32-bit hosts (make ARCH=i386); --engine=lguest tries it all the same");
		return -1;
	}
#endif
	if (h->c->smp > 1) {
		snprintf(why, WHY_MAX, "--smp=%u: an lguest guest has one CPU", h->c->smp);
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
	if (too_many(starts, why) || keep(h, starts, why) < 0) {
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
			snprintf(why, WHY_MAX, "/dev/lguest, opened for start %u of %u: %s", h->nengine + 1, starts,
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

/* True if the CPU's flags have VMX or SVM. */
static bool cpu_has_virtualization(void)
{
	static char text[16384];
	int fd = open("/proc/cpuinfo", O_RDONLY | O_CLOEXEC);
	size_t have = 0;
	ssize_t n;

	if (fd < 0)
		return false;
	while (have < sizeof(text) - 1 && (n = read(fd, text + have, sizeof(text) - 1 - have)) > 0)
		have += (size_t)n;
	close(fd);
	text[have] = '\0';
	return strstr(text, " vmx ") || strstr(text, " svm ") || strstr(text, " vmx\n") || strstr(text, " svm\n");
}

static int kvm_open_failed(char *why)
{
	if (errno == EACCES || errno == EPERM)
		snprintf(why, WHY_MAX, "no permission to open /dev/kvm; join the group kvm or start as root");
	else if (!cpu_has_virtualization())
		snprintf(why, WHY_MAX,
			 "no /dev/kvm, and no hardware support in this CPU's flags (vmx or svm); use --engine=qemu");
	else
		snprintf(
			why, WHY_MAX,
			"no /dev/kvm; load its module (modprobe kvm-intel or kvm-amd) or switch virtualization on in the firmware");
	return -1;
}

static int try_kvm(struct host *h, char *why)
{
	int fd, version;

	if (!HAVE_KVM) {
		snprintf(why, WHY_MAX, "the kvm engine is not in this build yet");
		return -1;
	}
	fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return kvm_open_failed(why);
	version = ioctl(fd, KVM_GET_API_VERSION, 0);
	if (version != KVM_VERSION) {
		snprintf(why, WHY_MAX, "/dev/kvm speaks version %d of its API, not 12", version);
	} else if (h->c->engine != ENGINE_KVM && !cpu_has_virtualization()) {
		snprintf(
			why, WHY_MAX,
			"/dev/kvm is there, but the CPU's flags have no hardware support (vmx or svm); --engine=kvm tries it all the same");
	} else if (keep(h, 1, why) == 0) {
		h->engine_fd[h->nengine++] = fd;
		return 0;
	}
	close(fd);
	return -1;
}

static int try_qemu(struct host *h, char *why)
{
	(void)h;
	if (access(QEMU_PATH, X_OK) == 0)
		return 0;
	snprintf(why, WHY_MAX, "no " QEMU_PATH "; install it (Debian: apt install qemu-system-x86)");
	return -1;
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
