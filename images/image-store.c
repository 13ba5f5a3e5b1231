#include "image-store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "scope.h"
#include "str.h"

enum { JSON_MAX_BYTES = 1 << 20 };

static const char PINS[] = "pins";

struct image_store {
        char *directory;
};

int image_store_new(struct image_store **ret_store, const char *directory)
{
        struct image_store *store = calloc(1, sizeof *store);

        if (store == NULL)
                return -ENOMEM;
        store->directory = strdup(directory);
        if (store->directory == NULL)
                return free(store), -ENOMEM;
        *ret_store = store;
        return 0;
}

struct image_store *image_store_free(struct image_store *store)
{
        if (store != NULL)
                free(store->directory);
        free(store);
        return NULL;
}

const char *image_store_directory(const struct image_store *store)
{
        return store->directory;
}

/* ---- small files ---- */

static char *join(const char *format, const char *directory, const char *name)
{
        struct buffer path = { 0 };

        (void)buffer_text(&path, directory);
        (void)buffer_text(&path, format);
        (void)buffer_text(&path, name);
        return buffer_take(&path);
}

/* Reads a small regular file. -EBADMSG when it is another kind of file, or longer than max. */
static int read_small(int directory_fd, const char *name, size_t max, struct buffer *ret_bytes)
{
        AUTO(auto_close) int fd = openat(directory_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        char piece[4096];
        struct stat about;
        ssize_t n;

        if (fd < 0 && (errno == ELOOP || errno == ENXIO)) /* a link, a socket */
                return -EBADMSG;
        if (fd < 0 || fstat(fd, &about) < 0)
                return -errno;
        if (!S_ISREG(about.st_mode) || (size_t)about.st_size > max)
                return -EBADMSG;
        while ((n = read(fd, piece, sizeof piece)) > 0)
                if (ret_bytes->length + (size_t)n > max || buffer_append(ret_bytes, piece, (size_t)n) < 0)
                        return ret_bytes->has_failed ? -ENOMEM : -EBADMSG;
        return n < 0 ? -errno : 0;
}

/* refs/<reference> holds the id and a newline. */
static int read_reference(int directory_fd, const char *file, char ret_id[static IMAGE_ID_BYTES])
{
        struct buffer text = { 0 };
        int r = read_small(directory_fd, file, IMAGE_ID_BYTES, &text);

        if (r == 0 && text.length > 0 && text.data[text.length - 1] == '\n')
                text.data[text.length - 1] = '\0';
        if (r == 0 && (text.length == 0 || !image_is_id(text.data)))
                r = -EBADMSG;
        if (r == 0)
                memcpy(ret_id, text.data, strlen(text.data) + 1);
        buffer_free(&text);
        return r;
}

/* ---- find ---- */

static int missing(const char *reference, struct fault *why)
{
        return fault_set(why, FAULT_IMAGE_MISSING, ENOENT,
                         "there is no image %s: make it with \"carrel image build\", or import one with "
                         "\"carrel image import FILE %s\"",
                         reference, image_is_id(reference) ? "NAME" : reference);
}

static int broken(const char *reference, int r, struct fault *why)
{
        if (r == -ENOMEM || r == -EMFILE || r == -ENFILE)
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, -r, "cannot open image %s: %s", reference,
                                 strerror(-r));
        return fault_set(why, FAULT_INTERNAL, -r, "image %s in the store cannot be used (%s): remove and import it",
                         reference, strerror(-r));
}

int image_store_read_name(const struct image_store *store, const char *reference, char ret_id[static IMAGE_ID_BYTES])
{
        AUTO(auto_free) char *directory = join("/refs", store->directory, "");
        AUTO(auto_close) int fd = -1;
        char file[IMAGE_FILE_BYTES];

        if (directory == NULL)
                return -ENOMEM;
        image_reference_to_file(reference, file);
        fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
        return fd < 0 ? -errno : read_reference(fd, file, ret_id);
}

static int resolve(const struct image_store *store, const char *text, struct stored_image *image, struct fault *why)
{
        int r = image_reference_resolve(text, image->reference, why);

        if (r < 0)
                return r;
        if (image_is_id(image->reference))
                return str_copy(image->id, sizeof image->id, image->reference);
        r = image_store_read_name(store, image->reference, image->id);
        if (r == -ENOENT)
                return missing(image->reference, why);
        return r < 0 ? broken(image->reference, r, why) : 0;
}

/* The shared lock comes first, so that the files read after it stay: a remover needs the exclusive lock, and renames
 * the directory only with it. */
