/* SPDX-License-Identifier: GPL-2.0-or-later */
/* QEMU's command line contains the requested devices in order, and a user's text cannot add options. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vcpu/qemu/args.h"

static struct vcpu_config config;
static struct qemu_args args;

static int fresh(void **state)
{
	(void)state;
	memset(&config, 0, sizeof(config));
	config.engine = ENGINE_QEMU;
	config.mem_bytes = UINT64_C(300) << 20;
	config.smp = 2;
	config.has_kernel = true;
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
	assert_int_equal(qemu_args(&args, &config, true, true, false), 0);
	assert_string_equal(args.argv[0], "/usr/bin/qemu-system-x86_64");
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
	assert_int_equal(qemu_args(&args, &config, true, true, false), 0);
	assert_string_equal(value("-initrd", 0), "/proc/self/fd/6");
	assert_true(find("rng-builtin", 0) > 0);
}

/* Named ports: a socket each, after the console, in order; a name that could add an option is refused. */
static void named_ports(void **state)
{
	(void)state;
	config.nports = 2;
	strcpy(config.port[0], "org.test-0");
	strcpy(config.port[1], "b_1");
	assert_int_equal(qemu_args(&args, &config, true, true, false), 0);
	assert_true(find("virtio-serial-pci,disable-legacy=on,max_ports=4", 0) > 0);
	assert_true(find("socket,id=p0,fd=288", 0) > 0);
	assert_true(find("virtserialport,bus=serial.0,nr=1,chardev=p0,name=org.test-0", 0) > 0);
	assert_true(find("socket,id=p1,fd=290", 0) > 0);
	assert_true(find("virtserialport,bus=serial.0,nr=2,chardev=p1,name=b_1", 0) > 0);
	strcpy(config.port[1], "b,id=hvc1");
	assert_int_equal(qemu_args(&args, &config, true, true, false), -1);
	config.port[1][0] = '\0';
	assert_int_equal(qemu_args(&args, &config, true, true, false), -1);
}

static void exit_port(void **state)
{
	(void)state;
	assert_int_equal(qemu_args(&args, &config, true, true, false), 0);
	assert_int_equal(find("isa-debugcon", 0), -1);
	assert_int_equal(find("isa-debug-exit", 0), -1);
	config.exit_port = EXIT_PORT_BYTE;
	config.exit_base = EXIT_PORT;
	assert_int_equal(qemu_args(&args, &config, true, true, false), 0);
	assert_true(find("socket,id=exit,fd=19", 0) > 0);
	assert_true(find("isa-debugcon,iobase=0xf4,readback=0,chardev=exit", 0) > 0);
	config.exit_port = EXIT_PORT_ISA_DEBUG_EXIT;
	assert_int_equal(qemu_args(&args, &config, true, true, false), 0);
	assert_true(find("isa-debug-exit,iobase=0xf4,iosize=4", 0) > 0);
	assert_int_equal(find("isa-debugcon", 0), -1);
	config.exit_base = EXIT_PORT_QEMU;
	assert_int_equal(qemu_args(&args, &config, true, true, false), 0);
	assert_true(find("isa-debug-exit,iobase=0x501,iosize=4", 0) > 0);
}

/* The kernel's command line is one argument, whatever it looks like. */
static void command_line_is_one_argument(void **state)
{
	(void)state;
	assert_int_equal(qemu_args(&args, &config, true, true, false), 0);
	assert_string_equal(value("-append", 0), config.cmdline);
	assert_int_equal(find("e1000", 0), -1);
	memset(config.cmdline, ',', sizeof(config.cmdline) - 1);
	assert_int_equal(qemu_args(&args, &config, true, true, false), 0);
	assert_string_equal(value("-append", 0), config.cmdline);
}

