/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Parses parts of the command line (names of interfaces, users) and prints errors. Runs
 * in the parent before it opens anything. It only checks values; it does not act on them.
 */
#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/fmt.h"
#include "parent/options/util.h"

static char last[1024]; /* The last line that was a reason to end, without the name of the program. */
static bool quiet;

void complain_quietly(bool on)
{
	quiet = on;
}

const char *complaint_last(void)
{
	return *last ? last : NULL;
}

/* How long a line waits for a reader of standard error, in ms. */
#define COMPLAIN_MS 2000

int complain(int status, const char *fmt, ...)
{
	static const char prefix[] = "lguest-sep: ";
	struct pollfd p = { .fd = STDERR_FILENO, .events = POLLOUT };
	char line[8192];
	size_t have = sizeof(prefix) - 1;
	va_list ap;
	int n;

	if (quiet)
		return status;
	memcpy(line, prefix, have);
	va_start(ap, fmt);
	n = vsnprintf(line + have, sizeof(line) - have - 1, fmt, ap);
	va_end(ap);
	if (n > 0)
		have += MIN((size_t)n, sizeof(line) - have - 2);
	make_printable_utf8(line, have);
	if (status)
		fmt_line(last, sizeof(last), "%.*s", (int)(have - sizeof(prefix) + 1), line + sizeof(prefix) - 1);
	line[have++] = '\n';
	if (poll(&p, 1, COMPLAIN_MS) != 0)
		(void)!write(STDERR_FILENO, line, have);
	return status;
}

const char *parse_ifname(const char *s, char name[IFNAMSIZ])
{
	size_t len = strlen(s);

	if (!len)
		return "is empty";
	if (len >= IFNAMSIZ)
		return "is longer than the 15 characters that an interface's name can have";
	if (!strcmp(s, ".") || !strcmp(s, ".."))
		return "cannot be an interface's name";
	for (size_t i = 0; i < len; i++)
		if (s[i] == '/' || s[i] == ':' || s[i] == '%' || !isgraph((unsigned char)s[i]))
			return "has a character that an interface's name cannot have";
	memcpy(name, s, len + 1);
	return NULL;
}

char *config_text(struct config *c, size_t size)
{
	char *p = c->text + c->text_used;

	if (size > sizeof(c->text) - c->text_used)
		return NULL;
	c->text_used += size;
	return p;
}

const char *config_path(struct config *c, const char **rest, const char **why)
{
	char *path = config_text(c, strlen(*rest) + 1);

	*why = NULL;
	if (!path)
		*why = "the command line is too long";
	else if (opt_field(rest, path, strlen(*rest) + 1) <= 0 || !*path)
		*why = "the name of a file is missing";
	return *why ? NULL : path;
}

/* Look up a user by name, or by number if no user has that name. Returns false if there is none. */
static bool find_user(struct config *c, const char *name, bool *has_group)
{
	struct passwd *pw = getpwnam(name);
	uint64_t n;

	*has_group = true;
	c->user[0] = '\0';
	if (!pw && parse_number(name, 0, UINT32_MAX - 1, &n)) {
		c->uid = (uid_t)n;
		pw = getpwuid(c->uid);
		*has_group = pw != NULL;
		if (!pw)
			return true;
	}
	if (!pw)
		return false;
	c->uid = pw->pw_uid;
	c->gid = pw->pw_gid;
	if (strlen(pw->pw_name) < sizeof(c->user))
		memcpy(c->user, pw->pw_name, strlen(pw->pw_name) + 1);
	return true;
}

static bool find_group(const char *name, gid_t *gid)
{
	struct group *gr = getgrnam(name);
	uint64_t n;

	if (gr) {
		*gid = gr->gr_gid;
		return true;
	}
	if (!parse_number(name, 0, UINT32_MAX - 1, &n))
		return false;
	*gid = (gid_t)n;
	return true;
}

const char *parse_drop_to(struct opt_parser *p, void *to, const char *value)
{
	struct config *c = to;
	char user[sizeof(c->drop_name)];
	const char *colon = strchr(value, ':');
	size_t len = colon ? (size_t)(colon - value) : strlen(value);
	bool has_group;

	if (strlen(value) >= sizeof(c->drop_name) || !len || (colon && !colon[1]))
		return "expected USER or USER:GROUP";
	memcpy(user, value, len);
	user[len] = '\0';
	if (!find_user(c, user, &has_group))
		return opt_why(p, "there is no user %s on this host", user);
	if (colon && !find_group(colon + 1, &c->gid))
		return opt_why(p, "there is no group %s on this host", colon + 1);
	if (!colon && !has_group)
		return opt_why(p, "no user has that number, so give its group as well: --drop-to=%s:GROUP", value);
	if (c->uid == 0 || c->gid == 0)
		return "root would keep its privileges; give a user and group other than root";
	memcpy(c->drop_name, value, strlen(value) + 1);
	c->drop = true;
	return NULL;
}

int default_drop_to(struct config *c)
{
	static struct opt_parser p;
	const char *why;

	if (geteuid() != 0) {
		if (c->drop && (c->uid != geteuid() || c->gid != getegid()))
			return complain(
				EXIT_HOST,
				"--drop-to=%s: only root can become another user; start as root, or leave it out",
				c->drop_name);
		return -1;
	}
	if (!c->drop) {
		/* The package makes the first one, which has subordinate IDs. */
		const char *user = getpwnam(GUEST_USER) ? GUEST_USER : "nobody";

		why = parse_drop_to(&p, c, user);
		c->drop = false;
		if (why)
			return complain(EXIT_USAGE, "--drop-to=%s: %s", user, why);
	}
	c->change_user = true;
	return -1;
}
