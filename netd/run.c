/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs netd: prepare the taps, confine the process, serve the front-end. The configuration
 * and the descriptors are in place already. Once confined, it opens nothing and reads no
 * untrusted data but rings, frames and vhost-user messages.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>

#include "common/role.h"
#include "common/sandbox.h"
#include "netd/batch.h"
#include "netd/device.h"
#include "netd/netd.h"
#include "netd/run.h"
#include "netd/tap.h"
#include "policy/policies.h"

static struct backend be;
static struct netd netd;

/* Called when the first ring starts, if the front-end is ours: install the strict filter. */
static void seal(struct backend *b)
{
	(void)b;
	if (sandbox_filter(&policy_netd, NULL) != 0)
		die("cannot install the strict seccomp filter: %m");
}

/* Set the taps to the state that the loop needs, and c->vnet_hdr to what they really have. */
static void prepare_taps(struct net_config *c)
{
	if (c->user.on) {
		c->queue_pairs = 1;
		c->vnet_hdr = false;
		if (fcntl(HFD_TAP0, F_SETFL, O_RDWR | O_NONBLOCK) < 0)
			die("the connection to passt: %m");
	}
	for (int i = 0; i < c->queue_pairs && !c->user.on; i++)
		if (tap_prepare(HFD_TAP0 + i, &c->vnet_hdr) != 0)
			die("descriptor %d: not a tap, or a tap without IFF_NO_PI: %m", HFD_TAP0 + i);
	if (c->vnet_hdr && tap_set_offload(HFD_TAP0, 0) != 0)
		log_line(LOG_WARN, "cannot disable the tap's offloads: %m");
	if ((c->rate_packets || c->rate_bytes) && rate_timer_open() != 0)
		die("cannot create the timer of the rate limit: %m");
}

static struct backend_config describe(const struct role_config *rc)
{
	struct backend_config c = role_backend(rc);

	c.ops = &netd_ops;
	c.device = &netd;
	c.max_queues = 2u * rc->net.queue_pairs;
	c.seal = seal;
	c.tick_ms = rc->net.ra.on ? rc->net.ra.interval_ms : 0;
	/* QEMU up to 8.0 sends ADD_MEM_REG once for each queue pair, which would overlap; SET_MEM_TABLE works. */
	if (rc->net.queue_pairs > 1)
		c.protocol_features_off |= BIT64(VHU_PF_CONFIGURE_MEM_SLOTS);
	/* QEMU serves the configuration space of a NIC itself, and warns if a back-end offers to. */
	if (!rc->own_front)
		c.protocol_features_off |= BIT64(VHU_PF_CONFIG);
	return c;
}

static uint32_t confine(const struct role_config *rc)
{
	const struct sandbox_options none = { 0 };
	uint32_t missing = sandbox_enter(&none);
	char text[LOG_LINE_MAX];

	batch_mseal();
	if (sandbox_filter(&policy_netd_foreign, &missing) != 0)
		die("cannot install the seccomp filter: %m");
	sandbox_missing_text(missing, text, sizeof(text));
	if (missing && rc->strict)
		die("this host lacks: %s", text);
	return missing;
}

void netd_make(void *device)
{
	const struct net_config *c = &((const struct role_config *)device)->net;
	int err;

	if (c->user.on || c->capture_max || c->rate_packets || c->rate_bytes)
		return;
	err = batch_open(c->queue_pairs);
	if (!err)
		return;
	errno = -err;
	log_line(LOG_INFO, "io_uring is not available (%m): each frame is sent by itself, which is slower");
}

int netd_run(const struct role_config *rc, bool supervised)
{
	struct net_config net = rc->net;
	struct backend_config c;
	uint32_t missing;
	bool listening = fcntl(HFD_FRONT, F_GETFD) < 0;

	/* With SIGXFSZ ignored, exceeding RLIMIT_FSIZE (inflight area) is an error instead of a crash. */
	signal(SIGXFSZ, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	prepare_taps(&net);
	c = describe(rc);
	c.features = netd_init(&netd, &net);
	if (backend_prepare(&be, &c) != 0 || netd_watch(&netd, &be) != 0)
		die("cannot watch the tap: %m");
	if (net.capture_max && capture_begin(&netd.capture, rc->name, net.capture_max) != 0)
		die("the capture file: %m");

	missing = confine(rc);
	role_ready(missing, supervised);
	/* QEMU connects to the back-end of a NIC by path, so accept its connection. */
	if (listening && backend_accept(&be) != 0) {
		if (be.quit)
			return 0;
		die("no front-end connected: %m");
	}
	return backend_run(&be);
}
