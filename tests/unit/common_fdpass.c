/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Descriptors over a socket: as many as fit arrive, none stays open in the receiver
 * unnoticed, and a message of another length is refused.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/fdpass.h"

static int pair[2];

static int make_pair(void **state)
{
	(void)state;
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);
}

static int close_pair(void **state)
{
	(void)state;
	close(pair[0]);
	close(pair[1]);
	return 0;
}

static unsigned open_now(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* Send @count descriptors to a receiver that expects @room; closes the received ones. Returns that of fdpass_recv(). */
static int pass(unsigned count, unsigned room, unsigned *came)
{
	int fds[FDPASS_MAX], got[FDPASS_MAX + 8], err, rc;
	uint64_t word = 42, back = 0;
	unsigned before = open_now();

	for (unsigned i = 0; i < count; i++)
		fds[i] = pair[0];
	memset(got, 0xff, sizeof(got));
	assert_int_equal(fdpass_send(pair[0], &word, sizeof(word), fds, count, 0), 0);
	*came = room;
	rc = fdpass_recv(pair[1], &back, sizeof(back), room ? got : NULL, came);
	err = errno;
	assert_int_equal(back, 42);
	assert_true(*came <= room);
	for (unsigned i = 0; i < *came; i++) {
		assert_true(fcntl(got[i], F_GETFD) & FD_CLOEXEC);
		close(got[i]);
	}
	for (unsigned i = room; i < FDPASS_MAX + 8; i++)
		assert_int_equal(got[i], -1);
	assert_int_equal(open_now(), before);
	errno = err;
	return rc;
}

static void descriptors_arrive_or_are_refused(void **state)
{
	unsigned came;

	(void)state;
	assert_int_equal(pass(0, 4, &came), 1);
	assert_int_equal(came, 0);
	assert_int_equal(pass(1, 1, &came), 1);
	assert_int_equal(came, 1);
	assert_int_equal(pass(FDPASS_MAX, FDPASS_MAX, &came), 1);
	assert_int_equal(came, FDPASS_MAX);
	/* One more than there is room for, also where alignment leaves a gap behind an odd number. */
	for (unsigned room = 0; room < 6; room++) {
		assert_int_equal(pass(room + 1, room, &came), -1);
		assert_int_equal(errno, EPROTO);
	}
}

static void other_messages_are_refused(void **state)
{
	uint64_t back;
	unsigned n = 0;
	int none[FDPASS_MAX + 1] = { 0 };

	(void)state;
	assert_int_equal(fdpass_recv(pair[1], &back, sizeof(back), NULL, NULL), 0);
	assert_int_equal(send(pair[0], "short", 5, 0), 5);
	assert_int_equal(fdpass_recv(pair[1], &back, sizeof(back), NULL, NULL), -1);
	assert_int_equal(errno, EPROTO);
	assert_int_equal(send(pair[0], "longer than it", 14, 0), 14);
	assert_int_equal(fdpass_recv(pair[1], &back, sizeof(back), none, &n), -1);
	assert_int_equal(errno, EPROTO);
	assert_int_equal(fdpass_send(pair[0], "", 1, none, FDPASS_MAX + 1, 0), -1);
	assert_int_equal(errno, E2BIG);
	shutdown(pair[0], SHUT_WR);
	assert_int_equal(fdpass_recv(pair[1], &back, sizeof(back), NULL, NULL), -1);
	assert_int_equal(errno, EPIPE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(descriptors_arrive_or_are_refused, make_pair, close_pair),
		cmocka_unit_test_setup_teardown(other_messages_are_refused, make_pair, close_pair),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
