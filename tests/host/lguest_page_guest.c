/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Scripts of the test double for hosts with Linux 3.5 to 3.19: descriptor page, legacy rings, LHCALL_NOTIFY. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/host/lguest_double.h"

#define MAX_FOUND 16

struct found {
	uint8_t type, nvq, flen, clen;
	uint64_t desc, features, config;
	struct ring ring[DEVICE_RINGS];
};

static struct found found[MAX_FOUND];
static unsigned nfound;

static void kick(struct ring *r)
{
	notify(r->g, r->kick_at);
}

/* lguest_device.c: scan_devices(), lg_find_vq() */
static void scan(struct guest *g, uint64_t page)
{
	uint64_t at = page;

	for (nfound = 0; nfound < MAX_FOUND && peekn(g, at, 1); nfound++) {
		struct found *f = &found[nfound];

		memset(f, 0, sizeof(*f));
		f->desc = at;
		f->type = (uint8_t)peekn(g, at, 1);
		f->nvq = (uint8_t)peekn(g, at + 1, 1);
		f->flen = (uint8_t)peekn(g, at + 2, 1);
		f->clen = (uint8_t)peekn(g, at + 3, 1);
		CHECK(peekn(g, at + 4, 1) == 0, "status 0 at first");
		at += 5;
		for (unsigned q = 0; q < f->nvq; q++, at += 8) {
			struct ring *r = &f->ring[q < DEVICE_RINGS ? q : 1];

			r->g = g;
			r->index = q;
			r->kick = kick;
			CHECK(peekn(g, at, 2) == RING, "queue size");
			r->irq = (unsigned)peekn(g, at + 2, 2);
			CHECK(r->irq > 0 && r->irq < IRQS, "irq %u", r->irq);
			r->kick_at = r->desc = peekn(g, at + 4, 4) * PAGE;
			CHECK(r->desc > page && r->desc + 3 * PAGE <= g->pfn_limit * PAGE, "ring in bounds");
			r->avail = r->desc + 16 * RING;
			r->used = r->desc + 2 * PAGE;
		}
		f->features = at;
		f->config = at + 2 * f->flen;
		at = f->config + f->clen;
	}
	CHECK(at <= page + PAGE, "the list ends in its page");
}

static void start(struct guest *g, struct found *f)
{
	uint32_t offered = (uint32_t)peekn(g, f->features, 4);

	/* neither indirect nor event index: this driver has none */
	poken(g, f->features + f->flen, 4, offered & ~(3u << 28) & (f->type == 1 ? 1u << 5 | 1u << 15 : ~0u));
	poken(g, f->desc + 4, 1, 3);
	notify(g, f->desc);
	poken(g, f->desc + 4, 1, 7);
	for (unsigned q = 0; q < DEVICE_RINGS; q++)
		f->ring[q].next = f->ring[q].seen = 0;
}

static void reset(struct guest *g, struct found *f)
{
	poken(g, f->desc + 4, 1, 0);
	notify(g, f->desc);
	CHECK(peekn(g, f->ring[0].used + 2, 2) == 0 && peekn(g, f->ring[0].avail + 2, 2) == 0,
	      "a reset empties the rings");
}

static struct found *find(uint8_t type, unsigned n)
{
	for (unsigned i = 0; i < nfound; i++)
		if (found[i].type == type && !n--)
			return &found[i];
	CHECK(false, "a device of type %u", type);
	return &found[0];
}

static void drive(struct guest *g, struct found *f, uint64_t at)
{
	uint8_t mac[6];

	start(g, f);
	if (f->type == 2) {
		CHECK(peekn(g, f->config + 12, 4) == RING - 2, "seg_max: all but header and status");
		drive_disk(&f->ring[0], at, peekn(g, f->config, 8));
	} else if (f->type == 1) {
		peek(g, f->config, mac, sizeof(mac));
		CHECK(mac[0] == 2 && mac[5] == 0x42, "the NIC's MAC");
		/* MRG_RXBUF: twelve bytes; ten without */
		drive_nic(&f->ring[0], &f->ring[1], at, mac, 12);
	} else if (f->type == 4) {
		drive_rng(&f->ring[0], at);
	}
}

