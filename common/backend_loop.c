/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The event loop of a vhost-user back-end. Runs in netd and blkd. Each queue,
 * descriptor and message source does a limited amount of work in one turn, so that
 * none can starve the others.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/backend_private.h"
#include "common/closefds.h"
#include "common/ctl.h"
#include "common/log.h"

#define EVENTS_AT_ONCE	 32
#define MESSAGES_AT_ONCE 16
#define POLL_MISSES_MAX	 8
#define POLL_HITS_MAX	 16 /* After this many polls with work, check all descriptors once */

static int watch(int fd, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.fd = fd };

	return epoll_ctl(HFD_EPOLL, EPOLL_CTL_ADD, fd, &ev);
}

/* Create the inflight area that a front-end may ask for later: the filter will forbid memfd_create(). */
static void make_inflight(struct backend *be)
{
	uint16_t n = (uint16_t)be->c.max_queues;
	uint64_t bytes;
	int fd;

	if (be->c.own_front || !(be->c.ops->protocol_features & BIT64(VHU_PF_INFLIGHT_SHMFD)) ||
	    fcntl(HFD_INFLIGHT, F_GETFD) >= 0)
		return;
	fd = place_fd(inflight_create(n, INFLIGHT_MAX_SIZE, &bytes), HFD_INFLIGHT) < 0 ? -1 : HFD_INFLIGHT;
	if (fd < 0 || !inflight_map(&be->lent, fd, 0, bytes, n, INFLIGHT_MAX_SIZE))
		be->c.protocol_features_off |= BIT64(VHU_PF_INFLIGHT_SHMFD);
}

int backend_prepare(struct backend *be, const struct backend_config *c)
{
	memset(be, 0, sizeof(*be));
	be->bad_lines = (struct log_limit)LOG_LIMIT_INIT(5, 2000);
	be->c = *c;
	be->c.max_queues = MIN(c->max_queues, MAX_QUEUES);
	if (place_fd(epoll_create1(EPOLL_CLOEXEC), HFD_EPOLL) < 0)
		return -1;
	be->have_epoll = true;
	/* A stand-alone back-end has no supervisor: HFD_CTL is closed or cannot be watched. */
	be->have_ctl = watch(HFD_CTL, EPOLLIN) == 0;
	make_inflight(be);
	return 0;
}

int backend_watch(struct backend *be, int fd, uint32_t epoll_events)
{
	if (!be->have_epoll || fd < 0 || fd >= HFD_LIMIT) {
		errno = EBADF;
		return -1;
	}
	return watch(fd, epoll_events);
}

bool backend_keep_inflight(struct backend *be)
{
	unsigned n = be->c.max_queues;

	be->own_inflight = inflight_map(&be->inflight, HFD_INFLIGHT, 0, n * inflight_queue_bytes(INFLIGHT_MAX_SIZE),
					(uint16_t)n, INFLIGHT_MAX_SIZE);
	if (be->own_inflight)
		be->c.protocol_features_off |= 1ull << VHU_PF_INFLIGHT_SHMFD;
	return be->own_inflight;
}

void backend_wake(struct backend *be, struct vq *vq)
{
	be->ring[vq->index].want_work = be->ring[vq->index].started;
}

static void collect_stats(struct backend *be)
{
	be->stats.calls = be->stats.calls_suppressed = 0;
	for (unsigned q = 0; q < be->c.max_queues; q++) {
		be->stats.calls += be->vq[q].n_calls;
		be->stats.calls_suppressed += be->vq[q].n_calls_suppressed;
	}
}

static void send_stats(struct backend *be)
{
	struct ctl_msg m = { .type = CTL_STATS };

	collect_stats(be);
	m.stats = be->stats;
	ctl_send(HFD_CTL, &m);
}

static void ctl_ready(struct backend *be)
{
	struct ctl_msg m;
	int got = ctl_recv(HFD_CTL, &m);

	if (got < 0 || (got > 0 && m.type == CTL_STOP)) {
		be->quit = be->gone = true;
	} else if (got > 0 && m.type == CTL_GET_STATS) {
		send_stats(be);
	}
}

static void front_ready(struct backend *be)
{
	for (unsigned n = 0; n < MESSAGES_AT_ONCE && !be->gone; n++) {
		enum vhu_status s = vhu_recv(HFD_FRONT, &be->rx, !be->sealed);

		if (s == VHU_AGAIN)
			return;
		if (s != VHU_OK) {
			be->gone = true;
			if (s == VHU_CLOSED)
				return;
			backend_bad(be, "header", "invalid version or size; closing the connection");
			be->exit_status = 1;
			return;
		}
		if (!backend_message(be)) {
			be->gone = true;
			be->exit_status = 1;
		}
	}
}

static void kicked(struct backend *be, unsigned q)
{
	be->stats.kicks++;
	if (be->ring[q].started)
		be->ring[q].want_work = true;
	else if (!ring_try_start(be, q))
		backend_bad(be, "kick", "the ring cannot start");
}

