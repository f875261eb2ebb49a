/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The virtio transport's configuration window, its layout for lguest and its registers withstand any access. */
#include "tests/unit/vcpu_virtio_pci_rig.h"

/* 4.1.4.9 */
static void configuration_window(void **state)
{
	(void)state;
	cfg_out(0x88, 1, 0);
	cfg_out(0x8c, 4, 0x2000);
	cfg_out(0x90, 4, 4);
	assert_int_equal(cfg_in(0x94, 4), 0x04030201);
	cfg_out(0x8c, 4, VIRTIO_PCI_COMMON_STATUS);
	cfg_out(0x90, 4, 1);
	cfg_out(0x94, 1, 1);
	assert_int_equal(status(), 1);
	/* lengths, offsets and BARs that lie */
	static const uint32_t lies[][3] = {
		{ 0, 0x2000, 0 }, { 0, 0x2000, 3 }, { 0, 0x2000, 8 },	       { 0, 0x2001, 4 },
		{ 0, 0x4000, 4 }, { 0, 0x3ffe, 4 }, { 0, 0xfffffffc, 4 },      { 5, 0, 4 },
		{ 6, 0, 4 },	  { 255, 0, 4 },    { 0, 0x2000, 0xffffffff },
	};
	for (unsigned i = 0; i < ARRAY_SIZE(lies); i++) {
		cfg_out(0x88, 1, lies[i][0]);
		cfg_out(0x8c, 4, lies[i][1]);
		cfg_out(0x90, 4, lies[i][2]);
		cfg_out(0x94, 4, 0xffffffff);
		assert_int_equal(cfg_in(0x94, 4), 0xffffffff);
	}
	assert_int_equal(config[0], 1);
}

/* lguest 4.x: one BAR, no MSI-X, one notify register; its lines are edges. */
static void compact_layout(void **state)
{
	(void)state;
	make(&compact);
	assert_int_equal(cfg_in(0x98, 4), 0);
	assert_int_equal(cfg_in(0x3c, 1), 11);
	assert_int_equal(cfg_in(0x14, 4), 0);
	assert_int_equal(rd(0x3c, 4), 0x04030201);
	bring_up(BIT64(VIRTIO_F_VERSION_1));
	assert_int_equal(rd(VIRTIO_PCI_COMMON_Q_NOFF, 2), 0);
	wr(0x38, 2, 2);
	assert_true(notified == 1 && last_notify == 2);
	vpci_interrupt(&v, 0);
	assert_true(line);
	line = false;
	vpci_interrupt(&v, 0);
	assert_true(line);
	assert_int_equal(rd(0x3a, 1), 1);
	assert_int_equal(vpci_notify_address(&v, 1), 0xd0000038);
}

static void sweep_host(const struct vpci_host *h)
{
	static const uint64_t values[] = { 0,	       1,	   2,	       3,	  0x7f,	  0x80,
					   0xff,       0x100,	   0x7fff,     0x8000,	  0xffff, 0x10000,
					   0x7fffffff, 0x80000000, 0xffffffff, UINT64_MAX };
	uint64_t r;

	make(h);
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned off = 0; off < 0x5000; off += off < 0x80 || (off & 0xfff) < 0x40 ? 1 : 37)
			for (unsigned len = 1; len <= 8; len *= 2)
				for (unsigned i = 0; i < ARRAY_SIZE(values); i++) {
					pci_mem_write(&bus, 0xd0000000 + off, len, values[i]);
					pci_mem_read(&bus, 0xd0000000 + off, len, &r);
				}
		for (unsigned reg = 0; reg < 256; reg++)
			for (unsigned i = 0; i < ARRAY_SIZE(values); i++)
				for (unsigned len = 1; len <= 4; len *= 2) {
					/* BARs stay where the loop above finds them */
					if ((reg & 0xfc) < 0x10 || (reg & 0xfc) > 0x24)
						cfg_out(reg, len, (uint32_t)values[i]);
					cfg_in(reg, len);
				}
		cfg_out(4, 2, PCI_COMMAND_MEMORY);
		vpci_interrupt(&v, 0);
		vpci_config_changed(&v);
	}
	assert_int_equal(cfg_in(0, 4), 0x10421af4);
	/* whatever was done to it: a reset makes it good again */
	cfg_out(0x9a, 2, 0);
	msix_on();
	starts = 0;
	bring_up(BIT64(VIRTIO_F_VERSION_1));
	assert_int_equal(starts, 1);
}

static void sweep(void **state)
{
	(void)state;
	sweep_host(&wide);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(configuration_window, new_device),
		cmocka_unit_test_setup(compact_layout, new_device),
		cmocka_unit_test_setup(sweep, new_device),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
