/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lguest-sep ps, status, stop, kill, wait, stats, logs, attach, pause, resume, nmi, checkpoint,
 * reset, sysrq: clients of the control sockets of running guests. They run with the rights of
 * the user who calls them.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "parent/control/attach.h"
#include "parent/control/control.h"
#include "parent/control/guest.h"
#include "parent/control/show.h"
#include "parent/options/util.h"

/* How long a guest may take to answer a request (ms). */
#define ANSWER_MS 20000
/* The same for ps, which asks many at the same time. */
#define PS_MS 3000
/* How long the launcher may take to end after its guest, for instance to write the last output (ms). */
#define GONE_MS 75000

struct words {
	const char *name; /* NAME; NULL: not given */
	const char *key;  /* sysrq: KEY; NULL: not given */
	bool json, prometheus, follow;
	uint32_t timeout_s;
	const char *command;
};

#define INTO(member) OPT_TO(struct words, member)
/* The last rows of every command's option table. */
#define LAST_ROWS                                                                                    \
	{ .name = "help", .letter = 'h', .kind = OPT_ACTION, .act = OPT_HELP, .help = "this text" }, \
		{ .name = "list-options", .kind = OPT_ACTION, .act = OPT_LIST, .hidden = true },     \
	{                                                                                            \
		.name = NULL                                                                         \
	}

static const struct opt_row no_rows[] = { LAST_ROWS };
static const struct opt_row json_rows[] = {
	{ .name = "json", .kind = OPT_FLAG, INTO(json), .help = "print JSON" },
	LAST_ROWS,
};
static const struct opt_row stats_rows[] = {
	{ .name = "json", .kind = OPT_FLAG, INTO(json), .help = "print JSON" },
	{ .name = "prometheus",
	  .kind = OPT_FLAG,
	  INTO(prometheus),
	  .help = "print the text exposition format of Prometheus" },
	LAST_ROWS,
};
static const struct opt_row stop_rows[] = {
	{ .name = "timeout",
	  .kind = OPT_NUMBER,
	  .arg = "SECONDS",
	  .min = 1,
	  .max = 100000000,
	  INTO(timeout_s),
	  .help = "how long the guest may take to power off before it is ended (default: its own --stop-timeout)" },
	LAST_ROWS,
};
static const struct opt_row logs_rows[] = {
	{ .name = "follow",
	  .letter = 'f',
	  .kind = OPT_FLAG,
	  INTO(follow),
	  .help = "then print new output until the guest ends" },
	LAST_ROWS,
};

/* ---- requests ---- */

static int cannot_connect(const struct guest *g)
{
	if (errno == EPERM)
		return complain(EXIT_HOST, "%s: the socket of that name belongs to neither user %u nor root; not used",
				g->name, g->uid);
	if (errno == ECONNREFUSED)
		return complain(EXIT_HOST, "%s: no guest of that name runs here", g->name);
	return complain(EXIT_HOST, "%s: cannot connect to its control socket: %m", g->name);
}

static int no_answer(const struct guest *g, int got)
{
	if (got < 0)
		return complain(EXIT_HOST, "%s: the connection has ended without an answer; its launcher may have died",
				g->name);
	return complain(EXIT_HOST, "%s: no answer", g->name);
}

/* Print the reason for an answer other than the expected one. Returns the exit status. */
static int refused(const struct guest *g, const struct ctl_msg *m)
{
	if (m->type == CTL_ANSWER && m->value == CONTROL_REFUSED)
		return complain(EXIT_HOST, "%s: only root and the user who started it may control this guest", g->name);
	if (m->type == CTL_ANSWER && m->value == CONTROL_BUSY)
		return complain(EXIT_HOST, "%s: too many connections at the same time; try again", g->name);
	if (m->type == CTL_ANSWER)
		return complain(EXIT_HOST, "%s: %s", g->name, m->text);
	if (m->type == CTL_OVER)
		return complain(EXIT_HOST, "%s: the guest has just ended", g->name);
	return complain(EXIT_HOST, "%s: received an unexpected answer", g->name);
}

/* Find the guest, connect and send the request. Returns 0, or the exit status after printing the reason. */
static int begin(struct guest *g, const char *which, enum control_command command, uint64_t detail)
{
	if (guest_find(g, which) < 0)
		return EXIT_HOST;
	if (guest_connect(g) < 0)
		return cannot_connect(g);
	return guest_ask(g, command, detail) < 0 ? no_answer(g, -1) : 0;
}

