/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The test double of /dev/lguest: lguest-double SCRIPT REPORT FILE. FILE (an existing regular
 * file) behaves like /dev/lguest; REPORT gets one line per failed check and a last line with
 * their number. See lguest_double.h.
 */
#define FUSE_USE_VERSION 31
#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "tests/host/lguest_double.h"

enum { INITIALIZE = 0, IRQ = 2, EVENTFD = 4, GETREG = 5, SETREG = 6, TRAP = 7 };
#define ERESTART_NR 85

const struct script *script;
static FILE *report;
static pthread_mutex_t report_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned checks, broken;

void check_at(const char *file, int line, bool ok, const char *fmt, ...)
{
	va_list ap;

	pthread_mutex_lock(&report_lock);
	checks++;
	if (!ok) {
		broken++;
		fprintf(report, "%s:%d: ", file, line);
		va_start(ap, fmt);
		vfprintf(report, fmt, ap);
		va_end(ap);
		fputc('\n', report);
		fflush(report);
	}
	pthread_mutex_unlock(&report_lock);
}

/* ---- the guest's side ---- */

static void leave_if_gone(struct guest *g)
{
	if (!g->gone)
		return;
	pthread_mutex_unlock(&g->lock);
	pthread_exit(NULL);
}

static bool wait_changed(struct guest *g, unsigned ms)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_nsec += (long)(ms % 1000) * 1000000;
	t.tv_sec += ms / 1000 + t.tv_nsec / 1000000000;
	t.tv_nsec %= 1000000000;
	return pthread_cond_timedwait(&g->changed, &g->lock, &t) == 0;
}

void peek(struct guest *g, uint64_t gpa, void *buf, size_t len)
{
	if (gpa + len > g->pfn_limit * PAGE || pread(g->mem, buf, len, (off_t)(g->base + gpa)) != (ssize_t)len)
		memset(buf, 0xee, len);
}

void poke(struct guest *g, uint64_t gpa, const void *buf, size_t len)
{
	if (gpa + len <= g->pfn_limit * PAGE)
		(void)!pwrite(g->mem, buf, len, (off_t)(g->base + gpa));
}

uint64_t peekn(struct guest *g, uint64_t gpa, unsigned len)
{
	uint64_t v = 0;

	peek(g, gpa, &v, len);
	return v;
}

void poken(struct guest *g, uint64_t gpa, unsigned len, uint64_t v)
{
	poke(g, gpa, &v, len);
}

/* With g->lock held: answer the launcher's read with @what, and return at its next read. */
static void happen(struct guest *g, enum happening what)
{
	g->event = what;
	pthread_cond_broadcast(&g->changed);
	while (!g->gone && (g->event != NOTHING || !g->running))
		pthread_cond_wait(&g->changed, &g->lock);
	leave_if_gone(g);
}

void notify(struct guest *g, uint64_t value)
{
	const uint64_t one = 1;

	pthread_mutex_lock(&g->lock);
	leave_if_gone(g);
	for (unsigned i = 0; i < g->neventfd; i++)
		if (g->eventfd[i].addr == value) {
			(void)!write(g->eventfd[i].fd, &one, sizeof(one));
			pthread_mutex_unlock(&g->lock);
			return;
		}
	/* the driver takes 0 for nothing pending */
	if (value) {
		g->addr = value;
		happen(g, NOTIFY);
	}
	pthread_mutex_unlock(&g->lock);
}

void trap(struct guest *g, unsigned n, const uint8_t *insn, unsigned len, uint32_t addr)
{
	pthread_mutex_lock(&g->lock);
	leave_if_gone(g);
	g->trap = (uint8_t)n;
	memset(g->insn, 0, sizeof(g->insn));
	memcpy(g->insn, insn, len);
	g->addr = addr;
	happen(g, TRAPPED);
	pthread_mutex_unlock(&g->lock);
}

bool wait_irq(struct guest *g, unsigned irq, unsigned ms)
{
	bool got;

	pthread_mutex_lock(&g->lock);
	while (!g->gone && !g->irq[irq] && wait_changed(g, ms))
		;
	leave_if_gone(g);
	got = g->irq[irq];
	g->irq[irq] = false;
	pthread_mutex_unlock(&g->lock);
	return got;
}

void clear_irq(struct guest *g, unsigned irq)
{
	pthread_mutex_lock(&g->lock);
	g->irq[irq] = false;
	pthread_mutex_unlock(&g->lock);
}

static void end(struct guest *g, const char *text, bool reboots)
{
	pthread_mutex_lock(&g->lock);
	g->dead = text;
	g->reboot = reboots;
	g->ended = true;
	pthread_cond_broadcast(&g->changed);
	pthread_mutex_unlock(&g->lock);
	pthread_mutex_lock(&report_lock);
	fprintf(report, "%u checks, %u broken\n", checks, broken);
	fflush(report);
	pthread_mutex_unlock(&report_lock);
	pthread_exit(NULL);
}

