/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the guest has, for clients of the control plane: see parts.h. Makes no system call but sendmsg(2). */
#include <arpa/inet.h>
#include <string.h>

#include "common/fmt.h"
#include "parent/supervise/parts.h"
#include "parent/supervise/ports.h"

/* Where the messages go. The first pass only counts them. */
struct list {
	int fd;		/* -1: count. */
	unsigned n;	/* Messages so far. */
	unsigned count; /* Messages in all, as the first pass found. */
};

/* False if no message can follow. */
static bool emit(struct list *l, const struct guest_part *p)
{
	struct ctl_msg m = { .type = CTL_PART, .queue = l->n, .count = l->count };

	if (l->n == MAX_PARTS)
		return false;
	l->n++;
	if (l->fd < 0)
		return true;
	m.part = *p;
	return ctl_send(l->fd, &m) == 0;
}

/* Write @text to @p->where; if it is too long, its end. */
static void set_where(struct guest_part *p, const char *text)
{
	size_t len = strlen(text), most = sizeof(p->where) - 1;

	if (len > most) {
		p->flags |= PART_CUT;
		fmt_line(p->where, sizeof(p->where), "...%s", text + len - (most - 3));
	} else {
		fmt_line(p->where, sizeof(p->where), "%s", text);
	}
}

static bool emit_disk(const struct supervisor *s, struct list *l, unsigned device)
{
	const struct disk_option *o = &s->c->disk[s->c->device[device].index];
	const struct blk_config *b = &s->h->disk[s->c->device[device].index].config;
	struct guest_part p = { .kind = PART_DISK, .size = b->capacity };

	if (o->read_only)
		p.flags |= PART_READ_ONLY;
	if (o->snapshot)
		p.flags |= PART_SNAPSHOT;
	if (o->vhost_user)
		p.flags |= PART_FOREIGN;
	fmt_line(p.name, sizeof(p.name), "%s", s->h->role[device].name);
	fmt_line(p.what, sizeof(p.what), "%s", b->serial);
	set_where(&p, o->path);
	return emit(l, &p);
}

/* Write the address, interface or socket that @o names to @p->where. */
static void nic_place(const struct net_option *o, struct guest_part *p)
{
	char text[INET6_ADDRSTRLEN + 4];
	size_t n;

	switch (o->kind) {
	case NET_TUNNET_IP:
		if (!inet_ntop(o->v6 ? AF_INET6 : AF_INET, o->v6 ? (const void *)&o->ip6 : &o->ip, text,
			       INET6_ADDRSTRLEN))
			return;
		n = strlen(text);
		fmt_line(text + n, sizeof(text) - n, "/%u", o->prefix);
		set_where(p, text);
		break;
	case NET_BRIDGE:
	case NET_TAP:
		set_where(p, o->ifname);
		break;
	case NET_VHOST_USER:
		set_where(p, o->path);
		break;
	default:
		break;
	}
}

/* Send the forwarded ports, as many as fit in one message at a time. */
static bool emit_forwards(struct list *l, const struct net_option *o, const char *name)
{
	struct guest_part p = { .kind = PART_FORWARD };
	size_t used = 0;

	fmt_line(p.name, sizeof(p.name), "%s", name);
	for (unsigned i = 0; i < o->nforwards; i++) {
		size_t len = strlen(o->forward[i].text);

		if (used && used + 1 + len >= sizeof(p.where)) {
			if (!emit(l, &p))
				return false;
			used = 0;
		}
		used += fmt_line(p.where + used, sizeof(p.where) - used, "%s%s", used ? " " : "", o->forward[i].text);
	}
	return !used || emit(l, &p);
}

static bool emit_nic(const struct supervisor *s, struct list *l, unsigned device)
{
	const struct net_option *o = &s->c->net[s->c->device[device].index];
	const struct net_host *h = &s->h->net[s->c->device[device].index];
	const uint8_t *mac = h->config.mac;
	struct guest_part p = { .kind = PART_NIC, .detail = (uint32_t)o->kind, .size = h->config.mtu };

	if (o->kind == NET_VHOST_USER)
		p.flags |= PART_FOREIGN;
	fmt_line(p.name, sizeof(p.name), "%s", s->h->role[device].name);
	fmt_line(p.what, sizeof(p.what), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4],
		 mac[5]);
	fmt_line(p.ifname, sizeof(p.ifname), "%s", h->ifname);
	nic_place(o, &p);
	return emit(l, &p);
}

static bool emit_share(const struct supervisor *s, struct list *l, unsigned device)
{
	const struct share_option *o = &s->c->share[s->c->device[device].index];
	const struct share_host *h = &s->h->share[s->c->device[device].index];
	struct guest_part p = { .kind = PART_SHARE };

	if (o->vhost_user) {
		p.flags |= PART_FOREIGN;
	} else if (o->read_write) {
		p.flags |= PART_LIMITED;
		p.max = h->config.max;
	} else {
		p.flags |= PART_READ_ONLY;
	}
	if (h->added_now) {
		/* fsd's own word, and it may change at any time: read once, and cut. */
		uint64_t added = READ_ONCE(*h->added_now);

		p.flags |= PART_COUNTED;
		p.used = MIN(added, p.max);
	}
	fmt_line(p.name, sizeof(p.name), "%s", s->h->role[device].name);
	fmt_line(p.what, sizeof(p.what), "%s", o->tag);
	set_where(&p, *h->path ? h->path : o->path);
	return emit(l, &p);
}

static bool emit_port(const struct supervisor *s, struct list *l, unsigned i)
{
	const struct port_option *o = &s->c->port[i];
	struct guest_part p = { .kind = PART_PORT, .flags = PART_COUNTED, .max = o->max };

	if (o->max != UINT64_MAX)
		p.flags |= PART_LIMITED;
	sup_port_counts(s, i, &p.used, &p.lost);
	fmt_line(p.name, sizeof(p.name), "%s", o->name);
	set_where(&p, o->path);
	return emit(l, &p);
}

static bool emit_console(const struct supervisor *s, struct list *l)
{
	struct guest_part p = { .kind = PART_CONSOLE,
				.flags = PART_COUNTED,
				.used = s->console.bytes,
				.lost = s->console.dropped,
				.max = s->console.max };

	if (p.max != UINT64_MAX)
		p.flags |= PART_LIMITED;
	fmt_line(p.name, sizeof(p.name), "console");
	set_where(&p, s->c->console.path ? s->c->console.path : "");
	return emit(l, &p);
}

/* The forwarded ports come last: they alone can be too many. */
static void emit_all(const struct supervisor *s, struct list *l)
{
	bool more = emit_console(s, l);

	for (unsigned i = 0; i < s->c->ndevices && more; i++)
		more = s->c->device[i].kind == DEV_BLK	 ? emit_disk(s, l, i)
		       : s->c->device[i].kind == DEV_NET ? emit_nic(s, l, i)
							 : emit_share(s, l, i);
	for (unsigned i = s->c->run.on ? RUN_PORTS : 0; i < s->c->nports && more; i++)
		more = emit_port(s, l, i);
	for (unsigned i = 0; i < s->c->ndevices && more; i++)
		if (s->c->device[i].kind == DEV_NET)
			more = emit_forwards(l, &s->c->net[s->c->device[i].index], s->h->role[i].name);
}

void sup_send_parts(const struct supervisor *s, int fd)
{
	struct list l = { .fd = -1 };

	emit_all(s, &l);
	l = (struct list){ .fd = fd, .count = l.n };
	emit_all(s, &l);
}
