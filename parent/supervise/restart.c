/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Restarts helpers that end while the guest runs, as often as --max-restarts allows.
 * A successor is confined and connected as the first one was. Runs in the supervisor,
 * without any privilege. It must not start a successor while I/O of the predecessor
 * may still be in flight: an old write could reach the disk after a newer one.
 */
#include "parent/supervise/lines.h"
#include "parent/supervise/passt.h"
#include "parent/supervise/restart.h"
#include "parent/supervise/start.h"
#include "parent/supervise/state.h"

#define WINDOW_MS 60000 /* --max-restarts counts the restarts in this time. */
#define RECENT_MS 3000	/* How long after a restart sup_restart_recent() stays true. */
#define FRONT_MS  60000 /* How long QEMU may take to connect to a successor and to say something. It needs a second. */

/* True if QEMU is the front-end of disk @r by vhost-user: it connects to the path of a successor. */
static bool is_disk_of_qemu(const struct supervisor *s, const struct sup_role *r)
{
	if (s->h->engine != ENGINE_QEMU || r->host->role != ROLE_BLKD || r->device < 0)
		return false;
	return s->c->disk[s->c->device[r->device].index].bus != BUS_IDE;
}

/*
 * True if QEMU is the front-end of @r and would not use a successor. A share has no path to connect to. For a disk,
 * QEMU 7.2 forgets to connect again if the connection closes while the guest does not use the device: before its
 * driver has started it, while QEMU connects again, or during a pause. hw/virtio/vhost-user.c,
 * vhost_user_async_close() removes the handler of events, and vhost_user_async_close_bh() puts it back only if
 * hdev->vdev is set, as it is from SET_FEATURES to GET_VRING_BASE. While QEMU sets up its devices, before it says
 * anything at its monitor, it connects again up to three times (hw/block/vhost-user-blk.c). A helper ends well if QEMU
 * has closed the connection, mostly because QEMU ends, too.
 */
static bool is_useless(const struct supervisor *s, const struct sup_role *r)
{
	if (s->h->engine != ENGINE_QEMU || sup_is_control(r))
		return false;
	return r->host->role == ROLE_FSD || s->hold ||
	       (is_disk_of_qemu(s, r) && s->qmp_ready && r->front_idle && !sup_ended_well(r));
}

const char *sup_restart_text(const struct supervisor *s, const struct sup_role *r)
{
	if (s->phase == PHASE_STARTING || !s->c->max_restarts || !is_useless(s, r))
		return "";
	return "; QEMU would not use another one now";
}

bool sup_restart_later(struct supervisor *s, struct sup_role *r, bool ended_well)
{
	struct sup_role *partner = sup_partner(s, r);

	if (!s->c->max_restarts || is_useless(s, r))
		return false;
	r->down_since = now_ms();
	r->front_by = 0; /* QEMU gets a full minute for the successor. */
	/* The first of a pair to end takes the other one along, and is what starts both again. */
	if (partner && partner->restart_at)
		return true;
	if (partner && partner->live)
		sup_kill(partner);
	r->restart_at = r->down_since + (ended_well ? VCPU_END_MS : 0);
	return true;
}

/* Returns the number of restarts within the last WINDOW_MS. */
static unsigned recent_restarts(const struct supervisor *s, uint64_t now)
{
	unsigned n = 0;

	while (n < s->restarts && n < MAX_RESTARTS &&
	       now - s->restarted_at[(s->restarts - 1 - n) % MAX_RESTARTS] < WINDOW_MS)
		n++;
	return n;
}

void sup_restart_gave_up(struct supervisor *s, struct sup_role *r)
{
	char text[LOG_LINE_MAX / 2];

	sup_end_text(r, text, sizeof(text));
	r->restart_at = 0;
	sup_let_run(s); /* Nobody else could resume the guest. */
	sup_line(
		s,
		"%s: its process %s; it is not started again (--max-restarts=%u): lguest-sep ps and stop do not reach this guest any more",
		r->host->name, text, s->c->max_restarts);
}

bool sup_restart_counts(struct supervisor *s, struct sup_role *r)
{
	uint64_t now = now_ms();
	unsigned n = recent_restarts(s, now);
	char text[LOG_LINE_MAX / 2];

	r->restart_at = 0;
	sup_end_text(r, text, sizeof(text));
	if (n >= s->c->max_restarts) {
		sup_line(s,
			 "%s: its process %s, after %u restarts within a minute (--max-restarts=%u); ending the guest",
			 r->host->name, text, n, s->c->max_restarts);
		sup_force(s, EXIT_RESTARTS);
		return false;
	}
	sup_line(s, "%s: its process %s; it is started again (%u of %u in a minute)", r->host->name, text, n + 1,
		 s->c->max_restarts);
	s->restarted_at[s->restarts++ % MAX_RESTARTS] = now;
	return true;
}