static void fill_use(struct shown_guest *s)
{
	s->have_use = procs_guest(s->guest->pid, &s->use);
}

/* Milliseconds until @until: a whole list has to come within the time of one answer. */
static int ms_left(uint64_t until)
{
	uint64_t now = now_ms();

	return until > now ? (int)(until - now) : 0;
}

/* Ask @g, which has answered already, for what it has. A guest of an older version closes the connection instead. */
static void fill_parts(struct guest *g, struct shown_parts *p)
{
	uint64_t until = now_ms() + ANSWER_MS;
	struct ctl_msg m = { 0 };

	p->n = 0;
	p->known = false;
	guest_close(g);
	if (guest_connect(g) < 0 || guest_ask(g, CONTROL_PARTS, 0) < 0)
		return;
	do {
		if (guest_recv(g, &m, ms_left(until)) <= 0 || m.type != CTL_PART || m.queue != p->n) {
			p->n = 0;
			return;
		}
		guest_clean_name(m.part.name);
		p->part[p->n++] = m.part;
	} while (m.queue + 1 < m.count);
	p->known = true;
}

/* Ask @g for its state. Returns 0, or the exit status after printing the reason. */
static int fill_state(struct guest *g, struct shown_guest *s)
{
	struct ctl_msg m;
	int got = guest_recv(g, &m, ANSWER_MS);

	if (got <= 0)
		return no_answer(g, got);
	if (m.type != CTL_STATE)
		return refused(g, &m);
	s->guest = g;
	s->state = m.state;
	fill_use(s);
	return 0;
}

/* ---- the commands ---- */

static int run_ps(const struct words *w)
{
	static struct guest list[MAX_GUESTS];
	static struct shown_guest shown[MAX_GUESTS];
	int n = guest_list(list, false);
	unsigned have = 0;
	uint64_t until = now_ms() + PS_MS, now;
	struct ctl_msg m;

	if (n < 0)
		return EXIT_HOST;
	for (int i = 0; i < n && now_ms() < until; i++) {
		/* Skip a guest that is just ending, and a listener that belongs to another user. */
		if (guest_connect(&list[i]) < 0)
			continue;
		if (guest_ask(&list[i], CONTROL_STATUS, 0) < 0)
			guest_close(&list[i]);
	}
	for (int i = 0; i < n; i++) {
		now = now_ms();
		if (list[i].fd < 0 || guest_recv(&list[i], &m, now < until ? (int)(until - now) : 0) <= 0 ||
		    m.type != CTL_STATE)
			continue;
		shown[have].guest = &list[i];
		shown[have].state = m.state;
		if (w->json)
			fill_use(&shown[have]);
		have++;
	}
	show_ps(shown, have, w->json);
	for (int i = 0; i < n; i++)
		guest_close(&list[i]);
	return EXIT_POWEROFF;
}

static int run_status(const struct words *w)
{
	static struct shown_parts parts;
	struct shown_guest s = { 0 };
	struct guest g;
	int status = begin(&g, w->name, CONTROL_STATUS, 0);

	if (!status)
		status = fill_state(&g, &s);
	if (status)
		return status;
	fill_parts(&g, &parts);
	show_status(&s, &parts, w->json);
	return EXIT_POWEROFF;
}

/* Wait for the end of the guest. Returns its exit status, or -1 after printing the reason, with ours in *@status. */
static int await_over(struct guest *g, int *status)
{
	struct ctl_msg m;
	int got;

	do
		got = guest_recv(g, &m, -1);
	while (got == 0);
	*status = EXIT_HOST;
	if (got > 0 && m.type == CTL_OVER)
		return (int)(m.value & 0xff);
	if (got > 0)
		*status = refused(g, &m);
	else
		*status = complain(EXIT_HOST, "%s: its launcher died without reporting how the guest ended", g->name);
	return -1;
}

static int run_wait(const struct words *w)
{
	struct guest g;
	int status = begin(&g, w->name, CONTROL_WAIT, 0), over;

	if (status)
		return status;
	over = await_over(&g, &status);
	if (over < 0)
		return status;
	/* Its last output and the file of --result are complete when the launcher has ended. */
	if (!guest_wait_gone(&g, GONE_MS))
		complain(0, "%s: the guest has ended; its launcher (process %d) has not", g.name, (int)g.pid);
	return over;
}

