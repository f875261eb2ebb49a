/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The disks, NICs and shares of a saved guest: see helper_saved.h. Runs in the vCPU process. */
#include <linux/virtio_blk.h>
#include <string.h>

#include "common/fmt.h"
#include "vcpu/devices/held.h"
#include "vcpu/devices/helper_saved.h"
#include "vcpu/devices/net.h"
#include "vcpu/vm.h"

#define SAVED_CONFIG 64 /* Most bytes of a configuration space: a disk has 60, a share 40, a NIC 12. */

#define PART_ALIGN 4096 /* The part of a disk or share begins at a multiple of this. */

struct saved_helper {
	uint64_t image_time;
	uint32_t config_len;
	uint8_t kind, read_only, snapshot, zero;
	uint8_t config[SAVED_CONFIG];
};
_Static_assert(sizeof(struct saved_helper) == 80, "no holes: the file has the same layout everywhere");

struct saved_share {
	uint32_t inodes;
	uint8_t cache, others_are_root, zero[2];
};
_Static_assert(sizeof(struct saved_share) == 8, "the same");

struct saved_rings {
	uint16_t running, enabled; /* One bit for each queue */
	uint16_t pairs;
	uint8_t wce, zero;
	uint16_t base[MAX_QUEUES];
};
_Static_assert(sizeof(struct saved_rings) == 40, "the same");

/* ---- identity and options ---- */

static const char *kind_name(unsigned kind)
{
	return kind == DEV_BLK ? "disk" : kind == DEV_NET ? "NIC" : "share";
}

static uint8_t *config_of(struct device *d, uint32_t *len)
{
	enum device_kind kind = d->front.kind;

	*len = (uint32_t)MIN(kind == DEV_BLK ? d->front.config_len : d->desc.config_len, SAVED_CONFIG);
	return kind == DEV_NET ? (uint8_t *)&d->net : kind == DEV_FS ? (uint8_t *)&d->fs : d->front.config;
}

static bool same_queues(struct records *r, const char *name, unsigned number, unsigned own)
{
	return number == own ||
	       record_fail(r, "%s: it has queues=%u, and here queues=%u; give queues=%u", name, number, own, number);
}

static const char *how(const struct saved_helper *s)
{
	return s->snapshot ? "a snapshot" : s->read_only ? "ro" : "not ro";
}

/* Refuse a disk that is not the one that was saved as @s: the guest would damage its file system. */
static bool same_disk(struct records *r, const char *name, const struct saved_helper *s, const struct saved_helper *own)
{
	struct virtio_blk_config a = { 0 }, b = { 0 };

	/* Newer headers have more fields than our disks. */
	memcpy(&a, s->config, MIN(sizeof(a), sizeof(s->config)));
	memcpy(&b, own->config, MIN(sizeof(b), sizeof(own->config)));
	if (s->read_only != own->read_only || s->snapshot != own->snapshot)
		return record_fail(r, "%s: the disk is %s, and here %s; give the option of the saved guest", name,
				   how(s), how(own));
	if (a.capacity != b.capacity)
		return record_fail(
			r, "%s: its image has %llu sectors, and this one %llu; give the image of the saved guest", name,
			(unsigned long long)le64toh(a.capacity), (unsigned long long)le64toh(b.capacity));
	if (s->image_time != own->image_time)
		return record_fail(
			r,
			"%s: its image was written at %llu, and this one at %llu (stat -c %%Y); give the image of the saved guest",
			name, (unsigned long long)s->image_time, (unsigned long long)own->image_time);
	return same_queues(r, name, le16toh(a.num_queues), le16toh(b.num_queues));
}

static bool same_nic(struct records *r, const char *name, const struct saved_helper *s, const struct saved_helper *own)
{
	const uint8_t *a = s->config, *b = own->config;
	struct virtio_net_config c, d;

	_Static_assert(sizeof(c) <= SAVED_CONFIG, "it is all there");
	memcpy(&c, a, sizeof(c));
	memcpy(&d, b, sizeof(d));
	if (memcmp(a, b, ETH_ALEN) != 0)
		return record_fail(r,
				   "%s: give mac=%02x:%02x:%02x:%02x:%02x:%02x, the saved guest's address; here it is "
				   "%02x:%02x:%02x:%02x:%02x:%02x",
				   name, a[0], a[1], a[2], a[3], a[4], a[5], b[0], b[1], b[2], b[3], b[4], b[5]);
	if (c.mtu != d.mtu)
		return record_fail(r, "%s: its MTU is %u, and here %u; give mtu=%u", name, le16toh(c.mtu),
				   le16toh(d.mtu), le16toh(c.mtu));
	return same_queues(r, name, le16toh(c.max_virtqueue_pairs), le16toh(d.max_virtqueue_pairs));
}

