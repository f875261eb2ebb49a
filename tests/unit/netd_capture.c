/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What netd promises about a capture: the bytes of a pcapng file as its specification has
 * them, both directions, drops with their reason, what was sent and not what the guest made
 * of it afterwards, whole blocks only, and an end at the limit that stops no frame.
 */
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "tests/unit/netd_rig.h"

#define PACKET_HEADER 28u
#define MOST_BLOCKS   4000u

/* One block of the file. */
struct block {
	uint32_t type, flags, captured, original;
	uint64_t us;
	const uint8_t *data;
	char comment[CAPTURE_COMMENT_MAX + 1];
};

static struct {
	int fd;
	size_t len;
	const uint8_t *byte;
	struct block block[MOST_BLOCKS];
	unsigned n;
} file;

static uint32_t word(const uint8_t *p)
{
	uint32_t w;

	memcpy(&w, p, sizeof(w));
	return w;
}

static void new_file(void)
{
	char name[] = "/tmp/lguest-sep-capture-XXXXXX";
	int fd = mkostemp(name, O_APPEND | O_CLOEXEC);

	assert_true(fd >= 0);
	unlink(name);
	file.fd = fcntl(fd, F_DUPFD_CLOEXEC, 200);
	close(fd);
	file.byte = NULL;
	rig_capture = file.fd;
}

static void read_options(struct block *b, const uint8_t *p, const uint8_t *end)
{
	for (;;) {
		unsigned code, len;

		assert_true(end - p >= 4);
		code = word(p) & 0xffff;
		len = word(p) >> 16;
		p += 4;
		if (!code)
			break;
		assert_true(end - p >= (ptrdiff_t)len);
		if (code == 1) {
			assert_true(len < sizeof(b->comment));
			memcpy(b->comment, p, len);
		} else {
			assert_int_equal(code, 2);
			assert_int_equal(len, 4);
			b->flags = word(p);
		}
		p += (len + 3) / 4 * 4;
	}
	assert_true(p == end);
}

/* The file as it is now; every block must be whole. */
static void read_file(void)
{
	struct stat st;
	size_t at = 0;

	if (file.byte)
		munmap((void *)(uintptr_t)file.byte, file.len);
	assert_int_equal(fstat(file.fd, &st), 0);
	file.len = (size_t)st.st_size;
	assert_true(file.len > 0);
	file.byte = mmap(NULL, file.len, PROT_READ, MAP_SHARED, file.fd, 0);
	assert_true(file.byte != MAP_FAILED);
	for (file.n = 0; at < file.len; file.n++) {
		const uint8_t *p = file.byte + at;
		struct block *b = &file.block[file.n];
		uint32_t len;

		assert_true(file.n < MOST_BLOCKS);
		assert_true(file.len - at >= 12);
		memset(b, 0, sizeof(*b));
		b->type = word(p);
		len = word(p + 4);
		assert_true(len >= 12 && len % 4 == 0 && len <= file.len - at);
		assert_int_equal(word(p + len - 4), len);
		if (b->type == 6) {
			assert_int_equal(word(p + 8), 0);
			b->us = (uint64_t)word(p + 12) << 32 | word(p + 16);
			b->captured = word(p + 20);
			b->original = word(p + 24);
			b->data = p + PACKET_HEADER;
			assert_true(b->captured <= len - PACKET_HEADER - 4);
			read_options(b, b->data + (b->captured + 3) / 4 * 4, p + len - 4);
		}
		at += len;
	}
}

/* A frame netd has recorded but the test has not asked for yet: the counters are behind it. */
static const struct block *last(void)
{
	stats();
	read_file();
	return &file.block[file.n - 1];
}

static void begin_capture(uint64_t features, uint64_t max)
{
	struct net_config c = base_config();

	new_file();
	c.capture_max = max;
	begin_with(&c, features);
}

static void end_capture(void)
{
	end();
	if (file.byte)
		munmap((void *)(uintptr_t)file.byte, file.len);
	close(file.fd);
	rig_capture = -1;
}

