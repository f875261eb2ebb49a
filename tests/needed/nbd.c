/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Everything that QEMU's NBD client asks of a disk (blkd/nbd.h), of an image and of a
 * snapshot. Part of tests/needed/work.
 */
#include <endian.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/lib/nbd_wire.h"
#include "tests/needed/work.h"

static void get(void *buf, size_t len)
{
	MUST(recv(f.sock, buf, len, MSG_WAITALL) == (ssize_t)len);
}

static void put(const void *buf, size_t len)
{
	MUST(send(f.sock, buf, len, MSG_NOSIGNAL) == (ssize_t)len);
}

static void shake_hands(void)
{
	const uint32_t flags = htobe32(3);
	const struct nbd_wire_go go = { .o = { htobe64(NBD_WIRE_OPTION), htobe32(7), htobe32(6) } };
	struct nbd_wire_hello hello;
	uint8_t answers[NBD_WIRE_GO_ANSWERS];

	get(&hello, sizeof(hello));
	MUST(be64toh(hello.magic) == NBD_WIRE_HELLO);
	put(&flags, sizeof(flags));
	put(&go, sizeof(go));
	get(answers, sizeof(answers));
	/* The last of the three is an acknowledgement. */
	MUST(answers[sizeof(answers) - 5] == 1);
}

static void ask(uint16_t type, uint64_t off, void *data, uint32_t len)
{
	const struct nbd_wire_request r = {
		.magic = htobe32(NBD_WIRE_REQUEST), .type = htobe16(type), .off = htobe64(off), .len = htobe32(len)
	};
	struct nbd_wire_reply reply;

	put(&r, sizeof(r));
	if (type == NBD_WRITE)
		put(data, len);
	get(&reply, sizeof(reply));
	MUST(be32toh(reply.magic) == NBD_WIRE_REPLY && reply.error == 0);
	if (type == NBD_READ)
		get(data, len);
}

static void disk(const char *program, bool snapshot)
{
	static uint8_t data[8192];

	describe_disk(true);
	rc.blk.nbd = true;
	rc.blk.snapshot = snapshot;
	rc.listening = true;
	start_role(program);
	shake_hands();
	memset(data, 0x5a, sizeof(data));
	ask(NBD_WRITE, 4096, data, sizeof(data));
	memset(data, 0, sizeof(data));
	ask(NBD_READ, 4096, data, sizeof(data));
	MUST(data[0] == 0x5a && data[8191] == 0x5a);
	ask(NBD_FLUSH, 0, NULL, 0);
	end();
}

int blkd_nbd(const char *program)
{
	make_images();
	disk(program, false);
	disk(program, true);
	return 0;
}
