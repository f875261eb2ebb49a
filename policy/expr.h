/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Expressions of a policy's conditions: NUMBER, SYMBOL, a|b, a+b, ~a, (a).
 * Build host only; included only by policy/compile.c.
 */
#ifndef POLICY_EXPR_H
#define POLICY_EXPR_H

#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy/symbols.h"

#define NAME_SIZE 64

/* Print the error with the current file and line, and exit with status 1. */
static void fail(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

static void skip_space(const char **p)
{
	while (**p == ' ' || **p == '\t')
		(*p)++;
}

static bool take(const char **p, const char *what)
{
	skip_space(p);
	if (strncmp(*p, what, strlen(what)) != 0)
		return false;
	*p += strlen(what);
	return true;
}

static void take_word(const char **p, char *word)
{
	size_t n = 0;

	skip_space(p);
	while (isalnum((unsigned char)**p) || **p == '_') {
		if (n + 1 >= NAME_SIZE)
			fail("word too long");
		word[n++] = *(*p)++;
	}
	word[n] = '\0';
}

static uint64_t lookup(const char *name)
{
	for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++)
		if (!strcmp(symbols[i].name, name))
			return symbols[i].value;
	fail("unknown symbol '%s'", name);
}

static uint64_t expression(const char **p);

static uint64_t term(const char **p)
{
	char word[NAME_SIZE], *end;
	uint64_t v;

	if (take(p, "~"))
		return ~term(p);
	if (take(p, "(")) {
		v = expression(p);
		if (!take(p, ")"))
			fail("')' is missing");
		return v;
	}
	take_word(p, word);
	if (!word[0])
		fail("a number or a symbol is missing before '%s'", *p);
	if (!isdigit((unsigned char)word[0]))
		return lookup(word);
	v = strtoull(word, &end, 0);
	if (*end)
		fail("'%s' is no number", word);
	return v;
}

static uint64_t expression(const char **p)
{
	uint64_t v = term(p);

	for (;;) {
		if (take(p, "|"))
			v |= term(p);
		else if (take(p, "+"))
			v += term(p);
		else
			return v;
	}
}

#endif
