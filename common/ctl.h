/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The control channel between the supervisor and each role: a SOCK_SEQPACKET socket
 * pair, one message of fixed size in each packet, no descriptors. The supervisor
 * treats messages of a role as hostile. It kills a role that sends a packet of another
 * size, an unknown type or a string without its NUL; it rate-limits log messages and
 * makes them printable before a terminal shows them.
 *
 * Order: the supervisor sends one CTL_CONFIG. The role maps its memory, confines
 * itself and answers CTL_READY. After that either side may send at any time.
 */
#ifndef COMMON_CTL_H
#define COMMON_CTL_H

#include <linux/if_ether.h>
#include <netinet/in.h>
#include <string.h>

#include "common/exit_port.h"
#include "common/fault.h"
#include "common/fdtab.h"
#include "common/log.h"
#include "common/machine.h"
#include "common/parts.h"
#include "common/run_proto.h"
#include "common/stats.h"

enum ctl_type {
	/* Supervisor -> role */
	CTL_CONFIG = 1,	  /* A packet that is a struct role_config, not a struct ctl_msg */
	CTL_GET_STATS,	  /* The role answers with CTL_STATS */
	CTL_STOP,	  /* Exit cleanly; blkd flushes its disk first */
	CTL_POWER_BUTTON, /* vCPU process: ask the guest to power off */
	CTL_WINDOW_SIZE,  /* vCPU process: the size of the user's terminal has changed; value: WINDOW_SIZE() */
	CTL_STATE,	  /* Controld and its clients: what the guest is doing (@state) */
	/* Controld and its client: queue: the ticket; value: enum control_result; text: why the command failed */
	CTL_ANSWER,
	CTL_ROLE_STATS, /* Controld and its clients: queue: index of the role; count: number of roles (@role_stats) */
	CTL_OVER,	/* Controld and its clients: the guest has ended for good; value: exit status */
	CTL_NMI,	/* vCPU process, kvm engine: send a non-maskable interrupt to the first CPU */
	CTL_SYSRQ,	/* vCPU process, kvm engine: value: key of the guest's kernel (sysrq_key_ok()) */
	CTL_PART,	/* Controld and its clients: queue: index of the part; count: number of parts (@part) */
	CTL_CHECKPOINT, /* vCPU process, kvm engine: take a checkpoint */
	CTL_RESET,	/* vCPU process, kvm engine: take the guest back to its checkpoint */
	/* Role -> supervisor */
	CTL_READY = 64,
	CTL_LOG,
	CTL_FAULT,
	CTL_STATS,
	CTL_GUEST_END, /* vCPU process: why the guest ended */
	CTL_RUNNING,   /* vCPU process: about to run the first instruction of the guest */
	/* Client of controld, and controld: value: enum control_command; detail: its argument; queue: the ticket */
	CTL_COMMAND,
	CTL_CONSOLE, /* Controld and its client, both ways: @count bytes of the guest's console in @text */
};

/* Layers of confinement that a host may lack. CTL_READY, doctor and audit report the missing ones. */
#define LAYERS(X)                                      \
	X(LANDLOCK, "Landlock")                        \
	X(LANDLOCK_NET, "Landlock for the network")    \
	X(MDWE, "memory-deny-write-execute")           \
	X(MSEAL, "sealed mappings (mseal)")            \
	X(NAMESPACES, "namespaces")                    \
	X(USERNS, "user namespace")                    \
	X(ROOT, "empty root directory")                \
	X(IO_URING, "io_uring")                        \
	X(KILL_PROCESS, "kill-process filter action")  \
	X(MEMFD_SEAL, "sealed guest memory")           \
	X(CLOSE_RANGE, "close_range")                  \
	X(OWN_UID, "user ID of its own (/etc/subuid)") \
	X(TRACE, "naming of forbidden system calls")   \
	X(CGROUP_NS, "cgroup namespace")               \
	X(NO_CORE, "refusal of core dumps into a pipe")

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
	GUEST_PANIC,	     /* Kernel panic; text: the reason */
	GUEST_CRASH,	     /* Triple fault, or the host's kernel ended the guest; text: which */
	GUEST_LOAD_FAILED,   /* Kernel or initrd refused; text: message for the user */
	GUEST_ENGINE_FAILED, /* A system call of the engine failed; text: which */
	GUEST_HOST_FAILED,   /* The host ran out of a resource that the guest needs; text: which */
	GUEST_REPORTED,	     /* The guest wrote to its exit port; detail: the byte */
};

