/* The pure parts of the pool: tables of cases. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admission.h"
#include "agent-slot.h"
#include "hardening.h"
#include "judge-ensure.h"
#include "listeners.h"
#include "names.h"
#include "past.h"
#include "pool-options.h"
#include "rig.h"
#include "spec.h"
#include "str.h"
#include "template.h"

#define X64 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static void test_user_ids(void **state)
{
        static const struct {
                const char *id;
                size_t length;
                bool is_valid;
        } CASES[] = {
                { "a", 1, true },     { "A", 1, true },        { "0", 1, true },         { "alice.b_c-d", 11, true },
                { X64, 64, true },    { X64 "x", 65, false },  { "", 0, false },         { ".", 1, false },
                { "..", 2, false },   { "a..", 3, true },      { "-a", 2, false },       { "_a", 2, false },
                { "a/b", 3, false },  { "../a", 4, false },    { "a b", 3, false },      { "a\0b", 3, false },
                { "a\n", 2, false },  { "\x1b[1m", 4, false }, { "\xc3\xa9", 2, false }, { "a\xc3\xa9", 3, false },
                { "a%2e", 4, false }, { "a:b", 3, false },
        };

        for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
                struct fault why = { 0 };
                int r = user_id_check(CASES[i].id, CASES[i].length, &why);

                assert_int_equal(r == 0, CASES[i].is_valid);
                assert_int_equal(why.kind, CASES[i].is_valid ? FAULT_NONE : FAULT_USER_ID_INVALID);
                assert_null(strpbrk(why.message, "\n\x1b")); /* the hostile id is not quoted */
        }
}

static const struct carrel_spec FULL = {
        .image = "sandbox:1", .policy = POLICY_INTERNET, .memory_bytes = 1 << 30, .cpu_millis = 2000, .pids = 256
};

static void test_spec_resolve(void **state)
{
        static const struct {
                struct carrel_spec asked;
                enum fault_kind kind;
                struct carrel_spec resolved;
        } CASES[] = {
                { { .pids = 0 }, FAULT_NONE, { "sandbox:1", POLICY_INTERNET, 1 << 30, 2000, 256 } },
                { { .image = "reg.io:5000/a/b@sha256:0f" },
                  FAULT_NONE,
                  { "reg.io:5000/a/b@sha256:0f", POLICY_INTERNET, 1 << 30, 2000, 256 } },
                { { .policy = POLICY_NONE }, FAULT_NONE, { "sandbox:1", POLICY_NONE, 1 << 30, 2000, 256 } },
                { { .memory_bytes = 6291456, .cpu_millis = 10, .pids = 8 },
                  FAULT_NONE,
                  { "sandbox:1", POLICY_INTERNET, 6291456, 10, 8 } },
                { { .memory_bytes = 1 << 30, .cpu_millis = 2000, .pids = 256 },
                  FAULT_NONE,
                  { "sandbox:1", POLICY_INTERNET, 1 << 30, 2000, 256 } },
                { { .memory_bytes = (1 << 30) + 1 }, FAULT_REQUEST_INVALID, { .pids = 0 } },
                { { .memory_bytes = 6291455 }, FAULT_REQUEST_INVALID, { .pids = 0 } },
                { { .cpu_millis = 2001 }, FAULT_REQUEST_INVALID, { .pids = 0 } },
                { { .cpu_millis = 9 }, FAULT_REQUEST_INVALID, { .pids = 0 } },
                { { .pids = 257 }, FAULT_REQUEST_INVALID, { .pids = 0 } },
                { { .pids = 7 }, FAULT_REQUEST_INVALID, { .pids = 0 } },
                { { .mounts = "data,models" },
                  FAULT_NONE,
                  { "sandbox:1", POLICY_INTERNET, 1 << 30, 2000, 256, .mounts = "data,models" } },
                { { .mounts = POOL_MOUNTS_NONE }, FAULT_NONE, { "sandbox:1", POLICY_INTERNET, 1 << 30, 2000, 256 } },
                { { .image = "a b" }, FAULT_REQUEST_INVALID, { .pids = 0 } },
                { { .image = "a\"b" }, FAULT_REQUEST_INVALID, { .pids = 0 } },
        };

        for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
                struct carrel_spec resolved = { 0 };
                struct fault why = { 0 };

                (void)spec_resolve(&CASES[i].asked, NULL, NULL, &FULL, &resolved, &why);
                assert_int_equal(why.kind, CASES[i].kind);
                assert_memory_equal(&resolved, &CASES[i].resolved, sizeof resolved); /* untouched on failure */
        }
}

static void test_spec_matches(void **state)
{
        const struct carrel_spec others[] = {
                { .image = "sandbox:2" },
                { .policy = POLICY_NONE },
                { .memory_bytes = 1 },
                { .cpu_millis = 1 },
                { .pids = 1 },
                { .mounts = "models" },
        };
        const struct carrel_spec nothing = { .image = "" }, no_mounts = { .mounts = POOL_MOUNTS_NONE };
        struct carrel_spec mounted = FULL;

        assert_true(spec_matches(&nothing, &FULL));
        assert_true(spec_matches(&FULL, &FULL));
        for (size_t i = 0; i < sizeof others / sizeof *others; i++)
                assert_false(spec_matches(&others[i], &FULL));
        assert_true(spec_matches(&no_mounts, &FULL));
        (void)snprintf(mounted.mounts, sizeof mounted.mounts, "models");
        assert_true(spec_matches(&nothing, &mounted));
        assert_true(spec_matches(&mounted, &mounted));
        assert_false(spec_matches(&no_mounts, &mounted));
}