static void device_fd(struct backend *be, int fd, uint32_t events)
{
	uint64_t bit = 1ull << (fd % 64);

	be->again[fd / 64] &= ~bit;
	if (be->c.ops->fd_ready && be->c.ops->fd_ready(be, fd, events))
		be->again[fd / 64] |= bit;
}

static void dispatch(struct backend *be, const struct epoll_event *ev)
{
	int fd = ev->data.fd;

	if (fd == HFD_FRONT)
		front_ready(be);
	else if (fd == HFD_CTL)
		ctl_ready(be);
	else if (fd >= HFD_KICK0 && fd < HFD_KICK0 + MAX_QUEUES)
		kicked(be, (unsigned)(fd - HFD_KICK0));
	else
		device_fd(be, fd, ev->events);
}

int backend_accept(struct backend *be)
{
	struct epoll_event ev;
	int fd = -1;

	if (watch(HFD_LISTEN, EPOLLIN) < 0)
		return -1;
	be->by_path = true;
	be->front = FRONT_IDLE;
	while (fd < 0 && !be->quit) {
		int n = epoll_pwait(HFD_EPOLL, &ev, 1, -1, NULL);

		if (n < 0 && errno != EINTR)
			break;
		if (n > 0 && ev.data.fd != HFD_LISTEN)
			dispatch(be, &ev);
		if (n <= 0 || ev.data.fd != HFD_LISTEN)
			continue;
		backend_tell_front(be, FRONT_SILENT);
		fd = accept4(HFD_LISTEN, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0 && errno != EINTR && errno != ECONNABORTED && errno != EAGAIN)
			break;
	}
	epoll_ctl(HFD_EPOLL, EPOLL_CTL_DEL, HFD_LISTEN, NULL);
	if (be->quit)
		errno = ECANCELED;
	return place_fd(fd, HFD_FRONT);
}

uint64_t *backend_note(struct backend *be)
{
	/* The field "features" of queue 0, which the vhost-user specification leaves unused. */
	return be->own_inflight ? &((struct inflight_region *)be->inflight.base)->features : NULL;
}

/* Call fd_ready() for descriptors whose last call used up its budget. */
static void serve_again(struct backend *be)
{
	for (unsigned w = 0; w < ARRAY_SIZE(be->again); w++)
		for (uint64_t left = be->again[w]; left; left &= left - 1)
			device_fd(be, (int)(w * 64) + __builtin_ctzll(left), 0);
}

static bool any_again(const struct backend *be)
{
	for (unsigned w = 0; w < ARRAY_SIZE(be->again); w++)
		if (be->again[w])
			return true;
	return false;
}

/* Serve queue @q once. */
static void work(struct backend *be, unsigned q)
{
	struct backend_ring *r = &be->ring[q];
	struct vq *vq = &be->vq[q];

	r->want_work = false;
	vq_disable_kicks(vq);
	if (be->c.ops->queue_work(be, vq, BACKEND_CHAIN_BUDGET)) {
		r->want_work = vq->running;
		return;
	}
	/* During busy polling, kicks stay disabled until the loop goes to sleep. */
	if (vq->quiet || be->polling)
		return;
	if (vq_enable_kicks(vq))
		r->want_work = true;
}

/* Serve each queue with work once, starting with a different queue each time. True if work is left. */
static bool work_all(struct backend *be)
{
	unsigned n = be->c.max_queues;
	bool more = false;

	be->turn = be->turn + 1 < n ? be->turn + 1 : 0;
	for (unsigned i = 0; i < n; i++) {
		unsigned q = be->turn + i < n ? be->turn + i : be->turn + i - n;

		if (be->ring[q].want_work)
			work(be, q);
	}
	/* Only now: the work of a queue may have woken one that had its turn already. */
	for (unsigned q = 0; q < n; q++)
		more |= be->ring[q].want_work;
	return more;
}

static bool any_news(struct backend *be)
{
	bool news = be->c.ops->poll && be->c.ops->poll(be);

	for (unsigned q = 0; q < be->c.max_queues; q++)
		if (!be->vq[q].quiet && vq_has_news(&be->vq[q]))
			news = be->ring[q].want_work = true;
	return news;
}

static bool poll_for_a_while(struct backend *be)
{
	uint64_t until = now_us() + be->c.poll_us;
	bool news = false;

	be->stats.polls++;
	for (unsigned q = 0; q < be->c.max_queues; q++)
		if (!be->vq[q].quiet)
			vq_disable_kicks(&be->vq[q]);
	do {
		for (unsigned i = 0; i < 64 && !news; i++) {
			news = any_news(be);
			__builtin_ia32_pause();
		}
	} while (!news && now_us() < until);
	if (news) {
		be->stats.polls_hit++;
		be->poll_misses = 0;
		return true;
	}
	be->poll_misses += be->poll_misses < POLL_MISSES_MAX;
	be->poll_rests = (uint16_t)(1u << be->poll_misses);
	return false;
}

/*
 * Poll the rings for be->c.poll_us before sleeping. If nothing comes, enable kicks and
 * check once more. Returns true if there is work.
 */
