/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The commands nmi, sysrq, checkpoint and reset: see steer.h. Runs in the supervisor. The keys of sysrq go
 * to the console from which the guest reads: on hvc0 after the byte ^O, in the stream of
 * its input; on a serial port after a break, which no stream can hold. The supervisor
 * sends the break through QEMU's monitor and the key when QEMU has confirmed it; no other
 * input can come between, because none is read meanwhile.
 */
#include <string.h>

#include "common/fmt.h"
#include "common/machine.h"
#include "parent/supervise/consoles.h"
#include "parent/supervise/lines.h"
#include "parent/supervise/monitor.h"
#include "parent/supervise/steer.h"

/* How long QEMU's monitor may take for a command. */
#define MONITOR_MS 5000

static const char *why_not(const struct supervisor *s)
{
	if (s->hold)
		return "it is paused; resume it first";
	if (s->phase >= PHASE_ENDING || s->have_end || s->status >= 0)
		return "it is just ending";
	return sup_guest_runs(s) ? NULL : "it is still starting; try again";
}

#define NO_ROOM "its vCPU process takes no messages; try again"

/* QEMU's monitor answers an error if the machine has no such interrupt, so its result is waited for. */
static const char *begin_nmi(struct supervisor *s, uint32_t ticket)
{
	if (s->nmi_until)
		return "another interrupt is being sent; try again";
	if (s->monitor < 0 || sup_command(s, QMP_NMI) < 0)
		return NO_ROOM;
	s->nmi_until = now_ms() + MONITOR_MS;
	s->late[LATE_NMI] = (struct late_answer){ .waits = true, .ticket = ticket };
	return NULL;
}

const char *sup_nmi(struct supervisor *s, uint32_t ticket, bool *later)
{
	const struct ctl_msg nmi = { .type = CTL_NMI };
	const char *reason = why_not(s);

	*later = false;
	if (reason)
		return reason;
	if (s->h->engine == ENGINE_LGUEST)
		return "a guest of the lguest engine has no non-maskable interrupt";
	if (s->h->engine == ENGINE_QEMU) {
		*later = true;
		return begin_nmi(s, ticket);
	}
	return sup_vcpu(s)->ctl >= 0 && ctl_send(sup_vcpu(s)->ctl, &nmi) == 0 ? NULL : NO_ROOM;
}

const char *sup_checkpoint(struct supervisor *s, bool reset)
{
	const struct ctl_msg m = { .type = reset ? CTL_RESET : CTL_CHECKPOINT };
	const char *reason = why_not(s);

	if (!s->c->checkpoint)
		return "it was started without --checkpoint";
	if (reason)
		return reason;
	if (s->c->run.rounds && !reset)
		return "it takes its only checkpoint itself (run --checkpoint-at)";
	return sup_vcpu(s)->ctl >= 0 && ctl_send(sup_vcpu(s)->ctl, &m) == 0 ? NULL : NO_ROOM;
}

static void end_nmi(struct supervisor *s, enum control_result result, const char *text)
{
	s->nmi_until = 0;
	sup_answer_later(&s->late[LATE_NMI], result, text);
}

void sup_nmi_sent(struct supervisor *s, bool sent)
{
	const struct machine *m = machine_get(s->c->machine);
	char text[sizeof(s->late[0].text)];

	if (sent) {
		end_nmi(s, CONTROL_DONE, "");
		return;
	}
	/* All machines of x86 have one. */
	if (m->family == FAMILY_X86)
		fmt_line(text, sizeof(text), "QEMU refused to send a non-maskable interrupt");
	else
		fmt_line(text, sizeof(text), "QEMU's machine %s has no non-maskable interrupt",
			 m->type[s->c->machine_type]);
	end_nmi(s, CONTROL_FAILED, text);
}

/* Put ^O and the key into the input of hvc0, after what waits there. */
static bool send_on_hvc(struct supervisor *s, char key)
{
	const uint8_t bytes[] = { SYSRQ_HVC, (uint8_t)key };

	if (outbuf_room(&s->in) < sizeof(bytes))
		return false;
	outbuf_put(&s->in, bytes, sizeof(bytes));
	return true;
}

