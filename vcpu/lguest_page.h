/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The page of device descriptors of lguest hosts before 4.0
 * (include/linux/lguest_launcher.h, drivers/lguest/lguest_device.c of 3.11),
 * and the places of the legacy rings behind it. Pure: writes one page into a
 * buffer, and reads one device's status and features back. Runs in the vCPU
 * process; the guest can overwrite the page at any time, so nothing but those
 * two is ever read from it, and what was laid out is remembered here.
 */
#ifndef VCPU_LGUEST_PAGE_H
#define VCPU_LGUEST_PAGE_H

#include "common/fdtab.h"
#include "common/util.h"

#define LGUEST_PAGE_BYTES   4096u
#define LGUEST_PAGE_DEVICES (MAX_DEVICES + 2)
#define LGUEST_PAGE_QUEUES  16
#define LGUEST_RING_SIZE    256u /* entries of every queue */
/* A legacy ring of that size, LGUEST_VRING_ALIGN between its halves, in pages. */
#define LGUEST_RING_PAGES 3u

struct lguest_ring {
	uint32_t desc, avail, used; /* guest-physical */
};

struct lguest_page_device {
	uint8_t nqueues;
	uint16_t at;	   /* of its descriptor in the page */
	uint16_t features; /* of the offered bits; the accepted ones follow */
	uint32_t offered;
	uint32_t ring[LGUEST_PAGE_QUEUES]; /* guest-physical; what NOTIFY and EVENTFD name */
};

struct lguest_page {
	unsigned n;
	struct lguest_page_device dev[LGUEST_PAGE_DEVICES];
	uint32_t address; /* guest-physical, of the page */
	uint32_t next;	  /* of the next ring */
	uint32_t limit;	  /* end of the memory that rings may use */
	uint16_t used;	  /* bytes of the page */
};

/* Pages that a guest with these queues needs above its RAM. */
static inline uint32_t lguest_page_need(unsigned queues)
{
	return 1 + queues * LGUEST_RING_PAGES;
}

/* An empty page at @address, with rings behind it up to @limit; all page-aligned. @p is zeroed. */
void lguest_page_init(struct lguest_page *p, uint32_t address, uint32_t limit);

struct lguest_page_add {
	uint8_t type; /* virtio device id */
	uint8_t nqueues;
	uint8_t irq; /* all of its queues share it */
	uint32_t features;
	const void *config;
	uint8_t config_len;
};
/* Write the next device into @bytes (the page). False: no room in the page or for the rings. */
bool lguest_page_add(struct lguest_page *p, uint8_t bytes[LGUEST_PAGE_BYTES], const struct lguest_page_add *a);

/* Where the three parts of ring @r lie (the legacy layout: virtio 1.2, 2.7.2). */
void lguest_ring_layout(uint32_t r, struct lguest_ring *out);

/* What the driver has written for device @i. */
uint8_t lguest_page_status(const struct lguest_page *p, const uint8_t *bytes, unsigned i);
/* Accepted features, cut to those that were offered. */
uint32_t lguest_page_accepted(const struct lguest_page *p, const uint8_t *bytes, unsigned i);

/* Which thing of ours a notification names. */
enum lguest_page_what { LGUEST_NOTIFY_NOTHING, LGUEST_NOTIFY_DEVICE, LGUEST_NOTIFY_QUEUE };
enum lguest_page_what lguest_page_find(const struct lguest_page *p, uint32_t addr, unsigned *dev, unsigned *queue);

#endif
