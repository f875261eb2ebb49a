/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Parsing of options, and of settings after commas. Runs in the parent and in
 * stand-alone helpers, before any file is opened.
 */
#include <string.h>

#include "common/fmt.h"
#include "common/options.h"
#include "common/words.h"

/* Longest setting, with its NUL: a setting may hold a path. */
#define FIELD_MAX 4096
/* How many bytes of the user's word an error message shows, so that the reason always fits. */
#define WORD_SHOWN  (OPT_LINE_MAX - OPT_WHY_MAX - 64)
#define FIELD_SHOWN 256

const char *opt_why(struct opt_parser *p, const char *fmt, ...)
{
	char text[OPT_WHY_MAX]; /* Not p->why itself: the arguments may point into it */
	va_list ap;

	va_start(ap, fmt);
	fmt_vline(text, sizeof(text), fmt, ap);
	va_end(ap);
	memcpy(p->why, text, sizeof(text));
	return p->why;
}

const struct opt_row *opt_find(const struct opt_row *rows, const char *name, size_t len)
{
	for (const struct opt_row *r = rows; r->name; r++)
		if (strlen(r->name) == len && !memcmp(r->name, name, len))
			return r;
	return NULL;
}

static bool takes_value(const struct opt_row *row)
{
	return row->kind != OPT_FLAG && row->kind != OPT_ACTION && row->kind != OPT_WRONG &&
	       (row->kind != OPT_CUSTOM || row->arg);
}

static void store(const struct opt_row *row, void *to, uint64_t value)
{
	unsigned char *at = (unsigned char *)to + row->to;
	uint8_t v8 = (uint8_t)value;
	uint16_t v16 = (uint16_t)value;
	uint32_t v32 = (uint32_t)value;

	switch (row->bytes) {
	case sizeof(v8):
		memcpy(at, &v8, sizeof(v8));
		break;
	case sizeof(v16):
		memcpy(at, &v16, sizeof(v16));
		break;
	case sizeof(v32):
		memcpy(at, &v32, sizeof(v32));
		break;
	default:
		memcpy(at, &value, sizeof(value));
	}
}

static void store_bool(const struct opt_row *row, void *to, bool value)
{
	memcpy((unsigned char *)to + row->to, &value, sizeof(value));
}

static const char *take_number(struct opt_parser *p, const struct opt_row *row, void *to, const char *value)
{
	uint64_t n;
	bool size = row->kind == OPT_SIZE;

	if (size ? parse_size(value, row->min, row->max, &n) : parse_number(value, row->min, row->max, &n)) {
		store(row, to, n);
		return NULL;
	}
	return row->reason ? row->reason
			   : opt_why(p, "give a number from %llu to %llu%s", (unsigned long long)row->min,
				     (unsigned long long)row->max,
				     size ? "; k, M or G after it multiply by powers of 1024" : "");
}

static const char *take_choice(struct opt_parser *p, const struct opt_row *row, void *to, const char *value)
{
	size_t len = strlen(value), have;
	unsigned index = 0;

	for (const char *s = row->arg;; s += have + 1, index++) {
		have = strcspn(s, "|");
		if (len && have == len && !memcmp(s, value, len)) {
			store(row, to, index);
			return NULL;
		}
		if (!s[have])
			break;
	}
	return row->reason ? row->reason : opt_why(p, "choose one of %s", row->arg);
}

static const char *take_text(const struct opt_row *row, void *to, const char *value)
{
	if (!*value)
		return row->reason ? row->reason : "the value is empty";
	if (row->max && strlen(value) > row->max)
		return row->reason ? row->reason : "the value is too long";
	memcpy((unsigned char *)to + row->to, &value, sizeof(value));
	return NULL;
}

