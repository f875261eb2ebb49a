/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Loads ELF kernels, 32-bit and 64-bit: Linux (vmlinux), with or without a PVH entry (a note
 * that Xen defines), and Multiboot kernels. Runs in the vCPU process, confined, before the guest runs. Headers are
 * checked on a local copy. A segment is read only after its whole range was found to be RAM.
 */
#include <elf.h>
#include <string.h>

#include "vcpu/load/elf.h"
#include "vcpu/load/load_private.h"
#include "vcpu/load/multiboot_load.h"
#include "vcpu/load/src.h"

#define MAX_PHDRS    64
#define MAX_NOTES    65536u
#define MAX_SEGMENTS 32

/* xen/interface/elfnote.h: XEN_ELFNOTE_PHYS32_ENTRY */
#define NOTE_PHYS32_ENTRY 18

struct segment {
	uint64_t off, filesz, paddr, memsz, vaddr;
};

struct elf {
	bool is64;
	uint64_t entry, phoff;
	struct elf_sections sections;
	unsigned phnum, nsegs, nnotes;
	struct segment seg[MAX_SEGMENTS]; /* Sorted by file offset */
	struct segment note[MAX_PHDRS];	  /* Sorted by file offset */
};

static uint8_t notes[MAX_NOTES];

static int read_header(struct load_state *st, struct elf *e)
{
	union {
		unsigned char ident[EI_NIDENT];
		Elf32_Ehdr h32;
		Elf64_Ehdr h64;
	} h;
	unsigned type, machine, phentsize;

	memset(&h, 0, sizeof(h));
	if (src_read(&st->src, 0, &h.h32, sizeof(h.h32)) < 0)
		return -1;
	if (h.ident[EI_DATA] != ELFDATA2LSB || h.ident[EI_VERSION] != EV_CURRENT ||
	    (h.ident[EI_CLASS] != ELFCLASS32 && h.ident[EI_CLASS] != ELFCLASS64))
		return load_fail(st->out, "the ELF kernel is neither 32-bit nor 64-bit little-endian");
	e->is64 = h.ident[EI_CLASS] == ELFCLASS64;
	if (e->is64 && src_read(&st->src, 0, &h.h64, sizeof(h.h64)) < 0)
		return -1;
	type = h.h32.e_type; /* At the same offset in both classes, like e_machine */
	machine = h.h32.e_machine;
	e->entry = e->is64 ? h.h64.e_entry : h.h32.e_entry;
	e->phoff = e->is64 ? h.h64.e_phoff : h.h32.e_phoff;
	e->sections = (struct elf_sections){
		.is64 = e->is64,
		.off = e->is64 ? h.h64.e_shoff : h.h32.e_shoff,
		.count = e->is64 ? h.h64.e_shnum : h.h32.e_shnum,
		.size = e->is64 ? h.h64.e_shentsize : h.h32.e_shentsize,
		.names = e->is64 ? h.h64.e_shstrndx : h.h32.e_shstrndx,
	};
	e->phnum = e->is64 ? h.h64.e_phnum : h.h32.e_phnum;
	phentsize = e->is64 ? h.h64.e_phentsize : h.h32.e_phentsize;
	if (machine != (e->is64 ? EM_X86_64 : EM_386))
		return load_fail(st->out, "the ELF kernel is for another machine (%u)", machine);
	if (type != ET_EXEC)
		return load_fail(st->out, "the ELF file is not an executable (type %u)", type);
	if (phentsize != (e->is64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr)))
		return load_fail(st->out, "the ELF kernel's program headers have an invalid size");
	if (e->phnum == 0 || e->phnum > MAX_PHDRS)
		return load_fail(st->out, "the ELF kernel has %u program headers (1 to %u are supported)", e->phnum,
				 MAX_PHDRS);
	return 0;
}

/*
 * Linkers put the ELF headers into a segment of their own, or into the first one, in the page
 * before the code. For a kernel that is linked to 1 MiB that page is below it. Nothing uses
 * the headers in memory, so leave that part out.
 */
static void leave_out_headers(struct segment *s)
{
	uint64_t part = LOAD_KERNEL_MIN - s->paddr;

	if (s->off != 0 || s->paddr >= LOAD_KERNEL_MIN || part > LOAD_PAGE || s->filesz > s->memsz)
		return;
	part = MIN(part, s->memsz);
	s->off = MIN(part, s->filesz);
	s->filesz -= s->off;
	s->paddr += part;
	s->vaddr += part;
	s->memsz -= part;
}

