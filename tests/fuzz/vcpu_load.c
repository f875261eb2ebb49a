/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz: kernel and initrd files, plain and gzip-compressed. Whatever they contain, the loader
 * must write only inside guest memory, and report only addresses inside it.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"
#include "tests/lib/files.h"
#include "vcpu/load/load.h"

#define RAM (24u << 20)

static struct guest_mem mem;
static uint8_t *room, *behind;

/* Memory with an inaccessible page behind it. */
static void make_memory(void)
{
	room = mmap(NULL, RAM + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	PROMISE(room != MAP_FAILED);
	behind = room + RAM;
	PROMISE(mprotect(behind, 4096, PROT_NONE) == 0);
	mem.r[0] = (struct shm_region){ .size = RAM, .hva = room };
	mem.nregions = 1;
}

static void check(const struct load_request *rq, const struct load_result *r)
{
	PROMISE(r->mode <= LOAD_ENTRY_MULTIBOOT);
	PROMISE(r->entry < RAM);
	PROMISE(r->kernel_start < r->kernel_end && r->kernel_end <= RAM);
	PROMISE(r->entry >= r->kernel_start && r->entry < r->kernel_end);
	PROMISE(r->boot_params < RAM);
	if (!r->initrd_size) {
		PROMISE(rq->initrd < 0);
		return;
	}
	PROMISE(r->initrd % 4096 == 0 && range_ok(r->initrd, r->initrd_size, RAM));
	PROMISE(r->initrd >= r->kernel_end);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char cmdline[] = "console=ttyS0 root=/dev/vda";
	struct load_request rq = { .initrd = -1, .ram_low = RAM, .cmdline = cmdline };
	static struct load_result out;
	uint8_t how;
	int rc;

	if (!room)
		make_memory();
	if (!size)
		return 0;
	how = data[--size]; /* the file is the input's beginning, so that seeds are files */
	rq.target = how & 1 ? LOAD_FOR_LGUEST : LOAD_FOR_KVM;
	rq.kernel = how & 4 ? gzip_of(data, size, data, how & 8 ? size / 2 : 0) : file_of(data, size);
	if (how & 16)
		rq.initrd = file_of(data, size);
	PROMISE(rq.kernel >= 0);
	memset(&out, 0xa5, sizeof(out));
	rc = load_guest(&mem, &rq, &out);
	PROMISE(rc == 0 || rc == -1);
	PROMISE(memchr(out.error, '\0', sizeof(out.error)));
	PROMISE((rc == 0) == !out.error[0]);
	for (const char *s = out.error; *s; s++)
		PROMISE(*s >= 0x20 && *s <= 0x7e);
	if (rc == 0)
		check(&rq, &out);
	close(rq.kernel);
	if (rq.initrd >= 0)
		close(rq.initrd);
	return 0;
}
