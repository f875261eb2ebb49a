/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Promise: after a reset (--checkpoint) no frame reaches the guest that came for it before, from a tap or from passt, and
 * none is sent that the guest had offered before; frames that come later pass. A checkpoint loses no frame of a tap.
 */
#include <netinet/in.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "tests/unit/netd_rig.h"

#define ROOM	1526u
#define STRIDE	2048u
#define CAPTURE 200

/* Where the rings stood at the checkpoint, and the indices in their memory. */
static struct vhu_rings kept;
static uint16_t rx_avail, rx_used, tx_avail, tx_used;

static void hold(struct vhu_rings *at)
{
	struct vhu_msg m;

	assert_true(front_send(&rig.f, VHU_HOLD, 0, NULL, 0, NULL, 0) && front_recv(&rig.f, &m, PATIENCE_MS));
	assert_int_equal(m.request, VHU_HOLD);
	*at = m.rings;
}

static void go(enum vhu_go what)
{
	struct vhu_rings r = kept;

	r.what = what;
	assert_int_equal(front_ack(&rig.f, VHU_GO, &r, sizeof(r), NULL, 0), 0);
}

static void checkpoint(void)
{
	hold(&kept);
	rx_avail = rig.rx->avail_idx;
	tx_avail = rig.tx->avail_idx;
	rx_used = rig.rx->used->idx;
	tx_used = rig.tx->used->idx;
	go(VHU_GO_CHECKPOINT);
}

/* As the vCPU process does it: memory goes back while the rings stand still. */
static void reset(void)
{
	struct vhu_rings at;

	hold(&at);
	rig.rx->avail->idx = rig.rx->avail_idx = rx_avail;
	rig.tx->avail->idx = rig.tx->avail_idx = tx_avail;
	rig.rx->used->idx = rig.rx->used_seen = rx_used;
	rig.tx->used->idx = rig.tx->used_seen = tx_used;
	go(VHU_GO_RESET);
}

static void give(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		const struct front_buf b = { BUFFERS + rig.rx->avail_idx % 256u * STRIDE, ROOM, true };

		front_offer(rig.rx, front_chain(rig.rx, &b, 1));
	}
	front_kick(rig.rx);
}

/* netd has looked at everything that was sent to it: the counters stay the same, and a call is answered by the loop. */
static void settle(void)
{
	uint64_t before;

	do {
		before = stats().wakeups;
		usleep(2000);
	} while (stats().wakeups > before + 2);
}

/* The next frame that reaches the guest is the one with @tag. */
static void arrives(uint32_t tag)
{
	uint32_t id, len;

	assert_true(front_wait_used(rig.rx, &id, &len, PATIENCE_MS));
	assert_int_equal(len, HDR + 60);
	expect_frame(at(rig.rx->desc[id].addr + HDR), 60, tag);
}

static void begin_checkpoint(bool pairs)
{
	rig_checkpoint = true;
	if (pairs)
		begin_two_pairs();
	else
		begin(MODERN);
}

static void frames_from_before_a_reset_do_not_arrive(void **state)
{
	(void)state;
	begin_checkpoint(false);
	give(1);
	checkpoint();
	for (uint32_t i = 0; i < 20; i++) {
		/* The first one waits in netd for a second buffer, the others in the tap. */
		tap_send(0, &plain, i & 1 ? 60 : 2 * ROOM, 7);
		for (unsigned n = 0; n < 10; n++)
			tap_send(0, &plain, 60, 8);
		settle();
		reset();
		tap_send(0, &plain, 60, 100 + i);
		arrives(100 + i);
	}
	end();
}

/* The first 16 are read alone, the others together: as many as the guest has buffers, but the large one takes two. */
static void nor_do_frames_that_were_read_together(void **state)
{
	(void)state;
	rig_batch = true;
	begin_checkpoint(false);
	checkpoint();
	for (unsigned i = 0; i < 24; i++)
		tap_send(0, &plain, i == 16 ? 2 * ROOM : 60, 7);
	give(20);
	settle();
	assert_int_equal(stats().frames_in, 18);
	reset();
	tap_send(0, &plain, 60, 9);
	give(1);
	arrives(9);
	end();
	rig_batch = false;
}

/* The frames of a tap whose own queues are not in use go to queue 0. */
static void nor_do_frames_of_a_pair_that_is_not_in_use(void **state)
{
	(void)state;
	begin_checkpoint(true);
	give(1);
	checkpoint();
	tap_send(1, &plain, 2 * ROOM, 7);
	tap_send(1, &plain, 60, 8);
	settle();
	reset();
	tap_send(0, &plain, 60, 9);
	arrives(9);
	give(8);
	tap_send(1, &plain, 60, 10);
	arrives(10);
	end();
}

static void a_checkpoint_loses_no_frame_of_the_tap(void **state)
{
	(void)state;
	begin_checkpoint(false);
	for (uint32_t i = 0; i < 10; i++)
		tap_send(0, &plain, 60, i);
	settle();
	checkpoint();
	give(10);
	for (uint32_t i = 0; i < 10; i++)
		arrives(i);
	end();
}

