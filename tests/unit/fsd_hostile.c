/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The file system device against a hostile guest: numbers, names and chains that no Linux sends, and a tree that the
 * host changes meanwhile. */
#include "fsd/files.h"
#include "fsd/places.h"
#include "tests/unit/fsd_rig.h"

/* Offer the bytes of @h and then @extra bytes with @room to reply in, on queue @q. */
static bool raw(unsigned q, struct fuse_in_header h, uint32_t extra, uint32_t room)
{
	memcpy(front_ptr(&w.f, IN_AT), &h, sizeof(h));
	return send_chain(q, (uint32_t)sizeof(h) + extra, room);
}

/* After a fault: as a driver does that resets the queue. */
static void restart_queue(void)
{
	assert_true(front_queue_stop(&w.f.q[1]) >= 0);
	start_queue(1);
}

static void chains_of_no_request_stop_the_queue(void **state)
{
	const struct fuse_in_header good = { .len = sizeof(good), .opcode = FUSE_STATFS, .nodeid = 1 };
	struct fuse_in_header h = good;

	(void)state;
	begin();
	assert_int_equal(init(), 0);
	assert_true(raw(1, good, 0, 256));
	/* A header that is cut, that claims less than itself or more than the chain has, and no room for a reply. */
	assert_false(send_chain(1, sizeof(h) - 1, 256));
	restart_queue();
	h.len = sizeof(h) - 1;
	assert_false(raw(1, h, 0, 256));
	restart_queue();
	h.len = sizeof(h) + 9;
	assert_false(raw(1, h, 8, 256));
	restart_queue();
	assert_false(raw(1, good, 0, 0));
	restart_queue();
	assert_false(raw(1, good, 0, sizeof(struct fuse_out_header) - 1));
	restart_queue();
	/* The other queue has worked meanwhile, and works. */
	assert_true(raw(0, good, 0, 256));
	assert_true(raw(1, good, 0, 256));
	assert_int_equal(stats().faults, 5);
}

/* A queue that has stopped takes no other with it, and the driver may start it again; there is no queue behind the last. */
static void each_queue_stops_alone(void **state)
{
	const struct fuse_in_header good = { .len = sizeof(good), .opcode = FUSE_STATFS, .nodeid = 1 };

	(void)state;
	w.queues = 3;
	begin();
	assert_int_equal(init(), 0);
	for (unsigned broken = 0; broken < FS_URGENT_QUEUES + w.queues; broken++) {
		assert_false(send_chain(broken, sizeof(good) - 1, 256));
		for (unsigned q = 0; q < FS_URGENT_QUEUES + w.queues; q++)
			assert_true(q == broken || raw(q, good, 0, 256));
		assert_true(front_queue_stop(&w.f.q[broken]) >= 0);
		start_queue(broken);
		assert_true(raw(broken, good, 0, 256));
	}
	assert_int_equal(stats().faults, FS_URGENT_QUEUES + w.queues);
	assert_false(front_queue_start(front_queue(&w.f, FS_URGENT_QUEUES + w.queues, 128, RINGS_AT)));
	assert_true(raw(1, good, 0, 256));
}

