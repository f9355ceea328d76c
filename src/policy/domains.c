/* SPDX-License-Identifier: Apache-2.0 */
/*
 * domains.c - names in one block of bytes and one table; see domains.h.  What a
 * name is stands in domain_name.c.
 *
 *	blob   | 11 example.org | 13 intra.example | ...
 *	slots  a power of two, at least half of them empty (0):
 *
 *	       | tag of the hash | forms | offset in blob |
 *	         what is left      2 bits  as many as needed
 *
 * Each name is there once; its forms, never 0, say whether it stands for
 * itself, for what is below it, or for both.  A name from the network is hashed
 *from its end, which gives the hash of each of its suffixes on the way; then
 *each suffix has one place to look.  The tag and the forms are compared before
 * the blob is touched, so that a miss rarely leaves the table.
 *
 * The hash is a polynomial over the name's words with a secret point, modulo
 * the prime 2^61-1.  Two names have the same value for few points only,
 * whatever the names are: so nobody can choose names that meet (T15).
 */
#include "policy/domains.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum {
	FORM_SELF = 1,	/* "example.org" */
	FORM_BELOW = 2, /* "*.example.org" */
	FORM_BITS = 2,
	NAME_BYTES_MAX = HOST_TEXT_MAX - 1,
	LABELS_MAX = (NAME_BYTES_MAX + 1) / 2,
	WORD_BYTES = 7,		  /* of a name, in one step of the hash */
	BLOB_BYTES_MAX = 1 << 30, /* so that forms have room in a slot */
	BLOB_BYTES_MIN = 4096,
};

static const uint64_t PRIME = (UINT64_C(1) << 61) - 1;

struct domain_key {
	uint64_t point; /* of the polynomial, below PRIME */
	uint64_t mixer; /* odd */
};

struct domain_set {
	struct domain_key key;
	uint8_t *blob;	 /* length byte and name, each */
	uint32_t *slots; /* 0: empty */
	size_t blob_bytes, count;
	unsigned slot_bits;   /* log2 of the number of slots */
	unsigned offset_bits; /* of a slot */
	unsigned labels_max;  /* of the entry that has most */
};

/* Its blob has a byte more for each entry: forms, length, name. */
struct domain_builder {
	uint8_t *blob;
	size_t len, cap, count;
};

/* --- the hash ------------------------------------------------------------ */

/* (a + word) * point modulo PRIME, up to a few above it: no word has more
 * than 57 bits, so nothing overflows. */
static uint64_t hash_step(const struct domain_key *k, uint64_t a, uint64_t word)
{
	unsigned __int128 product = (unsigned __int128)(a + word) * k->point;
	uint64_t sum = ((uint64_t)product & PRIME) + (uint64_t)(product >> 61);

	return (sum & PRIME) + (sum >> 61);
}

static uint64_t hash_mix(const struct domain_key *k, uint64_t a)
{
	uint64_t mixed = a * k->mixer;

	return mixed ^ mixed >> 32;
}

/* A suffix of a name that begins at a label. */
struct suffix {
	uint64_t hash;
	size_t start;
};

/*
 * The suffixes of 1, 2, 3... labels, at most `max`; returns how many.  A label
 * is cut into words of seven bytes, and its last one is marked, so that
 * different names are different sequences of words.
 */
static unsigned hash_suffixes(const struct domain_key *k, const char *name,
			      size_t len, unsigned max, struct suffix *out)
{
	uint64_t sum = 0, word = 0;
	unsigned bytes = 0, count = 0;

	for (size_t i = len; i > 0 && count < max; i--) {
		word = word << 8 | (uint8_t)name[i - 1];
		if (i == 1 || name[i - 2] == '.') {
			word |= UINT64_C(1) << 56;
			sum = hash_step(k, sum, word);
			out[count++] =
				(struct suffix){ hash_mix(k, sum), i - 1 };
			word = bytes = 0;
			i -= i > 1; /* the dot */
		} else if (++bytes == WORD_BYTES) {
			sum = hash_step(k, sum, word);
			word = bytes = 0;
		}
	}
	return count;
}

/* Of the whole name. */
static uint64_t hash_name(const struct domain_key *k, const char *name,
			  size_t len, unsigned *labels)
{
	struct suffix suffixes[LABELS_MAX];

	*labels = hash_suffixes(k, name, len, LABELS_MAX, suffixes);
	return suffixes[*labels - 1].hash;
}

