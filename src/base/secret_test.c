/* SPDX-License-Identifier: Apache-2.0 */
/*
 * secret_test.c - what is taken for a secret, and what is left of it.
 */
#include "base/secret.h"

#include "base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { MAX = 16, PATH_ROOM = 128 };

static int make_dir(void **state)
{
	static char dir[] = "/tmp/waylay-secret-XXXXXX";

	*state = mkdtemp(dir);
	return *state ? 0 : -1;
}

static int remove_dir(void **state)
{
	return rmdir(*state);
}

static void write_file(const char *path, const char *bytes, size_t len,
		       mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), len);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

#define BYTES(text) text, sizeof(text) - 1

/* --- the text ------------------------------------------------------------ */

static const struct {
	const char *what;
	const char *bytes;
	size_t len;
	int error;
	const char *secret;
} texts[] = {
	{ "one line", BYTES("wonder\n"), 0, "wonder" },
	{ "a line without an end", BYTES("wonder"), 0, "wonder" },
	{ "a line end of another system", BYTES("wonder\r\n"), 0, "wonder" },
	{ "only the first line counts", BYTES("one\ntwo\n"), 0, "one" },
	{ "a CR inside stays", BYTES("a\rb\n"), 0, "a\rb" },
	{ "a CR without LF stays", BYTES("ab\r"), 0, "ab\r" },
	{ "spaces stay", BYTES(" a b \n"), 0, " a b " },
	{ "any byte but NUL", BYTES("\xff\x01:%\n"), 0, "\xff\x01:%" },
	{ "as long as may be", BYTES("0123456789abcdef\n"), 0,
	  "0123456789abcdef" },
	{ "as long as may be, CR LF", BYTES("0123456789abcdef\r\n"), 0,
	  "0123456789abcdef" },
	{ "as long as may be, no end", BYTES("0123456789abcdef"), 0,
	  "0123456789abcdef" },
	{ "one byte too long", BYTES("0123456789abcdefg\n"), -EINVAL, NULL },
	{ "much too long", BYTES("0123456789abcdef0123456789abcdef"), -EINVAL,
	  NULL },
	{ "a NUL behind the line", BYTES("a\n\0"), 0, "a" },
	{ "a NUL in the line", BYTES("a\0b\n"), -EINVAL, NULL },
	{ "nothing", BYTES(""), -EINVAL, NULL },
	{ "an empty line", BYTES("\nwonder\n"), -EINVAL, NULL },
	{ "an empty line, CR LF", BYTES("\r\n"), -EINVAL, NULL },
};

static void test_first_line(void **state)
{
	char path[PATH_ROOM];

	(void)snprintf(path, sizeof(path), "%s/s", (char *)*state);
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		struct secret *s = NULL;
		struct err e = { 0 };

		write_file(path, texts[i].bytes, texts[i].len, 0600);
		if (secret_read(path, MAX, &s, &e) != texts[i].error)
			fail_msg("%s: %s", texts[i].what, e.text);
		if (texts[i].error) {
			assert_null(s);
			assert_non_null(strstr(e.text, path));
			continue;
		}
		assert_int_equal(s->len, strlen(texts[i].secret));
		assert_string_equal(s->bytes, texts[i].secret);
		secret_free(s);
	}
	(void)unlink(path);
}

/* What stands in the file is in no sentence. */
static void test_T22_no_sentence_tells_it(void **state)
{
	static const char text[] = "tiger-in-a-sentence-that-is-too-long\n";
	struct secret *s = NULL;
	struct err e = { 0 };
	char path[PATH_ROOM];

	(void)snprintf(path, sizeof(path), "%s/s", (char *)*state);
	write_file(path, text, strlen(text), 0600);
	assert_int_equal(secret_read(path, MAX, &s, &e), -EINVAL);
	assert_null(strstr(e.text, "tiger"));
	write_file(path, text, strlen(text), 0644);
	assert_int_equal(secret_read(path, 100, &s, &e), -EACCES);
	assert_null(strstr(e.text, "tiger"));
	(void)unlink(path);
}

/* --- the file ------------------------------------------------------------ */

