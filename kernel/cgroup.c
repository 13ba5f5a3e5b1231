#include "cgroup.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proc-file.h"
#include "scope.h"
#include "str.h"

enum { PROC_NAME_BYTES = 48 };
enum {
        CONTAINER_ID_LEAST = 12,
        MOUNTINFO_MAX = 1 << 20,
        CGROUP_TEXT_MAX = 16384,
        COUNTERS_TEXT_MAX = 4096,
        MEMBERS_MAX = 1 << 20
};

/* The controllers of cgroup v1 whose hierarchies are known. */
static const char *const CONTROLLERS[CGROUP_UNIFIED] = {
        [CGROUP_CPU] = "cpu",       [CGROUP_CPUACCT] = "cpuacct", [CGROUP_FREEZER] = "freezer",
        [CGROUP_MEMORY] = "memory", [CGROUP_PIDS] = "pids",
};

/* Finds one word of a list separated by commas: "cpu,cpuacct" has cpu, "name=systemd" has no systemd. */
static bool list_has(const char *list, size_t length, const char *word)
{
        size_t word_length = strlen(word);
        const char *end = list + length;

        for (const char *at = list; at < end;) {
                const char *comma = memchr(at, ',', (size_t)(end - at));
                size_t span = (size_t)((comma != NULL ? comma : end) - at);

                if (span == word_length && memcmp(at, word, span) == 0)
                        return true;
                at += span + 1;
        }
        return false;
}

static void place_mount(struct cgroup_mount *mount, const char *root, const char *point)
{
        if (mount->point[0] != '\0')
                return;
        if (str_copy(mount->root, sizeof mount->root, root) != 0 ||
            str_copy(mount->point, sizeof mount->point, point) != 0)
                mount->point[0] = '\0';
}

/* "36 31 0:32 /root /point opts optional... - type source super_options" */
static void parse_mount_line(char *line, struct cgroup_mounts *mounts)
{
        char root[CGROUP_PATH_BYTES], point[CGROUP_PATH_BYTES], type[16], super[256];
        const char *tail = strstr(line, " - ");

        if (tail == NULL || sscanf(line, "%*s %*s %*s %511s %511s", root, point) != 2 ||
            sscanf(tail, " - %15s %*s %255s", type, super) != 2)
                return;
        if (str_equal(type, "cgroup2"))
                place_mount(&mounts->of[CGROUP_UNIFIED], root, point);
        if (!str_equal(type, "cgroup"))
                return;
        for (size_t i = 0; i < CGROUP_UNIFIED; i++)
                if (list_has(super, strlen(super), CONTROLLERS[i]))
                        place_mount(&mounts->of[i], root, point);
}

void cgroup_parse_mounts(const char *mountinfo, struct cgroup_mounts *ret_mounts)
{
        char line[4096];

        *ret_mounts = (struct cgroup_mounts){ 0 };
        while (*mountinfo != '\0') {
                size_t length = strcspn(mountinfo, "\n");

                if (length < sizeof line) {
                        memcpy(line, mountinfo, length);
                        line[length] = '\0';
                        parse_mount_line(line, ret_mounts);
                }
                mountinfo += length + (mountinfo[length] == '\n');
        }
}

int cgroup_read_mounts(struct cgroup_mounts *ret_mounts)
{
        char *text = NULL;
        int r = proc_file_read("/proc/self/mountinfo", MOUNTINFO_MAX, &text);

        if (r != 0)
                return r;
        cgroup_parse_mounts(text, ret_mounts);
        free(text);
        return 0;
}

bool cgroup_text_names(const char *text, const char *container_id)
{
        size_t length = strlen(container_id);

        /* A shorter word could match another name, and the empty one matches every name. */
        if (length < CONTAINER_ID_LEAST || strspn(container_id, "0123456789abcdef") != length)
                return false;
        for (const char *at = strstr(text, container_id); at != NULL; at = strstr(at + 1, container_id)) {
                bool is_word_start = at > text && !isalnum((unsigned char)at[-1]);

                if (is_word_start && !isalnum((unsigned char)at[length]))
                        return true;
        }
        return false;
}

typedef bool names_fn(const char *text, const char *word);

static bool is_file_naming(pid_t pid, const char *file, names_fn *names, const char *word)
{
        char *text = NULL;
        bool is_named;

        if (proc_pid_read(pid, file, CGROUP_TEXT_MAX, &text) != 0)
                return false;
        is_named = names(text, word);
        free(text);
        return is_named;
}

