/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The supervisor's state and its parts. It runs after the privileged window,
 * without any privilege: one ppoll() loop, fixed memory, nothing opened.
 */
#ifndef PARENT_SUPERVISE_H
#define PARENT_SUPERVISE_H

#include "console.h"
#include "qmp.h"
#include "setup.h"

#define CONSOLE_OUT_SIZE 65536
#define CONSOLE_IN_SIZE	 4096
#define LINES_SIZE	 16384

enum phase {
	PHASE_STARTING, /* until every role has said that it is ready */
	PHASE_RUNNING,
	PHASE_ENDING, /* the vCPU process has ended; the helpers are to follow */
	PHASE_DONE,
};

struct sup_role {
	struct role_host *host;
	int device; /* index into config.device[], or -1: the vCPU process */
	int ctl;    /* -1: closed */
	bool live;  /* started, and not yet ended */
	bool ready;
	/* Helpers: what their successors get. -1: none */
	int front;			 /* our own front-end's connection: the helper's end of it */
	int inflight;			 /* disks: requests taken and not finished (common/inflight.h) */
	uint32_t generation;		 /* restarts since the guest's start */
	uint64_t down_since, restart_at; /* ms; 0: not down */
	uint32_t missing;
	struct spawn_msg end; /* how it ended */
	bool end_told;	      /* the user knows it */
	struct log_limit limit;
	struct stats stats; /* the last counters that it sent */
	bool have_stats, stats_asked;
	char diag[LOG_LINE_MAX]; /* a line of its standard error, not yet whole */
	size_t diag_len;
	char said[LOG_LINE_MAX]; /* the last such line, held back: it may be the reason of its end */
	uint64_t said_at;	 /* ms; 0: none */
};

struct supervisor {
	struct host *h;
	const struct config *c;
	unsigned nroles;
	struct sup_role role[MAX_ROLES];
	enum phase phase;
	unsigned starts;								   /* of the guest */
	uint64_t began, started, stop_by, nics_stop_by, button_until, blame_at, let_go_at; /* ms; 0: not set */
	uint64_t ready_us; /* when all processes were confined and running; 0: not yet */

	/* The guest's console and QEMU's channels; -1: closed. */
	int con_in, con_out, serial, monitor;
	struct outbuf in, out, err;
	uint64_t lines_from,
		lines_until;	/* ms: since when and how long lines wait for the guest's to end; 0: none does */
	bool stdin_open, heard; /* the guest has put out something since its start */
	bool ran, greeted;	/* the vCPU process has said so, QEMU's monitor has, since the guest's start */
	struct ctrl_c ctrl_c;
	struct panic_watch panic, panic_serial;
	struct qmp qmp;

	/* Why it ends. */
	bool have_end;
	enum guest_end end;
	char end_text[LOG_LINE_MAX];
	int status;		 /* -1: not decided from outside the guest */
	struct sup_role *blamed; /* a helper that ended first */

	/* When helpers were started again: the last ones, in a ring. */
	uint64_t restarted_at[MAX_RESTARTS];
	unsigned restarts;

	pid_t pid; /* our own */
	int sigfd;
	int mem; /* of this start */
};

/* The vCPU process is the last role. */
static inline struct sup_role *sup_vcpu(struct supervisor *s)
{
	return &s->role[s->nroles - 1];
}

/*
 * Run the guest of @h until it ends for good; its exit status. The caller has
 * given up every privilege before.
 */
int supervise(struct host *h);

/* parent/supervise_start.c: memory, channels, processes of one start. 0, or -1 having said why. */
int sup_start(struct supervisor *s);
/* A successor for helper @r, which has ended. 0, or -1 having said why. */
int sup_start_again(struct supervisor *s, struct sup_role *r);
/* Close what sup_start() made; every role has ended. */
void sup_clean(struct supervisor *s);

/* parent/supervise_msg.c: what roles and spawners say. */
void sup_role_spawner(struct supervisor *s, struct sup_role *r);
void sup_role_ctl(struct supervisor *s, struct sup_role *r);
bool sup_role_diag(struct supervisor *s, struct sup_role *r); /* true: there may be more */
void sup_monitor(struct supervisor *s);
/* A command for QEMU's monitor; never waits. 0 or -1 with errno. */
int sup_command(struct supervisor *s, const char *command);
/* Ask every live role for its counters; they are printed as they come (SIGUSR1). */
void sup_ask_stats(struct supervisor *s);
/* The last counters of every role. */
void sup_print_stats(struct supervisor *s);
/* Print what a role's standard error said last and is still held back. */
void sup_let_out(struct supervisor *s, struct sup_role *r);
/* One line for the user; never waits. sup_verbose(): only with --verbose. */
void sup_line(struct supervisor *s, const char *fmt, ...) PRINTF_LIKE(2, 3);
void sup_verbose(struct supervisor *s, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Say which layers (LAYER_BIT) @who has to do without, in as many lines as it takes. */
void sup_lacks(struct supervisor *s, const char *who, uint32_t missing);

/* parent/supervise_io.c: the console. */
void sup_read_stdin(struct supervisor *s);
void sup_read_console(struct supervisor *s, int *fd, struct panic_watch *p);
void sup_close_console(int *fd, struct panic_watch *p); /* all of it has been read */
void sup_flush(struct supervisor *s, bool out_ready, bool err_ready, bool in_ready);
bool sup_wants_stdin(const struct supervisor *s);
/* Bytes of the guest's output that may be read now. */
size_t sup_console_room(const struct supervisor *s);
/* True if our lines go where the guest's output goes, between its lines. */
bool sup_lines_join(const struct supervisor *s);
/* Then: put those there that are in s->err, unless the guest is within a line and @now is false. */
void sup_join_lines(struct supervisor *s, bool now);
/* Lines and console output that are still in our buffers, for a bounded time. */
void sup_flush_all(struct supervisor *s);

/* parent/supervise_restart.c: helpers that ended while the guest runs. */
/* @r is to be started again; false if that is not wanted at all (--max-restarts=0). */
bool sup_restart_later(struct supervisor *s, struct sup_role *r, bool ended_well);
/* Start again what is due; too many within a minute end the guest. */
void sup_restart_due(struct supervisor *s);
uint64_t sup_restart_deadline(const struct supervisor *s); /* 0: none */
/* A helper is away, or was a moment ago. */
bool sup_restart_recent(const struct supervisor *s);
/* One that was started again is ready. */
void sup_restarted(struct supervisor *s, struct sup_role *r);

/* parent/supervise_end.c: decisions. */
#define BLAME_MS 500 /* for the vCPU process, to show that the guest ended */
/* How @r ended, with the last words of its standard error. */
void sup_end_text(struct sup_role *r, char *text, size_t size);
void sup_force(struct supervisor *s, int status); /* end the guest now, with that status */
void sup_guest_end(struct supervisor *s, enum guest_end end, const char *text);
void sup_role_ended(struct supervisor *s, struct sup_role *r);
bool sup_all_ended(const struct supervisor *s); /* every process of this start */
void sup_power_button(struct supervisor *s, int status);
void sup_deadlines(struct supervisor *s);
int sup_timeout_ms(const struct supervisor *s); /* until the next deadline; -1: none */
/* All have ended: -1 to start again, or the exit status. */
int sup_conclude(struct supervisor *s);

#endif
