/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Requests to /dev/lguest (drivers/lguest/lguest_user.c of 3.11 and 4.2; words
 * of include/linux/lguest_launcher.h). Runs in the vCPU process. The file
 * position is the number of the virtual CPU; there is only 0.
 */
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/fdtab.h"
#include "vcpu/lguest.h"

enum { REQ_INITIALIZE = 0, REQ_IRQ = 2, REQ_EVENTFD = 4, REQ_GETREG = 5, REQ_SETREG = 6, REQ_TRAP = 7 };

#define ERESTART_OF_HOST 85 /* reaches user space when the guest asks for a reboot */

/*
 * Not libc's pread and pwrite: with two threads those look at each call whether they
 * are to be cancelled. The offset, 0, is the fourth argument and on i386 the fifth too.
 */
static ssize_t dev_read(void *buf, size_t size)
{
	return syscall(SYS_pread64, VFD_ENGINE, buf, size, 0L, 0L);
}

static ssize_t dev_write(const void *buf, size_t size)
{
	return syscall(SYS_pwrite64, VFD_ENGINE, buf, size, 0L, 0L);
}

/* The answer; the length is not looked at by the device. -1 with errno. */
static ssize_t request(const unsigned long *words, size_t n)
{
	ssize_t r;

	do {
		r = dev_write(words, n * sizeof(*words));
	} while (r < 0 && errno == EINTR);
	return r;
}

static bool done(const unsigned long *words, size_t n)
{
	return request(words, n) >= 0;
}

bool lguest_irq(unsigned irq)
{
	return done((unsigned long[]){ REQ_IRQ, irq }, 2);
}

bool lguest_eventfd(unsigned long addr, int fd)
{
	return done((unsigned long[]){ REQ_EVENTFD, addr, (unsigned long)fd }, 3);
}

bool lguest_set(enum lguest_reg r, uint32_t v)
{
	return done((unsigned long[]){ REQ_SETREG, r, v }, 3);
}

bool lguest_trap(unsigned n)
{
	return done((unsigned long[]){ REQ_TRAP, n }, 2);
}

/* After the request, the next read gives the register in place of running the guest. */
bool lguest_get(enum lguest_reg r, uint32_t *v)
{
	/* the device does not look at the length: there is room for whatever it may give */
	unsigned long word[4] = { 0 };
	ssize_t n;

	if (!done((unsigned long[]){ REQ_GETREG, r }, 2))
		return false;
	do {
		n = dev_read(word, sizeof(word));
	} while (n < 0 && errno == EINTR);
	*v = (uint32_t)word[0];
	return n == (ssize_t)sizeof(word[0]);
}

int lguest_initialize(uintptr_t base, unsigned long pfn_limit, unsigned long entry, unsigned long device_limit,
		      enum lguest_dialect *d, const char **why)
{
	/* hosts before 4.0 take three words and leave the fourth alone */
	ssize_t r = request((unsigned long[]){ REQ_INITIALIZE, base, pfn_limit, entry, device_limit }, 5);
	uint32_t eip;

	*why = "its INITIALIZE answers what none of them does";
	if (r < 0) {
		*why = errno == EBUSY ? "this descriptor has had a guest already" : strerrordesc_np(errno);
		return -1;
	}
	if (r == 3 * (ssize_t)sizeof(long)) {
		*d = LGUEST_PAGE;
		/* an address of nothing and a closed descriptor: EBADF where the request is known
		 */
		if (lguest_eventfd(1, -1) || errno != EBADF) {
			*why = "it has no EVENTFD request";
			return -1;
		}
		return 0;
	}
	if (r == 4 * (ssize_t)sizeof(long)) {
		*d = LGUEST_PCI;
		if (!lguest_get(LGUEST_EIP, &eip) || eip != entry) {
			*why = "it is of Linux 2.6.24 to 2.6.30: those hosts have no system-call filters";
			return -1;
		}
		return 0;
	}
	return -1;
}

void lguest_let_go(void)
{
	close(VFD_ENGINE);
}

static enum lguest_event failed(struct lguest_exit *x)
{
	ssize_t n;

	if (errno == EINTR || errno == EAGAIN)
		return LGUEST_EV_AGAIN;
	if (errno == ERESTART_OF_HOST)
		return LGUEST_EV_REBOOT;
	if (errno != ENOENT)
		return LGUEST_EV_ERROR;
	/* it has just died: the next read says why */
	n = dev_read(x->text, sizeof(x->text) - 1);
	if (n < 0)
		return errno == ERESTART_OF_HOST ? LGUEST_EV_REBOOT : LGUEST_EV_ERROR;
	x->text[n] = '\0';
	return LGUEST_EV_DEAD;
}

enum lguest_event lguest_run(enum lguest_dialect d, struct lguest_exit *x)
{
	/* struct lguest_pending, an address, or the words of a death: they begin with a letter.
	 * Static: it would be zeroed for each exit, and there is one vCPU thread. */
	static union {
		unsigned long addr;
		struct {
			uint8_t trap, insn[7];
			uint32_t addr;
		} pending;
		char text[LOG_LINE_MAX - 1];
	} u;
	/* not sizeof(u): it is rounded up, and the NUL behind the text needs its place */
	ssize_t n = dev_read(&u, sizeof(u.text));

	if (n < 0)
		return failed(x);
	if (d == LGUEST_PAGE && n == (ssize_t)sizeof(u.addr)) {
		x->addr = (uint32_t)u.addr;
		return LGUEST_EV_NOTIFY;
	}
	if (d == LGUEST_PCI && n == (ssize_t)sizeof(u.pending) && (u.pending.trap == 13 || u.pending.trap == 14)) {
		x->trap = u.pending.trap;
		memcpy(x->insn, u.pending.insn, sizeof(x->insn));
		x->addr = u.pending.addr;
		return LGUEST_EV_TRAP;
	}
	memcpy(x->text, u.text, (size_t)n);
	x->text[n] = '\0';
	return LGUEST_EV_DEAD;
}
