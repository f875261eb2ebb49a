/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz: frames to netd's IPv6 router. Only whole solicitations of this guest's hardware address and with hop limit 255
 * get an answer, and the answer is as long as its headers and options say, whatever the configuration's numbers are.
 */
#include "netd/ra.h"
#include "tests/fuzz/fuzz.h"

#define IP	(ETH_HLEN)
#define MESSAGE (IP + 40)

static const uint8_t mac[ETH_ALEN] = { 0x52, 0x54, 0, 1, 2, 3 };

static void check_answer(const struct ra_config *c, unsigned mtu)
{
	uint8_t ra[RA_MAX];
	size_t n, at = MESSAGE + 16;

	memset(ra, 0xa5, sizeof(ra));
	n = ra_write(c, mtu, ra);
	PROMISE(n >= at && n <= sizeof(ra));
	PROMISE((size_t)(ra[IP + 4] << 8 | ra[IP + 5]) == n - MESSAGE);
	PROMISE(ra[MESSAGE] == 134 && ra[IP + 7] == 255);
	while (at < n) {
		PROMISE(n - at >= 8 && ra[at + 1]);
		at += 8u * ra[at + 1];
		PROMISE(at <= n);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, data + size };
	struct ra_config c = { .on = true, .host = { 0xfd, 0x77, [15] = 1 }, .local = { 0xfe, 0x80, [15] = 1 } };
	unsigned mtu = take16(&in);
	uint8_t *frame;
	size_t len;

	c.router = mtu & 1;
	c.ndns = take8(&in);
	len = left(&in);
	/* In a buffer that ends with it, so that AddressSanitizer sees each byte too many. */
	frame = malloc(len + !len);
	PROMISE(frame);
	take(&in, frame, len);
	if (ra_is_solicitation(&c, frame, len) && !ra_check(mac, frame, len)) {
		PROMISE(len >= MESSAGE + 8 && frame[IP + 7] == 255 && !memcmp(frame + ETH_ALEN, mac, ETH_ALEN));
		check_answer(&c, mtu);
	}
	free(frame);
	return 0;
}
