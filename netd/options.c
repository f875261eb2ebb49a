/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * netd's own command line, as the vhost-user specification lays it down for
 * back-end programs ("Backend program conventions"), with what a NIC needs
 * besides. Runs before anything is opened; has no side effects.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/words.h"
#include "netd.h"

const char netd_help_text[] =
	"lguest-sep-netd: a confined vhost-user network back-end on a tap\n"
	"\n"
	"  --socket-path=PATH      listen there; one front-end after another until SIGTERM\n"
	"  --fd=FDNUM              or: a connected or a listening socket that was inherited\n"
	"  --print-capabilities    what this program can do, as JSON\n"
	"  --tap=NAME              tap to attach to, made if it is not there\n"
	"  --tap-fd=FDNUM          or: a tap that was inherited\n"
	"  --queue-pairs=N         1 to 8 (with --tap)\n"
	"  --mac=XX:XX:XX:XX:XX:XX the guest's address; frames from another one are dropped\n"
	"  --mtu=N                 MTU to offer, 68 to 65535 (default: the tap's)\n"
	"  --offload=on|off        checksum and segmentation offloads (default on)\n"
	"  --spoof-check=on|off    drop frames whose source is not --mac (default on)\n"
	"  --rate=PACKETS          frames a second, each way (default: no limit)\n"
	"  --bandwidth=BYTES       bytes a second, each way (default: no limit)\n"
	"  --poll-us=N             how long to look for work before sleeping, while there is much\n"
	"                          (default 50, or 0 on one CPU)\n"
	"  --allow-unsealed-memory take guest memory that the front-end could truncate, which would\n"
	"                          end the connection's process (DPDK gives such memory)\n"
	"  --help, --version\n";

static int fail(char *err, size_t errlen, const char *what, const char *arg)
{
	fmt_line(err, errlen, "%s: %s", arg, what);
	return -1;
}

/* One word of the command line, and the next one, which may be its value. */
struct word {
	const char *arg, *next;
	bool took_next;
};

/* The value if @w is --NAME=VALUE or --NAME VALUE, else NULL. */
static const char *value(struct word *w, const char *name)
{
	size_t n = strlen(name);

	if (strncmp(w->arg, name, n) != 0)
		return NULL;
	if (w->arg[n] == '=')
		return w->arg + n + 1;
	if (w->arg[n])
		return NULL;
	w->took_next = w->next;
	return w->next ? w->next : ""; /* none at all is a bad one */
}

static bool parse_number_option(struct word *w, struct netd_options *o, bool *good)
{
	const char *v;
	uint64_t n = 0;

	if ((v = value(w, "--fd"))) {
		*good = parse_number(v, 0, INT32_MAX, &n);
		o->fd = (int)n;
	} else if ((v = value(w, "--tap-fd"))) {
		*good = parse_number(v, 0, INT32_MAX, &n);
		o->tap_fd = (int)n;
	} else if ((v = value(w, "--queue-pairs"))) {
		*good = parse_number(v, 1, NETD_MAX_PAIRS, &n);
		o->net.queue_pairs = (uint8_t)n;
	} else if ((v = value(w, "--mtu"))) {
		*good = parse_number(v, 68, UINT16_MAX, &n);
		o->net.mtu = (uint16_t)n;
	} else if ((v = value(w, "--rate"))) {
		*good = parse_number(v, 1, RATE_MAX, &o->net.rate_packets);
	} else if ((v = value(w, "--bandwidth"))) {
		*good = parse_number(v, 1, RATE_MAX, &o->net.rate_bytes);
	} else if ((v = value(w, "--poll-us"))) {
		*good = parse_number(v, 0, 1000000, &n);
		o->poll_us = (uint32_t)n;
	} else {
		return false;
	}
	return true;
}

static bool parse_other_option(struct word *w, struct netd_options *o, bool *good)
{
	const char *v;

	if ((v = value(w, "--socket-path"))) {
		*good = *v != '\0';
		o->socket_path = v;
	} else if ((v = value(w, "--tap"))) {
		*good = *v != '\0' && strlen(v) < IFNAMSIZ && !strchr(v, '/') && !strchr(v, '%');
		o->tap_name = v;
	} else if ((v = value(w, "--mac"))) {
		*good = !parse_mac(v, o->net.mac);
		o->have_mac = true;
	} else if ((v = value(w, "--offload"))) {
		*good = parse_on_off(v, &o->net.offload);
	} else if ((v = value(w, "--spoof-check"))) {
		*good = parse_on_off(v, &o->net.spoof_check);
		o->spoof_check_asked = o->net.spoof_check;
	} else if (strcmp(w->arg, "--print-capabilities") == 0) {
		o->capabilities = true;
	} else if (strcmp(w->arg, "--allow-unsealed-memory") == 0) {
		o->allow_unsealed = true;
	} else if (strcmp(w->arg, "--help") == 0) {
		o->help = true;
	} else if (strcmp(w->arg, "--version") == 0) {
		o->version = true;
	} else {
		return false;
	}
	return true;
}

static int check(struct netd_options *o, char *err, size_t errlen)
{
	if (!o->socket_path == (o->fd < 0))
		return fail(err, errlen, "give one of the two", "--socket-path, --fd");
	if (!o->tap_name == (o->tap_fd < 0))
		return fail(err, errlen, "give one of the two", "--tap, --tap-fd");
	if (o->tap_fd >= 0 && o->net.queue_pairs > 1)
		return fail(err, errlen, "one descriptor is one pair of queues", "--queue-pairs");
	if (o->spoof_check_asked && !o->have_mac)
		return fail(err, errlen, "needs --mac", "--spoof-check=on");
	/* Without an address there is nothing to compare with. */
	if (!o->have_mac)
		o->net.spoof_check = false;
	return 0;
}

int netd_parse(int argc, char **argv, struct netd_options *o, char *err, size_t errlen)
{
	*o = (struct netd_options){ .fd = -1, .tap_fd = -1 };
	o->net.queue_pairs = 1;
	o->poll_us = sysconf(_SC_NPROCESSORS_ONLN) > 1 ? 50 : 0;
	o->net.offload = true;
	o->net.spoof_check = true;
	for (int i = 1; i < argc && argv[i]; i++) {
		struct word w = { .arg = argv[i], .next = i + 1 < argc ? argv[i + 1] : NULL };
		bool good = true;

		if (!parse_number_option(&w, o, &good) && !parse_other_option(&w, o, &good))
			return fail(err, errlen, "unknown option (see --help)", w.arg);
		if (!good)
			return fail(err, errlen, "bad value", w.arg);
		i += w.took_next;
	}
	if (o->help || o->version || o->capabilities)
		return 0;
	return check(o, err, errlen);
}
