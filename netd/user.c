/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Decides which frames passt gets. passt opens a socket on the host for each flow, so without
 * these checks a guest could reach the host's own services, on loopback and on all its addresses.
 * Runs in netd, confined, on a copy of a frame's first bytes.
 */
#include <linux/if_ether.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <string.h>

#include "common/util.h"
#include "netd/user.h"

#define PORT_DNS	  53
#define PORT_DHCP_SERVER  67
#define PORT_DHCP_CLIENT  68
#define PORT_DHCP6_SERVER 547
#define ARP_LEN		  42u
#define ICMP6_MLD2_REPORT 143
#define IP4_FRAGMENT	  0x3fff /* more fragments, or an offset */

static const char to_host[] = "dropped: to the host itself; reach=host lets it through";
static const char malformed[] = "dropped: passt takes only whole ARP, IPv4 and IPv6 packets";
static const char kind[] = "dropped: passt takes only TCP, UDP and echo requests";
static const char group[] = "dropped: multicast and broadcast are not passed to passt";
static const char outgoing[] = "dropped: with restrict the guest may not open a connection";

/* Addresses, protocol and ports of a packet. IPv4 addresses are stored as mapped IPv6 addresses. */
struct packet {
	struct in6_addr from, to;
	uint8_t protocol;
	uint16_t from_port, to_port; /* network order; ICMP: 0 */
	bool begins;		     /* TCP: SYN without ACK */
	uint8_t icmp_type;
	bool v6;
};

static void map4(struct in6_addr *to, uint32_t addr)
{
	memset(to, 0, sizeof(*to));
	to->s6_addr[10] = to->s6_addr[11] = 0xff;
	memcpy(&to->s6_addr[12], &addr, sizeof(addr));
}

/* Parse TCP, UDP or ICMP in the @have bytes at @p. Returns NULL, or the reason for dropping the packet. */
static const char *read_ports(struct packet *k, const uint8_t *p, size_t have)
{
	struct tcphdr tcp;
	struct udphdr udp;

	switch (k->protocol) {
	case IPPROTO_TCP:
		if (have < sizeof(tcp))
			return malformed;
		memcpy(&tcp, p, sizeof(tcp));
		k->from_port = tcp.source;
		k->to_port = tcp.dest;
		k->begins = tcp.syn && !tcp.ack;
		return NULL;
	case IPPROTO_UDP:
		if (have < sizeof(udp))
			return malformed;
		memcpy(&udp, p, sizeof(udp));
		k->from_port = udp.source;
		k->to_port = udp.dest;
		return NULL;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		if (!have || k->v6 != (k->protocol == IPPROTO_ICMPV6))
			return malformed;
		k->icmp_type = p[0];
		return NULL;
	default:
		return kind;
	}
}

static const char *read_ip4(struct packet *k, const uint8_t *p, size_t have)
{
	struct iphdr ip;

	if (have < sizeof(ip))
		return malformed;
	memcpy(&ip, p, sizeof(ip));
	if (ip.version != 4 || ip.ihl * 4u < sizeof(ip) || ip.ihl * 4u > have)
		return malformed;
	/* passt does not reassemble fragments. */
	if (ntohs(ip.frag_off) & IP4_FRAGMENT)
		return malformed;
	map4(&k->from, ip.saddr);
	map4(&k->to, ip.daddr);
	k->protocol = ip.protocol;
	return read_ports(k, p + ip.ihl * 4u, have - ip.ihl * 4u);
}

/* Extension headers are not parsed: passt handles no packet that has one. */
static const char *read_ip6(struct packet *k, const uint8_t *p, size_t have)
{
	struct ip6_hdr ip;

	if (have < sizeof(ip))
		return malformed;
	memcpy(&ip, p, sizeof(ip));
	if (ip.ip6_vfc >> 4 != 6)
		return malformed;
	k->from = ip.ip6_src;
	k->to = ip.ip6_dst;
	k->protocol = ip.ip6_nxt;
	k->v6 = true;
	return read_ports(k, p + sizeof(ip), have - sizeof(ip));
}

static uint16_t type_of(const uint8_t *frame)
{
	return (uint16_t)(frame[12] << 8 | frame[13]);
}

/* Parse an IP packet in the @have bytes of @frame. Returns NULL, or the reason for dropping the packet. */
static const char *read_packet(struct packet *k, const uint8_t *frame, size_t have)
{
	memset(k, 0, sizeof(*k));
	if (have < ETH_HLEN)
		return malformed;
	switch (type_of(frame)) {
	case ETH_P_IP:
		return read_ip4(k, frame + ETH_HLEN, have - ETH_HLEN);
	case ETH_P_IPV6:
		return read_ip6(k, frame + ETH_HLEN, have - ETH_HLEN);
	default:
		return malformed;
	}
}

static bool is_in(const struct in6_addr *list, unsigned n, const struct in6_addr *a)
{
	for (unsigned i = 0; i < n; i++)
		if (memcmp(&list[i], a, sizeof(*a)) == 0)
			return true;
	return false;
}

