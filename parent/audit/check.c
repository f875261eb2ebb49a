/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Checks what this build promises about each process of a guest (SECURITY.md, "The
 * layers"). Runs in lguest-sep audit. A promise that this user cannot check is reported
 * as such, and counts neither as kept nor as broken.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/fdtab.h"
#include "common/sandbox.h"
#include "parent/audit/audit.h"
#include "parent/audit/check.h"
#include "parent/audit/fds.h"
#include "parent/audit/label.h"
#include "parent/audit/maps.h"
#include "parent/options/config.h"

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

/* linux/fcntl.h, which defines F_SEAL_*, cannot be included together with fcntl.h. */
#define SEALS_PROMISED 0x6 /* F_SEAL_SHRINK | F_SEAL_GROW */

static struct check *next_check(struct audit_process *p)
{
	return p->nchecks < ARRAY_SIZE(p->check) ? &p->check[p->nchecks++] : &p->check[ARRAY_SIZE(p->check) - 1];
}

static void add_check(struct audit_process *p, enum verdict v, const char *what, const char *promised, const char *fmt,
		      ...) PRINTF_LIKE(5, 6);
static void add_check(struct audit_process *p, enum verdict v, const char *what, const char *promised, const char *fmt,
		      ...)
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

static enum verdict verdict_of(bool yes)
{
	return yes ? AS_PROMISED : WEAKER;
}

static bool is_role(enum part part)
{
	return part == PART_VCPU || part == PART_QEMU || part == PART_NETD || part == PART_BLKD ||
	       part == PART_CONTROLD || part == PART_FSD;
}

static bool alike(const uint32_t id[4])
{
	return id[0] == id[1] && id[0] == id[2] && id[0] == id[3];
}

/* True if an ordinary user started the guest: its roles are then in user namespaces of their own. */
static bool unprivileged(const struct audit_guest *g)
{
	const struct facts *s = &g->process[0].f;

	for (unsigned i = 1; i < g->n; i++)
		if (g->process[i].f.ns[NS_USER][0] && s->ns[NS_USER][0])
			return strcmp(g->process[i].f.ns[NS_USER], s->ns[NS_USER]) != 0;
	return s->cap[CAP_BND] != 0;
}

static void check_program(const struct audit_guest *g, struct audit_process *p)
{
	const char *name = strrchr(p->f.exe, '/');
	const char *want = audit_program(g, p->part);
	size_t len = strlen(want);

	if (!p->f.exe[0])
		add_check(p, NOT_SHOWN, "program", want, "only root may see it");
	else if (audit_runs(g, p, want))
		add_check(p, AS_PROMISED, "program", want, "%s", p->f.exe);
	else /* The kernel appends " (deleted)" if the program was replaced by a newer build. */
		add_check(p,
			  verdict_of(name && !strncmp(name + 1, want, len) &&
				     (!name[1 + len] || strchr(" .", name[1 + len]))),
			  "program", want, "%s", p->f.exe);
}

static void check_user(const struct audit_guest *g, struct audit_process *p)
{
	const struct facts *f = &p->f;
	bool known = g->asked_uid && p->part == PART_SUPERVISOR;
	char want[64] = "not root";

	if (known)
		snprintf(want, sizeof(want), "%u", g->uid);
	add_check(p, verdict_of(alike(f->uid) && f->uid[0] && (!known || f->uid[0] == g->uid)), "user id", want,
		  "%u %u %u %u", f->uid[0], f->uid[1], f->uid[2], f->uid[3]);
	add_check(p, verdict_of(alike(f->gid) && f->gid[0]), "group id", "not root", "%u %u %u %u", f->gid[0],
		  f->gid[1], f->gid[2], f->gid[3]);
	if (unprivileged(g))
		add_check(p, AS_PROMISED, "supplementary groups", "the user's own", "%u", f->groups);
	else
		add_check(p, verdict_of(!f->groups), "supplementary groups", "none", "%u", f->groups);
}

static void check_capabilities(const struct audit_guest *g, struct audit_process *p)
{
	static const char *const what[CAP_SETS] = { "inheritable capabilities", "permitted capabilities",
						    "effective capabilities", "bounding set", "ambient capabilities" };
	/* An ordinary user may not shrink the bounding set, nor passt; no_new_privs makes it meaningless. */
	bool bounded = p->part != PART_PASST && !(p->part == PART_SUPERVISOR && unprivileged(g));

	for (unsigned i = 0; i < CAP_SETS; i++) {
		bool any = i == CAP_BND && !bounded;

		add_check(p, verdict_of(any || !p->f.cap[i]), what[i], any ? "(started by a user)" : "none", "%llx",
			  (unsigned long long)p->f.cap[i]);
	}
}

/* Seccomp filters add up: each role has those of its spawner, and at least one of its own. */
static void check_filters(const struct audit_guest *g, struct audit_process *p)
{
	const struct facts *f = &p->f, *s = &g->process[0].f;
	int want = p->part == PART_SUPERVISOR || s->filters < 0 ? 1 : s->filters;
	char text[32];

	if (f->no_new_privs < 0)
		add_check(p, NOT_SHOWN, "no_new_privs", "1", "this kernel does not show it");
	else
		add_check(p, verdict_of(f->no_new_privs == 1), "no_new_privs", "1", "%d", f->no_new_privs);
	add_check(p, verdict_of(f->seccomp == 2), "seccomp mode", "2 (filter)", "%d", f->seccomp);
	if (is_role(p->part))
		want++;
	snprintf(text, sizeof(text), "%d or more", want);
	if (f->filters < 0)
		add_check(p, NOT_SHOWN, "seccomp filters", text, "this kernel does not count them");
	else
		add_check(p, verdict_of(f->filters >= want), "seccomp filters", text, "%d", f->filters);
}

static void check_label(const struct audit_guest *g, struct audit_process *p)
{
	char want[64];

	if (audit_label(g, p, want, sizeof(want)))
		add_check(p, verdict_of(!strcmp(p->f.label, want)), "AppArmor profile", want, "%s", p->f.label);
}

static void check_tracer(const struct audit_guest *g, struct audit_process *p)
{
	pid_t want = is_role(p->part) || p->part == PART_PASST ? p->f.ppid : 0;
	char text[48] = "nobody";

	(void)g;
	if (want)
		snprintf(text, sizeof(text), "nobody, or its spawner %d", (int)want);
	add_check(p, verdict_of(!p->f.tracer || p->f.tracer == want), "traced by", text, "%d", (int)p->f.tracer);
}

/* True if @p shares its namespace of kind @k with a process other than its own spawner or role. */
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
	bool network = audit_has_network(g, p);
	char own[64] = "", shared[64] = "", absent[64] = "";
	unsigned last = unprivileged(g) ? NS_USER : NS_CGROUP;
	size_t n = 0, m = 0, a = 0;

	if (!p->f.ns[NS_MNT][0]) {
		add_check(p, NOT_SHOWN, "own namespaces", "mnt pid net ipc uts cgroup", "only root may see them");
		return;
	}
	for (unsigned k = 0; k <= last; k++)
		if (k == NS_NET && network)
			continue;
		else if (!p->f.ns[k][0])
			a += (size_t)snprintf(absent + a, sizeof(absent) - a, " %s", ns_text((enum ns_kind)k));
		else if (shares(g, p, (enum ns_kind)k))
			m += (size_t)snprintf(shared + m, sizeof(shared) - m, " %s", ns_text((enum ns_kind)k));
		else
			n += (size_t)snprintf(own + n, sizeof(own) - n, "%s%s", n ? " " : "", ns_text((enum ns_kind)k));
	add_check(p,
		  m   ? WEAKER
		  : a ? NOT_SHOWN
		      : AS_PROMISED,
		  "own namespaces",
		  network	    ? "mnt pid ipc uts cgroup; the host's net"
		  : last == NS_USER ? "mnt pid net ipc uts cgroup user"
				    : "mnt pid net ipc uts cgroup",
		  "%s%s%s%s%s", own, m ? "; shared:" : "", shared, a ? "; not in this kernel:" : "", absent);
}

