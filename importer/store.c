#include "store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "entry.h"
#include "scope.h"
#include "str.h"
#include "tree.h"

struct store {
        struct image_store *images; /* the read side */
        int fd;
        int sha256_fd;
        int refs_fd;
        int tmp_fd;
};

static int fail(const char *what, int err, struct fault *why)
{
        enum fault_kind kind = err == ENOSPC || err == EDQUOT || err == ENOMEM || err == EMFILE
                                       ? FAULT_RESOURCE_EXHAUSTED
                                       : FAULT_INTERNAL;

        return fault_set(why, kind, err, "the image store cannot %s: %s", what, strerror(err));
}

/* ---- directories ---- */

static int make_parents(const char *path)
{
        char prefix[ENTRY_PATH_BYTES];

        if (str_copy(prefix, sizeof prefix, path) < 0)
                return -ENAMETOOLONG;
        for (char *at = strchr(prefix + 1, '/'); at != NULL; at = strchr(at + 1, '/')) {
                *at = '\0';
                if (mkdir(prefix, 0755) < 0 && errno != EEXIST)
                        return -errno;
                *at = '/';
        }
        return 0;
}

static int open_ours(int at_fd, const char *path, int *ret_fd)
{
        AUTO(auto_close) int fd = -1;
        struct stat about;

        if (mkdirat(at_fd, path, 0711) < 0 && errno != EEXIST)
                return -errno;
        fd = openat(at_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &about) < 0)
                return -errno;
        if (about.st_uid != geteuid() || (about.st_mode & 022) != 0)
                return -EPERM;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

static int open_all(struct store *store, const char *directory)
{
        int r = make_parents(directory);

        if (r == 0)
                r = open_ours(AT_FDCWD, directory, &store->fd);
        if (r == 0)
                r = open_ours(store->fd, "sha256", &store->sha256_fd);
        if (r == 0)
                r = open_ours(store->fd, "refs", &store->refs_fd);
        return r == 0 ? open_ours(store->fd, "tmp", &store->tmp_fd) : r;
}

