#include "userfiles.h"

#include <dirent.h>
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "failpoint.h"
#include "scope.h"
#include "userfiles-inside.h"

/* Below users_dir; no user's id begins with a dot. */
static const char ERASED_DIR[] = ".carrel-erased";

enum { JOBS_MAX = 2, DIRECTORY_MODE = 0700 };

#define RETRY_S 60.0

/* One caller. */
struct userfiles_wait {
        struct list node;
        struct userfiles *files;
        struct pool_wait *retirement;
        bool had_carrel;
        char user[USER_ID_MAX + 1];
        userfiles_on_erased on_erased; /* NULL: the caller has left */
        void *arg;
};

/* A directory in ERASED_DIR. */
struct erasure {
        struct list node;
        struct userfiles *files;
        char name[TREE_NAME_BYTES];
        struct storage_job *job;     /* NULL: it waits */
        struct userfiles_wait *wait; /* NULL: an earlier carreld began it, or its caller has its answer */
};

/* ---- callers ---- */

static void answer(struct userfiles_wait *wait, uint64_t n_removed, const struct fault *why)
{
        userfiles_on_erased on_erased = wait->on_erased;
        void *arg = wait->arg;

        list_remove(&wait->node);
        free(wait);
        if (on_erased != NULL)
                on_erased(arg, n_removed, why);
}

struct userfiles_wait *userfiles_leave(struct userfiles_wait *wait)
{
        if (wait != NULL)
                wait->on_erased = NULL;
        return NULL;
}

/* ---- the removal ---- */

static void start_some(struct userfiles *files);

static void finish(struct erasure *erasure, uint64_t n_removed, const struct fault *why)
{
        struct userfiles *files = erasure->files;
        struct userfiles_wait *wait = TAKE(erasure->wait);

        if (why == NULL) {
                list_remove(&erasure->node);
                free(erasure);
                files->stats.erased++;
        } else {
                list_remove(&erasure->node);
                list_append(&files->pending, &erasure->node);
                files->stats.failed++;
                ev_timer_again(files->loop, &files->retry);
        }
        if (wait != NULL)
                answer(wait, n_removed, why);
}

static void on_cleared(void *arg, const struct storage_end *end, const struct fault *why)
{
        struct erasure *erasure = arg;
        struct userfiles *files = erasure->files;
        struct fault own = { 0 };

        erasure->job = NULL;
        files->n_running--;
        if (why == NULL)
                (void)failpoint_hit("erase", "cleared", "before");
        if (why == NULL && unlinkat(files->erased_fd, erasure->name, AT_REMOVEDIR) < 0 && errno != ENOENT) {
                (void)fault_set(&own, FAULT_INTERNAL, errno, "cannot remove an erased directory: %s",
                                strerrordesc_np(errno));
                why = &own;
        }
        finish(erasure, end->tally.entries, why);
        if (why == NULL)
                start_some(files);
}

static const struct storage_events EVENTS = { .done = on_cleared };

