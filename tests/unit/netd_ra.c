/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * netd's router advertisements are those of RFC 4861 and 8106, byte by byte; solicitations that are malformed, or of
 * another machine, get none; the guest gets them in its queue, also unsolicited, and the tap gets nothing.
 */
#include <stdlib.h>

#include "tests/unit/netd_rig.h"

#include "netd/ra.h"

#define IP	(ETH_HLEN)
#define MESSAGE (IP + 40)
#define ROOM	1700
#define LOCAL	"\xfe\x80\0\0\0\0\0\0\xfc\x54\0\xff\xfe\1\2\3"
#define HOST	"\xfd\x77\0\0\0\0\0\0\0\0\0\0\0\0\0\1"
#define GUEST	"\xfe\x80\0\0\0\0\0\0\x50\x54\0\xff\xfe\1\2\3"
#define ROUTERS "\xff\2\0\0\0\0\0\0\0\0\0\0\0\0\0\2"
#define HEADER	"\x33\x33\0\0\0\1\xfe\x54\0\1\2\3\x86\xdd\x60\0\0\0"
#define FROM_TO "\x3a\xff" LOCAL "\xff\2\0\0\0\0\0\0\0\0\0\0\0\0\0\1"
#define NETWORK "\3\4\x40\xc0\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0\xfd\x77\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
#define MAC	"\1\1\xfe\x54\0\1\2\3"
#define DNS1	"\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x53"
#define DNS2	"\xfd\x53\0\0\0\0\0\0\0\0\0\0\0\0\0\2"

static struct ra_config advertised(void)
{
	struct ra_config c = {
		.on = true, .router = true, .ndns = 2, .host_mac = { 0xfe, 0x54, 0, 1, 2, 3 }, .interval_ms = 3600000
	};

	memcpy(c.host, HOST, 16);
	memcpy(c.local, LOCAL, 16);
	memcpy(c.dns[0], DNS1, 16);
	memcpy(c.dns[1], DNS2, 16);
	return c;
}

/* A solicitation that a test changes before it is sent. */
static uint8_t frame[ROOM];
static size_t len;

static void set_length(void)
{
	frame[IP + 4] = (uint8_t)((len - MESSAGE) >> 8);
	frame[IP + 5] = (uint8_t)(len - MESSAGE);
}

/* A solicitation to all routers: with an address as its source and the option for it, as Linux sends it, or without. */
static void solicit(bool with_address)
{
	memset(frame, 0, sizeof(frame));
	memcpy(frame, "\x33\x33\0\0\0\2", 6);
	memcpy(frame + 6, mac, ETH_ALEN);
	memcpy(frame + 12, "\x86\xdd\x60\0\0\0\0\0\x3a\xff", 10);
	memcpy(frame + IP + 24, ROUTERS, 16);
	frame[MESSAGE] = 133;
	len = MESSAGE + 8;
	if (with_address) {
		memcpy(frame + IP + 8, GUEST, 16);
		memcpy(frame + len, "\1\1", 2);
		memcpy(frame + len + 2, mac, ETH_ALEN);
		len += 8;
	}
	set_length();
}

/* True if the frame, in a buffer that ends with it, is a solicitation for us. *@why: why it gets no answer, or NULL. */
static bool judged(const char **why)
{
	const struct ra_config c = advertised();
	uint8_t *copy = malloc(len);
	bool ours;

	assert_non_null(copy);
	memcpy(copy, frame, len);
	ours = ra_is_solicitation(&c, copy, len);
	*why = ours ? ra_check(mac, copy, len) : NULL;
	free(copy);
	return ours;
}

static void answered(void)
{
	const char *why;

	assert_true(judged(&why));
	assert_null(why);
}

static void refused(const char *part)
{
	const char *why;

	assert_true(judged(&why));
	assert_non_null(why);
	assert_non_null(strstr(why, part));
}

static void not_ours(void)
{
	const char *why;

	assert_false(judged(&why));
}

