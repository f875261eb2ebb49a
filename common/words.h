/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Parsing of option values. Each function accepts the whole string or nothing: no blanks,
 * signs or other characters before or after the value.
 */
#ifndef COMMON_WORDS_H
#define COMMON_WORDS_H

#include <linux/if_ether.h>
#include <stdbool.h>
#include <stdint.h>

/* Parse an unsigned decimal number in [min, max] into *@out. False, with *@out unchanged, if it is not one. */
bool parse_number(const char *s, uint64_t min, uint64_t max, uint64_t *out);
/* The same with an optional suffix k, M or G (powers of 1024). */
bool parse_size(const char *s, uint64_t min, uint64_t max, uint64_t *out);
/* Parse "on" or "off" into *@on. False for any other word. */
bool parse_on_off(const char *s, bool *on);
/*
 * Parse a unicast MAC address, six pairs of hexadecimal digits separated by colons, into
 * @mac. Returns NULL, or what is wrong: "is a multicast address; …".
 */
const char *parse_mac(const char *s, uint8_t mac[ETH_ALEN]);

#endif
