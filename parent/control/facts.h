/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is known about a guest, as a list from which text, JSON and Prometheus' format are printed: each fact has its
 * names once. Strings come from the guest's processes; ctl_recv() made them printable.
 */
#ifndef PARENT_CONTROL_FACTS_H
#define PARENT_CONTROL_FACTS_H

#include "parent/control/show.h"

enum fact_form {
	FACT_TEXT,
	FACT_WORDS, /* Words separated by spaces; a list in JSON. */
	FACT_NUMBER,
	FACT_BYTES,
	FACT_MS,       /* Milliseconds; seconds in JSON. */
	FACT_DURATION, /* The same; days, hours, minutes in text. */
	FACT_THOUSANDTHS,
	FACT_FLAG,
};

struct fact {
	const char *key; /* In JSON. */
	/* In text: the label of a line, or words that follow the value in a list; FACT_FLAG: the words if true. */
	const char *label;
	const char *otherwise; /* In text, if @absent, or if a flag is false; NULL: nothing. */
	enum fact_form form;
	bool absent; /* Unknown, or there is none: null in JSON. */
	const char *text;
	uint64_t value;
	/* Prometheus: name without "lguest_sep_", type and help; NULL: none. */
	const char *metric, *type, *help;
};

#define MAX_FACTS 24
/* Places in the list of facts_of_guest(). */
#define FACT_AT_STATE  3
#define FACT_AT_UPTIME 12

/* Each fills @f (MAX_FACTS entries), whose strings point into the argument. Returns the number of facts. */
unsigned facts_of_guest(const struct shown_guest *g, struct fact *f);
unsigned facts_of_limits(const struct guest_state *s, struct fact *f);
/* For each kind of part, the facts with a @metric are at the same places. */
unsigned facts_of_part(const struct guest_part *p, struct fact *f);
/* What parts of that kind are called in text and as "type" in JSON. */
const char *part_label(enum part_kind kind);
const char *part_type(enum part_kind kind);

#endif
