/* SPDX-License-Identifier: GPL-2.0-or-later */
/* --machine, --cpu, --firmware, and what a machine excludes. */
#include "common/machine.h"
#include "tests/unit/parent_options_rig.h"

static const struct bad bad[] = {
	{ { "--machine=mips", "64", "k" }, "--machine=mips: choose x86_64, i386, aarch64, arm, riscv64 or riscv32" },
	{ { "--machine=", "64", "k" }, "--machine=: choose x86_64" },
	{ { "--machine=riscv", "64", "k" }, "choose x86_64" },
	{ { "--machine=riscv64:q35", "64", "k" }, "the only type of this machine is virt" },
	{ { "--machine=i386:virt", "64", "k" }, "the types of this machine are q35 and pc" },
	{ { "--machine=i386:", "64", "k" }, "the types of this machine are q35 and pc" },
	{ { "--cpu=", "64", "k" }, "--cpu=: give a CPU model as QEMU names it" },
	{ { "--cpu=a b", "64", "k" }, "give a CPU model" },
	{ { "--cpu=help", "64", "k" }, "give a CPU model" },
	{ { "--cpu=-device", "64", "k" }, "give a CPU model" },
	{ { "--engine=kvm", "--machine=arm", "64", "k" }, "--machine: only the qemu engine has a choice" },
	{ { "--engine=kvm", "--cpu=max", "64", "k" }, "--cpu: only the qemu engine has a choice" },
	{ { "--machine=arm", "--exit-port", "64", "k" }, "--exit-port: a machine arm has no I/O ports" },
	{ { "--machine=riscv64", "--exit-port=byte", "64", "k" }, "give --exit-port=sifive-test" },
	{ { "--exit-port=sifive-test", "64", "k" }, "only riscv machines have this device" },
	{ { "--firmware=none", "64", "k" },
	  "--firmware=none: QEMU's x86_64 machine starts every kernel by its firmware" },
	{ { "--firmware=opensbi", "64", "k" }, "--firmware=opensbi: it is for riscv machines, not for x86_64" },
	{ { "--firmware=", "64", "k" }, "--firmware=: choose auto|none|opensbi|seabios|ovmf|u-boot, or give a file" },
	{ { "--machine=i386", "--firmware=ovmf", "64", "k" }, "--firmware=ovmf: there is none for i386" },
	{ { "--machine=riscv32", "--firmware=u-boot", "64", "k" }, "--firmware=u-boot: there is none for riscv32" },
	{ { "--machine=riscv64", "--firmware=u-boot", "64", "k" }, "on riscv64 it only boots a disk" },
	{ { "--engine=kvm", "--firmware=ovmf", "64", "k" }, "--firmware: only the qemu engine has one" },
	{ { "--machine=arm", "--firmware=seabios", "64", "k" },
	  "--firmware=seabios: it is for x86 machines, not for arm" },
	{ { "--machine=riscv32", "--firmware=opensbi", "64", "k" }, "there is none for riscv32" },
	{ { "--machine=arm", "4096", "k" }, "MEM-MB: a machine arm has at most 3072 MiB of memory" },
};

static void mistakes_are_one_line_and_status_2(void **state)
{
	(void)state;
	expect_refused(bad, ARRAY_SIZE(bad));
}

