/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From a configuration and placed descriptors to a confined, running netd: map,
 * confine, loop. Once confined it opens nothing and parses nothing but rings and
 * vhost-user messages.
 */
#include <fcntl.h>
#include <signal.h>

#include "common/sandbox.h"
#include "netd.h"
#include "policy/policies.h"

static struct backend be;
static struct netd netd;

/* The first ring starts under our own front-end: nothing can be handed over any more. */
static void seal(struct backend *b)
{
	(void)b;
	if (sandbox_filter(&policy_netd, NULL) != 0)
		die("the filter for running rings was refused: %m");
}

/* Taps as the loop needs them; corrects what the configuration says about their header. */
static void prepare_taps(struct net_config *c)
{
	for (int i = 0; i < c->queue_pairs; i++)
		if (tap_prepare(HFD_TAP0 + i, &c->vnet_hdr) != 0)
			die("descriptor %d is no tap without packet information: %m", HFD_TAP0 + i);
	if (c->vnet_hdr && tap_set_offload(HFD_TAP0, 0) != 0)
		log_line(LOG_WARN, "the tap's offloads cannot be switched off: %m");
	if ((c->rate_packets || c->rate_bytes) && rate_timer_open() != 0)
		die("no timer for the rate limit: %m");
}

static struct backend_config describe(const struct role_config *rc)
{
	struct backend_config c = {
		.ops = &netd_ops,
		.device = &netd,
		.device_name = rc->name,
		.max_queues = 2u * rc->net.queue_pairs,
		.own_front = rc->own_front,
		.seal = seal,
		.poll_us = rc->poll_us,
		.generation = rc->generation,
	};

	/* QEMU up to 8.0 adds each region once per queue pair; a whole table it sends once. */
	if (rc->net.queue_pairs > 1)
		c.protocol_features_off |= BIT(VHU_PF_CONFIGURE_MEM_SLOTS);
	/* QEMU answers for the configuration space itself, and warns of a back-end that would. */
	if (!rc->own_front)
		c.protocol_features_off |= BIT(VHU_PF_CONFIG);
	/* Under the supervisor guest memory is the one that the parent made. */
	c.memory.allow_unsealed = rc->mem_unsealed;
	if (rc->mem_ino) {
		c.memory.same_inode = true;
		c.memory.dev = (dev_t)rc->mem_dev;
		c.memory.ino = (ino_t)rc->mem_ino;
	}
	return c;
}

static uint32_t confine(const struct role_config *rc)
{
	const struct sandbox_options none = { 0 };
	uint32_t missing = sandbox_enter(&none);
	char text[LOG_LINE_MAX];

	if (sandbox_filter(&policy_netd_foreign, &missing) != 0)
		die("the filter was refused: %m");
	sandbox_missing_text(missing, text, sizeof(text));
	if (missing && rc->strict)
		die("missing on this host: %s", text);
	return missing;
}

int netd_serve(const struct role_config *rc, bool supervised)
{
	struct net_config net = rc->net;
	struct backend_config c;
	uint32_t missing;
	bool listening = fcntl(HFD_FRONT, F_GETFD) < 0;

	/* Files beyond the limit are an error to report, not the end (the inflight area). */
	signal(SIGXFSZ, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	prepare_taps(&net);
	c = describe(rc);
	c.features = netd_init(&netd, &net);
	if (backend_prepare(&be, &c) != 0 || netd_watch(&netd, &be) != 0)
		die("cannot watch the tap: %m");

	missing = confine(rc);
	if (supervised) {
		struct ctl_msg ready = { .type = CTL_READY, .value = missing };

		ctl_send(HFD_CTL, &ready);
	} else if (missing) {
		char text[LOG_LINE_MAX];

		sandbox_missing_text(missing, text, sizeof(text));
		log_line(LOG_WARN, "missing on this host: %s", text);
	}
	/* QEMU's network device takes its back-end by path alone. */
	if (listening && backend_accept(&be) != 0) {
		if (be.quit)
			return 0;
		die("no front-end connected: %m");
	}
	return backend_run(&be);
}