static bool same_tag(struct records *r, const char *name, const struct saved_helper *s, const struct saved_helper *own)
{
	struct virtio_fs_config a, b;
	char tag[sizeof(a.tag) + 1] = "";

	_Static_assert(sizeof(a) <= SAVED_CONFIG, "it is all there");
	memcpy(&a, s->config, sizeof(a));
	memcpy(&b, own->config, sizeof(b));
	memcpy(tag, a.tag, sizeof(a.tag));
	make_printable(tag, strlen(tag));
	if (memcmp(a.tag, b.tag, sizeof(a.tag)) != 0)
		return record_fail(r, "%s: its tag is %s, and here %.*s; give tag=%s", name, tag, (int)sizeof(b.tag),
				   (const char *)b.tag, tag);
	return same_queues(r, name, le32toh(a.num_request_queues), le32toh(b.num_request_queues));
}

static const char *cache_name(unsigned cache)
{
	return cache == FS_CACHE_AUTO ? "auto" : cache == FS_CACHE_NONE ? "none" : "always";
}

/* What a share has in addition: options that its driver does not see. */
static bool saved_share(struct records *r, const struct device *d)
{
	const struct vcpu_device *c = &d->all->vm->c->dev[d->helper];
	const struct saved_share own = { .inodes = c->inodes,
					 .cache = c->cache,
					 .others_are_root = c->others_are_root };
	struct saved_share s = own;

	if (d->front.kind != DEV_FS)
		return true;
	if (!record(r, RECORD_SHARE, d->helper, &s, sizeof(s)))
		return false;
	if (s.inodes != own.inodes)
		return record_fail(r, "%s: it has inodes=%u, and here inodes=%u; give inodes=%u", d->name, s.inodes,
				   own.inodes, s.inodes);
	if (s.cache > FS_CACHE_ALWAYS || s.cache != own.cache)
		return record_fail(r, "%s: it has cache=%s, and here cache=%s; give cache=%s", d->name,
				   cache_name(s.cache), cache_name(own.cache), cache_name(s.cache));
	return s.others_are_root == own.others_are_root ||
	       record_fail(r, "%s: the saved guest was started %s, and this one %s; users of files would be others",
			   d->name, s.others_are_root ? "by a user" : "by root",
			   own.others_are_root ? "by a user" : "by root");
}

static bool same_device(struct records *r, const struct device *d, const struct saved_helper *s,
			const struct saved_helper *own)
{
	if (s->kind == DEV_NET)
		return same_nic(r, d->name, s, own);
	return s->kind == DEV_FS ? same_tag(r, d->name, s, own) : same_disk(r, d->name, s, own);
}

static bool same_helper(struct records *r, struct device *d, const struct saved_helper *s,
			const struct saved_helper *own)
{
	/* The field that a driver may write is with the rings. */
	const unsigned wce = offsetof(struct virtio_blk_config, wce);

	if (s->kind != own->kind)
		return record_fail(r, "device %u is a %s, and here a %s; give the options in the same order",
				   d->helper + 1, kind_name(s->kind), kind_name(own->kind));
	if (!same_device(r, d, s, own))
		return false;
	for (unsigned i = 0; i < SAVED_CONFIG; i++)
		if (s->config[i] != own->config[i] && !(s->kind == DEV_BLK && i == wce))
			return record_fail(r,
					   "%s: byte %u of its configuration is %u, and here %u; give the same options",
					   d->name, i, s->config[i], own->config[i]);
	return s->config_len == own->config_len || record_fail(r, "%s: its configuration has %u bytes, and here %u",
							       d->name, s->config_len, own->config_len);
}

static bool saved_helper(struct records *r, struct device *d)
{
	const struct vcpu_device *c = &d->all->vm->c->dev[d->helper];
	struct saved_helper own = {
		.image_time = c->image_time,
		.kind = c->kind,
		.read_only = c->read_only,
		.snapshot = c->snapshot,
	};
	const uint8_t *config = config_of(d, &own.config_len);
	struct saved_helper s;

	memcpy(own.config, config, own.config_len);
	s = own;
	return record(r, RECORD_HELPER, d->helper, &s, sizeof(s)) && (!r->reading || same_helper(r, d, &s, &own)) &&
	       saved_share(r, d);
}

