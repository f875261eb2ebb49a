/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The descriptor table: the number of every file descriptor that a role may have.
 *
 * The process that starts a role moves each descriptor to its number and sets
 * RLIMIT_NOFILE to the length of the table. The seccomp policies (policy/NAME.policy)
 * name these numbers, so that a filter can allow, for example, read() on the kick
 * eventfds only. Each array begins at a multiple of its length, which is a power of
 * two, so that a filter needs only one masked comparison for it. A number that a role
 * does not need stays closed.
 *
 * Numbers marked "reserved" are not used yet: no policy names them, and audit reports a
 * descriptor there. To use one, add a line to the policy and a row to
 * parent/audit/fds.c; for an array, also widen the range in the policy.
 */
#ifndef COMMON_FDTAB_H
#define COMMON_FDTAB_H

/* Most queues of one device (a NIC has up to 8 pairs of them). A power of two. */
#define MAX_QUEUES 16
/* Most devices of one guest that have a process of their own: disks and NICs together. A power of two. */
#define MAX_DEVICES 32
/* Most named ports of the console device, in addition to the console itself. */
#define MAX_PORTS 15
/*
 * Most queues of the devices that the vCPU process serves itself. The console device has
 * two for each port and two for control messages: 2 * 16 + 2 = 34; rng has one. Rounded
 * up to a power of two.
 */
#define MAX_OWN_KICKS 64
/* Most vCPUs of one guest. A power of two. */
#define MAX_VCPUS 32

/* netd, blkd and fsd. */
enum helper_fd {
	HFD_NULL_IN = 0, /* /dev/null; closed if the supervisor started the process */
	HFD_NULL_OUT = 1,
	HFD_DIAG = 2,	/* Error output of libc: a pipe to the supervisor, or the user's stderr */
	HFD_CTL = 3,	/* SOCK_SEQPACKET socket to the supervisor (common/ctl.h) */
	HFD_FRONT = 4,	/* Connected vhost-user socket */
	HFD_LISTEN = 5, /* Listening vhost-user socket, if the front-end connects by path (QEMU) */
	HFD_DISK = 6,	/* blkd: the disk image; with a snapshot, the unchanged base image */
	/*
	 * netd: a second reference to the netlink socket that owns the tap's nftables rules. The kernel
	 * removes the rules when the last reference is closed. It closes the descriptors of a dying
	 * process from the highest number down, so this one must be below the taps.
	 */
	HFD_RULES = HFD_DISK,
	HFD_ROOT = HFD_DISK, /* fsd: the shared directory, opened with O_PATH */
	HFD_DELTA = 7,	     /* blkd: unlinked file with the changes of a snapshot */
	HFD_EPOLL = 8,
	HFD_RING = 9,		 /* blkd, netd: io_uring */
	HFD_RINGEV = 10,	 /* blkd: eventfd that io_uring signals */
	HFD_TIMER = 11,		 /* Timer for rate limits */
	HFD_INFLIGHT = 12,	 /* Inflight area (common/inflight.h): unfinished requests; outlives the process */
	HFD_LOG = 13,		 /* Reserved: log of guest pages that this device writes */
	HFD_SNAPMAP = 14,	 /* blkd: map of the clusters in HFD_DELTA (common/snapmap.h); outlives the process */
	HFD_ADDED = HFD_SNAPMAP, /* fsd, rw: memory with the bytes that the guest has added; outlives the process */
	HFD_SNAPMAP2 = 15, /* blkd, --checkpoint: more maps of these clusters (common/snapmap.h); outlives it too */
	HFD_LOWMAP = HFD_SNAPMAP2, /* blkd: map of the clusters in HFD_LOWER, sealed against writing */
	/* fsd, --reset=fresh, after the checkpoint: its tables as they were then, sealed against writing */
	HFD_KEPT_NODES = HFD_SNAPMAP,
	/* fsd: memory for its tables of files (fsd/nodes.h); outlives the process */
	HFD_NODES = HFD_SNAPMAP2,
	HFD_KICK0 = 16,		/* One per queue: signalled when the driver has made chains available */
	HFD_CALL0 = 32,		/* One per queue: we signal it to interrupt the driver */
	HFD_ERR0 = 48,		/* One per queue: we signal it after a ring fault */
	HFD_TAP0 = 64,		/* netd: one per queue pair */
	HFD_SCRATCH0 = 80,	/* Room for descriptors that recvmsg() receives, until they are checked */
	HFD_CAPTURE = 96,	/* netd: file that frames are recorded in */
	HFD_SAVE = HFD_CAPTURE, /* blkd of a snapshot, fsd: the file of --save */
	HFD_NETLINK = 97,	/* Reserved, netd: socket that reports changes of the tap's link */
	HFD_FROM = HFD_NETLINK, /* blkd of a snapshot, fsd: the file of --from */
	/* blkd, --reset=fresh, after the checkpoint: the changes from before it, opened for reading only */
	HFD_LOWER = HFD_FROM,
	HFD_LIMIT = 98, /* RLIMIT_NOFILE */
};

/*
 * fsd: files of the share have the numbers from FSD_FD0 on: one for each file that the guest has used lately, and one
 * for each that it has open.
 */
#define FSD_FD0		   128
#define FSD_MIN_INODES	   16
#define FSD_DEFAULT_INODES 262144
#define FSD_MAX_INODES	   524288
/* Of the files that the guest knows, most that have a descriptor at a time (fsd/idle.h). */
#define FSD_MIN_OPEN 16
#define FSD_MAX_OPEN 16384
#define FSD_HANDLES  4096
/* Descriptors in addition to those: of the files that are being looked up or opened. */
#define FSD_SPARE    8
#define FSD_FD_LIMIT (FSD_FD0 + FSD_MAX_OPEN + FSD_HANDLES + FSD_SPARE)