static void restart_one(struct supervisor *s, struct sup_role *r, uint64_t now)
{
	if (sup_is_control(r) && recent_restarts(s, now) >= s->c->max_restarts) {
		sup_restart_gave_up(s, r);
		return;
	}
	if (!sup_restart_counts(s, r))
		return;
	s->control_restarts += sup_is_control(r);
	r->generation++;
	if (r->host->role == ROLE_PASST) {
		r = sup_partner(s, r);
		r->generation++;
	} else if (sup_partner(s, r)) {
		sup_partner(s, r)->generation++;
	}
	if (sup_start_again(s, r) < 0 && !sup_is_control(r))
		sup_force(s, EXIT_ROLE_DIED);
}

/*
 * True if @r has ended and its last I/O has completed. The control channel closes only then, because blkd's I/O ring
 * holds it open.
 */
static bool is_gone(const struct sup_role *r)
{
	return !r->live && r->ctl < 0;
}

/* While the guest is paused only controld is restarted; the other roles' successors would run. */
static bool may_restart(const struct supervisor *s, const struct sup_role *r)
{
	return r->restart_at && (!s->hold || sup_is_control(r));
}

static bool pair_is_gone(const struct supervisor *s, const struct sup_role *r)
{
	const struct sup_role *partner = sup_partner(s, r);

	return is_gone(r) && (!partner || is_gone(partner));
}

/*
 * End the guest if QEMU has forgotten the disk @r: its requests would wait for ever. That happens if QEMU itself closes
 * the connection at the times that is_useless() tells of. During a pause QEMU is stopped.
 */
static void front_due(struct supervisor *s, struct sup_role *r, uint64_t now)
{
	if (!r->front_by)
		return;
	if (s->hold || !s->qmp_ready)
		r->front_by = now + FRONT_MS;
	if (now < r->front_by)
		return;
	r->front_by = 0;
	sup_line(s, "%s: QEMU has said nothing to its new process for %u s; ending the guest", r->host->name,
		 FRONT_MS / 1000);
	sup_force(s, EXIT_ROLE_DIED);
}

void sup_restart_due(struct supervisor *s)
{
	uint64_t now = now_ms();

	for (unsigned i = 0; i + 1 < s->nroles && s->status < 0; i++) {
		if (may_restart(s, &s->role[i]) && now >= s->role[i].restart_at && pair_is_gone(s, &s->role[i]))
			restart_one(s, &s->role[i], now);
		front_due(s, &s->role[i], now);
	}
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a && (!b || a < b) ? a : b;
}

uint64_t sup_restart_deadline(const struct supervisor *s)
{
	uint64_t first = 0;

	for (unsigned i = 0; i + 1 < s->nroles; i++) {
		const struct sup_role *r = &s->role[i];

		if (may_restart(s, r) && pair_is_gone(s, r))
			first = earlier(r->restart_at, first);
		first = earlier(r->front_by, first);
	}
	return first;
}

bool sup_restart_recent(const struct supervisor *s)
{
	for (unsigned i = 0; i + 1 < s->nroles; i++)
		if (!sup_is_control(&s->role[i]) &&
		    (s->role[i].down_since || (!s->role[i].live && s->role[i].host->foreign < 0)))
			return true;
	return s->restarts && now_ms() - s->restarted_at[(s->restarts - 1) % MAX_RESTARTS] < RECENT_MS;
}

static void serves_again(struct supervisor *s, struct sup_role *r)
{
	sup_verbose(s, "%s: serves again, %llu ms after its end", r->host->name,
		    (unsigned long long)(now_ms() - r->down_since));
	r->down_since = 0;
}

void sup_restarted(struct supervisor *s, struct sup_role *r)
{
	/* QEMU connects to a disk within a second. */
	if (is_disk_of_qemu(s, r))
		r->front_by = now_ms() + FRONT_MS;
	else
		serves_again(s, r);
}

void sup_front_changed(struct supervisor *s, struct sup_role *r, uint32_t front)
{
	bool runs = front == FRONT_RUNS;

	r->front_idle = !runs;
	if (front != FRONT_SILENT)
		r->front_by = 0;
	if (runs && r->ready && r->down_since && is_disk_of_qemu(s, r))
		serves_again(s, r);
}
