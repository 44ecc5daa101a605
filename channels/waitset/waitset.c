/* channels/waitset/waitset.c - see channels/waitset/waitset.h. */
#include "channels/waitset/waitset.h"

#include <stdlib.h>

#include "channels/queue/receiver.h"
#include "channels/queue/sender.h"
#include "channels/waitset/member.h"
#include "lib/base/fail.h"
#include "lib/sync/sync.h"

#define PLACES_MIN 16
#define AT_ONCE 64       /* notices taken from the kernel by one call */
#define TOKENS_MOST 1024 /* taken before members are polled */
#define SOCKETS_TRIED 4
/* ready members that are returned between two reads of the notify socket, and of notices */
#define CALLS_BETWEEN_TOKENS 64
#define CALLS_BETWEEN_NOTICES 16

/* How long after a file was closed the kernel is asked about the peer again, nanoseconds. */
static const uint64_t ask_after_ns[LEAT__RECHECKS] = {1000000, 10000000, 50000000};

struct place {
    struct leat__member *member; /* NULL: free */
    uint32_t generation;
};

struct leat_waitset {
    /* notify socket, watch, poll (everything), timer, file (everything but the notify socket) */
    struct leat__resource resource;
    leat__file directory; /* the notify socket's; shared */
    leat__file flag;
    struct leat__notify notify; /* number 0: peers do not find it */
    bool without_notify;        /* the name was not found: files are touched */
    int notify_watch;           /* the number of its name; -1: not watched */
    struct place *places;
    struct leat__member **buckets;     /* by watch number; as many as places */
    uint32_t room;                     /* places, a power of two */
    struct leat__member *first, *last; /* ready */
    struct leat__member *suspects;
    uint64_t timer_at_ns; /* 0: not set */
    /* when no member was ready any more; 0: it did not come to that since the last wake-up */
    uint64_t slept_ns;
    uint64_t awake_ns; /* when it woke up; 0: not read yet */
    bool again;        /* the loop shall come back */
    bool raised;       /* the flag is raised for that */
    uint64_t calls, collections;
    leat_waitset_statistics statistics;
};

/* --- The list of ready members ---------------------------------------------------------------- */

static bool is_ready(const struct leat__member *member) {
    return member->previous != NULL || member->waitset->first == member;
}

static void append(struct leat__member *member) {
    leat_waitset *waitset = member->waitset;
    member->previous = waitset->last;
    member->next = NULL;
    if (waitset->last != NULL)
        waitset->last->next = member;
    else
        waitset->first = member;
    waitset->last = member;
}

static void take_out(struct leat__member *member) {
    leat_waitset *waitset = member->waitset;
    if (member->previous != NULL)
        member->previous->next = member->next;
    else
        waitset->first = member->next;
    if (member->next != NULL)
        member->next->previous = member->previous;
    else
        waitset->last = member->previous;
    member->next = member->previous = NULL;
}

static void make_ready(struct leat__member *member) {
    if (member->armed)
        leat__member_disarm(member);
    member->armed = false;
    if (!is_ready(member))
        append(member);
}

/* --- Polling again, later --------------------------------------------------------------------- */

static void suspect(struct leat__member *member) {
    member->asks = true;
    member->rechecks = LEAT__RECHECKS;
}

/* Without a timer the loop goes on turning. */
static void set_timer(leat_waitset *waitset, uint64_t at_ns) {
    waitset->timer_at_ns = at_ns;
    if (!leat__os_timer_set(waitset->resource.timer, at_ns))
        leat_waitset_again(waitset);
}

static void schedule(struct leat__member *member, uint64_t at_ns) {
    leat_waitset *waitset = member->waitset;
    member->recheck_at_ns = at_ns;
    if (!member->suspect) {
        member->suspect = true;
        member->next_suspect = waitset->suspects;
        waitset->suspects = member;
    }
    if (waitset->timer_at_ns == 0 || at_ns < waitset->timer_at_ns)
        set_timer(waitset, at_ns);
}

