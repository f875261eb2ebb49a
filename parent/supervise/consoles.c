/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest's two consoles (see consoles.h). Runs in the supervisor and never
 * waits. The bytes come from the guest and are not trusted.
 */
#include "parent/supervise/consoles.h"
#include "parent/supervise/lines.h"

/*
 * Input can arrive before the guest reads its console. A guest without a driver for
 * hvc0 reads from the serial port as soon as one of its programs opens that port,
 * which the supervisor cannot observe. So the supervisor assumes that the port is
 * open once the guest has printed nothing for this time, or a minute after its first
 * output. Typed input waits for a shorter time than piped input: a person types when
 * a prompt has appeared, whereas a pipe has data from the beginning, when the guest's
 * init may still be about to load the driver for hvc0.
 */
#define TYPED_SILENCE_MS 2000
#define PIPED_SILENCE_MS 10000
#define SERIAL_LATEST_MS 60000

void sup_consoles_start(struct supervisor *s)
{
	s->heard = s->virtio_open = s->serial_reads = false;
	s->first_output = s->last_output = 0;
	if (s->pair)
		pair_reset(s->pair);
}

void sup_console_output(struct supervisor *s, bool serial, const uint8_t *buf, size_t n, pair_show show)
{
	s->heard = true;
	s->last_output = now_ms();
	if (!s->first_output)
		s->first_output = s->last_output;
	if (!s->pair)
		show(s, buf, n);
	else if (serial)
		pair_serial(s->pair, buf, n, show, s);
	else
		pair_virtio(s->pair, buf, n, show, s);
}

static bool input_is_undecided(const struct supervisor *s)
{
	return s->pair && s->pair->on && s->serial >= 0 && !s->virtio_open && s->pair->state == PAIR_SERIAL;
}

static uint64_t serial_from(const struct supervisor *s)
{
	unsigned silence = s->h->term.in_tty ? TYPED_SILENCE_MS : PIPED_SILENCE_MS;

	return MIN(s->last_output + silence, s->first_output + SERIAL_LATEST_MS);
}

int sup_input_fd(struct supervisor *s)
{
	if (!input_is_undecided(s))
		return s->con_in;
	if (s->hold)
		return -1;
	/* The choice is final: the guest's answers are output and must not start the silence again. */
	if (s->in.len && s->heard && now_ms() >= serial_from(s))
		s->serial_reads = true;
	return s->serial_reads ? s->serial : -1;
}

uint64_t sup_input_deadline(const struct supervisor *s, uint64_t now)
{
	if (!s->in.len || s->hold || !s->heard || s->serial_reads || !input_is_undecided(s))
		return 0;
	return serial_from(s) > now ? serial_from(s) : 0;
}

void sup_report_mute(struct supervisor *s, int status)
{
	bool of_host = status == EXIT_HOST || status == EXIT_ROLE_DIED || status == EXIT_RESTARTS;
	/* conclude_reboot() has already reported several resets without output. */
	bool reported = status == EXIT_GUEST_PANIC && s->have_end && s->end == GUEST_REBOOT;

	if (status < 0 || of_host || reported || !s->guest_running || s->heard || s->c->run.on || s->c->from ||
	    s->reported_at)
		return;
	if (s->c->no_kernel)
		sup_line(
			s,
			"the guest wrote nothing to its serial port, which is its console; what it writes to a VGA text buffer is not shown");
	else if (s->c->console_said)
		sup_line(
			s,
			"the guest wrote nothing to its consoles; does its kernel have the driver that console= names? Leave console= and quiet out, or try earlyprintk=serial,ttyS0");
	else
		sup_line(
			s,
			"the guest wrote nothing to its consoles; its kernel needs a driver for a serial port (8250) or a virtio console: leave quiet out, or try earlyprintk=serial,ttyS0");
}

/* True if the last console= of @cmdline begins with @kind ("ttyS", "ttyAMA", "hvc"). *@any: true if any console= does. */
static bool console_is(const char *cmdline, const char *kind, bool *any)
{
	const char *s = cmdline;
	bool last = false;

	*any = false;
	while ((s = strstr(s, "console="))) {
		if (s == cmdline || s[-1] == ' ') {
			last = !strncmp(s + strlen("console="), kind, strlen(kind));
			*any |= last;
		}
		s++;
	}
	return last;
}

void sup_console_config(struct supervisor *s, struct vcpu_config *v)
{
	static const char ours[] = "console=ttyS0 ";
	const char *serial = machine_get(s->c->machine)->family == FAMILY_ARM ? "ttyAMA" : "ttyS";
	bool any_serial, any_virtio, virtio = console_is(s->c->cmdline, "hvc", &any_virtio);
	const char *cmdline = s->c->cmdline;

	v->console_is_serial = s->serial_first = console_is(cmdline, serial, &any_serial);
	v->console_both = s->pair && virtio && any_serial && s->h->engine != ENGINE_LGUEST;
	v->console_is_virtio = s->c->console_said && virtio && !v->console_both;
	v->input_is_terminal = s->h->term.in_tty;
	v->window_size = s->window_size;
	if (s->pair)
		s->pair->on = v->console_both && s->h->engine == ENGINE_QEMU;
	/* A guest of the lguest engine has no serial port: remove the console= that our own default added. */
	if (s->h->engine == ENGINE_LGUEST && !s->c->console_said && !strncmp(cmdline, ours, strlen(ours)))
		cmdline += strlen(ours);
	fmt_line(v->cmdline, sizeof(v->cmdline), "%s", cmdline);
}
