/* The command-line client of the embedded engine. It works on the same records as carreld does.
 *
 *   oci-tool STATE_DIR IMAGE_DIR CGROUP run NAME LABEL=VALUE...     starts a container that only waits
 *   oci-tool STATE_DIR IMAGE_DIR CGROUP claim NAME NEW_NAME LABEL=VALUE...
 *   oci-tool STATE_DIR IMAGE_DIR CGROUP remove NAME
 *   oci-tool STATE_DIR IMAGE_DIR CGROUP follow                      prints "create NAME" and "start NAME" */
#include <cjson/cJSON.h>
#include <errno.h>
#include <ev.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "oci.h"

enum { LABELS_MAX = 8, FOLLOWED_MAX = 16384 };

struct tool {
        struct ev_loop *loop;
        struct engine *engine;
        const char *cgroup;
        char id[ENGINE_ID_BYTES];
        struct fault why;
};

static void on_done(void *arg, const struct engine_reply *reply, const struct fault *why)
{
        struct tool *tool = arg;

        if (why != NULL)
                tool->why = *why;
        else if (reply->id != NULL)
                snprintf(tool->id, sizeof tool->id, "%s", reply->id);
        ev_break(tool->loop, EVBREAK_ALL);
}

static void await(struct tool *tool, int r, const char *what)
{
        if (r == 0)
                ev_run(tool->loop, 0);
        if (r == 0 && tool->why.kind == FAULT_NONE)
                return;
        fprintf(stderr, "oci-tool: cannot %s: %s\n", what, r < 0 ? strerror(-r) : tool->why.message);
        exit(EXIT_FAILURE);
}

/* Cuts the texts "LABEL=VALUE". Returns how many there are. */
static size_t split_labels(int n_labels, char **labels, struct label ret_labels[static LABELS_MAX])
{
        size_t n = 0;

        for (; n < (size_t)n_labels && n < LABELS_MAX; n++) {
                ret_labels[n].key = strsep(&labels[n], "=");
                ret_labels[n].value = labels[n] != NULL ? labels[n] : "";
        }
        return n;
}

static int run(struct tool *tool, const char *name, int n_labels, char **labels)
{
        static const char *const ARGV[] = { "/bin/sleep", "1000000", NULL };
        static const char *const NOTHING[] = { NULL };
        static const char *const RESOLVERS[] = { "127.0.0.1", NULL };
        struct label pairs[LABELS_MAX];
        struct engine_call *call;
        const struct container_spec spec = {
                .name = name,
                .image = "carrel-sandbox:latest",
                .argv = ARGV,
                .environment = NOTHING,
                .working_dir = "/",
                .hostname = "decoy",
                .uid = 1000,
                .gid = 1000,
                .owner_uid = 1000,
                .owner_gid = 1000,
                .labels = pairs,
                .n_labels = split_labels(n_labels, labels, pairs),
                .dns = RESOLVERS,
                .memory_bytes = 64 << 20,
                .cpu_millis = 1000,
                .pids = 64,
                .nofile = 256,
                .shm_bytes = 1 << 20,
                .cgroup_parent = tool->cgroup,
        };

        await(tool, tool->engine->ops->create(tool->engine, &spec, on_done, tool, &call), "create a container");
        await(tool, tool->engine->ops->start(tool->engine, tool->id, on_done, tool, &call), "start a container");
        return EXIT_SUCCESS;
}

static int claim(struct tool *tool, const char *name, const char *new_name, int n_labels, char **labels)
{
        struct label pairs[LABELS_MAX];
        size_t n = split_labels(n_labels, labels, pairs);
        struct engine_call *call;

        await(tool, tool->engine->ops->claim(tool->engine, name, new_name, pairs, n, on_done, tool, &call),
              "claim a container");
        return EXIT_SUCCESS;
}

static int remove_container(struct tool *tool, const char *name)
{
        struct engine_call *call;

        await(tool, tool->engine->ops->remove(tool->engine, name, on_done, tool, &call), "remove a container");
        return EXIT_SUCCESS;
}

