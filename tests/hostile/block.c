/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hostile block requests (virtio 1.2, 5.2.6), against blkd with its tight filter on. A
 * refused request must not change any sector of the disk.
 */
#include <linux/virtio_blk.h>
#include <string.h>
#include <unistd.h>

#include "tests/hostile/hostile.h"

#define HEADER DATA
#define STATUS (DATA + 0x800)
#define BODY   (DATA + 0x1000)

static struct dev *get(void)
{
	return dev_get(&(struct dev_options){ .kind = BLKD, .disk = -1 });
}

static void untouched(struct dev *d)
{
	static uint32_t sector[SECTORS][128];

	need(pread(d->disk, sector, sizeof(sector), 0) == (ssize_t)sizeof(sector));
	for (uint32_t i = 0; i < SECTORS; i++)
		need(sector[i][0] == i && sector[i][127] == i);
}

static void put_header(struct dev *d, uint32_t type, uint64_t sector)
{
	struct virtio_blk_outhdr h = { .type = type, .sector = sector };

	memcpy(at(d, HEADER), &h, sizeof(h));
	*(uint8_t *)at(d, STATUS) = 0xee;
}

static void go(struct dev *d, const struct front_buf *b, unsigned n)
{
	front_offer(d->q[d->victim], front_chain(d->q[d->victim], b, n));
	front_kick(d->q[d->victim]);
}

/* Wait for the answer to the chain, and record its status as the result. Returns the used length. */
static uint32_t answered(struct dev *d)
{
	static const char *const text[] = { "OK", "IOERR", "UNSUPP" };
	uint8_t status;
	uint32_t id, len;

	need(front_wait_used(d->q[d->victim], &id, &len, PATIENCE));
	status = *(uint8_t *)at(d, STATUS);
	need(status < ARRAY_SIZE(text));
	counted("%s", text[status]);
	return len;
}

/* ---- layouts that have no answer ---- */

struct layout {
	const char *name, *want;
	unsigned n;
	struct front_buf b[3];
};

static const struct layout layouts[] = {
	{ "no descriptor for the status", "NO_WRITABLE", 1, { { HEADER, 16, false } } },
	{ "status in a read-only buffer",
	  "NO_WRITABLE",
	  3,
	  { { HEADER, 16, false }, { BODY, 512, false }, { STATUS, 1, false } } },
	{ "header of no bytes", "SHORT_HEADER", 1, { { STATUS, 1, true } } },
	{ "header of 1 byte", "SHORT_HEADER", 2, { { HEADER, 1, false }, { STATUS, 1, true } } },
	{ "header of 15 bytes", "SHORT_HEADER", 2, { { HEADER, 15, false }, { STATUS, 1, true } } },
};

static void bad_layout(const void *arg)
{
	const struct layout *l = arg;
	struct dev *d = get();

	put_header(d, VIRTIO_BLK_T_IN, 0);
	go(d, l->b, l->n);
	dev_judge(d, true);
	untouched(d);
}

/* Valid: header in sixteen buffers, data in three, status behind the data in the same buffer. */
static void split_header(const void *arg)
{
	struct dev *d = dev_get(&(struct dev_options){ .kind = BLKD, .disk = -1, .size = 32 });
	struct front_buf b[19];

	(void)arg;
	put_header(d, VIRTIO_BLK_T_IN, 9);
	for (unsigned i = 0; i < 16; i++)
		b[i] = (struct front_buf){ HEADER + i, 1, false };
	b[16] = (struct front_buf){ BODY, 511, true };
	b[17] = (struct front_buf){ BODY + 511, 1, true };
	b[18] = (struct front_buf){ STATUS, 1, true };
	go(d, b, 19);
	need(answered(d) == 513);
	need(((uint32_t *)at(d, BODY))[127] == 9);
	dev_judge(d, false);
}

/* ---- requests ---- */