void power_off(struct guest *g)
{
	end(g, "CRASH: Power down", false);
	abort();
}

void crash(struct guest *g, const char *text)
{
	end(g, text, false);
	abort();
}

void reboot(struct guest *g)
{
	end(g, "", true);
	abort();
}

static void *run_guest(void *arg)
{
	struct guest *g = arg;

	pthread_mutex_lock(&g->lock);
	while (!g->gone && !g->running)
		pthread_cond_wait(&g->changed, &g->lock);
	leave_if_gone(g);
	pthread_mutex_unlock(&g->lock);
	script->run(g);
	crash(g, "the script has no end");
}

/* ---- the launcher's side ---- */

static uint64_t word(const struct guest *g, const char *buf, unsigned i)
{
	uint64_t v = 0;

	memcpy(&v, buf + i * g->word, g->word);
	return v;
}

static int initialize(struct guest *g, const char *buf, size_t size)
{
	char path[64];

	if (g->initialised)
		return -EBUSY;
	/* the driver takes what it needs and does not look at the size; this one learns the width
	 * from it */
	g->word = (unsigned)(size / 5);
	if (g->word != 4 && g->word != 8)
		return -EFAULT;
	g->owner = fuse_get_context()->pid;
	snprintf(path, sizeof(path), "/proc/%d/mem", g->owner);
	g->mem = open(path, O_RDWR | O_CLOEXEC);
	if (g->mem < 0)
		return -EFAULT;
	g->base = word(g, buf, 1);
	g->pfn_limit = word(g, buf, 2);
	g->entry = word(g, buf, 3);
	g->device_limit = script->pci ? word(g, buf, 4) : 0;
	g->regs[EIP] = (uint32_t)g->entry;
	g->regs[CS] = 0x61;
	g->initialised = true;
	pthread_create(&g->thread, NULL, run_guest, g);
	return (int)((script->pci ? 4 : 3) * g->word);
}

static int add_eventfd(struct guest *g, uint64_t addr, int fd)
{
	int pidfd, mine;

	if (!addr)
		return -EINVAL;
	pidfd = (int)syscall(SYS_pidfd_open, g->owner, 0);
	mine = pidfd < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);
	if (pidfd >= 0)
		close(pidfd);
	if (mine < 0)
		return -EBADF;
	if (g->neventfd == EVENTS)
		return -ENOMEM;
	g->eventfd[g->neventfd].addr = addr;
	g->eventfd[g->neventfd++].fd = mine;
	return 0;
}

static bool settable(unsigned r)
{
	return r <= EAX || r == EIP || r == ESP;
}

static int pci_request(struct guest *g, uint64_t req, uint64_t a, uint64_t b)
{
	bool known = a % 4 == 0 && a / 4 < NREGS && a / 4 != 11;

	switch (req) {
	case GETREG:
		if (!known)
			return -ENOENT;
		CHECK(!g->running, "GETREG while the guest runs");
		g->getreg = (int)(a / 4);
		return (int)(2 * g->word);
	case SETREG:
		if (!known || !settable((unsigned)(a / 4)))
			return -ENOENT;
		CHECK(!g->running, "SETREG while the guest runs");
		g->regs[a / 4] = (uint32_t)b;
		return (int)(3 * g->word);
	case TRAP:
		if (a >= g->gates)
			return -EINVAL;
		g->injected++;
		g->last_trap = (uint8_t)a;
		return 0;
	default:
		return -EINVAL;
	}
}

static int request(struct guest *g, const char *buf, size_t size)
{
	uint64_t req, a, b;

	if (!g->initialised) {
		uint32_t first;

		memcpy(&first, buf, sizeof(first));
		return first == INITIALIZE ? initialize(g, buf, size) : -EINVAL;
	}
	req = word(g, buf, 0);
	if (req == INITIALIZE)
		return -EBUSY;
	if (g->dead)
		return -ENOENT;
	if (size < 2 * g->word)
		return -EFAULT;
	a = word(g, buf, 1);
	b = size >= 3 * g->word ? word(g, buf, 2) : 0;
	if (req == IRQ) {
		if (a >= IRQS)
			return -EINVAL;
		CHECK(a != 0, "interrupt 0 is the clock's");
		g->irq[a] = true;
		g->irqs++;
		pthread_cond_broadcast(&g->changed);
		return 0;
	}
	if (script->pci)
		return pci_request(g, req, a, b);
	/* hosts of 2.6.29 and 2.6.30: "old-" scripts */
	return req == EVENTFD && strncmp(script->name, "old-", 4) ? add_eventfd(g, a, (int)b) : -EINVAL;
}

