/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The files and directories of the share that the guest's kernel knows (*nodes*), and those that it has
 * opened (*handles*). Both tables have a fixed size: their memory is mapped before confinement. A node keeps the name
 * under which it was found last, and an O_PATH descriptor as long as it is used now and then (idle.h). An
 * O_PATH descriptor cannot be opened for reading, so a file is opened by its name in its parent directory.
 *
 * Node and handle numbers come back from the guest. Each has a counter that changes when its entry is reused, so
 * that an old number is recognised.
 *
 * All of this except descriptors and hash buckets outlives the process if the supervisor lends memory for it: a
 * successor opens each file again by its name (restore.h). So every change of an entry leaves it valid or free at each
 * step, in case the process is killed in the middle. The guest may have taken over the process that wrote the
 * memory, so its successor checks every number in it before use. It holds no bool: other bytes than 0 and 1 may be in it.
 */
#ifndef FSD_NODES_H
#define FSD_NODES_H

#include <sys/stat.h>
#include <sys/types.h>

#include "common/fdtab.h"
#include "common/util.h"

/* FUSE's number of the root directory (FUSE_ROOT_ID). */
#define NODE_ROOT 1
/* Longest name in bytes, without a NUL (NAME_MAX). */
#define NODE_NAME_MAX 255
/* Sizes of the places for names: 16, 32, 64, 128, 256 bytes. */
#define NAME_CLASSES 5
/* Bytes that a file which the guest made counts in addition to its content. */
#define NODE_COST 4096
/* The nodes of so many last uses keep their descriptors in any case. */
#define NODES_HELD 4

/* Values of struct node's member fd that are no descriptors. */
enum node_fd {
	NODE_MOUNT = -1,   /* A mount point, shown as empty */
	NODE_IDLE = -2,	   /* Its descriptor is closed, and opened again by its name */
	NODE_GONE = -3,	   /* Its file is lost */
	NODE_PENDING = -4, /* restore.h: it has yet to be found */
	NODE_WAY = -5,	   /* This or less: node_climb() went past it */
};

/* Bits of struct node's member state. */
enum node_state {
	NODE_USED = 1,	   /* Since the clock hand of idle.h passed it last */
	NODE_NAMELESS = 2, /* It was not found under its name when its descriptor was to be closed */
};

struct node {
	uint64_t dev, ino;
	uint64_t lookups; /* References of the guest's kernel: lookups minus forgets */
	int fd;		  /* O_PATH, or one of enum node_fd */
	uint32_t parent;  /* Index of the directory in which it was found last */
	uint32_t uses;	  /* Nodes whose parent this is, and its handles */
	uint32_t next;	  /* Next node in its bucket, or in the list of free entries; 0: none */
	uint32_t name;	  /* Place of its name in units of 16 bytes, times 8, plus the class of the place; 0: none */
	uint32_t count;	  /* Upper half of its number */
	mode_t type;	  /* S_IFMT bits of its mode; 0: the entry is free */
	uint8_t made;	  /* Not 0: this guest made the file, since when this is its node */
	uint8_t state;	  /* Bits of enum node_state */
	uint16_t handles; /* Its handles */
};

struct handle {
	int fd;	       /* -1: free, or the content of a mount point */
	uint32_t node; /* Index of its node; 0: the entry is free */
	uint32_t count;
	uint32_t next; /* In the list of free entries */
	off_t at;      /* Directory: offset after the last getdents64() */
	int access;    /* O_RDONLY, O_WRONLY or O_RDWR */
	/* Not 0: the guest has closed it, but it was open at the checkpoint (past.h), to which the guest may go back */
	uint32_t closed;
};

/* --checkpoint: what an entry of either table was then. */
struct past_entry {
	uint32_t used;	/* Not 0: it was in use. It is not freed before the next checkpoint. */
	uint32_t count; /* As now, if it was in use */
	uint32_t next;	/* In the list of free entries, if it was free */
	uint32_t mark;	/* past.c: set while a predecessor's tables are checked */
};

