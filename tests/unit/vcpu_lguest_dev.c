/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whatever /dev/lguest returns, a read of it gives one event and stays inside its struct. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/fdtab.h"
#include "vcpu/lguest/dev.h"
#include "vcpu/lguest/lguest.h"

static struct {
	struct lguest_exit x;
	char after;
} got;

/* A file in the device's place: what a read of it gives. */
static enum lguest_event answer(enum lguest_dialect d, const void *bytes, size_t n)
{
	int fd = memfd_create("lguest", MFD_CLOEXEC);
	enum lguest_event e;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, n), n);
	assert_int_equal(dup2(fd, VFD_ENGINE), VFD_ENGINE);
	if (fd != VFD_ENGINE)
		close(fd);
	memset(&got, 0x55, sizeof(got));
	e = lguest_run(d, &got.x);
	lguest_let_go();
	assert_int_equal(got.after, 0x55);
	return e;
}

static void last_words_of_every_length(void **state)
{
	char text[2 * LOG_LINE_MAX];

	(void)state;
	memset(text, 'w', sizeof(text));
	for (size_t n = 1; n <= sizeof(text); n++) {
		/* no word of the host's is as short as a notification */
		if (n == sizeof(long))
			continue;
		assert_int_equal(answer(LGUEST_PAGE, text, n), LGUEST_EV_DEAD);
		assert_int_equal(strlen(got.x.text), MIN(n, LOG_LINE_MAX - 1u));
		assert_int_equal(answer(LGUEST_PCI, text, n), LGUEST_EV_DEAD);
		assert_int_equal(strlen(got.x.text), MIN(n, LOG_LINE_MAX - 1u));
	}
}

static void a_notification(void **state)
{
	const unsigned long addr = 0x1234000;

	(void)state;
	assert_int_equal(answer(LGUEST_PAGE, &addr, sizeof(addr)), LGUEST_EV_NOTIFY);
	assert_int_equal(got.x.addr, addr);
}

/* struct lguest_pending */
static void a_trap(void **state)
{
	uint8_t pending[12] = { 13, 0xee, 2, 3, 4, 5, 6, 7, 0x78, 0x56, 0x34, 0x12 };

	(void)state;
	assert_int_equal(answer(LGUEST_PCI, pending, sizeof(pending)), LGUEST_EV_TRAP);
	assert_int_equal(got.x.trap, 13);
	assert_memory_equal(got.x.insn, pending + 1, 7);
	assert_int_equal(got.x.addr, 0x12345678);
	/* a guest's words of twelve bytes are no trap */
	assert_int_equal(answer(LGUEST_PCI, "CRASH: abcd", 12), LGUEST_EV_DEAD);
	assert_string_equal(got.x.text, "CRASH: abcd");
	pending[0] = 6;
	assert_int_equal(answer(LGUEST_PCI, pending, sizeof(pending)), LGUEST_EV_DEAD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(last_words_of_every_length),
		cmocka_unit_test(a_notification),
		cmocka_unit_test(a_trap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