/* Members whose time has come are polled again; the timer is set for the others. */
static void recheck_suspects(leat_waitset *waitset) {
    uint64_t now = leat__os_now(), next = 0;
    if (waitset->timer_at_ns == 0 || waitset->timer_at_ns > now)
        return;
    for (struct leat__member **link = &waitset->suspects, *member; (member = *link) != NULL;) {
        if (member->recheck_at_ns > now) {
            next = next == 0 || member->recheck_at_ns < next ? member->recheck_at_ns : next;
            link = &member->next_suspect;
            continue;
        }
        *link = member->next_suspect;
        member->suspect = false;
        member->asks = true;
        make_ready(member);
    }
    set_timer(waitset, next);
}

/* --- Arming ----------------------------------------------------------------------------------- */

/* There was nothing: the kernel is asked again when the next of the intervals is over, if any is
 * left. A question without an answer is none of those. */
static void ask_later(struct leat__member *member) {
    bool due = member->asks || !member->suspect; /* else it will be asked already */
    member->asks = false;
    if (due && leat__member_is_unanswered(member))
        schedule(member, leat__os_now() + LEAT__SLICE_NS);
    else if (due && member->rechecks > 0)
        schedule(member, leat__os_now() + ask_after_ns[LEAT__RECHECKS - member->rechecks--]);
}

/* Arms and polls again; false when the member is ready after all. */
static bool arm(struct leat__member *member) {
    member->waitset->statistics.armed++;
    if (leat__member_arm_and_poll(member))
        return false;
    member->armed = true;
    ask_later(member);
    return true;
}

/* --- Tokens and notices ----------------------------------------------------------------------- */

static void make_notified_ready(struct leat__member *member) {
    leat_waitset *waitset = member->waitset;
    if (member->armed && member->role != NULL && waitset->slept_ns != 0) {
        if (waitset->awake_ns == 0) /* the clock is read once for all members that were woken */
            waitset->awake_ns = leat__os_now();
        leat__role_count_wake(member->role, waitset->slept_ns, waitset->awake_ns);
    }
    make_ready(member);
}

/* False when this wait set cannot have given the token. Tokens of members that were removed mean
 * nothing. */
static bool take_token(leat_waitset *waitset, uint64_t token) {
    uint32_t number = (uint32_t)token - 1, generation = (uint32_t)(token >> 32);
    if (number >= waitset->room || generation > waitset->places[number].generation)
        return false;
    const struct place *place = &waitset->places[number];
    if (place->member != NULL && place->generation == generation)
        make_notified_ready(place->member);
    return true;
}

/* A ticket may be woken already, and the token lost. `asks`: a death may be lost too. */
static void make_all_ready(leat_waitset *waitset, bool asks) {
    for (uint32_t place = 0; place < waitset->room; place++)
        if (waitset->places[place].member != NULL) {
            if (asks)
                suspect(waitset->places[place].member);
            make_ready(waitset->places[place].member);
        }
}

static size_t take_tokens(leat_waitset *waitset) {
    uint64_t tokens[LEAT__TOKENS];
    size_t taken = 0, count = 0;
    bool readable = true;
    do {
        if (waitset->resource.notify != LEAT__NO_FILE)
            count = leat__os_notify_take(waitset->resource.notify, tokens);
        for (size_t i = 0; i < count; i++)
            readable = take_token(waitset, tokens[i]) && readable;
        taken += count;
    } while (count == LEAT__TOKENS && taken < TOKENS_MOST);
    if (!readable)
        make_all_ready(waitset, false);
    waitset->statistics.wakes += taken;
    return taken;
}

/* Its name is gone, or belongs to something else: from now on peers touch files. Polling all
 * channels finds what a peer has sent elsewhere before. */