static uint64_t begin(struct guest *g, const uint8_t *types, unsigned n)
{
	uint64_t ram = boot_checks(g);

	scan(g, ram);
	CHECK(nfound == n, "%u devices", nfound);
	for (unsigned i = 0; i < n && i < nfound; i++)
		CHECK(found[i].type == types[i], "device %u has type %u", i, found[i].type);
	return ram;
}

static void early(struct guest *g, uint64_t at, const char *text)
{
	poke(g, at, text, strlen(text) + 1);
	notify(g, at);
}

static void page_boot(struct guest *g)
{
	static const uint8_t types[] = { 3, 4, 2, 1, 2 };
	uint64_t at = 0x400000;

	begin(g, types, sizeof(types));
	early(g, at, "early words\n");
	start(g, find(3, 0));
	drive_console(&find(3, 0)->ring[0], &find(3, 0)->ring[1], at);
	for (unsigned again = 0; again < 2; again++)
		for (unsigned i = 1; i < nfound; i++) {
			drive(g, &found[i], at + 0x10000 * i);
			reset(g, &found[i]);
		}
	power_off(g);
}

/* A guest with one CPU is offered one queue. */
static void page_queues(struct guest *g)
{
	scan(g, boot_checks(g));
	for (unsigned i = 0; i < nfound; i++) {
		if (found[i].type == 2)
			CHECK(found[i].nvq == 1, "a disk with %u queues", found[i].nvq);
		if (found[i].type == 1)
			CHECK(found[i].nvq == 2, "a NIC with %u queues", found[i].nvq);
		if (found[i].type != 3)
			drive(g, &found[i], 0x400000 + 0x10000 * i);
	}
	power_off(g);
}

/* The ten-byte header of a driver that takes no feature at all. */
static void page_plain_net(struct guest *g)
{
	struct found *f;
	uint8_t mac[6];

	scan(g, boot_checks(g));
	f = find(1, 0);
	start(g, f);
	reset(g, f);
	poken(g, f->features + f->flen, 4, 0);
	poken(g, f->desc + 4, 1, 3);
	notify(g, f->desc);
	f->ring[0].next = f->ring[0].seen = f->ring[1].next = f->ring[1].seen = 0;
	peek(g, f->config, mac, sizeof(mac));
	drive_nic(&f->ring[0], &f->ring[1], 0x400000, mac, 10);
	power_off(g);
}

/* Notify every address, write statuses in every order, overwrite the page, break a ring: the
 * other devices keep working. */
static void page_hostile(struct guest *g)
{
	uint64_t ram, limit = g->pfn_limit * PAGE, at = 0x400000;
	const uint64_t odd[] = { 0, 1, 3, 0xfff, PAGE - 1, 0x80000000, 0xfffff000, 0xffffffff };
	struct found *bad, *good;
	uint8_t junk[PAGE], was[PAGE];

	scan(g, boot_checks(g));
	ram = peekn(g, 0x2d8, 8);
	bad = find(2, 0);
	good = find(2, 1);
	memset(junk, 'j', sizeof(junk));
	poke(g, ram - sizeof(junk), junk, sizeof(junk));
	for (unsigned i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		notify(g, odd[i]);
		notify(g, ram + odd[i] + 1);
		notify(g, limit + odd[i]);
		notify(g, ram - 1 - odd[i] % PAGE); /* no NUL before RAM's end */
	}
	for (unsigned s = 0; s < 256; s++)
		for (unsigned i = 0; i < nfound; i++) {
			poken(g, found[i].desc + 4, 1, s * 37 % 256);
			notify(g, found[i].desc);
		}
	peek(g, ram, was, sizeof(was));
	memset(junk, 0xff, sizeof(junk));
	poke(g, ram, junk, sizeof(junk));
	for (unsigned i = 0; i < nfound; i++)
		notify(g, found[i].desc);
	poke(g, ram, was, sizeof(was));
	for (unsigned i = 0; i < nfound; i++)
		reset(g, &found[i]);
	start(g, bad);
	poken(g, bad->ring[0].avail + 2, 2, 0x7777);
	kick(&bad->ring[0]);
	drive(g, good, at);
	CHECK(!wait_irq(g, bad->ring[0].irq, 200) || peekn(g, bad->ring[0].used + 2, 2) == 0,
	      "a broken queue gives nothing back");
	reset(g, bad);
	drive(g, bad, at + 0x10000);
	power_off(g);
}

