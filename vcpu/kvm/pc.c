/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ports of a PC: clock, reset, ACPI power management, pvpanic. The serial port is in
 * pc_serial.c. Runs in the vCPU process for each access of the guest, under the device lock.
 * Each port is one byte; wider accesses are split into bytes.
 */
#include <string.h>
#include <time.h>

#include "common/utc.h"
#include "vcpu/kvm/pc_private.h"

/* ACPI 6.4, 4.8.3: PM1 registers */
#define PM1_PWRBTN     (1u << 8)
#define PM1_STATUS     (PM1_PWRBTN | 1u << 0 | 1u << 4 | 1u << 5 | 1u << 10 | 1u << 15)
#define PM1_SCI_EN     (1u << 0)
#define PM1_SLP_EN     (1u << 13)
#define PM1_SLP_TYP(v) (((v) >> 10) & 7)

/* Events of pvpanic (QEMU's docs/specs/pvpanic). */
#define PVPANIC_PANICKED    1u
#define PVPANIC_CRASHLOADED 2u

void pc_init(struct pc *pc, const struct pc_ops *ops, void *owner)
{
	memset(pc, 0, sizeof(*pc));
	pc->ops = ops;
	pc->owner = owner;
	pc->uart.dll = 1; /* Divisor for 115200 baud */
	pc->pm.control = PM1_SCI_EN;
}

static uint8_t bcd(unsigned v)
{
	return (uint8_t)((v / 10 % 10) << 4 | v % 10);
}

/* The clock, an MC146818: the host's time in UTC. It has no battery-backed memory. */
static uint8_t cmos_read(uint8_t index)
{
	struct timespec ts = { 0, 0 };
	unsigned year, month, day;
	uint64_t now;

	/* If the vDSO lacks this clock, the filter answers ENOSYS. Every vDSO has the coarse clock. */
	if (clock_gettime(CLOCK_REALTIME, &ts) != 0)
		clock_gettime(CLOCK_REALTIME_COARSE, &ts);
	now = ts.tv_sec > 0 ? (uint64_t)ts.tv_sec : 0;
	utc_date(now / 86400, &year, &month, &day);
	switch (index) {
	case 0x00:
		return bcd((unsigned)(now % 60));
	case 0x02:
		return bcd((unsigned)(now / 60 % 60));
	case 0x04:
		return bcd((unsigned)(now / 3600 % 24));
	case 0x06:
		return (uint8_t)((now / 86400 + 4) % 7 + 1);
	case 0x07:
		return bcd(day);
	case 0x08:
		return bcd(month);
	case 0x09:
		return bcd(year % 100);
	case 0x0a:
		return 0x26; /* Divider on, no update in progress */
	case 0x0b:
		return 0x02; /* 24 hours, BCD */
	case 0x0d:
		return 0x80;
	case 0x32:
		return bcd(year / 100);
	default:
		return 0;
	}
}

void pc_pm_update(struct pc *pc)
{
	bool level = pc->pm.status & pc->pm.enable & PM1_PWRBTN;

	if (level == pc->pm.level)
		return;
	pc->pm.level = level;
	pc->ops->irq(pc->owner, PC_SCI_IRQ, level);
}

bool pc_pm_state_ok(uint16_t status, uint16_t control)
{
	return !(status & ~PM1_PWRBTN) && (control & PM1_SCI_EN) && !(control & PM1_SLP_EN);
}

void pc_power_button(struct pc *pc)
{
	pc->pm.status |= PM1_PWRBTN;
	pc_pm_update(pc);
}

static uint8_t pm_read(const struct pc *pc, unsigned reg)
{
	const uint16_t r[] = { pc->pm.status, pc->pm.enable, pc->pm.control };

	return (uint8_t)(r[reg / 2] >> (8 * (reg & 1)));
}

