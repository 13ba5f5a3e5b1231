/* The start of an exec: its cgroup, its pipes, and the START message that carries their other ends. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent-exec.h"
#include "inside.h"

int agent_exec_take(struct agent_exec *exec, const struct exec_request *request)
{
        const char *working_dir = request->working_dir != NULL ? request->working_dir : INSIDE_WORKSPACE;

        exec->working_dir = strdup(working_dir);
        if (exec->working_dir == NULL)
                return -ENOMEM;
        exec->spec_length = agent_spec_size(working_dir, request->argv, request->environment);
        if (exec->spec_length == 0)
                return -E2BIG;
        exec->spec = malloc(exec->spec_length);
        if (exec->spec == NULL)
                return -ENOMEM;
        agent_spec_write(exec->spec, working_dir, request->argv, request->environment);
        if (request->is_tty)
                exec->flags |= AGENT_START_TTY;
        if (request->input_length > 0 || request->is_input_open)
                exec->flags |= AGENT_START_INPUT;
        exec->rows = request->rows;
        exec->cols = request->cols;
        exec->timeout_s = request->timeout_s;
        return 0;
}

/* The descriptors that one START carries. They stay ours, and are closed after it was sent. */
struct start_fds {
        int fds[AGENT_FDS_MAX];
        size_t count;
};

static void close_start_fds(struct start_fds *start_fds)
{
        for (size_t i = 0; i < start_fds->count; i++)
                close(start_fds->fds[i]);
        start_fds->count = 0;
}

static int pack_pipes(struct agent_exec *exec, struct start_fds *start_fds)
{
        int r = 0;

        if (exec->flags & AGENT_START_INPUT) {
                r = agent_input_pipe(&exec->input, &start_fds->fds[start_fds->count]);
                start_fds->count += r == 0;
        }
        for (int i = 0; i < (exec->flags & AGENT_START_TTY ? 1 : 2) && r == 0; i++) {
                r = agent_output_pipe(&exec->outputs[i], &start_fds->fds[start_fds->count]);
                start_fds->count += r == 0;
        }
        return r;
}

/* A busy loop has no idle turn to look at the groups of finished execs. Looking is cheaper than making a group. */
static int take_group(struct agent_exec *exec, int *ret_join_fd)
{
        struct exec_cgroups *cgroups = &exec->channel->cgroups;

        if (cgroups->n_spares == 0)
                agent_channel_settle(exec->channel);
        return exec_cgroup_make(cgroups, &exec->cgroup, ret_join_fd);
}

static int pack(struct agent_exec *exec, struct start_fds *start_fds)
{
        int r = take_group(exec, &start_fds->fds[0]);

        if (r == 0) {
                exec->flags |= AGENT_START_JOIN;
                start_fds->count = 1;
        } else if (r != -EOPNOTSUPP) {
                return r;
        }
        return exec->channel->is_framed ? 0 : pack_pipes(exec, start_fds);
}

static int send_start(struct agent_exec *exec, const struct start_fds *start_fds)
{
        struct agents *agents = exec->channel->agents;
        const struct agent_start start = { exec->flags, exec->rows, exec->cols, (uint32_t)exec->spec_length };
        const uint8_t *at = exec->spec;
        size_t left = exec->spec_length;

        for (; left > AGENT_PAYLOAD_MAX - AGENT_START_HEAD_BYTES; left -= AGENT_PAYLOAD_MAX - AGENT_START_HEAD_BYTES) {
                int r;

                agent_write_spec(&agents->out, exec->session.number, at, AGENT_PAYLOAD_MAX - AGENT_START_HEAD_BYTES);
                r = agent_channel_send(exec->channel, NULL, 0);
                if (r < 0)
                        return r;
                at += AGENT_PAYLOAD_MAX - AGENT_START_HEAD_BYTES;
        }
        agent_write_start(&agents->out, exec->session.number, &start, (unsigned)start_fds->count, at, left);
        return agent_channel_send(exec->channel, start_fds->fds, start_fds->count);
}

int agent_exec_launch(struct agent_exec *exec)
{
        struct start_fds start_fds = { .count = 0 };
        int r = agent_session_begin(&exec->session, exec->channel);

        if (r == 0)
                r = pack(exec, &start_fds);
        if (r == 0) {
                exec_note_launch(&exec->base);
                r = send_start(exec, &start_fds);
        }
        close_start_fds(&start_fds);
        if (r < 0)
                return r;
        free(exec->spec);
        exec->spec = NULL;
        exec->state = STATE_RUNNING;
        exec->is_counted = true;
        exec->channel->n_running++;
        agent_input_go(&exec->input, exec->session.number);
        agent_exec_set_deadline(exec, exec->timeout_s); /* the wait for its turn does not count */
        return 0;
}