static void test_spec_label(void **state)
{
        static const char *const BAD[] = {
                "",
                "{}",
                "[]",
                "null",
                "{\"image\":1}",
                "{\"image\":\"a\",\"policy\":\"all\",\"memory_bytes\":1,\"cpu_millis\":1,\"pids\":1}",
                "{\"image\":\"a\",\"policy\":\"none\",\"memory_bytes\":-1,\"cpu_millis\":1,\"pids\":1}",
                "{\"image\":\"a\",\"policy\":\"none\",\"memory_bytes\":1e300,\"cpu_millis\":1,\"pids\":1}",
                "{\"image\":\"a\",\"policy\":\"none\",\"memory_bytes\":1,\"cpu_millis\":1,\"pids\":4294967296}",
                "{\"image\":\"a\",\"policy\":\"none\",\"memory_bytes\":1,\"cpu_millis\":1,\"pids\":1,\"mounts\":\"\"}",
                "{\"image\":\"a\",\"policy\":\"none\",\"memory_bytes\":1,\"cpu_millis\":1,\"pids\":1,\"mounts\":\"-\"}",
                "{\"image\":\"a\",\"policy\":\"none\",\"memory_bytes\":1,\"cpu_millis\":1,\"pids\":1,\"mounts\":\"a,,"
                "b\"}",
                "{\"image\":\"a\",\"policy\":\"none\",\"memory_bytes\":1,\"cpu_millis\":1,\"pids\":1,\"mounts\":[\"a\"]"
                "}",
                "{\"image\":\"a b\",\"policy\":\"none\",\"memory_bytes\":1,\"cpu_millis\":1,\"pids\":1}",
        };
        struct carrel_spec decoded = { 0 }, mounted = FULL;
        char *json = spec_encode(&FULL);

        assert_string_equal(json, "{\"image\":\"sandbox:1\",\"policy\":\"internet\",\"memory_bytes\":1073741824,"
                                  "\"cpu_millis\":2000,\"pids\":256}");
        assert_int_equal(spec_decode(json, &decoded), 0);
        assert_memory_equal(&decoded, &FULL, sizeof decoded);
        free(json);
        (void)snprintf(mounted.mounts, sizeof mounted.mounts, "data,models");
        json = spec_encode(&mounted);
        assert_string_equal(json, "{\"image\":\"sandbox:1\",\"policy\":\"internet\",\"memory_bytes\":1073741824,"
                                  "\"cpu_millis\":2000,\"pids\":256,\"mounts\":\"data,models\"}");
        assert_int_equal(spec_decode(json, &decoded), 0);
        assert_memory_equal(&decoded, &mounted, sizeof decoded);
        free(json);
        assert_int_equal(spec_decode("{\"image\":\"sandbox:1\",\"policy\":\"internet\",\"memory_bytes\":1073741824,"
                                     "\"cpu_millis\":2000,\"pids\":256}",
                                     &decoded),
                         0);
        for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
                assert_int_equal(spec_decode(BAD[i], &decoded), -EBADMSG);
        assert_memory_equal(&decoded, &FULL, sizeof decoded);
}

static struct pool_options complete_options(void)
{
        struct pool_options options = rig_options();

        options.users_dir = "/var/lib/carrel/users";
        options.runtime_dir = "/run/carrel";
        options.dns = "10.0.0.53, fd00::53";
        options.runtime = "";
        options.cgroup_parent = "";
        return options;
}

