/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * controld serves only its owner and root, whatever other users send: silent connections,
 * incomplete, wrong and repeated requests. Each answer reaches the client that asked, and the
 * end of the guest is sent to all clients that wait for it.
 */
#include <sys/resource.h>

#include "tests/unit/controld_rig.h"

static void a_status_is_the_supervisors(void **state)
{
	(void)state;
	tell_state();
	status_is_served();
}

static void a_state_is_never_older_than_the_question(void **state)
{
	struct ctl_msg m = { .type = CTL_STATE, .state = { .name = "one", .phase = GUEST_RUNNING } };
	int fd = ask(CONTROL_STATUS, 0);

	(void)state;
	/* Before the supervisor has sent anything there is no answer. */
	serve();
	assert_int_equal(next(fd).type, 0);
	m.state.starts = 1;
	tell(m);
	assert_int_equal(next(fd).state.starts, 1);
	close(fd);
	/* The new state is in the channel when the question arrives. */
	m.state.starts = 2;
	assert_int_equal(ctl_send(sup_ctl, &m), 0);
	fd = ask(CONTROL_STATUS, 0);
	serve();
	assert_int_equal(next(fd).state.starts, 2);
	close(fd);
}

static void silent_connections_harm_nobody(void **state)
{
	static int fd[1000];
	struct rlimit l = { 4096, 4096 };

	(void)state;
	(void)setrlimit(RLIMIT_NOFILE, &l);
	tell_state();
	for (unsigned i = 0; i < ARRAY_SIZE(fd); i++) {
		fd[i] = dial();
		if (i % 50 == 49) {
			serve();
			status_is_served();
		}
	}
	status_is_served();
	for (unsigned i = 0; i < ARRAY_SIZE(fd); i++)
		close(fd[i]);
	serve();
	for (unsigned i = 0; i < MAX_CONTROL; i++)
		assert_int_equal(server.client[i].fd, -1);
}

static void a_silent_connection_is_closed_in_time(void **state)
{
	int fd = dial();

	(void)state;
	serve();
	assert_int_equal(next(fd).type, 0);
	for (unsigned i = 0; i < MAX_CONTROL; i++)
		server.client[i].deadline = 1;
	serve();
	assert_int_equal(next(fd).type, UINT32_MAX);
	close(fd);
}

static void bad_messages_end_their_connection(void **state)
{
	static const uint8_t noise[2 * sizeof(struct ctl_msg)];
	static const size_t size[] = {
		1, 4, sizeof(struct ctl_msg) / 2, sizeof(struct ctl_msg) - 1, sizeof(struct ctl_msg) + 1, sizeof(noise)
	};
	static const uint32_t type[] = { 0, CTL_CONFIG, CTL_STOP, CTL_READY, CTL_STATE, CTL_OVER, CTL_CONSOLE, 12345 };

	(void)state;
	tell_state();
	for (unsigned i = 0; i < ARRAY_SIZE(size); i++) {
		int fd = dial();

		assert_int_equal(send(fd, noise, size[i], 0), size[i]);
		serve();
		assert_int_equal(next(fd).type, UINT32_MAX);
		close(fd);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(type); i++) {
		struct ctl_msg m = { .type = type[i], .value = 1 };
		int fd = dial();

		assert_int_equal(ctl_send(fd, &m), 0);
		serve();
		assert_int_equal(next(fd).type, UINT32_MAX);
		close(fd);
	}
	/* Nothing of this reached the supervisor. */
	assert_int_equal(next(sup_ctl).type, 0);
	status_is_served();
}

static void unknown_commands_are_refused(void **state)
{
	static const uint32_t value[] = { 0, CONTROL_COUNT, UINT32_MAX };

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(value); i++) {
		int fd = ask((enum control_command)value[i], 0);

		serve();
		assert_int_equal(next(fd).type, UINT32_MAX);
		close(fd);
	}
	assert_int_equal(next(sup_ctl).type, 0);
}

