// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The command line: one table gives both the parsing and --help. Runs in the
 * parent before it has opened anything; it must judge everything that can be
 * judged without looking at the host.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "options.h"
#include "policy/policies.h"

#define DEFAULT_POLL_US	     50
#define DEFAULT_MAX_REBOOTS  16
#define DEFAULT_MAX_RESTARTS 5
#define MAX_MEM_MB	     (UINT64_C(1) << 24)

struct option_row {
	const char *name;
	char letter;
	const char *arg; /* NULL: takes no value */
	const char *help;
	int (*parse)(struct parse *p, const char *value); /* -1, or the exit status */
};

static int parse_verbose(struct parse *p, const char *value)
{
	(void)value;
	p->c->verbose = true;
	return -1;
}

static int parse_rng(struct parse *p, const char *value)
{
	(void)value;
	p->c->rng = true;
	return -1;
}

static int parse_initrd(struct parse *p, const char *value)
{
	if (!*value)
		return complain(EXIT_USAGE, "%s: the name of a file is missing", p->opt);
	if (p->c->initrd)
		return complain(EXIT_USAGE, "%s=%s: a guest has one initrd", p->opt, value);
	p->c->initrd = value;
	return -1;
}

static int parse_name(struct parse *p, const char *value)
{
	size_t good = strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.");

	if (!*value || value[good] || strlen(value) > 60)
		return complain(EXIT_USAGE, "%s=%s: a name has 1 to 60 letters, digits, dashes, dots and underscores",
				p->opt, value);
	p->c->name = value;
	return -1;
}

static int parse_engine(struct parse *p, const char *value)
{
	static const char *const name[] = {
		[ENGINE_AUTO] = "auto",
		[ENGINE_LGUEST] = "lguest",
		[ENGINE_KVM] = "kvm",
		[ENGINE_QEMU] = "qemu",
	};

	for (unsigned i = 0; i < ARRAY_SIZE(name); i++)
		if (!strcmp(value, name[i])) {
			p->c->engine = (enum engine_kind)i;
			return -1;
		}
	return complain(EXIT_USAGE, "%s=%s: no such engine; say auto, lguest, kvm or qemu", p->opt, value);
}

/* A number in a range into *@to; -1, or the exit status. */
static int number(const struct parse *p, const char *value, uint64_t min, uint64_t max, unsigned *to)
{
	uint64_t n;

	if (!parse_number(value, min, max, &n))
		return complain(EXIT_USAGE, "%s=%s: give a number from %llu to %llu", p->opt, value,
				(unsigned long long)min, (unsigned long long)max);
	*to = (unsigned)n;
	return -1;
}

static int parse_smp(struct parse *p, const char *value)
{
	return number(p, value, 1, MAX_VCPUS, &p->c->smp);
}

static int parse_no_reboot(struct parse *p, const char *value)
{
	(void)value;
	p->c->no_reboot = true;
	return -1;
}

static int parse_timeout(struct parse *p, const char *value)
{
	return number(p, value, 1, 100000000, &p->c->timeout_s);
}

static int parse_strict(struct parse *p, const char *value)
{
	(void)value;
	p->c->strict = true;
	return -1;
}

static int parse_stats(struct parse *p, const char *value)
{
	(void)value;
	p->c->stats = true;
	return -1;
}

static int parse_on_fault(struct parse *p, const char *value)
{
	if (strcmp(value, "reset") != 0 && strcmp(value, "kill") != 0)
		return complain(EXIT_USAGE, "%s=%s: say reset or kill", p->opt, value);
	p->c->kill_on_fault = *value == 'k';
	return -1;
}

static int parse_max_reboots(struct parse *p, const char *value)
{
	p->c->max_reboots_set = true;
	return number(p, value, 0, 1000000, &p->c->max_reboots);
}

static int parse_max_restarts(struct parse *p, const char *value)
{
	p->c->max_restarts_set = true;
	return number(p, value, 0, MAX_RESTARTS, &p->c->max_restarts);
}