static bool make_key(struct domain_key *out)
{
	struct domain_key k;

	if (getrandom(&k, sizeof(k), 0) != sizeof(k))
		return false;
	out->point = k.point % (PRIME - 2) + 2; /* 0 and 1 tell nothing */
	out->mixer = k.mixer | 1;
	return true;
}

/* --- the table ----------------------------------------------------------- */

static size_t slot_count(const struct domain_set *s)
{
	return (size_t)1 << s->slot_bits;
}

/* The high bits of the hash say where, the low ones are the tag. */
static size_t slot_home(const struct domain_set *s, uint64_t hash)
{
	return (size_t)(hash >> (64 - s->slot_bits));
}

static uint32_t slot_tag(const struct domain_set *s, uint64_t hash)
{
	return (uint32_t)((uint64_t)(uint32_t)hash
			  << (s->offset_bits + FORM_BITS));
}

static uint32_t slot_forms(const struct domain_set *s, uint32_t slot)
{
	return slot >> s->offset_bits & (FORM_SELF | FORM_BELOW);
}

static const uint8_t *slot_entry(const struct domain_set *s, uint32_t slot)
{
	return s->blob + (slot & ((UINT32_C(1) << s->offset_bits) - 1));
}

static bool is_slot_of(const struct domain_set *s, uint32_t slot, uint32_t tag,
		       const char *name, size_t len)
{
	const uint8_t *entry = slot_entry(s, slot);
	uint32_t tag_mask =
		(uint32_t)(UINT64_MAX << (s->offset_bits + FORM_BITS));

	return !((slot ^ tag) & tag_mask) && entry[0] == len &&
	       memcmp(entry + 1, name, len) == 0;
}

/* The name's slot, or the empty one where it would be put. */
static uint32_t *find_slot(const struct domain_set *s, uint64_t hash,
			   const char *name, size_t len)
{
	uint32_t tag = slot_tag(s, hash);
	size_t i = slot_home(s, hash);

	while (s->slots[i] && !is_slot_of(s, s->slots[i], tag, name, len))
		i = (i + 1) & (slot_count(s) - 1);
	return &s->slots[i];
}

static bool has_form(const struct domain_set *s, const struct suffix *at,
		     const char *name, size_t len, uint32_t form)
{
	uint32_t slot =
		*find_slot(s, at->hash, name + at->start, len - at->start);

	return slot && (slot_forms(s, slot) & form);
}

bool domain_set_has(const struct domain_set *s, const char *name)
{
	size_t len = strnlen(name, HOST_TEXT_MAX);
	struct suffix suffixes[LABELS_MAX];
	unsigned count;

	if (!s || !len || len > NAME_BYTES_MAX)
		return false;
	count = hash_suffixes(&s->key, name, len, s->labels_max, suffixes);
	for (unsigned i = 0; i < count; i++)
		__builtin_prefetch(&s->slots[slot_home(s, suffixes[i].hash)]);
	for (unsigned i = count; i > 0; i--) {
		const struct suffix *at = &suffixes[i - 1];

		if (has_form(s, at, name, len,
			     at->start ? FORM_BELOW : FORM_SELF))
			return true;
	}
	return false;
}

size_t domain_set_count(const struct domain_set *s)
{
	return s ? s->count : 0;
}

size_t domain_set_bytes(const struct domain_set *s)
{
	if (!s)
		return 0;
	return sizeof(*s) + s->blob_bytes + slot_count(s) * sizeof(*s->slots);
}

/* The forms of the name in the set. */
static uint32_t forms_of(const struct domain_set *s, const char *name,
			 size_t len)
{
	unsigned labels;
	uint64_t hash = hash_name(&s->key, name, len, &labels);

	return slot_forms(s, *find_slot(s, hash, name, len));
}

bool domain_set_equal(const struct domain_set *a, const struct domain_set *b)
{
	if (domain_set_count(a) != domain_set_count(b))
		return false;
	for (size_t i = 0; a && i < slot_count(a); i++) {
		const uint8_t *entry = slot_entry(a, a->slots[i]);

		if (a->slots[i] &&
		    forms_of(b, (const char *)entry + 1, entry[0]) !=
			    slot_forms(a, a->slots[i]))
			return false;
	}
	return true;
}

