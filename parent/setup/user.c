/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * --net=user: passt's program and arguments, the forwarded ports, the addresses of the host
 * and its resolvers. Runs in the parent, before and inside the privileged window. passt reports
 * little when something is missing, so this file checks first and names the cause.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/route.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "parent/options/util.h"
#include "parent/setup/user.h"

#define PASST "/usr/bin/passt"

/* The guest's name for a resolver that listens on the host's loopback (RFC 3927 addresses are never routed). */
#define DNS_STAND_IN  "169.254.1.53"
#define DNS_STAND_IN6 "fd00:6c67:7565:7374::53"

bool user_wanted(const struct config *c)
{
	for (unsigned i = 0; i < c->nnets; i++)
		if (c->net[i].kind == NET_USER)
			return true;
	return false;
}

/* True if the passt at @fd has the options that we need: its executable contains their names, as text of --help. */
static bool knows_options(int fd)
{
	static const char *const wanted[] = { "--fd", "--no-map-gw", "--dns-forward", "--pid" };
	struct stat st;
	bool all = true;
	void *text;

	if (fstat(fd, &st) < 0 || st.st_size <= 0)
		return false;
	text = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (text == MAP_FAILED)
		return false;
	for (unsigned i = 0; i < ARRAY_SIZE(wanted); i++)
		all = all && memmem(text, (size_t)st.st_size, wanted[i], strlen(wanted[i]));
	munmap(text, (size_t)st.st_size);
	return all;
}

