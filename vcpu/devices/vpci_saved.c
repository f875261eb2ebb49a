/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The PCI and virtio registers of a saved device: see vpci_saved.h. Runs in the vCPU process. */
#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_console.h>
#include <linux/virtio_ids.h>
#include <string.h>

#include "vcpu/devices/vpci_private.h"
#include "vcpu/devices/vpci_saved.h"

#define STATUS_BITS                                                                         \
	(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_DRIVER_OK | \
	 VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_FAILED | VIRTIO_CONFIG_S_NEEDS_RESET)
#define ISR_BITS 3u
/* The size of a terminal is there if the console is on one. */
#define SIZE_BIT BIT64(VIRTIO_CONSOLE_F_SIZE)

struct saved_transport {
	/* What the device is. It must be the same. */
	uint64_t offered;
	uint16_t type, nqueues, queue_max, config_len;
	/* Its registers. */
	uint64_t driver_features, features, pending;
	uint32_t device_feature_select, driver_feature_select;
	uint16_t queue_select, config_vector;
	uint8_t status, generation, isr, running, refused, zero[7];
	struct {
		uint32_t addr_lo, addr_hi, data, ctrl;
	} msix[VPCI_MAX_VECTORS]; /* Of which @nqueues + 1 are used */
	struct {
		uint64_t desc, avail, used;
		uint16_t size, vector;
		uint8_t enabled, zero[3];
	} queue[VPCI_MAX_QUEUES];
};
_Static_assert(sizeof(struct saved_transport) == 64 + 16 * VPCI_MAX_VECTORS + 32 * VPCI_MAX_QUEUES,
	       "no holes: the file has the same layout everywhere");

/* ---- PCI ---- */

/* Bits of the configuration space that follow from other registers. */
static uint8_t derived_bits(unsigned off)
{
	return off == PCI_STATUS ? PCI_STATUS_INTERRUPT : 0;
}

bool saved_pci(struct records *r, unsigned index, struct pci_dev *d)
{
	uint8_t cfg[PCI_CFG_SIZE];

	memcpy(cfg, d->cfg, sizeof(cfg));
	if (!record(r, RECORD_PCI, index, cfg, sizeof(cfg)))
		return false;
	for (unsigned i = 0; r->reading && i < sizeof(cfg); i++) {
		if ((cfg[i] ^ d->cfg[i]) & (uint8_t) ~(d->wmask[i] | derived_bits(i)))
			return record_fail(r, "PCI device %u has 0x%02x at 0x%02x, and this one 0x%02x", index, cfg[i],
					   i, d->cfg[i]);
		d->cfg[i] = (uint8_t)((d->cfg[i] & ~d->wmask[i]) | (cfg[i] & d->wmask[i]));
	}
	return true;
}

/* ---- virtio-pci ---- */

static void from_transport(const struct vpci *v, struct saved_transport *s)
{
	memset(s, 0, sizeof(*s));
	s->offered = v->dev->features;
	s->type = v->dev->type;
	s->nqueues = (uint16_t)v->dev->nqueues;
	s->queue_max = v->dev->queue_max;
	s->config_len = (uint16_t)v->dev->config_len;
	s->driver_features = v->driver_features;
	s->features = v->features;
	s->pending = v->pending;
	s->device_feature_select = v->device_feature_select;
	s->driver_feature_select = v->driver_feature_select;
	s->queue_select = v->queue_select;
	s->config_vector = v->config_vector;
	s->status = v->status;
	s->generation = v->generation;
	s->isr = v->isr;
	s->running = v->running;
	s->refused = v->refused;
	for (unsigned i = 0; i < v->nvectors; i++) {
		s->msix[i].addr_lo = v->msix[i].addr_lo;
		s->msix[i].addr_hi = v->msix[i].addr_hi;
		s->msix[i].data = v->msix[i].data;
		s->msix[i].ctrl = v->msix[i].ctrl;
	}
	for (unsigned i = 0; i < v->dev->nqueues; i++) {
		s->queue[i].desc = v->queue[i].desc;
		s->queue[i].avail = v->queue[i].avail;
		s->queue[i].used = v->queue[i].used;
		s->queue[i].size = v->queue[i].size;
		s->queue[i].vector = v->queue[i].vector;
		s->queue[i].enabled = v->queue[i].enabled;
	}
}