/* Whatever changes the container changes the hash; whatever does not, does not. */
static void test_spec_hash(void **state)
{
        enum { OPTIONS = 14, SPECS = 3, HASHES = OPTIONS + SPECS - 1 };
        static const struct pool_mount_set SETS[] = { { "models", "/srv/models:/models" } };
        struct pool_options options[OPTIONS];
        struct carrel_spec specs[SPECS] = { FULL, FULL, FULL };
        char hashes[HASHES][SPEC_HASH_BYTES];
        char again[SPEC_HASH_BYTES];

        for (size_t i = 0; i < OPTIONS; i++) {
                options[i] = complete_options();
                options[i].mount_sets = SETS;
                options[i].n_mount_sets = 1;
        }
        options[1].owner.uid = 1001;
        options[2].owner.gid = 1001;
        options[3].dns = "";
        options[4].runtime = "runsc";
        options[5].cgroup_parent = "runsc"; /* the same text in another place */
        options[6].tmp_bytes++;
        options[7].shm_bytes++;
        options[8].nofile++;
        options[9].users_dir = "/srv";
        options[10].mounts = "/srv/a:/a:ro, /srv/b:/b:rw";
        options[11].mounts = "/srv/a:/a:rw, /srv/b:/b:rw";
        options[12].mounts = "/srv/a:/b:ro, /srv/b:/a:rw";
        options[13].lxcfs = POOL_LXCFS_OFF;
        specs[1].pids--;
        (void)snprintf(specs[2].mounts, sizeof specs[2].mounts, "models");
        for (size_t i = 0; i < HASHES; i++) {
                const struct carrel_spec *spec = &specs[i < OPTIONS ? 0 : i - OPTIONS + 1];
                const struct pool_options *its = &options[i < OPTIONS ? i : 0];

                assert_int_equal(spec_hash(spec, its, &its->owner, TEMPLATE_CURRENT, hashes[i]), 0);
        }
        for (size_t i = 0; i < HASHES; i++) {
                assert_int_equal(strlen(hashes[i]), 32);
                for (size_t k = 0; k < i; k++)
                        assert_string_not_equal(hashes[i], hashes[k]);
        }
        options[0].max_carrels = 7;
        options[0].ensure_timeout_s = 7;
        assert_int_equal(spec_hash(&FULL, &options[0], &options[0].owner, TEMPLATE_CURRENT, again), 0);
        assert_string_equal(again, hashes[0]);
        options[10].mounts = "/srv/b:/b:rw, /srv/a:/a"; /* the same mounts */
        assert_int_equal(spec_hash(&FULL, &options[10], &options[10].owner, TEMPLATE_CURRENT, again), 0);
        assert_string_equal(again, hashes[10]);
        options[0].n_mount_sets = 0;
        assert_int_equal(spec_hash(&specs[2], &options[0], &options[0].owner, TEMPLATE_CURRENT, again), -ENOENT);
}

/* A carrel of an earlier carreld is known by the hash that it wrote: these bytes are on its label. */
static void test_spec_version(void **state)
{
        struct pool_options options = complete_options();
        char hash[SPEC_HASH_BYTES];

        assert_int_equal(spec_hash(&FULL, &options, &options.owner, TEMPLATE_3, hash), 0);
        assert_string_equal(hash, "a15fcd14e31a4f33d5257235ec60b9b8");
        assert_int_equal(spec_version_of(&FULL, &options, &options.owner, hash), TEMPLATE_3);
        /* It had none of the operator's mounts: settings that add some change its hash no more than they change it. */
        options.mounts = "/srv/models:/models";
        assert_int_equal(spec_version_of(&FULL, &options, &options.owner, hash), TEMPLATE_3);
        options.mounts = NULL;
        assert_int_equal(spec_hash(&FULL, &options, &options.owner, TEMPLATE_CURRENT, hash), 0);
        assert_int_equal(spec_version_of(&FULL, &options, &options.owner, hash), TEMPLATE_CURRENT);
        /* With dns = auto: whatever the host's resolvers are. */
        options.dns_setting = "auto";
        assert_int_equal(spec_hash(&FULL, &options, &options.owner, TEMPLATE_CURRENT, hash), 0);
        options.dns = "192.0.2.1";
        assert_int_equal(spec_version_of(&FULL, &options, &options.owner, hash), TEMPLATE_CURRENT);
        options.nofile++;
        assert_int_equal(spec_version_of(&FULL, &options, &options.owner, hash), TEMPLATE_NONE);
        assert_int_equal(spec_version_of(&FULL, &options, &options.owner, ""), TEMPLATE_NONE);
}

static void test_template(void **state)
{
        static const struct label LABELS[TEMPLATE_LABELS] = {
                { "io.carrel.product", "carrel" }, { "io.carrel.pool", RIG_POOL },
                { "io.carrel.spec-hash", "abc" },  { "io.carrel.spec", NULL },
                { "io.carrel.generation", "7" },   { "io.carrel.slot", "0123456789abcdef" },
                { "io.carrel.user", "alice" },
        };
        static const struct pool_owner OWNER = { 2001, 2002 }, INSIDE = { 1000, 1001 };
        struct pool_options options = complete_options();
        struct template t;
        struct container_info info = { .n_labels = TEMPLATE_LABELS };
        const struct pool_options ours = { .pool = RIG_POOL, .prefix = RIG_PREFIX },
                                  others = { .pool = "another", .prefix = RIG_PREFIX };
        struct carrel_spec decoded;

        assert_int_equal(template_fill(&t, &options, NULL, false, &OWNER, &INSIDE, "alice", "carrel-alice",
                                       "0123456789abcdef", &FULL, "abc", 7, NULL),
                         0);
        assert_string_equal(t.spec.name, "carrel-alice");
        assert_string_equal(t.spec.image, "sandbox:1");
        assert_string_equal(t.spec.argv[0], "/.carrel/init");
        assert_null(t.spec.argv[1]);
        assert_null(t.spec.environment); /* a user's variables come with each exec */
        assert_string_equal(t.spec.working_dir, "/workspace");
        assert_string_equal(t.spec.hostname, "carrel");
        assert_int_equal(t.spec.uid, 1000);
        assert_int_equal(t.spec.gid, 1001);
        assert_int_equal(t.spec.owner_uid, 2001);
        assert_int_equal(t.spec.owner_gid, 2002);
        assert_int_equal(t.spec.n_binds, 2);
        assert_string_equal(t.spec.binds[0].source, "/usr/libexec/carrel/carrel-init");
        assert_string_equal(t.spec.binds[0].target, "/.carrel/init");
        assert_true(t.spec.binds[0].is_read_only);
        assert_string_equal(t.spec.binds[1].source, "/var/lib/carrel/users/alice");
        assert_string_equal(t.spec.binds[1].target, "/workspace");
        assert_false(t.spec.binds[1].is_read_only);
        assert_int_equal(t.spec.n_tmpfs, 1);
        assert_string_equal(t.spec.tmpfs[0].target, "/tmp");
        assert_string_equal(t.spec.tmpfs[0].options, "rw,nosuid,nodev,exec,size=536870912,mode=1777");
        assert_string_equal(t.spec.dns[0], "10.0.0.53");
        assert_string_equal(t.spec.dns[1], "fd00::53");
        assert_null(t.spec.dns[2]);
        assert_int_equal(t.spec.memory_bytes, 1 << 30);
        assert_int_equal(t.spec.cpu_millis, 2000);
        assert_int_equal(t.spec.pids, 256);
        assert_int_equal(t.spec.nofile, 1024);
        assert_int_equal(t.spec.shm_bytes, 67108864);
        assert_int_equal(t.spec.n_labels, TEMPLATE_LABELS);
        for (size_t i = 0; i < TEMPLATE_LABELS; i++) {
                assert_string_equal(t.spec.labels[i].key, LABELS[i].key);
                if (LABELS[i].value != NULL)
                        assert_string_equal(t.spec.labels[i].value, LABELS[i].value);
        }
        info.labels = t.labels;
        assert_int_equal(spec_decode(container_label(&info, LABEL_SPEC), &decoded), 0);
        assert_int_equal(template_generation(&info), 7);
        assert_true(template_is_ours(&info, &ours, "alice"));
        assert_true(template_is_ours(&info, &ours, NULL));
        assert_false(template_is_ours(&info, &ours, "bob"));
        assert_false(template_is_ours(&info, &others, "alice"));
        template_release(&t);
}

