/* Measures the memory of idle carrels and of carreld, with the containers of `docker run` as a baseline (bench.h). Its
 * users and containers are named bench-memory-* and removed. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "bench-proc.h"
#include "bench.h"

enum {
        NAME_BYTES = 64,
        PATH_BYTES = 128,
        ID_BYTES = 80,
        BATCH = 5, /* containers for each sample of the machine's memory, as one is too few to see */
        CONTAINERS = 40,
        CONTAINERS_MAX = 900,
};

enum row_number { ROW_MACHINE, ROW_KERNEL, ROW_PROCESSES, ROW_CHARGED, ROW_DAEMON, ROW_PER_CARREL, ROWS };

static const struct row EMPTY_ROWS[ROWS] = {
        [ROW_MACHINE] = { .operation = "idle carrel, of the machine's memory", .unit = "MB", .baseline = "docker run" },
        [ROW_KERNEL] = { .operation = "idle carrel, of the kernel's memory", .unit = "MB", .baseline = "docker run" },
        [ROW_PROCESSES] = { .operation = "idle carrel, its processes (Pss)", .unit = "MB", .baseline = "docker run" },
        [ROW_CHARGED] = { .operation = "idle carrel, charged to its cgroup", .unit = "MB", .baseline = "docker run" },
        [ROW_DAEMON] = { .operation = "the daemon and its helpers (Pss)",
                         .unit = "MB",
                         .baseline = "dockerd, containerd" },
        [ROW_PER_CARREL] = { .operation = "the daemon's own, for each carrel", .unit = "kB", .baseline = "dockerd" },
};

/* The containers of carreld or of Docker. */
struct side {
        int (*start)(struct bench *bench, size_t number);
        int (*identify)(struct bench *bench, size_t number, char ret_id[static ID_BYTES]);
        int (*remove)(struct bench *bench, size_t number);
        pid_t daemon;
        size_t count;
};

static double megabytes(double bytes)
{
        return bytes / 1e6;
}

/* ---- carreld ---- */

static int ask_carreld(struct bench *bench, const char *method, size_t number, const char *body)
{
        char path[PATH_BYTES];

        (void)snprintf(path, sizeof path, "/v1/carrels/bench-memory-%zu", number);
        return bench_ask(bench, bench->fd, method, path, body);
}

static int carrel_start(struct bench *bench, size_t number)
{
        return ask_carreld(bench, "PUT", number, "{}");
}

static int carrel_remove(struct bench *bench, size_t number)
{
        return ask_carreld(bench, "DELETE", number, NULL);
}

static int text_of(struct bench *bench, const char *key, char ret_text[static ID_BYTES])
{
        cJSON *answer = cJSON_Parse(bench->answer.body);
        const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(answer, key));
        int r = text != NULL && text[0] != '\0' ? 0 : -EPROTO;

        if (r == 0)
                (void)snprintf(ret_text, ID_BYTES, "%s", text);
        cJSON_Delete(answer);
        return r;
}

static int carrel_identify(struct bench *bench, size_t number, char ret_id[static ID_BYTES])
{
        int r = ask_carreld(bench, "GET", number, NULL);

        return r != 0 ? r : text_of(bench, "container_id", ret_id);
}

/* ---- Docker ---- */

static void name_of(size_t number, char ret_name[static NAME_BYTES])
{
        (void)snprintf(ret_name, NAME_BYTES, "bench-memory-%zu", number);
}

static int docker_start(struct bench *bench, size_t number)
{
        char name[NAME_BYTES];

        name_of(number, name);
        return bench_docker(bench, (const char *const[]){ "run", "-d", "--name", name, "--entrypoint", "sleep",
                                                          bench->image, "3600", NULL });
}

static int docker_remove(struct bench *bench, size_t number)
{
        char name[NAME_BYTES];

        name_of(number, name);
        return bench_docker(bench, (const char *const[]){ "rm", "-f", name, NULL });
}

/* The engine sends its answer in chunks. */
static int docker_identify(struct bench *bench, size_t number, char ret_id[static ID_BYTES])
{
        char path[PATH_BYTES];
        struct plain_stream stream;
        size_t length = 0;
        ssize_t got = 1;
        int fd = plain_connect(bench->docker_socket), r;

        if (fd < 0)
                return fd;
        (void)snprintf(path, sizeof path, "/v1.41/containers/bench-memory-%zu/json", number);
        r = plain_begin(&stream, fd, "GET", path, "", NULL);
        while (r == 0 && got > 0 && length < PLAIN_BODY_BYTES - 1) {
                got = plain_read(&stream, bench->answer.body + length, PLAIN_BODY_BYTES - 1 - length);
                if (got < 0)
                        r = (int)got;
                else
                        length += (size_t)got;
        }
        bench->answer.body[length] = '\0';
        close(fd);
        return r != 0 ? r : text_of(bench, "Id", ret_id);
}

/* ---- the measurement ---- */

/* Adds a sample for each batch. The memory of programs that have just ended is free only a moment later, so the batches
 * vary, and their median counts. */
static int measure_batches(struct bench *bench, const struct side *side, struct samples *ret_machine,
                           struct samples *ret_kernel)
{
        double available_bytes = proc_available_bytes(), kernel_bytes = proc_kernel_bytes();
        int r = samples_open(ret_machine, side->count / BATCH + 1);