static void check_root(struct audit_process *p)
{
	const struct facts *f = &p->f;

	if (!f->have_root)
		add_check(p, NOT_SHOWN, "root directory", "empty, read-only", "only root may see it");
	else if (p->part == PART_QEMU || (p->part == PART_SPAWNER && f->root_entries))
		add_check(p, verdict_of(f->root_read_only && !f->writable_mounts && !strcmp(f->root_type, "tmpfs")),
			  "root directory", "QEMU's files, all read-only", "%u entries on %s, %u mounts writable",
			  f->root_entries, f->root_type, f->writable_mounts);
	else
		add_check(p, verdict_of(f->root_read_only && !f->root_entries && !f->writable_mounts), "root directory",
			  "empty, read-only", "%s%s on %s, %u mounts writable", f->root_entries ? "not empty" : "empty",
			  f->root_read_only ? ", read-only" : "", f->root_type, f->writable_mounts);
}

static void check_descriptors(const struct audit_guest *g, struct audit_process *p)
{
	struct facts *f = &p->f;
	unsigned wrong = 0;

	if (!f->have_fds) {
		add_check(p, NOT_SHOWN, "descriptors", "those of its table", "only root may see them");
		return;
	}
	audit_judge_fds(g, p->part, f);
	for (unsigned i = 0; i < f->nfds; i++) {
		const struct audit_fd *d = &f->fd[i];

		if (!d->wrong)
			continue;
		if (++wrong <= 8)
			add_check(p, WEAKER, "descriptor", "those of its table", "number %u is a %s (%.80s): %s",
				  d->number, fd_kind_text(d->kind), d->target, d->wrong);
	}
	add_check(p, verdict_of(!wrong), "descriptors", "those of its table", "%u, %u of them wrong", f->nfds, wrong);
}

