/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A message that breaks a rule is refused and counted, and changes nothing. The connection
 * ends only if message boundaries are lost.
 */
#include <fcntl.h>
#include <linux/virtio_config.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/backend_private.h"
#include "tests/unit/common_backend_rig.h"

#define PAGE 0x1000ull

static void begin(const struct echo_options *o)
{
	begin_with(o, ALL, NULL);
}

static int setup(void **state)
{
	(void)state;
	begin(&(struct echo_options){ 0 });
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return front_close(&f);
}

static struct front_queue *start(unsigned q)
{
	struct front_queue *fq = front_queue(&f, q, 8, GPA + q * 0x10000);

	assert_true(front_queue_start(fq));
	return fq;
}

/* Every request at every wrong size: none is accepted, and the ring keeps running. */
static void every_message_at_every_wrong_size(void **state)
{
	struct front_queue *q = start(0);
	uint8_t bytes[512] = { 0 };

	(void)state;
	for (uint32_t request = 0; request < 70; request++) {
		for (uint32_t size = 0; size <= 512; size += size < 48 ? 1 : 29) {
			struct vhu_msg shape = { .request = request, .flags = VHU_VERSION, .size = size };
			struct vhu_msg m;

			if (vhu_shape_ok(&shape) || request == VHU_GET_CONFIG || request == VHU_SET_CONFIG)
				continue;
			assert_true(front_send(&f, request, VHU_NEED_REPLY, bytes, size, NULL, 0));
			assert_true(front_recv(&f, &m, PATIENCE_MS));
			assert_int_equal(m.request, request);
			assert_true(m.flags & VHU_REPLY);
			assert_true(m.size == 0 || (m.size == 8 && m.u64 == 1));
		}
		alive(q);
	}
	assert_int_equal(counters().starts, 1);
}

static void a_stream_that_cannot_be_followed_ends(void **state)
{
	static const uint32_t bad[][3] = {
		{ VHU_GET_FEATURES, 0, 0 },
		{ VHU_GET_FEATURES, 2, 0 },
		{ VHU_SET_FEATURES, VHU_VERSION, 513 },
		{ VHU_SET_FEATURES, VHU_VERSION, UINT32_MAX },
	};

	(void)state;
	front_close(&f);
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		begin(&(struct echo_options){ 0 });
		start(0);
		assert_true(front_raw(&f, bad[i], 12, &f.memfd, 1));
		assert_true(front_closed(&f, PATIENCE_MS));
		assert_int_equal(front_close(&f), 1);
	}
	begin(&(struct echo_options){ 0 });
}

static void config_is_read_and_written_within_bounds(void **state)
{
	static const struct {
		uint32_t offset, size;
		bool ok;
	} reads[] = {
		{ 0, 28, true },   { 0, 72, true },	{ 0, 256, true },  { 27, 1, true },
		{ 28, 4, true },   { 255, 1, true },	{ 256, 0, true },  { 0, 257, false },
		{ 1, 256, false }, { 256, 1, false },	{ 257, 0, false }, { UINT32_MAX, 2, false },
		{ 4, UINT32_MAX, false },
	}, writes[] = {
		{ 24, 1, true },   { 24, 2, false },	{ 0, 4, false },   { 28, 1, false },
		{ 27, 2, false },  { UINT32_MAX, 1, false }, { 24, 0, false },
		{ 24, UINT32_MAX, false },
	};
	uint8_t got[256];

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(reads); i++) {
		struct vhu_config c = { .offset = reads[i].offset, .size = reads[i].size };
		struct vhu_msg m;

		memset(c.data, 0xff, sizeof(c.data));
		assert_true(front_send(&f, VHU_GET_CONFIG, 0, &c, 12 + MIN(c.size, 256u), NULL, 0));
		assert_true(front_recv(&f, &m, PATIENCE_MS));
		assert_int_equal(m.size, reads[i].ok ? 12 + c.size : 0);
		for (uint32_t b = 0; b + 12 < m.size; b++)
			assert_true(c.offset + b < sizeof(struct echo_config) || !m.config.data[b]);
	}
	/* Behind our own configuration there is nothing, and it is zeroes. */
	assert_true(front_get_config(&f, sizeof(struct echo_config), 72, got));
	for (unsigned i = 0; i < 72; i++)
		assert_int_equal(got[i], 0);
	for (unsigned i = 0; i < ARRAY_SIZE(writes); i++) {
		struct vhu_config c = { .offset = writes[i].offset, .size = writes[i].size };

		assert_int_equal(front_ack(&f, VHU_SET_CONFIG, &c, 12 + MAX(MIN(c.size, 256u), 1u), NULL, 0),
				 !writes[i].ok);
		if (writes[i].size != 1)
			continue;
		c.size = 2; /* says more than it brings */
		assert_int_equal(front_ack(&f, VHU_SET_CONFIG, &c, 13, NULL, 0), 1);
	}
}

