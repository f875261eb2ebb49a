/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Signals of the user and of the terminal: see signals.h. Runs in the supervisor. */
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "parent/supervise/end.h"
#include "parent/supervise/io.h"
#include "parent/supervise/lines.h"
#include "parent/supervise/msg.h"
#include "parent/supervise/ports.h"
#include "parent/supervise/signals.h"

/* How long the guest may take to power off after SIGINT or SIGHUP (SIGTERM: --stop-timeout). */
#define HURRIED_STOP_S 5

static struct terminal *crash_terminal;

static void stop_ourselves(struct supervisor *s)
{
	terminal_restore(&s->h->term);
	kill(s->pid, SIGSTOP);
	terminal_resume(&s->h->term);
	sup_window_size(s);
}

/*
 * With run, handle SIGINT, SIGTERM and SIGHUP and return true. ^C on a terminal goes to the command. Three ^C within a
 * second (unless --escape=off) and the other signals end the guest at once, because its init ignores a power button.
 */
static bool run_signal(struct supervisor *s, unsigned sig)
{
	static const uint8_t ctrl_c = 3;

	if (!s->c->run.on || (sig != SIGINT && sig != SIGTERM && sig != SIGHUP))
		return false;
	if (sig == SIGINT && s->h->run_tty && !escape_feed(&s->escape, s->c->escape_key, &ctrl_c, 1, now_ms()) &&
	    sup_run_signal(s, SIGINT))
		return true;
	sup_line(s, "signal %u: ending the guest", sig);
	sup_force(s, 128 + (int)sig);
	return true;
}

void sup_on_signal(struct supervisor *s)
{
	struct signalfd_siginfo si;

	if (read(s->sigfd, &si, sizeof(si)) != sizeof(si) || run_signal(s, si.ssi_signo))
		return;
	switch (si.ssi_signo) {
	case SIGTERM:
		sup_power_button(s, EXIT_SIGTERM, s->c->stop_timeout_s);
		break;
	case SIGINT:
		sup_power_button(s, EXIT_THREE_CTRL_C, HURRIED_STOP_S);
		break;
	case SIGHUP:
		sup_power_button(s, EXIT_SIGHUP, HURRIED_STOP_S);
		break;
	case SIGQUIT:
		sup_line(s, "SIGQUIT: ending the guest");
		s->hurried = true;
		sup_force(s, EXIT_SIGQUIT);
		break;
	case SIGTSTP:
		stop_ourselves(s);
		break;
	case SIGCONT:
		/* The shell may have changed the terminal's settings while we were stopped. */
		terminal_resume(&s->h->term);
		sup_window_size(s);
		break;
	case SIGWINCH:
		sup_window_size(s);
		break;
	case SIGUSR1:
		sup_ask_stats(s);
		break;
	default:
		break;
	}
}

/* A crash of the supervisor must not leave the terminal raw. */
static void on_crash(int sig)
{
	(void)sig;
	if (crash_terminal)
		terminal_restore(crash_terminal);
}

int sup_open_signals(struct supervisor *s)
{
	static const int fatal[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT };
	/* Signals without a use here, whose default action would end us with the terminal still raw. */
	static const int idle[] = { SIGPIPE, SIGTTOU, SIGALRM, SIGUSR2, SIGVTALRM, SIGPROF, SIGIO, SIGPWR, SIGXCPU };
	struct sigaction crash = { .sa_handler = on_crash, .sa_flags = (int)SA_RESETHAND };
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	static const int watched[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGTSTP, SIGUSR1 };
	struct sigaction before;
	sigset_t set;

	crash_terminal = &s->h->term;
	for (unsigned i = 0; i < ARRAY_SIZE(fatal); i++)
		sigaction(fatal[i], &crash, NULL);
	for (unsigned i = 0; i < ARRAY_SIZE(idle); i++)
		sigaction(idle[i], &ignore, NULL);
	sigemptyset(&set);
	/* A signal that was ignored at the start (nohup, a shell's background job) stays ignored. */
	for (unsigned i = 0; i < ARRAY_SIZE(watched); i++)
		if (sigaction(watched[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
			sigaddset(&set, watched[i]);
	sigaddset(&set, SIGCONT);
	sigaddset(&set, SIGWINCH);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -1;
	s->sigfd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return s->sigfd < 0 ? -1 : 0;
}
