/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The supervisor's side of the named ports: see ports.h. Never waits, opens nothing. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clear.h"
#include "parent/supervise/lines.h"
#include "parent/supervise/ports.h"
#include "parent/supervise/run_result.h"
#include "parent/terminal/copier.h"

#define PORT_BUFFER 16384
/*
 * Longest write() to a terminal whose open file description we share with other processes: it is not
 * O_NONBLOCK, so a longer write could block although poll() reported room.
 */
#define SMALL_WRITE 64
/* Most reads of one sup_ports_drained(): a vCPU process that was taken over may write without end. */
#define DRAIN_READS 64
/* How long a reader may take nothing, after the guest was ended from outside, before its output is dropped. */
#define LEAVE_MS 10000

struct port {
	int fd;			  /* Socket to the vCPU process; -1: closed. */
	size_t head, len;	  /* Bytes waiting in @buf, in bytes: first one, count. */
	uint64_t got;		  /* Bytes received from the guest. */
	uint64_t before;	  /* Those of earlier rounds. */
	uint64_t written;	  /* Bytes written to the file. */
	uint64_t dropped;	  /* Bytes from the guest that were not written. */
	int error;		  /* errno of the failed write to the file; 0: none. */
	uint8_t buf[PORT_BUFFER]; /* RUN_STDIN: bytes to the guest. Other ports: bytes from the guest. */
};

static struct {
	struct port port[MAX_PORTS];
	bool in_open;		  /* The user's standard input has not ended. */
	uint64_t progress;	  /* When the last byte was read or written, or the guest was ended (ms). */
	struct run_result result; /* The guest's report, as far as it has arrived. */
	size_t result_len;	  /* Bytes of @result that have arrived. */
	bool result_ok;		  /* @result is complete and well-formed. */
	bool taken_sent;	  /* RUN_TAKEN was sent to the guest. */
	bool leaving;		  /* The guest was ended from outside. */
} ports;

static bool is_run(const struct supervisor *s, unsigned i)
{
	return s->c->run.on && i < RUN_PORTS;
}

static bool is_input(const struct supervisor *s, unsigned i)
{
	return s->c->run.on && i == RUN_STDIN;
}

/* Returns the descriptor that the bytes of port @i are written to, or -1 if there is none. */
static int file_of(const struct supervisor *s, unsigned i)
{
	if (!is_run(s, i))
		return s->h->port_file[i];
	return i == RUN_STDOUT ? s->h->term.out : i == RUN_STDERR ? s->h->term.err : -1;
}

void sup_ports_prepare(struct supervisor *s)
{
	clear_object(&ports, sizeof(ports));
	for (unsigned i = 0; i < s->c->nports; i++)
		ports.port[i].fd = -1;
	/* Input of one round would be missing in the next. */
	ports.in_open = s->c->run.on && !s->c->run.rounds;
}

int sup_ports_start(struct supervisor *s, int far[MAX_PORTS])
{
	for (unsigned i = 0; i < s->c->nports; i++) {
		int sv[2];

		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv) < 0)
			return -1;
		ports.port[i].fd = sv[0];
		far[i] = sv[1];
	}
	return 0;
}

void sup_port_close(struct supervisor *s, unsigned i)
{
	struct port *p = &ports.port[i];

	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
	if (is_input(s, i))
		p->len = 0;
}

void sup_ports_clean(struct supervisor *s)
{
	for (unsigned i = 0; i < s->c->nports; i++)
		sup_port_close(s, i);
}

int sup_port_fd(const struct supervisor *s, unsigned i, short *events)
{
	const struct port *p = &ports.port[i];

	*events = POLLIN;
	if (is_input(s, i))
		*events = p->len ? POLLIN | POLLOUT : POLLIN;
	else if (p->len)
		return -1;
	return p->fd;
}

int sup_port_file(const struct supervisor *s, unsigned i)
{
	return ports.port[i].len && !is_input(s, i) ? file_of(s, i) : -1;
}

int sup_run_stdin(const struct supervisor *s)
{
	const struct port *p = &ports.port[RUN_STDIN];

	return s->c->run.on && ports.in_open && p->fd >= 0 && !p->len ? s->h->term.in : -1;
}

/* ---- to the guest ---- */

