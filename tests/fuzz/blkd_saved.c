/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz: the part of a file of --from that blkd reads, as it is and with right checksums. Whatever it contains, reading comes to
 * an end, writes only to the delta, inside the disk, and marks only clusters of the disk.
 */
#include <sys/mman.h>
#include <zlib.h>

#include "blkd/saved.h"
#include "common/log.h"
#include "tests/fuzz/fuzz.h"

#define CLUSTERS 70u
#define SIZE	 (CLUSTERS * 4096 - 1024)

static struct image_file base, delta;
static struct snapshot s;
static int file;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	symbolizer_first();
	log_to_fd(fcntl(open("/dev/null", O_WRONLY), F_DUPFD_CLOEXEC, 700), "fuzz", LOG_ERROR);
	file = memfd_create("file", 0);
	PROMISE(file >= 0);
	image_probe(&base, memfd_create("base", 0), 0, false, 0, SIZE);
	image_probe(&delta, memfd_create("delta", 0), 1, false, 0, SIZE);
	PROMISE(ftruncate(base.fd, SIZE) == 0 && ftruncate(delta.fd, SIZE) == 0);
	PROMISE(snapshot_init(&s, &base, &delta, SIZE) == 0);
	return 0;
}

/* Make the checksums of the runs right, as far as they have their data. */
static void fit(uint8_t *p, size_t len)
{
	static const uint8_t zeros[SNAP_MAX_CLUSTER];
	struct saved_run run;

	for (size_t at = 0; len - at >= sizeof(run);) {
		uint32_t n;

		memcpy(&run, p + at, sizeof(run));
		n = run.zeros ? 0 : run.bytes;
		if (n > len - at - sizeof(run) || run.bytes > sizeof(zeros))
			return;
		run.crc = (uint32_t)(run.bytes ? crc32(0, run.zeros ? zeros : p + at + sizeof(run), run.bytes)
					       : crc32(0, (const uint8_t *)&run.cluster, sizeof(run.cluster)));
		memcpy(p + at, &run, sizeof(run));
		at += sizeof(run) + n;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	static uint8_t bytes[1 << 20];
	struct vhu_saved m = { .at = 0 };
	unsigned calls = 0;

	if (!size || size > sizeof(bytes))
		return 0;
	memcpy(bytes, input, size - 1);
	if (input[size - 1] & 1)
		fit(bytes, size - 1);
	PROMISE(ftruncate(file, 0) == 0 && pwrite(file, bytes, size - 1, 0) == (ssize_t)(size - 1));
	while (m.state == VHU_SAVED_MORE) {
		saved_read(&s, file, &m);
		PROMISE(++calls <= CLUSTERS + 1);
	}
	PROMISE(m.state == VHU_SAVED_DONE || m.state == VHU_SAVED_FAILED);
	PROMISE(lseek(delta.fd, 0, SEEK_END) == SIZE && lseek(base.fd, 0, SEEK_DATA) < 0);
	for (unsigned c = CLUSTERS; c < s.bits_len * 8; c++)
		PROMISE(!(s.bits[c / 64] >> c % 64 & 1));
	return 0;
}