static void console(void **state)
{
	(void)state;
	assert_int_equal(qemu_args(&args, &config, true, true, false), 0);
	assert_string_equal(value("-serial", 0), "chardev:other");
	assert_true(find("virtconsole,chardev=con", 0) > 0);
	/* a single port would have no message by which its driver says that it reads */
	assert_true(find("virtio-serial-pci,disable-legacy=on,max_ports=2", 0) > 0);
	assert_true(find("socket,id=other,fd=9", 0) > 0);
	assert_true(find("socket,id=mon,fd=8", 0) > 0);
	assert_true(find("-S", 0) > 0);
	config.console_is_serial = true;
	assert_int_equal(qemu_args(&args, &config, false, false, false), 0);
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
	assert_int_equal(qemu_args(&args, &config, true, true, false), 0);
	blk = find("vhost-user-blk-pci,chardev=c0,num-queues=1", 0);
	net = find("virtio-net-pci,netdev=n1,mac=02:00:00:00:ab:cd,vectors=0,romfile=,disable-legacy=on,"
		   "mq=on,host_mtu=1400",
		   0);
	blk2 = find("vhost-user-blk-pci,chardev=c2,num-queues=3", 0);
	/* A NIC's slot does not depend on the disks; disks keep their order. */
	assert_true(net > 0 && blk > net && blk2 > blk);
	assert_true(find("socket,id=c0,fd=32", 0) > 0);
	assert_true(find("socket,id=c1,path=/net0.sock", 0) > 0);
	assert_true(find("vhost-user,id=n1,chardev=c1,queues=2", 0) > 0);
	assert_true(find("socket,id=c2,fd=34", 0) > 0);
}

static void shares(void **state)
{
	(void)state;
	config.ndevices = 2;
	config.dev[0] = (struct vcpu_device){ .kind = DEV_FS, .queues = FS_QUEUES, .tag = "first.tag_1-2" };
	config.dev[1] = (struct vcpu_device){ .kind = DEV_BLK, .queues = 1 };
	assert_int_equal(qemu_args(&args, &config, true, true, false), 0);
	assert_true(find("socket,id=c0,fd=32", 0) > 0);
	assert_true(find("vhost-user-fs-pci,chardev=c0,tag=first.tag_1-2,num-request-queues=1", 0) > 0);
	config.dev[0].queues = MAX_QUEUES;
	assert_int_equal(qemu_args(&args, &config, true, true, false), 0);
	assert_true(find("vhost-user-fs-pci,chardev=c0,tag=first.tag_1-2,num-request-queues=15", 0) > 0);
	/* A tag must not add settings. */
	memcpy(config.dev[0].tag, "a,queue-size=2", 15);
	assert_int_equal(qemu_args(&args, &config, true, true, false), -1);
	config.dev[0].tag[0] = '\0';
	assert_int_equal(qemu_args(&args, &config, true, true, false), -1);
}

/* The firmware boots a disk: it has the keyboard controller, and shows its own output on the serial port. */
static void no_kernel(void **state)
{
	(void)state;
	assert_null(strstr(value("-machine", 0), "graphics=off"));
	config.has_kernel = false;
	config.ndevices = 3;
	config.dev[0] = (struct vcpu_device){ .kind = DEV_BLK, .queues = 1, .boot = 1 };
	config.dev[1] = (struct vcpu_device){ .kind = DEV_BLK, .queues = 1 };
	config.dev[2] = (struct vcpu_device){ .kind = DEV_BLK, .queues = 1, .boot = 2 };
	assert_int_equal(qemu_args(&args, &config, true, true, false), 0);
	assert_int_equal(find("-kernel", 0), -1);
	assert_int_equal(find("-append", 0), -1);
	assert_non_null(strstr(value("-machine", 0), "i8042=on,graphics=off"));
	assert_true(find("VGA,vgamem_mb=4", 0) > 0);
	assert_true(find("vhost-user-blk-pci,chardev=c0,num-queues=1,disable-legacy=on,bootindex=1", 0) > 0);
	assert_true(find("vhost-user-blk-pci,chardev=c2,num-queues=1,disable-legacy=on,bootindex=2", 0) > 0);
	assert_null(strstr(args.argv[find("vhost-user-blk-pci,chardev=c1", 0)], "bootindex"));
}

