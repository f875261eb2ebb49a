/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writes the file of --result: see result.h. Runs in the parent before the privileged window,
 * and in the supervisor, under its seccomp filter: no stdio, no heap.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/fmt.h"
#include "parent/options/util.h"
#include "parent/setup/files.h"
#include "parent/setup/result.h"
#include "parent/terminal/copier.h"

#define SCHEMA_NUMBER 1
/* Bytes of a string that are kept: all strings together fit into a result. */
#define TEXT_MAX 1024
/* How long the reader of a pipe may take nothing (ms). */
#define READER_MS 2000

static void add(struct json *j, const char *text, size_t n)
{
	if (n > j->size - j->len)
		n = j->size - j->len;
	memcpy(j->buf + j->len, text, n);
	j->len += n;
}

/* RFC 8259: each byte that is not ASCII becomes an escape, so that the file is always valid UTF-8. */
static void add_string(struct json *j, const char *s)
{
	size_t len = strnlen(s, TEXT_MAX);
	char escape[8];

	add(j, "\"", 1);
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c >= 0x20 && c < 0x7f && c != '"' && c != '\\') {
			add(j, s + i, 1);
			continue;
		}
		fmt_line(escape, sizeof(escape), "\\u%04x", (unsigned)c);
		add(j, escape, 6);
	}
	add(j, "\"", 1);
}

static void begin_value(struct json *j, const char *key)
{
	if (j->more)
		add(j, ",", 1);
	j->more = true;
	if (!key)
		return;
	add_string(j, key);
	add(j, ":", 1);
}

void json_open(struct json *j, const char *key, char bracket)
{
	begin_value(j, key);
	add(j, &bracket, 1);
	j->more = false;
}

void json_close(struct json *j, char bracket)
{
	add(j, &bracket, 1);
	j->more = true;
}

void json_null(struct json *j, const char *key)
{
	begin_value(j, key);
	add(j, "null", 4);
}

void json_text(struct json *j, const char *key, const char *value)
{
	if (!value) {
		json_null(j, key);
		return;
	}
	begin_value(j, key);
	add_string(j, value);
}

void json_number(struct json *j, const char *key, uint64_t value)
{
	char text[24];

	begin_value(j, key);
	add(j, text, fmt_line(text, sizeof(text), "%llu", (unsigned long long)value));
}

void result_begin(struct json *j, char *buf, size_t size, const struct config *c, const char *end)
{
	*j = (struct json){ .buf = buf, .size = size };
	json_open(j, NULL, '{');
	json_number(j, "schema", SCHEMA_NUMBER);
	json_text(j, "version", LGUEST_SEP_VERSION);
	json_text(j, "name", c->name);
	json_text(j, "kernel", c->kernel);
	json_text(j, "end", end);
}

/* Wait until the pipe @fd takes bytes again. Returns false if its reader has taken none for READER_MS. */
static bool reads_on(int fd)
{
	const struct timespec most = { .tv_sec = READER_MS / 1000 };
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	return ppoll(&p, 1, &most, NULL) == 1;
}

int result_replace(int fd, struct json *j)
{
	size_t done = 0;
	ssize_t n;

	add(j, "}\n", 2);
	/* On a pipe ftruncate() fails with EINVAL, and there is nothing to remove. */
	if (ftruncate(fd, 0) < 0 && errno != EINVAL)
		return -1;
	while (done < j->len) {
		n = copier_write(fd, j->buf + done, j->len - done);
		if (n < 0 && (errno == EINTR || (errno == EAGAIN && reads_on(fd))))
			continue;
		if (n < 0)
			return -1;
		done += (size_t)n;
	}
	return 0;
}

int result_open(struct config *c)
{
	static char buf[16384];
	struct stat st;
	struct json j;
	int fd;

	if (!c->result)
		return 0;
	fd = open_output_file(c->result, "--result=");
	if (fd < 0)
		return -1;
	c->result_fd = fd;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return 0;
	result_begin(&j, buf, sizeof(buf), c, "unfinished");
	return result_replace(fd, &j) < 0 ? complain(-1, "--result=%s: cannot write to it: %m", c->result) : 0;
}

void result_host_failed(const struct config *c, int status)
{
	static char buf[32768];
	struct timespec t = { 0 };
	char now[UTC_TEXT];
	struct json j;

	if (!c->result_fd)
		return;
	clock_gettime(CLOCK_REALTIME, &t);
	utc_text((uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000, now);
	result_begin(&j, buf, sizeof(buf), c, "host");
	json_number(&j, "status", (uint64_t)status);
	json_null(&j, "engine");
	json_open(&j, "supervisor", '{');
	json_text(&j, "message", complaint_last());
	json_text(&j, "started", now);
	json_text(&j, "ended", now);
	json_close(&j, '}');
	if (result_replace(c->result_fd, &j) < 0)
		complain(0, "--result=%s: cannot write to it: %m", c->result);
}
