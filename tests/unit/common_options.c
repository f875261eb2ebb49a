/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The option driver: every kind of value into a member of every width, settings after
 * commas, error messages that always contain the reason, and --help and the list of options
 * from the same table.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/options.h"

struct target {
	bool flag, off, seen;
	uint8_t n8, after8, choice;
	uint16_t n16, after16;
	uint32_t n32, after32;
	uint64_t n64;
	uint8_t mac[6];
	const char *text, *limited;
	bool ro;
	uint64_t size;
	char custom[16];
};

static struct target t;
static struct opt_parser p;

static const char *parse_custom(struct opt_parser *parser, void *to, const char *value)
{
	struct target *o = to;

	if (strlen(value) >= sizeof(o->custom))
		return opt_why(parser, "%zu bytes do not fit", strlen(value));
	memcpy(o->custom, value, strlen(value) + 1);
	return NULL;
}

#define T(m) OPT_TO(struct target, m)
static const struct opt_row settings[] = {
	{ .name = "ro", .kind = OPT_FLAG, T(ro) },
	{ .name = "size", .kind = OPT_SIZE, .arg = "BYTES", .min = 1, .max = 1 << 30, T(size) },
	{ .name = "word", .kind = OPT_CUSTOM, .arg = "WORD", .parse = parse_custom },
	{ .name = NULL },
};

static const char *parse_list(struct opt_parser *parser, void *to, const char *value)
{
	return opt_settings(parser, settings, to, value);
}

static const struct opt_row rows[] = {
	{ .name = "flag", .letter = 'f', .kind = OPT_FLAG, T(flag), .help = "a switch" },
	{ .name = "off", .kind = OPT_ON_OFF, .arg = "on|off", T(off), .inverted = true, .help = "a negated switch" },
	{ .name = "n8", .kind = OPT_NUMBER, .arg = "N", .min = 1, .max = 255, T(n8), .help = "n" },
	{ .name = "n16", .kind = OPT_NUMBER, .arg = "N", .max = 65535, T(n16), .help = "n" },
	{ .name = "n32", .kind = OPT_NUMBER, .arg = "N", .max = UINT32_MAX, T(n32), .help = "n" },
	{ .name = "n64", .kind = OPT_SIZE, .arg = "N", .max = UINT64_MAX, T(n64), .help = "n" },
	{ .name = "choice", .kind = OPT_CHOICE, .arg = "one|two|three", T(choice), .help = "c" },
	{ .name = "mac", .kind = OPT_MAC, .arg = "MAC", T(mac), OPT_SEEN(struct target, seen), .help = "m" },
	{ .name = "text", .kind = OPT_TEXT, .arg = "TEXT", T(text), .help = "t" },
	{ .name = "limited", .kind = OPT_TEXT, .arg = "TEXT", .max = 4, T(limited), .help = "l", .reason = "too big" },
	{ .name = "list",
	  .kind = OPT_CUSTOM,
	  .repeats = true,
	  .arg = "A[,B]",
	  .parse = parse_list,
	  .settings = settings,
	  .help = "a list" },
	{ .name = "mem", .letter = 'm', .kind = OPT_WRONG, .hidden = true, .reason = "write it without an option" },
	{ .name = "secret", .kind = OPT_FLAG, T(flag), .hidden = true },
	{ .name = "help", .letter = 'h', .kind = OPT_ACTION, .act = OPT_HELP, .help = "this text" },
	{ .name = NULL },
};

static int parse(const char *const *words)
{
	char *argv[16] = { (char *)(uintptr_t) "prog" };
	int argc = 1;

	for (; *words; words++)
		argv[argc++] = (char *)(uintptr_t)*words;
	memset(&t, 0, sizeof(t));
	memset(&p, 'x', sizeof(p));
	opt_begin(&p, rows, &t);
	return opt_all(&p, argc, argv);
}
#define PARSE(...) parse((const char *const[]){ __VA_ARGS__, NULL })

static void every_kind_reaches_its_member(void **state)
{
	static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 9 };

	(void)state;
	assert_int_equal(PARSE("-f", "--off=off", "--n8=255", "--n16", "65535", "--n32=4294967295", "--n64=3M",
			       "--choice=three", "--mac=02:00:00:00:00:09", "--text=a=b,c", "--limited=1234"),
			 0);
	assert_true(t.flag && t.off && t.seen);
	assert_int_equal(t.n8, 255);
	assert_int_equal(t.n16, 65535);
	assert_int_equal(t.n32, UINT32_MAX);
	assert_int_equal(t.n64, 3 << 20);
	assert_int_equal(t.after8 | t.after16 | t.after32, 0);
	assert_int_equal(t.choice, 2);
	assert_memory_equal(t.mac, mac, sizeof(mac));
	assert_string_equal(t.text, "a=b,c");
	assert_string_equal(t.limited, "1234");
	assert_int_equal(PARSE("--off=on", "--choice=one"), 0);
	assert_false(t.off || t.seen || t.flag);
	assert_int_equal(t.choice, 0);
}