/* Parse @value by the kind of @row and store it. Returns NULL, or the reason why it is refused. */
static const char *take(struct opt_parser *p, const struct opt_row *row, void *to, const char *value)
{
	bool on;

	switch (row->kind) {
	case OPT_FLAG:
		store_bool(row, to, true);
		return NULL;
	case OPT_NUMBER:
	case OPT_SIZE:
		return take_number(p, row, to, value);
	case OPT_CHOICE:
		return take_choice(p, row, to, value);
	case OPT_ON_OFF:
		if (!parse_on_off(value, &on))
			return row->reason ? row->reason : "choose on or off";
		store_bool(row, to, on != row->inverted);
		return NULL;
	case OPT_MAC:
		return parse_mac(value, (uint8_t *)to + row->to);
	case OPT_TEXT:
		return take_text(row, to, value);
	case OPT_CUSTOM:
		return row->parse(p, to, value);
	case OPT_WRONG:
		return row->reason;
	case OPT_ACTION:
		break;
	}
	return NULL;
}

/*
 * Check that @row was not given before, unless it may repeat; note it in *@given, and
 * store @value. Returns NULL, or the reason why it is refused.
 */
static const char *give(struct opt_parser *p, const struct opt_row *rows, const struct opt_row *row,
			struct opt_given *given, void *to, const char *value)
{
	uint64_t *word = &given->bits[(row - rows) / 64], bit = BIT64((row - rows) % 64);
	static const bool yes = true;
	const char *why;

	if ((*word & bit) && !row->repeats)
		return "given twice; give it once";
	*word |= bit;
	why = take(p, row, to, value);
	if (!why && row->seen)
		memcpy((unsigned char *)to + row->seen - 1, &yes, sizeof(yes));
	return why;
}

/* ---- settings ---- */

int opt_field(const char **rest, char *field, size_t size)
{
	const char *s = *rest;
	size_t n = 0;

	if (!s)
		return 0;
	while (*s && (*s != ',' || s[1] == ',')) {
		if (*s == ',')
			s++;
		if (n + 1 >= size)
			return -1;
		field[n++] = *s++;
	}
	field[n] = '\0';
	*rest = *s ? s + 1 : NULL;
	return 1;
}

static const char *no_such_setting(struct opt_parser *p, const struct opt_row *rows, const char *field)
{
	char names[512];
	size_t n = 0;

	names[0] = '\0';
	for (const struct opt_row *r = rows; r->name; r++)
		n += fmt_line(names + n, sizeof(names) - n, "%s%s%s", n ? ", " : "", r->name,
			      takes_value(r) ? "=" : "");
	return opt_why(p, "%.*s: there is no such setting (%s; a comma in a value is written ,,)", FIELD_SHOWN,
		       *field ? field : "(nothing)", names);
}

static const char *one_setting(struct opt_parser *p, const struct opt_row *rows, struct opt_given *given, void *to,
			       char *field)
{
	size_t len = strcspn(field, "=");
	const struct opt_row *row = opt_find(rows, field, len);
	bool has_value = field[len] != '\0';
	const char *why;

	if (!row)
		return no_such_setting(p, rows, field);
	if (has_value && !takes_value(row))
		why = "this setting takes no value";
	else if (!has_value && takes_value(row))
		why = opt_why(p, "a value is missing: %s=%s", row->name, row->arg);
	else
		why = give(p, rows, row, given, to, has_value ? field + len + 1 : NULL);
	return why ? opt_why(p, "%.*s: %s", FIELD_SHOWN, field, why) : NULL;
}

const char *opt_settings(struct opt_parser *p, const struct opt_row *rows, void *to, const char *list)
{
	const char *rest = list, *why;
	char field[FIELD_MAX];
	struct opt_given given = { { 0 } };
	int got;

	while ((got = opt_field(&rest, field, sizeof(field))) != 0) {
		if (got < 0)
			return "a setting is too long";
		why = one_setting(p, rows, &given, to, field);
		if (why)
			return why;
	}
	return NULL;
}

/* ---- options ---- */

static unsigned least(unsigned a, unsigned b, unsigned c)
{
	return MIN(a, MIN(b, c));
}

/* Edit distance: how many letters must be changed, added or removed to turn @a (@len bytes) into @b. */
static unsigned distance(const char *a, size_t len, const char *b)
{
	unsigned row[33], left, up;
	size_t n = strlen(b);

	if (n >= ARRAY_SIZE(row))
		return UINT32_MAX;
	for (unsigned j = 0; j <= n; j++)
		row[j] = j;
	for (size_t i = 0; i < len; i++) {
		left = row[0]++;
		for (size_t j = 0; j < n; j++) {
			up = row[j + 1];
			row[j + 1] = least(left + (a[i] != b[j]), up + 1, row[j] + 1);
			left = up;
		}
	}
	return row[n];
}