/* The same, in addition, of a node that was in use. Its file cannot change. */
struct past_node {
	uint64_t lookups;
	uint32_t parent, name;
};

/* The same of the tables. There is a checkpoint if @fresh is not 0. */
struct past_tables {
	uint32_t fresh, free, handles_fresh, handles_free;
	uint32_t ready; /* Not 0: INIT had been received */
};

/* The rename that was begun last: the directories by their index, and the names in them. */
struct moving {
	uint64_t unique;   /* FUSE's number of the request */
	uint32_t queue;	   /* Its queue */
	uint32_t from, to; /* 0: none */
	char name[NODE_NAME_MAX + 1], new_name[NODE_NAME_MAX + 1];
};

/* What the tables need in addition to their entries, in the same memory. */
struct nodes_kept {
	uint32_t made_for;		   /* Limit of the tables behind it; 0: not made yet */
	uint32_t fresh;			   /* First node never used */
	uint32_t handles_fresh;		   /* First handle never used */
	uint32_t names_fresh;		   /* First place never used, in units of 16 bytes */
	uint32_t names_free[NAME_CLASSES]; /* Lists of free places; 0: empty. The first word of each is the next */
	/* For each queue, FUSE's number of the request that changes the share, or did so last */
	uint64_t changing[MAX_QUEUES];
	/* For each queue, the same number if that request is a rename which was done; otherwise 0 */
	uint64_t moved[MAX_QUEUES];
	struct moving moving;
	struct past_tables past;
};

struct nodes {
	uint32_t limit;	       /* Most nodes, including the root */
	uint32_t used;	       /* Nodes in use */
	uint32_t open;	       /* Nodes with a descriptor */
	uint32_t idle;	       /* Nodes that are NODE_IDLE */
	uint32_t hand;	       /* idle.h: the node at the clock hand */
	uint32_t free;	       /* List of entries used before; 0: empty */
	uint32_t buckets;      /* Number of buckets in use, a power of two */
	uint32_t most_buckets; /* Number of buckets that there is memory for */
	uint32_t first_count;  /* Upper half of the first number of each entry */
	struct nodes_kept *kept;
	struct node *node; /* limit + 1 entries; entry 0 is unused */
	uint32_t *bucket;
	uint8_t *names;
	uint8_t *claimed; /* places.h: one bit for each unit of @names; only touched if there was a process before */
	/* Bytes of files that the guest made and that no longer exist; the user of the tables resets it. */
	uint64_t freed;
	uint32_t handles_free;
	struct handle *handle;	   /* FSD_HANDLES + 1 entries; entry 0 is unused */
	uint32_t held[NODES_HELD]; /* Indices of the nodes of the last uses */
	unsigned held_next;	   /* Number of uses so far */

	/* With --checkpoint, otherwise NULL: entries as they were, in the memory that outlives the process */
	struct past_entry *past, *past_handle;
	struct past_node *past_node;
	/* Each node that may differ from its past, once; @is_changed has their bits. @all_changed: any may. */
	uint32_t *changed, changes;
	uint8_t *is_changed;
	bool all_changed;
};

/*
 * Map tables for @limit nodes. @generation: number of processes that served this share before; numbers that they
 * gave out are valid only for entries that restore.h takes over. @checkpoint: for past.h, too. @fd: memory of
 * fs_tables_bytes() that outlives the process, or -1. Returns 0, or -1 with errno set.
 */
int nodes_make(struct nodes *t, uint32_t limit, bool checkpoint, uint32_t generation, int fd);
/* Set the root directory, whose descriptor the table then owns. */
void nodes_set_root(struct nodes *t, int fd, uint64_t dev, uint64_t ino);
/* Forget all nodes but the root, and close all handles. */
void nodes_clear(struct nodes *t);

