/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The control channel accepts only whole packets of a known type, with NUL-terminated and
 * printable strings, and never a descriptor.
 */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/ctl.h"

static int s[2];

static int setup(void **state)
{
	(void)state;
	return socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s);
}

static int teardown(void **state)
{
	(void)state;
	close(s[0]);
	close(s[1]);
	return 0;
}

static void test_good(void **state)
{
	struct ctl_msg m = { .type = CTL_STATS };

	(void)state;
	assert_int_equal(ctl_recv(s[0], &m), 0);
	m.stats.requests = 77;
	assert_int_equal(ctl_send(s[1], &m), 0);
	memset(&m, 0, sizeof(m));
	assert_int_equal(ctl_recv(s[0], &m), 1);
	assert_true(m.type == CTL_STATS && m.stats.requests == 77);
	assert_int_equal(ctl_send_text(s[1], CTL_GUEST_END, GUEST_PANIC, "Attempted to kill init!"), 0);
	assert_int_equal(ctl_recv(s[0], &m), 1);
	assert_true(m.type == CTL_GUEST_END && m.value == GUEST_PANIC);
	assert_string_equal(m.text, "Attempted to kill init!");
}

static void refused(const void *packet, size_t size)
{
	struct ctl_msg m;

	assert_int_equal(send(s[1], packet, size, 0), (ssize_t)size);
	assert_int_equal(ctl_recv(s[0], &m), -1);
	assert_int_equal(errno, EPROTO);
}

static void accepted(struct ctl_msg *m)
{
	assert_int_equal(ctl_send(s[1], m), 0);
	assert_int_equal(ctl_recv(s[0], m), 1);
}

static void test_hostile_packets(void **state)
{
	struct ctl_msg m = { .type = CTL_LOG };
	char big[sizeof(m) + 1] = { CTL_LOG };

	(void)state;
	refused(&m, 1);
	refused(&m, sizeof(m) - 1);
	refused(big, sizeof(big));
	m.type = 0;
	refused(&m, sizeof(m));
	m.type = CTL_RUNNING + 1;
	refused(&m, sizeof(m));
	m.type = CTL_CONFIG;
	refused(&m, sizeof(m));
	m = (struct ctl_msg){ .type = CTL_LOG, .value = LOG_DEBUG + 1 };
	refused(&m, sizeof(m));
	m = (struct ctl_msg){ .type = CTL_GUEST_END, .value = 0 };
	refused(&m, sizeof(m));
	m.value = GUEST_REPORTED + 1;
	refused(&m, sizeof(m));
	m = (struct ctl_msg){ .type = CTL_GUEST_END, .value = GUEST_REPORTED, .detail = 256 };
	refused(&m, sizeof(m));
	m = (struct ctl_msg){ .type = CTL_ROUND, .value = RESET_ONS + 1 };
	refused(&m, sizeof(m));
	m = (struct ctl_msg){ .type = CTL_LOG };
	memset(m.text, 'a', sizeof(m.text)); /* without its NUL */
	refused(&m, sizeof(m));
	m.type = CTL_FAULT;
	refused(&m, sizeof(m));
	m.type = CTL_OVER;
	refused(&m, sizeof(m));
	m.type = CTL_FRONT;
	refused(&m, sizeof(m));
	m = (struct ctl_msg){ .type = CTL_COMMAND, .value = CONTROL_NONE };
	refused(&m, sizeof(m));
	m.value = CONTROL_COUNT;
	refused(&m, sizeof(m));
	m = (struct ctl_msg){ .type = CTL_ANSWER, .value = CONTROL_BUSY + 1 };
	refused(&m, sizeof(m));
	m = (struct ctl_msg){ .type = CTL_SYSRQ, .value = 'a' + 256 };
	refused(&m, sizeof(m));
	m.value = '\0';
	refused(&m, sizeof(m));
	m = (struct ctl_msg){ .type = CTL_CONSOLE, .count = sizeof(m.text) + 1 };
	refused(&m, sizeof(m));
	m = (struct ctl_msg){ .type = CTL_STATE, .state.phase = GUEST_PHASES_COUNT };
	refused(&m, sizeof(m));
	m = (struct ctl_msg){ .type = CTL_STATE, .state.engine = ENGINE_QEMU + 1 };
	refused(&m, sizeof(m));
	m = (struct ctl_msg){ .type = CTL_STATE };
	memset(m.state.name, 'a', sizeof(m.state.name));
	refused(&m, sizeof(m));
	m = (struct ctl_msg){ .type = CTL_STATE };
	memset(m.state.kernel, 'a', sizeof(m.state.kernel));
	refused(&m, sizeof(m));
	m = (struct ctl_msg){ .type = CTL_ROLE_STATS, .queue = 1, .count = 1 };
	refused(&m, sizeof(m));
	m = (struct ctl_msg){ .type = CTL_ROLE_STATS, .queue = 1, .count = MAX_STATS_ROLES + 1 };
	refused(&m, sizeof(m));
	m = (struct ctl_msg){ .type = CTL_ROLE_STATS, .count = 1 };
	memset(m.role_stats.name, 'a', sizeof(m.role_stats.name));
	refused(&m, sizeof(m));
}