static int parse_poll_us(struct parse *p, const char *value)
{
	return number(p, value, 0, 1000000, &p->c->poll_us);
}

static int print_help(struct parse *p, const char *value);

/* After the last line on standard output. */
static int printed(const struct parse *p)
{
	if (fflush(stdout) != 0)
		return complain(EXIT_HOST, "%s: cannot write to standard output: %m", p->opt);
	return EXIT_POWEROFF;
}

static int print_version(struct parse *p, const char *value)
{
	static const struct policy *const policies[] = {
		&policy_blkd,	      &policy_netd,	    &policy_vcpu_kvm,  &policy_vcpu_lguest, &policy_supervisor,
		&policy_blkd_foreign, &policy_netd_foreign, &policy_vcpu_qemu, &policy_start,	    &policy_start_qemu,
	};

	(void)value;
	puts("lguest-sep " LGUEST_SEP_VERSION);
	puts("system calls that each process may make once it is confined (policy/BUDGET):");
	for (unsigned i = 0; i < ARRAY_SIZE(policies); i++)
		printf("  %-13s %3u calls, %3u rules, %3u of them bound to their arguments\n", policies[i]->name,
		       policies[i]->ncalls, policies[i]->nrules, policies[i]->nconditions);
	return printed(p);
}

static const struct option_row table[] = {
	{ "block", 0, "FILE[,SETTING…]",
	  "a disk (/dev/vda, vdb… in order): an image or a block device. Settings: ro, snapshot (throw the guest's writes away), serial=S, lock=off, direct=on, cache=writeback|none|unsafe, queues=N, io=auto|uring|sync, rate=REQUESTS/s, bandwidth=BYTES/s; a comma in FILE is written ,,",
	  parse_block },
	{ "tunnet", 0, "IP[/LEN][:MAC] | bridge:NAME[:MAC]",
	  "a NIC (eth0, eth1… in order) on a tap of its own: the host's end gets IP, or goes onto the bridge",
	  parse_tunnet },
	{ "net", 0, "tap=NAME|bridge=NAME|fd=N[,SETTING…]",
	  "the same with more say: an existing tap, a bridge, or an open tap descriptor. Settings: mac=MAC, mtu=N, offload=off, spoof-check=off, queues=N, rate=PACKETS/s, bandwidth=BYTES/s",
	  parse_net },
	{ "rng", 0, NULL, "give the guest the host's random numbers (/dev/hwrng)", parse_rng },
	{ "initrd", 0, "FILE", "initial RAM disk", parse_initrd },
	{ "name", 0, "NAME", "what lguest-sep audit calls this guest (default: the kernel's file name)", parse_name },
	{ "drop-to", 0, "USER[:GROUP]", "what every process becomes once all is open (as root, default: nobody)",
	  parse_drop_to },
	{ "engine", 0, "auto|lguest|kvm|qemu", "what runs the guest's instructions (default: auto)", parse_engine },
	{ "smp", 0, "N", "virtual CPUs (default: 1)", parse_smp },
	{ "no-reboot", 0, NULL, "end when the guest reboots", parse_no_reboot },
	{ "max-reboots", 0, "N", "let the guest reboot N times (default: 16 with lguest, else without end)",
	  parse_max_reboots },
	{ "max-restarts", 0, "N",
	  "how often a minute a disk or NIC process that died is started again, before the guest is ended (default: 5; 0: the guest ends at once)",
	  parse_max_restarts },
	{ "timeout", 0, "SECONDS", "end the guest after that time", parse_timeout },
	{ "on-fault", 0, "reset|kill",
	  "when the guest breaks a rule of a queue: reset the device (default) or end the guest", parse_on_fault },
	{ "strict", 0, NULL, "refuse to start where this host lacks a layer of confinement", parse_strict },
	{ "poll-us", 0, "N",
	  "microseconds that busy disks and NICs look for work before they sleep (default: 50, "
	  "or 0 on one CPU)",
	  parse_poll_us },
	{ "vhost-user-blk", 0, "SOCKET", "a disk served by another program", parse_vhost_user_blk },
	{ "vhost-user-net", 0, "SOCKET", "a NIC served by another program", parse_vhost_user_net },
	{ "stats", 0, NULL, "counters of every process at the end, and on SIGUSR1", parse_stats },
	{ "verbose", 'v', NULL, "say what is done, how, and how long it took", parse_verbose },
	{ "help", 'h', NULL, "this text", print_help },
	{ "version", 0, NULL, "the version, and how many system calls each process may make", print_version },
	{ NULL, 0, NULL, NULL, NULL },
};

