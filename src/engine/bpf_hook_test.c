/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bpf_hook_test.c - programs on real hooks, both ways of attaching them.
 *
 * Who else is there goes on working, who dies is inherited from, and what is
 * taken away is noticed.
 */
#include "engine/bpf_hook.h"

#include "engine/hook_world_test.h"

/* --- attaching ----------------------------------------------------------- */

static void test_set_and_replace(struct world *w)
{
	struct bpf_hook h = new_hook(w);

	assert_false(runs(w, w->ours));
	set(&h, w, w->ours);
	assert_true(runs(w, w->ours));
	assert_true(bpf_hook_is_intact(&h, &w->pins));
	set(&h, w, w->ours); /* changes nothing */
	assert_true(runs(w, w->ours));
	set(&h, w, w->newer);
	assert_true(runs(w, w->newer));
	assert_false(runs(w, w->ours));
	assert_true(bpf_hook_is_intact(&h, &w->pins));
	bpf_hook_clear(&h, &w->pins);
	assert_false(runs(w, w->newer));
	assert_int_equal(count_tcx(w), 0);
	assert_int_equal(count_pins(w), 0);
	bpf_hook_clear(&h, &w->pins); /* gone is gone */
}

/* A daemon dies and another one begins: the same link, or filter, stays. */
static void test_adopt(struct world *w)
{
	struct bpf_hook old = new_hook(w), h = new_hook(w);
	uint32_t id = 0;

	set(&old, w, w->ours);
	if (old.link_fd >= 0)
		id = id_of_pinned_link(w);
	bpf_hook_close(&old);
	assert_int_equal(old.link_fd, -1);
	assert_true(runs(w, w->ours));
	set(&h, w, w->newer);
	if (id)
		assert_int_equal(id_of_pinned_link(w), id);
	assert_true(runs(w, w->newer));
	assert_false(runs(w, w->ours));
	assert_true(count_tcx(w) <= 1);
	bpf_hook_clear(&h, &w->pins);
	assert_false(runs(w, w->newer));
}

/* Nothing is pinned: it ends with its process. */
static void test_without_pins(struct world *w)
{
	struct bpf_hook h = new_hook(w);

	w->pins.dir[0] = '\0';
	set(&h, w, w->ours);
	assert_true(bpf_hook_is_intact(&h, &w->pins));
	assert_true(runs(w, w->ours));
	bpf_hook_clear(&h, &w->pins);
	assert_false(runs(w, w->ours));
	assert_int_equal(count_tcx(w), 0);
}

static void test_other_programs(struct world *w)
{
	struct bpf_hook h = new_hook(w);
	int links[2] = { -1, -1 };
	bool is_tcx = w->how == BPF_HOOK_BEST && has_tcx(w);

	if (is_tcx)
		links[0] = add_link(w, w->before);
	else
		add_filter(w, w->before, 10);
	set(&h, w, w->ours);
	if (is_tcx)
		links[1] = add_link(w, w->behind);
	else
		add_filter(w, w->behind, 100);
	assert_true(runs(w, w->before));
	assert_true(runs(w, w->behind));
	set(&h, w, w->newer);
	assert_true(runs(w, w->newer));
	assert_true(runs(w, w->before));
	assert_true(runs(w, w->behind));
	bpf_hook_clear(&h, &w->pins);
	bpf_hook_sweep(w->ifindex);
	assert_false(runs(w, w->newer));
	assert_true(runs(w, w->before));
	assert_true(runs(w, w->behind));
	for (int i = 0; i < 2; i++)
		if (links[i] >= 0)
			close(links[i]);
}

/* --- in front of all others ---------------------------------------------- */

static void set_first(struct bpf_hook *h, const struct world *w, int program)
{
	struct err e = { .code = 0 };

	if (bpf_hook_set(h, &w->pins, program, BPF_HOOK_FIRST, &e) < 0)
		fail_msg("%s", e.text);
}

/* Programs at tcx, in the order in which they run. */
static void expect_order(const struct world *w, const int *programs,
			 uint32_t count)
{
	uint32_t ids[8] = { 0 };
	LIBBPF_OPTS(bpf_prog_query_opts, o, .prog_ids = ids, .prog_cnt = 8);

	assert_int_equal(
		bpf_prog_query_opts(w->ifindex, TCX_INGRESS + w->way, &o), 0);
	assert_int_equal(o.prog_cnt, count);
	for (uint32_t i = 0; i < count; i++)
		assert_int_equal(ids[i], program_info(programs[i]).id);
}

