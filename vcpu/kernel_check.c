/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a file that is given as a kernel really is, told from its first bytes, so
 * that the refusal can say it. Runs in the vCPU process. It must never read
 * past the bytes it was given: they are attacker-made.
 */
#include "kernel_check.h"

#include <elf.h>
#include <string.h>
#include <unistd.h>

#include "common/util.h"

static const struct magic {
	uint16_t off;
	uint8_t len;
	const char *bytes;
	const char *what;
} magics[] = {
	{ 0, 6,
	  "\xfd"
	  "7zXZ",
	  "an xz file" },
	{ 0, 4, "\x28\xb5\x2f\xfd", "a zstd file" },
	{ 0, 3, "BZh", "a bzip2 file" },
	{ 0, 4,
	  "\x89"
	  "PNG",
	  "a PNG picture" },
	{ 0, 3, "\xff\xd8\xff", "a JPEG picture" },
	{ 0, 4, "%PDF", "a PDF document" },
	{ 0, 4, "PK\x03\x04", "a zip archive" },
	{ 0, 5, "07070", "a cpio archive (an initrd?)" },
	{ 0, 8, "!<arch>\n", "an ar archive (a Debian package?)" },
	{ 0, 4, "QFI\xfb", "a qcow2 disk image" },
	{ 0, 4, "hsqs", "a squashfs image" },
	{ 257, 5, "ustar", "a tar archive" },
	{ 0, 2, "#!", "a script" },
	/* Documentation/arch/arm64/booting.rst, arch/riscv/boot-image-header.rst; arm's zImage, U-Boot's uImage */
	{ 0x38, 4, "ARM\x64", "a kernel for another machine (arm64)" },
	{ 0x30, 5, "RISCV", "a kernel for another machine (RISC-V)" },
	{ 0x24, 4, "\x18\x28\x6f\x01", "a kernel for another machine (arm)" },
	{ 0, 4, "\x27\x05\x19\x56", "a uImage (for U-Boot)" },
	{ 0, 8, "MZ\0\0zimg", "a compressed EFI kernel, for another machine" },
	{ 0, 2, "MZ", "an EFI or Windows program" },
	{ 0x1fe, 2, "\x55\xaa", "a disk image (boot sector)" },
};

static uint32_t le32(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint16_t le16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

/* Documentation/arch/x86/boot.rst: "HdrS" at 0x202, protocol version at 0x206, loadflags at 0x211. */
static bool is_bzimage(const uint8_t *p, size_t len, const char **what)
{
	if (len < 0x260 || le16(p + 0x1fe) != 0xaa55 || le32(p + 0x202) != 0x53726448)
		return false;
	*what = "a bzImage";
	if (le16(p + 0x206) < 0x0200 || !(p[0x211] & 1))
		*what = "a zImage (loaded low; a bzImage is wanted)";
	return true;
}

struct kernel_needs kernel_needs(const uint8_t *p, size_t len)
{
	struct kernel_needs n = { 0, 0 };
	unsigned version, sects;
	uint32_t align, init;
	uint64_t base;

	if (len < 0x264)
		return n;
	version = le16(p + 0x206);
	sects = p[0x1f1] ? p[0x1f1] : 4;
	/* syssize counts in units of 16 bytes, the last of which may be a part. */
	if (version >= 0x0204 && le32(p + 0x1f4))
		n.file = (sects + 1) * 512 + ((uint64_t)le32(p + 0x1f4) - 1) * 16 + 1;
	init = le32(p + 0x260);
	if (version < 0x020a || !init)
		return n;
	align = le32(p + 0x230);
	base = 1 << 20; /* where it is loaded */
	if (p[0x234] && is_power_of_two(align))
		base = (base + align - 1) & ~(uint64_t)(align - 1);
	base = MAX(base, le32(p + 0x258) | (uint64_t)le32(p + 0x25c) << 32);
	n.memory = base <= UINT64_MAX - init ? base + init : UINT64_MAX;
	return n;
}

static enum kernel_kind elf_kind(const uint8_t *p, size_t len, const char **what)
{
	uint16_t machine, type;

	if (len < sizeof(Elf32_Ehdr)) {
		*what = "an ELF file that is cut off";
		return KERNEL_NONE;
	}
	type = le16(p + offsetof(Elf64_Ehdr, e_type));
	machine = le16(p + offsetof(Elf64_Ehdr, e_machine));
	if (p[EI_DATA] != ELFDATA2LSB || (machine != EM_X86_64 && machine != EM_386)) {
		*what = "an ELF file for another machine";
		return KERNEL_NONE;
	}
	if (type != ET_EXEC && type != ET_DYN) {
		*what = type == ET_REL ? "an ELF object file" : "an ELF file that is no program";
		return KERNEL_NONE;
	}
	*what = "an ELF file";
	return KERNEL_ELF;
}

static bool is_text(const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (p[i] < 0x20 && !(p[i] >= 0x07 && p[i] <= 0x0d) && p[i] != 0x1b)
			return false;
		if (p[i] == 0x7f)
			return false;
	}
	return true;
}

