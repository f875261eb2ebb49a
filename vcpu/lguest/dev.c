/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Requests to /dev/lguest (drivers/lguest/lguest_user.c of Linux 3.11 and 4.2; constants of
 * include/linux/lguest_launcher.h). Runs in the vCPU process. The file position selects the
 * virtual CPU; there is only number 0.
 */
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/fdtab.h"
#include "vcpu/lguest/dev.h"
#include "vcpu/lguest/lguest.h"

enum { REQ_INITIALIZE = 0, REQ_IRQ = 2, REQ_EVENTFD = 4, REQ_GETREG = 5, REQ_SETREG = 6, REQ_TRAP = 7 };

#define ERESTART_OF_HOST 85 /* The errno of a read() after the guest has asked for a reboot */

/*
 * syscall() instead of libc's pread() and pwrite(), which check for thread cancellation at
 * each call. The offset 0 is the fourth argument and, on i386, also the fifth.
 */
static ssize_t dev_read(void *buf, size_t size)
{
	return syscall(SYS_pread64, VFD_ENGINE, buf, size, 0L, 0L);
}

static ssize_t dev_write(const void *buf, size_t size)
{
	return syscall(SYS_pwrite64, VFD_ENGINE, buf, size, 0L, 0L);
}

/* Send a request. /dev/lguest ignores its length. Returns the answer, or -1 with errno set. */
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

/* After this request, the next read() returns the register instead of running the guest. */
bool lguest_get(enum lguest_reg r, uint32_t *v)
{
	/* /dev/lguest ignores the length of the buffer, so have room for anything that it may return. */
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
	/* Linux before 4.0 reads three words after the request and ignores the fourth. */
	ssize_t r = request((unsigned long[]){ REQ_INITIALIZE, base, pfn_limit, entry, device_limit }, 5);
	uint32_t eip;

	*why = "INITIALIZE returned an unknown value";
	if (r < 0) {
		*why = errno == EBUSY ? "this descriptor was used for a guest before" : strerrordesc_np(errno);
		return -1;
	}
	if (r == 3 * (ssize_t)sizeof(long)) {
		*d = LGUEST_PAGE;
		/* With a closed descriptor, the answer is EBADF if the host knows this request. */
		if (lguest_eventfd(1, -1))
			return -1;
		if (errno == EINVAL)
			*why = "this is Linux 2.6.29 or 2.6.30, which has no seccomp filters";
		else if (errno != EBADF)
			*why = strerrordesc_np(errno);
		return errno == EBADF ? 0 : -1;
	}
	if (r == 4 * (ssize_t)sizeof(long)) {
		*d = LGUEST_PCI;
		if (!lguest_get(LGUEST_EIP, &eip) || eip != entry) {
			*why = "this is Linux 2.6.24 to 2.6.28, which has no seccomp filters";
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
	/* ENOENT: the guest has just died, and the next read() returns the reason. */
	n = dev_read(x->text, sizeof(x->text) - 1);
	if (n < 0)
		return errno == ERESTART_OF_HOST ? LGUEST_EV_REBOOT : LGUEST_EV_ERROR;
	x->text[n] = '\0';
	return LGUEST_EV_DEAD;
}

enum lguest_event lguest_run(enum lguest_dialect d, struct lguest_exit *x)
{
	/*
	 * The result of read(): an address, a struct lguest_pending, or the reason of the guest's death as
	 * text. A trap number is no letter, so the text cannot be taken for a struct. Static, so that it is
	 * not zeroed for each exit; there is one vCPU thread.
	 */
	static union {
		unsigned long addr;
		struct {
			uint8_t trap, insn[7];
			uint32_t addr;
		} pending;
		char text[LOG_LINE_MAX - 1];
	} u;
	/* Not sizeof(u), which is rounded up: x->text needs room for a NUL. */
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

unsigned lguest_line(const struct vpci *v)
{
	return 1 + v->index % (LGUEST_IRQS - 1);
}
