/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fsd beside the virtiofsd of Debian 12 (QEMU's, in C): both get the same random streams of mostly valid FUSE requests
 * over equal trees, and every answer is compared. What may differ, and why:
 *
 * - Node, handle and inode numbers, times that the host sets, blocks on the disk, offsets in directories.
 * - LOOKUP of a name that does not exist: fsd answers with node 0, which the guest may remember; virtiofsd with ENOENT.
 * - OPEN, SETATTR without a handle: fsd opens a file by its name. If the name that it knows is gone it answers ESTALE,
 *   and Linux looks the file up again, as this client does. A file without a name stays ESTALE: only files that are
 *   open when their last name is removed remain usable, through their handles.
 * - UNLINK, RMDIR and RENAME of a name that is not there: virtiofsd answers with EIO, whatever the reason.
 * - LOOKUP of "..", which Linux never sends: fsd refuses it, virtiofsd answers with the parent.
 * - READDIR of a directory that is open and removed: fsd has the kernel's ENOENT, the C library of virtiofsd an empty list.
 * - CREATE of a name that is a symbolic link already, for which Linux follows the link itself: another error.
 *
 * The streams contain nothing that fsd refuses by design (devices, FIFOs, set-user-ID bits, ownership): see fsd_write_hostile.
 * FSD_STREAMS=N in the environment: that many streams (default: 2; tests/long/virtiofsd: 400).
 */
#include "tests/unit/fsd_virtiofsd_rig.h"

#define STEPS 1500

/* ---- requests ---- */

static void step_lookup(void)
{
	unsigned dir = pick_dir();
	const char *name = any(30) ? pick_name() : any(2) ? ".." : "a/b";
	struct args x = args_of(NULL, 0, name, NULL, sizeof(struct fuse_entry_out));

	if (!strcmp(name, "..")) {
		ask_side(FSD, FUSE_LOOKUP, dir, &x);
		SAME(err[FSD] == -EINVAL || err[FSD] == -ESTALE, "LOOKUP of ..: %d", err[FSD]);
		return;
	}
	both(FUSE_LOOKUP, dir, &x);
	if (!err[FSD])
		got_entry(dir, name);
	else if (err[FSD] == -ENOENT)
		SAME(find_name(dir, name) < 0, "%s was not removed and is not there", name);
}

static void step_getattr(void)
{
	const struct fuse_getattr_in in = { 0 };
	struct args x = args_of(&in, sizeof(in), NULL, NULL, sizeof(struct fuse_attr_out));
	const struct fuse_attr_out *a = (const void *)answer[FSD], *b = (const void *)answer[OTHER];
	unsigned n = any(nnodes);

	if (!nodes[n].type)
		return;
	both(FUSE_GETATTR, n, &x);
	if (!err[FSD])
		SAME(same_attributes(&a->attr, &b->attr) && a->attr_valid == b->attr_valid,
		     "attributes of a file of mode %o, %o; size %llu, %llu; links %u, %u", a->attr.mode, b->attr.mode,
		     (unsigned long long)a->attr.size, (unsigned long long)b->attr.size, a->attr.nlink, b->attr.nlink);
}

static void step_setattr(void)
{
	struct fuse_setattr_in in = { .mtime = 1000000 + any(1000000), .mtimensec = any(1000000000) };
	const struct fuse_attr_out *a = (const void *)answer[FSD], *b = (const void *)answer[OTHER];
	unsigned n = pick(S_IFREG), h = (unsigned)pick_handle(S_IFREG);
	struct args x;

	in.valid = any(2) ? FATTR_MTIME : any(2) ? FATTR_MODE : FATTR_SIZE;
	/* Linux sends no such request for a symbolic link. */
	if (nodes[n].type == S_IFLNK)
		in.valid = FATTR_MTIME;
	in.mode = nodes[n].type | any(01000) | 0600;
	in.size = any(SIZE);
	if (in.valid == FATTR_SIZE && h < OPEN && any(2)) {
		in.valid |= FATTR_FH;
		n = handles[h].node;
	}
	x = args_of(&in, sizeof(in), NULL, NULL, sizeof(struct fuse_attr_out));
	if (in.valid & FATTR_FH) {
		x.fh_at = offsetof(struct fuse_setattr_in, fh);
		x.handle = h;
	}
	both(FUSE_SETATTR, n, &x);
	if (err[FSD])
		return;
	SAME(same_attributes(&a->attr, &b->attr), "SETATTR %x: mode %o, %o; size %llu, %llu", in.valid, a->attr.mode,
	     b->attr.mode, (unsigned long long)a->attr.size, (unsigned long long)b->attr.size);
	if (in.valid == FATTR_MTIME)
		SAME(a->attr.mtime == in.mtime && a->attr.mtimensec == in.mtimensec && b->attr.mtime == in.mtime &&
			     b->attr.mtimensec == in.mtimensec,
		     "the time that was set");
}

static void step_make(void)
{
	const struct fuse_create_in create = { .flags = (any(2) ? O_RDWR : O_WRONLY) | (any(3) ? 0 : O_EXCL),
					       .mode = S_IFREG | 0600 | any(0100) };
	const struct fuse_mkdir_in mkdir = { .mode = 0700 | any(0100) };
	const struct fuse_mknod_in mknod = { .mode = S_IFREG | 0600 };
	uint32_t room = sizeof(struct fuse_entry_out), opcode;
	const char *name = pick_name();
	unsigned dir = pick_dir(), what = any(4);
	struct args x;

	if (what == 0 && open_files() == OPEN)
		return;
	if (what == 0)
		x = args_of(&create, sizeof(create), name, NULL, room + sizeof(struct fuse_open_out));
	else if (what == 1)
		x = args_of(&mkdir, sizeof(mkdir), name, NULL, room);
	else if (what == 2)
		x = args_of(&mknod, sizeof(mknod), name, NULL, room);
	else
		x = args_of(NULL, 0, name, "../n1", room);
	opcode = what == 0 ? FUSE_CREATE : what == 1 ? FUSE_MKDIR : what == 2 ? FUSE_MKNOD : FUSE_SYMLINK;
	both(opcode, dir, &x);
	if (err[FSD])
		return;
	got_entry(dir, name);
	if (what == 0)
		remember_handle(names[find_name(dir, name)].node,
				((const struct fuse_open_out *)(answer[FSD] + room))->fh,
				((const struct fuse_open_out *)(answer[OTHER] + room))->fh);
}

static void step_link(void)
{
	const struct fuse_link_in in = { 0 };
	const char *name = pick_name();
	struct args x = args_of(&in, sizeof(in), name, NULL, sizeof(struct fuse_entry_out));
	unsigned dir = pick_dir();

	x.node_at = offsetof(struct fuse_link_in, oldnodeid);
	x.node = pick(S_IFREG);
	if (nodes[x.node].type == S_IFDIR)
		return;
	both(FUSE_LINK, dir, &x);
	if (!err[FSD])
		got_entry(dir, name);
}

static void step_remove(void)
{
	const char *name = pick_name();
	struct args x = args_of(NULL, 0, name, NULL, 0);
	unsigned dir = pick_dir();

	both(any(2) ? FUSE_UNLINK : FUSE_RMDIR, dir, &x);
	if (!err[FSD])
		drop_name(dir, name);
}

static void step_rename(void)
{
	unsigned what = any(4), dir = pick_dir();
	const struct fuse_rename2_in in = { .flags = what == 0 ? RENAME_NOREPLACE : what == 1 ? RENAME_EXCHANGE : 0 };
	const char *name = pick_name(), *to = pick_name();
	int from, old;
	struct args x = args_of(&in, sizeof(in), name, to, 0);
	unsigned a, b;

	x.node_at = offsetof(struct fuse_rename2_in, newdir);
	x.node = pick_dir();
	both(FUSE_RENAME2, dir, &x);
	from = find_name(dir, name);
	old = find_name(x.node, to);
	/* Two names of one file: nothing happens. */
	if (err[FSD] || (from >= 0 && old >= 0 && names[from].node == names[old].node))
		return;
	a = from >= 0 ? names[from].node : 0;
	b = old >= 0 ? names[old].node : 0;
	drop_name(x.node, to);
	drop_name(dir, name);
	if (a)
		set_name(x.node, to, a);
	if (b && what == 1)
		set_name(dir, name, b);
}

static void step_open(void)
{
	static const uint32_t access[] = { O_RDONLY, O_WRONLY, O_RDWR };
	const struct fuse_open_in in = { .flags = access[any(3)] };
	bool dir = !any(4);
	const struct fuse_open_in plain = { 0 };
	struct args x = args_of(dir ? &plain : &in, sizeof(in), NULL, NULL, sizeof(struct fuse_open_out));
	unsigned n = pick(dir ? S_IFDIR : S_IFREG);

	/* Linux opens nothing else. */
	if (open_files() == OPEN || nodes[n].type != (dir ? S_IFDIR : S_IFREG))
		return;
	both(dir ? FUSE_OPENDIR : FUSE_OPEN, n, &x);
	if (!err[FSD])
		remember_handle(n, ((const struct fuse_open_out *)answer[FSD])->fh,
				((const struct fuse_open_out *)answer[OTHER])->fh);
}

static void on_handle(uint32_t opcode, int h, struct args *x, size_t fh_at)
{
	x->fh_at = (int)fh_at;
	x->handle = (unsigned)h;
	both(opcode, handles[h].node, x);
}

static void step_release(void)
{
	const struct fuse_release_in in = { 0 };
	struct args x = args_of(&in, sizeof(in), NULL, NULL, 0);
	bool dir = any(2);
	int h = pick_handle(dir ? S_IFDIR : S_IFREG);

	if (h < 0)
		return;
	on_handle(dir ? FUSE_RELEASEDIR : FUSE_RELEASE, h, &x, offsetof(struct fuse_release_in, fh));
	handles[h].used = false;
}

static void step_read(void)
{
	const struct fuse_read_in in = { .offset = any(SIZE), .size = any(SIZE) };
	struct args x = args_of(&in, sizeof(in), NULL, NULL, in.size);
	int h = pick_handle(S_IFREG);

	if (h < 0)
		return;
	on_handle(FUSE_READ, h, &x, offsetof(struct fuse_read_in, fh));
	SAME(err[FSD] || !memcmp(answer[FSD], answer[OTHER], answer_len[FSD]), "the content");
}

static void step_write(void)
{
	struct fuse_write_in in = { .offset = any(SIZE), .size = 1 + any(SIZE) };
	struct args x;
	int h = pick_handle(S_IFREG);

	if (h < 0)
		return;
	x = args_of(&in, sizeof(in), NULL, NULL, sizeof(struct fuse_write_out));
	memset(x.bytes + x.len, 'a' + (int)any(26), in.size);
	x.len += in.size;
	on_handle(FUSE_WRITE, h, &x, offsetof(struct fuse_write_in, fh));
	SAME(err[FSD] || !memcmp(answer[FSD], answer[OTHER], 4), "the number of bytes written");
}

static void step_odd(void)
{
	const struct fuse_fallocate_in allocate = { .offset = any(SIZE), .length = 1 + any(SIZE) };
	const struct fuse_lseek_in seek = { .offset = any(SIZE), .whence = any(2) ? SEEK_DATA : SEEK_HOLE };
	const struct fuse_fsync_in sync = { 0 };
	struct args x;
	int h = pick_handle(S_IFREG);
	unsigned what = any(4), n = pick(S_IFLNK);

	if (what == 3) {
		x = args_of(NULL, 0, NULL, NULL, 4096);
		if (nodes[n].type != S_IFLNK)
			return;
		both(FUSE_READLINK, n, &x);
		SAME(err[FSD] || !memcmp(answer[FSD], answer[OTHER], answer_len[FSD]), "the link's target");
	} else if (h >= 0 && what == 0) {
		x = args_of(&allocate, sizeof(allocate), NULL, NULL, 0);
		on_handle(FUSE_FALLOCATE, h, &x, offsetof(struct fuse_fallocate_in, fh));
	} else if (h >= 0 && what == 1) {
		x = args_of(&seek, sizeof(seek), NULL, NULL, sizeof(struct fuse_lseek_out));
		on_handle(FUSE_LSEEK, h, &x, offsetof(struct fuse_lseek_in, fh));
		SAME(err[FSD] || !memcmp(answer[FSD], answer[OTHER], 8), "the place of data or of a hole");
	} else if (h >= 0) {
		x = args_of(&sync, sizeof(sync), NULL, NULL, 0);
		on_handle(FUSE_FSYNC, h, &x, offsetof(struct fuse_fsync_in, fh));
	}
}

/* Bit i: there is a file "n<i>"; bit 32: ".", 33: "..", 40: the others that make_tree() has made. */
static uint64_t listing(enum side s)
{
	uint64_t set = 0;

	for (uint32_t at = 0; at + FUSE_NAME_OFFSET <= answer_len[s];) {
		const struct fuse_dirent *e = (const void *)(answer[s] + at);
		uint64_t bit = e->name[0] == 'n' && e->namelen == 2   ? 1ull << ((e->name[1] - '0') & 31)
			       : e->namelen <= 2 && e->name[0] == '.' ? 1ull << (31 + e->namelen)
								      : 1ull << 40;

		SAME(bit == 1ull << 40 || !(set & bit), "%s lists %.*s twice", side_name[s], (int)e->namelen, e->name);
		set |= bit;
		at += (uint32_t)FUSE_DIRENT_SIZE(e);
	}
	return set;
}

static void step_readdir(void)
{
	const struct fuse_read_in in = { .size = 4096 };
	struct args x = args_of(&in, sizeof(in), NULL, NULL, in.size);
	int h = pick_handle(S_IFDIR);

	if (h < 0)
		return;
	on_handle(FUSE_READDIR, h, &x, offsetof(struct fuse_read_in, fh));
	SAME(err[FSD] || listing(FSD) == listing(OTHER), "the directory's names: %llx, %llx",
	     (unsigned long long)listing(FSD), (unsigned long long)listing(OTHER));
}

/* The client's kernel drops a file that has no name and is not open. */
static void step_forget(void)
{
	unsigned n = 1 + any(nnodes);

	if (n >= nnodes || !nodes[n].type)
		return;
	for (unsigned i = 0; i < NODES; i++)
		if (names[i].used && (names[i].node == n || names[i].dir == n))
			return;
	for (unsigned i = 0; i < OPEN; i++)
		if (handles[i].used && handles[i].node == n)
			return;
	for (enum side s = FSD; s < SIDES; s++) {
		w = worlds[s];
		forget(nodes[n].id[s], nodes[n].lookups);
		worlds[s] = w;
	}
	nodes[n].type = 0;
	nodes[n].lookups = 0;
}

static void one_stream(void)
{
	static void (*const steps[])(void) = { step_lookup, step_lookup,  step_getattr, step_setattr, step_make,
					       step_make,   step_link,	  step_remove,	step_rename,  step_open,
					       step_open,   step_release, step_read,	step_write,   step_write,
					       step_odd,    step_readdir, step_forget };

	state = seed * 0x9e3779b97f4a7c15ull | 1;
	start_both();
	for (step = 0; step < STEPS; step++)
		steps[any(ARRAY_SIZE(steps))]();
	stop_both();
}

static void compare_streams(void)
{
	const char *many = getenv("FSD_STREAMS");
	uint64_t streams = many ? strtoull(many, NULL, 10) : 2;

	if (access(VIRTIOFSD, X_OK) != 0 || geteuid() != 0) {
		print_message("skipped: needs root and %s (package qemu-system-common of Debian 12)\n", VIRTIOFSD);
		skip();
	}
	for (seed = 1; seed <= streams; seed++)
		one_stream();
}

static void same_answers(void **s)
{
	(void)s;
	compare_streams();
}

/* With so few descriptors for files that files become idle all the time. */
static void same_answers_if_files_are_idle(void **s)
{
	(void)s;
	node_fds = FEW_NODE_FDS;
	compare_streams();
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(same_answers),
					    cmocka_unit_test(same_answers_if_files_are_idle) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
