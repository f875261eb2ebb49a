/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a guest has: the supervisor's messages about its disks, NICs, shares, ports and console, and what status and
 * stats print of them. Long paths and many forwarded ports stay within the messages; no text reaches JSON or Prometheus raw.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "parent/control/show.h"
#include "parent/supervise/parts.h"

static struct host host;
static struct config config;
static struct supervisor s;
static struct shown_parts got;

static int begin(void **state)
{
	(void)state;
	memset(&s, 0, sizeof(s));
	memset(&host, 0, sizeof(host));
	memset(&config, 0, sizeof(config));
	s.h = &host;
	s.c = host.c = &config;
	s.console.max = UINT64_MAX;
	return 0;
}

static unsigned add_device(enum device_kind kind, const char *name)
{
	unsigned i = config.ndevices++;

	config.device[i].kind = kind;
	config.device[i].index = kind == DEV_BLK   ? config.ndisks++
				 : kind == DEV_NET ? config.nnets++
						   : config.nshares++;
	snprintf(host.role[i].name, sizeof(host.role[i].name), "%s", name);
	return config.device[i].index;
}

/* Receive the list as a client does. */
static void receive(void)
{
	struct ctl_msg m;
	int sv[2];

	got.known = true;
	got.n = 0;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, sv), 0);
	sup_send_parts(&s, sv[0]);
	do {
		assert_int_equal(ctl_recv(sv[1], &m), 1);
		assert_int_equal(m.type, CTL_PART);
		assert_int_equal(m.queue, got.n);
		got.part[got.n++] = m.part;
	} while (m.queue + 1 < m.count);
	assert_int_equal(ctl_recv(sv[1], &m), 0);
	close(sv[0]);
	close(sv[1]);
}

static const struct guest_part *part(enum part_kind kind)
{
	for (unsigned i = 0; i < got.n; i++)
		if (got.part[i].kind == (uint32_t)kind)
			return &got.part[i];
	fail_msg("there is no part of kind %d", (int)kind);
	return NULL;
}

static void a_guest_with_everything(void)
{
	static uint64_t added = 4096;
	struct net_option *n = &config.net[add_device(DEV_NET, "net0")];
	unsigned disk = add_device(DEV_BLK, "blk0"), share = add_device(DEV_FS, "fs0");

	n->kind = NET_TUNNET_IP;
	n->ip.s_addr = htonl(0x0a000001);
	n->prefix = 24;
	memcpy(host.net[0].config.mac, "\x52\x54\x00\x12\x34\x56", ETH_ALEN);
	memcpy(host.net[0].ifname, "lg0", 4);
	config.disk[disk] = (struct disk_option){ .path = "/srv/a.img", .snapshot = true };
	host.disk[disk].config.capacity = 64u << 20;
	config.share[share] = (struct share_option){ .path = "data", .tag = "data", .read_write = true };
	snprintf(host.share[share].path, sizeof(host.share[share].path), "/srv/data");
	host.share[share].config.max = 1u << 20;
	host.share[share].added_now = &added;
	config.port[0] = (struct port_option){ .name = "log", .path = "/tmp/log", .max = 65536 };
	config.nports = 1;
}

static void each_part_is_sent(void **state)
{
	(void)state;
	a_guest_with_everything();
	receive();
	assert_int_equal(got.n, 5);
	assert_string_equal(part(PART_CONSOLE)->where, "");
	assert_int_equal(part(PART_CONSOLE)->flags & PART_LIMITED, 0);
	assert_string_equal(part(PART_DISK)->where, "/srv/a.img");
	assert_int_equal(part(PART_DISK)->flags, PART_SNAPSHOT);
	assert_int_equal(part(PART_DISK)->size, 64u << 20);
	assert_string_equal(part(PART_NIC)->where, "10.0.0.1/24");
	assert_string_equal(part(PART_NIC)->what, "52:54:00:12:34:56");
	assert_string_equal(part(PART_NIC)->ifname, "lg0");
	assert_string_equal(part(PART_SHARE)->where, "/srv/data");
	assert_int_equal(part(PART_SHARE)->used, 4096);
	assert_int_equal(part(PART_SHARE)->max, 1u << 20);
	assert_string_equal(part(PART_PORT)->name, "log");
	assert_int_equal(part(PART_PORT)->max, 65536);
}