/* 200 frames wait, and so does the request, when netd runs again: it stops while it reads many at once. */
static void a_checkpoint_in_the_middle_of_many_loses_none(void **state)
{
	struct vhu_msg m;
	int status;

	(void)state;
	rig_batch = true;
	begin_checkpoint(false);
	give(200);
	settle();
	assert_int_equal(kill(rig.pid, SIGSTOP), 0);
	assert_int_equal(waitpid(rig.pid, &status, WUNTRACED), rig.pid);
	for (uint32_t i = 0; i < 200; i++)
		tap_send(0, &plain, 60, i);
	assert_true(front_send(&rig.f, VHU_HOLD, 0, NULL, 0, NULL, 0));
	assert_int_equal(kill(rig.pid, SIGCONT), 0);
	assert_true(front_recv(&rig.f, &m, PATIENCE_MS));
	assert_int_equal(m.request, VHU_HOLD);
	kept = m.rings;
	/* Some have arrived and some have not; otherwise this tests nothing. */
	assert_in_range(rig.rx->used->idx, 1, 199);
	go(VHU_GO_CHECKPOINT);
	for (uint32_t i = 0; i < 200; i++)
		arrives(i);
	end();
	rig_batch = false;
}

/* A frame of a pair that is not in use waits for queue 0. It has an offload that the next driver does not take. */
static void a_frame_of_another_pair_ends_with_the_features(void **state)
{
	const struct virtio_net_hdr csum = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
					     .csum_start = 34,
					     .csum_offset = 16 };
	const uint64_t few = MODERN | BIT64(VIRTIO_NET_F_MQ);
	struct net_config c = base_config();

	(void)state;
	c.queue_pairs = 2;
	begin_with(&c, few | OFFLOADS);
	give(1);
	tap_send(1, &csum, 2 * ROOM, 7);
	settle();
	assert_true(front_queue_stop(rig.rx) >= 0 && front_queue_stop(rig.tx) >= 0);
	assert_int_equal(front_ack_u64(&rig.f, VHU_SET_FEATURES, few), 0);
	rig.rx = front_queue(&rig.f, 0, 256, 0);
	assert_true(front_queue_start(rig.rx));
	give(8);
	tap_send(1, &plain, 60, 9);
	arrives(9);
	end();
}

static void nothing_offered_before_a_reset_is_sent_after_it(void **state)
{
	uint8_t got[HDR + 1514];
	unsigned n = 0;

	(void)state;
	begin_checkpoint(false);
	checkpoint();
	/* More than the tap takes */
	for (unsigned i = 0; i < 250; i++) {
		const struct front_buf b = { BUFFERS + i * STRIDE, sizeof(got), false };

		memset(at(b.gpa), 0, HDR);
		put_frame(at(b.gpa + HDR), 1514, 7);
		front_offer(rig.tx, front_chain(rig.tx, &b, 1));
	}
	front_kick(rig.tx);
	settle();
	reset();
	while (tap_got(0, got, sizeof(got), 0) > 0)
		n++;
	assert_in_range(n, 1, 249);
	frame_passes(HDR, 60, 5);
	assert_int_equal(tap_got(0, got, sizeof(got), 0), -1);
	end();
}

/* Whatever arrives meanwhile, the reset ends: this tap has 2^40 frames for the guest. */
static void a_flood_does_not_hold_a_reset_up(void **state)
{
	uint64_t many = 1ull << 40;
	int fd = eventfd(0, EFD_SEMAPHORE | EFD_NONBLOCK);

	(void)state;
	rig_other_tap = fcntl(fd, F_DUPFD_CLOEXEC, 200);
	assert_true(rig_other_tap >= 0 && write(fd, &many, sizeof(many)) == sizeof(many));
	close(fd);
	begin_checkpoint(false);
	checkpoint();
	reset();
	close(rig_other_tap);
	rig_other_tap = -1;
	end();
}

static void a_capture_has_the_dropped_frames(void **state)
{
	static const char why[] = "it came before a reset";
	static uint8_t file[8192];
	struct net_config c = base_config();
	int fd = memfd_create("capture", 0);

	(void)state;
	rig_checkpoint = true;
	rig_capture = fcntl(fd, F_DUPFD_CLOEXEC, CAPTURE);
	assert_true(rig_capture >= CAPTURE && fcntl(rig_capture, F_SETFL, O_APPEND) == 0);
	c.capture_max = sizeof(file);
	begin_with(&c, MODERN);
	checkpoint();
	tap_send(0, &plain, 60, 7);
	reset();
	end();
	assert_true(pread(fd, file, sizeof(file), 0) > 0);
	assert_non_null(memmem(file, sizeof(file), why, sizeof(why) - 1));
	close(rig_capture);
	close(fd);
	rig_capture = -1;
}

/* ---- passt ---- */