static void put_frame(struct port *p, enum run_frame_type type, unsigned value)
{
	struct run_frame f = { .type = (uint16_t)type, .value = (uint16_t)value };

	if (!p->len)
		p->head = 0;
	if (p->head + p->len + sizeof(f) > sizeof(p->buf))
		return;
	memcpy(p->buf + p->head + p->len, &f, sizeof(f));
	p->len += sizeof(f);
}

void sup_run_read_stdin(struct supervisor *s)
{
	struct port *p = &ports.port[RUN_STDIN];
	struct run_frame *f = (struct run_frame *)(void *)p->buf;
	ssize_t n = read(s->h->term.in, p->buf + sizeof(*f), RUN_FRAME_MAX);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		ports.in_open = false;
		put_frame(p, RUN_EOF, 0);
		return;
	}
	*f = (struct run_frame){ .type = RUN_DATA, .value = (uint16_t)n };
	p->head = 0;
	p->len = sizeof(*f) + (size_t)n;
}

bool sup_run_signal(struct supervisor *s, int sig)
{
	struct port *p = &ports.port[RUN_STDIN];

	if (!s->c->run.on || s->c->run.rounds || p->fd < 0 || ports.result_ok)
		return false;
	put_frame(p, RUN_SIGNAL, (unsigned)sig);
	return true;
}

static void write_input(struct supervisor *s)
{
	struct port *p = &ports.port[RUN_STDIN];
	ssize_t n = write(p->fd, p->buf + p->head, p->len);

	if (n > 0) {
		p->head += (size_t)n;
		p->len -= (size_t)n;
	} else if (n < 0 && errno != EAGAIN && errno != EINTR) {
		sup_port_close(s, RUN_STDIN);
	}
}

/* ---- from the guest ---- */

/* Only the guest's first report counts; bytes after it are dropped. */
static void take_result(struct port *p)
{
	size_t n = MIN(p->len, sizeof(ports.result) - ports.result_len);

	memcpy((uint8_t *)&ports.result + ports.result_len, p->buf, n);
	ports.result_len += n;
	p->len = 0;
	if (n && ports.result_len == sizeof(ports.result))
		ports.result_ok = run_result_ok(&ports.result);
}

const struct run_result *sup_run_result(const struct supervisor *s)
{
	return s->c->run.on && ports.result_ok ? &ports.result : NULL;
}

bool sup_run_complete(const struct supervisor *s, const struct run_result *r)
{
	const struct port *out = &ports.port[RUN_STDOUT], *err = &ports.port[RUN_STDERR];

	(void)s;
	return out->got - out->before >= r->out_bytes && err->got - err->before >= r->err_bytes;
}

/* Once the report and all of the output have arrived, tell the guest's init that it may power off. */
static void confirm(struct supervisor *s)
{
	static const uint8_t taken = RUN_TAKEN;

	if (!ports.result_ok || ports.taken_sent || ports.port[RUN_RESULT].fd < 0 ||
	    !sup_run_complete(s, &ports.result))
		return;
	ports.taken_sent = true;
	if (write(ports.port[RUN_RESULT].fd, &taken, 1) < 0)
		sup_port_close(s, RUN_RESULT);
}

/* Drop and count the bytes of port @i that would exceed the max= of its file. */
static void cut_at_max(struct supervisor *s, unsigned i, struct port *p)
{
	uint64_t left = s->c->port[i].max - MIN(s->c->port[i].max, p->written);

	if (is_run(s, i) || p->len <= left)
		return;
	p->dropped += p->len - left;
	p->len = (size_t)left;
}

static void drop(struct port *p)
{
	p->dropped += p->len;
	p->len = 0;
}

/* Returns false if there was nothing to read. */
static bool read_guest(struct supervisor *s, unsigned i)
{
	struct port *p = &ports.port[i];
	ssize_t n = read(p->fd, p->buf, sizeof(p->buf));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		sup_port_close(s, i);
		return false;
	}
	p->head = 0;
	p->len = (size_t)n;
	p->got += (uint64_t)n;
	ports.progress = now_ms();
	if (s->c->run.on && i == RUN_RESULT)
		take_result(p);
	else if (file_of(s, i) < 0 || p->error)
		drop(p);
	else
		cut_at_max(s, i, p);
	if (s->c->run.on)
		confirm(s);
	return true;
}

