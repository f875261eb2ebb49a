/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The audit reports descriptors that the supervisor inherited, and those that no option of the guest asks for. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/fdtab.h"
#include "common/util.h"
#include "parent/audit/audit.h"
#include "parent/audit/fds.h"
#include "parent/audit/maps.h"

#define HIGH 2000

static struct audit_guest guest;

static const char *judged(unsigned number)
{
	static struct facts f;
	const char *wrong = "not open";

	facts_free(&f);
	memset(&f, 0, sizeof(f));
	f.pid = getpid();
	facts_fds(&f);
	audit_judge_fds(&guest, PART_SUPERVISOR, &f);
	for (unsigned i = 0; i < f.nfds; i++)
		if (f.fd[i].number == number)
			wrong = f.fd[i].wrong;
	return wrong;
}

static void inherited_ones_are_found(void **state)
{
	struct rlimit r = { HIGH + 1, HIGH + 1 };
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_true(fd > 2);
	assert_null(judged((unsigned)fd));
	if (setrlimit(RLIMIT_NOFILE, &r) < 0 || dup2(fd, HIGH) < 0) {
		print_message("skipped: no descriptor of number %d here\n", HIGH);
		skip();
	}
	assert_non_null(judged(HIGH));
	assert_int_equal(fcntl(HIGH, F_SETFD, FD_CLOEXEC), 0);
	assert_null(judged(HIGH));
	close(HIGH);
	close(fd);
}

/* What QEMU opens itself may have the kernel's number only if there is no kernel. */
static void the_number_of_the_kernel(void **state)
{
	static struct audit_fd fd[] = { { .number = VFD_KERNEL, .kind = FD_EPOLL },
					{ .number = VFD_INITRD, .kind = FD_EPOLL } };
	struct facts f = { .fd = fd, .nfds = ARRAY_SIZE(fd) };

	(void)state;
	audit_judge_fds(&guest, PART_QEMU, &f);
	assert_non_null(fd[0].wrong);
	assert_null(fd[1].wrong);
	guest.no_kernel = true;
	audit_judge_fds(&guest, PART_QEMU, &f);
	guest.no_kernel = false;
	assert_null(fd[0].wrong);
	assert_null(fd[1].wrong);
	fd[0].kind = FD_TAP;
	audit_judge_fds(&guest, PART_QEMU, &f);
	assert_non_null(fd[0].wrong);
}

/* True if a process of kind @part may have such a descriptor at @number. @delta: its disk is a snapshot. */
static bool may_have(enum part part, unsigned number, enum fd_kind kind, bool writable, bool delta)
{
	struct audit_fd fd[] = { { .number = number, .kind = kind, .writable = writable },
				 { .number = HFD_DELTA, .kind = FD_FILE, .writable = true } };
	struct facts f = { .fd = fd, .nfds = delta ? 2 : 1 };

	audit_judge_fds(&guest, part, &f);
	return !fd[0].wrong;
}