static void sizes_take_the_same_suffixes_everywhere(void **state)
{
	(void)state;
	assert_int_equal(PARSE("--n64=1k", "--list=size=2K"), 0);
	assert_int_equal(t.n64, 1024);
	assert_int_equal(t.size, 2048);
	assert_int_equal(PARSE("--n64=1G", "--list=size=1G"), 0);
	assert_int_equal(t.n64, 1 << 30);
	assert_int_equal(t.size, 1 << 30);
	assert_int_equal(PARSE("--n64=1T"), -1);
	assert_int_equal(PARSE("--list=size=1T"), -1);
	assert_int_equal(PARSE("--n64=17179869184G"), -1);
}

static void settings_after_commas(void **state)
{
	(void)state;
	assert_int_equal(PARSE("--list=ro,size=4k,word=a,,b"), 0);
	assert_true(t.ro);
	assert_int_equal(t.size, 4096);
	assert_string_equal(t.custom, "a,b");
	/* Each --list is a list of its own. */
	assert_int_equal(PARSE("--list=ro", "--list=ro"), 0);
}

static const struct {
	const char *words[3], *line;
} bad[] = {
	{ { "--n8=0" }, "--n8=0: give a number from 1 to 255" },
	{ { "--n8=256" }, "--n8=256: give a number from 1 to 255" },
	{ { "--n8", "" }, "--n8=: give a number from 1 to 255" },
	{ { "--list=size=0" },
	  "--list=size=0: size=0: give a number from 1 to 1073741824; k, M or G after it multiply by powers of 1024" },
	{ { "--choice=thre" }, "--choice=thre: choose one of one|two|three" },
	{ { "--choice=" }, "--choice=: choose one of one|two|three" },
	{ { "--choice=one|two" }, "--choice=one|two: choose one of one|two|three" },
	{ { "--off=yes" }, "--off=yes: choose on or off" },
	{ { "--mac=03:00:00:00:00:01" },
	  "--mac=03:00:00:00:00:01: is a multicast address; a NIC's own address has an even first byte, like 02:11:22:33:44:55" },
	{ { "--text=" }, "--text=: the value is empty" },
	{ { "--limited=12345" }, "--limited=12345: too big" },
	{ { "--list=word=0123456789abcdef" },
	  "--list=word=0123456789abcdef: word=0123456789abcdef: 16 bytes do not fit" },
	{ { "--list=ro,ro" }, "--list=ro,ro: ro: given twice; give it once" },
	{ { "--list=ro=1" }, "--list=ro=1: ro=1: this setting takes no value" },
	{ { "--list=size" }, "--list=size: size: a value is missing: size=BYTES" },
	{ { "--list=,ro" },
	  "--list=,ro: (nothing): there is no such setting (ro, size=, word=; a comma in a value is written ,,)" },
	{ { "--flag", "-f" }, "--flag: given twice; give it once" },
	{ { "--text=a", "--text=a" }, "--text=a: given twice; give it once" },
	{ { "--flag=yes" }, "--flag=yes: this option takes no value" },
	{ { "--text" }, "--text: a value is missing: --text=TEXT" },
	{ { "--flga" }, "--flga: there is no such option (did you mean --flag?)" },
	{ { "--quite-another" }, "--quite-another: there is no such option (see --help)" },
	{ { "--secre" }, "--secre: there is no such option (see --help)" },
	{ { "-x" }, "-x: there is no such option (see --help)" },
	{ { "-ff" }, "-ff: there is no such option (see --help)" },
	{ { "-m", "512" }, "--mem: write it without an option" },
	{ { "--mem=512" }, "--mem=512: write it without an option" },
	{ { "word" }, "word: this program takes options only (see --help)" },
	{ { "--", "-f" }, "-f: this program takes options only (see --help)" },
	{ { "" }, "(nothing): this program takes options only (see --help)" },
};

static void every_refusal_names_option_value_and_reason(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		const char *words[] = { bad[i].words[0], bad[i].words[1], bad[i].words[2], NULL };

		assert_int_equal(parse(words), -1);
		assert_string_equal(p.line, bad[i].line);
	}
}

static void a_long_value_never_hides_the_reason(void **state)
{
	static char word[3 * OPT_LINE_MAX];

	(void)state;
	memset(word, 'a', sizeof(word) - 1);
	memcpy(word, "--choice=", 9);
	assert_int_equal(PARSE(word), -1);
	assert_non_null(strstr(p.line, "...: choose one of one|two|three"));
	memcpy(word, "--list=word=", 12);
	assert_int_equal(PARSE(word), -1);
	assert_non_null(strstr(p.line, "...: a setting is too long"));
	word[2000] = '\0';
	assert_int_equal(PARSE(word), -1);
	assert_non_null(strstr(p.line, ": 1988 bytes do not fit"));
	memset(word, 'b', sizeof(word) - 1);
	word[0] = word[1] = '-';
	assert_int_equal(PARSE(word), -1);
	assert_non_null(strstr(p.line, ": there is no such option (see --help)"));
}

