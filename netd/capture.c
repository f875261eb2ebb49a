/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writes captured frames in pcapng format. Each block is one writev(2) to a descriptor opened
 * with O_APPEND. Runs in netd, confined, on copies of frames. It allocates no memory and
 * never reads the file.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "common/fdstat.h"
#include "common/fdtab.h"
#include "common/log.h"
#include "common/util.h"
#include "netd/capture.h"

/* Block types, options and values of the format's specification, sections 3.5, 4.1, 4.2 and 4.3. */
enum {
	SECTION_HEADER = 0x0A0D0D0A,
	INTERFACE_DESCRIPTION = 1,
	ENHANCED_PACKET = 6,
	BYTE_ORDER_MAGIC = 0x1A2B3C4D,
	LINK_ETHERNET = 1,
	OPT_COMMENT = 1,
	OPT_IF_NAME = 2,
	OPT_PACKET_FLAGS = 2,
	OPT_USER_APPLICATION = 4,
};

struct section_header {
	uint32_t magic;
	uint16_t major, minor;
	uint32_t length[2]; /* All ones: not given */
};

struct interface_description {
	uint16_t link_type, reserved;
	uint32_t snap_length; /* 0: no limit */
};

struct enhanced_packet {
	uint32_t interface, time_high, time_low, captured, original;
};

/* What precedes a block's data: type and length, then the fixed part. */
struct block_start {
	uint32_t type, length;
	union {
		struct section_header section;
		struct interface_description interface;
		struct enhanced_packet packet;
	};
};
#define START_BYTES(part) (offsetof(struct block_start, section) + sizeof(struct part))

/* What follows it: padding, options and the length again. */
struct block_end {
	unsigned n;
	uint8_t byte[3 + 2 * (4 + CAPTURE_COMMENT_MAX + 3) + 4 + 4];
};

static void put(struct block_end *e, const void *data, size_t n)
{
	memcpy(e->byte + e->n, data, n);
	e->n += (unsigned)n;
}

static void pad(struct block_end *e, uint64_t data)
{
	while (data++ % 4)
		e->byte[e->n++] = 0;
}

static void put_option(struct block_end *e, uint16_t code, const void *value, size_t n)
{
	uint16_t head[2] = { code, (uint16_t)MIN(n, (size_t)CAPTURE_COMMENT_MAX) };

	put(e, head, sizeof(head));
	put(e, value, head[1]);
	pad(e, head[1]);
}

/* Stop the capture because of @why, with one log message. */
static void give_up(struct capture *c, const char *why)
{
	c->on = false;
	log_line(LOG_WARN, "pcap=: %s; the capture ends here, with %llu bytes", why, (unsigned long long)c->used);
}

/*
 * Write one block: @start with @fixed bytes, @have bytes of @data, then @e, after adding the
 * end of the options and the length to it. False if the capture has ended.
 */
static bool write_block(struct capture *c, struct block_start *start, size_t fixed, const void *data, size_t have,
			struct block_end *e)
{
	static const uint32_t no_more_options;
	struct iovec iov[3] = { { start, fixed }, { (void *)(uintptr_t)data, have } };
	ssize_t n;

	put(e, &no_more_options, sizeof(no_more_options));
	start->length = (uint32_t)(fixed + have + e->n + sizeof(start->length));
	put(e, &start->length, sizeof(start->length));
	iov[2] = (struct iovec){ e->byte, e->n };
	if (start->length > c->max || c->used > c->max - start->length) {
		give_up(c, "the next frame would exceed max=");
		return false;
	}
	do
		n = writev(HFD_CAPTURE, iov, ARRAY_SIZE(iov));
	while (n < 0 && errno == EINTR);
	if (n > 0)
		c->used += (uint64_t)n;
	if (n == (ssize_t)start->length)
		return true;
	if (n >= 0)
		errno = ENOSPC;
	give_up(c, errno == ENOSPC ? "no space is left for the file" : "the file cannot be written");
	return false;
}

static bool describe_section(struct capture *c)
{
	static const char program[] = "lguest-sep " LGUEST_SEP_VERSION;
	struct block_start b = { .type = SECTION_HEADER, .section = { BYTE_ORDER_MAGIC, 1, 0, { ~0u, ~0u } } };
	struct block_end e = { 0 };

	put_option(&e, OPT_USER_APPLICATION, program, sizeof(program) - 1);
	return write_block(c, &b, START_BYTES(section_header), NULL, 0, &e);
}

static bool describe_interface(struct capture *c, const char *name)
{
	struct block_start b = { .type = INTERFACE_DESCRIPTION, .interface = { LINK_ETHERNET, 0, 0 } };
	struct block_end e = { 0 };

	put_option(&e, OPT_IF_NAME, name, strlen(name));
	return write_block(c, &b, START_BYTES(interface_description), NULL, 0, &e);
}

int capture_begin(struct capture *c, const char *name, uint64_t max)
{
	struct timespec t;
	struct stat st;

	if (fd_stat(HFD_CAPTURE, &st) < 0 || clock_gettime(CLOCK_REALTIME, &t) < 0)
		return -1;
	*c = (struct capture){ .on = true, .used = (uint64_t)st.st_size, .max = max };
	c->clock_us = (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000 - now_us();
	/* After a restart, netd begins a new section: a pcapng file may have several. */
	if (describe_section(c))
		(void)describe_interface(c, name);
	return 0;
}

void capture_frame(struct capture *c, enum capture_direction to, const void *data, uint64_t have, uint64_t len,
		   const char *why)
{
	uint64_t us = now_us() + c->clock_us;
	struct block_start b = { .type = ENHANCED_PACKET };
	struct block_end e = { 0 };
	const uint32_t flags = to;

	if (!c->on)
		return;
	have = MIN(have, len);
	b.packet = (struct enhanced_packet){ 0, (uint32_t)(us >> 32), (uint32_t)us, (uint32_t)have,
					     (uint32_t)MIN(len, (uint64_t)UINT32_MAX) };
	pad(&e, have);
	put_option(&e, OPT_PACKET_FLAGS, &flags, sizeof(flags));
	if (why)
		put_option(&e, OPT_COMMENT, why, strlen(why));
	(void)write_block(c, &b, START_BYTES(enhanced_packet), data, (size_t)have, &e);
}
