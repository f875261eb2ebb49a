/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Loads Multiboot kernels: see multiboot_load.h. Runs in the vCPU process, confined, before
 * the guest runs. Headers are checked on local copies.
 */
#include <elf.h>
#include <string.h>

#include "vcpu/load/kernel_check.h"
#include "vcpu/load/multiboot.h"
#include "vcpu/load/multiboot_load.h"
#include "vcpu/load/src.h"

int multiboot_read(struct load_state *st)
{
	static uint8_t head[MULTIBOOT2_SEARCH];
	int64_t n = src_read_some(&st->src, 0, head, sizeof(head));
	const char *what;

	if (n < 0)
		return -1;
	/* A bzImage has its own boot protocol, whatever else it contains. */
	if (kernel_kind(head, MIN((size_t)n, KERNEL_CHECK_BYTES), &what) == KERNEL_BZIMAGE)
		return 0;
	if (multiboot_find(head, (size_t)n, &st->mb) && multiboot_parse(head, (size_t)n, &st->mb, st->out) < 0) {
		st->mb.refused = true;
		st->mb.has_address = false;
	}
	return 0;
}

/* Check the addresses of a kernel that is in memory. */
static int check_place(const struct load_state *st)
{
	const struct multiboot *m = &st->mb;
	struct load_result *out = st->out;

	if (m->has_range &&
	    (out->kernel_start < m->low || out->kernel_end - 1 > m->high || (m->align && out->kernel_start % m->align)))
		return load_fail(
			out,
			"the kernel is linked to 0x%llx, against its own relocatable tag (header tag 10: 0x%x to 0x%x, multiples of 0x%x); kernels are not relocated here",
			(unsigned long long)out->kernel_start, m->low, m->high, m->align);
	return 0;
}

/* What every Multiboot kernel needs after its image is in memory. */
static void set_limits(struct load_state *st)
{
	st->out->mode = LOAD_ENTRY_MULTIBOOT;
	st->out->magic = st->mb.version == 1 ? MULTIBOOT1_MAGIC : MULTIBOOT2_MAGIC;
	st->initrd_max = UINT32_MAX;
	st->cmdline_max = CMDLINE_MAX - 1;
}

int load_multiboot_flat(struct load_state *st)
{
	const struct multiboot *m = &st->mb;
	struct load_result *out = st->out;
	struct multiboot_flat f;
	uint64_t room;
	int64_t n;

	if (m->refused)
		return -1;
	if (!m->has_address)
		return load_fail(out, "the Multiboot %u kernel is no ELF file, and its header has no addresses",
				 m->version);
	if (multiboot_flat(m, &f, out) < 0)
		return -1;
	if (!load_ram(st, f.addr, MAX(f.memsz, MAX(f.size, 1))))
		return load_fail(
			out,
			"the Multiboot kernel (from 0x%llx) is outside memory, which for kernels is 1 to %llu MiB (MEM-MB)",
			(unsigned long long)f.addr, (unsigned long long)(st->rq->ram_low >> 20));
	room = f.size ? f.size : f.memsz ? f.memsz : st->rq->ram_low - f.addr;
	n = src_read_some(&st->src, f.off, load_ram(st, f.addr, room), room);
	if (n < 0)
		return -1;
	if (n == 0 || (f.size && (uint64_t)n != f.size))
		return load_fail(out, "the kernel file is truncated");
	if (!f.size && (uint64_t)n == room) {
		uint8_t more;

		n = src_read_some(&st->src, f.off + room, &more, 1);
		if (n != 0)
			return n < 0 ? -1 : load_fail(out, "the kernel is larger than its memory");
		n = (int64_t)room;
	}
	out->kernel_start = out->kernel_run = f.addr;
	out->kernel_end = f.addr + MAX(f.memsz, (uint64_t)n);
	out->entry = m->entry;
	if (out->entry < out->kernel_start || out->entry >= out->kernel_end)
		return load_fail(out, "the Multiboot kernel's entry 0x%x is outside it", m->entry);
	set_limits(st);
	return check_place(st);
}

