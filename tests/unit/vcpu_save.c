/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Promise: a guest that is loaded from the file of --save is the guest that was saved, in every state; only pages with
 * data are in the file; and a file of another version, or for another machine, is refused with a line that says so.
 * Uses a double of KVM's calls.
 */
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>

#include "tests/unit/vcpu_save_rig.h"

/* ---- the same guest ---- */

static void the_guest_is_the_same(void **state)
{
	struct devices *ds = &k.devices;
	uint32_t v;

	(void)state;
	assert_int_equal(load_bytes(file, file_len), 0);
	assert_int_equal(vm.end, 0);
	assert_memory_equal(memory[0], saved_memory[0], LOW);
	assert_memory_equal(memory[1], saved_memory[1], HIGH);
	assert_int_equal(held.regs.rip, 0x1234);
	assert_int_equal(held.msr_one, 5);
	assert_int_equal(held.lapic.regs[5], 6);
	assert_int_equal(held.pit.flags, 1);
	assert_int_equal(held.chip[1].chip.pic.imr, 7);
	pc_in(&k.pc, PC_SERIAL_PORT + 7, 1, &v);
	assert_int_equal(v, 0x5a);
	assert_true(line_level[PC_SERIAL_IRQ]);
	pc_in(&k.pc, PC_SERIAL_PORT, 1, &v);
	assert_int_equal(v, 'x');
	assert_int_equal(pci_port_in(&ds->bus, PCI_PORT_ADDRESS, 4), 0x8000083c);
	assert_int_equal(ds->dev[0].v.status, 15);
	assert_true(ds->console.transmitted);
	/* The rings go on: the chains of before are not taken again. */
	assert_int_equal(used(1), 1);
	assert_int_equal(used(2), 2);
	offer(0, 1, 1, 50, false);
	offer(1, 0, 2, 16, true);
	assert_int_equal(used(1), 2);
	assert_int_equal(used(2), 3);
	assert_int_equal(console_input(&ds->console, (const uint8_t *)"abc", 3), 3);
	assert_int_equal(memcmp(memory[0] + BUFFER, "abc", 3), 0);
}

static void any_number_of_guests_starts_from_one_file(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(new_machine(), 0);
		assert_int_equal(load_bytes(file, file_len), 0);
		assert_memory_equal(memory[0], saved_memory[0], LOW);
		memset(memory[0], 1, LOW);
	}
}

/* The next ID, for a start and a reset alike: nothing else of memory differs, and its interrupt is an edge. */
static void next_id(uint8_t seen[16], unsigned edges)
{
	uint8_t *id = memory[0] + PC_VMGENID_GPA, now[16];

	memcpy(now, id, sizeof(now));
	assert_memory_not_equal(now, seen, sizeof(now));
	assert_false(line_level[PC_VMGENID_IRQ]);
	assert_int_equal(line_edges[PC_VMGENID_IRQ], edges);
	memcpy(id, saved_memory[0] + PC_VMGENID_GPA, sizeof(now));
	assert_memory_equal(memory[0], saved_memory[0], LOW);
	memcpy(id, now, sizeof(now));
	memcpy(seen, now, sizeof(now));
}

static void each_start_and_each_reset_has_a_generation_id_of_its_own(void **state)
{
	uint8_t seen[16];

	(void)state;
	config.checkpoint = true;
	config.vmgenid_same = false;
	memcpy(seen, saved_memory[0] + PC_VMGENID_GPA, sizeof(seen));
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(new_machine(), 0);
		line_edges[PC_VMGENID_IRQ] = 0;
		assert_int_equal(load_bytes(file, file_len), 0);
		next_id(seen, 1);
		assert_int_equal(kvm_checkpoint_begin(&k), 0);
		/* The copy has the first ID, and resets write others. */
		memcpy(saved_memory[0] + PC_VMGENID_GPA, seen, sizeof(seen));
		for (unsigned j = 0; j < 3; j++) {
			kvm_checkpoint_ask(&k, true, true);
			kvm_checkpoint_meet(&k);
			assert_int_equal(vm.stats.resets, j + 1);
			next_id(seen, j + 2);
		}
	}
	/* The page is taken back like any other. */
	config.vmgenid_same = true;
	kvm_checkpoint_ask(&k, true, true);
	kvm_checkpoint_meet(&k);
	assert_memory_equal(memory[0], saved_memory[0], LOW);
	assert_int_equal(line_edges[PC_VMGENID_IRQ], 4);
}

