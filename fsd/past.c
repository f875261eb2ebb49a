/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tables at a checkpoint, see past.h. Runs in fsd, confined. Nothing here allocates; the only system call is
 * close(2). If the process is killed meanwhile, its successor does the same again.
 */
#include "fsd/past.h"
#include "fsd/places.h"

/*
 * The next node that may have changed, where *@at is 0 at first; 0: no more. Nodes that change in between are among
 * them.
 */
static uint32_t next_changed(const struct nodes *t, uint32_t *at)
{
	if (!t->all_changed)
		return *at < t->changes ? t->changed[(*at)++] : 0;
	*at = MAX(*at, NODE_ROOT) + 1;
	return *at < t->kept->fresh ? *at : 0;
}

static void forget_changes(struct nodes *t)
{
	for (uint32_t i = 0; i < t->changes; i++)
		t->is_changed[t->changed[i] / 8] = 0;
	t->changes = 0;
	t->all_changed = false;
}

/* ---- checkpoint ---- */

static void keep_handles(struct nodes *t)
{
	struct nodes_kept *k = t->kept;

	for (uint32_t i = 1; i < k->handles_fresh; i++)
		if (t->handle[i].node && t->handle[i].closed) {
			t->past_handle[i].used = 0;
			nodes_step();
			handle_close(t, &t->handle[i]);
		}
	for (uint32_t i = 1; i < k->handles_fresh; i++) {
		const struct handle *h = &t->handle[i];

		t->past_handle[i] = (struct past_entry){ .count = h->count, .next = h->next, .used = h->node != 0 };
	}
	k->past.handles_free = t->handles_free;
	k->past.handles_fresh = k->handles_fresh;
}

/* The node @i is no more one of the last checkpoint's. */
static void let_go(struct nodes *t, uint32_t i)
{
	if (!node_is_past(t, i))
		return;
	t->past[i].used = 0;
	nodes_step();
	if (t->past_node[i].name != t->node[i].name)
		place_drop(t, t->past_node[i].name);
}

static void keep_node(struct nodes *t, uint32_t i)
{
	const struct node *n = &t->node[i];

	t->past_node[i] = (struct past_node){ .lookups = n->lookups, .parent = n->parent, .name = n->name };
	nodes_step();
	t->past[i] = (struct past_entry){ .count = n->count, .next = n->next, .used = n->type != 0 };
}

void past_keep(struct nodes *t, bool ready)
{
	struct nodes_kept *k = t->kept;
	uint32_t i;

	if (!t->past)
		return;
	keep_handles(t);
	for (uint32_t at = 0; (i = next_changed(t, &at));) {
		let_go(t, i);
		if (t->node[i].type)
			node_put(t, &t->node[i], 0);
	}
	for (uint32_t at = 0; (i = next_changed(t, &at));)
		keep_node(t, i);
	k->past.ready = ready;
	k->past.free = t->free;
	k->past.fresh = k->fresh;
	forget_changes(t);
}

/* ---- back ---- */

static void return_handles(struct nodes *t)
{
	struct nodes_kept *k = t->kept;

	for (uint32_t i = 1; i < k->handles_fresh; i++) {
		struct handle *h = &t->handle[i];

		if (handle_is_past(t, i))
			h->closed = 0;
		else if (h->node)
			handle_close(t, h);
	}
	for (uint32_t i = 1; i < k->past.handles_fresh; i++)
		if (!t->past_handle[i].used) {
			t->handle[i].count = t->past_handle[i].count;
			t->handle[i].next = t->past_handle[i].next;
		}
	k->handles_fresh = k->past.handles_fresh;
	t->handles_free = k->past.handles_free;
}

/* @n gets the references, the parent and the name that it had. Its parent was in use as well. */
static void return_node(struct nodes *t, struct node *n, const struct past_node *p)
{
	uint32_t name = n->name;

	n->lookups = p->lookups;
	if (name == p->name && n->parent == p->parent)
		return;
	t->node[p->parent].uses++;
	t->node[n->parent].uses--;
	n->parent = p->parent;
	n->name = p->name;
	nodes_step();
	if (name != p->name)
		place_drop(t, name);
}

bool past_return(struct nodes *t, bool *ready)
{
	struct nodes_kept *k = t->kept;
	uint32_t i;

	if (!t->past || !k->past.fresh)
		return false;
	return_handles(t);
	for (uint32_t at = 0; (i = next_changed(t, &at));) {
		struct node *n = &t->node[i];

		if (node_is_past(t, i))
			return_node(t, n, &t->past_node[i]);
		else
			n->lookups = 0;
	}
	/* What is new is used only by what is new, which is freed here as well. */
	for (uint32_t at = 0; (i = next_changed(t, &at));)
		if (t->node[i].type)
			node_put(t, &t->node[i], 0);
	for (uint32_t at = 0; (i = next_changed(t, &at));)
		if (i < k->past.fresh && !t->past[i].used) {
			t->node[i].count = t->past[i].count;
			t->node[i].next = t->past[i].next;
		}
	t->free = k->past.free;
	k->fresh = k->past.fresh;
	*ready = k->past.ready;
	forget_changes(t);
	return true;
}

