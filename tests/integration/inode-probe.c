/* Inside a carrel: `inode-probe watch PATH...` prints the accesses to these paths, `inode-probe lock PATH...` locks
 * them. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATHS_MAX = 64, EVENTS_BYTES = 16384 };

/* Every exec opens /dev/null to read; that is no event. */
static uint32_t events_of(const char *path)
{
        struct stat status;

        return stat(path, &status) == 0 && S_ISCHR(status.st_mode) ? IN_CLOSE_WRITE : IN_OPEN;
}

/* A line for each event: the path. */
static int watch(char **paths, int count)
{
        static char events[EVENTS_BYTES] __attribute__((aligned(__alignof__(struct inotify_event))));
        const char *watched[PATHS_MAX + 2] = { NULL };
        int fd = inotify_init1(IN_CLOEXEC);

        for (int i = 0; i < count; i++) {
                int number = inotify_add_watch(fd, paths[i], events_of(paths[i]));

                if (number < 0 || number >= PATHS_MAX + 2)
                        return printf("cannot watch %s: %s\n", paths[i], strerror(errno)) > 0;
                watched[number] = paths[i];
        }
        puts("watching");
        for (;;) {
                ssize_t n;

                (void)fflush(stdout);
                n = read(fd, events, sizeof events);
                if (n <= 0)
                        return 1;
                for (char *at = events; at < events + n;) {
                        const struct inotify_event *event = (const struct inotify_event *)at;

                        puts(watched[event->wd]);
                        at += sizeof *event + event->len;
                }
        }
}

/* "locked", and it stays so; or a line for each that somebody else has. */
static int lock(char **paths, int count)
{
        int refused = 0;

        for (int i = 0; i < count; i++) {
                int fd = open(paths[i], O_RDONLY | O_CLOEXEC);

                if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
                        continue;
                printf("%s\n", paths[i]);
                refused++;
        }
        if (refused > 0)
                return 1;
        puts("locked");
        (void)fflush(stdout);
        for (;;)
                (void)pause();
}

int main(int argc, char **argv)
{
        if (argc < 3 || argc > PATHS_MAX)
                return 2;
        return strcmp(argv[1], "watch") == 0 ? watch(argv + 2, argc - 2) : lock(argv + 2, argc - 2);
}
