/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the audit knows of each kind of process: its program; and the tables of common/fdtab.h,
 * which kind of descriptor may be open at which number. Runs in lguest-sep audit.
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/fdtab.h"
#include "parent/audit/audit.h"
#include "parent/audit/fds.h"
#include "parent/options/config.h"

#define P(part) (1u << PART_##part)

struct slot {
	unsigned first, count;
	unsigned parts; /* Bits P(...): the processes that may have it. */
	unsigned kinds; /* Bits of enum fd_kind. */
};

static const struct slot table[] = {
	{ HFD_RULES, 1, P(NETD), FD_SOCKET },
	{ HFD_DIAG, 1, P(BLKD) | P(NETD) | P(FSD), FD_PIPE },
	{ HFD_CTL, 1, P(BLKD) | P(NETD) | P(FSD), FD_SOCKET },
	{ HFD_FRONT, 1, P(BLKD) | P(NETD) | P(FSD), FD_SOCKET },
	{ HFD_LISTEN, 1, P(BLKD) | P(NETD) | P(FSD), FD_SOCKET },
	{ HFD_DISK, 1, P(BLKD), FD_FILE | FD_BLOCK },
	{ HFD_DELTA, 1, P(BLKD), FD_FILE | FD_MEMFD },
	{ HFD_EPOLL, 1, P(BLKD) | P(NETD) | P(FSD), FD_EPOLL },
	{ HFD_RING, 1, P(BLKD) | P(NETD), FD_URING },
	{ HFD_RINGEV, 1, P(BLKD), FD_EVENTFD },
	{ HFD_TIMER, 1, P(BLKD) | P(NETD), FD_TIMERFD },
	{ HFD_INFLIGHT, 1, P(BLKD) | P(NETD) | P(FSD), FD_MEMFD },
	{ HFD_SNAPMAP, 2, P(BLKD), FD_MEMFD | FD_FILE },
	{ HFD_ADDED, 1, P(FSD), FD_MEMFD | FD_FILE },
	{ HFD_NODES, 1, P(FSD), FD_MEMFD | FD_FILE },
	{ HFD_KICK0, MAX_QUEUES, P(BLKD) | P(NETD) | P(FSD), FD_EVENTFD },
	{ HFD_CALL0, MAX_QUEUES, P(BLKD) | P(NETD) | P(FSD), FD_EVENTFD },
	{ HFD_ERR0, MAX_QUEUES, P(BLKD) | P(NETD) | P(FSD), FD_EVENTFD },
	{ HFD_TAP0, MAX_QUEUES, P(NETD), FD_TAP },
	{ HFD_TAP0, 1, P(NETD), FD_SOCKET }, /* --net=user: to passt. */
	{ HFD_CAPTURE, 1, P(NETD), FD_FILE },
	/* The share's root, at every number that is not used otherwise; and its files. */
	{ HFD_NULL_IN, FSD_FD_LIMIT, P(FSD), FD_DIRECTORY },
	{ FSD_FD0, FSD_FD_LIMIT - FSD_FD0, P(FSD), FD_FILE | FD_PIPE | FD_SOCKET | FD_BLOCK | FD_CHAR | FD_OTHER },

	{ PFD_NULL_IN, 2, P(PASST), FD_CHAR },
	{ PFD_DIAG, 1, P(PASST), FD_PIPE },
	{ PFD_STREAM, PFD_LIMIT - PFD_STREAM, P(PASST), FD_SOCKET | FD_EPOLL | FD_TIMERFD | FD_PIPE },

	{ VFD_CON_IN, 1, P(VCPU) | P(QEMU), FD_PIPE },
	{ VFD_CON_OUT, 1, P(VCPU) | P(QEMU), FD_PIPE },
	{ VFD_DIAG, 1, P(VCPU) | P(QEMU), FD_PIPE },
	{ VFD_CTL, 1, P(VCPU) | P(QEMU), FD_SOCKET },
	{ VFD_MEM, 1, P(VCPU) | P(QEMU), FD_MEMFD },
	{ VFD_KERNEL, 1, P(VCPU), FD_FILE },
	{ VFD_INITRD, 1, P(VCPU), FD_FILE },
	{ VFD_ENGINE, 1, P(VCPU), FD_ENGINE },
	{ VFD_EPOLL, 1, P(VCPU), FD_EPOLL },
	{ VFD_VM, 1, P(VCPU), FD_VM },
	{ VFD_WAKE, 1, P(VCPU), FD_EVENTFD },
	{ VFD_WAIT, 1, P(VCPU), FD_EPOLL },
	{ VFD_REPLY, 1, P(VCPU), FD_EPOLL },
	{ VFD_RANDOM, 1, P(VCPU), FD_CHAR },
	{ VFD_FRONT0, MAX_DEVICES, P(VCPU), FD_SOCKET },
	{ VFD_VCPU0, MAX_VCPUS, P(VCPU), FD_CPU },
	{ VFD_OWNKICK0, MAX_OWN_KICKS, P(VCPU), FD_EVENTFD },
	{ VFD_PORT0, MAX_DEVICES, P(VCPU), FD_SOCKET },
	{ VFD_QERR0, MAX_DEVICES, P(VCPU), FD_EVENTFD },
	{ VFD_LOG0, MAX_DEVICES, P(VCPU), FD_MEMFD | FD_FILE },
	{ VFD_QKICK0, MAX_DEVICES *MAX_QUEUES, P(VCPU), FD_EVENTFD },
	{ VFD_QCALL0, MAX_DEVICES *MAX_QUEUES, P(VCPU), FD_EVENTFD },
	/* QEMU gets the kernel and any initrd as sealed copies, and opens descriptors at other numbers itself. */
	{ VFD_KERNEL, 1, P(QEMU), FD_MEMFD },
	{ VFD_INITRD, VFD_LIMIT - VFD_INITRD, P(QEMU), FD_SOCKET | FD_EVENTFD | FD_EPOLL | FD_SIGNALFD | FD_MEMFD },

	{ CFD_DIAG, 1, P(CONTROLD), FD_PIPE },
	{ CFD_LISTEN, 1, P(CONTROLD), FD_SOCKET },
	{ CFD_CONSOLE, 1, P(CONTROLD), FD_SOCKET },
	{ CFD_CTL, 1, P(CONTROLD), FD_SOCKET },
	{ CFD_CONN0, CFD_LIMIT - CFD_CONN0, P(CONTROLD), FD_SOCKET },

	{ IFD_DIAG, 1, P(SPAWNER), FD_PIPE },
	{ IFD_CMD, 1, P(SPAWNER), FD_SOCKET },
	{ IFD_EXE, 1, P(SPAWNER), FD_FILE },

	/* The supervisor: the user's three standard descriptors of any kind; then what the privileged window opened. */
	{ 0, 3, P(SUPERVISOR), ~0u },
	{ 3, 1u << 20, P(SUPERVISOR),
	  FD_PIPE | FD_SOCKET | FD_SIGNALFD | FD_FILE | FD_BLOCK | FD_TAP | FD_MEMFD | FD_ENGINE | FD_CHAR |
		  FD_DIRECTORY },
};

