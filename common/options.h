/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The option parser of all programs. Each program has one table of rows, which serves
 * the parser, --help, and the machine-readable list that lints and shell completion
 * read. Settings after commas (--block=FILE,ro) are rows of a second table.
 *
 * For use before confinement only. Nothing here allocates memory or uses stdio. Text
 * values are stored as pointers into argv.
 */
#ifndef COMMON_OPTIONS_H
#define COMMON_OPTIONS_H

#include "common/util.h"

/* Rows of one table, at most: the parser keeps one bit for each. */
#define OPT_ROWS_MAX 128
/* Longest reason, and longest whole error message, in bytes with their NUL. */
#define OPT_WHY_MAX  2048
#define OPT_LINE_MAX 8192

/* Bit n: row n was given. */
struct opt_given {
	uint64_t bits[OPT_ROWS_MAX / 64];
};

enum opt_kind {
	OPT_FLAG,   /* No value; sets a bool to true */
	OPT_NUMBER, /* Decimal number from @min to @max; stored in an unsigned of any width */
	OPT_SIZE,   /* The same with an optional suffix k, K, M or G (powers of 1024) */
	OPT_CHOICE, /* One of the words in @arg ("auto|uring|sync"); its index is stored, as a number */
	OPT_ON_OFF, /* "on" or "off"; stored in a bool */
	OPT_MAC,    /* Unicast MAC address; stored in six bytes */
	OPT_TEXT,   /* Text of 1 to @max bytes (0: any length); stored in a const char * */
	OPT_CUSTOM, /* Parsed by the function @parse */
	OPT_ACTION, /* No value; parsing ends and returns @act (--help) */
	OPT_WRONG,  /* An option of other programs: always refused, with @reason as the advice */
};

/* Results of parsing, in addition to 0 and -1. */
enum opt_act { OPT_OPERANDS = 1, OPT_HELP, OPT_VERSION, OPT_LIST, OPT_CAPABILITIES };

struct opt_parser;

struct opt_row {
	const char *name; /* Without dashes; NULL ends the table */
	char letter;	  /* 'v' if -v is short for --verbose; 0: none */
	enum opt_kind kind;
	bool repeats;			/* May be given more than once */
	bool hidden;			/* Neither in --help nor in the documents */
	bool optional;			/* OPT_CUSTOM: the value may be missing; @parse then gets NULL */
	bool inverted;			/* OPT_ON_OFF: "off" stores true */
	enum opt_act act;		/* OPT_ACTION: the result of parsing */
	uint32_t to, bytes;		/* Offset and size of the member that takes the value: OPT_TO() */
	uint32_t seen;			/* OPT_SEEN(): a bool set to true when the option is given; 0: none */
	uint64_t min, max;		/* OPT_NUMBER, OPT_SIZE, OPT_TEXT: limits, both allowed */
	const char *arg;		/* The value as --help shows it, "FILE" */
	const char *help;		/* Text for --help; NULL for settings, which their option's text describes */
	const char *reason;		/* Why a value is refused; NULL: the parser's text for the kind */
	const struct opt_row *settings; /* OPT_CUSTOM: table of its settings, for opt_print_list() */
	/* OPT_CUSTOM: parses @value. Returns NULL, or why it is refused (static, or from opt_why()). */
	const char *(*parse)(struct opt_parser *p, void *to, const char *value);
};

#define OPT_TO(type, member)   .to = offsetof(type, member), .bytes = sizeof(((type *)NULL)->member)
#define OPT_SEEN(type, member) .seen = 1 + offsetof(type, member)

struct opt_parser {
	const struct opt_row *rows;
	void *to; /* The struct that OPT_TO() of @rows refers to */
	struct opt_given given;
	char why[OPT_WHY_MAX];	 /* Buffer of opt_why() */
	char line[OPT_LINE_MAX]; /* After a result of -1: the error message, with the option's name */
};

/* Initialise @p for a command line. @to: the struct that takes the values. */
static inline void opt_begin(struct opt_parser *p, const struct opt_row *rows, void *to)
{
	p->rows = rows;
	p->to = to;
	p->given = (struct opt_given){ { 0 } };
}

/*
 * Parse the option at argv[*i] and its value, which follows "=" or is the next word, and
 * advance *@i past both. Returns 0; or -1 with p->line set; or OPT_OPERANDS if argv[*i]
 * is the first word that is not an option ("--" is skipped); or the act of an OPT_ACTION
 * row.
 */
int opt_next(struct opt_parser *p, int argc, char **argv, int *i);
/*
 * Parse all of argv from word 1 on, for a program that takes options only. Returns 0;
 * or -1 with p->line set; or the act of an OPT_ACTION row.
 */
int opt_all(struct opt_parser *p, int argc, char **argv);

/*
 * For a @parse function: parse @list, "ro,queues=4", and store the values in @to. A comma
 * in a value is written as two. Returns NULL, or the reason why the list is refused.
 */
const char *opt_settings(struct opt_parser *p, const struct opt_row *rows, void *to, const char *list);
/*
 * Copy the next setting of *@rest into @field, which has @size bytes, and advance *@rest.
 * Two commas become one. Returns 1; 0 at the end of the list; -1 if @field is too small.
 */
int opt_field(const char **rest, char *field, size_t size);
/* Format a reason into p->why. Returns p->why. */
const char *opt_why(struct opt_parser *p, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* The row whose name equals the first @len bytes of @name (without dashes), or NULL. */
const struct opt_row *opt_find(const struct opt_row *rows, const char *name, size_t len);

/* The next three write to standard output and return 0, or -1 with errno set. */

/* Write @text. */
int opt_print(const char *text);
/* Write the help: @head, then every row that is not hidden, then @tail (may be NULL). */
int opt_print_help(const struct opt_row *rows, const char *head, const char *tail);
/*
 * Write one line for each row that is not hidden, and one for each of its settings. The
 * columns, separated by tabs: "--option" or "--option,setting"; "-v" or "-" if it has no
 * letter; the kind; the value as --help shows it, or "-"; "repeats" or "once".
 */
int opt_print_list(const struct opt_row *rows);
/* Write "PROGRAM: LINE" to standard error, with unprintable characters replaced. */
void opt_complain(const char *program, const char *line);

#endif
