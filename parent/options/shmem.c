/* SPDX-License-Identifier: GPL-2.0-or-later */
/* --shmem=: see shmem.h. Runs in the parent before it opens anything. */
#include "parent/options/shmem.h"
#include "parent/options/util.h"

const struct opt_row shmem_settings[] = {
	{ .name = "size",
	  .kind = OPT_SIZE,
	  .arg = "SIZE",
	  .min = SHMEM_MIN,
	  .max = SHMEM_MAX,
	  OPT_TO(struct shmem_option, size) },
	{ .name = "ro", .kind = OPT_FLAG, OPT_TO(struct shmem_option, read_only) },
	{ .name = NULL },
};

const char *parse_shmem(struct opt_parser *p, void *to, const char *value)
{
	struct config *c = to;
	const char *why;

	c->shmem.path = config_path(c, &value, &why);
	if (!c->shmem.path)
		return why;
	why = value ? opt_settings(p, shmem_settings, &c->shmem, value) : NULL;
	if (!why && c->shmem.size && !is_power_of_two(c->shmem.size))
		return "size= must be a power of two, such as 4k or 1M";
	return why;
}

int shmem_check(struct config *c)
{
	if (!c->shmem.path)
		return -1;
	if (c->engine != ENGINE_AUTO && c->engine != ENGINE_KVM)
		return complain(EXIT_USAGE, "--shmem=%s: only the kvm engine has this device; leave %s out",
				c->shmem.path,
				c->machine_set ? "--machine"
				: c->cpu       ? "--cpu"
				: c->nboots    ? "--boot-disk and --cdrom"
					       : "--engine or --firmware");
	c->engine = ENGINE_KVM;
	return -1;
}
