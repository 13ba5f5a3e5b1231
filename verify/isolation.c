#include "isolation.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <linux/openat2.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "disk.h"
#include "inside.h"
#include "proc-file.h"
#include "profile.h"
#include "scope.h"

enum { EXT4_ROOT = 2 /* EXT4_ROOT_INO in fs/ext4/ext4.h */, PROC_PATH_BYTES = 64, NETWORK_TEXT_MAX = 1 << 20 };

static int refuse(struct fault *why, const char *what)
{
        return fault_set(why, FAULT_HARDENING_MISSING, EPERM, "the container is not isolated: %s", what);
}

/* ---- the network ---- */

static bool is_word(const char *word, size_t length, const char *wanted)
{
        return strlen(wanted) == length && memcmp(word, wanted, length) == 0;
}

static int judge_interface(const char *name, size_t length, bool may_have_eth0, struct fault *why)
{
        if (is_word(name, length, "lo") || (may_have_eth0 && is_word(name, length, INSIDE_INTERFACE)))
                return 0;
        return fault_set(why, FAULT_HARDENING_MISSING, EPERM,
                         "the container is not isolated: the interface %.*s connects it",
                         (int)(length < 16 ? length : 16), name);
}

/* One line each, after a line of titles: the interface is the first word. */
static int judge_routes(const char *text, bool may_have_eth0, struct fault *why)
{
        int r = 0;

        for (text += strcspn(text, "\n"); r == 0 && text[strspn(text, "\n ")] != '\0'; text += strcspn(text, "\n")) {
                text += strspn(text, "\n ");
                r = judge_interface(text, strcspn(text, " \t\n"), may_have_eth0, why);
        }
        return r;
}

/* One line each: the interface is the last word. */
static int judge_addresses6(const char *text, bool may_have_eth0, struct fault *why)
{
        int r = 0;

        for (text += strspn(text, "\n "); r == 0 && *text != '\0'; text += strspn(text, "\n ")) {
                size_t end = strcspn(text, "\n");
                size_t length = 0;

                while (end > 0 && text[end - 1] == ' ')
                        end--;
                while (length < end && text[end - length - 1] != ' ')
                        length++;
                r = judge_interface(text + end - length, length, may_have_eth0, why);
                text += strcspn(text, "\n");
        }
        return r;
}

int isolation_judge_network(const char *routes, const char *addresses6, bool may_have_eth0, struct fault *why)
{
        int r = routes != NULL ? judge_routes(routes, may_have_eth0, why) : 0;

        if (r == 0 && addresses6 != NULL)
                r = judge_addresses6(addresses6, may_have_eth0, why);
        return r;
}

/* A kernel without IPv6 has no if_inet6. */
static int check_network(int pid, bool may_have_eth0, struct fault *why)
{
        AUTO(auto_free) char *routes = NULL;
        AUTO(auto_free) char *addresses6 = NULL;
        int r = proc_pid_read(pid, "net/route", NETWORK_TEXT_MAX, &routes);
        int err6 = proc_pid_read(pid, "net/if_inet6", NETWORK_TEXT_MAX, &addresses6);

        if (r < 0 || (err6 < 0 && err6 != -ENOENT))
                return refuse(why, "its network cannot be read");
        return isolation_judge_network(routes, addresses6, may_have_eth0, why);
}

/* ---- namespaces ---- */

static int check_namespace(int pid, const char *name, struct fault *why)
{
        char path[PROC_PATH_BYTES];
        char sentence[PROC_PATH_BYTES];
        struct stat ours;
        struct stat theirs;

        (void)snprintf(path, sizeof path, "/proc/self/ns/%s", name);
        if (stat(path, &ours) < 0)
                return refuse(why, "its namespaces cannot be compared with the host's");
        (void)snprintf(path, sizeof path, "/proc/%d/ns/%s", pid, name);
        if (stat(path, &theirs) < 0)
                return refuse(why, "its namespaces cannot be read");
        if (ours.st_dev != theirs.st_dev || ours.st_ino != theirs.st_ino)
                return 0;
        (void)snprintf(sentence, sizeof sentence, "it shares the host's %s namespace", name);
        return refuse(why, sentence);
}

static int check_namespaces(int pid, bool is_monitor, struct fault *why)
{
        int r = 0;

        for (const struct profile_namespace *row = PROFILE.namespaces; r == 0 && row->oci_type != NULL; row++)
                if (is_monitor ? row->is_monitors : row->is_verified)
                        r = check_namespace(pid, row->proc_name, why);
        return r;
}

/* ---- the user's directory ---- */

static int open_workspace(int pid)
{
        const struct open_how how = { .flags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
                                      .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS };
        AUTO(auto_close) int root = -1;
        char path[PROC_PATH_BYTES];

        (void)snprintf(path, sizeof path, "/proc/%d/root", pid);
        root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        return root < 0 ? -1 : (int)syscall(SYS_openat2, root, &INSIDE_WORKSPACE[1], &how, sizeof how);
}

