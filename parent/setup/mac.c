/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Chooses the MAC addresses of NICs. A guest with --name has the same addresses and names
 * of taps at each start, so that the guest's configuration, a DHCP server and the host's
 * packet filter recognise it. Without --name, addresses are random. Runs in the parent
 * before and inside the privileged window.
 *
 * machine-id(5) requires that the ID itself is not disclosed, but hashed with a key. Here
 * the ID is the key of SipHash-2-4 (Aumasson and Bernstein, 2012).
 */
#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "common/fmt.h"
#include "parent/options/util.h"
#include "parent/setup/mac.h"

#define MACHINE_ID_DIGITS 32
#define NAME_IN_TAP	  8 /* Longest name within tap-NAME-NN: an interface's name has at most 15 characters. */

/* Make @mac a locally administered unicast address. */
static void localise(uint8_t mac[ETH_ALEN])
{
	mac[0] = (uint8_t)((mac[0] & 0xfc) | 0x02);
}

static uint64_t rotate(uint64_t x, unsigned bits)
{
	return x << bits | x >> (64 - bits);
}

static void rounds(uint64_t v[4], unsigned n)
{
	while (n--) {
		v[0] += v[1];
		v[1] = rotate(v[1], 13) ^ v[0];
		v[0] = rotate(v[0], 32);
		v[2] += v[3];
		v[3] = rotate(v[3], 16) ^ v[2];
		v[0] += v[3];
		v[3] = rotate(v[3], 21) ^ v[0];
		v[2] += v[1];
		v[1] = rotate(v[1], 17) ^ v[2];
		v[2] = rotate(v[2], 32);
	}
}

static uint64_t little_endian(const uint8_t *p, size_t n)
{
	uint64_t x = 0;

	while (n--)
		x = x << 8 | p[n];
	return x;
}

uint64_t mac_siphash(const uint8_t key[16], const void *data, size_t len)
{
	const uint8_t *p = data;
	const uint64_t k0 = little_endian(key, 8), k1 = little_endian(key + 8, 8);
	uint64_t v[4] = { k0 ^ UINT64_C(0x736f6d6570736575), k1 ^ UINT64_C(0x646f72616e646f6d),
			  k0 ^ UINT64_C(0x6c7967656e657261), k1 ^ UINT64_C(0x7465646279746573) };
	uint64_t m;
	size_t i;

	for (i = 0; i + 8 <= len; i += 8) {
		m = little_endian(p + i, 8);
		v[3] ^= m;
		rounds(v, 2);
		v[0] ^= m;
	}
	m = (uint64_t)len << 56 | little_endian(p + i, len - i);
	v[3] ^= m;
	rounds(v, 2);
	v[0] ^= m;
	v[2] ^= 0xff;
	rounds(v, 4);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static int digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool mac_machine_key(const char *file, uint8_t key[16])
{
	char text[MACHINE_ID_DIGITS];
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));

	if (fd >= 0)
		close(fd);
	if (n != sizeof(text))
		return false;
	for (unsigned i = 0; i < 16; i++) {
		int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		key[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

/* Set o->tap to tap-NAME-INDEX, or to tap-HASH-INDEX if that is too long for an interface. */
static void name_tap(struct net_option *o, const char *name, unsigned index)
{
	static const uint8_t no_key[16];

	if (strlen(name) <= NAME_IN_TAP)
		fmt_line(o->tap, sizeof(o->tap), "tap-%s-%u", name, index);
	else
		fmt_line(o->tap, sizeof(o->tap), "tap-%08x-%u", (unsigned)mac_siphash(no_key, name, strlen(name)),
			 index);
}

void mac_name_nics(struct config *c, const char *machine_id, uid_t user)
{
	uint8_t key[16];
	bool have_key;

	if (!c->name)
		return;
	have_key = mac_machine_key(machine_id, key);
	for (unsigned i = 0; i < c->nnets; i++) {
		struct net_option *o = &c->net[i];
		char text[128];
		uint64_t x;

		name_tap(o, c->name, i);
		if (o->have_mac || !have_key)
			continue;
		fmt_line(text, sizeof(text), "lguest-sep %u %u %s", (unsigned)user, i, c->name);
		x = mac_siphash(key, text, strlen(text));
		for (unsigned b = 0; b < ETH_ALEN; b++)
			o->mac[b] = (uint8_t)(x >> (8 * b));
		localise(o->mac);
		o->mac_from_name = true;
	}
}

/*
 * Fall back to /dev/urandom on Linux before 3.17, which has no getrandom(), and just after boot, when
 * getrandom() would block.
 */
int mac_random(uint8_t mac[ETH_ALEN])
{
	if (getrandom(mac, ETH_ALEN, GRND_NONBLOCK) != ETH_ALEN) {
		int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
		ssize_t n = fd < 0 ? -1 : read(fd, mac, ETH_ALEN);

		if (n != ETH_ALEN)
			complain(0, "cannot read random numbers for a MAC address: /dev/urandom: %m");
		if (fd >= 0)
			close(fd);
		if (n != ETH_ALEN)
			return -1;
	}
	localise(mac);
	return 0;
}

int mac_choose(const struct net_option *o, uint8_t mac[ETH_ALEN])
{
	if (!o->have_mac && !o->mac_from_name)
		return mac_random(mac);
	memcpy(mac, o->mac, ETH_ALEN);
	return 0;
}
