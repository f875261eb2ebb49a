/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Leaves the root directory that the launcher was started in. Runs in the cloned child,
 * in its own mount namespace. Two kinds of root need more than pivot_root(2): a plain
 * directory after chroot(2) is no mount point, so it cannot be made private or pivoted;
 * and the kernel cannot unmount the initial RAM disk.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "parent/room/mounts.h"

/*
 * True if the mount at @place propagates to other mount namespaces: then the last line
 * of mountinfo whose mount point is @place has "shared:".
 */
static bool is_shared(const char *place)
{
	static char text[64 * 1024];
	bool shared = true;
	size_t have = 0;
	char *line, *next;
	int fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);

	for (ssize_t n = 1; fd >= 0 && n > 0 && have < sizeof(text) - 1; have += (size_t)n) {
		n = read(fd, text + have, sizeof(text) - 1 - have);
		if (n < 0)
			n = 0;
	}
	if (fd >= 0)
		close(fd);
	text[have] = '\0';
	for (line = text; line; line = next) {
		char *p = line;

		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		/* id, parent, device, root, mount point, options, tags */
		for (int i = 0; p && i < 4; i++)
			p = strchr(p + 1, ' ');
		if (p && strncmp(p + 1, place, strlen(place)) == 0 && p[1 + strlen(place)] == ' ')
			shared = strstr(p, " shared:") != NULL;
	}
	return shared;
}

/* Turn a plain root directory into a mount: bind it to a directory below itself, and chroot there. */
static int mount_of_our_own(void)
{
	static const char *const places[] = { "/mnt", "/tmp", "/run" };

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		if (mount("/", places[i], NULL, MS_BIND | MS_REC, NULL) < 0)
			continue;
		/* The bind mount has propagated to other namespaces: undo it, which propagates as well. */
		if (is_shared(places[i])) {
			umount2(places[i], MNT_DETACH);
			errno = EINVAL;
			return -1;
		}
		return chroot(places[i]) < 0 ? -1 : chdir("/");
	}
	return -1;
}

int room_private(void)
{
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0)
		return 0;
	/* EINVAL: this root is no mount point. */
	if (errno != EINVAL || mount_of_our_own() < 0)
		return -1;
	return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
}

int room_leave_old_root(void)
{
	int old = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC), failed;

	if (old < 0)
		return -1;
	if (syscall(__NR_pivot_root, ".", ".") == 0)
		/* Go there by its descriptor: Linux before 3.12 would resolve "." to the new root. */
		failed = fchdir(old) < 0 || umount2(".", MNT_DETACH) < 0;
	else
		/* The initial RAM disk stays mounted below the new root, where no path leads to it. */
		failed = errno != EINVAL || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0;
	close(old);
	return failed || chdir("/") < 0 ? -1 : 0;
}