/* Size of a terminal in characters, as one number; 0: unknown. */
#define WINDOW_SIZE(cols, rows) ((uint32_t)(uint16_t)(cols) << 16 | (uint16_t)(rows))
#define WINDOW_COLS(size)	((uint16_t)((size) >> 16))
#define WINDOW_ROWS(size)	((uint16_t)(size))

/* Commands to a running guest, with their names for users. */
#define CONTROL_COMMANDS(X)         \
	X(STATUS, "status")         \
	X(WAIT, "wait")             \
	X(STOP, "stop")             \
	X(KILL, "kill")             \
	X(STATS, "stats")           \
	X(LOGS, "logs")             \
	X(ATTACH, "attach")         \
	X(PAUSE, "pause")           \
	X(RESUME, "resume")         \
	X(NMI, "nmi")               \
	X(SYSRQ, "sysrq")           \
	X(PARTS, "parts")           \
	X(CHECKPOINT, "checkpoint") \
	X(RESET, "reset")

enum control_command {
	CONTROL_NONE,
#define X(sym, text) CONTROL_##sym,
	CONTROL_COMMANDS(X)
#undef X
		CONTROL_COUNT,
};

/* CONTROL_LOGS, in ctl_msg.detail: go on with what the guest prints from now on. */
#define LOGS_FOLLOW 1

enum control_result {
	CONTROL_DONE,	 /* the supervisor does what it was asked to */
	CONTROL_FAILED,	 /* text: why not */
	CONTROL_REFUSED, /* the caller is neither root nor the user who started the guest */
	CONTROL_BUSY,	 /* as many callers as possible are connected */
};

/* Keys that Linux may have a function for. CONTROL_SYSRQ has one in ctl_msg.detail. */
static inline bool sysrq_key_ok(uint64_t key)
{
	return (key >= '0' && key <= '9') || (key >= 'a' && key <= 'z') || (key >= 'A' && key <= 'Z');
}

/* The byte that makes Linux's hvc console take the next one for a key of this kind (drivers/tty/hvc/hvc_console.c). */
#define SYSRQ_HVC 0x0f

/* The state of a guest, with the texts for users. */
#define GUEST_PHASES(X)           \
	X(STARTING, "starting")   \
	X(RUNNING, "running")     \
	X(STOPPING, "stopping")   \
	X(REBOOTING, "rebooting") \
	X(ENDING, "ending")       \
	X(PAUSED, "paused")

enum guest_phase {
#define X(sym, text) GUEST_##sym,
	GUEST_PHASES(X)
#undef X
		GUEST_PHASES_COUNT,
};

/* The supervisor's own word about the guest. */
struct guest_state {
	char name[64];	 /* --name, or the one that was made */
	char kernel[64]; /* the last part of the path */
	uint32_t phase;	 /* enum guest_phase */
	uint32_t engine; /* enum engine_kind */
	uint32_t smp, disks, nics;
	uint32_t starts;   /* of the guest: 1 + reboots */
	uint32_t restarts; /* of helpers */
	uint32_t shares;
	uint64_t mem_bytes;
	uint64_t began_ms; /* CLOCK_MONOTONIC when the guest was first started */
	uint32_t ports;	   /* --port; without those of lguest-sep run */
	/* Limits of all processes together, as in struct limit_option and struct config; 0: none */
	uint32_t pids_max;
	uint64_t memory_max, cpus_thousandths;
	uint64_t timeout_ms, cpu_timeout_ms;
};

/* Most roles with counters: one for each device, a passt for each NIC, the vCPU process. */
#define MAX_STATS_ROLES (2 * MAX_DEVICES + 1)