/* The options that a descriptor may need. */
#define BY_SAVE	 1u /* --save */
#define BY_FROM	 2u /* --from */
#define BY_FRESH 4u /* --reset=fresh */

/* Descriptors that a process has only if the guest's configuration asks for them. */
static const struct optional {
	struct slot slot;
	unsigned by; /* One of BY_*. */
	bool read_only;
} optional[] = {
	{ { HFD_SAVE, 1, P(BLKD) | P(FSD), FD_FILE }, BY_SAVE, false },
	{ { HFD_FROM, 1, P(BLKD) | P(FSD), FD_FILE }, BY_FROM, true },
	{ { HFD_LOWER, 1, P(BLKD), FD_FILE | FD_MEMFD }, BY_FRESH, true },
	{ { VFD_SAVE, 1, P(VCPU), FD_FILE }, BY_SAVE, false },
};

static bool has_fd(const struct facts *f, unsigned number)
{
	for (unsigned i = 0; i < f->nfds; i++)
		if (f->fd[i].number == number)
			return true;
	return false;
}

/* True if @g asks for @o in the process @f. Unless its command line could be read, it may. */
static bool is_asked_for(const struct audit_guest *g, enum part part, const struct facts *f, const struct optional *o)
{
	if (!g->configured)
		return true;
	/* Of disks, only snapshots are saved and taken back. */
	if (part == PART_BLKD && (!g->snapshots || !has_fd(f, HFD_DELTA)))
		return false;
	return o->by == BY_SAVE ? g->saves : o->by == BY_FROM ? g->starts_saved : g->fresh;
}

/* True if the table's row @s is for @number in a process of kind @part. */
static bool is_for(const struct slot *s, enum part part, unsigned number)
{
	return s->parts & (1u << part) && number >= s->first && number - s->first < s->count;
}

/* Returns NULL if optional[] has @d for the process @f and the guest asks for it, or why not; or else @wrong. */
static const char *check_optional(const struct audit_guest *g, enum part part, const struct facts *f,
				  const struct audit_fd *d, const char *wrong)
{
	for (unsigned i = 0; i < ARRAY_SIZE(optional); i++) {
		const struct optional *o = &optional[i];

		if (!is_for(&o->slot, part, d->number) || !(o->slot.kinds & d->kind))
			continue;
		if (!is_asked_for(g, part, f, o))
			wrong = "no option of this guest asks for it";
		else if (o->read_only && d->writable)
			wrong = "it was opened for writing";
		else
			return NULL;
	}
	return wrong;
}