/* Its user is nowhere in it; after a claim the name has it where labels cannot change. */
static void test_warm_template(void **state)
{
        struct pool_options options = complete_options();
        struct container_info info = { .n_labels = TEMPLATE_LABELS - 1, .name = RIG_PREFIX ".warm-1" };
        struct template t;

        options.pool = RIG_POOL;
        options.prefix = RIG_PREFIX;
        options.runtime_dir = "/run/carrel";
        assert_int_equal(template_fill(&t, &options, NULL, false, &options.owner, &options.owner, NULL, info.name,
                                       "0123456789abcdef", &FULL, "abc", 7, NULL),
                         0);
        assert_int_equal(t.spec.n_labels, TEMPLATE_LABELS - 1);
        info.labels = t.labels;
        assert_null(container_label(&info, LABEL_USER));
        assert_string_equal(t.spec.binds[1].source, "/run/carrel/vacant");
        assert_string_equal(t.spec.binds[1].target, "/workspace");
        assert_true(t.spec.binds[1].is_read_only);
        assert_true(template_is_ours(&info, &options, NULL));
        assert_true(template_is_ours(&info, &options, ".warm-1"));
        assert_false(template_is_ours(&info, &options, "alice"));
        (void)snprintf(info.name, sizeof info.name, RIG_PREFIX "alice");
        assert_true(template_is_ours(&info, &options, "alice"));
        (void)snprintf(info.name, sizeof info.name, "other-alice");
        assert_null(template_user(&info, RIG_PREFIX));
        assert_false(template_is_ours(&info, &options, "alice"));
        template_release(&t);
}

/* The text of a label is untrusted. */
static void test_agent_slots(void **state)
{
        static const struct {
                const char *slot;
                bool is_good;
        } CASES[] = {
                { "0123456789abcdef", true },
                { "../../../../etc/", false },
                { "../x", false },
                { "0123456789abcde/", false },
                { ".123456789abcdef", false },
                { "0123456789ABCDEF", false },
                { "0123456789abcde", false },
                { "0123456789abcdef0", false },
                { "0123456789abcde\n", false },
                { "bob", false },
                { "", false },
        };
        const struct container_info unnamed = { 0 };
        char slots[2][AGENT_SLOT_BYTES];

        for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
                struct label label = { LABEL_SLOT, CASES[i].slot };
                struct container_info info = { .labels = &label, .n_labels = 1 };

                assert_ptr_equal(agent_slot_of(&info), CASES[i].is_good ? CASES[i].slot : NULL);
        }
        assert_null(agent_slot_of(&unnamed));
        for (size_t i = 0; i < 2; i++) {
                struct label label = { LABEL_SLOT, slots[i] };

                assert_int_equal(agent_slot_make(slots[i]), 0);
                assert_ptr_equal(agent_slot_of(&(struct container_info){ .labels = &label, .n_labels = 1 }), slots[i]);
        }
        assert_string_not_equal(slots[0], slots[1]);
}

/* How often a file has a field (0: the name) with this value. */
static size_t count_field(const char *text, size_t field, const char *value)
{
        size_t count = 0;

        for (const char *line = text; *line != '\0'; line += strcspn(line, "\n") + 1) {
                const char *at = line;

                for (size_t i = 0; i < field; i++)
                        at += strcspn(at, ":") + 1;
                count += strcspn(at, ":\n") == strlen(value) && strncmp(at, value, strlen(value)) == 0;
        }
        return count;
}

