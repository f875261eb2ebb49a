/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The information that a Multiboot kernel gets at its entry: memory map, command line,
 * module, ELF section headers (clause 3.3 of version 1, clause 3.6 of version 2). Runs in the
 * vCPU process, confined, before the guest runs.
 */
#include <string.h>

#include "vcpu/load/multiboot.h"
#include "vcpu/load/multiboot_info.h"
#include "vcpu/load/src.h"

#define LOADER_NAME "lguest-sep"
#define MODULE_NAME "initrd"

/* Flags of version 1's information: which fields are valid. */
#define INFO_MEMORY   (1u << 0)
#define INFO_CMDLINE  (1u << 2)
#define INFO_MODULES  (1u << 3)
#define INFO_SECTIONS (1u << 5)
#define INFO_MAP      (1u << 6)
#define INFO_NAME     (1u << 9)

struct info1 {
	uint32_t flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr;
	uint32_t num, size, addr, shndx; /* ELF section headers */
	uint32_t mmap_length, mmap_addr, drives_length, drives_addr, config_table, loader_name, apm_table;
	uint32_t video[11]; /* VBE and framebuffer: none */
};
struct module1 {
	uint32_t start, end, string, reserved;
};
struct map1 {
	uint32_t size; /* Bytes that follow */
	uint64_t addr, len;
	uint32_t type;
} __attribute__((packed));

/* Version 1's information, at LOAD_MULTIBOOT. */
struct page1 {
	struct info1 info;
	struct module1 module;
	struct map1 map[MAP_MAX];
	char name[sizeof(LOADER_NAME)];
	char module_name[sizeof(MODULE_NAME)];
	_Alignas(8) uint8_t sections[MULTIBOOT_SECTIONS_MAX * MULTIBOOT_SECTION_BYTES];
};
_Static_assert(sizeof(struct info1) == 116, "the size by clause 3.3");
_Static_assert(sizeof(struct page1) <= LOAD_MULTIBOOT_MAX, "place for version 1's information");

/* KiB of memory from 0 on, and from 1 MiB on up to the first hole. */
static uint32_t kib_lower(const struct map_entry *map)
{
	return (uint32_t)(map[0].size / 1024);
}

static uint32_t kib_upper(const struct load_state *st)
{
	return (uint32_t)((st->rq->ram_low - LOAD_KERNEL_MIN) / 1024);
}

static int put1(struct load_state *st, const struct map_entry *map, unsigned n, uint64_t cmdline)
{
	static struct page1 p;
	const struct multiboot_sections *s = &st->sections;
	const uint32_t base = LOAD_MULTIBOOT;

	memset(&p, 0, sizeof(p));
	p.info = (struct info1){
		.flags = INFO_MEMORY | INFO_CMDLINE | INFO_MODULES | INFO_MAP | INFO_NAME,
		.mem_lower = kib_lower(map),
		.mem_upper = kib_upper(st),
		.cmdline = (uint32_t)cmdline,
		.mods_addr = base + offsetof(struct page1, module),
		.mmap_length = n * (uint32_t)sizeof(struct map1),
		.mmap_addr = base + offsetof(struct page1, map),
		.loader_name = base + offsetof(struct page1, name),
	};
	memcpy(p.name, LOADER_NAME, sizeof(p.name));
	memcpy(p.module_name, MODULE_NAME, sizeof(p.module_name));
	for (unsigned i = 0; i < n; i++)
		p.map[i] = (struct map1){ sizeof(struct map1) - 4, map[i].addr, map[i].size, map[i].type };
	if (st->out->initrd_size) {
		p.info.mods_count = 1;
		p.module.start = (uint32_t)st->out->initrd;
		p.module.end = (uint32_t)(st->out->initrd + st->out->initrd_size);
		p.module.string = base + offsetof(struct page1, module_name);
	}
	if (s->count) {
		p.info.flags |= INFO_SECTIONS;
		p.info.num = s->count;
		p.info.size = s->size;
		p.info.addr = base + offsetof(struct page1, sections);
		p.info.shndx = s->names;
		memcpy(p.sections, s->table, (size_t)s->count * s->size);
	}
	return load_put(st, LOAD_MULTIBOOT, &p, sizeof(p));
}