/* The option whose name is most similar to @name; NULL if none is similar. */
static const struct opt_row *nearest(const struct opt_row *rows, const char *name, size_t len)
{
	unsigned best = len > 3 ? 3 : 2;
	const struct opt_row *found = NULL;

	for (const struct opt_row *r = rows; r->name && len <= 40; r++) {
		unsigned d = r->hidden ? UINT32_MAX : distance(name, len, r->name);

		if (d < best) {
			best = d;
			found = r;
		}
	}
	return found;
}

static int refuse(struct opt_parser *p, const struct opt_row *row, const char *value, const char *why)
{
	if (!value)
		fmt_line(p->line, sizeof(p->line), "--%s: %s", row->name, why);
	else
		fmt_line(p->line, sizeof(p->line), "--%s=%.*s%s: %s", row->name, WORD_SHOWN, value,
			 strlen(value) > WORD_SHOWN ? "..." : "", why);
	return -1;
}

static int no_such_option(struct opt_parser *p, const char *arg)
{
	const char *name = arg + strspn(arg, "-");
	const struct opt_row *near = NULL;

	/* Other programs have long options with one dash. */
	if (!strncmp(arg, "--", 2) || strlen(name) > 2) {
		near = opt_find(p->rows, name, strcspn(name, "="));
		if (near && near->kind == OPT_WRONG)
			return refuse(p, near, NULL, near->reason);
		near = nearest(p->rows, name, strcspn(name, "="));
	}
	fmt_line(p->line, sizeof(p->line), "%.*s: there is no such option (%s%s%s)", WORD_SHOWN, arg,
		 near ? "did you mean --" : "see ", near ? near->name : "--help", near ? "?" : "");
	return -1;
}

/* The row of the option @arg, or NULL; *@value: the text after "=", or NULL. */
static const struct opt_row *row_of(const struct opt_row *rows, const char *arg, const char **value)
{
	size_t len;

	*value = NULL;
	if (arg[1] != '-') {
		for (const struct opt_row *r = rows; r->name; r++)
			if (r->letter && r->letter == arg[1] && !arg[2])
				return r;
		return NULL;
	}
	len = strcspn(arg + 2, "=");
	if (arg[2 + len])
		*value = arg + 3 + len;
	return opt_find(rows, arg + 2, len);
}

int opt_next(struct opt_parser *p, int argc, char **argv, int *i)
{
	const char *arg = *i < argc ? argv[*i] : NULL, *value, *why;
	const struct opt_row *row;

	if (!arg || arg[0] != '-' || !arg[1])
		return OPT_OPERANDS;
	++*i;
	if (!strcmp(arg, "--"))
		return OPT_OPERANDS;
	row = row_of(p->rows, arg, &value);
	if (!row)
		return no_such_option(p, arg);
	if (value && !takes_value(row) && row->kind != OPT_WRONG)
		return refuse(p, row, value, "this option takes no value");
	if (!value && takes_value(row) && !row->optional) {
		if (*i >= argc)
			return refuse(p, row, NULL, opt_why(p, "a value is missing: --%s=%s", row->name, row->arg));
		value = argv[(*i)++];
	}
	if (row->kind == OPT_ACTION)
		return (int)row->act;
	why = give(p, p->rows, row, &p->given, p->to, value);
	return why ? refuse(p, row, value, why) : 0;
}

int opt_all(struct opt_parser *p, int argc, char **argv)
{
	int i = 1, got;

	while ((got = opt_next(p, argc, argv, &i)) == 0)
		;
	if (got != OPT_OPERANDS)
		return got;
	if (i >= argc)
		return 0;
	fmt_line(p->line, sizeof(p->line), "%.*s: this program takes options only (see --help)", WORD_SHOWN,
		 *argv[i] ? argv[i] : "(nothing)");
	return -1;
}