/* Print @text in lines of at most 80 columns, each after 8 blanks. */
static void print_wrapped(const char *text)
{
	while (*text) {
		size_t len = strlen(text), cut = len;

		if (len > 72) {
			for (cut = 72; cut > 0 && text[cut] != ' '; cut--)
				;
			if (!cut)
				cut = 72;
		}
		printf("        %.*s\n", (int)cut, text);
		text += cut + (text[cut] == ' ');
	}
}

static int print_help(struct parse *p, const char *value)
{
	(void)value;
	puts("Usage: lguest-sep [OPTION…] MEM-MB KERNEL [KERNEL-ARGUMENT…]\n"
	     "       lguest-sep audit [NAME|PID] [--json]  is it as confined as promised?\n"
	     "       lguest-sep doctor [--json]            what does this host offer?\n"
	     "\n"
	     "Boots KERNEL with MEM-MB mebibytes in a guest that nobody has to trust: each\n"
	     "disk, each NIC and the CPU have a confined process of their own. Three ^C within\n"
	     "one second leave. A value follows after = or as the next word.\n");
	for (const struct option_row *o = table; o->name; o++) {
		printf("  --%s%s%s", o->name, o->arg ? "=" : "", o->arg ? o->arg : "");
		if (o->letter)
			printf(", -%c", o->letter);
		putchar('\n');
		print_wrapped(o->help);
	}
	puts("\n"
	     "Examples:\n"
	     "  lguest-sep --block=disk.img --tunnet=10.77.0.1/24 --initrd=initrd 256 vmlinuz\n"
	     "  lguest-sep --name=web --block=web.img,snapshot --tunnet=bridge:br0 512 vmlinuz\n"
	     "  lguest-sep audit web\n"
	     "\n"
	     "Exit status: 0 the guest powered off, 1 the host could not start it, 2 usage,\n"
	     "3 the guest crashed, 4 one of our processes died, 5 --timeout,\n"
	     "6 --on-fault=kill, 7 --max-reboots, 8 --max-restarts, 129 SIGHUP,\n"
	     "130 three ^C or SIGINT, 131 SIGQUIT, 143 SIGTERM. man lguest-sep says more.");
	return printed(p);
}

static const struct option_row *find_row(const char *arg, size_t len)
{
	for (const struct option_row *o = table; o->name; o++)
		if (strlen(o->name) == len && !memcmp(o->name, arg, len))
			return o;
	return NULL;
}

/* One option at argv[*i]; moves *i over it and its value. -1, or the exit status. */
static int parse_option(struct config *c, int argc, char **argv, int *i)
{
	struct parse p = { .c = c };
	const char *arg = argv[*i], *value = NULL;
	const struct option_row *o = NULL;
	char name[40];
	size_t len;

	if (arg[1] != '-') {
		for (const struct option_row *row = table; row->name; row++)
			if (row->letter && row->letter == arg[1] && !arg[2])
				o = row;
	} else {
		len = strcspn(arg + 2, "=");
		o = find_row(arg + 2, len);
		if (arg[2 + len])
			value = arg + 3 + len;
	}
	if (!o)
		return complain(EXIT_USAGE, "%s: there is no such option (see lguest-sep --help)", arg);
	snprintf(name, sizeof(name), "--%s", o->name);
	p.opt = name;
	if (value && !o->arg)
		return complain(EXIT_USAGE, "%s=%s: this option takes no value", name, value);
	if (!value && o->arg) {
		if (*i + 1 >= argc)
			return complain(EXIT_USAGE, "%s: a value is missing: %s=%s", name, name, o->arg);
		value = argv[++*i];
	}
	++*i;
	return o->parse(&p, value);
}

