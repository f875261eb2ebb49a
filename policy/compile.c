/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The policy compiler. Runs only on the build host. Reads policy/NAME.policy
 * (policy/README.md), lets libseccomp build the filter for the target's
 * architecture, and writes it as a C array, so that no process of lguest-sep
 * itself ever builds a filter. A line that it does not fully understand is an
 * error, reported with file and line.
 */
#include <ctype.h>
#include <libgen.h>
#include <limits.h>
#include <linux/filter.h>
#include <seccomp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "policy/expr.h"
#include "policy/frequent.h"
#include "policy/i386.h"

#define MAX_CALLS  160
#define MAX_DEPTH  4
#define LINE_SIZE  512
#define NAMES_SIZE 512 /* Numbers in the table of names. */
#define CHAIN_MAX  40  /* Filters of more calls are binary trees. */

struct compiler {
	scmp_filter_ctx ctx;
	uint32_t arch;
	const char *arch_name;
	const char *file; /* For errors: the file and line being read. */
	unsigned line, depth;
	bool have_default;
	uint32_t fallback;		 /* The default action. */
	char call[MAX_CALLS][NAME_SIZE]; /* Allowed calls, each once. */
	bool bare[MAX_CALLS];		 /* Allowed with any arguments. */
	unsigned ncalls, nrules, nconditions;
};

static struct compiler c;

static void fail(const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "%s:%u: ", c.file, c.line);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

/* ---- conditions ---- */

static enum scmp_compare take_operator(const char **p)
{
	static const struct {
		const char *text;
		enum scmp_compare op;
	} ops[] = { { "==", SCMP_CMP_EQ }, { "!=", SCMP_CMP_NE }, { "<=", SCMP_CMP_LE },
		    { ">=", SCMP_CMP_GE }, { "<", SCMP_CMP_LT },  { ">", SCMP_CMP_GT } };

	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
		if (take(p, ops[i].text))
			return ops[i].op;
	fail("no comparison at '%s'", *p);
}

/* A mask of 32 bits compares an int argument (a descriptor, AT_FDCWD) without its upper half. */
static struct scmp_arg_cmp one_condition(const char **p)
{
	uint64_t width = c.arch == SCMP_ARCH_X86 ? UINT32_MAX : UINT64_MAX;
	struct scmp_arg_cmp cmp = { .op = SCMP_CMP_MASKED_EQ };
	uint64_t base, count, mask;

	skip_space(p);
	if (**p < '0' || **p > '5')
		fail("a condition begins with the number of an argument, 0 to 5, not with '%s'", *p);
	cmp.arg = (unsigned)(*(*p)++ - '0');
	if (take(p, "in ")) {
		base = expression(p);
		if (!take(p, "/"))
			fail("after 'in', BASE/COUNT is expected");
		count = expression(p);
		if (count == 0 || (count & (count - 1)) || base % count)
			fail("COUNT of 'in' is a power of two, and BASE a multiple of it");
		cmp.datum_a = width & ~(count - 1);
		cmp.datum_b = base;
	} else if (take(p, "&")) {
		mask = expression(p);
		if (take_operator(p) != SCMP_CMP_EQ)
			fail("a mask is followed by '=='");
		cmp.datum_a = mask & width;
		cmp.datum_b = expression(p) & cmp.datum_a;
	} else {
		cmp.op = take_operator(p);
		cmp.datum_a = expression(p) & width;
	}
	return cmp;
}

static unsigned conditions(const char **p, struct scmp_arg_cmp *cmp)
{
	unsigned n = 0, seen = 0;

	skip_space(p);
	if (!**p)
		return 0;
	do {
		if (n == 6)
			fail("more than six conditions");
		cmp[n] = one_condition(p);
		if (seen & (1u << cmp[n].arg))
			fail("argument %u has two conditions", cmp[n].arg);
		seen |= 1u << cmp[n].arg;
		n++;
	} while (take(p, ","));
	skip_space(p);
	if (**p)
		fail("not understood: '%s'", *p);
	return n;
}

/* ---- system calls ---- */

static int resolve(const char *name)
{
	int nr = seccomp_syscall_resolve_name_arch(SCMP_ARCH_NATIVE, name);

	/* Newer than Debian 12's libseccomp. Only 64-bit kernels have it. */
	if (nr == __NR_SCMP_ERROR && !strcmp(name, "mseal") && c.arch == SCMP_ARCH_X86_64)
		return 462;
	if (nr == __NR_SCMP_ERROR && !strcmp(name, "fchmodat2"))
		return 452;
	if (nr == __NR_SCMP_ERROR)
		fail("no such system call: '%s'", name);
	return nr;
}

