#include "engines.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "daemon-options.h"
#include "docker.h"
#include "engine.h"
#include "fake-engine.h"
#include "oci.h"
#include "podman.h"
#include "probe.h"
#include "scope.h"

/* Until the first answer: an engine with socket activation (systemd) needs some time to start. */
#define PROBE_S 6.0
#define SEARCH_INTERVAL_S 2.0

struct candidate {
        enum config_engine engine;
        const char *kind;
        const char *socket; /* its default socket, which engine_socket overrides; "": it has none */
        bool is_automatic;
        bool has_api; /* a daemon that answers at a socket; else part of carreld, which checks the host */
        int (*make)(const struct candidate *candidate, struct engine **ret_engine, struct ev_loop *loop,
                    const struct config *config);
};

static const char *socket_of(const struct candidate *candidate, const struct config *config)
{
        return config->engine_socket[0] != '\0' ? config->engine_socket : candidate->socket;
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

/* In the order in which `auto` probes them. */
static const struct candidate CANDIDATES[] = {
        { CONFIG_ENGINE_PODMAN, "podman", "/run/podman/podman.sock", true, true, make_podman },
        { CONFIG_ENGINE_DOCKER, "docker", "/run/docker.sock", true, true, make_docker },
        { CONFIG_ENGINE_OCI, "oci", "", true, false, make_oci },
        { CONFIG_ENGINE_FAKE, "fake", "", false, false, make_fake },
};
#define N_CANDIDATES (sizeof CANDIDATES / sizeof *CANDIDATES)
enum { N_EMBEDDED = 2 }; /* its index in the table */
_Static_assert(N_CANDIDATES <= ENGINES_MAX, "every candidate has a verdict");

static struct engine_verdict *add_verdict(struct engine_verdicts *verdicts, const struct candidate *candidate)
{
        struct engine_verdict *verdict = &verdicts->list[verdicts->count++];

        verdict->kind = candidate->kind;
        return verdict;
}

static const struct candidate *find_candidate(const char *kind)
{
        for (size_t i = 0; i < N_CANDIDATES; i++)
                if (CANDIDATES[i].is_automatic && strcmp(CANDIDATES[i].kind, kind) == 0)
                        return &CANDIDATES[i];
        return NULL;
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

/* ---- probing whether a candidate can keep every promise ---- */

static int judge_kind(const struct candidate *candidate, const struct config *config, enum probed_kind found,
                      struct fault *why)
{
        if (found == (candidate->engine == CONFIG_ENGINE_PODMAN ? PROBED_PODMAN : PROBED_DOCKER))
                return 0;
        return fault_set(why, FAULT_ENGINE_UNAVAILABLE, EPROTO, "%s is served by another engine",
                         socket_of(candidate, config));
}

/* A probe that the start waits for, in a loop of its own. */
struct question {
        struct ev_loop *loop;
        bool has_answer;
        enum probed_kind found;
        struct fault why;
        bool has_failed;
};

static void on_answer(void *arg, enum probed_kind found, const struct fault *why)
{
        struct question *question = arg;

        question->has_answer = true;
        question->found = found;
        question->has_failed = why != NULL;
        if (why != NULL)
                question->why = *why;
        ev_break(question->loop, EVBREAK_ALL);
}

static int ask_api(const struct candidate *candidate, const struct config *config, struct fault *why)
{
        struct question question = { .loop = ev_loop_new(EVFLAG_AUTO) };
        struct probe *probe;
        int r = question.loop == NULL ? -ENOMEM
                                      : probe_start(&probe, question.loop, socket_of(candidate, config),
                                                    config->runtime, PROBE_S, on_answer, &question);

        if (r < 0)
                (void)fault_set(why, FAULT_RESOURCE_EXHAUSTED, -r, "cannot ask it: %s", strerror(-r));
        while (r == 0 && !question.has_answer)
                ev_run(question.loop, 0);
        if (question.loop != NULL)
                ev_loop_destroy(question.loop);
        if (r < 0)
                return r;
        return question.has_failed ? fault_pass(why, &question.why)
                                   : judge_kind(candidate, config, question.found, why);
}

static int ask_embedded(const struct candidate *candidate, struct ev_loop *loop, const struct config *config,
                        struct fault *why)
{
        struct engine_about about = { 0 };
        struct engine *engine;
        int r = candidate->make(candidate, &engine, loop, config);

        if (r < 0)
                return fault_set(why, FAULT_ENGINE_UNAVAILABLE, -r, "its directory cannot be created: %s",
                                 strerror(-r));
        engine->ops->about(engine, &about);
        engine->ops->free(engine);
        return about.is_available ? 0 : fault_set(why, FAULT_ENGINE_UNAVAILABLE, ENOTSUP, "%s", about.detail);
}

static const struct candidate *choose_first_able(struct ev_loop *loop, const struct config *config,
                                                 struct engine_verdicts *verdicts)
{
        const struct candidate *chosen = NULL;

        for (size_t i = 0; i < N_CANDIDATES; i++) {
                const struct candidate *candidate = &CANDIDATES[i];
                struct fault why = { 0 };
                struct engine_verdict *verdict;
                int r;

                if (!candidate->is_automatic)
                        continue;
                verdict = add_verdict(verdicts, candidate);
                if (chosen != NULL) {
                        snprintf(verdict->reason, sizeof verdict->reason, "not asked: %s comes first", chosen->kind);
                        continue;
                }
                r = candidate->has_api ? ask_api(candidate, config, &why) : ask_embedded(candidate, loop, config, &why);
                if (r < 0) {
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
        size_t length = (size_t)snprintf(verdicts->reasons, sizeof verdicts->reasons, "no engine is usable.  ");

        for (size_t i = 0; i < verdicts->count && length < sizeof verdicts->reasons; i++)
                length += (size_t)snprintf(verdicts->reasons + length, sizeof verdicts->reasons - length, "%s%s: %s",
                                           i > 0 ? "; " : "", verdicts->list[i].kind, verdicts->list[i].reason);
}

/* ---- remembering the choice until the next reboot ---- */

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
        return find_candidate(kind);
}

/* Replaces the file atomically. A failed write does no harm: the next start chooses again. */
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

/* The automatic candidate that is known without a probe. */
static void choose_unasked(struct engine_verdicts *verdicts, const struct candidate *chosen, const char *why,
                           const char *why_not)
{
        for (size_t i = 0; i < N_CANDIDATES; i++) {
                struct engine_verdict *verdict;

                if (!CANDIDATES[i].is_automatic)
                        continue;
                verdict = add_verdict(verdicts, &CANDIDATES[i]);
                verdict->is_chosen = &CANDIDATES[i] == chosen;
                snprintf(verdict->reason, sizeof verdict->reason, "%s%s", verdict->is_chosen ? why : why_not,
                         verdict->is_chosen ? "" : chosen->kind);
        }
}

static const struct candidate *choose_automatically(struct ev_loop *loop, const struct config *config,
                                                    const char *found, struct engine_verdicts *verdicts)
{
        const struct candidate *chosen = found != NULL ? find_candidate(found) : NULL;

        if (chosen != NULL) {
                choose_unasked(verdicts, chosen, "the first to come up that can keep every promise",
                               "not chosen: the first to come up was ");
                return chosen;
        }
        chosen = read_record(config);
        if (chosen != NULL) {
                choose_unasked(verdicts, chosen, "the last run's carrels are on it; set another engine if it is gone",
                               "not asked: the last run's carrels are on ");
                return chosen;
        }
        return choose_first_able(loop, config, verdicts);
}

/* ---- choosing ---- */

int engines_choose(struct engine **ret_engine, struct engine_verdicts *ret_verdicts, struct ev_loop *loop,
                   const struct config *config, const char *found, struct fault *why)
{
        const struct candidate *chosen;
        int r;

        *ret_verdicts = (struct engine_verdicts){ 0 };
        chosen = config->engine == CONFIG_ENGINE_AUTO ? choose_automatically(loop, config, found, ret_verdicts)
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

/* ---- searching ---- */

struct engine_search {
        struct ev_loop *loop;
        const struct config *config;
        struct engine_verdicts *verdicts;
        struct engine_search_events events;
        size_t next; /* the candidate to probe next, or that `probe` is probing */
        struct probe *probe;
        ev_timer pause;
};

static struct engine_verdict *find_verdict(struct engine_verdicts *verdicts, const char *kind)
{
        for (size_t i = 0; i < verdicts->count; i++)
                if (strcmp(verdicts->list[i].kind, kind) == 0)
                        return &verdicts->list[i];
        return NULL;
}

static void search_on(struct engine_search *search);

static void pass_over(struct engine_search *search, const char *reason)
{
        struct engine_verdict *verdict = find_verdict(search->verdicts, CANDIDATES[search->next].kind);

        if (verdict != NULL)
                snprintf(verdict->reason, sizeof verdict->reason, "%s", reason);
        search->next++;
}

static void on_searched(void *arg, enum probed_kind found, const struct fault *why)
{
        struct engine_search *search = arg;
        const struct candidate *candidate = &CANDIDATES[search->next];
        struct fault own = { 0 };
        int r = why != NULL ? fault_pass(&own, why) : judge_kind(candidate, search->config, found, &own);

        search->probe = NULL; /* it frees itself */
        if (r == 0) {
                search->events.on_found(search->events.arg, candidate->kind);
                return;
        }
        pass_over(search, own.message);
        search_on(search);
}

/* Probes the next candidate, or ends the round. */
static void search_on(struct engine_search *search)
{
        for (; search->next < N_CANDIDATES; search->next++) {
                const struct candidate *candidate = &CANDIDATES[search->next];

                if (candidate->is_automatic && candidate->has_api &&
                    probe_start(&search->probe, search->loop, socket_of(candidate, search->config),
                                search->config->runtime, PROBE_S, on_searched, search) == 0)
                        return;
        }
        collect_reasons(search->verdicts);
        ev_timer_set(&search->pause, SEARCH_INTERVAL_S, 0.0);
        ev_timer_start(search->loop, &search->pause);
        search->events.on_round(search->events.arg);
}

static void on_pause_over(struct ev_loop *loop, ev_timer *timer, int events)
{
        struct engine_search *search = timer->data;

        search->next = 0;
        search_on(search);
}

int engine_search_new(struct engine_search **ret_search, struct ev_loop *loop, const struct config *config,
                      struct engine_verdicts *verdicts, const struct engine_search_events *events)
{
        struct engine_search *search = calloc(1, sizeof *search);

        if (search == NULL)
                return -ENOMEM;
        *search = (struct engine_search){ .loop = loop, .config = config, .verdicts = verdicts, .events = *events };
        ev_timer_init(&search->pause, on_pause_over, SEARCH_INTERVAL_S, 0.0);
        search->pause.data = search;
        ev_timer_start(loop, &search->pause);
        *ret_search = search;
        return 0;
}

struct engine_search *engine_search_free(struct engine_search *search)
{
        if (search != NULL) {
                ev_timer_stop(search->loop, &search->pause);
                (void)probe_cancel(search->probe);
                free(search);
        }
        return NULL;
}

void engines_settle(struct engine_verdicts *verdicts, const struct config *config)
{
        const struct candidate *embedded = &CANDIDATES[N_EMBEDDED];
        struct engine_verdict *verdict;

        if (verdicts->has_choice)
                return;
        verdicts->has_choice = true;
        write_record(config, embedded);
        verdict = find_verdict(verdicts, embedded->kind);
        if (verdict != NULL) {
                verdict->is_chosen = true;
                snprintf(verdict->reason, sizeof verdict->reason, "the first that could keep every promise");
        }
}
