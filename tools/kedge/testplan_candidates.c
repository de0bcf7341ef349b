/* What may be installed: signatures, sizes, versions, counters, dependencies. */
#include "testplan.h"
#include "testplan_rig.h"

#define UNITS 6u

/* The candidate is in the secondary, with a request beside it, as a debugger puts them. */
static void offer(struct rig *rig, const struct plan_image *image, bool permanent)
{
    rig_put(rig, KEDGE_SECONDARY, 0, image);
    rig_ask(rig, permanent);
    rig_run(rig);
}

static const struct plan_image *candidate(struct rig *rig, struct plan_image_spec spec)
{
    if (spec.major == 0) {
        spec.major = 3;
    }
    if (spec.size == 0) {
        spec.size = rig_size(rig, UNITS);
    }
    return rig_image(rig, &spec);
}

static void refuse(struct rig *rig, const struct plan_image *image, enum kedge_verdict verdict)
{
    offer(rig, image, true);
    rig_expect_refused(rig, verdict);
    offer(rig, image, false);
    rig_expect_refused(rig, verdict);
}

/* Installed for good: it runs, and stays. */
static void install(struct rig *rig, const struct plan_image *image)
{
    offer(rig, image, true);
    rig_expect(rig, image, KEDGE_REASON_UPDATED);
    rig_expect_holds(rig, KEDGE_PRIMARY, image);
    rig_expect_quiet(rig, image);
}

static void signed_primary_key_boots(struct rig *rig)
{
    rig_prepare(rig, UNITS, UNITS, 0);
    offer(rig, rig->new_image, false);
    rig_expect(rig, rig->new_image, KEDGE_REASON_TESTING);
    rig_expect_holds(rig, KEDGE_PRIMARY, rig->new_image);
    rig_expect_holds(rig, KEDGE_SECONDARY, rig->old_image);
}

static void signed_secondary_key_boots(struct rig *rig)
{
    rig_prepare(rig, UNITS, UNITS, 0);
    install(rig, candidate(rig, (struct plan_image_spec){.signer = PLAN_P256}));
}

static void signed_unknown_key_rejected(struct rig *rig)
{
    rig_prepare(rig, UNITS, UNITS, 0);
    refuse(rig, candidate(rig, (struct plan_image_spec){.signer = PLAN_STRANGER}),
           KEDGE_IMAGE_UNKNOWN_KEY);
}

static void unsigned_rejected(struct rig *rig)
{
    rig_prepare(rig, UNITS, UNITS, 0);
    refuse(rig, candidate(rig, (struct plan_image_spec){.signer = PLAN_UNSIGNED}),
           KEDGE_IMAGE_NO_SIGNATURE);
}

/* The signature is the image's last TLV. */
static void bad_secondary_slot(struct rig *rig)
{
    rig_prepare(rig, UNITS, UNITS, 0);
    refuse(rig, rig_altered(rig, rig->new_image, 10), KEDGE_IMAGE_BAD_SIGNATURE);
}

static void altered_payload_rejected(struct rig *rig)
{
    rig_prepare(rig, UNITS, UNITS, 0);
    refuse(rig, rig_altered(rig, rig->new_image, -5000), KEDGE_IMAGE_BAD_HASH);
}

static void try_kind(struct rig *rig, const char *kind, const struct kedge_signature *type,
                     const char *sha, bool pure)
{
    struct key key;

    if (key_make(key_kind_by_name(kind), &key) != 0) {
        rig_fail(rig, "no %s key could be made", kind);
    }
    rig_trust(rig, type, &key);
    const struct plan_image *const image = candidate(
        rig,
        (struct plan_image_spec){
            .major = (uint8_t)(10 + rig->image_count), .other = &key, .sha = sha, .pure = pure});

    key_free(&key);
    install(rig, image);
}

