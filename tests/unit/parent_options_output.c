/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The options about what a guest writes and reports, good and bad: as parent_options has it for the others.
 */
#include "tests/unit/parent_options_rig.h"

static const struct bad bad[] = {
	{ { "--console=", "64", "k" }, "--console=: the name of a file is missing" },
	{ { "--console=f,max=0", "64", "k" }, "--console=f,max=0: max=0:" },
	{ { "--console=f,stamps", "64", "k" }, "stamps: there is no such setting (max=, timestamps" },
	{ { "--quiet", "--verbose", "64", "k" }, "--quiet and --verbose: give one of them" },
	{ { "--exit-port=", "64", "k" }, "--exit-port=: choose byte, isa-debug-exit or sifive-test" },
	{ { "--exit-port=0xf4", "64", "k" }, "--exit-port=0xf4: choose byte, isa-debug-exit or sifive-test" },
	{ { "--exit-port=byte,success=256", "64", "k" }, "success=256: give a number from 0 to 255" },
};

static void mistakes_are_one_line_and_status_2(void **state)
{
	(void)state;
	expect_refused(bad, ARRAY_SIZE(bad));
}

static void where_the_console_goes(void **state)
{
	(void)state;
	assert_int_equal(WITH("--rng"), -1);
	assert_null(c.console.path);
	assert_true(c.console.max == UINT64_MAX);
	assert_int_equal(WITH("--console=a,,b,max=2k,timestamps"), -1);
	assert_string_equal(c.console.path, "a,b");
	assert_int_equal(c.console.max, 2048);
	assert_true(c.console.timestamps);
	assert_int_equal(WITH("--console=-,max=1G", "-q"), -1);
	assert_null(c.console.path);
	assert_int_equal(c.console.max, 1 << 30);
	assert_true(c.quiet);
}

/* Its value may be left out: the next word is MEM-MB then. */
static void exit_ports(void **state)
{
	(void)state;
	assert_int_equal(WITH("--exit-port"), -1);
	assert_int_equal(c.exit_port.kind, EXIT_PORT_BYTE);
	assert_int_equal(c.exit_port.success, 0);
	assert_int_equal(c.mem_bytes, 64 << 20);
	assert_int_equal(WITH("--exit-port=isa-debug-exit"), -1);
	assert_int_equal(c.exit_port.kind, EXIT_PORT_ISA_DEBUG_EXIT);
	assert_int_equal(c.exit_port.success, 1);
	assert_int_equal(WITH("--exit-port=isa-debug-exit,success=33"), -1);
	assert_int_equal(c.exit_port.success, 33);
	assert_int_equal(c.exit_port.at_qemu, 0);
	assert_int_equal(WITH("--exit-port=isa-debug-exit,iobase=0x501,success=99"), -1);
	assert_int_equal(c.exit_port.success, 99);
	assert_int_equal(c.exit_port.at_qemu, 1);
	assert_int_equal(WITH("--exit-port=byte,iobase=0xf4"), -1);
	assert_int_equal(c.exit_port.at_qemu, 0);
	assert_int_equal(WITH("--exit-port=byte,iobase=0x3f8"), EXIT_USAGE);
	assert_int_equal(PARSE("run", "--exit-port", "64", "k", "--", "true"), EXIT_USAGE);
}

static void a_root_disk_is_read_only_by_default(void **state)
{
	(void)state;
	assert_int_equal(PARSE("run", "--block=/a", "--root=/proc/self/exe,part=3", "64", "k", "--", "ls"), -1);
	assert_int_equal(c.nshares, 0);
	assert_int_equal(c.ndisks, 2);
	assert_string_equal(c.disk[1].path, "/proc/self/exe");
	assert_string_equal(c.disk[1].serial, RUN_DISK_SERIAL);
	assert_true(c.disk[1].read_only && c.disk[1].root && !c.disk[0].root);
	assert_int_equal(c.run.disk, RUN_DISK_READ_ONLY);
	assert_int_equal(c.run.part, 3);
	assert_int_equal(PARSE("run", "--root=/proc/self/exe,rw", "64", "k", "--", "ls"), -1);
	assert_true(!c.disk[0].read_only && !c.disk[0].snapshot);
	assert_int_equal(c.run.disk, RUN_DISK_WRITABLE);
	assert_int_equal(PARSE("run", "--root=/proc/self/exe,snapshot", "64", "k", "--", "ls"), -1);
	assert_true(!c.disk[0].read_only && c.disk[0].snapshot);
	assert_int_equal(c.run.disk, RUN_DISK_WRITABLE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mistakes_are_one_line_and_status_2),
		cmocka_unit_test(where_the_console_goes),
		cmocka_unit_test(exit_ports),
		cmocka_unit_test(a_root_disk_is_read_only_by_default),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
