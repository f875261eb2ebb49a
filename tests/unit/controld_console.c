/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest's console through controld: each client gets the last 64 KiB; several clients at
 * once, clients that do not read, and input that the guest does not read.
 */
#include "tests/unit/controld_rig.h"

static void guest_prints(const char *data, size_t n)
{
	while (n) {
		ssize_t done = write(sup_console, data, MIN(n, 8192));

		serve();
		if (done < 0)
			assert_int_equal(errno, EAGAIN);
		else
			data += done, n -= (size_t)done;
	}
	serve();
}

/* Reads console bytes at @fd into @buf; returns how many. Serves meanwhile. */
static size_t take_console(int fd, uint8_t *buf, size_t size)
{
	size_t have = 0;

	for (;;) {
		struct ctl_msg m = next(fd);

		if (m.type == 0) {
			serve();
			m = next(fd);
		}
		if (m.type != CTL_CONSOLE)
			return have;
		assert_true(have + m.count <= size);
		memcpy(buf + have, m.text, m.count);
		have += m.count;
	}
}

static uint8_t printed[3 * SCROLL_SIZE], got[3 * SCROLL_SIZE];

static void logs_are_the_last_64_kib(void **state)
{
	size_t sizes[] = { 0, 1, 1000, SCROLL_SIZE, SCROLL_SIZE + 1, sizeof(printed) };

	(void)state;
	for (size_t i = 0; i < sizeof(printed); i++)
		printed[i] = (uint8_t)(i * 7 + i / 251);
	for (unsigned k = 0; k < ARRAY_SIZE(sizes); k++) {
		size_t n = sizes[k], want = MIN(n, SCROLL_SIZE), have;
		int fd;

		memset(&server.scroll, 0, sizeof(server.scroll));
		guest_prints((const char *)printed, n);
		fd = ask(CONTROL_LOGS, 0);
		serve();
		have = take_console(fd, got, sizeof(got));
		assert_int_equal(have, want);
		assert_memory_equal(got, printed + n - want, want);
		close(fd);
		serve();
	}
}

static void two_attach_at_once(void **state)
{
	int a = ask(CONTROL_ATTACH, 0), b = ask(CONTROL_ATTACH, 0);
	struct ctl_msg m = { .type = CTL_CONSOLE, .count = 5, .text = "input" };
	char in[64] = "";

	(void)state;
	serve();
	guest_prints("hello", 5);
	assert_int_equal(take_console(a, got, sizeof(got)), 5);
	assert_int_equal(take_console(b, got, sizeof(got)), 5);
	assert_int_equal(ctl_send(a, &m), 0);
	serve();
	assert_int_equal(ctl_send(b, &m), 0);
	serve();
	assert_int_equal(read(sup_console, in, sizeof(in)), 10);
	assert_string_equal(in, "inputinput");
	close(a);
	serve();
	guest_prints("more", 4);
	assert_int_equal(take_console(b, got, sizeof(got)), 4);
	close(b);
}

static void a_reader_that_stalls_holds_up_nobody(void **state)
{
	int stalled = ask(CONTROL_ATTACH, 0), good = ask(CONTROL_ATTACH, 0);
	size_t total = 0;

	(void)state;
	serve();
	for (unsigned i = 0; i < 64; i++) {
		guest_prints((const char *)printed, 16384);
		total += take_console(good, got, sizeof(got));
	}
	assert_int_equal(total, 64 * 16384);
	/* The slow client has lost the middle, and gets the newest output. */
	total = take_console(stalled, got, sizeof(got));
	assert_true(total >= SCROLL_SIZE && total < 64 * 16384);
	close(stalled);
	close(good);
}

static void input_waits_for_the_guest(void **state)
{
	struct ctl_msg m = { .type = CTL_CONSOLE, .count = sizeof(m.text) };
	int fd = ask(CONTROL_ATTACH, 0);
	size_t sent = 0, have = 0;
	ssize_t n;

	(void)state;
	memset(m.text, 'x', sizeof(m.text));
	serve();
	for (unsigned i = 0; i < 100000 && ctl_send(fd, &m) == 0; i++) {
		sent += m.count;
		server_turn(&server, 0);
	}
	assert_true(sent > 4096);
	/* If the supervisor does not read the input, the client that types has to wait, and nothing is lost. */
	tell_state();
	status_is_served();
	for (unsigned i = 0; i < 100000 && have < sent; i++) {
		n = read(sup_console, got, sizeof(got));
		have += n > 0 ? (size_t)n : 0;
		server_turn(&server, 0);
	}
	assert_int_equal(have, sent);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(logs_are_the_last_64_kib),
		T(two_attach_at_once),
		T(a_reader_that_stalls_holds_up_nobody),
		T(input_waits_for_the_guest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
