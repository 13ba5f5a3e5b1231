#include "usage.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "scope.h"
#include "str.h"

/* A longer file counts as unreadable: a part of it would give wrong sums. */
enum { TEXT_BYTES = 8192, PATH_BYTES = CGROUP_PATH_BYTES + 64, DIGITS_MAX = 20 };

/* How a file has its numbers. */
enum form {
        WHOLE, /* one number */
        FLAT,  /* "key number" a line */
        SUM,   /* "8:0 key=number ..." a line; the sum over the lines */
        SOME,  /* "some ... key=number" */
        FULL   /* "full ... key=number" */
};

/* The rows of one file follow each other. A number is that of its first row: on a hybrid the group of v2 has not
 * counted what a process used before it came in. */
static const struct row {
        enum cgroup_hierarchy hierarchy;
        const char *file;
        enum form form;
        const char *key;
        enum usage_number number;
        unsigned divisor; /* 0: 1 */
} ROWS[] = {
        { CGROUP_CPUACCT, "cpuacct.usage", WHOLE, NULL, USAGE_CPU_US, 1000 },
        { CGROUP_CPUACCT, "cpuacct.usage_user", WHOLE, NULL, USAGE_CPU_USER_US, 1000 },
        { CGROUP_CPUACCT, "cpuacct.usage_sys", WHOLE, NULL, USAGE_CPU_SYSTEM_US, 1000 },
        { CGROUP_CPU, "cpu.stat", FLAT, "nr_periods", USAGE_CPU_PERIODS, 0 },
        { CGROUP_CPU, "cpu.stat", FLAT, "nr_throttled", USAGE_CPU_THROTTLED_PERIODS, 0 },
        { CGROUP_CPU, "cpu.stat", FLAT, "throttled_time", USAGE_CPU_THROTTLED_US, 1000 },
        { CGROUP_MEMORY, "memory.usage_in_bytes", WHOLE, NULL, USAGE_MEMORY_BYTES, 0 },
        { CGROUP_MEMORY, "memory.max_usage_in_bytes", WHOLE, NULL, USAGE_MEMORY_PEAK_BYTES, 0 },
        { CGROUP_MEMORY, "memory.kmem.tcp.usage_in_bytes", WHOLE, NULL, USAGE_MEMORY_SOCKET_BYTES, 0 },
        { CGROUP_MEMORY, "memory.oom_control", FLAT, "oom_kill", USAGE_MEMORY_OOM_KILLS, 0 },
        { CGROUP_PIDS, "pids.current", WHOLE, NULL, USAGE_PIDS, 0 },
        { CGROUP_PIDS, "pids.peak", WHOLE, NULL, USAGE_PIDS_PEAK, 0 },
        { CGROUP_UNIFIED, "cpu.stat", FLAT, "usage_usec", USAGE_CPU_US, 0 },
        { CGROUP_UNIFIED, "cpu.stat", FLAT, "user_usec", USAGE_CPU_USER_US, 0 },
        { CGROUP_UNIFIED, "cpu.stat", FLAT, "system_usec", USAGE_CPU_SYSTEM_US, 0 },
        { CGROUP_UNIFIED, "cpu.stat", FLAT, "nr_periods", USAGE_CPU_PERIODS, 0 },
        { CGROUP_UNIFIED, "cpu.stat", FLAT, "nr_throttled", USAGE_CPU_THROTTLED_PERIODS, 0 },
        { CGROUP_UNIFIED, "cpu.stat", FLAT, "throttled_usec", USAGE_CPU_THROTTLED_US, 0 },
        { CGROUP_UNIFIED, "memory.current", WHOLE, NULL, USAGE_MEMORY_BYTES, 0 },
        { CGROUP_UNIFIED, "memory.peak", WHOLE, NULL, USAGE_MEMORY_PEAK_BYTES, 0 },
        { CGROUP_UNIFIED, "memory.events", FLAT, "oom_kill", USAGE_MEMORY_OOM_KILLS, 0 },
        { CGROUP_UNIFIED, "pids.current", WHOLE, NULL, USAGE_PIDS, 0 },
        { CGROUP_UNIFIED, "pids.peak", WHOLE, NULL, USAGE_PIDS_PEAK, 0 },
        { CGROUP_UNIFIED, "io.stat", SUM, "rbytes", USAGE_IO_READ_BYTES, 0 },
        { CGROUP_UNIFIED, "io.stat", SUM, "wbytes", USAGE_IO_WRITTEN_BYTES, 0 },
        { CGROUP_UNIFIED, "io.stat", SUM, "rios", USAGE_IO_READS, 0 },
        { CGROUP_UNIFIED, "io.stat", SUM, "wios", USAGE_IO_WRITES, 0 },
        { CGROUP_UNIFIED, "cpu.pressure", SOME, "total", USAGE_PRESSURE_CPU_SOME_US, 0 },
        { CGROUP_UNIFIED, "cpu.pressure", FULL, "total", USAGE_PRESSURE_CPU_FULL_US, 0 },
        { CGROUP_UNIFIED, "memory.pressure", SOME, "total", USAGE_PRESSURE_MEMORY_SOME_US, 0 },
        { CGROUP_UNIFIED, "memory.pressure", FULL, "total", USAGE_PRESSURE_MEMORY_FULL_US, 0 },
        { CGROUP_UNIFIED, "io.pressure", SOME, "total", USAGE_PRESSURE_IO_SOME_US, 0 },
        { CGROUP_UNIFIED, "io.pressure", FULL, "total", USAGE_PRESSURE_IO_FULL_US, 0 },
};
enum { ROWS_N = sizeof ROWS / sizeof ROWS[0] };