static unsigned sum_of(uint32_t sum, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* Check the whole advertisement for @c: the message has this lifetime, and exactly these @n bytes of options. */
static void advertises(const struct ra_config *c, unsigned mtu, const char *lifetime, const char *options, size_t n)
{
	uint8_t ra[RA_MAX];
	size_t got;

	memset(ra, 0xa5, sizeof(ra));
	got = ra_write(c, mtu, ra);
	assert_int_equal(got, MESSAGE + 16 + n);
	assert_memory_equal(ra, HEADER, 18);
	assert_int_equal(ra[IP + 4] << 8 | ra[IP + 5], 16 + n);
	assert_memory_equal(ra + IP + 6, FROM_TO, 34);
	assert_memory_equal(ra + MESSAGE, "\x86\0", 2);
	assert_memory_equal(ra + MESSAGE + 4, "\x40\0", 2);
	assert_memory_equal(ra + MESSAGE + 6, lifetime, 2);
	assert_memory_equal(ra + MESSAGE + 8, "\0\0\0\0\0\0\0\0", 8);
	assert_memory_equal(ra + MESSAGE + 16, options, n);
	assert_int_equal(sum_of(58 + 16 + (uint32_t)n + sum_of(0, ra + IP + 8, 32), ra + MESSAGE, 16 + n), 0xffff);
}
#define ADVERTISES(c, mtu, lifetime, options) advertises(c, mtu, lifetime, options, sizeof(options) - 1)

static void an_advertisement_names_router_network_mtu_and_resolvers(void **state)
{
	struct ra_config c = advertised();

	(void)state;
	ADVERTISES(&c, 1400, "\x23\x28", MAC "\5\1\0\0\0\0\5\x78" NETWORK "\x19\5\0\0\0\0\x23\x28" DNS1 DNS2);
	c.ndns = 0;
	ADVERTISES(&c, 1500, "\x23\x28", MAC "\5\1\0\0\0\0\5\xdc" NETWORK);
	/* Without nat and reach=forward it is no router: the guest only forms its address. An odd MTU is not told. */
	c.router = false;
	ADVERTISES(&c, 0, "\0\0", MAC NETWORK);
	/* The longest one. More resolvers than there is room for are not named. */
	c.ndns = 200;
	memset(c.dns[2], 0, 16);
	ADVERTISES(&c, 65521, "\0\0",
		   MAC "\5\1\0\0\0\0\xff\xf1" NETWORK "\x19\7\0\0\0\0\x23\x28" DNS1 DNS2
		       "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
}

static void solicitations_of_the_guest_are_answered(void **state)
{
	(void)state;
	solicit(true);
	answered();
	solicit(false);
	answered();
	/* To the host's end itself, by either address; with an unknown option. */
	memcpy(frame + IP + 24, LOCAL, 16);
	answered();
	memcpy(frame + IP + 24, HOST, 16);
	memcpy(frame + len, "\xfd\2", 2);
	len += 16;
	set_length();
	answered();
}

static void a_solicitation_of_another_machine_is_refused(void **state)
{
	(void)state;
	solicit(true);
	frame[6 + 5] ^= 1;
	refused("from another hardware address");
	solicit(true);
	frame[MESSAGE + 8 + 7] ^= 1;
	refused("for another hardware address");
	/* A sender without an address gives no hardware address either (6.1.1). */
	solicit(true);
	memset(frame + IP + 8, 0, 16);
	refused("for another hardware address");
	/* It came through a router. */
	solicit(true);
	frame[IP + 7] = 254;
	refused("hop limit");
	solicit(true);
	frame[MESSAGE + 1] = 1;
	refused("code");
}

static void malformed_solicitations_are_refused(void **state)
{
	static const uint8_t lengths[] = { 0, 2, 255 };
	size_t whole;

	(void)state;
	for (unsigned i = 0; i < sizeof(lengths); i++) {
		solicit(true);
		frame[MESSAGE + 9] = lengths[i];
		refused("malformed options");
	}
	/* Lengths that end in an option, or before the message does. */
	for (unsigned n = 0; n < 16; n++) {
		solicit(true);
		frame[IP + 5] = (uint8_t)n;
		if (n == 8)
			answered();
		else
			refused(n < 8 ? "not whole" : "malformed options");
	}
	/* Truncated at each byte. */
	solicit(true);
	for (whole = len, len = MESSAGE + 1; len < whole; len++)
		refused("not whole");
	frame[IP + 4] = 0xff;
	refused("not whole");
	for (len = ETH_HLEN; len <= MESSAGE; len++)
		not_ours();
}

static void other_frames_are_no_solicitations(void **state)
{
	static const struct {
		unsigned at;
		uint8_t value;
	} changed[] = {
		{ 12, 8 },	    { IP, 0x40 },     { IP + 6, 44 },	   /* A fragment */
		{ IP + 6, 0 },						   /* Hop-by-hop options */
		{ MESSAGE, 134 },   { MESSAGE, 135 }, { IP + 24 + 15, 1 }, /* To all nodes */
		{ IP + 24 + 1, 5 },
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(changed); i++) {
		solicit(true);
		frame[changed[i].at] = changed[i].value;
		not_ours();
	}
	/* Behind a VLAN tag. */
	solicit(true);
	memmove(frame + 16, frame + 12, len - 12);
	memcpy(frame + 12, "\x81\0\0\1", 4);
	len += 4;
	not_ours();
}

static void begin_advertised(uint32_t interval_ms)
{
	struct net_config c = base_config();

	c.ra = advertised();
	c.ra.interval_ms = interval_ms;
	begin_with(&c, MODERN);
}

static void guest_sends(void)
{
	memset(at(BUFFERS), 0, HDR);
	memcpy(at(BUFFERS + HDR), frame, len);
	assert_true(send_frame(HDR, len));
}

static void give_buffers(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		const struct front_buf b = { BUFFERS + 0x10000 + i * 0x1000, 2048, true };

		front_offer(rig.rx, front_chain(rig.rx, &b, 1));
	}
	front_kick(rig.rx);
}

/* Wait for an advertisement in the first buffer. */
static void guest_gets_it(void)
{
	const struct ra_config c = advertised();
	uint8_t ra[RA_MAX];
	uint32_t id, got;

	assert_true(front_wait_used(rig.rx, &id, &got, PATIENCE_MS));
	assert_int_equal(got, HDR + ra_write(&c, 1500, ra));
	assert_memory_equal(at(BUFFERS + 0x10000 + HDR), ra, got - HDR);
	assert_memory_equal(at(BUFFERS + 0x10000), "\0\0\0\0\0\0\0\0\0\0\1\0", HDR);
}

static void the_guest_gets_the_answer_and_the_tap_nothing(void **state)
{
	(void)state;
	begin_advertised(3600000);
	give_buffers(1);
	solicit(true);
	guest_sends();
	guest_gets_it();
	frame_passes(HDR, 60, 1);
	/* Malformed, and longer than what netd copies. */
	frame[MESSAGE + 9] = 0;
	guest_sends();
	solicit(true);
	len = ROOM;
	set_length();
	guest_sends();
	frame_passes(HDR, 60, 2);
	end();
}

static void a_flood_is_answered_in_part(void **state)
{
	uint64_t start = now_ms();
	uint32_t id, got, answers = 0;

	(void)state;
	begin_advertised(3600000);
	give_buffers(128);
	solicit(false);
	for (unsigned i = 0; i < 128; i++)
		guest_sends();
	frame_passes(HDR, 60, 3);
	while (front_wait_used(rig.rx, &id, &got, answers ? 200 : PATIENCE_MS))
		answers++;
	/* 8 at once and 10 a second. */
	assert_in_range(answers, 1, 8 + (now_ms() - start) / 100 + 1);
	end();
}

/* A guest asks only when its link comes up, so it must be told again before the router's lifetime ends. */
static void without_a_question_the_guest_is_told_again(void **state)
{
	uint32_t id, got;

	(void)state;
	begin_advertised(50);
	give_buffers(3);
	guest_gets_it();
	assert_true(front_wait_used(rig.rx, &id, &got, PATIENCE_MS));
	assert_true(front_wait_used(rig.rx, &id, &got, PATIENCE_MS));
	/* Without a buffer one waits, and netd still moves frames. */
	frame_passes(HDR, 60, 4);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_advertisement_names_router_network_mtu_and_resolvers),
		cmocka_unit_test(solicitations_of_the_guest_are_answered),
		cmocka_unit_test(a_solicitation_of_another_machine_is_refused),
		cmocka_unit_test(malformed_solicitations_are_refused),
		cmocka_unit_test(other_frames_are_no_solicitations),
		cmocka_unit_test(the_guest_gets_the_answer_and_the_tap_nothing),
		cmocka_unit_test(a_flood_is_answered_in_part),
		cmocka_unit_test(without_a_question_the_guest_is_told_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