static bool poll_rings(struct backend *be)
{
	bool news = false;

	if (!be->host_busy && poll_for_a_while(be))
		return true;
	be->polling = false;
	for (unsigned q = 0; q < be->c.max_queues; q++)
		if (!be->vq[q].quiet && vq_enable_kicks(&be->vq[q]))
			news = be->ring[q].want_work = true;
	return news;
}

/*
 * Decide after a sleep whether to poll before the next one. Polling pays only if the
 * sleep waited for the host's kernel, or was shorter than four polls. After 1, 2, … 8
 * polls in a row without work, only every 2nd, 4th, … 256th time: a driver that shares
 * our processor, or never answers soon, would only be delayed by the polling.
 */
static bool worth_polling(struct backend *be)
{
	if (!be->slept_busy && now_us() - be->slept_at >= 4ull * be->c.poll_us)
		return false;
	if (be->poll_rests)
		be->poll_rests--;
	return !be->poll_rests;
}

/* Wait for events; with @busy, only collect those that are pending. Returns as epoll_wait(2). */
static int wait_events(struct backend *be, struct epoll_event *ev, bool busy)
{
	int n;

	if (!busy && be->polling) {
		busy = poll_rings(be);
		/* Even then, check for messages and the device's descriptors from time to time. */
		if (busy && ++be->poll_hits % POLL_HITS_MAX)
			return 0;
	}
	if (be->c.poll_us && !busy) {
		be->slept_at = now_us();
		be->slept_busy = be->host_busy;
	}
	n = epoll_pwait(HFD_EPOLL, ev, EVENTS_AT_ONCE, busy ? 0 : be->c.tick_ms ? (int)be->c.tick_ms : -1, NULL);
	if (be->c.poll_us && !busy)
		be->polling = worth_polling(be);
	return n;
}

static void loop(struct backend *be)
{
	struct epoll_event ev[EVENTS_AT_ONCE];
	bool busy = false;

	while (!be->gone) {
		int n = wait_events(be, ev, busy);

		if (n < 0 && errno != EINTR) {
			log_line(LOG_ERROR, "%s: epoll: %m", be->c.device_name);
			be->exit_status = 1;
			return;
		}
		be->stats.wakeups++;
		serve_again(be);
		for (int i = 0; i < n && !be->gone; i++)
			dispatch(be, &ev[i]);
		if (be->c.tick_ms && !be->gone)
			be->c.ops->tick(be);
		busy = work_all(be) || any_again(be);
	}
}

static void begin(struct backend *be)
{
	be->gone = be->sealed = be->held = be->features_set = be->owner_set = be->polling = false;
	be->poll_misses = be->poll_hits = 0;
	be->poll_rests = 0;
	be->acked_features = be->protocol_features = 0;
	be->status = 0;
	be->exit_status = 0;
	memset(be->ring, 0, sizeof(be->ring));
	for (unsigned q = 0; q < be->c.max_queues; q++) {
		be->vq[q].index = q;
		be->vq[q].name = be->c.device_name;
		be->vq[q].on_fault = ring_on_fault;
		be->vq[q].enabled = be->vq[q].broken = false;
	}
}

/* Stop all rings; unless sealed, release everything that the front-end sent. */
static void finish(struct backend *be)
{
	for (unsigned q = 0; q < be->c.max_queues; q++)
		ring_stop(be, q);
	if (be->sealed)
		return;
	for (unsigned q = 0; q < be->c.max_queues; q++)
		for (enum ring_fd kind = RING_KICK; kind <= RING_ERR; kind++)
			ring_drop_fd(be, q, kind);
	if (!be->own_inflight)
		inflight_unmap(&be->inflight);
	log_end(be);
	shm_clear(&be->mem);
	vhu_rx_reset(&be->rx);
	if (be->c.ops->reset)
		be->c.ops->reset(be);
	epoll_ctl(HFD_EPOLL, EPOLL_CTL_DEL, HFD_FRONT, NULL);
	close(HFD_FRONT);
}

/*
 * Start on a connection that a previous process served until it died. It may have read
 * half of a message, and unread messages and replies may be queued: both ends drop
 * everything that was sent before VHU_RESUME.
 */
static void resume(struct backend *be)
{
	struct vhu_msg m = {
		.request = VHU_RESUME, .flags = VHU_VERSION | VHU_REPLY, .size = sizeof(m.u64), .u64 = be->c.generation
	};

	be->awaiting_resume = be->c.own_front && be->c.generation;
	if (!be->awaiting_resume)
		return;
	vhu_drain(HFD_FRONT);
	if (vhu_send(HFD_FRONT, &m) != VHU_OK) {
		be->gone = true;
		be->exit_status = 1;
	}
}

int backend_run(struct backend *be)
{
	begin(be);
	if (fcntl(HFD_FRONT, F_SETFL, O_RDWR | O_NONBLOCK) < 0 || watch(HFD_FRONT, EPOLLIN) < 0) {
		log_line(LOG_ERROR, "%s: front-end socket: %m", be->c.device_name);
		return 1;
	}
	resume(be);
	loop(be);
	if (be->have_ctl)
		send_stats(be);
	finish(be);
	return be->exit_status;
}
