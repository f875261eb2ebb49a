/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Shared by the tests of kernel loading: a guest of 64 MiB, and functions that make and load kernels. */
#ifndef TESTS_UNIT_VCPU_LOAD_RIG_H
#define TESTS_UNIT_VCPU_LOAD_RIG_H

#include <asm/bootparam.h>
#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/files.h"
#include "vcpu/load/load.h"

#define MIB (1024u * 1024u)
#define RAM (64u * MIB)

static struct guest_mem mem;
static struct load_request rq;
static struct load_result res;
static uint8_t image[4 * MIB]; /* the kernel file being made */
static size_t image_len;

/* A new guest for each test: whatever was loaded before is gone. */
static int new_guest(void **state)
{
	struct shm_policy p = { .same_inode = false };
	bool sealed;
	int fd = shm_create(RAM, &sealed);

	(void)state;
	shm_clear(&mem);
	assert_true(fd >= 0);
	assert_int_equal(shm_add(&mem, &p, fd, 0, RAM, 0, 0), SHM_OK);
	close(fd);
	rq = (struct load_request){
		.target = LOAD_FOR_KVM, .kernel = -1, .initrd = -1, .ram_low = RAM, .cmdline = "console=ttyS0"
	};
	memset(image, 0, sizeof(image));
	image_len = 0;
	return 0;
}

static inline void *at(uint64_t gpa)
{
	return shm_ptr(&mem, gpa, 1);
}

static inline int load_fd(int fd)
{
	int rc;

	rq.kernel = fd;
	rc = load_guest(&mem, &rq, &res);
	close(fd);
	if (rc == 0)
		assert_string_equal(res.error, "");
	else
		assert_true(res.error[0] != '\0');
	return rc;
}

static inline int load_image(void)
{
	return load_fd(file_of(image, image_len));
}

static inline void refused(const char *reason)
{
	assert_int_equal(load_image(), -1);
	if (!strstr(res.error, reason))
		fail_msg("refused for another reason: %s", res.error);
}

/* What ELF32 and ELF64 have in common: one segment of 8192 bytes in the file, for physical address 16 MiB. */
#define FILL_ELF_HEADERS(h, p, class, machine, entry)  \
	do {                                           \
		memcpy((h)->e_ident, ELFMAG, SELFMAG); \
		(h)->e_ident[EI_CLASS] = (class);      \
		(h)->e_ident[EI_DATA] = ELFDATA2LSB;   \
		(h)->e_ident[EI_VERSION] = EV_CURRENT; \
		(h)->e_type = ET_EXEC;                 \
		(h)->e_machine = (machine);            \
		(h)->e_entry = (entry);                \
		(h)->e_phoff = sizeof(*(h));           \
		(h)->e_phentsize = sizeof(*(p));       \
		(h)->e_phnum = 1;                      \
		(p)->p_type = PT_LOAD;                 \
		(p)->p_offset = 4096;                  \
		(p)->p_filesz = 8192;                  \
		(p)->p_paddr = 16 * MIB;               \
	} while (0)

/* An ELF64 kernel: one segment of 8192 bytes at 16 MiB, entered at its beginning. */
static inline Elf64_Ehdr *make_elf64(void)
{
	Elf64_Ehdr *h = (Elf64_Ehdr *)image;
	Elf64_Phdr *p = (Elf64_Phdr *)(image + sizeof(*h));

	FILL_ELF_HEADERS(h, p, ELFCLASS64, EM_X86_64, 16 * MIB);
	p->p_memsz = 16384;
	for (unsigned i = 0; i < 8192; i++)
		image[4096 + i] = (uint8_t)(i * 7 + 3);
	image_len = 4096 + 8192;
	return h;
}

static inline Elf64_Phdr *phdr64(unsigned i)
{
	return (Elf64_Phdr *)(image + sizeof(Elf64_Ehdr)) + i;
}

static inline Elf32_Ehdr *make_elf32(void)
{
	Elf32_Ehdr *h = (Elf32_Ehdr *)image;
	Elf32_Phdr *p = (Elf32_Phdr *)(image + sizeof(*h));

	FILL_ELF_HEADERS(h, p, ELFCLASS32, EM_386, 16 * MIB + 16);
	p->p_memsz = 8192;
	memset(image + 4096, 0x5a, 8192);
	image_len = 4096 + 8192;
	return h;
}

/* A bzImage of four setup sectors and @kib KiB of payload, as 64-bit kernels are. */
static inline struct setup_header *make_bzimage(unsigned kib)
{
	struct setup_header *h = (struct setup_header *)(image + 0x1f1);

	h->setup_sects = 4;
	h->syssize = kib * 1024 / 16;
	h->boot_flag = 0xaa55;
	memcpy(image + 0x202, "HdrS", 4);
	image[0x201] = 0x6a; /* the header ends at 0x26c */
	h->version = 0x20f;
	h->loadflags = LOADED_HIGH;
	h->initrd_addr_max = 0x7fffffff;
	h->kernel_alignment = 2 * MIB;
	h->relocatable_kernel = 1;
	h->xloadflags = XLF_KERNEL_64;
	h->cmdline_size = 2047;
	h->pref_address = 16 * MIB;
	h->init_size = 8 * MIB;
	for (unsigned i = 0; i < kib * 1024; i++)
		image[5 * 512 + i] = (uint8_t)(i * 5 + 1);
	image_len = 5 * 512 + kib * 1024;
	return h;
}

static inline struct boot_params *params(void)
{
	return at(res.boot_params);
}

#endif
