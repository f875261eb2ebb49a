/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Finds the kernel modules that a guest needs. Runs in the parent as the user, before
 * anything is opened for the guest. It reads modules.dep (or modules.order, if depmod was
 * never run) up to a limit, and no module.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/fmt.h"
#include "parent/options/util.h"
#include "parent/run/modules.h"

/* Longest version of a kernel, with the byte that ends it. */
#define VERSION_MAX 128

static bool same_letter(char a, char b)
{
	return a == b || ((a == '-' || a == '_') && (b == '-' || b == '_'));
}

/* True if the last part of the @len bytes at @path, up to ".ko", is the module @name. */
static bool is_module(const char *path, size_t len, const char *name)
{
	size_t i = 0, n = strlen(name);

	for (size_t j = 0; j < len; j++)
		if (path[j] == '/')
			i = j + 1;
	if (len - i < n + 3)
		return false;
	for (size_t j = 0; j < n; j++)
		if (!same_letter(path[i + j], name[j]))
			return false;
	return !strncmp(path + i + n, ".ko", 3) && (len == i + n + 3 || path[i + n + 3] == '.');
}

/* True if @path stays within the directory of the modules. */
static bool path_ok(const char *path, size_t len)
{
	if (!len || len >= MODULE_PATH_MAX || path[0] == '/' || memchr(path, '\0', len))
		return false;
	for (size_t i = 0; i + 1 < len; i++)
		if (path[i] == '.' && path[i + 1] == '.')
			return false;
	return true;
}

static int add_path(struct module_list *l, const char *path, size_t len)
{
	if (!path_ok(path, len))
		return 0;
	for (unsigned i = 0; i < l->n; i++)
		if ((!l->for_type[i] || l->for_type[i] == l->type) && strlen(l->path[i]) == len &&
		    !memcmp(l->path[i], path, len))
			return 0;
	if (l->n == RUN_MODULES_MAX)
		return -1;
	l->for_type[l->n] = l->type;
	memcpy(l->path[l->n], path, len);
	l->path[l->n++][len] = '\0';
	return 0;
}

/* Add the words of a line after its colon from last to first, so that each module follows those that it needs. */
static int add_needed(struct module_list *l, const char *from, const char *end)
{
	while (end > from) {
		const char *word;

		while (end > from && end[-1] == ' ')
			end--;
		for (word = end; word > from && word[-1] != ' '; word--)
			;
		if (word < end && add_path(l, word, (size_t)(end - word)) < 0)
			return -1;
		end = word;
	}
	return 0;
}

int modules_add(struct module_list *l, const char *text, size_t len, const char *name)
{
	const char *stop = text + len;

	for (const char *line = text; line < stop;) {
		const char *end = memchr(line, '\n', (size_t)(stop - line)), *colon;

		end = end ? end : stop;
		colon = memchr(line, ':', (size_t)(end - line));
		colon = colon ? colon : end;
		if (is_module(line, (size_t)(colon - line), name)) {
			if (colon < end && add_needed(l, colon + 1, end) < 0)
				return -1;
			return add_path(l, line, (size_t)(colon - line));
		}
		line = end + 1;
	}
	return 0; /* It is built in; otherwise the guest reports that it is missing. */
}

/* Read the file @name in @dir. Returns memory that the caller frees, or NULL with errno set. */
static char *read_text(const char *dir, const char *name, size_t *len)
{
	char path[PATH_MAX + 32], *text;
	ssize_t n = -1;
	int fd;

	fmt_line(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return NULL;
	text = malloc(MODULES_TEXT_MAX);
	*len = 0;
	while (text && *len < MODULES_TEXT_MAX && (n = read(fd, text + *len, MODULES_TEXT_MAX - *len)) > 0)
		*len += (size_t)n;
	if (text && n != 0) {
		errno = n < 0 ? errno : EFBIG;
		free(text);
		text = NULL;
	}
	close(fd);
	return text;
}

/* The modules of a file system that --root=DISK can have; the first word of each row is the kernel's name of it. */
static const char *const fs_modules[][9] = {
	{ "ext4", "crc32c_generic", "crc16", "mbcache", "jbd2", "ext4" },
	{ "xfs", "crc32c_generic", "libcrc32c", "xfs" },
	{ "btrfs", "crc32c_generic", "libcrc32c", "xxhash", "zstd_compress", "raid6_pq", "xor", "blake2b_generic",
	  "btrfs" },
	{ "squashfs", "lz4_decompress", "squashfs" },
	{ "erofs", "crc32c_generic", "libcrc32c", "lz4_decompress", "erofs" },
	{ "vfat", "fat", "nls_cp437", "nls_ascii", "nls_iso8859_1", "nls_utf8", "vfat" },
	{ "iso9660", "cdrom", "isofs" },
	{ "f2fs", "crc32c_generic", "lz4_compress", "lz4hc_compress", "f2fs" },
};

/* Add the modules of the file systems that a root disk can have. The guest loads those of one. */
static int add_fs(struct module_list *l, const char *text, size_t len)
{
	int r = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(fs_modules); i++) {
		l->type = fs_modules[i][0];
		for (unsigned j = 1; j < ARRAY_SIZE(fs_modules[i]) && fs_modules[i][j]; j++)
			r |= modules_add(l, text, len, fs_modules[i][j]);
	}
	l->type = NULL;
	return r;
}