/* cgroup v1 reports "/" for a thread that has ended (proc_cgroup_show in kernel/cgroup/cgroup.c), and a process's own
 * file is that of its first thread. Then the other threads are read. */
static bool is_any_thread_naming(pid_t pid, names_fn *names, const char *word)
{
        char path[PROC_NAME_BYTES];
        const struct dirent *entry;
        bool holds = is_file_naming(pid, "cgroup", names, word);
        DIR *threads = NULL;

        if (!holds && snprintf(path, sizeof path, "/proc/%d/task", (int)pid) < (int)sizeof path)
                threads = opendir(path);
        while (threads != NULL && !holds && (entry = readdir(threads)) != NULL)
                if (entry->d_name[0] != '.' &&
                    snprintf(path, sizeof path, "task/%s/cgroup", entry->d_name) < (int)sizeof path)
                        holds = is_file_naming(pid, path, names, word);
        if (threads != NULL)
                closedir(threads);
        return holds;
}

bool cgroup_holds(pid_t pid, const char *container_id)
{
        return is_any_thread_naming(pid, cgroup_text_names, container_id);
}

static bool has_part(const char *text, const char *part)
{
        return strstr(text, part) != NULL;
}

bool cgroup_holds_named(pid_t pid, const char *name)
{
        return is_any_thread_naming(pid, has_part, name);
}

/* The path of the file; "" when the hierarchy is not mounted, or the path does not fit or leaves the mount. */
static void join_path(const struct cgroup_mount *mount, const char *path, const char *file,
                      char ret_path[static CGROUP_PATH_BYTES])
{
        size_t root_length = str_equal(mount->root, "/") ? 0 : strlen(mount->root);
        int length;

        ret_path[0] = '\0';
        if (mount->point[0] == '\0' || strstr(path, "..") != NULL || strncmp(path, mount->root, root_length) != 0)
                return;
        length = snprintf(ret_path, CGROUP_PATH_BYTES, "%s%s/%s", mount->point, path + root_length, file);
        if (length < 0 || length >= CGROUP_PATH_BYTES)
                ret_path[0] = '\0';
}

static void fill_once(char target[static CGROUP_PATH_BYTES], const struct cgroup_mount *mount, const char *path,
                      const char *file)
{
        if (target[0] == '\0')
                join_path(mount, path, file, target);
}

/* "4:memory:/docker/<id>", and "0::/docker/<id>" for the unified hierarchy. */
static void parse_line(const struct cgroup_mounts *mounts, const char *line, void *target)
{
        struct cgroup *cgroup = target;
        const char *controllers = strchr(line, ':');
        const char *path = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
        size_t length;

        if (path == NULL)
                return;
        length = (size_t)(path - ++controllers);
        path++;
        if (list_has(controllers, length, "freezer"))
                fill_once(cgroup->freezer_dir, &mounts->of[CGROUP_FREEZER], path, "");
        if (list_has(controllers, length, "memory")) {
                fill_once(cgroup->oom_file, &mounts->of[CGROUP_MEMORY], path, "memory.oom_control");
                fill_once(cgroup->memory_limit_file, &mounts->of[CGROUP_MEMORY], path, "memory.limit_in_bytes");
                fill_once(cgroup->socket_limit_file, &mounts->of[CGROUP_MEMORY], path,
                          "memory.kmem.tcp.limit_in_bytes");
                fill_once(cgroup->socket_usage_file, &mounts->of[CGROUP_MEMORY], path,
                          "memory.kmem.tcp.usage_in_bytes");
        }
        if (list_has(controllers, length, "pids")) {
                fill_once(cgroup->pids_file, &mounts->of[CGROUP_PIDS], path, "pids.events");
                fill_once(cgroup->members_file, &mounts->of[CGROUP_PIDS], path, "cgroup.procs");
                fill_once(cgroup->pids_limit_file, &mounts->of[CGROUP_PIDS], path, "pids.max");
                fill_once(cgroup->tasks_file, &mounts->of[CGROUP_PIDS], path, "pids.current");
        }
        if (length == 0) {
                fill_once(cgroup->unified_dir, &mounts->of[CGROUP_UNIFIED], path, "");
                fill_once(cgroup->oom_file, &mounts->of[CGROUP_UNIFIED], path, "memory.events");
                fill_once(cgroup->pids_file, &mounts->of[CGROUP_UNIFIED], path, "pids.events");
                fill_once(cgroup->members_file, &mounts->of[CGROUP_UNIFIED], path, "cgroup.procs");
                fill_once(cgroup->memory_limit_file, &mounts->of[CGROUP_UNIFIED], path, "memory.max");
                fill_once(cgroup->pids_limit_file, &mounts->of[CGROUP_UNIFIED], path, "pids.max");
                fill_once(cgroup->tasks_file, &mounts->of[CGROUP_UNIFIED], path, "pids.current");
        }
}

