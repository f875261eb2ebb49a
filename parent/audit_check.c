// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What this build promises of each process of a guest, and whether it is so:
 * DESIGN section 5, SECURITY.md. Runs in lguest-sep audit. A promise that cannot
 * be looked at is said to be so, and counts neither as held nor as broken.
 */
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include "audit.h"
#include "common/fdtab.h"
#include "common/log.h"
#include "common/shm.h"
#include "config.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__i386__)
#define BOUNDED_SPACE 0
#else
#define BOUNDED_SPACE 1
#endif
#if defined(__SANITIZE_ADDRESS__)
#define STATIC_ROLES 0
#else
#define STATIC_ROLES 1
#endif

/* linux/fcntl.h and fcntl.h do not go together. */
#define SEALS_PROMISED 0x6 /* F_SEAL_SHRINK | F_SEAL_GROW */

static struct check *next_check(struct audit_process *p)
{
	return p->nchecks < ARRAY_SIZE(p->check) ? &p->check[p->nchecks++] : &p->check[ARRAY_SIZE(p->check) - 1];
}

static void say(struct audit_process *p, enum verdict v, const char *what, const char *promised, const char *fmt, ...)
	PRINTF_LIKE(5, 6);
static void say(struct audit_process *p, enum verdict v, const char *what, const char *promised, const char *fmt, ...)
{
	struct check *c = next_check(p);
	va_list ap;

	c->what = what;
	c->verdict = v;
	snprintf(c->promised, sizeof(c->promised), "%s", promised);
	va_start(ap, fmt);
	vsnprintf(c->is, sizeof(c->is), fmt, ap);
	va_end(ap);
}

static enum verdict held(bool yes)
{
	return yes ? AS_PROMISED : WEAKER;
}

static bool is_role(enum part part)
{
	return part == PART_VCPU || part == PART_QEMU || part == PART_NETD || part == PART_BLKD;
}

static bool alike(const uint32_t id[4])
{
	return id[0] == id[1] && id[0] == id[2] && id[0] == id[3];
}

/* Started by a user: user namespaces took the place of root's powers. */
static bool unprivileged(const struct audit_guest *g)
{
	const struct facts *s = &g->process[0].f;

	for (unsigned i = 1; i < g->n; i++)
		if (g->process[i].f.ns[NS_USER][0] && s->ns[NS_USER][0])
			return strcmp(g->process[i].f.ns[NS_USER], s->ns[NS_USER]) != 0;
	return s->cap[CAP_BND] != 0;
}

/* A room that cannot be left empty (hosts before 3.19) shows its programs by other names. */
static bool is_program(const struct audit_guest *g, const struct audit_process *p, const char *want)
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

static void check_program(const struct audit_guest *g, struct audit_process *p)
{
	static const char *const want[] = {
		[PART_SUPERVISOR] = "lguest-sep",   [PART_SPAWNER] = "lguest-sep-init", [PART_VCPU] = "lguest-sep-vcpu",
		[PART_QEMU] = "qemu-system-x86_64", [PART_NETD] = "lguest-sep-netd",	[PART_BLKD] = "lguest-sep-blkd",
		[PART_STRANGER] = "none",
	};
	const char *name = strrchr(p->f.exe, '/');
	size_t len = strlen(want[p->part]);

	if (!p->f.exe[0])
		say(p, NOT_SHOWN, "program", want[p->part], "only root may see it");
	else if (is_program(g, p, want[p->part]))
		say(p, AS_PROMISED, "program", want[p->part], "%s", p->f.exe);
	else /* " (deleted)" follows the name of one that was replaced by a newer build */
		say(p, held(name && !strncmp(name + 1, want[p->part], len) && (!name[1 + len] || name[1 + len] == ' ')),
		    "program", want[p->part], "%s", p->f.exe);
}

static void check_user(const struct audit_guest *g, struct audit_process *p)
{
	const struct facts *f = &p->f;
	bool known = g->asked_uid && p->part == PART_SUPERVISOR;
	char want[64] = "not root";

	if (known)
		snprintf(want, sizeof(want), "%u", g->uid);
	say(p, held(alike(f->uid) && f->uid[0] && (!known || f->uid[0] == g->uid)), "user id", want, "%u %u %u %u",
	    f->uid[0], f->uid[1], f->uid[2], f->uid[3]);
	say(p, held(alike(f->gid) && f->gid[0]), "group id", "not root", "%u %u %u %u", f->gid[0], f->gid[1], f->gid[2],
	    f->gid[3]);
	if (unprivileged(g))
		say(p, AS_PROMISED, "supplementary groups", "the user's own", "%u", f->groups);
	else
		say(p, held(!f->groups), "supplementary groups", "none", "%u", f->groups);
}

