/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The serial port accepts no input before the guest reads it. Otherwise the guest's driver,
 * which empties the port when it opens it, would lose input. A key of sysrq is a break and
 * the key.
 */
#include <linux/serial_reg.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vcpu/kvm/pc.h"

static struct pc pc;
static unsigned wanted;

static void irq(void *owner, unsigned gsi, bool level)
{
	(void)owner;
	(void)gsi;
	(void)level;
}

static bool room(void *owner)
{
	(void)owner;
	return true;
}

static void out(void *owner, uint8_t c)
{
	(void)owner;
	(void)c;
}

static void in_wanted(void *owner)
{
	(void)owner;
	wanted++;
}

static void end(void *owner, enum guest_end why, const char *text)
{
	(void)owner;
	(void)why;
	(void)text;
}

static const struct pc_ops ops = { .irq = irq, .out_room = room, .out = out, .in_wanted = in_wanted, .end = end };

static int fresh(void **state)
{
	(void)state;
	memset(&pc, 0, sizeof(pc));
	pc_init(&pc, &ops, NULL);
	wanted = 0;
	return 0;
}

static size_t input(void)
{
	return pc_serial_input(&pc, (const uint8_t *)"typed", 5);
}

static void reg(unsigned r, uint8_t v)
{
	assert_true(pc_out(&pc, (uint16_t)(PC_SERIAL_PORT + r), 1, v));
}

static uint8_t read_reg(unsigned r)
{
	uint32_t v = 0;

	assert_true(pc_in(&pc, (uint16_t)(PC_SERIAL_PORT + r), 1, &v));
	return (uint8_t)v;
}

/* drivers/tty/serial/8250: probe, then what it does when a program opens the port. */
static void a_driver(void **state)
{
	(void)state;
	assert_int_equal(input(), 0);
	reg(UART_IER, 0);
	reg(UART_IER, 0x0f);
	assert_int_equal(input(), 0);
	reg(UART_IER, 0);
	reg(UART_TX, 'x');
	assert_int_equal(input(), 0);
	reg(UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_RCVR | UART_FCR_CLEAR_XMIT);
	read_reg(UART_LSR);
	read_reg(UART_RX);
	reg(UART_MCR, UART_MCR_OUT2);
	assert_int_equal(input(), 0);
	wanted = 0;
	reg(UART_IER, UART_IER_RLSI | UART_IER_RDI);
	assert_int_equal(wanted, 1);
	assert_int_equal(input(), 5);
	assert_int_equal(read_reg(UART_RX), 't');
	/* The program closes it. */
	reg(UART_IER, 0);
	assert_int_equal(input(), 0);
}

/* A guest without interrupts asks for input over and over; one that writes looks at the same register. */
static void a_guest_that_polls(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		read_reg(UART_LSR);
		reg(UART_TX, 'x');
	}
	assert_int_equal(input(), 0);
	wanted = 0;
	for (unsigned i = 0; i < 1000 && !wanted; i++)
		read_reg(UART_LSR);
	assert_int_equal(wanted, 1);
	assert_int_equal(input(), 5);
	assert_true(read_reg(UART_LSR) & UART_LSR_DR);
	assert_int_equal(read_reg(UART_RX), 't');
}

static void listen_to_it(void)
{
	reg(UART_FCR, UART_FCR_ENABLE_FIFO);
	reg(UART_MCR, UART_MCR_DTR | UART_MCR_RTS | UART_MCR_OUT2);
	reg(UART_IER, UART_IER_RDI);
}

static void a_key_after_a_break(void **state)
{
	static const uint8_t text[] = "x";

	(void)state;
	assert_false(pc_serial_sysrq(&pc, 'h')); /* Nobody reads. */
	listen_to_it();
	assert_true(pc_serial_sysrq(&pc, 'h'));
	assert_false(pc_serial_sysrq(&pc, 'i')); /* One at a time. */
	assert_int_equal(pc_serial_input(&pc, text, 1), 1);
	assert_int_equal(read_reg(UART_IIR) & 0x0f, UART_IIR_RDI);
	/* Reading LSR clears the break. */
	assert_int_equal(read_reg(UART_LSR) & (UART_LSR_BI | UART_LSR_DR), UART_LSR_BI | UART_LSR_DR);
	assert_int_equal(read_reg(UART_LSR) & (UART_LSR_BI | UART_LSR_DR), UART_LSR_DR);
	assert_int_equal(read_reg(UART_RX), 0);
	assert_int_equal(read_reg(UART_RX), 'h');
	assert_int_equal(read_reg(UART_RX), 'x');
	assert_false(read_reg(UART_LSR) & UART_LSR_DR);
	/* A guest that never reads LSR, and one that empties the port. */
	assert_true(pc_serial_sysrq(&pc, 'h'));
	read_reg(UART_RX);
	assert_false(read_reg(UART_LSR) & UART_LSR_BI);
	read_reg(UART_RX);
	assert_true(pc_serial_sysrq(&pc, 'h'));
	reg(UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_RCVR);
	assert_int_equal(read_reg(UART_LSR) & (UART_LSR_BI | UART_LSR_DR), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_driver, fresh),
		cmocka_unit_test_setup(a_guest_that_polls, fresh),
		cmocka_unit_test_setup(a_key_after_a_break, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
