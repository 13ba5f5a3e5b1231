#include "enclosure.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "test-engine.h"

enum { PATH_BYTES = 512, CGROUP_DEPTH = 8, TAIL_BYTES = 8192 };

#define LOG_DIR "/run/testbed"

#define CGROUP2_BESIDE_V1 "/sys/fs/cgroup/unified"
#define CGROUP_VARIABLE "TESTBED_CGROUP"

const char *enclosure_cgroup(void)
{
        return getenv(CGROUP_VARIABLE);
}

bool enclosure_tmpfs_maps_owners(void)
{
        struct utsname host;
        int major = 0, minor = 0;

        return uname(&host) == 0 && sscanf(host.release, "%d.%d", &major, &minor) == 2 &&
               (major > 6 || (major == 6 && minor >= 3));
}

/* ---- logs ---- */

/* The logs vanish with the enclosure. After a failure, only the ends printed here are left. */
void enclosure_print_log(const char *path, long from)
{
        FILE *log = fopen(path, "re");
        char tail[TAIL_BYTES];
        size_t length;

        if (log == NULL)
                return;
        if (fseek(log, -TAIL_BYTES, SEEK_END) != 0 || ftell(log) < from)
                fseek(log, from, SEEK_SET);
        length = fread(tail, 1, sizeof tail, log);
        fclose(log);
        fprintf(stderr, "---- the end of %s\n%.*s\n", path, (int)length, tail);
}

static void print_logs(const char *log_dir)
{
        DIR *dir = opendir(log_dir);
        char path[PATH_BYTES];

        for (struct dirent *entry = dir != NULL ? readdir(dir) : NULL; entry != NULL; entry = readdir(dir))
                if (strstr(entry->d_name, ".log") != NULL && strcmp(entry->d_name, "events.log") != 0)
                        if (snprintf(path, sizeof path, "%s/%.128s", log_dir, entry->d_name) < (int)sizeof path)
                                enclosure_print_log(path, 0);
        if (dir != NULL)
                closedir(dir);
}

/* ---- the supervisor ---- */

static void remove_tree(const char *path, unsigned depth)
{
        DIR *dir = depth > 0 ? opendir(path) : NULL;

        for (struct dirent *entry = dir != NULL ? readdir(dir) : NULL; entry != NULL; entry = readdir(dir)) {
                char child[PATH_BYTES];

                if (entry->d_type == DT_DIR && strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
                    snprintf(child, sizeof child, "%s/%s", path, entry->d_name) < (int)sizeof child)
                        remove_tree(child, depth - 1);
        }
        if (dir != NULL)
                closedir(dir);
        rmdir(path);
}

void enclosure_hide_cgroup2(void)
{
        if (umount2(CGROUP2_BESIDE_V1, MNT_DETACH) == 0)
                assert_return_code(mount("/sys/fs/cgroup/pids", CGROUP2_BESIDE_V1, NULL, MS_BIND, NULL), errno);
}

/* With cgroup v1 each directory of /sys/fs/cgroup is a hierarchy. With v2 there is only one hierarchy. */
static void remove_cgroups(void)
{
        DIR *dir = opendir("/sys/fs/cgroup");
        char path[PATH_BYTES];

        for (struct dirent *entry = dir != NULL ? readdir(dir) : NULL; entry != NULL; entry = readdir(dir)) {
                if (entry->d_name[0] != '.' && snprintf(path, sizeof path, "/sys/fs/cgroup/%s%s", entry->d_name,
                                                        enclosure_cgroup()) < (int)sizeof path)
                        remove_tree(path, CGROUP_DEPTH);
        }
        if (dir != NULL)
                closedir(dir);
        if (snprintf(path, sizeof path, "/sys/fs/cgroup%s", enclosure_cgroup()) < (int)sizeof path)
                remove_tree(path, CGROUP_DEPTH);
}

static void thaw_tree(const char *path, unsigned depth)
{
        DIR *dir = depth > 0 ? opendir(path) : NULL;
        char child[PATH_BYTES];
        int fd;

        for (struct dirent *entry = dir != NULL ? readdir(dir) : NULL; entry != NULL; entry = readdir(dir))
                if (entry->d_type == DT_DIR && entry->d_name[0] != '.' &&
                    snprintf(child, sizeof child, "%s/%s", path, entry->d_name) < (int)sizeof child)
                        thaw_tree(child, depth - 1);
        if (dir != NULL)
                closedir(dir);
        if (snprintf(child, sizeof child, "%s/freezer.state", path) >= (int)sizeof child)
                return;
        fd = open(child, O_WRONLY | O_CLOEXEC);
        if (fd < 0)
                return;
        (void)!write(fd, "THAWED", strlen("THAWED"));
        close(fd);
}

/* On cgroup v1 no frozen process dies. A carrel that a test has left frozen would keep the enclosure from its end. */
static void thaw_cgroups(void)
{
        char path[PATH_BYTES];

        if (snprintf(path, sizeof path, "/sys/fs/cgroup/freezer%s", enclosure_cgroup()) < (int)sizeof path)
                thaw_tree(path, CGROUP_DEPTH);
}