/* stop and kill wait until nothing of the guest is left, so that its name, disk and tap can be used again at once. */
static int end_guest(const struct words *w, enum control_command command, uint64_t detail)
{
	struct guest g;
	int status = begin(&g, w->name, command, detail);

	if (status)
		return status;
	if (await_over(&g, &status) < 0)
		return status;
	if (!guest_wait_gone(&g, GONE_MS))
		return complain(EXIT_HOST, "%s: the guest has ended; its launcher (process %d) has not", g.name,
				(int)g.pid);
	return EXIT_POWEROFF;
}

static int run_stop(const struct words *w)
{
	return end_guest(w, CONTROL_STOP, w->timeout_s);
}

static int run_kill(const struct words *w)
{
	return end_guest(w, CONTROL_KILL, 0);
}

static int run_stats(const struct words *w)
{
	static struct shown_role role[MAX_STATS_ROLES];
	static struct shown_parts parts;
	struct shown_guest s = { 0 };
	struct ctl_msg m = { 0 };
	struct guest g;
	uint64_t until;
	unsigned n = 0;
	int status, got;

	if (w->json && w->prometheus)
		return complain(EXIT_USAGE, "stats: --json and --prometheus: give one of them");
	status = begin(&g, w->name, CONTROL_STATS, 0);
	if (status)
		return status;
	until = now_ms() + ANSWER_MS;
	do {
		got = guest_recv(&g, &m, ms_left(until));
		if (got <= 0)
			return no_answer(&g, got);
		/* Once for each role at most, so that the list comes to an end. */
		if (n < ARRAY_SIZE(role) && m.type == CTL_ROLE_RESETS && m.resets.reset_span_us &&
		    !role[n].resets.reset_span_us) {
			role[n].resets = m.resets;
			continue;
		}
		if (m.type != CTL_ROLE_STATS || n == ARRAY_SIZE(role))
			return refused(&g, &m);
		role[n].stats = m.role_stats;
		guest_clean_name(role[n].stats.name);
		role[n].have_use = procs_role(g.pid, (pid_t)m.role_stats.spawner_pid, &role[n].use);
		n++;
	} while (m.queue + 1 < m.count);
	guest_close(&g);
	if (guest_connect(&g) < 0)
		return cannot_connect(&g);
	if (guest_ask(&g, CONTROL_STATUS, 0) < 0)
		return no_answer(&g, -1);
	status = fill_state(&g, &s);
	if (status)
		return status;
	fill_parts(&g, &parts);
	show_stats(&s, &parts, role, n, w->json ? STATS_JSON : w->prometheus ? STATS_PROMETHEUS : STATS_TEXT);
	return EXIT_POWEROFF;
}

/* Send a command that is answered when it is done. */
static int simple(const struct words *w, enum control_command command, uint64_t detail)
{
	struct ctl_msg m;
	struct guest g;
	int status = begin(&g, w->name, command, detail), got;

	if (status)
		return status;
	got = guest_recv(&g, &m, ANSWER_MS);
	if (got <= 0)
		return no_answer(&g, got);
	return m.type == CTL_ANSWER && m.value == CONTROL_DONE ? EXIT_POWEROFF : refused(&g, &m);
}

/* Commands without an argument. */
static int run_plain(const struct words *w)
{
	static const char *const name[] = {
#define X(sym, text) [CONTROL_##sym] = text,
		CONTROL_COMMANDS(X)
#undef X
	};
	enum control_command c = CONTROL_COUNT;

	while (--c > CONTROL_NONE && strcmp(name[c], w->command) != 0)
		;
	return simple(w, c, 0);
}

static int run_sysrq(const struct words *w)
{
	if (strlen(w->key) != 1 || !sysrq_key_ok((uint8_t)w->key[0]))
		return complain(EXIT_USAGE, "sysrq: %s: KEY is one letter or digit, such as h (help) or t (tasks)",
				w->key);
	return simple(w, CONTROL_SYSRQ, (uint8_t)w->key[0]);
}

static int run_logs(const struct words *w)
{
	struct guest g;
	int status = begin(&g, w->name, CONTROL_LOGS, w->follow ? LOGS_FOLLOW : 0);

	if (status)
		return status;
	status = attach_run(&g, false);
	/* The status of the guest is not that of its log. */
	return status == EXIT_HOST ? EXIT_HOST : EXIT_POWEROFF;
}

static int run_attach(const struct words *w)
{
	struct guest g;
	int status = begin(&g, w->name, CONTROL_ATTACH, 0);

	return status ? status : attach_run(&g, true);
}

/* ---- command line ---- */