/* Section header @i of the table, in the 64-bit form. */
static Elf64_Shdr section(const struct multiboot_sections *t, bool is64, unsigned i)
{
	Elf32_Shdr s;
	Elf64_Shdr r;

	if (is64) {
		memcpy(&r, t->table + i * sizeof(r), sizeof(r));
		return r;
	}
	memcpy(&s, t->table + i * sizeof(s), sizeof(s));
	return (Elf64_Shdr){
		.sh_type = s.sh_type,
		.sh_flags = s.sh_flags,
		.sh_addr = s.sh_addr,
		.sh_offset = s.sh_offset,
		.sh_size = s.sh_size,
	};
}

static void set_address(struct multiboot_sections *t, bool is64, unsigned i, uint64_t addr)
{
	uint32_t low = (uint32_t)addr;

	if (is64)
		memcpy(t->table + i * sizeof(Elf64_Shdr) + offsetof(Elf64_Shdr, sh_addr), &addr, sizeof(addr));
	else
		memcpy(t->table + i * sizeof(Elf32_Shdr) + offsetof(Elf32_Shdr, sh_addr), &low, sizeof(low));
}

/* True if section @s has contents that no segment loads. */
static bool is_left_out(const Elf64_Shdr *s)
{
	return s->sh_type != SHT_NULL && s->sh_type != SHT_NOBITS && s->sh_size && !s->sh_addr &&
	       !(s->sh_flags & SHF_ALLOC);
}

/* Read the sections in the order of the file, because a gzip file is read once, and place them above the kernel. */
static int read_sections(struct load_state *st, bool is64)
{
	struct multiboot_sections *t = &st->sections;
	uint64_t from = 0, at = st->out->kernel_end;

	for (;;) {
		unsigned next = t->count;
		Elf64_Shdr best = { .sh_offset = UINT64_MAX };

		for (unsigned i = 0; i < t->count; i++) {
			Elf64_Shdr s = section(t, is64, i);

			if (is_left_out(&s) && s.sh_offset < best.sh_offset) {
				best = s;
				next = i;
			}
		}
		if (next == t->count)
			break;
		at = (at + 15) & ~(uint64_t)15;
		if (best.sh_offset < from)
			return load_fail(st->out, "sections of the ELF kernel overlap in the file");
		if (!load_ram(st, at, best.sh_size))
			return load_fail(st->out, "the sections of the ELF kernel do not fit into memory");
		if (src_read(&st->src, best.sh_offset, load_ram(st, at, best.sh_size), best.sh_size) < 0)
			return -1;
		/* It has an address now, so it is not chosen again. */
		set_address(t, is64, next, at);
		from = best.sh_offset + best.sh_size;
		at += best.sh_size;
	}
	st->out->kernel_end = at;
	return 0;
}

static int load_sections(struct load_state *st, const struct elf_sections *s)
{
	struct multiboot_sections *t = &st->sections;

	if (!s->count)
		return load_fail(st->out, "the ELF kernel has no section headers");
	if (s->count > MULTIBOOT_SECTIONS_MAX || s->names >= s->count ||
	    s->size != (s->is64 ? sizeof(Elf64_Shdr) : sizeof(Elf32_Shdr)))
		return load_fail(st->out, "the section headers of the ELF kernel are invalid (or more than %u)",
				 MULTIBOOT_SECTIONS_MAX);
	t->count = s->count;
	t->size = s->size;
	t->names = s->names;
	if (src_read(&st->src, s->off, t->table, (uint64_t)s->count * s->size) < 0)
		return -1;
	return read_sections(st, s->is64);
}

int multiboot_elf_loaded(struct load_state *st, const struct elf_sections *s)
{
	set_limits(st);
	if (check_place(st) < 0)
		return -1;
	if (load_sections(st, s) < 0) {
		if (st->mb.needs_sections)
			return -1; /* out->error has the reason */
		st->sections.count = 0;
		st->out->error[0] = '\0';
	}
	return 0;
}
