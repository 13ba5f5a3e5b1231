/* Profiles: what an ensure with one gets, that it can never be weakened, and what happens to live carrels when a reload
 * changes or removes one. */
#include "rig.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attach.h"
#include "profiles.h"
#include "scope.h"
#include "spec.h"
#include "str.h"
#include "warm-targets.h"

#define MIB(n) (UINT64_C(n) << 20)

/* The pool's own. */
static const struct carrel_spec DEFAULTS = {
        .image = "box:1", .policy = POLICY_INTERNET, .memory_bytes = MIB(1024), .cpu_millis = 1000, .pids = 256
};

/* Opens no limit, and is offline. */
static const struct pool_profile SMALL = {
        .name = "small",
        .spec = { .image = "tiny:1", .policy = POLICY_NONE, .memory_bytes = MIB(128), .cpu_millis = 500, .pids = 32 }
};
/* More memory than the pool's; the rest is open. */
static const struct pool_profile LARGE = { .name = "large", .spec = { .memory_bytes = MIB(8192) } };
static const struct pool_profile ONLINE = { .name = "online", .spec = { .policy = POLICY_INTERNET } };
static const struct pool_profile EMPTY = { .name = "empty" };

/* ---- merging ---- */

#define NONE_LIVE                                                                                                      \
        {                                                                                                              \
                .pids = 0                                                                                              \
        }

