/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Shared by the tests of --save and --from: a saved guest in @file, and another machine that loads it. */
#ifndef TESTS_UNIT_VCPU_SAVE_RIG_H
#define TESTS_UNIT_VCPU_SAVE_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/lib/saved_guest.h"

static uint8_t file[256 << 10];
static size_t file_len;
static uint8_t saved_memory[2][LOW];

static inline int reset_options(void **state)
{
	(void)state;
	memset(&config, 0, sizeof(config));
	config.mem_bytes = LOW + HIGH;
	config.smp = 1;
	config.rng = true;
	config.exit_port = EXIT_PORT_BYTE;
	config.exit_base = EXIT_PORT;
	memcpy(config.kernel_name, "file", 5);
	refused_call = 0;
	extra_msr = 0;
	no_xsave = false;
	cpu_feature = 0x100;
	tsc_khz = 2000000;
	return 0;
}

/* A guest in the middle of its work that is to be saved. */
static inline void begin_to_save(void)
{
	config.checkpoint = config.save = true;
	assert_true(place_file(VFD_SAVE));
	assert_int_equal(new_machine(), 0);
	use_machine();
}

/* Save such a guest; the file is in @file. */
static inline void save_one(void)
{
	int fd;

	begin_to_save();
	fd = save_machine();
	assert_true(fd >= 0);
	assert_int_equal(vm.end, 0);
	memcpy(saved_memory[0], memory[0], LOW);
	memcpy(saved_memory[1], memory[1], HIGH);
	file_len = (size_t)lseek(fd, 0, SEEK_END);
	assert_true(file_len <= sizeof(file));
	assert_int_equal(pread(fd, file, file_len, 0), file_len);
	close(fd);
}

static inline int setup(void **state)
{
	reset_options(state);
	save_one();
	config.checkpoint = config.save = false;
	config.from = true;
	assert_int_equal(new_machine(), 0);
	return 0;
}

static inline int load_bytes(const void *f, size_t len)
{
	int fd = memory_file(), rc;

	assert_int_equal(write(fd, f, len), len);
	rc = load_machine(fd);
	close(fd);
	return rc;
}

/* Load the file into a new machine, and expect the line @text. */
static inline void refused(const void *f, size_t len, const char *text)
{
	assert_int_equal(new_machine(), 0);
	assert_int_equal(load_bytes(f, len), -1);
	assert_int_equal(vm.end, GUEST_LOAD_FAILED);
	if (!strstr(vm.end_text, text))
		fail_msg("\"%s\" is not in \"%s\"", text, vm.end_text);
	assert_int_equal(strncmp(vm.end_text, "file: ", 6), 0);
}

#endif
