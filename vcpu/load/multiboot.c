/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The headers of Multiboot kernels: see multiboot.h. */
#include <string.h>

#include "vcpu/load/multiboot.h"
#include "vcpu/load/src.h"

#define HEADER1_MAGIC 0x1badb002u
#define HEADER2_MAGIC 0xe85250d6u

/* Version 1: flags of the header. A loader must refuse a kernel with a flag of the lower half that it does not know. */
#define FLAG_ALIGN    (1u << 0)
#define FLAG_MEMORY   (1u << 1)
#define FLAG_VIDEO    (1u << 2)
#define FLAG_ADDRESS  (1u << 16)
#define REQUIRED_MASK 0xffffu

#define HEADER1_MIN	12u
#define HEADER1_ADDRESS 32u /* Bytes of a header with addresses */
#define HEADER2_MIN	16u

/* Version 2: types of the header's tags. */
enum {
	TAG_END = 0,
	TAG_REQUEST = 1,
	TAG_ADDRESS = 2,
	TAG_ENTRY = 3,
	TAG_CONSOLE = 4,
	TAG_FRAMEBUFFER = 5,
	TAG_MODULE_ALIGN = 6,
	TAG_EFI_BOOT_SERVICES = 7,
	TAG_EFI_ENTRY_32 = 8,
	TAG_EFI_ENTRY_64 = 9,
	TAG_RELOCATABLE = 10,
};
#define TAG_OPTIONAL	 1u
#define CONSOLE_REQUIRED 1u