static void machines_and_types(void **state)
{
	(void)state;
	assert_int_equal(WITH("--rng"), -1);
	assert_int_equal(c.machine, MACHINE_X86_64);
	assert_int_equal(c.engine, ENGINE_AUTO);
	assert_non_null(strstr(c.cmdline, "console=ttyS0 console=hvc0"));
	assert_int_equal(WITH("--machine=i386:pc"), -1);
	assert_int_equal(c.machine, MACHINE_I386);
	assert_string_equal(machine_get(c.machine)->type[c.machine_type], "pc");
	assert_int_equal(c.engine, ENGINE_QEMU);
	assert_int_equal(WITH("--machine=aarch64:virt", "--cpu=cortex-a53,pmu=off"), -1);
	assert_int_equal(c.machine, MACHINE_AARCH64);
	assert_string_equal(c.cpu, "cortex-a53,pmu=off");
	assert_non_null(strstr(c.cmdline, "console=ttyAMA0 console=hvc0"));
	assert_int_equal(WITH("--machine=riscv64", "--firmware=none", "--exit-port=sifive-test"), -1);
	assert_int_equal(c.firmware, FIRMWARE_NONE);
	assert_int_equal(c.exit_port.kind, EXIT_PORT_SIFIVE_TEST);
	assert_int_equal(c.exit_port.success, 0);
	assert_int_equal(WITH("--machine=riscv32"), -1);
	assert_int_equal(c.firmware, FIRMWARE_AUTO);
	/* The init that run adds is a program for x86_64. */
	assert_int_equal(PARSE("run", "--machine=arm", "64", "k", "--", "true"), EXIT_USAGE);
}

static const struct bad bad_disks[] = {
	{ { "--boot-disk=", "64" }, "--boot-disk=: the name of a file is missing" },
	{ { "--boot-disk=d,ro,snapshot", "64" }, "ro and snapshot: take one of the two" },
	{ { "--boot-disk=d,queues=2", "64" }, "queues" },
	{ { "--block=d", "64" }, "KERNEL is missing" },
	{ { "--boot-disk=d" }, "MEM-MB and KERNEL are missing" },
	{ { "64", "--boot-disk=d" }, "--boot-disk=d: options come before MEM-MB" },
	{ { "--engine=kvm", "--boot-disk=d", "64" }, "--boot-disk=d: only the qemu engine has the firmware" },
	{ { "--boot-disk=d,bus=scsi", "64" }, "bus" },
	{ { "--boot-disk=d,serial=a", "64" }, "--boot-disk=d: serial: only a virtio disk has one" },
	{ { "--cdrom=d,ro", "64" }, "ro" },
	{ { "--engine=kvm", "--cdrom=d", "64" }, "--cdrom=d: only the qemu engine has the firmware" },
	{ { "--machine=arm", "--boot-disk=d,bus=ide", "64", "k" }, "a machine arm has no IDE; leave bus=ide out" },
	{ { "--boot-disk=a", "--boot-disk=b", "--boot-disk=c", "--cdrom=d", "--boot-disk=e", "64" },
	  "a machine pc has at most 4 IDE disks and CDs" },
	{ { "--engine=lguest", "--boot-disk=d", "64", "k" }, "--boot-disk=d: only the qemu engine has the firmware" },
	{ { "--boot-disk=d", "--initrd=i", "64" }, "--initrd: only a KERNEL gets one" },
	{ { "--machine=arm", "--boot-disk=d", "64" }, "the firmware of a machine arm boots no disk" },
	{ { "--machine=riscv64", "--firmware=opensbi", "--boot-disk=d", "64" }, "it cannot boot a disk" },
	{ { "run", "--boot-disk=d", "64", "k", "--", "true" },
	  "run: it starts a kernel of Linux; leave --boot-disk= out" },
};

