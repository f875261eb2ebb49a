/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The firmware file of --firmware=. Runs in the parent, inside the privileged window. Nothing here reads the file: the
 * vCPU process copies it (vcpu/qemu/kernel.c).
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "parent/options/machine.h"
#include "parent/options/util.h"
#include "parent/setup/files.h"
#include "parent/setup/firmware.h"

#define X86_FIRMWARE_UNIT 65536u

/* Returns 0, or -1 after logging why no firmware of the guest's machine has @size bytes. */
static int check_size(const struct config *c, const char *path, uint64_t size)
{
	if (size > FIRMWARE_MAX)
		return complain(-1, "--firmware=%s: it is larger than 64 MiB, which no firmware is", path);
	/* QEMU's hw/i386/x86.c, x86_bios_rom_init() */
	if (size % X86_FIRMWARE_UNIT && machine_get(c->machine)->family == FAMILY_X86)
		return complain(-1,
				"--firmware=%s: the firmware of an x86 machine is a multiple of 64 KiB long, and this "
				"file has %llu bytes",
				path, (unsigned long long)size);
	return 0;
}

int firmware_open(struct host *h)
{
	const char *path = h->c->firmware_path;
	int fd;
	struct stat st;

	if (h->c->firmware != FIRMWARE_FILE && access(path, F_OK) < 0 && errno == ENOENT) {
		const struct machine *m = machine_get(h->c->machine);
		const struct firmware_file *f = h->c->firmware == FIRMWARE_OVMF ? &m->uefi : &m->uboot;

		return complain(-1, "--firmware=%s: %s: %m; install it (Debian: apt install %s)",
				h->c->firmware == FIRMWARE_OVMF ? "ovmf" : "u-boot", path, f->package);
	}
	if (!strchr(path, '/') && access(path, F_OK) < 0 && errno == ENOENT)
		return complain(-1, "--firmware=%s: there is no such file; choose %s, or give a file", path,
				FIRMWARE_NAMES);
	fd = open_boot_file(path, "--firmware=");
	if (fd < 0)
		return -1;
	if (fstat(fd, &st) < 0) {
		close(fd);
		return complain(-1, "--firmware=%s: %m", path);
	}
	if (check_size(h->c, path, (uint64_t)st.st_size) < 0) {
		close(fd);
		return -1;
	}
	h->firmware = fd;
	return 0;
}
