/* The pool on disk: the users' directories under attack, and the ledger after every kind of end. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ledger.h"
#include "rig.h"
#include "spare-dirs.h"
#include "userdir.h"

enum { UID = 2000, GID = 1001, STRANGER = 1002 };

static const struct pool_owner NOW = { UID, GID };

struct place {
        char directory[64];
        char users_dir[96];
        int fd;
};

static void place_open(struct place *place)
{
        struct fault why;

        rig_need_root();
        *place = (struct place){ .directory = "/run/carrel-unit-XXXXXX", .fd = -1 };
        assert_non_null(mkdtemp(place->directory));
        (void)snprintf(place->users_dir, sizeof place->users_dir, "%s/users", place->directory);
        if (userdir_open(place->users_dir, &place->fd, &why) < 0)
                fail_msg("%s", why.message);
}

static void place_close(struct place *place)
{
        close(place->fd);
        rig_remove_tree(place->directory);
}

/* A directory of root's with something in it was there before carreld, and stays as it is. */
static void test_what_is_roots_is_not_given_away(void **state)
{
        struct pool_owner owner;
        struct place place;
        struct stat status;
        struct fault why = { 0 };

        place_open(&place);
        assert_int_equal(mkdirat(place.fd, "ssh", 0755), 0);
        assert_int_equal(mkdirat(place.fd, "ssh/keys", 0700), 0);
        assert_true(userdir_prepare(place.fd, "ssh", &NOW, &owner, &why) < 0);
        assert_int_equal(why.err, ENOTEMPTY);
        assert_int_equal(fstatat(place.fd, "ssh", &status, AT_SYMLINK_NOFOLLOW), 0);
        assert_int_equal(status.st_uid, 0);
        assert_int_equal(status.st_mode & 07777, 0755);
        /* Its user's own may hold anything. */
        assert_int_equal(fchownat(place.fd, "ssh", UID, GID, 0), 0);
        assert_int_equal(userdir_prepare(place.fd, "ssh", &NOW, &owner, NULL), 0);
        place_close(&place);
}

static void test_directory_is_made(void **state)
{
        struct pool_owner owner;
        struct place place;
        struct stat status;

        place_open(&place);
        for (int again = 0; again < 2; again++) {
                assert_int_equal(userdir_prepare(place.fd, "alice", &NOW, &owner, NULL), 0);
                assert_int_equal(fstatat(place.fd, "alice", &status, AT_SYMLINK_NOFOLLOW), 0);
                assert_true(S_ISDIR(status.st_mode));
                assert_int_equal(status.st_mode & 07777, 0700);
                assert_int_equal(status.st_uid, UID);
                assert_int_equal(status.st_gid, GID);
        }
        /* Killed between mkdirat and fchown: it is root's. And a user who opened his own: it is closed again. */
        assert_int_equal(mkdirat(place.fd, "bob", 0755), 0);
        assert_int_equal(userdir_prepare(place.fd, "bob", &NOW, &owner, NULL), 0);
        assert_int_equal(fchmodat(place.fd, "bob", 0777, 0), 0);
        assert_int_equal(userdir_prepare(place.fd, "bob", &NOW, &owner, NULL), 0);
        assert_int_equal(fstatat(place.fd, "bob", &status, AT_SYMLINK_NOFOLLOW), 0);
        assert_int_equal(status.st_mode & 07777, 0700);
        assert_int_equal(status.st_uid, UID);
        place_close(&place);
}

/* One user's files have taken the last inode: a new user gets one of the directories made in advance, and after the
 * last of these an error that names the full disk. */