/* Whatever id the host has for him, there is one account with it, and it is `user`. */
static void test_account_names(void **state)
{
        static const struct {
                struct pool_owner user;
                const char *uid, *gid, *line;
        } CASES[] = {
                { { 1000, 1000 }, "1000", "1000", "user:x:1000:1000:user:/workspace:/bin/sh\n" },
                { { 998, 997 }, "998", "997", "user:x:998:997:user:/workspace:/bin/sh\n" },
                { { 33, 33 }, "33", "33", "user:x:33:33:user:/workspace:/bin/sh\n" },
                { { 65534, 65534 }, "65534", "65534", "user:x:65534:65534:user:/workspace:/bin/sh\n" },
                { { 4294967293u, 1 }, "4294967293", "1", "user:x:4294967293:1:user:/workspace:/bin/sh\n" },
        };

        for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
                struct buffer passwd = { 0 }, group = { 0 };

                assert_int_equal(names_passwd(&passwd, &CASES[i].user), 0);
                assert_int_equal(names_group(&group, &CASES[i].user), 0);
                assert_non_null(strstr(passwd.data, CASES[i].line));
                assert_int_equal(count_field(passwd.data, 2, CASES[i].uid), 1);
                assert_int_equal(count_field(group.data, 2, CASES[i].gid), 1);
                assert_int_equal(count_field(passwd.data, 0, "user"), 1);
                assert_int_equal(count_field(group.data, 0, "user"), 1);
                assert_int_equal(count_field(passwd.data, 2, "0"), 1);
                buffer_free(&passwd);
                buffer_free(&group);
        }
}

static void test_dns(void **state)
{
        static const struct {
                const char *dns;
                bool is_valid;
        } CASES[] = {
                { "", true },
                { "1.1.1.1", true },
                { "1.1.1.1,::1", true },
                { "1.1.1.1, ::1", true },
                { "1.1.1", false },
                { "1.1.1.1,,::1", false },
                { "a", false },
                { "1.1.1.1;::1", false },
                { "1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1", true },
                { "1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1", false },
        };
        struct pool_options options = complete_options();
        struct template t;

        for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
                assert_int_equal(template_check_dns(CASES[i].dns, NULL) == 0, CASES[i].is_valid);
        options.dns = "";
        assert_int_equal(template_fill(&t, &options, NULL, false, &options.owner, &options.owner, "a", "carrel-a", "b",
                                       &FULL, "abc", 1, NULL),
                         0);
        assert_string_equal(t.spec.dns[0], "127.0.0.1"); /* never NULL: the engine would take the host's */
        assert_null(t.spec.dns[1]);
        template_release(&t);
}

static void test_options(void **state)
{
        struct pool_options bad[13];

        for (size_t i = 0; i < 13; i++)
                bad[i] = complete_options();
        bad[1].owner.uid = 0;
        bad[2].owner.gid = 0;
        bad[3].prefix = "";
        bad[4].pool = "a/b";
        bad[5].users_dir = "users";
        bad[6].defaults.policy = POLICY_UNSET;
        bad[7].defaults.memory_bytes = 0;
        bad[8].defaults.image[0] = '\0';
        bad[9].max_carrels = 0;
        bad[10].max_concurrent_starts = 0;
        bad[11].dns = "resolver";
        bad[12].prefix = X64;
        assert_int_equal(options_check(&bad[0], NULL), 0);
        for (size_t i = 1; i < 13; i++) {
                struct fault why = { 0 };

                assert_true(options_check(&bad[i], &why) < 0);
                assert_int_equal(why.kind, FAULT_SETTING_INVALID);
        }
}

#define STATUS(caps, bnd, nnp, seccomp, uid) STATUS_IN("", caps, bnd, nnp, seccomp, uid)
#define STATUS_IN(groups, caps, bnd, nnp, seccomp, uid)                                                                \
        "Name:\tinit\nUid:\t" uid "\nGid:\t1000\t1000\t1000\t1000\nGroups:\t" groups " \nCapInh:\t" caps               \
        "\nCapPrm:\t" caps "\nCapEff:\t" caps "\nCapBnd:\t" bnd "\nCapAmb:\t" caps "\nNoNewPrivs:\t" nnp               \
        "\nSeccomp:\t" seccomp "\nSeccomp_filters:\t1\n"
#define ZERO "0000000000000000"
#define MINE "1000\t1000\t1000\t1000"

