/* SPDX-License-Identifier: Apache-2.0 */
/*
 * explain_json.c - `explain` as JSON; see explain_json.h.
 */
#include "control/explain_json.h"

#include "base/err.h"
#include "control/wire.h"
#include "policy/domains.h"
#include "policy/policy.h"
#include "policy/words.h"

#include <errno.h>
#include <string.h>

enum { RULE_TEXT_MAX = 1024 }; /* of a rule that may have a million networks */

/* --- the request --------------------------------------------------------- */

static const char *text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static int read_proto(const json_t *request, enum proto *out, struct err *e)
{
	const char *text = text_of(request, "proto");

	for (enum proto p = 0; text && p < PROTO_COUNT; p++) {
		if (strcmp(proto_words[p], text) == 0) {
			*out = p;
			return 0;
		}
	}
	return err_set(e, EINVAL, "the protocol is tcp or udp, not '%s'",
		       text ? text : "");
}

static int read_addresses(const json_t *request, struct addr *src,
			  struct addr *dst, struct err *e)
{
	const char *from = text_of(request, "src");
	const char *to = text_of(request, "dst");

	if (!from ||
	    (addr_parse_ip(from, src) < 0 && addr_parse(from, src) < 0))
		return err_set(e, EINVAL,
			       "the source '%s' is no address, such as "
			       "192.0.2.7 or 192.0.2.7:40000",
			       from ? from : "");
	if (!to || addr_parse(to, dst) < 0)
		return err_set(e, EINVAL,
			       "the destination '%s' is no address with a "
			       "port, such as 198.51.100.1:443 or "
			       "[2001:db8::1]:443; a name is given apart",
			       to ? to : "");
	if (src->family != dst->family)
		return err_set(e, EINVAL,
			       "%s and %s are of different IP versions", from,
			       to);
	return 0;
}

static int read_name(const json_t *request, struct explain_request *out,
		     struct err *e)
{
	const char *name = text_of(request, "name");

	if (!name)
		return 0;
	if (!domain_normalise(name, strlen(name), out->name))
		return err_set(e, EINVAL, "'%s' is no domain name", name);
	out->asked.name = out->name;
	/* Of UDP, only QUIC tells a name. */
	out->asked.is_quic |= out->asked.proto == PROTO_UDP;
	return 0;
}

int explain_json_read(const json_t *request, struct explain_request *out,
		      struct err *e)
{
	struct explain_question *q = &out->asked;
	const char *from = text_of(request, "from");
	int rc;

	memset(out, 0, sizeof(*out));
	rc = read_proto(request, &q->proto, e);
	if (rc == 0)
		rc = read_addresses(request, &q->src, &q->dst, e);
	if (rc < 0)
		return rc;
	q->is_quic = json_is_true(json_object_get(request, "is_quic"));
	if (q->is_quic && q->proto != PROTO_UDP)
		return err_set(e, EINVAL, "QUIC runs over udp, not over tcp");
	if (from && strcmp(from, "host") == 0)
		q->from = FROM_HOST;
	else if (from)
		q->from = FROM_LINK;
	q->ifname = q->from == FROM_LINK ? from : NULL;
	return read_name(request, out, e);
}

/* --- the reply ----------------------------------------------------------- */

static void set(json_t *j, const char *key, json_t *value)
{
	(void)json_object_set_new(j, key, value); /* NULL: without memory */
}

/* Takes the text. */
static json_t *text_json(struct str *text)
{
	json_t *j = control_text(str_get(text));

	str_done(text);
	return j;
}

/* One line, of bounded length. */
static json_t *rule_text(const struct config *c, size_t rule)
{
	struct str text = { 0 };

	config_print_rule(c, rule, &text);
	for (size_t i = 0; i < text.len; i++)
		if (text.text[i] == '\n' || text.text[i] == '\t')
			text.text[i] = ' ';
	if (text.len > RULE_TEXT_MAX) {
		text.text[RULE_TEXT_MAX] = '\0';
		text.len = RULE_TEXT_MAX;
		str_add(&text, "...");
	}
	return text_json(&text);
}

static json_t *rules(const struct explanation *x)
{
	static const char *const answers[] = {
		[MATCH_NO] = "no",
		[MATCH_YES] = "yes",
		[MATCH_OPEN] = "open",
	};
	json_t *list = json_array();

	for (int i = 0; i <= x->rule; i++) {
		struct str why = { 0 };
		enum match match = explain_rule(x, (size_t)i, &why);
		json_t *j = json_pack("{s:i, s:I, s:s}", "rule", i + 1, "line",
				      (json_int_t)x->config->rules[i].at.line,
				      "match", answers[match]);

		set(j, "text", rule_text(x->config, (size_t)i));
		set(j, "why", text_json(&why));
		(void)json_array_append_new(list, j);
	}
	return list;
}

