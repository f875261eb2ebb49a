/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz: controld between its supervisor and clients that send anything in any order. The
 * supervisor gets only known commands; clients get only whole messages; the scroll-back
 * stays within its bounds.
 */
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "controld/serve.h"
#include "tests/fuzz/fuzz.h"

#define CLIENTS 20

static struct server server;
static struct sockaddr_un address;
static socklen_t address_len;
static int client[CLIENTS], ctl, console;

static bool begin(void)
{
	int pair[2], stream[2], fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	address_len = sizeof(address);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address.sun_family)) < 0 || listen(fd, 4) < 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &address_len) < 0 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, stream) < 0)
		return false;
	ctl = pair[0];
	console = stream[0];
	server_init(&server, fd, stream[1], pair[1], getuid());
	for (unsigned i = 0; i < CLIENTS; i++)
		client[i] = -1;
	return true;
}

static void close_one(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void dial(int *fd)
{
	close_one(fd);
	*fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (*fd >= 0 && connect(*fd, (struct sockaddr *)&address, address_len) < 0)
		close_one(fd);
}

static void drain(int fd)
{
	struct ctl_msg m;

	while (fd >= 0 && ctl_recv(fd, &m) == 1)
		PROMISE(m.type == CTL_STATE || m.type == CTL_ANSWER || m.type == CTL_ROLE_STATS || m.type == CTL_OVER ||
			m.type == CTL_CONSOLE || m.type == CTL_PART || m.type == CTL_ROLE_RESETS);
}

/* Check the messages that the supervisor gets. */
static void hear(void)
{
	uint8_t input[512];
	struct ctl_msg m;

	while (ctl >= 0 && ctl_recv(ctl, &m) == 1) {
		PROMISE(m.type == CTL_COMMAND && m.value > CONTROL_NONE && m.value < CONTROL_COUNT);
		PROMISE(m.value != CONTROL_STATUS && m.value != CONTROL_WAIT && m.value != CONTROL_LOGS &&
			m.value != CONTROL_ATTACH);
	}
	while (console >= 0 && read(console, input, sizeof(input)) > 0)
		;
}

static void step(struct input *in)
{
	static const uint32_t types[] = { CTL_STATE, CTL_ANSWER, CTL_ROLE_STATS, CTL_OVER, CTL_PART, CTL_ROLE_RESETS };
	uint8_t op = take8(in), i = take8(in) % CLIENTS, noise[600];
	struct ctl_msg m;

	take(in, noise, op % 8 == 2 ? take8(in) : 0);
	memset(&m, 0, sizeof(m));
	switch (op % 8) {
	case 0:
		dial(&client[i]);
		break;
	case 1:
		m.type = op & 0x40 ? CTL_CONSOLE : CTL_COMMAND;
		m.value = take8(in) % (CONTROL_COUNT + 1);
		m.count = take16(in);
		m.detail = take8(in);
		take(in, m.text, 16);
		if (client[i] >= 0)
			(void)ctl_send(client[i], &m);
		break;
	case 2:
		if (client[i] >= 0)
			(void)send(client[i], noise, (size_t)op * 2 + 1, MSG_NOSIGNAL | MSG_DONTWAIT);
		break;
	case 3:
		close_one(&client[i]);
		break;
	case 4:
		take(in, &m, 64);
		m.type = types[m.type % ARRAY_SIZE(types)];
		(void)ctl_send(ctl, &m);
		break;
	case 5:
		(void)!write(console, server.scroll.data, take16(in));
		break;
	case 6:
		drain(client[i]);
		break;
	default:
		hear();
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, data + size };
	bool more = true;

	if (begin())
		while (left(&in) && more) {
			step(&in);
			more = server_turn(&server, 0);
			PROMISE(server.scroll.end - scroll_first(&server.scroll) <= SCROLL_SIZE);
			for (unsigned i = 0; i < MAX_CONTROL; i++)
				PROMISE(server.client[i].in_len <= sizeof(server.client[i].in));
		}
	hear();
	for (unsigned i = 0; i < CLIENTS; i++)
		drain(client[i]);
	for (unsigned i = 0; i < CLIENTS; i++)
		close_one(&client[i]);
	for (unsigned i = 0; i < MAX_CONTROL; i++)
		close_one(&server.client[i].fd);
	close_one(&server.listener);
	close_one(&server.ctl);
	close_one(&server.console);
	close_one(&ctl);
	close_one(&console);
	return 0;
}