static void do_without_notify(leat_waitset *waitset) {
    waitset->without_notify = true;
    for (uint32_t place = 0; place < waitset->room; place++)
        if (waitset->places[place].member != NULL)
            leat__member_do_without_notify(waitset->places[place].member);
    make_all_ready(waitset, false);
}

static void check_notify(leat_waitset *waitset) {
    if (waitset->notify.number != 0 && !waitset->without_notify &&
        !leat__os_notify_is_found(waitset->directory, &waitset->notify))
        do_without_notify(waitset);
}

static struct leat__member **bucket_of(const leat_waitset *waitset, int watch_number) {
    return &waitset->buckets[(uint32_t)watch_number & (waitset->room - 1)];
}

static void take_notices(leat_waitset *waitset) {
    struct leat__notice notices[AT_ONCE];
    size_t count = leat__os_watch_take(waitset->resource.watch, notices, AT_ONCE);
    for (size_t i = 0; i < count; i++) {
        if (notices[i].number < 0)
            make_all_ready(waitset, true);
        if (notices[i].number < 0 || notices[i].number == waitset->notify_watch)
            check_notify(waitset);
        for (struct leat__member *member = *bucket_of(waitset, notices[i].number); member != NULL;
             member = member->next_watched) {
            if (member->watch_number != notices[i].number)
                continue;
            if (notices[i].closed)
                suspect(member);
            make_notified_ready(member);
        }
    }
    waitset->statistics.wakes += count;
}

/* Tokens come through the notify socket. Notices and the timer are read when the notify socket had
 * none, and now and then. */
static void collect(leat_waitset *waitset) {
    bool again = waitset->again;
    waitset->again = false;
    bool woken = take_tokens(waitset) > 0 || again;
    if (!woken || ++waitset->collections % CALLS_BETWEEN_NOTICES == 0) {
        take_notices(waitset);
        recheck_suspects(waitset);
    }
    waitset->slept_ns = waitset->awake_ns = 0;
}

/* The loop comes back at once. */
static void stay_awake(leat_waitset *waitset) {
    leat__os_yield();
    leat_waitset_again(waitset);
}

static void rest(leat_waitset *waitset) {
    if (waitset->raised && !waitset->again) {
        leat__os_flag_lower(waitset->flag);
        waitset->raised = false;
    }
    waitset->slept_ns = leat__os_now();
}

int leat_waitset_next(leat_waitset *waitset, void **data) {
    if (waitset == NULL || data == NULL)
        return leat__fail(LEAT_EINVAL, 0, "no wait set, or no place for the result");
    if (waitset->resource.forked)
        return leat__role_fail_forked();
    if (waitset->first == NULL || waitset->again || ++waitset->calls % CALLS_BETWEEN_TOKENS == 0)
        collect(waitset);
    struct leat__member *first_awake = NULL;
    for (struct leat__member *member; (member = waitset->first) != NULL && member != first_awake;) {
        take_out(member);
        bool something = leat__member_is_ready(member);
        if (!something && leat__member_stays_awake(member)) {
            ask_later(member);
            append(member);
            first_awake = first_awake != NULL ? first_awake : member;
            continue;
        }
        if (!something && arm(member))
            continue;
        append(member);
        waitset->statistics.ready++;
        *data = member->data;
        return LEAT_OK;
    }
    if (first_awake != NULL)
        stay_awake(waitset);
    else
        rest(waitset);
    return LEAT_EAGAIN;
}

void leat_waitset_again(leat_waitset *waitset) {
    if (waitset == NULL || waitset->resource.forked)
        return;
    waitset->again = true;
    if (!waitset->raised)
        waitset->raised = leat__os_flag_raise(waitset->flag);
    if (!waitset->raised) /* the timer does as well */
        (void)leat__os_timer_set(waitset->resource.timer, waitset->timer_at_ns = 1);
}

/* --- Adding and removing ---------------------------------------------------------------------- */

static void put_into_bucket(struct leat__member *member) {
    struct leat__member **bucket = bucket_of(member->waitset, member->watch_number);
    member->next_watched = *bucket;
    *bucket = member;
}