static uint16_t le16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t le32(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* Clause 3.1.1 of both: the words of the header add up to 0. */
static bool find1(const uint8_t *p, size_t len, struct multiboot *m)
{
	for (uint32_t at = 0; range_ok(at, HEADER1_MIN, MIN(len, MULTIBOOT1_SEARCH)); at += 4) {
		uint32_t magic = le32(p + at), flags = le32(p + at + 4);

		if (magic != HEADER1_MAGIC || magic + flags + le32(p + at + 8) != 0)
			continue;
		*m = (struct multiboot){ .version = 1, .at = at };
		return true;
	}
	return false;
}

static bool find2(const uint8_t *p, size_t len, struct multiboot *m)
{
	for (uint32_t at = 0; range_ok(at, HEADER2_MIN, MIN(len, MULTIBOOT2_SEARCH)); at += 8) {
		uint32_t magic = le32(p + at);

		if (magic != HEADER2_MAGIC || magic + le32(p + at + 4) + le32(p + at + 8) + le32(p + at + 12) != 0)
			continue;
		*m = (struct multiboot){ .version = 2, .at = at };
		return true;
	}
	return false;
}

unsigned multiboot_find(const uint8_t *p, size_t len, struct multiboot *m)
{
	*m = (struct multiboot){ .version = 0 };
	if (!find1(p, len, m))
		find2(p, len, m);
	return m->version;
}

static int damaged(const struct multiboot *m, struct load_result *out, const char *why)
{
	return load_fail(out, "the kernel's Multiboot %u header (byte %u of the file) is invalid: %s", m->version,
			 m->at, why);
}

/* Refuse a kernel that requires @what. */
static int lacks(const struct multiboot *m, struct load_result *out, const char *what)
{
	return load_fail(out, "the Multiboot %u kernel requires %s, which guests do not have%s", m->version, what,
			 m->version == 2 ? "; mark that tag as optional" : "; clear that flag in its header");
}

static int parse1(const uint8_t *p, size_t len, struct multiboot *m, struct load_result *out)
{
	uint32_t flags = le32(p + m->at + 4);

	if (flags & FLAG_VIDEO)
		return lacks(m, out, "a video mode (flag 2)");
	if (flags & REQUIRED_MASK & ~(FLAG_ALIGN | FLAG_MEMORY))
		return load_fail(out, "the Multiboot 1 kernel requires the flags 0x%x, which are not known",
				 flags & REQUIRED_MASK & ~(FLAG_ALIGN | FLAG_MEMORY));
	if (!(flags & FLAG_ADDRESS))
		return 0;
	if (!range_ok(m->at, HEADER1_ADDRESS, MIN(len, MULTIBOOT1_SEARCH)))
		return damaged(m, out, "its addresses (flag 16) are past the first 8192 bytes or the end of the file");
	m->has_address = m->has_entry = true;
	m->header_addr = le32(p + m->at + 12);
	m->load_addr = le32(p + m->at + 16);
	m->load_end = le32(p + m->at + 20);
	m->bss_end = le32(p + m->at + 24);
	m->entry = le32(p + m->at + 28);
	return 0;
}

/* The name of an information tag that guests do not have; NULL: none is known. */
static const char *absent(uint32_t type)
{
	static const char *const names[] = {
		[5] = "the BIOS boot device (information tag 5)",
		[7] = "VBE information (information tag 7)",
		[8] = "a framebuffer (information tag 8)",
		[10] = "the APM table (information tag 10)",
		[11] = "the 32-bit EFI system table (information tag 11)",
		[12] = "the 64-bit EFI system table (information tag 12)",
		[13] = "SMBIOS tables (information tag 13)",
		[14] = "the ACPI 1.0 RSDP (information tag 14; tag 15 is there)",
		[16] = "network information (information tag 16)",
		[17] = "the EFI memory map (information tag 17)",
		[18] = "EFI boot services (information tag 18)",
		[19] = "the 32-bit EFI image handle (information tag 19)",
		[20] = "the 64-bit EFI image handle (information tag 20)",
	};

	return type < ARRAY_SIZE(names) ? names[type] : NULL;
}

/* Clause 3.1.5: an information request. */
static int parse_request(const uint8_t *p, uint32_t size, bool optional, struct multiboot *m, struct load_result *out)
{
	if (size % 4)
		return damaged(m, out, "the size of its information request (tag 1) is no multiple of 4");
	for (uint32_t i = 8; i < size; i += 4) {
		uint32_t type = le32(p + i);

		switch (type) {
		case MULTIBOOT_TAG_SECTIONS:
			m->needs_sections |= !optional;
			break;
		case MULTIBOOT_TAG_LOAD_BASE:
			m->wants_base = true;
			break;
		case 0: /* The end tag, which is always there */
		case MULTIBOOT_TAG_CMDLINE:
		case MULTIBOOT_TAG_NAME:
		case MULTIBOOT_TAG_MODULE:
		case MULTIBOOT_TAG_MEMORY:
		case MULTIBOOT_TAG_MAP:
		case MULTIBOOT_TAG_ACPI_NEW:
			break;
		default:
			if (optional)
				break;
			if (absent(type))
				return lacks(m, out, absent(type));
			return load_fail(out, "the Multiboot 2 kernel requires information tag %u, which is not known",
					 type);
		}
	}
	return 0;
}

/* Bytes that a tag must have at least. */
static uint32_t tag_bytes(uint16_t type)
{
	switch (type) {
	case TAG_ADDRESS:
	case TAG_RELOCATABLE:
		return 24;
	case TAG_ENTRY:
	case TAG_CONSOLE:
		return 12;
	default:
		return 8;
	}
}

static int parse_tag(const uint8_t *p, uint32_t size, struct multiboot *m, struct load_result *out)
{
	uint16_t type = le16(p);
	bool optional = le16(p + 2) & TAG_OPTIONAL;

	if (size < tag_bytes(type))
		return damaged(m, out, "a tag is too short");
	switch (type) {
	case TAG_REQUEST:
		return parse_request(p, size, optional, m, out);
	case TAG_ADDRESS:
		m->has_address = true;
		m->header_addr = le32(p + 8);
		m->load_addr = le32(p + 12);
		m->load_end = le32(p + 16);
		m->bss_end = le32(p + 20);
		return 0;
	case TAG_ENTRY:
		m->has_entry = true;
		m->entry = le32(p + 8);
		return 0;
	case TAG_RELOCATABLE:
		m->has_range = m->wants_base = true;
		m->low = le32(p + 8);
		m->high = le32(p + 12);
		m->align = le32(p + 16);
		return 0;
	case TAG_CONSOLE:
		if (!optional && le32(p + 8) & CONSOLE_REQUIRED)
			return lacks(m, out, "a console of the firmware (header tag 4)");
		return 0;
	case TAG_FRAMEBUFFER:
		return optional ? 0 : lacks(m, out, "a framebuffer (header tag 5)");
	case TAG_MODULE_ALIGN: /* Modules are always aligned */
	case TAG_EFI_BOOT_SERVICES:
	case TAG_EFI_ENTRY_32: /* These three count on EFI machines only */
	case TAG_EFI_ENTRY_64:
		return 0;
	default:
		return optional ? 0
				: load_fail(out, "the Multiboot 2 kernel requires header tag %u, which is not known",
					    type);
	}
}

static int parse2(const uint8_t *p, size_t len, struct multiboot *m, struct load_result *out)
{
	uint32_t length = le32(p + m->at + 8), end, at;

	if (le32(p + m->at + 4) != 0)
		return load_fail(out, "the Multiboot 2 kernel is for another architecture (%u; 0 is x86)",
				 le32(p + m->at + 4));
	if (length < HEADER2_MIN || !range_ok(m->at, length, MIN(len, MULTIBOOT2_SEARCH)))
		return damaged(m, out, "its length leaves the first 32768 bytes or the file");
	end = m->at + length;
	for (at = m->at + HEADER2_MIN; range_ok(at, 8, end);) {
		uint32_t size = le32(p + at + 4);

		if (size < 8 || size > end - at)
			return damaged(m, out, "the size of a tag is below 8 or leaves the header");
		if (le16(p + at) == TAG_END)
			return m->has_address && !m->has_entry
				       ? damaged(m, out, "it has addresses (tag 2), but no entry address (tag 3)")
				       : 0;
		if (parse_tag(p + at, size, m, out) < 0)
			return -1;
		/* Tags begin at multiples of 8; @at stays below 64 KiB. */
		at += (size + 7) & ~7u;
	}
	return damaged(m, out, "it has no end tag");
}

int multiboot_parse(const uint8_t *p, size_t len, struct multiboot *m, struct load_result *out)
{
	return m->version == 1 ? parse1(p, len, m, out) : parse2(p, len, m, out);
}

int multiboot_flat(const struct multiboot *m, struct multiboot_flat *f, struct load_result *out)
{
	uint32_t load = m->load_addr;

	/* Version 2: -1 means that the file is loaded from its beginning. */
	if (m->version == 2 && load == UINT32_MAX) {
		if (m->header_addr < m->at)
			return damaged(m, out, "header_addr is lower than the header's place in the file");
		load = m->header_addr - m->at;
	}
	if (load > m->header_addr || m->header_addr - load > m->at)
		return damaged(m, out, "load_addr is not an address of the file before the header");
	*f = (struct multiboot_flat){ .off = m->at - (m->header_addr - load), .addr = load };
	if (m->load_end) {
		if (m->load_end <= load)
			return damaged(m, out, "load_end_addr is not above load_addr");
		f->size = m->load_end - load;
	}
	if (m->bss_end) {
		if (m->bss_end <= load || m->bss_end - load < f->size)
			return damaged(m, out, "bss_end_addr is below load_addr or load_end_addr");
		f->memsz = m->bss_end - load;
	}
	return 0;
}