/* Whoever was there before, and whoever comes later. */
static void test_first(struct world *w)
{
	struct bpf_hook h = new_hook(w), usual = new_hook(w);
	int links[2];

	if (!has_tcx(w))
		skip();
	links[0] = add_link(w, w->before);
	set(&usual, w, w->ours);
	w->pins.owner = BPF_PIN_CUT;
	set_first(&h, w, w->newer);
	expect_order(w, (int[]){ w->newer, w->before, w->ours }, 3);
	links[1] = add_link(w, w->behind);
	expect_order(w, (int[]){ w->newer, w->before, w->ours, w->behind }, 4);
	assert_true(bpf_hook_is_intact(&h, &w->pins));
	/* another program in its place */
	bpf_hook_close(&h);
	h = new_hook(w);
	close(links[0]);
	set_first(&h, w, w->before);
	expect_order(w, (int[]){ w->before, w->ours, w->behind }, 3);
	assert_true(runs(w, w->before));
	assert_true(runs(w, w->ours));
	/* taken away, it comes back to its place */
	assert_int_equal(bpf_link_detach(h.link_fd), 0);
	assert_false(bpf_hook_is_intact(&h, &w->pins));
	set_first(&h, w, w->newer);
	expect_order(w, (int[]){ w->newer, w->ours, w->behind }, 3);
	bpf_hook_clear(&h, &w->pins);
	expect_order(w, (int[]){ w->ours, w->behind }, 2);
	close(links[1]);
}

/* Filters of clsact run behind tcx. */
static void test_clsact_behind_us(struct world *w)
{
	struct bpf_hook h = new_hook(w);

	set(&h, w, w->ours);
	add_filter(w, w->behind, 100);
	assert_true(runs(w, w->behind));
	assert_true(runs(w, w->ours));
	bpf_hook_clear(&h, &w->pins);
	assert_true(runs(w, w->behind));
}

/* --- when somebody else has a hand in it --------------------------------- */

/* Noticed, and put right by the next set. */
static void expect_repaired(struct world *w, struct bpf_hook *h)
{
	assert_false(bpf_hook_is_intact(h, &w->pins));
	set(h, w, w->ours);
	assert_true(bpf_hook_is_intact(h, &w->pins));
	assert_true(runs(w, w->ours));
	bpf_hook_clear(h, &w->pins);
	assert_false(runs(w, w->ours));
	assert_int_equal(count_pins(w), 0);
}

static void test_detached(struct world *w)
{
	struct bpf_hook h = new_hook(w);
	int fd;

	if (!has_tcx(w))
		skip();
	set(&h, w, w->ours);
	fd = get_pinned(w);
	assert_int_equal(bpf_link_detach(fd), 0);
	close(fd);
	assert_false(runs(w, w->ours));
	expect_repaired(w, &h);
}

static void test_link_updated(struct world *w)
{
	struct bpf_hook h = new_hook(w);
	int fd;

	if (!has_tcx(w))
		skip();
	set(&h, w, w->ours);
	fd = get_pinned(w);
	assert_int_equal(bpf_link_update(fd, w->behind, NULL), 0);
	close(fd);
	expect_repaired(w, &h);
}

/* Unnoticed, the next death would be a gap. */
static void test_pin_removed(struct world *w)
{
	struct bpf_hook h = new_hook(w);
	char name[NAME_MAX] = "";

	if (!has_tcx(w))
		skip();
	set(&h, w, w->ours);
	bpf_pins_each(&w->pins, copy_name, name);
	bpf_pin_drop(&w->pins, name);
	assert_true(runs(w, w->ours));
	assert_false(bpf_hook_is_intact(&h, &w->pins));
	set(&h, w, w->ours);
	assert_true(bpf_hook_is_intact(&h, &w->pins));
	bpf_hook_close(&h);
	assert_true(runs(w, w->ours));
}

static void test_qdisc_deleted(struct world *w)
{
	struct bpf_hook h = new_hook(w);

	set(&h, w, w->ours);
	sh("tc qdisc del dev tun0 clsact");
	assert_false(runs(w, w->ours));
	expect_repaired(w, &h);
}

/* In our place, by its very handle. */
static void test_filter_replaced(struct world *w)
{
	struct bpf_hook h = new_hook(w), other = new_hook(w);

	set(&h, w, w->ours);
	set(&other, w, w->behind);
	expect_repaired(w, &h);
}

/* What a killed daemon left is found by its handle; others' filters stay. */
static void test_sweep(struct world *w)
{
	struct bpf_hook h = new_hook(w);

	add_filter(w, w->before, 10);
	set(&h, w, w->ours);
	bpf_hook_close(&h);
	assert_true(runs(w, w->ours));
	bpf_hook_sweep(w->ifindex);
	assert_false(runs(w, w->ours));
	assert_true(runs(w, w->before));
	bpf_hook_sweep(w->ifindex);
}

/* --- interfaces that go -------------------------------------------------- */