/* IDE disks are served by NBD: two on each channel of pc, one on each port of q35; they take no PCI slot. */
static void ide_disks(void **state)
{
	(void)state;
	config.ndevices = 4;
	config.machine_type = 1;
	config.dev[0] = (struct vcpu_device){ .kind = DEV_BLK, .queues = 1, .bus = BUS_IDE, .boot = 2 };
	config.dev[1] = (struct vcpu_device){ .kind = DEV_BLK, .queues = 1, .index = 1 };
	config.dev[2] = (struct vcpu_device){
		.kind = DEV_BLK, .queues = 1, .bus = BUS_IDE, .cdrom = true, .boot = 1, .index = 2
	};
	config.dev[3] = (struct vcpu_device){ .kind = DEV_BLK, .queues = 1, .bus = BUS_IDE, .boot = 3, .index = 3 };
	assert_int_equal(qemu_args(&args, &config, true, true, false), 0);
	assert_non_null(strstr(value("-machine", 0), "sata=on"));
	assert_string_equal(value("-blockdev", 0),
			    "driver=nbd,node-name=d0,server.type=unix,server.path=/blk0.sock,reconnect-delay=60");
	assert_string_equal(
		value("-blockdev", 1),
		"driver=nbd,node-name=d2,server.type=unix,server.path=/blk2.sock,reconnect-delay=60,read-only=on");
	assert_true(find("ide-hd,drive=d0,bus=ide.0,unit=0,werror=report,rerror=report,bootindex=2", 0) > 0);
	assert_true(find("ide-cd,drive=d2,bus=ide.0,unit=1,bootindex=1", 0) > 0);
	assert_true(find("ide-hd,drive=d3,bus=ide.1,unit=0,", 0) > 0);
	assert_true(find("vhost-user-blk-pci,chardev=c1,", 0) > 0);
	assert_int_equal(find("socket,id=c0", 0), -1);
	config.machine_type = 0;
	assert_int_equal(qemu_args(&args, &config, true, true, false), 0);
	assert_true(find("ide-cd,drive=d2,bus=ide.1,unit=0,", 0) > 0);
	config.ndevices = 0;
	assert_int_equal(qemu_args(&args, &config, true, true, false), 0);
	assert_non_null(strstr(value("-machine", 0), "sata=off"));
}

static void firmware(void **state)
{
	(void)state;
	config.firmware = FIRMWARE_SEABIOS;
	assert_int_equal(qemu_args(&args, &config, true, true, false), 0);
	assert_int_equal(find("-bios", 0), -1);
	config.firmware = FIRMWARE_OVMF;
	assert_int_equal(qemu_args(&args, &config, true, true, false), 0);
	assert_string_equal(value("-bios", 0), "/proc/self/fd/20");
	config.machine = MACHINE_RISCV64;
	config.firmware = FIRMWARE_FILE;
	assert_int_equal(qemu_args(&args, &config, true, true, true), 0);
	assert_string_equal(value("-bios", 0), "/proc/self/fd/20");
	assert_string_equal(value("-bios", 1), "");
	config.firmware = FIRMWARE_UBOOT; /* OpenSBI starts it */
	config.has_kernel = false;
	assert_int_equal(qemu_args(&args, &config, true, true, false), 0);
	assert_string_equal(value("-bios", 0), "default");
	assert_string_equal(value("-kernel", 0), "/proc/self/fd/20");
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
	assert_int_equal(qemu_args(&args, &config, true, true, false), 0);
	assert_false(args.full);
	assert_null(strstr(args.argv[find("virtio-net-pci,netdev=n23", 0)], "addr="));
	assert_non_null(strstr(args.argv[find("virtio-net-pci,netdev=n24", 0)], ",addr=0x1a.0,multifunction=on"));
	assert_non_null(strstr(args.argv[find("virtio-net-pci,netdev=n31", 0)], ",addr=0x1a.7,multifunction=on"));
}

