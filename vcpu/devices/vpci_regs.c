/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The virtio registers in BAR0: common configuration (virtio 1.2, 4.1.4.3), notify, ISR and
 * device configuration. Runs in the vCPU process. The guest may access them in any order,
 * with any width and any value.
 */
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <string.h>

#include "vcpu/devices/vpci_private.h"

#define STATUS_DRIVER                                                                       \
	(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_DRIVER_OK | \
	 VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_FAILED)

static void queue_defaults(struct vpci *v, unsigned q)
{
	v->queue[q] = (struct vpci_queue){ .max_size = v->dev->queue_max,
					   .size = v->dev->queue_max,
					   .vector = VPCI_NO_VECTOR };
}

/* 2.1.2, 4.1.4.3.1: writing 0 to the status resets the device; it reads 0 when the reset is complete. */
void vpci_reset(struct vpci *v)
{
	if (v->running)
		v->dev->stop(v);
	v->running = false;
	v->status = v->isr = 0;
	if (v->isr_byte)
		WRITE_ONCE(*v->isr_byte, 1);
	v->device_feature_select = v->driver_feature_select = 0;
	v->features = v->driver_features = 0;
	v->refused = false;
	v->queue_select = 0;
	v->config_vector = VPCI_NO_VECTOR;
	v->pending = 0;
	for (unsigned q = 0; q < v->dev->nqueues; q++)
		queue_defaults(v, q);
	vpci_update_intx(v);
	vpci_rewire(v);
}

/* 2.2.2, 3.1.1 step 5: accept only features that were offered, and only with VERSION_1. */
static bool accept_features(struct vpci *v)
{
	if (v->refused || (v->driver_features & ~v->dev->features))
		return false;
	if (!((v->driver_features >> VIRTIO_F_VERSION_1) & 1))
		return false;
	v->features = v->driver_features;
	return !v->dev->features_ok || v->dev->features_ok(v);
}

static void write_status(struct vpci *v, uint8_t s)
{
	uint8_t now = s & STATUS_DRIVER & ~v->status;

	if (s == 0) {
		vpci_reset(v);
		return;
	}
	/* 2.1.1: a driver only sets bits, never clears them. Features cannot change after FEATURES_OK. */
	if ((now & VIRTIO_CONFIG_S_FEATURES_OK) && !accept_features(v))
		now &= ~VIRTIO_CONFIG_S_FEATURES_OK;
	v->status |= now;
	if (!(now & VIRTIO_CONFIG_S_DRIVER_OK))
		return;
	if (!(v->status & VIRTIO_CONFIG_S_FEATURES_OK)) {
		vpci_needs_reset(v);
		return;
	}
	v->running = true;
	if (!v->dev->start(v))
		vpci_needs_reset(v);
	vpci_rewire(v);
}

static struct vpci_queue *selected(struct vpci *v)
{
	return v->queue_select < v->dev->nqueues ? &v->queue[v->queue_select] : NULL;
}

static void enable_queue(struct vpci *v, struct vpci_queue *q, uint16_t val)
{
	/* 4.1.4.3.2: a driver writes only 1, after it has set the other fields. */
	if (val != 1 || q->enabled)
		return;
	if (!is_power_of_two(q->size) || q->size > q->max_size) {
		vpci_needs_reset(v);
		return;
	}
	q->enabled = true;
	if (v->running && (!v->dev->start_queue || !v->dev->start_queue(v, v->queue_select)))
		vpci_needs_reset(v);
	vpci_rewire(v);
}

/* 2.6.1: reset one queue to its state after a device reset. */
static void reset_queue(struct vpci *v, struct vpci_queue *q, uint16_t val)
{
	if (val != 1 || !vpci_has(v, VIRTIO_F_RING_RESET) || !q->enabled)
		return;
	if (v->running)
		v->dev->stop_queue(v, v->queue_select);
	queue_defaults(v, v->queue_select);
	vpci_rewire(v);
}

static uint16_t judged_vector(const struct vpci *v, uint16_t vec)
{
	return vec < v->nvectors ? vec : VPCI_NO_VECTOR;
}

