/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parse_files.c - what lies outside of the text: files, and secrets; see
 * parse.h.
 *
 * Only words are read here; check_files.c fetches what they name.  A word that
 * stands where a secret is named may be the secret itself, so no message shows
 * it, nor its line.
 */
#include "policy/parse.h"
#include "policy/words.h"

#include <string.h>

/* --- paths --------------------------------------------------------------- */

static const char *find_path_fault(const char *path)
{
	if (*path != '/')
		return "it does not begin with /";
	if (path[strlen(path) - 1] == '/')
		return "it names a directory";
	if (strpbrk(path, "\t\r"))
		return "no control byte can stand in it";
	return NULL;
}

static bool has_file(const struct list *l, const char *path)
{
	for (size_t i = 0; i < l->file_count; i++) {
		if (strcmp(l->files[i].path, path) == 0)
			return true;
	}
	return false;
}

static bool add_file(struct parser *p, struct list *l, const struct word *w)
{
	const char *fault = find_path_fault(w->text);
	struct list_file *files;

	if (!fault && has_file(l, w->text))
		fault = "it is named twice";
	if (!fault && l->file_count == LIST_FILES_MAX)
		fault = "16 of them are allowed";
	if (fault) {
		(void)report_error(p->report, w->at, "wrong file \"%s\": %s",
				   w->text, fault);
		return false;
	}
	files = parse_grow(p, l->files, l->file_count, sizeof(*files));
	if (!files)
		return false;
	l->files = files;
	files[l->file_count].path = parse_keep(p, w->text);
	files[l->file_count].at = w->at;
	l->file_count++;
	return true;
}

bool value_files(struct parser *p, struct list *l)
{
	const struct word *w;

	do {
		w = word_take_item(p, "paths of files");
		if (!w || !add_file(p, l, w))
			return false;
	} while (w->has_comma);
	return true;
}

/* --- secrets ------------------------------------------------------------- */

/* As systemd.exec(5) has it. */
static const char *find_credential_fault(const char *name)
{
	if (!*name)
		return "a name is missing behind credential:";
	if (strpbrk(name, "/:\t\r"))
		return "no / or : can stand in the name of a credential";
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return "a credential cannot be named . or ..";
	return NULL;
}

static const char *find_secret_fault(enum secret_from from, const char *name)
{
	switch (from) {
	case SECRET_FILE:
		return find_path_fault(name);
	case SECRET_CREDENTIAL:
		return find_credential_fault(name);
	case SECRET_NONE:
		break;
	}
	return "it does not say where the secret is";
}

static enum secret_from split_secret(const char *text, const char **name)
{
	*name = text;
	for (unsigned from = SECRET_FILE; secret_words[from]; from++) {
		size_t len = strlen(secret_words[from]);

		if (strncmp(text, secret_words[from], len) == 0 &&
		    text[len] == ':') {
			*name = text + len + 1;
			return from;
		}
	}
	return SECRET_NONE;
}

/* Does anything follow that is not ours to show? */
static bool is_alone(const struct parser *p, const struct word *w)
{
	return !w->has_comma && !word_peek(p);
}

bool value_secret(struct parser *p, struct secret_ref *out)
{
	const struct word *w =
		word_take_item(p, "file:/PATH or credential:NAME");
	const char *name, *fault;
	enum secret_from from;
	struct message *m;

	if (!w)
		return false;
	from = split_secret(w->text, &name);
	fault = find_secret_fault(from, name);
	if (!fault && !is_alone(p, w))
		fault = "one value stands here";
	if (fault) {
		m = report_error(p->report, w->at,
				 "\"%s\" cannot be read like this: %s",
				 p->words[0].text, fault);
		message_hide_line(m);
		message_help(m, "write file:/PATH or credential:NAME; a secret "
				"itself never stands in this file");
		return false;
	}
	*out = (struct secret_ref){ .from = from,
				    .name = parse_keep(p, name),
				    .at = w->at };
	return true;
}