static json_t *intercepts(const struct explanation *x)
{
	json_t *list = json_array();

	for (size_t i = 0; i < x->intercepts; i++) {
		const struct intercept *in = &x->config->intercepts[i];
		struct str why = { 0 };
		bool is_taking = explain_intercept(x, i, &why);
		json_t *j = json_pack("{s:s, s:I, s:b}", "name", in->name,
				      "line", (json_int_t)in->at.line,
				      "is_taking", is_taking);

		set(j, "why", text_json(&why));
		(void)json_array_append_new(list, j);
	}
	return list;
}

static json_t *upstream(const struct explanation *x, size_t index)
{
	const struct upstream *u = &x->config->upstreams[index];
	json_t *j = json_pack("{s:s, s:s}", "name", u->name, "kind",
			      u->kind == UPSTREAM_GROUP ? "group"
							: via_words[u->kind]);
	struct str text = { 0 };

	explain_upstream(x, index, &text);
	set(j, "text", text_json(&text));
	return j;
}

/* Members of a group, and what follows when none can. */
static void add_group(const struct explanation *x, json_t *j)
{
	const struct group *g = x->config->upstreams[x->upstream].group;
	json_t *members = json_array();

	for (size_t i = 0; g && i < g->member_count; i++)
		(void)json_array_append_new(members,
					    upstream(x, g->members[i]));
	set(j, "members", members);
	set(j, "fallback", g ? upstream(x, g->fallback) : json_null());
}

static json_t *way(const struct explanation *x)
{
	json_t *j;

	if (x->upstream < 0)
		return json_null();
	j = upstream(x, (size_t)x->upstream);
	add_group(x, j);
	return j;
}

/* --- notes --------------------------------------------------------------- */

static bool has_open_rule(const struct explanation *x)
{
	bool is_open = false;

	for (int i = 0; i < x->rule && !is_open; i++) {
		struct str why = { 0 };

		is_open = explain_rule(x, (size_t)i, &why) == MATCH_OPEN;
		str_done(&why);
	}
	return is_open;
}

static bool has_owners(const struct explanation *x)
{
	const struct intercept *in;

	if (x->kernel.intercept < 0 || x->from != FROM_HOST)
		return false;
	in = &x->config->intercepts[x->kernel.intercept];
	return in->except_user_count || in->except_cgroup_count;
}

static void add_note(json_t *list, const char *text)
{
	(void)json_array_append_new(list, json_string(text));
}

static json_t *notes(const struct explanation *x)
{
	json_t *list = json_array();

	if (has_open_rule(x))
		add_note(list, "this is the way if the first bytes tell "
			       "nothing; what they tell may change it");
	if (x->has_unseen_name && x->rule >= 0)
		add_note(list, "sniff looks for no name there: waylay would "
			       "not learn this one");
	if (has_owners(x))
		add_note(list, "exceptions for users and cgroups were not "
			       "asked");
	return list;
}

/* --- all of it ----------------------------------------------------------- */

static json_t *from_text(const struct explanation *x)
{
	if (x->from == FROM_HOST)
		return json_string("host");
	return x->ifname ? control_text(x->ifname) : json_null();
}

static json_t *reply(const struct explanation *x)
{
	const struct explain_question *q = x->asked;
	char src[ADDR_TEXT_MAX], dst[ADDR_TEXT_MAX];
	struct str kernel = { 0 };
	json_t *j = json_pack("{s:b, s:s, s:s, s:s, s:s?, s:b, s:s}", "ok", 1,
			      "proto", proto_words[q->proto], "src",
			      q->src.port ? addr_format(&q->src, src)
					  : addr_format_ip(&q->src, src),
			      "dst", addr_format(&q->dst, dst), "name", q->name,
			      "is_quic", q->is_quic, "verdict",
			      verdict_name(x->kernel.kind));

	explain_kernel(x, &kernel);
	set(j, "from", from_text(x));
	set(j, "kernel", text_json(&kernel));
	set(j, "intercepts", intercepts(x));
	set(j, "rules", rules(x));
	set(j, "upstream", way(x));
	set(j, "notes", notes(x));
	return j;
}

/* A name that is no interface's, but that of an intercept with `listen`. */
static bool is_listen(const struct config *c, const char *name)
{
	for (size_t i = 0; i < c->intercept_count; i++) {
		if (c->intercepts[i].has_listen &&
		    strcmp(c->intercepts[i].name, name) == 0)
			return true;
	}
	return false;
}

json_t *explain_json(const struct config *c, const json_t *request)
{
	struct explain_request r;
	struct explanation x;
	struct err e;

	if (explain_json_read(request, &r, &e) < 0)
		return control_error(CONTROL_USAGE, e.text);
	if (r.asked.from == FROM_LINK && is_listen(c, r.asked.ifname))
		r.asked.from = FROM_LISTEN;
	explain(c, &r.asked, &x);
	return reply(&x);
}
