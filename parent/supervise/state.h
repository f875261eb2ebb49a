/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The supervisor's state, and how the end of a guest begins. The supervisor runs after
 * the privileged window without any privilege: one ppoll() loop, fixed memory, and it
 * opens no file.
 */
#ifndef PARENT_SUPERVISE_STATE_H
#define PARENT_SUPERVISE_STATE_H

#include "common/console_pair.h"
#include "parent/setup/setup.h"
#include "parent/supervise/qmp.h"
#include "parent/terminal/console.h"

#define CONSOLE_OUT_SIZE 65536
#define CONSOLE_IN_SIZE	 4096
#define LINES_SIZE	 16384
#define CONTROL_OUT_SIZE 16384
/* A log message waits until the guest has ended its current line, so that both stay readable. */
#define LINE_IDLE_MS 300  /* Print it anyway after this long without output of the guest. */
#define LINE_WAIT_MS 3000 /* Print it anyway after this long in any case. */

/* Limit and time stamps of the guest's console output (console_out.c). */
struct console_out {
	struct outbuf stamped; /* With timestamps: output that has its stamps. */
	uint64_t max;	       /* Most bytes of console output to write. */
	uint64_t written;      /* Bytes written so far. */
	uint64_t dropped;      /* Bytes dropped because of @max. */
	uint64_t utc_offset;   /* The time of day minus now_ms(), in ms. */
	bool mid_line;	       /* The last byte within @max did not end its line. */
	bool full;	       /* The limit was reached and reported. */
	uint64_t bytes;	       /* All that the guest wrote. */
};

enum phase {
	PHASE_STARTING, /* Until every role has sent CTL_READY. */
	PHASE_RUNNING,
	PHASE_ENDING, /* The vCPU process has ended; the helpers are being stopped. */
	PHASE_DONE,   /* All processes have ended; only buffered output is left. */
};

/* A pause of the guest (hold.c), in the order of its steps. */
enum hold {
	HOLD_NONE,
	HOLD_MONITOR, /* QEMU was asked to stop its guest. */
	HOLD_ROLES,   /* The spawners were asked to stop their roles. */
	HOLD_DONE,    /* The guest is paused. */
};

/* A reset that starts all helpers again (renew.c), in the order of its steps. */
enum renew {
	RENEW_NONE,
	RENEW_ENDING,	/* All helpers were asked to end. */
	RENEW_GONE,	/* CTL_HELPERS_GONE was sent. */
	RENEW_WANTED,	/* CTL_START_HELPERS was received. */
	RENEW_STARTING, /* Until all helpers are ready. */
};

struct sup_role {
	struct role_host *host;
	int device; /* Index into config.device[], or -1: the vCPU process. */
	int ctl;    /* Control channel; -1: closed. */
	bool live;  /* Started, and not yet ended. */
	bool ready; /* CTL_READY received. */
	/* Descriptors that a helper's successor gets; -1: none. */
	int front;		/* The helper's end of the connection with our own front-end. */
	int inflight;		/* blkd: requests begun and not finished (common/inflight.h). */
	bool front_idle;	/* Its front-end is connected, and has not begun to start the device (CTL_FRONT). */
	uint64_t front_by;	/* Until when QEMU must connect to this successor and say something (ms); 0: it has. */
	uint32_t generation;	/* Number of restarts since the guest's start. */
	uint64_t down_since;	/* When the helper ended (ms); 0: not down. */
	uint64_t restart_at;	/* When to restart it (ms); 0: not scheduled. */
	bool begins;		/* Its process is the first one after a reset (renew.c), and not yet ready. */
	uint64_t killed_at;	/* When SIGKILL was sent (ms); 0: not killed. */
	uint32_t missing;	/* Confinement layers that it lacks (LAYER_BIT()). */
	struct spawn_msg end;	/* The spawner's report of its end. */
	bool end_told;		/* The user has seen why it ended. */
	struct log_limit limit; /* Rate limit of its lines. */
	uint64_t cpu_ended_us;	/* Processor time of its earlier processes. */
	uint64_t cpu_now_us;	/* That of the present one, when its spawner was last asked. */
	uint64_t peak_rss_kib;	/* Most resident memory of any of its processes that have ended. */
	uint64_t faults;	/* Ring faults of the guest that it reported (CTL_FAULT). */
	struct stats stats;	/* The last counters that it sent. */
	struct stats before;	/* The sum of those of its earlier processes. */
	struct reset_stats resets, resets_before; /* vCPU process: the same for what resets took. */
	bool have_stats;			  /* It has sent counters. */
	bool stats_asked;			  /* The user asked for its counters (SIGUSR1). */
	bool hold_asked;			  /* Its spawner was asked to stop it, and has not answered yet. */
	bool hold_unsent;			  /* Its spawner could not be asked to stop it. */
	bool control_asked;			  /* A client of controld did, and it has not answered yet. */
	char diag[LOG_LINE_MAX];		  /* An incomplete line of its standard error. */
	size_t diag_len;			  /* Bytes in @diag. */
	char said[LOG_LINE_MAX]; /* The last complete line, held back: it may be the reason of its end. */
	uint64_t said_at;	 /* When @said was read (ms); 0: no line is held back. */
};

