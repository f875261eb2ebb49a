/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Addresses of control sockets: see control_name.h. Any user can put text into /proc/net/unix, so it is checked. */
#include <stddef.h>
#include <string.h>

#include "common/control_name.h"
#include "common/fmt.h"
#include "common/words.h"

bool control_name_ok(const char *name)
{
	size_t len = strlen(name);

	return len && len <= GUEST_NAME_MAX && strspn(name, GUEST_NAME_CHARS) == len;
}

socklen_t control_address(struct sockaddr_un *a, uid_t uid, const char *name)
{
	size_t n;

	memset(a, 0, sizeof(*a));
	a->sun_family = AF_UNIX;
	n = fmt_line(a->sun_path + 1, sizeof(a->sun_path) - 1, CONTROL_PREFIX "%u/%s", uid, name);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + n);
}

bool control_parse(const char *text, uid_t *uid, char name[GUEST_NAME_MAX + 1])
{
	static const char prefix[] = "@" CONTROL_PREFIX;
	const char *slash;
	char digits[16];
	uint64_t n;

	if (strncmp(text, prefix, sizeof(prefix) - 1) != 0)
		return false;
	text += sizeof(prefix) - 1;
	slash = strchr(text, '/');
	if (!slash || (size_t)(slash - text) >= sizeof(digits) || !control_name_ok(slash + 1))
		return false;
	fmt_line(digits, sizeof(digits), "%.*s", (int)(slash - text), text);
	if (!parse_number(digits, 0, UINT32_MAX - 1, &n))
		return false;
	*uid = (uid_t)n;
	memcpy(name, slash + 1, strlen(slash + 1) + 1);
	return true;
}
