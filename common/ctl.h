/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The control channel between the supervisor and each role: SOCK_SEQPACKET, one
 * fixed-size message a packet, no descriptors. The supervisor treats what a
 * role says as hostile: a packet of another size or type, or a string without
 * its NUL, is a reason to end the role, and lines are rate-limited and made
 * printable before a terminal sees them.
 *
 * Order: the supervisor sends one CTL_CONFIG; the role maps, confines itself
 * and answers CTL_READY; then either side as it likes.
 */
#ifndef COMMON_CTL_H
#define COMMON_CTL_H

#include <linux/if_ether.h>

#include "fault.h"
#include "fdtab.h"
#include "log.h"
#include "stats.h"

enum ctl_type {
	/* supervisor -> role */
	CTL_CONFIG = 1,	  /* struct role_config, whole: a packet of its own size */
	CTL_GET_STATS,	  /* answer: CTL_STATS */
	CTL_STOP,	  /* end in good order (blkd: flush first) */
	CTL_POWER_BUTTON, /* vCPU: ask the guest to power off */
	/* role -> supervisor */
	CTL_READY = 64,
	CTL_LOG,
	CTL_FAULT,
	CTL_STATS,
	CTL_GUEST_END, /* vCPU: why the guest ended */
	CTL_RUNNING,   /* vCPU: the first guest instruction is about to run */
};

/* Layers of confinement that a role found missing on this host (CTL_READY, doctor, audit). */
#define LAYERS(X)                                     \
	X(LANDLOCK, "Landlock")                       \
	X(LANDLOCK_NET, "Landlock for the network")   \
	X(MDWE, "memory-deny-write-execute")          \
	X(MSEAL, "sealed mappings (mseal)")           \
	X(NAMESPACES, "namespaces")                   \
	X(USERNS, "user namespace")                   \
	X(ROOT, "empty root folder")                  \
	X(IO_URING, "io_uring")                       \
	X(KILL_PROCESS, "kill-process filter action") \
	X(MEMFD_SEAL, "sealed guest memory")          \
	X(CLOSE_RANGE, "close_range")                 \
	X(OWN_UID, "user id of its own")              \
	X(TRACE, "naming of forbidden system calls")  \
	X(CGROUP_NS, "cgroup namespace")

enum layer {
#define X(sym, text) LAYER_##sym,
	LAYERS(X)
#undef X
		LAYER_COUNT,
};
#define LAYER_BIT(l) (1u << (l))

enum guest_end {
	GUEST_POWEROFF = 1,
	GUEST_REBOOT,
	GUEST_PANIC,	     /* text: the reason */
	GUEST_CRASH,	     /* triple fault, killed by the host kernel: text */
	GUEST_LOAD_FAILED,   /* kernel or initrd refused: text for the user */
	GUEST_ENGINE_FAILED, /* host's fault: text */
};

struct ctl_msg {
	uint32_t type;
	uint32_t
		value; /* log: enum log_level; ready: missing layers (bits); guest end: enum guest_end; fault: enum guest_fault */
	uint32_t queue;
	uint32_t count; /* lines suppressed before this one */
	uint64_t detail;
	union {
		char text[LOG_LINE_MAX]; /* NUL-terminated */
		struct stats stats;
	};
};

/* ---- what each role is told, once ---- */

/* Longest kernel command line (COMMAND_LINE_SIZE of x86 is 2048). */
#define CMDLINE_MAX 2048

struct net_config {
	uint8_t mac[ETH_ALEN]; /* the guest's */
	uint16_t mtu;
	uint8_t queue_pairs;
	bool offload, spoof_check, vnet_hdr;
	uint32_t tap_offloads;		   /* TUN_F_* that the tap confirmed */
	uint64_t rate_packets, rate_bytes; /* a second; 0: no limit */
};

struct blk_config {
	uint64_t capacity;		      /* bytes, a multiple of 512 */
	uint64_t blk_size, phys_size, opt_io; /* as the host reports them, for the topology fields; 0 unknown */
	char serial[21];		      /* 20 bytes and a NUL */
	bool read_only, snapshot, direct, is_block_device, discard, rotational;
	uint8_t cache; /* enum blk_cache */
	uint8_t queues;
	uint8_t io; /* enum blk_io */
	uint64_t rate_ops, rate_bytes;
};
enum blk_cache { BLK_CACHE_WRITEBACK, BLK_CACHE_NONE, BLK_CACHE_UNSAFE };
enum blk_io { BLK_IO_AUTO, BLK_IO_URING, BLK_IO_SYNC };

enum device_kind { DEV_BLK, DEV_NET };

struct vcpu_device {
	uint8_t kind;	/* enum device_kind */
	uint8_t queues; /* net: pairs * 2 */
	bool read_only;
	bool foreign;	/* somebody else's back-end, not our blkd or netd */
	bool listening; /* qemu engine: the front-end connects to "/blkN.sock" or "/netN.sock" in its root; N: @index */
	uint8_t mac[ETH_ALEN];
	uint16_t mtu;
	uint16_t index; /* among its kind: blk0, blk1, net0 */
};

enum engine_kind { ENGINE_AUTO, ENGINE_LGUEST, ENGINE_KVM, ENGINE_QEMU };

struct vcpu_config {
	uint8_t engine; /* enum engine_kind */
	uint8_t smp;
	bool rng, has_initrd;
	/* The user's last console= names ttyS0, or hvc0: input goes there. */
	bool console_is_serial, console_is_virtio;
	uint64_t mem_bytes;
	uint32_t ndevices;
	struct vcpu_device dev[MAX_DEVICES];
	char kernel_name[64]; /* for lines: the last part of the path, made printable */
	char cmdline[CMDLINE_MAX];
};

enum role { ROLE_VCPU, ROLE_NETD, ROLE_BLKD, ROLE_COUNT };

struct role_config {
	uint32_t type; /* CTL_CONFIG */
	uint32_t role; /* enum role */
	char name[16]; /* "blk0", "net0", "vcpu" */
	uint8_t log_level;
	bool strict;	/* a missing layer is a reason not to start */
	bool own_front; /* helpers: the front-end is our vCPU process, not QEMU */
	bool kill_on_fault;
	bool mem_unsealed;   /* old host: guest memory could not be sealed */
	bool listening;	     /* helpers: the front-end is waited for at HFD_LISTEN */
	bool inflight;	     /* helpers: HFD_INFLIGHT is the area of common/inflight.h, for all queues */
	uint32_t generation; /* helpers: how many processes served this device before, since the guest's start */
	uint32_t poll_us;
	uint64_t mem_dev, mem_ino; /* the guest memory that the parent made */
	union {
		struct net_config net;
		struct blk_config blk;
		struct vcpu_config vcpu;
	};
};

/* ---- the role's side ---- */

/* Receive the configuration on descriptor @fd (blocking); checks size, type, role, strings. 0 or -1. */
int ctl_recv_config(int fd, enum role role, struct role_config *rc);
/* 0, or -1 with errno; EAGAIN if the supervisor does not read: the message is dropped. */
int ctl_send(int fd, const struct ctl_msg *m);
int ctl_send_text(int fd, enum ctl_type type, uint32_t value, const char *text);
/* One message from the peer, without blocking. 1: got one; 0: none; -1: peer gone or not a message. */
int ctl_recv(int fd, struct ctl_msg *m);

const char *layer_text(enum layer l);

#endif
