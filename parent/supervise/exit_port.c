/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * --exit-port: see exit_port.h. Runs in the supervisor. The number is a claim of the guest,
 * or of a vCPU process that it has taken over. The claim can only choose between success and
 * a status of its own, never one by which the supervisor reports its own observations.
 */
#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#include "parent/supervise/exit_port.h"
#include "parent/supervise/lines.h"
#include "parent/supervise/receive.h"

/*
 * QEMU's devices write to the console at once, except while its pipe is full: output that they kept then follows
 * as soon as the pipe has room.
 */
#define QUIET_MS  20   /* If the console has been silent for this long, nothing follows. */
#define LATEST_MS 2000 /* Latest end of a guest that goes on printing. */

void sup_exit_port_config(const struct supervisor *s, struct vcpu_config *v)
{
	v->exit_port = (uint8_t)s->c->exit_port.kind;
	v->exit_base = s->c->exit_port.at_qemu ? EXIT_PORT_QEMU : EXIT_PORT;
	v->checkpoint = s->c->checkpoint;
	v->shadow_paging = s->h->shadow_paging;
	v->resets = s->c->resets;
	v->rounds = s->c->run.rounds;
	v->fresh = s->c->fresh;
	v->run_ms = s->c->reset_on.timeout_ms;
	for (unsigned i = 0; i < RESET_ONS; i++)
		v->reset_on |= (uint8_t)(s->c->reset_on.on[i] << i);
	v->vmgenid_same = s->c->vmgenid_same;
	v->save = s->c->save != NULL;
	v->from = s->c->from != NULL;
	v->shmem_bytes = (uint32_t)s->h->shmem_bytes;
	v->shmem_ro = s->c->shmem.read_only;
}

void sup_reported(struct supervisor *s, uint8_t byte)
{
	/* Without --exit-port no report may set the exit status. */
	if (!s->c->exit_port.kind) {
		sup_guest_end(s, GUEST_ENGINE_FAILED, "sent the number of an exit port that the guest does not have");
		return;
	}
	if (s->reported_at)
		return;
	s->reported_at = now_ms();
	s->report = byte;
	sup_guest_end(s, GUEST_REPORTED, "");
}

void sup_close_exit_port(struct supervisor *s)
{
	if (s->exit_port >= 0)
		close(s->exit_port);
	s->exit_port = -1;
}

void sup_read_exit_port(struct supervisor *s)
{
	uint8_t buf[256];
	ssize_t n = sup_receive(s->exit_port, buf, sizeof(buf));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		sup_reported(s, buf[0]);
	else
		sup_close_exit_port(s);
}

/*
 * QEMU 7.2's test device of riscv machines (hw/misc/sifive_test.c) ends QEMU with exit() and sends no QMP event: with
 * status 0 for a power-off, otherwise with the low 8 bits of the guest's code. QEMU 8 and later send the event of a
 * power-off first.
 */
static void take_test_device(struct supervisor *s, const struct sup_role *vcpu, unsigned status)
{
	char text[128];

	if (s->have_end && s->end != GUEST_POWEROFF)
		return;
	/*
	 * QEMU itself also exits with 0 or 1: without a monitor if it never came to run the guest (-cpu help), after an
	 * event of its own if the host ended it, or after a line with the reason. The device prints nothing.
	 */
	if (!s->qmp_ready || s->qemu_ended_itself || vcpu->said_at)
		return;
	if (s->c->exit_port.kind == EXIT_PORT_SIFIVE_TEST) {
		sup_reported(s, (uint8_t)status);
	} else if (status == 0) {
		sup_guest_end(s, GUEST_POWEROFF, "");
	} else {
		fmt_line(text, sizeof(text),
			 "it wrote the code %u to its test device (--exit-port=sifive-test makes that a result)",
			 status);
		sup_guest_end(s, GUEST_CRASH, text);
	}
}

void sup_take_exit_status(struct supervisor *s)
{
	const struct sup_role *vcpu = &s->role[s->nroles - 1];
	int status = (int)vcpu->end.value;

	if (s->h->engine != ENGINE_QEMU || !s->guest_running || vcpu->killed_at || vcpu->end.type != SPAWN_ENDED ||
	    !WIFEXITED(status))
		return;
	if (machine_get(s->c->machine)->family == FAMILY_RISCV) {
		take_test_device(s, vcpu, WEXITSTATUS(status));
		return;
	}
	if (s->c->exit_port.kind != EXIT_PORT_ISA_DEBUG_EXIT || !(WEXITSTATUS(status) & 1))
		return;
	/* When QEMU cannot start it also exits with 1, but prints the reason first; the device prints nothing. */
	if (WEXITSTATUS(status) == 1 && vcpu->said_at)
		return;
	sup_reported(s, (uint8_t)(WEXITSTATUS(status) >> 1));
}

uint64_t sup_reported_deadline(const struct supervisor *s)
{
	const struct sup_role *vcpu = &s->role[s->nroles - 1];

	if (!s->reported_at || s->hold || !vcpu->live || vcpu->killed_at)
		return 0;
	return MIN(MAX(s->reported_at, s->last_output) + QUIET_MS, s->reported_at + LATEST_MS);
}

void sup_reported_due(struct supervisor *s, uint64_t now)
{
	uint64_t deadline = sup_reported_deadline(s);

	if (deadline && now >= deadline)
		sup_kill(sup_vcpu(s));
}

unsigned sup_reported_number(const struct supervisor *s)
{
	/* hw/misc/debugexit.c of QEMU: exit((val << 1) | 1) */
	return s->c->exit_port.kind == EXIT_PORT_ISA_DEBUG_EXIT ? (s->report << 1 | 1) & 0xff : s->report;
}

int sup_conclude_reported(struct supervisor *s)
{
	unsigned number = sup_reported_number(s);

	if (number == s->c->exit_port.success) {
		sup_verbose(s, "the guest reported %u through its exit port, which stands for success", number);
		return EXIT_POWEROFF;
	}
	sup_line(s, "the guest reported %u through its exit port", number);
	return EXIT_REPORTED;
}