static void an_ensure_merges_profile_and_request(void **state)
{
        static const struct {
                struct carrel_spec asked, live; /* live without a policy: none */
                const struct pool_profile *profile;
                enum fault_kind kind;
                struct carrel_spec resolved;
        } CASES[] = {
                /* A new carrel: request over profile over pool. */
                { { .profile = "small" },
                  NONE_LIVE,
                  &SMALL,
                  FAULT_NONE,
                  { "tiny:1", POLICY_NONE, MIB(128), 500, 32, "small" } },
                { { .profile = "small", .memory_bytes = MIB(64), .cpu_millis = 100, .pids = 8 },
                  NONE_LIVE,
                  &SMALL,
                  FAULT_NONE,
                  { "tiny:1", POLICY_NONE, MIB(64), 100, 8, "small" } },
                { { .profile = "small", .image = "tiny:1", .policy = POLICY_NONE, .memory_bytes = MIB(128) },
                  NONE_LIVE,
                  &SMALL,
                  FAULT_NONE,
                  { "tiny:1", POLICY_NONE, MIB(128), 500, 32, "small" } },
                { { .profile = "large" },
                  NONE_LIVE,
                  &LARGE,
                  FAULT_NONE,
                  { "box:1", POLICY_INTERNET, MIB(8192), 1000, 256, "large" } },
                { { .profile = "large", .image = "other:2", .policy = POLICY_NONE, .memory_bytes = MIB(4096) },
                  NONE_LIVE,
                  &LARGE,
                  FAULT_NONE,
                  { "other:2", POLICY_NONE, MIB(4096), 1000, 256, "large" } },
                { { .profile = "online", .policy = POLICY_NONE },
                  NONE_LIVE,
                  &ONLINE,
                  FAULT_NONE,
                  { "box:1", POLICY_NONE, MIB(1024), 1000, 256, "online" } },
                { { .profile = "empty" },
                  NONE_LIVE,
                  &EMPTY,
                  FAULT_NONE,
                  { "box:1", POLICY_INTERNET, MIB(1024), 1000, 256, "empty" } },
                /* The default profile: the request names none. */
                { { .pids = 16 },
                  NONE_LIVE,
                  &SMALL,
                  FAULT_NONE,
                  { "tiny:1", POLICY_NONE, MIB(128), 500, 16, "small" } },
                /* A live carrel keeps what the request leaves open. */
                { { .pids = 16 },
                  { "other:2", POLICY_NONE, MIB(512), 700, 64, "large" },
                  &LARGE,
                  FAULT_NONE,
                  { "other:2", POLICY_NONE, MIB(512), 700, 16, "large" } },
                /* ... within what the profile is by now. */
                { { .cpu_millis = 100 },
                  { "box:1", POLICY_INTERNET, MIB(512), 700, 64, "small" },
                  &SMALL,
                  FAULT_NONE,
                  { "tiny:1", POLICY_NONE, MIB(128), 100, 32, "small" } },
                /* A request that names the profile gets the profile's values, and keeps only what it leaves open. */
                { { .profile = "small" },
                  { "tiny:1", POLICY_NONE, MIB(64), 100, 8, "small" },
                  &SMALL,
                  FAULT_NONE,
                  { "tiny:1", POLICY_NONE, MIB(128), 500, 32, "small" } },
                { { .profile = "large", .pids = 16 },
                  { "other:2", POLICY_NONE, MIB(512), 700, 64, "large" },
                  &LARGE,
                  FAULT_NONE,
                  { "other:2", POLICY_NONE, MIB(8192), 700, 16, "large" } },
                /* Never weaker. */
                { { .profile = "small", .memory_bytes = MIB(129) }, NONE_LIVE, &SMALL, FAULT_REQUEST_INVALID, { "" } },
                { { .profile = "small", .cpu_millis = 501 }, NONE_LIVE, &SMALL, FAULT_REQUEST_INVALID, { "" } },
                { { .profile = "small", .pids = 33 }, NONE_LIVE, &SMALL, FAULT_REQUEST_INVALID, { "" } },
                { { .profile = "small", .policy = POLICY_INTERNET }, NONE_LIVE, &SMALL, FAULT_REQUEST_INVALID, { "" } },
                { { .profile = "small", .image = "box:1" }, NONE_LIVE, &SMALL, FAULT_REQUEST_INVALID, { "" } },
                { { .profile = "small", .image = "tiny" }, NONE_LIVE, &SMALL, FAULT_REQUEST_INVALID, { "" } },
                { { .profile = "large", .memory_bytes = MIB(8193) }, NONE_LIVE, &LARGE, FAULT_REQUEST_INVALID, { "" } },
                { { .profile = "large", .pids = 257 }, NONE_LIVE, &LARGE, FAULT_REQUEST_INVALID, { "" } },
                { { .profile = "empty", .memory_bytes = MIB(1025) }, NONE_LIVE, &EMPTY, FAULT_REQUEST_INVALID, { "" } },
                { { .policy = POLICY_INTERNET },
                  { "tiny:1", POLICY_NONE, MIB(64), 100, 8, "small" },
                  &SMALL,
                  FAULT_REQUEST_INVALID,
                  { "" } },
                { { .memory_bytes = MIB(256) },
                  { "tiny:1", POLICY_NONE, MIB(64), 100, 8, "small" },
                  &SMALL,
                  FAULT_REQUEST_INVALID,
                  { "" } },
                /* Below what an engine can do. */
                { { .profile = "small", .pids = 7 }, NONE_LIVE, &SMALL, FAULT_REQUEST_INVALID, { "" } },
                { { .profile = "small", .memory_bytes = MIB(1) }, NONE_LIVE, &SMALL, FAULT_REQUEST_INVALID, { "" } },
        };

        for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
                bool is_live = CASES[i].live.policy != POLICY_UNSET;
                struct carrel_spec resolved = { 0 };
                struct fault why = { 0 };

                (void)spec_resolve(&CASES[i].asked, is_live ? &CASES[i].live : NULL, CASES[i].profile, &DEFAULTS,
                                   &resolved, &why);
                if (why.kind != CASES[i].kind)
                        fail_msg("%zu: %s", i, why.message);
                if (why.kind == FAULT_NONE)
                        assert_memory_equal(&resolved, &CASES[i].resolved, sizeof resolved);
                if (why.kind != FAULT_NONE && CASES[i].asked.profile[0] != '\0' &&
                    strstr(why.message, CASES[i].profile->name) == NULL)
                        fail_msg("%zu: does not name the profile: %s", i, why.message);
        }
}