static void the_file_begins_as_the_format_says(void **state)
{
	static const uint8_t section[] = { 0x0a, 0x0d, 0x0d, 0x0a }, magic[] = { 0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0 };
	static const uint8_t interface[] = { 1, 0, 0, 0, 36,  0,   0,	0,   1, 0, 0, 0, 0,  0, 0, 0,
					     2, 0, 4, 0, 'n', 'e', 't', '0', 0, 0, 0, 0, 32, 0, 0, 0 };
	uint32_t len;

	(void)state;
	begin_capture(MODERN, 1 << 20);
	stats();
	read_file();
	assert_int_equal(file.n, 2);
	assert_memory_equal(file.byte, section, sizeof(section));
	assert_memory_equal(file.byte + 8, magic, sizeof(magic));
	assert_memory_equal(file.byte + 16, "\xff\xff\xff\xff\xff\xff\xff\xff\x04\x00", 10);
	assert_memory_equal(file.byte + 28, "lguest-sep ", 11);
	len = word(file.byte + 4);
	assert_int_equal(word(file.byte + len + 4), 32);
	assert_memory_equal(file.byte + len, interface, 4);
	assert_memory_equal(file.byte + len + 8, interface + 8, sizeof(interface) - 12);
	end_capture();
}

static void both_directions_are_recorded(void **state)
{
	static const size_t sizes[] = { ETH_HLEN, 61, 128, 1514, 1601, FRAME_MAX };
	const struct front_buf room = { BUFFERS + 0x20000, HDR + FRAME_MAX, true };
	struct timespec now;
	uint32_t id, len;

	(void)state;
	begin_capture(MODERN | OFFLOADS, 16 << 20);
	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		frame_passes(HDR, sizes[i], i);
		assert_int_equal(last()->flags, CAPTURE_FROM_GUEST);
		assert_int_equal(last()->captured, sizes[i]);
		assert_int_equal(last()->original, sizes[i]);
		expect_frame(last()->data, sizes[i], i);

		front_offer(rig.rx, front_chain(rig.rx, &room, 1));
		front_kick(rig.rx);
		tap_send(0, &plain, sizes[i], 100 + i);
		assert_true(front_wait_used(rig.rx, &id, &len, PATIENCE_MS));
		assert_int_equal(len, HDR + sizes[i]);
		expect_frame(at(BUFFERS + 0x20000 + HDR), sizes[i], 100 + i);
		assert_int_equal(last()->flags, CAPTURE_TO_GUEST);
		assert_int_equal(last()->captured, sizes[i]);
		expect_frame(last()->data, sizes[i], 100 + i);
		assert_string_equal(last()->comment, "");
	}
	assert_int_equal(file.n, 2 + 2 * ARRAY_SIZE(sizes));
	assert_int_equal(clock_gettime(CLOCK_REALTIME, &now), 0);
	assert_in_range(last()->us / 1000000, (uint64_t)now.tv_sec - 3600, (uint64_t)now.tv_sec + 1);
	for (unsigned i = 3; i < file.n; i++)
		assert_true(file.block[i].us >= file.block[i - 1].us);
	end_capture();
}

/* Without mergeable buffers a frame that does not fit into one is dropped, and the capture says so. */
static void drops_carry_their_reason(void **state)
{
	const struct front_buf room = { BUFFERS + 0x20000, LEGACY_HDR_LEN + 100, true };
	uint32_t id, len;

	(void)state;
	begin_capture(BIT64(VHU_F_PROTOCOL_FEATURES), 1 << 20);
	memset(at(BUFFERS), 0, LEGACY_HDR_LEN);
	put_frame(at(BUFFERS + LEGACY_HDR_LEN), 60, 3);
	at(BUFFERS + LEGACY_HDR_LEN)[ETH_ALEN] ^= 2;
	assert_true(send_frame(LEGACY_HDR_LEN, 60));
	assert_string_equal(last()->comment, "dropped: the source address is not the guest's");
	assert_int_equal(last()->captured, 60);
	assert_true(send_frame(LEGACY_HDR_LEN, 13));
	assert_string_equal(last()->comment, "dropped: too short or too long for a frame");
	assert_int_equal(last()->captured, 13);
	put_frame(at(BUFFERS + LEGACY_HDR_LEN), 60, 3);
	at(BUFFERS)[1] = VIRTIO_NET_HDR_GSO_TCPV4;
	assert_true(send_frame(LEGACY_HDR_LEN, 60));
	assert_string_equal(last()->comment, "dropped: its header asks for an impossible segmentation");

	front_offer(rig.rx, front_chain(rig.rx, &room, 1));
	front_kick(rig.rx);
	tap_send(0, &plain, 101, 7);
	tap_send(0, &plain, 100, 8);
	assert_true(front_wait_used(rig.rx, &id, &len, PATIENCE_MS));
	assert_int_equal(len, LEGACY_HDR_LEN + 100);
	expect_frame(at(BUFFERS + 0x20000 + LEGACY_HDR_LEN), 100, 8);
	last();
	assert_int_equal(file.block[file.n - 2].captured, 101);
	assert_string_equal(file.block[file.n - 2].comment, "dropped: the guest's receive buffers have no room for it");
	assert_string_equal(file.block[file.n - 1].comment, "");
	assert_int_equal(stats().dropped_full, 1);
	assert_int_equal(stats().dropped_spoof, 1);
	assert_int_equal(stats().dropped_bad, 2);
	end_capture();
}