/* Commands whose result is known later. Each has one client at a time. */
enum { LATE_PAUSE, LATE_SYSRQ, LATE_NMI, LATE_ANSWERS };

struct late_answer {
	bool waits;		    /* A client waits for the result. */
	bool known;		    /* @result and @text are set; control.c sends them. */
	uint32_t ticket;	    /* The client. */
	enum control_result result; /* As in CTL_ANSWER. */
	char text[160];		    /* The same. */
};

/* Most commands of one wake-up: each client has one at a time. */
#define MAX_COMMANDS (2 * MAX_CONTROL)

struct supervisor {
	struct host *h;
	const struct config *c;
	unsigned nroles;
	struct sup_role role[MAX_ROLES];
	enum phase phase;
	unsigned starts; /* Number of starts of the guest. */
	/* Times in ms; 0: not set. */
	uint64_t began;	       /* The first start of the guest; --timeout counts from it. */
	uint64_t started;      /* This start of the guest. */
	uint64_t stop_by;      /* Kill every process that is still running. */
	uint64_t nics_stop_by; /* Kill every netd that is still running. */
	uint64_t button_until; /* End the guest if it has not powered off. */
	bool button_said;      /* The time limit is that of lguest-sep stop --timeout. */
	uint64_t blame_at;     /* Report the helper @blamed as the reason of the end. */
	uint64_t let_go_at;    /* Stop waiting for the last I/O of dead helpers. */
	uint64_t ready_us;     /* When all processes were confined and running (us); 0: not yet. */
	uint64_t running_us;   /* When the guest last began to run (us); 0: not yet. */

