/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Prints the results of the audit as text and as JSON. Runs in lguest-sep audit. Names
 * that come from other processes have already been made printable.
 */
#include <stdio.h>

#include "parent/audit/audit.h"
#include "parent/audit/maps.h"
#include "parent/audit/print.h"
#include "parent/json.h"

unsigned audit_count(const struct audit_guest *g, enum verdict v)
{
	unsigned n = 0;

	for (unsigned i = 0; i < g->nchecks; i++)
		n += g->check[i].verdict == v;
	for (unsigned i = 0; i < g->n; i++)
		for (unsigned k = 0; k < g->process[i].nchecks; k++)
			n += g->process[i].check[k].verdict == v;
	return n;
}

static const char *mark(enum verdict v)
{
	static const char *const text[] = { "ok", "WEAKER", "?" };

	return text[v];
}

static void text_check(const struct check *c)
{
	printf("    %-7s %-26s %s", mark(c->verdict), c->what, c->is);
	if (c->verdict == WEAKER || c->verdict == NOT_SHOWN)
		printf("  (promised: %s)", c->promised);
	putchar('\n');
}

static void text_fds(const struct facts *f)
{
	for (unsigned i = 0; i < f->nfds; i++)
		printf("    %-7s %5u %-20s %s\n", mark(f->fd[i].wrong ? WEAKER : AS_PROMISED), f->fd[i].number,
		       fd_kind_text(f->fd[i].kind), f->fd[i].target);
}

static void text_guest(const struct audit_guest *g)
{
	printf("guest %s: supervisor %d, %u processes\n", g->name, (int)g->pid, g->n);
	for (unsigned i = 0; i < g->n; i++) {
		const struct audit_process *p = &g->process[i];

		printf("\n  %s: pid %d, %u threads\n", p->name, (int)p->f.pid, p->f.threads);
		for (unsigned k = 0; k < p->nchecks; k++)
			text_check(&p->check[k]);
		text_fds(&p->f);
	}
	putchar('\n');
	for (unsigned k = 0; k < g->nchecks; k++)
		text_check(&g->check[k]);
}

static void text_weaker(const struct audit_guest *g)
{
	for (unsigned k = 0; k < g->nchecks; k++)
		if (g->check[k].verdict == WEAKER)
			printf("weaker: guest %s: %s: %s (promised: %s)\n", g->name, g->check[k].what, g->check[k].is,
			       g->check[k].promised);
	for (unsigned i = 0; i < g->n; i++)
		for (unsigned k = 0; k < g->process[i].nchecks; k++) {
			const struct check *c = &g->process[i].check[k];

			if (c->verdict == WEAKER)
				printf("weaker: guest %s: %s (pid %d): %s: %s (promised: %s)\n", g->name,
				       g->process[i].name, (int)g->process[i].f.pid, c->what, c->is, c->promised);
		}
}

void audit_print_text(const struct audit_guest *g, unsigned n)
{
	unsigned weaker = 0, hidden = 0, processes = 0;

	for (unsigned i = 0; i < n; i++) {
		text_guest(&g[i]);
		weaker += audit_count(&g[i], WEAKER);
		hidden += audit_count(&g[i], NOT_SHOWN);
		processes += g[i].n;
		putchar('\n');
	}
	for (unsigned i = 0; i < n; i++)
		text_weaker(&g[i]);
	if (!n)
		puts("verdict: no guest runs");
	else
		printf("verdict: %u guest%s, %u processes: %s; %u promises weaker, %u could not be checked\n", n,
		       n == 1 ? "" : "s", processes, weaker ? "WEAKER than promised" : "as promised", weaker, hidden);
}

static void json_checks(const struct check *c, unsigned n)
{
	static const char *const verdict[] = { "as promised", "weaker", "not shown" };

	fputs("\"checks\": [", stdout);
	for (unsigned i = 0; i < n; i++) {
		fputs(i ? ",\n      {" : "\n      {", stdout);
		json_member("what", c[i].what, ", ");
		json_member("is", c[i].is, ", ");
		json_member("promised", c[i].promised, ", ");
		json_member("verdict", verdict[c[i].verdict], "");
		putchar('}');
	}
	putchar(']');
}

static void json_process(const struct audit_process *p)
{
	printf("    {\"pid\": %d, \"threads\": %u, ", (int)p->f.pid, p->f.threads);
	json_member("name", p->name, ", ");
	fputs("\"descriptors\": [", stdout);
	for (unsigned i = 0; i < p->f.nfds; i++) {
		printf("%s\n      {\"number\": %u, ", i ? "," : "", p->f.fd[i].number);
		json_member("kind", fd_kind_text(p->f.fd[i].kind), ", ");
		json_member("target", p->f.fd[i].target, ", ");
		printf("\"in_table\": %s}", p->f.fd[i].wrong ? "false" : "true");
	}
	fputs("],\n     ", stdout);
	json_checks(p->check, p->nchecks);
	putchar('}');
}

void audit_print_json(const struct audit_guest *g, unsigned n)
{
	unsigned weaker = 0;

	puts("{\"guests\": [");
	for (unsigned i = 0; i < n; i++) {
		printf("%s  {\"pid\": %d, ", i ? ",\n" : "", (int)g[i].pid);
		json_member("name", g[i].name, ", ");
		printf("\"weaker\": %u, \"not_shown\": %u,\n   ", audit_count(&g[i], WEAKER),
		       audit_count(&g[i], NOT_SHOWN));
		json_checks(g[i].check, g[i].nchecks);
		puts(",\n   \"processes\": [");
		for (unsigned k = 0; k < g[i].n; k++) {
			fputs(k ? ",\n" : "", stdout);
			json_process(&g[i].process[k]);
		}
		fputs("]}", stdout);
		weaker += audit_count(&g[i], WEAKER);
	}
	printf("],\n \"verdict\": \"%s\"}\n", !n ? "no guest runs" : weaker ? "weaker" : "as promised");
}
