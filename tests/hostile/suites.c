/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The hostile cases that unit tests hold, run here as rows of the same table:
 * what a taken helper answers the vCPU process, kernel files, registers, and each
 * system call's number under each filter.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "hostile.h"

/* All of its tests must pass; those that it skips are none. */
static void suite(const void *arg)
{
	char command[700], line[400];
	unsigned good = 0, bad = 0;
	FILE *f;

	snprintf(command, sizeof(command), "CMOCKA_MESSAGE_OUTPUT=TAP timeout 120 %s/../unit/%s 2>&1", self_dir,
		 (const char *)arg);
	f = popen(command, "r");
	need(f != NULL);
	while (fgets(line, sizeof(line), f)) {
		bad += strncmp(line, "not ok", 6) == 0;
		good += strncmp(line, "ok ", 3) == 0 && !strcasestr(line, "# skip");
	}
	need(pclose(f) == 0 && !bad && good);
	counted("held");
}

void suites_group(void)
{
	static const struct {
		const char *name, *program;
	} suites[] = {
		{ "bad answers of a taken helper to the vCPU process", "vcpu_front" },
		{ "each system call's number under each role's filter", "policy_compile" },
		{ "bzImage, gzip, initrd", "vcpu_load_bzimage" },
		{ "ELF", "vcpu_load_elf" },
		{ "registers at every width, while devices run", "vcpu_registers" },
		{ "the PCI bus, BARs on top of each other", "vcpu_pci" },
		{ "virtio-pci, MSI-X entries out of range", "vcpu_virtio_pci" },
		{ "the NIC's control queue", "vcpu_dev_net" },
	};

	if (sanitized)
		return;
	group("held by unit tests");
	for (unsigned i = 0; i < ARRAY_SIZE(suites); i++)
		play(suites[i].name, "held", suite, suites[i].program);
}