/* Check a PT_LOAD segment and add it. The list is sorted by file offset, because a gzip file is read once. */
static int add_segment(struct load_state *st, struct elf *e, const struct segment *s)
{
	unsigned i;

	if (s->memsz == 0)
		return 0;
	if (s->filesz > s->memsz)
		return load_fail(st->out, "an ELF segment is larger in the file than in memory");
	if (s->filesz > UINT64_MAX - s->off)
		return load_fail(st->out, "an ELF segment wraps around the file");
	if (!load_ram(st, s->paddr, s->memsz))
		return load_fail(
			st->out,
			"an ELF segment (0x%llx, %llu bytes) is outside memory, which for kernels is 1 to %llu MiB (MEM-MB)",
			(unsigned long long)s->paddr, (unsigned long long)s->memsz,
			(unsigned long long)(st->rq->ram_low >> 20));
	for (i = 0; i < e->nsegs; i++)
		if (s->paddr < e->seg[i].paddr + e->seg[i].memsz && e->seg[i].paddr < s->paddr + s->memsz)
			return load_fail(st->out, "ELF segments overlap at 0x%llx", (unsigned long long)s->paddr);
	if (e->nsegs == MAX_SEGMENTS)
		return load_fail(st->out, "the ELF kernel has too many segments");
	for (i = e->nsegs++; i > 0 && e->seg[i - 1].off > s->off; i--)
		e->seg[i] = e->seg[i - 1];
	e->seg[i] = *s;
	return 0;
}

/* Add a PT_NOTE segment. This list is sorted too. */
static void add_note(struct elf *e, const struct segment *s)
{
	unsigned i;

	if (!s->filesz)
		return;
	for (i = e->nnotes++; i > 0 && e->note[i - 1].off > s->off; i--)
		e->note[i] = e->note[i - 1];
	e->note[i] = *s;
}

static int read_phdrs(struct load_state *st, struct elf *e)
{
	size_t size = e->is64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
	union {
		Elf32_Phdr p32[MAX_PHDRS];
		Elf64_Phdr p64[MAX_PHDRS];
	} p;

	if (e->phoff > UINT64_MAX - sizeof(p))
		return load_fail(st->out, "the ELF kernel's program headers are past its end");
	if (src_read(&st->src, e->phoff, &p, e->phnum * size) < 0)
		return -1;
	for (unsigned i = 0; i < e->phnum; i++) {
		uint32_t type = e->is64 ? p.p64[i].p_type : p.p32[i].p_type;
		struct segment s = { p.p32[i].p_offset, p.p32[i].p_filesz, p.p32[i].p_paddr, p.p32[i].p_memsz,
				     p.p32[i].p_vaddr };

		if (e->is64)
			s = (struct segment){ p.p64[i].p_offset, p.p64[i].p_filesz, p.p64[i].p_paddr, p.p64[i].p_memsz,
					      p.p64[i].p_vaddr };
		if (type == PT_LOAD) {
			leave_out_headers(&s);
			if (add_segment(st, e, &s) < 0)
				return -1;
		}
		if (type == PT_NOTE)
			add_note(e, &s);
	}
	if (!e->nsegs)
		return load_fail(st->out, "the ELF kernel has nothing to load");
	return 0;
}

static uint32_t get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return le32toh(v);
}

/* The address of the PVH entry in the notes notes[0 .. len), or 0. */
static uint64_t find_pvh(uint32_t len)
{
	uint32_t off = 0;

	while (range_ok(off, 12, len)) {
		uint32_t namesz = get32(notes + off), descsz = get32(notes + off + 4);
		uint32_t type = get32(notes + off + 8), name = off + 12, desc;

		if (namesz > MAX_NOTES || descsz > MAX_NOTES)
			return 0;
		desc = name + ((namesz + 3) & ~3u);
		if (!range_ok(desc, descsz, len))
			return 0;
		if (type == NOTE_PHYS32_ENTRY && namesz == 4 && !memcmp(notes + name, "Xen", 4) &&
		    (descsz == 4 || descsz == 8))
			return get32(notes + desc);
		off = desc + ((descsz + 3) & ~3u);
	}
	return 0;
}

static bool in_segment(const struct elf *e, uint64_t addr)
{
	for (unsigned i = 0; i < e->nsegs; i++)
		if (addr >= e->seg[i].paddr && addr - e->seg[i].paddr < e->seg[i].memsz)
			return true;
	return false;
}

