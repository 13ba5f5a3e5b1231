#include "process-tree.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "scope.h"

enum { PASSES_MAX = 16 };

struct roster {
        struct suspect *suspects; /* sorted by pid */
        size_t count;
};

static int compare_pids(const void *a, const void *b)
{
        const struct suspect *left = a, *right = b;

        return (left->process.pid > right->process.pid) - (left->process.pid < right->process.pid);
}

static const struct suspect *find_pid(const struct suspect *suspects, size_t count, pid_t pid)
{
        struct suspect key = { .process = { .pid = pid } };

        return bsearch(&key, suspects, count, sizeof *suspects, compare_pids);
}

/* Both times are cut to whole ticks, so the tick of the request itself counts as "since". */
static bool began_since(const struct process *process, int64_t since_ms, uint64_t ticks_per_s)
{
        return (process->start_ticks + 1) * 1000 / ticks_per_s > (uint64_t)since_ms;
}

static bool is_root(const struct process_tree *tree, const struct process *process)
{
        return tree->root != 0 && process->pid == tree->root && process->start_ticks == tree->root_start_ticks;
}

/* While a session has members its number is not reused as a pid (kernel/pid.c). So the number means the leader that we
 * know, unless a process with that pid has another start time. */
static bool is_session_ours(const struct process_tree *tree, const struct suspect *suspects, size_t count,
                            pid_t session)
{
        const struct suspect *leader = find_pid(suspects, count, session);

        if (leader != NULL)
                return leader->is_member;
        return tree->root != 0 && session == tree->root;
}

static bool has_lost_its_parent(const struct process_tree *tree, const struct suspect *suspects, size_t count,
                                const struct process *process)
{
        return process->parent == tree->init || find_pid(suspects, count, process->parent) == NULL;
}

static bool belongs(const struct process_tree *tree, const struct suspect *suspects, size_t count,
                    const struct process *process, uint64_t ticks_per_s)
{
        const struct suspect *parent = find_pid(suspects, count, process->parent);

        if (process->pid == tree->init)
                return false;
        if (is_root(tree, process) || (parent != NULL && parent->is_member))
                return true;
        if (is_session_ours(tree, suspects, count, process->session))
                return true;
        return tree->is_alone && began_since(process, tree->since_ms, ticks_per_s) &&
               has_lost_its_parent(tree, suspects, count, process);
}

void process_tree_select(const struct process_tree *tree, struct suspect *suspects, size_t count, uint64_t ticks_per_s)
{
        for (bool has_grown = true; has_grown;) {
                has_grown = false;
                for (size_t i = 0; i < count; i++) {
                        if (suspects[i].is_member || !belongs(tree, suspects, count, &suspects[i].process, ticks_per_s))
                                continue;
                        suspects[i].is_member = has_grown = true;
                }
        }
}

static bool is_same(const struct process *a, const struct process *b)
{
        return a->pid == b->pid && a->start_ticks == b->start_ticks;
}

/* Keeps what earlier passes found: members stay members, and the sessions of those that ended stay known. */
static size_t carry_over(const struct roster *before, struct suspect *suspects, size_t count)
{
        size_t total = count;

        for (size_t i = 0; i < before->count; i++) {
                const struct suspect *known = &before->suspects[i];
                struct suspect *now = (struct suspect *)find_pid(suspects, count, known->process.pid);

                if (!known->is_member)
                        continue;
                if (now != NULL && is_same(&now->process, &known->process)) {
                        now->is_member = true;
                        now->is_stopped = known->is_stopped;
                } else if (now == NULL) {
                        suspects[total] = *known;
                        suspects[total++].is_gone = true;
                }
        }
        return total;
}

static int read_suspects(const struct process_tree *tree, size_t room, struct suspect **ret_suspects, size_t *ret_count)
{
        AUTO(auto_free) pid_t *pids = NULL;
        struct suspect *suspects;
        size_t n_pids = 0, count = 0;
        int r = cgroup_members(tree->cgroup, &pids, &n_pids);

        if (r != 0)
                return r;
        suspects = calloc(n_pids + room + 1, sizeof *suspects);
        if (suspects == NULL)
                return -ENOMEM;
        for (size_t i = 0; i < n_pids; i++)
                if (process_read(pids[i], &suspects[count].process) == 0)
                        count++;
        qsort(suspects, count, sizeof *suspects, compare_pids);
        *ret_suspects = suspects;
        *ret_count = count;
        return 0;
}