static void test_hostile_parts(void **state)
{
	const struct ctl_msg good = { .type = CTL_PART, .count = 1 };
	struct ctl_msg m = good;

	(void)state;
	accepted(&m);
	m.part.kind = PART_KINDS;
	refused(&m, sizeof(m));
	m = good;
	m.part.detail = NET_KIND_COUNT;
	refused(&m, sizeof(m));
	m = good;
	m.queue = 1;
	refused(&m, sizeof(m));
	m.count = MAX_PARTS + 1;
	refused(&m, sizeof(m));
	m.count = MAX_PARTS;
	accepted(&m);
	/* Strings that do not end; and control characters. */
	m = good;
	memset(m.part.name, 'a', sizeof(m.part.name));
	refused(&m, sizeof(m));
	m = good;
	memset(m.part.what, 'a', sizeof(m.part.what));
	refused(&m, sizeof(m));
	m = good;
	memset(m.part.ifname, 'a', sizeof(m.part.ifname));
	refused(&m, sizeof(m));
	m = good;
	memset(m.part.where, 'a', sizeof(m.part.where));
	refused(&m, sizeof(m));
	m = good;
	memcpy(m.part.name, "a\x1b", 3);
	memcpy(m.part.what, "b\x07", 3);
	memcpy(m.part.ifname, "c\x9b", 3);
	memcpy(m.part.where, "/d\n", 4);
	accepted(&m);
	assert_string_equal(m.part.name, "a?");
	assert_string_equal(m.part.what, "b?");
	assert_string_equal(m.part.ifname, "c?");
	assert_string_equal(m.part.where, "/d?");
}

static void test_text_is_made_printable(void **state)
{
	struct ctl_msg m = { .type = CTL_LOG, .text = "\x1b]0;x\a \x9b 31m \x7f\r\nend" };

	(void)state;
	assert_int_equal(ctl_send(s[1], &m), 0);
	assert_int_equal(ctl_recv(s[0], &m), 1);
	for (const char *p = m.text; *p; p++)
		assert_true(*p >= 0x20 && *p < 0x7f);
	assert_string_equal(m.text + strlen(m.text) - 3, "end");
}

static unsigned count_fds(void)
{
	unsigned n = 0;
	DIR *d = opendir("/proc/self/fd");

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void test_no_descriptor_comes_in(void **state)
{
	struct ctl_msg m = { .type = CTL_RUNNING };
	union {
		char buf[CMSG_SPACE(200 * sizeof(int))];
		struct cmsghdr align;
	} control = { .buf = { 0 } };
	struct iovec iov = { &m, sizeof(m) };
	struct msghdr mh = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&mh);
	unsigned before = count_fds();
	int fds[200];

	(void)state;
	for (int i = 0; i < 200; i++)
		fds[i] = s[0];
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fds));
	memcpy(CMSG_DATA(c), fds, sizeof(fds));
	for (int i = 0; i < 100; i++) {
		assert_int_equal(sendmsg(s[1], &mh, 0), (ssize_t)sizeof(m));
		assert_int_equal(ctl_recv(s[0], &m), -1);
		assert_int_equal(errno, EPROTO);
		m = (struct ctl_msg){ .type = CTL_RUNNING };
	}
	assert_int_equal(count_fds(), before);
}

static void test_peer_gone(void **state)
{
	struct ctl_msg m = { .type = CTL_RUNNING };
	int p[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, p), 0);
	close(p[1]);
	assert_int_equal(ctl_recv(p[0], &m), -1);
	assert_int_equal(ctl_send(p[0], &m), -1); /* and no SIGPIPE */
	close(p[0]);
}

static struct role_config good(enum role role)
{
	struct role_config rc = { .type = CTL_CONFIG, .role = role, .name = "blk0" };