/*
 * Add all modules that the devices of @c need. Each list names a module after those that it
 * needs, because modules.order has no dependencies. A module that is not listed is built in.
 */
static int add_all(const struct config *c, struct module_list *l, const char *text, size_t len)
{
	static const char *const always[] = { "virtio_ring",
					      "virtio",
					      "virtio_pci_legacy_dev",
					      "virtio_pci_modern_dev",
					      "virtio_pci",
					      "virtio_console",
					      "pvpanic",
					      "pvpanic_pci" };
	static const char *const nic[] = { "failover", "net_failover", "virtio_net" };
	static const char *const share[] = { "fuse", "virtiofs" };
	static const char *const rng[] = { "rng_core", "virtio_rng" };
	int r = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(always); i++)
		r |= modules_add(l, text, len, always[i]);
	if (c->ndisks)
		r |= modules_add(l, text, len, "virtio_blk");
	for (unsigned i = 0; c->nnets && i < ARRAY_SIZE(nic); i++)
		r |= modules_add(l, text, len, nic[i]);
	if (c->run.root)
		r |= modules_add(l, text, len, "overlay");
	for (unsigned i = 0; c->nshares && i < ARRAY_SIZE(share); i++)
		r |= modules_add(l, text, len, share[i]);
	for (unsigned i = 0; c->rng && i < ARRAY_SIZE(rng); i++)
		r |= modules_add(l, text, len, rng[i]);
	/* Last: add_path() knows then which modules every guest loads. */
	if (c->run.disk)
		r |= add_fs(l, text, len);
	return r;
}

/* Look for the modules of @version in DIR/../lib/modules for a kernel DIR/NAME, and then in /lib/modules. */
static bool look_for(const char *kernel, const char *version, char dir[PATH_MAX])
{
	const char *slash = strrchr(kernel, '/');

	fmt_line(dir, PATH_MAX, "%.*s/../lib/modules/%s", slash ? (int)(slash - kernel) : 1, slash ? kernel : ".",
		 version);
	if (access(dir, R_OK | X_OK) == 0)
		return true;
	fmt_line(dir, PATH_MAX, "/lib/modules/%s", version);
	if (access(dir, R_OK | X_OK) == 0)
		return true;
	dir[0] = '\0';
	return false;
}

/*
 * Read the version that a bzImage has in its header (Linux's Documentation/arch/x86/boot.rst, kernel_version). The
 * kernel may be hostile: only a plain file name is taken. Returns false if there is none.
 */
static bool version_inside(const char *kernel, char version[VERSION_MAX])
{
	unsigned char head[0x210];
	ssize_t n = -1;
	size_t len;
	int fd = open(kernel, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return false;
	if (pread(fd, head, sizeof(head), 0) == sizeof(head) && !memcmp(head + 0x202, "HdrS", 4))
		n = pread(fd, version, VERSION_MAX - 1, 0x200 + (head[0x20e] | head[0x20f] << 8));
	close(fd);
	if (n <= 0)
		return false;
	version[n] = '\0';
	len = strspn(version, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+~-");
	if (version[len] != ' ' || !len || version[0] == '.')
		return false;
	version[len] = '\0';
	return true;
}

/*
 * Find the modules of a kernel file: by its name, vmlinuz-VERSION, or else by the version in it, because a copy or a
 * symbolic link has another name. @dir gets the first directory that exists, or an empty string.
 */
static void guess(const char *kernel, char dir[PATH_MAX])
{
	const char *slash = strrchr(kernel, '/'), *name = slash ? slash + 1 : kernel, *dash = strchr(name, '-');
	char version[VERSION_MAX];

	dir[0] = '\0';
	if (dash && !strncmp(name, "vmlinu", 6) && dash[1] && look_for(kernel, dash + 1, dir))
		return;
	if (version_inside(kernel, version))
		look_for(kernel, version, dir);
}

int modules_find(const struct config *c, struct module_list *l)
{
	size_t len;
	char *text;
	int r;

	l->n = 0;
	l->type = NULL;
	if (c->run.modules)
		fmt_line(l->dir, sizeof(l->dir), "%s", c->run.modules);
	else
		guess(c->kernel, l->dir);
	if (!l->dir[0])
		return 0;
	text = read_text(l->dir, "modules.dep", &len);
	if (!text && errno == ENOENT)
		text = read_text(l->dir, "modules.order", &len);
	if (!text)
		return complain(
			-1,
			"%s%s: cannot read its modules.dep: %m; give the lib/modules/VERSION of this kernel with --modules=",
			c->run.modules ? "--modules=" : "", l->dir);
	r = add_all(c, l, text, len);
	free(text);
	return r < 0 ? complain(-1, "%s: the guest would need more than %d modules", l->dir, RUN_MODULES_MAX) : 0;
}