/* Each row of this product is one request: what is made of it lies within the profile, or it is refused. */
static void no_request_weakens_a_profile(void **state)
{
        static const struct pool_profile *const PROFILES[] = { &SMALL, &LARGE, &ONLINE, &EMPTY, NULL };
        static const uint64_t MEMORY[] = { 0, MIB(64), MIB(128), MIB(1024), MIB(8192), UINT64_MAX };
        static const uint64_t CPUS[] = { 0, 500, 1000, 1001 };
        static const uint32_t PIDS[] = { 0, 32, 256, UINT32_MAX };
        static const char *const IMAGES[] = { "", "tiny:1", "box:1" };
        static const struct carrel_spec LIVES[] = {
                { "" },
                { "box:1", POLICY_INTERNET, MIB(16384), 9000, 9000, "" },
                { "tiny:1", POLICY_NONE, MIB(64), 10, 8, "" },
        };
        enum { N_MEMORY = 6, N_CPUS = 4, N_PIDS = 4, N_IMAGES = 3, N_POLICIES = 3, N_NAMED = 2, N_LIVES = 3 };
        const size_t rows = N_MEMORY * N_CPUS * N_PIDS * N_IMAGES * N_POLICIES * N_NAMED * N_LIVES;
        size_t n_made = 0;

        for (size_t p = 0; p < sizeof PROFILES / sizeof *PROFILES; p++) {
                static const struct carrel_spec OPEN;
                const struct carrel_spec *set = PROFILES[p] != NULL ? &PROFILES[p]->spec : &OPEN;

                for (size_t row = 0; row < rows; row++) {
                        size_t at = row;
                        struct carrel_spec asked = { .memory_bytes = MEMORY[at % N_MEMORY] };
                        struct carrel_spec live, made;

                        at /= N_MEMORY;
                        asked.cpu_millis = CPUS[at % N_CPUS];
                        at /= N_CPUS;
                        asked.pids = PIDS[at % N_PIDS];
                        at /= N_PIDS;
                        (void)snprintf(asked.image, sizeof asked.image, "%s", IMAGES[at % N_IMAGES]);
                        at /= N_IMAGES;
                        asked.policy = (enum carrel_policy)(at % N_POLICIES);
                        at /= N_POLICIES;
                        if (at % N_NAMED == 1 && PROFILES[p] != NULL)
                                (void)snprintf(asked.profile, sizeof asked.profile, "%s", PROFILES[p]->name);
                        at /= N_NAMED;
                        live = LIVES[at];
                        if (spec_resolve(&asked, live.image[0] != '\0' ? &live : NULL, PROFILES[p], &DEFAULTS, &made,
                                         NULL) < 0)
                                continue;
                        n_made++;
                        assert_true(made.memory_bytes <=
                                    (set->memory_bytes != 0 ? set->memory_bytes : DEFAULTS.memory_bytes));
                        assert_true(made.cpu_millis <= (set->cpu_millis != 0 ? set->cpu_millis : DEFAULTS.cpu_millis));
                        assert_true(made.pids <= (set->pids != 0 ? set->pids : DEFAULTS.pids));
                        assert_false(set->policy == POLICY_NONE && made.policy != POLICY_NONE);
                        assert_true(set->image[0] == '\0' || strcmp(made.image, set->image) == 0);
                        assert_string_equal(made.profile, PROFILES[p] != NULL ? PROFILES[p]->name : "");
                        assert_true(asked.memory_bytes == 0 || made.memory_bytes == asked.memory_bytes);
                        assert_true(asked.policy == POLICY_UNSET || made.policy == asked.policy);
                }
        }
        assert_true(n_made > 1000); /* refusing everything would not be the proof */
}

static void a_profile_is_outdated_only_in_what_it_sets(void **state)
{
        static const struct carrel_spec NAMED = { .profile = "large" },
                                        NARROWED = { .profile = "large", .memory_bytes = MIB(64) };
        struct carrel_spec live = { "other:2", POLICY_NONE, MIB(8192), 1, 8, "large" };

        assert_true(spec_matches_profile(&NAMED, &LARGE, &live));
        live.memory_bytes = MIB(64);
        assert_false(spec_matches_profile(&NAMED, &LARGE, &live));
        assert_true(spec_matches_profile(&NARROWED, &LARGE, &live));
}

/* ---- the label and the settings ---- */

static void the_label_has_the_profile(void **state)
{
        static const char *const BAD[] = { "1",      "\"\"", "\"a b\"",
                                           "\"-a\"", "null", "\"a123456789012345678901234567890123\"" };
        struct carrel_spec spec = DEFAULTS, decoded = { 0 };
        AUTO(auto_free) char *plain = spec_encode(&spec);

        assert_null(strstr(plain, "profile")); /* as a carreld without profiles wrote it */
        (void)snprintf(spec.profile, sizeof spec.profile, "small");
        AUTO(auto_free) char *json = spec_encode(&spec);
        assert_non_null(strstr(json, ",\"profile\":\"small\"}"));
        assert_int_equal(spec_decode(json, &decoded), 0);
        assert_memory_equal(&decoded, &spec, sizeof decoded);
        for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
                char text[300];

                (void)snprintf(text, sizeof text, "%.*s,\"profile\":%s}", (int)strlen(plain) - 1, plain, BAD[i]);
                if (spec_decode(text, &decoded) != -EBADMSG)
                        fail_msg("taken: %s", text);
        }
}