/* The vCPU process, every engine. */
enum vcpu_fd {
	VFD_CON_IN = 0,	 /* Console input for the guest: read end of a pipe */
	VFD_CON_OUT = 1, /* Console output of the guest: write end of a pipe */
	VFD_DIAG = 2,	 /* Error output of QEMU or libc: write end of a pipe to the supervisor */
	VFD_CTL = 3,	 /* SOCK_SEQPACKET socket to the supervisor (common/ctl.h) */
	VFD_MEM = 4,	 /* Guest memory: a memfd whose size is sealed */
	VFD_KERNEL = 5,	 /* Or the file of --from */
	VFD_INITRD = 6,
	VFD_ENGINE = 7,	 /* /dev/kvm or /dev/lguest */
	VFD_MONITOR = 8, /* qemu engine: stream socket to the supervisor that carries QMP */
	VFD_SERIAL = 9,	 /* qemu engine: stream socket with the output of the other console device */
	VFD_EPOLL = 10,
	VFD_VM = 11,	    /* kvm engine: descriptor of KVM_CREATE_VM */
	VFD_WAIT = 12,	    /* lguest engine: epoll set of the call eventfds, for the vCPU thread */
	VFD_WAKE = 13,	    /* Eventfd between threads of this process */
	VFD_REPLY = 14,	    /* Epoll set used while waiting for a helper's reply */
	VFD_RANDOM = 15,    /* lguest engine: /dev/urandom; most hosts with lguest lack getrandom(2) */
	VFD_BASELINE = 16,  /* Reserved: saved copy of guest memory, to return the guest to */
	VFD_SHMEM = 17,	    /* kvm engine: the file of --shmem, until it is mapped */
	VFD_SAVE = 18,	    /* kvm engine: the file of --save */
	VFD_EXIT = 19,	    /* qemu engine: stream socket with the bytes that the guest writes to its exit port */
	VFD_FIRMWARE = 20,  /* qemu engine: the file of --firmware, then a sealed copy */
	VFD_FRONT0 = 32,    /* One vhost-user socket per device, in command-line order */
	VFD_VCPU0 = 64,	    /* kvm engine: one per vCPU */
	VFD_SCRATCH0 = 96,  /* Room for new descriptors, until they are moved to their number */
	VFD_QERR0 = 128,    /* One error eventfd per device */
	VFD_OWNKICK0 = 192, /* Kick eventfds of devices that this process serves (console, rng): MAX_OWN_KICKS */
	VFD_LOG0 = 256,	    /* --checkpoint: one log of written guest pages per device */
	VFD_PORT0 = 288,    /* Our ends of the named ports, two per port: MAX_DEVICES numbers */
	VFD_QKICK0 = 512,   /* Kick eventfd of device d, queue q: + d * MAX_QUEUES + q */
	VFD_QCALL0 = 1024,  /* Call eventfds, in the same order */
	VFD_LIMIT = 1536,   /* RLIMIT_NOFILE */
};

/* passt, which chooses all other numbers itself. */
enum passt_fd {
	PFD_NULL_IN = 0,
	PFD_NULL_OUT = 1,
	PFD_DIAG = 2,	/* its messages, and its process ID when it is ready */
	PFD_STREAM = 3, /* the connection to netd */
	PFD_LIMIT = VFD_LIMIT,
};

/* controld. A connection gets the lowest free number, so that the table has no gap below CFD_CONN0. */
enum control_fd {
	CFD_LISTEN = 0,	 /* the listening socket of the guest's name */
	CFD_CONSOLE = 1, /* a stream socket to the supervisor: the guest's output, and input for the guest */
	CFD_DIAG = 2,	 /* Messages of libc before abort(): a pipe to the supervisor */
	CFD_CTL = 3,	 /* SOCK_SEQPACKET to the supervisor (common/ctl.h) */
	CFD_CONN0 = 4,	 /* MAX_CONTROL connections, and one more to be turned away */
	CFD_LIMIT = 21,	 /* RLIMIT_NOFILE */
};

/* The process that removes the guest's cgroup after the end (parent/setup/cleaner.h). */
enum cleaner_fd {
	LFD_END = 0,	 /* a pipe that is closed when the supervisor has ended */
	LFD_PARENT = 1,	 /* the directory of the cgroup in which the guest's was made */
	LFD_KILL = 2,	 /* cgroup.kill of the guest's cgroup */
	LFD_ENABLED = 3, /* cgroup.subtree_control of the parent, if we enabled controllers in our own cgroup */
	LFD_PROCS = 4,	 /* the parent's cgroup.procs, in the same case */
	LFD_COUNT = 5,
};

/* A process that reads or writes a file in the supervisor's place (parent/terminal/copier.h). */
enum copier_fd {
	OFD_FROM = 0, /* the pipe from the supervisor, or a file for input */
	OFD_TO = 1,   /* a file for output, or the pipe to the supervisor */
	OFD_COUNT = 2,
};

/* Most connections that controld serves at a time. */
#define MAX_CONTROL 16

/* The spawner: process 1 of each role's namespaces, which starts the role. */
enum init_fd {
	IFD_DIAG = 2,
	IFD_CMD = 3,	  /* SOCK_SEQPACKET socket to the supervisor (common/spawn_proto.h) */
	IFD_EXE = 4,	  /* Executable of the role */
	IFD_SCRATCH0 = 5, /* Descriptors for the role that is about to start */
};

#endif
