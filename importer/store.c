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
#include "tree-remove.h"

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

/* The lock of a writer, held only during a change. */
static int lock(const struct store *store, int *ret_fd, struct fault *why)
{
        AUTO(auto_close) int fd = openat(store->fd, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

        if (fd < 0 || flock(fd, LOCK_EX) < 0)
                return fail("be locked", errno, why);
        *ret_fd = TAKE_FD(fd);
        return 0;
}

/* ---- clear ---- */

static size_t count_names(const struct stored_reference *list, size_t count, const char *id)
{
        size_t names = 0;

        for (size_t i = 0; i < count; i++)
                names += str_equal(list[i].id, id);
        return names;
}

/* A pass of clearing: its directories, the names in use, and the first failure. */
struct clearing {
        struct store *store;
        const struct stored_reference *list;
        size_t count;
        int error;
};

/* Calls visit with each name. The directory may lose entries meanwhile. */
static int each(int directory_fd, void (*visit)(struct clearing *clearing, const char *name), struct clearing *clearing)
{
        int fd = openat(directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *directory = fd < 0 ? NULL : fdopendir(fd);
        const struct dirent *entry;

        if (directory == NULL) {
                int r = errno;

                if (fd >= 0)
                        close(fd);
                return -r;
        }
        while ((entry = readdir(directory)) != NULL)
                if (entry->d_name[0] != '.')
                        visit(clearing, entry->d_name);
        (void)closedir(directory);
        return 0;
}

/* Takes the exclusive lock. -EWOULDBLOCK: a running import or a hold has it. */
static int lock_alone(int directory_fd, const char *name, int *ret_fd)
{
        AUTO(auto_close) int fd = openat(directory_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

        if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
                return -errno;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

/* The same for an image; pins also count as use. */
static int lock_image(const struct store *store, const char *hex, int *ret_fd)
{
        AUTO(auto_close) int fd = -1;
        int r = lock_alone(store->sha256_fd, hex, &fd);

        if (r < 0)
                return r;
        if (image_store_is_pinned(fd))
                return -EWOULDBLOCK;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

/* Records a failure, unless the item is in use or already gone. */
static void note(struct clearing *clearing, int r)
{
        if (r < 0 && r != -EWOULDBLOCK && r != -ENOENT && clearing->error == 0)
                clearing->error = r;
}

static void clear_temporary(struct clearing *clearing, const char *name)
{
        AUTO(auto_close) int fd = -1;
        int r = lock_alone(clearing->store->tmp_fd, name, &fd);

        /* A link or a socket cannot be opened and locked: no import made it. */
        if (r == 0 || r == -ELOOP || r == -ENXIO)
                r = tree_remove(clearing->store->tmp_fd, name);
        note(clearing, r);
}

/* First renames the image into tmp/, where the next run completes a removal that is interrupted. The caller has the
 * image's lock. */
static int discard_image(struct store *store, const char *hex)
{
        char name[64];
        uint64_t random;

        if (getrandom(&random, sizeof random, 0) != sizeof random)
                return -errno;
        (void)snprintf(name, sizeof name, "gone-%016llx", (unsigned long long)random);
        if (renameat(store->sha256_fd, hex, store->tmp_fd, name) < 0)
                return -errno;
        return tree_remove(store->tmp_fd, name);
}

static void clear_unnamed(struct clearing *clearing, const char *name)
{
        AUTO(auto_close) int fd = -1;
        char id[IMAGE_ID_BYTES + 8];
        int r;

        (void)snprintf(id, sizeof id, "sha256:%.70s", name);
        if (!image_is_id(id) || count_names(clearing->list, clearing->count, id) > 0)
                return;
        r = lock_image(clearing->store, name, &fd);
        note(clearing, r < 0 ? r : discard_image(clearing->store, name));
}

/* Removes images without a name, only if every name could be read: in doubt an image stays. The caller has the store's
 * lock. */
static int clear_all_unnamed(struct store *store, struct fault *why)
{
        AUTO(auto_free) struct stored_reference *list = NULL;
        struct clearing clearing = { .store = store };
        int r = image_store_list_whole(store->images, &list, &clearing.count, why);

        if (r < 0)
                return r;
        clearing.list = list;
        r = each(store->sha256_fd, clear_unnamed, &clearing);
        r = r < 0 ? r : clearing.error;
        return r < 0 ? fail("remove an image that has no name", -r, why) : 0;
}

/* Clears pins of containers that a reboot has ended. */
static void clear_pins(struct clearing *clearing, const char *name)
{
        AUTO(auto_close)
        int fd = openat(clearing->store->sha256_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        if (fd >= 0)
                (void)image_store_is_pinned(fd);
}

int store_clear(struct store *store, struct fault *why)
{
        AUTO(auto_close) int lock_fd = -1;
        struct clearing clearing = { .store = store };
        int r = lock(store, &lock_fd, why);

        if (r < 0)
                return r;
        (void)each(store->sha256_fd, clear_pins, &clearing);
        r = each(store->tmp_fd, clear_temporary, &clearing);
        r = r < 0 ? r : clearing.error;
        if (r < 0)
                (void)fail("clear its tmp/", -r, why);
        return clear_all_unnamed(store, r < 0 ? NULL : why) < 0 || r < 0 ? -EIO : 0;
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
        *ret_store = TAKE(store);
        return 0;
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

/* ---- import ---- */

int store_begin(struct store *store, struct workplace *ret_workplace, struct fault *why)
{
        AUTO(auto_close) int lock_fd = -1;
        struct workplace workplace = { .fd = -1 };
        uint64_t random;
        int r = lock(store, &lock_fd, why); /* so that no other run clears it before it is locked itself */

        if (r < 0)
                return r;
        if (getrandom(&random, sizeof random, 0) != sizeof random)
                return fail("make a directory", errno, why);
        (void)snprintf(workplace.name, sizeof workplace.name, "import-%016llx", (unsigned long long)random);
        r = mkdirat(store->tmp_fd, workplace.name, 0711) < 0 ? -errno
                                                             : lock_alone(store->tmp_fd, workplace.name, &workplace.fd);
        if (r < 0)
                return fail("make a directory", -r, why);
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

/* Moves two entries of the workplace into a directory of their own, so that the image appears by one rename. */
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
        /* The whole file system once: a tree has too many files to sync each. */
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
        /* The previous image of the name may have no name now. If clearing fails, the next run does it. */
        if (r == 0)
                (void)clear_all_unnamed(store, NULL);
        store_abandon(store, workplace);
        return r < 0 ? fail("store the image", -r, why) : 0;
}

/* ---- remove ---- */

/* A name can be removed even if its image is gone. */
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

/* A damaged name can be removed, so that the store can be cleared again. */
static int remove_broken_name(struct store *store, const char *reference)
{
        char file[IMAGE_FILE_BYTES];

        image_reference_to_file(reference, file);
        if (tree_remove(store->refs_fd, file) < 0 || fsync(store->refs_fd) < 0)
                return -errno;
        return 0;
}

static bool is_broken_name(const struct store *store, const char *reference)
{
        char id[IMAGE_ID_BYTES];

        return !image_is_id(reference) && image_store_read_name(store->images, reference, id) == -EBADMSG;
}

/* The image's lock is held from before its last name is removed until the image is gone, so that no container begins to
 * use it. An image that is gone has no lock. */
static int remove_name(struct store *store, const struct stored_reference *list, size_t count, const char *id,
                       const char *reference)
{
        AUTO(auto_close) int fd = -1;
        const char *hex = id + strlen("sha256:");
        bool is_last = image_is_id(reference) || count_names(list, count, id) <= 1;
        int r = is_last ? lock_image(store, hex, &fd) : 0;

        if (r < 0 && r != -ENOENT)
                return r;
        r = unname(store, list, count, id, reference);
        return r == 0 && fd >= 0 ? discard_image(store, hex) : r;
}

int store_remove(struct store *store, const char *text, struct fault *why)
{
        AUTO(auto_free) struct stored_reference *list = NULL;
        AUTO(auto_close) int lock_fd = -1;
        char reference[IMAGE_REFERENCE_BYTES];
        char id[IMAGE_ID_BYTES];
        size_t count = 0;
        int r = image_reference_resolve(text, reference, why);

        if (r == 0)
                r = lock(store, &lock_fd, why);
        if (r < 0)
                return r;
        if (is_broken_name(store, reference)) {
                r = remove_broken_name(store, reference);
                return r < 0 ? fail("remove the name", -r, why) : 0;
        }
        r = image_store_list_whole(store->images, &list, &count, why);
        if (r == 0)
                r = find_id(store, list, count, reference, id, why);
        if (r < 0)
                return r;
        r = remove_name(store, list, count, id, reference);
        if (r == -EWOULDBLOCK)
                return fault_set(why, FAULT_IMAGE_IN_USE, EBUSY,
                                 "a carrel uses image %s: remove its carrels first (\"carrel ls\")", reference);
        return r < 0 ? fail("remove the image", -r, why) : 0;
}