/* Add one word to the kernel's command line. False if it does not fit. */
static bool add_word(struct config *c, const char *word)
{
	size_t have = strlen(c->cmdline), len = strlen(word);

	if (have + len + 2 > sizeof(c->cmdline))
		return false;
	if (have)
		c->cmdline[have++] = ' ';
	memcpy(c->cmdline + have, word, len + 1);
	return true;
}

/* True if one of the kernel's own words, which end at "--", begins with @key. */
static bool has_word(char **words, const char *key)
{
	for (; *words; words++) {
		for (const char *s = *words; s; s = strchr(s, ' ')) {
			s += *s == ' ';
			if (!strncmp(s, key, strlen(key)))
				return true;
			if (!strncmp(s, "--", 2) && (!s[2] || s[2] == ' '))
				return false;
		}
	}
	return false;
}

/* The first of @words that is one of our options: there it would be the kernel's, or its init's. */
static const char *misplaced(char **words)
{
	for (; *words && strcmp(*words, "--") != 0; words++)
		if (!strncmp(*words, "--", 2) && find_row(*words + 2, strcspn(*words + 2, "=")))
			return *words;
	return NULL;
}

/*
 * The kernel's words, and before them, since what follows after "--" is its
 * init's, two of our own where the user says nothing: the console that always
 * exists, and a reboot after a panic, which is how it is seen.
 */
static int parse_cmdline(struct config *c, char **words)
{
	bool fits = true;

	c->console_said = has_word(words, "console=");
	if (!c->console_said)
		fits = add_word(c, "console=hvc0");
	if (!has_word(words, "panic="))
		fits = fits && add_word(c, "panic=-1");
	for (char **w = words; *w; w++)
		fits = fits && add_word(c, *w);
	if (!fits)
		return complain(EXIT_USAGE, "the kernel's command line is longer than %d characters; shorten it",
				CMDLINE_MAX - 1);
	return -1;
}

int options_read(int argc, char **argv, struct config *c)
{
	int i = 1, status;
	const char *late;
	uint64_t mb;

	memset(c, 0, sizeof(*c));
	c->smp = 1;
	/* Measured (docs/performance.md): polling pays where the guest's CPU is another one. */
	c->poll_us = sysconf(_SC_NPROCESSORS_ONLN) > 1 ? DEFAULT_POLL_US : 0;
	c->max_reboots = DEFAULT_MAX_REBOOTS;
	c->max_restarts = DEFAULT_MAX_RESTARTS;
	while (i < argc && argv[i][0] == '-' && argv[i][1]) {
		if (!strcmp(argv[i], "--")) {
			i++;
			break;
		}
		status = parse_option(c, argc, argv, &i);
		if (status >= 0)
			return status;
	}
	if (argc - i < 2)
		return complain(EXIT_USAGE,
				"%s missing: lguest-sep [OPTION…] MEM-MB KERNEL [KERNEL-ARGUMENT…] (see --help)",
				argc - i == 1 ? "KERNEL is" : "MEM-MB and KERNEL are");
	if (!parse_number(argv[i], 1, MAX_MEM_MB, &mb))
		return complain(EXIT_USAGE, "MEM-MB %s: give the guest's memory as a number of mebibytes, 1 to %llu",
				*argv[i] ? argv[i] : "(nothing)", (unsigned long long)MAX_MEM_MB);
	c->mem_bytes = mb << 20;
	c->kernel = argv[i + 1];
	if (!*c->kernel)
		return complain(EXIT_USAGE, "KERNEL: the name of a file is missing");
	late = misplaced(argv + i + 1);
	if (late)
		return complain(EXIT_USAGE, "%s: options come before MEM-MB (a kernel's init gets its own after --)",
				late);
	return parse_cmdline(c, argv + i + 2);
}

int options_parse(int argc, char **argv, struct config *c)
{
	int status = options_read(argc, argv, c);

	return status >= 0 ? status : default_drop_to(c);
}
