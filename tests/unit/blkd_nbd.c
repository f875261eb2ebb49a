/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The disk served by NBD: what a client gets, and what a client must not do (hostile QEMU). */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "blkd/nbd.h"

#define DISK   (1u << 20)
#define HANDLE UINT64_C(0x1122334455667788)

enum { READ, WRITE, DISC, FLUSH };

static struct blkd disk;
static struct stats counters;
static struct nbd server;
static enum nbd_end end;
static pthread_t thread;
static int image, delta, client;
static bool stop_now;

static bool wait_poll(void *arg, bool now)
{
	struct pollfd p = { .fd = server.fd, .events = POLLIN };

	(void)arg;
	if (!now)
		poll(&p, 1, 20);
	return !__atomic_load_n(&stop_now, __ATOMIC_SEQ_CST);
}

static void *serve(void *arg)
{
	(void)arg;
	end = nbd_serve(&server);
	shutdown(server.fd, SHUT_RDWR);
	return NULL;
}

/* Start a server for a disk with @c's settings, filled with the letter d. */
static void begin(struct blk_config c)
{
	static uint8_t filling[DISK];
	char why[256];
	int fd[2];

	image = memfd_create("disk", 0);
	delta = memfd_create("delta", 0);
	memset(filling, 'd', sizeof(filling));
	assert_int_equal(write(image, filling, DISK), DISK);
	assert_int_equal(ftruncate(delta, DISK), 0);
	c.capacity = DISK;
	c.queues = 1;
	c.io = BLK_IO_SYNC;
	assert_true(blkd_init(&disk, &c, image, delta, why, sizeof(why)) >= 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	client = fd[0];
	memset(&counters, 0, sizeof(counters));
	stop_now = false;
	server = (struct nbd){ .d = &disk, .fd = fd[1], .wait = wait_poll, .stats = &counters };
	assert_int_equal(pthread_create(&thread, NULL, serve, NULL), 0);
}

/* Wait for the server's end, which has to be @want. */
static void finish(enum nbd_end want)
{
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(end, want);
	close(server.fd);
	close(client);
	close(image);
	close(delta);
}

static void put(const void *buf, size_t len)
{
	assert_int_equal(send(client, buf, len, MSG_NOSIGNAL), len);
}

static void put16(uint16_t v)
{
	v = htobe16(v);
	put(&v, sizeof(v));
}

static void put32(uint32_t v)
{
	v = htobe32(v);
	put(&v, sizeof(v));
}

static void put64(uint64_t v)
{
	v = htobe64(v);
	put(&v, sizeof(v));
}

static void get(void *buf, size_t len)
{
	assert_int_equal(recv(client, buf, len, MSG_WAITALL), len);
}

static uint32_t get32(void)
{
	uint32_t v;

	get(&v, sizeof(v));
	return be32toh(v);
}

static uint64_t get64(void)
{
	uint64_t v;

	get(&v, sizeof(v));
	return be64toh(v);
}

static void greet(uint32_t flags)
{
	uint16_t offered;

	assert_int_equal(get64(), UINT64_C(0x4e42444d41474943));
	assert_int_equal(get64(), UINT64_C(0x49484156454f5054));
	get(&offered, sizeof(offered));
	assert_int_equal(be16toh(offered), 3);
	put32(flags);
}

static void option(uint32_t kind, uint32_t len)
{
	put64(UINT64_C(0x49484156454f5054));
	put32(kind);
	put32(len);
}

/* Expect an answer to @kind of the type @type. Returns the length of its body. */
static uint32_t answered(uint32_t kind, uint32_t type)
{
	assert_int_equal(get64(), UINT64_C(0x3e889045565a9));
	assert_int_equal(get32(), kind);
	assert_int_equal(get32(), type);
	return get32();
}

/* The handshake as QEMU does it: structured replies are refused, then GO. */
static void go(void)
{
	uint8_t export[12], block[14];
	uint64_t size;
	uint32_t max;

	greet(3);
	option(8, 0);
	assert_int_equal(answered(8, 0x80000001), 0);
	option(7, 8);
	put32(0);
	put16(1);
	put16(3);
	assert_int_equal(answered(7, 3), sizeof(export));
	get(export, sizeof(export));
	memcpy(&size, export + 2, sizeof(size));
	assert_int_equal(be64toh(size), DISK);
	assert_int_equal(answered(7, 3), sizeof(block));
	get(block, sizeof(block));
	memcpy(&max, block + 10, sizeof(max));
	assert_int_equal(be32toh(max), NBD_MAX_DATA);
	assert_int_equal(answered(7, 1), 0);
}

static void command(uint16_t flags, uint16_t type, uint64_t off, uint32_t len)
{
	put32(0x25609513);
	put16(flags);
	put16(type);
	put64(HANDLE);
	put64(off);
	put32(len);
}

/* Returns the error of the next reply. */
static uint32_t replied(void)
{
	uint32_t error;

	assert_int_equal(get32(), 0x67446698);
	error = get32();
	assert_int_equal(get64(), HANDLE);
	return error;
}

static uint8_t on_disk(off_t off)
{
	uint8_t b = 0;

	assert_int_equal(pread(image, &b, 1, off), 1);
	return b;
}

static void reads_and_writes(void **state)
{
	static uint8_t buf[NBD_MAX_DATA];

	(void)state;
	begin((struct blk_config){ 0 });
	go();
	memset(buf, 'w', 1024);
	command(0, WRITE, 512, 1024);
	put(buf, 1024);
	assert_int_equal(replied(), 0);
	assert_int_equal(on_disk(511), 'd');
	assert_int_equal(on_disk(512), 'w');
	assert_int_equal(on_disk(1535), 'w');
	assert_int_equal(on_disk(1536), 'd');
	command(0, READ, 1, NBD_MAX_DATA); /* not aligned */
	assert_int_equal(replied(), 0);
	get(buf, sizeof(buf));
	assert_int_equal(buf[510], 'd');
	assert_int_equal(buf[511], 'w');
	command(0, FLUSH, 0, 0);
	assert_int_equal(replied(), 0);
	command(0, DISC, 0, 0);
	finish(NBD_LEFT);
	assert_int_equal(counters.requests, 3);
	assert_int_equal(counters.bytes_written, 1024);
	assert_int_equal(counters.bytes_read, NBD_MAX_DATA);
	assert_int_equal(counters.flushes, 1);
}

static void outside_of_the_disk(void **state)
{
	static const struct {
		uint64_t off;
		uint32_t len;
	} bad[] = { { DISK, 1 }, { DISK - 1, 2 }, { UINT64_MAX, 1 }, { UINT64_MAX - 511, 512 }, { INT64_MAX, 4096 } };
	uint8_t buf[4096] = { 0 };

	(void)state;
	begin((struct blk_config){ 0 });
	go();
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		command(0, READ, bad[i].off, bad[i].len);
		assert_int_equal(replied(), 22);
		command(0, WRITE, bad[i].off, bad[i].len);
		put(buf, bad[i].len);
		assert_int_equal(replied(), 28);
	}
	/* The data of a refused write was taken, so that the next request is found. */
	command(0, READ, DISK - 1, 1);
	assert_int_equal(replied(), 0);
	get(buf, 1);
	assert_int_equal(buf[0], 'd');
	assert_int_equal(lseek(image, 0, SEEK_END), DISK);
	command(0, DISC, 0, 0);
	finish(NBD_LEFT);
	assert_int_equal(counters.io_errors, 2 * ARRAY_SIZE(bad));
}

