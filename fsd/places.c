/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The memory for names, see places.h. Runs in fsd. Nothing here allocates or makes a system call. */
#include <string.h>

#include "common/ctl.h"
#include "fsd/places.h"

#define NAME_UNIT FSD_NAME_UNIT
/*
 * Units for each node: one place of every class (16 + 32 + … + 256 bytes). A free place is used again only for its
 * class, and with this much even every node in every class in turn fits.
 */
#define NAME_UNITS_PER_NODE ((1u << NAME_CLASSES) - 1)
_Static_assert(NAME_UNITS_PER_NODE *NAME_UNIT == FSD_NAME_BYTES, "the supervisor makes memory for them");

static uint8_t *place_of(const struct nodes *t, uint32_t name)
{
	return t->names + (size_t)name * NAME_UNIT;
}

static uint8_t class_for(size_t len)
{
	uint8_t class = 0;

	while ((NAME_UNIT << class) < len + 1)
		class ++;
	return class;
}

/* The number of units in all. */
static uint32_t name_units(const struct nodes *t)
{
	return (t->limit + 1) * NAME_UNITS_PER_NODE;
}

/* True if @place, of @class, is in the memory for names. */
static bool has_room(const struct nodes *t, uint32_t place, unsigned class)
{
	return place && place <= name_units(t) - (1u << class);
}

/* The same for a @class that may be wrong. */
static bool is_place(const struct nodes *t, uint32_t place, unsigned class)
{
	return class < NAME_CLASSES && has_room(t, place, class);
}

uint32_t place_take(struct nodes *t, const char *name)
{
	struct nodes_kept *k = t->kept;
	size_t len = strlen(name);
	unsigned class = class_for(len);
	uint32_t place;

	if (class >= NAME_CLASSES)
		return 0;
	place = k->names_free[class];
	/* If the process is killed in between, the place is lost, but never used twice. */
	if (has_room(t, place, class)) {
		memcpy(&k->names_free[class], place_of(t, place), sizeof(uint32_t));
	} else {
		place = k->names_fresh;
		if (!has_room(t, place, class))
			return 0;
		k->names_fresh = place + (1u << class);
	}
	nodes_step();
	memcpy(place_of(t, place), name, len + 1);
	nodes_step();
	return place << 3 | class;
}

void place_drop(struct nodes *t, uint32_t name)
{
	uint32_t place = name >> 3, class = name & 7;

	if (!is_place(t, place, class))
		return;
	memcpy(place_of(t, place), &t->kept->names_free[class], sizeof(uint32_t));
	nodes_step();
	t->kept->names_free[class] = place;
}

const char *node_name(const struct nodes *t, const struct node *n)
{
	return n->name ? (const char *)place_of(t, n->name >> 3) : "";
}

bool name_valid(const char *name, size_t room)
{
	return *name && memchr(name, 0, room) && !strchr(name, '/') && strcmp(name, ".") != 0 &&
	       strcmp(name, "..") != 0;
}

bool node_name_valid(const struct nodes *t, const struct node *n)
{
	return is_place(t, n->name >> 3, n->name & 7) &&
	       name_valid(node_name(t, n), (size_t)NAME_UNIT << (n->name & 7));
}

/* ---- after a restart ---- */

static bool is_claimed(const struct nodes *t, uint32_t unit)
{
	return t->claimed[unit / 8] & (1u << unit % 8);
}

uint64_t places_bitmap_bytes(uint32_t limit)
{
	return ((limit + 1ull) * NAME_UNITS_PER_NODE + 7) / 8;
}

void places_forget(struct nodes *t)
{
	memset(t->kept->names_free, 0, sizeof(t->kept->names_free));
	t->kept->names_fresh = 1;
}

bool place_claim(struct nodes *t, const struct node *n)
{
	uint32_t from = n->name >> 3, end = from + (1u << (n->name & 7));

	if (!node_name_valid(t, n))
		return false;
	for (uint32_t unit = from; unit < end; unit++)
		if (is_claimed(t, unit))
			return false;
	for (uint32_t unit = from; unit < end; unit++)
		t->claimed[unit / 8] |= (uint8_t)(1u << unit % 8);
	t->kept->names_fresh = MAX(t->kept->names_fresh, end);
	return true;
}

void places_free_rest(struct nodes *t)
{
	uint32_t fresh = t->kept->names_fresh;

	for (uint32_t at = 1; at < fresh;) {
		uint32_t run = 0;
		unsigned class = 0;

		while (at + run < fresh && run < 1u << (NAME_CLASSES - 1) && !is_claimed(t, at + run))
			run++;
		if (!run) {
			at++;
			continue;
		}
		while (2u << class <= run)
			class ++;
		place_drop(t, at << 3 | class);
		at += 1u << class;
	}
}
