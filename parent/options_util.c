// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Pieces of the command line: interfaces' names, lists with commas, users. Runs
 * in the parent before it has opened anything; must never act on what it reads,
 * only judge it.
 */
#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "options.h"

int complain(int status, const char *fmt, ...)
{
	static const char prefix[] = "lguest-sep: ";
	char line[8192];
	size_t have = sizeof(prefix) - 1;
	va_list ap;
	int n;

	memcpy(line, prefix, have);
	va_start(ap, fmt);
	n = vsnprintf(line + have, sizeof(line) - have - 1, fmt, ap);
	va_end(ap);
	if (n > 0)
		have += MIN((size_t)n, sizeof(line) - have - 2);
	for (size_t i = 0; i < have; i++)
		if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
			line[i] = '?';
	line[have++] = '\n';
	if (write(STDERR_FILENO, line, have) < 0)
		return status;
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

int next_field(const char **rest, char *field, size_t size)
{
	const char *s = *rest;
	size_t n = 0;

	if (!s)
		return 0;
	while (*s && (*s != ',' || s[1] == ',')) {
		if (*s == ',')
			s++;
		if (n + 1 >= size)
			return -1;
		field[n++] = *s++;
	}
	field[n] = '\0';
	*rest = *s ? s + 1 : NULL;
	return 1;
}

/* A user by name, or by number if there is no such name. */
static bool find_user(const char *name, uid_t *uid, gid_t *gid, bool *has_group)
{
	struct passwd *pw = getpwnam(name);
	uint64_t n;

	*has_group = true;
	if (!pw && parse_number(name, 0, UINT32_MAX - 1, &n)) {
		*uid = (uid_t)n;
		pw = getpwuid(*uid);
		*has_group = pw != NULL;
		if (pw)
			*gid = pw->pw_gid;
		return true;
	}
	if (!pw)
		return false;
	*uid = pw->pw_uid;
	*gid = pw->pw_gid;
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

int parse_drop_to(struct parse *p, const char *value)
{
	struct config *c = p->c;
	char user[sizeof(c->drop_name)];
	const char *colon = strchr(value, ':');
	size_t len = colon ? (size_t)(colon - value) : strlen(value);
	bool has_group;

	if (strlen(value) >= sizeof(c->drop_name) || !len || (colon && !colon[1]))
		return complain(EXIT_USAGE, "%s=%s: that is no USER or USER:GROUP", p->opt, value);
	memcpy(user, value, len);
	user[len] = '\0';
	if (!find_user(user, &c->uid, &c->gid, &has_group))
		return complain(EXIT_USAGE, "%s=%s: there is no user %s on this host", p->opt, value, user);
	if (colon && !find_group(colon + 1, &c->gid))
		return complain(EXIT_USAGE, "%s=%s: there is no group %s on this host", p->opt, value, colon + 1);
	if (!colon && !has_group)
		return complain(EXIT_USAGE, "%s=%s: no user has that number, so say its group too: %s=%s:GROUP", p->opt,
				value, p->opt, value);
	if (c->uid == 0 || c->gid == 0)
		return complain(EXIT_USAGE, "%s=%s: that would drop nothing; take a user and group other than root",
				p->opt, value);
	memcpy(c->drop_name, value, strlen(value) + 1);
	c->drop = true;
	return -1;
}

int default_drop_to(struct config *c)
{
	struct parse p = { .c = c, .opt = "--drop-to" };
	int status;

	if (geteuid() != 0) {
		if (c->drop && (c->uid != geteuid() || c->gid != getegid()))
			return complain(
				EXIT_HOST,
				"--drop-to=%s: only root can become another user; start as root, or leave it out",
				c->drop_name);
		return -1;
	}
	if (!c->drop) {
		status = parse_drop_to(&p, "nobody");
		c->drop = false;
		if (status >= 0)
			return status;
	}
	c->change_user = true;
	return -1;
}
