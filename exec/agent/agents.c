/* The backend that agents are: all channels, and the buffers that they share. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent-channel.h"
#include "agent-listener.h"

static void on_sweep(struct ev_loop *loop, ev_timer *timer, int events)
{
        struct agents *agents = timer->data;

        (void)loop, (void)events;
        for (struct list *node = list_pop(&agents->deferred_free); node != NULL;
             node = list_pop(&agents->deferred_free)) {
                struct deferred_free *deferred_free = LIST_ENTRY(node, struct deferred_free, node);

                deferred_free->free(deferred_free);
        }
}

int agents_register(struct execs *execs)
{
        struct agents *agents = calloc(1, sizeof *agents);

        if (agents == NULL)
                return -ENOMEM;
        agents->execs = execs;
        agents->directory = -1;
        list_init(&agents->deferred_free);
        ev_timer_init(&agents->sweep, on_sweep, 0.0, 0.0);
        agents->sweep.data = agents;
        agents->bytes = malloc(AGENT_READ_BYTES);
        if (agents->bytes == NULL || execs_register(execs, &AGENT_BACKEND, agents) < 0) {
                free(agents->bytes);
                free(agents);
                return -ENOMEM;
        }
        return 0;
}

struct agents *agents_of(const struct execs *execs)
{
        return execs_provider_of(execs, &AGENT_BACKEND);
}

void agents_free(void *self)
{
        struct agents *agents = self;
        struct agent_channel *channel, *next;

        HASH_ITER(hh, agents->channels, channel, next)
        {
                agent_channel_close(channel);
        }
        ev_timer_stop(agents->execs->loop, &agents->sweep);
        on_sweep(agents->execs->loop, &agents->sweep, 0);
        if (agents->directory >= 0)
                close(agents->directory);
        free(agents->bytes);
        free(agents);
}

struct agent_channel *agents_find(const struct agents *agents, const char *container_id)
{
        struct agent_channel *channel;

        HASH_FIND_STR(agents->channels, container_id, channel);
        return channel;
}

void agents_defer_free(struct agents *agents, struct deferred_free *deferred_free)
{
        list_append(&agents->deferred_free, &deferred_free->node);
        ev_timer_start(agents->execs->loop, &agents->sweep);
}
