/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The launcher finds the guest's flag for pending interrupts (irq_pending), takes no other word for
 * it, and clears it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vcpu/lguest/flag.h"
#include "vcpu/lguest/lguest.h"

#define RAM  (1u << 20)
#define FROM 0x10000u

/* struct lguest_data: words of the common part, and where the two generations differ */
#define IRQ_PENDING 5
#define STATUS	    6
#define RESERVE	    342
#define TAIL	    344
#define WORDS	    348

static struct vm vm;
static struct lguest lg;
static uint8_t *ram;
static uint32_t d[WORDS];

static int fresh(void **state)
{
	(void)state;
	/* its own allocation, so that ASan sees a step beyond the end */
	free(ram);
	ram = calloc(1, RAM);
	assert_non_null(ram);
	memset(&vm, 0, sizeof(vm));
	memset(&lg, 0, sizeof(lg));
	lg.vm = &vm;
	lg.ram = RAM;
	lg.load.kernel_run = FROM;
	lg.load.kernel_end = RAM;
	vm.mem.nregions = 1;
	vm.mem.r[0] = (struct shm_region){ .size = RAM, .hva = ram };
	memset(d, 0, sizeof(d));
	memset(&d[STATUS], 0xff, 64);
	d[IRQ_PENDING] = 0x200;
	d[RESERVE] = 0x400000;
	return 0;
}

static int done(void **state)
{
	(void)state;
	free(ram);
	ram = NULL;
	return 0;
}

static void generation(unsigned offset_at)
{
	for (unsigned i = 0; i < offset_at; i++)
		d[TAIL + i] = 0xc0001000;
	d[TAIL + offset_at] = 0xc0000000;
	d[TAIL + offset_at + 1] = 0x80;
}

static void *put(uint32_t at)
{
	memcpy(ram + at, d, sizeof(d));
	return ram + at + IRQ_PENDING * 4;
}

static uint32_t *sought(void)
{
	lg.flag_next = 0;
	vm.stats.exits = 1;
	lg.flag = NULL;
	lguest_flag_find(&lg);
	return lg.flag;
}

static void found(uint32_t at)
{
	void *flag = put(at);

	assert_ptr_equal(sought(), flag);
}

static void found_at_every_place(void **state)
{
	(void)state;
	for (unsigned generations = 1; generations <= 2; generations++)
		for (uint32_t at = FROM; at < FROM + 256; at += 4) {
			fresh(NULL);
			generation(generations);
			found(at);
		}
	/* the last place of all */
	fresh(NULL);
	generation(2);
	found(RAM - sizeof(d));
}

static void found_among_calls_that_wait(void **state)
{
	uint8_t *status = (uint8_t *)&d[STATUS];

	(void)state;
	generation(1);
	memset(status, 0, 31);
	d[0] = 0x246;
	d[1] = 0xffffffff;
	found(FROM + 4);
}

static void refused(unsigned word, uint32_t value, const char *why)
{
	uint32_t was = d[word];

	d[word] = value;
	put(FROM + 64);
	if (sought())
		fail_msg("taken with %s", why);
	d[word] = was;
	put(FROM + 64);
	assert_non_null(sought());
}

static void nothing_else_is_taken_for_it(void **state)
{
	(void)state;
	generation(1);
	refused(RESERVE, 0, "nothing from the host: the kernel's own copy");
	refused(0, 0x80000000, "flags that no processor has");
	refused(IRQ_PENDING, 0x201, "a word that the host does not write");
	refused(STATUS + 3, 0xff55ffff, "a call in no state");
	refused(TAIL + 1, 0xc0001000, "no page offset");
	refused(TAIL + 1, 0x00400000, "a page offset below all of them");
	refused(TAIL, 0x1000, "an iret outside the kernel");
	refused(TAIL + 2, 0x81, "another vector");
	/* cut off by the end of RAM, or of the kernel */
	fresh(NULL);
	generation(1);
	memcpy(ram + RAM - sizeof(d) + 4, d, sizeof(d) - 4);
	assert_null(sought());
	fresh(NULL);
	generation(1);
	put(FROM + 4096);
	lg.load.kernel_end = FROM + 4096 + sizeof(d) - 4;
	assert_null(sought());
	fresh(NULL);
	lg.load.kernel_run = lg.load.kernel_end = RAM;
	assert_null(sought());
	fresh(NULL);
	memset(ram, 0xff, RAM);
	assert_null(sought());
}

/* At the exits 0, 16, 256 and 4096, or the next ones, and then no more. */
static void sought_now_and_then(void **state)
{
	static const struct {
		uint64_t exits;
		bool looks;
	} t[] = { { 1, true },	 { 2, false },	 { 15, false },	 { 16, true },	  { 255, false },
		  { 300, true }, { 400, false }, { 4096, true }, { 5000, false }, { 65536, false } };

	(void)state;
	generation(1);
	for (unsigned i = 0; i < ARRAY_SIZE(t); i++) {
		vm.stats.exits = t[i].exits;
		put(FROM);
		/* found if it looks; then hidden again, as if it had not been there */
		lguest_flag_find(&lg);
		if (!!lg.flag != t[i].looks)
			fail_msg("at exit %u", (unsigned)t[i].exits);
		lg.flag = NULL;
	}
	/* once found, no further search */
	fresh(NULL);
	generation(1);
	lg.flag = d;
	put(FROM);
	lguest_flag_find(&lg);
	assert_ptr_equal(lg.flag, d);
}

static void cleared(void **state)
{
	uint32_t *flag;

	(void)state;
	lguest_flag_clear(&lg);
	generation(2);
	flag = put(FROM);
	assert_ptr_equal(sought(), flag);
	lguest_flag_clear(&lg);
	assert_int_equal(*flag, 0);
	*flag = d[IRQ_PENDING];
	assert_memory_equal(ram + FROM, d, sizeof(d));
}

/* The launcher checks the word soon again if it was set, otherwise less and less often, and clears it. */
static void looked_at_now_and_then(void **state)
{
	uint32_t *flag;
	int pause;

	(void)state;
	assert_int_equal(lguest_flag_look(&lg), 4);
	assert_int_equal(lguest_flag_look(&lg), 8);
	generation(1);
	flag = put(FROM);
	assert_ptr_equal(sought(), flag);
	for (unsigned i = 0; i < 3; i++) {
		*flag = 0x200;
		assert_int_equal(lguest_flag_look(&lg), 4);
		assert_int_equal(*flag, 0);
	}
	for (int want = 8; want <= 512; want *= 2)
		assert_int_equal(lguest_flag_look(&lg), want);
	for (unsigned i = 0; i < 100; i++)
		pause = lguest_flag_look(&lg);
	assert_int_equal(pause, 512);
	*flag = 0x200;
	assert_int_equal(lguest_flag_look(&lg), 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(found_at_every_place, fresh, done),
		cmocka_unit_test_setup_teardown(found_among_calls_that_wait, fresh, done),
		cmocka_unit_test_setup_teardown(nothing_else_is_taken_for_it, fresh, done),
		cmocka_unit_test_setup_teardown(sought_now_and_then, fresh, done),
		cmocka_unit_test_setup_teardown(cleared, fresh, done),
		cmocka_unit_test_setup_teardown(looked_at_now_and_then, fresh, done),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