struct table_case {
	uint32_t n;
	struct vhu_mem_region r[3];
};

static void bad_memory_tables_change_nothing(void **state)
{
	static const struct table_case bad[] = {
		{ 1, { { 0, PAGE, 0, 64 * PAGE } } }, /* past the file */
		{ 1, { { 0, 65 * PAGE, 0, 0 } } },
		{ 1, { { 0, PAGE, 0, UINT64_MAX - PAGE + 1 } } }, /* wraps */
		{ 1, { { UINT64_MAX - PAGE + 1, 2 * PAGE, 0, 0 } } },
		{ 1, { { 0, 0, 0, 0 } } },
		{ 1, { { 0, PAGE, 0, 63 * PAGE + 1 } } },			/* by a byte */
		{ 2, { { 0, 2 * PAGE, 0, 0 }, { PAGE, PAGE, 0x9000000, 0 } } }, /* overlaps */
		{ 3, { { 0, PAGE, 0, 0 }, { PAGE, PAGE, PAGE, 0 }, { 0, PAGE, 0x900000, 0 } } },
	};
	struct front_queue *q = start(0);
	int fd = front_memfd(64 * PAGE, true), fds[3] = { fd, fd, fd };
	struct vhu_mem_table t = { 0 };
	uint32_t nine[2 + 8 * 9] = { 0 };
	uint32_t before = counters().open_fds;

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		t.nregions = bad[i].n;
		memcpy(t.regions, bad[i].r, sizeof(bad[i].r));
		assert_int_equal(front_ack(&f, VHU_SET_MEM_TABLE, &t, 8 + 32 * t.nregions, fds, t.nregions), 1);
		alive(q);
	}
	t.nregions = 0;
	assert_int_equal(front_ack(&f, VHU_SET_MEM_TABLE, &t, 8, NULL, 0), 1);
	nine[0] = 9;
	assert_int_equal(front_ack(&f, VHU_SET_MEM_TABLE, nine, 8 + 32 * 9, fds, 3), 1);
	alive(q);
	assert_int_equal(counters().mappings, 1);
	assert_int_equal(counters().open_fds, before);
	close(fd);
}

static void memory_that_is_none_is_refused(void **state)
{
	struct vhu_mem_reg r = { .region = { .gpa = 0, .size = PAGE, .uva = 0x1000 } };
	struct front_queue *q = start(0);
	int pipes[2], fds[7];

	(void)state;
	assert_int_equal(pipe(pipes), 0);
	fds[0] = pipes[0];
	fds[1] = open("/tmp", O_RDONLY | O_DIRECTORY);
	fds[2] = open("/dev/zero", O_RDWR);
	fds[3] = open("/proc/self/exe", O_RDONLY);
	fds[4] = front_memfd(PAGE, false);
	fds[5] = f.sock;
	fds[6] = q->kick;
	for (unsigned i = 0; i < ARRAY_SIZE(fds); i++)
		assert_int_equal(front_ack(&f, VHU_ADD_MEM_REG, &r, sizeof(r), &fds[i], 1), 1);
	alive(q);
	assert_int_equal(counters().mappings, 1);
	for (unsigned i = 0; i < 5; i++)
		close(fds[i]);
	close(pipes[1]);
}

/* Under the supervisor, only the memory that the parent made is accepted. */
static void memory_of_another_guest_is_refused(void **state)
{
	struct vhu_mem_reg r = { .region = { .gpa = 0, .size = PAGE, .uva = 0x1000 } };
	int other = front_memfd(PAGE, true);

	(void)state;
	front_close(&f);
	begin(&(struct echo_options){ .same_inode = true });
	assert_int_equal(front_ack(&f, VHU_ADD_MEM_REG, &r, sizeof(r), &other, 1), 1);
	assert_int_equal(counters().mappings, 1);
	alive(start(0));
	close(other);
}