/* Returns NULL, or why the descriptor @d should not be open in the process @f, of kind @part, of @g. */
static const char *check_fd(const struct audit_guest *g, enum part part, const struct facts *f,
			    const struct audit_fd *d)
{
	/* Without a kernel, its number is free for QEMU like those after it. */
	bool free_number = part == PART_QEMU && g->no_kernel && d->number == VFD_KERNEL;
	unsigned number = free_number ? VFD_INITRD : d->number;
	const char *wrong = "its table has no descriptor at this number";

	/* The privileged window opens everything close-on-exec; a descriptor inherited from the shell is not. */
	if (part == PART_SUPERVISOR && d->number > 2 && d->kept)
		return "it was open before the supervisor started";

	for (unsigned i = 0; i < ARRAY_SIZE(table); i++) {
		if (!is_for(&table[i], part, number))
			continue;
		if (table[i].kinds & d->kind)
			return NULL;
		wrong = "its table has another kind of descriptor at this number";
	}
	return check_optional(g, part, f, d, wrong);
}

void audit_judge_fds(const struct audit_guest *g, enum part part, struct facts *f)
{
	for (unsigned i = 0; i < f->nfds; i++)
		f->fd[i].wrong = check_fd(g, part, f, &f->fd[i]);
}

const char *audit_program(const struct audit_guest *g, enum part part)
{
	static const char *const programs[] = {
		[PART_SUPERVISOR] = "lguest-sep",
		[PART_SPAWNER] = "lguest-sep-init",
		[PART_VCPU] = "lguest-sep-vcpu",
		[PART_NETD] = "lguest-sep-netd",
		[PART_BLKD] = "lguest-sep-blkd",
		[PART_PASST] = "passt",
		[PART_CONTROLD] = "lguest-sep-controld",
		[PART_FSD] = "lguest-sep-fsd",
		[PART_STRANGER] = "none",
	};

	return part == PART_QEMU ? machine_exe(machine_get(g->machine)) : programs[part];
}

bool audit_runs(const struct audit_guest *g, const struct audit_process *p, const char *want)
{
	const char *ours = g->process[0].f.exe, *slash = strrchr(ours, '/');
	char path[sizeof(p->f.exe) + 64], exe[64];
	struct stat a, b;

	snprintf(exe, sizeof(exe), "/proc/%d/exe", (int)p->f.pid);
	if (!slash || stat(exe, &a) < 0)
		return false;
	snprintf(path, sizeof(path), "%.*s/%s", (int)(slash - ours), ours, want);
	if (stat(path, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino)
		return true;
	snprintf(path, sizeof(path), "%.*s/" LIBEXEC "/%s", (int)(slash - ours), ours, want);
	return stat(path, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

bool audit_has_output(const struct facts *f)
{
	_Static_assert(HFD_SAVE == HFD_CAPTURE, "one number");
	for (unsigned i = 0; i < f->nfds; i++)
		if (f->fd[i].number == HFD_CAPTURE && f->fd[i].kind == FD_FILE)
			return true;
	return false;
}

bool audit_has_save(const struct facts *f)
{
	for (unsigned i = 0; i < f->nfds; i++)
		if (f->fd[i].number == VFD_SAVE && f->fd[i].kind == FD_FILE)
			return true;
	return false;
}

bool audit_is_writable_share(const struct audit_guest *g, const struct facts *f)
{
	_Static_assert(HFD_KEPT_NODES == HFD_ADDED, "one number");
	if (g->fresh)
		return false;
	for (unsigned i = 0; i < f->nfds; i++)
		if (f->fd[i].number == HFD_ADDED && f->fd[i].kind == FD_MEMFD)
			return true;
	return false;
}

bool audit_has_lguest(const struct facts *f)
{
	for (unsigned i = 0; i < f->nfds; i++)
		if (f->fd[i].number == VFD_ENGINE && !strcmp(f->fd[i].target, "/dev/lguest"))
			return true;
	return false;
}

bool audit_starts_fsd(const struct audit_guest *g, const struct audit_process *p)
{
	for (unsigned i = 0; i < g->n; i++)
		if (g->process[i].part == PART_FSD && g->process[i].f.ppid == p->f.pid)
			return true;
	return false;
}

bool audit_has_network(const struct audit_guest *g, const struct audit_process *p)
{
	for (unsigned i = 0; i < g->n; i++)
		if (g->process[i].part == PART_PASST && g->process[i].f.ppid == p->f.pid)
			return true;
	return p->part == PART_PASST;
}
