/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parse.h - private to parse*.c, statement.c and check*.c: how text becomes
 * a model.
 *
 * The text is read one statement at a time (statement.c) into p->words.  A
 * block of the language is a table of keywords; parse.c walks the text along
 * these tables and calls one function per statement.  Such a function takes
 * the words one after another; at the first wrong one it reports and returns
 * false, and the walk goes on behind the statement, so that every error of a
 * file is found in one run.
 *
 *	parse.c            the walk, and the statements outside of blocks
 *	parse_settings.c   log, timeouts, limits, sniff, admin
 *	parse_intercept.c  intercept
 *	parse_owner.c      users and cgroups
 *	parse_list.c       list
 *	parse_upstream.c   upstream
 *	parse_group.c      group
 *	parse_rules.c      rules
 *	parse_values.c     numbers, durations, choices, names
 *	parse_nets.c       ports, addresses, networks
 *	parse_hosts.c      domain names, and proxies by name or address
 *	parse_files.c      files, secrets
 *
 * Names may be used before they are defined.  Until check.c has resolved
 * them, net_term.list, rule.intercept, rule.upstream, group.members and
 * group.fallback are indexes into p->refs.  The rest of check*.c:
 *
 *	check_files.c      what lies outside of the text: lists' files, secrets
 *	check_sets.c       networks and names as sets
 *	check_groups.c     who can be a member, circles
 *	check_warn.c       what is hardly meant
 *	check_meet.c       the same, of two intercepts
 */
#ifndef WL_POLICY_PARSE_H
#define WL_POLICY_PARSE_H

#include "policy/lex.h"
#include "policy/message.h"

enum {
	STATEMENT_WORDS_MAX = 65536,
	KEYWORDS_MAX = 24,    /* in one block */
	BLOCKS_DEEP_MAX = 16, /* braces inside of braces */
};

struct word {
	const char *text; /* valid until the next statement is read */
	struct place at;
	bool is_arrow;
	bool has_comma; /* a comma follows */
};

/* A name that was used, to be looked up when all is read. */
struct ref {
	const char *name;
	struct place at;
};

/* What is asked of an `intercept` when its block ends; line 0: not said. */
struct intercept_notes {
	struct place user, cgroup; /* behind `except` */
};

struct block;

struct parser {
	struct lexer lexer;
	struct token ahead; /* the token to read next */
	struct report *report;
	struct config *config;
	const struct policy_files *files; /* NULL: nothing is fetched */

	/* the statement at hand */
	struct word *words;
	size_t word_count, word_cap, word_next;
	struct str bytes;    /* of the words */
	bool has_block;	     /* it ended with { */
	bool is_broken;	     /* reported already, not worth looking at */
	struct place open;   /* of that { */
	struct place closed; /* of the } read last */

	struct ref *refs; /* in the configuration's arena */
	size_t ref_count;
	/* Where the keywords of the block that ended last were said. */
	const struct block *said_block;
	struct place said[KEYWORDS_MAX];
	struct intercept_notes intercept;
	struct place default_at; /* the default rule; line 0: none yet */
	struct place rules_at;	 /* the word `rules` */
	bool is_out_of_memory;
};

struct keyword;

/* Reads the words behind the keyword into subject.  False: reported. */
typedef bool (*keyword_fn)(struct parser *p, const struct keyword *k,
			   void *subject);

struct keyword {
	const char *name;
	keyword_fn parse;
	const struct block *block; /* instead of parse: a block follows */
	const char *later; /* instead of both: the refusal, a sentence */
	bool may_repeat;
	/* for the functions that only store a value: */
	size_t field; /* offset in subject */
	uint32_t min, max;
	const char *const *choices;
};

struct block {
	const char *noun; /* "intercept", for messages; NULL: the file */
	const struct keyword *keywords;
	/* Reads the words in front of { and returns the subject of the
	 * block, or NULL if reported.  Not given: the same subject. */
	void *(*open)(struct parser *p);
	/* Judges the whole; called if nothing in the block was wrong. */
	void (*close)(struct parser *p, void *subject);
	/* Takes statements that begin with no keyword of the table. */
	bool (*other)(struct parser *p, void *subject);
};

/* --- parse.c ------------------------------------------------------------- */

/* Read the whole text into p->config.  Errors are in p->report. */
void parse_file(struct parser *p);
/* Room for one more element: the array, moved if need be, or NULL. */
void *parse_grow(struct parser *p, void *array, size_t count, size_t size);
/* A copy of text that lives as long as the configuration; never NULL. */
const char *parse_keep(struct parser *p, const char *text);
size_t parse_ref(struct parser *p, const struct word *w);
/* For the close() of a block: where it said the keyword; line 0: nowhere. */
struct place parse_said(const struct parser *p, const char *keyword);

