/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The host's side of one guest: everything that the privileged window opens
 * and makes, and that is kept for every later start of a role. The supervisor
 * owns it until the end; descriptors are close-on-exec, -1 where there is none.
 */
#ifndef PARENT_SETUP_H
#define PARENT_SETUP_H

#include "config.h"
#include "spawn.h"
#include "terminal.h"

struct disk_host {
	int fd;
	int delta;    /* snapshot: an unlinked file for the guest's writes */
	int map;      /* snapshot: which of them are there (common/snapmap.h): a memory file */
	int listener; /* qemu engine: where QEMU connects to blkd */
	dev_t dev;    /* which disk it is: of the file, or of the device itself */
	ino_t ino;
	struct blk_config config;
};

struct net_host {
	unsigned ntaps; /* one per queue pair */
	int tap[MAX_QUEUES / 2];
	int listener; /* qemu engine: where QEMU connects to netd */
	char ifname[IFNAMSIZ];
	struct net_config config;
};

/* One process of the guest. */
struct role_host {
	char name[16]; /* "blk0", "net0", "vcpu" */
	enum role role;
	struct spawner spawner; /* pid -1: a device that another program serves has none */
	int diag;		/* text of its standard error */
	int foreign;		/* connection to the other program, or -1 */
};

/* The vCPU process and one process per device. */
#define MAX_ROLES (MAX_DEVICES + 1)

struct host {
	const struct config *c;
	enum engine_kind engine;
	unsigned nengine;
	int *engine_fd;	     /* lguest: one per start of the guest */
	bool engine_is_file; /* the double of /dev/lguest */
	int kernel, initrd;
	int random; /* lguest: /dev/urandom for the guest's rng; else 0 */
	int mem;
	bool mem_sealed;
	int init_exe, exe[ROLE_COUNT];
	struct disk_host disk[MAX_DEVICES];
	struct net_host net[MAX_DEVICES];
	unsigned nroles;
	struct role_host role[MAX_ROLES]; /* devices in command-line order, then the vCPU process */
	struct terminal term;
	uint64_t window_from_us; /* now_us() when it began */
	int nice;		 /* of ours, before the window */
	uint64_t window_us;	 /* how long any process had a privilege */
};

/* The privileged window, from first to last. 0, or -1 having said why; host_close() then undoes it. */
int host_open(struct host *h, const struct config *c);
/* parent/inherited.c: what was open before us, but the three standard ones and --net=fd=N, does not stay so. */
void inherited_note(void);
void inherited_close(const struct config *c);
/* End every process and let go of everything. */
void host_close(struct host *h);

/* Choose the engine and open its device. 0, or -1 having said why. */
int engine_open(struct host *h);
/* The same for one engine, without a word: -1, with the reason in @why (256 bytes). */
int engine_try(struct host *h, enum engine_kind kind, char *why);
/* Lets go of what engine_try() allocated; its descriptors are the caller's. */
void engine_forget(struct host *h);
const char *engine_name(enum engine_kind kind);

/* Files: parent/setup_files.c. -1: said why. */
int open_programs(struct host *h);
/* @what goes before the path: "kernel ", "--initrd=". */
int open_boot_file(const char *path, const char *what);
/* What a file is if it is not what is wanted: "a directory". */
const char *file_kind(mode_t mode);

/* parent/setup_disk.c: disk[@i] from option[@i]; those before it are open. 0, or -1 having said why. */
int disk_open(const struct disk_option *option, struct disk_host *disk, unsigned i);
void disk_close(struct disk_host *d);

/* parent/setup_net.c. 0, or -1 having said why. random_mac(): locally administered, no group's. */
int random_mac(uint8_t mac[ETH_ALEN]);
int net_open(const struct net_option *o, struct net_host *n);
void net_close(struct net_host *n);

/* parent/setup_foreign.c: does another program serve device @d? */
bool device_is_foreign(const struct config *c, unsigned d);
/* Connect to it; h->role[@d] is there, and the engine is known. 0, or -1 having said why. */
int foreign_open(struct host *h, unsigned d);

/* parent/setup_link.c: what is said to the kernel over netlink. 0, or -1 having said why. */
struct link_info {
	bool exists, is_bridge, up;
	unsigned mtu;
	char type[16];
};
int link_query(const char *ifname, struct link_info *info);
/* Set @mtu (0: leave it), put @ifname onto @bridge (NULL: onto none), bring it up. */
int link_setup(const char *ifname, const char *bridge, unsigned mtu);
int link_add_address(const char *ifname, struct in_addr ip, unsigned prefix);
/* Name of the first interface that has an address in @ip's network, or that overlaps with it; 32: @ip itself. */
bool link_find_address(struct in_addr ip, unsigned prefix, char ifname[IFNAMSIZ]);
void link_done(void);
/*
 * parent/setup_guard.c: have the kernel drop what comes from the guest on
 * @ifname and is not from @mac. 0, or -1 with the reason in @why.
 */
int link_guard_mac(const char *ifname, const uint8_t mac[ETH_ALEN], char *why, size_t size);
/* The same for net[@i], if its tap was made here and its address is to be checked. 0, or -1 having said why. */
int net_guard(const struct config *c, unsigned i, const struct net_host *n);

#endif
