/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A disk that blkd serves by NBD (--boot-disk on IDE, --cdrom), whose client is a QEMU that its guest has taken over. Each
 * case has a blkd of its own, because it serves one connection and ends.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "blkd/nbd.h"
#include "tests/hostile/hostile.h"
#include "tests/lib/nbd_wire.h"

#define HANDLE	  UINT64_C(0x1122334455667788)
#define SIZE	  (SECTORS * 512ull)
#define PIECE	  65536u
#define OPT_LIST  3u
#define OPT_GO	  7u
#define FIXED	  1u
#define NO_ZEROES 2u

static struct dev d;
static uint8_t data[PIECE];

static void begin(bool read_only)
{
	const struct timeval limit = { .tv_sec = PATIENCE / 1000 };

	dev_spawn(&d, &(struct dev_options){ .kind = BLKD, .disk = -1, .nbd = true, .read_only = read_only });
	need(setsockopt(d.f.sock, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) == 0);
}

static void get(void *buf, size_t len)
{
	need(recv(d.f.sock, buf, len, MSG_WAITALL) == (ssize_t)len);
}

static void put(const void *buf, size_t len)
{
	need(send(d.f.sock, buf, len, MSG_NOSIGNAL) == (ssize_t)len);
}

static void greet(uint32_t flags)
{
	const uint32_t answer = htobe32(flags);
	struct nbd_wire_hello hello;

	get(&hello, sizeof(hello));
	need(be64toh(hello.magic) == NBD_WIRE_HELLO);
	put(&answer, sizeof(answer));
}

static void shake_hands(bool read_only)
{
	const struct nbd_wire_go go = {
		.o = { htobe64(NBD_WIRE_OPTION), htobe32(OPT_GO), htobe32(6) },
	};
	uint8_t answers[NBD_WIRE_GO_ANSWERS];

	begin(read_only);
	greet(FIXED | NO_ZEROES);
	put(&go, sizeof(go));
	get(answers, sizeof(answers));
}

static void ask(uint16_t type, uint64_t off, uint32_t len)
{
	const struct nbd_wire_request r = { .magic = htobe32(NBD_WIRE_REQUEST),
					    .type = htobe16(type),
					    .handle = HANDLE,
					    .off = htobe64(off),
					    .len = htobe32(len) };

	put(&r, sizeof(r));
}

/* Returns the reply's error. */
static uint32_t reply(void)
{
	struct nbd_wire_reply p;

	get(&p, sizeof(p));
	need(be32toh(p.magic) == NBD_WIRE_REPLY && p.handle == HANDLE);
	return be32toh(p.error);
}

/* A request without fault is answered, with the data of the disk. */
static bool serves(void)
{
	uint32_t sector[128];

	ask(NBD_READ, 7 * 512, sizeof(sector));
	if (reply())
		return false;
	get(sector, sizeof(sector));
	return sector[0] == 7 && sector[127] == 7;
}

static void disk_is_unchanged(void)
{
	uint32_t sector[128];

	for (unsigned i = 0; i < SECTORS; i++)
		need(pread(d.disk, sector, sizeof(sector), i * 512l) == sizeof(sector) && sector[0] == i &&
		     sector[127] == i);
}

/* The connection is closed, for the reason @text, and blkd says so with its status. */
static void is_closed(const char *text)
{
	char rest[512];
	ssize_t n;

	while ((n = recv(d.f.sock, rest, sizeof(rest), 0)) > 0)
		;
	need(n == 0 || errno == ECONNRESET);
	disk_is_unchanged();
	need(dev_end(&d) == 1);
	need(strstr(d.said, text) != NULL);
	counted("closed");
}

/* ---- handshakes ---- */

static const struct hello {
	const char *name;
	uint32_t flags;
	uint64_t magic;
	uint32_t option, len;
	unsigned times;
	const char *said;
} hellos[] = {
	{ "flags that are unknown", 0x80000003, NBD_WIRE_OPTION, OPT_LIST, 0, 0, "unknown flags" },
	{ "flags of an old client", 0, NBD_WIRE_OPTION, OPT_LIST, 0, 0, "unknown flags" },
	{ "an option without its magic number", 3, 0, OPT_GO, 6, 1, "without its magic number" },
	{ "an option of 4 GiB", 3, NBD_WIRE_OPTION, OPT_GO, UINT32_MAX, 1, "an option that is too long" },
	{ "options without end", 3, NBD_WIRE_OPTION, OPT_LIST, 0, 100, "too many options" },
};