static int file_write(const char *path, const char *buf, size_t size, off_t off, struct fuse_file_info *fi)
{
	struct guest *g = (struct guest *)(uintptr_t)fi->fh;
	int r;

	(void)path;
	if (size < 4)
		return -EFAULT;
	if (off)
		return -EINVAL;
	pthread_mutex_lock(&g->lock);
	r = request(g, buf, size);
	pthread_mutex_unlock(&g->lock);
	/* FUSE takes no answer over the size, and 0 for none of it: the real device's are in the
	 * least byte */
	return r > (int)size ? (int)size : r;
}

static int dead_answer(struct guest *g, char *buf, size_t size)
{
	size_t n = strlen(g->dead) + 1;

	if (g->reboot)
		return -ERESTART_NR;
	if (!g->told) {
		g->told = true;
		return -ENOENT;
	}
	n = n < size ? n : size;
	memcpy(buf, g->dead, n);
	return (int)n;
}

static int deliver(struct guest *g, char *buf)
{
	enum happening what = g->event;

	g->event = NOTHING;
	if (what == NOTIFY) {
		memcpy(buf, &g->addr, g->word);
		return (int)g->word;
	}
	buf[0] = (char)g->trap;
	memcpy(buf + 1, g->insn, sizeof(g->insn));
	memcpy(buf + 8, &g->addr, 4);
	return 12;
}

static int run(struct guest *g, char *buf, size_t size)
{
	int r;

	if (g->dead)
		return dead_answer(g, buf, size);
	if (g->getreg >= 0) {
		uint64_t v = g->regs[g->getreg];

		g->getreg = -1;
		memcpy(buf, &v, g->word);
		return (int)g->word;
	}
	guest_enters(g);
	g->running = true;
	pthread_cond_broadcast(&g->changed);
	while (g->event == NOTHING && !g->dead) {
		wait_changed(g, 50);
		if (fuse_interrupted()) {
			g->running = false;
			return -EINTR;
		}
	}
	r = g->event != NOTHING ? deliver(g, buf) : dead_answer(g, buf, size);
	g->running = false;
	return r;
}

static int file_read(const char *path, char *buf, size_t size, off_t off, struct fuse_file_info *fi)
{
	struct guest *g = (struct guest *)(uintptr_t)fi->fh;
	int r = -EINVAL;

	(void)path;
	pthread_mutex_lock(&g->lock);
	if (g->initialised && !off && size >= 12)
		r = fuse_get_context()->pid == g->owner ? run(g, buf, size) : -EPERM;
	pthread_mutex_unlock(&g->lock);
	return r;
}

static int file_open(const char *path, struct fuse_file_info *fi)
{
	struct guest *g = calloc(1, sizeof(*g));

	(void)path;
	if (!g)
		return -ENOMEM;
	pthread_mutex_init(&g->lock, NULL);
	pthread_cond_init(&g->changed, NULL);
	g->getreg = -1;
	g->mem = -1;
	g->gates = 32;
	fi->fh = (uintptr_t)g;
	fi->direct_io = 1;
	return 0;
}

static int file_release(const char *path, struct fuse_file_info *fi)
{
	struct guest *g = (struct guest *)(uintptr_t)fi->fh;

	(void)path;
	pthread_mutex_lock(&g->lock);
	CHECK(!g->initialised || g->ended, "the launcher went before its guest had ended");
	g->gone = true;
	pthread_cond_broadcast(&g->changed);
	pthread_mutex_unlock(&g->lock);
	if (g->initialised)
		pthread_join(g->thread, NULL);
	for (unsigned i = 0; i < g->neventfd; i++)
		close(g->eventfd[i].fd);
	if (g->mem >= 0)
		close(g->mem);
	free(g);
	return 0;
}

static int file_getattr(const char *path, struct stat *st, struct fuse_file_info *fi)
{
	(void)path;
	(void)fi;
	memset(st, 0, sizeof(*st));
	st->st_mode = S_IFREG | 0600;
	st->st_nlink = 1;
	st->st_size = 4096;
	return 0;
}

static const struct fuse_operations operations = {
	.getattr = file_getattr,
	.open = file_open,
	.read = file_read,
	.write = file_write,
	.release = file_release,
};

int main(int argc, char **argv)
{
	char *args[] = { argv[0], (char *)"-f", (char *)"-o", (char *)"allow_other", NULL, NULL };

	if (argc != 4) {
		fprintf(stderr, "usage: %s SCRIPT REPORT FILE\n", argv[0]);
		return 2;
	}
	for (script = scripts; script->name && strcmp(script->name, argv[1]); script++)
		;
	report = fopen(argv[2], "w");
	if (!script->name || !report) {
		fprintf(stderr, "%s: no such script, or no report\n", argv[1]);
		return 2;
	}
	args[4] = argv[3];
	return fuse_main(5, args, &operations, NULL);
}
