#include "host.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "content.h"
#include "entry.h"
#include "furnish.h"
#include "inside.h"
#include "scope.h"
#include "str.h"
#include "tree.h"

enum { COPY_DEPTH_MAX = 8, COPY_FILE_MAX_BYTES = 16 << 20 };

/* Mount points, and paths that programs expect. */
static const char *const DIRECTORIES[] = {
        "dev",     "etc",      "home", "proc", "root", "run", "sys", &INSIDE_TMP[1], "usr", "var", &INSIDE_WORKSPACE[1],
        "var/lib", "var/cache"
};
static const struct {
        const char *path, *target;
} LINKS[] = { { "var/tmp", "../tmp" }, { "var/run", "../run" }, { "etc/mtab", "../proc/self/mounts" } };

/* The accounts of the host are not shown inside. */
static const struct {
        const char *path, *text;
} FILES[] = {
        { "etc/group", "root:x:0:\nuser:x:1000:\nnogroup:x:65534:\n" },
        { "etc/hosts", "127.0.0.1 localhost\n" },
        { "etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n" },
        { "etc/passwd", "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:" INSIDE_WORKSPACE ":/bin/sh\n"
                        "nobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n" },
};

/* Files of the host's /etc that programs below /usr need. An absent one is skipped. Only files that everybody may read
 * are copied. */
static const char *const COPIED[] = {
        "alternatives",
        "bash.bashrc",
        "ca-certificates.conf",
        "debian_version",
        "gai.conf",
        "inputrc",
        "java-11-openjdk",
        "java-17-openjdk",
        "java-21-openjdk",
        "ld.so.cache",
        "ld.so.conf",
        "ld.so.conf.d",
        "localtime",
        "magic",
        "mime.types",
        "os-release",
        "perl",
        "profile",
        "protocols",
        "python3",
        "python3.11",
        "python3.12",
        "python3.13",
        "services",
        "ssl/certs",
        "ssl/openssl.cnf",
        "terminfo",
};

/* The compatibility links of a merged /usr. */
static const char *const MERGED[] = { "bin", "lib", "lib32", "lib64", "libx32", "sbin" };

static int fail(const char *what, int r, struct fault *why)
{
        return fault_set(why, r == -ENOSPC ? FAULT_RESOURCE_EXHAUSTED : FAULT_INTERNAL, -r, "cannot make %s: %s", what,
                         strerror(-r));
}

static int write_text(int root_fd, const char *path, const char *text)
{
        AUTO(auto_close) int fd = -1;
        int r = tree_file(root_fd, path, 0644, &fd);

        if (r < 0)
                return r;
        return write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -ENOSPC;
}

/* ---- copies of the host's files ---- */

static int copy_file(int from_fd, int root_fd, const char *path, const struct stat *about)
{
        AUTO(auto_close) int to = -1;
        char piece[65536];
        ssize_t n;
        int r = tree_file(root_fd, path, about->st_mode & 0111 ? 0755 : 0644, &to);

        if (r < 0)
                return r;
        while ((n = read(from_fd, piece, sizeof piece)) > 0)
                if (write(to, piece, (size_t)n) != n)
                        return -ENOSPC;
        return n < 0 ? -errno : 0;
}

static int copy(int directory_fd, const char *name, int root_fd, const char *path, unsigned depth);

static int copy_directory(int fd, int root_fd, const char *path, unsigned depth) /* NOLINT(misc-no-recursion) */
{
        DIR *directory = fdopendir(fd);
        const struct dirent *entry;
        int r;

        if (directory == NULL) {
                r = -errno;
                close(fd);
                return r;
        }
        r = tree_directory(root_fd, path, 0755);
        while (r == 0 && (entry = readdir(directory)) != NULL) {
                AUTO(buffer_free) struct buffer below = { 0 };

                if (entry->d_name[0] == '.')
                        continue;
                (void)buffer_format(&below, "%s/%s", path, entry->d_name);
                r = below.has_failed || below.length >= ENTRY_PATH_BYTES
                            ? -ENAMETOOLONG
                            : copy(dirfd(directory), entry->d_name, root_fd, below.data, depth + 1);
        }
        (void)closedir(directory);
        return r;
}

static int copy_link(int directory_fd, const char *name, int root_fd, const char *path)
{
        char target[ENTRY_PATH_BYTES];
        ssize_t n = readlinkat(directory_fd, name, target, sizeof target - 1);

        if (n < 0)
                return -errno;
        target[n] = '\0';
        return tree_symlink(root_fd, path, target, 0);
}

