/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The scanner of QMP lines: it finds the known events, ignores their names in other places,
 * and accepts any bytes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "parent/supervise/qmp.h"

static struct qmp q;

/* The last news in @text that was any. */
static enum qmp_news feed(const char *text)
{
	enum qmp_news last = QMP_NOTHING;

	for (; *text; text++) {
		enum qmp_news n = qmp_feed(&q, (uint8_t)*text);

		if (n != QMP_NOTHING)
			last = n;
	}
	return last;
}

#define SHUTDOWN(reason)                                                                   \
	"{\"timestamp\": {\"seconds\": 1, \"microseconds\": 2}, \"event\": \"SHUTDOWN\", " \
	"\"data\": {\"guest\": true, \"reason\": \"" reason "\"}}\r\n"

static void finds_the_events(void **state)
{
	static const struct {
		const char *line;
		enum qmp_news news;
	} t[] = {
		{ "{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 2}}, \"capabilities\": [\"oob\"]}}\r\n",
		  QMP_GREETING },
		{ SHUTDOWN("guest-reset"), QMP_GUEST_RESET },
		{ SHUTDOWN("guest-shutdown"), QMP_GUEST_OFF },
		{ SHUTDOWN("guest-panic"), QMP_GUEST_PANIC },
		{ SHUTDOWN("host-signal"), QMP_HOST_END },
		{ SHUTDOWN("host-qmp-quit"), QMP_HOST_END },
		{ "{\"event\": \"SHUTDOWN\"}\n", QMP_HOST_END },
		{ "{\"data\":{\"reason\":\"guest-reset\"},\"event\":\"SHUTDOWN\"}\n", QMP_GUEST_RESET },
		{ "{\"event\": \"GUEST_PANICKED\", \"data\": {\"action\": \"pause\"}}\r\n", QMP_GUEST_PANIC },
		{ "{\"event\": \"VSERPORT_CHANGE\", \"data\": {\"open\": true, \"id\": \"hvc0\"}}\r\n",
		  QMP_CONSOLE_OPEN },
		{ "{\"event\": \"VSERPORT_CHANGE\", \"data\": {\"open\": false, \"id\": \"hvc0\"}}\r\n", QMP_NOTHING },
		{ "{\"open\": true, \"event\": \"VSERPORT_CHANGE\", \"data\": {\"id\": \"true\"}}\r\n", QMP_NOTHING },
		{ "{\"return\": {}}\r\n", QMP_NOTHING },
		{ "{\"event\": \"RESET\", \"data\": {\"reason\": \"guest-reset\"}}\r\n", QMP_NOTHING },
		{ "{\"timestamp\": {\"seconds\": 1, \"microseconds\": 2}, \"event\": \"STOP\"}\r\n", QMP_STOPPED },
		{ "{\"event\": \"RESUME\"}\r\n", QMP_NOTHING },
		{ "{\"return\": {}, \"id\": \"break\"}\r\n", QMP_BREAK_SENT },
		{ "{\"id\": \"break\", \"return\": {}}\r\n", QMP_BREAK_SENT },
		{ "{\"id\": \"break\", \"error\": {\"class\": \"GenericError\", \"desc\": \"return\"}}\r\n",
		  QMP_BREAK_FAILED },
		{ "{\"return\": {}, \"id\": \"broken\"}\r\n", QMP_NOTHING },
		{ "{\"return\": {}, \"id\": \"nmi\"}\r\n", QMP_NMI_SENT },
		{ "{\"id\": \"nmi\", \"error\": {\"class\": \"GenericError\", \"desc\": \"return\"}}\r\n",
		  QMP_NMI_FAILED },
		{ "{\"id\": \"nmi\"}\r\n", QMP_NOTHING },
		{ "{\"id\": \"break\"}\r\n", QMP_NOTHING },
	};

	(void)state;
	memset(&q, 0, sizeof(q));
	for (unsigned i = 0; i < ARRAY_SIZE(t); i++)
		assert_int_equal(feed(t[i].line), t[i].news);
}

