/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The interface of an engine, the part of the vCPU process that runs the guest's
 * instructions: kvm, lguest or qemu. vcpu/main.c calls the three functions of struct engine
 * in order.
 */
#ifndef VCPU_ENGINE_H
#define VCPU_ENGINE_H

#include "common/ctl.h"
#include "common/shm.h"

/*
 * RAM of the guest begins at address 0 and ends at GUEST_RAM_LOW_MAX (3 GiB) at most; the
 * rest follows at GUEST_RAM_HIGH (4 GiB). The addresses between hold the PCI window and the
 * interrupt controllers.
 */
#define GUEST_RAM_LOW_MAX 0xc0000000ull
#define GUEST_RAM_HIGH	  0x100000000ull

/* The guest of this vCPU process. There is one static instance. */
struct vm {
	const struct role_config *rc;
	const struct vcpu_config *c;
	struct guest_mem mem; /* Guest memory; empty with the qemu engine, because QEMU maps it */
	uint32_t missing;     /* LAYER_BIT()s of layers that this host lacks */
	struct stats stats;
	struct reset_stats resets;
	/* Why the guest ended; 0: it has not. The supervisor shows the text to the user. */
	enum guest_end end;
	char end_text[LOG_LINE_MAX];
	uint8_t end_report; /* GUEST_REPORTED: the byte */
};

struct engine {
	/*
	 * Create everything that needs a system call which the loader's filter forbids.
	 * VFD_ENGINE is open, and the start filter (policy/start.policy) is installed. Must
	 * not read any data from the guest, a kernel file or a helper. Returns 0, or -1 with
	 * vm->end and vm->end_text set.
	 */
	int (*create)(struct vm *vm);
	/*
	 * Confine the process and install the loader's filter. Under this filter, negotiate
	 * with the helpers and load the kernel (VFD_KERNEL, VFD_INITRD). Then install the
	 * filter for running the guest. Returns 0, or -1 as above.
	 */
	int (*confine)(struct vm *vm);
	/*
	 * Send CTL_RUNNING, run the guest until it ends, and set vm->end and vm->end_text. The
	 * qemu engine executes QEMU and returns only on failure. The process exits after
	 * this; for a reboot of the guest, the supervisor starts a new vCPU process.
	 */
	void (*run)(struct vm *vm);
};

extern const struct engine engine_qemu;
extern const struct engine engine_kvm;
extern const struct engine engine_lguest;

#endif