/* The counters of one role, and the process that started it. */
struct role_stats {
	char name[16];
	uint32_t spawner_pid; /* in the supervisor's PID namespace */
	uint32_t counted;     /* 1: @stats are what the role counted; 0: it counts nothing */
	struct stats stats;   /* the role's own word */
};

struct ctl_msg {
	uint32_t type;
	/* LOG: enum log_level; READY: LAYER_BIT()s of missing layers; GUEST_END, FAULT: the enum of that name */
	uint32_t value;
	uint32_t queue;	 /* CTL_FAULT: index of the queue; control messages: see their types */
	uint32_t count;	 /* CTL_LOG: messages suppressed before this one; CTL_CONSOLE: bytes */
	uint64_t detail; /* CTL_FAULT: the invalid index or value; CTL_COMMAND: the argument */
	union {
		char text[LOG_LINE_MAX]; /* NUL-terminated */
		struct stats stats;
		struct guest_state state;
		struct role_stats role_stats;
		struct guest_part part;
	};
};

/* A guest that runs while the package is upgraded and a client of the new version exchange messages of one size. */
_Static_assert(sizeof(struct ctl_msg) == 24 + LOG_LINE_MAX, "the size of messages has changed");

/* ---- the configuration, sent once to each role ---- */

/* Longest kernel command line (COMMAND_LINE_SIZE of x86 is 2048). */
#define CMDLINE_MAX 2048

/* Most addresses of one NIC that ip= can name, of each family. */
#define MAX_OWN_ADDRESSES 4

/* The addresses of a guest, in network byte order. With none it may use any. */
struct own_addresses {
	uint8_t n4, n6;
	uint8_t ip4[MAX_OWN_ADDRESSES][4];
	uint8_t ip6[MAX_OWN_ADDRESSES][16];
};

/* Write the IPv6 link-local address that belongs to @mac (RFC 4291, appendix A) to @ip. */
static inline void own_link_local(const uint8_t *mac, uint8_t ip[16])
{
	const uint8_t local[16] = { 0xfe,	0x80,	0,	0,    0,    0,	    0,	    0,
				    mac[0] ^ 2, mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4], mac[5] };

	memcpy(ip, local, sizeof(local));
}

/* Most addresses of the host, and of its resolvers, that --net=user keeps from or opens to the guest. */
#define USER_ADDRESSES 64
#define USER_RESOLVERS 6

/* --net=user: a stream to passt replaces the tap (netd/stream.h, netd/user.h). */
struct user_config {
	bool on;
	bool restricted; /* the guest only answers */
	bool reach_host;
	uint8_t nhost, nresolvers;
	/* IPv4 addresses are mapped ones. */
	struct in6_addr host[USER_ADDRESSES];
	struct in6_addr resolver[USER_RESOLVERS]; /* reached at port 53, even if they are the host */
};

/* Most resolvers that the DHCP server of a tap can name. */
#define DHCP_RESOLVERS 3

/* dhcp of --tunnet=IP: netd answers the guest (netd/dhcp.h). Addresses are in network byte order. */
struct dhcp_config {
	bool on;
	bool router;			/* The host's end forwards the guest's packets */
	uint8_t prefix;			/* Length of the network, in bits, 1 to 31 */
	uint8_t ndns;			/* Resolvers in @dns */
	uint8_t host_mac[ETH_ALEN];	/* MAC address of the host's end */
	uint8_t host[4];		/* Address of the host's end, and of the DHCP server */
	uint8_t guest[4];		/* Address to give */
	uint8_t dns[DHCP_RESOLVERS][4]; /* Resolvers that the guest can reach */
};

/* dhcp of an IPv6 tap: netd advertises the tap's network (netd/ra.h). Addresses are in network byte order. */
struct ra_config {
	bool on;
	bool router;			 /* The host's end forwards the guest's packets */
	uint8_t ndns;			 /* Resolvers in @dns */
	uint8_t host_mac[ETH_ALEN];	 /* MAC address of the host's end */
	uint8_t host[16];		 /* Address of the host's end; its first 64 bits are the network */
	uint8_t local[16];		 /* Its link-local address, the guest's router */
	uint8_t dns[DHCP_RESOLVERS][16]; /* Resolvers that the guest can reach */
	uint32_t interval_ms;		 /* Between two unsolicited advertisements */
};

