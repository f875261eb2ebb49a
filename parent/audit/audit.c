/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lguest-sep audit [NAME|PID] [--json]: finds the guests that run on this host and
 * compares each of their processes with what this build promises. It starts no guest,
 * and sends nothing to the processes that it examines.
 */
#include <ctype.h>
#include <dirent.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/fmt.h"
#include "parent/audit/audit.h"
#include "parent/audit/check.h"
#include "parent/audit/network.h"
#include "parent/audit/print.h"
#include "parent/options/options.h"
#include "parent/options/util.h"
#include "parent/terminal/console.h"

#define MAX_GUESTS 256
/* Most processes of a guest: the supervisor, and a spawner, a role and one stranger for each possible device. */
#define MAX_PROCESSES 160
#define MAX_WORDS     4096

struct entry {
	pid_t pid, ppid;
	uint64_t born;
	char name[64];
};

static struct entry *all;
static unsigned nall;

/* Memory in which the child that reads /proc shows its progress to the parent. */
struct progress {
	pid_t pid; /* The process whose files are being read; 0: none yet. */
	bool read; /* All processes have been read. */
};
static struct progress *progress;

/* How long reading the files of one process may take. */
#define READ_MS 20000

static int by_age(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->born != y->born)
		return x->born < y->born ? -1 : 1;
	return x->pid < y->pid ? -1 : x->pid > y->pid;
}

/* List all processes of the host in all[]. Returns 0, or -1 with errno set. */
static int list_processes(void)
{
	DIR *dir = opendir("/proc");
	struct dirent *d;
	unsigned room = 0;

	if (!dir)
		return -1;
	while ((d = readdir(dir))) {
		struct entry *e;

		if (!isdigit((unsigned char)*d->d_name))
			continue;
		if (nall == room) {
			room = room ? 2 * room : 256;
			e = realloc(all, room * sizeof(*e));
			if (!e) {
				closedir(dir);
				return -1;
			}
			all = e;
		}
		e = &all[nall];
		e->pid = progress->pid = (pid_t)strtol(d->d_name, NULL, 10);
		nall += facts_brief(e->pid, &e->ppid, &e->born, e->name, sizeof(e->name));
	}
	closedir(dir);
	qsort(all, nall, sizeof(*all), by_age);
	return 0;
}

static bool is_spawner(const struct entry *e)
{
	return !strcmp(e->name, "lguest-sep-init");
}

/*
 * True if @pid runs a program of ours. Any user can give any program the name lguest-sep, so look at the link
 * /proc/PID/exe. True also if we may not read that link.
 */
static bool runs_lguest_sep(pid_t pid)
{
	static const char ours[] = "/lguest-sep";
	char path[64], exe[PATH_MAX];
	size_t len = sizeof(ours) - 1;
	const char *name;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
	n = readlink(path, exe, sizeof(exe) - 1);
	if (n < 0)
		return true;
	exe[n] = '\0';
	name = strrchr(exe, '/');
	/* The kernel appends " (deleted)" if the program was replaced by a newer build. */
	return name && !strncmp(name, ours, len) && (!name[len] || name[len] == ' ');
}

/* True if @which is the number of the process @pid. */
static bool is_pid(const char *which, pid_t pid)
{
	uint64_t n;

	return which && parse_number(which, 1, INT32_MAX, &n) && pid == (pid_t)n;
}

/* True if @e is a supervisor to examine. @which: the guest that the user asks for; a process ID always counts. */
static bool is_supervisor(const struct entry *e, const char *which)
{
	if (strcmp(e->name, "lguest-sep") != 0 || (!is_pid(which, e->pid) && !runs_lguest_sep(e->pid)))
		return false;
	for (unsigned i = 0; i < nall; i++)
		if (all[i].ppid == e->pid && is_spawner(&all[i]))
			return true;
	return false;
}

/*
 * Parse the supervisor's command line as the supervisor did, to learn how the guest was configured. The result is
 * valid until the next call; NULL if the command line cannot be parsed.
 */
