/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The hostile front-end: cases that are run against the real executables of netd and blkd,
 * started as the supervisor does or stand-alone. The expected result of a case is a string,
 * which is compared with the observed one. For test programs only.
 */
#ifndef TESTS_HOSTILE_H
#define TESTS_HOSTILE_H

#include <stdio.h>

#include "common/ctl.h"
#include "tests/lib/front.h"

#define ALL UINT64_MAX
/* How long to wait for an answer that must come (ms); the machine may be busy and the build slow. */
#define PATIENCE 60000
/* How many looks, a millisecond apart, a process is given until it sleeps. */
#define FALLS_ASLEEP_MS 10000

/* ---- cases (main.c) ---- */

enum seen { NOT_ASKED, YES, NO };

/* The result of a case: a row of the table. */
struct report {
	char counted[48];
	enum seen alive;   /* served again after a reset, or a new connection */
	enum seen sibling; /* the other queue, or the next connection, was served meanwhile */
	char why[200];	   /* the first thing that did not hold */
};
extern struct report report;

extern char bin_dir[512];  /* where the executables are */
extern char self_dir[512]; /* where this program is */
extern char work_dir[64];  /* scratch, removed at the end */
extern bool sanitized;	   /* those executables carry a sanitizer */

/* Start a group of the table; run a case of it, which passes if the result is @expect and every need() held. */
void group(const char *name);
void play(const char *name, const char *expect, void (*fn)(const void *arg), const void *arg);
/* Ends the case unless @ok. */
void need_(bool ok, const char *what, const char *file, int line);
#define need(ok) need_(ok, #ok, __FILE__, __LINE__)
void counted(const char *fmt, ...) PRINTF_LIKE(1, 2);
/* The case cannot run on this host: count it as skipped and print the reason. */
void skipped(const char *why);
/* Start a thread that calls @fn repeatedly until threads_stop(); at most four. */
void thread_start(void (*fn)(void *arg), void *arg);
void threads_stop(void);

void rings_group(void);
void messages_group(void);
void block_group(void);
void block_host_group(void);
void nbd_group(void);
void net_group(void);
void socket_group(void);
void connection_group(void);
void reset_group(void);
void confinement_group(void);
void violations_group(void);
void taken_group(void);
void log_group(void);
void suites_group(void);

/* ---- a device under attack (device.c) ---- */

/*
 * Guest memory: one sparse file, four regions. A and B lie side by side, with a
 * hole behind B and around C; D is larger than 2 GiB.
 */
#define A_GPA	0x10000000ull
#define A_LEN	0x200000ull
#define B_GPA	(A_GPA + A_LEN)
#define B_LEN	0x100000ull
#define C_GPA	0x20000000ull
#define C_LEN	0x100000ull
#define D_GPA	0x100000000ull
#define D_LEN	0x90000000ull
#define MEM_LEN (A_LEN + B_LEN + C_LEN + D_LEN)
#define DATA	(A_GPA + 0x100000ull) /* where requests and frames lie */
#define TABLE	(A_GPA + 0x180000ull) /* indirect tables */

#define SECTORS 2048u /* of the test's disk */
#define RING	8     /* entries of a queue, unless a case wants more */

enum kind { BLKD, NETD };
struct dev_options {
	enum kind kind;
	bool open; /* a foreign front-end: stays in the first filter */
	bool read_only, sync;
	bool nbd;	     /* served by NBD: the connection is at f.sock, and there are no queues */
	bool direct;	     /* O_DIRECT: requests bypass the page cache, and stay in flight longer */
	bool any_memory;     /* as stand-alone: not the one that the parent made */
	int disk;	     /* image to use, or -1: one of the test's own */
	uint64_t file_limit; /* RLIMIT_FSIZE; 0: none */
	uint16_t size;	     /* of every queue; 0: RING */
};
#define DEV_QUEUES 4
struct dev {
	struct dev_options o;
	bool up;
	struct front f;
	struct front_queue *q[DEV_QUEUES];
	unsigned nq, victim, sibling; /* queues that cases are played on */
	int ctl, disk;
	/* since dev_case() */
	unsigned faults, fault_queue;
	enum guest_fault fault;
	struct stats before, stats;
	bool got_stats, got_ready;
	char said[LOG_LINE_MAX]; /* its last line */
};

/* Return the running device of that kind with fresh queues; start it if there is none. */
struct dev *dev_get(const struct dev_options *o);
/* Start a separate device with a connection, without sending a message. */
void dev_spawn(struct dev *d, const struct dev_options *o);
void dev_greet(struct dev *d); /* features, memory, eventfds; no ring started */
void dev_start(struct dev *d); /* all queues */
int dev_end(struct dev *d);    /* exit status, or -signal */
void dev_end_all(void);	       /* those of dev_get() */
void dev_fresh(struct dev *d, unsigned q, uint16_t size);
bool dev_memory(struct dev *d); /* SET_MEM_TABLE */
/* Receive the device's messages, then its counters. */
void dev_hear(struct dev *d);
const struct stats *dev_stats(struct dev *d);
/* Send a valid request through queue @q. Returns true if it is answered correctly. */
bool dev_serves(struct dev *d, unsigned q);
/* Returns a pointer to the guest address @gpa of any region. */
void *at(struct dev *d, uint64_t gpa);
/* Return the number of open descriptors of process @pid, and its mapped bytes. */
unsigned open_fds(pid_t pid);
uint64_t mapped(pid_t pid);
/*
 * True if process @pid sleeps, in each of 100 looks one after the other. A process that is woken without end is never
 * seen asleep, however busy the machine is.
 */
bool falls_asleep(pid_t pid);

/*
 * End a case on queue d->victim. Waits for the queue's fault (unless @fault is false), checks
 * that the sibling queue works and that exactly one fault was counted, resets the queue and
 * checks that it works. The result is the fault's symbol, or "served".
 */
void dev_judge(struct dev *d, bool fault);

/* Open a file on a file system that never answers. Returns -1 with errno set on failure; needs root. */
int stall_open(void);

/*
 * Fill @b with a valid chain of exactly @n buffers: header, status and a read in n - 2 pieces
 * at @data, or a frame in n pieces. Returns n.
 */
unsigned good_chain(struct dev *d, struct front_buf *b, unsigned n, uint64_t data);
/* Check that the device answers the offered chain correctly; the result is then @text. */
void dev_takes(struct dev *d, const char *text);

/* Part of the groups of rings (races.c). */
void races(enum kind kind);

/* Make the host's side of netd's taps, in a new network namespace of this process. */
bool host_net(void);
extern int wire; /* packet socket on the tap */
extern int tap[2];
extern uint32_t tap_can; /* TUN_F_* */
extern const uint8_t guest_mac[6];

#endif