struct net_config {
	uint8_t mac[ETH_ALEN]; /* MAC address of the guest */
	uint16_t mtu;	       /* In bytes */
	uint8_t queue_pairs;
	bool offload, spoof_check, vnet_hdr;
	uint32_t tap_offloads;		   /* TUN_F_* flags that the tap accepted */
	uint64_t rate_packets, rate_bytes; /* Limits a second; 0: no limit */
	struct own_addresses own;	   /* What the guest may claim to be */
	uint64_t capture_max;		   /* Most bytes of the capture file at HFD_CAPTURE; 0: no capture */
	struct user_config user;
	struct dhcp_config dhcp;
	struct ra_config ra;
};

/* How a disk is attached to the guest's machine. */
enum disk_bus { BUS_AUTO, BUS_IDE, BUS_VIRTIO };

struct blk_config {
	uint64_t capacity;		      /* In bytes, a multiple of 512 */
	uint64_t blk_size, phys_size, opt_io; /* Logical, physical and optimal I/O size in bytes; 0: unknown */
	char serial[21];		      /* 20 bytes and a NUL */
	bool read_only, snapshot, direct, is_block_device, discard, rotational;
	uint8_t cache; /* enum blk_cache */
	uint8_t queues;
	uint8_t io;		       /* enum blk_io */
	bool nbd;		       /* QEMU shows the disk as IDE: the front-end speaks NBD, not vhost-user */
	uint64_t rate_ops, rate_bytes; /* Limits a second; 0: no limit */
	bool levels;		       /* A snapshot that can return to an earlier state (HFD_SNAPMAP2) */
};
enum blk_cache { BLK_CACHE_WRITEBACK, BLK_CACHE_NONE, BLK_CACHE_UNSAFE };
enum blk_io { BLK_IO_AUTO, BLK_IO_URING, BLK_IO_SYNC };
/* Names of these values in options, in the same order. */
#define BLK_CACHE_NAMES "writeback|none|unsafe"
#define BLK_IO_NAMES	"auto|uring|sync"

/* Most bytes of a share's tag (virtio 1.2, 5.11.4). */
#define FS_TAG_MAX 36

/* Queues of a share: one for urgent requests (FORGET), and request queues for all others; FS_QUEUES: with one of these. */
#define FS_URGENT_QUEUES      1
#define FS_QUEUES	      (FS_URGENT_QUEUES + 1)
#define FS_MAX_REQUEST_QUEUES (MAX_QUEUES - FS_URGENT_QUEUES)
/* All queues of a share with the configuration @c. */
#define FS_ALL_QUEUES(c) ((uint8_t)(FS_URGENT_QUEUES + (c)->request_queues))

/* cache=: how long the guest's kernel uses what it knows without asking fsd again. */
enum fs_cache { FS_CACHE_AUTO, FS_CACHE_NONE, FS_CACHE_ALWAYS };
#define FS_CACHE_NAMES "auto|none|always"

struct fs_config {
	enum fs_cache cache;
	uint8_t request_queues; /* 1 to FS_MAX_REQUEST_QUEUES */
	uint32_t inodes;	/* Most files that the guest can know at a time, FSD_MIN_INODES to FSD_MAX_INODES */
	uint32_t open;		/* Most of these with a descriptor at a time, FSD_MIN_OPEN to FSD_MAX_OPEN */
	/* fsd is in a user namespace, where it sees no other user's ID: show files of other users as root's. */
	bool others_are_root;
	bool tables_lent; /* HFD_NODES is memory for the tables, which outlives the process */
	bool read_write;  /* The guest may write; the other members are for this case only */
	bool mapped;	  /* The mount shows files of @owner and @group as those of @uid and @gid, as which fsd runs */
	uint32_t owner, group, uid, gid;
	uint64_t
		max; /* Most bytes that the guest may add in all, and largest offset it may write to; at least FSD_MIN_MAX */
};