/* The count of what the guest added is fsd's own word. */
static void a_lying_share_stays_within_its_limit(void **state)
{
	static const uint64_t lie = UINT64_MAX;

	(void)state;
	a_guest_with_everything();
	host.share[0].added_now = &lie;
	receive();
	assert_int_equal(part(PART_SHARE)->used, 1u << 20);
	/* A host without seals: nothing is known. */
	host.share[0].added_now = NULL;
	receive();
	assert_int_equal(part(PART_SHARE)->flags & PART_COUNTED, 0);
}

static void the_ports_of_run_are_no_ports(void **state)
{
	(void)state;
	config.run.on = true;
	config.nports = RUN_PORTS + 1;
	config.port[RUN_PORTS] = (struct port_option){ .name = "mine", .path = "/m", .max = UINT64_MAX };
	receive();
	assert_int_equal(got.n, 2);
	assert_string_equal(part(PART_PORT)->name, "mine");
	assert_int_equal(part(PART_PORT)->flags & PART_LIMITED, 0);
}

static void a_long_path_keeps_its_end(void **state)
{
	char path[4096];

	(void)state;
	memset(path, 'a', sizeof(path));
	memcpy(path + sizeof(path) - 10, "/last.img", 10);
	config.disk[add_device(DEV_BLK, "blk0")].path = path;
	receive();
	assert_true(part(PART_DISK)->flags & PART_CUT);
	assert_int_equal(strlen(part(PART_DISK)->where), sizeof(part(PART_DISK)->where) - 1);
	assert_memory_equal(part(PART_DISK)->where, "...a", 4);
	assert_string_equal(part(PART_DISK)->where + sizeof(part(PART_DISK)->where) - 10, "/last.img");
}

static void more_forwards_than_fit(void **state)
{
	unsigned ports = 0;

	(void)state;
	for (unsigned i = 0; i < MAX_DEVICES; i++) {
		struct net_option *n = &config.net[add_device(DEV_NET, "net")];

		n->kind = NET_USER;
		n->nforwards = MAX_FORWARDS;
		for (unsigned k = 0; k < MAX_FORWARDS; k++)
			snprintf(n->forward[k].text, sizeof(n->forward[k].text), "tcp:10.0.0.1:%u:%u", 1000 + k, k + 1);
	}
	receive();
	/* Every NIC is there, and no text is cut. */
	assert_int_equal(got.n, MAX_PARTS);
	for (unsigned i = 0; i < got.n; i++)
		for (const char *at = got.part[i].where; got.part[i].kind == PART_FORWARD && at; at = strchr(at, ' ')) {
			unsigned port, guest;

			at += *at == ' ';
			assert_int_equal(sscanf(at, "tcp:10.0.0.1:%u:%u", &port, &guest), 2);
			assert_int_equal(port - 999, guest);
			ports++;
		}
	assert_true(ports > 4 * MAX_FORWARDS);
}

/* ---- what users see ---- */

static char *printed;
static size_t printed_size;
static FILE *real_stdout;

static void capture(void)
{
	free(printed);
	printed = NULL;
	real_stdout = stdout;
	stdout = open_memstream(&printed, &printed_size);
	assert_non_null(stdout);
}

static void captured(void)
{
	fclose(stdout);
	stdout = real_stdout;
}

static bool shows(const char *text)
{
	return strstr(printed, text) != NULL;
}

static const struct guest guest = { .uid = 7, .name = "web", .fd = -1, .pidfd = -1 };
static const struct shown_guest shown = { .guest = &guest,
					  .state = { .kernel = "vmlinuz",
						     .phase = GUEST_RUNNING,
						     .engine = ENGINE_KVM,
						     .shares = 1,
						     .ports = 1,
						     .mem_bytes = 128u << 20,
						     .memory_max = 256u << 20,
						     .cpus_thousandths = 1500 } };