/* See enclosure_hide_cgroup2(). Looks from a mount namespace of its own, as cgroup2 covers the place. */
static bool left_directories(void)
{
        pid_t looker = fork();
        char path[PATH_BYTES];
        int status = 0;

        if (looker == 0) {
                snprintf(path, sizeof path, CGROUP2_BESIDE_V1 "%s", enclosure_cgroup());
                _exit(unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
                      umount2(CGROUP2_BESIDE_V1, MNT_DETACH) == 0 && access(path, F_OK) == 0);
        }
        if (looker < 0 || waitpid(looker, &status, 0) != looker || status == 0)
                return false;
        fprintf(stderr, "The test left %s on the tmpfs below " CGROUP2_BESIDE_V1 "\n", enclosure_cgroup());
        return true;
}

static int exit_status(int wait_status)
{
        return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 128 + WTERMSIG(wait_status);
}

/* Ctrl-C and a timeout of the runner arrive as SIGINT and SIGTERM. The processes inside are ended first, so that their
 * cgroups can be removed. */
static int supervise(pid_t init)
{
        char logs[PATH_BYTES];
        sigset_t awaited;
        int status = 0;

        sigemptyset(&awaited);
        sigaddset(&awaited, SIGCHLD);
        sigaddset(&awaited, SIGINT);
        sigaddset(&awaited, SIGTERM);
        while (waitpid(init, &status, WNOHANG) == 0) {
                int number = 0;

                if (sigwait(&awaited, &number) != 0 || number == SIGCHLD)
                        continue;
                snprintf(logs, sizeof logs, "/proc/%d/root" LOG_DIR, (int)init);
                print_logs(logs);
                kill(init, SIGKILL);
                thaw_cgroups();
        }
        remove_cgroups();
        return left_directories() ? 1 : exit_status(status);
}

/* ---- inside ---- */

/* A mount of sysfs shows the interfaces of the network namespace in which it was made. Only they are replaced, because
 * the cgroups are mounted in /sys, too. */
static bool show_own_interfaces(void)
{
        return mkdir("/run/sysfs", 0755) == 0 &&
               mount("sysfs", "/run/sysfs", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) == 0 &&
               mount("/run/sysfs/devices/virtual/net", "/sys/devices/virtual/net", NULL, MS_BIND, NULL) == 0;
}

static bool furnish(void)
{
        return mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
               mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) == 0 &&
               mount("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=4g") == 0 && show_own_interfaces();
}

static int run_inside(int (*run)(void), const sigset_t *mask)
{
        cmocka_set_test_filter(getenv("TESTBED_ONLY"));
        cmocka_set_skip_filter(getenv("TESTBED_SKIP"));
        sigprocmask(SIG_SETMASK, mask, NULL);
        return run();
}

/* Process 1 of the namespace. It becomes the parent of orphans, and reaps them. */
static int be_init(int (*run)(void), const sigset_t *mask)
{
        pid_t test, ended;
        int status = 0;

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (!furnish()) {
                fprintf(stderr, "testbed: cannot mount inside the enclosure: %s\n", strerror(errno));
                return EXIT_FAILURE;
        }
        test = fork();
        if (test == 0)
                exit(run_inside(run, mask));
        do
                ended = waitpid(-1, &status, 0);
        while (ended != test && (ended > 0 || errno == EINTR));
        if (ended != test || status != 0)
                print_logs(LOG_DIR);
        return ended == test ? exit_status(status) : EXIT_FAILURE;
}

static const char *obstacle(void)
{
        if (geteuid() != 0)
                return "needs root";
        return getenv("TESTBED_ENGINE") != NULL ? engine_obstacle() : NULL;
}

static int skip_all(const char *reason)
{
        bool is_failure = getenv("CARREL_MUST_RUN") != NULL;

        printf(is_failure ? "1..1\nnot ok 1 - %s\n" : "1..0 # SKIP %s\n", reason);
        return is_failure ? EXIT_FAILURE : EXIT_SUCCESS;
}

int enclosure_run(int (*run)(void))
{
        char cgroup[64];
        sigset_t awaited, mask;
        struct timespec now;
        const char *reason = obstacle();
        pid_t init;

        if (reason != NULL)
                return skip_all(reason);
        clock_gettime(CLOCK_BOOTTIME, &now);
        snprintf(cgroup, sizeof cgroup, "/carrel-testbed-%ld-%llx", (long)getpid(),
                 (unsigned long long)now.tv_sec * 1000 + (unsigned long long)now.tv_nsec / 1000000);
        setenv(CGROUP_VARIABLE, cgroup, 1);
        sigfillset(&awaited);
        sigprocmask(SIG_SETMASK, &awaited, &mask);
        fflush(NULL);
        /* clone(2), not unshare(2): after unshare(2) this process could not fork any more once process 1 has ended, and
         * a leak checker forks at exit. */
        init = (pid_t)syscall(SYS_clone, CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID | SIGCHLD, NULL, NULL, NULL, NULL);
        if (init < 0)
                return skip_all("needs the right to make namespaces");
        if (init == 0) {
                int status = be_init(run, &mask);

                thaw_cgroups();
                _exit(status);
        }
        return supervise(init);
}
