/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Answers a guest's DHCP requests. Runs in netd, on copies of what the guest sent; never touches guest memory, never
 * does I/O. Checksums of requests are not checked: the guest leaves them to the device, and memory has no bit errors.
 */
#include <netinet/in.h>
#include <string.h>

#include "netd/dhcp.h"
#include "netd/wire.h"

#define PORT_SERVER	67
#define PORT_CLIENT	68
#define IP4_FRAGMENT	0x3fff /* more fragments, or an offset */
#define LEASE_SECONDS	86400u
#define MTU_USUAL	1500u
#define MESSAGE_MIN	300 /* BOOTP clients expect this many bytes (RFC 951, 3) */
#define CLIENT_ID_MAX	255
#define FLAG_BROADCAST	0x80 /* in the first byte of FLAGS */
#define OVERLOADED_FILE 1
#define OVERLOADED_NAME 2

enum {
	IP4_LEN = 20,
	IP4_TOTAL = 2,
	IP4_FRAGMENTS = 6,
	IP4_TTL = 8,
	IP4_PROTOCOL = 9,
	IP4_SUM = 10,
	IP4_SOURCE = 12,
	IP4_TARGET = 16,
	UDP_LEN = 8,
	/* Offsets in a message (RFC 2131, 2). */
	OP = 0,
	HTYPE = 1,
	HLEN = 2,
	XID = 4,
	FLAGS = 10,
	CIADDR = 12,
	YIADDR = 16,
	GIADDR = 24,
	CHADDR = 28,
	SNAME = 44,
	FILE_NAME = 108,
	COOKIE = 236,
	OPTIONS = 240,
};

/* Options (RFC 2132). */
enum {
	OPT_PAD = 0,
	OPT_MASK = 1,
	OPT_ROUTER = 3,
	OPT_DNS = 6,
	OPT_MTU = 26,
	OPT_REQUESTED = 50,
	OPT_LEASE = 51,
	OPT_OVERLOAD = 52,
	OPT_TYPE = 53,
	OPT_SERVER = 54,
	OPT_CLIENT_ID = 61,
	OPT_END = 255,
};

enum { DISCOVER = 1, OFFER, REQUEST, DECLINE, ACK, NAK, RELEASE, INFORM };

/* All options of the longest answer, each with code and length, and the end. */
_Static_assert(OPTIONS + 3 + 6 + 6 + 6 + 6 + 2 + 4 * DHCP_RESOLVERS + 4 + 2 + CLIENT_ID_MAX + 1 <= DHCP_MESSAGE_MAX,
	       "every client must accept the longest answer");

static const uint8_t cookie[] = { 99, 130, 83, 99 };
static const uint8_t none[4];

/* What a request says. Zeroes, and a length of 0: it does not. */
struct request {
	const uint8_t *m; /* The message, at least OPTIONS bytes */
	uint8_t type[1], overload[1], requested[4], server[4];
	const uint8_t *id;
	size_t id_len;
};

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

static uint32_t mask_of(const struct dhcp_config *c)
{
	return c->prefix && c->prefix < 32 ? ~(UINT32_MAX >> c->prefix) : UINT32_MAX;
}

static bool is_for_us(const struct dhcp_config *c, const uint8_t *to)
{
	uint32_t a = get32(to);

	return a == UINT32_MAX || !memcmp(to, c->host, sizeof(c->host)) || a == (get32(c->host) | ~mask_of(c));
}

bool dhcp_is_request(const struct dhcp_config *c, const uint8_t *frame, size_t have)
{
	const uint8_t *ip = frame + ETH_HLEN;
	size_t head;

	if (have < ETH_HLEN + IP4_LEN || get16(frame + 2 * ETH_ALEN) != ETH_P_IP || ip[IP4_PROTOCOL] != IPPROTO_UDP)
		return false;
	head = (ip[0] & 15u) * 4;
	if (ip[0] >> 4 != 4 || head < IP4_LEN || have < ETH_HLEN + head + UDP_LEN ||
	    (get16(ip + IP4_FRAGMENTS) & IP4_FRAGMENT))
		return false;
	return get16(ip + head + 2) == PORT_SERVER && is_for_us(c, ip + IP4_TARGET);
}

/* Copy the option's value, which has @want bytes and was not seen before, to @to. */
static bool take_once(uint8_t *to, size_t want, const uint8_t *value, size_t len)
{
	if (len != want || memcmp(to, none, want) != 0)
		return false;
	memcpy(to, value, want);
	return true;
}

static bool read_option(struct request *q, unsigned code, const uint8_t *value, size_t len)
{
	switch (code) {
	case OPT_TYPE:
		return take_once(q->type, sizeof(q->type), value, len);
	case OPT_OVERLOAD:
		return take_once(q->overload, sizeof(q->overload), value, len);
	case OPT_REQUESTED:
		return take_once(q->requested, sizeof(q->requested), value, len);
	case OPT_SERVER:
		return take_once(q->server, sizeof(q->server), value, len);
	case OPT_CLIENT_ID:
		/* At least 2 bytes (RFC 2132, 9.14), in one piece. */
		if (len < 2 || q->id_len)
			return false;
		q->id = value;
		q->id_len = len;
		return true;
	default:
		return true;
	}
}