/* A UDP packet between port @port of a machine outside and port 9 of the guest. */
static size_t udp(uint8_t *f, bool to_guest, uint16_t port)
{
	const uint8_t guest_ip[4] = { 10, 5, 0, 9 }, far_ip[4] = { 10, 7, 7, 7 };

	memset(f, 0, 60);
	memcpy(f + (to_guest ? 0 : ETH_ALEN), mac, ETH_ALEN);
	f[12] = 8;
	f[14] = 0x45;
	f[17] = 46;
	f[23] = IPPROTO_UDP;
	memcpy(f + 26, to_guest ? far_ip : guest_ip, 4);
	memcpy(f + 30, to_guest ? guest_ip : far_ip, 4);
	f[to_guest ? 34 : 36] = (uint8_t)(port >> 8);
	f[to_guest ? 35 : 37] = (uint8_t)port;
	f[to_guest ? 37 : 35] = 9;
	f[39] = 26;
	return 60;
}

static void from_passt(const uint8_t *f, size_t from, size_t to)
{
	uint8_t b[STREAM_PREFIX + 60] = { 0, 0, 0, 60 };

	memcpy(b + STREAM_PREFIX, f, 60);
	assert_int_equal(send(rig.tap[0], b + from, to - from, 0), to - from);
}

/* The guest sends to @port of that machine. True if passt gets it. */
static bool passt_gets(uint16_t port)
{
	uint8_t got[STREAM_PREFIX + 60];
	uint64_t before = stats().dropped_reach;

	memset(at(BUFFERS), 0, HDR);
	udp(at(BUFFERS + HDR), false, port);
	assert_true(send_frame(HDR, 60));
	if (stats().dropped_reach > before)
		return false;
	assert_int_equal(tap_got(0, got, sizeof(got), PATIENCE_MS), sizeof(got));
	return true;
}

static void begin_passt(void)
{
	struct net_config c = base_config();

	c.vnet_hdr = c.offload = false;
	c.user = (struct user_config){ .on = true, .restricted = true };
	rig_checkpoint = true;
	rig_tap_type = SOCK_STREAM;
	begin_with(&c, MODERN);
	rig_tap_type = SOCK_SEQPACKET;
}

/* The front-end first: netd ends with an error if passt does. */
static void end_passt(void)
{
	int status;

	front_close(&rig.f);
	assert_int_equal(waitpid(rig.pid, &status, 0), rig.pid);
	assert_int_equal(status, 0);
	close(rig.tap[0]);
	close(rig.tap[1]);
	close(rig.ctl);
}

/* Its length has arrived, or a part of the frame, or nothing of it. */
static void a_frame_of_passt_that_has_begun_is_dropped(void **state)
{
	static const size_t parts[] = { 0, 1, 4, 5, 30, 63 };
	uint8_t old[60], new[60];
	uint32_t id, len;

	(void)state;
	begin_passt();
	udp(old, true, 1000);
	udp(new, true, 2000);
	give(1);
	checkpoint();
	for (unsigned i = 0; i < ARRAY_SIZE(parts); i++) {
		if (i)
			from_passt(old, 0, 64);
		from_passt(old, 0, parts[i]);
		settle();
		reset();
		if (parts[i])
			from_passt(old, parts[i], 64);
		from_passt(new, 0, 64);
		assert_true(front_wait_used(rig.rx, &id, &len, PATIENCE_MS));
		assert_int_equal(len, HDR + 60);
		assert_memory_equal(at(rig.rx->desc[id].addr + HDR), new, 60);
	}
	end_passt();
}

/* With restrict the guest may answer every address that has written to it. */
static void what_the_guest_may_answer_goes_back(void **state)
{
	uint8_t f[60];
	uint32_t id, len;

	(void)state;
	begin_passt();
	give(4);
	udp(f, true, 1000);
	from_passt(f, 0, 64);
	assert_true(front_wait_used(rig.rx, &id, &len, PATIENCE_MS));
	assert_true(passt_gets(1000));
	checkpoint();
	udp(f, true, 2000);
	from_passt(f, 0, 64);
	assert_true(front_wait_used(rig.rx, &id, &len, PATIENCE_MS));
	assert_true(passt_gets(2000));
	/* This one is dropped. */
	hold(&(struct vhu_rings){ 0 });
	udp(f, true, 3000);
	from_passt(f, 0, 64);
	reset();
	assert_true(passt_gets(1000));
	assert_false(passt_gets(2000));
	assert_false(passt_gets(3000));
	end_passt();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_from_before_a_reset_do_not_arrive),
		cmocka_unit_test(nor_do_frames_that_were_read_together),
		cmocka_unit_test(nor_do_frames_of_a_pair_that_is_not_in_use),
		cmocka_unit_test(a_checkpoint_loses_no_frame_of_the_tap),
		cmocka_unit_test(a_checkpoint_in_the_middle_of_many_loses_none),
		cmocka_unit_test(a_frame_of_another_pair_ends_with_the_features),
		cmocka_unit_test(nothing_offered_before_a_reset_is_sent_after_it),
		cmocka_unit_test(a_flood_does_not_hold_a_reset_up),
		cmocka_unit_test(a_capture_has_the_dropped_frames),
		cmocka_unit_test(a_frame_of_passt_that_has_begun_is_dropped),
		cmocka_unit_test(what_the_guest_may_answer_goes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