static const struct command {
	const char *name, *usage;
	bool named; /* Needs NAME; sysrq: and KEY. */
	const struct opt_row *rows;
	int (*run)(const struct words *w);
} commands[] = {
	{ "ps", "ps [--json]\n\nLists the running guests: your own, or as root those of all users.", false, json_rows,
	  run_ps },
	{ "status", "status NAME [--json]\n\nShows a guest's configuration, state and resource usage.", true, json_rows,
	  run_status },
	{ "stop",
	  "stop NAME [--timeout=SECONDS]\n\nAsks the guest to power off, and waits until nothing of it is left.", true,
	  stop_rows, run_stop },
	{ "kill", "kill NAME\n\nEnds the guest at once, and waits until nothing of it is left.", true, no_rows,
	  run_kill },
	{ "wait", "wait NAME\n\nWaits for the end of the guest, and exits with its status.", true, no_rows, run_wait },
	{ "stats",
	  "stats NAME [--json|--prometheus]\n\nPrints the counters of each process, with the processor time and memory "
	  "that the kernel counts.",
	  true, stats_rows, run_stats },
	{ "logs", "logs NAME [--follow]\n\nPrints the last 64 KiB of the guest's console.", true, logs_rows, run_logs },
	{ "attach",
	  "attach NAME\n\nConnects standard input and output to the guest's console. Press Ctrl-] to detach.\nThe "
	  "exit status is then 0; if the guest ends first, it is the guest's.",
	  true, no_rows, run_attach },
	{ "pause",
	  "pause NAME\n\nStops all processes of the guest until lguest-sep resume. Returns when they have stopped.",
	  true, no_rows, run_plain },
	{ "resume", "resume NAME\n\nLets a paused guest continue.", true, no_rows, run_plain },
	{ "nmi", "nmi NAME\n\nSends a non-maskable interrupt to the guest.", true, no_rows, run_plain },
	{ "checkpoint",
	  "checkpoint NAME\n\nRecords the guest's state, for lguest-sep reset. The guest needs --checkpoint.", true,
	  no_rows, run_plain },
	{ "reset", "reset NAME\n\nTakes the guest back to its last checkpoint.", true, no_rows, run_plain },
	{ "sysrq",
	  "sysrq NAME KEY\n\nSends a key of sysrq to the guest's Linux, through its console: h prints the list of keys.",
	  true, no_rows, run_sysrq },
};

static const struct command *find_command(const char *word)
{
	for (unsigned i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(commands[i].name, word))
			return &commands[i];
	return NULL;
}

bool control_is_command(const char *word)
{
	return find_command(word) != NULL;
}

static int usage(const struct command *c)
{
	char head[512];

	snprintf(head, sizeof(head), "Usage: lguest-sep %s\n\n", c->usage);
	return opt_print_help(c->rows, head, NULL) < 0
		       ? complain(EXIT_HOST, "%s --help: cannot write to standard output: %m", c->name)
		       : EXIT_POWEROFF;
}

/* Returns -1 if the command line is valid, or the exit status after printing the reason. */
static int parse(const struct command *c, int argc, char **argv, struct words *w)
{
	static struct opt_parser p;
	int i = 1, got;

	opt_begin(&p, c->rows, w);
	while (i < argc) {
		got = opt_next(&p, argc, argv, &i);
		if (got < 0)
			return complain(EXIT_USAGE, "%s: %s", c->name, p.line);
		if (got == OPT_HELP)
			return usage(c);
		if (got == OPT_LIST)
			return opt_print_list(c->rows) < 0 ? EXIT_HOST : EXIT_POWEROFF;
		if (got != OPT_OPERANDS || i >= argc)
			continue;
		if (w->name && !w->key && c->run == run_sysrq) {
			w->key = argv[i++];
			continue;
		}
		if (!c->named || w->name)
			return complain(EXIT_USAGE, "%s: %s: %s", c->name, argv[i],
					c->named ? "one guest at a time" : "this command takes no name");
		w->name = argv[i++];
	}
	if (c->named && !w->name)
		return complain(EXIT_USAGE, "%s: the guest's NAME is missing (see lguest-sep ps)", c->name);
	if (c->run == run_sysrq && !w->key)
		return complain(EXIT_USAGE, "sysrq: the KEY is missing: one letter or digit, such as h (help)");
	return -1;
}

int control_main(int argc, char **argv)
{
	const struct command *c = find_command(argv[0]);
	static struct words w;
	int status = parse(c, argc, argv, &w);

	if (status >= 0)
		return status;
	w.command = c->name;
	status = c->run(&w);
	if (fflush(stdout) != 0)
		return complain(EXIT_HOST, "%s: cannot write to standard output: %m", c->name);
	return status;
}