static void a_connection_has_one_request(void **state)
{
	const struct ctl_msg kill = { .type = CTL_COMMAND, .value = CONTROL_KILL };
	int fd = ask(CONTROL_WAIT, 0);

	(void)state;
	serve();
	assert_int_equal(ctl_send(fd, &kill), 0);
	serve();
	assert_int_equal(next(fd).type, UINT32_MAX);
	assert_int_equal(next(sup_ctl).type, 0);
	close(fd);
}

static void strangers_are_turned_away(void **state)
{
	struct ctl_msg m;
	int fd;

	(void)state;
	if (geteuid() != 0) {
		print_message("skipped: needs root, to be another user\n");
		skip();
	}
	server.owner = 1234;
	assert_int_equal(seteuid(4321), 0);
	fd = ask(CONTROL_KILL, 0);
	assert_int_equal(seteuid(0), 0);
	serve();
	m = next(fd);
	assert_int_equal(m.type, CTL_ANSWER);
	assert_int_equal(m.value, CONTROL_REFUSED);
	assert_int_equal(next(fd).type, UINT32_MAX);
	assert_int_equal(next(sup_ctl).type, 0);
	close(fd);
	/* The owner and root are not strangers. */
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(seteuid(i ? 0 : 1234), 0);
		fd = ask(CONTROL_KILL, 0);
		assert_int_equal(seteuid(0), 0);
		serve();
		assert_int_equal(next(sup_ctl).value, CONTROL_KILL);
		close(fd);
	}
}

static void as_many_as_there_is_room_for(void **state)
{
	int fd[MAX_CONTROL], more;
	struct ctl_msg m;

	(void)state;
	for (unsigned i = 0; i < MAX_CONTROL; i++) {
		fd[i] = ask(CONTROL_WAIT, 0);
		serve();
	}
	more = ask(CONTROL_STATUS, 0);
	serve();
	m = next(more);
	assert_int_equal(m.type, CTL_ANSWER);
	assert_int_equal(m.value, CONTROL_BUSY);
	close(more);
	for (unsigned i = 0; i < MAX_CONTROL; i++) {
		assert_int_equal(next(fd[i]).type, 0);
		close(fd[i]);
	}
	tell_state();
	status_is_served();
}

static void an_answer_goes_to_who_asked(void **state)
{
	int first = ask(CONTROL_KILL, 7), second;
	struct ctl_msg asked, m = { .type = CTL_ANSWER, .value = CONTROL_FAILED, .text = "no" };

	(void)state;
	serve();
	asked = next(sup_ctl);
	assert_int_equal(asked.type, CTL_COMMAND);
	assert_int_equal(asked.value, CONTROL_KILL);
	assert_int_equal(asked.detail, 7);
	/* Another one takes the place before the answer comes. */
	close(first);
	serve();
	second = ask(CONTROL_STOP, 0);
	serve();
	m.queue = asked.queue;
	tell(m);
	assert_int_equal(next(second).type, 0);
	m.queue = next(sup_ctl).queue;
	assert_int_not_equal(m.queue, asked.queue);
	/* Tickets that do not exist. */
	for (uint32_t i = 0; i < 512; i++) {
		struct ctl_msg wrong = m;

		wrong.queue = i == m.queue ? UINT32_MAX : i;
		tell(wrong);
	}
	assert_int_equal(next(second).type, 0);
	tell(m);
	m = next(second);
	assert_int_equal(m.type, CTL_ANSWER);
	assert_string_equal(m.text, "no");
	close(second);
}

static void the_end_reaches_all_who_wait(void **state)
{
	int fd[] = { ask(CONTROL_WAIT, 0), ask(CONTROL_STOP, 0), ask(CONTROL_KILL, 0), ask(CONTROL_ATTACH, 0) };
	struct ctl_msg m = { .type = CTL_ANSWER, .value = CONTROL_DONE };
	int again;

	(void)state;
	serve();
	for (unsigned i = 0; i < 2; i++) {
		m.queue = next(sup_ctl).queue;
		tell(m);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(fd); i++)
		assert_int_equal(next(fd[i]).type, 0);
	/* The guest's last output is sent before its end. */
	assert_int_equal(write(sup_console, "bye", 3), 3);
	tell((struct ctl_msg){ .type = CTL_OVER, .value = 42 });
	m = next(fd[3]);
	assert_int_equal(m.type, CTL_CONSOLE);
	assert_int_equal(m.count, 3);
	for (unsigned i = 0; i < ARRAY_SIZE(fd); i++) {
		m = next(fd[i]);
		assert_int_equal(m.type, CTL_OVER);
		assert_int_equal(m.value, 42);
		close(fd[i]);
	}
	assert_false(server_turn(&server, 0));
	/* The name is free. */
	assert_int_equal(server.listener, -1);
	again = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(again, (struct sockaddr *)&address, address_len), 0);
	close(again);
}