static int make_room(leat_waitset *waitset) {
    uint32_t room = waitset->room == 0 ? PLACES_MIN : 2 * waitset->room;
    struct place *places = calloc(room, sizeof *places);
    struct leat__member **buckets = calloc(room, sizeof *buckets);
    if (places == NULL || buckets == NULL) {
        free(places);
        free(buckets);
        return leat__fail(LEAT_ENOMEM, 0, "no memory for %u channels", room);
    }
    struct place *old = waitset->places;
    uint32_t count = waitset->room;
    free(waitset->buckets);
    waitset->places = places;
    waitset->buckets = buckets;
    waitset->room = room;
    for (uint32_t i = 0; i < count; i++) { /* all of them are in use */
        places[i] = old[i];
        put_into_bucket(places[i].member);
    }
    free(old);
    return LEAT_OK;
}

static int find_place(leat_waitset *waitset, uint32_t *place) {
    if (waitset->statistics.channels == waitset->room) {
        int result = make_room(waitset);
        if (result != LEAT_OK)
            return result;
    }
    *place = 0;
    while (waitset->places[*place].member != NULL)
        ++*place;
    return LEAT_OK;
}

static int watch_file(leat_waitset *waitset, struct leat__member *member) {
    leat__os_fork_hold();
    int result = leat__os_watch_add(waitset->resource.watch, &member->object->resource.file,
                                    member->receives ? LEAT__TOUCH_READ : LEAT__TOUCH_WRITE,
                                    &member->watch_number);
    leat__os_fork_release();
    return result;
}

static int take_place(leat_waitset *waitset, struct leat__member *member) {
    struct place *place = &waitset->places[member->place];
    uint64_t token = (uint64_t)(place->generation + 1) << 32 | (member->place + 1);
    int result = leat__member_set_notify(
        member, waitset->without_notify ? 0 : waitset->notify.number, token);
    if (result != LEAT_OK)
        return result;
    result = watch_file(waitset, member);
    if (result != LEAT_OK) {
        if (member->waitable != NULL)
            leat__sync_listen_no_more(member->waitable);
        return result;
    }
    *place = (struct place){member, place->generation + 1};
    return LEAT_OK;
}

/* The first poll asks the kernel: the peer may have died before. */
static int add(leat_waitset *waitset, const struct leat__member *like) {
    struct leat__object *object = like->object;
    if (waitset->resource.forked || object->resource.forked)
        return leat__role_fail_forked();
    if (object->member != NULL)
        return leat__fail(LEAT_ESTATE, 0, "it is in a wait set already");
    uint32_t place;
    int result = find_place(waitset, &place);
    struct leat__member *member = result == LEAT_OK ? calloc(1, sizeof *member) : NULL;
    if (member == NULL)
        return result != LEAT_OK ? result
                                 : leat__fail(LEAT_ENOMEM, 0, "no memory for another channel");
    *member = *like;
    member->waitset = waitset;
    member->place = place;
    member->asks = true;
    result = take_place(waitset, member);
    if (result != LEAT_OK) {
        free(member);
        return result;
    }
    put_into_bucket(member);
    object->member = member;
    object->forget = leat__waitset_forget;
    object->disarmed = leat__waitset_disarmed;
    waitset->statistics.channels++;
    append(member);
    leat_waitset_again(waitset);
    return LEAT_OK;
}

int leat_waitset_add_receiver(leat_waitset *waitset, leat_receiver *receiver, void *data) {
    if (waitset == NULL || receiver == NULL)
        return leat__fail(LEAT_EINVAL, 0, "no wait set or no receiver");
    const struct leat__member member = {
        .object = &receiver->role.object, .role = &receiver->role, .receives = true, .data = data};
    return add(waitset, &member);
}

