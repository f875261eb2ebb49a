/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Checkpoints of a device that one of our helpers serves: see front.h. Runs in the vCPU process, under the device lock.
 * A helper that is restarted at any moment gets all state again, and holds its rings if it shall.
 */
#include <errno.h>
#include <linux/virtio_blk.h>
#include <string.h>

#include "common/fmt.h"
#include "common/snapmap.h"
#include "vcpu/devices/front_private.h"

/* How long the process of a helper may take to start. The supervisor, which starts it, gives up sooner. */
#define START_MS 60000

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

void front_leave(struct front *f)
{
	f->leaving = true;
}

void front_renew(struct front *f)
{
	vhu_drain(f->sock);
	f->leaving = f->dead = f->restarted = false;
	f->overdue = f->sent = f->late = 0;
	f->renewed = f->held = f->any_page = true;
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

/*
 * The helper needs the bytes of the configuration that the driver has changed. Record them before anything is sent: a
 * successor of the helper gets them with the other state.
 */
static void load_config(struct front *f, const struct front_saved *s)
{
	unsigned first = 0, end = f->config_len;

	while (first < end && f->config[first] == s->config[first])
		first++;
	while (end > first && f->config[end - 1] == s->config[end - 1])
		end--;
	memcpy(f->config, s->config, sizeof(f->config));
	f->unsent_at = first;
	f->unsent = end - first;
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

/* The only field of a configuration that a driver may change, and what a new process has there: see get_config(). */
static void resend_config(struct front *f)
{
	const unsigned wce = offsetof(struct virtio_blk_config, wce);

	f->unsent_at = wce;
	f->unsent = f->kind == DEV_BLK && f->config_len > wce && f->config[wce] != 1;
}

/* A new process of the helper gets all state. It holds its rings. */
static bool load_all(struct front *f)
{
	f->renewed = false;
	resend_config(f);
	return front_await_resume(f, START_MS) && front_settle(f, false) && !f->overdue;
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
	load_config(f, s);
	if (f->renewed)
		return load_all(f);
	return front_settle(f, (same || load_rings(f)) && front_send_unsent(f)) && !f->overdue;
}

/* One part of front_file(). Returns false if there was no reply, or with f->error set if it is not acceptable. */
static bool file_part(struct front *f, uint32_t request, struct vhu_saved *s)
{
	struct vhu_msg m = { .request = request, .size = sizeof(m.saved), .saved = *s };
	const struct vhu_saved *got = &f->rx.msg.saved;

	if (!front_ask(f, &m, sizeof(m.saved)))
		return false;
	/* So that it comes to an end: each part is at least one cluster or entry. */
	if (got->state > VHU_SAVED_FAILED || got->at < s->at || got->at > INT64_MAX ||
	    (got->state == VHU_SAVED_MORE && (got->cluster <= s->cluster || got->cluster > SNAP_MAX_BITS + 1)))
		return front_dead(f, vhu_request_name(request), "the reply does not match the request");
	*s = *got;
	return true;
}

bool front_file(struct front *f, bool load, uint64_t *at)
{
	const uint32_t request = load ? VHU_LOAD : VHU_SAVE;
	const char *what = f->kind == DEV_FS ? "open in its share" : "changed on its disk";
	struct vhu_saved s = { .at = *at };

	f->error[0] = '\0';
	for (unsigned tries = 0; s.state == VHU_SAVED_MORE;) {
		if (file_part(f, request, &s))
			continue;
		/* A successor of the helper begins again. */
		if (!f->restarted || tries++ == FRONT_RESTARTS_MAX || !front_settle(f, false))
			break;
		s = (struct vhu_saved){ .at = *at };
	}
	if (s.state == VHU_SAVED_MORE)
		return f->error[0] ? false : front_dead(f, vhu_request_name(request), "the back-end does not answer");
	*at = s.at;
	errno = (int)s.error;
	if (s.state == VHU_SAVED_FAILED && s.error)
		fmt_line(f->error, sizeof(f->error), "%s: what the guest has %s: %m", f->name, what);
	else if (s.state == VHU_SAVED_FAILED)
		fmt_line(f->error, sizeof(f->error), "%s: what the guest had %s is damaged; save the guest again",
			 f->name, what);
	return s.state == VHU_SAVED_DONE;
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