static void the_parts_come_as_a_whole_list(void **state)
{
	struct ctl_msg part = { .type = CTL_PART, .count = 2, .part = { .kind = PART_PORT, .name = "log" } };
	int first = ask(CONTROL_PARTS, 0), late, other = ask(CONTROL_STATS, 0);
	struct ctl_msg m;

	(void)state;
	serve();
	m = next(sup_ctl);
	assert_int_equal(m.type, CTL_COMMAND);
	assert_int_equal(m.value, CONTROL_PARTS);
	tell(part);
	/* A client that comes in the middle of a list gets the next one. */
	late = ask(CONTROL_PARTS, 0);
	serve();
	part.queue = 1;
	part.part.name[0] = 'L';
	tell(part);
	assert_string_equal(next(first).part.name, "log");
	assert_string_equal(next(first).part.name, "Log");
	assert_int_equal(next(first).type, UINT32_MAX);
	assert_int_equal(next(late).type, 0);
	part.queue = 0;
	tell(part);
	part.queue = 1;
	tell(part);
	assert_int_equal(next(late).queue, 0);
	assert_int_equal(next(late).queue, 1);
	assert_int_equal(next(late).type, UINT32_MAX);
	/* Those who asked for something else get none of it. */
	assert_int_equal(next(other).type, 0);
	close(first);
	close(late);
	close(other);
}

static void a_stats_request_gets_a_whole_round(void **state)
{
	int early = ask(CONTROL_STATS, 0), late;
	struct ctl_msg m = { .type = CTL_ROLE_STATS, .count = 3 };

	(void)state;
	serve();
	assert_int_equal(next(sup_ctl).value, CONTROL_STATS);
	tell(m);
	late = ask(CONTROL_STATS, 0);
	serve();
	assert_int_equal(next(sup_ctl).value, CONTROL_STATS);
	for (m.queue = 1; m.queue < 3; m.queue++)
		tell(m);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(next(early).queue, i);
	assert_int_equal(next(early).type, UINT32_MAX);
	assert_int_equal(next(late).type, 0);
	assert_int_equal(next(sup_ctl).value, CONTROL_STATS);
	for (m.queue = 0; m.queue < 3; m.queue++) {
		if (m.queue == 2) /* It belongs to the list, and does not end it. */
			tell((struct ctl_msg){ .type = CTL_ROLE_RESETS, .queue = 2, .count = 4 });
		tell(m);
	}
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(next(late).queue, i);
	assert_int_equal(next(late).type, CTL_ROLE_RESETS);
	assert_int_equal(next(late).queue, 2);
	close(early);
	close(late);
}

static void it_ends_with_its_supervisor(void **state)
{
	int fd = ask(CONTROL_WAIT, 0);

	(void)state;
	serve();
	close(sup_ctl);
	assert_false(server_turn(&server, 0));
	sup_ctl = dup(fd);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_status_is_the_supervisors),	      T(a_state_is_never_older_than_the_question),
		T(silent_connections_harm_nobody),    T(a_silent_connection_is_closed_in_time),
		T(bad_messages_end_their_connection), T(unknown_commands_are_refused),
		T(a_connection_has_one_request),      T(strangers_are_turned_away),
		T(as_many_as_there_is_room_for),      T(an_answer_goes_to_who_asked),
		T(the_end_reaches_all_who_wait),      T(a_stats_request_gets_a_whole_round),
		T(the_parts_come_as_a_whole_list),    T(it_ends_with_its_supervisor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
