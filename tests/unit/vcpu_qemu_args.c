/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Promise: QEMU's command line holds what was asked for, in order, and nothing that a user could add to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vcpu/qemu_args.h"

static struct vcpu_config config;
static struct qemu_args args;

static int fresh(void **state)
{
	(void)state;
	memset(&config, 0, sizeof(config));
	config.engine = ENGINE_QEMU;
	config.mem_bytes = UINT64_C(300) << 20;
	config.smp = 2;
	strcat(config.cmdline, "console=hvc0 a,b=c -device e1000");
	return 0;
}

/* Index of the argument that is @text, or begins with it; -1 if there is none. */
static int find(const char *text, int from)
{
	for (int i = from; i < (int)args.argc; i++)
		if (!strncmp(args.argv[i], text, strlen(text)))
			return i;
	return -1;
}

/* The value of the @nth option named @option. */
static const char *value(const char *option, int nth)
{
	for (unsigned i = 0; i + 1 < args.argc; i++)
		if (!strcmp(args.argv[i], option) && nth-- == 0)
			return args.argv[i + 1];
	return "";
}

static void always(void **state)
{
	(void)state;
	assert_int_equal(qemu_args(&args, &config, true, true), 0);
	assert_string_equal(args.argv[0], QEMU_PATH);
	assert_null(args.argv[args.argc]);
	assert_true(find("-nodefaults", 0) > 0);
	assert_true(find("-no-user-config", 0) > 0);
	assert_true(find("-no-reboot", 0) > 0);
	assert_non_null(strstr(value("-sandbox", 0), "spawn=deny"));
	assert_non_null(strstr(value("-object", 0), "size=300M,share=on,mem-path=/proc/self/fd/4"));
	assert_string_equal(value("-m", 0), "300");
	assert_string_equal(value("-smp", 0), "2");
	assert_string_equal(value("-kernel", 0), "/proc/self/fd/5");
	assert_int_equal(find("-initrd", 0), -1);
	assert_int_equal(find("rng-builtin", 0), -1);
	config.has_initrd = config.rng = true;
	assert_int_equal(qemu_args(&args, &config, true, true), 0);
	assert_string_equal(value("-initrd", 0), "/proc/self/fd/6");
	assert_true(find("rng-builtin", 0) > 0);
}

/* The kernel's command line is one argument, whatever it looks like. */
static void command_line_is_one_argument(void **state)
{
	(void)state;
	assert_int_equal(qemu_args(&args, &config, true, true), 0);
	assert_string_equal(value("-append", 0), config.cmdline);
	assert_int_equal(find("e1000", 0), -1);
	memset(config.cmdline, ',', sizeof(config.cmdline) - 1);
	assert_int_equal(qemu_args(&args, &config, true, true), 0);
	assert_string_equal(value("-append", 0), config.cmdline);
}

static void console(void **state)
{
	(void)state;
	assert_int_equal(qemu_args(&args, &config, true, true), 0);
	assert_string_equal(value("-serial", 0), "chardev:other");
	assert_true(find("virtconsole,chardev=con", 0) > 0);
	assert_true(find("socket,id=other,fd=9", 0) > 0);
	assert_true(find("socket,id=mon,fd=8", 0) > 0);
	config.console_is_serial = true;
	assert_int_equal(qemu_args(&args, &config, false, false), 0);
	assert_string_equal(value("-serial", 0), "chardev:con");
	assert_true(find("virtconsole,chardev=other", 0) > 0);
	assert_true(find("null,id=other", 0) > 0);
	assert_int_equal(find("-mon", 0), -1);
}

static void devices_in_order(void **state)
{
	int blk, net, blk2;

	(void)state;
	config.ndevices = 3;
	config.dev[0] = (struct vcpu_device){ .kind = DEV_BLK, .queues = 1 };
	config.dev[1] = (struct vcpu_device){
		.kind = DEV_NET, .queues = 4, .mtu = 1400, .index = 0, .mac = { 2, 0, 0, 0, 0xab, 0xcd }
	};
	config.dev[2] = (struct vcpu_device){ .kind = DEV_BLK, .queues = 3, .index = 1 };
	assert_int_equal(qemu_args(&args, &config, true, true), 0);
	blk = find("vhost-user-blk-pci,chardev=c0,num-queues=1", 0);
	net = find("virtio-net-pci,netdev=n1,mac=02:00:00:00:ab:cd,vectors=0,romfile=,disable-legacy=on,"
		   "mq=on,host_mtu=1400",
		   0);
	blk2 = find("vhost-user-blk-pci,chardev=c2,num-queues=3", 0);
	assert_true(blk > 0 && net > blk && blk2 > net);
	assert_true(find("socket,id=c0,fd=32", 0) > 0);
	assert_true(find("socket,id=c1,path=/net0.sock", 0) > 0);
	assert_true(find("vhost-user,id=n1,chardev=c1,queues=2", 0) > 0);
	assert_true(find("socket,id=c2,fd=34", 0) > 0);
}

static void as_many_as_there_can_be(void **state)
{
	(void)state;
	config.ndevices = MAX_DEVICES;
	config.rng = config.has_initrd = true;
	memset(config.cmdline, 'x', sizeof(config.cmdline) - 1);
	for (unsigned i = 0; i < MAX_DEVICES; i++)
		config.dev[i] =
			(struct vcpu_device){ .kind = DEV_NET, .queues = 16, .mtu = 9000, .index = (uint16_t)i };
	assert_int_equal(qemu_args(&args, &config, true, true), 0);
	assert_false(args.full);
	assert_null(strstr(args.argv[find("virtio-net-pci,netdev=n23", 0)], "addr="));
	assert_non_null(strstr(args.argv[find("virtio-net-pci,netdev=n24", 0)], ",addr=0x1a.0,multifunction=on"));
	assert_non_null(strstr(args.argv[find("virtio-net-pci,netdev=n31", 0)], ",addr=0x1a.7,multifunction=on"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(always, fresh),
		cmocka_unit_test_setup(command_line_is_one_argument, fresh),
		cmocka_unit_test_setup(console, fresh),
		cmocka_unit_test_setup(devices_in_order, fresh),
		cmocka_unit_test_setup(as_many_as_there_can_be, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
