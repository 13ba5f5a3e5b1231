/* The index of names: NAMES_DIRECTORY/<name> is a symbolic link whose target is the id of the container. The records
 * decide, and the index only finds them: a name is taken if its link leads to a record with that name. A link is made
 * before the record that needs it and removed after it. So every record has its link after a kill -9, and a link that
 * was left is replaced or swept. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "oci-engine.h"
#include "scope.h"

#define NAMES_DIRECTORY "names"

enum { LINK_PATH_BYTES = sizeof NAMES_DIRECTORY + 1 + ENGINE_NAME_BYTES };

static int make_path(const char *name, char ret_path[static LINK_PATH_BYTES])
{
        if (!oci_container_is_name(name))
                return -EINVAL;
        (void)snprintf(ret_path, LINK_PATH_BYTES, NAMES_DIRECTORY "/%s", name);
        return 0;
}

int oci_names_open(struct oci *oci)
{
        return mkdirat(oci->state_fd, NAMES_DIRECTORY, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

int oci_names_read(const struct oci *oci, const char *name, char ret_id[static OCI_ID_BYTES])
{
        char path[LINK_PATH_BYTES];
        char target[OCI_ID_BYTES + 1];
        int r = make_path(name, path);
        ssize_t length;

        if (r < 0)
                return r;
        length = readlinkat(oci->state_fd, path, target, sizeof target - 1);
        if (length < 0)
                return -errno;
        target[length] = '\0';
        if (!oci_container_is_id(target))
                return -EBADMSG;
        memcpy(ret_id, target, OCI_ID_BYTES);
        return 0;
}

int oci_names_take(struct oci *oci, const char *name, const char *id)
{
        char path[LINK_PATH_BYTES];
        char holder[OCI_ID_BYTES];
        int r = make_path(name, path);

        if (r < 0)
                return r;
        if (symlinkat(id, oci->state_fd, path) == 0)
                return 0;
        if (errno != EEXIST)
                return -errno;
        r = oci_names_read(oci, name, holder);
        if (r == 0 && strcmp(holder, id) == 0)
                return 0;
        if (r == 0)
                r = oci_store_has_name(oci, holder, name);
        if (r > 0)
                return -EEXIST;
        if (r < 0 && r != -EBADMSG)
                return r;
        if (unlinkat(oci->state_fd, path, 0) < 0)
                return -errno;
        return symlinkat(id, oci->state_fd, path) < 0 ? -errno : 0;
}

void oci_names_drop(struct oci *oci, const char *name, const char *id)
{
        char path[LINK_PATH_BYTES];
        char holder[OCI_ID_BYTES];

        if (make_path(name, path) == 0 && oci_names_read(oci, name, holder) == 0 && strcmp(holder, id) == 0)
                (void)unlinkat(oci->state_fd, path, 0);
}

/* Another process may have renamed a container since it was read, so its record is asked before its link is removed. */
static bool is_left(struct oci *oci, const char *name)
{
        char id[OCI_ID_BYTES];
        const struct oci_container *container;

        if (oci_names_read(oci, name, id) < 0)
                return false;
        container = oci_store_find(oci, id);
        return (container == NULL || strcmp(container->info.name, name) != 0) && oci_store_has_name(oci, id, name) == 0;
}

void oci_names_sweep(struct oci *oci)
{
        AUTO(auto_close) int fd = openat(oci->state_fd, NAMES_DIRECTORY, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;
        const struct dirent *entry;

        if (directory == NULL)
                return;
        (void)TAKE_FD(fd); /* the directory owns it now */
        while ((entry = readdir(directory)) != NULL)
                if (is_left(oci, entry->d_name))
                        (void)unlinkat(dirfd(directory), entry->d_name, 0);
        closedir(directory);
}