static void pm_write(struct pc *pc, unsigned reg, uint8_t v)
{
	unsigned shift = 8 * (reg & 1);
	uint16_t bits = (uint16_t)(v << shift), keep = (uint16_t)(0xff00 >> shift);

	switch (reg / 2) {
	case 0: /* Writing 1 to a bit clears it */
		pc->pm.status &= (uint16_t) ~(bits & PM1_STATUS);
		break;
	case 1:
		pc->pm.enable = (uint16_t)((pc->pm.enable & keep) | bits);
		break;
	default:
		pc->pm.control = (uint16_t)((pc->pm.control & keep) | bits | PM1_SCI_EN);
		if (!(bits & PM1_SLP_EN))
			break;
		pc->pm.control &= (uint16_t)~PM1_SLP_EN;
		if (PM1_SLP_TYP(pc->pm.control) == PC_S5_TYPE)
			pc->ops->end(pc->owner, GUEST_POWEROFF, "power off");
		break;
	}
	pc_pm_update(pc);
}

static bool in8(struct pc *pc, uint16_t port, uint8_t *v)
{
	if (port >= PC_SERIAL_PORT && port < PC_SERIAL_PORT + 8)
		*v = pc_uart_read(pc, port - PC_SERIAL_PORT);
	else if (port >= PC_PM_PORT && port < PC_PM_PORT + 6)
		*v = pm_read(pc, port - PC_PM_PORT);
	else if (port == PC_CMOS_PORT + 1)
		*v = cmos_read(pc->cmos_index);
	else if (port == PC_I8042_PORT || port == PC_I8042_DATA)
		*v = 0;
	else if (port == pc->exit_base && pc->exit_port)
		*v = 0;
	else if (port == PC_PVPANIC_PORT)
		*v = PVPANIC_PANICKED | PVPANIC_CRASHLOADED;
	else
		return false;
	return true;
}

static bool out8(struct pc *pc, uint16_t port, uint8_t v)
{
	if (port >= PC_SERIAL_PORT && port < PC_SERIAL_PORT + 8)
		pc_uart_write(pc, port - PC_SERIAL_PORT, v);
	else if (port >= PC_PM_PORT && port < PC_PM_PORT + 6)
		pm_write(pc, port - PC_PM_PORT, v);
	else if (port == PC_CMOS_PORT)
		pc->cmos_index = v & 0x7f;
	else if (port == PC_I8042_PORT && v == PC_RESET_VALUE)
		pc->ops->end(pc->owner, GUEST_REBOOT, "reboot");
	else if (port == PC_PVPANIC_PORT && (v & (PVPANIC_PANICKED | PVPANIC_CRASHLOADED)))
		pc->ops->end(pc->owner, GUEST_PANIC, "reported through pvpanic");
	else
		return false;
	return true;
}

bool pc_in(struct pc *pc, uint16_t port, unsigned len, uint32_t *v)
{
	bool any = false;

	*v = 0;
	for (unsigned i = 0; i < len && i < 4; i++) {
		uint8_t b = 0xff;

		if (in8(pc, (uint16_t)(port + i), &b))
			any = true;
		*v |= (uint32_t)b << (8 * i);
	}
	return any;
}

bool pc_out(struct pc *pc, uint16_t port, unsigned len, uint32_t v)
{
	bool any = false;

	if (exit_port_takes(pc->exit_port, pc->exit_base, port, len)) {
		if (pc->checkpoint && (v == EXIT_PORT_CHECKPOINT || v == EXIT_PORT_RESET)) {
			pc->ops->checkpoint(pc->owner, v == EXIT_PORT_RESET);
			return true;
		}
		pc->reported = (uint8_t)v;
		pc->ops->end(pc->owner, GUEST_REPORTED, "");
		return true;
	}
	for (unsigned i = 0; i < len && i < 4; i++)
		if (out8(pc, (uint16_t)(port + i), (uint8_t)(v >> (8 * i))))
			any = true;
	return any;
}
