/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bpf_pin_test.c - pins on a real bpffs, in a mount namespace.
 */
#include "engine/bpf_pin.h"

#include "engine/bpffs_test.h"

#include <bpf/bpf.h>

static int make_map(void)
{
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "pinned", 4, 4, 1, NULL);

	if (fd < 0) {
		print_message("skipped: cannot make a BPF map: %s\n",
			      strerror(errno));
		skip();
	}
	return fd;
}

static uint32_t id_of_map(int fd)
{
	struct bpf_map_info info = { .id = 0 };
	uint32_t len = sizeof(info);

	assert_int_equal(bpf_obj_get_info_by_fd(fd, &info, &len), 0);
	return info.id;
}

static void begin(const char *at)
{
	netns_begin();
	bpffs_begin();
	if (at)
		bpffs_mount(at);
}

static void open_pins(struct bpf_pins *pins)
{
	struct err e = { .code = 0 };

	*pins = (struct bpf_pins){ .dir = "" };
	if (bpf_pins_open(pins, &e) < 0)
		fail_msg("%s", e.text);
}

/* --- the directory ------------------------------------------------------- */

static void test_none(void **state)
{
	struct bpf_pins pins = { .dir = "" };
	struct err e = { .code = 0 };

	(void)state; /* unused */
	begin(NULL);
	assert_int_equal(bpf_pins_open(&pins, &e), -ENODEV);
	assert_non_null(strstr(e.text, "no bpffs is mounted"));
	assert_non_null(strstr(e.text, "mount -t bpf bpf /sys/fs/bpf"));
	assert_int_equal(bpf_pins_find(&pins), -ENODEV);
	assert_string_equal(pins.dir, "");
}

static void test_elsewhere(void **state)
{
	struct bpf_pins pins;

	(void)state; /* unused */
	begin(BPFFS_ELSEWHERE);
	open_pins(&pins);
	assert_ptr_equal(strstr(pins.dir, BPFFS_ELSEWHERE "/waylay/"),
			 pins.dir);
	bpffs_mount(BPFFS_USUAL);
	open_pins(&pins);
	assert_ptr_equal(strstr(pins.dir, BPFFS_USUAL "/waylay/"), pins.dir);
}

/* In whichever order they were mounted. */
static void test_usual_place_wins(void **state)
{
	struct bpf_pins pins;

	(void)state; /* unused */
	begin(BPFFS_USUAL);
	bpffs_mount(BPFFS_ELSEWHERE);
	open_pins(&pins);
	assert_ptr_equal(strstr(pins.dir, BPFFS_USUAL "/waylay/"), pins.dir);
}

static void test_read_only(void **state)
{
	struct bpf_pins pins = { .dir = "" };
	struct err e;

	(void)state; /* unused */
	begin(BPFFS_USUAL);
	assert_int_equal(mount(NULL, BPFFS_USUAL, NULL,
			       MS_REMOUNT | MS_BIND | MS_RDONLY, NULL),
			 0);
	assert_int_equal(bpf_pins_open(&pins, &e), -ENODEV);
	assert_string_equal(pins.dir, "");
}

static void test_found_when_made(void **state)
{
	struct bpf_pins made, found = { .dir = "" };

	(void)state; /* unused */
	begin(BPFFS_USUAL);
	assert_int_equal(bpf_pins_find(&found), -ENOENT);
	assert_string_equal(found.dir, "");
	open_pins(&made);
	open_pins(&made); /* is there already */
	assert_int_equal(bpf_pins_find(&found), 0);
	assert_string_equal(found.dir, made.dir);
	netns_begin(); /* another one has a directory of its own */
	assert_int_equal(bpf_pins_find(&found), -ENOENT);
	assert_string_equal(found.dir, made.dir);
}

/* --- names --------------------------------------------------------------- */

static void expect_pinned(const struct bpf_pins *pins, const char *name,
			  int map)
{
	int fd = bpf_pin_get(pins, name);

	assert_true(fd >= 0);
	assert_int_equal(id_of_map(fd), id_of_map(map));
	close(fd);
}

static void test_names(void **state)
{
	struct bpf_pins pins;
	int one, other;
	struct err e;

	(void)state; /* unused */
	begin(BPFFS_USUAL);
	open_pins(&pins);
	one = make_map();
	other = make_map();
	assert_false(bpf_pin_has(&pins, "a"));
	assert_int_equal(bpf_pin_get(&pins, "a"), -ENOENT);
	assert_int_equal(bpf_pin_put(&pins, "a", one, &e), 0);
	assert_true(bpf_pin_has(&pins, "a"));
	expect_pinned(&pins, "a", one);
	assert_int_equal(bpf_pin_put(&pins, "a", other, &e), 0);
	expect_pinned(&pins, "a", other);
	bpf_pin_drop(&pins, "a");
	bpf_pin_drop(&pins, "a"); /* gone is gone */
	assert_false(bpf_pin_has(&pins, "a"));
	close(one);
	close(other);
}

static void test_cannot_be_pinned(void **state)
{
	struct bpf_pins pins;
	struct err e;

	(void)state; /* unused */
	begin(BPFFS_USUAL);
	open_pins(&pins);
	assert_true(bpf_pin_put(&pins, "a", 0, &e) < 0);
	assert_non_null(strstr(e.text, "cannot pin " BPFFS_USUAL "/waylay/"));
	assert_false(bpf_pin_has(&pins, "a"));
}