static void test_disk_that_others_have_filled(void **state)
{
        struct pool_owner owner;
        struct place place;
        struct stat status;
        struct fault why = { 0 };
        char name[32];
        int fd;

        place_open(&place);
        close(place.fd);
        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount("tmpfs", place.users_dir, "tmpfs", 0, "nr_inodes=60,mode=711") < 0)
                fail_msg("tmpfs: %s", strerror(errno));
        place.fd = open(place.users_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        spare_dirs_fill(place.fd);
        assert_int_equal(userdir_prepare(place.fd, "ada", &NOW, &owner, &why), 0);
        do {
                static int number;

                (void)snprintf(name, sizeof name, "ada/%d", number++);
                fd = openat(place.fd, name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        } while (fd >= 0 && close(fd) == 0);
        assert_int_equal(errno, ENOSPC);
        for (int i = 0; i < SPARE_DIRS; i++) {
                (void)snprintf(name, sizeof name, "user-%d", i);
                assert_int_equal(userdir_prepare(place.fd, name, &NOW, &owner, &why), 0);
                assert_int_equal(fstatat(place.fd, name, &status, AT_SYMLINK_NOFOLLOW), 0);
                assert_int_equal(status.st_uid, UID);
                assert_int_equal(status.st_mode & 07777, 0700);
        }
        assert_int_equal(userdir_prepare(place.fd, "user-0", &NOW, &owner, &why), 0);
        assert_int_equal(userdir_prepare(place.fd, "late", &NOW, &owner, &why), -ENOSPC);
        assert_int_equal(why.kind, FAULT_STORAGE_FULL);
        /* There is room again, and for the spare ones, too. */
        assert_int_equal(unlinkat(place.fd, "ada/0", 0), 0);
        assert_int_equal(unlinkat(place.fd, "ada/1", 0), 0);
        assert_int_equal(userdir_prepare(place.fd, "late", &NOW, &owner, &why), 0);
        assert_int_equal(faccessat(place.fd, ".carrel-spare-00", F_OK, 0), 0);
        assert_int_equal(umount2(place.users_dir, MNT_DETACH), 0);
        place_close(&place);
}

/* Whose a directory is says who its user's files stay: the account of now, or the one from before there was a choice.
 */
static void test_owners(void **state)
{
        static const struct {
                uint32_t uid, gid;
                int err; /* 0: accepted */
                struct pool_owner owner;
        } CASES[] = {
                { UID, GID, 0, { UID, GID } },
                { UID, 77, EPERM, { 0 } }, /* a group of the host's, maybe */
                { UID, OWNER_BEFORE, 0, { UID, OWNER_BEFORE } },
                { OWNER_BEFORE, GID, 0, { OWNER_BEFORE, GID } },
                { OWNER_BEFORE, OWNER_BEFORE, 0, { OWNER_BEFORE, OWNER_BEFORE } },
                { OWNER_BEFORE, 77, EPERM, { 0 } },
                { 0, 0, ENOTEMPTY, { 0 } },
                { UID, 0, ENOTEMPTY, { 0 } },
                { 0, GID, ENOTEMPTY, { 0 } },
                { STRANGER, 0, EPERM, { 0 } },
                { STRANGER, GID, EPERM, { 0 } },
                { STRANGER, STRANGER, EPERM, { 0 } },
        };

        for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
                struct pool_owner owner = { 5, 5 };
                struct pool_owner seen = { 5, 5 };
                struct fault why = { 0 };
                struct place place;
                struct stat status;
                int r;

                place_open(&place);
                assert_int_equal(userdir_owner(place.fd, "eve", &NOW, &seen, NULL), 0);
                assert_int_equal(seen.uid, UID);
                assert_int_equal(mkdirat(place.fd, "eve", 0700), 0);
                assert_int_equal(mkdirat(place.fd, "eve/d", 0700), 0);
                assert_int_equal(fchownat(place.fd, "eve", CASES[i].uid, CASES[i].gid, 0), 0);
                r = userdir_prepare(place.fd, "eve", &NOW, &owner, &why);
                assert_int_equal(r, -CASES[i].err);
                assert_int_equal(owner.uid, r < 0 ? 5 : CASES[i].owner.uid);
                assert_int_equal(owner.gid, r < 0 ? 5 : CASES[i].owner.gid);
                if (CASES[i].err != ENOTEMPTY) {
                        /* A running carrel of a foreign group is adopted. */
                        bool is_adopted = r == 0 || CASES[i].uid != STRANGER;

                        assert_int_equal(userdir_owner(place.fd, "eve", &NOW, &seen, NULL), is_adopted ? 0 : -EPERM);
                        assert_int_equal(seen.uid, is_adopted ? CASES[i].uid : UID);
                        assert_int_equal(seen.gid, is_adopted ? CASES[i].gid : GID);
                }
                if (r == -EPERM && strstr(why.message, "chown -R") == NULL)
                        fail_msg("names no way out: %s", why.message);
                assert_int_equal(fstatat(place.fd, "eve", &status, 0), 0);
                assert_int_equal(status.st_uid, CASES[i].uid); /* nothing is given away */
                assert_int_equal(status.st_gid, CASES[i].gid);
                place_close(&place);
        }
}