static void only_pages_with_data_are_in_the_file(void **state)
{
	struct save_header h;

	(void)state;
	memcpy(&h, file, sizeof(h));
	/* 5 pages and the last one; descriptors, available and used rings of three queues, of which one is not used;
	 * the buffer. */
	assert_in_range(h.pages, 6, 20);
	assert_int_equal(file_len, save_bits_at(h.state_len) + save_bits_bytes(h.mem_bytes) + h.pages * PAGE);
	assert_int_equal(load_bytes(file, file_len), 0);
	/* Other pages were not touched: they are holes still. */
	assert_int_equal(lseek(VFD_MEM, LOW, SEEK_DATA), LOW + HIGH - PAGE);
}

/* Output that the console's reader did not take yet is in progress at the checkpoint. */
static void output_in_progress_goes_on(void **state)
{
	int pipes[2], out = fcntl(1, F_DUPFD, 700);

	reset_options(state);
	begin_to_save();
	assert_int_equal(pipe2(pipes, O_NONBLOCK), 0);
	fflush(stdout);
	dup2(pipes[1], VFD_CON_OUT);
	k.devices.conio.gone = false;
	for (unsigned i = 0; i < 12; i++)
		offer(0, 1, 1, 30000, false);
	dup2(out, 1);
	assert_true(k.devices.console.busy);
	{
		struct console was = k.devices.console;
		int fd = save_machine();

		assert_int_equal(vm.end, 0);
		config.checkpoint = config.save = false;
		config.from = true;
		assert_int_equal(new_machine(), 0);
		assert_int_equal(load_machine(fd), 0);
		close(fd);
		assert_true(k.devices.console.busy);
		assert_int_equal(k.devices.console.done, was.done);
		assert_int_equal(k.devices.console.chain.head, was.chain.head);
		assert_int_equal(k.devices.console.q[1].last_avail, was.q[1].last_avail);
		assert_int_equal(k.devices.console.q[1].in_flight, 1);
	}
	offer(0, 1, 1, 1, false);
	while (k.devices.console_again)
		own_send_output(&k.devices);
	assert_int_equal(used(1), 14);
	close(out);
	close(pipes[0]);
	close(pipes[1]);
}

/* The kick of the saved guest was lost with its process. */
static void what_was_available_at_the_checkpoint_is_taken(void **state)
{
	int fd;

	reset_options(state);
	begin_to_save();
	offer_quietly(1, 50, false);
	offer_quietly(2, 16, true);
	fd = save_machine();
	config.checkpoint = config.save = false;
	config.from = true;
	config.input_is_terminal = true;
	config.window_size = 0x500018;
	assert_int_equal(new_machine(), 0);
	assert_int_equal(load_machine(fd), 0);
	close(fd);
	assert_int_equal(used(1), 1);
	devices_work(&k.devices);
	assert_int_equal(used(1), 2);
	assert_int_equal(used(2), 3);
	/* Its driver has not heard of a terminal, and is told nothing. */
	assert_int_equal(k.devices.dev[0].v.isr & 2, 0);
}

static void a_host_without_xsave_has_no_xcrs(void **state)
{
	reset_options(state);
	no_xsave = true;
	save_one();
	config.checkpoint = config.save = false;
	config.from = true;
	assert_int_equal(new_machine(), 0);
	the_guest_is_the_same(state);
}

/* With --checkpoint, the start is the checkpoint. */
static void a_reset_goes_back_to_the_file(void **state)
{
	(void)state;
	config.checkpoint = true;
	assert_int_equal(new_machine(), 0);
	assert_int_equal(load_bytes(file, file_len), 0);
	assert_int_equal(kvm_checkpoint_begin(&k), 0);
	held.regs.rip = 9;
	k.pc.uart.scr = 1;
	k.devices.conio.gone = true;
	kvm_checkpoint_ask(&k, true, true);
	kvm_checkpoint_meet(&k);
	assert_int_equal(vm.end, 0);
	assert_int_equal(held.regs.rip, 0x1234);
	assert_int_equal(k.pc.uart.scr, 0x5a);
	assert_int_equal(vm.stats.resets, 1);
}

/* ---- writing ---- */

static void the_file_has_the_first_checkpoint_only(void **state)
{
	static uint8_t now[sizeof(file)];
	int fd;

	reset_options(state);
	save_one();
	held.regs.rip = 77;
	kvm_checkpoint_ask(&k, false, true);
	kvm_checkpoint_meet(&k);
	assert_int_equal(vm.end, 0);
	assert_int_equal(pread(VFD_SAVE, now, sizeof(now), 0), file_len);
	assert_memory_equal(now, file, file_len);
	/* Nor does a later start of the guest write it. */
	fd = fcntl(VFD_SAVE, F_DUPFD, 700);
	assert_int_equal(new_machine(), 0);
	use_machine();
	held.regs.rip = 78;
	kvm_checkpoint_ask(&k, false, true);
	kvm_checkpoint_meet(&k);
	assert_int_equal(pread(fd, now, sizeof(now), 0), file_len);
	assert_memory_equal(now, file, file_len);
	close(fd);
}

