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

static uint8_t file[1 << 20];
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
	config.vmgenid_same = true;
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

/* Make what a new machine needs outside this process; NULL: nothing. */
static void (*surroundings)(void);

/* Load the file into a new machine, and expect the line @text. */
static inline void refused(const void *f, size_t len, const char *text)
{
	if (surroundings)
		surroundings();
	assert_int_equal(new_machine(), 0);
	assert_int_equal(load_bytes(f, len), -1);
	assert_int_equal(vm.end, GUEST_LOAD_FAILED);
	if (!strstr(vm.end_text, text))
		fail_msg("\"%s\" is not in \"%s\"", text, vm.end_text);
	assert_int_equal(strncmp(vm.end_text, "file: ", 6), 0);
}

/* Load @file, with checksums that fit, into a new machine, and expect the line @text. */
static inline void refused_hostile(const char *text)
{
	fit_checksums(file, file_len);
	refused(file, file_len, text);
}

static inline struct save_header *header(void)
{
	return (struct save_header *)(void *)file;
}

/* The object of the record @kind.@index in @file. */
static inline uint8_t *object(unsigned kind, unsigned index)
{
	for (size_t at = SAVE_STATE_AT; at < SAVE_STATE_AT + header()->state_len;) {
		struct record_header h;

		memcpy(&h, file + at, sizeof(h));
		if (h.kind == kind && h.index == index)
			return file + at + sizeof(h);
		at += sizeof(h) + (h.len + 7) / 8 * 8;
	}
	fail();
	return NULL;
}

/* Change the byte at @off of an object to @v, and expect the line @text. */
static inline void change(unsigned kind, unsigned index, unsigned off, uint8_t v, const char *text)
{
	uint8_t *p = object(kind, index) + off, was = *p;

	*p = v;
	refused_hostile(text);
	*p = was;
}

/* Make VFD_CTL a channel. Returns the supervisor's end. */
static inline int rig_supervisor(void)
{
	int sv[2], near, far;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv), 0);
	/* One of them may have the number VFD_CTL. */
	near = fcntl(sv[0], F_DUPFD, 1000);
	far = fcntl(sv[1], F_DUPFD, 1000);
	close(sv[0]);
	close(sv[1]);
	assert_true(near >= 0 && far >= 0 && dup2(far, VFD_CTL) >= 0);
	close(far);
	return near;
}

#endif