static const struct {
	const char *what;
	mode_t mode;
	uid_t owner;
	int error;
	int as_credential;
} files[] = {
	{ "ours alone", 0600, 0, 0, 0 },
	{ "ours, to be read", 0400, 0, 0, 0 },
	{ "the group may read", 0640, 0, -EACCES, 0 },
	{ "the group may write", 0620, 0, -EACCES, 0 },
	{ "all may read", 0604, 0, -EACCES, -EACCES },
	{ "all may write", 0602, 0, -EACCES, -EACCES },
	{ "another user's", 0600, 65534, -EACCES, -EACCES },
};

static void test_H12_only_ours(void **state)
{
	char path[PATH_ROOM];

	if (geteuid() != 0)
		skip();
	(void)snprintf(path, sizeof(path), "%s/s", (char *)*state);
	assert_int_equal(setenv("CREDENTIALS_DIRECTORY", *state, 1), 0);
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
		struct secret *s = NULL;
		struct err e = { 0 };

		write_file(path, "x\n", 2, files[i].mode);
		assert_int_equal(chown(path, files[i].owner, 0), 0);
		if (secret_read(path, MAX, &s, &e) != files[i].error)
			fail_msg("%s: %s", files[i].what, e.text);
		secret_free(s);
		s = NULL;
		if (secret_read_credential("s", MAX, &s, &e) !=
		    files[i].as_credential)
			fail_msg("credential, %s: %s", files[i].what, e.text);
		secret_free(s);
		(void)unlink(path);
	}
	(void)unsetenv("CREDENTIALS_DIRECTORY");
}

/* Not one of them is waited for, or read. */
static void test_no_regular_file(void **state)
{
	struct secret *s = NULL;
	struct err e = { 0 };
	char path[PATH_ROOM];

	(void)snprintf(path, sizeof(path), "%s/fifo", (char *)*state);
	assert_int_equal(secret_read(path, MAX, &s, &e), -ENOENT);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(secret_read(path, MAX, &s, &e), -EACCES);
	assert_int_equal(secret_read(*state, MAX, &s, &e), -EACCES);
	assert_int_equal(secret_read("/dev/zero", MAX, &s, &e), -EACCES);
	assert_null(s);
	(void)unlink(path);
}

static void test_credentials(void **state)
{
	static const char *const names[] = { "../s", "a/b", ".", "..", ".s" };
	struct secret *s = NULL;
	struct err e = { 0 };

	(void)unsetenv("CREDENTIALS_DIRECTORY");
	assert_int_equal(secret_read_credential("s", MAX, &s, &e), -ENOENT);
	assert_non_null(strstr(e.text, "LoadCredential=s:"));
	assert_int_equal(setenv("CREDENTIALS_DIRECTORY", *state, 1), 0);
	assert_int_equal(secret_read_credential("s", MAX, &s, &e), -ENOENT);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		assert_int_equal(secret_read_credential(names[i], MAX, &s, &e),
				 -EINVAL);
	assert_null(s);
	(void)unsetenv("CREDENTIALS_DIRECTORY");
}

/* --- the memory ---------------------------------------------------------- */

/* The flags of the mapping that holds p: "... dd lo ..." of smaps. */
static void flags_of(const void *p, char *out, size_t size)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	uintptr_t from, to;
	int is_it = 0;
	char line[512];

	assert_non_null(f);
	*out = '\0';
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			is_it = (uintptr_t)p >= from && (uintptr_t)p < to;
		if (is_it && !strncmp(line, "VmFlags:", 8))
			(void)snprintf(out, size, "%s", line);
	}
	fclose(f);
}

static void test_T22_not_in_a_core_file(void **state)
{
	struct secret *s = secret_new("wonder", 6);
	char flags[512];

	(void)state;
	assert_non_null(s);
	flags_of(s, flags, sizeof(flags));
	assert_non_null(strstr(flags, " dd"));
	assert_null(strstr(flags, " wf")); /* workers say it to proxies */
	secret_free(s);
	secret_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_line),
		cmocka_unit_test(test_T22_no_sentence_tells_it),
		cmocka_unit_test(test_H12_only_ours),
		cmocka_unit_test(test_no_regular_file),
		cmocka_unit_test(test_credentials),
		cmocka_unit_test(test_T22_not_in_a_core_file),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
