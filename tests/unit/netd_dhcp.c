/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The answers of netd's DHCP server are those of RFC 2131 and 2132, byte by byte; what is malformed, or is not for it,
 * gets none.
 */
#include "tests/unit/dhcp_rig.h"

static unsigned sum_of(uint32_t sum, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* Check all of the answer's headers: it goes to @to, by broadcast or to the guest's MAC address. */
static void headers_are_right(const char *to)
{
	const uint8_t *f = reply.frame, *ip = f + ETH_HLEN;
	size_t n = reply.len;

	assert_memory_equal(f, to[0] == '\xff' ? (const uint8_t *)"\xff\xff\xff\xff\xff\xff" : mac, ETH_ALEN);
	assert_memory_equal(f + 6, served.host_mac, ETH_ALEN);
	assert_memory_equal(f + 12, "\x08\x00\x45\x00", 4);
	assert_int_equal(f[16] << 8 | f[17], n - ETH_HLEN);
	assert_memory_equal(f + 18, "\x00\x00\x00\x00\x40\x11", 6);
	assert_memory_equal(ip + 12, served.host, 4);
	assert_memory_equal(ip + 16, to, 4);
	assert_int_equal(sum_of(0, ip, 20), 0xffff);
	assert_memory_equal(f + UDP, "\x00\x43\x00\x44", 4);
	assert_int_equal(f[UDP + 4] << 8 | f[UDP + 5], n - UDP);
	assert_int_equal(sum_of(17 + (uint32_t)(n - UDP) + sum_of(0, ip + 12, 8), f + UDP, n - UDP), 0xffff);
	/* BOOTREPLY, Ethernet, the transaction's number, secs 0 */
	assert_memory_equal(f + MESSAGE, "\x02\x01\x06\x00\xde\xad\xbe\xef\x00\x00", 10);
	assert_memory_equal(f + MESSAGE + 28, mac, ETH_ALEN);
	assert_memory_equal(f + MESSAGE + 236, "\x63\x82\x53\x63", 4);
	assert_true(n - MESSAGE >= 300 && n - MESSAGE <= 548);
}

/* Check that the options are exactly these @n bytes. */
static void options_are(const char *want, size_t n)
{
	assert_memory_equal(reply.frame + OPTIONS, want, n);
	for (size_t i = OPTIONS + n; i < reply.len; i++)
		assert_int_equal(reply.frame[i], 0);
}
#define OPTIONS_ARE(text) options_are(text, sizeof(text) - 1)
#define NETWORK		  "\x01\x04\xff\xff\xff\x00\x03\x04\x0a\x4d\x00\x01\x06\x08\x09\x09\x09\x09\xc0\x00\x02\x35"
#define SERVER		  "\x36\x04\x0a\x4d\x00\x01"
#define LEASE		  "\x33\x04\x00\x01\x51\x80"
#define OURS		  "\x0a\x4d\x00\x02"
#define HOST		  "\x0a\x4d\x00\x01"
#define OTHER		  "\x0a\x4d\x00\x09"

static void a_discover_gets_an_offer(void **state)
{
	(void)state;
	request(1);
	assert_int_equal(answer(), 2);
	headers_are_right(OURS);
	/* flags, ciaddr, yiaddr, siaddr, giaddr */
	assert_memory_equal(reply.frame + MESSAGE + 10, "\0\0\0\0\0\0" OURS "\0\0\0\0\0\0\0\0", 18);
	OPTIONS_ARE("\x35\x01\x02" SERVER LEASE NETWORK "\xff");
	/* A client that cannot receive unicast yet sets the broadcast flag (4.1). */
	request(1);
	frame[MESSAGE + 10] = 0x80;
	assert_int_equal(answer(), 2);
	headers_are_right("\xff\xff\xff\xff");
	assert_int_equal(reply.frame[MESSAGE + 10], 0x80);
}

static void the_options_are_those_of_the_network(void **state)
{
	struct dhcp_config c = served;
	uint8_t id[255];

	(void)state;
	c.router = false;
	c.ndns = 0;
	c.prefix = 31;
	request(1);
	assert_true(answer_with(&c, 9000));
	OPTIONS_ARE("\x35\x01\x02" SERVER LEASE "\x01\x04\xff\xff\xff\xfe\x1a\x02\x23\x28\xff");
	c.prefix = 1;
	assert_true(answer_with(&c, 1500));
	OPTIONS_ARE("\x35\x01\x02" SERVER LEASE "\x01\x04\x80\x00\x00\x00\xff");
	/* The client identifier comes back as it is (RFC 6842), in the longest answer too. */
	c = served;
	c.ndns = DHCP_RESOLVERS;
	memset(id, 0x42, sizeof(id));
	request(1);
	add_option(61, id, sizeof(id));
	assert_true(answer_with(&c, 9000));
	headers_are_right(OURS);
	assert_memory_equal(reply.frame + OPTIONS + 3 + 6 + 6 + 6 + 6 + 14 + 4, "\x3d\xff", 2);
	assert_memory_equal(reply.frame + OPTIONS + 47, id, sizeof(id));
	assert_int_equal(reply.frame[OPTIONS + 47 + 255], 255);
}

static void a_request_is_acknowledged_or_refused(void **state)
{
	(void)state;
	/* Selecting (4.3.2) */
	request(3);
	with_ip(54, HOST);
	with_ip(50, OURS);
	assert_int_equal(answer(), 5);
	headers_are_right(OURS);
	assert_memory_equal(reply.frame + MESSAGE + 16, OURS, 4);
	OPTIONS_ARE("\x35\x01\x05" SERVER LEASE NETWORK "\xff");
	request(3);
	with_ip(54, OTHER);
	with_ip(50, OURS);
	assert_int_equal(answer(), 0);
	/* After a reboot */
	request(3);
	with_ip(50, OURS);
	assert_int_equal(answer(), 5);
	request(3);
	with_ip(50, "\xc0\xa8\x01\x05");
	assert_int_equal(answer(), 6);
	/* A refusal goes to everybody, and has neither address nor lease (table 3). */
	headers_are_right("\xff\xff\xff\xff");
	assert_memory_equal(reply.frame + MESSAGE + 12, "\0\0\0\0\0\0\0\0", 8);
	OPTIONS_ARE("\x35\x01\x06" SERVER "\xff");
	/* Without any address it asks for nothing. */
	request(3);
	assert_int_equal(answer(), 0);
}

static void a_lease_is_renewed(void **state)
{
	(void)state;
	/* Renewing: to the server itself; rebinding: to everybody, or to the network. */
	for (unsigned i = 0; i < 3; i++) {
		static const char *const to[] = { HOST, "\xff\xff\xff\xff", "\x0a\x4d\x00\xff" };

		request(3);
		with_ciaddr(OURS);
		memcpy(frame + ETH_HLEN + 12, OURS, 4);
		memcpy(frame + ETH_HLEN + 16, to[i], 4);
		assert_int_equal(answer(), 5);
		headers_are_right(OURS);
		assert_memory_equal(reply.frame + MESSAGE + 12, OURS OURS, 8);
		OPTIONS_ARE("\x35\x01\x05" SERVER LEASE NETWORK "\xff");
	}
	request(3);
	with_ciaddr(OTHER);
	assert_int_equal(answer(), 6);
	headers_are_right("\xff\xff\xff\xff");
}

static void inform_tells_of_the_network_alone(void **state)
{
	static const char *const bad[] = { "\0\0\0\0", "\x0a\x4d\x01\x02", HOST, "\x0a\x4d\x00\xff",
					   "\x0a\x4d\x00\x00" };

	(void)state;
	request(8);
	with_ciaddr(OTHER);
	assert_int_equal(answer(), 5);
	headers_are_right(OTHER);
	assert_memory_equal(reply.frame + MESSAGE + 12, OTHER "\0\0\0\0", 8);
	OPTIONS_ARE("\x35\x01\x05" SERVER NETWORK "\xff");
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		request(8);
		with_ciaddr(bad[i]);
		assert_int_equal(answer(), 0);
	}
}