struct request {
	const char *name, *want;
	uint32_t type;
	uint64_t sector;
	uint32_t len;	/* of the data */
	uint32_t more;	/* of the header: beyond its 16 bytes */
	bool unchanged; /* even if OK */
};
#define IN  VIRTIO_BLK_T_IN
#define OUT VIRTIO_BLK_T_OUT

static const struct request requests[] = {
	{ "header of 17 bytes", "IOERR", OUT, 0, 0, 1, true },
	{ "read of 511 bytes", "IOERR", IN, 0, 511, 0, true },
	{ "read of 513 bytes", "IOERR", IN, 0, 513, 0, true },
	{ "write of 511 bytes", "IOERR", OUT, 0, 511, 0, true },
	{ "write of 1 byte", "IOERR", OUT, 0, 1, 0, true },
	{ "the last sector", "OK", IN, SECTORS - 1, 512, 0, true },
	{ "the last sector and one more", "IOERR", IN, SECTORS - 1, 1024, 0, true },
	{ "write of the last sector and one more", "IOERR", OUT, SECTORS - 1, 1024, 0, true },
	{ "the sector past the end", "IOERR", IN, SECTORS, 512, 0, true },
	{ "write past the end", "IOERR", OUT, SECTORS, 512, 0, true },
	{ "sector x 512 wraps to 0", "IOERR", OUT, 1ull << 55, 512, 0, true },
	{ "sector x 512 wraps to a low one", "IOERR", OUT, (1ull << 55) + 3, 512, 0, true },
	{ "sector x 512 is negative", "IOERR", OUT, 1ull << 54, 512, 0, true },
	{ "a low sector in 32 bits", "IOERR", OUT, (1ull << 32) + 3, 512, 0, true },
	{ "the largest sector there is", "IOERR", IN, UINT64_MAX, 512, 0, true },
	{ "sector and length wrap together", "IOERR", OUT, UINT64_MAX - 1, 4096, 0, true },
	{ "more data than one request may have", "IOERR", IN, 0, 65u << 20, 0, true },
	{ "a read of no data", "OK", IN, 0, 0, 0, true },
	{ "a write of no data at the end", "OK", OUT, SECTORS, 0, 0, true },
	{ "a write of no data past the end", "IOERR", OUT, SECTORS + 1, 0, 0, true },
	{ "SCSI command", "UNSUPP", VIRTIO_BLK_T_SCSI_CMD, 0, 512, 0, true },
	{ "type 3", "UNSUPP", 3, 0, 512, 0, true },
	{ "type 99", "UNSUPP", 99, 0, 512, 0, true },
	{ "type 0x80000001 (an old barrier)", "UNSUPP", 0x80000001u, 0, 512, 0, true },
	{ "type -1", "UNSUPP", UINT32_MAX, 0, 512, 0, true },
	{ "secure erase, which is not offered", "UNSUPP", 14, 0, 16, 0, true },
	{ "flush with a sector and data", "OK", VIRTIO_BLK_T_FLUSH, UINT64_MAX, 512, 0, true },
};

static void send_request(struct dev *d, const struct request *r)
{
	/* A body that does not fit into region A is in region D. */
	uint64_t body = r->len > 0x10000 ? D_GPA : BODY;
	struct front_buf b[3] = { { HEADER, 16 + r->more, false } };
	unsigned n = 1;

	put_header(d, r->type, r->sector);
	if (r->len)
		b[n++] = (struct front_buf){ body, r->len, r->type == IN };
	b[n++] = (struct front_buf){ STATUS, 1, true };
	go(d, b, n);
}

static void play_request(const void *arg)
{
	const struct request *r = arg;
	struct dev *d = get();
	uint32_t len;

	memset(at(d, BODY), 0xaa, 4096);
	send_request(d, r);
	len = answered(d);
	need(r->len || len == 1);
	dev_judge(d, false);
	if (r->unchanged)
		untouched(d);
}

