/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Log messages. Linked into every process. A role sends them to the supervisor as
 * packets; a stand-alone program writes them to a descriptor. Each message is one system
 * call. A packet that the supervisor's socket has no room for is dropped.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/ctl.h"
#include "common/fmt.h"
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

	/* open() returns the lowest free number, so this fills 0, 1 and 2 in order. */
	do
		fd = open("/dev/null", O_RDONLY);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
	return fd >= 0;
}

void log_unblock(void)
{
	struct stat st;
	int fd;

	if (fstat(STDERR_FILENO, &st) < 0 || !(S_ISFIFO(st.st_mode) || isatty(STDERR_FILENO)))
		return;
	fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return;
	dup2(fd, STDERR_FILENO);
	close(fd);
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
	if (bucket_open(&l->bucket, now_ms())) {
		bucket_take(&l->bucket, 1);
		return true;
	}
	if (l->suppressed < UINT32_MAX)
		l->suppressed++;
	return false;
}

uint64_t now_us(void)
{
	struct timespec t;

	/*
	 * If the vDSO lacks this clock, the call is a system call, which filters refuse. Every vDSO
	 * has the coarse clock.
	 */
	if (clock_gettime(CLOCK_MONOTONIC, &t) != 0 && clock_gettime(CLOCK_MONOTONIC_COARSE, &t) != 0)
		return clock_by_counter_us();
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

uint64_t now_ms(void)
{
	return now_us() / 1000;
}
