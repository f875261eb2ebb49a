/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The page of device descriptors on lguest hosts with Linux before 4.0
 * (include/linux/lguest_launcher.h, drivers/lguest/lguest_device.c of 3.11), and the
 * addresses of the legacy rings after it. Pure functions on a buffer. Runs in the vCPU
 * process. The guest can overwrite the page at any time, so only a device's status and
 * features are read from it; the layout is kept in struct lguest_page.
 */
#ifndef VCPU_LGUEST_PAGE_H
#define VCPU_LGUEST_PAGE_H

#include "common/fdtab.h"
#include "common/util.h"

#define LGUEST_PAGE_BYTES   4096u
#define LGUEST_PAGE_DEVICES (MAX_DEVICES + 2)
#define LGUEST_PAGE_QUEUES  (2 * (MAX_PORTS + 1) + 2) /* Of one device; the console has most */
#define LGUEST_RING_SIZE    256u		      /* Entries of every queue */
/* Pages of a legacy ring of that size, whose used ring begins on a new page. */
#define LGUEST_RING_PAGES 3u

struct lguest_ring {
	uint32_t desc, avail, used; /* Guest-physical addresses */
};

struct lguest_page_device {
	uint8_t nqueues;
	uint16_t at;			   /* Offset of its descriptor in the page */
	uint16_t features;		   /* Offset of its offered features in the page; the accepted ones follow */
	uint32_t offered;		   /* Offered features */
	uint32_t ring[LGUEST_PAGE_QUEUES]; /* Guest-physical addresses; NOTIFY and EVENTFD use them */
};

struct lguest_page {
	unsigned n;
	struct lguest_page_device dev[LGUEST_PAGE_DEVICES];
	uint32_t address; /* Guest-physical address of the page */
	uint32_t next;	  /* Guest-physical address of the next ring */
	uint32_t limit;	  /* End of the memory for rings */
	uint16_t used;	  /* Bytes of the page in use */
};

/* Pages above RAM that a guest with @queues queues needs. */
static inline uint32_t lguest_page_need(unsigned queues)
{
	return 1 + queues * LGUEST_RING_PAGES;
}

/* Initialise @p, which must be zeroed: the page at @address, rings after it up to @limit. Both page-aligned. */
void lguest_page_init(struct lguest_page *p, uint32_t address, uint32_t limit);

struct lguest_page_add {
	uint8_t type; /* Virtio device ID */
	uint8_t nqueues;
	uint8_t irq; /* Interrupt of all its queues */
	uint32_t features;
	const void *config;
	uint8_t config_len;
};
/* Write the next device into the page @bytes. False if there is no room in the page or for its rings. */
bool lguest_page_add(struct lguest_page *p, uint8_t bytes[LGUEST_PAGE_BYTES], const struct lguest_page_add *a);

/* The addresses of the three parts of the ring at @r (legacy layout: virtio 1.2, 2.7.2). */
void lguest_ring_layout(uint32_t r, struct lguest_ring *out);

/* The status that the driver has written for device @i. */
uint8_t lguest_page_status(const struct lguest_page *p, const uint8_t *bytes, unsigned i);
/* The features that the driver has accepted for device @i, only those that were offered. */
uint32_t lguest_page_accepted(const struct lguest_page *p, const uint8_t *bytes, unsigned i);

/* Find what the notified address @addr belongs to: a device (*@dev), or its queue *@queue. */
enum lguest_page_what { LGUEST_NOTIFY_NOTHING, LGUEST_NOTIFY_DEVICE, LGUEST_NOTIFY_QUEUE };
enum lguest_page_what lguest_page_find(const struct lguest_page *p, uint32_t addr, unsigned *dev, unsigned *queue);

#endif
