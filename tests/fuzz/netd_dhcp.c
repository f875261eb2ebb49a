/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz: frames to netd's DHCP server. An answer goes to the guest alone, from the server, is as long as its headers say,
 * and offers no other address than the guest's.
 */
#include "netd/dhcp.h"
#include "tests/fuzz/fuzz.h"

#define UDP	(ETH_HLEN + 20)
#define MESSAGE (UDP + 8)

static const uint8_t mac[ETH_ALEN] = { 0x52, 0x54, 0, 1, 2, 3 };

static void check_answer(const struct dhcp_config *c, const struct dhcp_reply *r)
{
	static const uint8_t none[4];
	const uint8_t *m = r->frame + MESSAGE;
	size_t at = 240, size = r->len - MESSAGE;

	PROMISE(r->len >= MESSAGE + 300 && r->len <= sizeof(r->frame));
	PROMISE((size_t)(r->frame[16] << 8 | r->frame[17]) == r->len - ETH_HLEN);
	PROMISE((size_t)(r->frame[UDP + 4] << 8 | r->frame[UDP + 5]) == r->len - UDP);
	PROMISE(!memcmp(r->frame, mac, ETH_ALEN) || r->frame[0] == 0xff);
	PROMISE(!memcmp(r->frame + ETH_ALEN, c->host_mac, ETH_ALEN));
	PROMISE(!memcmp(r->frame + ETH_HLEN + 12, c->host, 4));
	PROMISE(m[0] == 2 && !memcmp(m + 28, mac, ETH_ALEN));
	PROMISE(!memcmp(m + 16, c->guest, 4) || !memcmp(m + 16, none, 4));
	/* The options are whole, and end. */
	while (m[at] != 255) {
		PROMISE(size - at > 2u + m[at + 1]);
		at += 2u + m[at + 1];
		PROMISE(at < size);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct dhcp_reply r;
	struct input in = { data, data + size };
	struct dhcp_config c = { .on = true, .host = { 10, 77, 0, 1 }, .guest = { 10, 77, 0, 2 } };
	unsigned mtu = take16(&in);
	uint8_t *frame;
	size_t len;

	c.router = mtu & 1;
	c.prefix = (uint8_t)(1 + take8(&in) % 31);
	c.ndns = take8(&in) % (DHCP_RESOLVERS + 1);
	len = left(&in);
	/* In a buffer that ends with it, so that AddressSanitizer sees each byte too many. */
	frame = malloc(len + !len);
	PROMISE(frame);
	take(&in, frame, len);
	memset(&r, 0xa5, sizeof(r));
	if (dhcp_is_request(&c, frame, len)) {
		dhcp_answer(&c, mac, mtu, frame, len, &r);
		PROMISE(r.why && (!r.declined || !r.len));
		if (r.len)
			check_answer(&c, &r);
	}
	free(frame);
	return 0;
}