static void wrong_profiles_are_refused(void **state)
{
        static const struct {
                struct pool_profile profiles[2];
                const char *usual; /* the default profile */
                const char *named; /* in the fault; NULL: accepted */
        } CASES[] = {
                { { { .name = "a" }, { .name = "b" } }, "b", NULL },
                { { { .name = "a" }, { .name = "b" } }, "", NULL },
                { { { .name = "a" }, { .name = "b" } }, "c", "[profile c]" },
                { { { .name = "a" }, { .name = "a" } }, "", "twice" },
                { { { .name = "a b" }, { .name = "b" } }, "", "letters" },
                { { { .name = "a", .spec = { .pids = 7 } }, { .name = "b" } }, "", "profile a: pids is 7" },
                { { { .name = "a", .spec = { .memory_bytes = 1 } }, { .name = "b" } }, "", "profile a: memory" },
                { { { .name = "a", .spec = { .image = "a b" } }, { .name = "b" } }, "", "profile a: the image" },
                { { { .name = "a", .spec = { .memory_bytes = MIB(16384) } }, { .name = "b" } }, "a", NULL },
                { { { .name = "a", .environment = "A=1\nB_2=x=y z\n" }, { .name = "b" } }, "", NULL },
                { { { .name = "a", .environment = "A=1\nA=2\n" }, { .name = "b" } }, "", "profile a: env has a name" },
                { { { .name = "a", .environment = "A\n" }, { .name = "b" } }, "", "NAME=value" },
                { { { .name = "a", .environment = "=x\n" }, { .name = "b" } }, "", "NAME=value" },
                { { { .name = "a", .environment = "1A=x\n" }, { .name = "b" } }, "", "NAME=value" },
                { { { .name = "a", .environment = "A-B=x\n" }, { .name = "b" } }, "", "NAME=value" },
                { { { .name = "a", .environment = "CARREL_USER=x\n" }, { .name = "b" } }, "", "CARREL_*" },
                { { { .name = "a", .warm = 2 }, { .name = "b", .warm = 1 } }, "b", "[profile b]: leave one out" },
                { { { .name = "a", .warm = 1001 }, { .name = "b" } }, "", "max_carrels" },
        };

        for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
                struct pool_options options = rig_options();
                struct fault why = { 0 };
                int r;

                options.users_dir = options.runtime_dir = "/srv";
                options.dns = options.runtime = options.cgroup_parent = "";
                options.profiles = CASES[i].profiles;
                options.n_profiles = 2;
                options.profile = CASES[i].usual;
                options.warm = "1";
                r = pool_check(&options, &why);
                if ((CASES[i].named == NULL) != (r == 0) ||
                    (r < 0 && (why.kind != FAULT_SETTING_INVALID || strstr(why.message, CASES[i].named) == NULL)))
                        fail_msg("%zu: %s", i, why.message);
        }
}

static void a_profile_has_at_most_64_variables(void **state)
{
        struct pool_options options = rig_options();
        struct pool_profile profile = { .name = "a" };
        struct buffer lines = { 0 };

        options.users_dir = options.runtime_dir = "/srv";
        options.dns = options.runtime = options.cgroup_parent = "";
        options.profiles = &profile;
        options.n_profiles = 1;
        for (int i = 0; i < PROFILE_VARIABLES_MAX; i++)
                (void)buffer_format(&lines, "A%d=\n", i);
        profile.environment = lines.data;
        assert_int_equal(pool_check(&options, NULL), 0);
        (void)buffer_text(&lines, "B=\n");
        profile.environment = lines.data;
        assert_true(pool_check(&options, NULL) < 0);
        buffer_free(&lines);
}