int leat_waitset_add_sender(leat_waitset *waitset, leat_sender *sender, void *data) {
    if (waitset == NULL || sender == NULL)
        return leat__fail(LEAT_EINVAL, 0, "no wait set or no sender");
    const struct leat__member member = {
        .object = &sender->role.object, .role = &sender->role, .many = sender->many, .data = data};
    return add(waitset, &member);
}

int leat_waitset_add_waitable(leat_waitset *waitset, leat_waitable *waitable, void *data) {
    if (waitset == NULL || waitable == NULL)
        return leat__fail(LEAT_EINVAL, 0, "no wait set or nothing to wait for");
    const struct leat__member member = {
        .object = &waitable->object, .waitable = waitable, .data = data};
    return add(waitset, &member);
}

int leat_waitset_want_room(leat_sender *sender, size_t size) {
    struct leat__member *member = sender != NULL ? sender->role.object.member : NULL;
    if (member == NULL)
        return leat__fail(LEAT_ESTATE, 0, "it is in no wait set");
    if (size > leat_sender_max_message(sender))
        return leat__fail(LEAT_EMSGSIZE, 0, "%zu bytes, at most %zu", size,
                          leat_sender_max_message(sender));
    leat__member_want_room(member, size);
    leat__waitset_disarmed(member);
    return LEAT_OK;
}

static void unlink_watched(struct leat__member *member) {
    struct leat__member **link = bucket_of(member->waitset, member->watch_number);
    bool shared = false;
    for (struct leat__member *other = *link; other != NULL; other = other->next_watched)
        shared = shared || (other != member && other->watch_number == member->watch_number);
    while (*link != member)
        link = &(*link)->next_watched;
    *link = member->next_watched;
    if (!shared && !member->waitset->resource.forked)
        leat__os_watch_remove(member->waitset->resource.watch, member->watch_number);
}

static void unlink_suspect(struct leat__member *member) {
    struct leat__member **link = &member->waitset->suspects;
    while (member->suspect && *link != member)
        link = &(*link)->next_suspect;
    if (member->suspect)
        *link = member->next_suspect;
}

void leat__waitset_forget(struct leat__member *member) {
    leat_waitset *waitset = member->waitset;
    bool ours = !waitset->resource.forked && !member->object->resource.forked;
    if (member->armed && ours)
        leat__member_disarm(member);
    if (member->waitable != NULL && ours)
        leat__sync_listen_no_more(member->waitable);
    if (is_ready(member))
        take_out(member);
    unlink_watched(member);
    unlink_suspect(member);
    waitset->places[member->place].member = NULL;
    waitset->statistics.channels--;
    member->object->member = NULL;
    free(member);
}

static void forget_object(const struct leat__object *object) {
    if (object->member != NULL)
        leat__waitset_forget(object->member);
}

void leat_waitset_remove_receiver(leat_receiver *receiver) {
    if (receiver != NULL)
        forget_object(&receiver->role.object);
}

void leat_waitset_remove_sender(leat_sender *sender) {
    if (sender != NULL)
        forget_object(&sender->role.object);
}

void leat_waitset_remove_waitable(leat_waitable *waitable) {
    if (waitable != NULL)
        forget_object(&waitable->object);
}

void leat__waitset_disarmed(struct leat__member *member) {
    if (!member->armed)
        return;
    make_ready(member);
    leat_waitset_again(member->waitset);
}

/* --- Opening and closing ---------------------------------------------------------------------- */

/* A notify socket that peers find and that is watched; after a few tries none. */
static int open_notify(leat_waitset *waitset) {
    struct leat__notify *notify = &waitset->notify;
    /* each pass: the name was removed at once */
    for (int tries = 0; tries < SOCKETS_TRIED; tries++) {
        int result = leat__os_notify_create(waitset->directory, notify);
        if (result != LEAT_OK || notify->number == 0)
            return result;
        bool watched = leat__os_notify_watch(waitset->directory, notify, waitset->resource.watch,
                                             &waitset->notify_watch);
        if (watched && leat__os_notify_is_found(waitset->directory, notify))
            return LEAT_OK;
        leat__os_notify_remove(waitset->directory, notify);
        leat__os_file_close(notify->file);
        *notify = (struct leat__notify){.file = LEAT__NO_FILE};
    }
    return LEAT_OK;
}

