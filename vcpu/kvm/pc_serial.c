/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A 16550A serial port at 0x3f8: the part of it that Linux's 8250 driver and early consoles
 * use. Runs in the vCPU process for each access of the guest, under the device lock.
 */
#include <linux/serial_reg.h>

#include "vcpu/kvm/pc_private.h"

/* Bits that these registers have. */
#define IER_BITS 0x0f
#define MCR_BITS 0x1f

void pc_uart_update(struct pc *pc)
{
	bool rx = (pc->uart.ier & UART_IER_RDI) && pc->uart.count;
	bool tx = (pc->uart.ier & UART_IER_THRI) && pc->uart.thr_pending;
	bool level = rx || tx;

	if (level == pc->uart.level)
		return;
	pc->uart.level = level;
	pc->ops->irq(pc->owner, PC_SERIAL_IRQ, level);
}

static bool loopback(const struct pc *pc)
{
	return pc->uart.mcr & UART_MCR_LOOP;
}

/*
 * Is the guest ready for input? When a program opens the port, Linux discards the input in
 * the FIFO, so earlier input would be lost. After that it enables the receive interrupt and
 * sets OUT2, without which a PC delivers no interrupt; Linux's probes enable only the
 * interrupt. A guest that uses no interrupts polls LSR instead: it counts as ready after
 * this many reads.
 */
#define POLLS_TO_LISTEN 64

bool pc_uart_state_ok(uint8_t ier, uint8_t mcr, uint8_t fcr, unsigned polls)
{
	return !(ier & ~IER_BITS) && !(mcr & ~MCR_BITS) && !(fcr & ~UART_FCR_ENABLE_FIFO) && polls <= POLLS_TO_LISTEN;
}

static bool listens(const struct pc *pc)
{
	return ((pc->uart.ier & UART_IER_RDI) && (pc->uart.mcr & UART_MCR_OUT2)) || pc->uart.polls >= POLLS_TO_LISTEN;
}

static void push(struct pc *pc, uint8_t c)
{
	if (pc->uart.count == PC_SERIAL_FIFO)
		return;
	pc->uart.fifo[(pc->uart.head + pc->uart.count++) % PC_SERIAL_FIFO] = c;
}

static uint8_t pop(struct pc *pc)
{
	uint8_t c;

	if (!pc->uart.count)
		return 0;
	c = pc->uart.fifo[pc->uart.head];
	pc->uart.at_break = false;
	pc->uart.head = (pc->uart.head + 1) % PC_SERIAL_FIFO;
	if (!--pc->uart.count)
		pc->ops->in_wanted(pc->owner);
	return c;
}

static uint8_t read_iir(struct pc *pc)
{
	uint8_t iir = UART_IIR_NO_INT;

	if ((pc->uart.ier & UART_IER_RDI) && pc->uart.count) {
		iir = UART_IIR_RDI;
	} else if ((pc->uart.ier & UART_IER_THRI) && pc->uart.thr_pending) {
		iir = UART_IIR_THRI;
		pc->uart.thr_pending = false;
	}
	/* Bits 6 and 7 report that FIFOs are enabled; by these drivers recognise a 16550A. */
	return iir | (pc->uart.fcr & UART_FCR_ENABLE_FIFO ? 0xc0 : 0);
}

/* Modem status: carrier, ready and clear to send; in loopback mode, the bits of MCR. */
static uint8_t read_msr(const struct pc *pc)
{
	uint8_t m = pc->uart.mcr, r = 0;

	if (!loopback(pc))
		return UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS;
	if (m & UART_MCR_RTS)
		r |= UART_MSR_CTS;
	if (m & UART_MCR_DTR)
		r |= UART_MSR_DSR;
	if (m & UART_MCR_OUT1)
		r |= UART_MSR_RI;
	if (m & UART_MCR_OUT2)
		r |= UART_MSR_DCD;
	return r;
}