static void add_rule(uint32_t action, const char *name, unsigned n, const struct scmp_arg_cmp *cmp)
{
	int nr = resolve(name), rc;
	int here = c.arch == seccomp_arch_native() ? nr : seccomp_syscall_resolve_name_arch(c.arch, name);

	/* Negative numbers are calls that the target does not have; socket calls on i386 are the
	 * exception. */
	if (here < 0 && !(c.arch == SCMP_ARCH_X86 && here > -200))
		fail("'%s' does not exist on %s: write [ARCH] in front of it", name, c.arch_name);
	if (action == c.fallback)
		return; /* The default does the same. */
	rc = seccomp_rule_add_array(c.ctx, action, nr, n, cmp);
	if (rc && rc != -EEXIST)
		fail("libseccomp rejects this rule: %s", strerror(-rc));
	(void)seccomp_syscall_priority(c.ctx, nr, (uint8_t)(c.ncalls < 250 ? 255 - c.ncalls : 5));
}

/* On i386, older programs make all socket calls through socketcall(2); its arguments are in memory, where no
 * filter can see them. */
static bool add_socketcall(uint32_t action, const char *name)
{
	struct scmp_arg_cmp cmp = { .arg = 0, .op = SCMP_CMP_EQ };

	for (size_t i = 0; i < sizeof(i386_sockets) / sizeof(i386_sockets[0]); i++) {
		if (strcmp(i386_sockets[i].name, name) != 0)
			continue;
		cmp.datum_a = i386_sockets[i].call;
		add_rule(action, "socketcall", 1, &cmp);
		return true;
	}
	return false;
}

static void add_call(uint32_t action, const char *name, unsigned n, const struct scmp_arg_cmp *cmp)
{
	bool replaced = false;

	if (c.arch == SCMP_ARCH_X86) {
		add_socketcall(action, name);
		for (size_t i = 0; i < sizeof(i386_names) / sizeof(i386_names[0]); i++) {
			if (strcmp(i386_names[i].name, name) != 0)
				continue;
			replaced = i386_names[i].replaced;
			for (unsigned k = 0; k < 3 && i386_names[i].calls[k]; k++)
				add_rule(action, i386_names[i].calls[k], n, cmp);
		}
	}
	if (!replaced)
		add_rule(action, name, n, cmp);
}

static void count_call(const char *name, unsigned n)
{
	unsigned i = 0;

	c.nrules++;
	c.nconditions += n > 0;
	while (i < c.ncalls && strcmp(c.call[i], name) != 0)
		i++;
	if (i == MAX_CALLS)
		fail("more than %d system calls", MAX_CALLS);
	if (i == c.ncalls)
		snprintf(c.call[c.ncalls++], NAME_SIZE, "%s", name);
	c.bare[i] |= n == 0;
}

/* ---- lines ---- */

static void read_policy(const char *path);

static uint32_t take_errno(const char **p)
{
	char word[NAME_SIZE];

	take_word(p, word);
	return SCMP_ACT_ERRNO((uint32_t)lookup(word) & 0xffff);
}

/* Allow one architecture: every other entry into the kernel (x32, or i386 from x86-64) kills the
 * process. */
static void set_arch(void)
{
	if (seccomp_attr_set(c.ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS))
		fail("libseccomp is too old");
	if (c.arch != seccomp_arch_native() &&
	    (seccomp_arch_remove(c.ctx, SCMP_ARCH_NATIVE) || seccomp_arch_add(c.ctx, c.arch)))
		fail("libseccomp does not know %s", c.arch_name);
}

static void default_line(const char *p)
{
	uint32_t action;

	if (c.depth > 1)
		return;
	if (c.have_default)
		fail("a second default");
	c.have_default = true;
	if (take(&p, "kill"))
		return;
	if (!take(&p, "errno"))
		fail("the default is 'kill' or 'errno NAME'");
	c.fallback = action = take_errno(&p);
	if (c.nrules)
		fail("the default comes before the first rule");
	/* The default of a context is fixed when it is created: replace the context. */
	if (seccomp_reset(c.ctx, action))
		fail("libseccomp cannot set the default");
	set_arch();
}