static void parse_dirs_line(const struct cgroup_mounts *mounts, const char *line, void *target)
{
        struct cgroup_dirs *dirs = target;
        const char *controllers = strchr(line, ':');
        const char *path = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
        size_t length;

        if (path == NULL)
                return;
        length = (size_t)(path - ++controllers);
        path++;
        for (size_t i = 0; i < CGROUP_HIERARCHIES; i++)
                if (i == CGROUP_UNIFIED ? length == 0 : list_has(controllers, length, CONTROLLERS[i]))
                        fill_once(dirs->of[i], &mounts->of[i], path, "");
}

/* Calls parse for each line that names the container. */
static void parse_lines(const struct cgroup_mounts *mounts, const char *text, const char *container_id,
                        void (*parse)(const struct cgroup_mounts *mounts, const char *line, void *target), void *target)
{
        char line[1024];

        while (*text != '\0') {
                size_t length = strcspn(text, "\n");

                if (length < sizeof line) {
                        memcpy(line, text, length);
                        line[length] = '\0';
                        if (cgroup_text_names(line, container_id))
                                parse(mounts, line, target);
                }
                text += length + (text[length] == '\n');
        }
}

int cgroup_parse_dirs(const struct cgroup_mounts *mounts, const char *text, const char *container_id,
                      struct cgroup_dirs *ret_dirs)
{
        struct cgroup_dirs dirs = { 0 };

        parse_lines(mounts, text, container_id, parse_dirs_line, &dirs);
        for (size_t i = 0; i < CGROUP_HIERARCHIES; i++) {
                if (dirs.of[i][0] == '\0')
                        continue;
                *ret_dirs = dirs;
                return 0;
        }
        return -ENOENT;
}

int cgroup_find_dirs(const struct cgroup_mounts *mounts, pid_t pid, const char *container_id,
                     struct cgroup_dirs *ret_dirs)
{
        AUTO(auto_free) char *text = NULL;
        int r;

        if (proc_pid_read(pid, "cgroup", CGROUP_TEXT_MAX, &text) != 0 || text == NULL)
                return -ESRCH;
        r = cgroup_parse_dirs(mounts, text, container_id, ret_dirs);
        return r != 0 && !cgroup_text_names(text, container_id) ? -ESRCH : r;
}

int cgroup_parse(const struct cgroup_mounts *mounts, const char *text, const char *container_id,
                 struct cgroup *ret_cgroup)
{
        struct cgroup cgroup = { 0 };

        parse_lines(mounts, text, container_id, parse_line, &cgroup);
        if (cgroup.members_file[0] == '\0')
                return -ENOENT;
        *ret_cgroup = cgroup;
        return 0;
}

int cgroup_find(const struct cgroup_mounts *mounts, pid_t pid, const char *container_id, struct cgroup *ret_cgroup)
{
        char *text = NULL;
        int r;

        if (proc_pid_read(pid, "cgroup", CGROUP_TEXT_MAX, &text) != 0)
                return -ESRCH;
        r = cgroup_parse(mounts, text, container_id, ret_cgroup);
        if (r != 0 && !cgroup_text_names(text, container_id))
                r = -ESRCH;
        free(text);
        return r;
}

int cgroup_members(const struct cgroup *cgroup, pid_t **ret_pids, size_t *ret_count)
{
        char *text = NULL;
        pid_t *pids;
        size_t count = 0, lines = 0;
        int r = proc_file_read(cgroup->members_file, MEMBERS_MAX, &text);

        if (r != 0)
                return r;
        for (const char *at = text; *at != '\0'; at++)
                lines += *at == '\n';
        pids = calloc(lines + 1, sizeof *pids);
        if (pids == NULL) {
                free(text);
                return -ENOMEM;
        }
        for (char *at = text; *at != '\0' && count <= lines;) {
                char *end;
                long pid = strtol(at, &end, 10);

                /* 0 stands for a process of another pid namespace, which has no pid here */
                if (pid > 0)
                        pids[count++] = (pid_t)pid;
                at = end + (*end == '\n');
                if (end == at)
                        break;
        }
        free(text);
        *ret_pids = pids;
        *ret_count = count;
        return 0;
}