/* Version 2's information while it is written: a list of tags. */
static struct {
	_Alignas(8) uint8_t buf[LOAD_MULTIBOOT_MAX];
	size_t len;
} info2;

static void add(const void *p, size_t len)
{
	memcpy(info2.buf + info2.len, p, len);
	info2.len += len;
}

static void add32(uint32_t v)
{
	add(&v, sizeof(v));
}

/* Begin a tag with @len bytes after its type and size. Tags begin at multiples of 8. */
static void begin(uint32_t type, size_t len)
{
	info2.len = (info2.len + 7) & ~(size_t)7;
	add32(type);
	add32((uint32_t)(8 + len));
}

static void add_string(uint32_t type, const char *s, size_t len)
{
	begin(type, len + 1);
	add(s, len); /* The buffer is zero: the NUL is there already */
	info2.len++;
}

static void add_module(const struct load_result *out)
{
	begin(MULTIBOOT_TAG_MODULE, 8 + sizeof(MODULE_NAME));
	add32((uint32_t)out->initrd);
	add32((uint32_t)(out->initrd + out->initrd_size));
	add(MODULE_NAME, sizeof(MODULE_NAME));
}

static void add_map(const struct map_entry *map, unsigned n)
{
	begin(MULTIBOOT_TAG_MAP, 8 + n * 24u);
	add32(24); /* Bytes of an entry */
	add32(0);  /* Version of an entry */
	for (unsigned i = 0; i < n; i++) {
		add(&map[i].addr, 8);
		add(&map[i].size, 8);
		add32(map[i].type);
		add32(0);
	}
}

static void add_sections(const struct multiboot_sections *s)
{
	begin(MULTIBOOT_TAG_SECTIONS, 12 + (size_t)s->count * s->size);
	add32(s->count);
	add32(s->size);
	add32(s->names);
	add(s->table, (size_t)s->count * s->size);
}

/* The RSDP of ACPI 2.0 has 36 bytes. */
#define RSDP_BYTES 36u

static int put2(struct load_state *st, const struct map_entry *map, unsigned n)
{
	const struct load_result *out = st->out;
	const void *rsdp = st->rq->acpi_rsdp ? shm_ptr(st->mem, st->rq->acpi_rsdp, RSDP_BYTES) : NULL;
	uint32_t total;

	memset(&info2, 0, sizeof(info2));
	info2.len = 8; /* The total size, and a reserved word */
	add_string(MULTIBOOT_TAG_CMDLINE, st->rq->cmdline, strnlen(st->rq->cmdline, CMDLINE_MAX - 1));
	add_string(MULTIBOOT_TAG_NAME, LOADER_NAME, strlen(LOADER_NAME));
	if (out->initrd_size)
		add_module(out);
	begin(MULTIBOOT_TAG_MEMORY, 8);
	add32(kib_lower(map));
	add32(kib_upper(st));
	add_map(map, n);
	if (st->sections.count)
		add_sections(&st->sections);
	if (rsdp) {
		begin(MULTIBOOT_TAG_ACPI_NEW, RSDP_BYTES);
		add(rsdp, RSDP_BYTES);
	}
	if (st->mb.wants_base) {
		begin(MULTIBOOT_TAG_LOAD_BASE, 4);
		add32((uint32_t)out->kernel_start);
	}
	begin(0, 0); /* The end tag */
	total = (uint32_t)info2.len;
	memcpy(info2.buf, &total, sizeof(total));
	return load_put(st, LOAD_MULTIBOOT, info2.buf, info2.len);
}

/* Bytes of all tags but those of the command line and of the sections. */
#define OTHER_TAGS 512u
_Static_assert(CMDLINE_MAX + 8 + 24 + MULTIBOOT_SECTIONS_MAX * MULTIBOOT_SECTION_BYTES + MAP_MAX * 24u + OTHER_TAGS <=
		       LOAD_MULTIBOOT_MAX,
	       "place for version 2's information");

int multiboot_put_info(struct load_state *st, const struct map_entry *map, unsigned n, uint64_t cmdline)
{
	st->out->boot_params = LOAD_MULTIBOOT;
	return st->mb.version == 1 ? put1(st, map, n, cmdline) : put2(st, map, n);
}
