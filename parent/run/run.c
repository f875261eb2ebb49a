/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Makes the initrd of lguest-sep run. Runs in the parent before the privileged window with
 * the rights of the user, so that the initrd contains only files that the user may read.
 * Files are copied unchanged; only modules.dep is parsed.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fmt.h"
#include "parent/options/util.h"
#include "parent/run/cpio.h"
#include "parent/run/modules.h"
#include "parent/run/run.h"
#include "parent/setup/files.h"

#define BUSYBOX	     "/bin/busybox"
#define MODULES	     RUN_DIR "/modules"
#define SUFFIXES     4
#define DEFAULT_PATH "PATH=/bin:/sbin:/usr/bin:/usr/sbin"
/* With --root=, where local programs come first. */
#define ROOT_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static struct module_list modules;
static char command[RUN_COMMAND_MAX];
static size_t command_len;

/* Add one instruction for the guest's init, such as "arg=ls". Returns 0, or -1 if the buffer is full. */
static int instruct(const char *key, const char *value)
{
	size_t k = strlen(key), v = strlen(value) + 1;

	if (k + v > sizeof(command) - command_len)
		return -1;
	command_len += fmt_line(command + command_len, k + v, "%s%s", key, value) + 1;
	return 0;
}

static int write_failed(const char *what, const char *path)
{
	return complain(-1, "%s%s: cannot copy it into the guest's initrd: %m%s", what, path,
			errno == ENOSPC ? " (it has to fit into the guest's memory; give more MEM-MB)" : "");
}

/* Copy the regular file @path into the archive as @to. Returns 0, or -1 after logging the reason. */
static int copy(struct cpio *a, const char *what, const char *path, const char *to)
{
	int fd = open_boot_file(path, what), r;
	struct stat st;
	char dir[256];
	const char *slash = strrchr(to, '/');

	if (fd < 0)
		return -1;
	if (slash)
		fmt_line(dir, sizeof(dir), "%.*s", (int)(slash - to), to);
	r = fstat(fd, &st) < 0 || (slash && cpio_directory(a, dir) < 0) ||
	    cpio_file(a, to, st.st_mode, fd, (uint64_t)st.st_size) < 0;
	if (r)
		write_failed(what, path);
	close(fd);
	return r ? -1 : 0;
}

/* Copy the user's own initrd to the start of the archive. Later entries replace files of the same name. */
static int add_beneath(struct cpio *a, const char *path)
{
	int fd = open_boot_file(path, "--initrd="), r;
	struct stat st;

	if (fd < 0)
		return -1;
	r = fstat(fd, &st) < 0 || cpio_raw(a, fd, (uint64_t)st.st_size) < 0;
	if (r)
		write_failed("--initrd=", path);
	close(fd);
	return r ? -1 : 0;
}

static int add_init(struct cpio *a)
{
	int fd = open_own_program("lguest-sep-guest"), r;
	struct stat st;

	if (fd < 0)
		return -1;
	r = fstat(fd, &st) < 0 || cpio_directory(a, RUN_DIR) < 0 || cpio_directory(a, "dev") < 0 ||
	    cpio_file(a, &RUN_INIT[1], 0755, fd, (uint64_t)st.st_size) < 0;
	if (r)
		write_failed("", "lguest-sep-guest");
	close(fd);
	return r ? -1 : 0;
}

static int add_busybox(struct cpio *a)
{
	if (access(BUSYBOX, F_OK) < 0)
		return complain(-1, BUSYBOX " does not exist; install busybox-static, or give --initrd=FILE with the "
					    "programs that COMMAND needs");
	if (cpio_directory(a, "sbin") < 0 || cpio_directory(a, "usr/bin") < 0 || cpio_directory(a, "usr/sbin") < 0 ||
	    cpio_directory(a, "etc") < 0 || cpio_directory(a, "root") < 0 || instruct("busybox=", "") < 0)
		return write_failed("", BUSYBOX);
	return copy(a, "", BUSYBOX, &BUSYBOX[1]);
}

/*
 * Find the file of a module. modules.order omits the suffix of a compressed module, so try each of them. Returns 0 with
 * the path in @full and the suffix, or -1 after logging the reason.
 */