static void hello(const void *arg)
{
	const struct hello *h = arg;
	const struct nbd_wire_option o = { htobe64(h->magic), htobe32(h->option), htobe32(h->len) };

	begin(false);
	greet(h->flags);
	/* The last of them may find the connection closed. */
	for (unsigned i = 0; i < h->times; i++)
		if (send(d.f.sock, &o, sizeof(o), MSG_NOSIGNAL) < 0)
			break;
	is_closed(h->said);
}

/* ---- requests ---- */

static const struct bad_request {
	const char *name, *expect;
	uint32_t magic;
	uint16_t flags, type;
	uint64_t off;
	uint32_t len;
	const char *said; /* NULL: it is answered */
} requests[] = {
	{ "a read that begins at the end", "error 22", NBD_WIRE_REQUEST, 0, NBD_READ, SIZE, 512, NULL },
	{ "a read over the end", "error 22", NBD_WIRE_REQUEST, 0, NBD_READ, SIZE - 512, 1024, NULL },
	{ "a read whose end wraps", "error 22", NBD_WIRE_REQUEST, 0, NBD_READ, UINT64_MAX - 511, 512, NULL },
	{ "a write over the end", "error 28", NBD_WIRE_REQUEST, 0, NBD_WRITE, SIZE - 512, 1024, NULL },
	{ "a write whose end wraps", "error 28", NBD_WIRE_REQUEST, 0, NBD_WRITE, UINT64_MAX - 511, 512, NULL },
	{ "a read of nothing", "error 0", NBD_WIRE_REQUEST, 0, NBD_READ, 0, 0, NULL },
	{ "a read of more than the buffer", "closed", NBD_WIRE_REQUEST, 0, NBD_READ, 0, NBD_MAX_DATA + 1,
	  "longer than the limit" },
	{ "a write of 4 GiB", "closed", NBD_WIRE_REQUEST, 0, NBD_WRITE, 0, UINT32_MAX, "longer than the limit" },
	{ "a request without its magic number", "closed", 0, 0, NBD_READ, 0, 512, "without its magic number" },
	{ "a command that was not offered (TRIM)", "closed", NBD_WIRE_REQUEST, 0, 4, 0, 512, "not offered" },
	{ "the last command there is", "closed", NBD_WIRE_REQUEST, 0, UINT16_MAX, 0, 512, "not offered" },
	{ "a flag that was not offered (FUA)", "closed", NBD_WIRE_REQUEST, 1, NBD_WRITE, 0, 512, "not offered" },
};

static void request(const void *arg)
{
	const struct bad_request *b = arg;
	const struct nbd_wire_request r = { htobe32(b->magic), htobe16(b->flags), htobe16(b->type), HANDLE,
					    htobe64(b->off),   htobe32(b->len) };
	uint32_t error;

	shake_hands(false);
	put(&r, sizeof(r));
	if (b->said) {
		is_closed(b->said);
		return;
	}
	memset(data, 0xaa, b->len);
	if (b->type == NBD_WRITE)
		put(data, b->len);
	error = reply();
	need(serves());
	disk_is_unchanged();
	need(dev_end(&d) == 0);
	counted("error %u", error);
}

static void read_only(const void *arg)
{
	(void)arg;
	shake_hands(true);
	ask(NBD_WRITE, 0, 512);
	memset(data, 0xaa, 512);
	put(data, 512);
	need(reply() == 1);
	need(serves());
	disk_is_unchanged();
	need(dev_end(&d) == 0);
	counted("error 1");
}

/* ---- halves, silence, haste ---- */

