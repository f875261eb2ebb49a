/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Promise: a file of --save that is cut or changed is refused; and no file, whatever it contains, leads to a state that
 * writes of a guest could not lead to. Uses a double of KVM's calls.
 */
#include "tests/unit/vcpu_save_rig.h"

/* Where RECORD_DEVICE has the first queue. */
#define QUEUE0 (64 + 16 * VPCI_MAX_VECTORS)

/* ---- damaged files ---- */

static void a_file_of_any_other_length_is_refused(void **state)
{
	(void)state;
	for (size_t len = 0; len < file_len; len += len < 64 || len > file_len - 64 ? 1 : 509)
		refused(file, len, "it is truncated");
	memset(file + file_len, 0, 100);
	refused(file, file_len + 1, "it is longer than it should be");
}

static void a_changed_bit_is_refused(void **state)
{
	struct save_header h;

	(void)state;
	memcpy(&h, file, sizeof(h));
	for (size_t at = 0; at < file_len; at += at < 64 ? 1 : 211) {
		/* Zeros up to a whole page belong to nothing. */
		if (at >= SAVE_STATE_AT + h.state_len && at < save_bits_at(h.state_len))
			continue;
		file[at] ^= 0x10;
		refused(file, file_len, "file: ");
		file[at] ^= 0x10;
	}
	assert_int_equal(new_machine(), 0);
	assert_int_equal(load_bytes(file, file_len), 0);
}

/* Every page is there, but one in the place of another. */
static void a_page_in_another_place_is_refused(void **state)
{
	uint8_t *bits = file + save_bits_at(((struct save_header *)(void *)file)->state_len);
	unsigned page = 0;

	(void)state;
	while (!(bits[page / 8] >> page % 8 & 1) || (bits[(page + 1) / 8] >> (page + 1) % 8 & 1))
		page++;
	bits[page / 8] &= (uint8_t) ~(1u << page % 8);
	bits[(page + 1) / 8] |= (uint8_t)(1u << (page + 1) % 8);
	refused(file, file_len, "the bits of its pages do not fit their checksum");
}

