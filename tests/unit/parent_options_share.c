/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Shared directories on the command line: --share, --in, --out, --vhost-user-fs. */
#include "tests/unit/parent_options_rig.h"

static const struct bad bad[] = {
	{ { "--share=", "64", "k" }, "the name of a directory is missing" },
	{ { "--share=/a,tag=", "64", "k" }, "a tag has 1 to 36" },
	{ { "--share=/a,tag=a b", "64", "k" }, "a tag has 1 to 36" },
	{ { "--share=/a,tag=0123456789012345678901234567890123456", "64", "k" }, "a tag has 1 to 36" },
	{ { "--share=/a,inodes=15", "64", "k" }, "16 to 524288" },
	{ { "--share=/a,queues=0", "64", "k" }, "--share=/a,queues=0: queues=0: give a number from 1 to 15" },
	{ { "--share=/a,queues=16", "64", "k" }, "give a number from 1 to 15" },
	{ { "--vhost-user-fs=/s,queues=2", "64", "k" }, "queues" },
	{ { "--share=/a,cache=never", "64", "k" }, "choose one of auto|none|always" },
	{ { "--share=/a,inodes=524289", "64", "k" }, "16 to 524288" },
	{ { "--share=/a,tag=lguest-sep.root", "64", "k" }, "reserved for lguest-sep run" },
	{ { "--share=/a,max=1M", "64", "k" }, "--share=/a,max=1M: max= is only for a share with rw" },
	{ { "--share=/a,rw,max=1k", "64", "k" }, "--share=/a,rw,max=1k: max=1k: give a number from 65536" },
	{ { "--share=/a,tag=fs1", "--share=/b", "64", "k" }, "another share has the tag fs1" },
	{ { "--vhost-user-fs=", "64", "k" }, "the name of a socket is missing" },
	{ { "--vhost-user-fs=/s,rw", "64", "k" }, "rw" },
	{ { "--share=/a,tag=x", "--vhost-user-fs=/s,tag=x", "64", "k" }, "another share has the tag x" },
};

static void mistakes_are_one_line_and_status_2(void **state)
{
	(void)state;
	expect_refused(bad, ARRAY_SIZE(bad));
}

static void shares_have_tags(void **state)
{
	(void)state;
	assert_int_equal(WITH("--block=d", "--share=/a,,b", "--share=/c,tag=src.1_2-3,inodes=100,queues=15,cache=none",
			      "--share=d"),
			 -1);
	assert_int_equal(c.ndevices, 4);
	assert_int_equal(c.nshares, 3);
	assert_int_equal(c.device[1].kind, DEV_FS);
	assert_int_equal(c.device[2].index, 1);
	assert_string_equal(c.share[0].path, "/a,b");
	assert_string_equal(c.share[0].tag, "fs0");
	assert_int_equal(c.share[0].inodes, 0);
	assert_string_equal(c.share[1].tag, "src.1_2-3");
	assert_int_equal(c.share[1].inodes, 100);
	assert_true(c.share[0].queues == 0 && c.share[1].queues == 15);
	assert_int_equal(c.share[0].cache, FS_CACHE_AUTO);
	assert_int_equal(c.share[1].cache, FS_CACHE_NONE);
	assert_string_equal(c.share[2].path, "d");
	assert_string_equal(c.share[2].tag, "fs2");
	/* Those of run do not count. */
	assert_int_equal(PARSE("run", "--root=/", "--share=/a", "--in=/b,c", "64", "k", "--", "ls"), -1);
	assert_int_equal(c.nshares, 3);
	assert_string_equal(c.share[0].tag, "lguest-sep.root");
	assert_string_equal(c.share[1].tag, "fs0");
	assert_string_equal(c.share[2].path, "/b,c");
	assert_string_equal(c.share[2].tag, "lguest-sep.in");
	assert_false(c.share[0].read_write || c.share[1].read_write || c.share[2].read_write);
	assert_int_equal(
		PARSE("run", "--share=/a,rw", "--share=/b,rw,max=1M", "--out=/c,,d,max=2G", "64", "k", "--", "ls"), -1);
	assert_int_equal(c.nshares, 3);
	assert_true(c.share[0].read_write && c.share[1].read_write && c.share[2].read_write);
	assert_true(c.share[0].max == 0 && c.share[1].max == 1 << 20 && c.share[2].max == 2ull << 30);
	assert_string_equal(c.share[2].path, "/c,d");
	assert_string_equal(c.share[2].tag, "lguest-sep.out");
	assert_string_equal(c.share[2].option, "--out=");
}

static void file_systems_of_other_programs(void **state)
{
	(void)state;
	assert_int_equal(WITH("--vhost-user-fs=/s", "--share=/a", "--vhost-user-fs=/t,tag=t"), -1);
	assert_int_equal(c.nshares, 3);
	assert_true(c.share[0].vhost_user && !c.share[1].vhost_user && c.share[2].vhost_user);
	assert_string_equal(c.share[0].tag, "fs0");
	assert_string_equal(c.share[1].tag, "fs1");
	assert_string_equal(c.share[2].tag, "t");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mistakes_are_one_line_and_status_2),
		cmocka_unit_test(shares_have_tags),
		cmocka_unit_test(file_systems_of_other_programs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