static const char *amount(uint64_t v, char buf[24])
{
	if (v == LIM_INFINITY)
		return "unlimited";
	snprintf(buf, 24, "%llu", (unsigned long long)v);
	return buf;
}

/* Check that both the soft and the hard limit are at most @most. */
static void check_limit(struct audit_process *p, enum limit_kind k, const char *what, uint64_t most)
{
	char promised[24], soft[24], hard[24];
	const struct facts *f = &p->f;

	add_check(p, verdict_of(f->limit[k].soft <= most && f->limit[k].hard <= most), what, amount(most, promised),
		  "%s, %s", amount(f->limit[k].soft, soft), amount(f->limit[k].hard, hard));
}

/*
 * Both limits are to be 1: with 0 the kernel would still dump into a pipe of core_pattern. An ordinary user cannot
 * raise a hard limit that was 0 at the start; that is accepted for processes that are not dumpable.
 */
static void check_core(struct audit_process *p)
{
	const struct facts *f = &p->f;
	uint64_t soft = f->limit[LIM_CORE].soft, hard = f->limit[LIM_CORE].hard;
	bool none = soft == CORE_LIMIT_NONE && hard == CORE_LIMIT_NONE;
	char text[2][24];

	if (soft == 0 && hard == 0)
		none = p->part != PART_QEMU;
	add_check(p, verdict_of(none), "core limit", "1", "%s, %s", amount(soft, text[0]), amount(hard, text[1]));
}

