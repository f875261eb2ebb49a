/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * blkd with a part taken out, for tests/integration/audit.bats: it puts no
 * filter on (linked with --wrap), and before it serves it does what a taken blkd
 * would: write behind the image's end, and ask for executable memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/backend.h"
#include "common/fdtab.h"
#include "common/log.h"
#include "common/sandbox.h"

int __wrap_sandbox_filter(const struct policy *p, uint32_t *missing);
int __wrap_backend_run(struct backend *be);
int __real_backend_run(struct backend *be);

int __wrap_sandbox_filter(const struct policy *p, uint32_t *missing)
{
	(void)p;
	(void)missing;
	return 0;
}

int __wrap_backend_run(struct backend *be)
{
	struct stat st = { 0 };
	ssize_t n = -1;
	void *code;

	if (fstat(HFD_DISK, &st) == 0)
		n = pwrite(HFD_DISK, "x", 1, st.st_size);
	log_line(LOG_ERROR, "taken: behind the end: %d, %s", (int)n,
		 n < 0 && errno == EFBIG ? "too large" : "not refused");
	/* The one way to ask for room that its filter would have left. */
	log_line(LOG_ERROR, "taken: room behind the end: %s",
		 fallocate(HFD_DISK, FALLOC_FL_ZERO_RANGE, st.st_size, 1 << 20) == 0 ? "given" : "refused");
	code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	log_line(LOG_ERROR, "taken: executable memory: %s", code == MAP_FAILED ? "refused" : "given");
	return __real_backend_run(be);
}