static void boot_disks(void **state)
{
	(void)state;
	expect_refused(bad_disks, ARRAY_SIZE(bad_disks));
	assert_int_equal(PARSE("--block=a", "--boot-disk=dir/b,,c,snapshot", "--boot-disk=d,ro", "64"), -1);
	assert_true(c.no_kernel);
	assert_int_equal(c.engine, ENGINE_QEMU);
	assert_int_equal(c.ndisks, 3);
	assert_int_equal(c.disk[0].boot, 0);
	assert_int_equal(c.disk[1].boot, 1);
	assert_true(c.disk[1].snapshot);
	assert_int_equal(c.disk[2].boot, 2);
	assert_true(c.disk[2].read_only);
	/* The disk names the guest, and its console is the serial port. */
	assert_string_equal(c.kernel, "dir/b,c");
	assert_string_equal(c.cmdline, "console=ttyS0");
	assert_true(c.console_said);
	/* IDE is that of the machine pc, unless the user chooses otherwise. */
	assert_int_equal(c.disk[0].bus, BUS_AUTO);
	assert_int_equal(c.disk[1].bus, BUS_IDE);
	assert_string_equal(machine_get(c.machine)->type[c.machine_type], "pc");
	assert_int_equal(PARSE("--machine=i386:q35", "--boot-disk=d", "--cdrom=e", "64"), -1);
	assert_string_equal(machine_get(c.machine)->type[c.machine_type], "q35");
	assert_int_equal(c.disk[1].boot, 2);
	assert_true(c.disk[1].cdrom && c.disk[1].read_only);
	assert_int_equal(PARSE("--boot-disk=d,bus=virtio,serial=a", "64"), -1);
	assert_int_equal(c.disk[0].bus, BUS_VIRTIO);
	assert_string_equal(machine_get(c.machine)->type[c.machine_type], "q35");
	assert_int_equal(PARSE("--machine=riscv64", "--cdrom=d", "64", "k"), -1);
	assert_int_equal(c.disk[0].bus, BUS_VIRTIO);
	/* A kernel may have such a disk too. */
	assert_int_equal(PARSE("--firmware=seabios", "--boot-disk=d", "64", "vmlinuz", "quiet"), -1);
	assert_false(c.no_kernel);
	assert_string_equal(c.kernel, "vmlinuz");
	assert_non_null(strstr(c.cmdline, "console=hvc0 panic=-1 quiet"));
}

/* A guest can only be taken back together with everything that it writes. */
static void devices_of_a_checkpoint(void **state)
{
	static const struct bad refused[] = {
		{ { "--checkpoint", "--block=x", "64", "k" }, "use --block=x,snapshot or ,ro" },
		{ { "--checkpoint", "--block=y,ro", "--block=x", "64", "k" }, "use --block=x,snapshot or ,ro" },
		{ { "--checkpoint", "--vhost-user-blk=x", "64", "k" }, "another program's disk" },
		{ { "--checkpoint", "--vhost-user-net=x", "64", "k" }, "another program's NIC" },
		{ { "--checkpoint", "--share=/tmp,rw", "64", "k" }, "a directory that the guest writes to" },
		{ { "--checkpoint", "--share=/", "--share=/tmp,rw", "64", "k" }, "leave rw out" },
		{ { "--checkpoint", "--vhost-user-fs=x", "64", "k" }, "another program's share" },
		{ { "run", "--checkpoint", "64", "k", "--", "c" }, "with run give --checkpoint-at=command" },
		{ { "run", "--checkpoint-at=command", "64", "k", "--", "c" }, "give --resets=N" },
		{ { "run", "--checkpoint-at=init", "--resets=1", "64", "k", "--", "c" },
		  "command, right before COMMAND" },
		{ { "run", "--checkpoint-at=command", "--resets=1", "--out=/tmp", "64", "k", "--", "c" },
		  "leave --out= out" },
		{ { "--reset=fresh", "64", "k" }, "--reset: only with --checkpoint" },
		{ { "--reset=keep", "64", "k" }, "--reset: only with --checkpoint" },
		{ { "--checkpoint", "--reset=fresh", "--from=f", "--block=y,ro", "--block=x,snapshot", "64" },
		  "--reset=fresh: not with --from and --block=x,snapshot" },
		{ { "--checkpoint", "--reset=fresh", "--from=f", "--share=/", "64" },
		  "--reset=fresh: not with --from and --share=/" },
		{ { "run", "--resets=1", "64", "k", "--", "c" }, "--resets: only with --checkpoint-at=command" },
		{ { "run", "--reset=fresh", "64", "k", "--", "c" }, "--reset: only with --checkpoint-at=command" },
		{ { "run", "--reset-on=panic", "64", "k", "--", "c" },
		  "--reset-on: only with --checkpoint-at=command" },
		{ { "--checkpoint-at=command", "--resets=1", "64", "k" }, "only with lguest-sep run" },
	};

	(void)state;
	expect_refused(refused, ARRAY_SIZE(refused));
	assert_int_equal(WITH("--checkpoint", "--block=x,ro", "--block=y,snapshot"), -1);
	assert_false(c.disk[0].levels);
	assert_true(c.disk[1].levels);
	assert_int_equal(WITH("--block=y,snapshot"), -1);
	assert_false(c.disk[0].levels);
	assert_int_equal(WITH("--checkpoint", "--net=bridge=br0", "--net=user", "--tunnet=10.0.0.1"), -1);
	assert_int_equal(WITH("--checkpoint", "--port=p:x"), -1);
	assert_int_equal(WITH("--checkpoint", "--reset=fresh", "--block=x,ro", "--net=user", "--share=/tmp"), -1);
	assert_true(c.fresh);
	assert_int_equal(WITH("--checkpoint", "--reset=fresh", "--block=x,snapshot", "--save=f"), -1);
	assert_true(c.disk[0].fresh && !c.disk[0].levels);
	assert_int_equal(WITH("--checkpoint", "--reset=keep", "--block=x,snapshot", "--share=/tmp"), -1);
	assert_true(!c.fresh && !c.disk[0].fresh && c.disk[0].levels);
	assert_int_equal(WITH("--checkpoint", "--share=/tmp", "--share=/,tag=t"), -1);
	assert_int_equal(
		PARSE("run", "--checkpoint-at=command", "--resets=2", "--reset-on=panic", "64", "k", "--", "c"), -1);
	assert_true(c.checkpoint && c.run.rounds && c.engine == ENGINE_KVM && c.exit_port.kind == EXIT_PORT_BYTE);
	assert_true(c.reset_on.on[RESET_ON_POWEROFF] && c.reset_on.on[RESET_ON_PANIC]);
	assert_false(c.reset_on.on[RESET_ON_CRASH]);
}

