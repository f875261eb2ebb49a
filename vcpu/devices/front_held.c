/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Checkpoints of a device that one of our helpers serves: see front.h. Runs in the vCPU process, under the device lock.
 * A helper that is restarted at any moment gets all state again, and holds its rings if it shall.
 */
#include <string.h>

#include "vcpu/devices/front_private.h"

void front_hold_early(struct front *f)
{
	struct vhu_msg m = { .request = VHU_HOLD };

	f->sent = front_transmit(f, &m) ? VHU_HOLD : 0;
}

/* Whether @request was sent early. A successor of the helper that got it needs it again. */
static bool sent_early(struct front *f, uint32_t request)
{
	bool sent = f->sent == request;

	f->sent = 0;
	return sent;
}

bool front_hold(struct front *f)
{
	for (unsigned tries = 0; tries <= FRONT_RESTARTS_MAX; tries++) {
		f->held = front_ask_hold(f, sent_early(f, VHU_HOLD), &f->rings);
		if (f->held)
			return true;
		if (!f->restarted || !front_settle(f, false))
			break;
	}
	return false;
}

void front_save(const struct front *f, struct front_saved *s)
{
	memcpy(s->running, f->running, sizeof(s->running));
	memcpy(s->enabled, f->enabled, sizeof(s->enabled));
	memcpy(s->ring, f->ring, sizeof(s->ring));
	memcpy(s->config, f->config, sizeof(s->config));
	s->have_features = f->have_features;
	s->driver_features = f->driver_features;
	s->rings = f->rings;
}

static bool same_ring(const struct front_ring *a, const struct front_ring *b)
{
	return a->size == b->size && a->desc == b->desc && a->avail == b->avail && a->used == b->used;
}

/* True if the driver has set up nothing else since. */
static bool unchanged(const struct front *f, const struct front_saved *s)
{
	bool same = f->have_features == s->have_features && f->driver_features == s->driver_features;

	for (unsigned q = 0; q < f->nqueues; q++)
		same = same && f->running[q] == s->running[q] && f->enabled[q] == s->enabled[q] &&
		       f->active[q] == s->running[q] && (!s->running[q] || same_ring(&f->ring[q], &s->ring[q]));
	return same;
}

/* The helper needs the bytes of the configuration that the driver has changed. */
static bool load_config(struct front *f, const struct front_saved *s)
{
	unsigned first = 0, end = f->config_len;

	while (first < end && f->config[first] == s->config[first])
		first++;
	while (end > first && f->config[end - 1] == s->config[end - 1])
		end--;
	memcpy(f->config, s->config, sizeof(f->config));
	f->unsent_at = first;
	f->unsent = end - first;
	return front_send_unsent(f);
}

static bool load_rings(struct front *f)
{
	for (unsigned q = 0; q < f->nqueues; q++)
		if (f->active[q] && !front_stop_ring(f, q))
			return false;
	if (f->have_features && !front_send_features(f))
		return false;
	for (unsigned q = 0; q < f->nqueues; q++)
		if (f->running[q] &&
		    (!front_send_ring(f, q) || !front_set_state(f, VHU_SET_VRING_ENABLE, q, f->enabled[q])))
			return false;
	return true;
}

bool front_load(struct front *f, const struct front_saved *s)
{
	bool same = unchanged(f, s);

	memcpy(f->running, s->running, sizeof(f->running));
	memcpy(f->enabled, s->enabled, sizeof(f->enabled));
	memcpy(f->ring, s->ring, sizeof(f->ring));
	f->have_features = s->have_features;
	f->driver_features = s->driver_features;
	f->rings = s->rings;
	return front_settle(f, (same || load_rings(f)) && load_config(f, s)) && !f->overdue;
}

static bool send_go(struct front *f, enum vhu_go what)
{
	struct vhu_msg m = { .request = VHU_GO, .size = sizeof(m.rings), .rings = f->rings };

	m.rings.what = what;
	return front_tell_early(f, &m);
}

void front_go_early(struct front *f, enum vhu_go what)
{
	f->sent = send_go(f, what) ? VHU_GO : 0;
}

bool front_go(struct front *f, enum vhu_go what)
{
	for (unsigned tries = 0; tries <= FRONT_RESTARTS_MAX; tries++) {
		if ((sent_early(f, VHU_GO) || send_go(f, what)) && front_told(f, VHU_GO)) {
			f->held = false;
			return true;
		}
		if (!f->restarted || !front_settle(f, false))
			break;
	}
	return false;
}