static bool hold(struct records *r, struct devices *ds)
{
	for (unsigned i = 0; i < ds->n; i++)
		held_begin_early(&ds->dev[i]);
	for (unsigned i = 0; i < ds->n; i++)
		if (!held_begin(&ds->dev[i]))
			return record_fail(r, "%s does not answer, or refuses", ds->dev[i].name);
	return true;
}

bool saved_helpers(struct records *r, struct devices *ds)
{
	for (unsigned i = 0; i < ds->n; i++)
		if (ds->dev[i].type == DEVICE_BACKED && !saved_helper(r, &ds->dev[i]))
			return false;
	return !r->reading || hold(r, ds);
}

/* ---- changes of snapshots, and files of shares ---- */

const struct device *saved_disks(struct devices *ds, bool load, uint64_t *at)
{
	for (unsigned i = 0; i < ds->n; i++) {
		struct device *d = &ds->dev[i];

		if (d->type != DEVICE_BACKED || (d->front.kind != DEV_FS && !ds->vm->c->dev[d->helper].snapshot))
			continue;
		*at = (*at + PART_ALIGN - 1) & ~(uint64_t)(PART_ALIGN - 1);
		if (!front_file(&d->front, load, at))
			return d;
	}
	return NULL;
}

/* ---- rings ---- */

static void from_front(const struct device *d, struct saved_rings *s)
{
	const struct front *f = &d->front;

	*s = (struct saved_rings){ .pairs = (uint16_t)d->pairs };
	if (f->kind == DEV_BLK)
		s->wce = f->config[offsetof(struct virtio_blk_config, wce)];
	for (unsigned q = 0; q < f->nqueues; q++) {
		s->running |= (uint16_t)(f->running[q] << q);
		s->enabled |= (uint16_t)(f->enabled[q] << q);
		s->base[q] = f->rings.base[q];
	}
}

static bool is_ctl(const struct device *d, unsigned q)
{
	return d->front.kind == DEV_NET && dev_net_has_ctl(&d->v, q);
}

/* Accept only what writes of a driver can lead to: see dev_start(), and net.c for the pairs. */
static bool judge_rings(struct records *r, const struct device *d, const struct saved_rings *s)
{
	const struct vpci *v = &d->v;
	unsigned nqueues = d->front.nqueues;

	if ((uint32_t)s->running >> nqueues || s->enabled & ~s->running)
		return record_fail(r, "%s: queues 0x%x run, of which 0x%x are in use", d->name, s->running, s->enabled);
	for (unsigned q = 0; q < nqueues; q++)
		if (s->running >> q & 1 && (!v->running || !v->queue[q].enabled || is_ctl(d, q)))
			return record_fail(r, "%s: queue %u runs, but its device does not", d->name, q);
	if (s->pairs > nqueues / 2 || (d->front.kind == DEV_NET && v->running && !s->pairs))
		return record_fail(r, "%s: %u of %u pairs of queues are in use", d->name, s->pairs, nqueues / 2);
	return record_bool(r, s->wce, "a write cache");
}

/* Give the helper of @d what the driver had set up. It goes on holding its rings. */
static bool to_front(struct device *d, const struct saved_rings *s)
{
	static struct front_saved to;
	struct front *f = &d->front;

	front_save(f, &to);
	to.have_features = d->v.running;
	to.driver_features = d->v.features;
	for (unsigned q = 0; q < f->nqueues; q++) {
		const struct vpci_queue *vq = &d->v.queue[q];

		to.running[q] = s->running >> q & 1;
		to.enabled[q] = s->enabled >> q & 1;
		if (to.running[q])
			to.ring[q] = (struct front_ring){ vq->size, vq->desc, vq->avail, vq->used };
		to.rings.base[q] = s->base[q];
	}
	if (f->kind == DEV_BLK && f->config_len > offsetof(struct virtio_blk_config, wce))
		to.config[offsetof(struct virtio_blk_config, wce)] = s->wce;
	d->pairs = s->pairs;
	return front_load(f, &to);
}

bool saved_rings(struct records *r, struct device *d)
{
	struct saved_rings s;

	from_front(d, &s);
	if (!record(r, RECORD_FRONT, d->helper, &s, sizeof(s)))
		return false;
	if (!r->reading)
		return true;
	if (!judge_rings(r, d, &s))
		return false;
	if (!to_front(d, &s))
		return record_fail(r, "%s does not accept its queues", d->name);
	d->all->host->rewire(&d->v);
	return true;
}