/* Smallest and default value of max=, in bytes. */
#define FSD_MIN_MAX	65536
#define FSD_DEFAULT_MAX (256ull << 20)
/* No file system of Linux has larger files. */
#define FSD_MAX_MAX (1ull << 60)

/* RLIMIT_NOFILE of an fsd that keeps descriptors of @open files that the guest knows. */
static inline uint64_t fs_descriptors(uint32_t open)
{
	return (uint64_t)FSD_FD0 + open + FSD_HANDLES + FSD_SPARE;
}

/*
 * The number of files, of @inodes that the guest may know, whose descriptors fsd can keep open with @limit as the hard
 * limit of open files; 0: not even FSD_MIN_OPEN.
 */
static inline uint32_t fs_open_files(uint32_t inodes, uint64_t limit)
{
	uint32_t most = MIN(inodes, FSD_MAX_OPEN);

	if (limit < fs_descriptors(FSD_MIN_OPEN))
		return 0;
	return (uint32_t)MIN(most, limit - fs_descriptors(0));
}

/* Most bytes of each part of fsd's tables (fsd/nodes.h): what is there once, a file, its name, and an open file. */
#define FSD_KEPT_BYTES	 4096
#define FSD_NODE_BYTES	 56
#define FSD_NAME_UNIT	 16u
#define FSD_NAME_BYTES	 496
#define FSD_HANDLE_BYTES 32

/* Bytes of memory for the tables of an fsd for @inodes files. Most of it is never touched. */
static inline uint64_t fs_tables_bytes(uint32_t inodes)
{
	uint64_t bytes = FSD_KEPT_BYTES + (inodes + 1ull) * (FSD_NODE_BYTES + FSD_NAME_BYTES) +
			 (FSD_HANDLES + 1ull) * FSD_HANDLE_BYTES;

	return (bytes + 0xffff) & ~0xffffull;
}

/* Devices served by a process of their own. Add new kinds at the end; they count towards MAX_DEVICES. */
enum device_kind { DEV_BLK, DEV_NET, DEV_FS };

struct vcpu_device {
	uint8_t kind;	/* enum device_kind */
	uint8_t queues; /* Without the control queue; a NIC has two for each pair */
	bool read_only;
	bool foreign;	  /* The back-end is a program of the user's, not our blkd, netd or fsd */
	bool used_before; /* The same, and it served an earlier start of the guest */
	uint8_t bus;	  /* qemu engine: enum disk_bus */
	bool cdrom;	  /* qemu engine, BUS_IDE: a CD drive */
	uint8_t boot;	  /* qemu engine: its place in the order of the disks that the firmware tries; 0: none */
	bool listening;	  /* qemu engine: QEMU connects to "/blkN.sock" or "/netN.sock" in its root; N: @index */
	uint8_t mac[ETH_ALEN];
	uint16_t mtu;
	uint16_t index;		  /* Number among devices of its kind: 1 for blk1 */
	char tag[FS_TAG_MAX + 1]; /* Share: its name for the guest; letters, digits, dots, dashes and underscores */
};

/* The engines (what runs the guest's instructions), with their names in options. */
#define ENGINES(X) X(AUTO, "auto") X(LGUEST, "lguest") X(KVM, "kvm") X(QEMU, "qemu")

enum engine_kind {
#define X(sym, text) ENGINE_##sym,
	ENGINES(X)
#undef X
};
/* "auto|lguest|kvm|qemu", in the order of the values. */
#define ENGINE_CHOICE(sym, text) "|" text
#define ENGINE_NAMES		 (&ENGINES(ENGINE_CHOICE)[1])

