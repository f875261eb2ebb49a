/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A supervisor whose roles, spawners and monitor are sockets of the test; for parent_hold.c and parent_steer.c. */
#ifndef TESTS_UNIT_PARENT_STEER_RIG_H
#define TESTS_UNIT_PARENT_STEER_RIG_H

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "parent/supervise/control.h"
#include "parent/supervise/control_io.h"
#include "parent/supervise/end.h"
#include "parent/supervise/exit_port.h"
#include "parent/supervise/hold.h"
#include "parent/supervise/io.h"
#include "parent/supervise/msg.h"
#include "parent/supervise/restart.h"
#include "parent/supervise/start.h"
#include "parent/supervise/steer.h"

enum { BLK, NET, CONTROL, VCPU, ROLES };
enum { TICKET = 77 };

static struct host host;
static struct config config;
static struct supervisor s;
static uint8_t lines[LINES_SIZE], in_bytes[CONSOLE_IN_SIZE], control_bytes[CONTROL_OUT_SIZE];
static int far[ROLES], spawner[ROLES], monitor, serial; /* the other ends */

static inline int make_pair(int type, int *ours)
{
	int sv[2];

	if (socketpair(AF_UNIX, type | SOCK_NONBLOCK, 0, sv) < 0)
		return -1;
	*ours = sv[0];
	return sv[1];
}

/* A guest with a disk and a NIC runs, with the engine @engine. */
static inline void start(enum engine_kind engine)
{
	static const enum role kind[ROLES] = { ROLE_BLKD, ROLE_NETD, ROLE_CONTROLD, ROLE_VCPU };

	memset(&s, 0, sizeof(s));
	memset(&host, 0, sizeof(host));
	memset(&config, 0, sizeof(config));
	s.h = &host;
	s.c = &config;
	host.engine = engine;
	config.kernel = "vmlinuz";
	config.max_restarts = 5;
	s.status = host.control = host.tell_ready = s.control_console = s.con_out = s.exit_port = -1;
	host.term.in = host.term.out = host.term.err = -1;
	s.starts = s.processors = 1;
	s.nroles = ROLES;
	s.phase = PHASE_RUNNING;
	s.guest_running = true;
	s.began = now_ms();
	s.err = (struct outbuf){ .buf = lines, .size = sizeof(lines) };
	s.in = (struct outbuf){ .buf = in_bytes, .size = sizeof(in_bytes) };
	s.control_out = (struct outbuf){ .buf = control_bytes, .size = sizeof(control_bytes) };
	for (unsigned i = 0; i < ROLES; i++) {
		s.role[i].host = &host.role[i];
		s.role[i].live = s.role[i].ready = true;
		s.role[i].device = i == BLK ? 0 : i == NET ? 1 : -1;
		host.role[i].role = kind[i];
		host.role[i].diag = host.role[i].foreign = -1;
		far[i] = make_pair(SOCK_SEQPACKET, &s.role[i].ctl);
		spawner[i] = make_pair(SOCK_SEQPACKET, &host.role[i].spawner.sock);
		snprintf(host.role[i].name, sizeof(host.role[i].name), "role%u", i);
	}
	s.monitor = s.serial = s.con_in = monitor = serial = -1;
	if (engine == ENGINE_QEMU) {
		monitor = make_pair(SOCK_STREAM, &s.monitor);
		serial = make_pair(SOCK_STREAM, &s.con_in);
		s.serial_first = s.qmp_ready = true;
	}
}

static inline int kvm(void **state)
{
	(void)state;
	start(ENGINE_KVM);
	return 0;
}

static inline int qemu(void **state)
{
	(void)state;
	start(ENGINE_QEMU);
	return 0;
}

static inline int done(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ROLES; i++) {
		close(far[i]);
		close(spawner[i]);
		close(host.role[i].spawner.sock);
		if (s.role[i].ctl >= 0)
			close(s.role[i].ctl);
	}
	close(monitor);
	close(serial);
	close(s.monitor);
	close(s.con_in);
	return 0;
}

static inline void turn(void)
{
	sup_control_turn(&s);
	sup_deadlines(&s);
	sup_control_turn(&s);
}

