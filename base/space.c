#include "space.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"

enum { END_WAIT_NS = 100 * 1000 * 1000 };

struct space_watch {
        char *directory;
        pthread_t thread;
        pthread_mutex_t mutex; /* guards the fields below; never held during statvfs */
        struct space space;    /* its age is not set */
        double looked_at_s;    /* 0: never */
        bool is_over;          /* the thread has ended its work */
        bool is_abandoned;     /* the thread frees the watch */
        int end_fd;            /* an eventfd */
};

static void release(struct space_watch *watch)
{
        if (watch->end_fd >= 0)
                close(watch->end_fd);
        (void)pthread_mutex_destroy(&watch->mutex);
        free(watch->directory);
        free(watch);
}

static void note(struct space_watch *watch, const struct statvfs *disk)
{
        (void)pthread_mutex_lock(&watch->mutex);
        watch->space = (struct space){
                .size_bytes = (uint64_t)disk->f_blocks * disk->f_frsize,
                .free_bytes = (uint64_t)disk->f_bavail * disk->f_frsize,
                .inodes = disk->f_files,
                .free_inodes = disk->f_favail,
        };
        watch->looked_at_s = clock_boottime_s();
        (void)pthread_mutex_unlock(&watch->mutex);
}

static void *look(void *arg)
{
        struct space_watch *watch = arg;
        struct pollfd end = { .fd = watch->end_fd, .events = POLLIN };
        struct statvfs disk;
        bool is_abandoned;

        do {
                if (statvfs(watch->directory, &disk) == 0)
                        note(watch, &disk);
        } while (poll(&end, 1, SPACE_LOOK_S * 1000) <= 0);
        (void)pthread_mutex_lock(&watch->mutex);
        watch->is_over = true;
        is_abandoned = watch->is_abandoned;
        (void)pthread_mutex_unlock(&watch->mutex);
        if (is_abandoned)
                release(watch);
        return NULL;
}

/* Blocks all signals in the thread: the loop handles them. */
static int begin(struct space_watch *watch)
{
        sigset_t all, mask;
        int r;

        (void)sigfillset(&all);
        (void)pthread_sigmask(SIG_SETMASK, &all, &mask);
        r = pthread_create(&watch->thread, NULL, look, watch);
        (void)pthread_sigmask(SIG_SETMASK, &mask, NULL);
        return -r;
}

int space_watch_new(struct space_watch **ret_watch, const char *directory)
{
        struct space_watch *watch = calloc(1, sizeof *watch);
        int r = 0;

        if (watch == NULL)
                return -ENOMEM;
        (void)pthread_mutex_init(&watch->mutex, NULL);
        watch->directory = strdup(directory);
        watch->end_fd = eventfd(0, EFD_CLOEXEC);
        if (watch->directory == NULL)
                r = -ENOMEM;
        else if (watch->end_fd < 0)
                r = -errno;
        if (r == 0)
                r = begin(watch);
        if (r < 0) {
                release(watch);
                return r;
        }
        *ret_watch = watch;
        return 0;
}

static bool has_ended(struct space_watch *watch)
{
        struct timespec until;

        (void)clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += END_WAIT_NS;
        if (until.tv_nsec >= 1000L * 1000 * 1000) {
                until.tv_nsec -= 1000L * 1000 * 1000;
                until.tv_sec++;
        }
        return pthread_clockjoin_np(watch->thread, NULL, CLOCK_MONOTONIC, &until) == 0;
}

/* True: the thread still works, and frees the watch when it ends. */
static bool abandon(struct space_watch *watch)
{
        bool is_over;

        (void)pthread_mutex_lock(&watch->mutex);
        is_over = watch->is_over;
        watch->is_abandoned = !is_over;
        if (!is_over)
                (void)pthread_detach(watch->thread);
        (void)pthread_mutex_unlock(&watch->mutex);
        return !is_over;
}

struct space_watch *space_watch_free(struct space_watch *watch)
{
        if (watch == NULL)
                return NULL;
        (void)eventfd_write(watch->end_fd, 1);
        if (!has_ended(watch)) {
                if (abandon(watch))
                        return NULL;
                (void)pthread_join(watch->thread, NULL);
        }
        release(watch);
        return NULL;
}

bool space_watch_read(struct space_watch *watch, struct space *ret_space)
{
        double looked_at_s;

        (void)pthread_mutex_lock(&watch->mutex);
        looked_at_s = watch->looked_at_s;
        *ret_space = watch->space;
        (void)pthread_mutex_unlock(&watch->mutex);
        ret_space->age_s = clock_boottime_s() - looked_at_s;
        return looked_at_s > 0;
}
