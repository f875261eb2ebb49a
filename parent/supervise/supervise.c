/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The supervisor: the parent after its privileges are gone. It forwards the
 * console, watches its processes, and starts the guest again when it reboots.
 * It must not map guest memory or open a file, and must not block except in ppoll().
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "common/clear.h"
#include "common/sandbox.h"
#include "parent/room/apparmor.h"
#include "parent/setup/keeper.h"
#include "parent/setup/notify.h"
#include "parent/supervise/console_out.h"
#include "parent/supervise/consoles.h"
#include "parent/supervise/control.h"
#include "parent/supervise/control_io.h"
#include "parent/supervise/copiers.h"
#include "parent/supervise/drain.h"
#include "parent/supervise/end.h"
#include "parent/supervise/exit_port.h"
#include "parent/supervise/io.h"
#include "parent/supervise/limits.h"
#include "parent/supervise/lines.h"
#include "parent/supervise/msg.h"
#include "parent/supervise/ports.h"
#include "parent/supervise/renew.h"
#include "parent/supervise/result.h"
#include "parent/supervise/rounds.h"
#include "parent/supervise/run_result.h"
#include "parent/supervise/signals.h"
#include "parent/supervise/start.h"
#include "parent/supervise/state.h"
#include "parent/supervise/supervise.h"
#include "policy/policies.h"

/*
 * Most descriptors in one ppoll(): signals, three standard descriptors, two console pipes, serial console, monitor and
 * exit port, standard input of run, controld's console; three of each role; two of each port.
 */
#define MAX_POLL (10 + 3 * MAX_ROLES + 2 * MAX_PORTS)

enum source {
	SRC_SIGNAL,
	SRC_STDIN,
	SRC_OUT,
	SRC_ERR,
	SRC_CON_IN,
	SRC_CON_OUT,
	SRC_SERIAL,
	SRC_MONITOR,
	SRC_EXIT_PORT,
	SRC_SPAWNER,
	SRC_CTL,
	SRC_DIAG,
	SRC_RUN_STDIN,
	SRC_CONTROL, /* The console between us and controld. */
	SRC_PORT,    /* For this and SRC_PORT_FILE, "role" is the number of the port. */
	SRC_PORT_FILE
};

struct poll_set {
	unsigned n;
	struct pollfd fd[MAX_POLL];
	struct {
		enum source source;
		unsigned role;
	} tag[MAX_POLL];
};

static struct supervisor sup;
static struct console_pair pair;
static uint8_t out_buf[CONSOLE_OUT_SIZE], in_buf[CONSOLE_IN_SIZE], err_buf[LINES_SIZE], control_buf[CONTROL_OUT_SIZE];

static void watch(struct poll_set *p, int fd, short events, enum source source, unsigned role)
{
	if (fd < 0)
		return;
	p->fd[p->n] = (struct pollfd){ .fd = fd, .events = events };
	p->tag[p->n].source = source;
	p->tag[p->n++].role = role;
}

static void watch_ports(struct supervisor *s, struct poll_set *p)
{
	for (unsigned i = 0; i < s->c->nports; i++) {
		short events;
		int fd = sup_port_fd(s, i, &events);

		watch(p, fd, events, SRC_PORT, i);
		watch(p, sup_port_file(s, i), POLLOUT, SRC_PORT_FILE, i);
	}
	watch(p, sup_run_stdin(s), POLLIN, SRC_RUN_STDIN, 0);
}

