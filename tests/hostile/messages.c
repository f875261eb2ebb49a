/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Invalid messages about rings: sizes, addresses, indices, features. Against both devices
 * while they are sealed; each message must be refused and change nothing.
 */
#include <linux/virtio_config.h>
#include <string.h>

#include "tests/hostile/hostile.h"

static enum kind kind;

static struct dev *get(void)
{
	return dev_get(&(struct dev_options){ .kind = kind, .disk = -1 });
}

/* Check that @n messages were refused and counted, and that the device is unchanged. */
static void all_refused(struct dev *d, unsigned n)
{
	need(dev_stats(d)->bad_messages - d->before.bad_messages == n);
	need(d->stats.faults == d->before.faults);
	report.sibling = dev_serves(d, d->sibling) ? YES : NO;
	dev_fresh(d, d->victim, RING);
	report.alive = dev_serves(d, d->victim) ? YES : NO;
	counted("refused");
}

static uint64_t set_addr(struct dev *d, uint64_t desc, uint64_t avail, uint64_t used)
{
	struct vhu_vring_addr a = { .index = d->victim, .desc = desc, .avail = avail, .used = used };

	return front_ack(&d->f, VHU_SET_VRING_ADDR, &a, sizeof(a), NULL, 0);
}

static void queue_size(const void *arg)
{
	struct dev *d = get();

	need(front_queue_stop(d->q[d->victim]) >= 0);
	need(front_ack_state(&d->f, VHU_SET_VRING_NUM, d->victim, *(const uint32_t *)arg) == 1);
	all_refused(d, 1);
}

/* A ring at an invalid address: enabling it is refused, and it does not run. */
struct place {
	const char *name;
	unsigned part; /* 0 descriptors, 1 available, 2 used */
	uint64_t uva;  /* relative to the memory; absolute if over 2^40 */
};

static void ring_part(const void *arg)
{
	const struct place *p = arg;
	struct dev *d = get();
	struct front_queue *q = d->q[d->victim];
	uint64_t base = (uintptr_t)d->f.mem, uva = p->uva >> 40 ? p->uva : base + p->uva;
	uint64_t part[3] = { (uintptr_t)q->desc, (uintptr_t)q->avail, (uintptr_t)q->used };

	need(front_queue_stop(q) >= 0);
	part[p->part] = uva;
	need(set_addr(d, part[0], part[1], part[2]) == 0);
	need(front_ack_state(&d->f, VHU_SET_VRING_ENABLE, d->victim, 1) == 1);
	/* Kicks do not start it either; each one is refused as well. */
	front_kick(q);
	need(dev_serves(d, d->sibling));
	need(dev_stats(d)->bad_messages - d->before.bad_messages >= 1);
	d->before.bad_messages = d->stats.bad_messages;
	all_refused(d, 0);
}

static const struct place places[] = {
	{ "descriptors outside memory", 0, MEM_LEN + 4096 },
	{ "descriptors over the end of memory", 0, MEM_LEN - 64 },
	{ "descriptors over the end of a region", 0, A_LEN + B_LEN - 64 },
	{ "descriptors misaligned", 0, 8 },
	{ "descriptors whose end wraps", 0, UINT64_MAX - 15 },
	{ "available ring outside memory", 1, MEM_LEN },
	{ "available ring over the end of memory", 1, MEM_LEN - 2 },
	{ "available ring over the end of a region", 1, A_LEN - 2 },
	{ "available ring misaligned", 1, 0x4001 },
	{ "available ring whose end wraps", 1, UINT64_MAX - 1 },
	{ "used ring outside memory", 2, MEM_LEN + 65536 },
	{ "used ring over the end of memory", 2, MEM_LEN - 4 },
	{ "used ring over the end of a region", 2, A_LEN - 4 },
	{ "used ring misaligned", 2, 0x6002 },
	{ "used ring whose end wraps", 2, UINT64_MAX - 3 },
};

/* Change size, base, addresses and features while the ring runs. */
static void changed_while_running(const void *arg)
{
	struct dev *d = get();
	uint64_t base = (uintptr_t)d->f.mem;

	(void)arg;
	need(front_ack_state(&d->f, VHU_SET_VRING_NUM, d->victim, 1024) == 1);
	need(front_ack_state(&d->f, VHU_SET_VRING_BASE, d->victim, 7) == 1);
	need(set_addr(d, base, base, base) == 1);
	report.alive = dev_serves(d, d->victim) ? YES : NO;
	all_refused(d, 3);
}

static void features_not_offered(const void *arg)
{
	uint64_t offered;
	struct dev *d = get();
	unsigned n = 0;

	(void)arg;
	for (unsigned q = 0; q < d->nq; q++)
		need(front_queue_stop(d->q[q]) >= 0);
	offered = front_get(&d->f, VHU_GET_FEATURES);
	for (unsigned bit = 0; bit < 64; bit++) {
		if ((offered >> bit) & 1)
			continue;
		need(front_ack_u64(&d->f, VHU_SET_FEATURES, d->f.features | BIT64(bit)) == 1);
		n++;
	}
	need(front_ack_u64(&d->f, VHU_SET_FEATURES, d->f.features) == 0);
	for (unsigned q = 0; q < d->nq; q++)
		dev_fresh(d, q, RING);
	all_refused(d, n);
}

static void features_changed_later(const void *arg)
{
	struct dev *d = get();

	(void)arg;
	need(front_ack_u64(&d->f, VHU_SET_FEATURES, d->f.features & ~BIT64(VIRTIO_RING_F_EVENT_IDX)) == 1);
	need(front_ack_u64(&d->f, VHU_SET_FEATURES, 0) == 1);
	all_refused(d, 2);
}