/* ---- after a restart ---- */

void past_claim(struct nodes *t)
{
	struct past_tables *p = &t->kept->past;

	p->fresh = MIN(p->fresh, t->kept->fresh);
	if (p->fresh <= NODE_ROOT)
		p->fresh = 0;
	p->handles_fresh = MAX(MIN(p->handles_fresh, t->kept->handles_fresh), 1);
	for (uint32_t i = NODE_ROOT + 1; i < p->fresh; i++) {
		const struct node at = { .name = t->past_node[i].name }, *n = &t->node[i];
		struct past_entry *e = &t->past[i];

		e->mark = 0;
		if (e->used && (!n->type || n->count != e->count))
			e->used = 0;
		if (!e->used || at.name == n->name)
			continue;
		e->mark = place_claim(t, &at);
		if (!e->mark)
			t->past_node[i].name = n->name;
	}
}

/* The node @i is lost: after a reset, the guest finds it no more than before. */
static void lose_node(struct nodes *t, uint32_t i)
{
	struct past_entry *e = &t->past[i];

	if (e->mark)
		place_drop(t, t->past_node[i].name);
	e->used = 0;
	e->count = t->node[i].count;
}

static bool is_past_or_root(const struct nodes *t, uint32_t i)
{
	return i == NODE_ROOT || (i > NODE_ROOT && node_is_past(t, i));
}

/*
 * Check the parents that the nodes had: where one is lost, or a directory would be below itself, the root takes its
 * place. Each node is marked with the one from which the way to the root began, then with NODE_ROOT.
 */
static void check_parents(struct nodes *t)
{
	uint32_t fresh = t->kept->past.fresh;

	for (uint32_t i = NODE_ROOT + 1; i < fresh; i++) {
		uint32_t *parent = &t->past_node[i].parent;

		t->past[i].mark = 0;
		if (!is_past_or_root(t, *parent) || t->node[*parent].type != S_IFDIR)
			*parent = NODE_ROOT;
	}
	for (uint32_t i = NODE_ROOT + 1; i < fresh; i++) {
		uint32_t at = i;

		if (!t->past[i].used)
			continue;
		for (; at != NODE_ROOT && !t->past[at].mark; at = t->past_node[at].parent)
			t->past[at].mark = i;
		if (at != NODE_ROOT && t->past[at].mark == i)
			t->past_node[at].parent = NODE_ROOT;
		for (at = i; at != NODE_ROOT && t->past[at].mark == i; at = t->past_node[at].parent)
			t->past[at].mark = NODE_ROOT;
	}
}

/* Check the list of entries of @p, from @first on and below @fresh, that were free; it then has each of them once. */
static void check_list(struct past_entry *p, uint32_t first, uint32_t fresh, uint32_t *list)
{
	uint32_t *at = list;

	for (uint32_t i = first; i < fresh; i++)
		p[i].mark = 0;
	for (; *at >= first && *at < fresh && !p[*at].used && !p[*at].mark; at = &p[*at].next)
		p[*at].mark = 1;
	*at = 0;
	for (uint32_t i = first; i < fresh; i++)
		if (!p[i].used && !p[i].mark) {
			p[i].next = *list;
			*list = i;
		}
}

void past_check(struct nodes *t)
{
	struct past_tables *p = &t->kept->past;

	for (uint32_t i = NODE_ROOT + 1; i < p->fresh; i++)
		if (t->past[i].used && (!t->node[i].type || t->node[i].count != t->past[i].count))
			lose_node(t, i);
	check_parents(t);
	check_list(t->past, NODE_ROOT + 1, p->fresh, &p->free);
	for (uint32_t i = 1; i < p->handles_fresh; i++) {
		struct past_entry *e = &t->past_handle[i];
		const struct handle *h = &t->handle[i];

		/* Its node was in use as well. */
		if (!e->used || (h->count == e->count && is_past_or_root(t, h->node)))
			continue;
		e->used = 0;
		e->count = h->count;
	}
	check_list(t->past_handle, 1, p->handles_fresh, &p->handles_free);
	/* Only those of a checkpoint stay open although the guest has closed them. */
	for (uint32_t i = 1; i < t->kept->handles_fresh; i++)
		if (t->handle[i].closed && t->handle[i].node)
			handle_close(t, &t->handle[i]);
}