static void read_only(void **state)
{
	(void)state;
	begin((struct blk_config){ .read_only = true });
	go();
	command(0, WRITE, 0, 4);
	put("word", 4);
	assert_int_equal(replied(), 1);
	assert_int_equal(on_disk(0), 'd');
	command(0, FLUSH, 0, 0);
	assert_int_equal(replied(), 0);
	close(client);
	client = -1;
	finish(NBD_LEFT);
}

static void snapshot(void **state)
{
	uint8_t buf[4];

	(void)state;
	begin((struct blk_config){ .snapshot = true });
	go();
	command(0, WRITE, 100, 4);
	put("word", 4);
	assert_int_equal(replied(), 0);
	command(0, READ, 99, 4);
	assert_int_equal(replied(), 0);
	get(buf, 4);
	assert_memory_equal(buf, "dwor", 4);
	assert_int_equal(on_disk(100), 'd');
	command(0, DISC, 0, 0);
	finish(NBD_LEFT);
}

/* The server has closed the connection without a further answer. */
static void expect_broken(void)
{
	uint8_t b;

	assert_true(recv(client, &b, 1, 0) <= 0);
	finish(NBD_BROKE);
}

static void handshakes_that_are_none(void **state)
{
	(void)state;
	begin((struct blk_config){ 0 });
	greet(0);
	expect_broken();
	begin((struct blk_config){ 0 });
	greet(7);
	expect_broken();
	begin((struct blk_config){ 0 });
	greet(1);
	put64(1);
	put64(2);
	expect_broken();
	begin((struct blk_config){ 0 });
	greet(1);
	option(7, 8193);
	expect_broken();
	/* An endless handshake ends. */
	begin((struct blk_config){ 0 });
	greet(1);
	for (unsigned i = 0; i < 16; i++) {
		option(99, 0);
		assert_int_equal(answered(99, 0x80000001), 0);
	}
	expect_broken();
	begin((struct blk_config){ 0 });
	greet(1);
	option(2, 0);
	assert_int_equal(answered(2, 1), 0);
	finish(NBD_LEFT);
}

static void requests_that_are_none(void **state)
{
	static const struct {
		uint16_t flags, type;
		uint32_t len;
	} bad[] = { { 0, READ, NBD_MAX_DATA + 1 },
		    { 0, WRITE, NBD_MAX_DATA + 1 },
		    { 0, READ, UINT32_MAX },
		    { 0, 4, 512 },
		    { 0, 6, 512 },
		    { 0, 0xffff, 512 },
		    { 1, WRITE, 0 },
		    { 0x8000, READ, 512 } };

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		begin((struct blk_config){ 0 });
		go();
		command(bad[i].flags, bad[i].type, 0, bad[i].len);
		expect_broken();
	}
	begin((struct blk_config){ 0 });
	go();
	for (unsigned i = 0; i < 7; i++)
		put32(0x25609514);
	expect_broken();
}

static void ends_in_the_middle(void **state)
{
	(void)state;
	begin((struct blk_config){ 0 });
	go();
	command(0, WRITE, 0, 4096);
	put("half", 4);
	shutdown(client, SHUT_WR);
	finish(NBD_LEFT);
	/* A client that stays silent in the middle of a message keeps no one from ending the server. */
	begin((struct blk_config){ 0 });
	go();
	command(0, WRITE, 0, 4096);
	put("half", 4);
	__atomic_store_n(&stop_now, true, __ATOMIC_SEQ_CST);
	finish(NBD_STOP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_and_writes),
		cmocka_unit_test(outside_of_the_disk),
		cmocka_unit_test(read_only),
		cmocka_unit_test(snapshot),
		cmocka_unit_test(handshakes_that_are_none),
		cmocka_unit_test(requests_that_are_none),
		cmocka_unit_test(ends_in_the_middle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