static void an_act_ends_parsing_at_once(void **state)
{
	(void)state;
	assert_int_equal(PARSE("-h", "--nonsense"), OPT_HELP);
	assert_int_equal(PARSE("--nonsense", "-h"), -1);
}

static void operands_are_left_to_the_caller(void **state)
{
	char *argv[] = { (char *)(uintptr_t) "prog", (char *)(uintptr_t) "-f",	 (char *)(uintptr_t) "--text",
			 (char *)(uintptr_t) "-f",   (char *)(uintptr_t) "word", NULL };
	int i = 1;

	(void)state;
	memset(&t, 0, sizeof(t));
	opt_begin(&p, rows, &t);
	assert_int_equal(opt_next(&p, 5, argv, &i), 0);
	assert_int_equal(opt_next(&p, 5, argv, &i), 0);
	assert_string_equal(t.text, "-f");
	assert_int_equal(opt_next(&p, 5, argv, &i), OPT_OPERANDS);
	assert_int_equal(i, 4);
}

/* The longest table: each option can be given once, whichever others were. */
static void each_option_of_a_long_table_is_told_apart(void **state)
{
	static struct opt_row many[OPT_ROWS_MAX + 1];
	static char names[OPT_ROWS_MAX][8], words[OPT_ROWS_MAX][16];
	char *argv[OPT_ROWS_MAX + 3] = { (char *)(uintptr_t) "prog" };
	int i = 1;

	(void)state;
	for (unsigned n = 0; n < OPT_ROWS_MAX; n++) {
		snprintf(names[n], sizeof(names[n]), "o%u", n);
		snprintf(words[n], sizeof(words[n]), "--o%u", n);
		many[n] = (struct opt_row){ .name = names[n], .kind = OPT_FLAG, T(flag), .help = "f" };
		argv[n + 1] = words[n];
	}
	argv[OPT_ROWS_MAX + 1] = words[OPT_ROWS_MAX - 1];
	opt_begin(&p, many, &t);
	for (unsigned n = 0; n < OPT_ROWS_MAX; n++)
		assert_int_equal(opt_next(&p, OPT_ROWS_MAX + 2, argv, &i), 0);
	assert_true(opt_next(&p, OPT_ROWS_MAX + 2, argv, &i) < 0);
}

/* Returns what @print writes to standard output. */
static const char *printed(int (*print)(void))
{
	static char text[16384];
	int file = memfd_create("out", 0), out = dup(1);
	ssize_t n;

	dup2(file, 1);
	assert_int_equal(print(), 0);
	dup2(out, 1);
	n = pread(file, text, sizeof(text) - 1, 0);
	assert_true(n >= 0);
	text[n] = '\0';
	close(out);
	close(file);
	return text;
}

static int print_help(void)
{
	return opt_print_help(rows, "head\n", "tail\n");
}

static int print_list(void)
{
	return opt_print_list(rows);
}

static void help_and_list_come_from_the_table(void **state)
{
	const char *text = printed(print_help);

	(void)state;
	assert_int_equal(strncmp(text, "head\n  --flag, -f\n        a switch\n  --off=on|off\n", 42), 0);
	assert_non_null(strstr(text, "\n  --list=A[,B]\n        a list\n"));
	assert_null(strstr(text, "secret"));
	assert_null(strstr(text, "--mem"));
	assert_string_equal(text + strlen(text) - 5, "tail\n");
	text = printed(print_list);
	assert_int_equal(strncmp(text, "--flag\t-f\tflag\t-\tonce\n--off\t-\tchoice\ton|off\tonce\n", 49), 0);
	assert_non_null(strstr(text, "\n--list\t-\tcustom\tA[,B]\trepeats\n--list,ro\t-\tflag\t-\tonce\n"
				     "--list,size\t-\tsize\tBYTES\tonce\n"));
	assert_null(strstr(text, "secret"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_reaches_its_member),
		cmocka_unit_test(sizes_take_the_same_suffixes_everywhere),
		cmocka_unit_test(settings_after_commas),
		cmocka_unit_test(every_refusal_names_option_value_and_reason),
		cmocka_unit_test(a_long_value_never_hides_the_reason),
		cmocka_unit_test(an_act_ends_parsing_at_once),
		cmocka_unit_test(operands_are_left_to_the_caller),
		cmocka_unit_test(each_option_of_a_long_table_is_told_apart),
		cmocka_unit_test(help_and_list_come_from_the_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