void sup_port_ready(struct supervisor *s, unsigned i, short revents)
{
	struct port *p = &ports.port[i];
	uint8_t unwanted[256];
	ssize_t n;

	if (p->fd < 0)
		return;
	if (!is_input(s, i)) {
		(void)read_guest(s, i);
		return;
	}
	if (revents & POLLOUT && p->len)
		write_input(s);
	if (p->fd < 0 || !(revents & (POLLIN | POLLHUP | POLLERR)))
		return;
	n = read(p->fd, unwanted, sizeof(unwanted));
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		sup_port_close(s, i);
}

static size_t step(const struct supervisor *s, unsigned i)
{
	const struct terminal *t = &s->h->term;

	if (!is_run(s, i))
		return PORT_BUFFER;
	if (i == RUN_STDOUT)
		return t->out_own ? PORT_BUFFER : t->out_tty ? SMALL_WRITE : 4096;
	return t->err_own ? PORT_BUFFER : t->err_tty ? SMALL_WRITE : 4096;
}

void sup_port_write(struct supervisor *s, unsigned i)
{
	struct port *p = &ports.port[i];
	ssize_t n = copier_write(file_of(s, i), p->buf + p->head, MIN(p->len, step(s, i)));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		p->error = errno;
		drop(p);
		/* As in a shell's pipeline, a command that writes to a pipe without a reader gets SIGPIPE. */
		if (p->error == EPIPE && is_run(s, i))
			(void)sup_run_signal(s, SIGPIPE);
		return;
	}
	p->head += (size_t)n;
	p->len -= (size_t)n;
	p->written += (uint64_t)n;
	ports.progress = now_ms();
}

bool sup_ports_busy(const struct supervisor *s)
{
	for (unsigned i = 0; i < s->c->nports; i++)
		if (ports.port[i].fd >= 0 || ports.port[i].len)
			return true;
	return false;
}

bool sup_ports_drained(struct supervisor *s)
{
	unsigned budget = DRAIN_READS;

	for (unsigned i = 0; i < s->c->nports; i++) {
		struct port *p = &ports.port[i];

		while (!is_input(s, i) && p->fd >= 0 && !p->len && budget && read_guest(s, i))
			budget--;
		if (p->len || !budget)
			return false;
	}
	return true;
}

void sup_ports_next_round(struct supervisor *s)
{
	for (unsigned i = 0; i < s->c->nports; i++)
		ports.port[i].before = ports.port[i].got;
	clear_object(&ports.result, sizeof(ports.result));
	ports.result_len = 0;
	ports.result_ok = ports.taken_sent = false;
}

uint64_t sup_ports_deadline(struct supervisor *s, uint64_t now)
{
	if (s->phase < PHASE_ENDING || s->status < 0 || !sup_ports_busy(s))
		return 0;
	if (!ports.leaving)
		ports.progress = now;
	ports.leaving = true;
	if (now < ports.progress + LEAVE_MS)
		return ports.progress + LEAVE_MS;
	for (unsigned i = 0; i < s->c->nports; i++) {
		ports.port[i].dropped += is_input(s, i) ? 0 : ports.port[i].len;
		ports.port[i].len = 0;
	}
	sup_ports_clean(s);
	return 0;
}

/* ---- at the end ---- */

void sup_ports_report(struct supervisor *s)
{
	for (unsigned i = 0; i < s->c->nports; i++) {
		const struct port *p = &ports.port[i];
		const struct port_option *o = &s->c->port[i];

		if (!p->dropped || (is_run(s, i) && (p->error == EPIPE || file_of(s, i) < 0 || i == RUN_RESULT)))
			continue;
		errno = p->error ? p->error : ETIMEDOUT;
		if (is_run(s, i))
			sup_line(s, "%s: %m; %llu bytes of the command's output are lost",
				 i == RUN_STDOUT ? "standard output" : "standard error",
				 (unsigned long long)p->dropped);
		else if (p->error)
			sup_line(s, "--port=%s:%s: %m; %llu bytes that the guest wrote are lost", o->name, o->path,
				 (unsigned long long)p->dropped);
		else
			sup_line(s, "--port=%s:%s: dropped %llu bytes beyond max=%llu", o->name, o->path,
				 (unsigned long long)p->dropped, (unsigned long long)o->max);
	}
}

void sup_port_counts(const struct supervisor *s, unsigned i, uint64_t *bytes, uint64_t *dropped)
{
	(void)s;
	*bytes = ports.port[i].got;
	*dropped = ports.port[i].dropped;
}
