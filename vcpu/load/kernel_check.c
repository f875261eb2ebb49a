/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Finds out what kind of file the user has given as a kernel: see kernel_check.h. Runs in
 * the vCPU process. The bytes are untrusted, so nothing is read beyond their end.
 */
#include <elf.h>
#include <string.h>
#include <unistd.h>

#include "common/util.h"
#include "vcpu/load/kernel_check.h"

static const struct magic {
	uint16_t off;
	uint8_t len;
	const char *bytes;
	const char *what;
} magics[] = {
	{ 0, 6,
	  "\xfd"
	  "7zXZ",
	  "an xz file; unpack it first: xz -dc FILE > KERNEL" },
	{ 0, 4, "\x28\xb5\x2f\xfd", "a zstd file; unpack it first: zstd -dc FILE > KERNEL" },
	{ 0, 3, "BZh", "a bzip2 file; unpack it first: bzip2 -dc FILE > KERNEL" },
	/* The frame format, and the legacy format in which kernels are compressed (lz4 -l). */
	{ 0, 4, "\x04\x22\x4d\x18", "an lz4 file; unpack it first: lz4 -dc FILE > KERNEL" },
	{ 0, 4, "\x02\x21\x4c\x18", "an lz4 file; unpack it first: lz4 -dc FILE > KERNEL" },
	{ 0, 9, "\x89LZO\0\r\n\x1a\n", "an lzop file; unpack it first: lzop -dc FILE > KERNEL" },
	/* The properties byte that every encoder writes, then the low bytes of the dictionary size. */
	{ 0, 3, "\x5d\0\0", "an lzma file; unpack it first: xz --format=lzma -dc FILE > KERNEL" },
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
	/* Syssize is in units of 16 bytes; the last unit may be incomplete. */
	if (version >= 0x0204 && le32(p + 0x1f4))
		n.file = (sects + 1) * 512 + ((uint64_t)le32(p + 0x1f4) - 1) * 16 + 1;
	init = le32(p + 0x260);
	if (version < 0x020a || !init)
		return n;
	align = le32(p + 0x230);
	base = 1 << 20; /* Address at which it is loaded */
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
		uint32_t n[4]; /* Size of name, size of contents, type, first four bytes of the name */

		if (off > INT64_MAX - at || !read_at(fd, n, sizeof(n), off + at))
			return false;
		if (n[0] == 4 && n[2] == NOTE_PHYS32_ENTRY && memcmp(&n[3], "Xen", 4) == 0)
			return true;
		at += 12 + (((uint64_t)n[0] + 3) & ~UINT64_C(3)) + (((uint64_t)n[1] + 3) & ~UINT64_C(3));
	}
	return false;
}

/* Read program header @i, of a 32-bit or a 64-bit file, into the 64-bit form. */
static bool read_phdr(int fd, const Elf64_Ehdr *e64, const Elf32_Ehdr *e32, unsigned i, Elf64_Phdr *p)
{
	Elf32_Phdr p32;

	if (e64->e_ident[EI_CLASS] == ELFCLASS64)
		return read_at(fd, p, sizeof(*p), e64->e_phoff + i * sizeof(*p));
	if (!read_at(fd, &p32, sizeof(p32), (uint64_t)e32->e_phoff + i * sizeof(p32)))
		return false;
	*p = (Elf64_Phdr){
		.p_type = p32.p_type,
		.p_offset = p32.p_offset,
		.p_filesz = p32.p_filesz,
		.p_memsz = p32.p_memsz,
		.p_paddr = p32.p_paddr,
	};
	return true;
}

struct kernel_elf kernel_elf(int fd)
{
	struct kernel_elf k = { 0 };
	union {
		Elf32_Ehdr e32;
		Elf64_Ehdr e64;
	} e;
	unsigned count;

	if (!read_at(fd, &e, sizeof(e), 0))
		return k;
	count = e.e64.e_ident[EI_CLASS] == ELFCLASS64 ? e.e64.e_phnum : e.e32.e_phnum;
	for (unsigned i = 0; i < MIN(count, MAX_SEGMENTS); i++) {
		Elf64_Phdr p;

		if (!read_phdr(fd, &e.e64, &e.e32, i, &p))
			break;
		if (p.p_type == PT_NOTE && !k.pvh)
			k.pvh = notes_have_pvh(fd, p.p_offset, p.p_filesz);
		if (p.p_type != PT_LOAD || !p.p_memsz)
			continue;
		if (p.p_filesz)
			k.file = MAX(k.file,
				     p.p_offset <= UINT64_MAX - p.p_filesz ? p.p_offset + p.p_filesz : UINT64_MAX);
		k.low = k.memory ? MIN(k.low, p.p_paddr) : p.p_paddr;
		k.memory = MAX(k.memory, p.p_paddr <= UINT64_MAX - p.p_memsz ? p.p_paddr + p.p_memsz : UINT64_MAX);
	}
	return k;
}