/* Addresses by which a socket reaches the host itself: 127.0.0.0/8, 0.0.0.0/8, ::, ::1, and IPv4 written as IPv6. */
static bool is_loopback(const struct packet *k)
{
	static const struct in6_addr zero;
	const uint8_t *b = k->to.s6_addr;

	if (!k->v6)
		return b[12] == 0 || b[12] == IN_LOOPBACKNET;
	return memcmp(b, &zero, 10) == 0;
}

static bool is_group(const struct packet *k)
{
	return k->v6 ? k->to.s6_addr[0] == 0xff : k->to.s6_addr[12] >= 224;
}

static bool is_link_local(const struct packet *k)
{
	const uint8_t *b = k->to.s6_addr;

	return k->v6 ? b[0] == 0xfe && (b[1] & 0xc0) == 0x80 : b[12] == 169 && b[13] == 254;
}

/* True for DHCP, router and neighbour discovery, which set up the network; passt answers these itself. */
static bool is_setup(const struct packet *k)
{
	if (k->protocol == IPPROTO_UDP)
		return k->v6 ? k->to_port == htons(PORT_DHCP6_SERVER) && is_group(k)
			     : k->to_port == htons(PORT_DHCP_SERVER) && k->from_port == htons(PORT_DHCP_CLIENT);
	return k->protocol == IPPROTO_ICMPV6 && (is_group(k) || is_link_local(k)) &&
	       ((k->icmp_type >= ND_ROUTER_SOLICIT && k->icmp_type <= ND_NEIGHBOR_ADVERT) ||
		k->icmp_type == ICMP6_MLD2_REPORT);
}

static bool is_resolver(const struct user_config *c, const struct packet *k)
{
	return (k->protocol == IPPROTO_UDP || k->protocol == IPPROTO_TCP) && k->to_port == htons(PORT_DNS) &&
	       is_in(c->resolver, MIN(c->nresolvers, (unsigned)USER_RESOLVERS), &k->to);
}

static bool is_host(const struct user_config *c, const struct packet *k)
{
	return is_link_local(k) || is_in(c->host, MIN(c->nhost, (unsigned)USER_ADDRESSES), &k->to);
}

static struct user_flow *find_flow(struct user *u, const struct in6_addr *peer, uint16_t peer_port, uint16_t guest_port,
				   uint64_t now)
{
	for (unsigned i = 0; i < USER_FLOWS; i++) {
		struct user_flow *f = &u->flow[i];

		if (f->used_ms && now - f->used_ms < USER_FLOW_MS && f->peer_port == peer_port &&
		    f->guest_port == guest_port && memcmp(&f->peer, peer, sizeof(*peer)) == 0)
			return f;
	}
	return NULL;
}

/* True if the packet belongs to a flow that was opened from outside. */
static bool is_answer(struct user *u, const struct packet *k, uint64_t now)
{
	struct user_flow *f;

	if (k->protocol == IPPROTO_TCP)
		return !k->begins;
	if (k->protocol != IPPROTO_UDP)
		return false;
	f = find_flow(u, &k->to, k->to_port, k->from_port, now);
	if (f)
		f->used_ms = MAX(now, 1u);
	return f != NULL;
}

const char *user_judge(struct user *u, const struct user_config *c, const uint8_t *frame, size_t have, uint64_t len,
		       uint64_t now)
{
	struct packet k;
	const char *why;

	if (have >= ETH_HLEN && type_of(frame) == ETH_P_ARP)
		return len >= ARP_LEN ? NULL : malformed;
	why = read_packet(&k, frame, have);
	if (why)
		return why;
	if (is_loopback(&k))
		return to_host;
	if (is_setup(&k))
		return NULL;
	if (is_group(&k))
		return group;
	if (is_answer(u, &k, now))
		return NULL;
	if (c->restricted)
		return outgoing;
	if (k.protocol == IPPROTO_ICMP ? k.icmp_type != ICMP_ECHO
				       : k.protocol == IPPROTO_ICMPV6 && k.icmp_type != ICMP6_ECHO_REQUEST)
		return kind;
	if (is_resolver(c, &k))
		return NULL;
	return !c->reach_host && is_host(c, &k) ? to_host : NULL;
}

void user_learn(struct user *u, const struct user_config *c, const uint8_t *frame, size_t len, uint64_t now)
{
	struct user_flow *oldest = &u->flow[0], *f;
	struct packet k, back;

	if (read_packet(&k, frame, len) || k.protocol != IPPROTO_UDP)
		return;
	/* The guest may send all other answers anyway, so only these flows are recorded. */
	back = k;
	back.to = k.from;
	if (!c->restricted && !is_host(c, &back))
		return;
	f = find_flow(u, &k.from, k.from_port, k.to_port, now);
	for (unsigned i = 0; i < USER_FLOWS && !f; i++)
		if (u->flow[i].used_ms < oldest->used_ms)
			oldest = &u->flow[i];
	if (!f)
		f = oldest;
	*f = (struct user_flow){ k.from, k.from_port, k.to_port, MAX(now, 1u) };
}
