/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * netload: measures a vhost-user network back-end as its front-end, or the tap directly,
 * without a back-end.
 *
 *   netload --socket=PATH --tap=NAME [--receive] [--poll] …   through the back-end on that tap
 *   netload --tap=NAME [--receive] …                          the tap itself
 *   … --size=64 [--ms=1000 | --count=N] [--cpu=N] [--sender-cpu=N]
 *   [--buffers=N] (of the bare loop, used in turn: 1 stays in the cache)
 *   [--latency] (one frame at a time: the time until the other side has it)
 *
 * --size up to 1514 bytes, or 65214 for TCP segments. The tap must be up. Prints
 * one line of JSON. Runs on its own; never part of what is installed.
 */
#include <stdio.h>
#include <stdlib.h>

#include "bench/netload.h"

int main(int argc, char **argv)
{
	static struct bench_latency latency;
	struct bench_result r = { .latency = &latency };
	struct net_load l = { .tap = "", .size = 64, .ms = 1000, .cpu = UINT64_MAX, .buffers = 1 };
	const struct bench_option options[] = {
		{ "socket", &l.socket, NULL, NULL },   { "tap", &l.tap, NULL, NULL },
		{ "receive", NULL, NULL, &l.receive }, { "poll", NULL, NULL, &l.poll },
		{ "batch", NULL, NULL, &l.batch },     { "size", NULL, &l.size, NULL },
		{ "ms", NULL, &l.ms, NULL },	       { "count", NULL, &l.count, NULL },
		{ "cpu", NULL, &l.cpu, NULL },	       { "sender-cpu", NULL, &l.sender_cpu, NULL },
		{ "buffers", NULL, &l.buffers, NULL }, { "latency", NULL, NULL, &l.latency },
	};

	bench_options(argc, argv, options, sizeof(options) / sizeof(options[0]));
	if (!l.buffers || l.buffers > NET_BUFFERS || l.size < 64 || l.size > NET_MAX || (l.receive && !*l.tap) ||
	    (!l.socket && !*l.tap)) {
		fprintf(stderr, "netload: --tap is missing, or --size is not 64 to %u\n", NET_MAX);
		return 2;
	}
	if (l.cpu != UINT64_MAX)
		bench_pin(l.cpu);
	if (l.socket)
		net_front(&l, &r);
	else
		net_bare(&l, &r);
	bench_print(&r);
	if (r.bad)
		fprintf(stderr, "netload: %llu frames were lost or wrong\n", (unsigned long long)r.bad);
	return r.bad != 0;
}