/* The reader's pieces end elsewhere than the writer's. */
static void the_sum_of_pages_has_every_bit_and_their_order(void **state)
{
	static uint8_t p[3 * SAVE_PAGE];
	uint64_t sum;

	(void)state;
	for (size_t i = 0; i < sizeof(p); i++)
		p[i] = (uint8_t)(i * 2654435761u >> 13);
	sum = save_pages_sum(5, p, 3);
	assert_int_equal(save_pages_sum(save_pages_sum(5, p, 1), p + SAVE_PAGE, 2), sum);
	assert_int_not_equal(save_pages_sum(save_pages_sum(5, p + SAVE_PAGE, 2), p, 1), sum);
	for (unsigned bit = 0; bit < 8 * sizeof(p); bit++) {
		/* Two at the same place of 8 bytes do not undo each other. */
		unsigned other = (bit + 256) % (8 * sizeof(p));

		p[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_not_equal(save_pages_sum(5, p, 3), sum);
		p[other / 8] ^= (uint8_t)(1u << other % 8);
		assert_int_not_equal(save_pages_sum(5, p, 3), sum);
		p[bit / 8] ^= (uint8_t)(1u << bit % 8);
		p[other / 8] ^= (uint8_t)(1u << other % 8);
	}
}

/* ---- hostile files, whose checksums fit ---- */

static void counts_and_places_that_do_not_fit_are_refused(void **state)
{
	struct save_header was = *header();
	size_t bits_at = save_bits_at(was.state_len);

	(void)state;
	header()->pages = UINT64_MAX;
	refused_hostile("it claims to have");
	header()->pages = PAGES + 1;
	refused_hostile("it claims to have");
	*header() = was;
	header()->pages--;
	refused_hostile("it has bits for more than");
	*header() = was;
	header()->pages++;
	refused_hostile("it has bits for");
	*header() = was;
	header()->state_len = SAVE_STATE_MAX + 1;
	refused_hostile("it claims to have");
	header()->state_len = UINT32_MAX;
	refused_hostile("it claims to have");
	header()->state_len = 0;
	refused_hostile("it claims to have");
	header()->state_len = 48;
	refused_hostile("its records end at byte 48");
	header()->state_len = 44;
	refused_hostile("its records end at byte 40");
	*header() = was;
	/* A page beyond memory, by a bit in the same byte as that of the last page, and by a far one. */
	file[bits_at + PAGES / 8] |= 0x80;
	header()->pages++;
	memset(file + file_len, 0, PAGE);
	file_len += PAGE;
	refused_hostile("beyond the guest's memory");
	file[bits_at + PAGES / 8] &= 0x7f;
	file[bits_at + PAGE - 1] = 0x80;
	refused_hostile("beyond the guest's memory");
}

static void impossible_registers_of_devices_are_refused(void **state)
{
	(void)state;
	/* The serial port: number and place of bytes of input, registers. */
	change(RECORD_PORTS, 0, 7, 16, "the serial port has");
	change(RECORD_PORTS, 0, 8, 17, "the serial port has");
	change(RECORD_PORTS, 0, 8, 255, "the serial port has");
	change(RECORD_PORTS, 0, 0, 0x10, "the serial port's registers");
	change(RECORD_PORTS, 0, 11, 200, "the serial port's registers");
	change(RECORD_PORTS, 0, 9, 2, "not 0 or 1");
	change(RECORD_PORTS, 0, 28, 0x80, "clock and power management");
	change(RECORD_PORTS, 0, 35, 0x20, "clock and power management");
	/* What a guest cannot change in a configuration space: identity, BAR alignment, capabilities. */
	change(RECORD_PCI, 1, 0, 0x86, "PCI device 1 has 0x86 at 0x00");
	change(RECORD_PCI, 1, 0x10, 0x10, "PCI device 1 has");
	change(RECORD_PCI, 1, 0x18, 1, "PCI device 1 has");
	change(RECORD_PCI, 2, 0x44, 4, "PCI device 2 has");
	change(RECORD_PCI, 0, 3, 0x10, "PCI device 0 has");
	/* Virtio: what the device is, status, features, vectors, sizes of queues. */
	change(RECORD_DEVICE, 0, 0, 0x80, "features");
	change(RECORD_DEVICE, 1, 0, 1, "features");
	change(RECORD_DEVICE, 0, 8, 4, "queues");
	change(RECORD_DEVICE, 0, 16, 2, "features");
	change(RECORD_DEVICE, 0, 24, 0x40, "features");
	change(RECORD_DEVICE, 0, 50, 7, "vector 65287");
	change(RECORD_DEVICE, 0, 52, 0x10, "status 0x10");
	change(RECORD_DEVICE, 0, 52, 3, "features");
	change(RECORD_DEVICE, 0, 52, 11, "it runs with status 0xb");
	change(RECORD_DEVICE, 0, 54, 4, "ISR 0x4");
	change(RECORD_DEVICE, 0, 55, 2, "not 0 or 1");
	change(RECORD_DEVICE, 0, 56, 1, "features");
	change(RECORD_DEVICE, 0, 64 + 12, 2, "control 0x2");
	change(RECORD_DEVICE, 0, QUEUE0 + 24, 17, "size 17");
	change(RECORD_DEVICE, 0, QUEUE0 + 25, 4, "size 1040");
	change(RECORD_DEVICE, 0, QUEUE0 + 26, 9, "vector 9");
	change(RECORD_DEVICE, 0, QUEUE0 + 28, 2, "not 0 or 1");
	change(RECORD_MACHINE, 0, 12, 2, "not 0 or 1");
	/* Features that were not offered, and none at all. */
	object(RECORD_DEVICE, 0)[16 + 5] = object(RECORD_DEVICE, 0)[24 + 5] = 1;
	refused_hostile("features 0x10100000000 of");
	object(RECORD_DEVICE, 0)[16 + 5] = object(RECORD_DEVICE, 0)[24 + 5] = 0;
	object(RECORD_DEVICE, 0)[16 + 4] = object(RECORD_DEVICE, 0)[24 + 4] = 0;
	refused_hostile("features 0x0 of");
}

static void impossible_rings_are_refused(void **state)
{
	(void)state;
	/* Addresses outside memory, not aligned, or at its end. */
	change(RECORD_DEVICE, 0, QUEUE0 + 7, 0x80, "queue 0 is not in guest memory");
	change(RECORD_DEVICE, 0, QUEUE0, 1, "queue 0 is not in guest memory");
	change(RECORD_DEVICE, 0, QUEUE0 + 32 + 8 + 3, 0x40, "queue 1 is not in guest memory");
	change(RECORD_DEVICE, 1, QUEUE0 + 16, 2, "queue 0 is not in guest memory");
	/* More chains available than there are entries. */
	change(RECORD_QUEUE, 0, 2, 99, "is available");
	change(RECORD_QUEUE, 1, 1, 0x80, "is available");
	/* A queue that runs without its device, or after a fault. */
	change(RECORD_QUEUE, 0, 9, 1, "queue 0 runs, but its device does not");
	change(RECORD_QUEUE, 0, 8, 2, "not 0 or 1");
	change(RECORD_DEVICE, 0, QUEUE0 + 28, 0, "queue 0 runs, but its device does not");
	change(RECORD_DEVICE, 0, 55, 0, "queue 0 runs, but its device does not");
	/* Output in progress, although every chain is still to be taken. */
	object(RECORD_CONSOLE, 0)[8] = 1;
	object(RECORD_QUEUE, 1)[2] = (uint8_t)(object(RECORD_QUEUE, 1)[0] + RING_LEN);
	refused_hostile("output is in progress");
}

static void records_out_of_order_are_refused(void **state)
{
	struct record_header h, *first = (void *)(object(RECORD_MACHINE, 0) - sizeof(h));

	(void)state;
	h = *first;
	first->len = UINT32_MAX;
	refused_hostile("is in the place of");
	first->len = 0;
	refused_hostile("is in the place of");
	*first = h;
	first->kind = RECORD_LAPIC;
	refused_hostile("is in the place of");
	*first = h;
	first->index = 3;
	refused_hostile("is in the place of");
	*first = h;
	/* MSRs and CPUID whose counts do not fit. */
	change(RECORD_MSR_LIST, 0, 1, 0xff, "its list of MSRs has");
	change(RECORD_CPUID, 0, 1, 0xff, "its CPUID has");
	/* One record more than there should be. */
	header()->state_len += 8;
	refused_hostile("it has records that are not known");
}

/* The controller that is set is never chosen by the file, and the clock's flags are ours. */
static void what_we_choose_is_not_in_the_file(void **state)
{
	(void)state;
	memset(object(RECORD_IRQCHIP, 1), 0xff, 4);
	memset(object(RECORD_CLOCK, 0) + 8, 0xff, 4);
	fit_checksums(file, file_len);
	assert_int_equal(load_bytes(file, file_len), 0);
	assert_int_equal(held.chip[1].chip.pic.imr, 7);
	assert_int_equal(held.clock.flags, 0);
}

static void a_state_that_kvm_refuses_is_refused(void **state)
{
	static const unsigned long calls[] = { KVM_SET_SREGS2, KVM_SET_REGS,	  KVM_SET_XSAVE,   KVM_SET_XCRS,
					       KVM_SET_LAPIC,  KVM_SET_PIT2,	  KVM_SET_CLOCK,   KVM_SET_VCPU_EVENTS,
					       KVM_SET_MSRS,   KVM_SET_DEBUGREGS, KVM_SET_IRQCHIP, KVM_SET_MP_STATE };

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(calls); i++) {
		refused_call = 0;
		assert_int_equal(new_machine(), 0);
		refused_call = calls[i];
		assert_int_equal(load_bytes(file, file_len), -1);
		assert_int_equal(vm.end, GUEST_LOAD_FAILED);
		assert_non_null(strstr(vm.end_text, "this host's KVM refuses its state: "));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_file_of_any_other_length_is_refused, setup),
		cmocka_unit_test_setup(a_changed_bit_is_refused, setup),
		cmocka_unit_test_setup(a_page_in_another_place_is_refused, setup),
		cmocka_unit_test(the_sum_of_pages_has_every_bit_and_their_order),
		cmocka_unit_test_setup(counts_and_places_that_do_not_fit_are_refused, setup),
		cmocka_unit_test_setup(impossible_registers_of_devices_are_refused, setup),
		cmocka_unit_test_setup(impossible_rings_are_refused, setup),
		cmocka_unit_test_setup(records_out_of_order_are_refused, setup),
		cmocka_unit_test_setup(what_we_choose_is_not_in_the_file, setup),
		cmocka_unit_test_setup(a_state_that_kvm_refuses_is_refused, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
