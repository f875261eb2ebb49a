/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads directories for READDIR and READDIRPLUS. Runs in fsd, confined. Offsets are those of the host's file system:
 * the guest gets them with each entry, and continues a listing at any of them.
 */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fsd/dir.h"
#include "fsd/files.h"

/* Bytes of entries that are read from the host at once. */
#define READ_SIZE (32u << 10)

/* As getdents64(2) returns it. */
struct host_entry {
	uint64_t ino;
	int64_t off;
	uint16_t len;
	uint8_t type;
	char name[];
};

struct entry {
	uint64_t ino;
	uint64_t off; /* Where the listing continues after it */
	uint8_t type;
	const char *name;
};

static uint8_t entries[READ_SIZE] __attribute__((aligned(8)));

static bool is_dots(const char *name)
{
	return !strcmp(name, ".") || !strcmp(name, "..");
}

/*
 * Append one entry to the reply, which has @have bytes. With @plus, look it up: if that fails, the guest gets the name
 * alone. Returns the new length, or 0 if the entry does not fit into @room bytes.
 */
static size_t add_entry(struct fsd *d, struct fs_req *r, struct node *n, const struct entry *e, size_t have,
			size_t room, bool plus)
{
	size_t name_len = strlen(e->name), before = plus ? offsetof(struct fuse_direntplus, dirent) : 0;
	size_t need = before + FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + name_len);
	struct fuse_dirent *out = (void *)(r->reply + have + before);

	if (need > room - have)
		return 0;
	if (plus) {
		struct fuse_entry_out *found = (void *)(r->reply + have);

		if (is_dots(e->name) || fsd_lookup(d, n, e->name, found) < 0)
			memset(found, 0, sizeof(*found));
	}
	out->ino = e->ino;
	out->off = e->off;
	out->namelen = (uint32_t)name_len;
	out->type = e->type;
	memset(out->name, 0, need - before - FUSE_NAME_OFFSET);
	memcpy(out->name, e->name, name_len);
	return have + need;
}

/* The content of a directory in place of a mount point: "." and "..". */
static size_t list_mount(struct fsd *d, struct fs_req *r, struct node *n, uint64_t from, size_t room, bool plus)
{
	static const struct entry dots[] = { { 1, 1, DT_DIR, "." }, { 1, 2, DT_DIR, ".." } };
	size_t have = 0;

	for (uint64_t i = from; i < ARRAY_SIZE(dots); i++) {
		size_t more = add_entry(d, r, n, &dots[i], have, room, plus);

		if (!more)
			break;
		have = more;
	}
	return have;
}

static int read_entries(struct handle *h, uint64_t from)
{
	ssize_t got;

	if ((uint64_t)h->at != from && lseek(h->fd, (off_t)from, SEEK_SET) < 0)
		return -errno;
	/* Unless all that is read now fits into the reply, the next request is for another offset. */
	h->at = -1;
	got = syscall(SYS_getdents64, h->fd, entries, sizeof(entries));
	return got < 0 ? -errno : (int)got;
}

int fsd_readdir(struct fsd *d, struct fs_req *r, struct node *n, bool plus)
{
	const struct fuse_read_in *in = (const void *)r->args;
	struct handle *h = handle_get(&d->nodes, in->fh, n);
	size_t room = MIN(MIN(in->size, r->room), FSD_REPLY_MAX), have = 0;
	const struct host_entry *e = NULL;
	int got, at;

	if (!h)
		return no_handle(d);
	if (n->type != S_IFDIR || in->offset > INT64_MAX)
		return -EINVAL;
	if (h->fd < 0)
		return (int)list_mount(d, r, n, in->offset, room, plus);
	got = read_entries(h, in->offset);
	for (at = 0; at < got; at += e->len) {
		struct entry out;
		size_t more;

		e = (const struct host_entry *)(entries + at);
		out = (struct entry){ e->ino, (uint64_t)e->off, e->type, e->name };
		more = add_entry(d, r, n, &out, have, room, plus);
		if (!more)
			break;
		have = more;
	}
	if (got < 0)
		return got;
	if (e && at >= got)
		h->at = (off_t)e->off;
	/* Not even one entry fits. */
	return at < got && !have ? -EINVAL : (int)have;
}
