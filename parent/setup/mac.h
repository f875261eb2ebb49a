/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Chooses the MAC addresses of NICs: stable for guests with --name, otherwise random. */
#ifndef PARENT_SETUP_MAC_H
#define PARENT_SETUP_MAC_H

#include "parent/options/config.h"

#define MACHINE_ID "/etc/machine-id"

/*
 * With --name, set the name of the tap of each NIC of @c, which depends only on --name and the NIC's index. Also set the
 * address of each NIC that the user gave none; it depends only on this machine (the file @machine_id), @user, --name
 * and the index. Without a machine ID the addresses stay unset. Without --name this does nothing.
 */
void mac_name_nics(struct config *c, const char *machine_id, uid_t user);

/*
 * Write the address of the NIC @o to @mac: the user's, the one from --name, or a random one. Returns 0, or -1 after
 * logging the reason.
 */
int mac_choose(const struct net_option *o, uint8_t mac[ETH_ALEN]);
/* Write a random, locally administered unicast address to @mac. Returns 0, or -1 after logging the reason. */
int mac_random(uint8_t mac[ETH_ALEN]);

/* Read the machine-id(5) file @file into @key. Returns false if it cannot be read or is malformed. */
bool mac_machine_key(const char *file, uint8_t key[16]);
/* Returns SipHash-2-4 of @len bytes with @key. */
uint64_t mac_siphash(const uint8_t key[16], const void *data, size_t len);

#endif
