/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Shared by the tests of controld: a server, the supervisor's ends of its channels, and clients. */
#ifndef TESTS_UNIT_CONTROLD_RIG_H
#define TESTS_UNIT_CONTROLD_RIG_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/control_name.h"
#include "controld/serve.h"
#include "tests/lib/unique.h"

static struct server server;
static struct sockaddr_un address;
static socklen_t address_len;
static int sup_ctl, sup_console; /* the supervisor's ends */

static inline int begin(void **state)
{
	int ctl[2], console[2], fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	(void)state;
	address_len = control_address(&address, getuid(), unique_name());
	if (bind(fd, (struct sockaddr *)&address, address_len) < 0 || listen(fd, 64) < 0 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ctl) < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, console) < 0)
		return -1;
	sup_ctl = ctl[0];
	sup_console = console[0];
	server_init(&server, fd, console[1], ctl[1], getuid());
	return 0;
}

static inline int end(void **state)
{
	(void)state;
	for (unsigned i = 0; i < MAX_CONTROL; i++)
		if (server.client[i].fd >= 0)
			close(server.client[i].fd);
	if (server.listener >= 0)
		close(server.listener);
	close(server.ctl);
	if (server.console >= 0)
		close(server.console);
	close(sup_ctl);
	if (sup_console >= 0)
		close(sup_console);
	return 0;
}

/* Let the server do all that it can do now. */
static inline void serve(void)
{
	for (int i = 0; i < 20; i++)
		if (!server_turn(&server, 0))
			return;
}

static inline int dial(void)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, address_len), 0);
	return fd;
}

static inline int ask(enum control_command command, uint64_t detail)
{
	const struct ctl_msg m = { .type = CTL_COMMAND, .value = command, .detail = detail };
	int fd = dial();

	assert_int_equal(ctl_send(fd, &m), 0);
	return fd;
}

/* Returns the next message at @fd; type 0 if there is none, UINT32_MAX at the end. */
static inline struct ctl_msg next(int fd)
{
	struct ctl_msg m = { 0 };
	int got = ctl_recv(fd, &m);

	if (got < 0 && errno == ECONNRESET)
		got = ctl_recv(fd, &m);
	if (got <= 0)
		m.type = got ? UINT32_MAX : 0;
	return m;
}

static inline void tell(struct ctl_msg m)
{
	assert_int_equal(ctl_send(sup_ctl, &m), 0);
	serve();
}

static inline void tell_state(void)
{
	struct ctl_msg m = { .type = CTL_STATE, .state = { .name = "one", .phase = GUEST_RUNNING, .starts = 3 } };

	tell(m);
}

static inline void status_is_served(void)
{
	int fd = ask(CONTROL_STATUS, 0);
	struct ctl_msg m;

	serve();
	m = next(fd);
	assert_int_equal(m.type, CTL_STATE);
	assert_string_equal(m.state.name, "one");
	assert_int_equal(m.state.starts, 3);
	close(fd);
}

#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)

#endif