/* ---- follow ---- */

struct followed {
        char name[ENGINE_NAME_BYTES];
        char path[PATH_MAX];
        bool is_created, is_started;
};

static void read_name(struct followed *followed)
{
        char path[PATH_MAX + 16];
        char text[65536];
        size_t length;
        FILE *file;
        cJSON *record;
        const char *name;

        snprintf(path, sizeof path, "%s/state.json", followed->path);
        file = fopen(path, "re");
        if (file == NULL)
                return;
        length = fread(text, 1, sizeof text, file);
        fclose(file);
        record = cJSON_ParseWithLength(text, length);
        name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(record, "name"));
        if (name != NULL) {
                snprintf(followed->name, sizeof followed->name, "%s", name);
                followed->is_created = true;
                printf("create %s\n", name);
        }
        cJSON_Delete(record);
}

static void look(struct followed *followed)
{
        char path[PATH_MAX + 16];

        if (!followed->is_created)
                read_name(followed);
        snprintf(path, sizeof path, "%s/pid", followed->path);
        if (followed->is_created && !followed->is_started && access(path, F_OK) == 0) {
                followed->is_started = true;
                printf("start %s\n", followed->name);
        }
}

static int follow(const char *state_dir)
{
        static struct followed *followed[FOLLOWED_MAX]; /* by watch descriptor */
        char buffer[65536] __attribute__((aligned(__alignof__(struct inotify_event))));
        int fd = inotify_init1(IN_CLOEXEC);
        int top = inotify_add_watch(fd, state_dir, IN_CREATE | IN_ONLYDIR);
        ssize_t n;

        setvbuf(stdout, NULL, _IOLBF, 0);
        while (top >= 0 && (n = read(fd, buffer, sizeof buffer)) > 0) {
                for (char *at = buffer; at < buffer + n;) {
                        const struct inotify_event *event = (const struct inotify_event *)(void *)at;
                        struct followed *one = NULL;

                        at += sizeof *event + event->len;
                        if (event->wd == top && strlen(event->name) == 64) {
                                one = calloc(1, sizeof *one);
                                snprintf(one->path, sizeof one->path, "%s/%s", state_dir, event->name);
                                int wd = inotify_add_watch(fd, one->path, IN_MOVED_TO | IN_CREATE | IN_CLOSE_WRITE);
                                if (wd >= 0 && wd < FOLLOWED_MAX)
                                        followed[wd] = one;
                        } else if (event->wd > 0 && event->wd < FOLLOWED_MAX) {
                                one = followed[event->wd];
                        }
                        if (one != NULL)
                                look(one);
                }
        }
        return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
        struct tool tool = { .loop = ev_loop_new(EVFLAG_AUTO), .cgroup = argc > 3 ? argv[3] : "" };
        const char *verb = argc > 4 ? argv[4] : "";
        const struct oci_options options = {
                .state_dir = argc > 1 ? argv[1] : "",
                .image_dir = argc > 2 ? argv[2] : "",
                .userns = OCI_USERNS_AUTO,
                .userns_base = 1879048192U,
        };
        int status = EXIT_FAILURE;

        if (strcmp(verb, "follow") == 0)
                return follow(argv[1]);
        if (argc < 6 || tool.loop == NULL || oci_new(&tool.engine, tool.loop, &options, &tool.why) < 0) {
                fprintf(stderr, "oci-tool: %s\n", argc < 6 ? "too few words" : tool.why.message);
                return EXIT_FAILURE;
        }
        if (strcmp(verb, "run") == 0)
                status = run(&tool, argv[5], argc - 6, argv + 6);
        else if (strcmp(verb, "claim") == 0 && argc > 6)
                status = claim(&tool, argv[5], argv[6], argc - 7, argv + 7);
        else if (strcmp(verb, "remove") == 0)
                status = remove_container(&tool, argv[5]);
        tool.engine->ops->free(tool.engine);
        ev_loop_destroy(tool.loop);
        return status;
}