        if (r == 0)
                r = samples_open(ret_kernel, side->count / BATCH + 1);
        for (size_t i = 0; i < side->count && r == 0; i++) {
                double available_now_bytes = 0, kernel_now_bytes = 0;

                r = side->start(bench, i);
                if (r != 0 || (i + 1) % BATCH != 0)
                        continue;
                available_now_bytes = proc_available_bytes();
                kernel_now_bytes = proc_kernel_bytes();
                samples_add(ret_machine, megabytes(available_bytes - available_now_bytes) / BATCH);
                samples_add(ret_kernel, megabytes(kernel_now_bytes - kernel_bytes) / BATCH);
                available_bytes = available_now_bytes;
                kernel_bytes = kernel_now_bytes;
        }
        return r;
}

static int measure_each(struct bench *bench, const struct side *side, struct samples *ret_pss,
                        struct samples *ret_charged)
{
        int r = samples_open(ret_pss, side->count);

        if (r == 0)
                r = samples_open(ret_charged, side->count);
        for (size_t i = 0; i < side->count && r == 0; i++) {
                struct proc_usage usage;
                char id[ID_BYTES];

                r = side->identify(bench, i, id);
                if (r != 0)
                        break;
                proc_usage_of(id, &usage);
                if (usage.processes == 0)
                        return -ESRCH;
                samples_add(ret_pss, megabytes(usage.pss_bytes));
                if (usage.charged_bytes > 0)
                        samples_add(ret_charged, megabytes(usage.charged_bytes));
        }
        return r;
}

static int measure_daemon(const struct side *side, double private_bytes, struct samples *ret_pss,
                          struct samples *ret_per_carrel)
{
        int r = samples_open(ret_pss, 1);

        if (r == 0)
                r = samples_open(ret_per_carrel, 1);
        if (r != 0)
                return r;
        samples_add(ret_pss, megabytes(proc_tree_pss_bytes(side->daemon)));
        samples_add(ret_per_carrel, (proc_private_bytes(side->daemon) - private_bytes) / 1e3 / (double)side->count);
        return 0;
}

/* The kernel frees the memory of earlier containers late. Waits until it has not changed much for a second and a half;
 * half a minute at most. */
static void settle(void)
{
        enum { PAUSE_MS = 500, CALM_MOST_BYTES = 1000000, CALM_PAUSES = 3, PAUSES_MOST = 60 };
        double last_bytes = proc_kernel_bytes();

        for (int calm = 0, i = 0; calm < CALM_PAUSES && i < PAUSES_MOST; i++) {
                double now_bytes;

                (void)poll(NULL, 0, PAUSE_MS);
                now_bytes = proc_kernel_bytes();
                calm = fabs(now_bytes - last_bytes) < CALM_MOST_BYTES ? calm + 1 : 0;
                last_bytes = now_bytes;
        }
}

/* One container is made and removed first: the first one pays for caches that all share. */
static int measure(struct bench *bench, const struct side *side, struct samples *ret_samples[static ROWS])
{
        double private_bytes;
        int r = side->start(bench, 0);

        if (r == 0)
                r = side->remove(bench, 0);
        private_bytes = proc_private_bytes(side->daemon);
        settle();
        if (r == 0)
                r = measure_batches(bench, side, ret_samples[ROW_MACHINE], ret_samples[ROW_KERNEL]);
        if (r == 0)
                r = measure_each(bench, side, ret_samples[ROW_PROCESSES], ret_samples[ROW_CHARGED]);
        if (r == 0)
                r = measure_daemon(side, private_bytes, ret_samples[ROW_DAEMON], ret_samples[ROW_PER_CARREL]);
        for (size_t i = 0; i < side->count; i++)
                (void)side->remove(bench, i);
        return r;
}

static pid_t listener_of(const char *socket_path)
{
        int fd = plain_connect(socket_path);
        pid_t pid = fd >= 0 ? proc_peer(fd) : 0;

        if (fd >= 0)
                close(fd);
        return pid;
}

static int run_all(struct bench *bench)
{
        struct row rows[ROWS];
        struct samples *ours[ROWS], *theirs[ROWS];
        struct side carreld = { carrel_start, carrel_identify, carrel_remove, proc_peer(bench->fd), bench->count };
        struct side docker = { docker_start, docker_identify, docker_remove, 0, CONTAINERS };
        int r;

        memcpy(rows, EMPTY_ROWS, sizeof rows);
        for (size_t i = 0; i < ROWS; i++) {
                ours[i] = &rows[i].ours;
                theirs[i] = &rows[i].theirs;
        }
        /* The baseline comes first: it has few containers, so their memory, which is freed late, disturbs little. */
        if (bench->docker_socket != NULL) {
                docker.daemon = listener_of(bench->docker_socket);
                r = measure(bench, &docker, theirs);
                if (r != 0)
                        bench_complain(bench, "docker run", r);
                bench_reconnect(bench);
        }
        r = measure(bench, &carreld, ours);
        if (r != 0)
                bench_complain(bench, "idle carrels", r);
        return bench_show(bench, rows, ROWS);
}

int main(int argc, char **argv)
{
        static const struct bench_program PROGRAM = {
                .name = "bench_memory",
                .about = "Measures the memory of idle carrels and of carreld, next to 40 containers of `docker run`.\n"
                         "It reads /proc, so it must see all processes, as root. Rows:\n"
                         "- MemAvailable, a sample for each 5 containers; other programs change it, too;\n"
                         "- what the kernel and tmpfs hold (SUnreclaim, KernelStack, PageTables, Percpu, Shmem);\n"
                         "- the Pss of each container's processes, its shim included;\n"
                         "- the charge of its memory cgroup, which includes a part of the kernel's memory;\n"
                         "- the Pss of the daemon and its children;\n"
                         "- how much the daemon's private memory grew with each container.",
                .count_meaning = "idle carrels",
                .count_default = 200,
                .count_max = CONTAINERS_MAX,
                .run = run_all,
        };

        return bench_run_program(&PROGRAM, argc, argv);
}