static uint8_t read_lsr(struct pc *pc)
{
	uint8_t lsr = (pc->uart.count ? UART_LSR_DR : 0) | (pc->uart.at_break ? UART_LSR_BI : 0);

	pc->uart.at_break = false; /* Reading LSR clears it. */
	if (loopback(pc) || pc->ops->out_room(pc->owner))
		lsr |= UART_LSR_THRE | UART_LSR_TEMT;
	if (lsr == (UART_LSR_THRE | UART_LSR_TEMT) && pc->uart.polls < POLLS_TO_LISTEN &&
	    ++pc->uart.polls == POLLS_TO_LISTEN)
		pc->ops->in_wanted(pc->owner);
	return lsr;
}

uint8_t pc_uart_read(struct pc *pc, unsigned reg)
{
	bool dlab = pc->uart.lcr & UART_LCR_DLAB;
	uint8_t v;

	switch (reg) {
	case UART_RX:
		v = dlab ? pc->uart.dll : pop(pc);
		break;
	case UART_IER:
		v = dlab ? pc->uart.dlm : pc->uart.ier;
		break;
	case UART_IIR:
		v = read_iir(pc);
		break;
	case UART_LCR:
		v = pc->uart.lcr;
		break;
	case UART_MCR:
		v = pc->uart.mcr;
		break;
	case UART_LSR:
		v = read_lsr(pc);
		break;
	case UART_MSR:
		v = read_msr(pc);
		break;
	default:
		v = pc->uart.scr;
		break;
	}
	pc_uart_update(pc);
	return v;
}

static void transmit(struct pc *pc, uint8_t c)
{
	if (loopback(pc))
		push(pc, c);
	else
		pc->ops->out(pc->owner, c);
	pc->uart.thr_pending = loopback(pc) || pc->ops->out_room(pc->owner);
}

static void write_fcr(struct pc *pc, uint8_t v)
{
	pc->uart.fcr = v & UART_FCR_ENABLE_FIFO;
	if (v & UART_FCR_CLEAR_RCVR) {
		pc->uart.count = 0;
		pc->uart.at_break = false;
		pc->ops->in_wanted(pc->owner);
	}
}

void pc_uart_write(struct pc *pc, unsigned reg, uint8_t v)
{
	bool dlab = pc->uart.lcr & UART_LCR_DLAB, listened = listens(pc);

	pc->uart.polls = 0;
	switch (reg) {
	case UART_TX:
		if (dlab)
			pc->uart.dll = v;
		else
			transmit(pc, v);
		break;
	case UART_IER:
		if (dlab) {
			pc->uart.dlm = v;
			break;
		}
		/* Enabling the transmitter interrupt raises it at once if the transmitter is empty. */
		if ((v & UART_IER_THRI) && !(pc->uart.ier & UART_IER_THRI))
			pc->uart.thr_pending = pc->ops->out_room(pc->owner);
		pc->uart.ier = v & IER_BITS;
		break;
	case UART_FCR:
		write_fcr(pc, v);
		break;
	case UART_LCR:
		pc->uart.lcr = v;
		break;
	case UART_MCR:
		pc->uart.mcr = v & MCR_BITS;
		break;
	case UART_SCR:
		pc->uart.scr = v;
		break;
	default:
		break;
	}
	pc_uart_update(pc);
	if (!listened && listens(pc))
		pc->ops->in_wanted(pc->owner);
}

static size_t pc_serial_room(const struct pc *pc)
{
	return loopback(pc) || !listens(pc) ? 0 : PC_SERIAL_FIFO - pc->uart.count;
}

size_t pc_serial_input(struct pc *pc, const uint8_t *buf, size_t len)
{
	size_t n = MIN(len, pc_serial_room(pc));

	for (size_t i = 0; i < n; i++)
		push(pc, buf[i]);
	pc_uart_update(pc);
	return n;
}

bool pc_serial_sysrq(struct pc *pc, uint8_t key)
{
	if (pc_serial_room(pc) < PC_SERIAL_FIFO)
		return false;
	push(pc, 0); /* A break is received as a byte of zeros. */
	pc->uart.at_break = true;
	push(pc, key);
	pc_uart_update(pc);
	return true;
}

void pc_serial_drained(struct pc *pc)
{
	pc->uart.thr_pending = true;
	pc_uart_update(pc);
}
