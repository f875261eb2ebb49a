/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The connections of people who control the guest, and the channels to the
 * supervisor. Each connection makes one request (common/ctl.h, CTL_COMMAND), which is
 * answered here or passed to the supervisor. Only root and the owner of the guest may
 * make requests, and nothing that a connection sends is trusted.
 */
#ifndef CONTROLD_SERVE_H
#define CONTROLD_SERVE_H

#include "common/ctl.h"
#include "controld/scroll.h"

/* How long a connection may take to send its request (ms). */
#define REQUEST_MS 5000
/* Once the guest has ended: how long connections may take to receive what is left for them (ms). */
#define LEAVE_MS 2000

struct client {
	int fd;			  /* -1: this place is free. */
	uint32_t generation;	  /* Number of connections that had this place before. */
	uint32_t command;	  /* enum control_command; CONTROL_NONE: no request so far. */
	uint64_t deadline;	  /* Close the connection without a request then (ms). */
	bool joined;		  /* CONTROL_STATS, CONTROL_PARTS: the first message of the list was sent to it. */
	bool blocked;		  /* Its socket was full: wait for POLLOUT. */
	uint64_t at;		  /* CONTROL_LOGS and CONTROL_ATTACH: position in the scroll-back. */
	uint64_t until;		  /* CONTROL_LOGS: the position to end at; UINT64_MAX: none. */
	size_t in_len;		  /* Bytes in @in. */
	uint8_t in[LOG_LINE_MAX]; /* CONTROL_ATTACH: input that the supervisor has not taken yet. */
};

struct server {
	int listener, console, ctl; /* -1: closed. */
	uid_t owner;		    /* Who may connect besides root. */
	struct client client[MAX_CONTROL];
	bool have_state;	  /* CTL_STATE received. */
	struct guest_state state; /* As the supervisor sent it last, if @have_state. */
	bool over;		  /* CTL_OVER received. */
	uint32_t status;	  /* The guest's exit status, if @over. */
	uint64_t leave_at;	  /* Close all connections then (ms), if @over. */
	struct scroll scroll;
};

/* Prepare @s: descriptors as in common/fdtab.h, no connection. */
void server_init(struct server *s, int listener, int console, int ctl, uid_t owner);
/*
 * Wait for the next event or deadline, at most @most_ms (-1: no limit), and handle it. Returns false when
 * nothing is left to do: the supervisor is gone, or the guest has ended and all clients have been notified.
 */
bool server_turn(struct server *s, int most_ms);

#endif