int user_open_program(void)
{
	int fd = -1;

#ifdef __x86_64__
	/* passt itself would execute its AVX2 build, by a path that does not exist in its room. */
	if (__builtin_cpu_supports("avx2"))
		fd = open(PASST ".avx2", O_RDONLY | O_CLOEXEC);
#endif
	if (fd < 0)
		fd = open(PASST, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return complain(-1, "--net=user: there is no " PASST "; install the package passt");
	if (fd < 0)
		return complain(-1, "--net=user: cannot open " PASST ": %m");
	if (knows_options(fd))
		return fd;
	close(fd);
	return complain(-1, "--net=user: " PASST " is too old: it has no --fd; install that of Debian 12 or later");
}

static void map_address(struct in6_addr *to, const struct in_addr *a)
{
	memset(to, 0, sizeof(*to));
	to->s6_addr[10] = to->s6_addr[11] = 0xff;
	memcpy(&to->s6_addr[12], a, sizeof(*a));
}

/* Reads the address of the resolver that @line names, as @text and as *@a. False if the line names none. */
static bool resolver_of(const char *line, char text[INET6_ADDRSTRLEN], struct in6_addr *a)
{
	char word[64];
	struct in_addr v4;

	if (sscanf(line, "nameserver %63s", word) != 1 || strlen(word) >= INET6_ADDRSTRLEN)
		return false;
	memcpy(text, word, strlen(word) + 1);
	if (inet_pton(AF_INET6, word, a) == 1)
		return true;
	if (inet_pton(AF_INET, word, &v4) != 1)
		return false;
	map_address(a, &v4);
	return true;
}

static bool is_loopback(const struct in6_addr *a)
{
	return IN6_IS_ADDR_LOOPBACK(a) || (IN6_IS_ADDR_V4MAPPED(a) && a->s6_addr[12] == IN_LOOPBACKNET);
}

/*
 * passt maps the address of --dns-forward to the first resolver of each protocol, and announces all resolvers to the
 * guest except those on loopback. If the first one is on loopback, a stand-in follows it, which passt maps to it.
 */
static size_t add_resolver(struct resolvers *r, size_t n, const char *text, const struct in6_addr *a)
{
	bool v4 = IN6_IS_ADDR_V4MAPPED(a), first = true;

	for (unsigned i = 0; i < r->n; i++)
		first = first && v4 != IN6_IS_ADDR_V4MAPPED(&r->addr[i]);
	if (v4 ? r->stand_in : r->stand_in6)
		first = false;
	if (!is_loopback(a) && r->n < ARRAY_SIZE(r->addr))
		r->addr[r->n++] = *a;
	else if (!is_loopback(a) || !first)
		return n;
	n += (size_t)snprintf(r->text + n, sizeof(r->text) - n, "nameserver %s\n", text);
	if (!is_loopback(a))
		return n;
	*(v4 ? &r->stand_in : &r->stand_in6) = true;
	return n +
	       (size_t)snprintf(r->text + n, sizeof(r->text) - n, "nameserver %s\n", v4 ? DNS_STAND_IN : DNS_STAND_IN6);
}

void read_resolvers(const char *path, struct resolvers *r)
{
	char line[256], text[INET6_ADDRSTRLEN];
	FILE *f = fopen(path, "re");
	struct in6_addr a;
	size_t n = 0;

	memset(r, 0, sizeof(*r));
	while (f && fgets(line, sizeof(line), f) && n + 256 < sizeof(r->text)) {
		if (!strncmp(line, "search ", 7) && strlen(line) < 128 && strchr(line, '\n'))
			n += (size_t)snprintf(r->text + n, sizeof(r->text) - n, "%s", line);
		else if (resolver_of(line, text, &a))
			n = add_resolver(r, n, text, &a);
	}
	if (f)
		fclose(f);
}

void user_resolvers(struct resolvers *r)
{
	read_resolvers("/etc/resolv.conf", r);
}

/* Give netd the resolvers: the guest may reach their port 53. */
static void open_resolvers(struct user_config *u, const struct resolvers *r)
{
	struct in_addr v4;

	memcpy(u->resolver, r->addr, sizeof(r->addr));
	u->nresolvers = (uint8_t)r->n;
	inet_pton(AF_INET, DNS_STAND_IN, &v4);
	if (r->stand_in)
		map_address(&u->resolver[u->nresolvers++], &v4);
	if (r->stand_in6)
		inet_pton(AF_INET6, DNS_STAND_IN6, &u->resolver[u->nresolvers++]);
}

/* Every address of the host's interfaces. Returns 0, or -1 after logging the reason. */
static int list_addresses(struct user_config *u)
{
	struct ifaddrs *list, *i;
	bool all = true;

	if (getifaddrs(&list) < 0)
		return complain(-1, "--net=user: cannot list the host's addresses: %m");
	for (i = list; i; i = i->ifa_next) {
		struct in6_addr a;

		if (!i->ifa_addr || (i->ifa_addr->sa_family != AF_INET && i->ifa_addr->sa_family != AF_INET6))
			continue;
		if (i->ifa_addr->sa_family == AF_INET)
			map_address(&a, &((const struct sockaddr_in *)(const void *)i->ifa_addr)->sin_addr);
		else
			a = ((const struct sockaddr_in6 *)(const void *)i->ifa_addr)->sin6_addr;
		if (is_loopback(&a))
			continue;
		all = u->nhost < USER_ADDRESSES;
		if (!all)
			break;
		u->host[u->nhost++] = a;
	}
	freeifaddrs(list);
	return all ? 0
		   : complain(-1,
			      "--net=user: this host has more than %d addresses, so netd cannot keep the guest from "
			      "reaching all of them; use --net=user,reach=host if it may reach them, or a bridge",
			      USER_ADDRESSES);
}

#define ROUTE_WORDS 10

/* Cut @line into words. Returns how many there are, ROUTE_WORDS at most. */
static unsigned cut(char *line, char *word[ROUTE_WORDS])
{
	char *save = NULL, *w = strtok_r(line, " \t\n", &save);
	unsigned n = 0;

	for (; w && n < ROUTE_WORDS; w = strtok_r(NULL, " \t\n", &save))
		word[n++] = w;
	return n;
}

/* A line of /proc/net/route: interface, destination, gateway, flags, three numbers, mask. */
static bool is_default4(char *line)
{
	char *word[ROUTE_WORDS];

	return cut(line, word) >= 8 && !strcmp(word[1], "00000000") && !strcmp(word[7], "00000000") &&
	       (strtoul(word[3], NULL, 16) & (RTF_UP | RTF_REJECT)) == RTF_UP;
}

/* A line of /proc/net/ipv6_route: destination, length, six more, flags, interface. */
static bool is_default6(char *line)
{
	char *word[ROUTE_WORDS];

	return cut(line, word) == ROUTE_WORDS && strspn(word[0], "0") == 32 && !strcmp(word[1], "00") &&
	       strcmp(word[9], "lo") != 0 && !(strtoul(word[8], NULL, 16) & RTF_REJECT);
}

static bool has_line(const char *path, bool (*wanted)(char *line))
{
	FILE *f = fopen(path, "re");
	char line[512];
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f))
		found = wanted(line);
	if (f)
		fclose(f);
	return found;
}

bool user_has_route(void)
{
	return has_line("/proc/net/route", is_default4) || has_line("/proc/net/ipv6_route", is_default6);
}

/* Only root may listen on ports below this number. */
static unsigned first_free_port(void)
{
	FILE *f = fopen("/proc/sys/net/ipv4/ip_unprivileged_port_start", "re");
	char line[32];
	unsigned n = 1024;

	if (f && fgets(line, sizeof(line), f))
		n = (unsigned)strtoul(line, NULL, 10);
	if (f)
		fclose(f);
	return n;
}

