/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Everything that a guest can ask of a disk: all requests in all ways of performing them,
 * under our own front-end and under a foreign one, which may pass descriptors at any time. Part of
 * tests/needed/work.
 */
#include <fcntl.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/shm.h"
#include "common/snapmap.h"
#include "tests/needed/work.h"

static char image_name[] = "/var/tmp/needed.XXXXXX";

static uint8_t request(struct front_queue *q, uint32_t type, uint64_t sector, uint32_t len, bool in)
{
	struct virtio_blk_outhdr *h = front_ptr(&f, HDR);
	uint8_t *status = front_ptr(&f, STATUS);
	struct front_buf b[3] = { { HDR, sizeof(*h), false }, { DATA, len, in }, { STATUS, 1, true } };
	uint32_t id, got;

	*h = (struct virtio_blk_outhdr){ .type = type, .sector = sector };
	*status = 0xff;
	if (!len)
		b[1] = b[2];
	front_offer(q, front_chain(q, b, len ? 3 : 2));
	front_kick(q);
	if (!front_wait_used(q, &id, &got, WAIT_MS))
		return 0xfe;
	return *status;
}

static void all_requests(struct front_queue *q, bool discard)
{
	struct virtio_blk_discard_write_zeroes *range = front_ptr(&f, DATA);
	uint8_t *data = front_ptr(&f, DATA);

	memset(data, 0x5a, 8192);
	MUST(request(q, VIRTIO_BLK_T_OUT, 8, 8192, false) == VIRTIO_BLK_S_OK);
	memset(data, 0, 8192);
	MUST(request(q, VIRTIO_BLK_T_IN, 8, 8192, true) == VIRTIO_BLK_S_OK);
	MUST(data[0] == 0x5a && data[8191] == 0x5a);
	MUST(request(q, VIRTIO_BLK_T_FLUSH, 0, 0, false) == VIRTIO_BLK_S_OK);
	if (!discard)
		return;
	*range = (struct virtio_blk_discard_write_zeroes){ .sector = 16, .num_sectors = 8 };
	MUST(request(q, VIRTIO_BLK_T_DISCARD, 0, sizeof(*range), false) == VIRTIO_BLK_S_OK);
	*range = (struct virtio_blk_discard_write_zeroes){ .sector = 32, .num_sectors = 8 };
	MUST(request(q, VIRTIO_BLK_T_WRITE_ZEROES, 0, sizeof(*range), false) == VIRTIO_BLK_S_OK);
}

void describe_disk(bool own_front)
{
	memset(&rc, 0, sizeof(rc));
	rc.role = ROLE_BLKD;
	rc.own_front = own_front;
	memcpy(rc.name, "blk0", 5);
	rc.blk = (struct blk_config){ .capacity = DISK, .queues = 1, .io = BLK_IO_SYNC };
}

enum base { IMAGE, SNAPSHOT, SAVED_SNAPSHOT };

static void disk(const char *program, enum blk_io io, enum base base, uint64_t rate)
{
	uint64_t features = ~0ull & ~(1ull << VIRTIO_F_RING_RESET);
	struct front_queue *q;
	uint8_t config[8];

	describe_disk(true);
	rc.blk = (struct blk_config){ .capacity = DISK,
				      .queues = 1,
				      .io = (uint8_t)io,
				      .discard = true,
				      .snapshot = base != IMAGE,
				      .saved = base == SAVED_SNAPSHOT,
				      .rate_ops = rate };
	rc.checkpoint = rc.blk.saved;
	begin(program, features);
	q = ring(0);
	MUST(front_queue_enable(q, true));
	MUST(front_get_config(&f, 0, sizeof(config), config));
	all_requests(q, true);
	if (rc.blk.saved)
		to_file_and_back();
	for (unsigned i = 0; rate && i < rate / 4; i++)
		MUST(request(q, VIRTIO_BLK_T_IN, 0, 512, true) == VIRTIO_BLK_S_OK);
	if (!rate)
		break_ring(q);
	end();
}

static void remove_image(void)
{
	unlink(image_name);
}

void make_images(void)
{
	char name[] = "/var/tmp/needed.XXXXXX";
	bool sealed;

	image = mkstemp(image_name);
	atexit(remove_image);
	delta = mkstemp(name);
	unlink(name);
	saved = memfd_create("saved", MFD_CLOEXEC);
	map = shm_create((snapmap_bytes(DISK) + 4095) & ~4095ull, &sealed);
	MUST(map >= 0 && image >= 0 && delta >= 0 && !ftruncate(image, DISK) && !ftruncate(delta, DISK));
}

