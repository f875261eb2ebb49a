/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command line as a whole: options, then memory, kernel and its words. Runs in the
 * parent before it opens anything. It must check everything that can be checked without
 * examining the host.
 */
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "common/clear.h"
#include "common/fmt.h"
#include "parent/options/boot.h"
#include "parent/options/conf.h"
#include "parent/options/machine.h"
#include "parent/options/options.h"
#include "parent/options/run.h"
#include "parent/options/saved.h"
#include "parent/options/table.h"
#include "parent/options/util.h"
#include "parent/terminal/console.h"
#include "policy/policies.h"

#define DEFAULT_POLL_US	       50
#define DEFAULT_MAX_REBOOTS    16
#define DEFAULT_MAX_RESTARTS   5
#define DEFAULT_STOP_TIMEOUT_S 90
#define MAX_MEM_MB	       (UINT64_C(1) << 24)

static const char help_head[] = "Usage: lguest-sep [OPTION...] MEM-MB KERNEL [KERNEL-ARGUMENT...]\n"
				"       lguest-sep [OPTION...] --boot-disk=FILE|--cdrom=FILE|--from=FILE MEM-MB\n"
				"       lguest-sep run [OPTION...] MEM-MB KERNEL [WORD...] -- COMMAND [ARG...]\n"
				"       lguest-sep audit [NAME|PID] [--json]  check a guest's confinement\n"
				"       lguest-sep doctor [--json]            report what this host supports\n"
				"       lguest-sep ps [--json]                list running guests\n"
				"       lguest-sep status|stats NAME [--json] show its state; its counters\n"
				"       lguest-sep stop|kill|wait NAME        power it off; end it; its status\n"
				"       lguest-sep logs|attach NAME           its last output; its console\n"
				"       lguest-sep pause|resume|nmi NAME      halt it; go on; send it an NMI\n"
				"       lguest-sep checkpoint|reset NAME      record its state; go back to it\n"
				"       lguest-sep sysrq NAME KEY             a key of sysrq for its Linux\n"
				"\n"
				"Boots KERNEL with MEM-MB mebibytes (or 128M, 1G) in a guest that nobody has to\n"
				"trust: each disk, each NIC and the CPU have a confined process of their own.\n"
				"Press Ctrl-C three times within a second to quit. A value follows after = or as\n"
				"the next word.\n"
				"\n";

static const char help_tail[] = "\n"
				"Examples:\n"
				"  lguest-sep --block=disk.img --tunnet=10.77.0.1/24 --initrd=initrd 256 vmlinuz\n"
				"  lguest-sep --name=web --block=web.img,snapshot --tunnet=bridge:br0 512 vmlinuz\n"
				"  lguest-sep audit web\n"
				"\n"
				"Exit status: 0 the guest powered off, 1 the host could not start it, 2 usage,\n"
				"3 the guest crashed, 4 one of our processes died, 5 --timeout, --cpu-timeout,\n"
				"6 --on-fault=kill, 7 --max-reboots, --no-reboot, 8 --max-restarts,\n"
				"9 --exit-port: another number than success, 129 SIGHUP,\n"
				"130 three ^C or SIGINT, 131 SIGQUIT, 137 lguest-sep kill, 143 SIGTERM.\n"
				"run: 0 to 122 COMMAND's own, 123 COMMAND's was higher, or a signal ended it,\n"
				"124 a timeout, 125 anything else.\n"
				"See man lguest-sep for more.\n";

static int print_version(void)
{
	static const struct policy *const policies[] = {
		&policy_blkd,
		&policy_netd,
		&policy_vcpu_kvm,
		&policy_vcpu_kvm_checkpoint,
		&policy_vcpu_kvm_save,
		&policy_vcpu_lguest,
		&policy_supervisor,
		&policy_controld,
		&policy_fsd,
		&policy_cleaner,
		&policy_copier,
		&policy_fsd_foreign,
		&policy_fsd_saved,
		&policy_fsd_saved_foreign,
		&policy_fsd_rw,
		&policy_fsd_rw_foreign,
		&policy_blkd_foreign,
		&policy_blkd_saved,
		&policy_blkd_saved_foreign,
		&policy_blkd_nbd,
		&policy_netd_foreign,
		&policy_vcpu_qemu,
		&policy_vcpu_kvm_load,
		&policy_vcpu_kvm_checkpoint_load,
		&policy_vcpu_kvm_save_load,
		&policy_vcpu_kvm_from_load,
		&policy_vcpu_lguest_load,
		&policy_vcpu_qemu_load,
		&policy_start,
		&policy_start_qemu,
		&policy_start_passt,
		&policy_start_fsd,
		&policy_start_fsd_rw,
		&policy_start_checkpoint,
	};
	char text[4096];
	size_t n = fmt_line(text, sizeof(text),
			    "lguest-sep " LGUEST_SEP_VERSION "\n"
			    "system calls that each process may make once it is confined (policy/BUDGET):\n");

	for (unsigned i = 0; i < ARRAY_SIZE(policies); i++)
		n += fmt_line(text + n, sizeof(text) - n,
			      "  %-24s %3u calls, %3u rules, %3u of them bound to their arguments\n", policies[i]->name,
			      policies[i]->ncalls, policies[i]->nrules, policies[i]->nconditions);
	return opt_print(text);
}

