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

/* A device whose state no file of ours contains. */
static int check_devices(const struct config *c, const char *option)
{
	static const char *const options[] = { [DEV_NET] = "--net", [DEV_FS] = "--share" };
	const struct disk_option *disk = c->ndisks ? &c->disk[0] : NULL;

	if (c->ndevices)
		return complain(EXIT_USAGE,
				"%s: not with %s%s yet, whose state is not in the file; leave one of them out", option,
				disk ? disk_how(disk) : options[c->device[0].kind], disk ? disk->path : "");
	if (c->nports)
		return complain(EXIT_USAGE,
				"%s: not with %s yet, whose ports are not in the file; leave one of them out", option,
				c->run.on ? "run" : "--port");
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
