/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests to /dev/lguest (VFD_ENGINE). */
#ifndef VCPU_LGUEST_DEV_H
#define VCPU_LGUEST_DEV_H

#include "vcpu/lguest/lguest.h"

/* The interrupt number of device @v: 1 to 31. With more than 31 devices, some share a number. */
unsigned lguest_line(const struct vpci *v);

/*
 * Send an INITIALIZE request that is valid in both dialects, and find out from the answers
 * of /dev/lguest which dialect it is (*@d). @base: address of guest memory in this process;
 * @pfn_limit, @device_limit: page numbers of the end of guest memory and of the window for
 * BARs; @entry: the kernel's entry. Returns 0; or -1 with the reason in *@why.
 */
int lguest_initialize(uintptr_t base, unsigned long pfn_limit, unsigned long entry, unsigned long device_limit,
		      enum lguest_dialect *d, const char **why);

/* Offsets of registers for GETREG and SETREG (struct user_regs_struct of i386). */
enum lguest_reg {
	LGUEST_EBX = 0,
	LGUEST_ECX = 4,
	LGUEST_EDX = 8,
	LGUEST_ESI = 12,
	LGUEST_EDI = 16,
	LGUEST_EBP = 20,
	LGUEST_EAX = 24,
	LGUEST_EIP = 48,
	LGUEST_CS = 52,
	LGUEST_ESP = 60,
};

/*
 * The functions below return false if the guest is dead or /dev/lguest refuses the request;
 * the next lguest_run() then returns the reason. Only the main thread may access registers
 * and traps, while it is not in lguest_run().
 */
bool lguest_irq(unsigned irq);
bool lguest_eventfd(unsigned long addr, int fd);
bool lguest_get(enum lguest_reg r, uint32_t *v);
bool lguest_set(enum lguest_reg r, uint32_t v);
bool lguest_trap(unsigned n);

/*
 * Close /dev/lguest: the host's kernel frees the guest and its clock. Otherwise the clock
 * may wake a vCPU thread that has already exited, which Linux 4.2 reports in its log. A
 * lguest_run() in progress ends first.
 */
void lguest_let_go(void);

/* Why lguest_run() returned, with the members of struct lguest_exit that are set. */
enum lguest_event {
	LGUEST_EV_NOTIFY, /* PAGE dialect: the guest notified an address (addr) */
	LGUEST_EV_TRAP,	  /* PCI dialect: an instruction to emulate (trap, insn, addr) */
	LGUEST_EV_DEAD,	  /* The guest has ended (text) */
	LGUEST_EV_REBOOT, /* The guest asked for a reboot */
	LGUEST_EV_AGAIN,  /* Interrupted: call it again */
	LGUEST_EV_ERROR,  /* Another error; errno is set */
};
struct lguest_exit {
	uint8_t trap;
	uint8_t insn[7];
	uint32_t addr;
	char text[LOG_LINE_MAX];
};

/* Run the guest until it needs this process. */
enum lguest_event lguest_run(enum lguest_dialect d, struct lguest_exit *x);

#endif
