/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Checks virtio-blk requests (virtio 1.2, 5.2.6). Runs in blkd. It does no I/O and keeps no
 * pointer into a chain after its request has finished. The header and the segments are
 * copied once, and only the copy is used, because the guest can change its memory.
 */
#include <string.h>

#include "blkd/request.h"
#include "common/iov.h"

/* True if the range lies inside the disk (5.2.6.2). @sector is any value from the guest: no sum may wrap around. */
static bool sectors_ok(const struct blk_shape *s, uint64_t sector, uint64_t bytes)
{
	uint64_t sectors = s->capacity >> SECTOR_SHIFT;

	return range_ok(sector, bytes >> SECTOR_SHIFT, sectors);
}

static uint8_t judge_rw(const struct blk_shape *s, struct blk_req *r, uint64_t sector)
{
	/* Set it also for a refused request: finish() computes the bytes moved as data_len - left. */
	r->left = r->data_len;
	/* 5.2.6.1: data is a multiple of the sector size. */
	if (r->data_len % SECTOR_SIZE || r->data_len > BLK_MAX_DATA)
		return VIRTIO_BLK_S_IOERR;
	/* 5.2.6.2: a write to a read-only disk must fail. */
	if (r->type == VIRTIO_BLK_T_OUT && s->read_only)
		return VIRTIO_BLK_S_IOERR;
	if (!sectors_ok(s, sector, r->data_len))
		return VIRTIO_BLK_S_IOERR;
	r->off = sector << SECTOR_SHIFT;
	return r->left ? BLK_GO : VIRTIO_BLK_S_OK;
}

/* Check a discard or write-zeroes request: copy its segments from r->iov and check each one. */
static uint8_t judge_ranges(const struct blk_shape *s, struct blk_req *r)
{
	struct virtio_blk_discard_write_zeroes seg[BLK_MAX_SEGS];
	bool discard = r->type == VIRTIO_BLK_T_DISCARD;
	unsigned count = r->data_len / sizeof(seg[0]);

	if (!(discard ? s->discard : s->write_zeroes))
		return VIRTIO_BLK_S_UNSUPP;
	if (s->read_only)
		return VIRTIO_BLK_S_IOERR;
	if (r->data_len % sizeof(seg[0]) || !count || count > (discard ? BLK_MAX_SEGS : 1))
		return VIRTIO_BLK_S_IOERR;
	iov_to_buf(r->iov + r->first, r->n, 0, seg, count * sizeof(seg[0]));
	for (unsigned i = 0; i < count; i++) {
		uint64_t sector = le64toh(seg[i].sector);
		uint32_t sectors = le32toh(seg[i].num_sectors);
		uint32_t flags = le32toh(seg[i].flags);

		/* 5.2.6.2: report unknown flags, and the flag unmap in a discard, as unsupported. */
		if (flags & ~VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP || (discard && flags))
			return VIRTIO_BLK_S_UNSUPP;
		if (sectors > (discard ? BLK_MAX_DISCARD : BLK_MAX_ZEROES))
			return VIRTIO_BLK_S_IOERR;
		if (!sectors_ok(s, sector, (uint64_t)sectors << SECTOR_SHIFT))
			return VIRTIO_BLK_S_IOERR;
		r->range[i].off = sector << SECTOR_SHIFT;
		r->range[i].len = (uint64_t)sectors << SECTOR_SHIFT;
		r->range[i].unmap = discard || flags;
	}
	r->nranges = count;
	return BLK_GO;
}

static uint8_t judge(const struct blk_shape *s, struct blk_req *r, uint64_t sector)
{
	switch (r->type) {
	case VIRTIO_BLK_T_IN:
	case VIRTIO_BLK_T_OUT:
		return judge_rw(s, r, sector);
	case VIRTIO_BLK_T_FLUSH:
	case VIRTIO_BLK_T_GET_ID:
		return BLK_GO;
	case VIRTIO_BLK_T_DISCARD:
	case VIRTIO_BLK_T_WRITE_ZEROES:
		return judge_ranges(s, r);
	default:
		return VIRTIO_BLK_S_UNSUPP;
	}
}

enum guest_fault blk_judge(const struct blk_shape *s, const struct vq_chain *c, struct blk_req *r)
{
	struct virtio_blk_outhdr hdr;
	struct iovec *in = r->iov + c->nout;
	struct iovec *last;

	/* 5.2.6.1: the last writable byte is the status. */
	if (!c->nin || !c->in_len)
		return FAULT_NO_WRITABLE;
	if (c->out_len < sizeof(hdr))
		return FAULT_SHORT_HEADER;
	iov_to_buf(r->iov, c->nout, 0, &hdr, sizeof(hdr));
	last = &in[c->nin - 1];
	last->iov_len--;
	r->status_at = (uint8_t *)last->iov_base + last->iov_len;
	r->head = c->head;
	r->type = le32toh(hdr.type);
	r->only_status = c->in_len == 1;
	r->nranges = r->range_at = 0;
	r->must_wait = r->flushing = false;
	r->left = 0;
	r->off = 0;
	r->file = NULL;
	if (r->type == VIRTIO_BLK_T_IN || r->type == VIRTIO_BLK_T_GET_ID) {
		r->first = c->nout;
		r->n = c->nin - (last->iov_len ? 0 : 1);
		r->data_len = c->in_len - 1;
	} else {
		r->first = iov_skip(r->iov, c->nout, sizeof(hdr));
		r->n = c->nout - r->first;
		r->data_len = c->out_len - sizeof(hdr);
	}
	r->verdict = judge(s, r, le64toh(hdr.sector));
	return FAULT_NONE;
}

uint32_t blk_written(const struct blk_req *r, uint32_t moved)
{
	if (r->only_status)
		return 1;
	if (r->type != VIRTIO_BLK_T_IN && r->type != VIRTIO_BLK_T_GET_ID)
		return 0;
	return moved + (moved == r->data_len);
}

uint32_t blk_get_id(const struct blk_req *r, const char *serial)
{
	char id[BLK_ID_LEN];

	/* 5.2.6.1: 20 bytes padded with zeroes; no terminating zero if the serial number has 20 bytes. */
	memset(id, 0, sizeof(id));
	memcpy(id, serial, strnlen(serial, sizeof(id)));
	return iov_from_buf(r->iov + r->first, r->n, 0, id, MIN(r->data_len, sizeof(id)));
}