/* The files of --save, of --from and of --reset=fresh: only in guests with these options, only with snapshots and shares. */
static void files_that_no_option_asks_for(void **state)
{
	(void)state;
	guest = (struct audit_guest){ .configured = true, .snapshots = 1 };
	assert_false(may_have(PART_BLKD, HFD_SAVE, FD_FILE, true, true));
	assert_false(may_have(PART_BLKD, HFD_FROM, FD_FILE, false, true));
	assert_false(may_have(PART_FSD, HFD_SAVE, FD_FILE, true, false));
	assert_false(may_have(PART_FSD, HFD_FROM, FD_FILE, false, false));
	assert_false(may_have(PART_VCPU, VFD_SAVE, FD_FILE, true, false));
	guest.saves = true;
	assert_true(may_have(PART_BLKD, HFD_SAVE, FD_FILE, true, true));
	assert_true(may_have(PART_FSD, HFD_SAVE, FD_FILE, true, false));
	assert_true(may_have(PART_VCPU, VFD_SAVE, FD_FILE, true, false));
	assert_false(may_have(PART_BLKD, HFD_SAVE, FD_MEMFD, true, true));
	assert_false(may_have(PART_BLKD, HFD_FROM, FD_FILE, false, true));
	/* The disk of this process is not a snapshot, or no disk is. */
	assert_false(may_have(PART_BLKD, HFD_SAVE, FD_FILE, true, false));
	guest.snapshots = 0;
	assert_false(may_have(PART_BLKD, HFD_SAVE, FD_FILE, true, true));

	guest = (struct audit_guest){ .configured = true, .snapshots = 1, .starts_saved = true };
	assert_true(may_have(PART_BLKD, HFD_FROM, FD_FILE, false, true));
	assert_true(may_have(PART_FSD, HFD_FROM, FD_FILE, false, false));
	assert_false(may_have(PART_BLKD, HFD_FROM, FD_FILE, true, true));
	assert_false(may_have(PART_BLKD, HFD_SAVE, FD_FILE, true, true));
	/* Only HFD_LOWER, which has the same number, may be memory. */
	assert_false(may_have(PART_BLKD, HFD_LOWER, FD_MEMFD, false, true));

	guest = (struct audit_guest){ .configured = true, .snapshots = 1, .fresh = true };
	assert_true(may_have(PART_BLKD, HFD_LOWER, FD_FILE, false, true));
	assert_true(may_have(PART_BLKD, HFD_LOWER, FD_MEMFD, false, true));
	assert_false(may_have(PART_BLKD, HFD_LOWER, FD_FILE, true, true));
	assert_false(may_have(PART_BLKD, HFD_LOWER, FD_FILE, false, false));
	assert_false(may_have(PART_BLKD, HFD_SAVE, FD_FILE, true, true));
	assert_false(may_have(PART_FSD, HFD_FROM, FD_FILE, false, false));
	/* Without its command line nothing is known of the guest's options. */
	guest = (struct audit_guest){ 0 };
	assert_true(may_have(PART_BLKD, HFD_SAVE, FD_FILE, true, false));
}

/* With --reset=fresh, the memory in its place is the tables of a share that the guest only reads. */
static void a_share_that_is_taken_back_is_not_writable(void **state)
{
	struct audit_fd fd = { .number = HFD_ADDED, .kind = FD_MEMFD };
	struct facts f = { .fd = &fd, .nfds = 1 };

	(void)state;
	guest = (struct audit_guest){ .configured = true };
	assert_true(audit_is_writable_share(&guest, &f));
	guest.fresh = true;
	assert_false(audit_is_writable_share(&guest, &f));
	guest = (struct audit_guest){ 0 };
}

static void how_one_was_opened(void **state)
{
	int fd[] = { open("/dev/null", O_RDONLY | O_CLOEXEC), open("/dev/null", O_RDWR | O_CLOEXEC) };
	struct facts f = { .pid = getpid() };

	(void)state;
	facts_fds(&f);
	for (unsigned i = 0; i < f.nfds; i++)
		for (unsigned k = 0; k < ARRAY_SIZE(fd); k++)
			if (f.fd[i].number == (unsigned)fd[k])
				assert_int_equal(f.fd[i].writable, k);
	facts_free(&f);
	close(fd[0]);
	close(fd[1]);
}

/* The user's three standard descriptors may be of any kind. */
static void standard_ones_are_not_looked_at(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++)
		assert_true(fcntl((int)i, F_GETFD) < 0 || !judged(i));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(inherited_ones_are_found),
		cmocka_unit_test(the_number_of_the_kernel),
		cmocka_unit_test(files_that_no_option_asks_for),
		cmocka_unit_test(a_share_that_is_taken_back_is_not_writable),
		cmocka_unit_test(how_one_was_opened),
		cmocka_unit_test(standard_ones_are_not_looked_at),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