/* A command of the client @ticket; the supervisor runs it in its next turn. */
static inline void command_of(uint32_t ticket, enum control_command c, uint64_t detail)
{
	const struct ctl_msg m = { .type = CTL_COMMAND, .value = c, .detail = detail, .queue = ticket };

	assert_int_equal(ctl_send(far[CONTROL], &m), 0);
	sup_role_ctl(&s, &s.role[CONTROL]);
}

static inline void command(enum control_command c, uint64_t detail)
{
	command_of(TICKET, c, detail);
	turn();
}

/* Returns the next message of that type for role @i, or one of type 0 if there is none. */
static inline struct ctl_msg hear(unsigned i, enum ctl_type type)
{
	struct ctl_msg m;

	while (ctl_recv(far[i], &m) == 1)
		if (m.type == (uint32_t)type)
			return m;
	return (struct ctl_msg){ 0 };
}

/* The next answer is for the client @ticket, and it is @result. */
static inline void answered_to(uint32_t ticket, enum control_result result, const char *text)
{
	struct ctl_msg m = hear(CONTROL, CTL_ANSWER);

	assert_int_equal(m.type, CTL_ANSWER);
	assert_int_equal(m.queue, ticket);
	assert_string_equal(m.text, text);
	assert_int_equal(m.value, result);
}

static inline void answered(enum control_result result, const char *text)
{
	answered_to(TICKET, result, text);
}

static inline void not_answered(void)
{
	assert_int_equal(hear(CONTROL, CTL_ANSWER).type, 0);
}

/* What the spawner of @i was asked last; 0: nothing. The number of the request in *@number. */
static inline uint32_t asked(unsigned i, uint32_t *number)
{
	struct spawn_msg m;
	uint32_t last = 0;

	while (recv(spawner[i], &m, sizeof(m), MSG_DONTWAIT) == sizeof(m)) {
		last = m.type;
		if (number)
			*number = m.value;
	}
	return last;
}

static inline void stopped(unsigned i, uint32_t number)
{
	const struct spawn_msg m = { .type = SPAWN_PAUSED, .value = number };

	assert_int_equal(send(spawner[i], &m, sizeof(m), 0), sizeof(m));
	assert_false(sup_role_spawner(&s, &s.role[i]));
	turn();
}

static inline void monitor_is_told(const char *text)
{
	char got[512];
	ssize_t n = recv(monitor, got, sizeof(got) - 1, 0);

	assert_true(n > 0);
	got[n] = '\0';
	assert_string_equal(got, text);
}

static inline void monitor_says(const char *text)
{
	assert_int_equal(send(monitor, text, strlen(text), 0), strlen(text));
	sup_monitor(&s);
	turn();
}

static inline void all_stop(void)
{
	uint32_t number = 0;

	assert_int_equal(asked(VCPU, &number), SPAWN_PAUSE);
	assert_int_equal(asked(BLK, NULL), SPAWN_PAUSE);
	assert_int_equal(asked(NET, NULL), SPAWN_PAUSE);
	assert_int_equal(asked(CONTROL, NULL), 0);
	stopped(VCPU, number);
	stopped(BLK, number);
	/* A late answer to an earlier request does not count. */
	stopped(NET, number - 1);
	not_answered();
	assert_int_not_equal(s.hold, HOLD_DONE);
	stopped(NET, number);
	assert_int_equal(s.hold, HOLD_DONE);
}

static inline void pause_it(void)
{
	command(CONTROL_PAUSE, 0);
	if (s.hold == HOLD_MONITOR) {
		monitor_is_told(QMP_STOP);
		monitor_says("{\"event\": \"STOP\"}\r\n");
	}
	all_stop();
	answered(CONTROL_DONE, "");
}

static inline void all_run(void)
{
	assert_int_equal(s.hold, HOLD_NONE);
	assert_int_equal(asked(BLK, NULL), SPAWN_RESUME);
	assert_int_equal(asked(NET, NULL), SPAWN_RESUME);
	assert_int_equal(asked(VCPU, NULL), SPAWN_RESUME);
}

#endif
