/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The page of device descriptors: see page.h. Pure functions. All offsets come from struct
 * lguest_page, none from the page itself.
 */
#include <string.h>

#include "vcpu/lguest/page.h"

/* struct lguest_device_desc */
enum { DESC_TYPE, DESC_NUM_VQ, DESC_FEATURE_LEN, DESC_CONFIG_LEN, DESC_STATUS, DESC_SIZE };
/* struct lguest_vqconfig: u16 num, u16 irq, u32 pfn */
#define VQCONFIG_SIZE 8u
#define FEATURE_LEN   4u

void lguest_page_init(struct lguest_page *p, uint32_t address, uint32_t limit)
{
	p->address = address;
	p->next = address + LGUEST_PAGE_BYTES;
	p->limit = limit;
}

static void put(uint8_t *at, uint32_t v, unsigned len)
{
	for (unsigned i = 0; i < len; i++)
		at[i] = (uint8_t)(v >> (8 * i));
}

bool lguest_page_add(struct lguest_page *p, uint8_t bytes[LGUEST_PAGE_BYTES], const struct lguest_page_add *a)
{
	unsigned need = DESC_SIZE + VQCONFIG_SIZE * a->nqueues + 2 * FEATURE_LEN + a->config_len;
	uint32_t rings = a->nqueues * LGUEST_RING_PAGES * LGUEST_PAGE_BYTES;
	struct lguest_page_device *d;
	uint8_t *at;

	/* The list ends with a device of type 0, so one byte must stay free. */
	if (p->n >= LGUEST_PAGE_DEVICES || a->nqueues > LGUEST_PAGE_QUEUES ||
	    !range_ok(p->used, need + 1, LGUEST_PAGE_BYTES) || !range_ok(p->next, rings, p->limit))
		return false;
	d = &p->dev[p->n++];
	d->nqueues = a->nqueues;
	d->at = p->used;
	d->offered = a->features;
	at = bytes + p->used;
	at[DESC_TYPE] = a->type;
	at[DESC_NUM_VQ] = a->nqueues;
	at[DESC_FEATURE_LEN] = FEATURE_LEN;
	at[DESC_CONFIG_LEN] = a->config_len;
	at[DESC_STATUS] = 0;
	at += DESC_SIZE;
	for (unsigned q = 0; q < a->nqueues; q++, at += VQCONFIG_SIZE) {
		d->ring[q] = p->next;
		put(at, LGUEST_RING_SIZE, 2);
		put(at + 2, a->irq, 2);
		put(at + 4, p->next / LGUEST_PAGE_BYTES, 4);
		p->next += LGUEST_RING_PAGES * LGUEST_PAGE_BYTES;
	}
	d->features = (uint16_t)(at - bytes);
	put(at, a->features, FEATURE_LEN);
	put(at + FEATURE_LEN, 0, FEATURE_LEN);
	if (a->config_len)
		memcpy(at + 2 * FEATURE_LEN, a->config, a->config_len);
	p->used = (uint16_t)(p->used + need);
	bytes[p->used] = 0;
	return true;
}

void lguest_ring_layout(uint32_t r, struct lguest_ring *out)
{
	uint32_t avail = r + 16 * LGUEST_RING_SIZE;
	/* Flags, idx, ring, used_event */
	uint32_t end = avail + 2 * (3 + LGUEST_RING_SIZE);

	out->desc = r;
	out->avail = avail;
	out->used = (end + LGUEST_PAGE_BYTES - 1) & ~(LGUEST_PAGE_BYTES - 1);
}

uint8_t lguest_page_status(const struct lguest_page *p, const uint8_t *bytes, unsigned i)
{
	return READ_ONCE(bytes[p->dev[i].at + DESC_STATUS]);
}

uint32_t lguest_page_accepted(const struct lguest_page *p, const uint8_t *bytes, unsigned i)
{
	const uint8_t *at = bytes + p->dev[i].features + FEATURE_LEN;
	uint32_t v = 0;

	for (unsigned b = 0; b < FEATURE_LEN; b++)
		v |= (uint32_t)READ_ONCE(at[b]) << (8 * b);
	return v & p->dev[i].offered;
}

enum lguest_page_what lguest_page_find(const struct lguest_page *p, uint32_t addr, unsigned *dev, unsigned *queue)
{
	for (unsigned i = 0; i < p->n; i++) {
		if (addr == p->address + p->dev[i].at) {
			*dev = i;
			return LGUEST_NOTIFY_DEVICE;
		}
		for (unsigned q = 0; q < p->dev[i].nqueues; q++)
			if (addr == p->dev[i].ring[q]) {
				*dev = i;
				*queue = q;
				return LGUEST_NOTIFY_QUEUE;
			}
	}
	return LGUEST_NOTIFY_NOTHING;
}
