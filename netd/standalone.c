/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stand-alone netd: opens the tap for common/standalone.h, which serves the front-ends.
 * Runs before confinement. The vhost-user specification describes such programs under
 * "Backend program conventions".
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/standalone.h"
#include "netd/options.h"
#include "netd/run.h"
#include "netd/standalone.h"
#include "netd/tap.h"

/* RLIMIT_FSIZE in bytes: room for an inflight area that a front-end asks for. */
#define FILE_BYTES (1u << 20)

static const char *tap_hint(int err, unsigned pairs)
{
	if (err == EPERM || err == EACCES)
		return "; create it for your user (ip tuntap add dev NAME mode tap user YOU), or run as root";
	if (err == EINVAL)
		return pairs > 1 ? "; create the tap with vnet_hdr and multi_queue" : "; create the tap with vnet_hdr";
	return "";
}

/* Open the tap at HFD_TAP0 and above, and store in @c what it supports. */
static void set_tap_up(struct netd_options *o, struct net_config *c)
{
	char name[IFNAMSIZ] = { 0 };

	if (o->tap_name) {
		memcpy(name, o->tap_name, strlen(o->tap_name));
		if (tap_open(name, c->queue_pairs) != 0)
			die("--tap=%s: cannot attach to it: %m%s", o->tap_name, tap_hint(errno, c->queue_pairs));
	} else if (dup3(o->tap_fd, HFD_TAP0, O_CLOEXEC) < 0) {
		die("--tap-fd: %m");
	}
	if (tap_prepare(HFD_TAP0, &c->vnet_hdr) != 0)
		die("--%s: not a tap, or a tap without IFF_NO_PI: %m", o->tap_name ? "tap" : "tap-fd");
	if (c->vnet_hdr && c->offload)
		c->tap_offloads = tap_probe(HFD_TAP0);
	if (!c->mtu) {
		unsigned mtu = tap_mtu(HFD_TAP0);

		c->mtu = (uint16_t)MIN(mtu, (unsigned)UINT16_MAX);
	}
}

/* Runs in the process of a connection. @device: the struct role_config. */
static int serve(void *device)
{
	return netd_run(device, false);
}

int netd_standalone(struct netd_options *o)
{
	static struct role_config rc = { .type = CTL_CONFIG, .role = ROLE_NETD, .name = "net" };
	struct standalone s = {
		.socket_path = o->socket_path,
		.fd = o->fd,
		.first = HFD_TAP0,
		.device = &rc,
		.file_bytes = FILE_BYTES,
		.make = netd_make,
		.serve = serve,
	};

	/* Move inherited descriptors away before others are opened at the table's numbers. */
	if (o->fd >= 0)
		s.fd = standalone_move_out(o->fd, "fd");
	if (o->tap_fd >= 0)
		o->tap_fd = standalone_move_out(o->tap_fd, "tap-fd");
	rc.net = o->net;
	set_tap_up(o, &rc.net);
	s.last = HFD_TAP0 + rc.net.queue_pairs - 1;
	rc.poll_us = o->poll_us;
	rc.mem_unsealed = o->allow_unsealed;
	if (!rc.net.spoof_check && !o->have_mac)
		log_line(LOG_INFO, "no --mac: source addresses of frames are not checked");
	return standalone_serve(&s);
}
