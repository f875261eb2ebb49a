/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Parses the options for the guest's output: its console and its named ports. Runs in
 * the parent before it opens anything.
 */
#include <string.h>

#include "common/fmt.h"
#include "parent/options/output.h"
#include "parent/options/util.h"

#define DEFAULT_PORT_MAX (UINT64_C(64) << 20)
#define NAME_BYTES	 "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."

const struct opt_row console_settings[] = {
	{ .name = "max",
	  .kind = OPT_SIZE,
	  .arg = "SIZE",
	  .min = 1,
	  .max = UINT64_C(1) << 50,
	  OPT_TO(struct console_option, max) },
	{ .name = "timestamps", .kind = OPT_FLAG, OPT_TO(struct console_option, timestamps) },
	{ .name = NULL },
};

const char *parse_console(struct opt_parser *p, void *to, const char *value)
{
	struct config *c = to;
	const char *why, *path = config_path(c, &value, &why);

	if (!path)
		return why;
	c->console.path = strcmp(path, "-") != 0 ? path : NULL;
	return value ? opt_settings(p, console_settings, &c->console, value) : NULL;
}

const struct opt_row exit_port_settings[] = {
	{ .name = "success",
	  .kind = OPT_NUMBER,
	  .arg = "N",
	  .max = UINT8_MAX,
	  OPT_TO(struct exit_port_option, success) },
	{ .name = "iobase", .kind = OPT_CHOICE, .arg = EXIT_PORT_CHOICE, OPT_TO(struct exit_port_option, at_qemu) },
	{ .name = NULL },
};

const char *parse_exit_port(struct opt_parser *p, void *to, const char *value)
{
	static const char why[] = "choose byte, isa-debug-exit or sifive-test";
	struct exit_port_option *o = &((struct config *)to)->exit_port;
	const char *rest = value;
	char kind[16];

	*o = (struct exit_port_option){ .kind = EXIT_PORT_BYTE };
	if (!value)
		return NULL;
	if (opt_field(&rest, kind, sizeof(kind)) <= 0)
		return why;
	/* QEMU ends with 1 where the guest writes 0. */
	if (!strcmp(kind, "isa-debug-exit"))
		*o = (struct exit_port_option){ .kind = EXIT_PORT_ISA_DEBUG_EXIT, .success = 1 };
	else if (!strcmp(kind, "sifive-test"))
		*o = (struct exit_port_option){ .kind = EXIT_PORT_SIFIVE_TEST };
	else if (strcmp(kind, "byte") != 0)
		return why;
	return rest ? opt_settings(p, exit_port_settings, o, rest) : NULL;
}

const struct opt_row port_settings[] = {
	{ .name = "max",
	  .kind = OPT_SIZE,
	  .arg = "SIZE",
	  .min = 1,
	  .max = UINT64_C(1) << 50,
	  OPT_TO(struct port_option, max) },
	{ .name = NULL },
};

const char *parse_port(struct opt_parser *p, void *to, const char *value)
{
	struct config *c = to;
	const char *colon = strchr(value, ':'), *rest, *why;
	size_t len = colon ? (size_t)(colon - value) : 0;
	struct port_option *o;

	if (!len || len >= PORT_NAME_MAX || strspn(value, NAME_BYTES) != len)
		return "give NAME:FILE; a port's name has 1 to 31 letters, digits, dashes, dots and underscores";
	if (!strncmp(value, RUN_PREFIX, strlen(RUN_PREFIX)))
		return "names that begin with " RUN_PREFIX " are reserved for lguest-sep run";
	if (c->nports == MAX_PORTS - (c->run.on ? RUN_PORTS : 0u))
		return c->run.on ? "with run, a guest can have at most 11 ports" : "a guest can have at most 15 ports";
	o = &c->port[c->nports];
	memset(o, 0, sizeof(*o));
	fmt_line(o->name, sizeof(o->name), "%.*s", (int)len, value);
	for (unsigned i = 0; i < c->nports; i++)
		if (!strcmp(c->port[i].name, o->name))
			return opt_why(p, "there is a port %s already", o->name);
	o->max = DEFAULT_PORT_MAX;
	rest = colon + 1;
	o->path = config_path(c, &rest, &why);
	if (!o->path)
		return why;
	c->nports++;
	return rest ? opt_settings(p, port_settings, o, rest) : NULL;
}