static bool peeking;	     /* options_peek() parses another process's command line: do not print --help. */
static const char *peek_dir; /* Its working directory; NULL: our own command line. */

/* Print what @act asks for to standard output. Returns the exit status. */
static int print(int act)
{
	const char *name = act == OPT_HELP ? "--help" : act == OPT_LIST ? "--list-options" : "--version";
	int failed;

	if (peeking)
		return EXIT_USAGE;
	if (act == OPT_HELP)
		failed = opt_print_help(option_table, help_head, help_tail);
	else if (act == OPT_LIST)
		failed = opt_print_list(option_table);
	else
		failed = print_version();
	return failed ? complain(EXIT_HOST, "%s: cannot write to standard output: %m", name) : EXIT_POWEROFF;
}

/* Add one word to the kernel's command line. Returns false if it does not fit. */
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

/* Add console= with the machine's serial port. */
static bool add_serial(struct config *c)
{
	char word[32];

	fmt_line(word, sizeof(word), "console=%s", machine_get(c->machine)->serial);
	return add_word(c, word);
}

/* True if a word of the kernel begins with @key. Words after "--" belong to the guest's init. */
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

/*
 * Returns the first of @words that is one of our options, or NULL. After MEM-MB it would be passed to the kernel, and
 * the guest would start without what the user asked for.
 */
static const char *misplaced(char **words)
{
	for (; *words && strcmp(*words, "--") != 0; words++)
		if (!strncmp(*words, "--", 2) && opt_find(option_table, *words + 2, strcspn(*words + 2, "=")))
			return *words;
	return NULL;
}

/*
 * Build the kernel's command line. Unless the user gives console= or panic=, add our
 * defaults: both consoles, since a kernel may have a driver for only one of them
 * (common/console_pair.h), and a reboot after a panic, by which the supervisor detects
 * the panic. They come first, because words after "--" belong to the guest's init.
 */
static int parse_cmdline(struct config *c, char **words)
{
	bool fits = true;

	if (c->from)
		return -1;
	if (c->no_kernel) { /* What boots from a disk has the serial port, and no command line of ours. */
		c->console_said = true;
		return add_serial(c) ? -1 : EXIT_USAGE;
	}
	c->console_said = has_word(words, "console=");
	if (!c->console_said)
		fits = add_serial(c) && add_word(c, "console=hvc0");
	if (!has_word(words, "panic="))
		fits = fits && add_word(c, "panic=-1");
	/* On a busy host, Linux on an emulated CPU may miss ticks while it tests its timer, and then panics. */
	if (c->run.on)
		fits = fits && add_word(c, "rdinit=" RUN_INIT) && add_word(c, "no_timer_check");
	for (char **w = words; *w; w++)
		fits = fits && add_word(c, *w);
	if (!fits)
		return complain(EXIT_USAGE, "the kernel's command line is longer than %d characters; shorten it",
				CMDLINE_MAX - 1);
	return -1;
}

/* Parse MEM-MB (mebibytes, or a size with M or G) into bytes. */
static bool parse_memory(const char *s, uint64_t *bytes)
{
	uint64_t mb;

	if (parse_number(s, 1, MAX_MEM_MB, &mb)) {
		*bytes = mb << 20;
		return true;
	}
	return strpbrk(s, "MG") && parse_size(s, 1u << 20, MAX_MEM_MB << 20, bytes);
}