/* Arguments that are cut, and replies for which there is too little room. */
static void short_requests_are_errors(void **state)
{
	static const uint32_t opcodes[] = { FUSE_INIT,	      FUSE_GETATTR,    FUSE_OPEN,    FUSE_READ,
					    FUSE_RELEASE,     FUSE_LSEEK,      FUSE_OPENDIR, FUSE_READDIR,
					    FUSE_READDIRPLUS, FUSE_RELEASEDIR, FUSE_LOOKUP };
	uint8_t args[64] = { 0 };
	int64_t node, fh;

	(void)state;
	begin();
	assert_int_equal(init(), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(opcodes); i++)
		assert_int_equal(ask(opcodes[i], 1, args, 0, 256), -EINVAL);
	node = look(1, "file");
	assert_int_equal(ask(FUSE_LOOKUP, 1, "file", 5, 4), -ERANGE);
	assert_int_equal(ask(FUSE_STATFS, 1, NULL, 0, 8), -ERANGE);
	/* What the guest never got is not kept open for it. */
	for (unsigned i = 0; i < 3 * FSD_HANDLES; i++)
		assert_int_equal(ask(FUSE_OPEN, (uint64_t)node, args, sizeof(struct fuse_open_in), 8), -ERANGE);
	fh = open_node(FUSE_OPEN, (uint64_t)node, O_RDONLY);
	assert_true(fh > 0);
	/* A read never writes past the room that there is. */
	memset(front_ptr(&w.f, OUT_AT), 0, 4096);
	{
		const struct fuse_read_in in = { .fh = (uint64_t)fh, .size = UINT32_MAX };

		assert_int_equal(ask(FUSE_READ, (uint64_t)node, &in, sizeof(in), 2), 0);
		assert_int_equal(reply_len(), 2);
		assert_memory_equal(reply(), "he\xee", 3);
	}
	assert_int_equal(read_node(FUSE_READ, (uint64_t)node, (uint64_t)fh, UINT64_MAX, 1), -EINVAL);
	assert_int_equal(read_node(FUSE_READ, (uint64_t)node, (uint64_t)fh, INT64_MAX, 1), -EINVAL);
}

