/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz: a stream from passt, in pieces, and frames that a guest sends to passt. Frames that
 * come out of the stream have a valid length and unchanged contents; no frame that passes to
 * passt is for the host's loopback.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "netd/stream.h"
#include "netd/user.h"
#include "tests/fuzz/fuzz.h"

static struct stream stream;
static struct user user;
static uint8_t frame[FRAME_MAX];

static void receive(struct input *in)
{
	uint8_t piece[300];
	size_t sent = 0, got = 0;
	int end[2], small = 1 << 18;

	memset(&stream, 0, sizeof(stream));
	PROMISE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, end) == 0);
	setsockopt(end[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	for (unsigned i = 0; i < 64; i++) {
		size_t n = take8(in);
		ssize_t len;

		n = MIN(left(in), n);
		take(in, piece, n);
		if (n && send(end[1], piece, n, MSG_NOSIGNAL) == (ssize_t)n)
			sent += n;
		len = stream_read(&stream, end[0], frame);
		if (len < 0) {
			PROMISE(errno == EAGAIN || errno == EINPROGRESS || errno == EPROTO);
			if (errno == EPROTO)
				break;
			continue;
		}
		PROMISE(len >= ETH_HLEN && len <= FRAME_MAX);
		got += STREAM_PREFIX + (size_t)len;
		PROMISE(got <= sent);
	}
	close(end[0]);
	close(end[1]);
}

static void transmit(struct input *in)
{
	struct user_config c = { .on = true, .restricted = take8(in) & 1, .reach_host = take8(in) & 1 };
	uint8_t copy[USER_PEEK];
	size_t have = take8(in) % (sizeof(copy) + 1);
	uint64_t len = have + take16(in), now = take32(in);

	c.nhost = take8(in);
	c.nresolvers = take8(in);
	take(in, c.host, sizeof(c.host[0]));
	take(in, c.resolver, sizeof(c.resolver[0]));
	take(in, copy, have);
	user_learn(&user, &c, copy, have, now);
	if (user_judge(&user, &c, copy, have, have < sizeof(copy) ? have : len, now))
		return;
	PROMISE(have >= ETH_HLEN);
	if (copy[12] == 0x08 && copy[13] == 0x00)
		PROMISE(copy[30] != 127 && copy[30] != 0 && !(copy[20] & 0x3f) && !copy[21]);
	else if (copy[12] == 0x86)
		PROMISE(memcmp(copy + 38, "\0\0\0\0\0\0\0\0\0\0", 10) != 0);
	else
		PROMISE(copy[12] == 0x08 && copy[13] == 0x06);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, data + size };

	memset(&user, 0, sizeof(user));
	if (take8(&in) & 1)
		receive(&in);
	while (left(&in))
		transmit(&in);
	return 0;
}