int blkd(const char *program)
{
	make_images();
	disk(program, BLK_IO_URING, IMAGE, 0);
	disk(program, BLK_IO_SYNC, IMAGE, 0);
	disk(program, BLK_IO_SYNC, SNAPSHOT, 0);
	disk(program, BLK_IO_AUTO, IMAGE, 40);
	return 0;
}

int blkd_saved(const char *program)
{
	make_images();
	disk(program, BLK_IO_SYNC, SAVED_SNAPSHOT, 0);
	return 0;
}

/* ---- a foreign front-end ---- */

/* Add and remove memory while rings run; the back-end seals it if the front-end has not. */
static void lend_memory(void)
{
	struct vhu_mem_reg r = { .region = { .gpa = MEM, .size = 4096, .uva = 4096 } };
	int fd = memfd_create("lent", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	MUST(fd >= 0 && ftruncate(fd, 4096) == 0);
	MUST(front_ack(&f, VHU_ADD_MEM_REG, &r, sizeof(r), &fd, 1) == 0);
	MUST(fcntl(fd, F_GET_SEALS) & F_SEAL_SHRINK);
	MUST(front_ack(&f, VHU_REM_MEM_REG, &r, sizeof(r), NULL, 0) == 0);
	close(fd);
}

/* The back-end creates the inflight area, and the front-end keeps it. */
static void keep_inflight(void)
{
	struct vhu_inflight i = { .num_queues = 1, .queue_size = 64 };
	struct vhu_msg m;

	MUST(front_send(&f, VHU_GET_INFLIGHT_FD, 0, &i, sizeof(i), NULL, 0) && front_recv(&f, &m, WAIT_MS));
	MUST(m.request == VHU_GET_INFLIGHT_FD && m.nfds == 1);
	i = m.inflight;
	MUST(front_ack(&f, VHU_SET_INFLIGHT_FD, &i, sizeof(i), m.fds, 1) == 0);
	close(m.fds[0]);
}

static void foreign(const char *program, bool listening)
{
	struct front_queue *q;

	describe_disk(false);
	rc.listening = listening;
	begin(program, ~0ull & ~(1ull << VIRTIO_F_RING_RESET));
	keep_inflight();
	q = ring(0);
	MUST(front_queue_enable(q, true));
	all_requests(q, false);
	lend_memory();
	/* Descriptors are replaced while the ring stands still. */
	MUST(front_queue_stop(q) >= 0);
	MUST(front_queue_setup(q, q->avail_idx) && front_queue_fds(q));
	all_requests(q, false);
	break_ring(q);
	end();
}

/* Run stand-alone, where errors are printed to the user. */
static void stand_alone(const char *program)
{
	char file[64], fd[16], said[512] = "";
	int front[2], diag[2];
	ssize_t got;

	memset(&f, 0, sizeof(f));
	snprintf(file, sizeof(file), "--blk-file=%s", image_name);
	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, front) == 0 && pipe2(diag, O_CLOEXEC) == 0);
	f.sock = front[0];
	f.pid = fork();
	if (f.pid == 0) {
		dup2(diag[1], 2);
		/* A copy without CLOEXEC; no fixed number, which one of these may have. */
		snprintf(fd, sizeof(fd), "--fd=%d", dup(front[1]));
		execl(program, program, fd, file, NULL);
		_exit(127);
	}
	close(front[1]);
	close(diag[1]);
	MUST(front_negotiate(&f, ~0ull & ~(1ull << VIRTIO_F_RING_RESET), BIT64(VHU_PF_REPLY_ACK)));
	MUST(front_ack_u64(&f, VHU_SET_FEATURES, ~0ull) == 1);
	got = read(diag[0], said, sizeof(said) - 1);
	MUST(got > 0 && strstr(said, "SET_FEATURES"));
	MUST(front_close(&f) == 0);
	close(diag[0]);
}

int handover(const char *program)
{
	make_images();
	foreign(program, false);
	foreign(program, true);
	disk(program, BLK_IO_SYNC, IMAGE, 0);
	close(image);
	stand_alone(program);
	return 0;
}