static void check_capabilities(const struct audit_guest *g, struct audit_process *p)
{
	static const char *const what[CAP_SETS] = { "inheritable capabilities", "permitted capabilities",
						    "effective capabilities", "bounding set", "ambient capabilities" };
	/* A user has no right to shrink the bounding set; no_new_privs makes it meaningless. */
	bool bounded = !(p->part == PART_SUPERVISOR && unprivileged(g));

	for (unsigned i = 0; i < CAP_SETS; i++) {
		bool any = i == CAP_BND && !bounded;

		say(p, held(any || !p->f.cap[i]), what[i], any ? "(started by a user)" : "none", "%llx",
		    (unsigned long long)p->f.cap[i]);
	}
}

/* Filters stack: each role has those of its spawner, and one of its own at least. */
static void check_filters(const struct audit_guest *g, struct audit_process *p)
{
	const struct facts *f = &p->f, *s = &g->process[0].f;
	int want = p->part == PART_SUPERVISOR || s->filters < 0 ? 1 : s->filters;
	char text[32];

	if (f->no_new_privs < 0)
		say(p, NOT_SHOWN, "no_new_privs", "1", "this kernel does not show it");
	else
		say(p, held(f->no_new_privs == 1), "no_new_privs", "1", "%d", f->no_new_privs);
	say(p, held(f->seccomp == 2), "seccomp mode", "2 (filter)", "%d", f->seccomp);
	if (is_role(p->part))
		want++;
	snprintf(text, sizeof(text), "%d or more", want);
	if (f->filters < 0)
		say(p, NOT_SHOWN, "seccomp filters", text, "this kernel does not count them");
	else
		say(p, held(f->filters >= want), "seccomp filters", text, "%d", f->filters);
}

static void check_tracer(const struct audit_guest *g, struct audit_process *p)
{
	pid_t want = is_role(p->part) ? p->f.ppid : 0;
	char text[48] = "nobody";

	(void)g;
	if (want)
		snprintf(text, sizeof(text), "nobody, or its spawner %d", (int)want);
	say(p, held(!p->f.tracer || p->f.tracer == want), "traced by", text, "%d", (int)p->f.tracer);
}

/* A role and its spawner share them; nobody else of the guest does, nor the supervisor. */
static bool shares(const struct audit_guest *g, const struct audit_process *p, enum ns_kind k)
{
	pid_t family = p->part == PART_SPAWNER ? p->f.pid : p->f.ppid;

	for (unsigned i = 0; i < g->n; i++) {
		const struct audit_process *o = &g->process[i];
		bool kin = o->f.pid == family || (o->part != PART_SPAWNER && o->f.ppid == family);

		if (!kin && !strcmp(o->f.ns[k], p->f.ns[k]))
			return true;
	}
	return false;
}

static void check_namespaces(const struct audit_guest *g, struct audit_process *p)
{
	char own[64] = "", shared[64] = "", absent[64] = "";
	unsigned last = unprivileged(g) ? NS_USER : NS_CGROUP;
	size_t n = 0, m = 0, a = 0;

	if (!p->f.ns[NS_MNT][0]) {
		say(p, NOT_SHOWN, "own namespaces", "mnt pid net ipc uts cgroup", "only root may see them");
		return;
	}
	for (unsigned k = 0; k <= last; k++)
		if (!p->f.ns[k][0])
			a += (size_t)snprintf(absent + a, sizeof(absent) - a, " %s", ns_text((enum ns_kind)k));
		else if (shares(g, p, (enum ns_kind)k))
			m += (size_t)snprintf(shared + m, sizeof(shared) - m, " %s", ns_text((enum ns_kind)k));
		else
			n += (size_t)snprintf(own + n, sizeof(own) - n, "%s%s", n ? " " : "", ns_text((enum ns_kind)k));
	say(p,
	    m	? WEAKER
	    : a ? NOT_SHOWN
		: AS_PROMISED,
	    "own namespaces", last == NS_USER ? "mnt pid net ipc uts cgroup user" : "mnt pid net ipc uts cgroup",
	    "%s%s%s%s%s", own, m ? "; shared:" : "", shared, a ? "; not in this kernel:" : "", absent);
}

static void check_root(struct audit_process *p)
{
	const struct facts *f = &p->f;

	if (!f->have_root)
		say(p, NOT_SHOWN, "root folder", "empty, read-only", "only root may see it");
	else if (p->part == PART_QEMU || (p->part == PART_SPAWNER && f->root_entries))
		say(p, held(f->root_read_only && !f->writable_mounts && !strcmp(f->root_type, "tmpfs")), "root folder",
		    "QEMU's files, all read-only", "%u entries on %s, %u mounts writable", f->root_entries,
		    f->root_type, f->writable_mounts);
	else
		say(p, held(f->root_read_only && !f->root_entries && !f->writable_mounts), "root folder",
		    "empty, read-only", "%s%s on %s, %u mounts writable", f->root_entries ? "not empty" : "empty",
		    f->root_read_only ? ", read-only" : "", f->root_type, f->writable_mounts);
}