static void test_no_interface(struct world *w)
{
	struct bpf_hook h = new_hook(w);
	struct err e = { .code = 0 };

	h.ifindex = GONE;
	assert_int_equal(bpf_hook_set(&h, &w->pins, w->ours, w->how, &e),
			 -ENODEV);
	assert_string_equal(e.text, "interface 4711 has gone");
	assert_int_equal(h.link_fd, -1);
	assert_false(h.is_attached);
	assert_int_equal(count_pins(w), 0);
	bpf_hook_clear(&h, &w->pins);
	bpf_hook_sweep(GONE);
}

static void test_interface_goes(struct world *w)
{
	struct bpf_hook h = new_hook(w);
	struct err e = { .code = 0 };

	set(&h, w, w->ours);
	sh("ip link del tun0");
	assert_false(bpf_hook_is_intact(&h, &w->pins));
	assert_int_equal(bpf_hook_set(&h, &w->pins, w->newer, w->how, &e),
			 -ENODEV);
	bpf_hook_clear(&h, &w->pins);
	assert_int_equal(count_pins(w), 0);
}

/* Its index may come again: what is pinned for it is not of this one. */
static void test_index_comes_again(struct world *w)
{
	struct bpf_hook old, h;
	int other;

	sh("ip link add veth0 index 4711 type veth peer name veth1");
	w->ifindex = GONE;
	old = new_hook(w);
	set(&old, w, w->ours);
	bpf_hook_close(&old);
	sh("ip link del veth0 &&"
	   "ip link add veth0 index 4711 type veth peer name veth1");
	h = new_hook(w);
	set(&h, w, w->newer);
	assert_true(bpf_hook_is_intact(&h, &w->pins));
	other = h.link_fd;
	assert_int_equal(count_tcx(w), other >= 0);
	assert_int_equal(count_pins(w), other >= 0);
	bpf_hook_clear(&h, &w->pins);
	assert_int_equal(count_tcx(w), 0);
	assert_int_equal(count_pins(w), 0);
}

/* --- all ----------------------------------------------------------------- */

enum { BY_TCX = 1, BY_CLSACT = 2, BY_ANY = 3 };

static const struct hook_case {
	const char *name;
	void (*test)(struct world *w);
	unsigned by; /* which ways of attaching it is about */
} cases[] = {
	{ "set, replaced, cleared", test_set_and_replace, BY_ANY },
	{ "adopted after a death", test_adopt, BY_ANY },
	{ "nothing is pinned", test_without_pins, BY_ANY },
	{ "others before and behind go on", test_other_programs, BY_ANY },
	{ "in front of all others", test_first, BY_TCX },
	{ "clsact behind it goes on", test_clsact_behind_us, BY_ANY },
	{ "no such interface", test_no_interface, BY_ANY },
	{ "the interface goes", test_interface_goes, BY_ANY },
	{ "its index comes again", test_index_comes_again, BY_ANY },
	{ "the link is detached", test_detached, BY_TCX },
	{ "the link gets another program", test_link_updated, BY_TCX },
	{ "the pin is removed", test_pin_removed, BY_TCX },
	{ "the qdisc is deleted", test_qdisc_deleted, BY_CLSACT },
	{ "the filter is replaced", test_filter_replaced, BY_CLSACT },
	{ "filters are swept", test_sweep, BY_CLSACT },
};
enum { CASES = sizeof(cases) / sizeof(cases[0]) };

struct variant {
	const struct hook_case *of;
	struct world world;
	char name[80];
};

static void test_variant(void **state)
{
	struct variant *v = *state;

	begin(&v->world);
	v->of->test(&v->world);
	end(&v->world);
}

static void make_variant(size_t i, struct variant *out)
{
	static const char *const hows[] = { "best", "clsact" };
	static const char *const ways[] = { "in", "out" };

	*out = (struct variant){ .of = &cases[i / 4],
				 .world.how = i / 2 % 2,
				 .world.way = i % 2 };
	(void)snprintf(out->name, sizeof(out->name), "%s (%s, %s)",
		       out->of->name, hows[i / 2 % 2], ways[i % 2]);
}

int main(void)
{
	static struct variant variants[4 * CASES];
	struct CMUnitTest tests[4 * CASES];
	size_t count = 0;

	for (size_t i = 0; i < 4 * CASES; i++) {
		struct variant *v = &variants[count];

		if (!(cases[i / 4].by & 1u << i / 2 % 2))
			continue;
		make_variant(i, v);
		tests[count++] = (struct CMUnitTest){
			.name = v->name,
			.test_func = test_variant,
			.initial_state = v,
		};
	}
	return _cmocka_run_group_tests("hook", tests, count, NULL, NULL);
}
