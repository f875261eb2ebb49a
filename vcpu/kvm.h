/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kvm engine's own contract, between engine_kvm.c and kvm_*.c. vCPU process.
 *
 * Threads: the main thread waits for descriptors (console, supervisor,
 * helpers); each vCPU has a thread in KVM_RUN. Everything of the guest's
 * devices is touched under kvm.lock alone.
 */
#ifndef VCPU_KVM_H
#define VCPU_KVM_H

#include <linux/kvm.h>
#include <pthread.h>
#include <semaphore.h>

#include "vcpu/devices.h"
#include "vcpu/engine.h"
#include "vcpu/load.h"
#include "vcpu/pc.h"

/* The window for BARs, below the interrupt controllers. */
#define KVM_PCI_BASE 0xd0000000u
#define KVM_PCI_END  0xfec00000u
#define KVM_IOAPIC   0xfec00000u
#define KVM_LAPIC    0xfee00000u
#define KVM_TSS	     0xfffbd000u /* three pages that VMX wants, out of the way */
#define KVM_IDENTITY 0xfffbc000u
#define KVM_GSI_INTX 16u /* INTA of slot n: + n % 8 */
#define KVM_GSI_MSI  24u /* behind the I/O APIC's pins: one per queue of a helper's device */

struct kvm_cpu {
	struct kvm *kvm;
	unsigned id;
	struct kvm_run *run;
	pthread_t thread;
	/* Written by its own thread, read by the main one. */
	uint64_t exits, exits_io, exits_mmio, exits_hlt, exits_other;
};

struct kvm {
	struct vm *vm;
	pthread_mutex_t lock;
	unsigned ncpus;
	struct kvm_cpu cpu[MAX_VCPUS];
	struct pc pc;
	struct devices devices;
	struct load_result load;
	bool any_length; /* KVM_CAP_IOEVENTFD_ANY_LENGTH */
	bool tsc_deadline;
	bool ended;	/* under lock: vm->end says why */
	sem_t confined; /* posted by each vCPU thread once its filter is on (or not: confine_errno) */
	sem_t start;	/* posted once per vCPU when the guest may run */
	sem_t never;	/* where vCPU threads stay after the end */
	int confine_errno;
	uint64_t out_since; /* now_ms() of the oldest output that is not flushed; 0: none */
	bool out_timed;	    /* the main thread looks again within FLUSH_MS */

	/* kvm_irq.c: what the kernel has been told. */
	struct kvm_wire {
		bool irqfd, ioevent;
		uint64_t addr, notify;
		uint32_t data;
		bool routed;
	} wire[MAX_DEVICES][MAX_QUEUES], own_wire[DEVICES_OWN_KICKS];
};

/* All return 0, or -1 with vm->end and end_text set. */

/* kvm_vm.c: the VM, its memory and its vCPUs; closes /dev/kvm. */
int kvm_make(struct kvm *k);
/* kvm_cpu.c: CPUID, MSRs, and the first vCPU's entry. */
int kvm_cpus_init(struct kvm *k, const struct kvm_cpuid2 *supported);
int kvm_enter(struct kvm *k);
/* kvm_irq.c */
int kvm_irq_init(struct kvm *k);
void kvm_irq_line(unsigned gsi, bool level);
extern const struct vpci_host kvm_vpci_host;
/* engine_kvm.c: the main thread goes around its loop once more. */
void kvm_wake(void);
/* kvm_run.c: a vCPU thread's loop; returns when the guest has ended. */
void kvm_loop(struct kvm_cpu *c);
/* Under lock: the guest has ended; the first reason counts. Wakes the main thread. */
void kvm_end(struct kvm *k, enum guest_end why, const char *fmt, ...) PRINTF_LIKE(3, 4);

#endif