static void read_only(const void *arg)
{
	struct dev *d = dev_get(&(struct dev_options){ .kind = BLKD, .disk = -1, .read_only = true });
	const struct request r = { .type = *(const uint32_t *)arg, .sector = 1, .len = 512 };

	memset(at(d, BODY), 0xaa, 4096);
	send_request(d, &r);
	answered(d);
	dev_judge(d, false);
	untouched(d);
}

/* ---- the name ---- */

static void name(const void *arg)
{
	uint32_t room = *(const uint32_t *)arg;
	struct dev *d = get();
	struct front_buf b[3] = { { HEADER, 16, false } };
	uint8_t *body = at(d, BODY);
	unsigned n = 1;

	memset(body, 0x55, 4096);
	put_header(d, VIRTIO_BLK_T_GET_ID, 0);
	if (room)
		b[n++] = (struct front_buf){ BODY, room, true };
	b[n++] = (struct front_buf){ STATUS, 1, true };
	go(d, b, n);
	answered(d);
	need(memcmp(body, "a serial of 20 bytes", MIN(room, 20u)) == 0);
	need(body[MIN(room, 20u)] == 0x55);
	dev_judge(d, false);
}

/* ---- discard and write-zeroes ---- */

struct ranges {
	const char *name, *want;
	uint32_t type;
	unsigned n;	/* segments */
	uint32_t bytes; /* of them; 0: all */
	struct virtio_blk_discard_write_zeroes s[2];
};
#define DIS VIRTIO_BLK_T_DISCARD
#define WZ  VIRTIO_BLK_T_WRITE_ZEROES

static const struct ranges ranges[] = {
	{ "discard of no segment", "IOERR", DIS, 0, 0, { { 0 } } },
	{ "discard of 17 segments", "IOERR", DIS, 17, 0, { { 0 } } },
	{ "discard of half a segment", "IOERR", DIS, 1, 8, { { 0 } } },
	{ "discard of a segment and a half", "IOERR", DIS, 2, 24, { { 0 } } },
	{ "discard past the end", "IOERR", DIS, 1, 0, { { SECTORS - 1, 2, 0 } } },
	{ "discard at a sector that wraps", "IOERR", DIS, 1, 0, { { (1ull << 55) + 1, 8, 0 } } },
	{ "discard of 2^32 - 1 sectors", "IOERR", DIS, 1, 0, { { 0, UINT32_MAX, 0 } } },
	{ "discard with the unmap flag", "UNSUPP", DIS, 1, 0, { { 0, 8, 1 } } },
	{ "discard with unknown flags", "UNSUPP", DIS, 1, 0, { { 0, 8, 0x80000000u } } },
	{ "discard: a good segment, then a bad one", "IOERR", DIS, 2, 0, { { 0, 8, 0 }, { SECTORS, 8, 0 } } },
	{ "zeroes in no segment", "IOERR", WZ, 0, 0, { { 0 } } },
	{ "zeroes in two segments", "IOERR", WZ, 2, 0, { { 0, 8, 0 }, { 8, 8, 0 } } },
	{ "zeroes past the end", "IOERR", WZ, 1, 0, { { SECTORS, 1, 0 } } },
	{ "zeroes at a sector that wraps", "IOERR", WZ, 1, 0, { { 1ull << 55, 8, 0 } } },
	{ "zeroes over 2^32 - 1 sectors", "IOERR", WZ, 1, 0, { { 0, UINT32_MAX, 0 } } },
	{ "zeroes with unknown flags", "UNSUPP", WZ, 1, 0, { { 0, 8, 2 } } },
};

static void play_ranges(const void *arg)
{
	const struct ranges *r = arg;
	struct dev *d = get();
	uint32_t bytes = r->bytes ? r->bytes : 16 * r->n;
	struct front_buf b[3] = { { HEADER, 16, false } };
	unsigned n = 1;

	memset(at(d, BODY), 0, 4096);
	memcpy(at(d, BODY), r->s, sizeof(r->s));
	put_header(d, r->type, 0);
	if (bytes)
		b[n++] = (struct front_buf){ BODY, bytes, false };
	b[n++] = (struct front_buf){ STATUS, 1, true };
	go(d, b, n);
	answered(d);
	dev_judge(d, false);
	untouched(d);
}

