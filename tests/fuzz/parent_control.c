/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz: the clients of control sockets, with a listener that sends anything, and with names
 * of any user in /proc/net/unix. Strings that are shown are NUL-terminated and printable.
 */
#include <sys/socket.h>

#include "parent/control/attach.h"
#include "parent/control/show.h"
#include "tests/fuzz/fuzz.h"

static void printable(const char *s, size_t size)
{
	PROMISE(memchr(s, '\0', size));
	for (; *s; s++)
		PROMISE(*s >= 0x20 && *s <= 0x7e);
}

static void address(struct input *in)
{
	char text[128], name[GUEST_NAME_MAX + 1], again[160];
	struct sockaddr_un a;
	uid_t uid;

	memcpy(text, "@lguest-sep/", 12);
	take(in, text + 12, sizeof(text) - 12);
	text[sizeof(text) - 1] = '\0';
	if (!control_parse(text, &uid, name))
		return;
	PROMISE(control_name_ok(name));
	PROMISE(control_address(&a, uid, name) <= (socklen_t)sizeof(a));
	snprintf(again, sizeof(again), "@%s", a.sun_path + 1);
	PROMISE(control_parse(again, &uid, name));
}

static void answers(struct guest *g)
{
	static struct shown_role role[MAX_STATS_ROLES];
	static struct shown_parts parts;
	struct shown_guest shown = { .guest = g };
	unsigned n = 0;
	struct ctl_msg m;

	parts = (struct shown_parts){ .known = true };
	while (guest_recv(g, &m, 0) > 0) {
		switch (m.type) {
		case CTL_STATE:
			printable(m.state.name, sizeof(m.state.name));
			printable(m.state.kernel, sizeof(m.state.kernel));
			shown.state = m.state;
			show_status(&shown, &parts, m.queue & 1);
			show_ps(&shown, 1, m.queue & 1);
			break;
		case CTL_ROLE_STATS:
			printable(m.role_stats.name, sizeof(m.role_stats.name));
			PROMISE(m.queue < m.count && m.count <= ARRAY_SIZE(role));
			if (n < ARRAY_SIZE(role))
				role[n++].stats = m.role_stats;
			break;
		case CTL_ROLE_RESETS:
			if (n < ARRAY_SIZE(role))
				role[n].resets = m.resets;
			break;
		case CTL_PART:
			printable(m.part.name, sizeof(m.part.name));
			printable(m.part.what, sizeof(m.part.what));
			printable(m.part.ifname, sizeof(m.part.ifname));
			printable(m.part.where, sizeof(m.part.where));
			PROMISE(m.queue < m.count && m.count <= MAX_PARTS);
			PROMISE(m.part.kind < PART_KINDS && m.part.detail < NET_KIND_COUNT);
			if (parts.n < MAX_PARTS)
				parts.part[parts.n++] = m.part;
			break;
		case CTL_CONSOLE:
			PROMISE(m.count <= sizeof(m.text));
			break;
		case CTL_ANSWER:
			printable(m.text, sizeof(m.text));
			break;
		default:
			break;
		}
	}
	for (unsigned f = STATS_TEXT; f <= STATS_PROMETHEUS; f++)
		show_stats(&shown, &parts, role, n, (enum stats_format)f);
	show_status(&shown, &parts, true);
	show_status(&shown, &parts, false);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	symbolizer_first();
	return freopen("/dev/null", "w", stdout) ? 0 : -1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint32_t types[] = { CTL_STATE,   CTL_ANSWER, CTL_ROLE_STATS,  CTL_OVER,
					  CTL_CONSOLE, CTL_PART,   CTL_ROLE_RESETS, 0 };
	struct guest g = { .name = "one", .fd = -1, .pidfd = -1 };
	struct input in = { data, data + size };
	uint8_t how = take8(&in);
	int pair[2];

	if (how & 1) {
		address(&in);
		return 0;
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return 0;
	g.fd = pair[1];
	for (unsigned i = 0; i < 40 && left(&in); i++) {
		struct ctl_msg m;
		size_t len = take8(&in) ? sizeof(m) : take8(&in) + 1u;

		take(&in, &m, sizeof(m));
		if (types[m.type % ARRAY_SIZE(types)])
			m.type = types[m.type % ARRAY_SIZE(types)];
		(void)send(pair[0], &m, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	}
	close(pair[0]);
	if (how & 2)
		(void)attach_run(&g, false);
	else
		answers(&g);
	guest_close(&g);
	return 0;
}
