/* SPDX-License-Identifier: Apache-2.0 */
/*
 * files_test.c - what a configuration names, where it is and where it is not.
 */
#include "engine/files.h"

#include "base/err.h"
#include "base/secret.h"
#include "engine/engine.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/waylay-files-XXXXXX";

static int begin(void **state)
{
	(void)state;
	return mkdtemp(dir) && chmod(dir, 0755) == 0 && chdir(dir) == 0 ? 0
									: -1;
}

static int end(void **state)
{
	(void)state;
	return chdir("/") == 0 && rmdir(dir) == 0 ? 0 : -1;
}

static void put(const char *name, const char *text, mode_t mode)
{
	FILE *f = fopen(name, "we");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(name, mode), 0);
}

/* Messages of a text with the path of a file at its `@`; "": it is valid. */
static const char *judge(const struct policy_files *files, const char *format,
			 const char *name)
{
	static char said[4096];
	const char *at = strchr(format, '@');
	struct messages m = { .errors = 0 };
	struct str text = { 0 };
	struct config *c;

	str_addn(&text, format, (size_t)(at - format));
	str_addf(&text, "%s/%s%s", dir, name, at + 1);
	c = engine_parse("t", str_get(&text), text.len, files, &m);
	(void)snprintf(said, sizeof(said), "%s", c ? "" : str_get(&m.text));
	config_free(c);
	messages_done(&m);
	str_done(&text);
	return said;
}

static const char list_text[] = "intercept a { from a0; tcp any }\n"
				"list l { file @ }\n"
				"rules { list l -> reject }\n";
static const char secret_text[] =
	"intercept a { from a0; tcp any }\n"
	"upstream p { via socks5 192.0.2.1:1080; user u; password file:@ }\n"
	"rules { default -> p }\n";

static void test_lists(void **state)
{
	(void)state;
	put("good", "example.org\n192.0.2.0/24\n", 0644);
	put("bad", "example.org\nno name!\n", 0644);
	assert_int_equal(mkfifo("fifo", 0600), 0);
	assert_string_equal(judge(&files_system, list_text, "good"), "");
	assert_string_equal(judge(files_to_check(), list_text, "good"), "");
	assert_non_null(strstr(judge(&files_system, list_text, "bad"),
			       "t:2:15: error: "));
	assert_non_null(
		strstr(judge(&files_system, list_text, "bad"), "line 2"));
	assert_non_null(strstr(judge(&files_system, list_text, "none"),
			       "No such file"));
	assert_non_null(strstr(judge(&files_system, list_text, "fifo"),
			       "is not a regular file"));
	(void)unlink("good");
	(void)unlink("bad");
	(void)unlink("fifo");
}

static void test_secrets(void **state)
{
	(void)state;
	put("good", "wonder\n", 0600);
	put("open", "wonder\n", 0644);
	assert_string_equal(judge(&files_system, secret_text, "good"), "");
	assert_non_null(strstr(judge(&files_system, secret_text, "open"),
			       "chmod 0600"));
	assert_null(
		strstr(judge(&files_system, secret_text, "open"), "wonder"));
	assert_non_null(strstr(judge(&files_system, secret_text, "none"),
			       "No such file"));
	(void)unlink("good");
	(void)unlink("open");
}

/* Status of a child that is another user and judges the same text. */
static int judge_as(uid_t uid, const char *name)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(setuid(uid) < 0 ? 2
				      : *judge(files_to_check(), secret_text,
					       name) != '\0');
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* Who may not read secrets can judge a text all the same; root sees what is
 * wrong with them. */
static void test_judging(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	put("good", "wonder\n", 0600);
	put("open", "wonder\n", 0644);
	assert_int_equal(judge_as(65534, "good"), 0);
	assert_int_equal(judge_as(65534, "none"), 0);
	assert_int_equal(judge_as(0, "good"), 0);
	assert_int_equal(judge_as(0, "open"), 1);
	assert_int_equal(judge_as(0, "none"), 1);
	(void)unlink("good");
	(void)unlink("open");
}

/* Outside of its service a credential is not there, which says nothing. */
static void test_credentials(void **state)
{
	struct secret_ref ref = { .from = SECRET_CREDENTIAL, .name = "good" };
	const struct policy_files *check = files_to_check();
	struct secret *s = NULL;
	struct err e = { 0 };

	(void)state;
	if (geteuid() != 0)
		skip();
	(void)unsetenv("CREDENTIALS_DIRECTORY");
	assert_int_equal(check->secret(NULL, &ref, &s, &e), 0);
	assert_null(s);
	assert_int_equal(files_system.secret(NULL, &ref, &s, &e), -ENOENT);
	put("good", "wonder\n", 0600);
	assert_int_equal(setenv("CREDENTIALS_DIRECTORY", dir, 1), 0);
	assert_int_equal(check->secret(NULL, &ref, &s, &e), 0);
	assert_string_equal(s->bytes, "wonder");
	secret_free(s);
	(void)unsetenv("CREDENTIALS_DIRECTORY");
	(void)unlink("good");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_secrets),
		cmocka_unit_test(test_judging),
		cmocka_unit_test(test_credentials),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