static void firmware_files(void **state)
{
	(void)state;
	assert_int_equal(WITH("--firmware=ovmf"), -1);
	assert_int_equal(c.firmware, FIRMWARE_OVMF);
	assert_int_equal(c.engine, ENGINE_QEMU);
	assert_string_equal(c.firmware_path, machine_get(MACHINE_X86_64)->uefi.path);
	assert_int_equal(PARSE("--firmware=u-boot", "--machine=riscv64", "--boot-disk=d", "64"), -1);
	assert_string_equal(c.firmware_path, machine_get(MACHINE_RISCV64)->uboot.path);
	assert_int_equal(WITH("--firmware=u-boot.bin"), -1);
	assert_int_equal(c.firmware, FIRMWARE_FILE);
	assert_string_equal(c.firmware_path, "u-boot.bin");
	assert_int_equal(WITH("--firmware=seabios"), -1);
	assert_null(c.firmware_path);
}

static void the_table_is_whole(void **state)
{
	(void)state;
	for (unsigned id = 0; id < MACHINE_COUNT; id++) {
		const struct machine *m = machine_get(id);

		assert_int_equal(machine_find(m->name, strlen(m->name)), id);
		assert_int_equal(machine_find(m->name, strlen(m->name) - 1), MACHINE_COUNT);
		assert_int_equal(machine_type_find(m, m->type[0]), 0);
		assert_int_equal(machine_type_find(m, "none"), MACHINE_TYPES);
		assert_true(machine_cpu_ok(m->cpu));
		assert_true(machine_is_program(strrchr(m->program, '/') + 1));
		assert_true(!m->wrapped || machine_is_program(strrchr(m->wrapped, '/') + 1));
		assert_non_null(strstr(m->program, m->name));
		assert_string_equal(machine_of_elf(m->elf_machine, m->elf_class), m->name);
	}
	assert_false(machine_is_program("qemu-system-"));
	assert_null(machine_of_elf(0xffff, 2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mistakes_are_one_line_and_status_2),
		cmocka_unit_test(machines_and_types),
		cmocka_unit_test(boot_disks),
		cmocka_unit_test(devices_of_a_checkpoint),
		cmocka_unit_test(firmware_files),
		cmocka_unit_test(the_table_is_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