static int copy(int directory_fd, const char *name, int root_fd, const char *path, /* NOLINT(misc-no-recursion) */
                unsigned depth)
{
        AUTO(auto_close) int fd = -1;
        struct stat about;

        if (fstatat(directory_fd, name, &about, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
        if (S_ISLNK(about.st_mode))
                return copy_link(directory_fd, name, root_fd, path);
        if ((about.st_mode & 0004) == 0 || depth > COPY_DEPTH_MAX)
                return 0;
        fd = openat(directory_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
        if (fd < 0)
                return errno == EACCES || errno == EPERM ? 0 : -errno;
        if (S_ISDIR(about.st_mode))
                return copy_directory(TAKE_FD(fd), root_fd, path, depth);
        return S_ISREG(about.st_mode) && about.st_size <= COPY_FILE_MAX_BYTES ? copy_file(fd, root_fd, path, &about)
                                                                              : 0;
}

static int copy_settings(int root_fd)
{
        AUTO(auto_close) int etc = open("/etc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int r = etc < 0 ? -errno : 0;

        for (size_t i = 0; r == 0 && i < sizeof COPIED / sizeof *COPIED; i++) {
                char path[256];

                (void)snprintf(path, sizeof path, "etc/%s", COPIED[i]);
                r = copy(etc, COPIED[i], root_fd, path, 0);
        }
        return r;
}

/* ---- the tree ---- */

static int link_merged(int root_fd, struct fault *why)
{
        for (size_t i = 0; i < sizeof MERGED / sizeof *MERGED; i++) {
                AUTO(buffer_free) struct buffer host = { 0 };
                struct stat about;
                int r = 0;

                (void)buffer_format(&host, "/%s", MERGED[i]);
                if (host.has_failed)
                        return fail(MERGED[i], -ENOMEM, why);
                if (lstat(host.data, &about) < 0)
                        continue;
                if (!S_ISLNK(about.st_mode))
                        return fault_set(why, FAULT_IMAGE_REFUSED, ENOTSUP,
                                         "%s is no link into /usr: the image of this machine needs a merged /usr",
                                         host.data);
                r = copy_link(AT_FDCWD, host.data, root_fd, MERGED[i]);
                if (r < 0)
                        return fail(MERGED[i], r, why);
        }
        return 0;
}

static int make_tree(int root_fd, struct fault *why)
{
        int r = fchmod(root_fd, 0755) < 0 ? -errno : 0;

        for (size_t i = 0; r == 0 && i < sizeof DIRECTORIES / sizeof *DIRECTORIES; i++)
                r = tree_directory(root_fd, DIRECTORIES[i], 0755);
        if (r == 0)
                r = copy_settings(root_fd);
        for (size_t i = 0; r == 0 && i < sizeof FILES / sizeof *FILES; i++)
                r = write_text(root_fd, FILES[i].path, FILES[i].text);
        for (size_t i = 0; r == 0 && i < sizeof LINKS / sizeof *LINKS; i++)
                r = tree_symlink(root_fd, LINKS[i].path, LINKS[i].target, 0);
        if (r < 0)
                return fail("the image of this machine", r, why);
        r = link_merged(root_fd, why);
        return r < 0 ? r : furnish(root_fd, why);
}

static int describe(struct stored_image *image)
{
        image->environment = calloc(2, sizeof *image->environment);
        image->binds = calloc(1, sizeof *image->binds);
        if (image->environment == NULL || image->binds == NULL)
                return -ENOMEM;
        image->environment[0] = strdup("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        image->n_binds = 1;
        image->binds[0].source = strdup("/usr");
        image->binds[0].target = strdup("/usr");
        image->created_wall_ms = clock_wall_ms();
        return image->environment[0] == NULL || image->binds[0].source == NULL || image->binds[0].target == NULL
                       ? -ENOMEM
                       : 0;
}

int host_image(struct store *store, const char *reference, struct stored_image *ret_image, bool *ret_is_new,
               struct fault *why)
{
        AUTO(stored_image_release) struct stored_image image = STORED_IMAGE_NONE;
        AUTO(auto_close) int fd = -1;
        const struct budget limits = { UINT64_MAX, UINT64_MAX };
        struct workplace workplace = { .fd = -1 };
        int r = describe(&image);

        if (r < 0)
                return fail("the image of this machine", r, why);
        r = store_begin(store, &workplace, why);
        if (r < 0)
                return r;
        if (mkdirat(workplace.fd, "rootfs", 0755) == 0)
                fd = openat(workplace.fd, "rootfs", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        r = fd < 0 ? fail("the image of this machine", -errno, why) : make_tree(fd, why);
        if (r == 0)
                r = content_digest(fd, &limits, &image, why);
        if (r == 0)
                r = store_commit(store, &workplace, &image, reference, ret_is_new, why);
        store_abandon(store, &workplace);
        if (r < 0)
                return r;
        *ret_image = image;
        image = STORED_IMAGE_NONE;
        return 0;
}