/* Check that passt can listen on the port of @f. Returns 0, or -1 after logging the reason. */
static int check_port(const struct forward *f, bool change_user)
{
	struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons(f->port), .sin6_addr = f->addr };
	struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons(f->port) };
	bool v4 = IN6_IS_ADDR_V4MAPPED(&f->addr);
	int fd = socket(v4 ? AF_INET : AF_INET6, (f->udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0), on = 1, got;
	int saved;

	if (change_user && f->port < first_free_port()) {
		if (fd >= 0)
			close(fd);
		return complain(-1,
				"--net=user: forward=%s: ports below %u are root's, and passt does not run as root; "
				"take another",
				f->text, first_free_port());
	}
	if (fd < 0)
		return complain(-1, "--net=user: forward=%s: cannot make a socket: %m", f->text);
	memcpy(&four.sin_addr, &f->addr.s6_addr[12], sizeof(four.sin_addr));
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	got = v4 ? bind(fd, (struct sockaddr *)&four, sizeof(four)) : bind(fd, (struct sockaddr *)&six, sizeof(six));
	if (got == 0 && !f->udp)
		got = listen(fd, 1);
	saved = errno;
	close(fd);
	errno = saved;
	if (got == 0)
		return 0;
	return complain(-1, "--net=user: forward=%s: cannot listen there: %m%s", f->text,
			errno == EADDRINUSE	 ? "; take another port"
			: errno == EADDRNOTAVAIL ? "; the host has no such address"
			: errno == EACCES	 ? "; ports below 1024 are root's"
						 : "");
}

struct args {
	char *at, *end;
};

static void add(struct args *a, const char *text)
{
	size_t n = strlen(text) + 1;

	if (a->end - a->at > (ptrdiff_t)n)
		memcpy(a->at, text, n);
	a->at += n;
}

static void add_forward(struct args *a, const struct forward *f)
{
	char addr[INET6_ADDRSTRLEN], spec[INET6_ADDRSTRLEN + 16];

	if (IN6_IS_ADDR_V4MAPPED(&f->addr))
		inet_ntop(AF_INET, &f->addr.s6_addr[12], addr, sizeof(addr));
	else
		inet_ntop(AF_INET6, &f->addr, addr, sizeof(addr));
	snprintf(spec, sizeof(spec), "%s/%u:%u", addr, f->port, f->guest_port);
	add(a, f->udp ? "-u" : "-t");
	add(a, spec);
}

/* The command line of passt. Returns 0, or -1 after logging the reason. */
static int build_args(const struct net_option *o, struct net_host *n, const struct resolvers *r)
{
	static const char *const always[] = { "passt", "--foreground", "--quiet",	 "--fd",
					      "3",     "--pid",	       "/proc/self/fd/2" };
	struct args a = { n->passt_args, n->passt_args + sizeof(n->passt_args) };
	char mtu[8];

	for (unsigned i = 0; i < ARRAY_SIZE(always); i++)
		add(&a, always[i]);
	snprintf(mtu, sizeof(mtu), "%u", n->config.mtu);
	add(&a, "--mtu");
	add(&a, mtu);
	if (!o->reach_host)
		add(&a, "--no-map-gw");
	if (r->stand_in) {
		add(&a, "--dns-forward");
		add(&a, DNS_STAND_IN);
	}
	if (r->stand_in6) {
		add(&a, "--dns-forward");
		add(&a, DNS_STAND_IN6);
	}
	for (unsigned i = 0; i < o->nforwards; i++)
		add_forward(&a, &o->forward[i]);
	add(&a, "");
	_Static_assert(ARRAY_SIZE(always) + 7 + 2 * MAX_FORWARDS <= SPAWN_ARGC_MAX, "each word has its place in argv");
	return a.at <= a.end ? 0 : complain(-1, "--net=user: too many forwards for one command line of passt");
}

int user_open(const struct net_option *o, struct net_host *n, bool change_user)
{
	struct user_config *u = &n->config.user;
	struct resolvers r;

	u->on = true;
	u->restricted = o->isolated;
	u->reach_host = o->reach_host;
	n->config.offload = n->config.vnet_hdr = false;
	n->config.queue_pairs = 1;
	n->config.mtu = (uint16_t)(o->mtu ? o->mtu : USER_MTU);
	memcpy(n->ifname, "passt", sizeof("passt"));
	if (!user_has_route())
		return complain(
			-1, "--net=user: this host has no default route, and passt gives the guest the network behind "
			    "that; add one (ip route add default via GATEWAY)");
	user_resolvers(&r);
	open_resolvers(u, &r);
	if (!o->reach_host && list_addresses(u) < 0)
		return -1;
	for (unsigned i = 0; i < o->nforwards; i++)
		if (check_port(&o->forward[i], change_user) < 0)
			return -1;
	return build_args(o, n, &r);
}
