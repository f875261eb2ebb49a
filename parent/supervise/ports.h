/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The supervisor's side of the named ports (--port, lguest-sep run): it writes bytes
 * from the guest to files. With lguest-sep run, it also passes on the command's
 * standard streams and receives the report how the command ended. The bytes come from
 * the guest and are not trusted. Each port has one buffer, and the supervisor reads
 * no more from the guest before that buffer is written.
 */
#ifndef PARENT_SUPERVISE_PORTS_H
#define PARENT_SUPERVISE_PORTS_H

#include "parent/supervise/state.h"

/* Reset all ports, before the first start of the guest. */
void sup_ports_prepare(struct supervisor *s);
/*
 * Make the socket pairs of this start. @far[i] gets the vCPU process's end of port i; the caller closes it.
 * Returns 0, or -1 with errno set.
 */
int sup_ports_start(struct supervisor *s, int far[MAX_PORTS]);
/* Close the sockets of this start. */
void sup_ports_clean(struct supervisor *s);

/*
 * What ppoll() is to wait for. sup_port_fd() returns the socket of port @i and sets *@events; sup_port_file() returns
 * the file that port @i writes to, for POLLOUT. Both return -1 if there is nothing to wait for.
 */
int sup_port_fd(const struct supervisor *s, unsigned i, short *events);
int sup_port_file(const struct supervisor *s, unsigned i);
/* With run: returns the user's standard input, to be polled for the command, or -1 if it is not to be read now. */
int sup_run_stdin(const struct supervisor *s);
/* ppoll() reported that port @i, its file, or (with run) the user's standard input is ready. Each acts once. */
void sup_port_ready(struct supervisor *s, unsigned i, short revents);
void sup_port_write(struct supervisor *s, unsigned i);
void sup_run_read_stdin(struct supervisor *s);
/* Close port @i: the vCPU process is dead, and nothing is left to read. */
void sup_port_close(struct supervisor *s, unsigned i);
/* True until all ports are closed and everything that was read from them is written. */
bool sup_ports_busy(const struct supervisor *s);
/*
 * Once the guest was ended from outside, drops output whose reader has read nothing for 10 s. Call it with the
 * current time @now (ms). Returns when to call it again (ms), or 0 if nothing waits.
 */
uint64_t sup_ports_deadline(struct supervisor *s, uint64_t now);

/* With run: send @signal to the command. Returns false if no command runs (without run; before; after its end). */
bool sup_run_signal(struct supervisor *s, int signal);

/*
 * With rounds, when the guest stands still: reads what it has sent so far. Returns true if all of it was read and
 * written; otherwise call it again when a port or its file is ready.
 */
bool sup_ports_drained(struct supervisor *s);
/* Forget the report, and let no byte so far count for the next one: the guest goes back to its checkpoint. */
void sup_ports_next_round(struct supervisor *s);

/* Print one line for each port of which bytes were dropped. */
void sup_ports_report(struct supervisor *s);

/* Returns the report of the guest's init, or NULL if no well-formed one has arrived. Owned by this file. */
const struct run_result *sup_run_result(const struct supervisor *s);
/* True if all bytes of standard output and standard error that @r names have been received (in this round). */
bool sup_run_complete(const struct supervisor *s, const struct run_result *r);

/* What the guest wrote to port @i in this run of lguest-sep, and how much of it was dropped. */
void sup_port_counts(const struct supervisor *s, unsigned i, uint64_t *bytes, uint64_t *dropped);

#endif
