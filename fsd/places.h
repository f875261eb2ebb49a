/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The memory for the names of nodes (nodes.h): places of 1, 2, 4, 8 or 16 units of 16 bytes. A free place is on the list
 * of its class. All of it outlives the process with the tables; a successor first claims the place of each node, so that
 * no two share one, and then frees the rest.
 */
#ifndef FSD_PLACES_H
#define FSD_PLACES_H

#include <stdatomic.h>

#include "fsd/nodes.h"

/* What the process has written so far to the tables stays in this order if it is killed. */
static inline void nodes_step(void)
{
	atomic_signal_fence(memory_order_seq_cst);
}

/* Store @name in a free place. Returns the value for struct node, or 0 if the name is too long or there is no place. */
uint32_t place_take(struct nodes *t, const char *name);
/* Free the place of @name, a value of struct node; 0, or one that is no place: do nothing. */
void place_drop(struct nodes *t, uint32_t name);

/* The name of @n, with a NUL. */
const char *node_name(const struct nodes *t, const struct node *n);
/* True if @name, in @room bytes, is a name that a directory's entry can have. */
bool name_valid(const char *name, size_t room);
/* True if the name of @n is one, in a place inside the memory for names. */
bool node_name_valid(const struct nodes *t, const struct node *n);

/* Bytes of struct nodes' member claimed, for tables of @limit nodes. */
uint64_t places_bitmap_bytes(uint32_t limit);
/* Begin without any place in use. */
void places_forget(struct nodes *t);
/* Claim the place of @n. Returns false if its name is not valid or its place overlaps one that is claimed. */
bool place_claim(struct nodes *t, const struct node *n);
/* Free all places that nobody has claimed. */
void places_free_rest(struct nodes *t);

#endif