static void bad_inflight_areas_are_refused(void **state)
{
	static const struct vhu_inflight bad[] = {
		{ 0, 0, 1, 8, 0 },	     { 63, 0, 1, 8, 0 },
		{ 8 * PAGE, 0, 17, 8, 0 },   { 8 * PAGE, 0, 0, 8, 0 },
		{ 8 * PAGE, 0, 1, 0, 0 },    { 8 * PAGE, 0, 1, 2048, 0 },
		{ 8 * PAGE, PAGE, 1, 8, 0 }, { 8 * PAGE, 8, 1, 8, 0 },
		{ UINT64_MAX, 0, 1, 8, 0 },  { PAGE, UINT64_MAX - PAGE + 1, 1, 8, 0 },
		{ 9 * PAGE, 0, 1, 8, 0 },
	};
	struct vhu_inflight i = { .num_queues = 3, .queue_size = 8 };
	int fd = front_memfd(8 * PAGE, true), unsealed = front_memfd(8 * PAGE, false);
	struct front_queue *q;
	struct vhu_msg m;

	(void)state;
	for (unsigned k = 0; k < ARRAY_SIZE(bad); k++)
		assert_int_equal(front_ack(&f, VHU_SET_INFLIGHT_FD, &bad[k], 24, &fd, 1), 1);
	assert_true(front_send(&f, VHU_GET_INFLIGHT_FD, 0, &i, 24, NULL, 0));
	assert_true(front_recv(&f, &m, PATIENCE_MS));
	assert_int_equal(m.size, 0);
	for (unsigned k = 0; k < 200; k++) {
		i = (struct vhu_inflight){ .num_queues = 2, .queue_size = 8 };
		assert_true(front_send(&f, VHU_GET_INFLIGHT_FD, 0, &i, 20, NULL, 0));
		assert_true(front_recv(&f, &m, PATIENCE_MS));
		assert_int_equal(m.size, 20);
		assert_int_equal(m.nfds, 1);
		close(m.fds[0]);
	}
	assert_true(counters().open_fds < 16);
	i = (struct vhu_inflight){ 8 * PAGE, 0, 2, 8, 0 };
	assert_int_equal(front_ack(&f, VHU_SET_INFLIGHT_FD, &i, 20, &unsealed, 1), 1);
	assert_int_equal(front_ack(&f, VHU_SET_INFLIGHT_FD, &i, 20, &fd, 1), 0);
	q = start(0);
	alive(q);
	/* Refused while rings run, and for a ring larger than the area. */
	assert_int_equal(front_ack(&f, VHU_SET_INFLIGHT_FD, &i, 20, &fd, 1), 1);
	assert_int_equal(front_queue_stop(q), 1);
	q = front_queue(&f, 0, 16, GPA);
	assert_true(front_queue_setup(q, 0));
	assert_int_equal(front_ack_fd(&f, VHU_SET_VRING_KICK, 0, q->kick), 1);
	close(fd);
	close(unsealed);
}

static void acknowledgements_only_where_they_were_agreed(void **state)
{
	struct vhu_msg m;
	uint64_t none = 0;

	(void)state;
	assert_int_equal(front_ack_u64(&f, VHU_SET_PROTOCOL_FEATURES, none), 0);
	assert_true(front_send(&f, VHU_SET_OWNER, VHU_NEED_REPLY, NULL, 0, NULL, 0));
	assert_true(front_send(&f, VHU_SET_FEATURES, VHU_NEED_REPLY, &none, 8, NULL, 0));
	/* The next answer belongs to the next request: the refused one got none. */
	assert_true(front_send(&f, VHU_GET_QUEUE_NUM, VHU_NEED_REPLY, NULL, 0, NULL, 0));
	assert_true(front_recv(&f, &m, PATIENCE_MS));
	assert_int_equal(m.request, VHU_GET_QUEUE_NUM);
	assert_int_equal(m.u64, ECHO_QUEUES);
	assert_false(front_recv(&f, &m, 50));
}

/* In a process of its own, which takes the number of the channel: exits with the line that failed, or 0. */
static void tell_twice(void)
{
	struct backend be = { .by_path = true, .have_ctl = true, .front = FRONT_SILENT };
	struct ctl_msg m = { .type = CTL_READY };
	int end[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, end) < 0)
		_exit(__LINE__);
	if (end[0] != HFD_CTL && dup2(end[0], HFD_CTL) < 0)
		_exit(__LINE__);
	while (ctl_send(HFD_CTL, &m) == 0)
		;
	backend_tell_front(&be, FRONT_IDLE);
	while (ctl_recv(end[1], &m) > 0)
		if (m.type != CTL_READY)
			_exit(__LINE__);
	backend_tell_front(&be, FRONT_IDLE);
	if (ctl_recv(end[1], &m) <= 0 || m.type != CTL_FRONT || m.value != FRONT_IDLE)
		_exit(__LINE__);
	backend_tell_front(&be, FRONT_IDLE);
	_exit(ctl_recv(end[1], &m) > 0 ? __LINE__ : 0);
}

static void what_a_full_channel_loses_is_told_again(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	if (!pid)
		tell_twice();
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(every_message_at_every_wrong_size),
		T(a_stream_that_cannot_be_followed_ends),
		T(config_is_read_and_written_within_bounds),
		T(bad_memory_tables_change_nothing),
		T(memory_that_is_none_is_refused),
		T(memory_of_another_guest_is_refused),
		T(bad_inflight_areas_are_refused),
		T(acknowledgements_only_where_they_were_agreed),
		cmocka_unit_test(what_a_full_channel_loses_is_told_again),
	};

	alarm(120);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
