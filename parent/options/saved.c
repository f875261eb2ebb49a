/* SPDX-License-Identifier: GPL-2.0-or-later */
/* --save= and --from=: see saved.h. Runs in the parent before it opens anything. */
#include <string.h>

#include "parent/options/saved.h"
#include "parent/options/util.h"

int saved_words(struct config *c, int n, char **words)
{
	if (!c->from)
		return -1;
	if (n < 1)
		return complain(EXIT_USAGE,
				"MEM-MB is missing: lguest-sep [OPTION...] --from=FILE MEM-MB (see --help)");
	if (n > 1)
		return complain(
			EXIT_USAGE,
			"--from=%s: the saved guest has its kernel in memory; leave KERNEL (%s) and its words out",
			c->from, words[1]);
	/* The saved guest's own command line says where its console is. */
	c->console_said = true;
	return -1;
}

static int check_disk(const struct disk_option *o, const char *option)
{
	if (o->vhost_user)
		return complain(
			EXIT_USAGE,
			"%s: not with %s%s, because the file cannot contain the state of another program's disk",
			option, disk_how(o), o->path);
	if (!o->read_only && !o->snapshot)
		return complain(EXIT_USAGE, "%s: not with a file that guests write; use %s%s,snapshot or ,ro", option,
				disk_how(o), o->path);
	return -1;
}

static int check_share(const struct share_option *o, const char *option)
{
	if (o->vhost_user)
		return complain(
			EXIT_USAGE,
			"%s: not with %s%s, because the file cannot contain the state of another program's share",
			option, o->option, o->path);
	if (o->read_write)
		return complain(EXIT_USAGE, "%s: not with a directory that the guest writes to; leave rw out of %s%s",
				option, o->option, o->path);
	return -1;
}

/* A device whose state no file of ours contains. */
static int check_devices(const struct config *c, const char *option)
{
	for (unsigned i = 0; i < c->ndevices; i++) {
		const struct net_option *n = &c->net[c->device[i].index];

		if (c->device[i].kind == DEV_BLK && check_disk(&c->disk[c->device[i].index], option) >= 0)
			return EXIT_USAGE;
		if (c->device[i].kind == DEV_NET && n->kind == NET_VHOST_USER)
			return complain(
				EXIT_USAGE,
				"%s: not with --vhost-user-net=%s, because the file cannot contain the state of another program's NIC",
				option, n->path);
		if (c->device[i].kind == DEV_FS && check_share(&c->share[c->device[i].index], option) >= 0)
			return EXIT_USAGE;
	}
	return -1;
}

int saved_check(struct config *c)
{
	const char *option = c->from ? "--from" : "--save";

	if (!c->from && !c->save)
		return -1;
	if (c->run.on)
		return complain(EXIT_USAGE, "run: it starts a kernel for its command; leave %s out", option);
	if (check_devices(c, option) >= 0)
		return EXIT_USAGE;
	if (c->engine != ENGINE_AUTO && c->engine != ENGINE_KVM)
		return complain(EXIT_USAGE, "%s: only the kvm engine can do that; leave %s out", option,
				c->machine_set ? "--machine"
				: c->cpu       ? "--cpu"
					       : "--engine or --firmware");
	if (c->from && c->initrd)
		return complain(EXIT_USAGE,
				"--initrd: the saved guest has its own in memory; leave it out with --from");
	if (c->from && c->save && !strcmp(c->from, c->save))
		return complain(EXIT_USAGE, "--save=%s: this is the file of --from; choose another name", c->save);
	c->checkpoint |= c->save != NULL;
	if (!c->exit_port.kind)
		c->exit_port = (struct exit_port_option){ .kind = EXIT_PORT_BYTE };
	c->engine = ENGINE_KVM;
	return -1;
}