static void test_hardening(void **state)
{
        static const struct {
                const char *status;
                const char *missing; /* NULL: nothing */
        } CASES[] = {
                { STATUS(ZERO, ZERO, "1", "2", MINE), NULL },
                { STATUS("0000000000000001", ZERO, "1", "2", MINE), "CapInh" },
                { STATUS(ZERO, "00000000a80425fb", "1", "2", MINE), "CapBnd" },
                { STATUS(ZERO, ZERO, "0", "2", MINE), "NoNewPrivs" },
                { STATUS(ZERO, ZERO, "1", "0", MINE), "Seccomp" },
                { STATUS(ZERO, ZERO, "1", "1", MINE), "Seccomp" },
                { STATUS(ZERO, ZERO, "1", "22", MINE), "Seccomp" },
                { STATUS(ZERO, ZERO, "1", "2", "0\t0\t0\t0"), "Uid" },
                { STATUS(ZERO, ZERO, "1", "2", "1000\t0\t1000\t1000"), "Uid" },
                { STATUS_IN("1000", ZERO, ZERO, "1", "2", MINE), NULL },
                { STATUS_IN("0", ZERO, ZERO, "1", "2", MINE), "groups" },
                { STATUS_IN("1000 27", ZERO, ZERO, "1", "2", MINE), "groups" },
                { STATUS_IN("27 1000", ZERO, ZERO, "1", "2", MINE), "groups" },
                { STATUS_IN("x", ZERO, ZERO, "1", "2", MINE), "groups" },
                { "", "CapInh" },
                { "Name:\tCapInh:\t0\n", "CapInh" },
        };

        for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
                struct fault why = { 0 };
                int r = hardening_judge(CASES[i].status, 1000, 1000, &why);

                assert_int_equal(r == 0, CASES[i].missing == NULL);
                if (CASES[i].missing == NULL)
                        continue;
                assert_int_equal(why.kind, FAULT_HARDENING_MISSING);
                assert_non_null(strstr(why.message, CASES[i].missing));
        }
        assert_true(hardening_judge(STATUS(ZERO, ZERO, "1", "2", MINE), 1000, 1001, NULL) < 0);
        /* A monitor may have what it needs; it has a filter, and can get no more. */
        assert_int_equal(hardening_judge_monitor(STATUS("0000000000240000", ZERO, "1", "2", "0\t0\t0\t0"), NULL), 0);
        assert_true(hardening_judge_monitor(STATUS(ZERO, ZERO, "0", "2", MINE), NULL) < 0);
        assert_true(hardening_judge_monitor(STATUS(ZERO, ZERO, "1", "0", MINE), NULL) < 0);
}

#define LIMITS(signals, bytes)                                                                                         \
        "Limit                     Soft Limit           Hard Limit           Units     \n"                             \
        "Max processes             96365                96365                processes \n"                             \
        "Max pending signals       " signals "                signals   \n"                                            \
        "Max msgqueue size         " bytes "               bytes     \n"

static void test_judge_counts(void **state)
{
        static const struct {
                const char *limits;
                const char *missing; /* what the message names; NULL: all is there */
        } CASES[] = {
                { LIMITS("16384                16384", "819200               819200"), NULL },
                { LIMITS("0                    1000 ", "0                    0     "), NULL },
                { LIMITS("16384                96365", "819200               819200"), "pending signals" },
                { LIMITS("16384                16384", "0                    819201"), "msgqueue size" },
                { LIMITS("unlimited            unlimited", "819200            819200"), "pending signals" },
                { "", "pending signals" },
        };

        for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
                struct fault why = { 0 };
                int r = hardening_judge_counts(CASES[i].limits, &why);

                assert_int_equal(r == 0, CASES[i].missing == NULL);
                if (CASES[i].missing != NULL)
                        assert_non_null(strstr(why.message, CASES[i].missing));
        }
}

#define WELL .has_reconciled = true, .is_policy_in_force = true, .is_engine_available = true, .max_carrels = 2
#define AT(at) .has_carrel = true, .state = (at)