/* One writer at a time, for the moment of a change. */
static int lock(const struct store *store, int *ret_fd, struct fault *why)
{
        AUTO(auto_close) int fd = openat(store->fd, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

        if (fd < 0 || flock(fd, LOCK_EX) < 0)
                return fail("be locked", errno, why);
        *ret_fd = TAKE_FD(fd);
        return 0;
}

/* ---- clearing ---- */

/* Calls visit with each name; the directory may lose entries meanwhile. */
static int each(int directory_fd, void (*visit)(struct store *store, const char *name), struct store *store)
{
        int fd = openat(directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *directory = fd < 0 ? NULL : fdopendir(fd);
        const struct dirent *entry;

        if (directory == NULL) {
                int err = errno;

                if (fd >= 0)
                        close(fd);
                return -err;
        }
        while ((entry = readdir(directory)) != NULL)
                if (entry->d_name[0] != '.')
                        visit(store, entry->d_name);
        (void)closedir(directory);
        return 0;
}

/* The lock of a living import, or a hold, shuts this out. */
static bool lock_alone(int directory_fd, const char *name, int *ret_fd)
{
        int fd = openat(directory_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

        if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0) {
                *ret_fd = fd;
                return true;
        }
        if (fd >= 0)
                close(fd);
        return false;
}

static void clear_temporary(struct store *store, const char *name)
{
        AUTO(auto_close) int fd = -1;

        if (lock_alone(store->tmp_fd, name, &fd))
                (void)tree_remove(store->tmp_fd, name);
}

static bool has_name(struct store *store, const char *id)
{
        AUTO(auto_free) struct stored_reference *list = NULL;
        size_t count = 0;

        if (image_store_list(store->images, &list, &count, NULL) < 0)
                return true; /* when in doubt it stays */
        for (size_t i = 0; i < count; i++)
                if (str_equal(list[i].id, id))
                        return true;
        return false;
}

/* The name goes first and at once, into tmp/, where whoever comes next finishes what we may not. */
static int discard_image(struct store *store, const char *hex)
{
        AUTO(auto_close) int fd = -1;
        char name[96];

        if (!lock_alone(store->sha256_fd, hex, &fd))
                return errno == ENOENT ? 0 : -EBUSY;
        (void)snprintf(name, sizeof name, "gone-%s", hex);
        (void)tree_remove(store->tmp_fd, name);
        if (renameat(store->sha256_fd, hex, store->tmp_fd, name) < 0)
                return -errno;
        return tree_remove(store->tmp_fd, name);
}

static void clear_unnamed(struct store *store, const char *name)
{
        char id[IMAGE_ID_BYTES + 8];

        (void)snprintf(id, sizeof id, "sha256:%.70s", name);
        if (image_is_id(id) && !has_name(store, id))
                (void)discard_image(store, name);
}

static int clear(struct store *store, struct fault *why)
{
        AUTO(auto_close) int lock_fd = -1;
        int r = lock(store, &lock_fd, why);

        if (r == 0 &&
            (each(store->tmp_fd, clear_temporary, store) < 0 || each(store->sha256_fd, clear_unnamed, store) < 0))
                r = fail("be cleared", errno, why);
        return r;
}

/* ---- the store ---- */

int store_open(struct store **ret_store, const char *directory, struct fault *why)
{
        AUTO(auto_store) struct store *store = calloc(1, sizeof *store);
        int r;

        if (store == NULL)
                return fail("be opened", ENOMEM, why);
        store->fd = store->sha256_fd = store->refs_fd = store->tmp_fd = -1;
        r = image_store_new(&store->images, directory);
        if (r == 0)
                r = open_all(store, directory);
        if (r == -EPERM)
                return fault_set(why, FAULT_INTERNAL, EPERM,
                                 "the image store %s must belong to carreld's user and be writable by nobody else",
                                 directory);
        if (r < 0)
                return fail("be opened", -r, why);
        r = clear(store, why);
        if (r == 0)
                *ret_store = TAKE(store);
        return r;
}

struct store *store_close(struct store *store)
{
        if (store == NULL)
                return NULL;
        auto_close(&store->tmp_fd);
        auto_close(&store->refs_fd);
        auto_close(&store->sha256_fd);
        auto_close(&store->fd);
        store->images = image_store_free(store->images);
        free(store);
        return NULL;
}

void auto_store(struct store **store)
{
        *store = store_close(*store);
}

/* ---- importing ---- */

int store_begin(struct store *store, struct workplace *ret_workplace, struct fault *why)
{
        AUTO(auto_close) int lock_fd = -1;
        struct workplace workplace = { .fd = -1 };
        uint64_t random;
        int r = lock(store, &lock_fd, why); /* so that nobody clears it before it is locked itself */

        if (r < 0)
                return r;
        if (getrandom(&random, sizeof random, 0) != sizeof random)
                return fail("make a directory", errno, why);
        (void)snprintf(workplace.name, sizeof workplace.name, "import-%016llx", (unsigned long long)random);
        if (mkdirat(store->tmp_fd, workplace.name, 0711) < 0 ||
            !lock_alone(store->tmp_fd, workplace.name, &workplace.fd))
                return fail("make a directory", errno, why);
        *ret_workplace = workplace;
        return 0;
}

void store_abandon(struct store *store, struct workplace *workplace)
{
        if (workplace->fd < 0)
                return;
        (void)tree_remove(store->tmp_fd, workplace->name);
        close(TAKE_FD(workplace->fd));
}

static int write_file(int directory_fd, const char *name, const char *text)
{
        AUTO(auto_close) int fd = openat(directory_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        ssize_t length = (ssize_t)strlen(text);
        ssize_t n = fd < 0 ? -1 : write(fd, text, (size_t)length);

        if (n < 0)
                return -errno;
        return n == length ? 0 : -ENOSPC;
}

/* Two of the workplace's entries become a directory of their own, so that the image appears by one rename. */
static int dress(const struct workplace *workplace, const struct stored_image *image)
{
        AUTO(auto_free) char *json = stored_image_encode(image);
        AUTO(auto_close) int fd = -1;
        int r;

        if (json == NULL)
                return -ENOMEM;
        if (mkdirat(workplace->fd, "image", 0711) < 0)
                return -errno;
        fd = openat(workplace->fd, "image", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 || renameat(workplace->fd, "rootfs", fd, "rootfs") < 0)
                return -errno;
        r = write_file(fd, "image.json", json);
        /* The whole file system, once: a tree has too many files for one by one. */
        return r == 0 && syncfs(fd) < 0 ? -errno : r;
}

static int publish(struct store *store, const struct workplace *workplace, const char *hex, bool *ret_is_new)
{
        *ret_is_new = renameat(workplace->fd, "image", store->sha256_fd, hex) == 0;
        if (!*ret_is_new && errno != EEXIST && errno != ENOTEMPTY)
                return -errno;
        return fsync(store->sha256_fd) < 0 ? -errno : 0;
}

static int name_image(struct store *store, const struct workplace *workplace, const char *id, const char *reference)
{
        char file[IMAGE_FILE_BYTES];
        char line[IMAGE_ID_BYTES + 2];
        int r;

        image_reference_to_file(reference, file);
        (void)snprintf(line, sizeof line, "%s\n", id);
        r = write_file(workplace->fd, "reference", line);
        if (r == 0 && (syncfs(workplace->fd) < 0 || renameat(workplace->fd, "reference", store->refs_fd, file) < 0 ||
                       fsync(store->refs_fd) < 0))
                r = -errno;
        return r;
}

int store_commit(struct store *store, struct workplace *workplace, const struct stored_image *image,
                 const char *reference, bool *ret_is_new, struct fault *why)
{
        AUTO(auto_close) int lock_fd = -1;
        int r = dress(workplace, image);

        if (r < 0)
                return fail("write the image", -r, why);
        r = lock(store, &lock_fd, why);
        if (r < 0)
                return r;
        r = publish(store, workplace, image->id + strlen("sha256:"), ret_is_new);
        if (r == 0)
                r = name_image(store, workplace, image->id, reference);
        /* What the name meant before may be nobody's now. */
        (void)each(store->sha256_fd, clear_unnamed, store);
        store_abandon(store, workplace);
        return r < 0 ? fail("take the image", -r, why) : 0;
}

/* ---- removing ---- */

/* A name of an image that is not there any more can be removed too. */
static int find_id(struct store *store, const struct stored_reference *list, size_t count, const char *reference,
                   char ret_id[static IMAGE_ID_BYTES], struct fault *why)
{
        AUTO(stored_image_release) struct stored_image image = STORED_IMAGE_NONE;
        int r;

        for (size_t i = 0; i < count; i++) {
                if (str_equal(list[i].reference, reference)) {
                        memcpy(ret_id, list[i].id, IMAGE_ID_BYTES);
                        return 0;
                }
        }
        r = image_store_find(store->images, reference, &image, why);
        if (r == 0)
                memcpy(ret_id, image.id, IMAGE_ID_BYTES);
        return r;
}

/* Whether anybody but the store's names uses the image. */
static bool is_held(struct store *store, const char *id)
{
        AUTO(auto_close) int fd = -1;

        return !lock_alone(store->sha256_fd, id + strlen("sha256:"), &fd) && errno == EWOULDBLOCK;
}

static int unname(struct store *store, const struct stored_reference *list, size_t count, const char *id,
                  const char *reference)
{
        for (size_t i = 0; i < count; i++) {
                char file[IMAGE_FILE_BYTES];

                if (!str_equal(list[i].id, id) ||
                    (!str_equal(reference, id) && !str_equal(reference, list[i].reference)))
                        continue;
                image_reference_to_file(list[i].reference, file);
                if (unlinkat(store->refs_fd, file, 0) < 0)
                        return -errno;
        }
        return fsync(store->refs_fd) < 0 ? -errno : 0;
}

static size_t count_names(const struct stored_reference *list, size_t count, const char *id)
{
        size_t names = 0;

        for (size_t i = 0; i < count; i++)
                names += str_equal(list[i].id, id);
        return names;
}

int store_remove(struct store *store, const char *text, struct fault *why)
{
        AUTO(auto_free) struct stored_reference *list = NULL;
        AUTO(auto_close) int lock_fd = -1;
        char reference[IMAGE_REFERENCE_BYTES];
        char id[IMAGE_ID_BYTES];
        size_t count = 0;
        bool is_last;
        int r = image_reference_resolve(text, reference, why);

        if (r == 0)
                r = lock(store, &lock_fd, why);
        if (r == 0)
                r = image_store_list(store->images, &list, &count, why);
        if (r == 0)
                r = find_id(store, list, count, reference, id, why);
        if (r < 0)
                return r;
        is_last = image_is_id(reference) || count_names(list, count, id) <= 1;
        if (is_last && is_held(store, id))
                return fault_set(why, FAULT_IMAGE_IN_USE, EBUSY,
                                 "a carrel uses image %s: remove its carrels first (\"carrel ls\")", reference);
        r = unname(store, list, count, id, reference);
        if (r == 0 && is_last)
                r = discard_image(store, id + strlen("sha256:"));
        return r < 0 ? fail("remove the image", -r, why) : 0;
}