static void check_descriptors(struct audit_process *p)
{
	struct facts *f = &p->f;
	unsigned wrong = 0;

	if (!f->have_fds) {
		say(p, NOT_SHOWN, "descriptors", "those of its table", "only root may see them");
		return;
	}
	audit_judge_fds(p->part, f);
	for (unsigned i = 0; i < f->nfds; i++) {
		const struct audit_fd *d = &f->fd[i];

		if (!d->wrong)
			continue;
		if (++wrong <= 8)
			say(p, WEAKER, "descriptor", "those of its table", "number %u is a %s (%.80s): %s", d->number,
			    fd_kind_text(d->kind), d->target, d->wrong);
	}
	say(p, held(!wrong), "descriptors", "those of its table", "%u, %u of them wrong", f->nfds, wrong);
}

static const char *amount(uint64_t v, char buf[24])
{
	if (v == LIM_INFINITY)
		return "unlimited";
	snprintf(buf, 24, "%llu", (unsigned long long)v);
	return buf;
}

/* At most @most, hard and soft. */
static void check_limit(struct audit_process *p, enum limit_kind k, const char *what, uint64_t most)
{
	char promised[24], soft[24], hard[24];
	const struct facts *f = &p->f;

	say(p, held(f->limit[k].soft <= most && f->limit[k].hard <= most), what, amount(most, promised), "%s, %s",
	    amount(f->limit[k].soft, soft), amount(f->limit[k].hard, hard));
}

/* The vCPU process of the lguest engine: a request to the device counts as a few bytes of a file. */
static bool has_lguest(const struct facts *f)
{
	for (unsigned i = 0; i < f->nfds; i++)
		if (f->fd[i].number == VFD_ENGINE && !strcmp(f->fd[i].target, "/dev/lguest"))
			return true;
	return false;
}

static void check_limits(struct audit_process *p)
{
	bool helper = p->part == PART_NETD || p->part == PART_BLKD;

	if (p->part == PART_SUPERVISOR)
		return;
	check_limit(p, LIM_CORE, "core limit", 0);
	if (!is_role(p->part)) {
		check_limit(p, LIM_NOFILE, "descriptor limit", 2 * VFD_LIMIT);
		return;
	}
	check_limit(p, LIM_NOFILE, "descriptor limit", helper ? (uint64_t)HFD_LIMIT : (uint64_t)VFD_LIMIT);
	if (helper)
		check_limit(p, LIM_NPROC, "process limit", 0);
	/* A block device cannot grow; a limit of file sizes means nothing there. */
	if (p->part != PART_BLKD)
		check_limit(p, LIM_FSIZE, "file size limit", p->part == PART_VCPU && has_lguest(&p->f) ? 4096 : 0);
	else if (p->f.disk_size || !p->f.disk_block)
		check_limit(p, LIM_FSIZE, "file size limit", p->f.have_fds ? p->f.disk_size : LIM_INFINITY - 1);
	if (BOUNDED_SPACE && p->part != PART_QEMU)
		check_limit(p, LIM_AS, "address space limit", LIM_INFINITY - 1);
}

static void check_guest_memory(struct audit_process *p)
{
	const struct facts *f = &p->f;

	if (!is_role(p->part)) {
		say(p, held(!f->guest_maps), "guest memory", "not mapped", "%smapped", f->guest_maps ? "" : "not ");
		return;
	}
	if (!f->guest_maps) {
		say(p, AS_PROMISED, "guest memory", "sealed, no execution, no dump", "not mapped yet");
		return;
	}
	say(p, held(!f->guest_exec), "guest memory's access", "not executable", "%u mappings, %u executable",
	    f->guest_maps, f->guest_exec);
	if (f->have_smaps)
		say(p, held(!f->guest_dumped), "guest memory in dumps", "left out", "%s",
		    f->guest_dumped ? "not left out" : "left out");
	if (f->seals < 0)
		say(p, NOT_SHOWN, "guest memory's seals", "shrink grow",
		    "only root may ask for them, from Linux 4.3 on");
	else
		say(p, held((f->seals & SEALS_PROMISED) == SEALS_PROMISED), "guest memory's seals", "shrink grow",
		    "0x%x%s%s%s", (unsigned)f->seals, f->seals & 2 ? " shrink" : "", f->seals & 4 ? " grow" : "",
		    f->seals & 1 ? " seal" : "");
}