static void decline_and_release_have_no_answer(void **state)
{
	(void)state;
	for (uint8_t type = 0; type < 20; type++) {
		request(type);
		with_ip(54, HOST);
		with_ip(50, OURS);
		assert_int_equal(answer() != 0, type == 1 || type == 3);
		assert_int_equal(reply.declined, type == 4);
		assert_non_null(reply.why);
	}
}

static void what_is_not_whole_has_no_answer(void **state)
{
	size_t all;

	(void)state;
	request(1);
	with_ip(50, OURS);
	assert_int_equal(answer(), 2);
	/* Headers that promise more than there is */
	for (all = len--; len > 0; len--)
		assert_int_equal(answer_with(&served, 1500), 0);
	/* The same with a UDP length that goes past the packet, and a message that is too short */
	len = all;
	set16(frame + UDP + 4, (unsigned)(len - UDP + 1));
	assert_int_equal(answer_with(&served, 1500), 0);
	set16(frame + UDP + 4, 8 + 239);
	assert_int_equal(answer_with(&served, 1500), 0);
	set16(frame + UDP + 4, 0);
	assert_int_equal(answer_with(&served, 1500), 0);
	set_lengths();
	set16(frame + ETH_HLEN + 2, 19);
	assert_int_equal(answer_with(&served, 1500), 0);
	/* Each cut of the options: an option without its length or value gives no answer, a missing end does. */
	for (unsigned n = 0; n < 10; n++) {
		request(1);
		with_ip(50, OURS);
		len = OPTIONS + n;
		set_lengths();
		assert_int_equal(answer_with(&served, 1500) != 0, n == 3 || n == 9);
	}
}

/* Check that the frame gets no answer when the byte at @at of its message is @value. */
static void refuses_byte(size_t at, uint8_t value)
{
	request(1);
	frame[MESSAGE + at] = value;
	assert_int_equal(answer(), 0);
}

