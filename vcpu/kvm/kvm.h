/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Interface between the files of vcpu/kvm/. All of it runs in the vCPU process.
 *
 * Threads: the main thread waits for descriptors (console, supervisor, helpers). Each vCPU
 * has a thread in KVM_RUN. kvm.lock (the device lock) protects all state of devices.
 */
#ifndef VCPU_KVM_H
#define VCPU_KVM_H

#include <linux/kvm.h>
#include <pthread.h>
#include <semaphore.h>

#include "common/histogram.h"
#include "vcpu/devices/devices.h"
#include "vcpu/devices/own.h"
#include "vcpu/devices/shmem.h"
#include "vcpu/engine.h"
#include "vcpu/kvm/board.h"
#include "vcpu/kvm/pc.h"
#include "vcpu/load/load.h"

#define KVM_TSS	     0xfffbd000u /* Three pages that KVM needs on Intel processors */
#define KVM_IDENTITY 0xfffbc000u /* And one more */
#define KVM_NOTHING  0xff000000u /* Two pages where the guest has neither memory nor devices */
#define KVM_GSI_MSI  24u	 /* First interrupt number for MSI, after the I/O APIC's 24 pins: one per queue */

struct kvm_cpu {
	struct kvm *kvm;
	unsigned id;
	struct kvm_run *run;
	pthread_t thread;
	pid_t tid; /* Of @thread, set by it before it is confined */
	/* Counters, written by the thread of this vCPU and read by the main thread. */
	uint64_t exits, exits_io, exits_mmio, exits_hlt, exits_other;
};

enum checkpoint_request { CHECKPOINT_NONE, CHECKPOINT_TAKE, CHECKPOINT_RESET };

/* For checkpoint.c; protected by kvm.lock, but vCPU threads also read @wanted without it. */
struct kvm_checkpoint {
	enum checkpoint_request wanted;
	bool taken;
	enum reset_on why;		 /* What the wanted reset is for */
	bool round_over;		 /* A reset waits for CTL_NEXT_ROUND */
	bool helpers_end;		 /* A reset waits for CTL_HELPERS_GONE */
	unsigned arrived;		 /* vCPU threads that wait for the work */
	unsigned turn;			 /* Requests done */
	uint64_t run_began;		 /* now_ms() of the checkpoint or of the last reset */
	bool stops;			 /* The supervisor has asked the guest to power off */
	uint64_t instead[RESET_ONS + 1]; /* Resets for each reason */
	uint64_t since;			 /* now_us() of the last checkpoint */
	uint64_t first;			 /* The same of the first one */
	struct histogram times;		 /* Of single resets, in microseconds */
};

struct kvm {
	struct vm *vm;
	pthread_mutex_t lock;
	unsigned ncpus;
	struct kvm_cpu cpu[MAX_VCPUS];
	struct pc pc;
	struct devices devices;
	struct shmem_dev shmem;
	struct load_result load;
	bool any_length; /* KVM_CAP_IOEVENTFD_ANY_LENGTH */
	bool tsc_deadline;
	uint32_t tsc_khz; /* Rate of the guests' time stamp counters; set with --save and --from */
	struct kvm_checkpoint checkpoint;
	struct {
		bool is_serial, is_virtio,
			both; /* As in struct vcpu_config, or as the saved guest's command line said */
	} console;
	bool ended;		      /* The guest has ended, and vm->end is set; protected by lock */
	sem_t confined;		      /* Posted by each vCPU thread after installing its filter, or failing to */
	sem_t start;		      /* Posted once for each vCPU when the guest may run */
	sem_t never;		      /* Never posted: vCPU threads wait here after the end */
	int confine_errno;	      /* Errno of a thread that could not install its filter; 0: none */
	uint64_t out_since;	      /* now_ms() of the oldest serial output not flushed; 0: none */
	bool out_timed;		      /* The main thread will check the output within FLUSH_MS */
	bool serial_reads;	      /* The guest has read input from the serial port */
	uint64_t first_out, last_out; /* now_ms() of the first and the last serial output; 0: none yet */

	/* For irq.c: the state of each queue in KVM. */
	struct kvm_wire {
		bool irqfd, ioevent; /* These eventfds are connected */
		uint64_t notify;     /* Address of the notify register, for ioevent */
		bool routed;	     /* There is a route for this MSI message: */
		uint64_t addr;
		uint32_t data;
	} wire[MAX_DEVICES][MAX_QUEUES], own_wire[DEVICES_OWN_KICKS];
};

/* The option that needs the state of processors, for messages. */
static inline const char *kvm_state_option(const struct kvm *k)
{
	return k->vm->c->checkpoint ? "--checkpoint" : "--from";
}

#endif