/* Each by a key of its own; the device trusts one more each time. */
static void signature_types(struct rig *rig)
{
    rig_prepare(rig, UNITS, UNITS, 0);
    try_kind(rig, "ecdsa-p384", &kedge_ecdsa_p384, NULL, false);
    try_kind(rig, "ed25519", &kedge_ed25519_sha512, "512", false);
    try_kind(rig, "ed25519", &kedge_ed25519_sha512, "512", true);
    try_kind(rig, "rsa-2048", &kedge_rsa2048, NULL, false);
    try_kind(rig, "rsa-3072", &kedge_rsa3072, NULL, false);
}

static void uploaded_signed_boots(struct rig *rig)
{
    rig_prepare(rig, UNITS, UNITS, 0);
    const struct plan_image *const image = candidate(rig, (struct plan_image_spec){0});

    rig_expect_status(rig, rig_upload(rig, image), KEDGE_AGENT_OK, "upload");
    rig_expect_holds(rig, KEDGE_SECONDARY, image);
    rig_expect_status(rig, rig_request(rig, image, false), KEDGE_AGENT_OK, "image test");
    rig_run(rig);
    rig_expect(rig, image, KEDGE_REASON_TESTING);
    rig_expect_holds(rig, KEDGE_PRIMARY, image);
    rig_expect_holds(rig, KEDGE_SECONDARY, rig->old_image);
}

/* Uploaded, then refused by the agent; and nothing happens at the next boot. */
static void refuse_upload(struct rig *rig, const struct plan_image *image, int status)
{
    rig_prepare(rig, UNITS, UNITS, 0);
    rig_expect_status(rig, rig_upload(rig, image), KEDGE_AGENT_OK, "upload");
    rig_expect_status(rig, rig_request(rig, image, false), status, "image test");
    rig_expect_status(rig, rig_request(rig, image, true), status, "image confirm");
    rig_run(rig);
    rig_expect(rig, rig->old_image, KEDGE_REASON_NORMAL);
    rig_expect_holds(rig, KEDGE_PRIMARY, rig->old_image);
}

static void uploaded_unsigned_refused(struct rig *rig)
{
    refuse_upload(rig, candidate(rig, (struct plan_image_spec){.signer = PLAN_UNSIGNED}),
                  KEDGE_AGENT_DENIED);
}

static void uploaded_unknown_key_refused(struct rig *rig)
{
    refuse_upload(rig, candidate(rig, (struct plan_image_spec){.signer = PLAN_STRANGER}),
                  KEDGE_AGENT_DENIED);
}

static void uploaded_altered_refused(struct rig *rig)
{
    refuse_upload(rig, rig_altered(rig, candidate(rig, (struct plan_image_spec){0}), -3000),
                  KEDGE_AGENT_INVALID_HASH);
}

/* The largest image that a swap takes, and the same with one unit more. */
static void oversized_secondary_slot(struct rig *rig)
{
    const uint32_t most = kedge_pair_max_image(&rig->state.pair);

    rig_prepare(rig, UNITS, UNITS, 0);
    const struct plan_image *const large =
        candidate(rig, (struct plan_image_spec){.size = most + 4096 - 300});

    refuse(rig, large, KEDGE_IMAGE_TOO_LARGE);
    rig_expect_status(rig, rig_upload(rig, large), KEDGE_AGENT_TOO_LARGE, "upload");
}

static void largest_image_swaps(struct rig *rig)
{
    const uint32_t most = kedge_pair_max_image(&rig->state.pair);

    rig_prepare(rig, UNITS, UNITS, 0);
    const struct plan_image *const image =
        candidate(rig, (struct plan_image_spec){.size = most - 300});

    offer(rig, image, false);
    rig_expect(rig, image, KEDGE_REASON_TESTING);
    rig_expect_holds(rig, KEDGE_PRIMARY, image);
    rig_expect_holds(rig, KEDGE_SECONDARY, rig->old_image);
    rig_run(rig);
    rig_expect(rig, rig->old_image, KEDGE_REASON_REVERTED);
    rig_expect_holds(rig, KEDGE_PRIMARY, rig->old_image);
    rig_expect_holds(rig, KEDGE_SECONDARY, image);
}

