/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ELF kernels (vmlinux): 32 and 64 bit, with or without a PVH entry note. Runs
 * in the vCPU process, confined, before the guest does. Every header is judged
 * on a local copy; a segment is read only once its whole range is known to be RAM.
 */
#include <elf.h>
#include <string.h>

#include "vcpu/load_priv.h"

#define MAX_PHDRS    64
#define MAX_NOTES    65536u
#define MAX_SEGMENTS 32

/* xen/interface/elfnote.h: XEN_ELFNOTE_PHYS32_ENTRY */
#define NOTE_PHYS32_ENTRY 18

struct segment {
	uint64_t off, filesz, paddr, memsz;
};

struct elf {
	bool is64;
	uint64_t entry, phoff;
	unsigned phnum, nsegs;
	struct segment seg[MAX_SEGMENTS]; /* by file offset */
	struct segment note;		  /* filesz 0: none */
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
		return load_fail(st->out, "the ELF kernel is of no known class");
	e->is64 = h.ident[EI_CLASS] == ELFCLASS64;
	if (e->is64 && src_read(&st->src, 0, &h.h64, sizeof(h.h64)) < 0)
		return -1;
	type = h.h32.e_type; /* the same place in both, as is e_machine */
	machine = h.h32.e_machine;
	e->entry = e->is64 ? h.h64.e_entry : h.h32.e_entry;
	e->phoff = e->is64 ? h.h64.e_phoff : h.h32.e_phoff;
	e->phnum = e->is64 ? h.h64.e_phnum : h.h32.e_phnum;
	phentsize = e->is64 ? h.h64.e_phentsize : h.h32.e_phentsize;
	if (machine != (e->is64 ? EM_X86_64 : EM_386))
		return load_fail(st->out, "the ELF kernel is for another machine (%u)", machine);
	if (type != ET_EXEC)
		return load_fail(st->out, "the ELF file is not an executable (type %u)", type);
	if (phentsize != (e->is64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr)))
		return load_fail(st->out, "the ELF kernel's program headers have a bad size");
	if (e->phnum == 0 || e->phnum > MAX_PHDRS)
		return load_fail(st->out, "the ELF kernel has %u program headers", e->phnum);
	return 0;
}

/* Checks one PT_LOAD and keeps the list sorted by file offset, for one pass over a gzip stream. */
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
		return load_fail(st->out, "an ELF segment (0x%llx, %llu bytes) is outside memory",
				 (unsigned long long)s->paddr, (unsigned long long)s->memsz);
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
		struct segment s = { p.p32[i].p_offset, p.p32[i].p_filesz, p.p32[i].p_paddr, p.p32[i].p_memsz };

		if (e->is64)
			s = (struct segment){ p.p64[i].p_offset, p.p64[i].p_filesz, p.p64[i].p_paddr,
					      p.p64[i].p_memsz };
		if (type == PT_LOAD && add_segment(st, e, &s) < 0)
			return -1;
		if (type == PT_NOTE && !e->note.filesz)
			e->note = s;
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

/* The PVH entry of the notes in notes[0..len), or 0. */
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

/* A copy of the note segment: of what was loaded, if it is part of that (a gzip stream is not read twice). */
static int64_t read_notes(struct load_state *st, const struct elf *e)
{
	uint64_t len = MIN(e->note.filesz, MAX_NOTES);

	for (unsigned i = 0; i < e->nsegs; i++) {
		const struct segment *s = &e->seg[i];

		if (e->note.off >= s->off && range_ok(e->note.off - s->off, len, s->filesz)) {
			memcpy(notes, load_ram(st, s->paddr + (e->note.off - s->off), len), len);
			return (int64_t)len;
		}
	}
	return src_read_some(&st->src, e->note.off, notes, len);
}

/* After the segments are in memory. */
static int choose_entry(struct load_state *st, const struct elf *e)
{
	struct load_result *out = st->out;

	out->mode = e->is64 ? LOAD_ENTRY_64 : LOAD_ENTRY_32;
	out->entry = e->entry;
	if (st->rq->target == LOAD_FOR_KVM && e->note.filesz) {
		int64_t n = read_notes(st, e);
		uint64_t pvh;

		if (n < 0)
			return -1;
		pvh = find_pvh((uint32_t)n);
		if (pvh) {
			out->mode = LOAD_ENTRY_PVH;
			out->entry = pvh;
		}
	}
	if (!in_segment(e, out->entry))
		return load_fail(out, "the ELF kernel's entry 0x%llx is outside what it loads",
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

		/* The rest of memsz is zero because the guest's memory is new. */
		if (src_read(&st->src, s->off, load_ram(st, s->paddr, s->memsz), s->filesz) < 0)
			return -1;
		out->kernel_start = MIN(out->kernel_start, s->paddr);
		out->kernel_end = MAX(out->kernel_end, s->paddr + s->memsz);
	}
	out->kernel_run = out->kernel_start;
	if (choose_entry(st, &e) < 0)
		return -1;
	/* An ELF file says nothing of these; Linux's own limits (lowmem of i386, 2 GiB of x86-64). */
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