static void an_unknown_profile_is_answered_with_the_names(void **state)
{
        struct pool_profile profiles[40];
        char names[40][POOL_PROFILE_BYTES];
        struct pool_options options = { .profiles = profiles, .n_profiles = 2 };
        struct fault why = { 0 };

        for (size_t i = 0; i < 40; i++) {
                (void)snprintf(names[i], sizeof names[i], "name-of-32-bytes-%015zu", i);
                profiles[i] = (struct pool_profile){ .name = names[i] };
        }
        profiles[0].name = "small";
        profiles[1].name = "large";
        assert_true(profiles_refuse(&options, "medium", &why) < 0);
        assert_int_equal(why.kind, FAULT_REQUEST_INVALID);
        assert_string_equal(why.message, "there is no profile medium in the settings; there is: small, large");
        options.n_profiles = 0;
        (void)profiles_refuse(&options, "medium", &why);
        assert_string_equal(why.message, "there is no profile medium: the settings have none");
        options.n_profiles = 40;
        (void)profiles_refuse(&options, names[39], &why);
        assert_string_equal(why.message + strlen(why.message) - 5, ", ...");
}

/* ---- on the fake engine ---- */

static void open_with(struct rig *rig, const struct pool_profile *profiles, size_t n_profiles, const char *usual)
{
        struct pool_options options = rig_options();

        rig_need_root();
        options.profiles = profiles;
        options.n_profiles = n_profiles;
        options.profile = usual;
        rig_open(rig, &options);
}

static void reload(struct rig *rig, const struct pool_profile *profiles, size_t n_profiles, const char *usual)
{
        struct fault why = { 0 };

        rig->options.profiles = profiles;
        rig->options.n_profiles = n_profiles;
        rig->options.profile = usual;
        if (pool_reconfigure(rig->pool, &rig->options, &why) < 0)
                fail_msg("%s", why.message);
}

static void copy_spec(void *arg, const struct carrel_view *view)
{
        *(struct carrel_spec *)arg = *view->spec;
}

static struct carrel_spec spec_of(struct rig *rig, const char *user)
{
        struct carrel_spec spec = { 0 };

        assert_true(pool_inspect(rig->pool, user, copy_spec, &spec));
        return spec;
}

static void expect_ensure(struct rig *rig, const char *user, const char *profile, enum ensure_outcome outcome,
                          const char *expected_profile, uint64_t expected_memory)
{
        struct carrel_spec asked = { 0 }, spec;
        struct answer answer;

        (void)snprintf(asked.profile, sizeof asked.profile, "%s", profile);
        rig_ensure_spec(rig, user, &asked, CONFLICT_REPLACE_IDLE, &answer);
        rig_run_for(rig, 2);
        if (!answer.is_success)
                fail_msg("%s", answer.why.message);
        assert_int_equal(answer.outcome, outcome);
        spec = spec_of(rig, user);
        assert_string_equal(spec.profile, expected_profile);
        assert_int_equal(spec.memory_bytes, expected_memory);
}

static void expect_refusal(struct rig *rig, const struct carrel_spec *asked, enum fault_kind kind, const char *part)
{
        struct answer answer;

        rig_ensure_spec(rig, "alice", asked, CONFLICT_REPLACE_IDLE, &answer);
        rig_run_for(rig, 2);
        assert_false(answer.is_success);
        assert_int_equal(answer.why.kind, kind);
        if (strstr(answer.why.message, part) == NULL)
                fail_msg("%s", answer.why.message);
}

static void a_live_carrel_keeps_its_profile(void **state)
{
        const struct pool_profile profiles[] = { SMALL, LARGE };
        const struct carrel_spec narrowed = { .pids = 16 }, wider = { .pids = 33 }, medium = { .profile = "medium" };
        struct rig rig;
        struct answer answer;

        open_with(&rig, profiles, 2, "");
        expect_ensure(&rig, "bob", "", OUTCOME_CREATED, "", MIB(2048));
        expect_ensure(&rig, "alice", "small", OUTCOME_CREATED, "small", MIB(128));
        expect_ensure(&rig, "alice", "", OUTCOME_REUSED, "small", MIB(128));
        expect_ensure(&rig, "alice", "small", OUTCOME_REUSED, "small", MIB(128));
        expect_refusal(&rig, &medium, FAULT_REQUEST_INVALID, "there is: small, large");
        expect_refusal(&rig, &wider, FAULT_REQUEST_INVALID, "the profile small allows 8 to 32");
        rig_ensure_spec(&rig, "alice", &narrowed, CONFLICT_REPLACE_IDLE, &answer);
        rig_run_for(&rig, 2);
        assert_int_equal(answer.outcome, OUTCOME_REPLACED);
        assert_string_equal(spec_of(&rig, "alice").profile, "small");
        expect_ensure(&rig, "alice", "large", OUTCOME_REPLACED, "large", MIB(8192));
        assert_int_equal(spec_of(&rig, "alice").pids, 256); /* nothing stays of the other profile */
        rig_close(&rig);
}

