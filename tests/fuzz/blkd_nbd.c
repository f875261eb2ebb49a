/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz: what a compromised QEMU sends to a disk that is served by NBD. The first byte
 * decides if a valid handshake comes before the input, and which disk is served. The
 * server must end when the input does; the disk keeps its size, and the base of a
 * snapshot and a read-only disk their content.
 */
#include <endian.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "blkd/nbd.h"
#include "common/log.h"
#include "tests/fuzz/fuzz.h"

#define DISK (64u << 10)

enum { PLAIN, READ_ONLY, SNAPSHOT, DISKS };

static struct blkd disk[DISKS];
static int image[DISKS], delta;
static uint8_t *content[DISKS];

static int new_image(void)
{
	int fd = memfd_create("disk", 0);

	PROMISE(fd >= 0 && ftruncate(fd, DISK) == 0);
	return fd;
}

static void prepare(void)
{
	char why[LOG_LINE_MAX];

	symbolizer_first();
	log_to_fd(open("/dev/null", O_WRONLY), "fuzz", LOG_ERROR);
	delta = new_image();
	for (unsigned i = 0; i < DISKS; i++) {
		struct blk_config c = { .capacity = DISK,
					.queues = 1,
					.io = BLK_IO_SYNC,
					.read_only = i == READ_ONLY,
					.snapshot = i == SNAPSHOT };

		image[i] = new_image();
		content[i] = mmap(NULL, DISK, PROT_READ | PROT_WRITE, MAP_SHARED, image[i], 0);
		PROMISE(content[i] != MAP_FAILED);
		PROMISE(blkd_init(&disk[i], &c, image[i], delta, why, sizeof(why)) >= 0);
	}
}

/* Nothing more will come, and nobody reads the replies: the server would wait for ever. */
static bool no_wait(void *arg, bool now)
{
	(void)arg;
	return now;
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *in, size_t size)
{
	/* Flags; then the option GO without a name. */
	static const uint8_t hello[] = { 0, 0, 0, 3, 'I', 'H', 'A', 'V', 'E', 'O', 'P', 'T', 0,
					 0, 0, 7, 0, 0,	  0,   6,   0,	 0,   0,   0,	0,   0 };
	static struct stats counters;
	static bool ready;
	struct nbd n = { .wait = no_wait, .stats = &counters };
	struct stat st;
	unsigned which;
	int fd[2];

	if (!ready)
		prepare();
	ready = true;
	if (!size)
		return 0;
	which = in[0] / 2 % DISKS;
	PROMISE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd) == 0);
	if (in[0] & 1)
		PROMISE(write(fd[0], hello, sizeof(hello)) == sizeof(hello));
	PROMISE(size == 1 || write(fd[0], in + 1, size - 1) > 0);
	shutdown(fd[0], SHUT_WR);
	n.d = &disk[which];
	n.fd = fd[1];
	memset(content[SNAPSHOT], 's', DISK);
	memset(content[READ_ONLY], 'r', DISK);
	(void)nbd_serve(&n);
	PROMISE(fstat(image[which], &st) == 0 && st.st_size == DISK);
	PROMISE(fstat(delta, &st) == 0 && st.st_size == DISK);
	for (unsigned i = 0; i < DISK; i++)
		PROMISE(content[SNAPSHOT][i] == 's' && content[READ_ONLY][i] == 'r');
	close(fd[0]);
	close(fd[1]);
	return 0;
}
