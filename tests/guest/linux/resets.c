/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A program of a stock kernel's guest: takes a checkpoint, then asks for resets without end. Before each it
 * overwrites what it can, and after each it looks for what it wrote. A second process keeps the disk busy, so that
 * requests are in flight at the checkpoint and at every reset. Each finding is a line with FAILED.
 *
 * The requests go through /dev/port, because QEMU 7.2's TCG, on which the lab's host runs, denies ports to user space once
 * KVM has set the task register.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define EXIT_PORT 0xf4
#define BLOCK	  65536u
#define PATTERNS  16u  /* Blocks at the start of the disk, for this process */
#define BUSY	  128u /* Blocks after them, for the other one */
#define AREA	  (1u << 20)

static struct {
	uint64_t nonce;
	uint8_t area[AREA];
} memory;

static uint8_t block[BLOCK] __attribute__((aligned(4096))), got[BLOCK] __attribute__((aligned(4096)));

__attribute__((format(printf, 1, 2))) static void failed(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	printf("T: FAILED ");
	vprintf(fmt, ap);
	printf("\n");
	fflush(stdout);
	va_end(ap);
}

static void ask(int port, char what)
{
	if (pwrite(port, &what, 1, EXIT_PORT) != 1)
		failed("/dev/port: %s", strerror(errno));
}

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static void fill(uint64_t seed)
{
	for (unsigned i = 0; i < BLOCK / 8; i++, seed = seed * 6364136223846793005u + 1442695040888963407u)
		memcpy(block + i * 8, &seed, 8);
}

static void write_pattern(int disk, unsigned n, uint64_t seed)
{
	fill(seed);
	if (pwrite(disk, block, BLOCK, (off_t)n * BLOCK) != BLOCK)
		failed("disk: write: %s", strerror(errno));
}

static void check_pattern(int disk, unsigned n, uint64_t seed)
{
	fill(seed);
	if (pread(disk, got, BLOCK, (off_t)n * BLOCK) != BLOCK)
		failed("disk: read: %s", strerror(errno));
	else if (memcmp(block, got, BLOCK))
		failed("disk: block %u is not what it was", n);
}

/* Writes and reads until the guest ends. */
static _Noreturn void keep_busy(int disk)
{
	for (uint64_t seed = now_us();; seed++) {
		unsigned n = PATTERNS + (unsigned)(seed % BUSY);

		write_pattern(disk, n, seed);
		check_pattern(disk, n, seed);
	}
}

/* What a guest can see of a state that should be the checkpoint's. */
static void look(int disk, uint64_t at)
{
	uint64_t now = now_us();
	unsigned i;

	if (memory.nonce)
		failed("memory: nonce %llx", (unsigned long long)memory.nonce);
	for (i = 0; i < AREA && !memory.area[i]; i++)
		;
	if (i < AREA)
		failed("memory: byte %u of an area", i);
	if (now < at || now - at > 10000000)
		failed("clock: %llu us after the checkpoint at %llu", (unsigned long long)now, (unsigned long long)at);
	for (i = 0; i < PATTERNS; i++)
		check_pattern(disk, i, i);
}

static void overwrite(int disk)
{
	uint64_t seed = __builtin_ia32_rdtsc() | 1;

	memory.nonce = seed;
	for (unsigned i = 0; i < 8; i++)
		memory.area[(seed >> (8 * i)) % AREA] = 1;
	write_pattern(disk, (unsigned)(seed % PATTERNS), seed);
	check_pattern(disk, (unsigned)(seed % PATTERNS), seed);
}

/*
 * The kernel says in its log that it has made its random numbers new (drivers/char/random.c). Nothing survives a reset, so
 * this cannot know whether it runs after one; the test counts the lines.
 */
static void look_for_reseed(int log)
{
	const struct timespec rest = { 0, 1000000 };
	char record[8192];

	for (unsigned i = 0; i < 500; i++) {
		ssize_t n = read(log, record, sizeof(record) - 1);

		record[n > 0 ? n : 0] = '\0';
		if (strstr(record, "virtual machine fork")) {
			printf("T: reseeded\n");
			fflush(stdout);
			return;
		}
		if (n < 0)
			nanosleep(&rest, NULL);
	}
}

int main(int argc, char **argv)
{
	const struct timespec rest = { 0, 2000000 };
	int disk = open("/dev/vda", O_RDWR | O_DIRECT), port = open("/dev/port", O_RDWR);
	int log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
	uint64_t at;

	if (disk < 0 || port < 0 || log < 0 || lseek(log, 0, SEEK_END) < 0 || argc > 2) {
		failed("%s: %s", argv[0], strerror(errno));
		return 1;
	}
	for (unsigned i = 0; i < PATTERNS; i++)
		write_pattern(disk, i, i);
	if (fork() == 0)
		keep_busy(disk);
	nanosleep(&rest, NULL);
	at = now_us();
	ask(port, 'C');
	look(disk, at);
	look_for_reseed(log);
	overwrite(disk);
	/* Only a timer that works ends this. */
	nanosleep(&rest, NULL);
	if (now_us() - at < 2000)
		failed("clock: it stands still");
	ask(port, 'R');
	failed("the guest goes on behind a reset");
	return 1;
}