static void bootstrap(struct rig *rig)
{
    const struct plan_image *const image = candidate(rig, (struct plan_image_spec){0});

    rig_run(rig);
    rig_expect_nothing(rig, KEDGE_IMAGE_ABSENT);
    rig_put(rig, KEDGE_SECONDARY, 0, image);
    rig_run(rig);
    rig_expect(rig, image, KEDGE_REASON_INSTALLED);
    rig_expect_holds(rig, KEDGE_PRIMARY, image);
    rig_expect_quiet(rig, image);
}

static void oversized_bootstrap(struct rig *rig)
{
    const uint32_t most = kedge_pair_max_image(&rig->state.pair);

    rig_put(rig, KEDGE_SECONDARY, 0,
            candidate(rig, (struct plan_image_spec){.size = most + 4096 - 300}));
    rig_run(rig);
    rig_expect_nothing(rig, KEDGE_IMAGE_ABSENT);
    rig_ask(rig, true);
    rig_run(rig);
    rig_expect_nothing(rig, KEDGE_IMAGE_ABSENT);
}

static void ram_load_and_non_bootable_rejected(struct rig *rig)
{
    rig_prepare(rig, UNITS, UNITS, 0);
    refuse(rig, candidate(rig, (struct plan_image_spec){.load_address = 0x20000000}),
           KEDGE_IMAGE_NOT_BOOTABLE);
    refuse(rig, candidate(rig, (struct plan_image_spec){.non_bootable = true}),
           KEDGE_IMAGE_NOT_BOOTABLE);
}

static void encrypted_without_key_rejected(struct rig *rig)
{
    struct key key;

    rig_prepare(rig, UNITS, UNITS, 0);
    if (key_make(key_kind_by_name("x25519"), &key) != 0) {
        rig_fail(rig, "no x25519 key could be made");
    }
    const struct plan_image *const image =
        candidate(rig, (struct plan_image_spec){.encrypt_for = &key});

    key_free(&key);
    refuse(rig, image, KEDGE_IMAGE_ENCRYPTED);
}

/* A request, and nothing that it could be for. */
static void secondary_trailer_leftover(struct rig *rig)
{
    rig_prepare(rig, UNITS, UNITS, 0);
    rig_expect_status(rig, kedge_agent_erase(&rig->agent, 1), KEDGE_AGENT_OK, "erase");
    rig_ask(rig, true);
    rig_run(rig);
    rig_expect_refused(rig, KEDGE_IMAGE_ABSENT);
    install(rig, rig->new_image);
}

/* A candidate that nobody asked for. */
static void norevert_newimage(struct rig *rig)
{
    rig_prepare(rig, UNITS, UNITS, 0);
    for (int i = 0; i < 3; i++) {
        rig_expect_quiet(rig, rig->old_image);
    }
    rig_expect_holds(rig, KEDGE_PRIMARY, rig->old_image);
    rig_expect_holds(rig, KEDGE_SECONDARY, rig->new_image);
}

/* Every way in which it can be wrong, with nothing in reach to replace it. */
static void primary_validation(struct rig *rig)
{
    const struct plan_image *const good = candidate(rig, (struct plan_image_spec){.major = 1});
    const struct plan_image *const unsigned_one =
        candidate(rig, (struct plan_image_spec){.signer = PLAN_UNSIGNED});
    const struct plan_image *const foreign =
        candidate(rig, (struct plan_image_spec){.signer = PLAN_STRANGER});
    const struct {
        const struct plan_image *image;
        enum kedge_verdict verdict;
    } wrong[] = {{unsigned_one, KEDGE_IMAGE_NO_SIGNATURE},
                 {foreign, KEDGE_IMAGE_UNKNOWN_KEY},
                 {rig_altered(rig, good, 10), KEDGE_IMAGE_BAD_SIGNATURE},
                 {rig_altered(rig, good, -9000), KEDGE_IMAGE_BAD_HASH}};

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        rig_put(rig, KEDGE_PRIMARY, 0, wrong[i].image);
        rig_run(rig);
        rig_expect_nothing(rig, wrong[i].verdict);
    }
    rig_put(rig, KEDGE_PRIMARY, 0, good);
    rig_run(rig);
    rig_expect(rig, good, KEDGE_REASON_NORMAL);
}

