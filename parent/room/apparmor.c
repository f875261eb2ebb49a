/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Changes to the AppArmor profile of a process: in the cloned child before it executes the spawner, and in the parent
 * when the privileged window closes. A profile cannot attach to the spawner and its role by path, because they are
 * executed by descriptor in a root directory where they have no path; so the change is asked for by name.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/fmt.h"
#include "parent/room/apparmor.h"

#define OUR_PROFILE "lguest-sep"

const char *apparmor_profile(const struct room *r)
{
	static const char *const profile[ROLE_COUNT] = {
		[ROLE_VCPU] = "lguest-sep-vcpu",	 [ROLE_NETD] = "lguest-sep-netd",
		[ROLE_BLKD] = "lguest-sep-blkd",	 [ROLE_PASST] = "lguest-sep-passt",
		[ROLE_CONTROLD] = "lguest-sep-controld", [ROLE_FSD] = "lguest-sep-fsd",
	};

	return r->qemu ? "lguest-sep-qemu" : profile[r->role];
}

/* Open attr/@name of @self: AppArmor's own file since Linux 5.8, before that the one of all security modules. */
static int open_attribute(const char *self, const char *name, int flags)
{
	static const char *const places[] = { "attr/apparmor", "attr" };
	char path[256];
	int fd = -1;

	for (size_t i = 0; i < ARRAY_SIZE(places) && fd < 0; i++) {
		fmt_line(path, sizeof(path), "%s/%s/%s", self, places[i], name);
		fd = open(path, flags | O_CLOEXEC);
	}
	return fd;
}

/* True if this process has our profile: the text is "lguest-sep (MODE)". */
static bool is_ours(const char *self)
{
	int fd = open_attribute(self, "current", O_RDONLY);
	char text[64];
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return false;
	text[n] = '\0';
	return strncmp(text, OUR_PROFILE " (", strlen(OUR_PROFILE " (")) == 0;
}

int apparmor_change(const char *self, const char *profile, bool at_exec)
{
	char request[80];
	ssize_t n, len;
	int fd, error;

	if (!is_ours(self))
		return 0;
	fd = open_attribute(self, at_exec ? "exec" : "current", O_WRONLY);
	if (fd < 0)
		return -1;
	fmt_line(request, sizeof(request), "%s %s", at_exec ? "exec" : "changeprofile", profile);
	len = (ssize_t)strlen(request);
	n = write(fd, request, (size_t)len);
	error = n < 0 ? errno : EIO;
	close(fd);
	errno = error;
	return n == len ? 1 : -1;
}
