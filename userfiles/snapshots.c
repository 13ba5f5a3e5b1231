#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "failpoint.h"
#include "scope.h"
#include "str.h"
#include "userfiles-inside.h"

/* Below users_dir: USER/NAME, each a directory with `files` and META. They belong to the owner of the files, so that
 * the job that removes them may; nobody reaches them, because SNAPSHOTS_DIR is root's (0700). */
static const char SNAPSHOTS_DIR[] = ".carrel-snapshots";
static const char FILES[] = "files";
/* A link, as it is made in one step: "entries bytes milliseconds". */
static const char META[] = "meta";
/* The beginning of the name of a copy that is not complete. */
static const char WORK[] = ".new-";

enum { WORK_BYTES = TREE_NAME_BYTES + sizeof WORK, META_BYTES = 80, MODE = 0700 };

struct userfiles_operation {
        struct list node;
        struct userfiles *files;
        enum userfiles_copy what;
        char user[USER_ID_MAX + 1];
        char name[USER_ID_MAX + 1];
        char work[WORK_BYTES]; /* in SNAPSHOTS_DIR; "": not made yet */
        struct pool_owner owner;
        int source_fd; /* -1: not opened */
        struct pool_wait *wait;
        struct storage_job *job;
        struct storage_tally tally;
        struct fault why; /* of its answer; FAULT_NONE: it is done */
        bool is_holding;
        bool has_frozen;
        userfiles_on_copied on_copied; /* NULL: the caller has left */
        void *arg;
};

_Static_assert((int)SNAPSHOT_NAME_MAX == (int)USER_ID_MAX, "name has room for both");

/* ---- what there is ---- */

int snapshot_name_check(const char *name, struct fault *why)
{
        if (user_id_check(name, strnlen(name, SNAPSHOT_NAME_MAX + 1), NULL) == 0)
                return 0;
        return fault_set(
                why, FAULT_REQUEST_INVALID, EINVAL,
                "a snapshot's name has 1 to %d letters, digits, '.', '_' or '-', and begins with a letter or a "
                "digit",
                SNAPSHOT_NAME_MAX);
}