static void check_memory(struct audit_process *p)
{
	const struct facts *f = &p->f;

	if (!f->have_maps) {
		say(p, NOT_SHOWN, "mappings", "none writable and executable", "only root may see them");
		return;
	}
	if (p->part == PART_QEMU) {
		say(p, AS_PROMISED, "writable and executable", "(its JIT writes code)", "%u mappings", f->write_exec);
	} else {
		say(p, held(!f->write_exec), "writable and executable", "no mapping", "%u mappings", f->write_exec);
		say(p, held(!f->odd_exec), "code outside its program", "no mapping", "%u mappings%s%s", f->odd_exec,
		    f->odd_exec ? ": " : "", f->odd_exec_what);
	}
	check_guest_memory(p);
	if (f->have_smaps && f->sealed_maps)
		say(p, AS_PROMISED, "sealed mappings (mseal)", "where the kernel has it", "%u", f->sealed_maps);
}

static void check_program_file(struct audit_process *p)
{
	static const char *const text[] = { "not to be seen", "static PIE", "PIE", "fixed address" };
	bool fixed = p->part == PART_SUPERVISOR || p->part == PART_QEMU || !STATIC_ROLES;

	if (p->f.link == LINK_UNKNOWN)
		say(p, NOT_SHOWN, "linked as", fixed ? "PIE" : "static PIE", "only root may see it");
	else
		say(p, held(p->f.link == LINK_STATIC_PIE || (fixed && p->f.link == LINK_PIE)), "linked as",
		    fixed ? "PIE" : "static PIE", "%s", text[p->f.link]);
	if (p->part == PART_QEMU) /* execution of a program that others may read sets it again */
		say(p, AS_PROMISED, "dumpable", "(no promise for QEMU)", "%d", p->f.dumpable);
	else if (p->f.dumpable < 0)
		say(p, NOT_SHOWN, "dumpable", "0", "not to be told for root's processes");
	else
		say(p, held(!p->f.dumpable), "dumpable", "0", "%d", p->f.dumpable);
}

static void judge_process(const struct audit_guest *g, struct audit_process *p)
{
	if (p->part == PART_STRANGER) {
		say(p, WEAKER, "process", "none but the guest's own", "%s", p->f.name);
		return;
	}
	check_program(g, p);
	check_user(g, p);
	check_capabilities(g, p);
	check_filters(g, p);
	check_tracer(g, p);
	if (p->part != PART_SUPERVISOR) {
		check_namespaces(g, p);
		check_root(p);
	}
	check_descriptors(p);
	if (p->f.have_limits)
		check_limits(p);
	check_memory(p);
	check_program_file(p);
	if (p->part == PART_SPAWNER)
		return;
	say(p, NOT_SHOWN, "Landlock", "deny-all",
	    "no kernel shows it from outside; a role without it says so at the start");
	if (p->part != PART_QEMU)
		say(p, NOT_SHOWN, "memory-deny-write-execute", "on",
		    "no kernel shows it from outside; a role without it says so at the start");
}

static void guest_says(struct audit_guest *g, bool good, const char *what, unsigned promised, unsigned is)
{
	struct check *c;

	if (g->nchecks == ARRAY_SIZE(g->check))
		return;
	c = &g->check[g->nchecks++];
	c->what = what;
	c->verdict = held(good);
	snprintf(c->promised, sizeof(c->promised), "%u", promised);
	snprintf(c->is, sizeof(c->is), "%u", is);
}

static unsigned count_part(const struct audit_guest *g, enum part part)
{
	unsigned n = 0;

	for (unsigned i = 0; i < g->n; i++)
		n += g->process[i].part == part;
	return n;
}

/* All that have guest memory have the same one. */
static void one_memory(struct audit_guest *g)
{
	unsigned other = 0;
	uint64_t ino = 0;

	for (unsigned i = 0; i < g->n; i++) {
		const struct facts *f = &g->process[i].f;

		if (!f->guest_maps)
			continue;
		other += ino && f->guest_ino != ino;
		ino = ino ? ino : f->guest_ino;
	}
	guest_says(g, !other, "processes with another guest's memory", 0, other);
}

void audit_judge(struct audit_guest *g)
{
	unsigned blkd = count_part(g, PART_BLKD), netd = count_part(g, PART_NETD);
	unsigned vcpu = count_part(g, PART_VCPU) + count_part(g, PART_QEMU);

	for (unsigned i = 0; i < g->n; i++)
		judge_process(g, &g->process[i]);
	if (g->configured) {
		guest_says(g, blkd <= g->disks, "disk processes", g->disks, blkd);
		guest_says(g, netd <= g->nics, "NIC processes", g->nics, netd);
	}
	guest_says(g, vcpu <= 1, "vCPU processes", 1, vcpu);
	guest_says(g, !count_part(g, PART_STRANGER), "strange processes", 0, count_part(g, PART_STRANGER));
	one_memory(g);
}
