/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Gives up privileges: user ID, groups, capabilities. Runs in the parent when the
 * privileged window closes, and in each spawner before it is executed. Nothing here
 * gains a privilege, and every failed step is an error.
 */
#include <cap-ng.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/fmt.h"
#include "common/log.h"
#include "parent/room/confine.h"

/* True if the bounding set is empty. The kernel reports EINVAL after its last capability. */
static bool bounds_empty(void)
{
	unsigned cap = 0;
	int present;

	do
		present = prctl(PR_CAPBSET_READ, cap++, 0, 0, 0);
	while (present == 0);
	return present < 0 && errno == EINVAL && cap > 1;
}

/*
 * Empty the bounding and ambient sets; the caller has CAP_SETPCAP. Does not use libcap-ng, which would read
 * /proc/self/status three times and take five times as long.
 */
static int drop_bounds(void)
{
	unsigned cap = 0;

	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); /* EINVAL before Linux 4.3 */
	if (bounds_empty())
		return 0;
	while (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0)
		cap++;
	if (bounds_empty())
		return 0;
	errno = EPERM;
	return -1;
}

/* Does not use libcap-ng, which would also ask for every capability of the bounding and ambient sets. */
static int read_caps(struct __user_cap_data_struct have[_LINUX_CAPABILITY_U32S_3])
{
	struct __user_cap_header_struct self = { .version = _LINUX_CAPABILITY_VERSION_3 };

	return (int)syscall(SYS_capget, &self, have);
}

/* True if we have @cap or cannot find out; the caller then tries and reports the error. */
static bool have_cap(unsigned cap)
{
	struct __user_cap_data_struct have[_LINUX_CAPABILITY_U32S_3];

	if (read_caps(have) < 0)
		return true;
	return have[CAP_TO_INDEX(cap)].effective & CAP_TO_MASK(cap);
}

/* True if @id exists in this user namespace. Lines of @map are "inside outside count". */
static bool is_mapped(const char *map, unsigned id)
{
	char text[4096], *line, *save = NULL;
	int fd = open(map, O_RDONLY | O_CLOEXEC);
	ssize_t n = -1;

	if (fd >= 0) {
		n = read(fd, text, sizeof(text) - 1);
		close(fd);
	}
	if (n < 0)
		return true; /* This host has no user namespaces. */
	text[n] = '\0';
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *end;
		unsigned long first = strtoul(line, &end, 10), count;

		(void)strtoul(end, &end, 10);
		count = strtoul(end, &end, 10);
		if (id >= first && id - first < count)
			return true;
	}
	return false;
}

const char *cannot_become(uid_t uid, gid_t gid)
{
	if (!have_cap(CAP_SETUID) || !have_cap(CAP_SETGID))
		return "root may not become another user here (CAP_SETUID and CAP_SETGID are missing)";
	if (!is_mapped("/proc/self/uid_map", uid))
		return "no such user is mapped into this user namespace";
	if (!is_mapped("/proc/self/gid_map", gid))
		return "no such group is mapped into this user namespace";
	return NULL;
}

static int drop_ids(uid_t uid, gid_t gid)
{
	uid_t r, e, s;
	gid_t rg, eg, sg;

	/* EPERM in a user namespace that denies setgroups(): the groups map to nobody's there. */
	if (have_cap(CAP_SETGID) && setgroups(0, NULL) < 0 && errno != EPERM)
		return -1;
	if (setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
		return -1;
	if (getresuid(&r, &e, &s) < 0 || getresgid(&rg, &eg, &sg) < 0 || r != uid || e != uid || s != uid ||
	    rg != gid || eg != gid || sg != gid) {
		errno = EPERM;
		return -1;
	}
	return 0;
}

/* Empty the effective, permitted and inheritable sets, and with them what is left of the ambient set. */
static int drop_caps(void)
{
	static const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3];
	struct __user_cap_data_struct have[_LINUX_CAPABILITY_U32S_3];

	capng_setpid(getpid()); /* libcap-ng caches the process ID: in a cloned child it is the parent's. */
	capng_clear(CAPNG_SELECT_BOTH);
	if (capng_apply(CAPNG_SELECT_CAPS) < 0 || read_caps(have) < 0)
		return -1;
	if (memcmp(have, none, sizeof(none)) != 0) {
		errno = EPERM;
		return -1;
	}
	return 0;
}

int confine_bounds(void)
{
	if (!have_cap(CAP_SETPCAP) || drop_bounds() == 0)
		return 0;
	log_line(LOG_ERROR, "cannot empty the bounding set: %m");
	return -1;
}

int confine_self(uid_t uid, gid_t gid)
{
	if (confine_bounds() < 0)
		return -1;
	if (uid != (uid_t)-1 && drop_ids(uid, gid) < 0) {
		log_line(LOG_ERROR, "cannot become user %u, group %u: %m", uid, gid);
		return -1;
	}
	if (drop_caps() < 0) {
		log_line(LOG_ERROR, "cannot give up capabilities: %m");
		return -1;
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0) {
		log_line(LOG_ERROR, "cannot set no_new_privs: %m");
		return -1;
	}
	return 0;
}

/* Parse a line "user:first:count" of @user. Returns false if it is another user's or malformed. */
static bool subid_line(const char *line, const char *user, uid_t *first, uid_t *count)
{
	size_t n = strlen(user);
	unsigned long a, b;
	char *end;

	if (strncmp(line, user, n) != 0 || line[n] != ':' || !isdigit((unsigned char)line[n + 1]))
		return false;
	errno = 0;
	a = strtoul(line + n + 1, &end, 10);
	if (errno || *end != ':' || !isdigit((unsigned char)end[1]))
		return false;
	b = strtoul(end + 1, &end, 10);
	/* Refuse root, and the ID that means "none". */
	if (errno || *end || a == 0 || b == 0 || a >= UINT_MAX || b > UINT_MAX - a)
		return false;
	*first = (uid_t)a;
	*count = (uid_t)b;
	return true;
}

int subid_nth(const char *file, const char *user, uid_t id, unsigned n, uid_t *which)
{
	FILE *f = fopen(file, "re");
	char *line = NULL, digits[16];
	size_t room = 0;
	int result = -1;

	if (!f)
		return -1;
	fmt_line(digits, sizeof(digits), "%u", id);
	while (result < 0 && getline(&line, &room, f) >= 0) {
		uid_t first, count;

		line[strcspn(line, "\n")] = '\0';
		if (!subid_line(line, user, &first, &count) && !subid_line(line, digits, &first, &count))
			continue;
		if (n < count) {
			*which = first + n;
			result = 0;
		} else {
			n -= count;
		}
	}
	free(line);
	fclose(f);
	if (result < 0)
		errno = ENOENT;
	return result;
}
