/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hostile cases that unit tests contain, run as rows of the same table: answers of a
 * compromised helper to the vCPU process, kernel files, registers, and each system call
 * number under each filter.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "tests/hostile/hostile.h"

/* Run one suite. All of its tests must pass, and skipped tests do not count. */
static void suite(const void *arg)
{
	char command[700], line[400];
	unsigned good = 0, bad = 0;
	FILE *f;

	snprintf(command, sizeof(command), "CMOCKA_MESSAGE_OUTPUT=TAP timeout 1200 %s/../unit/%s 2>&1", self_dir,
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
		bool root; /* it needs a network namespace of its own */
	} suites[] = {
		{ "bad answers of a taken helper to the vCPU process", "vcpu_front", false },
		{ "each system call's number under each role's filter", "policy_compile", false },
		{ "bzImage, gzip, initrd", "vcpu_load_bzimage", false },
		{ "ELF", "vcpu_load_elf", false },
		{ "Multiboot 1", "vcpu_load_multiboot", false },
		{ "Multiboot 2", "vcpu_load_multiboot2", false },
		{ "registers at every width, while devices run", "vcpu_registers", false },
		{ "the PCI bus, BARs on top of each other", "vcpu_pci", false },
		{ "the device of --shmem, moved everywhere", "vcpu_shmem", false },
		{ "virtio-pci, MSI-X entries out of range", "vcpu_virtio_pci", false },
		{ "the NIC's control queue", "vcpu_dev_net", false },
		{ "a guest's frames in a capture file", "netd_capture", false },
		{ "frames sent many at once: faults, drops, a full tap; what a taken netd asks of its io_uring",
		  "netd_batch", false },
		{ "what a guest may send to passt (--net=user)", "netd_user", false },
		{ "a taken passt: lengths, halves, floods, silence", "netd_stream", false },
		{ "a shared directory: names, numbers, handles, full tables, renames on the host", "fsd_hostile",
		  false },
		{ "tables that a taken fsd leaves for the one after it", "fsd_restore", false },
		{ "the same at a checkpoint", "fsd_past_hostile", false },
		{ "files and handles of a share in a hostile file of --from", "fsd_saved_hostile", false },
		{ "changes of a disk in a hostile file of --from", "blkd_saved", false },
		{ "a taken QEMU as the client of NBD", "blkd_nbd", false },
		{ "a share that the guest may write to: names, bits, devices, links in place of files, limits",
		  "fsd_write_hostile", false },
		{ "connections to controld: silent, half, false, another user's", "controld_serve", false },
		{ "what a taken controld, or another role in its place, asks the supervisor for", "parent_control",
		  false },
		{ "pause: lies of QEMU and of a late spawner, a helper that does not stop", "parent_hold", false },
		{ "nmi, sysrq: keys, lies of QEMU", "parent_steer", false },
		{ "--reset=fresh: what a taken blkd leaves in a snapshot", "blkd_lower", false },
		{ "--reset=fresh: tables of a taken fsd at the checkpoint", "fsd_begin", false },
		{ "--reset=fresh: what a taken helper leaves in its connection", "vcpu_front_renew", false },
		{ "--reset=fresh: helpers that do not end, a vCPU process that asks out of turn", "parent_renew",
		  false },
		{ "a taken netd's frames to the host, by every address and in every wrapping", "parent_rules", true },
		{ "the same on a bridge; what outlives a killed process", "parent_rules_settings", true },
	};

	if (sanitized)
		return;
	group("held by unit tests");
	for (unsigned i = 0; i < ARRAY_SIZE(suites); i++)
		if (!suites[i].root || geteuid() == 0)
			play(suites[i].name, "held", suite, suites[i].program);
}
