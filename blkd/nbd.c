/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The server's side of NBD (see nbd.h). Runs in blkd, confined. All numbers of the protocol
 * are in network byte order.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "blkd/io_sync.h"
#include "blkd/nbd.h"
#include "common/log.h"

/* doc/proto.md, "Values" */
#define NBD_GREETING	   UINT64_C(0x4e42444d41474943) /* "NBDMAGIC" */
#define NBD_OPTION	   UINT64_C(0x49484156454f5054) /* "IHAVEOPT" */
#define NBD_ANSWER	   UINT64_C(0x3e889045565a9)
#define NBD_REQUEST	   0x25609513u
#define NBD_REPLY	   0x67446698u
#define NBD_FIXED_NEWSTYLE 1u
#define NBD_NO_ZEROES	   2u
#define NBD_OPT_ABORT	   2u
#define NBD_OPT_INFO	   6u
#define NBD_OPT_GO	   7u
#define NBD_REP_ACK	   1u
#define NBD_REP_INFO	   3u
#define NBD_REP_UNSUP	   0x80000001u
#define NBD_INFO_EXPORT	   0u
#define NBD_INFO_BLOCK	   3u
#define NBD_HAS_FLAGS	   1u
#define NBD_SEND_FLUSH	   4u
#define NBD_CMD_READ	   0u
#define NBD_CMD_WRITE	   1u
#define NBD_CMD_DISC	   2u
#define NBD_CMD_FLUSH	   3u
#define NBD_EPERM	   1u
#define NBD_EIO		   5u
#define NBD_EINVAL	   22u
#define NBD_ENOSPC	   28u

/* Most options of one handshake, and most bytes of an option: an export's name has at most 4096. */
#define MAX_OPTIONS	 16
#define MAX_OPTION_BYTES 8192u

struct option {
	uint64_t magic;
	uint32_t option, len;
} __attribute__((packed));

struct answer {
	uint64_t magic;
	uint32_t option, type, len;
} __attribute__((packed));

struct info_export {
	uint16_t type;
	uint64_t size;
	uint16_t flags;
} __attribute__((packed));

struct info_block {
	uint16_t type;
	uint32_t min, preferred, max;
} __attribute__((packed));

/* Most bytes of an answer after its header. */
#define ANSWER_MAX 16
_Static_assert(sizeof(struct info_export) <= ANSWER_MAX && sizeof(struct info_block) <= ANSWER_MAX, "it is too short");

struct request {
	uint32_t magic;
	uint16_t flags, type;
	uint64_t handle, off;
	uint32_t len;
} __attribute__((packed));

struct reply {
	uint32_t magic, error;
	uint64_t handle;
} __attribute__((packed));

static uint8_t data[NBD_MAX_DATA] __attribute__((aligned(IMAGE_MAX_ALIGN)));

/* How a step ended: well, or how the connection ends. */
enum step { STEP_OK, STEP_LEFT, STEP_STOP, STEP_BROKE };

/* Move all of @len bytes; waits as long as the client takes and the supervisor does not end this process. */
static enum step transfer(struct nbd *n, bool send, void *buf, size_t len)
{
	uint8_t *at = buf;

	while (len) {
		struct iovec v = { at, len };
		struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };
		ssize_t got = send ? sendmsg(n->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) : recvmsg(n->fd, &m, MSG_DONTWAIT);

		if (got > 0) {
			at += got;
			len -= (size_t)got;
		} else if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
			if (!n->wait(n->arg, false))
				return STEP_STOP;
		} else {
			return STEP_LEFT;
		}
	}
	return STEP_OK;
}

static enum step receive(struct nbd *n, void *buf, size_t len)
{
	return transfer(n, false, buf, len);
}

static enum step transmit(struct nbd *n, void *buf, size_t len)
{
	return transfer(n, true, buf, len);
}

static enum step broke(const char *what)
{
	log_line(LOG_WARN, "NBD: %s; closing the connection", what);
	return STEP_BROKE;
}

static enum step answer(struct nbd *n, uint32_t option, uint32_t type, const void *body, uint32_t len)
{
	uint8_t text[sizeof(struct answer) + ANSWER_MAX];
	struct answer a = {
		.magic = htobe64(NBD_ANSWER), .option = option, .type = htobe32(type), .len = htobe32(len)
	};

	memcpy(text, &a, sizeof(a));
	if (len)
		memcpy(text + sizeof(a), body, len);
	return transmit(n, text, sizeof(a) + len);
}

/* Describe the only export, whatever name was asked for. @option: in network byte order. */
static enum step describe(struct nbd *n, uint32_t option)
{
	struct info_export e = {
		.type = htobe16(NBD_INFO_EXPORT),
		.size = htobe64(n->d->shape.capacity),
		.flags = htobe16(NBD_HAS_FLAGS | NBD_SEND_FLUSH),
	};
	struct info_block b = {
		.type = htobe16(NBD_INFO_BLOCK),
		.min = htobe32(SECTOR_SIZE),
		.preferred = htobe32(4096),
		.max = htobe32(NBD_MAX_DATA),
	};
	enum step s = answer(n, option, NBD_REP_INFO, &e, sizeof(e));

	if (s == STEP_OK)
		s = answer(n, option, NBD_REP_INFO, &b, sizeof(b));
	return s == STEP_OK ? answer(n, option, NBD_REP_ACK, NULL, 0) : s;
}

/* Serve one option. *@go: the handshake is over. */
static enum step one_option(struct nbd *n, bool *go)
{
	struct option o;
	enum step s = receive(n, &o, sizeof(o));
	uint32_t len, kind;