static void is_not_fooled(void **state)
{
	static const char *const t[] = {
		"{\"error\": {\"event\": \"SHUTDOWN\", \"reason\": \"guest-reset\"}}\n",
		"{\"return\": \"{\\\"event\\\": \\\"SHUTDOWN\\\"}\"}\n",
		"{\"x\": [\"event\", \"SHUTDOWN\"]}\n",
		"{\"error\": {\"event\": \"STOP\"}}\n",
		"{\"x\": {\"return\": {}, \"id\": \"break\"}}\n",
		"{\"x\": {\"return\": {}, \"id\": \"nmi\"}}\n",
		"\"event\": \"SHUTDOWN\"\n",
		"{\"event\": \"SHUTDOWN\"\n", /* cut off */
		"{\"event\": \"SHUTDOWN\n",
		"{\"event\": \"SHUTDOWN\\\n",
		"}{\"event\": \"SHUTDOWN\"}\n",
		"{\"event\": \"SHUTDOWNSHUTDOWNSHUTDOWNSHUTDOWN\"}\n",
		"{\"eve\\u006et\": \"SHUTDOWN\"}\n",
		"{\"a\": {\"QMP\": 1}}\n",
		"\n",
	};

	(void)state;
	memset(&q, 0, sizeof(q));
	for (unsigned i = 0; i < ARRAY_SIZE(t); i++)
		if (feed(t[i]) != QMP_NOTHING)
			fail_msg("took %s", t[i]);
	/* And is not thrown off by any of it. */
	assert_int_equal(feed(SHUTDOWN("guest-reset")), QMP_GUEST_RESET);
	/* A reason elsewhere than in data is none. */
	assert_int_equal(feed("{\"event\":\"SHUTDOWN\",\"x\":{\"reason\":\"guest-reset\"}}\n"), QMP_HOST_END);
	assert_int_equal(feed("{\"event\":\"SHUTDOWN\",\"data\":{\"a\":{\"reason\":\"guest-reset\"}}}\n"),
			 QMP_HOST_END);
}

static void long_and_deep_lines_are_dropped(void **state)
{
	(void)state;
	memset(&q, 0, sizeof(q));
	for (unsigned i = 0; i < QMP_LINE_MAX * 3; i++)
		assert_int_equal(qmp_feed(&q, i % 2 ? '{' : '"'), QMP_NOTHING);
	assert_int_equal(feed("{\"event\": \"SHUTDOWN\"}\n"), QMP_NOTHING); /* the end of that line */
	assert_int_equal(feed(SHUTDOWN("guest-shutdown")), QMP_GUEST_OFF);
	for (unsigned i = 0; i < QMP_LINE_MAX; i++)
		assert_int_equal(qmp_feed(&q, '['), QMP_NOTHING);
	assert_int_equal(qmp_feed(&q, '\n'), QMP_NOTHING);
	assert_int_equal(feed(SHUTDOWN("guest-reset")), QMP_GUEST_RESET);
}

static void random_bytes_are_survived(void **state)
{
	static const char alphabet[] = "{}[]\":\\, \r\neventSHUTDOWNdatareason";

	(void)state;
	memset(&q, 0, sizeof(q));
	srandom(1);
	for (unsigned i = 0; i < 2000000; i++) {
		uint8_t b = (uint8_t)random();

		if (i % 3)
			b = (uint8_t)alphabet[b % (sizeof(alphabet) - 1)];
		assert_true((unsigned)qmp_feed(&q, b) <= QMP_HOST_END);
	}
	qmp_feed(&q, '\n');
	assert_int_equal(feed(SHUTDOWN("guest-reset")), QMP_GUEST_RESET);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_the_events),
		cmocka_unit_test(is_not_fooled),
		cmocka_unit_test(long_and_deep_lines_are_dropped),
		cmocka_unit_test(random_bytes_are_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
