/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The configuration of a role, which the supervisor sends it once (common/ctl.h). It has a fixed size, no pointers, and
 * no string without its NUL: ctl_recv_config() refuses any other.
 */
#ifndef COMMON_ROLE_CONFIG_H
#define COMMON_ROLE_CONFIG_H

#include <linux/if_ether.h>
#include <netinet/in.h>
#include <string.h>

#include "common/exit_port.h"
#include "common/fdtab.h"
#include "common/machine.h"

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
	bool saved; /* A snapshot whose changes are in the file of --save or --from (HFD_SAVE, HFD_FROM) */
	/* --reset=fresh, a snapshot after the checkpoint: the changes from before it are in HFD_LOWER, and stay as they are */
	bool lower;
	bool begins; /* With @lower: this is the first process after the checkpoint or a reset, so HFD_DELTA has nothing yet */
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
	bool checkpoint; /* The guest can go back to an earlier state; it is in the same memory; not with @read_write */
	bool saved;	 /* HFD_SAVE or HFD_FROM is the file of --save or --from; not with @read_write */
	/* --reset=fresh, instead of @checkpoint: other processes take the guest back, so the tables say if INIT was received */
	bool fresh;
	bool begins; /* With @fresh: the first process after the checkpoint or a reset, whose tables begin as HFD_KEPT_NODES */
	bool read_write; /* The guest may write; the other members are for this case only */
	bool mapped;	 /* The mount shows files of @owner and @group as those of @uid and @gid, as which fsd runs */
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
/* With --checkpoint also what each entry was then, and in addition what each file was. */
#define FSD_PAST_ENTRY_BYTES 16
#define FSD_PAST_NODE_BYTES  16

/* Bytes of memory for the tables of an fsd for @inodes files. Most of it is never touched. */
static inline uint64_t fs_tables_bytes(uint32_t inodes, bool checkpoint)
{
	uint64_t bytes = FSD_KEPT_BYTES + (inodes + 1ull) * (FSD_NODE_BYTES + FSD_NAME_BYTES) +
			 (FSD_HANDLES + 1ull) * FSD_HANDLE_BYTES;

	if (checkpoint)
		bytes += (inodes + 1ull) * (FSD_PAST_ENTRY_BYTES + FSD_PAST_NODE_BYTES) +
			 (FSD_HANDLES + 1ull) * FSD_PAST_ENTRY_BYTES;
	return (bytes + 0xffff) & ~0xffffull;
}

/* Most bytes that the files of such a share take in a file of --save (fsd/saved.h). */
static inline uint64_t fs_saved_bytes(uint32_t inodes)
{
	return 3 * 4096 + inodes * (8ull + 24 + 256) + (FSD_HANDLES + 1ull) * (8 + 24);
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
	uint8_t cache;		  /* Share: enum fs_cache */
	bool others_are_root;	  /* Share: as in struct fs_config */
	uint32_t inodes;	  /* Share: most files that the guest can know at a time */
	bool snapshot;		  /* Disk: its changes are in blkd's second file */
	uint64_t image_time;	  /* Disk: when its image was written last, in seconds since 1970; 0: not known */
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

/* Most bytes of the file of --save (vcpu/kvm/save_format.h) for @mem bytes of guest memory. */
#define SAVE_FILE_MAX(mem) ((2ull << 20) + (mem) + (mem) / 4096 / 8)

/* Smallest and largest file of --shmem, in bytes. The largest one fits into the PCI window (vcpu/kvm/board.h). */
#define SHMEM_MIN 4096
#define SHMEM_MAX (UINT64_C(256) << 20)

/* --reset-on: what takes the guest back to its checkpoint, with the names for users. */
enum reset_on {
	RESET_ON_POWEROFF,
	RESET_ON_REBOOT,
	RESET_ON_PANIC,
	RESET_ON_CRASH,
	RESET_ON_EXIT_PORT,
	RESET_ON_TIMEOUT,
	RESET_ONS /* As the cause of a reset: somebody asked for it */
};
#define RESET_ON_NAMES                                                         \
	{                                                                      \
		"poweroff", "reboot", "panic", "crash", "exit-port", "timeout" \
	}

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
	bool shadow_paging;   /* kvm engine: the host's KVM may lack nested paging (EPT, NPT) */
	uint8_t reset_on;     /* With @checkpoint: a bit for each enum reset_on */
	uint64_t run_ms;      /* RESET_ON_TIMEOUT: how long the guest may run after its checkpoint or a reset */
	uint32_t resets;      /* Most resets, then the guest ends; 0: no limit */
	bool rounds;	      /* With @checkpoint: a reset waits for CTL_NEXT_ROUND, and there is one checkpoint */
	bool fresh;	      /* With @checkpoint: each reset starts all helpers again */
	bool vmgenid_same;    /* kvm engine: the generation ID never changes (vcpu/kvm/vmgenid.h) */
	bool save;	      /* kvm engine, with @checkpoint: VFD_SAVE is the file of --save */
	bool from;	      /* kvm engine: VFD_KERNEL is the file of --from, not a kernel */
	bool shmem_ro;	      /* The guest may only read it */
	uint32_t shmem_bytes; /* kvm engine: size of the file at VFD_SHMEM, a power of two; 0: there is none */
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

#endif
