/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine.c - what all engines have in common; see engine.h.
 */
#include "engine/engine.h"

#include "engine/nft.h"
#include "engine/routing.h"

static const char *const engine_names[] = {
	[ENGINE_AUTO] = "auto",
	[ENGINE_EBPF] = "ebpf",
	[ENGINE_NFT] = "nft",
	[ENGINE_IPTABLES] = "iptables",
};

static void check_engine(const char *file, const struct config *c,
			 struct messages *m)
{
	if (c->engine == ENGINE_AUTO || c->engine == ENGINE_NFT)
		return;
	m->errors++;
	str_addf(&m->text,
		 "%s: error: engine %s is not built yet; say `engine nft` or "
		 "`engine auto`\n",
		 file, engine_names[c->engine]);
}

static void check_host(const char *file, const struct intercept *it,
		       struct messages *m)
{
	if (!it->from_host)
		return;
	m->errors++;
	str_addf(&m->text,
		 "%s:%u:%u: error: intercept %s: `from host` is not built "
		 "yet; for one command there is `waylay exec`\n",
		 file, it->at.line, it->at.column, it->name);
}

struct config *engine_parse(const char *file, const char *text, size_t len,
			    struct messages *m)
{
	struct config *c = config_parse(file, text, len, m);

	if (!c)
		return NULL;
	check_engine(file, c, m);
	for (size_t i = 0; i < c->intercept_count; i++)
		check_host(file, &c->intercepts[i], m);
	if (!m->errors)
		return c;
	config_free(c);
	return NULL;
}

void engine_render(const struct plan *p, struct str *out)
{
	routing_render(p, out);
	str_add(out, "nft -f - <<'END'\n");
	nft_render(p, out);
	str_add(out, "END\n");
}
