/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a compromised fsd can still reach by calls that its filter allows, because it cannot see names. A real spawner
 * starts a test role (tests/host/hostile_role.c) in the room of an fsd. Needs root, and executables without a sanitizer.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "policy/policies.h"
#include "tests/hostile/confinement.h"
#include "tests/hostile/hostile.h"

#define O(words, flags, resolve)                                       \
	{                                                              \
		F_FSD, __NR_openat2, { HFD_ROOT, 0, 0, 24 }, 1, words, \
		{                                                      \
			(flags), 0, (resolve)                          \
		}                                                      \
	}

/* Calls that fsd's filter allows, because it cannot see names and flags. */
static const struct reach opens[] = {
	{ "open a file of the host by a path of its own", O("/etc/passwd", O_RDONLY, 0) },
	{ "open one above the share", O("../../../../etc/passwd", O_RDONLY, 0) },
	{ "open one through a link in the share", O("link", O_RDONLY, 0) },
	{ "open one through /proc", O("/proc/self/root/etc/passwd", O_RDONLY, 0) },
	{ "open a file of the share for writing", O("file", O_WRONLY, 0) },
	{ "open one for reading and writing", O("file", O_RDWR, 0) },
	{ "empty a file of the share", O("file", O_RDONLY | O_TRUNC, 0) },
	{ "make a file in the share", O("new", O_WRONLY | O_CREAT, 0) },
	{ "make a file without name there", O(".", O_RDWR | O_TMPFILE, 0) },
	{ "open a device in the share", O("device", O_RDONLY, 0) },
	{ "read a file that only root may read", O("secret", O_RDONLY, 0) },
};

#define WITH(nr_, a, b, c, d, e, which, words)                                                              \
	{                                                                                                   \
		.filter = F_FSD_RW, .nr = (nr_), .arg = { a, b, c, d, e }, .text_arg = which, .text = words \
	}
#define OPENAT(words, flags, mode) WITH(__NR_openat, HFD_ROOT, 0, O_NOFOLLOW | (flags), (mode), 0, 1, words)

/* The same for a share that the guest may write to: its filter sees flags and modes, but no names. */
static const struct reach writes[] = {
	{ "open a file of the host by a path of its own", OPENAT("/etc/passwd", O_RDWR, 0) },
	{ "open one above the share", OPENAT("../../../../../../etc/passwd", O_RDONLY, 0) },
	{ "open one through a directory that is a link", OPENAT("etc/passwd", O_RDONLY, 0) },
	{ "open a device in the share", OPENAT("device", O_RDWR, 0) },
	{ "write a file that only root may write", OPENAT("secret", O_WRONLY, 0) },
	{ "remove the share", WITH(__NR_unlinkat, HFD_ROOT, 0, AT_REMOVEDIR, 0, 0, 1, "../share") },
	{ "follow a link to change times", WITH(__NR_utimensat, HFD_ROOT, 0, 0, AT_EMPTY_PATH, 0, 1, "etc/passwd") },
};

/* What its filter sees, and ends it for. */
static const struct reach ends[] = {
	{ "make a set-user-ID program", OPENAT("new", O_RDWR | O_CREAT, 04755) },
	{ "make a file without name there", OPENAT(".", O_RDWR | O_TMPFILE, 0600) },
	{ "follow a link", WITH(__NR_openat, HFD_ROOT, 0, O_RDONLY, 0, 0, 1, "link") },
	{ "set a set-user-ID bit", WITH(__NR_fchmod, FSD_FD0, 04755, 0, 0, 0, -1, "") },
	{ "set one by name", WITH(452, HFD_ROOT, 0, 04755, AT_EMPTY_PATH, 0, 1, "file") },
	{ "make a set-group-ID directory", WITH(__NR_mkdirat, HFD_ROOT, 0, 02777, 0, 0, 1, "new") },
	{ "make a device", WITH(__NR_mknodat, HFD_ROOT, 0, S_IFCHR | 0666, 0x103, 0, 1, "new") },
	{ "make a whiteout", WITH(__NR_renameat2, HFD_ROOT, 0, HFD_ROOT, 0, 4, 1, "file") },
	{ "open by openat2(2)", WITH(__NR_openat2, HFD_ROOT, 0, 0, 24, 0, 1, "file") },
	{ "use the current directory", WITH(__NR_openat, AT_FDCWD, 0, O_RDONLY | O_NOFOLLOW, 0, 0, 1, "/") },
};

static const char *in_share(const char *name)
{
	static char path[200];

	snprintf(path, sizeof(path), "%s/share/%s", work_dir, name);
	return path;
}

