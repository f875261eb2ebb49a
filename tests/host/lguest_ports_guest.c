/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest of lguest-sep run for the test double of /dev/lguest, in both dialects. It uses
 * the named ports of the console, and also sends meaningless control messages.
 */
#include <linux/virtio_console.h>
#include <string.h>

#include "common/run_proto.h"
#include "tests/host/lguest_double.h"

#define WAIT_MS 60000

static int id_of(struct ring *rx, uint64_t at, uint16_t event)
{
	struct piece p = { at + 0x100, 256, true };
	struct virtio_console_control m = { 0 };
	int n;

	offer(rx, &p, 1);
	n = take(rx, WAIT_MS);
	CHECK(n >= (int)sizeof(m), "a control message, %d", n);
	peek(rx->g, at + 0x100, &m, sizeof(m));
	CHECK(m.event == event && m.value == 1, "event %u, value %u", m.event, m.value);
	return (int)m.id;
}

static void say(struct ring *tx, uint64_t at, uint32_t id, uint16_t event, uint16_t value)
{
	const struct virtio_console_control m = { .id = id, .event = event, .value = value };
	struct piece p = { at, sizeof(m), false };

	poke(tx->g, at, &m, sizeof(m));
	CHECK(exchange(tx, &p, 1) == 0, "a control message is taken");
}

static void open_ports(struct ring *rx, struct ring *tx, uint64_t at)
{
	static const char *const names[] = { RUN_PORT_NAMES };
	char name[PORT_NAME_MAX];

	say(tx, at, 77, VIRTIO_CONSOLE_PORT_OPEN, 1);
	say(tx, at, 1, 0x5555, 1);
	say(tx, at, UINT32_MAX, VIRTIO_CONSOLE_DEVICE_READY, 1);
	for (int i = 0; i <= RUN_PORTS; i++)
		CHECK(id_of(rx, at, VIRTIO_CONSOLE_PORT_ADD) == i, "port %d is added", i);
	for (int i = 1; i <= RUN_PORTS; i++) {
		say(tx, at, (uint32_t)i, VIRTIO_CONSOLE_PORT_READY, 1);
		CHECK(id_of(rx, at, VIRTIO_CONSOLE_PORT_NAME) == i, "the name of port %d", i);
		memset(name, 0, sizeof(name));
		peek(rx->g, at + 0x100 + sizeof(struct virtio_console_control), name, strlen(names[i - 1]));
		CHECK(!strcmp(name, names[i - 1]), "it is %s", name);
		CHECK(id_of(rx, at, VIRTIO_CONSOLE_PORT_OPEN) == i, "port %d is open", i);
		say(tx, at, (uint32_t)i, VIRTIO_CONSOLE_PORT_OPEN, 1);
	}
}

/* The next frame of standard input: its type; its bytes go to @buf and *@n. */
static unsigned frame(struct ring *rx, uint64_t at, uint8_t *buf, unsigned *n)
{
	static uint8_t have[8192];
	static unsigned len;
	struct run_frame f = { 0 };
	struct piece p = { at + 0x200, 1024, true };

	for (;;) {
		int got;

		memcpy(&f, have, sizeof(f));
		*n = f.type == RUN_DATA ? f.value : 0;
		if (len >= sizeof(f) && len >= sizeof(f) + *n)
			break;
		offer(rx, &p, 1);
		got = take(rx, WAIT_MS);
		CHECK(got > 0 && len + (unsigned)got <= sizeof(have), "input: %d bytes", got);
		if (got <= 0)
			return 0;
		peek(rx->g, at + 0x200, have + len, (size_t)got);
		len += (unsigned)got;
	}
	memcpy(buf, have + sizeof(f), *n);
	len -= (unsigned)sizeof(f) + *n;
	memmove(have, have + sizeof(f) + *n, len);
	return f.type;
}

void drive_run(struct ring *r, uint64_t at)
{
	struct run_result result = { .magic = RUN_MAGIC, .end = RUN_EXITED, .value = 7 };
	struct piece out = { at + 0x1000, 0, false }, report = { at + 0x3000, sizeof(result), false };
	struct piece taken = { at + 0x4000, 1, true };
	uint8_t buf[8192];
	unsigned n, type;

	open_ports(&r[2], &r[3], at);
	while ((type = frame(&r[4], at, buf, &n)) == RUN_DATA) {
		poke(r->g, at + 0x1000, buf, n);
		out.len = n;
		CHECK(exchange(&r[7], &out, 1) == 0, "output");
		result.out_bytes += n;
	}
	CHECK(type == RUN_EOF, "the end of input");
	poke(r->g, at + 0x3000, &result, sizeof(result));
	offer(&r[10], &taken, 1);
	CHECK(exchange(&r[11], &report, 1) == 0, "the report");
	CHECK(take(&r[10], WAIT_MS) == 1 && peekn(r->g, at + 0x4000, 1) == RUN_TAKEN, "it is taken");
}
