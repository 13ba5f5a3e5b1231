#include "reclaim.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "pool-inside.h"
#include "proc-file.h"
#include "scope.h"
#include "slow-write.h"
#include "user-id.h"

enum { RECLAIMS_MAX = 2, COUNT_BYTES = 64 };
#define RECLAIM_S 10.0

struct reclaim {
        struct carrel *carrel;
        struct slow_write *write;
        int directory;       /* the carrel's group in the memory hierarchy */
        int file;            /* that is written */
        bool is_swap_raised; /* its limit of swap is to be lowered again */
        uint64_t before;
        double began_s;
};

/* cgroup v1 (memory.rst, 5.1): force_empty also swaps, within the limit of memory and swap. cgroup v2 (cgroup-v2.rst):
 * reclaim takes the bytes to give back. */
static const struct {
        const char *file, *usage;
} FILES[] = { { "memory.force_empty", "memory.usage_in_bytes" }, { "memory.reclaim", "memory.current" } };
#define SWAP_LIMIT "memory.swap.max"

static uint64_t read_usage(int directory)
{
        for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++) {
                AUTO(auto_free) char *text = NULL;

                if (proc_file_read_at(directory, FILES[i].usage, COUNT_BYTES, &text) == 0)
                        return cgroup_parse_limit(text);
        }
        return CGROUP_UNCOUNTED;
}

static int open_directory(const struct carrel *carrel)
{
        struct cgroup cgroup;
        char *slash;
        int fd;

        if (carrel->pid <= 0 || cgroup_find(&carrel->pool->cgroups, carrel->pid, carrel->id, &cgroup) < 0)
                return -ENOENT;
        slash = strrchr(cgroup.memory_limit_file, '/');
        if (slash == NULL)
                return -ENOENT;
        *slash = '\0';
        fd = open(cgroup.memory_limit_file, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return fd >= 0 ? fd : -errno;
}

static int open_file(int directory)
{
        for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++) {
                int fd = openat(directory, FILES[i].file, O_WRONLY | O_CLOEXEC);

                if (fd >= 0)
                        return fd;
        }
        return -errno;
}

/* The limit says "from" now: writes "to". */
static bool change_swap(int directory, const char *from, const char *to)
{
        AUTO(auto_free) char *text = NULL;
        AUTO(auto_close) int fd = -1;

        if (proc_file_read_at(directory, SWAP_LIMIT, COUNT_BYTES, &text) < 0 ||
            strncmp(text, from, strlen(from)) != 0 || (text[strlen(from)] != '\n' && text[strlen(from)] != '\0'))
                return false;
        fd = openat(directory, SWAP_LIMIT, O_WRONLY | O_CLOEXEC);
        return fd >= 0 && write(fd, to, strlen(to)) > 0;
}

void reclaim_repair(const struct carrel *carrel)
{
        AUTO(auto_close) int directory = open_directory(carrel);

        if (directory >= 0)
                (void)change_swap(directory, "max", "0");
}

static void release(struct reclaim *reclaim)
{
        if (reclaim->is_swap_raised)
                (void)change_swap(reclaim->directory, "max", "0");
        reclaim->carrel->reclaim = NULL;
        reclaim->carrel->pool->n_reclaims--;
        if (reclaim->directory >= 0)
                close(reclaim->directory);
        if (reclaim->file >= 0)
                close(reclaim->file);
        free(reclaim);
}

void reclaim_cancel(struct carrel *carrel)
{
        if (carrel->reclaim == NULL)
                return;
        slow_write_cancel(carrel->reclaim->write);
        release(carrel->reclaim);
}

static void on_written(void *arg)
{
        struct reclaim *reclaim = arg;
        struct carrel *carrel = reclaim->carrel;
        uint64_t after = read_usage(reclaim->directory);
        struct pool_event event = {
                .kind = POOL_RECLAIMED,
                .user = carrel->user,
                .container_id = carrel->id,
                .detail = "",
                .duration_s = clock_boottime_s() - reclaim->began_s,
        };

        if (reclaim->before != CGROUP_UNCOUNTED && after != CGROUP_UNCOUNTED && after < reclaim->before)
                event.bytes = reclaim->before - after;
        release(reclaim);
        listeners_tell(&carrel->pool->listeners, &event);
}

static int start(struct carrel *carrel)
{
        struct pool *pool = carrel->pool;
        struct reclaim *reclaim = calloc(1, sizeof *reclaim);
        char bytes[24];
        int r;

        if (reclaim == NULL)
                return -ENOMEM;
        *reclaim = (struct reclaim){ .carrel = carrel, .file = -1, .began_s = clock_boottime_s() };
        carrel->reclaim = reclaim;
        pool->n_reclaims++;
        r = reclaim->directory = open_directory(carrel);
        if (r >= 0)
                r = reclaim->file = open_file(reclaim->directory);
        if (r >= 0) {
                reclaim->before = read_usage(reclaim->directory);
                reclaim->is_swap_raised = change_swap(reclaim->directory, "0", "max");
                (void)snprintf(bytes, sizeof bytes, "%" PRIu64,
                               reclaim->before != CGROUP_UNCOUNTED ? reclaim->before : 0);
                r = slow_write_start(&reclaim->write, pool->loop, reclaim->file, bytes, RECLAIM_S, on_written, reclaim);
        }
        if (r < 0)
                release(reclaim);
        return r < 0 ? r : 0;
}

int pool_reclaim(struct pool *pool, const char *user)
{
        struct carrel *carrel = user_id_is_valid(user) ? table_find(&pool->table, user) : NULL;

        if (carrel == NULL || carrel->state != CARREL_FROZEN || carrel->task != NULL)
                return -ENOENT;
        if (carrel->is_reclaimed)
                return 0;
        if (pool->n_reclaims == RECLAIMS_MAX)
                return -EAGAIN;
        carrel->is_reclaimed = true; /* also if it fails: it would fail again */
        return start(carrel);
}