/* On a virt machine disks are on virtio-mmio, as far as it has buses, and NICs on PCI. */
static void virt_machines(void **state)
{
	(void)state;
	config.machine = MACHINE_RISCV64;
	config.ndevices = 10;
	for (unsigned i = 0; i < 10; i++)
		config.dev[i] = (struct vcpu_device){ .kind = i == 1 ? DEV_NET : DEV_BLK, .queues = 2 };
	assert_int_equal(qemu_args(&args, &config, true, true, false), 0);
	assert_string_equal(args.argv[0], "/usr/bin/qemu-system-riscv64");
	assert_string_equal(value("-cpu", 0), "rv64");
	assert_string_equal(value("-bios", 0), "default");
	assert_int_equal(find("ICH9", 0), -1);
	assert_int_equal(find("q35", 0), -1);
	/* Linux begins with the last bus. */
	assert_true(find("vhost-user-blk,chardev=c0,num-queues=2,bus=virtio-mmio-bus.7", 0) > 0);
	assert_true(find("vhost-user-blk,chardev=c8,num-queues=2,bus=virtio-mmio-bus.0", 0) > 0);
	assert_true(find("vhost-user-blk-pci,chardev=c9", 0) > 0);
	assert_true(find("virtio-net-pci,netdev=n1", 0) > 0);
	/* A kernel that knows the first bus only finds its only disk there. */
	config.ndevices = 1;
	strcpy(config.cpu, "rv64,sv39=on");
	assert_int_equal(qemu_args(&args, &config, true, true, true), 0);
	assert_true(find("vhost-user-blk,chardev=c0,num-queues=2,bus=virtio-mmio-bus.0", 0) > 0);
	assert_string_equal(value("-bios", 0), "none");
	assert_string_equal(value("-cpu", 0), "rv64,sv39=on");
}

static void arm_machines(void **state)
{
	(void)state;
	config.machine = MACHINE_AARCH64;
	config.ndevices = 2;
	config.dev[0] = config.dev[1] = (struct vcpu_device){ .kind = DEV_BLK, .queues = 1 };
	config.smp = 8;
	assert_int_equal(qemu_args(&args, &config, true, true, false), 0);
	assert_int_equal(find("-bios", 0), -1);
	assert_string_equal(value("-machine", 0), "virt,memory-backend=mem,dump-guest-core=off,gic-version=2");
	assert_true(find("vhost-user-blk,chardev=c0,num-queues=1,bus=virtio-mmio-bus.0", 0) > 0);
	assert_true(find("vhost-user-blk,chardev=c1,num-queues=1,bus=virtio-mmio-bus.1", 0) > 0);
	config.smp = 9;
	config.machine = MACHINE_ARM;
	assert_int_equal(qemu_args(&args, &config, true, true, false), 0);
	assert_string_equal(value("-machine", 0),
			    "virt,memory-backend=mem,dump-guest-core=off,gic-version=3,highmem=off");
}

static void types_of_x86(void **state)
{
	(void)state;
	config.machine = MACHINE_I386;
	config.machine_type = 1;
	assert_int_equal(qemu_args(&args, &config, true, true, false), 0);
	assert_memory_equal(value("-machine", 0), "pc,memory-backend=mem", 21);
	assert_true(find("PIIX4_PM.disable_s3=1", 0) > 0);
	assert_int_equal(find("ICH9", 0), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(always, fresh),
		cmocka_unit_test_setup(named_ports, fresh),
		cmocka_unit_test_setup(exit_port, fresh),
		cmocka_unit_test_setup(command_line_is_one_argument, fresh),
		cmocka_unit_test_setup(console, fresh),
		cmocka_unit_test_setup(devices_in_order, fresh),
		cmocka_unit_test_setup(shares, fresh),
		cmocka_unit_test_setup(no_kernel, fresh),
		cmocka_unit_test_setup(ide_disks, fresh),
		cmocka_unit_test_setup(firmware, fresh),
		cmocka_unit_test_setup(as_many_as_there_can_be, fresh),
		cmocka_unit_test_setup(virt_machines, fresh),
		cmocka_unit_test_setup(arm_machines, fresh),
		cmocka_unit_test_setup(types_of_x86, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