static const struct config *read_config(struct audit_guest *g)
{
	static char text[1 << 20];
	static struct config c;
	static char *argv[MAX_WORDS + 1];
	size_t len = facts_cmdline(g->pid, text, sizeof(text)), n;
	char dir[32];
	const char *base;
	int argc = 0;

	for (size_t i = 0; i < len && argc < MAX_WORDS; i += n + 1) {
		n = strlen(text + i);
		argv[argc++] = text + i;
	}
	argv[argc] = NULL;
	snprintf(g->name, sizeof(g->name), "?");
	snprintf(dir, sizeof(dir), "/proc/%d/cwd", (int)g->pid);
	if (argc < 3 || !options_peek(argc, argv, dir, &c))
		return NULL;
	base = strrchr(c.kernel, '/');
	snprintf(g->name, sizeof(g->name), "%.60s", c.name ? c.name : base ? base + 1 : c.kernel);
	make_printable(g->name, strlen(g->name));
	g->configured = true;
	g->no_kernel = c.no_kernel;
	g->saves = c.save;
	g->starts_saved = c.from;
	g->fresh = c.fresh;
	g->asked_uid = c.drop;
	g->uid = c.uid;
	g->controls = c.control;
	g->machine = c.machine;
	g->from_bytes = c.from ? c.mem_bytes : 0;
	for (unsigned i = 0; i < c.ndisks; i++) {
		g->disks += !c.disk[i].vhost_user;
		g->snapshots += !c.disk[i].vhost_user && c.disk[i].snapshot;
	}
	for (unsigned i = 0; i < c.nshares; i++)
		g->shares += !c.share[i].vhost_user;
	for (unsigned i = 0; i < c.nnets; i++)
		g->nics += c.net[i].kind != NET_VHOST_USER;
	return &c;
}

static enum part part_of(const char *name)
{
	static const struct {
		const char *name;
		enum part part;
	} known[] = {
		{ "lguest-sep-init", PART_SPAWNER },
		{ "lguest-sep-vcpu", PART_VCPU },
		{ "lguest-sep-netd", PART_NETD },
		{ "lguest-sep-blkd", PART_BLKD },
		{ "passt", PART_PASST },
		{ "passt.avx2", PART_PASST },
		{ "lguest-sep-controld", PART_CONTROLD },
		{ "lguest-sep-fsd", PART_FSD },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(known); i++)
		if (!strcmp(name, known[i].name))
			return known[i].part;
	return machine_is_program(name) ? PART_QEMU : PART_STRANGER;
}

/*
 * True for a child of the supervisor that the supervisor did not start: a background job of the shell that was
 * replaced by lguest-sep (exec lguest-sep). A process that the supervisor starts inherits its seccomp filters, or, if
 * started before the filters were installed, still runs the supervisor's program.
 */
static bool is_older(const struct audit_guest *g, const struct facts *f)
{
	const struct facts *s = &g->process[0].f;

	if (f->ppid != g->pid || (f->exe[0] && !strcmp(f->exe, s->exe)))
		return false;
	return f->seccomp == 0 || f->filters < s->filters;
}

/*
 * True for a child of the supervisor in seccomp's strict mode: it can read and write what the supervisor has open, and
 * end, and nothing else (parent/setup/keeper.h). No program is allowed to leave that mode.
 */
static bool is_keeper(const struct audit_guest *g, const struct facts *f)
{
	return f->ppid == g->pid && f->seccomp == 1;
}

/*
 * True for the process that removes the guest's cgroup (parent/setup/cleaner.h), and for those that read and write
 * files of file servers (parent/terminal/copier.h): they run our program behind a seccomp filter of their own, without
 * capabilities. Only root can empty a bounding set; an ordinary user's must not be larger than the supervisor's, which
 * is checked itself. The supervisor cannot start such a process behind its filter.
 */
static bool is_own_child(const struct audit_guest *g, const struct facts *f)
{
	const struct facts *s = &g->process[0].f;

	if (f->ppid != g->pid || !f->exe[0] || strcmp(f->exe, s->exe) != 0)
		return false;
	return f->seccomp == 2 && f->no_new_privs == 1 && f->threads == 1 && !f->cap[CAP_PRM] && !f->cap[CAP_EFF] &&
	       !(f->cap[CAP_BND] & ~s->cap[CAP_BND]);
}