static int look(const struct process_tree *tree, struct roster *roster)
{
        struct suspect *suspects = NULL;
        size_t count = 0;
        int r = read_suspects(tree, roster->count, &suspects, &count);

        if (r != 0)
                return r;
        count = carry_over(roster, suspects, count);
        qsort(suspects, count, sizeof *suspects, compare_pids);
        process_tree_select(tree, suspects, count, (uint64_t)sysconf(_SC_CLK_TCK));
        free(roster->suspects);
        *roster = (struct roster){ suspects, count };
        return 0;
}

/* A process whose first thread has ended shows as a zombie while its other threads go on (proc(5)). */
static bool is_alive(const struct process *process)
{
        return (process->state != 'Z' && process->state != 'X') || process->threads > 1;
}

/* The pidfd is opened before the facts are read. If the pid is reused in between, the pidfd is of the dead process and
 * the signal reaches no process (pidfd_open(2)). */
static int send_checked(const struct process_tree *tree, const struct process *expected, int signal)
{
        AUTO(auto_close) int pidfd = -1;
        struct process now;

        if (expected->pid <= 1 || expected->pid == tree->init || expected->pid == getpid())
                return -EPERM;
        pidfd = pidfd_open(expected->pid, 0);
        if (pidfd < 0)
                return -errno;
        if (process_read(expected->pid, &now) != 0 || !is_same(&now, expected) || !is_alive(&now) ||
            !cgroup_holds(expected->pid, tree->container_id))
                return -ESRCH;
        return pidfd_send_signal(pidfd, signal, NULL, 0) == 0 ? 0 : -errno;
}

static size_t stop_new(const struct process_tree *tree, struct roster *roster)
{
        size_t n_new = 0;

        for (size_t i = 0; i < roster->count; i++) {
                struct suspect *suspect = &roster->suspects[i];

                if (!suspect->is_member || suspect->is_stopped || suspect->is_gone || !is_alive(&suspect->process))
                        continue;
                suspect->is_stopped = true;
                if (send_checked(tree, &suspect->process, SIGSTOP) != -ESRCH)
                        n_new++;
        }
        return n_new;
}

static int send_all(const struct process_tree *tree, const struct roster *roster, int signal)
{
        int sent = 0, refusal = 0;

        for (size_t i = 0; i < roster->count; i++) {
                const struct suspect *suspect = &roster->suspects[i];
                int r;

                if (!suspect->is_member || suspect->is_gone || !is_alive(&suspect->process))
                        continue;
                r = send_checked(tree, &suspect->process, signal);
                if (r == 0)
                        sent++;
                else if (r != -ESRCH)
                        refusal = r;
        }
        return sent == 0 ? refusal : sent;
}

int process_tree_kill(const struct process_tree *tree)
{
        struct roster roster = { 0 };
        bool is_settled = false;
        int result = 0, sent;

        for (int pass = 0; pass < PASSES_MAX && !is_settled && result == 0; pass++) {
                result = look(tree, &roster);
                if (result == 0)
                        is_settled = stop_new(tree, &roster) == 0;
        }
        sent = send_all(tree, &roster, SIGKILL);
        free(roster.suspects);
        if (result != 0)
                return result;
        return is_settled ? sent : -EAGAIN;
}

int process_tree_signal(const struct process_tree *tree, int signal)
{
        struct roster roster = { 0 };
        int result = look(tree, &roster);

        if (result == 0)
                result = send_all(tree, &roster, signal);
        free(roster.suspects);
        return result;
}

int process_tree_adopt(struct process_tree *tree, pid_t pid)
{
        struct process process;

        if (pid <= 1 || pid == tree->init || pid == getpid() || process_read(pid, &process) != 0 ||
            !is_alive(&process) || !cgroup_holds(pid, tree->container_id) ||
            !began_since(&process, tree->since_ms, (uint64_t)sysconf(_SC_CLK_TCK)))
                return -ESRCH;
        tree->root = pid;
        tree->root_start_ticks = process.start_ticks;
        return 0;
}
