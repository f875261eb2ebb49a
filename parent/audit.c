// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lguest-sep audit [NAME|PID] [--json]: finds the guests that run here and has
 * each of their processes compared with what this build promises. A program of
 * its own: it starts nothing, and asks nothing of the processes that it reads.
 */
#include <ctype.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "audit.h"
#include "console.h"
#include "options.h"

#define MAX_GUESTS 256
/* Supervisor, and a spawner, a role and one more for each of the most devices. */
#define MAX_PROCESSES 160
#define MAX_WORDS     4096

struct entry {
	pid_t pid, ppid;
	uint64_t born;
	char name[64];
};

static struct entry *all;
static unsigned nall;

static int by_age(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->born != y->born)
		return x->born < y->born ? -1 : 1;
	return x->pid < y->pid ? -1 : x->pid > y->pid;
}

/* The first few fields of every process there is. -1: no memory or no /proc. */
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
		e->pid = (pid_t)strtol(d->d_name, NULL, 10);
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

static bool is_supervisor(const struct entry *e)
{
	if (strcmp(e->name, "lguest-sep") != 0)
		return false;
	for (unsigned i = 0; i < nall; i++)
		if (all[i].ppid == e->pid && is_spawner(&all[i]))
			return true;
	return false;
}

/* What the guest was asked to be: the supervisor's own command line, parsed as it parsed it. */
static void read_config(struct audit_guest *g)
{
	static char text[1 << 20];
	static struct config c;
	static char *argv[MAX_WORDS + 1];
	size_t len = facts_cmdline(g->pid, text, sizeof(text)), n;
	const char *base;
	int argc = 0;

	for (size_t i = 0; i < len && argc < MAX_WORDS; i += n + 1) {
		n = strlen(text + i);
		argv[argc++] = text + i;
	}
	argv[argc] = NULL;
	snprintf(g->name, sizeof(g->name), "?");
	if (argc < 3 || options_read(argc, argv, &c) >= 0)
		return;
	base = strrchr(c.kernel, '/');
	snprintf(g->name, sizeof(g->name), "%.60s", c.name ? c.name : base ? base + 1 : c.kernel);
	make_printable(g->name, strlen(g->name));
	g->configured = true;
	g->asked_uid = c.drop;
	g->uid = c.uid;
	for (unsigned i = 0; i < c.ndisks; i++)
		g->disks += !c.disk[i].vhost_user;
	for (unsigned i = 0; i < c.nnets; i++)
		g->nics += c.net[i].kind != NET_VHOST_USER;
}

static enum part part_of(const char *name)
{
	static const struct {
		const char *name;
		enum part part;
	} known[] = {
		{ "lguest-sep-init", PART_SPAWNER }, { "lguest-sep-vcpu", PART_VCPU },
		{ "lguest-sep-netd", PART_NETD },    { "lguest-sep-blkd", PART_BLKD },
		{ "qemu-system-x86_64", PART_QEMU },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(known); i++)
		if (!strcmp(name, known[i].name))
			return known[i].part;
	return PART_STRANGER;
}

static struct audit_process *add_process(struct audit_guest *g, const struct entry *e, enum part part)
{
	struct audit_process *p;

	if (g->n == MAX_PROCESSES)
		return NULL;
	p = &g->process[g->n];
	p->part = part;
	if (!facts_read(&p->f, e->pid)) {
		facts_free(&p->f);
		return NULL; /* it ended while we looked */
	}
	g->n++;
	return p;
}

