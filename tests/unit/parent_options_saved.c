/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Promise: --save and --from choose what follows from them, and each mistake with them is one line that names the
 * option and what to do.
 */
#include "tests/unit/parent_options_rig.h"

static void what_follows_from_them(void **state)
{
	(void)state;
	assert_int_equal(WITH("--save=s"), -1);
	assert_string_equal(c.save, "s");
	assert_true(c.checkpoint);
	assert_int_equal(c.engine, ENGINE_KVM);
	assert_int_equal(c.exit_port.kind, EXIT_PORT_BYTE);
	assert_string_equal(c.kernel, "vmlinuz");
	assert_int_equal(PARSE("--from=dir/s", "64"), -1);
	assert_string_equal(c.from, "dir/s");
	assert_string_equal(c.kernel, "dir/s");
	assert_string_equal(c.cmdline, "");
	assert_int_equal(c.mem_bytes, 64 << 20);
	assert_false(c.checkpoint);
	assert_false(c.no_kernel);
	assert_int_equal(c.engine, ENGINE_KVM);
	assert_int_equal(c.exit_port.kind, EXIT_PORT_BYTE);
	assert_int_equal(PARSE("--from=s", "--save=t", "--checkpoint", "--resets=3", "--rng", "--smp=2", "64"), -1);
	assert_true(c.checkpoint);
	assert_int_equal(
		PARSE("--from=s", "--block=x,snapshot", "--net=tap=t,mac=02:00:00:00:00:01", "--port=p:x", "64"), -1);
	assert_int_equal(
		WITH("--save=s", "--block=x,snapshot", "--block=y,ro", "--net=tap=t", "--port=p:x", "--share=/tmp"),
		-1);
	assert_int_equal(PARSE("64", "vmlinuz"), -1);
	assert_null(c.from);
	assert_null(c.save);
}

static void mistakes_are_one_line(void **state)
{
	static const struct bad refused[] = {
		{ { "--save=", "64", "k" }, "the name of a file is missing" },
		{ { "--from=", "64" }, "the name of a file is missing" },
		{ { "--from=s" }, "MEM-MB is missing" },
		{ { "--from=s", "64", "k", "word" },
		  "--from=s: the saved guest has its kernel in memory; leave KERNEL (k)" },
		{ { "--from=s", "k" }, "MEM-MB k: give the guest's memory" },
		{ { "--from=s", "--initrd=i", "64" }, "--initrd: the saved guest has its own" },
		{ { "--from=s", "--save=s", "64" }, "--save=s: this is the file of --from" },
		{ { "--from=s", "--resets=3", "64" }, "--resets: only with --checkpoint" },
		{ { "--save=s", "--block=x", "64", "k" },
		  "--save: not with a file that guests write; use --block=x,snapshot or ,ro" },
		{ { "--from=s", "--block=y,ro", "--block=x", "64" },
		  "--from: not with a file that guests write; use --block=x,snapshot or ,ro" },
		{ { "--save=s", "--vhost-user-blk=x", "64", "k" },
		  "--save: not with --vhost-user-blk=x, because the file" },
		{ { "--from=s", "--vhost-user-net=x", "64" }, "--from: not with --vhost-user-net=x, because the file" },
		{ { "--from=s", "--share=/a", "--share=/tmp,rw", "64" },
		  "--from: not with a directory that the guest writes to; leave rw out of --share=/tmp" },
		{ { "--save=s", "--vhost-user-fs=x", "64", "k" },
		  "--save: not with --vhost-user-fs=x, because the file" },
		{ { "--save=s", "--engine=qemu", "64", "k" },
		  "--save: only the kvm engine can do that; leave --engine" },
		{ { "--from=s", "--engine=lguest", "64" }, "--from: only the kvm engine can do that; leave --engine" },
		{ { "--from=s", "--machine=riscv64", "64" },
		  "--from: only the kvm engine can do that; leave --machine" },
		{ { "--from=s", "--cpu=max", "64" }, "--from: only the kvm engine can do that; leave --cpu" },
		{ { "--from=s", "--boot-disk=x", "64" },
		  "--from: not with a file that guests write; use --boot-disk=x,snapshot or ,ro" },
	};

	(void)state;
	expect_refused(refused, ARRAY_SIZE(refused));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_follows_from_them),
		cmocka_unit_test(mistakes_are_one_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