void domain_set_free(struct domain_set *s)
{
	if (!s)
		return;
	free(s->blob);
	free(s->slots);
	free(s);
}

/* --- the builder --------------------------------------------------------- */

struct domain_builder *domain_builder_new(void)
{
	return calloc(1, sizeof(struct domain_builder));
}

void domain_builder_free(struct domain_builder *b)
{
	if (!b)
		return;
	free(b->blob);
	free(b);
}

static bool reserve(struct domain_builder *b, size_t more)
{
	size_t cap = b->cap ? b->cap * 2 : BLOB_BYTES_MIN;
	uint8_t *blob;

	if (b->len + more <= b->cap)
		return true;
	if (cap > BLOB_BYTES_MAX)
		return false;
	blob = realloc(b->blob, cap);
	if (!blob)
		return false;
	b->blob = blob;
	b->cap = cap;
	return true;
}

static uint8_t forms_of_pattern(const char *pattern)
{
	if (pattern[0] == '*')
		return FORM_BELOW;
	return pattern[0] == '.' ? FORM_SELF | FORM_BELOW : FORM_SELF;
}

int domain_builder_add(struct domain_builder *b, const char *pattern)
{
	uint8_t forms = forms_of_pattern(pattern);
	const char *name = pattern + strspn(pattern, "*.");
	size_t len = strlen(name);

	assert(len && len <= NAME_BYTES_MAX); /* domain_pattern() made it */
	if (!reserve(b, 2 + len))
		return -ENOMEM;
	b->blob[b->len++] = forms;
	b->blob[b->len++] = (uint8_t)len;
	memcpy(b->blob + b->len, name, len);
	b->len += len;
	b->count++;
	return 0;
}

static unsigned bits_for(size_t values)
{
	unsigned bits = 1;

	while ((size_t)1 << bits < values)
		bits++;
	return bits;
}

/* Put the name at the end of the blob, unless it is there already. */
static void insert(struct domain_set *s, const char *name, size_t len,
		   uint32_t forms)
{
	unsigned labels;
	uint64_t hash = hash_name(&s->key, name, len, &labels);
	uint32_t *slot = find_slot(s, hash, name, len);

	if (*slot) {
		*slot |= forms << s->offset_bits;
		return;
	}
	*slot = slot_tag(s, hash) | forms << s->offset_bits |
		(uint32_t)s->blob_bytes;
	s->blob[s->blob_bytes] = (uint8_t)len;
	memcpy(s->blob + s->blob_bytes + 1, name, len);
	s->blob_bytes += 1 + len;
	s->count++;
	if (labels > s->labels_max)
		s->labels_max = labels;
}

/*
 * The builder's blob becomes that of the set, in its place: each entry gets a
 * byte shorter, so the set's end stays behind what is read.
 */
static void move_entries(struct domain_set *s, size_t len)
{
	char name[HOST_TEXT_MAX];

	for (size_t at = 0; at < len;) {
		uint32_t forms = s->blob[at];
		size_t bytes = s->blob[at + 1];

		memcpy(name, s->blob + at + 2, bytes);
		at += 2 + bytes;
		insert(s, name, bytes, forms);
	}
}

/* Takes the builder's blob, if it returns a set. */
static struct domain_set *set_of(struct domain_builder *b)
{
	struct domain_set *s = calloc(1, sizeof(*s));
	uint8_t *shorter;

	if (!s)
		return NULL;
	s->slot_bits = bits_for(b->count * 2);
	s->offset_bits = bits_for(b->len); /* offsets end before it */
	s->slots = calloc(slot_count(s), sizeof(*s->slots));
	if (!s->slots || !make_key(&s->key)) {
		domain_set_free(s);
		return NULL;
	}
	s->blob = b->blob;
	b->blob = NULL;
	move_entries(s, b->len);
	shorter = realloc(s->blob, s->blob_bytes);
	if (shorter)
		s->blob = shorter;
	return s;
}

int domain_builder_finish(struct domain_builder *b, struct domain_set **out)
{
	struct domain_set *s = NULL;
	bool is_empty = !b->count;

	if (!is_empty)
		s = set_of(b);
	domain_builder_free(b);
	if (!s && !is_empty)
		return -ENOMEM;
	*out = s;
	return 0;
}
