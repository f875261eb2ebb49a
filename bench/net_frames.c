/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Frames for the network load, and the host's side of the tap. Part of
 * bench/netload.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <net/if.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/netload.h"

#define BATCH 32

static const uint8_t guest_mac[ETH_ALEN] = { 2, 0, 0, 0, 0, 1 };
/* An unused address, so that the guest's frames are dropped behind the tap. */
static const uint8_t other_mac[ETH_ALEN] = { 2, 0, 0, 0, 0, 2 };

struct net_sender {
	int sock;
	struct mmsghdr msg[BATCH];
	struct iovec iov;
	/* A packet socket's header lacks num_buffers, so it begins two bytes later. */
	uint8_t bytes[NET_HDR + NET_MAX];
};

static uint16_t ip_sum(const void *at, unsigned len)
{
	const uint8_t *p = at;
	uint32_t sum = 0;

	for (unsigned i = 0; i < len; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

uint32_t net_frame(void *at, uint32_t size, bool to_guest)
{
	struct virtio_net_hdr_mrg_rxbuf *h = at;
	uint8_t *frame = (uint8_t *)at + NET_HDR;
	struct ethhdr *eth = (void *)frame;
	struct iphdr ip = { .version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_TCP };
	struct tcphdr tcp = { .source = htons(9), .dest = htons(9), .doff = 5, .ack = 1 };

	memset(at, 0, NET_HDR + size);
	memcpy(eth->h_dest, to_guest ? guest_mac : other_mac, ETH_ALEN);
	memcpy(eth->h_source, to_guest ? other_mac : guest_mac, ETH_ALEN);
	eth->h_proto = htons(ETH_P_IP);
	ip.tot_len = htons((uint16_t)(size - ETH_HLEN));
	ip.saddr = inet_addr("192.0.2.1");
	ip.daddr = inet_addr("192.0.2.2");
	ip.check = ip_sum(&ip, sizeof(ip));
	memcpy(frame + ETH_HLEN, &ip, sizeof(ip));
	memcpy(frame + ETH_HLEN + sizeof(ip), &tcp, sizeof(tcp));
	if (size > NET_LARGE) {
		h->hdr.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		h->hdr.gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
		h->hdr.hdr_len = ETH_HLEN + sizeof(ip) + sizeof(tcp);
		h->hdr.gso_size = 1448;
		h->hdr.csum_start = ETH_HLEN + sizeof(ip);
		h->hdr.csum_offset = offsetof(struct tcphdr, check);
	}
	return NET_HDR + size;
}

bool net_is_frame(const void *frame, uint32_t size)
{
	const struct ethhdr *eth = frame;

	return size >= 64 && memcmp(eth->h_dest, guest_mac, ETH_ALEN) == 0 && eth->h_proto == htons(ETH_P_IP);
}

struct net_sender *net_sender(const char *tap, uint32_t size)
{
	static struct net_sender s;
	struct sockaddr_ll a = { .sll_family = AF_PACKET, .sll_protocol = 0, .sll_ifindex = (int)if_nametoindex(tap) };
	const int on = 1, room = 8 << 20;
	/* A packet socket expects the first 10 bytes of the vnet header. */
	const unsigned skip = NET_HDR - sizeof(struct virtio_net_hdr);
	struct virtio_net_hdr h;

	s.sock = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (s.sock < 0 || setsockopt(s.sock, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)) != 0 ||
	    setsockopt(s.sock, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof(on)) != 0 ||
	    setsockopt(s.sock, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room)) != 0 ||
	    bind(s.sock, (struct sockaddr *)&a, sizeof(a)) != 0)
		bench_die("packet socket on the tap");
	net_frame(s.bytes, size, true);
	memcpy(&h, s.bytes, sizeof(h));
	memcpy(s.bytes + skip, &h, sizeof(h));
	s.iov = (struct iovec){ s.bytes + skip, sizeof(h) + size };
	for (unsigned i = 0; i < BATCH; i++)
		s.msg[i].msg_hdr = (struct msghdr){ .msg_iov = &s.iov, .msg_iovlen = 1 };
	return &s;
}

unsigned net_send(struct net_sender *s, unsigned n)
{
	int sent = sendmmsg(s->sock, s->msg, n < BATCH ? n : BATCH, MSG_DONTWAIT);

	if (sent < 0 && errno != EAGAIN && errno != ENOBUFS)
		bench_die("send to the tap");
	return sent < 0 ? 0 : (unsigned)sent;
}

int net_receiver(const char *tap)
{
	struct sockaddr_ll a = { .sll_family = AF_PACKET,
				 .sll_protocol = htons(ETH_P_IP),
				 .sll_ifindex = (int)if_nametoindex(tap) };
	int sock = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	if (sock < 0 || bind(sock, (struct sockaddr *)&a, sizeof(a)) != 0)
		bench_die("packet socket on the tap");
	return sock;
}

bool net_received(int sock, uint32_t size)
{
	static uint8_t bytes[NET_MAX];
	struct pollfd p = { .fd = sock, .events = POLLIN };

	return poll(&p, 1, 10000) > 0 && recv(sock, bytes, sizeof(bytes), MSG_TRUNC) == (ssize_t)size &&
	       memcmp(bytes, other_mac, ETH_ALEN) == 0;
}

void net_took(struct bench_result *r, uint64_t began)
{
	bench_latency_add((struct bench_latency *)(uintptr_t)r->latency, bench_ns() - began);
	r->ops++;
}

uint64_t net_tap_took(const char *tap)
{
	char path[128];
	unsigned long long v = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/net/dev");
	f = fopen(path, "re");
	while (f && fgets(path, sizeof(path), f)) {
		char *colon = strchr(path, ':'), *name = path + strspn(path, " ");

		if (!colon)
			continue;
		*colon = '\0';
		/* bytes, then frames */
		if (strcmp(name, tap) == 0) {
			char *end;

			strtoull(colon + 1, &end, 10);
			v = strtoull(end, NULL, 10);
			break;
		}
	}
	if (f)
		fclose(f);
	return v;
}

int net_open_tap(const char *name)
{
	const int len = NET_HDR;
	struct ifreq r;
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	memset(&r, 0, sizeof(r));
	memcpy(r.ifr_name, name, strnlen(name, IFNAMSIZ - 1));
	r.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
	if (fd < 0 || ioctl(fd, TUNSETIFF, &r) != 0 || ioctl(fd, TUNSETVNETHDRSZ, &len) != 0 ||
	    ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6) != 0)
		bench_die(name);
	return fd;
}