static int open_user(const struct userfiles *files, const char *user)
{
        int fd = openat(files->snapshots_fd, user, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        return fd < 0 ? -errno : fd;
}

static int read_meta(int user_fd, const char *name, struct snapshot *ret_snapshot)
{
        char path[SNAPSHOT_NAME_MAX + sizeof META + 1];
        char text[META_BYTES] = "";
        struct snapshot snapshot = { 0 };

        (void)snprintf(path, sizeof path, "%s/%s", name, META);
        if (readlinkat(user_fd, path, text, sizeof text - 1) < 0)
                return -errno;
        if (sscanf(text, "%" SCNu64 " %" SCNu64 " %" SCNd64, &snapshot.entries, &snapshot.bytes,
                   &snapshot.created_wall_ms) != 3) /* NOLINT(cert-err34-c): written by us alone */
                return -EBADMSG;
        (void)snprintf(snapshot.name, sizeof snapshot.name, "%s", name);
        *ret_snapshot = snapshot;
        return 0;
}

int userfiles_snapshot(const struct userfiles *files, const char *user, const char *name, struct snapshot *ret_snapshot,
                       struct fault *why)
{
        AUTO(auto_close) int fd = -1;
        int r = snapshot_name_check(name, why);

        if (r < 0)
                return r;
        fd = open_user(files, user);
        r = fd < 0 ? fd : read_meta(fd, name, ret_snapshot);
        if (r == -ENOENT)
                return fault_set(why, FAULT_NOT_FOUND, ENOENT, "user %s has no snapshot %s", user, name);
        return r < 0 ? fault_set(why, FAULT_INTERNAL, -r, "cannot read the snapshot: %s", strerrordesc_np(-r)) : 0;
}

int userfiles_snapshots(const struct userfiles *files, const char *user,
                        void (*visit)(void *arg, const struct snapshot *snapshot), void *arg, struct fault *why)
{
        int fd = open_user(files, user);
        DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;
        const struct dirent *entry;
        struct snapshot snapshot = { 0 };

        if (fd == -ENOENT)
                return 0;
        if (directory == NULL) {
                int r = fd < 0 ? fd : -errno;

                auto_close(&fd);
                return fault_set(why, FAULT_INTERNAL, -r, "cannot list the snapshots: %s", strerrordesc_np(-r));
        }
        while ((entry = readdir(directory)) != NULL)
                if (snapshot_name_check(entry->d_name, NULL) == 0 &&
                    read_meta(dirfd(directory), entry->d_name, &snapshot) == 0)
                        visit(arg, &snapshot);
        (void)closedir(directory);
        return 0;
}

struct sum {
        unsigned n;
        uint64_t bytes;
};

static void add(void *arg, const struct snapshot *snapshot)
{
        struct sum *sum = arg;

        sum->n++;
        sum->bytes += snapshot->bytes;
}

/* ---- operations ---- */

static struct userfiles_operation *find_operation(const struct userfiles *files, const char *user)
{
        LIST_EACH (&files->operations, at) {
                struct userfiles_operation *operation = LIST_ENTRY(at, struct userfiles_operation, node);

                if (strcmp(operation->user, user) == 0)
                        return operation;
        }
        return NULL;
}

int snapshots_check_quiet(const struct userfiles *files, const char *user, struct fault *why)
{
        if (find_operation(files, user) == NULL)
                return 0;
        return fault_set(why, FAULT_CARREL_BUSY, EBUSY, "the files of user %s are being copied: try again afterwards",
                         user);
}

int userfiles_snapshot_remove(struct userfiles *files, const char *user, const char *name, struct fault *why)
{
        AUTO(auto_close) int fd = -1;
        struct snapshot snapshot = { 0 };
        int r = userfiles_snapshot(files, user, name, &snapshot, why);

        if (r == 0)
                r = snapshots_check_quiet(files, user, why);
        if (r < 0)
                return r;
        fd = open_user(files, user);
        if (fd < 0)
                return fault_set(why, FAULT_INTERNAL, -fd, "cannot open the snapshots: %s", strerrordesc_np(-fd));
        userfiles_discard(files, fd, name);
        (void)unlinkat(files->snapshots_fd, user, AT_REMOVEDIR); /* if it was the last one */
        return 0;
}

bool snapshots_discard_all(struct userfiles *files, const char *user)
{
        struct stat status;

        if (fstatat(files->snapshots_fd, user, &status, AT_SYMLINK_NOFOLLOW) < 0)
                return false;
        userfiles_discard(files, files->snapshots_fd, user);
        return true;
}

static void operation_free(struct userfiles_operation *operation)
{
        (void)pool_leave(operation->wait);
        (void)storage_cancel(operation->job);
        auto_close(&operation->source_fd);
        list_remove(&operation->node);
        free(operation);
}

/* Whatever is in the work directory goes: a copy that failed, or the files that a restore has replaced. */
static void clean_up(struct userfiles_operation *operation)
{
        struct userfiles *files = operation->files;

        if (operation->work[0] != '\0' && unlinkat(files->snapshots_fd, operation->work, AT_REMOVEDIR) < 0 &&
            errno != ENOENT)
                userfiles_discard(files, files->snapshots_fd, operation->work);
        operation->work[0] = '\0';
}

static void answer(struct userfiles_operation *operation)
{
        userfiles_on_copied on_copied = operation->on_copied;
        struct storage_tally tally = operation->tally;
        struct fault why = operation->why;
        void *arg = operation->arg;

        operation_free(operation);
        if (on_copied != NULL)
                on_copied(arg, &tally, why.kind != FAULT_NONE ? &why : NULL);
}

/* A carrel that does not thaw says so at its next ensure. */
static void on_thawed(void *arg, const struct fault *why)
{
        struct userfiles_operation *operation = arg;

        (void)why;
        operation->wait = NULL;
        answer(operation);
}

/* The answer comes when the carrel is as it was before. */
static void finish(struct userfiles_operation *operation, const struct fault *why)
{
        struct pool *pool = operation->files->pool;

        if (why != NULL)
                operation->why = *why;
        clean_up(operation);
        if (operation->is_holding)
                pool_release(pool, operation->user);
        operation->is_holding = false;
        if (operation->has_frozen)
                pool_thaw(pool, operation->user, on_thawed, operation, &operation->wait);
        else
                answer(operation);
}

struct userfiles_operation *userfiles_forget(struct userfiles_operation *operation)
{
        if (operation != NULL)
                operation->on_copied = NULL;
        return NULL;
}

/* ---- the last step ---- */

static int publish_snapshot(struct userfiles_operation *operation, struct fault *why)
{
        struct userfiles *files = operation->files;
        AUTO(auto_close) int work_fd = -1;
        AUTO(auto_close) int user_fd = -1;
        char meta[META_BYTES];

        if (mkdirat(files->snapshots_fd, operation->user, MODE) < 0 && errno != EEXIST)
                return fault_set(why, FAULT_STORAGE_FULL, errno, "cannot keep the snapshot: %s",
                                 strerrordesc_np(errno));
        user_fd = open_user(files, operation->user);
        work_fd = openat(files->snapshots_fd, operation->work, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        (void)snprintf(meta, sizeof meta, "%" PRIu64 " %" PRIu64 " %" PRId64, operation->tally.entries,
                       operation->tally.bytes, clock_wall_ms());
        if (user_fd < 0 || work_fd < 0 || fchown(user_fd, operation->owner.uid, operation->owner.gid) < 0 ||
            symlinkat(meta, work_fd, META) < 0)
                return fault_set(why, FAULT_STORAGE_FULL, errno, "cannot keep the snapshot: %s",
                                 strerrordesc_np(errno));
        if (renameat2(files->snapshots_fd, operation->work, user_fd, operation->name, RENAME_NOREPLACE) < 0)
                return fault_set(why, errno == EEXIST ? FAULT_NAME_TAKEN : FAULT_INTERNAL, errno,
                                 "cannot keep the snapshot: %s", strerrordesc_np(errno));
        operation->work[0] = '\0';
        return 0;
}

static int publish_files(struct userfiles_operation *operation, const char *user, bool is_replacing, struct fault *why)
{
        AUTO(auto_close)
        int work_fd =
                openat(operation->files->snapshots_fd, operation->work, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        if (work_fd < 0)
                return fault_set(why, FAULT_INTERNAL, errno, "cannot open the copy: %s", strerrordesc_np(errno));
        return pool_put_files(operation->files->pool, user, work_fd, FILES, is_replacing, why);
}

static void on_retired(void *arg, const struct fault *why)
{
        struct userfiles_operation *operation = arg;
        struct fault own = { 0 };
        int r = 0;

        operation->wait = NULL;
        if (why != NULL && why->kind != FAULT_NOT_FOUND)
                r = fault_pass(&own, why);
        if (r == 0)
                r = publish_files(operation, operation->user, true, &own);
        (void)failpoint_hit("restore", "published", "after");
        finish(operation, r < 0 ? &own : NULL);
}

static void judge_idle(void *arg, const struct carrel_view *view)
{
        bool *is_idle = arg;

        *is_idle = (view->state == CARREL_READY || view->state == CARREL_FROZEN || view->state == CARREL_LOST) &&
                   view->execs == 0 && view->lease_left_ms == 0;
}

static int check_idle(const struct userfiles *files, const char *user, struct fault *why)
{
        bool is_idle = true;

        (void)pool_inspect(files->pool, user, judge_idle, &is_idle);
        if (is_idle)
                return 0;
        return fault_set(why, FAULT_CARREL_BUSY, EBUSY,
                         "the carrel of user %s is in use: a restore needs it idle (or remove it first)", user);
}

static void publish(struct userfiles_operation *operation)
{
        struct fault why = { 0 };
        int r = 0;

        (void)failpoint_hit("copy", "published", "before");
        switch (operation->what) {
        case USERFILES_SNAPSHOT:
                r = publish_snapshot(operation, &why);
                break;
        case USERFILES_FORK:
                r = publish_files(operation, operation->name, false, &why);
                break;
        case USERFILES_RESTORE:
                r = check_idle(operation->files, operation->user, &why);
                if (r < 0)
                        break;
                pool_retire(operation->files->pool, operation->user, "restored", on_retired, operation,
                            &operation->wait);
                return;
        }
        (void)failpoint_hit("copy", "published", "after");
        finish(operation, r < 0 ? &why : NULL);
}

/* ---- the copy ---- */

static void on_stored(void *arg, const struct storage_end *end, const struct fault *why)
{
        struct userfiles_operation *operation = arg;
        struct fault own = { 0 };

        operation->job = NULL;
        operation->tally = end->tally;
        if (why != NULL && why->err == EDQUOT && why->kind == FAULT_RESOURCE_EXHAUSTED)
                (void)fault_set(&own, FAULT_STORAGE_FULL, EDQUOT,
                                "the snapshots of user %s would have more than snapshots_size: remove one",
                                operation->user);
        else if (why != NULL)
                own = *why;
        else if (end->tally.changed > 0)
                (void)fault_set(&own, FAULT_FILE_REFUSED, EAGAIN, "the files changed while they were copied");
        if (own.kind != FAULT_NONE)
                finish(operation, &own);
        else
                publish(operation);
}

static const struct storage_events EVENTS = { .done = on_stored };

static int bound(const struct userfiles_operation *operation, uint64_t *ret_max_bytes, struct fault *why)
{
        const struct userfiles_options *options = &operation->files->options;
        struct sum sum = { 0 };
        int r;

        *ret_max_bytes = 0;
        if (operation->what != USERFILES_SNAPSHOT)
                return 0;
        r = userfiles_snapshots(operation->files, operation->user, add, &sum, why);
        if (r < 0)
                return r;
        if (sum.n >= options->snapshots_max)
                return fault_set(why, FAULT_STORAGE_FULL, EDQUOT,
                                 "user %s has %u snapshots already (snapshots_max): remove one", operation->user,
                                 sum.n);
        if (options->snapshots_bytes == 0)
                return 0;
        *ret_max_bytes = sum.bytes < options->snapshots_bytes ? options->snapshots_bytes - sum.bytes : 1;
        return 0;
}

static int make_work(struct userfiles_operation *operation, int *ret_fd, struct fault *why)
{
        struct userfiles *files = operation->files;
        char name[TREE_NAME_BYTES];
        int r = userfiles_random_name(name);

        if (r == 0) {
                (void)snprintf(operation->work, sizeof operation->work, "%s%s", WORK, name);
                r = mkdirat(files->snapshots_fd, operation->work, MODE) < 0 ? -errno : 0;
        }
        if (r == 0) {
                *ret_fd = openat(files->snapshots_fd, operation->work, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
                r = *ret_fd < 0 || fchown(*ret_fd, operation->owner.uid, operation->owner.gid) < 0 ? -errno : 0;
        }
        if (r == -ENOSPC || r == -EDQUOT)
                return fault_set(why, FAULT_STORAGE_FULL, -r, "the disk of users_dir has no room for a copy");
        return r < 0 ? fault_set(why, FAULT_INTERNAL, -r, "cannot make a directory for the copy: %s",
                                 strerrordesc_np(-r))
                     : 0;
}

static void start_copy(struct userfiles_operation *operation)
{
        AUTO(auto_close) int target_fd = -1;
        struct storage_order order = { .verb = STORAGE_COPY,
                                       .user = operation->user,
                                       .owner_uid = operation->owner.uid,
                                       .owner_gid = operation->owner.gid,
                                       .source_fd = operation->source_fd };
        struct fault why = { 0 };
        int r = bound(operation, &order.max_bytes, &why);

        if (r == 0)
                r = make_work(operation, &target_fd, &why);
        order.target_fd = target_fd;
        if (r == 0)
                r = storage_start(operation->files->storage, &order, &EVENTS, operation, &operation->job, &why);
        if (r < 0)
                finish(operation, &why);
}

static void on_frozen(void *arg, const struct fault *why)
{
        struct userfiles_operation *operation = arg;
        struct fault own;

        operation->wait = NULL;
        if (why == NULL || why->kind == FAULT_NOT_FOUND) { /* without a carrel nothing writes */
                start_copy(operation);
                return;
        }
        own = *why;
        operation->has_frozen = false;
        finish(operation, &own);
}

static void note_state(void *arg, const struct carrel_view *view)
{
        *(bool *)arg = view->state == CARREL_READY;
}

/* Nobody may write to the files while they are copied. */
static int start_still(struct userfiles_operation *operation, struct fault *why)
{
        struct pool *pool = operation->files->pool;
        int r = pool_hold(pool, operation->user, why);

        if (r < 0)
                return r;
        operation->is_holding = true;
        (void)pool_inspect(pool, operation->user, note_state, &operation->has_frozen);
        pool_freeze(pool, operation->user, "snapshot", on_frozen, operation, &operation->wait);
        return 0;
}

static int open_snapshot(struct userfiles_operation *operation, struct fault *why)
{
        AUTO(auto_close) int user_fd = -1;
        char path[SNAPSHOT_NAME_MAX + sizeof FILES + 1];
        struct snapshot snapshot = { 0 };
        struct stat status;
        int r = userfiles_snapshot(operation->files, operation->user, operation->name, &snapshot, why);

        if (r == 0)
                r = check_idle(operation->files, operation->user, why);
        if (r == 0)
                r = pool_check_put(operation->files->pool, operation->user, true, why);
        if (r < 0)
                return r;
        user_fd = open_user(operation->files, operation->user);
        (void)snprintf(path, sizeof path, "%s/%s", operation->name, FILES);
        operation->source_fd =
                user_fd < 0 ? -1 : openat(user_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (operation->source_fd < 0 || fstat(operation->source_fd, &status) < 0)
                return fault_set(why, FAULT_INTERNAL, errno, "cannot open the snapshot: %s", strerrordesc_np(errno));
        operation->owner = (struct pool_owner){ status.st_uid, status.st_gid };
        return 0;
}

/* Whether the result's name is free: it is checked again in the last step. */
static int check_name(const struct userfiles_operation *operation, struct fault *why)
{
        const struct userfiles *files = operation->files;
        struct snapshot snapshot = { 0 };
        struct stat status;

        if (operation->what == USERFILES_SNAPSHOT) {
                int r = snapshot_name_check(operation->name, why);

                if (r == 0 && userfiles_snapshot(files, operation->user, operation->name, &snapshot, NULL) == 0)
                        r = fault_set(why, FAULT_NAME_TAKEN, EEXIST, "user %s has a snapshot %s already",
                                      operation->user, operation->name);
                return r;
        }
        if (user_id_check(operation->name, strlen(operation->name), why) < 0)
                return -EINVAL;
        if (fstatat(pool_users_fd(files->pool), operation->name, &status, AT_SYMLINK_NOFOLLOW) == 0)
                return fault_set(why, FAULT_NAME_TAKEN, EEXIST, "user %s has files already", operation->name);
        return pool_check_put(files->pool, operation->name, false, why);
}

static int begin(struct userfiles_operation *operation, struct fault *why)
{
        int r;

        if (operation->what == USERFILES_RESTORE)
                return open_snapshot(operation, why);
        r = check_name(operation, why);
        return r < 0 ? r
                     : pool_open_files(operation->files->pool, operation->user, &operation->owner,
                                       &operation->source_fd, why);
}

static struct userfiles_operation *operation_new(struct userfiles *files, enum userfiles_copy what, const char *user,
                                                 const char *name)
{
        struct userfiles_operation *operation = calloc(1, sizeof *operation);

        if (operation == NULL)
                return NULL;
        *operation = (struct userfiles_operation){ .files = files, .what = what, .source_fd = -1 };
        (void)snprintf(operation->user, sizeof operation->user, "%s", user);
        (void)snprintf(operation->name, sizeof operation->name, "%s", name);
        list_init(&operation->node);
        return operation;
}

void userfiles_copy(struct userfiles *files, enum userfiles_copy what, const char *user, const char *name,
                    userfiles_on_copied on_copied, void *arg, struct userfiles_operation **ret_operation)
{
        struct userfiles_operation *operation = NULL;
        struct fault why = { 0 };
        int r = strlen(name) > SNAPSHOT_NAME_MAX ? snapshot_name_check(name, &why)
                                                 : snapshots_check_quiet(files, user, &why);

        *ret_operation = NULL;
        if (r == 0) {
                operation = operation_new(files, what, user, name);
                r = operation != NULL ? begin(operation, &why)
                                      : fault_set(&why, FAULT_RESOURCE_EXHAUSTED, ENOMEM, "out of memory");
        }
        if (r == 0) {
                operation->on_copied = on_copied;
                operation->arg = arg;
                list_append(&files->operations, &operation->node);
                *ret_operation = operation; /* the callback clears it if it runs at once */
                if (what == USERFILES_RESTORE) {
                        start_copy(operation);
                        return;
                }
                r = start_still(operation, &why);
                if (r == 0)
                        return;
                *ret_operation = NULL;
        }
        if (operation != NULL)
                operation_free(operation);
        on_copied(arg, &(struct storage_tally){ 0 }, &why);
}

/* ---- life ---- */

int snapshots_begin(struct userfiles *files)
{
        int r = userfiles_open_directory(pool_users_fd(files->pool), SNAPSHOTS_DIR, &files->snapshots_fd);
        int fd = r < 0 ? r : openat(files->snapshots_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;
        const struct dirent *entry;

        if (directory == NULL) {
                auto_close(&fd);
                return r < 0 ? r : -ENOMEM;
        }
        while ((entry = readdir(directory)) != NULL)
                if (str_has_prefix(entry->d_name, WORK))
                        userfiles_discard(files, files->snapshots_fd, entry->d_name);
        (void)closedir(directory);
        return 0;
}

void snapshots_end(struct userfiles *files)
{
        LIST_EACH (&files->operations, at)
                operation_free(LIST_ENTRY(at, struct userfiles_operation, node));
        auto_close(&files->snapshots_fd);
}