static bool read_options(struct request *q, const uint8_t *p, size_t len)
{
	for (size_t at = 0; at < len && p[at] != OPT_END;) {
		if (p[at] == OPT_PAD) {
			at++;
			continue;
		}
		if (len - at < 2 || p[at + 1] > len - at - 2)
			return false;
		if (!read_option(q, p[at], p + at + 2, p[at + 1]))
			return false;
		at += 2u + p[at + 1];
	}
	return true;
}

/* Parse the frame of @len bytes. Returns NULL, or the reason for giving no answer. */
static const char *read_request(struct request *q, const uint8_t *mac, const uint8_t *frame, size_t len)
{
	const uint8_t *ip = frame + ETH_HLEN, *udp = ip + (ip[0] & 15u) * 4, *m = udp + UDP_LEN;
	size_t total = get16(ip + IP4_TOTAL), size = get16(udp + 4);

	memset(q, 0, sizeof(*q));
	if (total > len - ETH_HLEN || total < (size_t)(udp - ip) || size > total - (size_t)(udp - ip) ||
	    size < UDP_LEN + OPTIONS)
		return "dropped: a DHCP message that is not whole";
	size -= UDP_LEN;
	if (m[OP] != 1 || m[HTYPE] != 1 || m[HLEN] != ETH_ALEN || memcmp(m + COOKIE, cookie, sizeof(cookie)) != 0)
		return "dropped: no DHCP request of an Ethernet client";
	if (memcmp(m + GIADDR, none, sizeof(none)) != 0)
		return "dropped: a DHCP request of a relay agent";
	if (memcmp(m + CHADDR, mac, ETH_ALEN) != 0)
		return "dropped: a DHCP request for another hardware address";
	q->m = m;
	if (!read_options(q, m + OPTIONS, size - OPTIONS) || q->overload[0] > (OVERLOADED_FILE | OVERLOADED_NAME) ||
	    ((q->overload[0] & OVERLOADED_FILE) && !read_options(q, m + FILE_NAME, COOKIE - FILE_NAME)) ||
	    ((q->overload[0] & OVERLOADED_NAME) && !read_options(q, m + SNAME, FILE_NAME - SNAME)))
		return "dropped: a DHCP request with malformed options";
	return NULL;
}

/* True for an address that a machine of the tap's network, other than the host, can have. */
static bool is_neighbour(const struct dhcp_config *c, const uint8_t *ip)
{
	uint32_t a = get32(ip), mask = mask_of(c);

	if ((a & mask) != (get32(c->host) & mask) || !memcmp(ip, c->host, sizeof(c->host)))
		return false;
	return c->prefix >= 31 || ((a & ~mask) != 0 && (a & ~mask) != ~mask);
}

/* The type of the answer (RFC 2131, 4.3). Returns 0 for none, with the reason in r->why. */
static unsigned decide(const struct dhcp_config *c, const struct request *q, struct dhcp_reply *r)
{
	const uint8_t *wanted = memcmp(q->requested, none, 4) != 0 ? q->requested : q->m + CIADDR;

	r->why = "not sent: it is for another DHCP server";
	if (memcmp(q->server, none, 4) != 0 && memcmp(q->server, c->host, 4) != 0)
		return 0;
	r->why = "not sent: lguest-sep answers DHCP";
	switch (q->type[0]) {
	case DISCOVER:
		return OFFER;
	case REQUEST:
		/* A new lease names it in an option, a renewed one in CIADDR (4.3.2). */
		if (memcmp(wanted, none, 4) == 0)
			break;
		return memcmp(wanted, c->guest, 4) == 0 ? ACK : NAK;
	case INFORM:
		if (!is_neighbour(c, q->m + CIADDR))
			break;
		return ACK;
	case DECLINE:
		r->declined = true;
		r->why = "not sent: DHCPDECLINE needs no answer";
		return 0;
	case RELEASE:
		r->why = "not sent: DHCPRELEASE needs no answer";
		return 0;
	default:
		break;
	}
	r->why = "dropped: a DHCP request without an answer";
	return 0;
}

static uint8_t *put_option(uint8_t *p, unsigned code, const void *value, size_t len)
{
	p[0] = (uint8_t)code;
	p[1] = (uint8_t)len;
	memcpy(p + 2, value, len);
	return p + 2 + len;
}

static uint8_t *put_number(uint8_t *p, unsigned code, uint32_t value)
{
	uint8_t v[4];

	put32(v, value);
	return put_option(p, code, v, sizeof(v));
}