static void set_half(uint64_t *v, bool high, uint32_t half)
{
	*v = high ? (*v & 0xffffffffull) | (uint64_t)half << 32 : (*v & ~0xffffffffull) | half;
}

static void write_features(struct vpci *v, uint32_t val)
{
	if (v->status & VIRTIO_CONFIG_S_FEATURES_OK)
		return;
	if (v->driver_feature_select < 2)
		set_half(&v->driver_features, v->driver_feature_select, val);
	else if (val)
		/* Bits above 63 are not offered, so a driver that sets them must be refused. */
		v->refused = true;
}

static void write_queue(struct vpci *v, unsigned off, unsigned len, uint32_t val)
{
	struct vpci_queue *q = selected(v);

	if (!q)
		return;
	if (len == 4 && off >= VIRTIO_PCI_COMMON_Q_DESCLO && off <= VIRTIO_PCI_COMMON_Q_USEDHI) {
		uint64_t *addr[] = { &q->desc, &q->avail, &q->used };
		unsigned n = (off - VIRTIO_PCI_COMMON_Q_DESCLO) / 4;

		if (!q->enabled)
			set_half(addr[n / 2], n & 1, val);
		return;
	}
	if (len != 2)
		return;
	switch (off) {
	case VIRTIO_PCI_COMMON_Q_SIZE:
		if (!q->enabled)
			q->size = (uint16_t)val;
		break;
	case VIRTIO_PCI_COMMON_Q_MSIX:
		q->vector = judged_vector(v, (uint16_t)val);
		vpci_rewire(v);
		break;
	case VIRTIO_PCI_COMMON_Q_ENABLE:
		enable_queue(v, q, (uint16_t)val);
		break;
	case 0x3a: /* queue_reset */
		reset_queue(v, q, (uint16_t)val);
		break;
	default:
		break;
	}
}

static void write_common(struct vpci *v, unsigned off, unsigned len, uint32_t val)
{
	switch (off << 4 | len) {
	case VIRTIO_PCI_COMMON_DFSELECT << 4 | 4:
		v->device_feature_select = val;
		break;
	case VIRTIO_PCI_COMMON_GFSELECT << 4 | 4:
		v->driver_feature_select = val;
		break;
	case VIRTIO_PCI_COMMON_GF << 4 | 4:
		write_features(v, val);
		break;
	case VIRTIO_PCI_COMMON_MSIX << 4 | 2:
		v->config_vector = judged_vector(v, (uint16_t)val);
		break;
	case VIRTIO_PCI_COMMON_STATUS << 4 | 1:
		write_status(v, (uint8_t)val);
		break;
	case VIRTIO_PCI_COMMON_Q_SELECT << 4 | 2:
		v->queue_select = (uint16_t)val;
		break;
	default:
		write_queue(v, off, len, val);
		break;
	}
}

static bool stopping(const struct vpci *v)
{
	return v->dev->stopping && v->dev->stopping(v);
}