/* Nothing below is ever touched: a user's links lead nowhere. */
static void test_never_recursive(void **state)
{
        struct pool_owner owner;
        struct place place;
        struct stat status;
        int fd;

        place_open(&place);
        assert_int_equal(userdir_prepare(place.fd, "alice", &NOW, &owner, NULL), 0);
        fd = openat(place.fd, "alice/file", O_CREAT | O_WRONLY | O_CLOEXEC, 0640);
        assert_true(fd >= 0);
        close(fd);
        assert_int_equal(userdir_prepare(place.fd, "alice", &NOW, &owner, NULL), 0);
        assert_int_equal(fstatat(place.fd, "alice/file", &status, 0), 0);
        assert_int_equal(status.st_uid, 0);
        assert_int_equal(status.st_mode & 07777, 0640);
        place_close(&place);
}

static void plant_symlink(const struct place *place)
{
        assert_int_equal(symlinkat(place->directory, place->fd, "mallory"), 0);
}

static void plant_relative_symlink(const struct place *place)
{
        assert_int_equal(mkdirat(place->fd, "victim", 0700), 0);
        assert_int_equal(symlinkat("victim", place->fd, "mallory"), 0);
}

static void plant_file(const struct place *place)
{
        int fd = openat(place->fd, "mallory", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
        close(fd);
}

static void plant_fifo(const struct place *place)
{
        assert_int_equal(mkfifoat(place->fd, "mallory", 0600), 0);
}

static void plant_strangers_directory(const struct place *place)
{
        assert_int_equal(mkdirat(place->fd, "mallory", 0700), 0);
        assert_int_equal(fchownat(place->fd, "mallory", STRANGER, STRANGER, 0), 0);
}

/* Its user would otherwise get an empty directory in the place of his files. */
static void test_an_image_that_cannot_be_looked_at(void **state)
{
        struct pool_owner owner;
        struct place place;
        struct fault why = { 0 };

        place_open(&place);
        assert_int_equal(mkdirat(place.fd, ".disks", 0700), 0);
        assert_int_equal(mkdirat(place.fd, ".disks/eve.ext4", 0700), 0);
        assert_true(userdir_has_image(place.fd, "eve", false));
        assert_true(userdir_owner(place.fd, "eve", &NOW, &owner, &why) < 0);
        assert_string_equal(why.message, "cannot look for the image of eve: Invalid argument");
        assert_false(userdir_has_image(place.fd, "bob", false));
        assert_int_equal(userdir_owner(place.fd, "bob", &NOW, &owner, NULL), 0);
        place_close(&place);
}

static void test_attacks(void **state)
{
        void (*const ATTACKS[])(const struct place *place) = { plant_symlink, plant_relative_symlink, plant_file,
                                                               plant_fifo, plant_strangers_directory };

        for (size_t i = 0; i < sizeof ATTACKS / sizeof *ATTACKS; i++) {
                struct pool_owner owner;
                struct place place;
                struct fault why = { 0 };
                struct stat before;
                struct stat after;

                place_open(&place);
                ATTACKS[i](&place);
                assert_int_equal(fstatat(place.fd, "mallory", &before, AT_SYMLINK_NOFOLLOW), 0);
                assert_true(userdir_prepare(place.fd, "mallory", &NOW, &owner, &why) < 0);
                assert_int_not_equal(why.kind, FAULT_NONE);
                assert_int_equal(fstatat(place.fd, "mallory", &after, AT_SYMLINK_NOFOLLOW), 0);
                assert_int_equal(before.st_uid, after.st_uid);
                assert_int_equal(before.st_mode, after.st_mode);
                assert_int_equal(stat(place.directory, &after), 0);
                assert_int_equal(after.st_uid, 0); /* where the link led */
                assert_int_equal(userdir_prepare(place.fd, "alice", &NOW, &owner, NULL), 0);
                place_close(&place);
        }
}

/* The ancestors: each attack on one is refused at start; the untouched path is the control. */
static void test_ancestors(void **state)
{
        struct place place;
        char path[160];
        int fd;

        place_open(&place);
        assert_int_equal(chmod(place.directory, 0755), 0);
        assert_int_equal(userdir_open(place.users_dir, &fd, NULL), 0);
        close(fd);
        assert_int_equal(chmod(place.directory, 0775), 0);
        assert_true(userdir_open(place.users_dir, &fd, NULL) < 0);
        assert_int_equal(chmod(place.directory, 01777), 0);
        assert_true(userdir_open(place.users_dir, &fd, NULL) < 0);
        assert_int_equal(chmod(place.directory, 0755), 0);
        assert_int_equal(chown(place.directory, STRANGER, 0), 0);
        assert_true(userdir_open(place.users_dir, &fd, NULL) < 0);
        assert_int_equal(chown(place.directory, 0, 0), 0);
        assert_int_equal(chmod(place.users_dir, 0757), 0);
        assert_true(userdir_open(place.users_dir, &fd, NULL) < 0);
        assert_int_equal(chmod(place.users_dir, 0711), 0);
        (void)snprintf(path, sizeof path, "%s/link", place.directory);
        assert_int_equal(symlink("users", path), 0);
        assert_true(userdir_open(path, &fd, NULL) < 0);
        (void)snprintf(path, sizeof path, "%s/absent/users", place.directory);
        assert_true(userdir_open(path, &fd, NULL) < 0); /* only the last component is made */
        (void)snprintf(path, sizeof path, "%s/users/../users", place.directory);
        assert_true(userdir_open(path, &fd, NULL) < 0);
        (void)snprintf(path, sizeof path, "%s//./users/", place.directory);
        assert_int_equal(userdir_open(path, &fd, NULL), 0);
        close(fd);
        place_close(&place);
}

/* ---- the ledger ---- */

#define BOOT "11111111-2222-3333-4444-555555555555"
#define OTHER_BOOT "99999999-2222-3333-4444-555555555555"

static struct ledger *open_ledger(const struct place *place, const char *boot_id)
{
        struct ledger *ledger = NULL;
        struct fault why = { 0 };

        if (ledger_open(&ledger, place->directory, "unit", boot_id, &why) < 0)
                fail_msg("%s", why.message);
        return ledger;
}

static void test_ledger_recalls(void **state)
{
        struct place place;
        struct ledger *ledger;
        struct ledger *second = NULL;
        struct ledger_entry entry;
        int slot;

        place_open(&place);
        ledger = open_ledger(&place, BOOT);
        assert_true(ledger_open(&second, place.directory, "unit", BOOT, NULL) < 0); /* one daemon a pool */
        assert_null(second);
        slot = ledger_claim(ledger, "alice", 3);
        assert_true(slot >= 0);
        ledger_set_times(ledger, slot, 5000, 9000);
        slot = ledger_claim(ledger, "bob", 8);
        ledger_release(ledger, slot);
        ledger_set_times(ledger, -1, 1, 1); /* without a slot: ignored */
        ledger_close(ledger);

        ledger = open_ledger(&place, BOOT);
        assert_true(ledger_recall(ledger, "alice", 6000, &entry));
        assert_int_equal(entry.generation, 3);
        assert_int_equal(entry.last_use_ms, 5000);
        assert_int_equal(entry.lease_until_ms, 9000);
        assert_true(ledger_recall(ledger, "alice", 4000, &entry));
        assert_int_equal(entry.last_use_ms, 4000); /* the future is not believed */
        assert_false(ledger_recall(ledger, "bob", 6000, &entry));
        assert_int_equal(ledger_generation_floor(ledger), 8);
        slot = ledger_claim(ledger, "alice", 4);
        assert_false(ledger_recall(ledger, "alice", 6000, &entry)); /* he is here now */
        ledger_close(ledger);

        ledger = open_ledger(&place, BOOT); /* killed again before it was used: the times stayed */
        assert_true(ledger_recall(ledger, "alice", 6000, &entry));
        assert_int_equal(entry.last_use_ms, 5000);
        assert_int_equal(entry.generation, 4);
        ledger_forget_recalled(ledger);
        assert_false(ledger_recall(ledger, "alice", 6000, &entry));
        ledger_close(ledger);
        place_close(&place);
}

static void test_ledger_of_another_boot(void **state)
{
        struct place place;
        struct ledger *ledger;
        struct ledger_entry entry;

        place_open(&place);
        ledger = open_ledger(&place, BOOT);
        assert_true(ledger_claim(ledger, "alice", 3) >= 0);
        ledger_close(ledger);
        ledger = open_ledger(&place, OTHER_BOOT);
        assert_false(ledger_recall(ledger, "alice", 6000, &entry));
        assert_int_equal(ledger_generation_floor(ledger), 0);
        ledger_close(ledger);
        ledger = open_ledger(&place, NULL); /* the kernel's */
        ledger_close(ledger);
        place_close(&place);
}

/* Every byte of the file changed, one at a time: never a crash, and alice's generation is right or missing. */
static void test_ledger_torn(void **state)
{
        enum { HEADER_AND_FIRST_SLOTS = 128 + 2 * 128 };
        struct place place;
        struct ledger *ledger;
        struct ledger_entry entry;
        char path[128];
        unsigned survived = 0;
        int fd;

        place_open(&place);
        (void)snprintf(path, sizeof path, "%s/unit.ledger", place.directory);
        for (off_t at = 0; at < HEADER_AND_FIRST_SLOTS; at++) {
                unsigned char byte;

                (void)unlink(path);
                ledger = open_ledger(&place, BOOT);
                ledger_set_times(ledger, ledger_claim(ledger, "alice", 3), 5000, 0);
                ledger_close(ledger);
                fd = open(path, O_RDWR | O_CLOEXEC);
                assert_int_equal(pread(fd, &byte, 1, at), 1);
                byte ^= 0x55;
                assert_int_equal(pwrite(fd, &byte, 1, at), 1);
                close(fd);
                ledger = open_ledger(&place, BOOT);
                if (ledger_recall(ledger, "alice", 6000, &entry)) {
                        survived++;
                        assert_int_equal(entry.generation, 3);
                        assert_true(entry.last_use_ms >= 0 && entry.last_use_ms <= 6000);
                        assert_true(entry.lease_until_ms >= 0 && entry.lease_until_ms <= 6000 + 86400000);
                }
                assert_true(ledger_claim(ledger, "bob", 1) >= 0);
                ledger_close(ledger);
        }
        assert_true(survived > 0 && survived < HEADER_AND_FIRST_SLOTS);
        fd = open(path, O_RDWR | O_CLOEXEC);
        assert_int_equal(ftruncate(fd, 100), 0); /* cut short */
        close(fd);
        ledger = open_ledger(&place, BOOT);
        assert_true(ledger_claim(ledger, "alice", 1) >= 0);
        ledger_close(ledger);
        place_close(&place);
}

static void test_ledger_grows(void **state)
{
        enum { N = 1000 };
        struct place place;
        struct ledger *ledger;
        struct ledger_entry entry;
        char user[16];

        place_open(&place);
        ledger = open_ledger(&place, BOOT);
        for (int i = 0; i < N; i++) {
                (void)snprintf(user, sizeof user, "u%d", i);
                ledger_set_times(ledger, ledger_claim(ledger, user, (uint64_t)i + 1), i, 0);
        }
        ledger_close(ledger);
        ledger = open_ledger(&place, BOOT);
        for (int i = 0; i < N; i++) {
                (void)snprintf(user, sizeof user, "u%d", i);
                assert_true(ledger_recall(ledger, user, N, &entry));
                assert_int_equal(entry.generation, i + 1);
                assert_int_equal(entry.last_use_ms, i);
        }
        ledger_close(ledger);
        place_close(&place);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_directory_is_made),
                cmocka_unit_test(test_what_is_roots_is_not_given_away),
                cmocka_unit_test(test_disk_that_others_have_filled),
                cmocka_unit_test(test_never_recursive),
                cmocka_unit_test(test_owners),
                cmocka_unit_test(test_an_image_that_cannot_be_looked_at),
                cmocka_unit_test(test_attacks),
                cmocka_unit_test(test_ancestors),
                cmocka_unit_test(test_ledger_recalls),
                cmocka_unit_test(test_ledger_of_another_boot),
                cmocka_unit_test(test_ledger_torn),
                cmocka_unit_test(test_ledger_grows),
        };

        return cmocka_run_group_tests_name("pool_disk", tests, NULL, NULL);
}