/* What the client needs to know about its network. */
static uint8_t *put_network(uint8_t *p, const struct dhcp_config *c, unsigned mtu)
{
	uint8_t v[2];

	p = put_number(p, OPT_MASK, mask_of(c));
	if (c->router)
		p = put_option(p, OPT_ROUTER, c->host, sizeof(c->host));
	if (c->ndns)
		p = put_option(p, OPT_DNS, c->dns, MIN(c->ndns, (unsigned)DHCP_RESOLVERS) * sizeof(c->dns[0]));
	put16(v, mtu);
	return mtu && mtu != MTU_USUAL ? put_option(p, OPT_MTU, v, sizeof(v)) : p;
}

/* Write the answer of type @type to @m (RFC 2131, table 3). Returns its length. */
static size_t write_message(uint8_t *m, const struct dhcp_config *c, const struct request *q, unsigned type,
			    unsigned mtu)
{
	const uint8_t t = (uint8_t)type;
	bool leased = type != NAK && q->type[0] != INFORM;
	uint8_t *p = m + OPTIONS;

	memset(m, 0, DHCP_MESSAGE_MAX);
	m[OP] = 2;
	m[HTYPE] = 1;
	m[HLEN] = ETH_ALEN;
	memcpy(m + XID, q->m + XID, 4);
	m[FLAGS] = q->m[FLAGS] & FLAG_BROADCAST;
	if (type == ACK)
		memcpy(m + CIADDR, q->m + CIADDR, 4);
	if (leased)
		memcpy(m + YIADDR, c->guest, 4);
	memcpy(m + CHADDR, q->m + CHADDR, ETH_ALEN);
	memcpy(m + COOKIE, cookie, sizeof(cookie));
	p = put_option(p, OPT_TYPE, &t, 1);
	p = put_option(p, OPT_SERVER, c->host, sizeof(c->host));
	if (leased)
		p = put_number(p, OPT_LEASE, LEASE_SECONDS);
	if (type != NAK)
		p = put_network(p, c, mtu);
	/* RFC 6842, 3 */
	if (q->id_len)
		p = put_option(p, OPT_CLIENT_ID, q->id, q->id_len);
	*p++ = OPT_END;
	return MAX((size_t)(p - m), (size_t)MESSAGE_MIN);
}

/* Where the answer goes (RFC 2131, 4.1). */
static const uint8_t *target_of(const struct dhcp_config *c, const struct request *q, unsigned type)
{
	static const uint8_t everybody[4] = { 255, 255, 255, 255 };
	const uint8_t *own = q->m + CIADDR;

	if (type == ACK && (q->type[0] == INFORM || memcmp(own, c->guest, 4) == 0))
		return own;
	return type == NAK || (q->m[FLAGS] & FLAG_BROADCAST) ? everybody : c->guest;
}

/* Write the headers in front of a message of @len bytes. */
static void write_headers(struct dhcp_reply *r, const struct dhcp_config *c, const uint8_t *mac, const uint8_t *to,
			  size_t len)
{
	uint8_t *ip = r->frame + ETH_HLEN, *udp = ip + IP4_LEN;
	unsigned sum;

	if (to[0] == 255)
		memset(r->frame, 0xff, ETH_ALEN);
	else
		memcpy(r->frame, mac, ETH_ALEN);
	memcpy(r->frame + ETH_ALEN, c->host_mac, ETH_ALEN);
	put16(r->frame + 2 * ETH_ALEN, ETH_P_IP);
	memset(ip, 0, IP4_LEN + UDP_LEN);
	ip[0] = 0x45;
	put16(ip + IP4_TOTAL, (unsigned)(IP4_LEN + UDP_LEN + len));
	ip[IP4_TTL] = 64;
	ip[IP4_PROTOCOL] = IPPROTO_UDP;
	memcpy(ip + IP4_SOURCE, c->host, 4);
	memcpy(ip + IP4_TARGET, to, 4);
	put16(ip + IP4_SUM, fold(add_words(0, ip, IP4_LEN)));
	put16(udp, PORT_SERVER);
	put16(udp + 2, PORT_CLIENT);
	put16(udp + 4, (unsigned)(UDP_LEN + len));
	/* The pseudo-header: addresses, protocol and length (RFC 768). A sum of 0 is written as ones. */
	sum = fold(add_words(add_words(IPPROTO_UDP + UDP_LEN + (uint32_t)len, ip + IP4_SOURCE, 8), udp, UDP_LEN + len));
	put16(udp + 6, sum ? sum : 0xffff);
	r->len = ETH_HLEN + IP4_LEN + UDP_LEN + len;
}

void dhcp_answer(const struct dhcp_config *c, const uint8_t *mac, unsigned mtu, const uint8_t *frame, size_t len,
		 struct dhcp_reply *r)
{
	struct request q;
	unsigned type;

	r->len = 0;
	r->declined = false;
	r->why = read_request(&q, mac, frame, len);
	if (r->why)
		return;
	type = decide(c, &q, r);
	if (!type)
		return;
	len = write_message(r->frame + ETH_HLEN + IP4_LEN + UDP_LEN, c, &q, type, mtu);
	write_headers(r, c, mac, target_of(c, &q, type), len);
}
