/* carrel-storage on hostile trees. Needs root, and no engine. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cmocka.h>
#include <ev.h>

#include "capabilities.h"
#include "isolate.h"
#include "scope.h"
#include "storage.h"
#include "tree-remove.h"

enum { OWNER = 12345, STRANGER = 12346, DEPTH = 3000, DEPTH_MAX = 4096, WIDTH = 100000, SOME = 20000 };

static struct ev_loop *loop;
static struct storage *storage;
static char place[64];
static int source_fd, target_fd;

/* ---- jobs ---- */

struct seen {
        unsigned n, n_progress;
        struct storage_tally tally;
        struct fault why;
        struct storage_job *job;
        unsigned cancels_at; /* this progress; 0: never */
};

static void on_progress(void *arg, const struct storage_tally *tally)
{
        struct seen *seen = arg;

        seen->n_progress++;
        seen->tally = *tally;
        if (seen->n_progress == seen->cancels_at)
                seen->job = storage_cancel(seen->job);
}

static void on_done(void *arg, const struct storage_end *end, const struct fault *why)
{
        struct seen *seen = arg;

        seen->n++;
        seen->tally = end->tally;
        seen->why = why != NULL ? *why : (struct fault){ 0 };
        seen->job = NULL;
}

static const struct storage_events EVENTS = { on_progress, on_done };

static struct seen run_bounded(enum storage_verb verb, int from, int to, unsigned cancels_at, uint64_t max_entries)
{
        const struct storage_order order = { .verb = verb,
                                             .user = "ada",
                                             .owner_uid = OWNER,
                                             .owner_gid = OWNER,
                                             .source_fd = from,
                                             .target_fd = to,
                                             .max_entries = max_entries };
        struct seen seen = { .cancels_at = cancels_at };

        assert_int_equal(storage_start(storage, &order, &EVENTS, &seen, &seen.job, NULL), 0);
        while (seen.n == 0 && seen.job != NULL)
                (void)ev_run(loop, EVRUN_ONCE);
        return seen;
}

static struct seen run(enum storage_verb verb, int from, int to)
{
        return run_bounded(verb, from, to, 0, 0);
}

static void must_run(enum storage_verb verb, int from, int to, struct storage_tally *ret_tally)
{
        struct seen seen = run(verb, from, to);

        if (seen.why.kind != FAULT_NONE)
                fail_msg("%s", seen.why.message);
        if (ret_tally != NULL)
                *ret_tally = seen.tally;
}

/* ---- places ---- */

static int open_directory(int at, const char *name)
{
        int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        assert_true(fd >= 0);
        return fd;
}

static int make_directory(int at, const char *name, mode_t mode)
{
        assert_int_equal(mkdirat(at, name, mode), 0);
        return open_directory(at, name);
}

/* New files belong to this user from now on. */
static void become(uid_t uid)
{
        assert_true(setegid(uid) == 0 && seteuid(uid) == 0);
}

static void become_root(void)
{
        assert_true(seteuid(0) == 0 && setegid(0) == 0);
}

static int set_up_in(const char *parent)
{
        (void)umask(0);
        (void)snprintf(place, sizeof place, "%s/carrel-test-storage-XXXXXX", parent);
        if (mkdtemp(place) == NULL || chmod(place, 0711) < 0)
                return -1;
        AUTO(auto_close) int fd = open_directory(AT_FDCWD, place);

        target_fd = make_directory(fd, "target", 0700);
        become(0);
        source_fd = make_directory(fd, "source", 0700);
        return fchown(source_fd, OWNER, OWNER);
}

static int set_up(void **state)
{
        (void)state;
        return set_up_in("/tmp");
}

/* For many files. ext4 without a journal makes them slowly while others were removed shortly before (recently_deleted
 * in fs/ext4/ialloc.c). */
static int set_up_in_memory(void **state)
{
        (void)state;
        return set_up_in("/dev/shm");
}