static void status_shows_limits_and_parts(void **state)
{
	(void)state;
	a_guest_with_everything();
	receive();
	capture();
	show_status(&shown, &got, false);
	captured();
	assert_true(shows("memory      128 MiB\n"));
	assert_true(shows("memory-max  256 MiB\n"));
	assert_true(shows("cpus-max    1.500\n"));
	assert_true(shows("pids-max    none\n"));
	assert_true(shows("disk        blk0: /srv/a.img, 64 MiB, snapshot\n"));
	assert_true(shows("NIC         net0: tunnet, 52:54:00:12:34:56, lg0 on the host, 10.0.0.1/24\n"));
	assert_true(shows("share       fs0: data, /srv/data, read-write, 4096 bytes added, 1 MiB at most\n"));
	assert_true(shows("port        log: /tmp/log, 0 bytes from the guest, 0 bytes dropped, 65536 bytes at most\n"));
	assert_true(shows("output      console: standard output, "));
	capture();
	show_status(&shown, &got, true);
	captured();
	assert_true(shows("\"limits\": {\"memory_max\": 268435456, \"cpus_thousandths\": 1500, \"pids_max\": null, "));
	assert_true(shows("{\"type\": \"share\", \"name\": \"fs0\", \"tag\": \"data\", \"path\": \"/srv/data\", "
			  "\"read_only\": false, \"used_bytes\": 4096, \"max_bytes\": 1048576}"));
	assert_true(shows("\"address\": \"10.0.0.1/24\""));
	capture();
	show_ps(&shown, 1, false);
	captured();
	assert_true(shows(" memory-max=256M,cpus-max=1.500 vmlinuz\n"));
}

static void a_list_that_did_not_come_is_not_empty(void **state)
{
	static const struct shown_parts none;

	(void)state;
	capture();
	show_status(&shown, &none, true);
	captured();
	assert_true(shows("\"parts\": null}"));
	capture();
	show_status(&shown, &none, false);
	captured();
	assert_true(shows("are not known"));
}

static void numbers_reach_prometheus(void **state)
{
	static const struct shown_role role = { .stats = { .name = "blk0", .counted = 1 } };

	(void)state;
	a_guest_with_everything();
	config.port[1] = config.port[0];
	config.port[1].name[0] = 'L';
	config.nports = 2;
	receive();
	capture();
	show_stats(&shown, &got, &role, 1, STATS_PROMETHEUS);
	captured();
	assert_true(shows("lguest_sep_limit_memory_bytes{guest=\"web\",uid=\"7\"} 268435456\n"));
	assert_true(shows("lguest_sep_limit_cpus{guest=\"web\",uid=\"7\"} 1.500\n"));
	assert_false(shows("lguest_sep_limit_pids"));
	assert_true(shows("lguest_sep_share_used_bytes{guest=\"web\",role=\"fs0\",uid=\"7\"} 4096\n"));
	assert_true(shows("lguest_sep_share_max_bytes{guest=\"web\",role=\"fs0\",uid=\"7\"} 1048576\n"));
	assert_true(shows("lguest_sep_disk_capacity_bytes{guest=\"web\",role=\"blk0\",uid=\"7\"} 67108864\n"));
	/* All samples of a metric follow each other, after one TYPE. */
	assert_true(shows("# TYPE lguest_sep_port_max_bytes gauge\n"
			  "lguest_sep_port_max_bytes{guest=\"web\",port=\"log\",uid=\"7\"} 65536\n"
			  "lguest_sep_port_max_bytes{guest=\"web\",port=\"Log\",uid=\"7\"} 65536\n#"));
}

/* Controld may be taken: what it sends is quoted. */
static void text_is_quoted_in_json(void **state)
{
	(void)state;
	got = (struct shown_parts){ .known = true, .n = 2 };
	got.part[0] = (struct guest_part){ .kind = PART_SHARE, .where = "/a\"b\\c", .what = "t\"" };
	got.part[1] = (struct guest_part){ .kind = PART_FORWARD, .name = "net0", .where = "  tcp:1:2   \"x\" " };
	capture();
	show_status(&shown, &got, true);
	captured();
	assert_true(shows("\"tag\": \"t\\\"\", \"path\": \"/a\\\"b\\\\c\""));
	assert_true(shows("\"ports\": [\"tcp:1:2\", \"\\\"x\\\"\"]"));
}

#define T(f) cmocka_unit_test_setup(f, begin)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(each_part_is_sent),
		T(a_lying_share_stays_within_its_limit),
		T(the_ports_of_run_are_no_ports),
		T(a_long_path_keeps_its_end),
		T(more_forwards_than_fit),
		T(status_shows_limits_and_parts),
		T(a_list_that_did_not_come_is_not_empty),
		T(numbers_reach_prometheus),
		T(text_is_quoted_in_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