static volatile bool flipping;

static void *flip(void *arg)
{
	volatile uint8_t *b = arg;

	while (flipping)
		for (unsigned i = 0; i < 2000; i += 50)
			b[i]++;
	return NULL;
}

/* The guest changes a frame all the time, in the part that netd judges and in the one that it does not. */
static void what_is_recorded_is_what_was_sent(void **state)
{
	static uint8_t got[HDR + 2100];
	pthread_t t;

	(void)state;
	begin_capture(MODERN, 16 << 20);
	memset(at(BUFFERS), 0, HDR);
	put_frame(at(BUFFERS + HDR), 2100, 1);
	flipping = true;
	assert_int_equal(pthread_create(&t, NULL, flip, at(BUFFERS + HDR + ETH_HLEN)), 0);
	for (unsigned i = 0; i < 300; i++) {
		assert_true(send_frame(HDR, 2100));
		assert_int_equal(tap_got(0, got, sizeof(got), PATIENCE_MS), HDR + 2100);
		assert_int_equal(last()->captured, 2100);
		assert_memory_equal(last()->data, got + HDR, 2100);
	}
	flipping = false;
	pthread_join(t, NULL);
	end_capture();
}

/* The capture's lines in @text, of @size bytes. */
static unsigned lines_of(int fd, char *text, size_t size)
{
	ssize_t n = pread(fd, text, size - 1, 0);
	unsigned lines = 0;

	assert_true(n >= 0);
	text[n] = '\0';
	for (const char *p = text; (p = strstr(p, "pcap=")); p++)
		lines++;
	return lines;
}

static void frames_go_on(unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		frame_passes(HDR, 1000, i);
}

/* Have the next netd write its messages to a new file. Returns its descriptor, which stays open here. */
static int catch_lines(void)
{
	int low = memfd_create("lines", MFD_CLOEXEC);

	/* A number which the rig gives to nothing else. */
	rig_log = fcntl(low, F_DUPFD_CLOEXEC, 200);
	close(low);
	return rig_log;
}

static void at_its_limit_it_ends_with_one_line(void **state)
{
	char text[1000];
	int log = catch_lines();

	(void)state;
	begin_capture(MODERN, 10000);
	frames_go_on(30);
	last();
	/* Frames of 1000 bytes are blocks of 1044; as many as fit, and not one more. */
	assert_true(file.len <= 10000 && file.len > 10000 - 1044);
	assert_int_equal(lines_of(log, text, sizeof(text)), 1);
	assert_non_null(strstr(text, "would exceed max="));
	rig_log = -1;
	end_capture();
	close(log);
}

/* A file that cannot be written ends the capture, and neither netd nor its frames. */
static void a_full_disk_ends_it_with_one_line(void **state)
{
	struct rlimit small = { 5000, 5000 }, all;
	char text[1000];
	int log = catch_lines();

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &all), 0);
	small.rlim_max = all.rlim_max;
	rig_file_limit = &small;
	begin_capture(MODERN, 1 << 20);
	frames_go_on(20);
	stats();
	assert_int_equal(lines_of(log, text, sizeof(text)), 1);
	rig_log = -1;
	rig_file_limit = NULL;
	signal(SIGXFSZ, SIG_DFL);
	end_capture();
	close(log);
}

static void a_successor_goes_on_in_the_same_file(void **state)
{
	int kept;

	(void)state;
	begin_capture(MODERN, 1 << 20);
	frames_go_on(2);
	end();
	kept = file.fd;
	{
		struct net_config c = base_config();

		c.capture_max = 1 << 20;
		rig_capture = kept;
		begin_with(&c, MODERN);
	}
	frames_go_on(3);
	last();
	assert_int_equal(file.n, 2 + 2 + 2 + 3);
	assert_int_equal(file.block[4].type, 0x0a0d0d0a);
	end_capture();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_file_begins_as_the_format_says),
		cmocka_unit_test(both_directions_are_recorded),
		cmocka_unit_test(drops_carry_their_reason),
		cmocka_unit_test(what_is_recorded_is_what_was_sent),
		cmocka_unit_test(at_its_limit_it_ends_with_one_line),
		cmocka_unit_test(a_full_disk_ends_it_with_one_line),
		cmocka_unit_test(a_successor_goes_on_in_the_same_file),
	};

	return cmocka_run_group_tests_name("netd: captures", tests, NULL, NULL);
}