void usage_clear(struct usage *usage)
{
        for (size_t i = 0; i < USAGE_NUMBERS; i++)
                usage->of[i] = USAGE_UNCOUNTED;
}

/* ---- parsing ---- */

/* The number that begins here and ends with its word. */
static uint64_t parse_number(const char *at)
{
        size_t digits = strspn(at, "0123456789");
        char number[DIGITS_MAX + 1];
        uint64_t value = USAGE_UNCOUNTED;

        if (digits == 0 || digits > DIGITS_MAX || strchr(" \n", at[digits]) == NULL)
                return USAGE_UNCOUNTED;
        memcpy(number, at, digits);
        number[digits] = '\0';
        return str_parse_u64(number, 0, UINT64_MAX, &value) < 0 ? USAGE_UNCOUNTED : value;
}

/* The number after the word "key" and the separator, where the line has it. */
static uint64_t find_in_line(const char *line, size_t length, const char *key, char separator)
{
        size_t key_length = strlen(key);

        for (size_t i = 0; i + key_length < length; i++) {
                bool is_word = i == 0 || line[i - 1] == ' ';

                if (is_word && memcmp(line + i, key, key_length) == 0 && line[i + key_length] == separator)
                        return parse_number(line + i + key_length + 1);
        }
        return USAGE_UNCOUNTED;
}

static uint64_t number_of_line(const struct row *row, const char *line, size_t length)
{
        static const char *const FIRST_WORDS[] = { [SOME] = "some ", [FULL] = "full " };

        if (row->form == FLAT)
                return strncmp(line, row->key, strlen(row->key)) == 0 ? find_in_line(line, length, row->key, ' ')
                                                                      : USAGE_UNCOUNTED;
        if (row->form != SUM && strncmp(line, FIRST_WORDS[row->form], strlen(FIRST_WORDS[row->form])) != 0)
                return USAGE_UNCOUNTED;
        return find_in_line(line, length, row->key, '=');
}

/* A list of devices that is empty has the sum 0: a device is in it from its first request on (blkcg_print_stat in
 * block/blk-cgroup.c). */
static uint64_t number_of_text(const struct row *row, const char *text)
{
        uint64_t sum = row->form == SUM ? 0 : USAGE_UNCOUNTED;

        if (row->form == WHOLE)
                return parse_number(text);
        while (*text != '\0') {
                size_t length = strcspn(text, "\n");
                uint64_t value = number_of_line(row, text, length);

                if (value != USAGE_UNCOUNTED && row->form != SUM)
                        return value;
                if (value != USAGE_UNCOUNTED)
                        sum += value;
                text += length + (text[length] == '\n');
        }
        return sum;
}

static void set_once(struct usage *usage, enum usage_number number, uint64_t value)
{
        if (usage->of[number] == USAGE_UNCOUNTED)
                usage->of[number] = value;
}

static bool is_in(const struct row *row, enum cgroup_hierarchy hierarchy, const char *file)
{
        return row->hierarchy == hierarchy && str_equal(row->file, file);
}

void usage_parse(enum cgroup_hierarchy hierarchy, const char *file, const char *text, struct usage *usage)
{
        for (const struct row *row = ROWS; row < ROWS + ROWS_N; row++) {
                uint64_t value;

                if (!is_in(row, hierarchy, file))
                        continue;
                value = number_of_text(row, text);
                if (value != USAGE_UNCOUNTED)
                        set_once(usage, row->number, row->divisor > 1 ? value / row->divisor : value);
        }
}

/* ---- the files ---- */

struct usage_meter {
        char *dirs[CGROUP_HIERARCHIES]; /* with a slash at the end; NULL: it has none */
};