static void a_lost_carrel_starts_anew_with_the_default_profile(void **state)
{
        const struct pool_profile profiles[] = { SMALL, LARGE };
        struct rig rig;

        open_with(&rig, profiles, 2, "small");
        expect_ensure(&rig, "alice", "large", OUTCOME_CREATED, "large", MIB(8192));
        pool_mark_lost(rig.pool, "alice", "test");
        expect_ensure(&rig, "alice", "", OUTCOME_REPLACED, "small", MIB(128));
        rig_close(&rig);
}

static void another_profile_waits_until_the_carrel_is_idle(void **state)
{
        const struct pool_profile profiles[] = { SMALL, LARGE };
        const struct carrel_spec large = { .profile = "large" };
        struct rig rig;

        open_with(&rig, profiles, 2, "small");
        expect_ensure(&rig, "alice", "", OUTCOME_CREATED, "small", MIB(128));
        assert_int_equal(pool_touch(rig.pool, "alice", 600, NULL), 0);
        expect_refusal(&rig, &large, FAULT_SPEC_CONFLICT, "lease");
        assert_string_equal(spec_of(&rig, "alice").profile, "small");
        rig_run_for(&rig, 600);
        expect_ensure(&rig, "alice", "large", OUTCOME_REPLACED, "large", MIB(8192));
        rig_close(&rig);
}

/* A request that names the profile takes a change over as soon as nothing runs; a busy carrel serves on. */
static void a_changed_profile_is_taken_over_when_idle(void **state)
{
        static const struct pool_profile CHANGED = { .name = "large", .spec = { .memory_bytes = MIB(4096) } };
        const struct pool_profile before[] = { LARGE }, after[] = { CHANGED };
        struct rig rig;
        struct answer strict;
        const struct carrel_spec named = { .profile = "large" };

        open_with(&rig, before, 1, "");
        expect_ensure(&rig, "alice", "large", OUTCOME_CREATED, "large", MIB(8192));
        assert_int_equal(pool_touch(rig.pool, "alice", 600, NULL), 0);
        reload(&rig, after, 1, "");
        expect_ensure(&rig, "alice", "large", OUTCOME_REUSED, "large", MIB(8192)); /* it has a lease */
        rig_run_for(&rig, 600);
        rig_ensure_spec(&rig, "alice", &named, CONFLICT_FAIL, &strict);
        assert_int_equal(strict.outcome, OUTCOME_REUSED);
        expect_ensure(&rig, "alice", "", OUTCOME_REUSED, "large", MIB(8192)); /* asks for nothing */
        fake_set_available(rig.engine, false);
        expect_ensure(&rig, "alice", "large", OUTCOME_REUSED, "large", MIB(8192)); /* better than none */
        fake_set_available(rig.engine, true);
        expect_ensure(&rig, "alice", "large", OUTCOME_REPLACED, "large", MIB(4096));
        expect_ensure(&rig, "alice", "large", OUTCOME_REUSED, "large", MIB(4096));
        rig_close(&rig);
}

static void a_removed_profile_serves_its_carrels(void **state)
{
        const struct pool_profile before[] = { SMALL, LARGE }, after[] = { LARGE };
        const struct carrel_spec named = { .profile = "small" }, more = { .pids = 16 };
        struct rig rig;

        open_with(&rig, before, 2, "");
        expect_ensure(&rig, "alice", "small", OUTCOME_CREATED, "small", MIB(128));
        reload(&rig, after, 1, "");
        expect_ensure(&rig, "alice", "", OUTCOME_REUSED, "small", MIB(128));
        expect_refusal(&rig, &named, FAULT_REQUEST_INVALID, "there is: large");
        expect_refusal(&rig, &more, FAULT_REQUEST_INVALID, "there is: large"); /* within which bounds? */
        expect_ensure(&rig, "alice", "large", OUTCOME_REPLACED, "large", MIB(8192));
        rig_close(&rig);
}

