/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Correct requests and frames, sent between hostile ones to check that the device works.
 * For test programs only.
 */
#include <linux/virtio_blk.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/hostile/hostile.h"

static bool disk_serves(struct dev *d, unsigned q)
{
	uint64_t base = DATA + 0x40000 + q * 0x4000;
	const uint32_t sector = 70 + q;
	struct virtio_blk_outhdr h = { .type = VIRTIO_BLK_T_IN, .sector = sector };
	const struct front_buf b[] = { { base, sizeof(h), false },
				       { base + 0x1000, 512, true },
				       { base + 0x800, 1, true } };
	uint8_t *status = at(d, base + 0x800);
	uint32_t *data = at(d, base + 0x1000), id, len;

	memcpy(at(d, base), &h, sizeof(h));
	*status = 0xee;
	memset(data, 0, 512);
	front_offer(d->q[q], front_chain(d->q[q], b, 3));
	front_kick(d->q[q]);
	if (!front_wait_used(d->q[q], &id, &len, PATIENCE))
		return false;
	return *status == VIRTIO_BLK_S_OK && len == 513 && data[0] == sector && data[127] == sector;
}

static bool nic_sends(struct dev *d, unsigned q)
{
	uint64_t base = DATA + 0x40000 + q * 0x4000;
	uint64_t before = d->ctl < 0 ? 0 : dev_stats(d)->frames_out;
	const struct front_buf b = { base, 12 + 60, false };
	uint8_t *p = at(d, base);
	uint32_t id, len;

	memset(p, 0, 12 + 60);
	memset(p + 12, 0xff, 6);
	memcpy(p + 18, guest_mac, 6);
	p[24] = 0x88;
	p[25] = 0xb5;
	front_offer(d->q[q], front_chain(d->q[q], &b, 1));
	front_kick(d->q[q]);
	return front_wait_used(d->q[q], &id, &len, PATIENCE) && (d->ctl < 0 || dev_stats(d)->frames_out > before);
}

/* Send a frame to the guest, and receive it behind the frames that already waited in the tap. */
static bool nic_receives(struct dev *d, unsigned q)
{
	static uint32_t tag;
	uint64_t base = DATA + 0x60000 + q * 0x4000;
	uint8_t frame[60] = { 0x88 };
	uint32_t id, len;

	tag++;
	memcpy(frame, guest_mac, 6);
	frame[6] = 2;
	frame[12] = 0x88;
	frame[13] = 0xb5;
	memcpy(frame + 20, &tag, sizeof(tag));
	if (send(wire, frame, sizeof(frame), 0) != (ssize_t)sizeof(frame))
		return false;
	for (unsigned i = 0; i < 600; i++) {
		const struct front_buf b = { base, 2048, true };

		front_offer(d->q[q], front_chain(d->q[q], &b, 1));
		front_kick(d->q[q]);
		if (!front_wait_used(d->q[q], &id, &len, PATIENCE))
			return false;
		if (len == 12 + 60 && memcmp(at(d, base + 12), frame, sizeof(frame)) == 0)
			return true;
	}
	return false;
}

bool dev_serves(struct dev *d, unsigned q)
{
	if (d->o.kind == BLKD)
		return disk_serves(d, q);
	return q % 2 ? nic_sends(d, q) : nic_receives(d, q);
}

/* A good chain of exactly @n buffers: a read of n - 2 pieces, or a frame of n. */
unsigned good_chain(struct dev *d, struct front_buf *b, unsigned n, uint64_t data)
{
	static const uint32_t header[4]; /* read sector 0 */
	uint8_t *p = at(d, DATA);

	if (d->o.kind == BLKD) {
		memcpy(p, header, sizeof(header));
		b[0] = (struct front_buf){ DATA, 16, false };
		for (unsigned i = 1; i + 1 < n; i++)
			b[i] = (struct front_buf){ data, i + 2 < n ? 8 : 512 - 8 * (n - 3), true };
		b[n - 1] = (struct front_buf){ DATA + 0x800, 1, true };
		return n;
	}
	memset(p, 0, 12);
	b[0] = (struct front_buf){ DATA, 12, false };
	p = at(d, data);
	memset(p, 0xff, 6);
	memcpy(p + 6, guest_mac, 6);
	b[1] = (struct front_buf){ data, n == 2 ? 60 : 14, false };
	for (unsigned i = 2; i < n; i++)
		b[i] = (struct front_buf){ data + 14, 60, false };
	return n;
}

void dev_takes(struct dev *d, const char *text)
{
	uint32_t id, len;

	front_kick(d->q[d->victim]);
	need(front_wait_used(d->q[d->victim], &id, &len, PATIENCE));
	need(d->o.kind == NETD || *(uint8_t *)at(d, DATA + 0x800) == 0);
	counted("%s", text);
	dev_judge(d, false);
}