struct usage_meter *usage_meter_free(struct usage_meter *meter)
{
        for (size_t i = 0; meter != NULL && i < CGROUP_HIERARCHIES; i++)
                free(meter->dirs[i]);
        free(meter);
        return NULL;
}

int usage_meter_new(struct usage_meter **ret_meter, const struct cgroup_mounts *mounts, pid_t pid,
                    const char *container_id)
{
        struct usage_meter *meter;
        struct cgroup_dirs dirs;
        int r = cgroup_find_dirs(mounts, pid, container_id, &dirs);

        if (r < 0)
                return r;
        meter = calloc(1, sizeof *meter);
        for (size_t i = 0; meter != NULL && i < CGROUP_HIERARCHIES; i++) {
                if (dirs.of[i][0] == '\0')
                        continue;
                meter->dirs[i] = strdup(dirs.of[i]);
                if (meter->dirs[i] == NULL)
                        meter = usage_meter_free(meter);
        }
        if (meter == NULL)
                return -ENOMEM;
        *ret_meter = meter;
        return 0;
}

/* 0, -E2BIG, or -EIO: it cannot be read. */
static int read_text(int directory, const char *path, char text[static TEXT_BYTES])
{
        AUTO(auto_close) int fd = openat(directory, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        ssize_t length = fd < 0 ? -1 : read(fd, text, TEXT_BYTES);

        if (length < 0)
                return -EIO;
        if (length == TEXT_BYTES)
                return -E2BIG;
        text[length] = '\0';
        return 0;
}

/* cgroup v1 counts the whole exactly, and its parts by ticks (cpuacct_cpuusage_read in kernel/sched/cpuacct.c), so they
 * only say how to divide it. The kernel does the same for v2 (cputime_adjust). */
static void divide_cpu_time(struct usage *usage)
{
        uint64_t *of = usage->of;
        double user = (double)of[USAGE_CPU_USER_US], system = (double)of[USAGE_CPU_SYSTEM_US];

        if (of[USAGE_CPU_US] == USAGE_UNCOUNTED || of[USAGE_CPU_USER_US] == USAGE_UNCOUNTED ||
            of[USAGE_CPU_SYSTEM_US] == USAGE_UNCOUNTED || user + system <= 0)
                return;
        of[USAGE_CPU_USER_US] = (uint64_t)((double)of[USAGE_CPU_US] * (user / (user + system)));
        of[USAGE_CPU_SYSTEM_US] = of[USAGE_CPU_US] - of[USAGE_CPU_USER_US];
}

void usage_read(const struct usage_meter *meter, struct usage *usage)
{
        char path[PATH_BYTES], text[TEXT_BYTES];
        const uint64_t *of = usage->of;

        for (const struct row *row = ROWS; row < ROWS + ROWS_N; row++) {
                const char *directory = meter->dirs[row->hierarchy];

                if (directory == NULL || (row > ROWS && is_in(row - 1, row->hierarchy, row->file)) ||
                    of[row->number] != USAGE_UNCOUNTED)
                        continue;
                (void)snprintf(path, sizeof path, "%s%s", directory, row->file);
                if (read_text(AT_FDCWD, path, text) == 0)
                        usage_parse(row->hierarchy, row->file, text, usage);
        }
        if (meter->dirs[CGROUP_CPUACCT] != NULL)
                divide_cpu_time(usage);
}

/* Not if sysfs was mounted in another network namespace, which may have an interface of the same name. */
static bool is_ours(int directory, const char *interface)
{
        char text[TEXT_BYTES];
        unsigned index = if_nametoindex(interface);

        return index != 0 && read_text(directory, "ifindex", text) == 0 && parse_number(text) == index;
}

void usage_read_link(const char *interface, struct usage *usage)
{
        static const struct {
                const char *file;
                enum usage_number number;
        } FILES[] = {
                { "statistics/rx_bytes", USAGE_NET_SENT_BYTES },
                { "statistics/tx_bytes", USAGE_NET_RECEIVED_BYTES },
                { "statistics/rx_packets", USAGE_NET_SENT_PACKETS },
                { "statistics/tx_packets", USAGE_NET_RECEIVED_PACKETS },
                { "statistics/rx_dropped", USAGE_NET_SENT_DROPPED },
                { "statistics/tx_dropped", USAGE_NET_RECEIVED_DROPPED },
        };
        char path[PATH_BYTES], text[TEXT_BYTES];
        AUTO(auto_close) int directory = -1;

        (void)snprintf(path, sizeof path, "/sys/devices/virtual/net/%s", interface);
        directory = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (directory < 0 || !is_ours(directory, interface))
                return;
        for (size_t i = 0; i < sizeof FILES / sizeof FILES[0]; i++)
                if (read_text(directory, FILES[i].file, text) == 0)
                        usage->of[FILES[i].number] = parse_number(text);
}
