/* carrel-storage: one job on a user's tree of files, as a process of its own. `carrel-storage VERB UID GID MAX_BYTES
 * MAX_ENTRIES`, with the directories as descriptors 3 (source) and 4 (target, for copy), and reports on stdout. */
#include <errno.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "capabilities.h"
#include "copy.h"
#include "isolate.h"
#include "measure.h"
#include "progress.h"
#include "str.h"
#include "tree-remove.h"

/* The processes that answer users go first. */
enum { NICENESS = 10 };

struct work {
        enum storage_verb verb;
        uint32_t uid, gid;
        int source_fd, target_fd;
        struct progress progress;
};

/* ---- the verbs ---- */

static int do_copy(struct work *work, struct fault *why)
{
        return copy_tree(work->source_fd, work->target_fd, work->uid, &work->progress, why);
}

static int do_measure(struct work *work, struct fault *why)
{
        return measure_tree(work->source_fd, &work->progress, why);
}

static void on_removed(void *arg)
{
        struct progress *progress = arg;

        progress->tally.entries++;
        progress_tick(progress);
}

/* The disk first knows how the tree came to its place: if the machine crashes, no half of it is at the old one. */
static int do_clear(struct work *work, struct fault *why)
{
        int r = syncfs(work->source_fd) < 0 ? -errno : 0;

        if (r == 0)
                r = tree_clear(work->source_fd, on_removed, &work->progress);
        if (r == 0 && syncfs(work->source_fd) < 0)
                r = -errno;
        return r < 0 ? progress_fail("remove the files", r, why) : 0;
}

/* CAP_DAC_OVERRIDE: the owner may have taken his own rights away (mode 0), for every openat2(2) and every change of a
 * directory. CAP_FOWNER: a directory with the sticky bit that is not his (unlinkat(2) in tree-remove.c). */
static const struct {
        int (*run)(struct work *work, struct fault *why);
        uint64_t capabilities;
        bool is_source_read_only;
        bool has_target;
} VERBS[STORAGE_VERB_COUNT] = {
        [STORAGE_CLEAR] = { do_clear, CAPABILITY(CAP_DAC_OVERRIDE) | CAPABILITY(CAP_FOWNER), false, false },
        [STORAGE_COPY] = { do_copy, CAPABILITY(CAP_DAC_OVERRIDE), true, true },
        [STORAGE_MEASURE] = { do_measure, CAPABILITY(CAP_DAC_OVERRIDE), true, false },
};

/* ---- the start ---- */

static int parse(int argc, char **argv, struct work *work)
{
        uint64_t numbers[4] = { 0 };

        if (argc != 6)
                return -EINVAL;
        while (work->verb < STORAGE_VERB_COUNT && !str_equal(argv[1], STORAGE_VERBS[work->verb]))
                work->verb++;
        if (work->verb == STORAGE_VERB_COUNT)
                return -EINVAL;
        for (int i = 0; i < 4; i++)
                if (str_parse_u64(argv[i + 2], 0, i < 2 ? UINT32_MAX - 1 : UINT64_MAX, &numbers[i]) < 0)
                        return -EINVAL;
        if (numbers[0] == 0)
                return -EINVAL;
        work->uid = (uint32_t)numbers[0];
        work->gid = (uint32_t)numbers[1];
        work->progress.max_bytes = numbers[2];
        work->progress.max_entries = numbers[3];
        return 0;
}

static int run(struct work *work, struct fault *why)
{
        struct isolation isolation = {
                .source_fd = STORAGE_SOURCE_FD,
                .target_fd = VERBS[work->verb].has_target ? STORAGE_TARGET_FD : -1,
                .is_source_read_only = VERBS[work->verb].is_source_read_only,
                .parent = getppid(),
                .uid = work->uid,
                .gid = work->gid,
                .capabilities = VERBS[work->verb].capabilities,
        };
        int r = isolate(&isolation, why);

        if (r < 0)
                return r;
        work->source_fd = isolation.source_fd;
        work->target_fd = isolation.target_fd;
        return VERBS[work->verb].run(work, why);
}

int main(int argc, char **argv)
{
        struct work work = { .source_fd = -1, .target_fd = -1, .progress = { .fd = STDOUT_FILENO } };
        struct fault why = { 0 };

        if (parse(argc, argv, &work) < 0) {
                (void)fprintf(stderr, "carrel-storage: only carreld starts this program\n");
                return 2;
        }
        (void)signal(SIGPIPE, SIG_IGN);
        (void)umask(0);
        (void)setpriority(PRIO_PROCESS, 0, NICENESS);
        if (run(&work, &why) < 0 && why.kind == FAULT_NONE)
                (void)fault_set(&why, FAULT_INTERNAL, EIO, "carrel-storage failed without a reason");
        /* Without handlers at the exit: that of LeakSanitizer makes a process, which the filter refuses. */
        _exit(progress_end(&work.progress, &why) < 0 || why.kind != FAULT_NONE ? 1 : 0);
}
