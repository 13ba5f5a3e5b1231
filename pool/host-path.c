#include "host-path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "scope.h"

enum { OWN_MODE = 0711 };

struct walk {
        const char *setting, *path;
        enum host_path_kind kind;
        int fd; /* of the directory so far */
};

static int judge_ancestor(const struct walk *walk, const struct stat *status, const char *component, struct fault *why)
{
        if (!S_ISDIR(status->st_mode))
                return fault_set(why, FAULT_SETTING_INVALID, ENOTDIR, "%s %s: %s is a link or no directory",
                                 walk->setting, walk->path, component);
        if (status->st_uid != 0)
                return fault_set(why, FAULT_SETTING_INVALID, EPERM, "%s %s: %s does not belong to root", walk->setting,
                                 walk->path, component);
        if ((status->st_mode & (S_IWGRP | S_IWOTH)) != 0)
                return fault_set(why, FAULT_SETTING_INVALID, EPERM, "%s %s: %s is writable by its group or by others",
                                 walk->setting, walk->path, component);
        return 0;
}

static int judge_given(const struct walk *walk, const struct stat *status, struct fault *why)
{
        if (S_ISDIR(status->st_mode) || S_ISREG(status->st_mode))
                return 0;
        return fault_set(why, FAULT_SETTING_INVALID, EINVAL, "%s %s is a link, or neither a directory nor a file",
                         walk->setting, walk->path);
}

static int judge(const struct walk *walk, int fd, const char *component, bool is_last, struct fault *why)
{
        struct stat status;

        if (fstat(fd, &status) < 0)
                return fault_set(why, FAULT_INTERNAL, errno, "fstat of %s in %s", component, walk->path);
        return is_last && walk->kind == HOST_PATH_GIVEN ? judge_given(walk, &status, why)
                                                        : judge_ancestor(walk, &status, component, why);
}

/* Opens one component below walk->fd, which it becomes. */
static int descend(struct walk *walk, const char *component, bool is_last, struct fault *why)
{
        AUTO(auto_close) int next = -1;
        int r;

        if (strcmp(component, "..") == 0)
                return fault_set(why, FAULT_SETTING_INVALID, EINVAL, "%s %s contains '..'", walk->setting, walk->path);
        if (is_last && walk->kind == HOST_PATH_OWN && mkdirat(walk->fd, component, OWN_MODE) < 0 && errno != EEXIST)
                return fault_set(why, FAULT_SETTING_INVALID, errno, "cannot create %s %s", walk->setting, walk->path);
        next = openat(walk->fd, component, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        if (next < 0)
                return fault_set(why, FAULT_SETTING_INVALID, errno, "%s %s: cannot open %s: %s", walk->setting,
                                 walk->path, component, strerrordesc_np(errno));
        r = judge(walk, next, component, is_last, why);
        if (r < 0)
                return r;
        close(walk->fd);
        walk->fd = TAKE_FD(next);
        return 0;
}

static int walk_down(struct walk *walk, char *rest, struct fault *why)
{
        int r = judge(walk, walk->fd, "/", false, why);

        while (r == 0 && rest != NULL) {
                const char *component = strsep(&rest, "/");

                if (rest != NULL)
                        rest += strspn(rest, "/");
                if (component[0] != '\0' && strcmp(component, ".") != 0)
                        r = descend(walk, component, rest == NULL || rest[0] == '\0', why);
        }
        return r;
}

int host_path_open(const char *setting, const char *path, enum host_path_kind kind, int *ret_fd, struct fault *why)
{
        struct walk walk = { setting, path, kind, open("/", O_PATH | O_DIRECTORY | O_CLOEXEC) };
        AUTO(auto_free) char *copy = strdup(path);
        int r;

        if (walk.fd < 0 || copy == NULL)
                r = fault_set(why, FAULT_RESOURCE_EXHAUSTED, walk.fd < 0 ? errno : ENOMEM, "cannot open /");
        else
                r = walk_down(&walk, copy, why);
        if (r == 0)
                *ret_fd = walk.fd;
        else if (walk.fd >= 0)
                close(walk.fd);
        return r;
}
