/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The BPF program of the kernel's filter on a guest's tap. */
#ifndef PARENT_SETUP_GUARD_PROGRAM_H
#define PARENT_SETUP_GUARD_PROGRAM_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/ctl.h"

#define GUARD_PROGRAM_MAX 1024

struct guard_program {
	unsigned n;
	const struct net_config *claims; /* The guest may claim its own addresses only; NULL: any */
	struct sock_filter code[GUARD_PROGRAM_MAX];
};

/*
 * Write the program for a classifier of tc-bpf(8) in "direct-action" mode. It drops
 * frames whose source is not the MAC address of @c, if it wants spoof_check, and with ip=
 * those that claim another IP address. It also drops router advertisements and redirects of
 * IPv6 (ICMPv6 types 134, 137) and IPv4 (ICMP types 9, 5), because they would change the routes
 * of other machines, and answers of a DHCP server. It finds them behind up to two VLAN tags and
 * six extension headers; frames with more of either are dropped. @c is kept by pointer.
 */
void guard_program(struct guard_program *p, const struct net_config *c);

/* The address that @p wants as the source, into @mac. Returns false if @p is no such program. */
bool guard_program_mac(const struct guard_program *p, uint8_t *mac);

#endif
