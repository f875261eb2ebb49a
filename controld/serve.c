/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The loop of controld: see serve.h. Everything is non-blocking but ppoll(); each wake-up
 * handles a bounded number of messages, so that no connection keeps another one waiting.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clear.h"
#include "controld/serve.h"

/* Most connections, messages of the supervisor, and console messages to one client, in one wake-up. */
#define ACCEPT_BUDGET  32
#define MESSAGE_BUDGET 64
#define CONSOLE_BUDGET 64

/* One ppoll(): the supervisor's two channels, the listener, the clients. */
#define MAX_POLL (3 + MAX_CONTROL)

void server_init(struct server *s, int listener, int console, int ctl, uid_t owner)
{
	clear_object(s, sizeof(*s));
	s->listener = listener;
	s->console = console;
	s->ctl = ctl;
	s->owner = owner;
	for (unsigned i = 0; i < MAX_CONTROL; i++)
		s->client[i].fd = -1;
}

static void drop(struct client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	c->generation++;
}

/* Send @m, the last message of the connection, and close it. */
static void send_last(struct client *c, const struct ctl_msg *m)
{
	(void)ctl_send(c->fd, m);
	drop(c);
}

static void answer(struct client *c, enum control_result result, const char *text)
{
	struct ctl_msg m = { .type = CTL_ANSWER, .value = (uint32_t)result };

	fmt_line(m.text, sizeof(m.text), "%s", text);
	send_last(c, &m);
}

static void send_over(const struct server *s, struct client *c)
{
	struct ctl_msg m = { .type = CTL_OVER, .value = s->status };

	send_last(c, &m);
}

static bool streams(const struct client *c)
{
	return c->command == CONTROL_LOGS || c->command == CONTROL_ATTACH;
}

/* Send @c the part of the scroll-back that it asked for, until its socket is full. */
static void stream(struct server *s, struct client *c)
{
	struct ctl_msg m = { .type = CTL_CONSOLE };

	c->blocked = false;
	for (unsigned i = 0; i < CONSOLE_BUDGET && c->fd >= 0; i++) {
		uint64_t at = c->at;
		size_t most = c->until > at ? (size_t)MIN(c->until - at, sizeof(m.text)) : 0;

		m.count = (uint32_t)scroll_get(&s->scroll, &at, m.text, most);
		if (!m.count)
			break;
		if (ctl_send(c->fd, &m) < 0) {
			c->blocked = errno == EAGAIN || errno == ENOBUFS;
			if (!c->blocked)
				drop(c);
			return;
		}
		c->at = at;
	}
	if (c->fd < 0)
		return;
	if (s->over && c->at >= s->scroll.end)
		send_over(s, c);
	else if (c->at >= c->until)
		answer(c, CONTROL_DONE, "");
	else
		c->blocked = c->at < s->scroll.end;
}

/* ---- requests ---- */

static uint32_t ticket(const struct server *s, const struct client *c)
{
	return (uint32_t)(c - s->client) | c->generation << 8;
}

static struct client *by_ticket(struct server *s, uint32_t queue)
{
	struct client *c;

	if ((queue & 0xff) >= MAX_CONTROL)
		return NULL;
	c = &s->client[queue & 0xff];
	return c->fd >= 0 && ticket(s, c) == queue ? c : NULL;
}

static void ask_supervisor(struct server *s, struct client *c, uint64_t detail)
{
	struct ctl_msg m = { .type = CTL_COMMAND, .value = c->command, .detail = detail, .queue = ticket(s, c) };

	if (ctl_send(s->ctl, &m) < 0)
		answer(c, CONTROL_FAILED, "the supervisor does not answer; try again");
}

static void begin(struct server *s, struct client *c, const struct ctl_msg *m)
{
	c->command = m->value;
	c->joined = false;
	switch (c->command) {
	case CONTROL_STATUS: /* Answered by send_states(). */
	case CONTROL_WAIT:
		break;
	case CONTROL_LOGS:
		c->at = scroll_first(&s->scroll);
		c->until = m->detail & LOGS_FOLLOW ? UINT64_MAX : s->scroll.end;
		stream(s, c);
		break;
	case CONTROL_ATTACH:
		c->at = scroll_first(&s->scroll);
		c->until = UINT64_MAX;
		stream(s, c);
		break;
	default:
		ask_supervisor(s, c, m->detail);
		break;
	}
}

/* Pass on the input of @c. False if the supervisor does not take all of it now. */
static bool pass_input(struct server *s, struct client *c)
{
	ssize_t n = s->console < 0 ? -1 : write(s->console, c->in, c->in_len);

	if (n < 0 && s->console >= 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n < 0) {
		c->in_len = 0;
		return true;
	}
	memmove(c->in, c->in + n, c->in_len - (size_t)n);
	c->in_len -= (size_t)n;
	return !c->in_len;
}

static void client_message(struct server *s, struct client *c, const struct ctl_msg *m)
{
	if (c->command == CONTROL_NONE && m->type == CTL_COMMAND) {
		begin(s, c, m);
	} else if (c->command == CONTROL_ATTACH && m->type == CTL_CONSOLE) {
		memcpy(c->in, m->text, m->count);
		c->in_len = m->count;
		(void)pass_input(s, c);
	} else {
		drop(c);
	}
}