static int open_module(const char *path, const char **suffix, char full[PATH_MAX + MODULE_PATH_MAX + 8])
{
	static const char *const suffixes[SUFFIXES] = { "", ".xz", ".zst", ".gz" };

	for (unsigned i = 0; i < SUFFIXES; i++) {
		*suffix = suffixes[i];
		fmt_line(full, PATH_MAX + MODULE_PATH_MAX + 8, "%s/%s%s", modules.dir, path, *suffix);
		if (access(full, F_OK) == 0)
			return 0;
	}
	fmt_line(full, PATH_MAX + MODULE_PATH_MAX + 8, "%s/%s", modules.dir, path);
	return complain(
		-1,
		"%s: cannot find this module: %m; give the directory of this kernel's modules with --modules=", full);
}

/* Have the guest load the module file @name, with @type only if its root disk has that file system. */
static int instruct_module(const char *type, const char *name)
{
	char key[32];

	if (!type)
		return instruct("module=", name);
	fmt_line(key, sizeof(key), "fsmodule=%s:", type);
	return instruct(key, name);
}

static int add_modules(struct cpio *a)
{
	char full[PATH_MAX + MODULE_PATH_MAX + 8], name[MODULE_PATH_MAX + 16], to[MODULE_PATH_MAX + 64];

	for (unsigned i = 0; i < modules.n; i++) {
		const char *last = strrchr(modules.path[i], '/'), *suffix;

		if (open_module(modules.path[i], &suffix, full) < 0)
			return -1;
		fmt_line(name, sizeof(name), "%s%s", last ? last + 1 : modules.path[i], suffix);
		fmt_line(to, sizeof(to), MODULES "/%s", name);
		if (instruct_module(modules.for_type[i], name) < 0 || copy(a, "module ", full, to) < 0)
			return -1;
	}
	return 0;
}

/* True if the user sets the variable of @usual ("NAME=VALUE") with --env=. */
static bool is_set(const struct config *c, const char *usual)
{
	size_t len = strcspn(usual, "=") + 1;

	for (unsigned i = 0; i < c->run.nenv; i++)
		if (!strncmp(c->run.env[i], usual, len))
			return true;
	return false;
}

static int add_command(struct cpio *a, const struct config *c)
{
	const char *const usual[] = { c->run.root ? ROOT_PATH : DEFAULT_PATH, "HOME=/root", "TERM=dumb" };
	unsigned words = 0;
	char part[12];
	int r = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(usual); i++)
		if (!is_set(c, usual[i]))
			r |= instruct("env=", usual[i]);
	for (unsigned i = 0; i < c->run.nenv; i++)
		r |= instruct("env=", c->run.env[i]);
	fmt_line(part, sizeof(part), "%u", c->run.part);
	if (c->run.disk)
		r |= instruct(c->run.disk == RUN_DISK_READ_ONLY ? "disk=ro" : "disk=rw", "");
	else if (c->run.root)
		r |= instruct("root=", "");
	if (c->run.part)
		r |= instruct("part=", part);
	if (c->run.in)
		r |= instruct("in=", "");
	if (c->run.out)
		r |= instruct("out=", "");
	if (c->run.rounds)
		r |= instruct("rounds=", "");
	if (c->run.cwd)
		r |= instruct("cwd=", c->run.cwd);
	for (char **w = c->run.command; *w; w++, words++)
		r |= instruct("arg=", *w);
	if (r < 0 || words > RUN_WORDS_MAX)
		return complain(
			-1,
			"run: COMMAND and its environment have more than %u KiB or more than %u words; shorten them",
			RUN_COMMAND_MAX >> 10, RUN_WORDS_MAX);
	return cpio_data(a, &RUN_COMMAND[1], 0644, command, command_len) < 0 ? write_failed("", "COMMAND") : 0;
}

int run_initrd(struct config *c)
{
	struct cpio a = { .fd = memfd_create("initrd", MFD_CLOEXEC), .max = c->mem_bytes };

	if (a.fd < 0)
		return complain(-1, "run: cannot allocate memory for the guest's initrd: %m");
	c->run.initrd = a.fd;
	if (modules_find(c, &modules) < 0 || (c->initrd && add_beneath(&a, c->initrd) < 0) || add_init(&a) < 0 ||
	    (!c->initrd && !c->run.root && add_busybox(&a) < 0) || add_modules(&a) < 0)
		return -1;
	for (unsigned i = 0; i < c->run.ncopies; i++)
		if (copy(&a, "--copy=", c->run.copy[i].path, c->run.copy[i].to) < 0)
			return -1;
	if (add_command(&a, c) < 0)
		return -1;
	return cpio_end(&a) < 0 ? write_failed("", "its end") : 0;
}