	/* The guest's console and QEMU's channels; -1: closed. */
	int con_in, con_out, serial, monitor, exit_port;
	struct outbuf in, out, err;
	struct console_out console;
	uint64_t lines_from;	    /* Since when log messages wait for the end of the guest's line (ms). */
	uint64_t lines_until;	    /* Until when they wait (ms); 0: none waits. */
	uint64_t taken_at;	    /* When a byte was last written to standard output or error (ms). */
	uint64_t drain_from;	    /* Since when output has a limited time to be read (ms); 0: no limit. */
	bool out_closed;	    /* The reader of standard output has closed it. */
	bool stdin_open;	    /* Our standard input has not ended. */
	bool heard;		    /* The guest has printed something since its start. */
	struct console_pair *pair;  /* Merges the two consoles that a guest has by default. */
	bool serial_first;	    /* The last console= names the serial port, which @con_in leads to then. */
	bool virtio_open;	    /* QEMU: the guest's driver has opened hvc0. */
	bool serial_reads;	    /* The guest has no hvc0, and gets its input from the serial port. */
	uint64_t first_output;	    /* When the guest first printed something in this start (ms); 0: not yet. */
	uint64_t last_output;	    /* When it last did (ms); 0: not yet. */
	bool guest_running;	    /* CTL_RUNNING received in this start. */
	uint64_t greet_by;	    /* When QEMU must have sent its QMP greeting (ms), once guest_running. */
	bool qmp_ready;		    /* QMP greeting received in this start. */
	bool told_ready;	    /* sup_tell_ready() has reported this start. */
	bool qemu_ended_itself;	    /* Event SHUTDOWN in this start, for another reason than the guest. */
	unsigned processors;	    /* Number of processors of this host. */
	uint64_t usage_at;	    /* When to ask for processor time again (ms). */
	bool cpu_timed_out;	    /* --cpu-timeout ended the guest. */
	int end_status;		    /* The exit status that a guest without run would have. */
	char message[LOG_LINE_MAX]; /* Our last message that may be the reason for the end. */
	bool message_final;	    /* @message is the reason: later messages are about lost output. */
	bool quoting;		    /* The current message quotes a role or the guest. */
	bool out_of_memory;	    /* The kernel killed the guest's processes because of --memory-max. */
	uint64_t oom_kills;	    /* How many of them, so far as it was read. */
	uint64_t memory_peak;	    /* Most memory of all the guest's processes (bytes); 0: not known. */
	uint64_t pids_refused;	    /* How often --pids-max refused a process or thread. */
	uint64_t reported_at;	    /* When the guest wrote to its exit port in this start (ms); 0: not yet. */
	uint8_t report;		    /* The first byte that it wrote there. */
	uint32_t window_size;	    /* The terminal's size as last sent to the vCPU process: WINDOW_SIZE(). */
	struct escape escape;	    /* Recent presses of the escape key. */
	struct panic_watch panic, panic_serial;
	struct qmp qmp;

	/* Why the guest ends. */
	bool have_end;		     /* @end and @end_text are set. */
	enum guest_end end;	     /* The guest's own reason. */
	char end_text[LOG_LINE_MAX]; /* Details of @end, printable. */
	int status;		     /* The exit status, if decided from outside the guest; -1: not decided. */
	bool hurried;		     /* The user wants the end at once: three ^C, SIGQUIT, a second signal. */
	int stop_status;	 /* The exit status if a guest that was asked to power off does not; 0: not asked. */
	uint64_t ended_at;	 /* When @end was reported (ms). */
	uint64_t panic_at;	 /* When the last line that looks like a panic was read (ms). */
	unsigned mute_starts;	 /* Starts in a row that ended in a reset without output. */
	struct sup_role *blamed; /* A helper that ended before the vCPU process. */
	uint64_t restarted_at[MAX_RESTARTS]; /* When helpers were restarted (ms); a ring of the last ones. */
	unsigned restarts;		     /* Number of restarts of helpers so far. */
	unsigned control_restarts;	     /* Those of controld among them. */
	uint32_t missing;		     /* Confinement layers that the supervisor lacks (LAYER_BIT()). */
	/* The control plane, if the guest has one. */
	int control_console;		      /* Stream socket to controld; -1: closed. */
	struct outbuf control_out;	      /* Console output for controld. */
	uint64_t control_taken;		      /* When controld last took some of it (ms). */
	bool control_stalled;		      /* It took none for too long: output is dropped. */
	struct guest_state control_state;     /* As it was sent last. */
	unsigned ncommands;		      /* Entries of @command. */
	struct ctl_msg command[MAX_COMMANDS]; /* Commands of controld's clients that wait to be run. */
	bool parts_asked;		      /* Clients want to know what the guest has (parts.c). */
	uint64_t stats_until; /* Send the counters then, or when all roles have sent theirs (ms); 0: not asked. */
	/* A key of the guest's kernel that is sent after a break on the serial port (steer.c). */
	char sysrq_key;	      /* 0: none. */
	uint64_t sysrq_until; /* How long QEMU may take to send the break (ms). */
	uint64_t nmi_until;   /* How long QEMU may take to confirm a non-maskable interrupt (ms); 0: none is sent. */
	struct late_answer late[LATE_ANSWERS];
	/* A pause of the guest. */
	enum hold hold;
	uint32_t hold_number; /* Number of the last request to the spawners. */
	uint64_t hold_until;  /* Latest end of the present step (ms). */
	uint64_t held_at;     /* When the pause began (ms). */
	uint64_t held_ms;     /* Duration of all earlier pauses. */
	enum renew renew;
	bool renew_keeps;	/* It is that of a checkpoint, which keeps what was written to snapshots. */
	uint64_t renew_kill_at; /* RENEW_ENDING: when to kill the helpers that are left (ms). */
	uint64_t renew_until;	/* Latest end of the step (ms). */
	bool over;		/* Controld knows the exit status. */
	pid_t pid;		/* Our own process ID. */
	int sigfd;		/* signalfd. */
	int mem;		/* Guest memory of this start. */
	uint32_t copied;	/* Files that a copier reads or writes for us: bits as in host.served. */
	int result_fd;		/* Where the result is written (--result); 0: nowhere. */
};