static void test_judge(void **state)
{
        static const struct {
                struct ensure_facts facts;
                enum ensure_verdict verdict;
                enum fault_kind kind;
        } CASES[] = {
                { { WELL }, ENSURE_START, FAULT_NONE },
                { { WELL, .is_closing = true }, ENSURE_REFUSE, FAULT_CANCELLED },
                { { .is_policy_in_force = true, .is_engine_available = true },
                  ENSURE_REFUSE,
                  FAULT_ENGINE_UNAVAILABLE },
                { { WELL, AT(CARREL_READY), .is_match = true }, ENSURE_REUSE, FAULT_NONE },
                { { WELL, .unconnectable = "no network" }, ENSURE_REFUSE, FAULT_POLICY_NOT_IN_FORCE },
                { { .has_reconciled = true, .is_policy_in_force = true, AT(CARREL_READY), .is_match = true },
                  ENSURE_REUSE,
                  FAULT_NONE }, /* the engine is away */
                { { .has_reconciled = true, .is_engine_available = true, AT(CARREL_READY), .is_match = true },
                  ENSURE_REFUSE,
                  FAULT_POLICY_NOT_IN_FORCE },
                { { .has_reconciled = true, .is_engine_available = true }, ENSURE_REFUSE, FAULT_POLICY_NOT_IN_FORCE },
                { { WELL, AT(CARREL_READY), .is_match = true, .is_frozen = true }, ENSURE_REFUSE, FAULT_CARREL_FROZEN },
                { { WELL, AT(CARREL_FROZEN), .is_match = true }, ENSURE_THAW, FAULT_NONE },
                { { WELL, AT(CARREL_FROZEN) }, ENSURE_START, FAULT_NONE },
                { { WELL, AT(CARREL_FROZEN), .on_conflict = CONFLICT_FAIL }, ENSURE_REFUSE, FAULT_SPEC_CONFLICT },
                { { WELL, AT(CARREL_FROZEN), .is_match = true, .has_task = true, .is_task_open = true },
                  ENSURE_WAIT,
                  FAULT_NONE },
                { { WELL, AT(CARREL_FROZEN), .is_match = true, .has_task = true, .is_thawing = true,
                    .is_task_open = true },
                  ENSURE_JOIN,
                  FAULT_NONE },
                { { WELL, AT(CARREL_FROZEN), .has_task = true, .is_thawing = true, .is_task_open = true },
                  ENSURE_WAIT,
                  FAULT_NONE },
                { { WELL, AT(CARREL_READY), .on_conflict = CONFLICT_REPLACE, .is_frozen = true },
                  ENSURE_REFUSE,
                  FAULT_CARREL_FROZEN },
                { { WELL, AT(CARREL_READY), .on_conflict = CONFLICT_FAIL }, ENSURE_REFUSE, FAULT_SPEC_CONFLICT },
                { { WELL, AT(CARREL_READY), .on_conflict = CONFLICT_REPLACE, .n_held = 2 }, ENSURE_START, FAULT_NONE },
                { { WELL, AT(CARREL_READY), .in_the_way = "2 programs run" }, ENSURE_REFUSE, FAULT_SPEC_CONFLICT },
                { { WELL, AT(CARREL_READY) }, ENSURE_START, FAULT_NONE }, /* idle: the default replaces it */
                { { WELL, AT(CARREL_READY), .in_the_way = "2 programs run", .is_match = true },
                  ENSURE_REUSE,
                  FAULT_NONE },
                { { WELL, AT(CARREL_READY), .on_conflict = CONFLICT_REPLACE, .in_the_way = "2 programs run" },
                  ENSURE_START,
                  FAULT_NONE },
                { { WELL, AT(CARREL_LOST), .on_conflict = CONFLICT_FAIL }, ENSURE_START, FAULT_NONE },
                { { WELL, AT(CARREL_LOST), .n_held = 2 }, ENSURE_REFUSE, FAULT_POOL_FULL },
                { { WELL, .n_held = 2 }, ENSURE_REFUSE, FAULT_POOL_FULL },
                { { WELL, .n_held = 1, .admission = ADMISSION_QUEUED }, ENSURE_START, FAULT_NONE },
                { { WELL, .admission = ADMISSION_REFUSED }, ENSURE_REFUSE, FAULT_QUEUE_FULL },
                { { WELL, AT(CARREL_QUEUED), .is_match = true, .is_task_open = true, .admission = ADMISSION_REFUSED },
                  ENSURE_JOIN,
                  FAULT_NONE },
                { { WELL, AT(CARREL_STARTING), .is_match = true, .is_task_open = true }, ENSURE_JOIN, FAULT_NONE },
                { { WELL, AT(CARREL_STARTING), .is_match = true }, ENSURE_WAIT, FAULT_NONE },
                { { WELL, AT(CARREL_STARTING), .is_task_open = true }, ENSURE_WAIT, FAULT_NONE },
                { { WELL, AT(CARREL_RETIRING), .is_match = true, .is_task_open = true }, ENSURE_WAIT, FAULT_NONE },
                { { .has_reconciled = true, .is_policy_in_force = true, .max_carrels = 2 },
                  ENSURE_REFUSE,
                  FAULT_ENGINE_UNAVAILABLE },
        };

        for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
                struct fault why = { 0 };

                assert_int_equal(judge_ensure(&CASES[i].facts, &why), CASES[i].verdict);
                assert_int_equal(why.kind, CASES[i].kind);
                assert_true(!fault_is_retryable(why.kind) || why.kind == FAULT_QUEUE_FULL || why.retry_after_s > 0);
        }
}

/* The engine's own word is the answer; without one a plain sentence. */
static void test_judge_names_the_obstacle(void **state)
{
        static const char REASON[] = "there is no OCI runtime: apt-get install crun";
        struct ensure_facts facts = { .is_policy_in_force = true, .obstacle = REASON };
        struct fault why = { 0 };

        (void)state;
        assert_int_equal(judge_ensure(&facts, &why), ENSURE_REFUSE);
        assert_string_equal(why.message, REASON);
        facts.has_reconciled = true;
        assert_int_equal(judge_ensure(&facts, &why), ENSURE_REFUSE);
        assert_string_equal(why.message, REASON);
        facts.obstacle = NULL;
        assert_int_equal(judge_ensure(&facts, &why), ENSURE_REFUSE);
        assert_non_null(strstr(why.message, "does not answer"));
}

static void test_admission(void **state)
{
        struct admission admission;
        struct list a;
        struct list b;
        struct list c;

        list_init(&a);
        list_init(&b);
        list_init(&c);
        admission_init(&admission, 1, 2);
        assert_null(admission_next(&admission));
        assert_int_equal(admission_request(&admission, &a), ADMISSION_GRANTED);
        assert_int_equal(admission_request(&admission, &a), ADMISSION_QUEUED);
        assert_int_equal(admission_request(&admission, &b), ADMISSION_QUEUED);
        assert_int_equal(admission_request(&admission, &c), ADMISSION_REFUSED);
        assert_int_equal(admission_retry_after_s(&admission), 3);
        assert_null(admission_next(&admission)); /* none is free */
        admission_release(&admission);
        assert_int_equal(admission_request(&admission, &c), ADMISSION_REFUSED); /* nobody overtakes the queue */
        assert_ptr_equal(admission_next(&admission), &a);
        assert_null(admission_next(&admission));
        admission_withdraw(&admission, &b);
        admission_release(&admission);
        assert_null(admission_next(&admission));
        assert_int_equal(admission.in_flight, 0);
        assert_int_equal(admission.n_queued, 0);
}

