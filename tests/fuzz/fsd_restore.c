/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz: the tables that a killed fsd leaves for its successor (fsd/restore.h), on a small tree. Each four bytes of the
 * input change one byte of the tables: a place in one of their parts, and the value. There is a checkpoint, which the
 * guest has changed since. Afterwards each file and handle that the successor has kept must be what it says, also if the
 * guest goes back to the checkpoint; each count must be right, no place for a name is used twice, and no descriptor is
 * lost.
 */
#include "tests/fuzz/fsd_tables.h"

#define POKES_MAX 64

static struct node *know(struct node *parent, const char *name)
{
	struct fuse_entry_out e;
	struct node *n;

	PROMISE(fsd_lookup(&device, parent, name, &e) == 0);
	n = node_get(&device.nodes, e.nodeid);
	PROMISE(n);
	return n;
}

static struct handle *open_it(struct node *n)
{
	int fd = fsd_open(&device, n, O_RDONLY);
	uint64_t fh = fd < 0 ? 0 : handle_add(&device.nodes, n, fd, O_RDONLY);

	PROMISE(fh);
	return handle_get(&device.nodes, fh, n);
}

static void first_process(void)
{
	struct nodes *t = &device.nodes;
	struct node *inner, *deep, *sub, *leaf;
	struct handle *h;

	begin(0);
	/* Free entries of both tables, too */
	leaf = know(&t->node[NODE_ROOT], "link");
	handle_close(t, open_it(&t->node[NODE_ROOT]));
	sub = know(&t->node[NODE_ROOT], "dir");
	inner = know(sub, "inner");
	deep = know(sub, "deep");
	node_put(t, leaf, 1);
	leaf = know(deep, "leaf");
	h = open_it(leaf);
	past_keep(t, true);
	handle_close(t, h);
	node_put(t, leaf, 1);
	open_it(know(&t->node[NODE_ROOT], "file"));
	know(&t->node[NODE_ROOT], "link");
	/* Its name has another place than at the checkpoint. */
	PROMISE(node_rename(t, inner, sub, "inner"));
	open_it(inner);
	open_it(sub);
	end();
}

/* Change the tables as @in says. */
static void poke(struct input *in)
{
	uint8_t *at = mmap(NULL, fs_tables_bytes(INODES, true), PROT_READ | PROT_WRITE, MAP_SHARED, HFD_NODES, 0);
	const uint32_t handles = FSD_KEPT_BYTES, nodes = handles + (FSD_HANDLES + 1) * FSD_HANDLE_BYTES,
		       names = nodes + (INODES + 1) * FSD_NODE_BYTES, past = names + (INODES + 1) * FSD_NAME_BYTES,
		       past_entries = (INODES + 1) * (FSD_PAST_NODE_BYTES + FSD_PAST_ENTRY_BYTES);
	const struct {
		uint32_t from, bytes;
	} part[] = { { 0, sizeof(struct nodes_kept) },
		     { handles, 8 * FSD_HANDLE_BYTES },
		     { nodes, (INODES + 1) * FSD_NODE_BYTES },
		     { names, (INODES + 1) * FSD_NAME_BYTES },
		     { offsetof(struct nodes_kept, past), sizeof(struct past_tables) },
		     { past, past_entries },
		     { past + past_entries, 8 * FSD_PAST_ENTRY_BYTES } };

	PROMISE(at != MAP_FAILED);
	for (unsigned n = 0; n < POKES_MAX && left(in) >= 4; n++) {
		unsigned which = take8(in) % ARRAY_SIZE(part);
		uint32_t place = take16(in) % part[which].bytes;

		at[part[which].from + place] = take8(in);
	}
	munmap(at, fs_tables_bytes(INODES, true));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, data + size };
	struct fuse_entry_out e;

	if (!before)
		prepare();
	first_process();
	poke(&in);
	begin(1);
	fsd_restore(&device);
	check();
	/* The guest goes on. */
	if (fsd_lookup(&device, &device.nodes.node[NODE_ROOT], "file", &e) == 0)
		PROMISE(node_get(&device.nodes, e.nodeid) && S_ISREG(e.attr.mode));
	check();
	if (past_return(&device.nodes, &device.ready)) {
		check();
		/* The lists of free entries: each is found once, and no other. */
		while (handle_add(&device.nodes, &device.nodes.node[NODE_ROOT], -1, O_RDONLY))
			;
		PROMISE(past_return(&device.nodes, &device.ready));
		check();
	}
	nodes_clear(&device.nodes);
	past_keep(&device.nodes, true);
	PROMISE(device.nodes.used == 1);
	end();
	PROMISE(descriptors() == before);
	return 0;
}