/* ---- a second thread ---- */

static struct dev *flipped;

/* Send a request of the three buffers @b 1000 times, while another thread runs @flip again and again. */
static void request_while(void (*flip)(void *arg), struct dev *d, const struct front_buf *b)
{
	flipped = d;
	thread_start(flip, NULL);
	for (unsigned i = 0; i < 1000; i++) {
		go(d, b, 3);
		answered(d);
	}
	threads_stop();
	counted("bounded");
	dev_judge(d, false);
}

static void flip_sector(void *arg)
{
	volatile uint64_t *sector = (uint64_t *)at(flipped, HEADER) + 1;

	(void)arg;
	*sector = SECTORS - 1;
	*sector = (1ull << 55) + 3;
	*sector = SECTORS;
}

/* Writes whose sector number changes between the last sector and two invalid ones: only the last sector may change. */
static void sector_flips(const void *arg)
{
	static uint32_t sector[128];
	struct dev *d = get();
	const struct front_buf b[] = { { HEADER, 16, false }, { BODY, 512, false }, { STATUS, 1, true } };

	(void)arg;
	for (unsigned i = 0; i < 128; i++)
		sector[i] = SECTORS - 1;
	memcpy(at(d, BODY), sector, 512);
	put_header(d, OUT, SECTORS - 1);
	request_while(flip_sector, d, b);
	untouched(d);
}

static void flip_segment(void *arg)
{
	volatile struct virtio_blk_discard_write_zeroes *s = at(flipped, BODY);

	(void)arg;
	s->num_sectors = 0;
	s->sector = SECTORS;
	s->num_sectors = 8;
	s->sector = 0;
	s->num_sectors = UINT32_MAX;
}

/* Segments that change during the request: no valid combination covers a whole sector of the disk. */
static void segment_flips(const void *arg)
{
	struct dev *d = get();
	const struct front_buf b[] = { { HEADER, 16, false }, { BODY, 16, false }, { STATUS, 1, true } };
	struct virtio_blk_discard_write_zeroes *s = at(d, BODY);

	(void)arg;
	*s = (struct virtio_blk_discard_write_zeroes){ .sector = SECTORS };
	put_header(d, DIS, 0);
	request_while(flip_segment, d, b);
	/* Sectors 0 to 7 may be discarded, because that segment was valid. The others must be unchanged. */
	for (uint32_t i = 8; i < SECTORS; i++) {
		uint32_t v;

		need(pread(d->disk, &v, 4, i * 512l) == 4 && v == i);
	}
}

void block_group(void)
{
	static const uint32_t rooms[] = { 0, 1, 19, 20, 21, 512 };
	static const uint32_t changes[] = { OUT, WZ, DIS };
	char text[64];

	group("block requests");
	for (unsigned i = 0; i < ARRAY_SIZE(layouts); i++)
		play(layouts[i].name, layouts[i].want, bad_layout, &layouts[i]);
	for (unsigned i = 0; i < ARRAY_SIZE(requests); i++)
		play(requests[i].name, requests[i].want, play_request, &requests[i]);
	for (unsigned i = 0; i < ARRAY_SIZE(rooms); i++) {
		snprintf(text, sizeof(text), "the name into %u bytes", rooms[i]);
		play(text, "OK", name, &rooms[i]);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(ranges); i++)
		play(ranges[i].name, ranges[i].want, play_ranges, &ranges[i]);
	play("a write's sector flips", "bounded", sector_flips, NULL);
	play("a discard's segment flips", "bounded", segment_flips, NULL);
	dev_end_all();
	play("header in 16 pieces, data in 2", "OK", split_header, NULL);
	play("write to a read-only disk", "IOERR", read_only, &changes[0]);
	play("zeroes on a read-only disk", "UNSUPP", read_only, &changes[1]);
	play("discard on a read-only disk", "UNSUPP", read_only, &changes[2]);
}
