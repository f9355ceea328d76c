/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_files.c - what lies outside of the text: the files of lists, and
 * secrets; see parse.h.
 *
 * Who asked for the configuration says how a file is fetched (struct
 * policy_files), or that none is: then a list is what the text says of it, and
 * no secret is known.  What is wrong with a file is told at the place where
 * the text names it.
 */
#include "policy/parse.h"
#include "policy/domains.h"
#include "policy/list_file.h"
#include "policy/set.h"

#include <errno.h>

/* A list on its way into its two sets. */
struct filling {
	struct parser *p;
	struct net_set nets;
	struct domain_builder *names; /* NULL until there is one */
};

/* --- one entry ----------------------------------------------------------- */

static int add_name(void *ctx, const char *pattern)
{
	struct filling *f = ctx;

	if (!f->names)
		f->names = domain_builder_new();
	return f->names ? domain_builder_add(f->names, pattern) : -ENOMEM;
}

static int add_net(void *ctx, const struct prefix *net)
{
	struct filling *f = ctx;
	struct prefix *prefixes =
		parse_grow(f->p, f->nets.prefixes, f->nets.count, sizeof(*net));

	if (!prefixes)
		return -ENOMEM;
	f->nets.prefixes = prefixes;
	prefixes[f->nets.count++] = *net;
	return 0;
}

/* --- files --------------------------------------------------------------- */

static void read_file(struct filling *f, const struct list_file *file)
{
	const struct list_sink sink = { f, add_name, add_net };
	const struct policy_files *files = f->p->files;
	struct str text = { .len = 0 };
	struct err e = { .code = 0 };
	int err = files->list(files->ctx, file->path, &text, &e);

	if (!err && !str_ok(&text))
		err = -ENOMEM;
	if (!err) {
		err = list_file_parse(str_get(&text), text.len, &sink, &e);
		if (err && e.code)
			(void)err_prefix(&e, "%s", file->path);
	}
	if (err && e.code)
		(void)report_error(f->p->report, file->at, "%s", e.text);
	else if (err)
		f->p->is_out_of_memory = true;
	str_done(&text);
}

static int fill(struct filling *f, const struct list *l)
{
	int err = 0;

	for (size_t i = 0; i < l->count && !err; i++)
		err = add_net(f, &l->nets[i]);
	for (size_t i = 0; i < l->domain_count && !err; i++)
		err = add_name(f, l->domains[i].text);
	for (size_t i = 0; i < l->file_count && !err && f->p->files; i++)
		read_file(f, &l->files[i]);
	return err;
}

static int finish_names(struct filling *f, const struct domain_set **out)
{
	struct domain_set *set;
	int err;

	if (!f->names)
		return 0;
	err = domain_builder_finish(f->names, &set);
	if (!err)
		*out = set;
	return err;
}

void check_lists(struct parser *p)
{
	for (size_t i = 0; i < p->config->list_count; i++) {
		struct list *l = &p->config->lists[i];
		struct filling f = { .p = p };

		if (fill(&f, l) < 0 || p->is_out_of_memory) {
			p->is_out_of_memory = true;
			domain_builder_free(f.names);
			return;
		}
		net_set_normalise(&f.nets);
		l->set = f.nets;
		if (finish_names(&f, &l->names) < 0)
			p->is_out_of_memory = true;
	}
}

/* --- secrets ------------------------------------------------------------- */

void check_secrets(struct parser *p)
{
	const struct policy_files *files = p->files;

	if (!files || !files->secret)
		return;
	for (size_t i = 0; i < p->config->upstream_count; i++) {
		struct secret_ref *ref = &p->config->upstreams[i].password;
		struct err e = { .code = 0 };

		if (ref->from == SECRET_NONE ||
		    files->secret(files->ctx, ref, &ref->secret, &e) == 0)
			continue;
		(void)report_error(p->report, ref->at, "%s", e.text);
	}
}