static void primary_repaired(struct rig *rig)
{
    rig_prepare(rig, UNITS, UNITS, 0);
    rig_put(rig, KEDGE_PRIMARY, 0, rig_altered(rig, rig->old_image, -9000));
    rig_run(rig);
    rig_expect(rig, rig->new_image, KEDGE_REASON_INSTALLED);
    rig_expect_holds(rig, KEDGE_PRIMARY, rig->new_image);
    rig_expect_quiet(rig, rig->new_image);
}

static void downgrade_prevention(struct rig *rig)
{
    rig_prepare(rig, UNITS, UNITS, 0);
    install(rig, rig->new_image);
    rig_policy(rig, "downgrade", "refuse");
    const struct plan_image *const older = rig->old_image;

    rig->old_image = rig->new_image; /* what runs */
    refuse(rig, older, KEDGE_IMAGE_DOWNGRADE);
    rig_expect_status(rig, rig_request(rig, older, false), KEDGE_AGENT_NEWER_RUNS, "image test");
    rig_policy(rig, "downgrade", "allow");
    install(rig, older);
}

/* A confirmed image with counter 7 runs. */
static void accept_counter(struct rig *rig)
{
    rig_prepare(rig, UNITS, UNITS, 0);
    const struct plan_image *const image =
        candidate(rig, (struct plan_image_spec){.major = 2, .has_counter = true, .counter = 7});

    install(rig, image);
    rig->old_image = image;
}

static void hw_prot_failed_security_cnt_check(struct rig *rig)
{
    accept_counter(rig);
    refuse(rig, candidate(rig, (struct plan_image_spec){.has_counter = true, .counter = 6}),
           KEDGE_IMAGE_COUNTER);
    install(rig, candidate(rig, (struct plan_image_spec){.has_counter = true, .counter = 7}));
}

static void hw_prot_missing_security_cnt(struct rig *rig)
{
    accept_counter(rig);
    refuse(rig, candidate(rig, (struct plan_image_spec){0}), KEDGE_IMAGE_COUNTER);
}

static void security_cnt_raised_by_confirm_only(struct rig *rig)
{
    accept_counter(rig);
    const struct plan_image *const nine =
        candidate(rig, (struct plan_image_spec){.major = 4, .has_counter = true, .counter = 9});
    const struct plan_image *const eight =
        candidate(rig, (struct plan_image_spec){.major = 5, .has_counter = true, .counter = 8});

    offer(rig, nine, false);
    rig_expect(rig, nine, KEDGE_REASON_TESTING);
    rig_run(rig);
    rig_expect(rig, rig->old_image, KEDGE_REASON_REVERTED);
    install(rig, eight);
    offer(rig, nine, false);
    rig_confirm(rig);
    rig_run(rig);
    rig_expect(rig, nine, KEDGE_REASON_CONFIRMED);
    rig->old_image = nine;
    refuse(rig, eight, KEDGE_IMAGE_COUNTER);
}

static void dependency_combos(struct rig *rig)
{
    rig_prepare(rig, UNITS, UNITS, 0);
    refuse(rig, candidate(rig, (struct plan_image_spec){.dependency = PLAN_DEPENDS_NEWER}),
           KEDGE_IMAGE_DEPENDENCY);
    const struct plan_image *const other =
        candidate(rig, (struct plan_image_spec){.dependency = PLAN_DEPENDS_OTHER_IMAGE});

    refuse(rig, other, KEDGE_IMAGE_DEPENDENCY);
    rig_expect_status(rig, rig_upload(rig, other), KEDGE_AGENT_OK, "upload");
    rig_expect_status(rig, rig_request(rig, other, false), KEDGE_AGENT_DENIED, "image test");
    install(rig, candidate(rig, (struct plan_image_spec){.dependency = PLAN_DEPENDS_MET}));
    install(rig, rig->new_image);
}