static struct audit_process *add_process(struct audit_guest *g, const struct entry *e, enum part part)
{
	struct audit_process *p;

	if (g->n == MAX_PROCESSES)
		return NULL;
	p = &g->process[g->n];
	p->part = part;
	progress->pid = e->pid;
	if (!facts_read(&p->f, e->pid)) {
		facts_free(&p->f);
		return NULL; /* It ended in the meantime. */
	}
	if (part == PART_STRANGER && (is_older(g, &p->f) || is_keeper(g, &p->f) || is_own_child(g, &p->f))) {
		facts_free(&p->f);
		memset(p, 0, sizeof(*p));
		return NULL;
	}
	g->n++;
	return p;
}

/* How many processes of each kind were named. */
struct named {
	unsigned blk, net, fs;
};

static void name_role(struct audit_process *p, struct named *n)
{
	switch (p->part) {
	case PART_BLKD:
		snprintf(p->name, sizeof(p->name), "blk%u", n->blk++);
		break;
	case PART_NETD:
		snprintf(p->name, sizeof(p->name), "net%u", n->net++);
		break;
	case PART_FSD:
		snprintf(p->name, sizeof(p->name), "fs%u", n->fs++);
		break;
	case PART_CONTROLD:
		snprintf(p->name, sizeof(p->name), "control");
		break;
	case PART_VCPU:
	case PART_QEMU:
		snprintf(p->name, sizeof(p->name), p->part == PART_QEMU ? "vcpu (QEMU)" : "vcpu");
		break;
	default:
		snprintf(p->name, sizeof(p->name), "%.20s", p->f.name);
		break;
	}
}

/* True if a process of kind @part may be a child of @above: a supervisor has spawners, a spawner has one role. */
static bool may_have(enum part above, enum part part)
{
	if (above == PART_SUPERVISOR)
		return part == PART_SPAWNER;
	return above == PART_SPAWNER && part != PART_SPAWNER;
}

/* Add all descendants of @above, oldest first. */
static void add_family(struct audit_guest *g, struct audit_process *above, struct named *n)
{
	for (unsigned i = 0; i < nall; i++) {
		enum part part = part_of(all[i].name);
		struct audit_process *p;

		if (all[i].ppid != above->f.pid)
			continue;
		/* The shell that lguest-sep replaced may have started another guest, which is examined separately. */
		if (above->part == PART_SUPERVISOR && is_supervisor(&all[i], NULL))
			continue;
		p = add_process(g, &all[i], may_have(above->part, part) ? part : PART_STRANGER);
		if (!p)
			continue;
		name_role(p, n);
		if (above->part == PART_SPAWNER && p->part != PART_STRANGER)
			snprintf(above->name, sizeof(above->name), "%.11s's spawner",
				 !strncmp(p->name, "vcpu", 4) ? "vcpu" : p->name);
		add_family(g, p, n);
	}
}

/* Examine the guest of supervisor @e. Returns 0, or -1 if there is no memory. */
static int read_guest(struct audit_guest *g, const struct entry *e)
{
	struct named n = { 0 };
	const struct config *c;
	struct audit_process *s;

	memset(g, 0, sizeof(*g));
	g->pid = e->pid;
	g->process = calloc(MAX_PROCESSES, sizeof(*g->process));
	if (!g->process)
		return -1;
	c = read_config(g);
	s = add_process(g, e, PART_SUPERVISOR);
	if (!s)
		return 0;
	snprintf(s->name, sizeof(s->name), "supervisor");
	add_family(g, s, &n);
	audit_judge(g);
	if (c)
		audit_network(g, c);
	return 0;
}

static bool is_wanted(const struct audit_guest *g, const char *which)
{
	return !which || !strcmp(g->name, which) || is_pid(which, g->pid);
}

static void free_guest(struct audit_guest *g)
{
	for (unsigned i = 0; i < g->n; i++)
		facts_free(&g->process[i].f);
	free(g->process);
}