static inline bool sup_is_control(const struct sup_role *r)
{
	return r->host->role == ROLE_CONTROLD;
}

/* Returns the role of controld, which is the last but one, or NULL if the guest has none. */
static inline struct sup_role *sup_control(struct supervisor *s)
{
	return s->nroles > 1 && sup_is_control(&s->role[s->nroles - 2]) ? &s->role[s->nroles - 2] : NULL;
}

/* The vCPU process is the last role. */
static inline struct sup_role *sup_vcpu(struct supervisor *s)
{
	return &s->role[s->nroles - 1];
}

/*
 * If a helper ends first: how long to wait for the end of the vCPU process, which would explain it, before the helper
 * counts as the reason of the guest's end.
 */
#define BLAME_MS 500
/*
 * The same, if the helper exited with status 0, as it does when its front-end closes the connection. QEMU closes its
 * sockets early in its exit, and may take seconds for the rest on a busy host.
 */
#define VCPU_END_MS 5000

/* Kill the process of @r, and record when. */
void sup_kill(struct sup_role *r);
/* The result of a command is known: have @text and @result sent to the client that waits for it. */
void sup_answer_later(struct late_answer *l, enum control_result result, const char *text);
/*
 * Let the processes of a paused guest run again, because it is resumed, is asked to power off, or ends. The time of the
 * pause does not count for the limits of the guest. Does nothing if it is not paused.
 */
void sup_let_run(struct supervisor *s);
/* How long QEMU may take from CTL_RUNNING, after which the vCPU process becomes QEMU, to its greeting. */
#define GREET_MS 120000
/*
 * True if the guest has executed instructions in this start. With QEMU it does so only once its monitor was told to,
 * which is later than CTL_RUNNING.
 */
bool sup_guest_began(const struct supervisor *s);
/* True if the guest executes instructions or is paused, so that a command can be sent to it. */
bool sup_guest_runs(const struct supervisor *s);
/* The vCPU process has ended, or was never started: stop the helpers. */
void sup_begin_ending(struct supervisor *s);
/* True for netd, blkd and controld, false for the vCPU process. */
bool sup_is_helper(const struct supervisor *s, const struct sup_role *r);
/* True if the process of @r, which has ended, had exit status 0. */
bool sup_ended_well(const struct sup_role *r);

/* Write how @r ended, with its last line of standard error, to @text (@size bytes). */
void sup_end_text(struct sup_role *r, char *text, size_t size);
/* End the guest now. @status becomes the exit status, unless one was decided before. */
void sup_force(struct supervisor *s, int status);
/* Record why the guest ended, for sup_conclude(). A panic is not replaced by the reset that follows it. */
void sup_guest_end(struct supervisor *s, enum guest_end end, const char *text);
/* True if every process of this start has ended. */
bool sup_all_ended(const struct supervisor *s);
/* Forget what is known of the last process of @r, because another one is about to be started. */
void sup_role_fresh(struct sup_role *r);

#endif
