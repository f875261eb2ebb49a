/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command line, parsed and checked whole, before anything else happens.
 * parent/options.c fills it; nobody changes it afterwards. Strings point into
 * argv or into config.text.
 */
#ifndef PARENT_CONFIG_H
#define PARENT_CONFIG_H

#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <sys/types.h>

#include "common/ctl.h"

/* Where the roles' programs are, seen from the folder of lguest-sep, as make install lays them out. */
#define LIBEXEC "../libexec/lguest-sep"

struct disk_option {
	const char *path;
	bool read_only, snapshot, no_lock, direct;
	char serial[21];
	enum blk_cache cache;
	enum blk_io io;
	unsigned queues;
	uint64_t rate_ops, rate_bytes;
	bool vhost_user; /* path is a foreign back-end's socket */
};

enum net_kind { NET_TUNNET_IP, NET_BRIDGE, NET_TAP, NET_FD, NET_VHOST_USER };

struct net_option {
	enum net_kind kind;
	bool tunnet;	   /* asked for with --tunnet= */
	struct in_addr ip; /* NET_TUNNET_IP: the host's end */
	unsigned prefix;
	char ifname[IFNAMSIZ]; /* bridge or tap */
	int fd;
	const char *path;
	bool have_mac;
	uint8_t mac[ETH_ALEN];
	unsigned mtu; /* 0: from the bridge, else 1500 */
	bool no_offload, no_spoof_check;
	unsigned queues; /* pairs */
	uint64_t rate_packets, rate_bytes;
};

/* Most restarts of helpers a minute that can be asked for. */
#define MAX_RESTARTS 1000

/* Bytes for file names and the like that had to be unescaped or cut out of an argument. */
#define CONFIG_TEXT_MAX 16384

struct config {
	/* devices in command-line order */
	unsigned ndevices;
	struct {
		enum device_kind kind;
		unsigned index; /* into disk[] or net[] */
	} device[MAX_DEVICES];
	unsigned ndisks, nnets;
	struct disk_option disk[MAX_DEVICES];
	struct net_option net[MAX_DEVICES];

	uint64_t mem_bytes;
	const char *kernel, *initrd;
	const char *name; /* --name, for lguest-sep audit; NULL: the kernel's file name */
	char cmdline[CMDLINE_MAX];
	bool console_said; /* by the user, not added */

	bool drop;	    /* --drop-to was given */
	char drop_name[80]; /* as it was said, or the default */
	uid_t uid;	    /* set if @drop, or if root started us: what everything becomes */
	gid_t gid;
	bool change_user; /* uid and gid are to be taken on */

	enum engine_kind engine;
	unsigned smp;
	bool rng, verbose, no_reboot, strict, stats, kill_on_fault;
	unsigned timeout_s;   /* 0: none */
	unsigned max_reboots; /* lguest: how many descriptors are kept */
	unsigned max_restarts;
	unsigned poll_us;
	uint64_t began_us, parsed_us; /* now_us() at main(), and when the command line was judged */
	bool max_reboots_set, max_restarts_set;

	char text[CONFIG_TEXT_MAX];
	size_t text_used;
};

/* Exit statuses of lguest-sep; README and the man page list the same. */
enum exit_status {
	EXIT_POWEROFF = 0,
	EXIT_HOST = 1, /* set-up failed */
	EXIT_USAGE = 2,
	EXIT_GUEST_PANIC = 3, /* the guest crashed or panicked */
	EXIT_ROLE_DIED = 4,   /* a helper or the vCPU process died */
	EXIT_TIMEOUT = 5,
	EXIT_GUEST_FAULT = 6, /* --on-fault=kill */
	EXIT_REBOOTS = 7,     /* --max-reboots used up */
	EXIT_RESTARTS = 8,    /* --max-restarts used up */
	EXIT_SIGHUP = 129,
	EXIT_THREE_CTRL_C = 130, /* also SIGINT */
	EXIT_SIGQUIT = 131,
	EXIT_SIGTERM = 143,
};

/*
 * Parse. Returns -1 to go on with *@c filled; or the exit status to leave with
 * (help and version printed, or one line said about what is wrong).
 */
int options_parse(int argc, char **argv, struct config *c);
/* The same without a look at who we are: the command line of somebody's guest. */
int options_read(int argc, char **argv, struct config *c);

#endif