static void check_limits(const struct audit_guest *g, struct audit_process *p)
{
	bool control = p->part == PART_CONTROLD, helper = p->part != PART_VCPU && p->part != PART_QEMU;
	uint64_t table = control ? CFD_LIMIT : p->part == PART_FSD ? FSD_FD_LIMIT : helper ? HFD_LIMIT : VFD_LIMIT;

	if (p->part == PART_SUPERVISOR)
		return;
	check_core(p);
	if (!is_role(p->part)) {
		check_limit(p, LIM_NOFILE, "descriptor limit", audit_starts_fsd(g, p) ? FSD_FD_LIMIT : 2 * VFD_LIMIT);
		return;
	}
	check_limit(p, LIM_NOFILE, "descriptor limit", table);
	if (helper)
		check_limit(p, LIM_NPROC, "process limit", 0);
	/* The file size limit does not apply to a block device, which cannot grow. */
	if ((helper && audit_has_output(&p->f)) || (p->part == PART_VCPU && audit_has_save(&p->f)) ||
	    (p->part == PART_FSD && audit_is_writable_share(g, &p->f)))
		check_limit(p, LIM_FSIZE, "file size limit", LIM_INFINITY - 1);
	else if (p->part != PART_BLKD)
		check_limit(p, LIM_FSIZE, "file size limit",
			    p->part != PART_VCPU      ? 0
			    : audit_has_lguest(&p->f) ? 4096
						      : g->from_bytes);
	else if (p->f.disk_size || !p->f.disk_block)
		check_limit(p, LIM_FSIZE, "file size limit", p->f.have_fds ? p->f.disk_size : LIM_INFINITY - 1);
	if (BOUNDED_SPACE && p->part != PART_QEMU)
		check_limit(p, LIM_AS, "address space limit", LIM_INFINITY - 1);
}

static void check_guest_memory(struct audit_process *p)
{
	const struct facts *f = &p->f;

	if (!is_role(p->part)) {
		add_check(p, verdict_of(!f->guest_maps), "guest memory", "not mapped", "%smapped",
			  f->guest_maps ? "" : "not ");
		return;
	}
	if (!f->guest_maps) {
		add_check(p, AS_PROMISED, "guest memory", "sealed, no execution, no dump", "not mapped yet");
		return;
	}
	add_check(p, verdict_of(!f->guest_exec), "guest memory's access", "not executable",
		  "%u mappings, %u executable", f->guest_maps, f->guest_exec);
	if (f->have_smaps)
		add_check(p, verdict_of(!f->guest_dumped), "guest memory in dumps", "left out", "%s",
			  f->guest_dumped ? "not left out" : "left out");
	if (f->seals < 0)
		add_check(p, NOT_SHOWN, "guest memory's seals", "shrink grow",
			  "only root may ask for them, from Linux 4.3 on");
	else
		add_check(p, verdict_of((f->seals & SEALS_PROMISED) == SEALS_PROMISED), "guest memory's seals",
			  "shrink grow", "0x%x%s%s%s", (unsigned)f->seals, f->seals & 2 ? " shrink" : "",
			  f->seals & 4 ? " grow" : "", f->seals & 1 ? " seal" : "");
}

static void check_memory(struct audit_process *p)
{
	const struct facts *f = &p->f;

	if (!f->have_maps) {
		add_check(p, NOT_SHOWN, "mappings", "none writable and executable", "only root may see them");
		return;
	}
	if (p->part == PART_QEMU) {
		add_check(p, AS_PROMISED, "writable and executable", "(its JIT writes code)", "%u mappings",
			  f->write_exec);
	} else {
		add_check(p, verdict_of(!f->write_exec), "writable and executable", "no mapping", "%u mappings",
			  f->write_exec);
		add_check(p, verdict_of(!f->odd_exec), "code outside its program", "no mapping", "%u mappings%s%s",
			  f->odd_exec, f->odd_exec ? ": " : "", f->odd_exec_what);
	}
	check_guest_memory(p);
	if (f->have_smaps && f->sealed_maps)
		add_check(p, AS_PROMISED, "sealed mappings (mseal)", "where the kernel has it", "%u", f->sealed_maps);
}

