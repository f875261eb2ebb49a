/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The ports of a saved PC: see pc_saved.h. Runs in the vCPU process. */
#include <string.h>

#include "vcpu/kvm/pc_private.h"
#include "vcpu/kvm/pc_saved.h"

struct saved_ports {
	uint8_t ier, lcr, mcr, scr, fcr, dll, dlm, head, count, at_break, thr_pending, polls;
	uint8_t fifo[PC_SERIAL_FIFO];
	uint8_t cmos_index, zero;
	uint16_t pm_status, pm_enable, pm_control;
};
_Static_assert(sizeof(struct saved_ports) == 36, "no holes: the file has the same layout everywhere");

static void from_ports(const struct pc *pc, struct saved_ports *s)
{
	*s = (struct saved_ports){
		.ier = pc->uart.ier,
		.lcr = pc->uart.lcr,
		.mcr = pc->uart.mcr,
		.scr = pc->uart.scr,
		.fcr = pc->uart.fcr,
		.dll = pc->uart.dll,
		.dlm = pc->uart.dlm,
		.head = (uint8_t)pc->uart.head,
		.count = (uint8_t)pc->uart.count,
		.at_break = pc->uart.at_break,
		.thr_pending = pc->uart.thr_pending,
		.polls = (uint8_t)pc->uart.polls,
		.cmos_index = pc->cmos_index,
		.pm_status = pc->pm.status,
		.pm_enable = pc->pm.enable,
		.pm_control = pc->pm.control,
	};
	memcpy(s->fifo, pc->uart.fifo, sizeof(s->fifo));
}

static void to_ports(struct pc *pc, const struct saved_ports *s)
{
	pc->uart.ier = s->ier;
	pc->uart.lcr = s->lcr;
	pc->uart.mcr = s->mcr;
	pc->uart.scr = s->scr;
	pc->uart.fcr = s->fcr;
	pc->uart.dll = s->dll;
	pc->uart.dlm = s->dlm;
	memcpy(pc->uart.fifo, s->fifo, sizeof(s->fifo));
	pc->uart.head = s->head;
	pc->uart.count = s->count;
	pc->uart.at_break = s->at_break;
	pc->uart.thr_pending = s->thr_pending;
	pc->uart.polls = s->polls;
	pc->cmos_index = s->cmos_index;
	pc->pm.status = s->pm_status;
	pc->pm.enable = s->pm_enable;
	pc->pm.control = s->pm_control;
}

bool saved_pc(struct records *r, struct pc *pc)
{
	struct saved_ports s;

	from_ports(pc, &s);
	if (!record(r, RECORD_PORTS, 0, &s, sizeof(s)))
		return false;
	if (!r->reading)
		return true;
	if (s.head >= PC_SERIAL_FIFO || s.count > PC_SERIAL_FIFO)
		return record_fail(r, "the serial port has %u bytes of input from place %u on", s.count, s.head);
	if (!pc_uart_state_ok(s.ier, s.mcr, s.fcr, s.polls) || (s.at_break && !s.count))
		return record_fail(r, "the serial port's registers are 0x%x, 0x%x, 0x%x, %u", s.ier, s.mcr, s.fcr,
				   s.polls);
	if (s.cmos_index > 0x7f || !pc_pm_state_ok(s.pm_status, s.pm_control))
		return record_fail(r, "the registers of clock and power management are 0x%x, 0x%x, 0x%x", s.cmos_index,
				   s.pm_status, s.pm_control);
	if (!record_bool(r, s.at_break, "a break") || !record_bool(r, s.thr_pending, "a pending interrupt"))
		return false;
	to_ports(pc, &s);
	pc_uart_update(pc);
	pc_pm_update(pc);
	return true;
}
