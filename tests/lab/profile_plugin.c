/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A plugin for qemu-system-i386 (tests/lab/lguest-profile): counts the instructions of an lguest host by address. When
 * QEMU ends, it writes one line for each block of code to the file given by out=: the number of instructions executed,
 * "host" or "guest" for the two kernels or "user" for programs, and the address. It declares what it needs of QEMU's
 * plugin interface, version 1, because Debian has no package with the header.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef uint64_t qemu_plugin_id_t;
extern void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t,
						  void (*)(qemu_plugin_id_t, struct qemu_plugin_tb *));
extern void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *, int, void *, uint64_t);
extern void qemu_plugin_register_atexit_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, void *), void *);
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
extern uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *);
extern struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
extern void *qemu_plugin_insn_haddr(const struct qemu_plugin_insn *);

__attribute__((visibility("default"))) int qemu_plugin_version = 1;

#define KERNEL_HALF 0xc0000000u
/* Where a kernel runs once it has paging: the address that it is loaded at, 1 MiB or 16 MiB, in its half. */
#define KERNEL_TEXT 0xc0100000u
#define BUCKETS	    (1u << 16)

struct block {
	struct block *next;
	uint64_t count;
	uint64_t address;
	uintptr_t at; /* Address in QEMU */
};
static struct block *table[BUCKETS];
static uintptr_t base; /* Where the emulated machine's memory begins in QEMU */
static FILE *out;

static struct block *find(uint64_t address, uintptr_t at)
{
	struct block **p = &table[(address ^ at >> 12) % BUCKETS];

	for (; *p; p = &(*p)->next)
		if ((*p)->address == address && (*p)->at == at)
			return *p;
	*p = calloc(1, sizeof(**p));
	if (!*p)
		abort();
	(*p)->address = address;
	(*p)->at = at;
	return *p;
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	uint64_t address = qemu_plugin_tb_vaddr(tb);
	uintptr_t at = (uintptr_t)qemu_plugin_insn_haddr(qemu_plugin_tb_get_insn(tb, 0));

	(void)id;
	/* The first code with paging is the host's kernel. */
	if (!base && address >= KERNEL_TEXT && address < UINT32_MAX - 0xfffff)
		base = at - (uintptr_t)(address - KERNEL_HALF);
	qemu_plugin_register_vcpu_tb_exec_inline(tb, 0, &find(address, at)->count, qemu_plugin_tb_n_insns(tb));
}

static void print(qemu_plugin_id_t id, void *unused)
{
	(void)id;
	(void)unused;
	for (unsigned i = 0; i < BUCKETS; i++)
		for (const struct block *b = table[i]; b; b = b->next) {
			bool kernel = b->address >= KERNEL_HALF;
			bool host = b->at == base + (uintptr_t)(b->address - KERNEL_HALF);

			if (b->count)
				fprintf(out, "%llu %s %llx\n", (unsigned long long)b->count,
					!kernel ? "user"
					: host	? "host"
						: "guest",
					(unsigned long long)b->address);
		}
	fclose(out);
}

__attribute__((visibility("default"))) int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc,
							       char **argv)
{
	(void)info;
	if (argc != 1 || strncmp(argv[0], "out=", 4) != 0 || !(out = fopen(argv[0] + 4, "w")))
		return -1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	qemu_plugin_register_atexit_cb(id, print, NULL);
	return 0;
}