extern const struct block log_block, timeouts_block, limits_block, sniff_block,
	admin_block, intercept_block, list_block, upstream_block, group_block,
	rules_block;

/* --- statement.c --------------------------------------------------------- */

enum statement_kind { STATEMENT_WORDS, STATEMENT_CLOSE, STATEMENT_END };

/* Read the next statement, or the } that ends its block. */
enum statement_kind statement_read(struct parser *p);
/* The { of the statement was read: go behind its }.  Says what is unclosed. */
void statement_skip_block(struct parser *p);

/* The next word, taken or only looked at; NULL if there is none. */
const struct word *word_peek(const struct parser *p);
/* For a value that stands alone.  `what` completes "... needs". */
const struct word *word_take(struct parser *p, const char *what);
/* For a value that others may follow behind a comma. */
const struct word *word_take_item(struct parser *p, const char *what);
/* Nothing may be left. */
bool words_end(struct parser *p);

/* --- parse_values.c ------------------------------------------------------ */

bool value_choice(struct parser *p, const char *what,
		  const char *const *choices, unsigned *out);
bool value_number(struct parser *p, const char *what, uint32_t min,
		  uint32_t max, uint32_t *out);
bool value_duration(struct parser *p, uint32_t min_ms, uint32_t *out);
bool value_name(struct parser *p, const char *what, const struct word **out);
/* Decimal digits only. */
bool number_parse(const char *text, uint64_t max, uint64_t *out);

bool field_choice(struct parser *p, const struct keyword *k, void *subject);
bool field_on(struct parser *p, const struct keyword *k, void *subject);
/* A word without a value: it is true now. */
bool field_said(struct parser *p, const struct keyword *k, void *subject);
bool field_number(struct parser *p, const struct keyword *k, void *subject);
bool field_duration(struct parser *p, const struct keyword *k, void *subject);

/* Offer every choice (NULL at the end) and put "did you mean" or, if none is
 * near, the list of them below m. */
void help_choices(struct message *m, const char *wrong,
		  const char *const *choices);

/* --- parse_nets.c -------------------------------------------------------- */

/* Appends; check.c sorts and merges. */
bool value_ports(struct parser *p, const char *what, struct port_set *set);
bool value_nets(struct parser *p, struct net_expr *expr);
bool value_prefix(struct parser *p, const struct word *w, struct prefix *out);
bool value_addr_port(struct parser *p, const char *what, struct addr *out);
/* As above, but the port may be missing: then it is 0. */
bool value_addr_maybe_port(struct parser *p, const char *what,
			   struct addr *out);
/* As value_addr_port(), or `*:PORT`: then the family is AF_UNSPEC. */
bool value_listener(struct parser *p, const char *what, struct addr *out);
/* "an address", "a network"...: what text looks like, or NULL. */
const char *describe_value(const char *text);

/* --- parse_hosts.c ------------------------------------------------------- */

/* HOST:PORT.  A name gives *name, and *out then has its port and no family;
 * an address gives *name NULL. */
bool value_host_port(struct parser *p, const char *what, struct addr *out,
		     const char **name);
/* Appends; "example.org", "*.example.org", ".example.org". */
bool value_domains(struct parser *p, struct domain_term **terms, size_t *count);

/* --- parse_files.c ------------------------------------------------------- */

/* Appends paths. */
bool value_files(struct parser *p, struct list *l);
/* "file:/ABS/PATH" or "credential:NAME". */
bool value_secret(struct parser *p, struct secret_ref *out);

/* --- parse_upstream.c ---------------------------------------------------- */

/* The name in front of a block, and a place among the upstreams for it: of an
 * `upstream` or a `group`.  NULL: reported. */
struct upstream *parse_new_upstream(struct parser *p, const char *noun);

/* --- parse_owner.c ------------------------------------------------------- */

/* Append to what the intercept excepts. */
bool value_users(struct parser *p, struct intercept *i);
bool value_cgroups(struct parser *p, struct intercept *i);

/* --- check.c ------------------------------------------------------------- */

/* Resolve names, compute sets, add the default rule. */
void check_config(struct parser *p);
/* check_groups.c: can this upstream, named there, be a member? */
void check_member(struct parser *p, const struct ref *ref, size_t member);
/* The rest, when all names are resolved; fallback_at has a place for each
 * upstream. */
void check_groups(struct parser *p, const struct place *fallback_at);
/* check_files.c: list.set and list.names of each list; secrets. */
void check_lists(struct parser *p);
void check_secrets(struct parser *p);
/* check_sets.c: what terms and ports come to. */
void check_sets(struct parser *p, bool *is_list_used);
/* check_warn.c: what is allowed, but hardly meant. */
void check_warn(struct parser *p, const bool *is_list_used);
/* check_meet.c: the same, of two intercepts. */
void check_meet(struct parser *p);

#endif