static int audit_usage(void)
{
	puts("Usage: lguest-sep audit [NAME|PID] [--json]\n"
	     "\n"
	     "Compares each process of a running guest (of all guests, if none is named) with\n"
	     "what this build promises: user, capabilities, filters, namespaces, root directory,\n"
	     "descriptors, limits, memory. NAME is the guest's --name, or else the file name of\n"
	     "its kernel; PID is its supervisor's process ID. Root can check everything; other\n"
	     "users only what /proc shows them.\n"
	     "\n"
	     "Exit status: 0 everything is as promised, 1 the guest could not be examined,\n"
	     "2 usage, 3 something is weaker than promised (the last lines name it).");
	return EXIT_POWEROFF;
}

/* Parse the command line. Returns -1 to continue, or the exit status. */
static int parse_words(int argc, char **argv, const char **which, bool *json)
{
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--json"))
			*json = true;
		else if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
			return audit_usage();
		else if (argv[i][0] == '-')
			return complain(EXIT_USAGE, "audit: %s: there is no such option; the only one is --json",
					argv[i]);
		else if (*which)
			return complain(EXIT_USAGE, "audit: give one guest, or none to examine all of them");
		else
			*which = argv[i];
	}
	return -1;
}

/* Run the audit. Returns the exit status, 0 to 3. */
static int audit_all(const char *which, bool json)
{
	static struct audit_guest guest[MAX_GUESTS];
	unsigned n = 0, weaker = 0;

	if (list_processes() < 0)
		return complain(EXIT_HOST, "audit: cannot read /proc: %m");
	for (unsigned i = 0; i < nall && n < MAX_GUESTS; i++) {
		if (!is_supervisor(&all[i], which))
			continue;
		if (read_guest(&guest[n], &all[i]) < 0)
			return complain(EXIT_HOST, "audit: out of memory");
		if (guest[n].n && is_wanted(&guest[n], which))
			weaker += audit_count(&guest[n++], WEAKER);
		else
			free_guest(&guest[n]);
	}
	if (which && !n)
		return complain(EXIT_HOST, "audit: no guest %s runs on this host", which);
	progress->read = true;
	if (json)
		audit_print_json(guest, n);
	else
		audit_print_text(guest, n);
	for (unsigned i = 0; i < n; i++)
		free_guest(&guest[i]);
	free(all);
	if (fflush(stdout) != 0)
		return complain(EXIT_HOST, "audit: cannot write to standard output: %m");
	return weaker ? 3 : 0;
}

/*
 * Some links below /proc lead to files on a file system whose server may be dead (FUSE,
 * NFS), and reading one then blocks in the kernel for ever. So a child process reads
 * /proc, and this process waits for it with a time limit.
 */
static int wait_for_reader(pid_t child)
{
	static const struct timespec nap = { .tv_nsec = 20000000 };
	uint64_t since = now_ms();
	pid_t last = 0, got = 0;
	int status;

	while ((got = waitpid(child, &status, progress->read ? 0 : WNOHANG)) == 0) {
		if (progress->pid != last)
			since = now_ms();
		last = progress->pid;
		if (now_ms() - since > READ_MS) {
			kill(child, SIGKILL);
			return complain(
				EXIT_HOST,
				"audit: cannot read the files of process %d: no answer within %u s (does it use a file system whose server is dead?)",
				(int)last, READ_MS / 1000);
		}
		nanosleep(&nap, NULL);
	}
	return got == child && WIFEXITED(status)
		       ? WEXITSTATUS(status)
		       : complain(EXIT_HOST, "audit: its child process, which reads /proc, was killed");
}

int audit_main(int argc, char **argv)
{
	const char *which = NULL;
	bool json = false;
	int status = parse_words(argc, argv, &which, &json);
	pid_t child;

	if (status >= 0)
		return status;
	progress = mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (progress == MAP_FAILED)
		return complain(EXIT_HOST, "audit: cannot share memory with its child process: %m");
	child = fork();
	if (child < 0)
		return complain(EXIT_HOST, "audit: cannot start a child process: %m");
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		exit(audit_all(which, json));
	}
	return wait_for_reader(child);
}
