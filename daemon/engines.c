#include "engines.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "docker.h"
#include "engine.h"
#include "fake.h"
#include "oci.h"
#include "options.h"
#include "podman.h"
#include "probe.h"
#include "scope.h"

/* Of one engine; an engine that a socket starts (systemd) needs a moment. Asked again it has had that. */
#define PROBE_S 6.0
#define SEARCH_S 1.0

struct candidate {
        enum config_engine engine;
        const char *kind;
        const char *socket; /* where it is served unless engine_socket says otherwise; "": nowhere */
        bool is_automatic;
        /* Whether it can keep every promise; NULL: it is made only when it is named. */
        int (*probe)(const struct candidate *candidate, struct ev_loop *loop, const struct config *config,
                     double deadline_s, struct fault *why);
        int (*make)(const struct candidate *candidate, struct engine **ret_engine, struct ev_loop *loop,
                    const struct config *config);
};

static const char *socket_of(const struct candidate *candidate, const struct config *config)
{
        return config->engine_socket[0] != '\0' ? config->engine_socket : candidate->socket;
}

static int probe_api(const struct candidate *candidate, struct ev_loop *loop, const struct config *config,
                     double deadline_s, struct fault *why)
{
        enum probed_kind found = PROBED_DOCKER;
        enum probed_kind wanted = candidate->engine == CONFIG_ENGINE_PODMAN ? PROBED_PODMAN : PROBED_DOCKER;
        int r = probe_engine(socket_of(candidate, config), config->runtime, deadline_s, &found, why);

        if (r < 0 || found == wanted)
                return r;
        return fault_set(why, FAULT_ENGINE_UNAVAILABLE, EPROTO, "%s is served by another engine",
                         socket_of(candidate, config));
}

static int make_docker(const struct candidate *candidate, struct engine **ret_engine, struct ev_loop *loop,
                       const struct config *config)
{
        const struct docker_options options = { .socket_path = socket_of(candidate, config) };

        return docker_new(ret_engine, loop, &options);
}

static int make_podman(const struct candidate *candidate, struct engine **ret_engine, struct ev_loop *loop,
                       const struct config *config)
{
        const struct podman_options options = {
                .docker = { .socket_path = socket_of(candidate, config) },
                .state_dir = config->runtime_dir,
        };

        return podman_new(ret_engine, loop, &options);
}

static int make_fake(const struct candidate *candidate, struct engine **ret_engine, struct ev_loop *loop,
                     const struct config *config)
{
        return fake_new(ret_engine, loop);
}

static int make_oci(const struct candidate *candidate, struct engine **ret_engine, struct ev_loop *loop,
                    const struct config *config)
{
        char state_dir[DAEMON_PATH_BYTES];
        char image_helper[DAEMON_PATH_BYTES];
        struct oci_options options = daemon_oci_options(config, state_dir, image_helper);

        return oci_new(ret_engine, loop, &options, NULL);
}

/* It is no daemon that could be asked: it is made, and looks around. */
static int probe_oci(const struct candidate *candidate, struct ev_loop *loop, const struct config *config,
                     double deadline_s, struct fault *why)
{
        struct engine_about about = { 0 };
        struct engine *engine;
        int r = make_oci(candidate, &engine, loop, config);

        if (r < 0)
                return fault_set(why, FAULT_ENGINE_UNAVAILABLE, -r, "its directory cannot be made: %s", strerror(-r));
        engine->ops->about(engine, &about);
        engine->ops->free(engine);
        return about.is_available ? 0 : fault_set(why, FAULT_ENGINE_UNAVAILABLE, ENOTSUP, "%s", about.detail);
}

