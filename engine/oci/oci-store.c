#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "oci-engine.h"
#include "scope.h"

enum { PATH_BYTES = 512, DEPTH_MAX = 8 };

int oci_store_path(const struct oci *oci, const char *id, const char *file, char *ret_path, size_t size)
{
        int n = snprintf(ret_path, size, "%s/%s/%s", oci->state_dir, id, file);

        return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

int oci_store_lock(struct oci *oci)
{
        int r;

        while ((r = flock(oci->state_fd, LOCK_EX)) < 0 && errno == EINTR)
                ;
        return r < 0 ? -errno : 0;
}

void oci_store_unlock(struct oci *oci)
{
        (void)flock(oci->state_fd, LOCK_UN);
}

/* ---- files ---- */

static int open_container(struct oci *oci, const char *id)
{
        int fd = openat(oci->state_fd, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        return fd < 0 ? -errno : fd;
}

int oci_store_make(struct oci *oci, const char *id)
{
        return mkdirat(oci->state_fd, id, 0700) < 0 ? -errno : 0;
}

static int write_all(int fd, const char *text)
{
        size_t left = strlen(text);

        while (left > 0) {
                ssize_t n = write(fd, text, left);

                if (n < 0 && errno != EINTR)
                        return -errno;
                text += n > 0 ? n : 0;
                left -= n > 0 ? (size_t)n : 0;
        }
        return fsync(fd) < 0 ? -errno : 0;
}

int oci_store_write(struct oci *oci, const char *id, const char *file, const char *text)
{
        AUTO(auto_close) int directory = open_container(oci, id);
        AUTO(auto_close) int fd = -1;
        char temporary[64];
        int r;

        if (directory < 0)
                return directory;
        (void)snprintf(temporary, sizeof temporary, ".%s.%d", file, getpid());
        fd = openat(directory, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
        if (fd < 0)
                return -errno;
        r = fchmod(fd, 0644) < 0 ? -errno : write_all(fd, text); /* for any umask: it is read inside as resolv.conf */
        if (r == 0 && renameat(directory, temporary, directory, file) < 0)
                r = -errno;
        if (r == 0)
                return fsync(directory) < 0 ? -errno : 0;
        (void)unlinkat(directory, temporary, 0);
        return r;
}

static int read_file(int directory, const char *name, char **ret_text, size_t *ret_length)
{
        AUTO(auto_close) int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        AUTO(auto_free) char *text = NULL;
        struct stat status;
        ssize_t n;

        if (fd < 0 || fstat(fd, &status) < 0)
                return -errno;
        if (!S_ISREG(status.st_mode) || status.st_size > OCI_RECORD_MAX)
                return -EBADMSG;
        text = malloc((size_t)status.st_size + 1);
        if (text == NULL)
                return -ENOMEM;
        n = read(fd, text, (size_t)status.st_size);
        if (n != status.st_size)
                return n < 0 ? -errno : -EBADMSG;
        text[n] = '\0';
        *ret_text = TAKE(text);
        *ret_length = (size_t)n;
        return 0;
}

/* Takes fd. It never leaves the tree: it removes links and does not follow them, and only root writes here. */
static int clear_directory(int fd, const char *keep, int depth)
{
        DIR *directory = fdopendir(fd);
        const struct dirent *entry;
        int r = 0;

        if (directory == NULL) {
                r = -errno;
                close(fd);
                return r;
        }
        while ((entry = readdir(directory)) != NULL && r == 0) {
                const char *name = entry->d_name;
                int child;

                if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || (keep != NULL && strcmp(name, keep) == 0) ||
                    unlinkat(dirfd(directory), name, 0) == 0)
                        continue;
                if (errno == ENOENT)
                        continue;
                child = openat(dirfd(directory), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
                r = child < 0 || depth == 0 ? -errno : clear_directory(child, NULL, depth - 1);
                if (child >= 0 && depth == 0)
                        close(child);
                if (r == 0 && unlinkat(dirfd(directory), name, AT_REMOVEDIR) < 0)
                        r = -errno;
        }
        closedir(directory);
        return r;
}

static int remove_tree(int at, const char *name, const char *last)
{
        int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        int r;

        if (fd < 0)
                return errno == ENOENT ? 0 : -errno;
        r = clear_directory(fd, last, DEPTH_MAX);
        if (r == 0 && last != NULL) {
                fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
                r = fd < 0 ? -errno : clear_directory(fd, NULL, 0);
        }
        if (r == 0 && unlinkat(at, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
                r = -errno;
        return r;
}

int oci_store_remove(struct oci *oci, const char *id)
{
        int runtime = openat(oci->state_fd, OCI_RUNTIME_ROOT, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        int r = 0;

        if (runtime >= 0) {
                r = remove_tree(runtime, id, NULL);
                close(runtime);
        }
        return r < 0 ? r : remove_tree(oci->state_fd, id, OCI_RECORD);
}

/* ---- records ---- */

int oci_store_blame(int r, struct fault *why)
{
        enum fault_kind kind = r == -ENOSPC || r == -ENOMEM || r == -EMFILE || r == -ENFILE || r == -EDQUOT
                                       ? FAULT_RESOURCE_EXHAUSTED
                                       : FAULT_INTERNAL;

        return fault_set(why, kind, -r, "cannot read or store the record of the container: %s", strerrordesc_np(-r));
}

int oci_store_add(struct oci *oci, struct oci_container *container)
{
        HASH_ADD(by_id, oci->ids, info.id, strlen(container->info.id), container);
        if (container->by_id.tbl == NULL)
                return -ENOMEM;
        list_append(&oci->containers, &container->node);
        return 0;
}

static struct oci_container *find_by_id(struct oci *oci, const char *id)
{
        struct oci_container *container;

        HASH_FIND(by_id, oci->ids, id, strlen(id), container);
        return container;
}

struct oci_container *oci_store_find(struct oci *oci, const char *id_or_name)
{
        struct oci_container *container = find_by_id(oci, id_or_name);
        char id[OCI_ID_BYTES];

        if (container != NULL || oci_names_read(oci, id_or_name, id) < 0)
                return container;
        container = find_by_id(oci, id);
        return container != NULL && strcmp(container->info.name, id_or_name) == 0 ? container : NULL;
}

int oci_store_pin_image(const struct oci *oci, const struct oci_container *container, int hold_fd)
{
        char path[PATH_BYTES];
        int r = oci_store_path(oci, container->info.id, "", path, sizeof path);

        return r == 0 ? image_store_pin(hold_fd, container->info.id, path) : r;
}

/* Holds the image while the container may run: a held image is not removed. An image that is gone already is missed
 * only by a container that has its files open. */
static void hold_image(struct oci_container *container)
{
        AUTO(stored_image_release) struct stored_image image = STORED_IMAGE_NONE;

        if (image_store_find(container->oci->images, container->image_id, &image, NULL) == 0)
                container->image_hold_fd = TAKE_FD(image.hold_fd);
        if (container->image_hold_fd >= 0)
                (void)oci_store_pin_image(container->oci, container,
                                          container->image_hold_fd); /* usually it is there */
}

/* directory: the container's. -ENOENT: it has no record; -EBADMSG: a damaged one; or another negative errno. */
static int read_record(struct oci *oci, int directory, const char *id, struct oci_container **ret_container)
{
        AUTO(auto_free) char *text = NULL;
        struct oci_container *container;
        size_t length = 0;
        int r = read_file(directory, OCI_RECORD, &text, &length);

        if (r < 0)
                return r;
        container = oci_container_new(oci);
        r = container != NULL ? oci_container_decode(container, text, length) : -ENOMEM;
        if (r == 0 && strcmp(container->info.id, id) != 0)
                r = -EBADMSG;
        if (r < 0)
                oci_container_free(container);
        else
                *ret_container = container;
        return r;
}

int oci_store_has_name(struct oci *oci, const char *id, const char *name)
{
        AUTO(auto_close) int directory = open_container(oci, id);
        struct oci_container *container;
        int r = directory < 0 ? directory : read_record(oci, directory, id, &container);
        bool has_name;

        if (r < 0)
                return r == -ENOENT || r == -EBADMSG ? 0 : r;
        has_name = strcmp(container->info.name, name) == 0;
        oci_container_free(container);
        return has_name;
}

/* Takes the container. The records of previous versions have no links yet. */
static int adopt(struct oci *oci, struct oci_container *container)
{
        int r = oci_names_take(oci, container->info.name, container->info.id);

        if (r == 0 || r == -EEXIST) /* of two records with one name, the first keeps it */
                r = oci_store_add(oci, container);
        if (r < 0) {
                oci_container_free(container);
                return r;
        }
        (void)oci_life_attach(container);
        hold_image(container);
        return 0;
}

/* A damaged record is ignored, and kept: the place of its cgroup is lost with it. A record that cannot be read now is
 * an error, because it may hold a name and an id range. */
static int load(struct oci *oci, const char *id)
{
        AUTO(auto_close) int directory = open_container(oci, id);
        struct oci_container *container;
        int r = directory < 0 ? directory : read_record(oci, directory, id, &container);

        if (r == 0)
                return adopt(oci, container);
        if (r == -ENOENT && directory >= 0) /* killed before the record was written: there is nothing else */
                (void)oci_store_remove(oci, id);
        return r == -ENOMEM || r == -EMFILE || r == -ENFILE || r == -EIO ? r : 0;
}

/* Finds what another process has made or removed since the last look. */
static void refresh(struct oci_container *container)
{
        struct stat status;

        if (container->n_calls > 0)
                return;
        if (fstatat(container->oci->state_fd, container->info.id, &status, AT_SYMLINK_NOFOLLOW) < 0 &&
            errno == ENOENT) {
                oci_life_tell(container, ENGINE_CONTAINER_REMOVED);
                if (container->n_calls == 0) /* a callback may have started a call */
                        oci_container_free(container);
                return;
        }
        if (container->info.status == CONTAINER_CREATED)
                (void)oci_life_attach(container);
}

int oci_store_scan(struct oci *oci)
{
        AUTO(auto_close) int fd = openat(oci->state_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;
        const struct dirent *entry;
        int r = 0;

        if (directory == NULL)
                return -errno;
        (void)TAKE_FD(fd); /* the directory owns it now */
        LIST_EACH (&oci->containers, at)
                refresh(LIST_ENTRY(at, struct oci_container, node));
        while (r == 0 && (errno = 0, entry = readdir(directory)) != NULL)
                if (oci_container_is_id(entry->d_name) && find_by_id(oci, entry->d_name) == NULL)
                        r = load(oci, entry->d_name);
        if (r == 0 && entry == NULL)
                r = -errno;
        closedir(directory);
        if (r == 0 && !oci->has_index)
                oci_names_sweep(oci);
        oci->has_index |= r == 0;
        return r;
}

int oci_store_index(struct oci *oci)
{
        return oci->has_index ? 0 : oci_store_scan(oci);
}

void oci_store_look(struct oci *oci)
{
        if (oci_store_lock(oci) < 0)
                return;
        (void)oci_store_scan(oci); /* the next look finds what this one could not read */
        oci_store_unlock(oci);
}

/* Another process may have claimed a container that this one knows by a former name. */
static void reread(struct oci *oci, const char *name)
{
        char id[OCI_ID_BYTES];
        struct oci_container *container = oci_names_read(oci, name, id) == 0 ? find_by_id(oci, id) : NULL;
        AUTO(auto_close) int directory = container != NULL ? open_container(oci, id) : -1;
        struct oci_container *now;

        if (directory < 0 || read_record(oci, directory, id, &now) < 0)
                return;
        oci_container_exchange(&container->info, &now->info);
        oci_container_free(now);
}

struct oci_container *oci_store_seek(struct oci *oci, const char *id_or_name)
{
        struct oci_container *container;

        oci_store_look(oci);
        container = oci_store_find(oci, id_or_name);
        if (container != NULL)
                return container;
        reread(oci, id_or_name);
        return oci_store_find(oci, id_or_name);
}

int oci_store_open(struct oci *oci, struct fault *why)
{
        struct stat status;

        /* Others may pass: the child that sets up a container walks to its root with the container's ids. */
        if (mkdir(oci->state_dir, 0711) < 0 && errno != EEXIST)
                return fault_set(why, FAULT_INTERNAL, errno, "cannot make %s: %s", oci->state_dir,
                                 strerrordesc_np(errno));
        oci->state_fd = open(oci->state_dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (oci->state_fd < 0 || fstat(oci->state_fd, &status) < 0)
                return fault_set(why, FAULT_INTERNAL, errno, "cannot open %s: %s", oci->state_dir,
                                 strerrordesc_np(errno));
        if (status.st_uid != geteuid() || (status.st_mode & 022) != 0)
                return fault_set(why, FAULT_INTERNAL, EPERM,
                                 "%s has another owner, or others can write to it: remove it", oci->state_dir);
        if ((mkdirat(oci->state_fd, OCI_RUNTIME_ROOT, 0700) < 0 && errno != EEXIST) || oci_names_open(oci) < 0)
                return fault_set(why, FAULT_INTERNAL, errno, "cannot write in %s: %s", oci->state_dir,
                                 strerrordesc_np(errno));
        return 0;
}