static const struct testplan_case cases[] = {
    {"signed_primary_key_boots",
     "an image signed with the device's first key (Ed25519) is put on trial",
     signed_primary_key_boots},
    {"signed_secondary_key_boots",
     "an image signed with the device's second key (ECDSA P-256) is installed",
     signed_secondary_key_boots},
    {"signed_unknown_key_rejected",
     "an image signed by a stranger is refused; the running image is untouched",
     signed_unknown_key_rejected},
    {"unsigned_rejected", "an unsigned image is refused; the running image is untouched",
     unsigned_rejected},
    {"bad_secondary_slot", "an image with a damaged signature is refused", bad_secondary_slot},
    {"altered_payload_rejected", "an image with one changed bit is refused",
     altered_payload_rejected},
    {"signature_types",
     "P-384, Ed25519 with SHA-512, pure Ed25519, RSA-2048, RSA-3072 are accepted", signature_types},
    {"uploaded_signed_boots", "an image that came by upload is put on trial, the old one kept",
     uploaded_signed_boots},
    {"uploaded_unsigned_refused", "`image test` and `image confirm` refuse an unsigned upload",
     uploaded_unsigned_refused},
    {"uploaded_unknown_key_refused", "`image test` and `image confirm` refuse a stranger's upload",
     uploaded_unknown_key_refused},
    {"uploaded_altered_refused", "`image test` and `image confirm` refuse an altered upload",
     uploaded_altered_refused},
    {"oversized_secondary_slot", "an image one sector too large is refused at boot and at upload",
     oversized_secondary_slot},
    {"largest_image_swaps", "the largest image that a swap can take is swapped in and reverted",
     largest_image_swaps},
    {"bootstrap", "with nothing in the primary, the image in the secondary is installed",
     bootstrap},
    {"oversized_bootstrap", "with nothing in the primary, an oversized image is not installed",
     oversized_bootstrap},
    {"ram_load_and_non_bootable_rejected",
     "images that are not to be run in place (RAM load, non-bootable) are refused",
     ram_load_and_non_bootable_rejected},
    {"encrypted_without_key_rejected", "an encrypted image is refused by a device without a key",
     encrypted_without_key_rejected},
    {"secondary_trailer_leftover",
     "a request left over in an erased secondary is cleared, and the next update works",
     secondary_trailer_leftover},
    {"norevert_newimage", "a candidate that nobody asked for changes nothing at all",
     norevert_newimage},
    {"primary_validation",
     "an unsigned, foreign, damaged or altered primary does not boot; a good one does",
     primary_validation},
    {"primary_repaired", "a damaged primary is replaced by the good image in the secondary",
     primary_repaired},
    {"downgrade_prevention", "an older version is refused while the policy says so, and only then",
     downgrade_prevention},
    {"hw_prot_failed_security_cnt_check",
     "a security counter below the accepted one is refused, an equal one is not",
     hw_prot_failed_security_cnt_check},
    {"hw_prot_missing_security_cnt",
     "an image without security counter is refused after one had it", hw_prot_missing_security_cnt},
    {"security_cnt_raised_by_confirm_only",
     "the counter of an image on trial counts once it is confirmed, not before",
     security_cnt_raised_by_confirm_only},
    {"dependency_combos",
     "dependencies: none and met ones install; on a newer version or another image: refused",
     dependency_combos},
};

const struct testplan_part testplan_candidates = {"What may be installed", cases,
                                                  sizeof(cases) / sizeof(cases[0])};