static void fill(struct supervisor *s, struct poll_set *p)
{
	bool room = sup_console_room(s) > 0;

	p->n = 0;
	watch(p, s->sigfd, POLLIN, SRC_SIGNAL, 0);
	/* After the guest's end, read only a terminal, for three ^C. */
	if (sup_wants_stdin(s) && (s->phase < PHASE_DONE || s->h->term.in_tty))
		watch(p, s->h->term.in, POLLIN, SRC_STDIN, 0);
	/* Without output to write, wait only for the error that the reader has closed standard output. */
	if (sup_output_waits(s) || !(s->h->console.tty || s->out.gone))
		watch(p, s->h->console.fd, sup_output_waits(s) ? POLLOUT : 0, SRC_OUT, 0);
	if (s->err.len && !sup_lines_join(s))
		watch(p, s->h->term.err, POLLOUT, SRC_ERR, 0);
	if (s->in.len)
		watch(p, sup_input_fd(s), POLLOUT, SRC_CON_IN, 0);
	if (room) {
		watch(p, s->con_out, POLLIN, SRC_CON_OUT, 0);
		watch(p, s->serial, POLLIN, SRC_SERIAL, 0);
	}
	watch(p, s->monitor, POLLIN, SRC_MONITOR, 0);
	watch(p, s->exit_port, POLLIN, SRC_EXIT_PORT, 0);
	watch_ports(s, p);
	watch(p, s->control_console, sup_control_events(s), SRC_CONTROL, 0);
	for (unsigned i = 0; i < s->nroles; i++) {
		watch(p, s->role[i].host->spawner.sock, POLLIN, SRC_SPAWNER, i);
		watch(p, s->role[i].ctl, POLLIN, SRC_CTL, i);
		watch(p, s->role[i].host->diag, POLLIN, SRC_DIAG, i);
	}
}

static void dispatch(struct supervisor *s, const struct poll_set *p, unsigned i)
{
	struct sup_role *r = &s->role[MIN(p->tag[i].role, s->nroles - 1)]; /* Meaningless for ports. */

	switch (p->tag[i].source) {
	case SRC_SIGNAL:
		sup_on_signal(s);
		break;
	case SRC_STDIN:
		sup_read_stdin(s);
		break;
	case SRC_OUT:
		sup_flush(s, true, false, false);
		if ((p->fd[i].revents & (POLLERR | POLLHUP)) || (s->out.gone && s->out.error == EPIPE))
			sup_output_closed(s);
		break;
	case SRC_ERR:
		sup_flush(s, false, true, false);
		break;
	case SRC_CON_IN:
		sup_flush(s, false, false, true);
		break;
	case SRC_CON_OUT:
		sup_read_console(s, &s->con_out, &s->panic);
		break;
	case SRC_SERIAL:
		sup_read_console(s, &s->serial, &s->panic_serial);
		break;
	case SRC_MONITOR:
		sup_monitor(s);
		break;
	case SRC_EXIT_PORT:
		sup_read_exit_port(s);
		break;
	case SRC_SPAWNER:
		if (sup_role_spawner(s, r) && !sup_renew_ends(s, r))
			sup_role_ended(s, r);
		break;
	case SRC_CTL:
		if (r->ctl >= 0)
			sup_role_ctl(s, r);
		break;
	case SRC_DIAG:
		sup_role_diag(s, r);
		break;
	case SRC_CONTROL:
		if (s->control_console >= 0)
			sup_control_ready(s, p->fd[i].revents);
		break;
	case SRC_RUN_STDIN:
		sup_run_read_stdin(s);
		break;
	case SRC_PORT:
		sup_port_ready(s, p->tag[i].role, p->fd[i].revents);
		break;
	case SRC_PORT_FILE:
		sup_port_write(s, p->tag[i].role);
		break;
	}
}

/* True if all processes have ended and everything that they sent has been read. */
static bool is_over(const struct supervisor *s)
{
	if (s->phase < PHASE_ENDING || !sup_all_ended(s))
		return false;
	for (unsigned i = 0; i < s->nroles; i++)
		if (s->role[i].ctl >= 0 && !sup_is_control(&s->role[i]))
			return false;
	return s->con_out < 0 && s->serial < 0 && s->monitor < 0 && s->exit_port < 0 && !sup_ports_busy(s);
}

/* True if only the vCPU process can write to the channel @i of @p. */
static bool is_vcpus(const struct supervisor *s, const struct poll_set *p, unsigned i)
{
	switch (p->tag[i].source) {
	case SRC_CON_OUT:
	case SRC_SERIAL:
	case SRC_MONITOR:
	case SRC_EXIT_PORT:
	case SRC_PORT:
		return true;
	case SRC_CTL:
		return p->tag[i].role + 1 == s->nroles;
	default:
		return false;
	}
}

static bool any_of_vcpu(const struct supervisor *s, const struct poll_set *p)
{
	for (unsigned i = 0; i < p->n; i++)
		if (is_vcpus(s, p, i))
			return true;
	return false;
}

