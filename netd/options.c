/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command line of stand-alone netd. The vhost-user specification ("Backend program
 * conventions") defines some of the options; the others describe the NIC. Runs before any
 * file is opened; has no side effects.
 */
#include <string.h>

#include "common/bucket.h"
#include "common/role.h"
#include "common/words.h"
#include "netd/options.h"

static const char *parse_tap(struct opt_parser *p, void *to, const char *value)
{
	struct netd_options *o = to;

	(void)p;
	if (!*value)
		return "the name of a tap is missing";
	if (strlen(value) >= IFNAMSIZ)
		return "an interface's name has at most 15 characters";
	if (strchr(value, '/') || strchr(value, '%'))
		return "an interface's name cannot contain / or %";
	o->tap_name = value;
	return NULL;
}

#define INTO(member) OPT_TO(struct netd_options, member)
#define SEEN(member) OPT_SEEN(struct netd_options, member)

static const struct opt_row table[] = {
	ROLE_SOCKET_ROWS(struct netd_options),
	{ .name = "tap",
	  .kind = OPT_CUSTOM,
	  .arg = "NAME",
	  .help = "tap to attach to; it is created if it does not exist",
	  .parse = parse_tap },
	{ .name = "tap-fd",
	  .kind = OPT_NUMBER,
	  .arg = "FDNUM",
	  .max = INT32_MAX,
	  INTO(tap_fd),
	  .help = "instead of --tap: the inherited descriptor of a tap" },
	{ .name = "queue-pairs",
	  .kind = OPT_NUMBER,
	  .arg = "N",
	  .min = 1,
	  .max = NETD_MAX_PAIRS,
	  INTO(net.queue_pairs),
	  .help = "1 to 8 pairs of queues (default: 1); more than 1 needs --tap" },
	{ .name = "mac",
	  .kind = OPT_MAC,
	  .arg = "MAC",
	  INTO(net.mac),
	  SEEN(have_mac),
	  .help = "MAC address of the guest, as 02:11:22:33:44:55; frames from any other address are dropped" },
	{ .name = "mtu",
	  .kind = OPT_NUMBER,
	  .arg = "N",
	  .min = 68,
	  .max = UINT16_MAX,
	  INTO(net.mtu),
	  .help = "MTU to offer, 68 to 65535 (default: the tap's)" },
	{ .name = "offload",
	  .kind = OPT_ON_OFF,
	  .arg = "on|off",
	  INTO(net.offload),
	  .help = "checksum and segmentation offloads (default: on)" },
	{ .name = "spoof-check",
	  .kind = OPT_ON_OFF,
	  .arg = "on|off",
	  INTO(net.spoof_check),
	  SEEN(spoof_check_asked),
	  .help = "drop frames whose source address is not --mac (default: on)" },
	{ .name = "rate",
	  .kind = OPT_SIZE,
	  .arg = "PACKETS/s",
	  .min = 1,
	  .max = RATE_MAX,
	  INTO(net.rate_packets),
	  .help = "most frames a second in each direction (default: no limit); k, M and G are powers of 1024" },
	{ .name = "bandwidth",
	  .kind = OPT_SIZE,
	  .arg = "BYTES/s",
	  .min = 1,
	  .max = RATE_MAX,
	  INTO(net.rate_bytes),
	  .help = "most bytes a second in each direction, as 20M (default: no limit)" },
	ROLE_LOOP_ROWS(struct netd_options),
	ROLE_LAST_ROWS,
};
_Static_assert(ARRAY_SIZE(table) <= OPT_ROWS_MAX + 1, "the parser keeps one bit for each option");

/* Check combinations of options. Returns NULL, or what is wrong. */
static const char *check(struct netd_options *o)
{
	if (!o->socket_path == (o->fd < 0))
		return "give one of --socket-path=PATH and --fd=FDNUM";
	if (!o->tap_name == (o->tap_fd < 0))
		return "give one of --tap=NAME and --tap-fd=FDNUM";
	if (o->tap_fd >= 0 && o->net.queue_pairs > 1)
		return "--queue-pairs: a tap descriptor has only one pair of queues; use --tap=NAME for more";
	if (o->spoof_check_asked && o->net.spoof_check && !o->have_mac)
		return "--spoof-check=on: it needs --mac=MAC";
	/* Without --mac, source addresses cannot be checked. */
	if (!o->have_mac)
		o->net.spoof_check = false;
	return NULL;
}

int netd_parse(int argc, char **argv, struct netd_options *o, const char **why)
{
	static struct opt_parser p;

	*o = (struct netd_options){ .fd = -1, .tap_fd = -1 };
	o->net.queue_pairs = 1;
	o->poll_us = role_poll_us();
	o->net.offload = true;
	o->net.spoof_check = true;
	opt_begin(&p, table, o);
	o->act = opt_all(&p, argc, argv);
	*why = o->act < 0 ? p.line : o->act ? NULL : check(o);
	return *why ? -1 : 0;
}

int netd_print(int act)
{
	return role_print(act, table, "lguest-sep-netd", "a confined vhost-user network back-end on a tap",
			  "  \"type\": \"net\"");
}