static void client_ready(struct server *s, struct client *c)
{
	struct ctl_msg m;

	for (unsigned i = 0; i < 4 && c->fd >= 0 && !c->in_len; i++) {
		int got = ctl_recv(c->fd, &m);

		if (got == 0)
			return;
		if (got < 0)
			drop(c);
		else
			client_message(s, c, &m);
	}
}

/* ---- new connections ---- */

/* Returns a free place, or that of the client that has been silent for the longest time; NULL if all are in use. */
static struct client *find_place(struct server *s)
{
	struct client *oldest = NULL;

	for (unsigned i = 0; i < MAX_CONTROL; i++) {
		struct client *c = &s->client[i];

		if (c->fd < 0)
			return c;
		if (c->command == CONTROL_NONE && (!oldest || c->deadline < oldest->deadline))
			oldest = c;
	}
	if (oldest)
		drop(oldest);
	return oldest;
}

static bool may_connect(const struct server *s, int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && len == sizeof(peer) &&
	       (peer.uid == 0 || peer.uid == s->owner);
}

static void turn_away(int fd, enum control_result why)
{
	struct client c = { .fd = fd };

	answer(&c, why, "");
}

static void accept_some(struct server *s)
{
	for (unsigned i = 0; i < ACCEPT_BUDGET; i++) {
		int fd = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		struct client *c;

		if (fd < 0)
			return;
		if (!may_connect(s, fd)) {
			turn_away(fd, CONTROL_REFUSED);
			continue;
		}
		c = find_place(s);
		if (!c) {
			turn_away(fd, CONTROL_BUSY);
			continue;
		}
		c->fd = fd;
		c->command = CONTROL_NONE;
		c->deadline = now_ms() + REQUEST_MS;
		c->blocked = false;
		c->in_len = 0;
		/* The request has often arrived already. Then the client is not silent, and keeps its place. */
		client_ready(s, c);
	}
}

/* ---- the supervisor ---- */

/* Send @m, one message of a list, to the clients whose command is @command. The list begins with index 0. */
static void pass_list(struct server *s, const struct ctl_msg *m, enum control_command command)
{
	for (unsigned i = 0; i < MAX_CONTROL; i++) {
		struct client *c = &s->client[i];

		if (c->fd < 0 || c->command != (uint32_t)command)
			continue;
		c->joined |= m->queue == 0;
		if (!c->joined)
			continue;
		if (m->queue + 1 == m->count)
			send_last(c, m);
		else if (ctl_send(c->fd, m) < 0)
			drop(c);
	}
	/* Clients that asked too late for this list are still waiting: request it again. */
	for (unsigned i = 0; i < MAX_CONTROL && m->queue + 1 == m->count; i++)
		if (s->client[i].fd >= 0 && s->client[i].command == (uint32_t)command)
			ask_supervisor(s, &s->client[i], 0);
}

/* Returns false if there is nothing to read. */
static bool read_console(struct server *s)
{
	uint8_t buf[4096];
	ssize_t n = s->console < 0 ? 0 : read(s->console, buf, sizeof(buf));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		s->console = -1; /* The supervisor is about to end; its other channel reports that. */
		return false;
	}
	scroll_put(&s->scroll, buf, (size_t)n);
	for (unsigned i = 0; i < MAX_CONTROL; i++)
		if (s->client[i].fd >= 0 && streams(&s->client[i]) && !s->client[i].blocked)
			stream(s, &s->client[i]);
	return true;
}

/* Most reads from the console's socket at the end: more than it can hold. */
#define LAST_READS 1024

/* The guest has ended: close the listener, and send each client its remaining output. */
static void end_all(struct server *s, uint32_t status)
{
	s->over = true;
	s->status = status;
	s->leave_at = now_ms() + LEAVE_MS;
	if (s->listener >= 0)
		close(s->listener);
	s->listener = -1;
	for (unsigned i = 0; i < LAST_READS && read_console(s); i++)
		;
	for (unsigned i = 0; i < MAX_CONTROL; i++) {
		struct client *c = &s->client[i];

		if (c->fd < 0)
			continue;
		if (streams(c))
			stream(s, c);
		else
			send_over(s, c);
	}
}

static void supervisor_message(struct server *s, const struct ctl_msg *m)
{
	struct client *c;

	switch (m->type) {
	case CTL_STATE:
		s->state = m->state;
		s->have_state = true;
		break;
	case CTL_ROLE_STATS:
	case CTL_ROLE_RESETS:
		pass_list(s, m, CONTROL_STATS);
		break;
	case CTL_PART:
		pass_list(s, m, CONTROL_PARTS);
		break;
	case CTL_ANSWER:
		c = by_ticket(s, m->queue);
		/* A client that asked to end the guest gets its answer when the guest has ended. */
		if (c && (m->value != CONTROL_DONE || (c->command != CONTROL_STOP && c->command != CONTROL_KILL)))
			send_last(c, m);
		break;
	case CTL_OVER:
		end_all(s, m->value);
		break;
	default:
		break;
	}
}