static void include_line(const char *p)
{
	char path[PATH_MAX], dir[PATH_MAX], name[NAME_SIZE];
	const char *file = c.file;
	unsigned line = c.line;
	int n = 0;

	skip_space(&p);
	while ((isalnum((unsigned char)*p) || *p == '-') && n < NAME_SIZE - 1)
		name[n++] = *p++;
	name[n] = '\0';
	if (!n || *p)
		fail("after 'include', the name of a policy is expected");
	snprintf(dir, sizeof(dir), "%s", c.file);
	if (snprintf(path, sizeof(path), "%s/%s.policy", dirname(dir), name) >= (int)sizeof(path))
		fail("path too long");
	read_policy(path);
	c.file = file;
	c.line = line;
}

/* Skips "[i386] " at the start of a line. True if the line is for another architecture. */
static bool other_arch(const char **p)
{
	char word[NAME_SIZE];

	if (!take(p, "["))
		return false;
	take_word(p, word);
	if (!take(p, "]") || (strcmp(word, "i386") != 0 && strcmp(word, "x86_64") != 0))
		fail("an architecture is [i386] or [x86_64]");
	return strcmp(word, c.arch_name) != 0;
}

static void rule_line(const char *p)
{
	struct scmp_arg_cmp cmp[6];
	uint32_t action = SCMP_ACT_ALLOW;
	char word[NAME_SIZE];
	unsigned n;

	if (other_arch(&p))
		return;
	take_word(&p, word);
	if (!strcmp(word, "errno")) {
		take_word(&p, word);
		action = take_errno(&p);
		if (!word[0])
			fail("expected errno NAME ERROR");
	}
	if (!word[0])
		fail("the name of a system call is missing");
	n = conditions(&p, cmp);
	if (action == SCMP_ACT_ALLOW)
		count_call(word, n);
	add_call(action, word, n, cmp);
}

static void one_line(char *text)
{
	char *hash = strchr(text, '#'), *end;
	const char *p = text, *reason = "";

	if (hash) {
		*hash = '\0';
		reason = hash + 1;
	}
	for (end = text + strlen(text); end > text && isspace((unsigned char)end[-1]); end--)
		end[-1] = '\0';
	skip_space(&p);
	if (!*p)
		return;
	if (take(&p, "include ")) {
		include_line(p);
		return;
	}
	reason += strspn(reason, " \t\n");
	if (!*reason)
		fail("no reason: every rule ends with '# why it is needed'");
	if (take(&p, "default "))
		default_line(p);
	else
		rule_line(p);
}

static void read_policy(const char *path)
{
	char text[LINE_SIZE];
	unsigned line = 0;
	FILE *f = fopen(path, "re");

	if (!f)
		fail("%s: %s", path, strerror(errno));
	if (++c.depth > MAX_DEPTH)
		fail("includes nest too deep");
	c.file = path;
	while (fgets(text, sizeof(text), f)) {
		c.line = ++line;
		if (!strchr(text, '\n') && !feof(f))
			fail("line too long");
		one_line(text);
	}
	fclose(f);
	c.file = path;
	c.depth--;
}

/* ---- output ---- */

/*
 * A few calls are compared one after the other, the frequent ones first. With many calls a binary tree is shorter:
 * when the filter is installed, the kernel runs it for every call that exists.
 */
static unsigned export_filter(struct sock_filter *insns, unsigned max)
{
	FILE *f = tmpfile();
	size_t n;

	if (c.ncalls > CHAIN_MAX && seccomp_attr_set(c.ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2))
		fail("libseccomp makes no binary tree");
	if (!f || seccomp_export_bpf(c.ctx, fileno(f)))
		fail("libseccomp does not export the filter");
	rewind(f);
	n = fread(insns, sizeof(*insns), max, f);
	if (!feof(f) || n == 0)
		fail("filter too long");
	fclose(f);
	if (c.ncalls <= CHAIN_MAX || c.arch != SCMP_ARCH_X86)
		return (unsigned)n;
	return frequent_first(insns, (unsigned)n, max, c.call, c.bare, c.ncalls);
}

