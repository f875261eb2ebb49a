/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * --checkpoint: the tables of nodes.h as they were at the checkpoint, to which the guest can go back. They are in the
 * memory that outlives the process, so that its successor can do that, too.
 *
 * A node or handle of the checkpoint is not freed before the next one: if the guest forgets or closes it, it keeps its
 * entry, its place for a name, and its descriptor as any other does. To go back, what is new is freed, and of each node
 * that has changed a few numbers return; so do the lists of free entries, in case the guest counts how often numbers
 * are reused. Nothing is opened.
 */
#ifndef FSD_PAST_H
#define FSD_PAST_H

#include "fsd/nodes.h"

/* Keep the tables as those of a checkpoint. @ready: INIT was received. */
void past_keep(struct nodes *t, bool ready);
/* Return to the tables of the checkpoint, and *@ready. False if there is none. */
bool past_return(struct nodes *t, bool *ready);

/*
 * For restore.h, when the places of all nodes are claimed (places.h): claim those that nodes had at the checkpoint, if
 * these are others.
 */
void past_claim(struct nodes *t);
/* When all files are found: check what the predecessor has kept, and leave out what is lost. */
void past_check(struct nodes *t);

#endif