static void names_lead_nowhere_else(void **state)
{
	static const char *const bad[] = { ".", "..", "dir/inner", "/", "/etc", "../etc", "" };
	char longest[300];

	(void)state;
	begin();
	assert_int_equal(init(), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(look(1, bad[i]), -EINVAL);
	/* Without its NUL, with another NUL, and with more after it. */
	assert_int_equal(ask(FUSE_LOOKUP, 1, "file", 4, 256), -EINVAL);
	assert_int_equal(ask(FUSE_LOOKUP, 1, "fi\0le", 6, 256), -EINVAL);
	assert_int_equal(ask(FUSE_LOOKUP, 1, "file\0file", 10, 256), -EINVAL);
	memset(longest, 'x', sizeof(longest));
	longest[255] = '\0';
	assert_int_equal(look(1, longest), 0);
	longest[255] = 'x';
	longest[256] = '\0';
	assert_int_equal(look(1, longest), -ENAMETOOLONG);
	assert_int_equal(ask(FUSE_LOOKUP, 1, longest, sizeof(longest), 256), -ENAMETOOLONG);
}

static void numbers_that_were_never_given_out(void **state)
{
	const struct fuse_getattr_in ga = { 0 };
	int64_t node, fh, other;

	(void)state;
	begin();
	assert_int_equal(init(), 0);
	node = look(1, "file");
	fh = open_node(FUSE_OPEN, (uint64_t)node, O_RDONLY);
	other = look(1, "dir");
	for (unsigned bit = 0; bit < 64; bit++) {
		uint64_t id = (uint64_t)node ^ BIT64(bit);
		int err = ask(FUSE_GETATTR, id, &ga, sizeof(ga), 256);

		assert_true(id == 1 || id == (uint64_t)other ? err == 0 : err == -ESTALE);
		assert_int_equal(read_node(FUSE_READ, (uint64_t)node, (uint64_t)fh ^ BIT64(bit), 0, 8), -EBADF);
	}
	assert_int_equal(ask(FUSE_GETATTR, 0, &ga, sizeof(ga), 256), -ESTALE);
	assert_int_equal(ask(FUSE_GETATTR, UINT64_MAX, &ga, sizeof(ga), 256), -ESTALE);
	/* A handle of another file, and of another kind. */
	assert_int_equal(read_node(FUSE_READ, (uint64_t)other, (uint64_t)fh, 0, 8), -EBADF);
	assert_int_equal(read_node(FUSE_READDIR, (uint64_t)node, (uint64_t)fh, 0, 4096), -EINVAL);
	/* A number is not valid again when its entry is. */
	assert_int_equal(release(FUSE_RELEASE, (uint64_t)node, (uint64_t)fh), 0);
	assert_true(open_node(FUSE_OPEN, (uint64_t)node, O_RDONLY) != fh);
	assert_int_equal(release(FUSE_RELEASE, (uint64_t)node, (uint64_t)fh), -EBADF);
}

static void forgetting_is_counted(void **state)
{
	const struct fuse_getattr_in ga = { 0 };
	struct {
		struct fuse_in_header h;
		struct fuse_batch_forget_in in;
		struct fuse_forget_one one[3];
	} batch = { .h = { .len = sizeof(batch), .opcode = FUSE_BATCH_FORGET }, .in = { .count = UINT32_MAX } };
	int64_t file, dir, inner;

	(void)state;
	begin();
	assert_int_equal(init(), 0);
	file = look(1, "file");
	look(1, "file");
	forget((uint64_t)file, 1);
	assert_int_equal(ask(FUSE_GETATTR, (uint64_t)file, &ga, sizeof(ga), 256), 0);
	/* More than there are; and again. */
	forget((uint64_t)file, UINT64_MAX);
	assert_int_equal(ask(FUSE_GETATTR, (uint64_t)file, &ga, sizeof(ga), 256), -ESTALE);
	forget((uint64_t)file, 1);
	forget(1, UINT64_MAX);
	assert_int_equal(ask(FUSE_GETATTR, 1, &ga, sizeof(ga), 256), 0);
	assert_true(look(1, "file") != file);
	/* A directory is kept as long as a file in it, and then goes with it. */
	dir = look(1, "dir");
	inner = look((uint64_t)dir, "inner");
	forget((uint64_t)dir, 1);
	assert_true(open_node(FUSE_OPEN, (uint64_t)inner, O_RDONLY) > 0);
	batch.one[0] = (struct fuse_forget_one){ (uint64_t)inner, 1 };
	batch.one[1] = (struct fuse_forget_one){ UINT64_MAX, UINT64_MAX };
	batch.one[2] = (struct fuse_forget_one){ (uint64_t)dir, 7 };
	memcpy(front_ptr(&w.f, IN_AT), &batch, sizeof(batch));
	assert_true(send_chain(0, sizeof(batch), 0));
	assert_int_equal(init(), 0);
	assert_int_equal(ask(FUSE_GETATTR, (uint64_t)dir, &ga, sizeof(ga), 256), -ESTALE);
	assert_int_equal(ask(FUSE_GETATTR, (uint64_t)inner, &ga, sizeof(ga), 256), -ESTALE);
}

static void full_tables_are_errors(void **state)
{
	int64_t first = 0, node, fh;
	char name[32];
	unsigned i;

	(void)state;
	begin();
	for (i = 0; i < INODES + 8; i++) {
		snprintf(name, sizeof(name), "many-%u", i);
		put_file(name, "x");
	}
	assert_int_equal(init(), 0);
	for (i = 0; i < INODES + 8; i++) {
		snprintf(name, sizeof(name), "many-%u", i);
		node = look(1, name);
		if (node < 0)
			break;
		first = first ? first : node;
	}
	/* The root has a place as well. */
	assert_int_equal(i, INODES - 1);
	assert_int_equal(node, -ENFILE);
	assert_true(look(1, "many-0") == first);
	forget((uint64_t)first, 2);
	assert_true(look(1, name) > 0);
	node = look(1, "many-1");
	for (i = 0; i <= FSD_HANDLES; i++) {
		fh = open_node(FUSE_OPEN, (uint64_t)node, O_RDONLY);
		if (fh < 0)
			break;
	}
	assert_true(fh == -ENFILE && i > 0 && i <= FSD_HANDLES);
	/* A new mount begins with empty tables. */
	assert_int_equal(init(), 0);
	node = look(1, "many-2");
	assert_true(node > 0 && open_node(FUSE_OPEN, (uint64_t)node, O_RDONLY) > 0);
}

/* The host replaces files under the guest: the guest gets the file that it looked up, or none. */
static void the_host_renames(void **state)
{
	int64_t node, dir, inner;

	(void)state;
	begin();
	assert_int_equal(init(), 0);
	node = look(1, "file");
	assert_int_equal(rename(path_of("dir/inner"), path_of("file")), 0);
	assert_int_equal(open_node(FUSE_OPEN, (uint64_t)node, O_RDONLY), -ESTALE);
	/* A FIFO in the file's place is not waited for. */
	assert_int_equal(rename(path_of("fifo"), path_of("file")), 0);
	assert_int_equal(open_node(FUSE_OPEN, (uint64_t)node, O_RDONLY), -ESTALE);
	node = look(1, "file");
	assert_int_equal(open_node(FUSE_OPEN, (uint64_t)node, O_RDONLY), -EOPNOTSUPP);
	/* A link in its place is not followed. */
	put_file("dir/inner", "new");
	dir = look(1, "dir");
	inner = look((uint64_t)dir, "inner");
	assert_int_equal(unlink(path_of("dir/inner")), 0);
	assert_int_equal(symlink("/etc/passwd", path_of("dir/inner")), 0);
	assert_int_equal(open_node(FUSE_OPEN, (uint64_t)inner, O_RDONLY), -ESTALE);
	/* Nor is one in the place of a directory. */
	assert_int_equal(rename(path_of("dir"), path_of("moved")), 0);
	assert_int_equal(symlink("/etc", path_of("dir")), 0);
	assert_true(look((uint64_t)dir, "inner") > 0);
	assert_true(look(1, "dir") != dir);
	assert_int_equal(look((uint64_t)look(1, "dir"), "passwd"), -ENOTDIR);
	/* A directory that was removed has no files. */
	assert_int_equal(unlink(path_of("moved/inner")) | rmdir(path_of("moved")), 0);
	assert_int_equal(look((uint64_t)dir, "inner"), 0);
}

/* File systems of the host may have names of more than 255 bytes: the guest sees such a file, but cannot open it. */
static void names_that_are_too_long_for_the_tables(void **state)
{
	static struct fsd d;
	struct fuse_entry_out e;
	struct node *root, *n;
	uint8_t *names;
	char name[1025];

	(void)state;
	assert_int_equal(nodes_make(&d.nodes, 8, false, 1, -1), 0);
	nodes_set_root(&d.nodes, open("/", O_PATH), 1, 1);
	root = &d.nodes.node[NODE_ROOT];
	n = node_add(&d.nodes, root, "short", -1, 1, 2, S_IFREG);
	names = d.nodes.names;
	for (size_t len = 255; len < sizeof(name); len++) {
		uint32_t used = d.nodes.used, fresh = d.nodes.kept->names_fresh;

		memset(name, 'x', len);
		name[len] = '\0';
		if (len == 255) {
			node_found(&d.nodes, n, root, name);
			assert_string_equal(node_name(&d.nodes, n), name);
			continue;
		}
		assert_int_equal(fsd_lookup(&d, root, name, &e), -ENAMETOOLONG);
		assert_null(node_add(&d.nodes, root, name, -1, 1, 3, S_IFREG));
		node_found(&d.nodes, n, root, name);
		assert_int_equal(strlen(node_name(&d.nodes, n)), 255);
		assert_int_equal(d.nodes.used, used);
		assert_int_equal(d.nodes.kept->names_fresh, fresh);
	}
	assert_ptr_equal(d.nodes.names, names);
	assert_int_equal(d.nodes.first_count, 1u << 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(chains_of_no_request_stop_the_queue),
		T(each_queue_stops_alone),
		T(short_requests_are_errors),
		T(names_lead_nowhere_else),
		T(numbers_that_were_never_given_out),
		T(forgetting_is_counted),
		T(full_tables_are_errors),
		T(the_host_renames),
		T(names_that_are_too_long_for_the_tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
