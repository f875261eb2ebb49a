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

#include "common/fault.h"
#include "common/fdtab.h"
#include "common/log.h"
#include "common/parts.h"
#include "common/role_config.h"
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
	/* Controld and its clients: before the CTL_ROLE_STATS of the vCPU process, with its queue (@resets) */
	CTL_ROLE_RESETS,
	CTL_NEXT_ROUND,	  /* vCPU process: the supervisor has judged the round; go back to the checkpoint */
	CTL_HELPERS_GONE, /* vCPU process, the answer to CTL_END_HELPERS: no process of a helper is left */
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
	CTL_RESETS,  /* vCPU process, before CTL_STATS: what its resets took (@resets) */
	/* vCPU process with vcpu_config.rounds: a round is over; value: enum reset_on; it waits for CTL_NEXT_ROUND */
	CTL_ROUND,
	/*
	 * vCPU process with vcpu_config.fresh: end all helpers (value: 1 for a checkpoint, 0 for a reset); and after
	 * CTL_HELPERS_GONE: start their successors
	 */
	CTL_END_HELPERS,
	CTL_START_HELPERS,
	CTL_FRONT, /* Helper whose front-end connects by path: value: enum ctl_front */
};

/* What the front-end of a helper does. */
enum ctl_front {
	FRONT_IDLE,   /* It has sent its first message, or has stopped a ring. */
	FRONT_RUNS,   /* It begins to start the device for the guest (SET_FEATURES). */
	FRONT_SILENT, /* Its connection is accepted next; it has not said anything. */
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
		struct reset_stats resets;
		struct guest_state state;
		struct role_stats role_stats;
		struct guest_part part;
	};
};

/* A guest that runs while the package is upgraded and a client of the new version exchange messages of one size. */
_Static_assert(sizeof(struct ctl_msg) == 24 + LOG_LINE_MAX, "the size of messages has changed");

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