static void name_role(struct audit_process *p, unsigned *blk, unsigned *net)
{
	switch (p->part) {
	case PART_BLKD:
		snprintf(p->name, sizeof(p->name), "blk%u", (*blk)++);
		break;
	case PART_NETD:
		snprintf(p->name, sizeof(p->name), "net%u", (*net)++);
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

/* A supervisor has spawners, a spawner has its role, a role has nobody. */
static bool may_have(enum part above, enum part part)
{
	if (above == PART_SUPERVISOR)
		return part == PART_SPAWNER;
	return above == PART_SPAWNER && part != PART_SPAWNER;
}

/* Everything below @above, in the order of birth. */
static void add_family(struct audit_guest *g, struct audit_process *above, unsigned *blk, unsigned *net)
{
	for (unsigned i = 0; i < nall; i++) {
		enum part part = part_of(all[i].name);
		struct audit_process *p;

		if (all[i].ppid != above->f.pid)
			continue;
		p = add_process(g, &all[i], may_have(above->part, part) ? part : PART_STRANGER);
		if (!p)
			continue;
		name_role(p, blk, net);
		if (above->part == PART_SPAWNER && p->part != PART_STRANGER)
			snprintf(above->name, sizeof(above->name), "%.11s's spawner",
				 !strncmp(p->name, "vcpu", 4) ? "vcpu" : p->name);
		add_family(g, p, blk, net);
	}
}

/* 0, or -1 without memory. */
static int read_guest(struct audit_guest *g, const struct entry *e)
{
	unsigned blk = 0, net = 0;
	struct audit_process *s;

	memset(g, 0, sizeof(*g));
	g->pid = e->pid;
	g->process = calloc(MAX_PROCESSES, sizeof(*g->process));
	if (!g->process)
		return -1;
	read_config(g);
	s = add_process(g, e, PART_SUPERVISOR);
	if (!s)
		return 0;
	snprintf(s->name, sizeof(s->name), "supervisor");
	add_family(g, s, &blk, &net);
	audit_judge(g);
	return 0;
}

static bool is_wanted(const struct audit_guest *g, const char *which)
{
	uint64_t pid;

	if (!which || !strcmp(g->name, which))
		return true;
	return parse_number(which, 1, INT32_MAX, &pid) && g->pid == (pid_t)pid;
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
	     "what this build promises: user, capabilities, filters, namespaces, root folder,\n"
	     "descriptors, limits, memory. NAME is that of --name, or the kernel's file name;\n"
	     "PID the supervisor's. Root sees everything; others what /proc shows them.\n"
	     "\n"
	     "Exit status: 0 all is as promised, 1 it could not be looked at, 2 usage, 3 something\n"
	     "is weaker (the last lines name it).");
	return EXIT_POWEROFF;
}

/* -1 to go on, or the exit status. */
static int parse_words(int argc, char **argv, const char **which, bool *json)
{
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--json"))
			*json = true;
		else if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
			return audit_usage();
		else if (argv[i][0] == '-')
			return complain(EXIT_USAGE, "audit: %s: there is no such option; it knows --json", argv[i]);
		else if (*which)
			return complain(EXIT_USAGE, "audit: one guest at a time, or all of them");
		else
			*which = argv[i];
	}
	return -1;
}

int audit_main(int argc, char **argv)
{
	static struct audit_guest guest[MAX_GUESTS];
	const char *which = NULL;
	bool json = false;
	unsigned n = 0, weaker = 0;
	int status = parse_words(argc, argv, &which, &json);

	if (status >= 0)
		return status;
	if (list_processes() < 0)
		return complain(EXIT_HOST, "audit: /proc cannot be read: %m");
	for (unsigned i = 0; i < nall && n < MAX_GUESTS; i++) {
		if (!is_supervisor(&all[i]))
			continue;
		if (read_guest(&guest[n], &all[i]) < 0)
			return complain(EXIT_HOST, "audit: out of memory");
		if (guest[n].n && is_wanted(&guest[n], which))
			weaker += audit_count(&guest[n++], WEAKER);
		else
			free_guest(&guest[n]);
	}
	if (which && !n)
		return complain(EXIT_HOST, "audit: no guest %s runs here", which);
	if (json)
		audit_print_json(guest, n);
	else
		audit_print_text(guest, n);
	for (unsigned i = 0; i < n; i++)
		free_guest(&guest[i]);
	free(all);
	if (fflush(stdout) != 0)
		return complain(EXIT_HOST, "audit: cannot write: %m");
	return weaker ? 3 : 0;
}
