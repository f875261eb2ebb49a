/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The work for one request with files that are idle (fsd/idle.h) is bounded, however many there are and wherever. */
#define INODES 8192
#include "fsd/files.h"
#include "fsd/idle.h"
#include "tests/unit/fsd_rig.h"

/* Most files with a descriptor. */
#define FEW 16
/* More directories, each in the one before, than are opened for one request; half of them are fewer. */
#define DEPTH 5000

/* In a process of its own: the device without its loop, and a chain of directories that are all idle but the root. */
static int in_a_deep_tree(void)
{
	const struct fs_config c = { .request_queues = 1, .inodes = INODES, .open = FEW };
	struct nodes *t = &device.nodes;
	struct node *dir = NULL;
	struct fuse_entry_out e;
	int at = open(w.dir, O_PATH), next;

	if (dup2(at, HFD_ROOT) != HFD_ROOT || fsd_init(&device, &c, 0, (char[LOG_LINE_MAX]){ 0 }, LOG_LINE_MAX) < 0)
		return 1;
	for (unsigned i = 0; i < DEPTH; i++) {
		if (mkdirat(at, "d", 0700) < 0 || (next = openat(at, "d", O_PATH)) < 0)
			return 2;
		close(at);
		at = next;
		if (fsd_lookup(&device, dir ? dir : &t->node[NODE_ROOT], "d", &e) < 0)
			return 3;
		if (dir)
			node_close_fd(t, dir);
		dir = node_get(t, e.nodeid);
	}
	node_close_fd(t, dir);
	/* All of them are found by their inode numbers. */
	if (fsd_lookup(&device, &t->node[NODE_ROOT], "d", &e) < 0 || t->used != DEPTH + 1)
		return 6;
	device.work = 0;
	if (fsd_fd(&device, dir) != -ENFILE)
		return 4;
	for (unsigned i = 0; i < DEPTH / 2; i++)
		dir = node_parent(t, dir);
	device.work = 0;
	return fsd_fd(&device, dir) < 0 ? 5 : 0;
}

/* The same among many idle files: for every other file that is looked up, the clock hand passes all of them. */
static int among_idle_files(void)
{
	const struct fs_config c = { .request_queues = 1, .inodes = INODES, .open = FEW };
	struct nodes *t = &device.nodes;
	struct fuse_entry_out e;
	int at = open(w.dir, O_PATH), err = 0;
	char name[16];
	unsigned n;

	if (dup2(at, HFD_ROOT) != HFD_ROOT || fsd_init(&device, &c, 0, (char[LOG_LINE_MAX]){ 0 }, LOG_LINE_MAX) < 0)
		return 1;
	for (uint64_t ino = 1; ino <= DEPTH; ino++, t->idle++)
		if (!node_add(t, &t->node[NODE_ROOT], "idle", NODE_IDLE, UINT64_MAX - 1, ino, S_IFREG))
			return 2;
	device.work = 0;
	for (n = 0; n < INODES - DEPTH - 1 && !err; n++) {
		snprintf(name, sizeof(name), "%u", n);
		close(openat(at, name, O_WRONLY | O_CREAT, 0600));
		t->hand = t->kept->fresh - 1;
		err = fsd_lookup(&device, &t->node[NODE_ROOT], name, &e);
	}
	return err == -ENFILE && n > 1000 && n < 2000 ? 0 : 3;
}

/* @in_child returns 0 in a process of its own. */
static void is_bounded(int (*in_child)(void))
{
	char command[80];
	int status;
	pid_t pid;

	share_in_memory();
	pid = fork();
	if (!pid)
		_exit(in_child());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	snprintf(command, sizeof(command), "rm -rf %s", w.dir);
	assert_int_equal(system(command), 0);
	assert_int_equal(status, 0);
}

/* How many files are opened for one request is bounded, however deep the tree is; and so is the search for idle ones. */
static void the_work_of_a_request_is_bounded(void **state)
{
	(void)state;
	is_bounded(in_a_deep_tree);
	is_bounded(among_idle_files);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test_setup(the_work_of_a_request_is_bounded, fresh) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