static int start(struct erasure *erasure, struct fault *why)
{
        struct userfiles *files = erasure->files;
        AUTO(auto_close)
        int fd = openat(files->erased_fd, erasure->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        struct storage_order order = { .verb = STORAGE_CLEAR, .user = "", .source_fd = fd, .target_fd = -1 };
        struct stat status;

        if (fd < 0 || fstat(fd, &status) < 0)
                return fault_set(why, FAULT_INTERNAL, errno, "cannot open an erased directory: %s",
                                 strerrordesc_np(errno));
        order.owner_uid = status.st_uid;
        order.owner_gid = status.st_gid;
        return storage_start(files->storage, &order, &EVENTS, erasure, &erasure->job, why);
}

/* One that fails to start waits for the timer, and so do those after it. */
static void start_some(struct userfiles *files)
{
        LIST_EACH (&files->pending, at) {
                struct erasure *erasure = LIST_ENTRY(at, struct erasure, node);
                struct fault why = { 0 };

                if (files->n_running == JOBS_MAX)
                        return;
                if (erasure->job != NULL)
                        continue;
                if (start(erasure, &why) < 0) {
                        finish(erasure, 0, &why);
                        return;
                }
                files->n_running++;
        }
}

static void on_retry(struct ev_loop *loop, ev_timer *timer, int events)
{
        ev_timer_stop(loop, timer);
        start_some(timer->data);
}

static struct erasure *erasure_new(struct userfiles *files, const char *name)
{
        struct erasure *erasure = calloc(1, sizeof *erasure);

        if (erasure == NULL)
                return NULL;
        erasure->files = files;
        (void)snprintf(erasure->name, sizeof erasure->name, "%s", name);
        list_append(&files->pending, &erasure->node);
        return erasure;
}

void userfiles_discard(struct userfiles *files, int from_fd, const char *name)
{
        char erased[TREE_NAME_BYTES];
        struct erasure *erasure = userfiles_random_name(erased) == 0 ? erasure_new(files, erased) : NULL;

        if (erasure == NULL)
                return; /* the next start finds it */
        if (renameat2(from_fd, name, files->erased_fd, erased, RENAME_NOREPLACE) < 0) {
                list_remove(&erasure->node);
                free(erasure);
                return;
        }
        start_some(files);
}

/* ---- erase ---- */

int userfiles_random_name(char name[static TREE_NAME_BYTES])
{
        uint64_t numbers[2];

        if (getrandom(numbers, sizeof numbers, 0) != (ssize_t)sizeof numbers)
                return -EIO;
        (void)snprintf(name, TREE_NAME_BYTES, "%016llx%016llx", (unsigned long long)numbers[0],
                       (unsigned long long)numbers[1]);
        return 0;
}

/* NULL with why: nothing was moved. */
static struct erasure *move_away(struct userfiles *files, const char *user, struct fault *why)
{
        char name[TREE_NAME_BYTES];
        struct erasure *erasure;
        int r = userfiles_random_name(name);

        erasure = r == 0 ? erasure_new(files, name) : NULL;
        if (erasure == NULL) {
                (void)fault_set(why, FAULT_RESOURCE_EXHAUSTED, ENOMEM, "cannot erase a user's files: out of memory");
                return NULL;
        }
        (void)failpoint_hit("erase", "moved", "before");
        if (pool_move_files(files->pool, user, files->erased_fd, name, why) < 0) {
                list_remove(&erasure->node);
                free(erasure);
                return NULL;
        }
        (void)failpoint_hit("erase", "moved", "after");
        return erasure;
}

/* The carrel is gone, and no ensure has begun: this runs before anything else of that user. */
static void go_on(struct userfiles_wait *wait)
{
        struct userfiles *files = wait->files;
        struct fault why = { 0 };
        struct erasure *erasure = move_away(files, wait->user, &why);

        if (erasure == NULL) {
                bool had_some =
                        why.kind == FAULT_NOT_FOUND && (snapshots_discard_all(files, wait->user) || wait->had_carrel);

                answer(wait, 0, had_some ? NULL : &why);
                return;
        }
        erasure->wait = wait;
        snapshots_discard_all(files, wait->user);
        start_some(files);
}

static void on_retired(void *arg, const struct fault *why)
{
        struct userfiles_wait *wait = arg;

        wait->retirement = NULL;
        wait->had_carrel = why == NULL;
        if (why != NULL && why->kind != FAULT_NOT_FOUND)
                answer(wait, 0, why);
        else
                go_on(wait);
}

void userfiles_erase(struct userfiles *files, const char *user, userfiles_on_erased on_erased, void *arg,
                     struct userfiles_wait **ret_wait)
{
        struct userfiles_wait *wait = calloc(1, sizeof *wait);
        struct pool_stats stats;
        struct fault why = { 0 };

        *ret_wait = NULL;
        pool_stats(files->pool, &stats);
        if (wait == NULL)
                (void)fault_set(&why, FAULT_RESOURCE_EXHAUSTED, ENOMEM, "out of memory");
        else if (user_id_check(user, strnlen(user, USER_ID_MAX + 1), &why) == 0 && !stats.has_reconciled)
                (void)fault_set(&why, FAULT_ENGINE_UNAVAILABLE, EAGAIN,
                                "carreld is starting: it does not know yet whether the user has a carrel");
        else if (why.kind == FAULT_NONE)
                (void)snapshots_check_quiet(files, user, &why);
        if (wait == NULL || why.kind != FAULT_NONE) {
                free(wait);
                why.retry_after_s = why.kind == FAULT_ENGINE_UNAVAILABLE;
                on_erased(arg, 0, &why);
                return;
        }
        *wait = (struct userfiles_wait){ .files = files, .on_erased = on_erased, .arg = arg };
        (void)snprintf(wait->user, sizeof wait->user, "%s", user);
        list_append(&files->waits, &wait->node);
        *ret_wait = wait; /* the callback clears it if it runs at once */
        pool_retire(files->pool, user, "erased", on_retired, wait, &wait->retirement);
}

/* ---- life ---- */

/* The trees that an earlier carreld has not removed. */
static int find_leftovers(struct userfiles *files)
{
        int fd = openat(files->erased_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;
        const struct dirent *entry;
        int r = 0;

        if (directory == NULL) {
                r = -errno;
                if (fd >= 0)
                        close(fd);
                return r;
        }
        while (r == 0 && (entry = readdir(directory)) != NULL)
                if (entry->d_name[0] != '.' && strlen(entry->d_name) < TREE_NAME_BYTES &&
                    erasure_new(files, entry->d_name) == NULL)
                        r = -ENOMEM;
        (void)closedir(directory);
        return r;
}

int userfiles_open_directory(int users_fd, const char *name, int *ret_fd)
{
        if (mkdirat(users_fd, name, DIRECTORY_MODE) < 0 && errno != EEXIST)
                return -errno;
        *ret_fd = openat(users_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        return *ret_fd < 0 ? -errno : 0;
}

int userfiles_new(struct userfiles **ret_files, struct ev_loop *loop, struct pool *pool, struct storage *storage,
                  const struct userfiles_options *options, struct fault *why)
{
        struct userfiles *files = calloc(1, sizeof *files);
        int r = -ENOMEM;

        if (files != NULL) {
                *files = (struct userfiles){ .loop = loop,
                                             .pool = pool,
                                             .storage = storage,
                                             .options = *options,
                                             .erased_fd = -1,
                                             .snapshots_fd = -1 };
                list_init(&files->operations);
                list_init(&files->waits);
                list_init(&files->pending);
                ev_timer_init(&files->retry, on_retry, 0, RETRY_S);
                files->retry.data = files;
                r = userfiles_open_directory(pool_users_fd(pool), ERASED_DIR, &files->erased_fd);
        }
        if (r == 0)
                r = find_leftovers(files);
        if (r == 0)
                r = snapshots_begin(files);
        if (r < 0) {
                (void)userfiles_free(files);
                return fault_set(why, FAULT_SETTING_INVALID, -r,
                                 "cannot use the directories of erased files and snapshots in users_dir: %s",
                                 strerrordesc_np(-r));
        }
        start_some(files);
        *ret_files = files;
        return 0;
}

struct userfiles *userfiles_free(struct userfiles *files)
{
        if (files == NULL)
                return NULL;
        ev_timer_stop(files->loop, &files->retry);
        LIST_EACH (&files->pending, at) {
                struct erasure *erasure = LIST_ENTRY(at, struct erasure, node);

                (void)storage_cancel(erasure->job);
                free(erasure);
        }
        LIST_EACH (&files->waits, at) {
                struct userfiles_wait *wait = LIST_ENTRY(at, struct userfiles_wait, node);

                (void)pool_leave(wait->retirement);
                free(wait);
        }
        snapshots_end(files);
        auto_close(&files->erased_fd);
        free(files);
        return NULL;
}

void userfiles_stats(const struct userfiles *files, struct userfiles_stats *ret_stats)
{
        *ret_stats = files->stats;
        ret_stats->erasing = 0;
        LIST_EACH (&files->pending, at)
                ret_stats->erasing++;
}
