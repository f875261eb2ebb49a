/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A service of systemd: options from a file (--config), and reports to the service manager. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "parent/setup/notify.h"
#include "tests/lib/unique.h"
#include "tests/unit/parent_options_rig.h"

static char path[] = "/tmp/parent_service.XXXXXX", option[64];

static void write_conf(const char *text, size_t len)
{
	int fd = open(path, O_WRONLY | O_TRUNC | O_CREAT, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, len), (ssize_t)len);
	close(fd);
}
#define CONF(text) write_conf(text, sizeof(text) - 1)

static int make_file(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	close(fd);
	fmt_line(option, sizeof(option), "--config=%s", path);
	return fd < 0 ? -1 : 0;
}

static int remove_file(void **state)
{
	(void)state;
	return unlink(path);
}

static void each_line_is_one_word(void **state)
{
	(void)state;
	CONF("# a guest\n\n  --name=web\t\n--block=/srv/my disk $(x).img\r\n\n128M\n#--rng\n/boot/vmlinuz\nquiet");
	assert_int_equal(PARSE("--smp=2", option), -1);
	assert_string_equal(c.name, "web");
	assert_string_equal(c.disk[0].path, "/srv/my disk $(x).img");
	assert_int_equal(c.mem_bytes, 128 << 20);
	assert_string_equal(c.kernel, "/boot/vmlinuz");
	assert_int_equal(c.smp, 2);
	assert_false(c.rng);
	assert_non_null(strstr(c.cmdline, "quiet"));
	/* What follows it on the command line follows the file's words. */
	CONF("--name=web");
	assert_int_equal(PARSE(option, "--rng", "64", "vmlinuz"), -1);
	assert_true(c.rng);
	assert_int_equal(c.mem_bytes, 64 << 20);
}

static void mistakes_in_the_file(void **state)
{
	struct bad bad[] = {
		{ { option }, "--nothing" },
		{ { option }, "(the command line with --config=/tmp/" },
		{ { "--config=/nonexistent" }, "--config=/nonexistent: cannot open it: No such file" },
		{ { "--config=/dev/null" }, "--config=/dev/null: it is not a regular file" },
		{ { "--config=/tmp" }, "--config=/tmp: it is not a regular file" },
		{ { "--config=" }, "--config=: the name of a file is missing" },
	};
	static char large[70000];

	(void)state;
	CONF("--nothing\n64\nk\n");
	expect_refused(bad, ARRAY_SIZE(bad));
	/* An option of the command line cannot be given again. */
	CONF("--name=a\n64\nk\n");
	assert_int_equal(PARSE("--name=b", option), EXIT_USAGE);
	CONF("--config=/x\n64\nk\n");
	assert_int_equal(PARSE(option), EXIT_USAGE);
	CONF("--rng\n\0\n64\nk\n");
	assert_int_equal(PARSE(option), EXIT_USAGE);
	assert_non_null(strstr(said, "it is not a text file"));
	memset(large, '\n', sizeof(large));
	write_conf(large, sizeof(large));
	assert_int_equal(PARSE(option), EXIT_USAGE);
	assert_non_null(strstr(said, "it is larger than 65536 bytes"));
	for (unsigned i = 0; i < 10000; i++)
		large[2 * i] = 'x';
	write_conf(large, 20000);
	assert_int_equal(PARSE(option), EXIT_USAGE);
	assert_non_null(strstr(said, "it has more than"));
}

/* Audit parses the command line of another process, whose directory may be another one. */
static void a_relative_path_is_the_other_process_s(void **state)
{
	char word[64], *argv[] = { (char *)"lguest-sep", word, NULL };

	(void)state;
	CONF("--name=web\n64\nvmlinuz\n");
	fmt_line(word, sizeof(word), "--config=%s", path + strlen("/tmp/"));
	assert_false(options_peek(2, argv, "/usr", &c));
	assert_true(options_peek(2, argv, "/tmp", &c));
	assert_string_equal(c.name, "web");
	/* An absolute one is the same for all. */
	fmt_line(word, sizeof(word), "%s", option);
	assert_true(options_peek(2, argv, "/usr", &c));
	assert_string_equal(c.name, "web");
}

static void words_beyond_the_file(void **state)
{
	static char *argv[5000];

	(void)state;
	CONF("64\nvmlinuz\n");
	argv[0] = (char *)"lguest-sep";
	argv[1] = option;
	for (unsigned i = 2; i < 4500; i++)
		argv[i] = (char *)"x";
	said_begin();
	assert_int_equal(options_read(4500, argv, &c), EXIT_USAGE);
	said_end();
	assert_non_null(strstr(said, "the command line has too many words in addition to it"));
}

/* A FIFO that nobody writes must not hold up the start, nor lguest-sep audit. */
static void a_fifo_is_refused_at_once(void **state)
{
	char word[64];

	(void)state;
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	fmt_line(word, sizeof(word), "--config=%s", path);
	assert_int_equal(PARSE(word), EXIT_USAGE);
	assert_non_null(strstr(said, "it is not a regular file"));
	unlink(path);
	CONF("");
}

static void reports_to_the_manager(void **state)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0), fd;
	char name[64], got[256] = "";
	size_t len;

	(void)state;
	len = (size_t)snprintf(name, sizeof(name), "@parent_service-%016" PRIx64, unique_number());
	memcpy(a.sun_path, name, len);
	a.sun_path[0] = '\0';
	assert_int_equal(
		bind(manager, (struct sockaddr *)&a, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)), 0);
	setenv("NOTIFY_SOCKET", name, 1);
	fd = notify_open();
	assert_true(fd >= 0);
	assert_null(getenv("NOTIFY_SOCKET"));
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	notify_send(fd, "READY=1\nSTATUS=The guest runs");
	assert_int_equal(read(manager, got, sizeof(got)), 29);
	assert_memory_equal(got, "READY=1\nSTATUS=The guest runs", 29);
	notify_status(fd, "why");
	assert_int_equal(read(manager, got, sizeof(got)), 21);
	assert_memory_equal(got, "STOPPING=1\nSTATUS=why", 21);
	notify_status(fd, NULL);
	assert_int_equal(read(manager, got, sizeof(got)), -1);
	/* A manager that reads nothing does not stop us. */
	for (unsigned i = 0; i < 5000; i++)
		notify_send(fd, "STATUS=x");
	close(fd);
	close(manager);
	assert_int_equal(notify_open(), -1);
	/* The manager is gone: a message, and no more. */
	setenv("NOTIFY_SOCKET", name, 1);
	said_begin();
	assert_int_equal(notify_open(), -1);
	said_end();
	assert_non_null(strstr(said, "cannot connect to the service manager"));
	notify_send(-1, "READY=1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_line_is_one_word),
		cmocka_unit_test(mistakes_in_the_file),
		cmocka_unit_test(a_relative_path_is_the_other_process_s),
		cmocka_unit_test(words_beyond_the_file),
		cmocka_unit_test(a_fifo_is_refused_at_once),
		cmocka_unit_test(reports_to_the_manager),
	};

	return cmocka_run_group_tests(tests, make_file, remove_file);
}