/* The rules of vpci_regs.c: a driver sets bits of the status in any order, and features count from FEATURES_OK on. */
static bool judge_status(struct records *r, const struct vpci *v, const struct saved_transport *s)
{
	bool features_ok = s->status & VIRTIO_CONFIG_S_FEATURES_OK;

	if (s->status & ~STATUS_BITS || s->isr & ~ISR_BITS)
		return record_fail(r, "%s: status 0x%x, ISR 0x%x", v->dev->name, s->status, s->isr);
	if (features_ok ? s->features != s->driver_features || s->refused : s->features != 0)
		return record_fail(r, "%s: features 0x%llx are in use and 0x%llx were accepted", v->dev->name,
				   (unsigned long long)s->features, (unsigned long long)s->driver_features);
	if (features_ok && (s->features & ~s->offered || !((s->features >> VIRTIO_F_VERSION_1) & 1)))
		return record_fail(r, "%s: features 0x%llx of 0x%llx", v->dev->name, (unsigned long long)s->features,
				   (unsigned long long)s->offered);
	if (s->running && !(features_ok && s->status & VIRTIO_CONFIG_S_DRIVER_OK))
		return record_fail(r, "%s: it runs with status 0x%x", v->dev->name, s->status);
	return record_bool(r, s->running, "a running device") && record_bool(r, s->refused, "a refused feature");
}

static bool vector_ok(const struct vpci *v, uint16_t vec)
{
	return vec < v->nvectors || vec == VPCI_NO_VECTOR;
}

static bool judge_vectors(struct records *r, const struct vpci *v, const struct saved_transport *s)
{
	if (s->pending >> v->nvectors || !vector_ok(v, s->config_vector))
		return record_fail(r, "%s: vector %u, pending bits 0x%llx", v->dev->name, s->config_vector,
				   (unsigned long long)s->pending);
	for (unsigned i = 0; i < v->nvectors; i++)
		if (s->msix[i].ctrl & ~(uint32_t)PCI_MSIX_ENTRY_CTRL_MASKBIT)
			return record_fail(r, "%s: control 0x%x of vector %u", v->dev->name, s->msix[i].ctrl, i);
	for (unsigned i = 0; i < v->dev->nqueues; i++) {
		if (!vector_ok(v, s->queue[i].vector))
			return record_fail(r, "%s: vector %u of queue %u", v->dev->name, s->queue[i].vector, i);
		if (!record_bool(r, s->queue[i].enabled, "an enabled queue"))
			return false;
		/* 4.1.4.3.2: judged when the driver enables a queue. */
		if (s->queue[i].enabled &&
		    (!is_power_of_two(s->queue[i].size) || s->queue[i].size > v->queue[i].max_size))
			return record_fail(r, "%s: queue %u has the size %u", v->dev->name, i, s->queue[i].size);
	}
	return true;
}

static void to_transport(struct vpci *v, const struct saved_transport *s)
{
	v->driver_features = s->driver_features;
	v->features = s->features;
	v->pending = s->pending;
	v->device_feature_select = s->device_feature_select;
	v->driver_feature_select = s->driver_feature_select;
	v->queue_select = s->queue_select;
	v->config_vector = s->config_vector;
	v->status = s->status;
	v->generation = s->generation;
	v->isr = s->isr;
	v->running = s->running;
	v->refused = s->refused;
	for (unsigned i = 0; i < v->nvectors; i++) {
		v->msix[i].addr_lo = s->msix[i].addr_lo;
		v->msix[i].addr_hi = s->msix[i].addr_hi;
		v->msix[i].data = s->msix[i].data;
		v->msix[i].ctrl = s->msix[i].ctrl;
	}
	for (unsigned i = 0; i < v->dev->nqueues; i++) {
		v->queue[i].desc = s->queue[i].desc;
		v->queue[i].avail = s->queue[i].avail;
		v->queue[i].used = s->queue[i].used;
		v->queue[i].size = s->queue[i].size;
		v->queue[i].vector = s->queue[i].vector;
		v->queue[i].enabled = s->queue[i].enabled;
	}
}

bool saved_vpci(struct records *r, struct vpci *v, uint64_t *offered)
{
	struct saved_transport s = { 0 };
	uint64_t own_size;

	if (!r->reading)
		from_transport(v, &s);
	if (!saved_pci(r, v->index + 1, &v->pci) || !record(r, RECORD_DEVICE, v->index, &s, sizeof(s)))
		return false;
	if (!r->reading)
		return true;
	own_size = v->dev->type == VIRTIO_ID_CONSOLE ? SIZE_BIT : 0;
	if (s.type != v->dev->type || s.nqueues != v->dev->nqueues || s.queue_max != v->dev->queue_max ||
	    s.config_len != v->dev->config_len || (s.offered ^ v->dev->features) & ~own_size)
		return record_fail(r, "%s: it has %u queues and features 0x%llx, and this one %u and 0x%llx",
				   v->dev->name, s.nqueues, (unsigned long long)s.offered, v->dev->nqueues,
				   (unsigned long long)v->dev->features);
	if (!judge_status(r, v, &s) || !judge_vectors(r, v, &s))
		return false;
	*offered = s.offered;
	to_transport(v, &s);
	vpci_update_intx(v);
	vpci_rewire(v);
	return true;
}
