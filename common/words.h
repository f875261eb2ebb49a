/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Words of a command line, judged whole: nothing may stand before or after them.
 */
#ifndef COMMON_WORDS_H
#define COMMON_WORDS_H

#include <linux/if_ether.h>
#include <stdbool.h>
#include <stdint.h>

/* An unsigned decimal number in [min, max]. */
bool parse_number(const char *s, uint64_t min, uint64_t max, uint64_t *out);
/* The same with an optional suffix k, M or G (powers of 1024). */
bool parse_size(const char *s, uint64_t min, uint64_t max, uint64_t *out);
/* "on" or "off". */
bool parse_on_off(const char *s, bool *on);
/* Six pairs of hex digits with colons; not a group address, not all zero. NULL, or what is wrong. */
const char *parse_mac(const char *s, uint8_t mac[ETH_ALEN]);

#endif