	if (s != STEP_OK)
		return s;
	len = be32toh(o.len);
	kind = be32toh(o.option);
	if (be64toh(o.magic) != NBD_OPTION)
		return broke("an option without its magic number");
	if (len > MAX_OPTION_BYTES)
		return broke("an option that is too long");
	s = receive(n, data, len);
	if (s != STEP_OK)
		return s;
	if (kind == NBD_OPT_ABORT) {
		s = answer(n, o.option, NBD_REP_ACK, NULL, 0);
		return s == STEP_OK ? STEP_LEFT : s;
	}
	*go = kind == NBD_OPT_GO;
	return kind == NBD_OPT_GO || kind == NBD_OPT_INFO ? describe(n, o.option)
							  : answer(n, o.option, NBD_REP_UNSUP, NULL, 0);
}

static enum step handshake(struct nbd *n)
{
	struct {
		uint64_t magic, option;
		uint16_t flags;
	} __attribute__((packed))
	hello = { htobe64(NBD_GREETING), htobe64(NBD_OPTION), htobe16(NBD_FIXED_NEWSTYLE | NBD_NO_ZEROES) };
	enum step s = transmit(n, &hello, sizeof(hello));
	uint32_t flags;
	bool go = false;

	if (s == STEP_OK)
		s = receive(n, &flags, sizeof(flags));
	if (s != STEP_OK)
		return s;
	if (!(be32toh(flags) & NBD_FIXED_NEWSTYLE) || be32toh(flags) & ~(NBD_FIXED_NEWSTYLE | NBD_NO_ZEROES))
		return broke("unknown flags in the handshake");
	for (unsigned i = 0; i < MAX_OPTIONS && !go && s == STEP_OK; i++)
		s = one_option(n, &go);
	return s == STEP_OK && !go ? broke("too many options") : s;
}

/* Move @len bytes between data[] and the disk at @off, a range inside the disk. Returns 0 or an error of NBD. */
static uint32_t move(struct blkd *d, bool write, uint64_t off, uint32_t len)
{
	struct iovec v = { data, len };

	while (v.iov_len) {
		uint64_t part = v.iov_len;
		struct image_file *f = d->snap.on ? snapshot_map(&d->snap, write, off, &part) : &d->base;
		struct iovec some = { v.iov_base, (size_t)part };
		ssize_t got;

		if (!f)
			got = snapshot_write(&d->snap, &some, 1, off, part);
		else if (image_aligned(f, &some, 1, off))
			got = io_wait(f, write, &some, 1, off, write && d->dsync);
		else
			got = io_bounce(f, write, &some, 1, off, part, write && d->dsync);
		if (got <= 0)
			return got == -ENOSPC || got == -EFBIG ? NBD_ENOSPC : NBD_EIO;
		v.iov_base = (uint8_t *)v.iov_base + got;
		v.iov_len -= (size_t)got;
		off += (uint64_t)got;
	}
	return 0;
}

/* Execute the request, whose numbers are in host byte order. A write's data are in data[]. Returns an error of NBD. */
static uint32_t execute(struct nbd *n, const struct request *r)
{
	struct blkd *d = n->d;

	n->stats->requests++;
	if (r->type == NBD_CMD_FLUSH) {
		n->stats->flushes++;
		return blkd_sync(d) ? NBD_EIO : 0;
	}
	if (r->type == NBD_CMD_WRITE && d->shape.read_only)
		return NBD_EPERM;
	if (!range_ok(r->off, r->len, d->shape.capacity))
		return r->type == NBD_CMD_WRITE ? NBD_ENOSPC : NBD_EINVAL;
	*(r->type == NBD_CMD_WRITE ? &n->stats->bytes_written : &n->stats->bytes_read) += r->len;
	return move(d, r->type == NBD_CMD_WRITE, r->off, r->len);
}

static enum step one_request(struct nbd *n)
{
	struct request r;
	struct reply p = { .magic = htobe32(NBD_REPLY) };
	enum step s = receive(n, &r, sizeof(r));
	uint32_t error;

	if (s != STEP_OK)
		return s;
	p.handle = r.handle;
	r.type = be16toh(r.type);
	r.off = be64toh(r.off);
	r.len = be32toh(r.len);
	if (be32toh(r.magic) != NBD_REQUEST)
		return broke("a request without its magic number");
	if (r.type == NBD_CMD_DISC)
		return STEP_LEFT;
	if (r.type > NBD_CMD_FLUSH || r.flags)
		return broke("a command or flag that was not offered");
	if (r.type != NBD_CMD_FLUSH && r.len > NBD_MAX_DATA)
		return broke("a request that is longer than the limit");
	if (r.type == NBD_CMD_WRITE)
		s = receive(n, data, r.len);
	if (s != STEP_OK)
		return s;
	error = execute(n, &r);
	n->stats->io_errors += error != 0;
	p.error = htobe32(error);
	s = transmit(n, &p, sizeof(p));
	return s == STEP_OK && !error && r.type == NBD_CMD_READ ? transmit(n, data, r.len) : s;
}

enum nbd_end nbd_serve(struct nbd *n)
{
	enum step s = handshake(n);

	while (s == STEP_OK)
		s = n->wait(n->arg, true) ? one_request(n) : STEP_STOP;
	return s == STEP_LEFT ? NBD_LEFT : s == STEP_STOP ? NBD_STOP : NBD_BROKE;
}