/* The number of a node for the guest. */
uint64_t node_id(const struct nodes *t, const struct node *n);
/* The node with the number @id, or NULL. */
struct node *node_get(struct nodes *t, uint64_t id);
/* The parent of @n; the root is its own parent. */
struct node *node_parent(struct nodes *t, const struct node *n);
/* The node of this file, or NULL. */
struct node *node_find(const struct nodes *t, uint64_t dev, uint64_t ino);
/*
 * True if @st is that of the file of @n. If @n is idle, its inode number may be that of another file now, which is often
 * of another type.
 */
static inline bool node_is(const struct node *n, const struct stat *st)
{
	return st->st_dev == n->dev && st->st_ino == n->ino && (st->st_mode & S_IFMT) == n->type;
}
/* True if @n is a mount point, which has no descriptor and no content. */
static inline bool node_is_mount(const struct node *n)
{
	return n->fd == NODE_MOUNT;
}

/*
 * Add a node, found as @name in @parent, with no reference; node_put() frees it. The table owns @fd from now on.
 * Returns NULL if the table is full or the name too long, with @fd still open.
 */
struct node *node_add(struct nodes *t, struct node *parent, const char *name, int fd, uint64_t dev, uint64_t ino,
		      mode_t type);
/* The file @n was found as @name in @parent; a name that is too long changes nothing. */
void node_found(struct nodes *t, struct node *n, struct node *parent, const char *name);
/* The guest has one more reference to @n. */
void node_ref(struct nodes *t, struct node *n);
/* Drop @count references of the guest, at most as many as there are. Frees the node if nothing needs it. */
void node_put(struct nodes *t, struct node *n, uint64_t count);

/* The table owns @fd, the O_PATH descriptor of @n, which had none, from now on. */
void node_set_fd(struct nodes *t, struct node *n, int fd);
/* Close the descriptor of @n, which is idle afterwards. */
void node_close_fd(struct nodes *t, struct node *n);
/* Close the descriptor of @n, if it has one. Its file is lost: the table finds @n only by its own number. */
void node_gone(struct nodes *t, struct node *n);
/* @n is used: its descriptor stays open until after NODES_HELD more uses. */
void node_hold(struct nodes *t, struct node *n);
bool node_held(const struct nodes *t, const struct node *n);
/*
 * Climb from the node @index up to the first one whose fd is not @state. Returns the uppermost one that has it, or 0.
 * From there node_descend() leads to each on the way down to @index, then to 0; it gives each its @state back.
 */
uint32_t node_climb(struct nodes *t, uint32_t index, int state);
uint32_t node_descend(struct nodes *t, uint32_t index, int state);

/*
 * For restore.h: make @n, whose parent and name are valid, an entry again, with the descriptor @fd or NODE_IDLE; or free
 * it. Its number is then not valid any more.
 */
void node_keep(struct nodes *t, struct node *n, int fd);
void node_lose(struct nodes *t, struct node *n);
/* The same for a handle. */
void handle_lose(struct nodes *t, struct handle *h);
/* Move @n to @parent and @name, without a change of any count. Returns false if there is no place for the name. */
bool node_rename(struct nodes *t, struct node *n, const struct node *parent, const char *name);

/*
 * Store @fd (may be -1), opened with @access, in a handle for @n. Returns its number, or 0 if the table is full, with
 * @fd still open.
 */
uint64_t handle_add(struct nodes *t, struct node *n, int fd, int access);
/* The handle with the number @fh, if it belongs to @n; otherwise NULL. */
struct handle *handle_get(struct nodes *t, uint64_t fh, const struct node *n);
/*
 * Close a handle. Frees its node if nothing else needs it. One that was open at the checkpoint keeps its entry and
 * descriptor, but the guest cannot use it.
 */
void handle_close(struct nodes *t, struct handle *h);

/* True if the node or handle with this index was in use at the checkpoint. */
static inline bool node_is_past(const struct nodes *t, uint32_t index)
{
	return index < t->kept->past.fresh && t->past[index].used;
}
static inline bool handle_is_past(const struct nodes *t, uint32_t index)
{
	return index < t->kept->past.handles_fresh && t->past_handle[index].used;
}

#endif
