/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Parsing of option values: numbers, on/off, MAC addresses. Runs in the parent and in
 * stand-alone helpers, before any file is opened. It has no side effects.
 */
#include <string.h>

#include "common/util.h"
#include "common/words.h"

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool number(const char *s, bool suffix, uint64_t min, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;
	unsigned shift = 0;

	if (!is_digit(*s))
		return false;
	for (; is_digit(*s); s++) {
		unsigned digit = (unsigned)(*s - '0');

		if (v > (UINT64_MAX - digit) / 10)
			return false;
		v = v * 10 + digit;
	}
	if (suffix && *s) {
		shift = *s == 'k' || *s == 'K' ? 10 : *s == 'M' ? 20 : *s == 'G' ? 30 : 0;
		if (!shift)
			return false;
		s++;
	}
	if (*s || v > UINT64_MAX >> shift)
		return false;
	v <<= shift;
	if (v < min || v > max)
		return false;
	*out = v;
	return true;
}

bool parse_number(const char *s, uint64_t min, uint64_t max, uint64_t *out)
{
	return number(s, false, min, max, out);
}

bool parse_size(const char *s, uint64_t min, uint64_t max, uint64_t *out)
{
	return number(s, true, min, max, out);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

const char *parse_mac(const char *s, uint8_t mac[ETH_ALEN])
{
	static const char zero[ETH_ALEN];

	for (unsigned i = 0; i < ETH_ALEN; i++) {
		int high = hex_digit(s[0]);
		int low = high < 0 ? -1 : hex_digit(s[1]);

		if (low < 0 || s[2] != (i == ETH_ALEN - 1 ? '\0' : ':'))
			return "is not a MAC address (write it as 02:11:22:33:44:55)";
		mac[i] = (uint8_t)(high << 4 | low);
		s += 3;
	}
	if (mac[0] & 1)
		return "is a multicast address; a NIC's own address has an even first byte, like 02:11:22:33:44:55";
	if (!memcmp(mac, zero, ETH_ALEN))
		return "is all zero; write an address like 02:11:22:33:44:55";
	return NULL;
}

bool parse_on_off(const char *s, bool *on)
{
	*on = strcmp(s, "on") == 0;
	return *on || strcmp(s, "off") == 0;
}
