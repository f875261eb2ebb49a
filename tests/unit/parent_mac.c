/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A named guest has the same MAC addresses and names of taps at each start, and no other guest has them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/util.h"
#include "parent/setup/mac.h"

static char id_file[] = "/tmp/machine-id-XXXXXX";
static struct config c;

static int write_id(void **state)
{
	static const char text[] = "0123456789abcdef0123456789abcdef\n";
	int fd = mkstemp(id_file);

	(void)state;
	if (fd < 0 || write(fd, text, sizeof(text) - 1) != sizeof(text) - 1)
		return -1;
	close(fd);
	return 0;
}

static int remove_id(void **state)
{
	(void)state;
	return unlink(id_file);
}

/* The vectors of the reference implementation: key 00..0f, data 00, 01... */
static void the_hash_is_siphash(void **state)
{
	uint8_t key[16], data[15];

	(void)state;
	for (unsigned i = 0; i < 16; i++)
		key[i] = (uint8_t)i;
	for (unsigned i = 0; i < 15; i++)
		data[i] = (uint8_t)i;
	assert_true(mac_siphash(key, data, 0) == UINT64_C(0x726fdb47dd0e0e31));
	assert_true(mac_siphash(key, data, 1) == UINT64_C(0x74f839c593dc67fd));
	assert_true(mac_siphash(key, data, 8) == UINT64_C(0x93f5f5799a932462));
	assert_true(mac_siphash(key, data, 15) == UINT64_C(0xa129ca6149be45e5));
}

static const uint8_t *mac_of(const char *name, uid_t user, unsigned nic)
{
	memset(&c, 0, sizeof(c));
	c.name = name;
	c.nnets = nic + 1;
	mac_name_nics(&c, id_file, user);
	return c.net[nic].mac;
}

static void addresses_depend_on_name_user_and_index(void **state)
{
	uint8_t mac[5][ETH_ALEN];

	(void)state;
	memcpy(mac[0], mac_of("web", 0, 0), ETH_ALEN);
	memcpy(mac[1], mac_of("web", 0, 1), ETH_ALEN);
	memcpy(mac[2], mac_of("db", 0, 0), ETH_ALEN);
	memcpy(mac[3], mac_of("web", 1000, 0), ETH_ALEN);
	memcpy(mac[4], mac_of("web", 0, 0), ETH_ALEN);
	assert_memory_equal(mac[0], mac[4], ETH_ALEN);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(mac[i][0] & 3, 2);
		for (unsigned j = 0; j < i; j++)
			assert_memory_not_equal(mac[i], mac[j], ETH_ALEN);
	}
}

static void others_stay_as_they_are(void **state)
{
	static const uint8_t own[ETH_ALEN] = { 2, 1, 2, 3, 4, 5 };

	(void)state;
	/* No name, or no machine ID: random, later. */
	mac_of(NULL, 0, 0);
	assert_false(c.net[0].have_mac || c.net[0].mac_from_name);
	memset(&c, 0, sizeof(c));
	c.name = "web";
	c.nnets = 1;
	mac_name_nics(&c, "/nonexistent", 0);
	assert_false(c.net[0].have_mac || c.net[0].mac_from_name);
	/* The user's own word. */
	c.net[0].have_mac = true;
	memcpy(c.net[0].mac, own, ETH_ALEN);
	mac_name_nics(&c, id_file, 0);
	assert_memory_equal(c.net[0].mac, own, ETH_ALEN);
}

static const char *tap_of(const char *name, unsigned nic)
{
	mac_of(name, 0, nic);
	return c.net[nic].tap;
}

static void taps_are_named_for_the_guest(void **state)
{
	char first[IFNAMSIZ];

	(void)state;
	assert_string_equal(tap_of("web", 0), "tap-web-0");
	assert_string_equal(tap_of("12345678", 31), "tap-12345678-31");
	/* Long names that begin alike are not confused. */
	memcpy(first, tap_of("webserver-1", 0), sizeof(first));
	assert_string_equal(first, tap_of("webserver-1", 0));
	assert_string_not_equal(first, tap_of("webserver-2", 0));
	assert_int_equal(strlen(first), strlen("tap-01234567-0"));
	/* No name: the kernel's choice. No machine ID: a name all the same. */
	assert_string_equal(tap_of(NULL, 0), "");
	memset(&c, 0, sizeof(c));
	c.name = "web";
	c.nnets = 1;
	mac_name_nics(&c, "/nonexistent", 0);
	assert_string_equal(c.net[0].tap, "tap-web-0");
}

static void the_users_word_comes_first(void **state)
{
	uint8_t mac[ETH_ALEN], other[ETH_ALEN];

	(void)state;
	mac_of("web", 0, 0);
	assert_int_equal(mac_choose(&c.net[0], mac), 0);
	assert_memory_equal(mac, c.net[0].mac, ETH_ALEN);
	mac_of(NULL, 0, 0);
	assert_int_equal(mac_choose(&c.net[0], mac), 0);
	assert_int_equal(mac_choose(&c.net[0], other), 0);
	assert_int_equal(mac[0] & 3, 2);
	assert_memory_not_equal(mac, other, ETH_ALEN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_hash_is_siphash),	      cmocka_unit_test(addresses_depend_on_name_user_and_index),
		cmocka_unit_test(others_stay_as_they_are),    cmocka_unit_test(taps_are_named_for_the_guest),
		cmocka_unit_test(the_users_word_comes_first),
	};

	return cmocka_run_group_tests(tests, write_id, remove_id);
}
