/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Parses the options for lguest-sep run. Runs in the parent before it opens anything.
 */
#include <string.h>
#include <sys/stat.h>

#include "common/fmt.h"
#include "parent/options/disk.h"
#include "parent/options/run.h"
#include "parent/options/share.h"
#include "parent/options/util.h"

/* Parse to=PATH, the place of a copied file in the guest. */
static const char *parse_to(struct opt_parser *p, void *to, const char *value)
{
	static const char why[] = "give a path in the guest of at most 199 bytes, without .. and not ending in /";
	struct copy_option *o = to;

	(void)p;
	value += strspn(value, "/");
	if (!*value || strlen(value) >= sizeof(o->to) || value[strlen(value) - 1] == '/' || strstr(value, "../") ||
	    !strcmp(value, ".."))
		return why;
	memcpy(o->to, value, strlen(value) + 1);
	return NULL;
}

const struct opt_row copy_settings[] = {
	{ .name = "to", .kind = OPT_CUSTOM, .arg = "PATH", .parse = parse_to },
	{ .name = NULL },
};

/* Remember the first option that means something only with run. */
static void only_run(struct config *c, const char *option)
{
	if (!c->run.only)
		c->run.only = option;
}

const char *parse_modules(struct opt_parser *p, void *to, const char *value)
{
	struct config *c = to;

	(void)p;
	only_run(c, "--modules");
	c->run.modules = value;
	return *value ? NULL : "the name of a directory is missing";
}

const char *parse_copy(struct opt_parser *p, void *to, const char *value)
{
	struct config *c = to;
	const char *why, *last;
	struct copy_option *o;

	only_run(c, "--copy");
	if (c->run.ncopies == RUN_OPTIONS_MAX)
		return "at most 256 files can be copied";
	o = &c->run.copy[c->run.ncopies++];
	o->path = config_path(c, &value, &why);
	if (!o->path)
		return why;
	o->to[0] = '\0';
	why = value ? opt_settings(p, copy_settings, o, value) : NULL;
	if (why || o->to[0])
		return why;
	last = strrchr(o->path, '/');
	return parse_to(p, o, last ? last + 1 : o->path);
}

const char *parse_env(struct opt_parser *p, void *to, const char *value)
{
	struct config *c = to;

	(void)p;
	only_run(c, "--env");
	if (c->run.nenv == RUN_OPTIONS_MAX)
		return "at most 256 variables can be set";
	if (*value == '=' || !strchr(value, '='))
		return "give NAME=VALUE";
	c->run.env[c->run.nenv++] = value;
	return NULL;
}

const char *parse_cwd(struct opt_parser *p, void *to, const char *value)
{
	struct config *c = to;

	(void)p;
	only_run(c, "--cwd");
	c->run.cwd = value;
	return *value == '/' ? NULL : "give a directory of the guest that begins with /";
}

/* True if @path exists and is a file or block device that can be a disk. */
static bool is_disk(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode));
}

const char *parse_root(struct opt_parser *p, void *to, const char *value)
{
	struct config *c = to;
	const char *rest = value, *path, *why;

	only_run(c, "--root");
	c->run.root = value;
	path = config_path(c, &rest, &why);
	if (path && is_disk(path))
		return disk_add_root(p, c, path, rest);
	return share_add(p, c, value, RUN_ROOT_TAG, "--root=");
}

const char *parse_in(struct opt_parser *p, void *to, const char *value)
{
	struct config *c = to;

	only_run(c, "--in");
	c->run.in = value;
	return share_add(p, c, value, RUN_IN_TAG, "--in=");
}

const char *parse_out(struct opt_parser *p, void *to, const char *value)
{
	struct config *c = to;

	only_run(c, "--out");
	return share_add_out(p, c, value);
}

const char *parse_checkpoint_at(struct opt_parser *p, void *to, const char *value)
{
	struct config *c = to;

	(void)p;
	only_run(c, "--checkpoint-at");
	c->checkpoint = c->run.rounds = true;
	return strcmp(value, "command") ? "the only moment to choose is command, right before COMMAND starts" : NULL;
}

/* Insert the ports that lguest-sep run itself uses before the user's. */
static void add_run_ports(struct config *c)
{
	static const char *const name[RUN_PORTS] = { RUN_PORT_NAMES };

	memmove(c->port + RUN_PORTS, c->port, c->nports * sizeof(c->port[0]));
	memset(c->port, 0, RUN_PORTS * sizeof(c->port[0]));
	for (unsigned i = 0; i < RUN_PORTS; i++)
		fmt_line(c->port[i].name, sizeof(c->port[i].name), "%s", name[i]);
	c->nports += RUN_PORTS;
}

int run_words(struct config *c, char **words)
{
	if (!c->run.on) {
		if (!c->run.only && c->run.raw_status)
			c->run.only = "--raw-status";
		return c->run.only ? complain(EXIT_USAGE, "%s: only with lguest-sep run", c->run.only) : -1;
	}
	while (*words && strcmp(*words, "--") != 0)
		words++;
	if (!*words || !words[1])
		return complain(EXIT_USAGE, "run: COMMAND is missing: lguest-sep run [OPTION...] MEM-MB KERNEL "
					    "[KERNEL-ARGUMENT...] -- COMMAND [ARG...]");
	*words = NULL;
	if (c->exit_port.kind)
		return complain(EXIT_USAGE, "--exit-port: not with run, whose status is the command's");
	if (c->run.root && (c->initrd || c->run.ncopies))
		return complain(EXIT_USAGE,
				"--root and %s: give one of them; the guest's files are those of the directory or disk",
				c->initrd ? "--initrd" : "--copy");
	c->run.command = words + 1;
	/* Do not run the command a second time if the guest reboots. */
	c->no_reboot = true;
	add_run_ports(c);
	return -1;
}