uint64_t cgroup_parse_counter(const char *text, const char *key)
{
        size_t length = strlen(key);

        while (*text != '\0') {
                if (strncmp(text, key, length) == 0 && text[length] == ' ')
                        return strtoull(text + length + 1, NULL, 10);
                text += strcspn(text, "\n");
                text += *text == '\n';
        }
        return 0;
}

bool cgroup_has_risen(uint64_t before, uint64_t now)
{
        return before != CGROUP_UNCOUNTED && now != CGROUP_UNCOUNTED && now > before;
}

static uint64_t read_counter(const char *path, const char *key)
{
        char *text = NULL;
        uint64_t value;

        if (path[0] == '\0' || proc_file_read(path, CGROUP_TEXT_MAX, &text) != 0)
                return CGROUP_UNCOUNTED;
        value = cgroup_parse_counter(text, key);
        free(text);
        return value;
}

void cgroup_count(const struct cgroup *cgroup, struct cgroup_counters *ret_counters)
{
        ret_counters->oom_kills = read_counter(cgroup->oom_file, "oom_kill");
        ret_counters->pids_refused = read_counter(cgroup->pids_file, "max");
}

/* seq_file generates the text again at offset 0 (Documentation/filesystems/seq_file.rst); a removed cgroup answers
 * ENODEV. */
static uint64_t reread_counter(int *fd, const char *path, const char *key)
{
        char text[COUNTERS_TEXT_MAX];
        ssize_t length;

        if (*fd < 0 && path[0] != '\0')
                *fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        length = *fd < 0 ? -1 : pread(*fd, text, sizeof text - 1, 0);
        if (length < 0)
                return CGROUP_UNCOUNTED;
        text[length] = '\0';
        return cgroup_parse_counter(text, key);
}

void cgroup_reader_count(struct cgroup_reader *reader, struct cgroup_counters *ret_counters)
{
        ret_counters->oom_kills = reread_counter(&reader->oom_fd, reader->cgroup.oom_file, "oom_kill");
        ret_counters->pids_refused = reread_counter(&reader->pids_fd, reader->cgroup.pids_file, "max");
}

void cgroup_reader_rest(struct cgroup_reader *reader)
{
        if (reader->oom_fd >= 0)
                close(reader->oom_fd);
        if (reader->pids_fd >= 0)
                close(reader->pids_fd);
        reader->oom_fd = reader->pids_fd = -1;
}

uint64_t cgroup_parse_limit(const char *text)
{
        size_t digits = strspn(text, "0123456789");
        char number[24];
        uint64_t value = UINT64_MAX;

        if (digits == 0 || digits >= sizeof number || (text[digits] != '\n' && text[digits] != '\0'))
                return UINT64_MAX;
        memcpy(number, text, digits);
        number[digits] = '\0';
        return str_parse_u64(number, 0, UINT64_MAX, &value) < 0 ? UINT64_MAX : value;
}

static uint64_t read_limit(const char *path)
{
        char *text = NULL;
        uint64_t value;

        if (path[0] == '\0' || proc_file_read(path, CGROUP_TEXT_MAX, &text) != 0)
                return UINT64_MAX;
        value = cgroup_parse_limit(text);
        free(text);
        return value;
}

/* Reads only this file, without a growing buffer, because it is called for many carrels in a row. */
uint64_t cgroup_read_count(const char *file)
{
        char text[32];
        int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text - 1);

        if (fd >= 0)
                close(fd);
        if (length < 0)
                return CGROUP_UNCOUNTED;
        text[length] = '\0';
        return cgroup_parse_limit(text);
}

void cgroup_bound_sockets(const struct cgroup *cgroup, uint64_t bytes)
{
        AUTO(auto_close) int fd = -1;
        char text[24];
        int length = snprintf(text, sizeof text, "%" PRIu64, bytes);

        if (cgroup->socket_limit_file[0] == '\0')
                return;
        fd = open(cgroup->socket_limit_file, O_WRONLY | O_CLOEXEC | O_NOCTTY);
        if (fd < 0 || write(fd, text, (size_t)length) < 0) {
                /* cgroup_read_limits then shows that it is not set */
        }
}

void cgroup_read_limits(const struct cgroup *cgroup, struct cgroup_limits *ret_limits)
{
        ret_limits->socket_bytes = cgroup->socket_limit_file[0] != '\0' ? read_limit(cgroup->socket_limit_file) : 0;
        ret_limits->memory_bytes = read_limit(cgroup->memory_limit_file);
        ret_limits->pids = read_limit(cgroup->pids_limit_file);
}