static void page_lone(struct guest *g)
{
	scan(g, boot_checks(g));
	start(g, find(2, 0));
	drive_lone(&find(2, 0)->ring[0], 0x400000);
	power_off(g);
}

static void print_nothing(struct guest *g)
{
	early(g, 0x400000, "");
}

static void page_flag(struct guest *g)
{
	(void)boot_checks(g);
	drive_flag(g, print_nothing);
	power_off(g);
}

static void page_crash(struct guest *g)
{
	(void)boot_checks(g);
	crash(g, "bad page table entry");
}

/* The host kernel's message about a failure of its own. */
static void page_nopage(struct guest *g)
{
	(void)boot_checks(g);
	crash(g, "failed to get page 4711");
}

/* The same text from the guest gets a prefix that shows where it comes from. */
static void page_claim(struct guest *g)
{
	(void)boot_checks(g);
	crash(g, "CRASH: failed to get page 4711");
}

static void page_early(struct guest *g)
{
	(void)boot_checks(g);
	crash(g, "Bad address 0xbffffff8");
}

static void page_panic(struct guest *g)
{
	early(g, 0x400000, "no newline before the end");
	crash(g, "CRASH: Attempted to kill init!");
}

static void page_reboot(struct guest *g)
{
	static unsigned starts;
	char line[16] = "start 0\n";

	(void)boot_checks(g);
	CHECK(peekn(g, 0x500000, 8) == 0, "memory is fresh");
	poken(g, 0x500000, 8, 0x1234);
	line[6] = (char)('0' + starts);
	early(g, 0x400000, line);
	if (starts++ < 2)
		reboot(g);
	power_off(g);
}

static void page_run(struct guest *g)
{
	struct found *f;

	scan(g, peekn(g, 0x2d8, 8));
	f = find(3, 0);
	CHECK(f->nvq == DEVICE_RINGS && peekn(g, f->config + 4, 4) == 5, "five ports, %u queues", f->nvq);
	start(g, f);
	drive_run(f->ring, 0x400000);
	power_off(g);
}

extern void pci_boot(struct guest *g), pci_hostile(struct guest *g), pci_traps(struct guest *g),
	pci_queues(struct guest *g), pci_lone(struct guest *g), pci_flag(struct guest *g), pci_report(struct guest *g),
	pci_run(struct guest *g);

const struct script scripts[] = {
	{ "page-boot", false, page_boot },
	{ "page-plain-net", false, page_plain_net },
	{ "page-hostile", false, page_hostile },
	{ "page-crash", false, page_crash },
	{ "page-panic", false, page_panic },
	{ "page-reboot", false, page_reboot },
	{ "pci-boot", true, pci_boot },
	{ "pci-traps", true, pci_traps },
	{ "pci-hostile", true, pci_hostile },
	{ "page-queues", false, page_queues },
	{ "pci-queues", true, pci_queues },
	{ "page-lone", false, page_lone },
	{ "pci-lone", true, pci_lone },
	{ "page-flag", false, page_flag },
	{ "pci-flag", true, pci_flag },
	{ "page-nopage", false, page_nopage },
	{ "page-claim", false, page_claim },
	{ "page-early", false, page_early },
	{ "pci-report", true, pci_report },
	{ "page-run", false, page_run },
	{ "pci-run", true, pci_run },
	{ "old-boot", false, page_boot },
	{ NULL, false, NULL },
};
