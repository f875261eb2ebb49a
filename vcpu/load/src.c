/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads a kernel file that may be compressed with gzip. Runs in the vCPU process, confined,
 * before the guest runs. The file is untrusted: zlib allocates from a fixed buffer, and
 * unpacking stops at the size of the guest's memory.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "common/fmt.h"
#include "vcpu/load/load_private.h"
#include "vcpu/load/src.h"

#define CHUNK 65536u

/* State of the one gzip stream. zlib 1.2 and 1.3 need 7 KiB and a window of 32 KiB in the arena. */
static struct {
	z_stream z;
	bool live, ended;
	uint64_t file_pos; /* Offset of the next byte of the file to read */
	uint64_t pos;	   /* Bytes unpacked so far */
	size_t used;	   /* Bytes of the arena in use */
	_Alignas(16) uint8_t arena[65536];
	uint8_t in[CHUNK], skip[CHUNK];
} gz;

static voidpf arena_alloc(voidpf opaque, uInt items, uInt size)
{
	uint64_t want = ((uint64_t)items * size + 15) & ~15ull;
	void *p;

	(void)opaque;
	if (want > sizeof(gz.arena) - gz.used)
		return Z_NULL;
	p = gz.arena + gz.used;
	gz.used += want;
	return p;
}

static void arena_free(voidpf opaque, voidpf p)
{
	(void)opaque;
	(void)p;
}