/* QEMU: the descriptor that leads to the serial port; -1: closed. */
static int serial_fd(const struct supervisor *s)
{
	return s->serial_first ? s->con_in : s->serial;
}

/* QEMU: true if the guest reads hvc0, as far as the supervisor knows. */
static bool reads_hvc(struct supervisor *s)
{
	int fd = sup_input_fd(s);

	return fd < 0 ? false : fd != serial_fd(s);
}

static const char *begin_break(struct supervisor *s, char key, uint32_t ticket)
{
	if (s->sysrq_key)
		return "another key is being sent; try again";
	if (s->in.len)
		return "it does not read its serial port: input waits there";
	if (s->monitor < 0 || serial_fd(s) < 0 ||
	    sup_command(s, s->serial_first ? QMP_BREAK("con") : QMP_BREAK("other")) < 0)
		return NO_ROOM;
	s->sysrq_key = key;
	s->sysrq_until = now_ms() + MONITOR_MS;
	s->late[LATE_SYSRQ] = (struct late_answer){ .waits = true, .ticket = ticket };
	return NULL;
}

const char *sup_sysrq(struct supervisor *s, uint64_t key, uint32_t ticket, bool *later)
{
	const struct ctl_msg m = { .type = CTL_SYSRQ, .value = (uint32_t)key };
	const char *reason = why_not(s);

	*later = false;
	if (!reason && !sysrq_key_ok(key))
		reason = "sysrq: a key is one letter or digit";
	if (reason)
		return reason;
	if (s->h->engine == ENGINE_KVM)
		return sup_vcpu(s)->ctl >= 0 && ctl_send(sup_vcpu(s)->ctl, &m) == 0 ? NULL : NO_ROOM;
	if (s->h->engine == ENGINE_QEMU && !reads_hvc(s)) {
		*later = true;
		return begin_break(s, (char)key, ticket);
	}
	return send_on_hvc(s, (char)key) ? NULL : "it does not read its console: too much input waits there";
}

static void end_break(struct supervisor *s, enum control_result result, const char *text)
{
	s->sysrq_key = 0;
	s->sysrq_until = 0;
	sup_answer_later(&s->late[LATE_SYSRQ], result, text);
}

void sup_break_sent(struct supervisor *s, bool sent)
{
	int fd = serial_fd(s);

	if (!s->sysrq_key)
		return;
	if (!sent)
		end_break(s, CONTROL_FAILED, "QEMU refused to send a break on the serial port");
	else if (fd < 0 || fd != sup_input_fd(s) || !outbuf_room(&s->in))
		end_break(s, CONTROL_FAILED, "it does not read its serial port any more");
	else {
		/* Not written here: the port's descriptor would block if QEMU does not read it. */
		outbuf_put(&s->in, (const uint8_t *)&s->sysrq_key, 1);
		end_break(s, CONTROL_DONE, "");
	}
}

void sup_steer_over(struct supervisor *s)
{
	end_break(s, CONTROL_FAILED, "the guest is being started again");
	end_nmi(s, CONTROL_FAILED, "the guest is being started again");
}

/* Until when QEMU's monitor must greet us; 0: it has, or there is none. */
static uint64_t greet_by(const struct supervisor *s)
{
	return s->monitor >= 0 && s->phase == PHASE_RUNNING && s->guest_running && !s->qmp_ready && s->status < 0
		       ? s->greet_by
		       : 0;
}

void sup_steer_due(struct supervisor *s, uint64_t now)
{
	if (greet_by(s) && now >= s->greet_by) {
		sup_line(s, "vcpu: QEMU started, but its monitor did not answer within %d s; ending the guest",
			 GREET_MS / 1000);
		sup_force(s, EXIT_HOST);
	}
	if (s->sysrq_until && now >= s->sysrq_until)
		end_break(s, CONTROL_FAILED, "QEMU did not send a break on the serial port in time");
	if (s->nmi_until && now >= s->nmi_until)
		end_nmi(s, CONTROL_FAILED, "QEMU did not send a non-maskable interrupt in time");
}

uint64_t sup_steer_deadline(const struct supervisor *s)
{
	const uint64_t until[] = { greet_by(s), s->sysrq_until, s->nmi_until };
	uint64_t first = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(until); i++)
		if (until[i] && (!first || until[i] < first))
			first = until[i];
	return first;
}
