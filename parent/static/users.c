/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Takes the place of libc's functions in the static program: libc's would load shared libraries that /etc/nsswitch.conf
 * names, which crashes if they are of another version. These read /etc/passwd and /etc/group only.
 */
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

/* Find a user by @name, or by @uid if @name is NULL. The result is valid until the next call. */
static struct passwd *user(const char *name, uid_t uid)
{
	FILE *f = fopen("/etc/passwd", "re");
	struct passwd *p = NULL;

	while (f && (p = fgetpwent(f)) && (name ? strcmp(p->pw_name, name) != 0 : p->pw_uid != uid))
		;
	if (f)
		fclose(f);
	return p;
}

/* The same for a group. */
static struct group *group(const char *name, gid_t gid)
{
	FILE *f = fopen("/etc/group", "re");
	struct group *g = NULL;

	while (f && (g = fgetgrent(f)) && (name ? strcmp(g->gr_name, name) != 0 : g->gr_gid != gid))
		;
	if (f)
		fclose(f);
	return g;
}

struct passwd *getpwnam(const char *name)
{
	return user(name, 0);
}

struct passwd *getpwuid(uid_t uid)
{
	return user(NULL, uid);
}

struct group *getgrnam(const char *name)
{
	return group(name, 0);
}

struct group *getgrgid(gid_t gid)
{
	return group(NULL, gid);
}