/* Start the test role as an fsd whose share is a directory of files that tempt it. */
static void start_reader(struct taken *t, bool writable)
{
	char command[500], share[80], folder[560];
	struct room r = { .name = "fs0", .role = ROLE_FSD, .uid = ROLE_ID, .gid = ROLE_ID, .diag = 2 };
	struct role_fds f = { 0 };
	struct spawn_msg m;
	int pair[2];

	snprintf(share, sizeof(share), "%s/share", work_dir);
	snprintf(
		command, sizeof(command),
		"chmod 755 %s; mkdir -p %s && cd %s && echo text > file && chmod 666 file && ln -sfn /etc/passwd link && "
		"{ test -e device || mknod -m 666 device c 1 3; } && echo secret > secret && chmod 600 secret && chmod 777 . && "
		"ln -sfn /etc etc",
		work_dir, share, share);
	need(system(command) == 0);
	snprintf(folder, sizeof(folder), "%s/../host", self_dir);
	r.exe = open_program(folder, "hostile_role");
	r.init_exe = open_program(bin_dir, "lguest-sep-init");
	r.share = share;
	r.share_writable = writable;
	r.share_userns = -1;
	need(r.exe >= 0 && r.init_exe >= 0 && spawner_begin(&t->s, &r) == 0 && spawner_finish(&t->s) == 0);
	need(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
	role_fds_add(&f, pair[1], HFD_CTL);
	role_fds_add(&f, t->s.listen_fd[0], HFD_ROOT);
	need(spawner_start_role(&t->s, &f, FSD_FD0, 0, writable ? 1 << 20 : 0, 0) == 0);
	close(pair[1]);
	t->ctl = pair[0];
	need(hear(&t->s, &m) && m.type == SPAWN_STARTED);
}

/* One after the other in one process: the room, the read-only mount and its user must stop each. */
static void fsd_reads_its_share_only(const void *arg)
{
	static struct taken reader;
	const struct attempt good = O("file", O_RDONLY, 0);
	struct attempt a = good;
	struct spawn_msg end;
	unsigned n = 0;
	long got = 0;

	(void)arg;
	start_reader(&reader, false);
	need(attempt_by(&reader, &a, &got, &end) && got >= 0);
	for (unsigned i = 0; i < ARRAY_SIZE(opens); i++) {
		a = opens[i].a;
		a.filter = NO_FILTER; /* The first call has installed it. */
		if (!attempt_by(&reader, &a, &got, &end) || got >= 0)
			need_(false, opens[i].name, __FILE__, __LINE__);
		n++;
	}
	/* Its own root directory, by AT_FDCWD, which the filter does not allow. */
	a = good;
	a.filter = NO_FILTER;
	a.arg[0] = (unsigned long)AT_FDCWD;
	need(!attempt_by(&reader, &a, &got, &end));
	close(reader.ctl);
	spawner_destroy(&reader.s);
	counted("%u of %zu", n, ARRAY_SIZE(opens));
}

/*
 * One after the other in one process, and those that end it in a process each: the room, the clone, its user and the
 * filter must stop each.
 */
static void fsd_writes_its_share_only(const void *arg)
{
	static struct taken writer;
	const struct attempt good = OPENAT("mine", O_RDWR | O_CREAT, 0600);
	struct attempt a = good;
	struct spawn_msg end;
	unsigned n = 0;
	long got = 0;

	(void)arg;
	start_reader(&writer, true);
	need(attempt_by(&writer, &a, &got, &end) && got >= 0);
	for (unsigned i = 0; i < ARRAY_SIZE(writes); i++, n++) {
		a = writes[i].a;
		a.filter = NO_FILTER; /* The first call has installed it. */
		if (!attempt_by(&writer, &a, &got, &end) || got >= 0)
			need_(false, writes[i].name, __FILE__, __LINE__);
	}
	/* The clone has nothing above it, so this makes a file in the share. */
	a = (struct attempt)OPENAT("../taken", O_RDWR | O_CREAT, 0600);
	a.filter = NO_FILTER;
	need(attempt_by(&writer, &a, &got, &end) && got >= 0 && faccessat(AT_FDCWD, in_share("../taken"), F_OK, 0) < 0);
	need(unlink(in_share("taken")) == 0);
	for (unsigned i = 0; i < ARRAY_SIZE(ends); i++, n++) {
		close(writer.ctl);
		spawner_destroy(&writer.s);
		start_reader(&writer, true);
		if (attempt_by(&writer, &ends[i].a, &got, &end))
			need_(false, ends[i].name, __FILE__, __LINE__);
	}
	close(writer.ctl);
	spawner_destroy(&writer.s);
	counted("%u of %zu", n, ARRAY_SIZE(writes) + ARRAY_SIZE(ends));
}

void confinement_fsd(void)
{
	char all[32];

	snprintf(all, sizeof(all), "%zu of %zu", ARRAY_SIZE(opens), ARRAY_SIZE(opens));
	play("what fsd's filter lets through: files that are not its own to read", all, fsd_reads_its_share_only, NULL);
	snprintf(all, sizeof(all), "%zu of %zu", ARRAY_SIZE(writes) + ARRAY_SIZE(ends),
		 ARRAY_SIZE(writes) + ARRAY_SIZE(ends));
	play("what that of an fsd with a writable share lets through, and what it ends", all, fsd_writes_its_share_only,
	     NULL);
}
