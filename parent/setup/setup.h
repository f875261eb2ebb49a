/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The host's side of one guest: everything that the privileged window opens and makes. It
 * is kept for later starts of roles (reboots, restarts). The supervisor owns it until the
 * end. All descriptors are close-on-exec; -1 means none.
 */
#ifndef PARENT_SETUP_H
#define PARENT_SETUP_H

#include <limits.h>

#include "parent/options/config.h"
#include "parent/room/spawn.h"
#include "parent/terminal/terminal.h"

struct disk_host {
	int fd;	    /* The image. */
	int delta;  /* snapshot: an unlinked file for the guest's writes. */
	int map;    /* snapshot: a memory file with the map of clusters in @delta (common/snapmap.h). */
	int levels; /* The same with --checkpoint: a memory file with the other maps. */
	/*
	 * --reset=fresh, a snapshot: @delta, opened for reading only; and another file for the guest's writes after the
	 * checkpoint.
	 */
	int lower, upper;
	int low_map;	     /* From the checkpoint on: what @map was then, with the clusters in @lower. */
	int listener;	     /* qemu engine: the socket where QEMU connects to blkd. */
	dev_t dev;	     /* With @ino, identifies the disk: the file's device, or the block device itself. */
	ino_t ino;	     /* The file's inode; 0: a block device. */
	uint64_t written_at; /* A file: when it was written last, in seconds since 1970. */
	struct blk_config config;
};

struct net_host {
	unsigned ntaps;		 /* Number of queue pairs; each has a descriptor in @tap. */
	int tap[MAX_QUEUES / 2]; /* Descriptors of the tap. */
	int listener;		 /* qemu engine: the socket where QEMU connects to netd. */
	int capture;		 /* The file of pcap=, open for appending. */
	/* --net=user: passt's arguments, each with its NUL; an empty one ends them. */
	char passt_args[SPAWN_ARGS_MAX];
	char ifname[IFNAMSIZ];	    /* Name of the tap. */
	uint8_t host_mac[ETH_ALEN]; /* MAC address of the host's end of a tap that we made. */
	struct net_config config;
};

struct share_host {
	char path[PATH_MAX]; /* The directory, without symbolic links. */
	int root;	     /* Root of a clone of its mounts, which fsd gets. */
	int userns;	     /* Maps its owner to the user of fsd (config.mapped); closed after the rooms are made. */
	int added;	     /* rw: memory with the bytes that the guest has added, which outlives fsd. */
	int nodes;	     /* Memory for fsd's tables of files, which outlives it. */
	int kept_nodes;	     /* --reset=fresh, from the checkpoint on: what @nodes was then. */
	/* rw: the memory of @added, mapped for reading; NULL: not known, because this host cannot seal its size. */
	const volatile uint64_t *added_now;
	struct fs_config config;
};

/* One process of the guest. */
struct role_host {
	char name[16]; /* "blk0", "net0", "fs0", "vcpu". */
	enum role role;
	int device;		/* Index into config.device[]: of the NIC for passt; -1: the vCPU process. */
	struct spawner spawner; /* pid -1: none, because another program serves the device. */
	int diag;		/* Our end of the pipe for its standard error. */
	int foreign;		/* Connection to the other program; -1: a helper of ours serves the device. */
	uid_t uid;		/* Its user and group; -1: those of the launcher. */
	gid_t gid;
	bool own_ids; /* No other role has this user, or the role needs the user that --drop-to names. */
};

/* One process per device, one passt per NIC of --net=user, controld and the vCPU process. */
#define MAX_ROLES (2 * MAX_DEVICES + 2)

/* Where the guest's console goes. */
struct console_place {
	int fd;	       /* -1: closed. */
	bool tty, own; /* Like out_tty and out_own of struct terminal. */
};

/* The guest's cgroup (parent/setup/limits.h). */
struct limits_host {
	int procs;     /* Its cgroup.procs; -1: the guest has no cgroup. */
	int events[8]; /* Its memory.events: each can be read once, because the supervisor makes no lseek(2). */
	int peak;      /* Its memory.peak. */
	int refused;   /* Its pids.events. */
	int alive;     /* The cleaner waits for the end of this connection. */
	pid_t cleaner; /* 0: none. */
	char path[1100];
};

struct host {
	const struct config *c;
	enum engine_kind engine;
	unsigned nengine;
	int *engine_fd;	     /* @nengine descriptors; lguest: one per start of the guest. */
	bool engine_is_file; /* In tests: a file stands in for /dev/lguest. */
	bool shadow_paging;  /* KVM may lack nested paging (EPT, NPT). */
	int kernel, initrd;
	int save;		  /* --save: the file. */
	int shmem;		  /* --shmem: the file. */
	uint64_t shmem_bytes;	  /* Its size; 0: there is none. */
	int firmware;		  /* Sealed copy of the firmware; -1: QEMU's own. */
	int port_file[MAX_PORTS]; /* --port: the files. */
	int console_file;	  /* --console: the file. */
	struct console_place console;
	bool run_tty; /* run: standard input is a terminal, whose settings do not change. */
	int random;   /* lguest: /dev/urandom for the guest's rng; 0: not needed. */
	int rules;    /* Netlink socket that owns the nftables table of the taps; -1: no table. */
	int null;     /* /dev/null, for passt; -1: not needed. */
	struct limits_host limits;
	int mem;	 /* Guest memory. */
	bool mem_sealed; /* It is a memfd that is sealed against resizing. */
	int init_exe;	 /* lguest-sep-init. */
	int exe[ROLE_COUNT];
	struct disk_host disk[MAX_DEVICES];
	struct net_host net[MAX_DEVICES];
	struct share_host share[MAX_DEVICES];
	unsigned nroles;
	/* Devices in command-line order, then passt's, then controld if wanted, then the vCPU process. */
	struct role_host role[MAX_ROLES];
	int control;	 /* Listening socket of the guest's name; -1: none. */
	uid_t owner;	 /* Our real user ID, who may use @control in addition to root. */
	bool name_taken; /* host_open() failed because --name is in use. */
	uint32_t
		served; /* Files that the supervisor reads or writes and that have a server (enum output of keeper.h). */
	bool keeper;	/* A child closes the user's files after our end (parent/setup/keeper.h). */
	int notify;	/* The service manager's socket (parent/setup/notify.h); -1: none. */
	int tell_ready; /* --detach: pipe that gets the name when the guest runs; -1: none. */
	char name[64];	/* Name of the guest; empty without a control socket. */
	struct terminal term;
	uint64_t window_from_us; /* now_us() at the start of the window. */
	int nice;		 /* Our nice value before the window. */
	uint64_t window_us;	 /* How long the window was: the time with privileges. */
};

/* Run the privileged window. Returns 0, or -1 after logging the reason. Call host_close() in both cases. */
int host_open(struct host *h, const struct config *c);
/* End every process and close everything. */
void host_close(struct host *h);

#endif