/* Half a request, then silence: blkd sleeps, still answers the supervisor, and goes on with the other half. */
static void half(const void *arg)
{
	const struct nbd_wire_request r = {
		.magic = htobe32(NBD_WIRE_REQUEST), .type = htobe16(NBD_WRITE), .handle = HANDLE, .len = htobe32(512)
	};
	const uint8_t *bytes = (const void *)&r;

	(void)arg;
	shake_hands(false);
	put(bytes, sizeof(r) / 2);
	need(falls_asleep(d.f.pid));
	dev_stats(&d);
	put(bytes + sizeof(r) / 2, sizeof(r) - sizeof(r) / 2);
	/* The data of the write, also in two parts. */
	memset(data, 0, 512);
	put(data, 100);
	need(falls_asleep(d.f.pid));
	dev_stats(&d);
	disk_is_unchanged();
	put(data + 100, 412);
	need(reply() == 0 && serves());
	need(dev_end(&d) == 0);
	counted("served");
}

/* The client goes in the middle of a write: nothing of it is on the disk. */
static void leaves(const void *arg)
{
	(void)arg;
	shake_hands(false);
	ask(NBD_WRITE, 0, sizeof(data));
	memset(data, 0xaa, sizeof(data));
	put(data, sizeof(data) / 2);
	need(falls_asleep(d.f.pid));
	need(shutdown(d.f.sock, SHUT_WR) == 0);
	need(recv(d.f.sock, data, 1, 0) == 0);
	disk_is_unchanged();
	need(dev_end(&d) == 0);
	counted("ended");
}

/* Requests whose replies nobody reads, until no more can be sent: blkd waits for the reader, and loses nothing. */
static void unread(const void *arg)
{
	static struct nbd_wire_request r[1024];
	unsigned sent = 0;
	ssize_t n;

	(void)arg;
	shake_hands(false);
	for (unsigned i = 0; i < ARRAY_SIZE(r); i++)
		r[i] = (struct nbd_wire_request){ .magic = htobe32(NBD_WIRE_REQUEST),
						  .type = htobe16(NBD_READ),
						  .handle = HANDLE,
						  .off = htobe64(i % (SIZE / PIECE) * PIECE),
						  .len = htobe32(PIECE) };
	for (size_t at = 0; at < sizeof(r); at += (size_t)n) {
		n = send(d.f.sock, (uint8_t *)r + at, sizeof(r) - at, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0)
			break;
		sent += (unsigned)n;
	}
	need(falls_asleep(d.f.pid));
	dev_stats(&d);
	for (unsigned i = 0; i < sent / sizeof(r[0]); i++) {
		uint32_t first;

		need(reply() == 0);
		get(data, sizeof(data));
		memcpy(&first, data, sizeof(first));
		need(first == i % (SIZE / PIECE) * (PIECE / 512));
	}
	/* The rest of a request of which only a part was sent. */
	if (sent % sizeof(r[0])) {
		put((uint8_t *)r + sent, sizeof(r[0]) - sent % sizeof(r[0]));
		need(reply() == 0);
		get(data, sizeof(data));
	}
	need(serves());
	need(dev_end(&d) == 0);
	counted("served");
}

/* The same handle in many requests at a time: each is answered, in order. */
static void same_handles(const void *arg)
{
	(void)arg;
	shake_hands(false);
	for (unsigned i = 0; i < 200; i++)
		ask(NBD_READ, i * 512, 512);
	for (uint32_t i = 0; i < 200; i++) {
		uint32_t sector[128];

		need(reply() == 0);
		get(sector, sizeof(sector));
		need(sector[0] == i);
	}
	need(dev_end(&d) == 0);
	counted("served");
}

void nbd_group(void)
{
	group("NBD");
	for (unsigned i = 0; i < ARRAY_SIZE(hellos); i++)
		play(hellos[i].name, "closed", hello, &hellos[i]);
	for (unsigned i = 0; i < ARRAY_SIZE(requests); i++)
		play(requests[i].name, requests[i].expect, request, &requests[i]);
	play("a write to a disk that is read-only", "error 1", read_only, NULL);
	play("half a request and half its data, then silence", "served", half, NULL);
	play("the client ends in the middle of a write", "ended", leaves, NULL);
	play("replies that nobody reads", "served", unread, NULL);
	play("200 requests with the same handle", "served", same_handles, NULL);
}
