/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Promise: the line with the times of a start is printed once, and its times are none that wrapped around. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "parent/supervise/lines.h"
#include "parent/supervise/msg.h"
#include "parent/supervise/state.h"

static struct host host;
static struct config config = { .verbose = true };
static struct supervisor s;
static uint8_t lines[LINES_SIZE];

static void send_to_supervisor(int fd, enum ctl_type type)
{
	const struct ctl_msg m = { .type = type };

	assert_int_equal(send(fd, &m, sizeof(m), 0), sizeof(m));
}

/* The times of the start are printed once, and none is negative, whether the guest or the last process is later. */
static void the_times_of_a_start_add_up(void **state)
{
	unsigned long long spawn, load, total;
	const char *line;
	int sv[2];

	(void)state;
	memset(&s, 0, sizeof(s));
	s.h = &host;
	s.c = &config;
	s.status = -1;
	s.starts = 1;
	s.nroles = 2;
	s.err = (struct outbuf){ .buf = lines, .size = sizeof(lines) };
	for (unsigned i = 0; i < s.nroles; i++) {
		s.role[i].host = &host.role[i];
		s.role[i].ctl = -1;
	}
	for (unsigned early = 0; early < 2; early++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, sv), 0);
		s.err.len = 0;
		s.phase = PHASE_STARTING;
		s.guest_running = s.role[0].ready = s.role[1].ready = false;
		s.ready_us = s.running_us = 0;
		host.window_us = 5;
		config.began_us = config.parsed_us = host.window_from_us = now_us() - 5;
		s.role[1].ctl = sv[0];
		s.role[1].live = true;
		host.role[1].role = ROLE_VCPU;
		s.role[0].ready = !early; /* Otherwise this one is ready after the guest runs. */
		send_to_supervisor(sv[1], CTL_READY);
		send_to_supervisor(sv[1], CTL_RUNNING);
		sup_role_ctl(&s, &s.role[1]);
		if (early) {
			assert_null(memmem(lines, s.err.len, "start-up:", 9));
			s.role[0].ctl = sv[0];
			send_to_supervisor(sv[1], CTL_READY);
			sup_role_ctl(&s, &s.role[0]);
			s.role[0].ctl = -1;
		}
		lines[s.err.len] = '\0';
		line = strstr((const char *)lines, "start-up:");
		assert_non_null(line);
		assert_int_equal(sscanf(strstr(line, "spawn and confine"),
					"spawn and confine %llu us, load %llu us: first instruction after %llu us",
					&spawn, &load, &total),
				 3);
		assert_int_equal(5 + spawn + load, total);
		assert_true(total < 1000000000);
		assert_null(strstr(line + 1, "start-up:"));
		close(sv[0]);
		close(sv[1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_times_of_a_start_add_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