/* In the order in which `auto` asks them. */
static const struct candidate CANDIDATES[] = {
        { CONFIG_ENGINE_PODMAN, "podman", "/run/podman/podman.sock", true, probe_api, make_podman },
        { CONFIG_ENGINE_DOCKER, "docker", "/run/docker.sock", true, probe_api, make_docker },
        { CONFIG_ENGINE_OCI, "oci", "", true, probe_oci, make_oci },
        { CONFIG_ENGINE_FAKE, "fake", "", false, NULL, make_fake },
};
#define N_CANDIDATES (sizeof CANDIDATES / sizeof *CANDIDATES)
enum { N_EMBEDDED = 2 }; /* its place in the table */
_Static_assert(N_CANDIDATES <= ENGINES_MAX, "every candidate has a verdict");

static struct engine_verdict *add_verdict(struct engine_verdicts *verdicts, const struct candidate *candidate)
{
        struct engine_verdict *verdict = &verdicts->list[verdicts->count++];

        verdict->kind = candidate->kind;
        return verdict;
}

static const struct candidate *choose_named(const struct config *config, struct engine_verdicts *verdicts)
{
        const struct candidate *chosen = NULL;

        for (size_t i = 0; i < N_CANDIDATES; i++) {
                const struct candidate *candidate = &CANDIDATES[i];
                struct engine_verdict *verdict;

                if ((int)candidate->engine == config->engine)
                        chosen = candidate;
                else if (!candidate->is_automatic)
                        continue;
                verdict = add_verdict(verdicts, candidate);
                verdict->is_chosen = candidate == chosen;
                snprintf(verdict->reason, sizeof verdict->reason,
                         verdict->is_chosen ? "the setting engine names it" : "the setting engine names another");
        }
        return chosen;
}

static const struct candidate *choose_first_able(struct ev_loop *loop, const struct config *config,
                                                 struct engine_verdicts *verdicts)
{
        const struct candidate *chosen = NULL;

        for (size_t i = 0; i < N_CANDIDATES; i++) {
                const struct candidate *candidate = &CANDIDATES[i];
                struct fault why = { 0 };
                struct engine_verdict *verdict;

                if (!candidate->is_automatic)
                        continue;
                verdict = add_verdict(verdicts, candidate);
                if (chosen != NULL) {
                        snprintf(verdict->reason, sizeof verdict->reason, "not asked: %s comes first", chosen->kind);
                } else if (candidate->probe(candidate, loop, config, PROBE_S, &why) < 0) {
                        snprintf(verdict->reason, sizeof verdict->reason, "%s", why.message);
                } else {
                        chosen = candidate;
                        verdict->is_chosen = true;
                        snprintf(verdict->reason, sizeof verdict->reason, "the first that can keep every promise");
                }
        }
        return chosen;
}

static void collect_reasons(struct engine_verdicts *verdicts)
{
        size_t length = (size_t)snprintf(verdicts->reasons, sizeof verdicts->reasons, "no engine can be had. ");

        for (size_t i = 0; i < verdicts->count && length < sizeof verdicts->reasons; i++)
                length += (size_t)snprintf(verdicts->reasons + length, sizeof verdicts->reasons - length, "%s%s: %s",
                                           i > 0 ? "; " : "", verdicts->list[i].kind, verdicts->list[i].reason);
}

/* ---- the choice is kept as long as containers can be ---- */

static bool record_path(const struct config *config, const char *ending, char ret_path[static DAEMON_PATH_BYTES])
{
        return snprintf(ret_path, DAEMON_PATH_BYTES, "%s/engine-%s%s", config->runtime_dir, config->pool, ending) <
               DAEMON_PATH_BYTES;
}

static const struct candidate *read_record(const struct config *config)
{
        char path[DAEMON_PATH_BYTES];
        AUTO(auto_close)
        int fd = record_path(config, "", path) ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
        char kind[16] = "";
        ssize_t n = fd < 0 ? 0 : read(fd, kind, sizeof kind - 1);

        kind[n > 0 ? n : 0] = '\0';
        for (size_t i = 0; i < N_CANDIDATES; i++)
                if (CANDIDATES[i].is_automatic && strcmp(CANDIDATES[i].kind, kind) == 0)
                        return &CANDIDATES[i];
        return NULL;
}