/* Whatever is missing of the disk, the file is never taken for whole. */
static void a_full_disk_ends_the_guest(void **state)
{
	struct rlimit was, less;
	struct sigaction xfsz;

	getrlimit(RLIMIT_FSIZE, &was);
	signal(SIGXFSZ, SIG_DFL);
	for (size_t most = 0; most < file_len; most += 4096 * (1 + most / 8192)) {
		int fd;

		reset_options(state);
		begin_to_save();
		sigaction(SIGXFSZ, NULL, &xfsz);
		assert_true(xfsz.sa_handler == SIG_IGN);
		less = (struct rlimit){ most, was.rlim_max };
		setrlimit(RLIMIT_FSIZE, &less);
		fd = save_machine();
		setrlimit(RLIMIT_FSIZE, &was);
		assert_int_equal(vm.end, GUEST_HOST_FAILED);
		assert_non_null(strstr(vm.end_text, "--save: cannot write the file: File too large"));
		config.checkpoint = config.save = false;
		config.from = true;
		assert_int_equal(new_machine(), 0);
		assert_int_equal(load_machine(fd), -1);
		assert_true(strstr(vm.end_text, "it is not complete") ||
			    strstr(vm.end_text, "it is truncated after 0 bytes"));
		close(fd);
	}
}

/* ---- other machines ---- */

static void another_machine_is_refused(void **state)
{
	config.mem_bytes += 1 << 20;
	refused(file, file_len, "the guest has 1 MiB of memory, and MEM-MB says 2; give 1");
	reset_options(state);
	config.from = true;
	config.smp = 2;
	refused(file, file_len, "the guest has 1 processors, and --smp says 2; give --smp=1");
	config.smp = 1;
	config.rng = false;
	refused(file, file_len, "the guest has an rng device; give --rng");
	config.rng = true;
	config.exit_port = EXIT_PORT_ISA_DEBUG_EXIT;
	refused(file, file_len, "the guest's exit port is byte at 0xf4, and here it is isa-debug-exit at 0xf4");
	config.exit_port = EXIT_PORT_BYTE;
	config.ndevices = 1;
	refused(file, file_len, "the guest has 0 disks, NICs and shares, and this one 1; give the same ones");
	config.ndevices = 0;
	cpu_feature = 0x300;
	refused(file, file_len, "CPUID leaf 0x7.0: ebx is 0x100 in the guest, and 0x300 on this host");
	cpu_feature = 0x100;
	tsc_khz = 2100000;
	refused(file, file_len, "time stamp counter runs at 2000000 kHz, and this host's at 2100000");
	tsc_khz = 2000400;
	assert_int_equal(new_machine(), 0);
	assert_int_equal(load_bytes(file, file_len), 0);
	extra_msr = 0xc0000081;
	refused(file, file_len, "MSRs, and this host's KVM");
}

static void a_file_of_another_version_is_refused(void **state)
{
	(void)state;
	file[8] = 5;
	refused(file, file_len, "its format has version 5, and this lguest-sep reads version 4");
	memset(file, 0, PAGE);
	refused(file, file_len, "it is not complete");
	memcpy(file,
	       "\x7f"
	       "ELF",
	       4);
	refused(file, file_len, "it is not a file that --save has written");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_guest_is_the_same, setup),
		cmocka_unit_test_setup(any_number_of_guests_starts_from_one_file, setup),
		cmocka_unit_test_setup(each_start_and_each_reset_has_a_generation_id_of_its_own, setup),
		cmocka_unit_test_setup(only_pages_with_data_are_in_the_file, setup),
		cmocka_unit_test_setup(output_in_progress_goes_on, setup),
		cmocka_unit_test_setup(what_was_available_at_the_checkpoint_is_taken, setup),
		cmocka_unit_test_setup(a_host_without_xsave_has_no_xcrs, setup),
		cmocka_unit_test_setup(a_reset_goes_back_to_the_file, setup),
		cmocka_unit_test_setup(the_file_has_the_first_checkpoint_only, setup),
		cmocka_unit_test_setup(a_full_disk_ends_the_guest, setup),
		cmocka_unit_test_setup(another_machine_is_refused, setup),
		cmocka_unit_test_setup(a_file_of_another_version_is_refused, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