static void set_defaults(struct config *c)
{
	c->smp = 1;
	c->console.max = UINT64_MAX;
	/* Polling pays only if the guest runs on another CPU (docs/performance.md). */
	c->poll_us = sysconf(_SC_NPROCESSORS_ONLN) > 1 ? DEFAULT_POLL_US : 0;
	c->max_reboots = DEFAULT_MAX_REBOOTS;
	c->stop_timeout_s = DEFAULT_STOP_TIMEOUT_S;
	c->escape_key = ESCAPE_DEFAULT;
	c->max_restarts = DEFAULT_MAX_RESTARTS;
}

/* The file of --config for open(2): a relative path is relative to the directory of the process that was given it. */
static const char *conf_path(const char *path)
{
	static char text[PATH_MAX];

	if (!peek_dir || *path == '/')
		return path;
	fmt_line(text, sizeof(text), "%s/%s", peek_dir, path);
	return text;
}

int options_read(int argc, char **argv, struct config *c)
{
	static struct opt_parser p;
	int i = 1, got;
	const char *late, *why;
	bool spliced = false;
	char **words;

	clear_object(c, sizeof(*c));
	c->run.on = argc > 1 && !strcmp(argv[1], "run");
	i += c->run.on;
	opt_begin(&p, option_table, c);
	set_defaults(c);
	while ((got = opt_next(&p, argc, argv, &i)) == 0)
		if (c->conf && !spliced) {
			spliced = true;
			argv = conf_words(conf_path(c->conf), argv[0], argc - i, argv + i, &argc, &why);
			if (!argv)
				return complain(EXIT_USAGE, "--config=%s: %s", c->conf, why);
			i = 1;
		}
	if (got < 0)
		return complain(EXIT_USAGE, "%s%s%s%s", p.line, spliced ? " (the command line with --config=" : "",
				spliced ? c->conf : "", spliced ? ")" : "");
	if (got == OPT_OPERANDS && argc - i == 1 && !strcmp(argv[i], "help"))
		return print(OPT_HELP);
	if (got != OPT_OPERANDS)
		return print(got);
	if (c->no_reboot && c->max_reboots_set)
		return complain(EXIT_USAGE, "--no-reboot and --max-reboots: give one of them");
	if (c->quiet && c->verbose)
		return complain(EXIT_USAGE, "--quiet and --verbose: give one of them");
	if (c->run.on && c->escape_key != ESCAPE_OFF && c->escape_key != ESCAPE_DEFAULT)
		return complain(EXIT_USAGE, "--escape: run leaves the terminal in line mode, where only ^C can quit; "
					    "give ^C or off");
	c->no_kernel = argc - i == 1 && boot_first(c);
	if (argc - i < 2 && !c->no_kernel && !c->from)
		return complain(EXIT_USAGE,
				"%s missing: lguest-sep [OPTION...] MEM-MB KERNEL [KERNEL-ARGUMENT...] (see --help)",
				argc - i == 1 ? "KERNEL is" : "MEM-MB and KERNEL are");
	if (saved_words(c, argc - i, argv + i) >= 0)
		return EXIT_USAGE;
	if (!parse_memory(argv[i], &c->mem_bytes))
		return complain(
			EXIT_USAGE,
			"MEM-MB %s: give the guest's memory as a number of mebibytes, 1 to %llu, or as 128M or 1G",
			*argv[i] ? argv[i] : "(nothing)", (unsigned long long)MAX_MEM_MB);
	words = c->no_kernel || c->from ? argv + argc : argv + i + 2;
	c->kernel = c->from ? c->from : c->no_kernel ? boot_first(c)->path : argv[i + 1];
	if (!*c->kernel)
		return complain(EXIT_USAGE, "KERNEL: the name of a file is missing");
	if (run_words(c, words) >= 0 || machine_check(c) >= 0)
		return EXIT_USAGE;
	c->control |= c->name || c->detach;
	if (c->detach && c->run.on)
		return complain(EXIT_USAGE, "--detach: run waits for its command; leave --detach out");
	late = misplaced(argv + i + !c->no_kernel);
	if (late)
		return complain(EXIT_USAGE, "%s: options come before MEM-MB (a kernel's init gets its own after --)",
				late);
	return parse_cmdline(c, words);
}

bool options_peek(int argc, char **argv, const char *dir, struct config *c)
{
	int status;

	peeking = true;
	peek_dir = dir;
	complain_quietly(true);
	status = options_read(argc, argv, c);
	complain_quietly(false);
	peeking = false;
	peek_dir = NULL;
	return status < 0;
}

int options_parse(int argc, char **argv, struct config *c)
{
	int status = options_read(argc, argv, c);

	return status >= 0 ? status : default_drop_to(c);
}
