/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz: the command line; each line of the input is a word. Accepted values are in range and
 * NUL-terminated; a refused command line has an exit status.
 */
#include "parent/options/config.h"
#include "parent/options/options.h"
#include "tests/fuzz/fuzz.h"

#define WORDS 40

static struct config c;

static void check(void)
{
	unsigned disks = 0, nets = 0, shares = 0;

	PROMISE(c.kernel && c.kernel[0]);
	PROMISE(c.mem_bytes && c.mem_bytes % 4096 == 0);
	PROMISE(memchr(c.cmdline, '\0', sizeof(c.cmdline)));
	PROMISE(c.smp >= 1 && c.smp <= MAX_VCPUS);
	PROMISE(c.ndevices <= MAX_DEVICES && c.ndevices == c.ndisks + c.nnets + c.nshares);
	PROMISE(c.text_used <= sizeof(c.text));
	for (unsigned i = 0; i < c.ndevices; i++)
		PROMISE(c.device[i].index == (c.device[i].kind == DEV_BLK  ? disks++
					      : c.device[i].kind == DEV_FS ? shares++
									   : nets++));
	for (unsigned i = 0; i < c.ndisks; i++) {
		const struct disk_option *d = &c.disk[i];

		PROMISE(d->path && d->path[0]);
		PROMISE(d->vhost_user || (d->queues >= 1 && d->queues <= MAX_QUEUES));
		PROMISE(memchr(d->serial, '\0', sizeof(d->serial)));
	}
	for (unsigned i = 0; i < c.nshares; i++)
		PROMISE(c.share[i].path && c.share[i].path[0] && memchr(c.share[i].tag, '\0', sizeof(c.share[i].tag)));
	for (unsigned i = 0; i < c.nnets; i++) {
		const struct net_option *n = &c.net[i];

		PROMISE(memchr(n->ifname, '\0', sizeof(n->ifname)));
		PROMISE(n->queues <= MAX_QUEUES / 2);
		PROMISE(!n->have_mac || !(n->mac[0] & 1));
		PROMISE(n->kind != NET_TUNNET_IP || n->prefix <= 32);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char text[4096];
	char *argv[WORDS + 2] = { text };
	int argc = 1, status;
	char *p = text;

	size = MIN(size, sizeof(text) - 16);
	memcpy(p, "lguest-sep", 11);
	p += 11;
	memcpy(p, data, size);
	p[size] = '\0';
	while (argc <= WORDS && *p) {
		char *end = strchr(p, '\n');

		argv[argc++] = p;
		if (!end)
			break;
		*end = '\0';
		p = end + 1;
	}
	argv[argc] = NULL;
	memset(&c, 0, sizeof(c));
	status = options_parse(argc, argv, &c);
	if (status == -1)
		check();
	else
		PROMISE(status >= 0 && status <= 255);
	return 0;
}