/* Returns false if the supervisor is gone. */
static bool supervisor_ready(struct server *s)
{
	struct ctl_msg m;

	for (unsigned i = 0; i < MESSAGE_BUDGET; i++) {
		int got = ctl_recv(s->ctl, &m);

		if (got < 0)
			return false;
		if (got == 0)
			return true;
		supervisor_message(s, &m);
	}
	return true;
}

static bool state_wanted(const struct server *s)
{
	for (unsigned i = 0; i < MAX_CONTROL; i++)
		if (s->client[i].fd >= 0 && s->client[i].command == CONTROL_STATUS)
			return true;
	return false;
}

/* Answer the clients that asked for the state. At the start of the guest they wait until the supervisor has sent it. */
static void send_states(struct server *s)
{
	struct ctl_msg m = { .type = CTL_STATE, .state = s->state };

	for (unsigned i = 0; i < MAX_CONTROL && s->have_state; i++)
		if (s->client[i].fd >= 0 && s->client[i].command == CONTROL_STATUS)
			send_last(&s->client[i], &m);
}

/* ---- the loop ---- */

static bool any_client(const struct server *s)
{
	for (unsigned i = 0; i < MAX_CONTROL; i++)
		if (s->client[i].fd >= 0)
			return true;
	return false;
}

/* Act on deadlines that have passed. Returns the milliseconds until the next one, at most @most_ms; -1: none. */
static int deadlines(struct server *s, int most_ms)
{
	uint64_t now = now_ms(), first = s->over ? s->leave_at : UINT64_MAX;

	for (unsigned i = 0; i < MAX_CONTROL; i++) {
		struct client *c = &s->client[i];

		if (c->fd < 0 || (c->command != CONTROL_NONE && !s->over))
			continue;
		if (now >= (s->over ? s->leave_at : c->deadline))
			drop(c);
		else
			first = MIN(first, s->over ? s->leave_at : c->deadline);
	}
	if (first == UINT64_MAX)
		return most_ms;
	first = first > now ? first - now : 0;
	return most_ms < 0 ? (int)first : MIN(most_ms, (int)first);
}

static short client_events(const struct client *c)
{
	return (short)((c->in_len ? 0 : POLLIN) | (c->blocked ? POLLOUT : 0));
}

static bool input_waits(const struct server *s)
{
	for (unsigned i = 0; i < MAX_CONTROL; i++)
		if (s->client[i].fd >= 0 && s->client[i].in_len)
			return true;
	return false;
}

static void console_ready(struct server *s, short revents)
{
	if (revents & (POLLIN | POLLHUP | POLLERR))
		(void)read_console(s);
	for (unsigned i = 0; i < MAX_CONTROL && revents & POLLOUT; i++)
		if (s->client[i].fd >= 0 && s->client[i].in_len && !pass_input(s, &s->client[i]))
			break;
}

static void one_client(struct server *s, struct client *c, short revents)
{
	if (revents & POLLOUT && c->blocked)
		stream(s, c);
	if (c->fd >= 0 && revents & (POLLIN | POLLHUP | POLLERR)) {
		if (c->in_len && revents & (POLLHUP | POLLERR))
			drop(c);
		else
			client_ready(s, c);
	}
}

bool server_turn(struct server *s, int most_ms)
{
	struct pollfd p[MAX_POLL];
	uint32_t generation[MAX_CONTROL];
	int ms = deadlines(s, most_ms), ready;
	struct timespec wait = { ms / 1000, (long)(ms % 1000) * 1000000 };
	bool alive;

	if (s->over && !any_client(s))
		return false;
	p[0] = (struct pollfd){ .fd = s->ctl, .events = POLLIN };
	p[1] = (struct pollfd){ .fd = s->console, .events = (short)(POLLIN | (input_waits(s) ? POLLOUT : 0)) };
	p[2] = (struct pollfd){ .fd = s->listener, .events = POLLIN };
	for (unsigned i = 0; i < MAX_CONTROL; i++) {
		p[3 + i] = (struct pollfd){ .fd = s->client[i].fd, .events = client_events(&s->client[i]) };
		generation[i] = s->client[i].generation;
	}
	ready = ppoll(p, MAX_POLL, ms < 0 ? NULL : &wait, NULL);
	if (ready <= 0)
		return true;
	/* Output first: what the guest printed before its end is sent before the end. */
	if (p[1].revents)
		console_ready(s, p[1].revents);
	for (unsigned i = 0; i < MAX_CONTROL; i++)
		if (p[3 + i].revents && s->client[i].fd >= 0 && s->client[i].generation == generation[i])
			one_client(s, &s->client[i], p[3 + i].revents);
	if (p[2].revents && s->listener >= 0)
		accept_some(s);
	/* A state that was sent before a client asked is older than the question, even if ppoll() missed it. */
	alive = (!p[0].revents && !state_wanted(s)) || supervisor_ready(s);
	send_states(s);
	return alive;
}