static int hold(const char *path, int *ret_fd)
{
        AUTO(auto_close) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        struct stat held;
        struct stat named;

        if (fd < 0 || fstat(fd, &held) < 0)
                return -errno;
        if (flock(fd, LOCK_SH | LOCK_NB) < 0)
                return errno == EWOULDBLOCK ? -ENOENT : -errno; /* being removed */
        if (lstat(path, &named) < 0)
                return -errno;
        if (named.st_ino != held.st_ino || named.st_dev != held.st_dev)
                return -ENOENT;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

static int load(const struct image_store *store, struct stored_image *image)
{
        AUTO(auto_free) char *path = join("/sha256/", store->directory, image->id + strlen("sha256:"));
        struct buffer json = { 0 };
        int fd = -1;
        int r = path == NULL ? -ENOMEM : hold(path, &fd);

        if (r == 0)
                r = read_small(fd, "image.json", JSON_MAX_BYTES, &json);
        if (r == 0)
                r = stored_image_decode(json.data == NULL ? "" : json.data, json.length, image);
        buffer_free(&json);
        image->hold_fd = fd;
        if (r < 0)
                return r;
        image->rootfs = join("/rootfs", path, "");
        return image->rootfs == NULL ? -ENOMEM : 0;
}

int image_store_find(struct image_store *store, const char *reference, struct stored_image *ret_image,
                     struct fault *why)
{
        AUTO(stored_image_release) struct stored_image image = STORED_IMAGE_NONE;
        int r = resolve(store, reference, &image, why);

        if (r < 0)
                return r;
        r = load(store, &image);
        if (r == -ENOENT)
                return missing(image.reference, why);
        if (r < 0)
                return broken(image.reference, r, why);
        *ret_image = image;
        image = STORED_IMAGE_NONE;
        return 0;
}

/* ---- pins ---- */

int image_store_pin(int hold_fd, const char *holder, const char *path)
{
        AUTO(auto_close) int fd = -1;

        if (mkdirat(hold_fd, PINS, 0711) < 0 && errno != EEXIST)
                return -errno;
        fd = openat(hold_fd, PINS, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        return symlinkat(path, fd, holder) < 0 && errno != EEXIST ? -errno : 0;
}

void image_store_unpin(int hold_fd, const char *holder)
{
        AUTO(auto_close) int fd = openat(hold_fd, PINS, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        if (fd >= 0)
                (void)unlinkat(fd, holder, 0);
}

bool image_store_is_pinned(int image_fd)
{
        AUTO(auto_close) int fd = openat(image_fd, PINS, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        DIR *directory = fd < 0 ? NULL : fdopendir(fd);
        const struct dirent *entry;
        bool is_pinned = false;

        if (directory == NULL)
                return errno != ENOENT;
        (void)TAKE_FD(fd); /* the directory owns it now */
        while ((errno = 0, entry = readdir(directory)) != NULL) {
                if (entry->d_name[0] == '.')
                        continue;
                if (faccessat(dirfd(directory), entry->d_name, F_OK, 0) == 0 || (errno != ENOENT && errno != ENOTDIR))
                        is_pinned = true;
                else
                        (void)unlinkat(dirfd(directory), entry->d_name, 0);
        }
        is_pinned = is_pinned || errno != 0;
        (void)closedir(directory);
        return is_pinned;
}

/* ---- list ---- */

static int compare(const void *a, const void *b)
{
        return strcmp(((const struct stored_reference *)a)->reference, ((const struct stored_reference *)b)->reference);
}

static void auto_closedir(DIR **directory)
{
        if (*directory != NULL)
                (void)closedir(*directory);
}

/* Files with other names are ignored. A reference that cannot be read is skipped and reported in *ret_unread: a caller
 * that removes images without a name must know all names. */
static int read_references(DIR *directory, struct buffer *list, int *ret_unread)
{
        const struct dirent *entry;

        while (errno = 0, (entry = readdir(directory)) != NULL) {
                struct stored_reference found = { 0 };
                int r;

                if (!image_reference_from_file(entry->d_name, found.reference))
                        continue;
                r = read_reference(dirfd(directory), entry->d_name, found.id);
                if (r < 0 && r != -ENOENT)
                        *ret_unread = r;
                if (r == 0 && buffer_append(list, &found, sizeof found) < 0)
                        return -ENOMEM;
        }
        if (errno != 0)
                *ret_unread = -errno;
        return 0;
}

static int list_names(const struct image_store *store, struct stored_reference **ret_list, size_t *ret_count,
                      int *ret_unread, struct fault *why)
{
        AUTO(auto_free) char *path = join("/refs", store->directory, "");
        AUTO(auto_closedir) DIR *directory = path == NULL ? NULL : opendir(path);
        struct buffer list = { 0 };

        if (path == NULL)
                return broken("list", -ENOMEM, why);
        if (directory == NULL && errno != ENOENT)
                return fault_set(why, FAULT_INTERNAL, errno, "cannot read %s: %s", path, strerror(errno));
        if (directory == NULL)
                *ret_unread = -ENOENT;
        if (directory != NULL && read_references(directory, &list, ret_unread) < 0) {
                buffer_free(&list);
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, ENOMEM, "out of memory");
        }
        *ret_count = list.length / sizeof **ret_list;
        *ret_list = (struct stored_reference *)(void *)list.data;
        if (list.data != NULL)
                qsort(*ret_list, *ret_count, sizeof **ret_list, compare);
        return 0;
}

int image_store_list(struct image_store *store, struct stored_reference **ret_list, size_t *ret_count,
                     struct fault *why)
{
        int unread = 0;

        return list_names(store, ret_list, ret_count, &unread, why);
}

int image_store_list_whole(struct image_store *store, struct stored_reference **ret_list, size_t *ret_count,
                           struct fault *why)
{
        AUTO(auto_free) struct stored_reference *list = NULL;
        size_t count = 0;
        int unread = 0;
        int r = list_names(store, &list, &count, &unread, why);

        if (r < 0)
                return r;
        if (unread < 0)
                return fault_set(why, FAULT_INTERNAL, -unread, "a name in %s/refs cannot be read (%s)",
                                 store->directory, strerror(-unread));
        *ret_list = TAKE(list);
        *ret_count = count;
        return 0;
}