/* The loop device whose number is `device` has this very file, for as long as the file system on it is mounted. The
 * kernel encodes lo_device as new_encode_dev does (linux/kdev_t.h). */
static bool is_on_image(dev_t device, const struct stat *image)
{
        AUTO(auto_close) int fd = -1;
        char path[PROC_PATH_BYTES];
        struct loop_info64 info;
        struct stat status;
        unsigned major_number, minor_number;

        (void)snprintf(path, sizeof path, "/dev/loop%u", minor(device));
        fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &status) < 0 || !S_ISBLK(status.st_mode) || status.st_rdev != device ||
            ioctl(fd, LOOP_GET_STATUS64, &info) < 0)
                return false;
        major_number = (unsigned)(info.lo_device >> 8 & 0xfff);
        minor_number = (unsigned)((info.lo_device & 0xff) | (info.lo_device >> 12 & 0xfff00));
        return makedev(major_number, minor_number) == image->st_dev && info.lo_inode == image->st_ino;
}

/* user NULL: users_fd itself is the directory. */
static int find_directory(int users_fd, const char *user, struct stat *ret_status)
{
        return user != NULL ? fstatat(users_fd, user, ret_status, AT_SYMLINK_NOFOLLOW) : fstat(users_fd, ret_status);
}

static int check_workspace(int workspace, int users_fd, const char *user, struct stat *ret_inside, struct fault *why)
{
        struct stat outside;

        if (workspace < 0 || fstat(workspace, ret_inside) < 0)
                return refuse(why, "its " INSIDE_WORKSPACE " cannot be opened");
        if (user != NULL && disk_stat_image(users_fd, user, &outside) == 0)
                return ret_inside->st_ino == EXT4_ROOT && is_on_image(ret_inside->st_dev, &outside)
                               ? 0
                               : refuse(why, "its " INSIDE_WORKSPACE " is not its user's image");
        if (find_directory(users_fd, user, &outside) < 0)
                return refuse(why, "its user has no directory");
        if (ret_inside->st_dev != outside.st_dev || ret_inside->st_ino != outside.st_ino)
                return refuse(why, user != NULL ? "its " INSIDE_WORKSPACE " is not its user's directory"
                                                : "its " INSIDE_WORKSPACE " is not the empty one of a spare container");
        return 0;
}

/* As the mount shows them to the programs inside. */
static int check_mount(int workspace, uint32_t uid, const struct stat *inside, struct fault *why)
{
        const unsigned long wanted = ST_NOSUID | ST_NODEV;
        struct statvfs mount;

        if (fstatvfs(workspace, &mount) < 0)
                return refuse(why, "the mount on its " INSIDE_WORKSPACE " cannot be read");
        if ((mount.f_flag & wanted) != wanted)
                return refuse(why, "its " INSIDE_WORKSPACE " is not nosuid,nodev");
        if (inside->st_uid != uid)
                return refuse(why, "its " INSIDE_WORKSPACE " does not belong to the uid of its programs");
        return 0;
}

/* The result, unless the process has ended meanwhile. */
static int conclude(int pidfd, int err, const struct fault *found, struct fault *why)
{
        struct pollfd exited = { .fd = pidfd, .events = POLLIN };

        if (poll(&exited, 1, 0) != 0) /* then the data may be those of a later process with the same pid */
                return fault_set(why, FAULT_CARREL_LOST, ESRCH, "the container ended right after its start");
        return err < 0 ? fault_pass(why, found) : 0;
}

int isolation_check(int pid, int pidfd, int users_fd, const char *user, bool may_have_eth0, struct fault *why)
{
        struct fault found = { 0 };
        struct stat inside;
        int r = check_namespaces(pid, false, &found);

        if (r == 0)
                r = check_network(pid, may_have_eth0, &found);
        if (r == 0) {
                AUTO(auto_close) int workspace = open_workspace(pid);

                r = check_workspace(workspace, users_fd, user, &inside, &found);
        }
        return conclude(pidfd, r, &found, why);
}

int isolation_check_workspace(int pid, int pidfd, int users_fd, const char *user, uint32_t uid, struct fault *why)
{
        AUTO(auto_close) int workspace = open_workspace(pid);
        struct fault found = { 0 };
        struct stat inside = { 0 };
        int r = check_workspace(workspace, users_fd, user, &inside, &found);

        if (r == 0)
                r = check_mount(workspace, uid, &inside, &found);
        return conclude(pidfd, r, &found, why);
}

int isolation_check_monitor(int pid, int pidfd, struct fault *why)
{
        struct fault found = { 0 };
        int r = check_namespaces(pid, true, &found);

        if (r == 0)
                r = check_network(pid, false, &found);
        return conclude(pidfd, r, &found, why);
}