/* Whole or not at all. One that cannot be written is no obstacle: the next start chooses anew. */
static void write_record(const struct config *config, const struct candidate *chosen)
{
        ssize_t length = (ssize_t)strlen(chosen->kind);
        char path[DAEMON_PATH_BYTES];
        char unfinished[DAEMON_PATH_BYTES];
        AUTO(auto_close) int fd = -1;

        if (read_record(config) == chosen || !record_path(config, "", path) || !record_path(config, ".new", unfinished))
                return;
        fd = open(unfinished, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
        if (fd >= 0 && write(fd, chosen->kind, (size_t)length) == length)
                (void)rename(unfinished, path);
}

static const struct candidate *choose_last(const struct config *config, struct engine_verdicts *verdicts)
{
        const struct candidate *last = read_record(config);

        for (size_t i = 0; last != NULL && i < N_CANDIDATES; i++) {
                struct engine_verdict *verdict;

                if (!CANDIDATES[i].is_automatic)
                        continue;
                verdict = add_verdict(verdicts, &CANDIDATES[i]);
                verdict->is_chosen = &CANDIDATES[i] == last;
                snprintf(verdict->reason, sizeof verdict->reason,
                         verdict->is_chosen ? "the last run's carrels are on it; name another engine if it is gone"
                                            : "not asked: the last run's carrels are on %s",
                         last->kind);
        }
        return last;
}

static const struct candidate *choose_automatically(struct ev_loop *loop, const struct config *config,
                                                    struct engine_verdicts *verdicts)
{
        const struct candidate *chosen = choose_last(config, verdicts);

        return chosen != NULL ? chosen : choose_first_able(loop, config, verdicts);
}

/* ---- choosing ---- */

int engines_choose(struct engine **ret_engine, struct engine_verdicts *ret_verdicts, struct ev_loop *loop,
                   const struct config *config, struct fault *why)
{
        const struct candidate *chosen;
        int r;

        *ret_verdicts = (struct engine_verdicts){ 0 };
        chosen = config->engine == CONFIG_ENGINE_AUTO ? choose_automatically(loop, config, ret_verdicts)
                                                      : choose_named(config, ret_verdicts);
        ret_verdicts->has_choice = chosen != NULL;
        if (chosen == NULL) {
                collect_reasons(ret_verdicts);
                chosen = &CANDIDATES[N_EMBEDDED];
        }
        r = chosen->make(chosen, ret_engine, loop, config);
        if (r < 0)
                return fault_set(why, FAULT_INTERNAL, -r, "cannot set up the engine %s: %s", chosen->kind,
                                 strerror(-r));
        if (ret_verdicts->has_choice)
                write_record(config, chosen);
        return 0;
}

const char *engines_search(struct ev_loop *loop, const struct config *config)
{
        for (size_t i = 0; i < N_CANDIDATES; i++)
                if (CANDIDATES[i].is_automatic && i != N_EMBEDDED &&
                    CANDIDATES[i].probe(&CANDIDATES[i], loop, config, SEARCH_S, NULL) == 0)
                        return CANDIDATES[i].kind;
        return NULL;
}

void engines_settle(struct engine_verdicts *verdicts, const struct config *config)
{
        const struct candidate *embedded = &CANDIDATES[N_EMBEDDED];

        if (verdicts->has_choice)
                return;
        verdicts->has_choice = true;
        write_record(config, embedded);
        for (size_t i = 0; i < verdicts->count; i++) {
                struct engine_verdict *verdict = &verdicts->list[i];

                if (strcmp(verdict->kind, embedded->kind) != 0)
                        continue;
                verdict->is_chosen = true;
                snprintf(verdict->reason, sizeof verdict->reason, "the first that could keep every promise");
        }
}
