/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lines for people. Linked into every process; a confined role's lines are
 * packets to the supervisor, a program that stands alone writes them itself.
 * One system call a line, and never a wait: a line that cannot be taken is lost.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/ctl.h"
#include "common/log.h"

static struct {
	int fd;
	bool ctl;
	const char *name;
	enum log_level max;
} log_to = { .fd = 2, .name = "lguest-sep", .max = LOG_INFO };

void log_to_fd(int fd, const char *name, enum log_level max)
{
	log_to.fd = fd;
	log_to.ctl = false;
	log_to.name = name;
	log_to.max = max;
}

void log_to_ctl(int fd, const char *name, enum log_level max)
{
	log_to_fd(fd, name, max);
	log_to.ctl = true;
}

static void say(enum log_level level, const char *fmt, va_list ap)
{
	char line[LOG_LINE_MAX + 32];
	char text[LOG_LINE_MAX];
	size_t n;

	fmt_vline(text, sizeof(text), fmt, ap);
	if (log_to.ctl) {
		(void)ctl_send_text(log_to.fd, CTL_LOG, level, text);
		return;
	}
	n = fmt_line(line, sizeof(line), "%.*s: %s\n", 24, log_to.name, text);
	while (write(log_to.fd, line, n) < 0 && errno == EINTR)
		;
}

bool log_fill_standard(void)
{
	int fd;

	/* The lowest number that is free is what is given out. */
	do
		fd = open("/dev/null", O_RDONLY);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
	return fd >= 0;
}

void log_line(enum log_level level, const char *fmt, ...)
{
	int err = errno;
	va_list ap;

	if (level > log_to.max)
		return;
	va_start(ap, fmt);
	say(level, fmt, ap);
	va_end(ap);
	errno = err;
}

void die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(LOG_ERROR, fmt, ap);
	va_end(ap);
	_exit(1);
}

bool log_allowed(struct log_limit *l)
{
	uint64_t now = now_ms(), gained;

	if (l->every_ms && now > l->last_ms) {
		gained = (now - l->last_ms) / l->every_ms;
		if (l->last_ms == 0 || gained >= l->burst) {
			l->tokens = l->burst;
			l->last_ms = now;
		} else {
			l->tokens = MIN(l->burst, l->tokens + (unsigned)gained);
			l->last_ms += gained * l->every_ms;
		}
	}
	if (!l->tokens) {
		if (l->suppressed < UINT32_MAX)
			l->suppressed++;
		return false;
	}
	l->tokens--;
	return true;
}

uint64_t now_us(void)
{
	struct timespec t;

	/* Without a clock in the vDSO this is a system call that filters refuse; the coarse one
	 * always is there. */
	if (clock_gettime(CLOCK_MONOTONIC, &t) != 0)
		clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

uint64_t now_ms(void)
{
	return now_us() / 1000;
}
