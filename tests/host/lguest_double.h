/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A test double of /dev/lguest: a file system with one file (libfuse3) that answers like the
 * kernel's driver (drivers/lguest/lguest_user.c of 3.11 and 4.2). Its "guest" is a C
 * function (a script) in a thread of its own, which uses the memory of the process that
 * initialised the device. For tests; never part of a role.
 */
#ifndef TESTS_HOST_LGUEST_DOUBLE_H
#define TESTS_HOST_LGUEST_DOUBLE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PAGE   4096u
#define IRQS   32
#define EVENTS 128

/* Indices into regs[]: offset / 4 in struct user_regs_struct of i386. */
enum { EBX, ECX, EDX, ESI, EDI, EBP, EAX, XDS, XES, XFS, XGS, EIP = 12, CS, EFLAGS, ESP, XSS, NREGS };

enum happening { NOTHING, NOTIFY, TRAPPED };

struct guest {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	pthread_t thread;
	unsigned word; /* bytes of the caller's unsigned long */
	pid_t owner;   /* thread that did INITIALIZE */
	int mem;       /* /proc/OWNER/mem */
	uint64_t base, pfn_limit, entry, device_limit;
	bool initialised, running, gone, ended;
	enum happening event;
	uint64_t addr; /* of the event */
	uint8_t trap, insn[7];
	int getreg; /* -1: none pending */
	uint32_t regs[NREGS];
	unsigned injected; /* traps that the launcher gave back */
	uint8_t last_trap;
	unsigned gates; /* highest trap that the guest has a gate for, + 1 */
	bool irq[IRQS];
	unsigned irqs;
	struct {
		uint64_t addr;
		int fd;
	} eventfd[EVENTS];
	unsigned neventfd;
	const char *dead; /* NULL: alive */
	bool told, reboot;
	uint64_t flag;		       /* guest-physical, of irq_pending; 0: not looked at */
	unsigned flag_set, flag_clear; /* how it was when the guest went on */
};

struct script {
	const char *name;
	bool pci;
	void (*run)(struct guest *g);
};
extern const struct script scripts[];
extern const struct script *script;

/* ---- for scripts: all functions end the thread if the launcher has ended ---- */

/* Check something that the launcher must do: counts it, and writes a line to the report if it fails. */
void check_at(const char *file, int line, bool ok, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
#define CHECK(ok, ...) check_at(__FILE__, __LINE__, ok, __VA_ARGS__)

void peek(struct guest *g, uint64_t gpa, void *buf, size_t len);
void poke(struct guest *g, uint64_t gpa, const void *buf, size_t len);
uint64_t peekn(struct guest *g, uint64_t gpa, unsigned len);
void poken(struct guest *g, uint64_t gpa, unsigned len, uint64_t v);

/* LHCALL_NOTIFY. */
void notify(struct guest *g, uint64_t value);
/* Make a trap with these bytes at eip. Returns once the launcher lets the guest run again. */
void trap(struct guest *g, unsigned n, const uint8_t *insn, unsigned len, uint32_t addr);
bool wait_irq(struct guest *g, unsigned irq, unsigned ms);
void clear_irq(struct guest *g, unsigned irq);
void power_off(struct guest *g) __attribute__((noreturn));
void crash(struct guest *g, const char *text) __attribute__((noreturn));
void reboot(struct guest *g) __attribute__((noreturn));

/* ---- lguest_driver.c: how drivers of both lguest versions use rings ---- */

#define RING 256u
struct ring {
	struct guest *g;
	uint64_t desc, avail, used;
	uint16_t next, seen;
	unsigned irq;
	void (*kick)(struct ring *r);
	void (*ack)(struct ring *r); /* after an interrupt; may be NULL */
	void *owner;
	unsigned index;
	uint64_t kick_at;
};
struct piece {
	uint64_t gpa;
	uint32_t len;
	bool write;
};
/* Put one chain into @r, kick, wait for the interrupt and the used entry. Returns the bytes written, or -1. */
int exchange(struct ring *r, const struct piece *p, unsigned n);
void offer(struct ring *r, const struct piece *p, unsigned n);
int take(struct ring *r, unsigned ms);

/* Test the devices, after their rings are set up. @at: 64 KiB of free guest memory. */
void drive_disk(struct ring *r, uint64_t at, uint64_t capacity);
void drive_nic(struct ring *rx, struct ring *tx, uint64_t at, const uint8_t *mac, unsigned hdr);
void drive_rng(struct ring *r, uint64_t at);
void drive_console(struct ring *rx, struct ring *tx, uint64_t at);
uint64_t boot_checks(struct guest *g);

/* ---- lguest_ports_guest.c ---- */

/* Rings that a device of these guests has at most: a console with the ports of lguest-sep run. */
#define DEVICE_RINGS 12
/* The ports of lguest-sep run, whose twelve rings are at @r: what comes in goes out again. */
void drive_run(struct ring *r, uint64_t at);

/* ---- lguest_lone_guest.c ---- */

/* Read from a disk, with one and with two requests in flight. */
void drive_lone(struct ring *r, uint64_t at);
/* Check that the launcher finds and clears irq_pending. @leave: makes one exit and returns. */
void drive_flag(struct guest *g, void (*leave)(struct guest *g));
/* The device calls this when the guest continues. With g->lock held. */
void guest_enters(struct guest *g);

#endif