/* Nothing is pinned, and nobody minds. */
static void test_without_directory(void **state)
{
	struct bpf_pins pins = { .dir = "" };
	struct err e = { .code = 0 };
	int map;

	(void)state; /* unused */
	begin(BPFFS_USUAL);
	map = make_map();
	assert_int_equal(bpf_pin_put(&pins, "a", map, &e), 0);
	assert_int_equal(e.code, 0);
	assert_false(bpf_pin_has(&pins, "a"));
	assert_int_equal(bpf_pin_get(&pins, "a"), -ENOENT);
	bpf_pin_drop(&pins, "a");
	assert_int_equal(bpf_pins_remove(&pins, &e), 0);
	assert_int_equal(access("/a", F_OK), -1); /* not at the root either */
	close(map);
}

/* --- all of them --------------------------------------------------------- */

static void see(void *ctx, const char *name)
{
	unsigned *seen = ctx;

	assert_int_equal(strlen(name), 1);
	*seen |= 1u << (name[0] - 'a');
}

static void test_each(void **state)
{
	struct bpf_pins pins;
	unsigned seen = 0;
	struct err e;
	int map;

	(void)state; /* unused */
	begin(BPFFS_USUAL);
	open_pins(&pins);
	map = make_map();
	bpf_pins_each(&pins, see, &seen);
	assert_int_equal(seen, 0);
	assert_int_equal(bpf_pin_put(&pins, "a", map, &e), 0);
	assert_int_equal(bpf_pin_put(&pins, "c", map, &e), 0);
	bpf_pins_each(&pins, see, &seen);
	assert_int_equal(seen, 5);
	close(map);
}

static void test_remove(void **state)
{
	struct bpf_pins pins, other;
	char dir[BPF_PIN_PATH_MAX];
	struct err e;
	int map;

	(void)state; /* unused */
	begin(BPFFS_USUAL);
	open_pins(&other);
	netns_begin();
	open_pins(&pins);
	map = make_map();
	assert_int_equal(bpf_pin_put(&pins, "a", map, &e), 0);
	assert_int_equal(bpf_pin_put(&other, "b", map, &e), 0);
	memcpy(dir, pins.dir, sizeof(dir));
	assert_int_equal(bpf_pins_remove(&pins, &e), 0);
	assert_string_equal(pins.dir, "");
	assert_int_equal(access(dir, F_OK), -1);
	expect_pinned(&other, "b", map); /* another namespace's */
	assert_int_equal(bpf_pins_remove(&other, &e), 0);
	assert_int_equal(access(BPFFS_USUAL "/waylay", F_OK), -1);
	close(map);
}

/* What is not ours is in the way, and is said. */
static void test_remove_fails(void **state)
{
	struct bpf_pins pins;
	struct err e = { .code = 0 };
	char dir[BPF_PIN_PATH_MAX + 8];

	(void)state; /* unused */
	begin(BPFFS_USUAL);
	open_pins(&pins);
	(void)snprintf(dir, sizeof(dir), "%s/sub", pins.dir);
	assert_int_equal(mkdir(dir, 0700), 0);
	assert_int_equal(bpf_pins_remove(&pins, &e), -ENOTEMPTY);
	assert_non_null(strstr(e.text, pins.dir));
}

/* --- two owners ---------------------------------------------------------- */

/* Each sees and drops what is its own, in one directory. */
static void expect_other_stays(enum bpf_pin_owner owner,
			       enum bpf_pin_owner other)
{
	struct bpf_pins mine = { .dir = "" }, theirs = { .dir = "" };
	unsigned seen = 0;
	struct err e;
	int map;

	begin(BPFFS_USUAL);
	open_pins(&mine);
	open_pins(&theirs);
	mine.owner = owner;
	theirs.owner = other;
	assert_string_equal(mine.dir, theirs.dir);
	map = make_map();
	assert_int_equal(bpf_pin_put(&mine, "a", map, &e), 0);
	assert_false(bpf_pin_has(&theirs, "a"));
	assert_int_equal(bpf_pin_put(&theirs, "b", map, &e), 0);
	bpf_pins_each(&mine, see, &seen);
	assert_int_equal(seen, 1);
	assert_int_equal(bpf_pins_remove(&mine, &e), 0);
	assert_string_equal(mine.dir, "");
	assert_true(bpf_pin_has(&theirs, "b"));
	expect_pinned(&theirs, "b", map);
	assert_int_equal(bpf_pins_remove(&theirs, &e), 0);
	assert_int_equal(access(BPFFS_USUAL "/waylay", F_OK), -1);
	close(map);
}

static void test_owners(void **state)
{
	(void)state; /* unused */
	expect_other_stays(BPF_PIN_ENGINE, BPF_PIN_CUT);
	expect_other_stays(BPF_PIN_CUT, BPF_PIN_ENGINE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_elsewhere),
		cmocka_unit_test(test_usual_place_wins),
		cmocka_unit_test(test_read_only),
		cmocka_unit_test(test_found_when_made),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_cannot_be_pinned),
		cmocka_unit_test(test_without_directory),
		cmocka_unit_test(test_each),
		cmocka_unit_test(test_remove),
		cmocka_unit_test(test_owners),
		cmocka_unit_test(test_remove_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