static void close_channel(struct supervisor *s, enum source source)
{
	int *fd = source == SRC_MONITOR ? &s->monitor : &sup_vcpu(s)->ctl;

	if (source == SRC_CON_OUT) {
		sup_close_console(s, &s->con_out, &s->panic);
	} else if (source == SRC_SERIAL) {
		sup_close_console(s, &s->serial, &s->panic_serial);
	} else if (source == SRC_EXIT_PORT) {
		sup_close_exit_port(s);
	} else if (*fd >= 0) {
		close(*fd);
		*fd = -1;
	}
}

/*
 * The vCPU process was dead before @p was polled, so a channel that is not readable has
 * been read completely: close it. Do not wait for end of file: a compromised vCPU process
 * can have sent its end of the channel in a message that nobody receives, which keeps
 * that end open.
 */
static void close_drained(struct supervisor *s, const struct poll_set *p)
{
	for (unsigned i = 0; i < p->n; i++)
		if (!p->fd[i].revents && p->tag[i].source == SRC_PORT)
			sup_port_close(s, p->tag[i].role);
		else if (!p->fd[i].revents && is_vcpus(s, p, i))
			close_channel(s, p->tag[i].source);
}

/* Wait for the next event or deadline, and handle it. */
static void turn(struct supervisor *s)
{
	static struct poll_set p;
	bool done = s->phase == PHASE_DONE, last;
	struct timespec wait;
	int ms, ready;

	sup_tell_ready(s);
	sup_control_turn(s);
	sup_rounds_turn(s);
	sup_renew_turn(s);
	sup_deadlines(s);
	/* sup_deadlines() may have given up what kept the guest from being over. */
	if (!done && is_over(s))
		return;
	if (done)
		sup_join_lines(s, true);
	sup_output_due(s, done);
	if (done && !sup_output_waits(s) && !s->err.len)
		return;
	if (!done && terminal_waits(&s->h->term)) {
		terminal_raw(&s->h->term);
		/* The terminal sent SIGWINCH to its foreground only. */
		sup_window_size(s);
	}
	/* If a standard descriptor was never open, this drops the output for it. */
	if (sup_output_waits(s) && s->h->console.fd < 0)
		sup_flush(s, true, false, false);
	if (s->err.len && s->h->term.err < 0)
		sup_flush(s, false, true, false);
	fill(s, &p);
	last = s->phase >= PHASE_ENDING && !sup_vcpu(s)->live && any_of_vcpu(s, &p);
	ms = last ? 0 : sup_timeout_ms(s, sup_renew_deadline(s, sup_control_deadline(s, sup_output_deadline(s, done))));
	wait.tv_sec = ms / 1000;
	wait.tv_nsec = (long)(ms % 1000) * 1000000;
	ready = ppoll(p.fd, p.n, ms < 0 ? NULL : &wait, NULL);
	for (unsigned i = 0; ready > 0 && i < p.n; i++)
		if (p.fd[i].revents)
			dispatch(s, &p, i);
	if (last && ready >= 0)
		close_drained(s, &p);
}

/* One start of the guest, from the first process to the last. */
static void run_once(struct supervisor *s)
{
	s->renew = RENEW_NONE;
	while (!is_over(s))
		turn(s);
	/* The guest may have begun and ended in the last turn. */
	sup_tell_ready(s);
	s->phase = PHASE_DONE;
}

/* All processes have ended: write the buffered log messages and guest output, for a bounded time. */
static void flush_all(struct supervisor *s)
{
	s->phase = PHASE_DONE;
	while (sup_output_waits(s) || s->err.len)
		turn(s);
	sup_report_lost(s);
	while (sup_output_waits(s) || s->err.len)
		turn(s);
}