/*
 * Copy a note segment to notes[]. If a loaded segment contains it, copy it from guest
 * memory: reading back in a gzip file would mean unpacking it a second time. Returns the
 * length, or -1.
 */
static int64_t read_notes(struct load_state *st, const struct elf *e, const struct segment *note)
{
	uint64_t len = MIN(note->filesz, MAX_NOTES);

	for (unsigned i = 0; i < e->nsegs; i++) {
		const struct segment *s = &e->seg[i];

		if (note->off >= s->off && range_ok(note->off - s->off, len, s->filesz)) {
			memcpy(notes, load_ram(st, s->paddr + (note->off - s->off), len), len);
			return (int64_t)len;
		}
	}
	return src_read_some(&st->src, note->off, notes, len);
}

/*
 * The entry of a Multiboot kernel. Like GRUB: the address in the ELF header is a virtual one
 * if a segment has it, otherwise a physical one; that of an entry tag is physical.
 */
static uint64_t multiboot_entry(const struct load_state *st, const struct elf *e)
{
	if (st->mb.has_entry)
		return st->mb.entry;
	for (unsigned i = 0; i < e->nsegs; i++)
		if (e->entry >= e->seg[i].vaddr && e->entry - e->seg[i].vaddr < e->seg[i].memsz)
			return e->seg[i].paddr + (e->entry - e->seg[i].vaddr);
	return e->entry;
}

/* Choose the entry: PVH if there is one, then Multiboot. Called after all segments are in memory. */
static int choose_entry(struct load_state *st, const struct elf *e)
{
	struct load_result *out = st->out;

	out->mode = e->is64 ? LOAD_ENTRY_64 : LOAD_ENTRY_32;
	out->entry = e->entry;
	for (unsigned i = 0; st->rq->target == LOAD_FOR_KVM && i < e->nnotes; i++) {
		int64_t n = read_notes(st, e, &e->note[i]);
		uint64_t pvh;

		if (n < 0)
			return -1;
		pvh = find_pvh((uint32_t)n);
		if (pvh) {
			out->mode = LOAD_ENTRY_PVH;
			out->entry = pvh;
			break;
		}
	}
	if (out->mode == LOAD_ENTRY_PVH) {
		st->mb.version = 0; /* Whatever its Multiboot header requires */
		out->error[0] = '\0';
	} else if (st->mb.refused) {
		return -1; /* out->error has the reason */
	} else if (st->mb.version) {
		out->entry = multiboot_entry(st, e);
	}
	if (!in_segment(e, out->entry))
		return load_fail(out, "the ELF kernel's entry 0x%llx is outside its segments",
				 (unsigned long long)out->entry);
	return 0;
}

int load_elf(struct load_state *st)
{
	static struct elf e;
	struct load_result *out = st->out;

	memset(&e, 0, sizeof(e));
	out->is_elf = true;
	if (read_header(st, &e) < 0)
		return -1;
	if (e.is64 && st->rq->target == LOAD_FOR_LGUEST)
		return load_fail(out, "lguest runs 32-bit kernels only; this one is 64-bit");
	if (read_phdrs(st, &e) < 0)
		return -1;
	out->kernel_start = UINT64_MAX;
	for (unsigned i = 0; i < e.nsegs; i++) {
		const struct segment *s = &e.seg[i];

		/* The bytes between filesz and memsz are zero already, because guest memory is new. */
		if (src_read(&st->src, s->off, load_ram(st, s->paddr, s->memsz), s->filesz) < 0)
			return -1;
		out->kernel_start = MIN(out->kernel_start, s->paddr);
		out->kernel_end = MAX(out->kernel_end, s->paddr + s->memsz);
	}
	out->kernel_run = out->kernel_start;
	if (choose_entry(st, &e) < 0)
		return -1;
	if (st->mb.version)
		return multiboot_elf_loaded(st, &e.sections);
	/* An ELF file does not contain these limits: use those of Linux (lowmem on i386, 2 GiB on x86-64). */
	st->initrd_max = e.is64 ? 0x7fffffff : 0x37ffffff;
	st->cmdline_max = CMDLINE_MAX - 1;
	st->hdr = (struct setup_header){
		.boot_flag = 0xaa55,
		.header = 0x53726448, /* "HdrS" */
		.version = 0x020c,
		.loadflags = LOADED_HIGH,
		.kernel_alignment = 0x1000000,
		.initrd_addr_max = (uint32_t)st->initrd_max,
		.cmdline_size = CMDLINE_MAX - 1,
	};
	return 0;
}