struct vcpu_config {
	uint8_t engine; /* enum engine_kind */
	uint8_t smp;
	bool rng, has_initrd;
	bool has_kernel;      /* False: the firmware boots a disk */
	uint8_t machine;      /* qemu engine: enum machine_id */
	uint8_t machine_type; /* The machine's type, an index into machine.type[] */
	uint8_t firmware;     /* enum firmware */
	char cpu[CPU_MAX];    /* Value of -cpu; "": the machine's default */
	uint8_t exit_port;    /* enum exit_port; with QEMU, a byte written to EXIT_PORT_BYTE arrives at VFD_EXIT */
	uint16_t exit_base;   /* Its I/O port: EXIT_PORT or EXIT_PORT_QEMU */
	bool checkpoint;      /* kvm engine: the guest can go back to an earlier state */
	uint32_t resets;      /* Most resets, then the guest ends; 0: no limit */
	/* Whether the user's last console= names the serial port, or hvc0: input goes to that console. */
	bool console_is_serial, console_is_virtio;
	bool console_both;	/* The kernel has a serial console and hvc0, merged by common/console_pair.h */
	bool input_is_terminal; /* False: input may be complete already, and is held until the guest reads */
	uint32_t window_size;	/* WINDOW_SIZE() of the user's terminal, or 0 */
	uint64_t mem_bytes;
	uint32_t ndevices;
	struct vcpu_device dev[MAX_DEVICES];
	uint8_t nports; /* Named ports; port p uses descriptors VFD_PORT0 + 2 * p and the next */
	char port[MAX_PORTS][PORT_NAME_MAX];
	char kernel_name[64]; /* For messages: last part of the kernel's path, printable */
	char cmdline[CMDLINE_MAX];
};

/* Add a new role before ROLE_COUNT. Arrays indexed by role have ROLE_COUNT entries. */
enum role {
	ROLE_VCPU,
	ROLE_NETD,
	ROLE_BLKD,
	ROLE_PASST, /* --net=user: a program of others, without a control channel */
	ROLE_CONTROLD,
	ROLE_FSD,
	ROLE_COUNT,
};

struct control_config {
	/* Who may connect besides root: that user ID; or, in a user namespace of its own, controld's own user ID. */
	uint32_t owner;
	bool owner_is_self;
};

struct role_config {
	uint32_t type; /* CTL_CONFIG */
	uint32_t role; /* enum role */
	char name[16]; /* "blk0", "net0", "vcpu" */
	uint8_t log_level;
	bool strict;	/* Refuse to start if a layer of confinement is missing */
	bool own_front; /* Helpers: the front-end is our vCPU process, not QEMU */
	bool kill_on_fault;
	bool checkpoint;	   /* The guest can go back to an earlier state */
	bool mem_unsealed;	   /* This host has no memfd seals: guest memory is not sealed */
	bool listening;		   /* Helpers: accept the front-end's connection at HFD_LISTEN */
	bool inflight;		   /* Helpers: HFD_INFLIGHT holds an inflight area for all queues */
	uint32_t generation;	   /* Helpers: number of processes that served this device before this one */
	uint32_t poll_us;	   /* Helpers: busy polling, in microseconds; 0: off */
	uint64_t mem_dev, mem_ino; /* Device and inode of the guest memory that the parent created */
	union {
		struct net_config net;
		struct blk_config blk;
		struct fs_config fs;
		struct vcpu_config vcpu;
		struct control_config control;
	};
};

/* ---- the role's side ---- */

/*
 * Wait for the configuration on descriptor @fd and validate its size, type, role,
 * numbers and strings. Returns 0, or -1 with errno set; EPROTO if it is invalid.
 */
int ctl_recv_config(int fd, enum role role, struct role_config *rc);
/*
 * Send @m without blocking. Returns 0, or -1 with errno set; EAGAIN if the peer's queue
 * is full, and the message is dropped.
 */
int ctl_send(int fd, const struct ctl_msg *m);
/* The same for a message with this type, value and text, which is cut after LOG_LINE_MAX - 1 bytes. */
int ctl_send_text(int fd, enum ctl_type type, uint32_t value, const char *text);
/*
 * Receive and validate one message without blocking. Returns 1; 0 if none is queued; or
 * -1 with errno set: EPIPE if the peer is gone, EPROTO if the packet is invalid.
 */
int ctl_recv(int fd, struct ctl_msg *m);

/* The name of a layer for messages; "?" if there is none of that number. */
const char *layer_text(enum layer l);

#endif