/* Call pread() until @len bytes were read or the file ends. Returns the number of bytes, or -1 with errno set. */
static int64_t read_at(int fd, uint64_t off, void *buf, uint64_t len)
{
	uint64_t done = 0;

	if (off > INT64_MAX || len > INT64_MAX - off)
		return 0;
	while (done < len) {
		uint64_t want = MIN(len - done, 1u << 30);
		ssize_t n = pread(fd, (uint8_t *)buf + done, want, (off_t)(off + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		done += (uint64_t)n;
	}
	return (int64_t)done;
}

static int gz_restart(struct load_src *s)
{
	memset(&gz.z, 0, sizeof(gz.z));
	gz.used = 0;
	gz.file_pos = gz.pos = 0;
	gz.ended = false;
	gz.live = true;
	gz.z.zalloc = arena_alloc;
	gz.z.zfree = arena_free;
	/* A window of 15 bits; + 16: zlib expects and checks a gzip header and trailer. */
	if (inflateInit2(&gz.z, 15 + 16) != Z_OK)
		return load_fail(s->out, "cannot initialise zlib");
	return 0;
}

static int gz_fill(struct load_src *s)
{
	int64_t n;

	if (gz.z.avail_in)
		return 0;
	n = read_at(s->fd, gz.file_pos, gz.in, CHUNK);
	if (n < 0)
		return load_fail(s->out, "the kernel cannot be read: %m");
	if (n == 0)
		return load_fail(s->out, "the kernel's gzip stream ends early");
	gz.file_pos += (uint64_t)n;
	gz.z.next_in = gz.in;
	gz.z.avail_in = (uInt)n;
	return 0;
}

/* Unpack up to @len bytes into @buf. Returns their number, smaller only at the end of the stream; or -1. */
static int64_t gz_next(struct load_src *s, uint8_t *buf, uint64_t len)
{
	uint64_t done = 0;

	while (done < len && !gz.ended) {
		uint64_t room = MIN(len - done, 1u << 30);
		int rc;

		if (gz_fill(s) < 0)
			return -1;
		gz.z.next_out = buf + done;
		gz.z.avail_out = (uInt)room;
		rc = inflate(&gz.z, Z_NO_FLUSH);
		done += room - gz.z.avail_out;
		if (rc == Z_STREAM_END)
			gz.ended = true;
		else if (rc == Z_DATA_ERROR)
			return load_fail(s->out, "the kernel's gzip stream is damaged: %s",
					 gz.z.msg ? gz.z.msg : "bad data");
		else if (rc != Z_OK && rc != Z_BUF_ERROR)
			return load_fail(s->out, "cannot unpack the kernel's gzip stream (zlib error %d)", rc);
	}
	gz.pos += done;
	if (gz.pos > s->limit)
		return load_fail(s->out, "the kernel unpacks to more than the guest's memory");
	return (int64_t)done;
}

static int64_t gz_read(struct load_src *s, uint64_t off, void *buf, uint64_t len)
{
	if (off > s->limit)
		return 0;
	if ((!gz.live || off < gz.pos) && gz_restart(s) < 0)
		return -1;
	while (gz.pos < off) {
		int64_t n = gz_next(s, gz.skip, MIN(off - gz.pos, CHUNK));

		if (n < 0)
			return -1;
		if (n == 0)
			return 0;
	}
	return gz_next(s, buf, len);
}

int src_open(struct load_src *s, int fd, uint64_t limit, struct load_result *out)
{
	uint8_t magic[3];
	int64_t n;

	*s = (struct load_src){ .fd = fd, .limit = limit, .out = out };
	gz.live = false;
	n = read_at(fd, 0, magic, sizeof(magic));
	if (n < 0)
		return load_fail(out, "the kernel cannot be read: %m");
	if (n < (int64_t)sizeof(magic))
		return load_fail(out, "the kernel file is empty or too short");
	/* The magic number of gzip, and compression method deflate (RFC 1952, 2.3.1). */
	s->gzip = magic[0] == 0x1f && magic[1] == 0x8b && magic[2] == 8;
	return 0;
}

int64_t src_read_some(struct load_src *s, uint64_t off, void *buf, uint64_t len)
{
	int64_t n;

	if (s->gzip)
		return gz_read(s, off, buf, len);
	n = read_at(s->fd, off, buf, len);
	if (n < 0)
		return load_fail(s->out, "the kernel cannot be read: %m");
	return n;
}

int src_read(struct load_src *s, uint64_t off, void *buf, uint64_t len)
{
	int64_t n = src_read_some(s, off, buf, len);

	if (n < 0)
		return -1;
	if ((uint64_t)n != len)
		return load_fail(s->out, "the kernel file is truncated");
	return 0;
}

/* Check what follows the gzip stream: padding with zeroes is common, anything else is refused. */
static int gz_only_zeroes_left(struct load_src *s)
{
	for (;;) {
		int64_t n;

		for (uInt i = 0; i < gz.z.avail_in; i++)
			if (gz.z.next_in[i])
				return load_fail(s->out, "data after the end of the kernel's gzip stream");
		n = read_at(s->fd, gz.file_pos, gz.in, CHUNK);
		if (n < 0)
			return load_fail(s->out, "the kernel cannot be read: %m");
		if (n == 0)
			return 0;
		gz.file_pos += (uint64_t)n;
		gz.z.next_in = gz.in;
		gz.z.avail_in = (uInt)n;
	}
}

int src_finish(struct load_src *s)
{
	if (!s->gzip)
		return 0;
	if (!gz.live && gz_restart(s) < 0)
		return -1;
	while (!gz.ended)
		if (gz_next(s, gz.skip, CHUNK) < 0)
			return -1;
	return gz_only_zeroes_left(s);
}

int load_fail(struct load_result *out, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fmt_vline(out->error, sizeof(out->error), fmt, ap);
	va_end(ap);
	return -1;
}

void *load_ram(const struct load_state *st, uint64_t gpa, uint64_t len)
{
	if (gpa < LOAD_KERNEL_MIN || !range_ok(gpa, len, st->rq->ram_low))
		return NULL;
	return shm_ptr(st->mem, gpa, len);
}

int load_put(const struct load_state *st, uint64_t gpa, const void *buf, size_t len)
{
	void *p = gpa < st->rq->ram_low && len <= st->rq->ram_low - gpa ? shm_ptr(st->mem, gpa, len) : NULL;

	if (!p)
		return load_fail(st->out, "no memory at 0x%llx", (unsigned long long)gpa);
	memcpy(p, buf, len);
	return 0;
}