	if (role == ROLE_VCPU) {
		rc.vcpu.smp = 1;
		rc.vcpu.exit_base = EXIT_PORT;
		rc.vcpu.ndevices = 1;
		rc.vcpu.dev[0].queues = 1;
	} else if (role == ROLE_NETD) {
		rc.net.queue_pairs = 1;
	} else if (role == ROLE_BLKD) {
		rc.blk.queues = 1;
		rc.blk.capacity = 1 << 20;
	} else if (role == ROLE_FSD) {
		rc.fs.inodes = FSD_MIN_INODES;
		rc.fs.open = FSD_MIN_OPEN;
		rc.fs.request_queues = 1;
	}
	return rc;
}

static int take(const struct role_config *rc, size_t size, enum role role)
{
	static struct role_config got;

	assert_int_equal(send(s[1], rc, size, 0), (ssize_t)size);
	return ctl_recv_config(s[0], role, &got);
}

#define WRONG(role, change)                                        \
	do {                                                       \
		struct role_config rc = good(role);                \
		change;                                            \
		assert_int_equal(take(&rc, sizeof(rc), role), -1); \
	} while (0)

static void test_configurations(void **state)
{
	(void)state;
	for (enum role r = ROLE_VCPU; r < ROLE_PASST; r++) {
		struct role_config whole = good(r);

		assert_int_equal(take(&whole, sizeof(whole), r), 0);
		assert_int_equal(take(&whole, sizeof(whole) - 1, r), -1);
		assert_int_equal(take(&whole, sizeof(whole), (r + 1) % ROLE_PASST), -1);
		WRONG(r, rc.type = CTL_STOP);
		WRONG(r, memset(rc.name, 'x', sizeof(rc.name)));
		WRONG(r, rc.log_level = LOG_DEBUG + 1);
	}
	WRONG(ROLE_VCPU, rc.vcpu.ndevices = MAX_DEVICES + 1);
	WRONG(ROLE_VCPU, rc.vcpu.nports = MAX_PORTS + 1);
	WRONG(ROLE_VCPU, (rc.vcpu.nports = 1, memset(rc.vcpu.port[0], 'x', PORT_NAME_MAX)));
	WRONG(ROLE_VCPU, rc.vcpu.exit_port = EXIT_PORT_SIFIVE_TEST + 1);
	WRONG(ROLE_VCPU, rc.vcpu.exit_base = EXIT_PORT_QEMU + 1);
	WRONG(ROLE_VCPU, rc.vcpu.exit_base = 0);
	WRONG(ROLE_VCPU, rc.vcpu.shmem_bytes = 2048);
	WRONG(ROLE_VCPU, rc.vcpu.shmem_bytes = 12288);
	WRONG(ROLE_VCPU, rc.vcpu.shmem_bytes = 2 * SHMEM_MAX);
	WRONG(ROLE_VCPU, rc.vcpu.machine = MACHINE_COUNT);
	WRONG(ROLE_VCPU, rc.vcpu.machine_type = MACHINE_TYPES);
	WRONG(ROLE_VCPU, (rc.vcpu.machine = MACHINE_ARM, rc.vcpu.machine_type = 1));
	WRONG(ROLE_VCPU, (rc.vcpu.ndevices = 1, rc.vcpu.dev[0].queues = 1, rc.vcpu.dev[0].bus = BUS_VIRTIO + 1));
	WRONG(ROLE_VCPU, rc.vcpu.firmware = FIRMWARE_FILE + 1);
	WRONG(ROLE_VCPU, memset(rc.vcpu.cpu, 'x', sizeof(rc.vcpu.cpu)));
	WRONG(ROLE_VCPU, strcpy(rc.vcpu.cpu, "max -device"));
	WRONG(ROLE_VCPU, rc.vcpu.smp = 0);
	WRONG(ROLE_VCPU, rc.vcpu.smp = MAX_VCPUS + 1);
	WRONG(ROLE_VCPU, rc.vcpu.dev[0].queues = MAX_QUEUES + 1);
	WRONG(ROLE_VCPU, rc.vcpu.dev[0].kind = DEV_FS + 1);
	WRONG(ROLE_VCPU, rc.vcpu.dev[0].cache = FS_CACHE_ALWAYS + 1);
	WRONG(ROLE_VCPU, memset(rc.vcpu.dev[0].tag, 'x', sizeof(rc.vcpu.dev[0].tag)));
	WRONG(ROLE_VCPU, memset(rc.vcpu.cmdline, 'x', sizeof(rc.vcpu.cmdline)));
	WRONG(ROLE_VCPU, memset(rc.vcpu.kernel_name, 'x', sizeof(rc.vcpu.kernel_name)));
	WRONG(ROLE_NETD, rc.net.queue_pairs = 0);
	WRONG(ROLE_NETD, rc.net.queue_pairs = MAX_QUEUES / 2 + 1);
	{
		struct role_config whole = good(ROLE_FSD);

		assert_int_equal(take(&whole, sizeof(whole), ROLE_FSD), 0);
	}
	WRONG(ROLE_FSD, rc.fs.inodes = FSD_MIN_INODES - 1);
	WRONG(ROLE_FSD, rc.fs.inodes = FSD_MAX_INODES + 1);
	WRONG(ROLE_FSD, rc.fs.open = FSD_MIN_OPEN - 1);
	WRONG(ROLE_FSD, rc.fs.open = FSD_MAX_OPEN + 1);
	WRONG(ROLE_FSD, rc.fs.request_queues = 0);
	WRONG(ROLE_FSD, rc.fs.request_queues = FS_MAX_REQUEST_QUEUES + 1);
	WRONG(ROLE_FSD, rc.fs.cache = FS_CACHE_ALWAYS + 1);
	WRONG(ROLE_FSD, memset(&rc.fs.tables_lent, 2, 1));
	WRONG(ROLE_FSD, memset(&rc.fs.others_are_root, 255, 1));
	WRONG(ROLE_FSD, memset(&rc.fs.checkpoint, 2, 1));
	WRONG(ROLE_FSD, rc.fs.checkpoint = rc.fs.read_write = true; rc.fs.max = FSD_MIN_MAX);
	WRONG(ROLE_FSD, memset(&rc.fs.saved, 2, 1));
	WRONG(ROLE_FSD, rc.fs.saved = rc.fs.read_write = true; rc.fs.max = FSD_MIN_MAX);
	WRONG(ROLE_FSD, memset(&rc.fs.fresh, 2, 1));
	WRONG(ROLE_FSD, memset(&rc.fs.begins, 2, 1));
	WRONG(ROLE_FSD, rc.fs.fresh = rc.fs.checkpoint = true);
	WRONG(ROLE_FSD, rc.fs.fresh = rc.fs.read_write = true; rc.fs.max = FSD_MIN_MAX);
	WRONG(ROLE_FSD, rc.fs.begins = rc.fs.tables_lent = true);
	WRONG(ROLE_FSD, rc.fs.begins = rc.fs.fresh = true; rc.fs.tables_lent = false);
	WRONG(ROLE_BLKD, rc.blk.queues = 0);
	WRONG(ROLE_BLKD, rc.blk.capacity = 511);
	WRONG(ROLE_BLKD, rc.blk.cache = BLK_CACHE_UNSAFE + 1);
	WRONG(ROLE_BLKD, rc.blk.io = BLK_IO_SYNC + 1);
	WRONG(ROLE_BLKD, memset(rc.blk.serial, 'x', sizeof(rc.blk.serial)));
	WRONG(ROLE_BLKD, memset(&rc.blk.nbd, 2, 1));
	WRONG(ROLE_BLKD, memset(&rc.blk.snapshot, 2, 1));
	WRONG(ROLE_BLKD, memset(&rc.blk.levels, 3, 1));
	WRONG(ROLE_BLKD, memset(&rc.blk.saved, 2, 1));
	WRONG(ROLE_BLKD, memset(&rc.blk.lower, 2, 1));
	WRONG(ROLE_BLKD, memset(&rc.blk.begins, 2, 1));
	WRONG(ROLE_BLKD, rc.blk.lower = true);
	WRONG(ROLE_BLKD, rc.blk.lower = rc.blk.snapshot = rc.blk.levels = true);
	WRONG(ROLE_BLKD, rc.blk.lower = rc.blk.snapshot = rc.blk.saved = true);
}

static void test_layers_have_names(void **state)
{
	(void)state;
	for (int l = 0; l < LAYER_COUNT; l++)
		assert_string_not_equal(layer_text((enum layer)l), "?");
	assert_string_equal(layer_text(LAYER_COUNT), "?");
	assert_string_equal(layer_text((enum layer) - 1), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_good, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hostile_packets, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hostile_parts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_text_is_made_printable, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_descriptor_comes_in, setup, teardown),
		cmocka_unit_test(test_peer_gone),
		cmocka_unit_test_setup_teardown(test_configurations, setup, teardown),
		cmocka_unit_test(test_layers_have_names),
	};

	return cmocka_run_group_tests_name("common_ctl", tests, NULL, NULL);
}
