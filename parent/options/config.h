/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command line, parsed and checked as a whole before anything else happens.
 * parent/options/options.c fills it, and parent/setup/mac.c adds the MAC addresses and
 * names of taps that follow from --name. It does not change afterwards. Strings point
 * into argv or into config.text.
 */
#ifndef PARENT_CONFIG_H
#define PARENT_CONFIG_H

#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <sys/types.h>

#include "common/ctl.h"
#include "common/run_proto.h"

/* Where make install puts the roles' programs, relative to the directory of lguest-sep. */
#define LIBEXEC "../libexec/lguest-sep"

struct disk_option {
	const char *path;
	bool read_only, snapshot, no_lock, direct;
	bool levels;	 /* --checkpoint: a snapshot that can return to an earlier state of its own */
	bool fresh;	 /* Instead, with --reset=fresh: a snapshot of which another process keeps an earlier state */
	bool format_raw; /* Serve it as a raw image, whatever its first bytes are. */
	char serial[21];
	enum blk_cache cache;
	enum blk_io io;
	unsigned queues;
	uint64_t rate_ops, rate_bytes;
	bool vhost_user; /* @path is the socket of a foreign back-end. */
	bool root, rw;	 /* It is that of --root=; the guest writes to it. */
	unsigned part;	 /* Partition of the root disk; 0: the whole disk. */
	bool cdrom;	 /* --cdrom= */
	enum disk_bus bus;
	unsigned boot; /* --boot-disk=, --cdrom=: its place in the boot order, from 1 on; otherwise 0. */
};

/* How the disk @o was given, for messages. */
static inline const char *disk_how(const struct disk_option *o)
{
	return o->vhost_user ? "--vhost-user-blk="
	       : o->root     ? "--root="
	       : o->cdrom    ? "--cdrom="
	       : o->boot     ? "--boot-disk="
			     : "--block=";
}

/* A shared directory. */
struct share_option {
	const char *path;
	char tag[FS_TAG_MAX + 1];
	unsigned inodes; /* Most files that the guest can know at a time; 0: not given. */
	unsigned queues; /* Request queues; 0: not given. */
	enum fs_cache cache;
	bool read_write; /* The guest may write. */
	bool vhost_user; /* @path is the socket of a foreign back-end. */
	uint64_t max;	 /* For that: most bytes that it may add; 0: not given. */
	const char *
		option; /* How it was given, for messages: "--share=", "--root=", "--in=", "--out=", "--vhost-user-fs=". */
};

/* Most reach=tcp:PORT and udp:PORT of one NIC. */
#define MAX_REACH 32

/* Most ports that one NIC forwards; and the default and largest MTU with --net=user, in bytes. */
#define MAX_FORWARDS 64
#define USER_MTU     65520

/* forward=, of --net=user */
struct forward {
	bool udp;
	struct in6_addr addr; /* of the host; IPv4 as a mapped one */
	uint16_t port, guest_port;
	char text[72]; /* as it was given, for messages */
};

struct net_option {
	enum net_kind kind;
	bool tunnet; /* Given with --tunnet=, not --net=. */
	bool v6;     /* NET_TUNNET_IP: the address of the host's end is @ip6, not @ip. */
	struct in_addr ip;
	struct in6_addr ip6;
	unsigned prefix;       /* Length of the network, in bits. */
	char name[IFNAMSIZ];   /* ifname=: name of the tap to create; "": use @tap. */
	char ifname[IFNAMSIZ]; /* Name of the existing bridge or tap. */
	int fd;		       /* NET_FD: the descriptor of the open tap. */
	const char *path;      /* NET_VHOST_USER: the socket. */
	bool have_mac;	       /* The user gave @mac. */
	bool mac_from_name;    /* mac_name_nics() derived @mac from --name. */
	uint8_t mac[ETH_ALEN];
	char tap[IFNAMSIZ]; /* Name that follows from --name for the tap to create; "": the kernel chooses. */
	unsigned mtu;	    /* Bytes; 0: the bridge's, or 1500. */
	bool no_offload, no_spoof_check;
	struct own_addresses own; /* ip=: the guest's own addresses */
	/* What the guest can reach in addition to what every guest can. */
	bool nat, reach_all, reach_forward;
	bool dhcp; /* netd answers the guest's DHCP requests. */
	unsigned nreach;
	struct {
		uint8_t protocol; /* IPPROTO_TCP, IPPROTO_UDP */
		uint16_t port;	  /* In host byte order. */
	} reach[MAX_REACH];
	unsigned queues; /* Queue pairs. */
	uint64_t rate_packets, rate_bytes;
	/* --net=user */
	bool isolated; /* restrict */
	bool reach_host;
	unsigned nforwards;
	struct forward forward[MAX_FORWARDS];
	const char *pcap;  /* pcap=: the capture file, or NULL. */
	uint64_t pcap_max; /* Most bytes of the capture file; 0: not given. */
};

