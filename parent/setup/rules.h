/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The nftables rules that limit what a guest reaches over a tap that lguest-sep made. They
 * are in a table that exists as long as the tap (SECURITY.md, "What a guest reaches over
 * its network"). Runs in the parent, inside the privileged window.
 */
#ifndef PARENT_SETUP_RULES_H
#define PARENT_SETUP_RULES_H

#include "parent/setup/nft.h"
#include "parent/setup/setup.h"

/* The name of a guest's table is this, the name of its first tap and a process ID: "lguest-sep-tap0-1234". */
#define RULES_TABLE_PREFIX "lguest-sep-"
#define RULES_TABLE_MAX	   (sizeof(RULES_TABLE_PREFIX "-2147483647") + IFNAMSIZ)

/* A tap that gets rules. */
struct rules_nic {
	const struct net_option *o;
	const char *ifname; /* Name of the tap. */
	unsigned ifindex;   /* Index of the tap. */
	char chain[16];	    /* Name of the chain for the guest's packets: "net0". */
};

/* True if lguest-sep makes this NIC's tap, and therefore rules for it. */
bool rules_wanted(const struct net_option *o);
/* True if this host forwards packets, IPv6 ones with @v6, or if it cannot be found out. */
bool rules_forwards(bool v6);
/*
 * Write the name of the table of a guest whose first NIC with rules is @first and whose supervisor is @pid. The process
 * ID distinguishes it from the table of a guest with the same tap that was just killed.
 */
void rules_table(char name[RULES_TABLE_MAX], const struct rules_nic *first, pid_t pid);
/* Append the tables, chains and rules of @n NICs to @b. */
void rules_build(struct nft_batch *b, const struct rules_nic *nic, unsigned n);

/*
 * Send the rules for all taps that lguest-sep made, and set h->rules to the socket that
 * owns them. Returns 0, even if the host cannot have such rules, which is logged. Returns
 * -1 after logging the reason if --strict or nat needs them.
 */
int rules_send(struct host *h);
/* Wait for the kernel's answer to rules_send(). Returns the same. */
int rules_confirm(struct host *h);

#endif