static void write_filter(const char *out, const char *name, const struct sock_filter *insns, unsigned n)
{
	FILE *f = fopen(out, "we");
	char symbol[NAME_SIZE];
	bool self = false;
	size_t i;

	if (!f)
		fail("%s: %s", out, strerror(errno));
	for (i = 0; name[i] && i + 1 < sizeof(symbol); i++)
		symbol[i] = name[i] == '-' ? '_' : name[i];
	symbol[i] = '\0';
	for (i = 0; i < n; i++)
		self |= insns[i].code == (BPF_JMP | BPF_JEQ | BPF_K) && insns[i].k == POLICY_SELF;
	fprintf(f, "/* Generated from %s.policy for %s by policy/compile. */\n", name, c.arch_name);
	fprintf(f, "#include \"policy/policies.h\"\n\nstatic const struct sock_filter insns[] = {\n");
	for (i = 0; i < n; i++)
		fprintf(f, "\t{ 0x%04x, %u, %u, 0x%08x },\n", insns[i].code, insns[i].jt, insns[i].jf, insns[i].k);
	fprintf(f,
		"};\n\nconst struct policy policy_%s = {\n\t.name = \"%s\",\n\t.insns = insns,\n"
		"\t.ninsns = %u,\n\t.ncalls = %u,\n\t.nrules = %u,\n\t.nconditions = %u,\n\t.names_self = %s,\n};\n",
		symbol, name, n, c.ncalls, c.nrules, c.nconditions, self ? "true" : "false");
	if (fclose(f)) {
		unlink(out);
		fail("%s: %s", out, strerror(errno));
	}
}

/* The table behind syscall_name() (policy/policies.h). */
static int write_names(const char *out)
{
	FILE *f = fopen(out, "we");
	char *name;

	c.file = out;
	if (!f)
		fail("%s", strerror(errno));
	fprintf(f, "/* System calls of %s by number, generated by policy/compile. */\n", c.arch_name);
	fprintf(f, "#include \"policy/policies.h\"\n\nstatic const char *const names[] = {\n");
	for (int nr = 0; nr < NAMES_SIZE; nr++) {
		name = seccomp_syscall_resolve_num_arch(c.arch, nr);
		if (name)
			fprintf(f, "\t[%d] = \"%s\",\n", nr, name);
		free(name);
	}
	fprintf(f, "};\n\nconst char *syscall_name(uint64_t number)\n{\n"
		   "\treturn number < ARRAY_SIZE(names) && names[number] ? names[number] : \"?\";\n}\n");
	return fclose(f) ? 1 : 0;
}

/* Name, calls, rules, rules with conditions, instructions; then the calls that are allowed with any arguments. */
static void print_counts(const char *name, unsigned insns)
{
	printf("%s %u %u %u %u", name, c.ncalls, c.nrules, c.nconditions, insns);
	for (unsigned i = 0; i < c.ncalls; i++)
		if (c.bare[i])
			printf(" %s", c.call[i]);
	putchar('\n');
}

static void start(const char *arch_name)
{
	c.file = "policy/compile";
	c.arch_name = arch_name;
	if (!strcmp(arch_name, "x86_64"))
		c.arch = SCMP_ARCH_X86_64;
	else if (!strcmp(arch_name, "i386"))
		c.arch = SCMP_ARCH_X86;
	else
		fail("unknown architecture '%s'", arch_name);
	c.ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	if (!c.ctx)
		fail("libseccomp cannot be initialized");
	set_arch();
}

int main(int argc, char **argv)
{
	static struct sock_filter insns[BPF_MAXINSNS];
	char name[NAME_SIZE], path[PATH_MAX], *dot;
	unsigned n;

	if (argc != 4) {
		fprintf(stderr, "usage: compile ARCH NAME.policy OUT.c | compile ARCH --count NAME.policy |"
				" compile ARCH --names OUT.c\n");
		return 2;
	}
	start(argv[1]);
	if (!strcmp(argv[2], "--names"))
		return write_names(argv[3]);
	snprintf(path, sizeof(path), "%s", !strcmp(argv[2], "--count") ? argv[3] : argv[2]);
	read_policy(path);
	if (!c.have_default)
		fail("no default line");
	n = export_filter(insns, BPF_MAXINSNS);
	snprintf(name, sizeof(name), "%s", basename(path));
	dot = strrchr(name, '.');
	if (dot)
		*dot = '\0';
	if (!strcmp(argv[2], "--count"))
		print_counts(name, n);
	else
		write_filter(argv[3], name, insns, n);
	if (argv[2][0] != '-')
		printf("  %-7s %-13s %3u calls, %3u rules with conditions, %4u instructions (%s)\n", "", name, c.ncalls,
		       c.nconditions, n, c.arch_name);
	return 0;
}
