// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The supervisor: the parent after its privileges are gone. It forwards the
 * console, watches its processes, and starts the guest again when it reboots.
 * It must never map guest memory, open a file, or wait for anybody but ppoll().
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "common/sandbox.h"
#include "policy/policies.h"
#include "supervise.h"

/* Signals, three standard descriptors, two pipes, two sockets; three of each role. */
#define MAX_POLL (8 + 3 * MAX_ROLES)

enum source {
	SRC_SIGNAL,
	SRC_STDIN,
	SRC_OUT,
	SRC_ERR,
	SRC_CON_IN,
	SRC_CON_OUT,
	SRC_SERIAL,
	SRC_MONITOR,
	SRC_SPAWNER,
	SRC_CTL,
	SRC_DIAG
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
static uint8_t out_buf[CONSOLE_OUT_SIZE], in_buf[CONSOLE_IN_SIZE], err_buf[LINES_SIZE];
static struct terminal *crash_terminal;

static void watch(struct poll_set *p, int fd, short events, enum source source, unsigned role)
{
	if (fd < 0)
		return;
	p->fd[p->n] = (struct pollfd){ .fd = fd, .events = events };
	p->tag[p->n].source = source;
	p->tag[p->n++].role = role;
}

static void fill(struct supervisor *s, struct poll_set *p)
{
	bool room = sup_console_room(s) > 0;

	p->n = 0;
	watch(p, s->sigfd, POLLIN, SRC_SIGNAL, 0);
	if (sup_wants_stdin(s))
		watch(p, s->h->term.in, POLLIN, SRC_STDIN, 0);
	if (s->out.len)
		watch(p, s->h->term.out, POLLOUT, SRC_OUT, 0);
	if (s->err.len && !sup_lines_join(s))
		watch(p, s->h->term.err, POLLOUT, SRC_ERR, 0);
	if (s->in.len)
		watch(p, s->con_in, POLLOUT, SRC_CON_IN, 0);
	if (room) {
		watch(p, s->con_out, POLLIN, SRC_CON_OUT, 0);
		watch(p, s->serial, POLLIN, SRC_SERIAL, 0);
	}
	watch(p, s->monitor, POLLIN, SRC_MONITOR, 0);
	for (unsigned i = 0; i < s->nroles; i++) {
		watch(p, s->role[i].host->spawner.sock, POLLIN, SRC_SPAWNER, i);
		watch(p, s->role[i].ctl, POLLIN, SRC_CTL, i);
		watch(p, s->role[i].host->diag, POLLIN, SRC_DIAG, i);
	}
}

static void stop_ourselves(struct supervisor *s)
{
	terminal_restore(&s->h->term);
	kill(s->pid, SIGSTOP);
	terminal_raw(&s->h->term);
}

static void on_signal(struct supervisor *s)
{
	struct signalfd_siginfo si;

	if (read(s->sigfd, &si, sizeof(si)) != sizeof(si))
		return;
	switch (si.ssi_signo) {
	case SIGTERM:
		sup_power_button(s, EXIT_SIGTERM);
		break;
	case SIGINT:
		sup_power_button(s, EXIT_THREE_CTRL_C);
		break;
	case SIGHUP:
		sup_power_button(s, EXIT_SIGHUP);
		break;
	case SIGQUIT:
		sup_line(s, "SIGQUIT: the guest is ended");
		sup_force(s, EXIT_SIGQUIT);
		break;
	case SIGTSTP:
		stop_ourselves(s);
		break;
	case SIGCONT:
		terminal_raw(&s->h->term);
		break;
	case SIGUSR1:
		sup_ask_stats(s);
		break;
	default:
		break;
	}
}

static void dispatch(struct supervisor *s, const struct poll_set *p, unsigned i)
{
	struct sup_role *r = &s->role[p->tag[i].role];

	switch (p->tag[i].source) {
	case SRC_SIGNAL:
		on_signal(s);
		break;
	case SRC_STDIN:
		sup_read_stdin(s);
		break;
	case SRC_OUT:
		sup_flush(s, true, false, false);
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
	case SRC_SPAWNER:
		sup_role_spawner(s, r);
		break;
	case SRC_CTL:
		if (r->ctl >= 0)
			sup_role_ctl(s, r);
		break;
	case SRC_DIAG:
		sup_role_diag(s, r);
		break;
	}
}

/* All processes have ended, and all that they said has been read. */
static bool is_over(const struct supervisor *s)
{
	if (s->phase < PHASE_ENDING || !sup_all_ended(s))
		return false;
	for (unsigned i = 0; i < s->nroles; i++)
		if (s->role[i].ctl >= 0)
			return false;
	return s->con_out < 0 && s->serial < 0 && s->monitor < 0;
}

/* Is it a channel that the vCPU process alone can have anything to say in? */
static bool is_vcpus(const struct supervisor *s, const struct poll_set *p, unsigned i)
{
	switch (p->tag[i].source) {
	case SRC_CON_OUT:
	case SRC_SERIAL:
	case SRC_MONITOR:
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
		sup_close_console(&s->con_out, &s->panic);
	} else if (source == SRC_SERIAL) {
		sup_close_console(&s->serial, &s->panic_serial);
	} else if (*fd >= 0) {
		close(*fd);
		*fd = -1;
	}
}

/*
 * The vCPU process was dead before @p was polled: what is not readable now has been
 * read to its end. End of file is not waited for: a taken vCPU process can have put
 * the other end into a message that nobody takes, where it stays open.
 */
static void let_go_of_vcpu(struct supervisor *s, const struct poll_set *p)
{
	for (unsigned i = 0; i < p->n; i++)
		if (!p->fd[i].revents && is_vcpus(s, p, i))
			close_channel(s, p->tag[i].source);
}

/* One start of the guest, from the first process to the last. */
static void run_once(struct supervisor *s)
{
	static struct poll_set p;

	while (!is_over(s)) {
		struct timespec wait;
		int ms, ready;
		bool last;

		sup_deadlines(s);
		/* Output that nobody takes any more is dropped here. */
		if (s->out.len && s->h->term.out < 0)
			sup_flush(s, true, false, false);
		if (s->err.len && s->h->term.err < 0)
			sup_flush(s, false, true, false);
		fill(s, &p);
		last = s->phase >= PHASE_ENDING && !sup_vcpu(s)->live && any_of_vcpu(s, &p);
		ms = last ? 0 : sup_timeout_ms(s);
		wait.tv_sec = ms / 1000;
		wait.tv_nsec = (long)(ms % 1000) * 1000000;
		ready = ppoll(p.fd, p.n, ms < 0 ? NULL : &wait, NULL);
		for (unsigned i = 0; ready > 0 && i < p.n; i++)
			if (p.fd[i].revents)
				dispatch(s, &p, i);
		if (last && ready >= 0)
			let_go_of_vcpu(s, &p);
	}
	s->phase = PHASE_DONE;
}

/* A fault of our own must not leave the terminal raw. */
static void on_crash(int sig)
{
	(void)sig;
	if (crash_terminal)
		terminal_restore(crash_terminal);
}

static int open_signals(struct supervisor *s)
{
	static const int fatal[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT };
	/* They mean nothing here, and would end us with the terminal as it is. */
	static const int idle[] = { SIGPIPE, SIGTTOU, SIGALRM, SIGUSR2, SIGVTALRM, SIGPROF, SIGIO, SIGPWR, SIGXCPU };
	struct sigaction crash = { .sa_handler = on_crash, .sa_flags = (int)SA_RESETHAND };
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	sigset_t set;

	crash_terminal = &s->h->term;
	for (unsigned i = 0; i < ARRAY_SIZE(fatal); i++)
		sigaction(fatal[i], &crash, NULL);
	for (unsigned i = 0; i < ARRAY_SIZE(idle); i++)
		sigaction(idle[i], &ignore, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGQUIT);
	sigaddset(&set, SIGTSTP);
	sigaddset(&set, SIGCONT);
	sigaddset(&set, SIGUSR1);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -1;
	s->sigfd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return s->sigfd < 0 ? -1 : 0;
}

static void prepare(struct supervisor *s, struct host *h)
{
	memset(s, 0, sizeof(*s));
	s->h = h;
	s->c = h->c;
	s->status = -1;
	s->mem = -1;
	s->pid = getpid();
	s->out = (struct outbuf){ .buf = out_buf, .size = sizeof(out_buf) };
	s->in = (struct outbuf){ .buf = in_buf, .size = sizeof(in_buf) };
	s->err = (struct outbuf){ .buf = err_buf, .size = sizeof(err_buf) };
	s->stdin_open = h->term.in >= 0;
	s->nroles = h->nroles;
	for (unsigned i = 0; i < s->nroles; i++) {
		s->role[i].host = &h->role[i];
		s->role[i].device = i + 1 < s->nroles ? (int)i : -1;
		s->role[i].ctl = -1;
		s->role[i].limit = (struct log_limit)LOG_LIMIT_INIT(40, 200);
	}
}

/* Landlock and the filter. Missing layers are said; with --strict they are a reason not to go on. */
static int confine(struct supervisor *s)
{
	struct sandbox_options o = { 0 };
	uint32_t missing;

	sandbox_forget_libraries();
	missing = sandbox_enter(&o);

	if (sandbox_filter(&policy_supervisor, &missing) < 0) {
		sup_line(s, "the supervisor's filter cannot be put on: %m");
		return -1;
	}
	/* a file in its place (before 3.17): the inode alone says that it is the guest's */
	if (!s->h->mem_sealed)
		missing |= LAYER_BIT(LAYER_MEMFD_SEAL);
	if (!missing)
		return 0;
	sup_lacks(s, "supervisor", missing);
	return s->c->strict ? -1 : 0;
}

int supervise(struct host *h)
{
	struct supervisor *s = &sup;
	int status = EXIT_HOST;

	prepare(s, h);
	if (open_signals(s) < 0 || confine(s) < 0) {
		sup_flush_all(s);
		return EXIT_HOST;
	}
	terminal_raw(&h->term);
	s->began = now_ms();
	do {
		uint64_t from = now_ms();

		if (sup_start(s) < 0)
			sup_force(s, s->starts == 1 ? EXIT_HOST : EXIT_ROLE_DIED);
		if (s->starts > 1)
			sup_verbose(s, "started again in %llu ms", (unsigned long long)(now_ms() - from));
		run_once(s);
		status = sup_conclude(s);
		sup_clean(s);
	} while (status < 0);
	sup_flush_all(s);
	terminal_restore(&h->term);
	return status;
}
