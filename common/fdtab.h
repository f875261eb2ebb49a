/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The complete set of descriptors of every role, by number.
 *
 * Whoever starts a role puts each descriptor at its number, RLIMIT_NOFILE is
 * the table's length, and policy/NAME.policy names the numbers, so that a role
 * can call read() on a kick and on nothing else. Arrays begin at a multiple of
 * their own length (a power of two), so that one masked comparison in a filter
 * covers the whole array. A slot that a role has no use for stays closed.
 */
#ifndef COMMON_FDTAB_H
#define COMMON_FDTAB_H

/* Most queues that one device has (a NIC: 8 pairs). A power of two. */
#define MAX_QUEUES 16
/* Most disks and NICs of one guest together. A power of two. */
#define MAX_DEVICES 32
/* Most vCPUs of one guest. A power of two. */
#define MAX_VCPUS 32

/* netd and blkd. */
enum helper_fd {
	HFD_NULL_IN = 0, /* /dev/null (or closed under the supervisor) */
	HFD_NULL_OUT = 1,
	HFD_DIAG = 2,	/* libc's last words: a pipe to the supervisor, or the user's stderr */
	HFD_CTL = 3,	/* SOCK_SEQPACKET to the supervisor (common/ctl.h) */
	HFD_FRONT = 4,	/* the connected vhost-user socket */
	HFD_LISTEN = 5, /* a listening vhost-user socket, where the front-end needs a path */
	HFD_DISK = 6,	/* blkd: the image, or the snapshot's base */
	HFD_DELTA = 7,	/* blkd: the snapshot's unlinked file of changes */
	HFD_EPOLL = 8,
	HFD_RING = 9,	   /* blkd: io_uring */
	HFD_RINGEV = 10,   /* blkd: io_uring's eventfd */
	HFD_TIMER = 11,	   /* rate limits */
	HFD_INFLIGHT = 12, /* requests taken and not finished: memory that outlives the process */
	HFD_SNAPMAP = 14,  /* blkd: which clusters of a snapshot are there: memory that outlives the process */
	HFD_KICK0 = 16,	   /* one per queue */
	HFD_CALL0 = 32,
	HFD_ERR0 = 48,
	HFD_TAP0 = 64,	   /* netd: one per queue pair */
	HFD_SCRATCH0 = 80, /* where recvmsg() may land descriptors before they are judged */
	HFD_LIMIT = 96,	   /* RLIMIT_NOFILE */
};

/* The vCPU process, every engine. */
enum vcpu_fd {
	VFD_CON_IN = 0,	 /* console, to the guest: the read end of a pipe */
	VFD_CON_OUT = 1, /* console, from the guest: the write end of a pipe */
	VFD_DIAG = 2,	 /* text of QEMU or libc: the write end of a pipe to the supervisor */
	VFD_CTL = 3,	 /* SOCK_SEQPACKET to the supervisor (common/ctl.h) */
	VFD_MEM = 4,	 /* guest memory, sealed */
	VFD_KERNEL = 5,
	VFD_INITRD = 6,
	VFD_ENGINE = 7,	 /* /dev/kvm or /dev/lguest */
	VFD_MONITOR = 8, /* qemu engine: QMP, a stream socket to the supervisor */
	VFD_SERIAL = 9,	 /* qemu engine: output of the other console device, a stream socket */
	VFD_EPOLL = 10,
	VFD_VM = 11,	    /* kvm engine */
	VFD_WAIT = 12,	    /* lguest engine: epoll, calls that the vCPU thread waits for */
	VFD_WAKE = 13,	    /* eventfd between the role's own threads */
	VFD_REPLY = 14,	    /* epoll: while a helper's answer is waited for */
	VFD_RANDOM = 15,    /* lguest engine: /dev/urandom (its hosts are mostly older than getrandom) */
	VFD_FRONT0 = 32,    /* one vhost-user socket per device, in command-line order */
	VFD_VCPU0 = 64,	    /* kvm engine: one per vCPU */
	VFD_SCRATCH0 = 96,  /* descriptors between being made and being put in their place */
	VFD_OWNKICK0 = 112, /* kicks of the role's own devices (console, rng): MAX_OWN_QUEUES */
	VFD_QERR0 = 128,    /* one error eventfd per device */
	VFD_QKICK0 = 512,   /* device d, queue q: + d * MAX_QUEUES + q */
	VFD_QCALL0 = 1024,
	VFD_LIMIT = 1536,
};

/* The spawner: process 1 of each role's namespaces. */
enum init_fd {
	IFD_DIAG = 2,
	IFD_CMD = 3,	  /* SOCK_SEQPACKET to the supervisor (common/spawn_proto.h) */
	IFD_EXE = 4,	  /* the role's executable */
	IFD_SCRATCH0 = 5, /* descriptors of the role that is about to be started */
};

#endif