/* Most bytes of a capture file if max= is not given. */
#define DEFAULT_PCAP_MAX (UINT64_C(64) << 20)

/* Most --copy= and --env= of one command line. */
#define RUN_OPTIONS_MAX 256

/* A port of the guest's console device and the file that gets what the guest writes to it. */
struct port_option {
	char name[PORT_NAME_MAX];
	const char *path; /* NULL: one of the ports of lguest-sep run. */
	uint64_t max;	  /* Most bytes to write to the file. */
};

struct exit_port_option {
	enum exit_port kind;
	unsigned success; /* the number that stands for exit status 0 */
	uint8_t at_qemu;  /* 1: the port is EXIT_PORT_QEMU */
};

/* Where the guest's console goes. */
struct console_option {
	const char *path; /* NULL: standard output. */
	uint64_t max;	  /* Most bytes to write; UINT64_MAX: max= was not given. */
	bool timestamps;
};
/* Most bytes of the console to write, if it goes to no terminal and max= is not given. */
#define CONSOLE_MAX (UINT64_C(64) << 20)

/* --shmem: a file that the guest sees as the memory of a PCI device. */
struct shmem_option {
	const char *path; /* NULL: none. */
	uint64_t size;	  /* size=, in bytes; 0: that of the file, which must exist. */
	bool read_only;
};

struct copy_option {
	const char *path; /* Path on the host. */
	char to[200];	  /* Path in the guest, without the leading slash. */
};

/* Limits of the guest's processes together, by a cgroup. */
struct limit_option {
	uint64_t memory;    /* --memory-max, in bytes; 0: none. */
	uint64_t cpus;	    /* --cpus, in thousandths of a processor; 0: none. */
	unsigned pids;	    /* --pids-max: processes and threads; 0: none. */
	const char *parent; /* --cgroup-parent: directory of the cgroup to use; NULL: our own. */
};

/* lguest-sep run: a command in a guest that is started for it. */
struct run_option {
	bool on, raw_status;
	bool rounds;	/* --checkpoint-at=command: run the command again after each reset. */
	char **command; /* The command and its arguments, ended by NULL. */
	const char *modules, *cwd;
	const char *root, *in, *out; /* --root=, --in=, --out=; NULL: not given. */
	enum run_disk disk;	     /* --root= is a disk: what the guest does with it. */
	unsigned part;		     /* Its partition; 0: the whole disk. */
	unsigned ncopies, nenv;
	struct copy_option copy[RUN_OPTIONS_MAX];
	const char *env[RUN_OPTIONS_MAX];
	const char *only; /* The first given option that only run has; NULL: none. */
	int initrd;	  /* Descriptor of the initrd that parent/run/ made before the window; 0: none. */
};

/* Highest value of --max-restarts. */
#define MAX_RESTARTS 1000

/* Size of config.text: room for file names that had to be unescaped or cut out of an argument. */
#define CONFIG_TEXT_MAX 16384

struct config {
	/* Devices in the order of the command line. */
	unsigned ndevices;
	struct {
		enum device_kind kind;
		unsigned index; /* into disk[], net[] or share[] */
	} device[MAX_DEVICES];
	unsigned ndisks, nnets, nshares;
	unsigned nboots; /* Disks with a place in the boot order. */
	struct disk_option disk[MAX_DEVICES];
	struct net_option net[MAX_DEVICES];
	struct share_option share[MAX_DEVICES];