static void prepare(struct supervisor *s, struct host *h)
{
	clear_object(s, sizeof(*s));
	s->h = h;
	s->c = h->c;
	s->status = -1;
	s->mem = -1;
	s->pid = getpid();
	s->processors = (unsigned)MAX(sysconf(_SC_NPROCESSORS_ONLN), 1);
	s->out = (struct outbuf){ .buf = out_buf, .size = sizeof(out_buf) };
	sup_console_prepare(s);
	s->in = (struct outbuf){ .buf = in_buf, .size = sizeof(in_buf) };
	s->err = (struct outbuf){ .buf = err_buf, .size = sizeof(err_buf) };
	s->control_out = (struct outbuf){ .buf = control_buf, .size = sizeof(control_buf) };
	s->control_console = -1;
	s->pair = &pair;
	s->result_fd = h->c->result_fd;
	s->stdin_open = h->term.in >= 0 && !h->c->run.on;
	s->nroles = h->nroles;
	for (unsigned i = 0; i < s->nroles; i++) {
		s->role[i].host = &h->role[i];
		s->role[i].device = h->role[i].device;
		s->role[i].ctl = -1;
		s->role[i].limit = (struct log_limit)LOG_LIMIT_INIT(40, 200);
	}
	sup_ports_prepare(s);
	sup_rounds_prepare(s);
}

/*
 * Call it before the seccomp filter, which allows no clone(2), and in our Landlock domain: a process in a domain cannot
 * send a signal out of it (LANDLOCK_SCOPE_SIGNAL), not even that of PR_SET_PDEATHSIG.
 */
static void start_keeper(struct supervisor *s)
{
	if (!keeper_wanted(s->h))
		return;
	s->h->keeper = keeper_start() == 0;
	if (!s->h->keeper)
		sup_line(s,
			 "cannot create the process that closes files on FUSE and network file systems (%m): if their "
			 "server does not answer at the end, lguest-sep waits for it");
}

/* Enter Landlock and the seccomp filter. With --strict, returns -1 after logging the layers that the host lacks. */
static int confine(struct supervisor *s)
{
	struct sandbox_options o = { 0 };
	uint32_t missing;

	if (apparmor_change(APPARMOR_SELF, "lguest-sep-supervisor", false) < 0) {
		sup_line(s, "supervisor: " APPARMOR_FAILED ": %m");
		return -1;
	}
	sandbox_forget_libraries();
	missing = sandbox_enter(&o);
	start_keeper(s);
	sup_copiers_start(s);

	if (sandbox_filter(&policy_supervisor, &missing) < 0) {
		sup_line(s, "cannot install the supervisor's seccomp filter: %m");
		return -1;
	}
	/* Before Linux 3.17 a file serves as guest memory; roles can then check only its inode. */
	if (!s->h->mem_sealed)
		missing |= LAYER_BIT(LAYER_MEMFD_SEAL);
	s->missing = missing;
	if (!missing || !s->c->strict)
		return 0;
	sup_lacks(s, "supervisor", missing);
	return -1;
}

/* Write what is left to write. Returns @status. */
static int finish(struct supervisor *s, int status)
{
	flush_all(s);
	sup_result_write(s, status);
	sup_copiers_end(s);
	flush_all(s);
	sup_copiers_last(s);
	return status;
}

int supervise(struct host *h)
{
	struct supervisor *s = &sup;
	int status = EXIT_HOST, end_status;

	prepare(s, h);
	if (sup_open_signals(s) < 0 || confine(s) < 0) {
		sup_result_conclude(s, EXIT_HOST);
		return finish(s, h->c->run.on ? EXIT_RUN_FAILED : EXIT_HOST);
	}
	terminal_raw(&h->term);
	sup_window_size(s);
	s->began = now_ms();
	do {
		uint64_t from = now_ms();

		if (sup_start(s) < 0)
			sup_force(s, s->starts == 1 ? EXIT_HOST : EXIT_ROLE_DIED);
		if (s->starts > 1)
			sup_verbose(s, "started again in %llu ms", (unsigned long long)(now_ms() - from));
		run_once(s);
		status = sup_conclude(s);
		/* What follows is advice. With run, the reason may be about the command. */
		s->message_final = status >= 0 && !s->c->run.on;
		sup_report_mute(s, status);
		sup_clean(s);
	} while (status < 0);
	end_status = status;
	if (s->c->run.on)
		status = s->c->run.rounds ? sup_rounds_status(s, status) : sup_run_status(s, status);
	notify_status(h->notify, end_status == EXIT_POWEROFF || !*s->message ? "The guest has ended" : s->message);
	sup_result_conclude(s, end_status);
	sup_ports_report(s);
	sup_limits_end(s);
	sup_control_over(s, status);
	status = finish(s, status);
	terminal_restore(&h->term);
	return status;
}