/* Build the contents of the common configuration. Reading it has no side effects. */
static void common_image(struct vpci *v, uint8_t image[COMMON_SIZE_12 + 4])
{
	struct virtio_pci_common_cfg c = { 0 };
	const struct vpci_queue *q = selected(v);
	unsigned fs = v->device_feature_select, ds = v->driver_feature_select;

	c.device_feature_select = htole32(fs);
	c.device_feature = fs < 2 ? htole32((uint32_t)(v->dev->features >> (32 * fs))) : 0;
	c.guest_feature_select = htole32(ds);
	c.guest_feature = ds < 2 ? htole32((uint32_t)(v->driver_features >> (32 * ds))) : 0;
	c.msix_config = htole16(v->config_vector);
	c.num_queues = htole16((uint16_t)v->dev->nqueues);
	/* 2.1.2: the status must not read 0 before the reset is complete. */
	c.device_status = !v->status && stopping(v) ? VIRTIO_CONFIG_S_NEEDS_RESET : v->status;
	c.config_generation = v->generation;
	c.queue_select = htole16(v->queue_select);
	c.queue_msix_vector = htole16(VPCI_NO_VECTOR);
	if (q) {
		c.queue_size = htole16(q->size);
		c.queue_msix_vector = htole16(q->vector);
		c.queue_enable = htole16(q->enabled);
		c.queue_notify_off = htole16(v->notify_multiplier ? v->queue_select : 0);
		c.queue_desc_lo = htole32((uint32_t)q->desc);
		c.queue_desc_hi = htole32((uint32_t)(q->desc >> 32));
		c.queue_avail_lo = htole32((uint32_t)q->avail);
		c.queue_avail_hi = htole32((uint32_t)(q->avail >> 32));
		c.queue_used_lo = htole32((uint32_t)q->used);
		c.queue_used_hi = htole32((uint32_t)(q->used >> 32));
	}
	memset(image, 0, COMMON_SIZE_12 + 4);
	memcpy(image, &c, sizeof(c));
	if (q)
		image[COMMON_SIZE] = (uint8_t)v->queue_select; /* queue_notify_data */
	if (q && !q->enabled && vpci_has(v, VIRTIO_F_RING_RESET))
		image[COMMON_SIZE + 2] = stopping(v); /* queue_reset */
}

static uint64_t read_isr(struct vpci *v)
{
	uint8_t isr = v->isr;

	v->isr = 0;
	vpci_update_intx(v);
	return isr;
}

static void config_access(struct vpci *v, bool write, uint64_t off, unsigned len, uint8_t *buf)
{
	if (!range_ok(off, len, v->dev->config_len))
		return;
	if (!write)
		v->dev->get_config(v, (unsigned)off, buf, len);
	else if (v->dev->set_config)
		v->dev->set_config(v, (unsigned)off, buf, len);
}

static uint64_t read_bytes(const uint8_t *p, unsigned len)
{
	uint64_t r = 0;

	for (unsigned i = 0; i < len; i++)
		r |= (uint64_t)p[i] << (8 * i);
	return r;
}

uint64_t vpci_bar0_read(struct vpci *v, uint64_t off, unsigned len)
{
	uint64_t isr = v->host->compact ? COMPACT_ISR : WIDE_ISR;
	uint64_t config = v->host->compact ? COMPACT_CONFIG : WIDE_CONFIG;
	uint64_t common = v->host->compact ? COMMON_SIZE : COMMON_SIZE_12;
	uint8_t buf[COMMON_SIZE_12 + 4] = { 0 };

	if (range_ok(off, len, common)) {
		common_image(v, buf);
		return read_bytes(buf + off, len);
	}
	if (off == isr && len == 1)
		return read_isr(v);
	if (off >= config) {
		config_access(v, false, off - config, len, buf);
		return read_bytes(buf, len);
	}
	return 0;
}

void vpci_bar0_write(struct vpci *v, uint64_t off, unsigned len, uint64_t val)
{
	bool compact = v->host->compact;
	uint64_t notify = compact ? COMPACT_NOTIFY : WIDE_NOTIFY;
	uint64_t config = compact ? COMPACT_CONFIG : WIDE_CONFIG;
	uint64_t common = compact ? COMMON_SIZE : COMMON_SIZE_12;
	uint8_t buf[8];

	if (range_ok(off, len, common)) {
		/* 4.1.3.1: drivers write 64-bit fields as two halves; treat one write of 8 bytes the same way. */
		write_common(v, (unsigned)off, MIN(len, 4), (uint32_t)val);
		if (len == 8)
			write_common(v, (unsigned)off + 4, 4, (uint32_t)(val >> 32));
	} else if (compact ? off == notify : off >= notify) {
		/* The value is the index of the queue (4.1.5.2). Ignore notifications before DRIVER_OK. */
		uint16_t q = (uint16_t)val;

		if (len >= 2 && v->running && q < v->dev->nqueues && v->queue[q].enabled)
			v->dev->notify(v, q);
	} else if (off >= config) {
		for (unsigned i = 0; i < sizeof(buf); i++)
			buf[i] = (uint8_t)(val >> (8 * i));
		config_access(v, true, off - config, len, buf);
	}
}