enum kernel_kind kernel_kind(const uint8_t *p, size_t len, const char **what)
{
	if (len == 0) {
		*what = "an empty file";
		return KERNEL_NONE;
	}
	if (is_bzimage(p, len, what))
		return (*what)[2] == 'b' ? KERNEL_BZIMAGE : KERNEL_NONE;
	if (len >= SELFMAG && memcmp(p, ELFMAG, SELFMAG) == 0)
		return elf_kind(p, len, what);
	if (len >= 2 && p[0] == 0x1f && p[1] == 0x8b) {
		*what = "a gzip file";
		return KERNEL_GZIP;
	}
	for (size_t i = 0; i < ARRAY_SIZE(magics); i++) {
		const struct magic *m = &magics[i];

		if (range_ok(m->off, m->len, len) && memcmp(p + m->off, m->bytes, m->len) == 0) {
			*what = m->what;
			return KERNEL_NONE;
		}
	}
	*what = is_text(p, len) ? "a text file" : "data of no known kind";
	return KERNEL_NONE;
}

/* xen/interface/elfnote.h: XEN_ELFNOTE_PHYS32_ENTRY */
#define NOTE_PHYS32_ENTRY 18
#define MAX_SEGMENTS	  64
#define MAX_NOTES	  64

static bool read_at(int fd, void *buf, size_t len, uint64_t off)
{
	return off <= INT64_MAX && pread(fd, buf, len, (off_t)off) == (ssize_t)len;
}

static bool notes_have_pvh(int fd, uint64_t off, uint64_t size)
{
	uint64_t at = 0;

	for (unsigned i = 0; i < MAX_NOTES && range_ok(at, 16, size); i++) {
		uint32_t n[4]; /* name's size, content's size, type, first four bytes of the name */

		if (off > INT64_MAX - at || !read_at(fd, n, sizeof(n), off + at))
			return false;
		if (n[0] == 4 && n[2] == NOTE_PHYS32_ENTRY && memcmp(&n[3], "Xen", 4) == 0)
			return true;
		at += 12 + (((uint64_t)n[0] + 3) & ~UINT64_C(3)) + (((uint64_t)n[1] + 3) & ~UINT64_C(3));
	}
	return false;
}

bool kernel_has_pvh(int fd)
{
	union {
		Elf32_Ehdr e32;
		Elf64_Ehdr e64;
	} e;
	bool is64;
	unsigned count;

	if (!read_at(fd, &e, sizeof(e), 0))
		return false;
	is64 = e.e64.e_ident[EI_CLASS] == ELFCLASS64;
	count = is64 ? e.e64.e_phnum : e.e32.e_phnum;
	for (unsigned i = 0; i < MIN(count, MAX_SEGMENTS); i++) {
		Elf64_Phdr p64;
		Elf32_Phdr p32;

		if (is64) {
			if (!read_at(fd, &p64, sizeof(p64), e.e64.e_phoff + i * sizeof(p64)))
				return false;
			if (p64.p_type == PT_NOTE && notes_have_pvh(fd, p64.p_offset, p64.p_filesz))
				return true;
		} else {
			if (!read_at(fd, &p32, sizeof(p32), (uint64_t)e.e32.e_phoff + i * sizeof(p32)))
				return false;
			if (p32.p_type == PT_NOTE && notes_have_pvh(fd, p32.p_offset, p32.p_filesz))
				return true;
		}
	}
	return false;
}