struct hearing {
        struct listeners *listeners;
        unsigned count;
        struct hearing *removes;
};

static void on_event(void *arg, const struct pool_event *event)
{
        struct hearing *hearing = arg;

        hearing->count++;
        assert_string_equal(event->user, "");
        if (hearing->removes != NULL)
                listeners_remove(hearing->listeners, on_event, hearing->removes);
}

/* A listener that removes itself, or the one after it, while the listeners are called. */
static void test_listeners(void **state)
{
        struct listeners listeners;
        struct hearing first = { .listeners = &listeners };
        struct hearing second = { .listeners = &listeners };
        struct hearing third = { .listeners = &listeners };
        const struct pool_event event = { .kind = POOL_LOST };

        first.removes = &second;
        third.removes = &third;
        listeners_init(&listeners);
        assert_int_equal(listeners_add(&listeners, on_event, &first), 0);
        assert_int_equal(listeners_add(&listeners, on_event, &second), 0);
        assert_int_equal(listeners_add(&listeners, on_event, &third), 0);
        listeners_tell(&listeners, &event);
        listeners_tell(&listeners, &event);
        assert_int_equal(first.count, 2);
        assert_int_equal(second.count, 0);
        assert_int_equal(third.count, 1);
        listeners_release(&listeners);
}

static void note(struct past *past, enum pool_event_kind kind, const char *user, const char *detail, int64_t wall_ms)
{
        const struct pool_event event = { .kind = kind, .user = user, .container_id = "", .detail = detail };

        past_note(past, &event, wall_ms);
}

/* The last end of each user; beyond the bound those noted longest ago go. */
static void test_past(void **state)
{
        struct past past = { 0 };
        char user[16];

        assert_null(past_find(&past, "ada"));
        note(&past, POOL_CREATED, "ada", "", 1);
        note(&past, POOL_POLICY_CHANGED, "", "", 1);
        assert_null(past_find(&past, "ada"));
        note(&past, POOL_ENSURE_FAILED, "ada", "no image", 2);
        note(&past, POOL_RETIRED, "ada", "idle", 3);
        assert_int_equal(past_find(&past, "ada")->kind, POOL_RETIRED);
        assert_int_equal(past_find(&past, "ada")->wall_ms, 3);
        assert_string_equal(past_find(&past, "ada")->detail, "idle");
        note(&past, POOL_LOST, "bob", "oom", 4);
        note(&past, POOL_RETIRED, ".warm-1", "too_old", 4);
        assert_null(past_find(&past, ".warm-1"));
        note(&past, POOL_RETIRED, "ada", "again", 5);
        for (int i = 0; i < PAST_USERS_MAX - 1; i++) {
                (void)snprintf(user, sizeof user, "u%d", i);
                note(&past, POOL_RETIRED, user, "", 6);
        }
        assert_null(past_find(&past, "bob"));
        assert_string_equal(past_find(&past, "ada")->detail, "again");
        note(&past, POOL_RETIRED, "one-more", "", 7);
        assert_null(past_find(&past, "ada"));
        assert_non_null(past_find(&past, "u0"));
        past_release(&past);
        assert_null(past_find(&past, "u0"));
}

static void test_names(void **state)
{
        for (int i = 0; i < POOL_EVENT_KINDS; i++)
                assert_true(pool_event_name((enum pool_event_kind)i)[0] != '\0');
        for (int i = 0; i < CARREL_STATES; i++)
                assert_true(carrel_state_name((enum carrel_state)i)[0] != '\0');
        for (int i = 0; i < OUTCOMES; i++)
                assert_true(ensure_outcome_name((enum ensure_outcome)i)[0] != '\0');
        assert_string_equal(carrel_policy_name(POLICY_UNSET), "");
        assert_string_equal(pool_event_name(POOL_CREATED), "carrel_created");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_user_ids),      cmocka_unit_test(test_spec_resolve),
                cmocka_unit_test(test_spec_matches),  cmocka_unit_test(test_spec_label),
                cmocka_unit_test(test_spec_hash),     cmocka_unit_test(test_spec_version),
                cmocka_unit_test(test_account_names), cmocka_unit_test(test_template),
                cmocka_unit_test(test_warm_template), cmocka_unit_test(test_agent_slots),
                cmocka_unit_test(test_dns),           cmocka_unit_test(test_options),
                cmocka_unit_test(test_hardening),     cmocka_unit_test(test_judge_counts),
                cmocka_unit_test(test_judge),         cmocka_unit_test(test_judge_names_the_obstacle),
                cmocka_unit_test(test_admission),     cmocka_unit_test(test_listeners),
                cmocka_unit_test(test_past),          cmocka_unit_test(test_names),
        };

        return cmocka_run_group_tests_name("pool_parts", tests, NULL, NULL);
}
