/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What an engine is. vcpu/main.c receives, maps, confines and then hands over;
 * the whole contract between it and an engine stands here.
 */
#ifndef VCPU_ENGINE_H
#define VCPU_ENGINE_H

#include "common/ctl.h"
#include "common/shm.h"

/*
 * vcpu/main.c maps guest memory from 0 up to this, and what is left over from
 * GUEST_RAM_HIGH on: between them lie the PCI window and the interrupt controllers.
 */
#define GUEST_RAM_LOW_MAX 0xc0000000ull
#define GUEST_RAM_HIGH	  0x100000000ull

/* One guest, in the vCPU process. Static; there is one. */
struct vm {
	const struct role_config *rc;
	const struct vcpu_config *c;
	struct guest_mem mem; /* empty for the qemu engine: QEMU maps it */
	uint32_t missing;     /* layers that this host lacks */
	struct stats stats;
	/* Why the guest ended; text is for the supervisor's one line. */
	enum guest_end end;
	char end_text[LOG_LINE_MAX];
};

struct engine {
	const char *name;
	enum engine_kind kind;
	/*
	 * Set-up: VFD_ENGINE is open, the start filter is on, nothing of the guest
	 * has run. Loads the kernel (from VFD_KERNEL, VFD_INITRD) and makes
	 * everything that needs a system call which the loop's filter lacks.
	 * 0; or -1 with vm->end and end_text set.
	 */
	int (*create)(struct vm *vm);
	/*
	 * Connect queue @q of device @d to the kernel: @kick is signalled when the
	 * guest notifies it, the guest is interrupted when @call is signalled.
	 * NULL for an engine that wires by itself (qemu). 0 or -1 as above.
	 */
	int (*wire)(struct vm *vm, unsigned d, unsigned q, int kick, int call);
	/* Puts its own filter on (the last step of confinement). 0 or -1. */
	int (*confine)(struct vm *vm);
	/* Send CTL_RUNNING, run the guest until it ends; sets vm->end, end_text. qemu: executes QEMU, returns only on failure. */
	void (*run)(struct vm *vm);
	/* Give back what create made. A reboot is a new process: there is no reset of a running guest. */
	void (*destroy)(struct vm *vm);
};

extern const struct engine engine_qemu;
extern const struct engine engine_kvm;
extern const struct engine engine_lguest;

/* vm->end = @end and a formatted vm->end_text; always returns -1. */
int vm_fail(struct vm *vm, enum guest_end end, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Move @fd, which is the caller's to have made, to @number. 0, or -1 with vm->end set, also where @fd is -1. */
int vm_place(struct vm *vm, int fd, int number);

#endif