static void protocol_features_not_offered(const void *arg)
{
	struct dev *d = get();
	unsigned n = 0;

	(void)arg;
	for (unsigned bit = 0; bit < 64; bit++) {
		uint64_t v = d->f.protocol_features | BIT64(bit);

		if (v == d->f.protocol_features)
			continue;
		need(front_ack_u64(&d->f, VHU_SET_PROTOCOL_FEATURES, v) == 1);
		n++;
	}
	all_refused(d, n);
}

/* Send every message that has a queue index with every invalid index. */
static void queue_index(const void *arg)
{
	static const uint32_t requests[] = { VHU_SET_VRING_NUM, VHU_SET_VRING_BASE, VHU_SET_VRING_ENABLE };
	uint32_t index = *(const uint32_t *)arg;
	struct dev *d = get();
	struct vhu_vring_addr a = { .index = index < 2 ? d->nq + index : index };
	struct vhu_vring_state s = { .index = a.index };
	struct vhu_msg m;

	for (unsigned i = 0; i < ARRAY_SIZE(requests); i++)
		need(front_ack_state(&d->f, requests[i], a.index, 1) == 1);
	need(front_ack(&d->f, VHU_SET_VRING_ADDR, &a, sizeof(a), NULL, 0) == 1);
	need(front_send(&d->f, VHU_GET_VRING_BASE, 0, &s, sizeof(s), NULL, 0));
	need(front_recv(&d->f, &m, PATIENCE) && m.size == 0);
	all_refused(d, 5);
}

/* Once rings have started, no descriptor is accepted: memory, eventfds, inflight areas. */
static void descriptors_too_late(const void *arg)
{
	static const uint32_t requests[] = { VHU_SET_VRING_KICK, VHU_SET_VRING_CALL, VHU_SET_VRING_ERR };
	struct dev *d = get();
	struct vhu_mem_reg r = { .region = { 0, 4096, 0x1000, 0 } };
	struct vhu_mem_reg there = { .region = { C_GPA, C_LEN, (uintptr_t)d->f.mem + A_LEN + B_LEN, 0 } };
	struct vhu_inflight i = { 4096, 0, 1, RING, 0 };
	unsigned fds = open_fds(d->f.pid);

	(void)arg;
	for (unsigned k = 0; k < ARRAY_SIZE(requests); k++)
		need(front_ack_fd(&d->f, requests[k], 0, d->q[0]->call) == 1);
	need(front_ack(&d->f, VHU_ADD_MEM_REG, &r, sizeof(r), &d->f.memfd, 1) == 1);
	need(front_ack(&d->f, VHU_REM_MEM_REG, &there, sizeof(there), NULL, 0) == 1);
	need(!dev_memory(d));
	need(front_ack(&d->f, VHU_SET_INFLIGHT_FD, &i, 24, &d->f.memfd, 1) == 1);
	need(open_fds(d->f.pid) == fds);
	all_refused(d, 7);
}

/*
 * Enable and kick a ring before it has a size and addresses: it must not run until it has
 * both. Uses a new connection, because the others have set addresses already.
 */
static void enabled_before_addresses(const void *arg)
{
	static struct dev d;
	struct front_queue *q;
	struct front_buf b[3];

	(void)arg;
	dev_end_all();
	dev_spawn(&d, &(struct dev_options){ .kind = kind, .disk = -1, .open = true });
	need(front_negotiate(&d.f, ~0ull, ~0ull) && dev_memory(&d));
	for (unsigned i = 0; i < d.nq; i++) {
		d.q[i] = front_queue(&d.f, i, RING, A_GPA + i * 0x10000ull);
		need(front_queue_fds(d.q[i]) && front_queue_enable(d.q[i], true));
	}
	q = d.q[d.victim];
	front_offer(q, front_chain(q, b, good_chain(&d, b, 3, DATA + 0x1000)));
	for (unsigned i = 0; i < 20; i++)
		front_kick(q);
	/* A size without addresses is not enough either. */
	need(front_ack_state(&d.f, VHU_SET_VRING_NUM, d.victim, RING) == 0);
	front_kick(q);
	need(dev_stats(&d)->kicks > 0 && q->used->idx == 0);
	for (unsigned i = 0; i < d.nq; i++)
		need(front_queue_setup(d.q[i], 0) && front_queue_enable(d.q[i], true));
	dev_takes(&d, "served");
	need(dev_end(&d) == 0);
}

static void one_device(enum kind k, const char *name)
{
	static const uint32_t sizes[] = { 0, 3, 2048, 32769, 65535, 65536 + 8, UINT32_MAX };
	static const uint32_t indices[] = { 0, 1, 255, 0xffff, UINT32_MAX };
	static const char *const names[] = { "n", "n + 1", "255", "0xffff", "-1" };
	char text[80];

	kind = k;
	group(name);
	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		snprintf(text, sizeof(text), "queue size %u", sizes[i]);
		play(text, "refused", queue_size, &sizes[i]);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(places); i++)
		play(places[i].name, "refused", ring_part, &places[i]);
	play("size, base, addresses changed while it runs", "refused", changed_while_running, NULL);
	for (unsigned i = 0; i < ARRAY_SIZE(indices); i++) {
		snprintf(text, sizeof(text), "queue index %s", names[i]);
		play(text, "refused", queue_index, &indices[i]);
	}
	play("each feature that was never offered", "refused", features_not_offered, NULL);
	play("each protocol feature that was never offered", "refused", protocol_features_not_offered, NULL);
	play("features changed after FEATURES_OK", "refused", features_changed_later, NULL);
	play("descriptors after the rings have started", "refused", descriptors_too_late, NULL);
	play("enabled and kicked before it has addresses", "served", enabled_before_addresses, NULL);
}

void messages_group(void)
{
	one_device(BLKD, "ring messages, blkd");
	one_device(NETD, "ring messages, netd");
}