static void check_program_file(struct audit_process *p)
{
	static const char *const text[] = { "not to be seen", "static PIE", "PIE", "fixed address" };
	bool fixed = p->part == PART_SUPERVISOR || p->part == PART_QEMU || !STATIC_ROLES || p->part == PART_PASST;

	if (p->f.link == LINK_UNKNOWN)
		add_check(p, NOT_SHOWN, "linked as", fixed ? "PIE" : "static PIE", "only root may see it");
	else
		add_check(p, verdict_of(p->f.link == LINK_STATIC_PIE || (fixed && p->f.link == LINK_PIE)), "linked as",
			  fixed ? "PIE" : "static PIE", "%s", text[p->f.link]);
	if (p->part == PART_QEMU) /* execve() of a world-readable program makes the process dumpable again. */
		add_check(p, AS_PROMISED, "dumpable", "(no promise for QEMU)", "%d", p->f.dumpable);
	else if (p->f.dumpable < 0)
		add_check(p, NOT_SHOWN, "dumpable", "0", "not to be told for root's processes");
	else
		add_check(p, verdict_of(!p->f.dumpable), "dumpable", "0", "%d", p->f.dumpable);
}

static void check_process(const struct audit_guest *g, struct audit_process *p)
{
	if (p->part == PART_STRANGER) {
		add_check(p, WEAKER, "process", "none but the guest's own", "%s", p->f.name);
		return;
	}
	check_program(g, p);
	check_user(g, p);
	check_capabilities(g, p);
	check_filters(g, p);
	check_label(g, p);
	check_tracer(g, p);
	if (p->part != PART_SUPERVISOR) {
		check_namespaces(g, p);
		check_root(p);
	}
	check_descriptors(g, p);
	if (p->f.have_limits)
		check_limits(g, p);
	check_memory(p);
	check_program_file(p);
	if (p->part == PART_SPAWNER)
		return;
	add_check(p, NOT_SHOWN, "Landlock", "deny-all",
		  "no kernel shows it from outside; a role without it says so at the start");
	if (p->part != PART_QEMU)
		add_check(p, NOT_SHOWN, "memory-deny-write-execute", "on",
			  "no kernel shows it from outside; a role without it says so at the start");
}

void audit_guest_check(struct audit_guest *g, enum verdict v, const char *what, const char *promised, const char *fmt,
		       ...)
{
	struct check *c;
	va_list ap;

	if (g->nchecks == ARRAY_SIZE(g->check))
		return;
	c = &g->check[g->nchecks++];
	c->what = what;
	c->verdict = v;
	snprintf(c->promised, sizeof(c->promised), "%s", promised);
	va_start(ap, fmt);
	vsnprintf(c->is, sizeof(c->is), fmt, ap);
	va_end(ap);
}

static void guest_check(struct audit_guest *g, bool good, const char *what, unsigned promised, unsigned is)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", promised);
	audit_guest_check(g, verdict_of(good), what, text, "%u", is);
}

static unsigned count_part(const struct audit_guest *g, enum part part)
{
	unsigned n = 0;

	for (unsigned i = 0; i < g->n; i++)
		n += g->process[i].part == part;
	return n;
}

/* Check that all processes of the guest map the same guest memory. */
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
	guest_check(g, !other, "processes with another guest's memory", 0, other);
}

void audit_judge(struct audit_guest *g)
{
	unsigned blkd = count_part(g, PART_BLKD), netd = count_part(g, PART_NETD), fsd = count_part(g, PART_FSD);
	unsigned vcpu = count_part(g, PART_VCPU) + count_part(g, PART_QEMU);

	for (unsigned i = 0; i < g->n; i++)
		check_process(g, &g->process[i]);
	if (g->configured) {
		guest_check(g, blkd <= g->disks, "disk processes", g->disks, blkd);
		guest_check(g, netd <= g->nics, "NIC processes", g->nics, netd);
		guest_check(g, fsd <= g->shares, "share processes", g->shares, fsd);
		guest_check(g, count_part(g, PART_CONTROLD) <= g->controls, "control processes", g->controls,
			    count_part(g, PART_CONTROLD));
	}
	guest_check(g, vcpu <= 1, "vCPU processes", 1, vcpu);
	guest_check(g, !count_part(g, PART_STRANGER), "strange processes", 0, count_part(g, PART_STRANGER));
	one_memory(g);
}
