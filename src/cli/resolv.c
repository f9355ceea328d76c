/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resolv.c - a resolv.conf for another network namespace; see resolv.h.
 */
#include "cli/resolv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { LINE_BYTES = 1024 };

void resolv_stand_in(size_t i, struct addr *out)
{
	*out = (struct addr){
		.family = AF_INET,
		.ip = { 192, 0, 0, (uint8_t)(170 + i) },
	};
}

/* Is it "nameserver ADDRESS"? */
static bool is_server(const char *line, struct addr *out)
{
	static const char blanks[] = " \t";
	char ip[ADDR_TEXT_MAX];
	size_t len;

	if (strncmp(line, "nameserver", 10) || !strspn(line + 10, blanks))
		return false;
	line += 10;
	line += strspn(line, blanks);
	len = strcspn(line, " \t\r\n#;");
	if (!len || len >= sizeof(ip))
		return false;
	memcpy(ip, line, len);
	ip[len] = '\0';
	return addr_parse_ip(ip, out) == 0;
}

static void add_stand_in(struct resolv *r, const struct addr *real)
{
	char text[ADDR_TEXT_MAX];
	struct addr stand_in;

	if (r->count == RESOLV_MAX)
		return; /* libc asks the first three only */
	resolv_stand_in(r->count, &stand_in);
	r->real[r->count++] = *real;
	str_addf(&r->text, "nameserver %s\n", addr_format_ip(&stand_in, text));
}

int resolv_read(const char *path, struct resolv *out, struct err *e)
{
	FILE *f = fopen(path, "re");
	char line[LINE_BYTES];
	struct addr real;

	*out = (struct resolv){ 0 };
	if (!f && errno != ENOENT)
		return err_errno(e, errno, "cannot read %s", path);
	while (f && fgets(line, sizeof(line), f)) {
		bool is_known = is_server(line, &real);

		if (is_known && addr_is_loopback(&real)) {
			add_stand_in(out, &real);
			continue;
		}
		str_add(&out->text, line);
		/* one with a scope cannot be reached from elsewhere */
		if (is_known && !real.scope && out->far_count < RESOLV_MAX)
			out->far[out->far_count++] = real;
	}
	if (f)
		(void)fclose(f); /* was only read */
	if (!strstr(str_get(&out->text), "nameserver")) {
		(void)addr_parse_ip("127.0.0.1", &real); /* is valid */
		add_stand_in(out, &real);
	}
	return str_ok(&out->text) ? 0 : err_set(e, ENOMEM, "no memory");
}

void resolv_done(struct resolv *r)
{
	str_done(&r->text);
}