static void on_survey(void *arg, const struct survey *survey, const struct fault *why)
{
        assert_null(why);
        assert_int_equal(survey->n_containers, 1);
        assert_int_equal(survey->containers[0].claim, CLAIM_ADOPTABLE);
        (void)snprintf(arg, CONTAINER_ID_BYTES, "%s", survey->containers[0].id);
}

static void on_adopted(void *arg, const struct fault *why)
{
        *(bool *)arg = why == NULL;
}

static void an_adopted_carrel_keeps_its_profile(void **state)
{
        const struct pool_profile before[] = { SMALL, LARGE }, after[] = { LARGE };
        const struct carrel_spec named = { .profile = "small" };
        struct rig rig;
        char id[CONTAINER_ID_BYTES] = "";
        bool is_adopted = false;

        open_with(&rig, before, 2, "");
        expect_ensure(&rig, "alice", "small", OUTCOME_CREATED, "small", MIB(128));
        rig.options.profiles = after; /* and it is removed meanwhile */
        rig.options.n_profiles = 1;
        rig_restart(&rig);
        assert_int_equal(pool_survey(rig.pool, on_survey, id), 0);
        rig_run_for(&rig, 1);
        assert_int_equal(pool_adopt(rig.pool, id, on_adopted, &is_adopted), 0);
        rig_run_for(&rig, 1);
        assert_true(is_adopted);
        pool_set_reconciled(rig.pool);
        expect_ensure(&rig, "alice", "", OUTCOME_REUSED, "small", MIB(128));
        expect_refusal(&rig, &named, FAULT_REQUEST_INVALID, "there is: large");
        rig_close(&rig);
}

/* ---- warm carrels ---- */

static void profiles_have_warm_carrels_of_their_own(void **state)
{
        struct pool_profile profiles[] = { SMALL, LARGE };
        struct pool_options options = rig_options();
        struct attach *attach;
        struct pool_stats stats;
        struct rig rig;

        rig_need_root();
        profiles[0].warm = 1;
        options.profiles = profiles;
        options.n_profiles = 2;
        options.profile = "large";
        options.warm = "1";
        options.warm_max_age_s = 3600;
        rig_open(&rig, &options);
        assert_int_equal(attach_new_fake(&attach, rig.loop), 0);
        pool_use_attach(rig.pool, attach);
        rig_run_for(&rig, 2);
        pool_stats(rig.pool, &stats);
        assert_int_equal(stats.by_state[CARREL_WARM], 2);
        expect_ensure(&rig, "alice", "small", OUTCOME_CLAIMED, "small", MIB(128));
        expect_ensure(&rig, "bob", "", OUTCOME_CLAIMED, "large", MIB(8192));
        rig_run_for(&rig, 2);
        profiles[0].spec.pids = 16;
        profiles[0].warm = 2;
        reload(&rig, profiles, 1, "");
        rig_run_for(&rig, 2);
        pool_stats(rig.pool, &stats);
        assert_int_equal(stats.by_state[CARREL_WARM], 3);
        expect_ensure(&rig, "dave", "", OUTCOME_CLAIMED, "", MIB(2048));
        expect_ensure(&rig, "carol", "small", OUTCOME_CLAIMED, "small", MIB(128));
        assert_int_equal(spec_of(&rig, "carol").pids, 16);
        rig_close(&rig);
        attach_free(attach);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(an_ensure_merges_profile_and_request),
                cmocka_unit_test(no_request_weakens_a_profile),
                cmocka_unit_test(a_profile_is_outdated_only_in_what_it_sets),
                cmocka_unit_test(the_label_has_the_profile),
                cmocka_unit_test(wrong_profiles_are_refused),
                cmocka_unit_test(a_profile_has_at_most_64_variables),
                cmocka_unit_test(an_unknown_profile_is_answered_with_the_names),
                cmocka_unit_test(a_live_carrel_keeps_its_profile),
                cmocka_unit_test(a_lost_carrel_starts_anew_with_the_default_profile),
                cmocka_unit_test(another_profile_waits_until_the_carrel_is_idle),
                cmocka_unit_test(a_changed_profile_is_taken_over_when_idle),
                cmocka_unit_test(a_removed_profile_serves_its_carrels),
                cmocka_unit_test(an_adopted_carrel_keeps_its_profile),
                cmocka_unit_test(profiles_have_warm_carrels_of_their_own),
        };

        return cmocka_run_group_tests_name("pool_profiles", tests, NULL, NULL);
}