static int tear_down(void **state)
{
        (void)state;
        become_root();
        close(source_fd);
        close(target_fd);
        return tree_remove(AT_FDCWD, place);
}

static void write_file(int at, const char *name, const char *content, mode_t mode)
{
        AUTO(auto_close) int fd = openat(at, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, content, strlen(content)), strlen(content));
        assert_int_equal(fchmod(fd, mode), 0);
}

static bool has_content(int at, const char *name, const char *content)
{
        AUTO(auto_close) int fd = openat(at, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        char bytes[64] = "";

        return fd >= 0 && read(fd, bytes, sizeof bytes - 1) == (ssize_t)strlen(content) && strcmp(bytes, content) == 0;
}

static struct stat look(int at, const char *name)
{
        struct stat status = { 0 };

        if (fstatat(at, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
                fail_msg("%s: %s", name, strerror(errno));
        return status;
}

static bool exists(int at, const char *name)
{
        struct stat status;

        return fstatat(at, name, &status, AT_SYMLINK_NOFOLLOW) == 0;
}

/* ---- the table of hostile trees: each is made by its owner, copied, checked, and removed ---- */

static void make_plain(int fd)
{
        const struct timespec times[2] = { { .tv_sec = 5 }, { .tv_sec = 1000000000, .tv_nsec = 123456789 } };

        write_file(fd, "f", "hello", 0640);
        AUTO(auto_close) int d = make_directory(fd, "d", 0751);
        write_file(d, "g", "deep", 0444);
        assert_int_equal(utimensat(fd, "f", times, 0), 0);
        assert_int_equal(utimensat(fd, "d", times, 0), 0);
        assert_int_equal(utimensat(fd, ".", times, 0), 0);
}

static void check_plain(int fd, const struct storage_tally *tally)
{
        assert_int_equal(tally->entries, 3);
        assert_true(has_content(fd, "f", "hello"));
        assert_true(has_content(fd, "d/g", "deep"));
        assert_int_equal(look(fd, "f").st_mode, S_IFREG | 0640);
        assert_int_equal(look(fd, "d").st_mode, S_IFDIR | 0751);
        assert_int_equal(look(fd, ".").st_mode, S_IFDIR | 0700);
        assert_int_equal(look(fd, "f").st_uid, OWNER);
        assert_int_equal(look(fd, "f").st_gid, OWNER);
        for (const char *const *name = (const char *const[]){ "f", "d", ".", NULL }; *name != NULL; name++) {
                assert_int_equal(look(fd, *name).st_mtim.tv_sec, 1000000000);
                assert_int_equal(look(fd, *name).st_mtim.tv_nsec, 123456789);
        }
}

static void make_set_ids(int fd)
{
        write_file(fd, "u", "x", 04755);
        write_file(fd, "g", "x", 02755);
        AUTO(auto_close) int d = make_directory(fd, "d", 0700);
        assert_int_equal(fchmod(d, 03777), 0);
        assert_int_equal(look(fd, "u").st_mode & 07000, 04000); /* the control */
}

static void check_set_ids(int fd, const struct storage_tally *tally)
{
        (void)tally;
        assert_int_equal(look(fd, "u").st_mode & 07777, 0755);
        assert_int_equal(look(fd, "g").st_mode & 07777, 0755);
        assert_int_equal(look(fd, "d").st_mode & 07777, 01777);
}

static void make_closed(int fd)
{
        AUTO(auto_close) int d = make_directory(fd, "d", 0700);

        write_file(d, "f", "secret", 0);
        assert_int_equal(fchmod(d, 0), 0);
        assert_int_equal(fchmod(fd, 0), 0);
}

static void check_closed(int fd, const struct storage_tally *tally)
{
        (void)tally;
        assert_true(has_content(fd, "d/f", "secret"));
        assert_int_equal(look(fd, "d").st_mode & 07777, 0);
        assert_int_equal(look(fd, ".").st_mode & 07777, 0);
}

static void make_special(int fd)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        AUTO(auto_close) int socket_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        (void)snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/socket", fd);
        assert_int_equal(bind(socket_fd, (struct sockaddr *)&address, sizeof address), 0);
        assert_int_equal(mkfifoat(fd, "fifo", 0640), 0);
        become_root();
        assert_int_equal(mknodat(fd, "null", S_IFCHR | 0666, makedev(1, 3)), 0);
        assert_int_equal(mknodat(fd, "loop", S_IFBLK | 0666, makedev(7, 0)), 0);
}

static void check_special(int fd, const struct storage_tally *tally)
{
        assert_int_equal(tally->entries, 4);
        assert_int_equal(tally->sockets, 1);
        assert_int_equal(tally->devices, 2);
        assert_int_equal(look(fd, "fifo").st_mode, S_IFIFO | 0640);
        assert_false(exists(fd, "socket") || exists(fd, "null") || exists(fd, "loop"));
}

static void make_links(int fd)
{
        AUTO(auto_close) int d = make_directory(fd, "d", 0700);

        write_file(fd, "a", "linked", 0600);
        assert_int_equal(linkat(fd, "a", fd, "b", 0), 0);
        assert_int_equal(linkat(fd, "a", d, "c", 0), 0);
        assert_int_equal(symlinkat("/etc/passwd", fd, "absolute"), 0);
        assert_int_equal(symlinkat("../../..", fd, "out"), 0);
        assert_int_equal(symlinkat("nowhere", fd, "dangling"), 0);
        assert_int_equal(symlinkat(".", d, "loop"), 0);
}

static void check_links(int fd, const struct storage_tally *tally)
{
        char target[64] = "";

        assert_int_equal(tally->entries, 8);
        assert_int_equal(look(fd, "a").st_nlink, 3);
        assert_int_equal(look(fd, "a").st_ino, look(fd, "b").st_ino);
        assert_int_equal(look(fd, "a").st_ino, look(fd, "d/c").st_ino);
        assert_true(has_content(fd, "b", "linked"));
        assert_true(readlinkat(fd, "absolute", target, sizeof target - 1) > 0);
        assert_string_equal(target, "/etc/passwd");
        assert_true(S_ISLNK(look(fd, "out").st_mode) && S_ISLNK(look(fd, "dangling").st_mode));
        assert_int_equal(look(fd, "out").st_uid, OWNER);
}

/* 1 TB with one block of data in the middle, and one of nothing. */
static void make_sparse(int fd)
{
        AUTO(auto_close) int big = openat(fd, "big", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        AUTO(auto_close) int empty = openat(fd, "empty", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

        assert_int_equal(ftruncate(big, INT64_C(1) << 40), 0);
        assert_int_equal(ftruncate(empty, INT64_C(1) << 40), 0);
        assert_int_equal(pwrite(big, "needle", 6, INT64_C(1) << 39), 6);
}

static void check_sparse(int fd, const struct storage_tally *tally)
{
        AUTO(auto_close) int big = openat(fd, "big", O_RDONLY | O_CLOEXEC);
        char bytes[7] = "";

        assert_true(tally->bytes < 1 << 20);
        assert_int_equal(tally->size_bytes, INT64_C(1) << 41);
        assert_int_equal(look(fd, "big").st_size, INT64_C(1) << 40);
        assert_int_equal(look(fd, "empty").st_size, INT64_C(1) << 40);
        assert_true(look(fd, "big").st_blocks * 512 < 1 << 20);
        assert_true(look(fd, "empty").st_blocks * 512 < 1 << 20);
        assert_int_equal(pread(big, bytes, 6, INT64_C(1) << 39), 6);
        assert_string_equal(bytes, "needle");
}

/* The names that the helper itself uses, and those that text would break on. */
static const char *const NAMES[] = { "files", "links", ".gone-0", "new\nline", "\xff\xfe", " ", "-rf", "\\", "..." };
static char long_name[256];

static void make_names(int fd)
{
        memset(long_name, 'n', sizeof long_name - 1);
        for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
                write_file(fd, NAMES[i], NAMES[i], 0600);
        AUTO(auto_close) int d = make_directory(fd, long_name, 0700);
        write_file(d, long_name, "long", 0600);
}

static void check_names(int fd, const struct storage_tally *tally)
{
        assert_int_equal(tally->entries, sizeof NAMES / sizeof *NAMES + 2);
        for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
                assert_true(has_content(fd, NAMES[i], NAMES[i]));
        AUTO(auto_close) int d = open_directory(fd, long_name);
        assert_true(has_content(d, long_name, "long"));
}

/* Beyond PATH_MAX (4096), and beyond any number of descriptors. Each level also has a file after its directory. */
static void make_deep(int fd)
{
        int at = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        for (int i = 0; i < DEPTH; i++) {
                int next = make_directory(at, "deeper", 0700);

                if (i % 100 == 0)
                        write_file(at, "zz", "beside", 0600);
                close(at);
                at = next;
        }
        write_file(at, "bottom", "found", 0600);
        close(at);
}

static void check_deep(int fd, const struct storage_tally *tally)
{
        int at = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        assert_int_equal(tally->entries, DEPTH + DEPTH / 100 + 1);
        for (int i = 0; i < DEPTH; i++) {
                int next = open_directory(at, "deeper");

                assert_true(i % 100 != 0 || has_content(at, "zz", "beside"));
                close(at);
                at = next;
        }
        assert_true(has_content(at, "bottom", "found"));
        close(at);
}

static void make_files(int fd, int count)
{
        char name[32];

        for (int i = 0; i < count; i++) {
                (void)snprintf(name, sizeof name, "f%d", i);
                assert_int_equal(mknodat(fd, name, S_IFREG | 0600, 0), 0);
        }
}

static void make_wide(int fd)
{
        make_files(fd, WIDTH);
}

static void check_wide(int fd, const struct storage_tally *tally)
{
        assert_int_equal(tally->entries, WIDTH);
        assert_true(exists(fd, "f0") && exists(fd, "f99999"));
}

static void make_attributes(int fd)
{
        AUTO(auto_close) int d = make_directory(fd, "d", 0700);

        write_file(fd, "f", "x", 0600);
        AUTO(auto_close) int f = openat(fd, "f", O_RDWR | O_CLOEXEC);
        assert_int_equal(fsetxattr(f, "user.empty", "", 0, 0), 0);
        assert_int_equal(fsetxattr(f, "user.one", "1\0two", 5, 0), 0);
        assert_int_equal(fsetxattr(d, "user.dir", "d", 1, 0), 0);
        become_root();
        assert_int_equal(fsetxattr(f, "trusted.root", "r", 1, 0), 0);
}

static void check_attributes(int fd, const struct storage_tally *tally)
{
        AUTO(auto_close) int f = openat(fd, "f", O_RDONLY | O_CLOEXEC);
        AUTO(auto_close) int d = openat(fd, "d", O_RDONLY | O_CLOEXEC);
        char value[8];

        (void)tally;
        assert_int_equal(fgetxattr(f, "user.one", value, sizeof value), 5);
        assert_memory_equal(value, "1\0two", 5);
        assert_int_equal(fgetxattr(f, "user.empty", value, sizeof value), 0);
        assert_int_equal(fgetxattr(d, "user.dir", value, sizeof value), 1);
        assert_int_equal(fgetxattr(f, "trusted.root", value, sizeof value), -1);
        assert_int_equal(errno, ENODATA);
}

struct tree {
        const char *title;
        void (*make)(int fd);
        void (*check)(int fd, const struct storage_tally *tally);
};

static const struct tree TREES[] = {
        { "plain files", make_plain, check_plain },
        { "set-id bits", make_set_ids, check_set_ids },
        { "modes that shut the owner out", make_closed, check_closed },
        { "FIFOs, sockets and devices", make_special, check_special },
        { "links", make_links, check_links },
        { "sparse files of 1 TB", make_sparse, check_sparse },
        { "names", make_names, check_names },
        { "depth beyond PATH_MAX", make_deep, check_deep },
        { "extended attributes", make_attributes, check_attributes },
};

static void try_tree(const struct tree *tree)
{
        struct storage_tally copied;
        struct storage_tally again;
        struct storage_tally tally;

        print_message("%s\n", tree->title);
        become(OWNER);
        tree->make(source_fd);
        become_root();
        must_run(STORAGE_COPY, source_fd, target_fd, &copied);
        assert_int_equal(copied.changed, 0);
        assert_false(exists(target_fd, "links"));
        AUTO(auto_close) int files = open_directory(target_fd, "files");
        tree->check(files, &copied);
        must_run(STORAGE_COPY, source_fd, target_fd, &again); /* nothing is left to do */
        tree->check(files, &again);
        must_run(STORAGE_MEASURE, source_fd, -1, &tally);
        assert_int_equal(tally.entries, copied.entries);
        assert_int_equal(tally.bytes, copied.bytes);
        must_run(STORAGE_CLEAR, files, -1, &tally);
        assert_int_equal(unlinkat(target_fd, "files", AT_REMOVEDIR), 0); /* it is empty */
        must_run(STORAGE_CLEAR, source_fd, -1, &tally);
        must_run(STORAGE_MEASURE, source_fd, -1, &tally);
        assert_int_equal(tally.entries, 0);
        assert_int_equal(fchmod(source_fd, 0700), 0);
}
static void hostile_trees(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof TREES / sizeof *TREES; i++)
                try_tree(&TREES[i]);
}

static void a_directory_with_100000_files(void **state)
{
        static const struct tree WIDE = { "100,000 files", make_wide, check_wide };

        (void)state;
        try_tree(&WIDE);
}

/* ---- what is refused ---- */

static void a_foreign_file_is_refused_and_still_removed(void **state)
{
        struct storage_tally tally;
        struct seen seen;

        (void)state;
        write_file(source_fd, "roots", "secret", 0600);
        seen = run(STORAGE_COPY, source_fd, target_fd);
        assert_int_equal(seen.why.kind, FAULT_FILE_REFUSED);
        assert_non_null(strstr(seen.why.message, "uid 0"));
        AUTO(auto_close) int d = make_directory(source_fd, "d", 01755);
        write_file(d, "sticky", "x", 0600);
        assert_int_equal(fchownat(d, "sticky", STRANGER, STRANGER, 0), 0);
        must_run(STORAGE_CLEAR, source_fd, -1, &tally);
        assert_int_equal(tally.entries, 3);
}

static void a_tree_deeper_than_any_path_is_refused_and_still_removed(void **state)
{
        struct seen seen;
        int at = openat(source_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        (void)state;
        become(OWNER);
        for (int i = 0; i < DEPTH_MAX; i++) {
                int next = make_directory(at, "d", 0700);

                close(at);
                at = next;
        }
        become_root();
        seen = run(STORAGE_MEASURE, source_fd, -1);
        assert_int_equal(seen.why.kind, FAULT_NONE); /* the control */
        assert_int_equal(mkdirat(at, "d", 0700), 0);
        assert_int_equal(fchownat(at, "d", OWNER, OWNER, 0), 0);
        close(at);
        seen = run(STORAGE_MEASURE, source_fd, -1);
        assert_int_equal(seen.why.kind, FAULT_FILE_REFUSED);
        seen = run(STORAGE_COPY, source_fd, target_fd);
        assert_int_equal(seen.why.kind, FAULT_FILE_REFUSED);
        must_run(STORAGE_CLEAR, source_fd, -1, &seen.tally);
        assert_int_equal(seen.tally.entries, DEPTH_MAX + 1);
}

/* An open that waited for the lease could wait for a FIFO too. */
static void a_file_with_a_lease_is_refused_at_once(void **state)
{
        struct seen seen;

        (void)state;
        (void)signal(SIGIO, SIG_IGN);
        become(OWNER);
        write_file(source_fd, "leased", "x", 0600);
        AUTO(auto_close) int fd = openat(source_fd, "leased", O_RDWR | O_CLOEXEC);
        assert_int_equal(fcntl(fd, F_SETLEASE, F_WRLCK), 0);
        become_root();
        seen = run(STORAGE_COPY, source_fd, target_fd);
        assert_int_equal(seen.why.kind, FAULT_FILE_REFUSED);
        assert_non_null(strstr(seen.why.message, "lease"));
        assert_int_equal(fcntl(fd, F_SETLEASE, F_UNLCK), 0);
        must_run(STORAGE_COPY, source_fd, target_fd, &seen.tally);
}

static void bounds_hold(void **state)
{
        struct seen seen;

        (void)state;
        become(OWNER);
        for (const char *const *name = (const char *const[]){ "1", "2", "3", NULL }; *name != NULL; name++)
                write_file(source_fd, *name, "x", 0600);
        become_root();
        seen = run_bounded(STORAGE_COPY, source_fd, target_fd, 0, 2);
        assert_int_equal(seen.why.kind, FAULT_RESOURCE_EXHAUSTED);
        seen = run_bounded(STORAGE_COPY, source_fd, target_fd, 0, 3);
        assert_int_equal(seen.why.kind, FAULT_NONE);
}

/* ---- a full disk ---- */

enum { SMALL_DISK_BYTES = 4 << 20, NAMES_ON_DISK = 300 };

/* In a mount namespace of the test's own. */
static void mount_small_disk(const char *image, const char *at)
{
        char command[512];

        (void)snprintf(command, sizeof command,
                       "truncate -s%d %s && /usr/sbin/mkfs.ext4 -q -m0 -b1024 -I256 -O^has_journal %s && "
                       "mount -oloop,nodelalloc %s %s",
                       SMALL_DISK_BYTES, image, image, image, at);
        assert_int_equal(unshare(CLONE_NEWNS), 0);
        assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
        assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c,concurrency-mt-unsafe): no other thread */
}

static void fill(int at)
{
        static char block[1024];
        AUTO(auto_close) int fd = openat(at, "ballast", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

        memset(block, 'x', sizeof block);
        while (write(fd, block, sizeof block) > 0)
                ;
        assert_int_equal(errno, ENOSPC);
}

/* As many as its directory has room for, each with a directory that has a file. */
static void make_full_directory(int disk, int full)
{
        AUTO(auto_close) int beside = make_directory(disk, "beside", 0700);
        char name[8];
        int i;

        for (i = 0; i < NAMES_ON_DISK; i++) {
                (void)snprintf(name, sizeof name, "%07d", i); /* as long as .gone-0 */
                AUTO(auto_close) int d = make_directory(beside, name, 0700);
                AUTO(auto_close) int inner = make_directory(d, "inner", 0700);
                assert_int_equal(mknodat(inner, "f", S_IFREG | 0600, 0), 0);
        }
        fill(disk);
        while (i-- > 0) {
                (void)snprintf(name, sizeof name, "%07d", i);
                if (renameat(beside, name, full, name) < 0)
                        break;
        }
        assert_true(i > 0 && errno == ENOSPC); /* the control: not one more name */
}

/* The removal moves directories up, for which it needs a name in the root. */
static void a_full_disk_is_cleared(void **state)
{
        struct storage_tally tally;
        char image[96];
        char at[96];

        (void)state;
        (void)snprintf(image, sizeof image, "%s/image", place);
        (void)snprintf(at, sizeof at, "%s/disk", place);
        assert_int_equal(mkdir(at, 0755), 0);
        mount_small_disk(image, at);
        AUTO(auto_close) int disk = open_directory(AT_FDCWD, at);
        assert_int_equal(fchown(disk, OWNER, OWNER), 0);
        become(OWNER);
        AUTO(auto_close) int full = make_directory(disk, "full", 0700);
        make_full_directory(disk, full);
        become_root();
        must_run(STORAGE_CLEAR, full, -1, &tally);
        must_run(STORAGE_MEASURE, full, -1, &tally);
        assert_int_equal(tally.entries, 0);
        close(TAKE_FD(full));
        close(TAKE_FD(disk));
        assert_int_equal(umount2(at, 0), 0);
}

/* ---- kills ---- */

/* Killed again and again, the copy comes to its end, and the links are whole. */
static void a_killed_copy_goes_on(void **state)
{
        struct seen seen;

        (void)state;
        become(OWNER);
        make_files(source_fd, SOME);
        AUTO(auto_close) int d = make_directory(source_fd, "d", 0700);
        for (int i = 0; i < SOME; i += 100) {
                char name[32];

                (void)snprintf(name, sizeof name, "f%d", i);
                assert_int_equal(linkat(source_fd, name, d, name, 0), 0);
        }
        become_root();
        seen = run_bounded(STORAGE_COPY, source_fd, target_fd, 1, 0);
        assert_int_equal(seen.n, 0);
        assert_true(exists(target_fd, "links")); /* the control: it was not complete */
        for (unsigned at = 2; at < 4; at++)
                (void)run_bounded(STORAGE_COPY, source_fd, target_fd, at, 0);
        seen = run(STORAGE_COPY, source_fd, target_fd);
        assert_int_equal(seen.why.kind, FAULT_NONE);
        assert_true(seen.tally.kept > 0);
        assert_int_equal(seen.tally.entries, SOME + SOME / 100 + 1);
        assert_false(exists(target_fd, "links"));
        AUTO(auto_close) int files = open_directory(target_fd, "files");
        for (int i = 0; i < SOME; i += 100) {
                char name[32];
                char beside[32];

                (void)snprintf(name, sizeof name, "f%d", i);
                (void)snprintf(beside, sizeof beside, "d/f%d", i);
                assert_int_equal(look(files, name).st_ino, look(files, beside).st_ino);
                assert_int_equal(look(files, name).st_nlink, 2);
        }
        seen = run_bounded(STORAGE_CLEAR, files, -1, 1, 0);
        assert_int_equal(seen.n, 0);
        must_run(STORAGE_CLEAR, files, -1, NULL); /* what a killed removal has left */
}

/* ---- a tree that changes meanwhile ---- */

static atomic_bool is_over;

/* Exchanges a directory with a link that leads out of the tree, as fast as it can. */
static void *exchange(void *arg)
{
        (void)arg;
        while (!is_over)
                (void)renameat2(source_fd, "way", source_fd, "link", RENAME_EXCHANGE);
        return NULL;
}

static void links_are_not_followed_while_they_are_exchanged(void **state)
{
        pthread_t thread;

        (void)state;
        AUTO(auto_close) int fd = open_directory(AT_FDCWD, place);
        become(0);
        AUTO(auto_close) int outside = make_directory(fd, "outside", 0777);
        assert_int_equal(fchown(outside, OWNER, OWNER), 0);
        become(OWNER);
        write_file(outside, "secret", "secret", 0666);
        AUTO(auto_close) int way = make_directory(source_fd, "way", 0700);
        write_file(way, "mine", "mine", 0600);
        assert_int_equal(symlinkat("../outside", source_fd, "link"), 0);
        assert_true(exists(source_fd, "link/secret")); /* the control: it leads there */
        become_root();
        is_over = false;
        assert_int_equal(pthread_create(&thread, NULL, exchange, NULL), 0);
        for (int i = 0; i < 30; i++) {
                struct seen seen = run(STORAGE_COPY, source_fd, target_fd);

                assert_true(seen.why.kind == FAULT_NONE || seen.why.kind == FAULT_FILE_REFUSED);
                assert_false(exists(target_fd, "files/way/secret") && !S_ISLNK(look(target_fd, "files/way").st_mode));
                assert_false(exists(target_fd, "files/link/secret") && !S_ISLNK(look(target_fd, "files/link").st_mode));
        }
        for (int i = 0; i < 10; i++)
                (void)run(STORAGE_CLEAR, source_fd, -1);
        is_over = true;
        (void)pthread_join(thread, NULL);
        assert_true(has_content(outside, "secret", "secret"));
}

/* ---- the process, if it is taken over ---- */

enum { INSIDE_FAILED = 100 };

static int inside(void)
{
        struct stat root;
        struct stat here;
        struct stat above;
        struct isolation isolation = { .source_fd = dup(source_fd),
                                       .target_fd = dup(target_fd),
                                       .is_source_read_only = true,
                                       .parent = getppid(),
                                       .uid = OWNER,
                                       .gid = OWNER,
                                       .capabilities = CAPABILITY(CAP_DAC_OVERRIDE) };

        if (isolate(&isolation, NULL) < 0)
                return INSIDE_FAILED;
        if (mkdirat(isolation.target_fd, "control", 0700) < 0)
                return 1;
        if (mkdirat(isolation.source_fd, "x", 0700) == 0 || errno != EROFS)
                return 2;
        if (fstatat(isolation.target_fd, "../../..", &above, 0) < 0 || fstat(isolation.target_fd, &here) < 0 ||
            above.st_ino != here.st_ino || above.st_dev != here.st_dev)
                return 3;
        if (stat("/", &root) < 0 || root.st_nlink != 2 || open("/etc/passwd", O_RDONLY | O_CLOEXEC) >= 0)
                return 4;
        if (mkdir("/x", 0700) == 0 || errno != EROFS)
                return 5;
        if (mknodat(isolation.target_fd, "null", S_IFCHR | 0666, makedev(1, 3)) == 0 || errno != ENOSYS)
                return 6;
        if (fork() >= 0 || socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) >= 0 || kill(getppid(), 0) == 0)
                return 7;
        if (fchownat(isolation.target_fd, "control", 0, 0, 0) == 0 || setuid(0) == 0 || chroot(".") == 0)
                return 8;
        return 0;
}

static void a_process_that_is_taken_over_reaches_nothing_else(void **state)
{
        int status = 0;
        pid_t pid = fork();

        (void)state;
        if (pid == 0)
                _exit(inside());
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
        assert_int_equal(look(target_fd, "control").st_uid, OWNER);
}

int main(int argc, char **argv)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(hostile_trees, set_up, tear_down),
                cmocka_unit_test_setup_teardown(a_directory_with_100000_files, set_up_in_memory, tear_down),
                cmocka_unit_test_setup_teardown(a_foreign_file_is_refused_and_still_removed, set_up, tear_down),
                cmocka_unit_test_setup_teardown(a_tree_deeper_than_any_path_is_refused_and_still_removed,
                                                set_up_in_memory, tear_down),
                cmocka_unit_test_setup_teardown(a_file_with_a_lease_is_refused_at_once, set_up, tear_down),
                cmocka_unit_test_setup_teardown(bounds_hold, set_up, tear_down),
                cmocka_unit_test_setup_teardown(a_full_disk_is_cleared, set_up, tear_down),
                cmocka_unit_test_setup_teardown(a_killed_copy_goes_on, set_up_in_memory, tear_down),
                cmocka_unit_test_setup_teardown(links_are_not_followed_while_they_are_exchanged, set_up, tear_down),
                cmocka_unit_test_setup_teardown(a_process_that_is_taken_over_reaches_nothing_else, set_up, tear_down),
        };
        char helper[PATH_MAX];
        int r;

        loop = ev_loop_new(EVFLAG_AUTO);
        if (argc != 2 || realpath(argv[1], helper) == NULL || loop == NULL ||
            storage_new(&storage, loop, helper, 4) < 0)
                return 99;
        r = cmocka_run_group_tests(tests, NULL, NULL);
        storage = storage_free(storage);
        ev_loop_destroy(loop);
        return r;
}
