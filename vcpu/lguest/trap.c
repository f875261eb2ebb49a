/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Emulates instructions that an lguest host with Linux 4.x leaves to this process: port
 * accesses of the guest's kernel, and accesses to the memory of BARs. Runs on the vCPU
 * thread. Opcode, registers and address come from the guest. For an instruction that is not
 * known, the guest gets the trap.
 */
#include "vcpu/lguest/dev.h"
#include "vcpu/lguest/insn.h"
#include "vcpu/lguest/lguest.h"
#include "vcpu/lguest/trap.h"
#include "vcpu/lguest/wait.h"
#include "vcpu/vm.h"

#define TRAP_GP	      13
#define TRAP_PF	      14
#define GUEST_CPL     1		  /* Privilege level in which lguest runs guest kernels */
#define KERNEL_SPACE  0xc0000000u /* The highest CONFIG_PAGE_OFFSET */
#define PORT_I8042    0x64
#define I8042_NOTHING 1 /* Status with which the guest's driver finds no keyboard */

/* Registers indexed by their ModRM number. */
static const enum lguest_reg regs[8] = { LGUEST_EAX, LGUEST_ECX, LGUEST_EDX, LGUEST_EBX,
					 LGUEST_ESP, LGUEST_EBP, LGUEST_ESI, LGUEST_EDI };

static bool reinject(struct lguest *lg, unsigned trap)
{
	uint32_t eip = 0;

	if (lguest_trap(trap))
		return true;
	/* The guest has no handler for this trap. Use the text that the host has for that. */
	if (lguest_get(LGUEST_EIP, &eip))
		vm_fail(lg->vm, GUEST_CRASH, "unhandled trap %u at 0x%x", trap, eip);
	return false;
}

static uint32_t port_in(struct lguest *lg, uint16_t port, unsigned len)
{
	if (port >= PCI_PORT_ADDRESS && port < PCI_PORT_DATA + 4)
		return pci_port_in(&lg->devices.bus, port, len);
	return port == PORT_I8042 ? I8042_NOTHING : 0xffffffff;
}

static void port_out(struct lguest *lg, uint16_t port, unsigned len, uint32_t v)
{
	if (port >= PCI_PORT_ADDRESS && port < PCI_PORT_DATA + 4) {
		pci_port_out(&lg->devices.bus, port, len, v);
	} else if (exit_port_takes(lg->vm->c->exit_port, lg->vm->c->exit_base, port, len)) {
		lg->vm->end_report = (uint8_t)v;
		vm_fail(lg->vm, GUEST_REPORTED, "reported 0x%x", (uint8_t)v);
	}
}

static bool load(const struct lguest_insn *in, uint32_t v)
{
	enum lguest_reg r = regs[lguest_insn_register(in)];
	uint32_t old = 0;

	if (in->reg_width < 4 && !lguest_get(r, &old))
		return false;
	return lguest_set(r, lguest_insn_load_value(in, old, v));
}

/*
 * Handle a notification of a helper's device with one queue, quickly: the value need not be
 * read, and no lock is taken, because only this thread starts and stops devices. With the
 * lock held, the helper might answer at once, and the second thread would wait for the lock.
 * False if @addr is no such notification.
 */
static bool notify_lone_helper(struct lguest *lg, uint32_t addr, const struct lguest_insn *in)
{
	if (in->width != 2 || in->op == LGUEST_OP_LOAD)
		return false;
	for (unsigned i = 0; i < lg->devices.n; i++) {
		struct device *d = &lg->devices.dev[i];
		struct vpci *v = &d->v;

		if (d->type != DEVICE_BACKED || v->dev->nqueues != 1 ||
		    addr != pci_bar_address(&v->pci, 0) + v->notify_off)
			continue;
		if (v->running && v->queue[0].enabled)
			lguest_kick(lg, i);
		return true;
	}
	return false;
}

static bool stored_value(const struct lguest_insn *in, uint32_t *v)
{
	uint32_t old = 0;

	if (in->op != LGUEST_OP_STORE_IMM && !lguest_get(regs[lguest_insn_register(in)], &old))
		return false;
	*v = lguest_insn_store_value(in, old);
	return true;
}

static bool advance(const struct lguest_insn *in, uint32_t eip)
{
	return lguest_set(LGUEST_EIP, eip + in->len);
}

/*
 * Find out whether the guest's kernel runs: programs may not use ports. No i386 Linux has
 * program code above KERNEL_SPACE; below it, the code segment has the privilege level.
 * False if registers cannot be read.
 */
static bool is_kernel(uint32_t eip, bool *yes)
{
	uint32_t cs;

	*yes = eip >= KERNEL_SPACE;
	if (*yes)
		return true;
	if (!lguest_get(LGUEST_CS, &cs))
		return false;
	*yes = (cs & 3) == GUEST_CPL;
	return true;
}

/* Handle a general protection fault, which may come from the guest's kernel or its programs. */
static bool handle_port(struct lguest *lg, const struct lguest_exit *x)
{
	struct lguest_insn in;
	uint32_t eip, dx, v = 0;
	uint16_t port;
	bool kernel;

	if (!lguest_decode(x->insn, false, &in))
		return reinject(lg, TRAP_GP);
	if (!lguest_get(LGUEST_EIP, &eip) || !is_kernel(eip, &kernel))
		return false;
	if (!kernel)
		return reinject(lg, TRAP_GP);
	if (in.op == LGUEST_OP_SKIP)
		return advance(&in, eip);
	port = in.port;
	if (in.port_is_dx) {
		if (!lguest_get(LGUEST_EDX, &dx))
			return false;
		port = (uint16_t)dx;
	}
	lg->vm->stats.exits_io++;
	if (in.op == LGUEST_OP_OUT) {
		in.op = LGUEST_OP_STORE;
		if (!stored_value(&in, &v))
			return false;
		pthread_mutex_lock(&lg->lock);
		port_out(lg, port, in.width, v);
		devices_push_input(&lg->devices);
		pthread_mutex_unlock(&lg->lock);
	} else {
		in.op = LGUEST_OP_LOAD;
		pthread_mutex_lock(&lg->lock);
		v = port_in(lg, port, in.width);
		pthread_mutex_unlock(&lg->lock);
		if (!load(&in, v))
			return false;
	}
	return advance(&in, eip);
}

static bool handle_window(struct lguest *lg, const struct lguest_exit *x)
{
	struct pci_bus *bus = &lg->devices.bus;
	struct lguest_insn in;
	uint64_t wide = 0;
	uint32_t v, eip;

	if (!lguest_decode(x->insn, true, &in))
		return reinject(lg, TRAP_PF);
	lg->vm->stats.exits_mmio++;
	if (notify_lone_helper(lg, x->addr, &in))
		return lguest_get(LGUEST_EIP, &eip) && advance(&in, eip);
	if (in.op == LGUEST_OP_LOAD) {
		pthread_mutex_lock(&lg->lock);
		pci_mem_read(bus, x->addr, in.width, &wide);
		pthread_mutex_unlock(&lg->lock);
		if (!load(&in, (uint32_t)wide))
			return false;
	} else {
		if (!stored_value(&in, &v))
			return false;
		pthread_mutex_lock(&lg->lock);
		pci_mem_write(bus, x->addr, in.width, v);
		devices_push_input(&lg->devices);
		pthread_mutex_unlock(&lg->lock);
	}
	return lguest_get(LGUEST_EIP, &eip) && advance(&in, eip);
}

bool lguest_handle_trap(struct lguest *lg, const struct lguest_exit *x)
{
	return x->trap == TRAP_GP ? handle_port(lg, x) : handle_window(lg, x);
}