/* The watch first: files that are added get higher numbers than it has (leat__os_watch_add). */
static int open_descriptors(leat_waitset *waitset) {
    struct leat__resource *own = &waitset->resource;
    int result = leat__os_watch_open_many(&own->watch);
    if (result == LEAT_OK)
        result = leat__os_directory_open(LEAT_LOCAL, true, &waitset->directory);
    if (result == LEAT_OK)
        result = leat__os_timer_open(&own->timer);
    if (result == LEAT_OK)
        result = leat__os_flag_open(&waitset->flag);
    if (result == LEAT_OK)
        result = leat__os_poll_open((leat__file[]){own->watch, own->timer, waitset->flag}, 3,
                                    &own->file);
    if (result == LEAT_OK)
        result = open_notify(waitset);
    own->notify = waitset->notify.file;
    if (result == LEAT_OK)
        result = leat__os_poll_open(
            (leat__file[]){own->notify, own->watch, own->timer, waitset->flag}, 4, &own->poll);
    return result;
}

/* The watch last: that can take its time. A forked child has but the directory. */
static void close_descriptors(const leat_waitset *waitset) {
    const struct leat__resource *own = &waitset->resource;
    const leat__file files[] = {own->poll,     own->file,   own->timer,
                                waitset->flag, own->notify, own->watch};
    if (waitset->directory != LEAT__NO_FILE && !own->forked)
        leat__os_notify_remove(waitset->directory, &waitset->notify);
    leat__os_directory_close(waitset->directory);
    for (size_t i = 0; i < sizeof files / sizeof *files && !own->forked; i++)
        leat__os_file_close(files[i]);
}

int leat_waitset_open(leat_waitset **waitset) {
    leat_waitset *made = waitset != NULL ? calloc(1, sizeof *made) : NULL;
    if (made == NULL)
        return leat__fail(waitset == NULL ? LEAT_EINVAL : LEAT_ENOMEM, 0, "no wait set");
    leat__os_resource_init(&made->resource);
    made->directory = made->flag = LEAT__NO_FILE;
    made->notify.file = LEAT__NO_FILE;
    made->notify_watch = -1;
    leat__os_resource_add(&made->resource);
    struct leat__failure before;
    leat__failure_keep(&before);
    int result = open_descriptors(made);
    if (result != LEAT_OK) {
        leat__os_resource_remove(&made->resource);
        close_descriptors(made);
        free(made);
        return result;
    }
    *waitset = made;
    return leat__failure_settle(&before, LEAT_OK);
}

void leat_waitset_close(leat_waitset *waitset) {
    if (waitset == NULL)
        return;
    for (uint32_t place = 0; place < waitset->room; place++)
        if (waitset->places[place].member != NULL)
            leat__waitset_forget(waitset->places[place].member);
    leat__os_resource_remove(&waitset->resource);
    close_descriptors(waitset);
    free(waitset->places);
    free(waitset->buckets);
    free(waitset);
}

/* --- Questions -------------------------------------------------------------------------------- */

int leat_waitset_descriptor(const leat_waitset *waitset) {
    return waitset->resource.poll;
}

void leat_waitset_descriptors(const leat_waitset *waitset, int descriptors[2]) {
    leat__file notify = waitset->resource.notify;
    leat__file wakes =
        notify != LEAT__NO_FILE ? notify : waitset->flag; /* in a child a number only */
    descriptors[0] = waitset->resource.forked ? LEAT__NO_FILE : wakes;
    descriptors[1] = waitset->resource.file;
}

void leat_waitset_info(const leat_waitset *waitset, leat_waitset_statistics *statistics) {
    *statistics = waitset->statistics;
}