static void what_no_client_sends_has_no_answer(void **state)
{
	static const uint8_t lengths[][2] = { { 53, 0 }, { 53, 2 }, { 50, 3 }, { 50, 5 },
					      { 54, 3 }, { 52, 2 }, { 61, 1 } };
	const uint8_t value[8] = { 1, 1, 1, 1, 1, 1, 1, 1 };

	(void)state;
	refuses_byte(0, 2);
	refuses_byte(1, 6);
	refuses_byte(2, 0);
	refuses_byte(2, 16);
	refuses_byte(2, 255);
	refuses_byte(24, 10);	/* giaddr: a relay's */
	refuses_byte(28, 0x50); /* chaddr */
	refuses_byte(33, 4);
	refuses_byte(239, 0x64); /* cookie */
	for (unsigned i = 0; i < ARRAY_SIZE(lengths); i++) {
		request(1);
		if (lengths[i][0] == 53)
			len = OPTIONS;
		add_option(lengths[i][0], value, lengths[i][1]);
		assert_int_equal(answer(), 0);
	}
	for (unsigned code = 50; code < 62; code++) {
		request(1);
		add_option(code, "\1\1\1\1", code == 52 || code == 53 ? 1 : 4);
		add_option(code, "\1\1\1\1", code == 52 || code == 53 ? 1 : 4);
		assert_int_equal(answer() != 0, code != 50 && code != 52 && code != 53 && code != 54 && code != 61);
	}
}

static void options_in_other_fields_are_read_once(void **state)
{
	(void)state;
	/* The type is in the file's name; the server in that of the host (RFC 2132, 9.3). */
	request(0);
	len = OPTIONS;
	add_option(52, "\3", 1);
	memcpy(frame + MESSAGE + 108, "\x35\x01\x03\x32\x04" OURS "\xff", 10);
	memcpy(frame + MESSAGE + 44, "\x36\x04" HOST "\xff", 7);
	assert_int_equal(answer(), 5);
	/* Another overload inside, an option that ends outside, a value that does not exist */
	request(1);
	add_option(52, "\1", 1);
	memcpy(frame + MESSAGE + 108, "\x34\x01\x01\xff", 4);
	assert_int_equal(answer(), 0);
	request(1);
	add_option(52, "\2", 1);
	memset(frame + MESSAGE + 44, 0, 64);
	memcpy(frame + MESSAGE + 106, "\x32\x04", 2);
	assert_int_equal(answer(), 0);
	request(1);
	add_option(52, "\4", 1);
	assert_int_equal(answer(), 0);
	/* Without overload these fields are names. */
	request(1);
	memset(frame + MESSAGE + 44, 0x36, 192);
	assert_int_equal(answer(), 2);
}

static void only_what_is_for_the_server_is_taken(void **state)
{
	(void)state;
	request(1);
	assert_true(dhcp_is_request(&served, frame, len));
	assert_true(dhcp_is_request(&served, frame, DHCP_PEEK));
	/* Fragments, the first one too */
	frame[20] = 0x20;
	assert_false(dhcp_is_request(&served, frame, len));
	frame[20] = 0;
	frame[21] = 1;
	assert_false(dhcp_is_request(&served, frame, len));
	request(1);
	frame[20] = 0x40;
	assert_true(dhcp_is_request(&served, frame, len));
	/* Another machine's server, another port, TCP, no IPv4 header, a header that reaches past the frame */
	memcpy(frame + ETH_HLEN + 16, OTHER, 4);
	assert_false(dhcp_is_request(&served, frame, len));
	request(1);
	frame[UDP + 3] = 68;
	assert_false(dhcp_is_request(&served, frame, len));
	request(1);
	frame[23] = 6;
	assert_false(dhcp_is_request(&served, frame, len));
	request(1);
	frame[14] = 0x44;
	assert_false(dhcp_is_request(&served, frame, len));
	frame[14] = 0x65;
	assert_false(dhcp_is_request(&served, frame, len));
	frame[14] = 0x4f;
	assert_false(dhcp_is_request(&served, frame, UDP + 8));
	/* Behind a VLAN tag */
	request(1);
	memmove(frame + 16, frame + 12, len - 12);
	memcpy(frame + 12, "\x81\x00\x00\x05", 4);
	assert_false(dhcp_is_request(&served, frame, len + 4));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_discover_gets_an_offer),
		cmocka_unit_test(the_options_are_those_of_the_network),
		cmocka_unit_test(a_request_is_acknowledged_or_refused),
		cmocka_unit_test(a_lease_is_renewed),
		cmocka_unit_test(inform_tells_of_the_network_alone),
		cmocka_unit_test(decline_and_release_have_no_answer),
		cmocka_unit_test(what_is_not_whole_has_no_answer),
		cmocka_unit_test(what_no_client_sends_has_no_answer),
		cmocka_unit_test(options_in_other_fields_are_read_once),
		cmocka_unit_test(only_what_is_for_the_server_is_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
