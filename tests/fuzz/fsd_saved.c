/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz: the part of a file of --from that fsd reads, as it is and with right checksums, on a small tree; what has been read is
 * written again, and read once more. Whatever it contains, reading comes to an end; afterwards each file and handle is what
 * it says, each count is right, no place for a name is used twice, and no descriptor is lost.
 */
#include <zlib.h>

#include "fsd/saved.h"
#include "tests/fuzz/fsd_tables.h"

#define PART_MAX (1u << 16)

static int file;

/* Make the checksums right of the blocks that are whole. */
static void fit(uint8_t *p, size_t len)
{
	struct saved_block b;

	for (size_t at = 0; len - at >= sizeof(b); at += sizeof(b) + b.bytes) {
		memcpy(&b, p + at, sizeof(b));
		if (b.bytes > len - at - sizeof(b))
			return;
		b.crc = (uint32_t)crc32(0, p + at + sizeof(b), b.bytes);
		memcpy(p + at, &b, sizeof(b));
	}
}

static struct vhu_saved all(bool load, unsigned most)
{
	struct vhu_saved m = { 0 }, before_it;
	unsigned calls = 0;

	while (m.state == VHU_SAVED_MORE && calls < most) {
		before_it = m;
		(load ? fsd_load : fsd_save)(&device, file, &m);
		PROMISE(++calls <= PART_MAX / sizeof(struct saved_entry) + 1);
		PROMISE(m.state != VHU_SAVED_MORE || (m.cluster > before_it.cluster && m.at >= before_it.at));
	}
	return m;
}

/* Write and read what there is. */
static void again(void)
{
	uint32_t used = device.nodes.used, handles = device.nodes.kept->handles_fresh;

	PROMISE(ftruncate(file, 0) == 0);
	PROMISE(all(false, UINT32_MAX).state == VHU_SAVED_DONE);
	PROMISE(all(true, UINT32_MAX).state == VHU_SAVED_DONE);
	check();
	PROMISE(device.nodes.used == used && device.nodes.kept->handles_fresh <= handles);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t bytes[PART_MAX];
	struct fuse_entry_out e;
	struct vhu_saved m;
	uint8_t how;

	if (!before) {
		prepare();
		file = fcntl(memfd_create("file", MFD_CLOEXEC), F_DUPFD_CLOEXEC, 400);
		PROMISE(file >= 0);
		before = descriptors();
	}
	if (!size || size > sizeof(bytes))
		return 0;
	how = data[--size];
	memcpy(bytes, data, size);
	if (how & 1)
		fit(bytes, size);
	PROMISE(ftruncate(file, 0) == 0 && pwrite(file, bytes, size, 0) == (ssize_t)size);
	begin(0);
	/* The guest goes on too early. */
	m = all(true, how & 2 ? 1 : UINT32_MAX);
	fsd_load_over(&device);
	check();
	if (m.state != VHU_SAVED_DONE)
		PROMISE(device.nodes.used == 1);
	else
		again();
	past_keep(&device.nodes, true);
	if (fsd_lookup(&device, &device.nodes.node[NODE_ROOT], "file", &e) == 0)
		PROMISE(node_get(&device.nodes, e.nodeid) && S_ISREG(e.attr.mode));
	check();
	PROMISE(past_return(&device.nodes, &device.ready));
	check();
	nodes_clear(&device.nodes);
	past_keep(&device.nodes, true);
	PROMISE(device.nodes.used == 1);
	end();
	PROMISE(descriptors() == before);
	return 0;
}
