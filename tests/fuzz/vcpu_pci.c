/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz: any sequence of accesses to the PCI bus and a virtio device on it: ports,
 * configuration space and BARs, of every size at every address, with interrupts and
 * configuration changes in between; beside it the device of --shmem, whose memory stays where it is.
 */
#include <linux/virtio_config.h>

#include <linux/pci_regs.h>

#include "tests/fuzz/fuzz.h"
#include "vcpu/devices/shmem.h"
#include "vcpu/devices/vpci.h"

#define QUEUES	   3
#define QUEUE_MAX  256
#define BAR_WINDOW 0xd0000000u
#define SHMEM	   0xe0000000u
#define SHMEM_LEN  0x10000u

static struct pci_bus bus;
static struct vpci v;
static struct shmem_dev shmem;
static bool running, raised;
static bool queue_on[QUEUES];
static uint8_t config[24];
static uint8_t answer; /* what the device says to requests */

static void get_config(struct vpci *p, unsigned off, void *buf, unsigned len)
{
	(void)p;
	PROMISE(off <= sizeof(config) && len <= sizeof(config) - off);
	memcpy(buf, config + off, len);
}

static void set_config(struct vpci *p, unsigned off, const void *buf, unsigned len)
{
	(void)p;
	PROMISE(off <= sizeof(config) && len <= sizeof(config) - off);
	memcpy(config + off, buf, len);
}

static bool features_ok(struct vpci *p)
{
	PROMISE(!running);
	PROMISE(!(p->features & ~p->dev->features));
	return answer & 1;
}

static void check_queue(const struct vpci_queue *q)
{
	PROMISE(q->enabled);
	PROMISE(q->size && q->size <= q->max_size && q->max_size <= QUEUE_MAX);
	PROMISE(is_power_of_two(q->size));
}

static bool start(struct vpci *p)
{
	PROMISE(!running && (p->status & VIRTIO_CONFIG_S_FEATURES_OK));
	running = true; /* a device that fails to start is stopped all the same */
	for (unsigned q = 0; q < QUEUES; q++) {
		queue_on[q] = (answer & 2) && p->queue[q].enabled;
		if (queue_on[q])
			check_queue(&p->queue[q]);
	}
	return answer & 2;
}

static bool start_queue(struct vpci *p, unsigned q)
{
	PROMISE(running && q < QUEUES && !queue_on[q]);
	check_queue(&p->queue[q]);
	queue_on[q] = answer & 4;
	return queue_on[q];
}

static void stop_queue(struct vpci *p, unsigned q)
{
	(void)p;
	PROMISE(running && q < QUEUES);
	queue_on[q] = false;
}

static void stop(struct vpci *p)
{
	(void)p;
	running = false;
	memset(queue_on, 0, sizeof(queue_on));
}

static void notify(struct vpci *p, unsigned q)
{
	PROMISE(running && p->running && q < QUEUES);
}

static const struct vpci_device device = {
	.name = "fuzz",
	.type = 2,
	.class = 0x018000,
	.nqueues = QUEUES,
	.queue_max = QUEUE_MAX,
	.config_len = sizeof(config),
	.features = 1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_F_RING_RESET | 1ull << 5,
	.get_config = get_config,
	.set_config = set_config,
	.features_ok = features_ok,
	.start = start,
	.start_queue = start_queue,
	.stop_queue = stop_queue,
	.stop = stop,
	.notify = notify,
};

static void intx(struct vpci *p, bool level)
{
	(void)p;
	raised = level;
}

static void msi(struct vpci *p, uint64_t addr, uint32_t data)
{
	(void)p;
	(void)addr;
	(void)data;
}

static void rewire(struct vpci *p)
{
	uint64_t addr;
	uint32_t data;

	for (unsigned q = 0; q < VPCI_MAX_QUEUES + 2; q++) {
		if (vpci_queue_irq(p, q, &addr, &data) == VPCI_IRQ_MSI)
			PROMISE(p->running && p->queue[q].enabled);
		vpci_notify_address(p, q);
	}
}

static const struct vpci_host wide = { .intx = intx, .msi = msi, .rewire = rewire };
static const struct vpci_host compact = { .compact = true, .intx = intx };

/* Choose an address in or near the BARs, so that most accesses reach something. */
static uint64_t address(struct input *in, uint8_t what)
{
	uint64_t at;

	if (what & 0x80)
		return take64(in);
	at = pci_bar_address(&v.pci, what & 0x40 ? 1 : 0);
	return (at ? at : BAR_WINDOW) + take16(in) % 0x5000;
}

static void step(struct input *in)
{
	uint8_t what = take8(in);
	unsigned len = 1u << (what >> 4 & 3);
	uint64_t value;
	uint8_t at;

	switch (what & 7) {
	case 0:
		/* Slot 1, or with bit 0 slot 2 */
		at = take8(in);
		pci_port_out(&bus, PCI_PORT_ADDRESS, 4, 0x80000000u | (at & 1 ? 16u : 8u) << 8 | (at & 0xfc));
		break;
	case 1:
		pci_port_out(&bus, (uint16_t)(PCI_PORT_ADDRESS + take8(in) % 8), len > 4 ? 4 : len, take32(in));
		break;
	case 2:
		pci_port_in(&bus, (uint16_t)(PCI_PORT_ADDRESS + take8(in) % 8), len > 4 ? 4 : len);
		break;
	case 3:
	case 4:
		value = address(in, what);
		pci_mem_write(&bus, value, len, take8(in) & 1 ? take64(in) : take16(in));
		break;
	case 5:
		pci_mem_read(&bus, address(in, what), len, &value);
		break;
	case 6:
		answer = take8(in);
		vpci_interrupt(&v, answer >> 3 & 3);
		break;
	default:
		if (what & 0x10)
			vpci_config_changed(&v);
		else
			vpci_needs_reset(&v);
		break;
	}
}

/* BAR2 names its only place, or shows its size, and is none that the bus decodes. */
static void check_shmem(void)
{
	uint32_t low = pci_get32(&shmem.pci, PCI_BASE_ADDRESS_2), high = pci_get32(&shmem.pci, PCI_BASE_ADDRESS_3);

	PROMISE(low == (SHMEM | 0xc) || low == (~(SHMEM_LEN - 1) | 0xc));
	PROMISE(high == 0 || high == UINT32_MAX);
	PROMISE(!shmem.pci.bar_size[2] && !shmem.pci.bar_size[3]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, data + size };
	uint32_t next = BAR_WINDOW;
	uint8_t how = take8(&in);

	memset(&bus, 0, sizeof(bus));
	memset(&v, 0, sizeof(v));
	memset(queue_on, 0, sizeof(queue_on));
	running = raised = false;
	answer = 0xff;
	vpci_init(&v, &device, how & 1 ? &compact : &wide, 11, 1, &next);
	pci_attach(&bus, PCI_DEVFN(1, 0), &v.pci);
	shmem_init(&shmem, SHMEM - 4096, SHMEM, SHMEM_LEN);
	pci_attach(&bus, PCI_DEVFN(2, 0), &shmem.pci);
	if (how & 2)
		pci_port_out(&bus, PCI_PORT_ADDRESS, 4, 0x80000804u);
	if (how & 2)
		pci_port_out(&bus, PCI_PORT_DATA, 4, 6); /* memory and bus mastering on */
	while (left(&in)) {
		step(&in);
		PROMISE(v.running == running || !running);
		check_shmem();
		PROMISE(!raised || v.isr || v.intx_level);
	}
	return 0;
}