	struct console_option console;
	const char *result; /* --result; NULL: none. */
	int result_fd;	    /* Opened by main(); 0: none. */
	struct exit_port_option exit_port;
	struct shmem_option shmem;
	unsigned nports;
	struct port_option port[MAX_PORTS]; /* With run, its own RUN_PORTS ports come first. */
	struct run_option run;
	struct limit_option limit;

	uint64_t mem_bytes;
	const char *kernel; /* Without KERNEL: the first disk that the firmware boots, which names the guest. */
	bool no_kernel;	    /* KERNEL was not given. */
	const char *initrd;
	const char *save; /* --save; NULL: none. */
	const char *from; /* --from; NULL: none. It is @kernel, too. */
	const char *conf; /* --config; NULL: none. */
	const char *name; /* --name; NULL: lguest-sep audit takes the kernel's file name */
	char cmdline[CMDLINE_MAX];
	bool console_said; /* by the user, not added */

	bool drop;	    /* --drop-to was given. */
	char drop_name[80]; /* The value of --drop-to, or the default. */
	char user[64];	    /* The name of user ID @uid; "": it has none. */
	uid_t uid;	    /* The user that all processes switch to; set if @drop, or if root started us. */
	gid_t gid;
	bool change_user; /* Switch to @uid and @gid. */

	enum engine_kind engine;
	enum machine_id machine; /* --machine=NAME[:TYPE] */
	unsigned machine_type;	 /* Index into the machine's types. */
	bool machine_set, machine_type_set;
	const char *cpu;	   /* --cpu; NULL: the machine's default. */
	enum firmware firmware;	   /* --firmware */
	const char *firmware_path; /* FIRMWARE_OVMF and after it: the file. */
	unsigned smp;
	bool detach;			/* --detach */
	bool control;			/* The guest has a control socket: --control, and the options that imply it. */
	bool checkpoint;		/* --checkpoint */
	unsigned resets;		/* --resets; 0: no limit. */
	bool fresh, fresh_set;		/* --reset */
	bool vmgenid_same, vmgenid_set; /* --vmgenid */
	struct reset_on_option {
		bool on[RESET_ONS]; /* By enum reset_on */
		uint64_t timeout_ms;
	} reset_on; /* --reset-on */
	bool rng, verbose, quiet, no_reboot, strict, stats, kill_on_fault;
	uint64_t timeout_ms;	 /* --timeout; 0: none. */
	uint64_t cpu_timeout_ms; /* Processor time of all roles together; 0: none. */
	unsigned max_reboots;	 /* --max-reboots; the lguest engine keeps one descriptor for each. */
	unsigned max_restarts;
	unsigned poll_us;
	uint64_t began_us;	 /* now_us() at the start of main(). */
	uint64_t parsed_us;	 /* now_us() when the command line was parsed. */
	unsigned stop_timeout_s; /* --stop-timeout. */
	int escape_key;		 /* The byte of the escape key, or ESCAPE_OFF. */
	bool max_reboots_set, max_restarts_set;

	char text[CONFIG_TEXT_MAX];
	size_t text_used;
};

/* Exit statuses of lguest-sep; README and the man page list the same. */
enum exit_status {
	EXIT_POWEROFF = 0,
	EXIT_HOST = 1, /* The host could not start the guest. */
	EXIT_USAGE = 2,
	EXIT_GUEST_PANIC = 3, /* the guest crashed or panicked */
	EXIT_ROLE_DIED = 4,   /* a helper or the vCPU process died */
	EXIT_TIMEOUT = 5,
	EXIT_GUEST_FAULT = 6, /* --on-fault=kill */
	EXIT_REBOOTS = 7,     /* --max-reboots used up, or --no-reboot */
	EXIT_RESTARTS = 8,    /* --max-restarts used up */
	EXIT_REPORTED = 9,    /* --exit-port: the guest reported another number than that of success */
	EXIT_RUN_CUT = 123,   /* run: the command's own status was above 123, or a signal ended it */
	EXIT_RUN_TIMEOUT = 124,
	EXIT_RUN_FAILED = 125, /* run: anything but the command's own end */
	EXIT_SIGHUP = 129,
	EXIT_THREE_CTRL_C = 130, /* also SIGINT */
	EXIT_SIGQUIT = 131,
	EXIT_KILL = 137, /* lguest-sep kill */
	EXIT_SIGTERM = 143,
};

#endif
