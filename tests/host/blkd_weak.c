/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * blkd without one of its layers, for tests/integration/audit.bats (linked with --wrap). The
 * disk's serial number chooses the layer. Without a serial number it lacks its filter, and
 * before it serves the disk it does what a compromised blkd would do: it writes and
 * allocates behind the end of the image, and asks for executable memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/backend.h"
#include "common/ctl.h"
#include "common/sandbox.h"

static char word[sizeof(((struct blk_config *)0)->serial)];

static bool is(const char *what)
{
	return !strcmp(word, what);
}

int __wrap_ctl_recv_config(int fd, enum role role, struct role_config *rc);
int __real_ctl_recv_config(int fd, enum role role, struct role_config *rc);
int __wrap_sandbox_filter(const struct policy *p, uint32_t *missing);
int __real_sandbox_filter(const struct policy *p, uint32_t *missing);
uint32_t __wrap_sandbox_enter(const struct sandbox_options *o);
uint32_t __real_sandbox_enter(const struct sandbox_options *o);
int __wrap_madvise(void *at, size_t len, int advice);
int __real_madvise(void *at, size_t len, int advice);
enum shm_error __wrap_shm_add(struct guest_mem *m, const struct shm_policy *p, int fd, uint64_t gpa, uint64_t size,
			      uint64_t uva, uint64_t offset);
enum shm_error __real_shm_add(struct guest_mem *m, const struct shm_policy *p, int fd, uint64_t gpa, uint64_t size,
			      uint64_t uva, uint64_t offset);
int __wrap_backend_run(struct backend *be);
int __real_backend_run(struct backend *be);

int __wrap_ctl_recv_config(int fd, enum role role, struct role_config *rc)
{
	int got = __real_ctl_recv_config(fd, role, rc);

	if (got == 0)
		memcpy(word, rc->blk.serial, sizeof(word));
	return got;
}

int __wrap_sandbox_filter(const struct policy *p, uint32_t *missing)
{
	return is("") || is("code") ? 0 : __real_sandbox_filter(p, missing);
}

/* Map a second memory file with the name of guest memory. */
static void other_memory(void)
{
	const size_t size = 1ul << 30;
	int fd = memfd_create("guest", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, (off_t)size) < 0 ||
	    mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0) == MAP_FAILED)
		log_line(LOG_ERROR, "taken: no other memory: %m");
	close(fd);
}

uint32_t __wrap_sandbox_enter(const struct sandbox_options *o)
{
	/* Do it before the filter is installed, which would forbid it. */
	if (is("memory"))
		other_memory();
	if (is("dumpable") || is("code"))
		prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	return is("dumpable") || is("code") ? 0 : __real_sandbox_enter(o);
}

int __wrap_madvise(void *at, size_t len, int advice)
{
	return is("dumps") && advice == MADV_DONTDUMP ? 0 : __real_madvise(at, len, advice);
}

enum shm_error __wrap_shm_add(struct guest_mem *m, const struct shm_policy *p, int fd, uint64_t gpa, uint64_t size,
			      uint64_t uva, uint64_t offset)
{
	enum shm_error e = __real_shm_add(m, p, fd, gpa, size, uva, offset);

	for (unsigned i = 0; is("code") && i < m->nregions; i++)
		if (mprotect(m->r[i].map, m->r[i].map_len, PROT_READ | PROT_WRITE | PROT_EXEC) != 0)
			log_line(LOG_ERROR, "taken: guest memory cannot be executed: %m");
	return e;
}

static void try_what_is_left(void)
{
	struct stat st = { 0 };
	ssize_t n = -1;

	if (fstat(HFD_DISK, &st) == 0)
		n = pwrite(HFD_DISK, "x", 1, st.st_size);
	log_line(LOG_ERROR, "taken: behind the end: %d, %s", (int)n,
		 n < 0 && errno == EFBIG ? "too large" : "not refused");
	/* The only way to allocate space that its filter would allow. */
	log_line(LOG_ERROR, "taken: room behind the end: %s",
		 fallocate(HFD_DISK, FALLOC_FL_ZERO_RANGE, st.st_size, 1 << 20) == 0 ? "given" : "refused");
}

int __wrap_backend_run(struct backend *be)
{
	void *code;

	if (is(""))
		try_what_is_left();
	if (is("") || is("code")) {
		code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		log_line(LOG_ERROR, "taken: executable memory: %s", code == MAP_FAILED ? "refused" : "given");
	}
	return __real_backend_run(be);
}
