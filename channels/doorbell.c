/* channels/doorbell.c - see channels/doorbell.h. */
#include "channels/doorbell.h"

#include <stdlib.h>

#include "channels/doorbell_item.h"
#include "channels/receiver.h"
#include "channels/sender.h"
#include "lib/base/fail.h"
#include "lib/sync.h"

#define PLACES_MIN 16
#define AT_ONCE 64       /* notices taken from the kernel by one call */
#define TOKENS_MOST 1024 /* taken before channels have their turn */
#define BELLS_TRIED 4
/* channels that were named before the kernel is asked whether others rang */
#define TURNS_BETWEEN_RINGS 64
#define TURNS_BETWEEN_NOTICES 16

/* How long after a file was closed its channel's peer is looked at again, nanoseconds. */
static const uint64_t look_after_ns[LEAT__LOOKS] = {1000000, 10000000, 50000000};

struct place {
    struct leat__item *item; /* NULL: free */
    uint32_t generation;
};

struct leat_doorbell {
    /* bell, watch, poll (everything), timer, file (everything but the bell) */
    struct leat__resource resource;
    leat__file directory; /* the bell's; shared */
    leat__file flag;
    struct leat__bell bell; /* number 0: others do not find it */
    bool without_bell;      /* the name was not found: files are touched */
    int bell_watch;         /* the number of its name; -1: not watched */
    struct place *places;
    struct leat__item **buckets;     /* by watch number; as many as places */
    uint32_t room;                   /* places, a power of two */
    struct leat__item *first, *last; /* ready */
    struct leat__item *suspects;
    uint64_t timer_at_ns; /* 0: not set */
    /* when it had nothing left to do, until it is awake again; 0: it did not come to that */
    uint64_t slept_ns;
    uint64_t awake_ns; /* when it was; 0: nobody has asked yet */
    bool again;        /* the loop shall come back */
    bool raised;       /* so that it does: the flag */
    uint64_t turns, collections;
    leat_doorbell_statistics statistics;
};

/* --- The list of the ready -------------------------------------------------------------------- */

static bool is_ready(const struct leat__item *item) {
    return item->previous != NULL || item->doorbell->first == item;
}

static void append(struct leat__item *item) {
    leat_doorbell *doorbell = item->doorbell;
    item->previous = doorbell->last;
    item->next = NULL;
    if (doorbell->last != NULL)
        doorbell->last->next = item;
    else
        doorbell->first = item;
    doorbell->last = item;
}

static void take_out(struct leat__item *item) {
    leat_doorbell *doorbell = item->doorbell;
    if (item->previous != NULL)
        item->previous->next = item->next;
    else
        doorbell->first = item->next;
    if (item->next != NULL)
        item->next->previous = item->previous;
    else
        doorbell->last = item->previous;
    item->next = item->previous = NULL;
}

static void make_ready(struct leat__item *item) {
    if (item->armed)
        leat__item_wake(item);
    item->armed = false;
    if (!is_ready(item))
        append(item);
}

/* --- Looking again, later --------------------------------------------------------------------- */

static void suspect(struct leat__item *item) {
    item->asks = true;
    item->looks = LEAT__LOOKS;
}

/* Without a timer the loop goes on turning. */
static void set_timer(leat_doorbell *doorbell, uint64_t at_ns) {
    doorbell->timer_at_ns = at_ns;
    if (!leat__os_timer_set(doorbell->resource.timer, at_ns))
        leat_doorbell_again(doorbell);
}

static void schedule(struct leat__item *item, uint64_t at_ns) {
    leat_doorbell *doorbell = item->doorbell;
    item->look_at_ns = at_ns;
    if (!item->suspect) {
        item->suspect = true;
        item->next_suspect = doorbell->suspects;
        doorbell->suspects = item;
    }
    if (doorbell->timer_at_ns == 0 || at_ns < doorbell->timer_at_ns)
        set_timer(doorbell, at_ns);
}

/* Those whose time has come are to be looked at; the timer is set for the others. */
static void look_at_suspects(leat_doorbell *doorbell) {
    uint64_t now = leat__os_now(), next = 0;
    if (doorbell->timer_at_ns == 0 || doorbell->timer_at_ns > now)
        return;
    for (struct leat__item **link = &doorbell->suspects, *item; (item = *link) != NULL;) {
        if (item->look_at_ns > now) {
            next = next == 0 || item->look_at_ns < next ? item->look_at_ns : next;
            link = &item->next_suspect;
            continue;
        }
        *link = item->next_suspect;
        item->suspect = false;
        item->asks = true;
        make_ready(item);
    }
    set_timer(doorbell, next);
}

/* --- Announcing ------------------------------------------------------------------------------- */

/* There was nothing: the kernel is asked again when the next of the intervals is over, if any is
 * left. A question without an answer is none of those. */
static void ask_later(struct leat__item *item) {
    bool due = item->asks || !item->suspect; /* else it will be asked already */
    item->asks = false;
    if (due && leat__item_is_unanswered(item))
        schedule(item, leat__os_now() + LEAT__SLICE_NS);
    else if (due && item->looks > 0)
        schedule(item, leat__os_now() + look_after_ns[LEAT__LOOKS - item->looks--]);
}

/* Announces and looks again; false when there is something after all. */
static bool arm(struct leat__item *item) {
    item->doorbell->statistics.announced++;
    if (leat__item_announce_and_look(item))
        return false;
    item->armed = true;
    ask_later(item);
    return true;
}

/* --- What the kernel has to tell -------------------------------------------------------------- */

static void make_rung_ready(struct leat__item *item) {
    leat_doorbell *doorbell = item->doorbell;
    if (item->armed && item->side != NULL && doorbell->slept_ns != 0) {
        if (doorbell->awake_ns == 0) /* the clock is read once for all that were rung for */
            doorbell->awake_ns = leat__os_now();
        leat__side_count_wake(item->side, doorbell->slept_ns, doorbell->awake_ns);
    }
    make_ready(item);
}

/* False when no doorbell like this one can have given it. Tokens of items that went mean
 * nothing. */
static bool take_token(leat_doorbell *doorbell, uint64_t token) {
    uint32_t number = (uint32_t)token - 1, generation = (uint32_t)(token >> 32);
    if (number >= doorbell->room || generation > doorbell->places[number].generation)
        return false;
    const struct place *place = &doorbell->places[number];
    if (place->item != NULL && place->generation == generation)
        make_rung_ready(place->item);
    return true;
}

/* What was announced may be rung for already, and the ring lost; `asks`: or a death. */
static void make_all_ready(leat_doorbell *doorbell, bool asks) {
    for (uint32_t place = 0; place < doorbell->room; place++)
        if (doorbell->places[place].item != NULL) {
            if (asks)
                suspect(doorbell->places[place].item);
            make_ready(doorbell->places[place].item);
        }
}

static size_t take_tokens(leat_doorbell *doorbell) {
    uint64_t tokens[LEAT__TOKENS];
    size_t taken = 0, count = 0;
    bool readable = true;
    do {
        if (doorbell->resource.bell != LEAT__NO_FILE)
            count = leat__os_bell_take(doorbell->resource.bell, tokens);
        for (size_t i = 0; i < count; i++)
            readable = take_token(doorbell, tokens[i]) && readable;
        taken += count;
    } while (count == LEAT__TOKENS && taken < TOKENS_MOST);
    if (!readable)
        make_all_ready(doorbell, false);
    doorbell->statistics.rings += taken;
    return taken;
}

/* Its name is gone, or is something else's: from now on files are touched. Whoever rang
 * something else before is noticed by the look at all channels. */
static void do_without_bell(leat_doorbell *doorbell) {
    doorbell->without_bell = true;
    for (uint32_t place = 0; place < doorbell->room; place++)
        if (doorbell->places[place].item != NULL)
            leat__item_do_without_bell(doorbell->places[place].item);
    make_all_ready(doorbell, false);
}

static void look_at_bell(leat_doorbell *doorbell) {
    if (doorbell->bell.number != 0 && !doorbell->without_bell &&
        !leat__os_bell_is_found(doorbell->directory, &doorbell->bell))
        do_without_bell(doorbell);
}

static struct leat__item **bucket_of(const leat_doorbell *doorbell, int watch_number) {
    return &doorbell->buckets[(uint32_t)watch_number & (doorbell->room - 1)];
}

static void take_notices(leat_doorbell *doorbell) {
    struct leat__notice notices[AT_ONCE];
    size_t count = leat__os_watch_take(doorbell->resource.watch, notices, AT_ONCE);
    for (size_t i = 0; i < count; i++) {
        if (notices[i].number < 0)
            make_all_ready(doorbell, true);
        if (notices[i].number < 0 || notices[i].number == doorbell->bell_watch)
            look_at_bell(doorbell);
        for (struct leat__item *item = *bucket_of(doorbell, notices[i].number); item != NULL;
             item = item->next_watched) {
            if (item->watch_number != notices[i].number)
                continue;
            if (notices[i].closed)
                suspect(item);
            make_rung_ready(item);
        }
    }
    doorbell->statistics.rings += count;
}

/* Rings come through the bell; the rest is asked for when it was not the bell that woke us, and now
 * and then. */
static void collect(leat_doorbell *doorbell) {
    bool again = doorbell->again;
    doorbell->again = false;
    bool rung = take_tokens(doorbell) > 0 || again;
    if (!rung || ++doorbell->collections % TURNS_BETWEEN_NOTICES == 0) {
        take_notices(doorbell);
        look_at_suspects(doorbell);
    }
    doorbell->slept_ns = doorbell->awake_ns = 0;
}

/* The loop comes back at once. */
static void stay_awake(leat_doorbell *doorbell) {
    leat__os_yield();
    leat_doorbell_again(doorbell);
}

static void rest(leat_doorbell *doorbell) {
    if (doorbell->raised && !doorbell->again) {
        leat__os_flag_lower(doorbell->flag);
        doorbell->raised = false;
    }
    doorbell->slept_ns = leat__os_now();
}

int leat_doorbell_next(leat_doorbell *doorbell, void **data) {
    if (doorbell == NULL || data == NULL)
        return leat__fail(LEAT_EINVAL, 0, "no doorbell, or no place for what is named");
    if (doorbell->resource.forked)
        return leat__side_fail_forked();
    if (doorbell->first == NULL || doorbell->again || ++doorbell->turns % TURNS_BETWEEN_RINGS == 0)
        collect(doorbell);
    struct leat__item *first_awake = NULL;
    for (struct leat__item *item; (item = doorbell->first) != NULL && item != first_awake;) {
        take_out(item);
        bool something = leat__item_has_something(item);
        if (!something && leat__item_stays_awake(item)) {
            ask_later(item);
            append(item);
            first_awake = first_awake != NULL ? first_awake : item;
            continue;
        }
        if (!something && arm(item))
            continue;
        append(item);
        doorbell->statistics.named++;
        *data = item->data;
        return LEAT_OK;
    }
    if (first_awake != NULL)
        stay_awake(doorbell);
    else
        rest(doorbell);
    return LEAT_EAGAIN;
}

void leat_doorbell_again(leat_doorbell *doorbell) {
    if (doorbell == NULL || doorbell->resource.forked)
        return;
    doorbell->again = true;
    if (!doorbell->raised)
        doorbell->raised = leat__os_flag_raise(doorbell->flag);
    if (!doorbell->raised) /* the timer does as well */
        (void)leat__os_timer_set(doorbell->resource.timer, doorbell->timer_at_ns = 1);
}

/* --- Adding and removing ---------------------------------------------------------------------- */

static void put_into_bucket(struct leat__item *item) {
    struct leat__item **bucket = bucket_of(item->doorbell, item->watch_number);
    item->next_watched = *bucket;
    *bucket = item;
}

static int make_room(leat_doorbell *doorbell) {
    uint32_t room = doorbell->room == 0 ? PLACES_MIN : 2 * doorbell->room;
    struct place *places = calloc(room, sizeof *places);
    struct leat__item **buckets = calloc(room, sizeof *buckets);
    if (places == NULL || buckets == NULL) {
        free(places);
        free(buckets);
        return leat__fail(LEAT_ENOMEM, 0, "no memory for %u channels", room);
    }
    struct place *old = doorbell->places;
    uint32_t count = doorbell->room;
    free(doorbell->buckets);
    doorbell->places = places;
    doorbell->buckets = buckets;
    doorbell->room = room;
    for (uint32_t i = 0; i < count; i++) { /* all of them are in use */
        places[i] = old[i];
        put_into_bucket(places[i].item);
    }
    free(old);
    return LEAT_OK;
}

static int find_place(leat_doorbell *doorbell, uint32_t *place) {
    if (doorbell->statistics.channels == doorbell->room) {
        int result = make_room(doorbell);
        if (result != LEAT_OK)
            return result;
    }
    *place = 0;
    while (doorbell->places[*place].item != NULL)
        ++*place;
    return LEAT_OK;
}

static int watch_file(leat_doorbell *doorbell, struct leat__item *item) {
    leat__os_fork_hold();
    int result = leat__os_watch_add(doorbell->resource.watch, &item->object->resource.file,
                                    item->receives ? LEAT__TOUCH_READ : LEAT__TOUCH_WRITE,
                                    &item->watch_number);
    leat__os_fork_release();
    return result;
}

static int take_place(leat_doorbell *doorbell, struct leat__item *item) {
    struct place *place = &doorbell->places[item->place];
    uint64_t token = (uint64_t)(place->generation + 1) << 32 | (item->place + 1);
    int result =
        leat__item_say_where(item, doorbell->without_bell ? 0 : doorbell->bell.number, token);
    if (result != LEAT_OK)
        return result;
    result = watch_file(doorbell, item);
    if (result != LEAT_OK) {
        if (item->waitable != NULL)
            leat__sync_listen_no_more(item->waitable);
        return result;
    }
    *place = (struct place){item, place->generation + 1};
    return LEAT_OK;
}

/* The first look asks the kernel: the peer may have died before. */
static int add(leat_doorbell *doorbell, const struct leat__item *like) {
    struct leat__object *object = like->object;
    if (doorbell->resource.forked || object->resource.forked)
        return leat__side_fail_forked();
    if (object->item != NULL)
        return leat__fail(LEAT_ESTATE, 0, "it is in a doorbell already");
    uint32_t place;
    int result = find_place(doorbell, &place);
    struct leat__item *item = result == LEAT_OK ? calloc(1, sizeof *item) : NULL;
    if (item == NULL)
        return result != LEAT_OK ? result
                                 : leat__fail(LEAT_ENOMEM, 0, "no memory for another channel");
    *item = *like;
    item->doorbell = doorbell;
    item->place = place;
    item->asks = true;
    result = take_place(doorbell, item);
    if (result != LEAT_OK) {
        free(item);
        return result;
    }
    put_into_bucket(item);
    object->item = item;
    object->forget = leat__doorbell_forget;
    object->disturb = leat__doorbell_disturb;
    doorbell->statistics.channels++;
    append(item);
    leat_doorbell_again(doorbell);
    return LEAT_OK;
}

int leat_doorbell_add_receiver(leat_doorbell *doorbell, leat_receiver *receiver, void *data) {
    if (doorbell == NULL || receiver == NULL)
        return leat__fail(LEAT_EINVAL, 0, "no doorbell or no receiver");
    const struct leat__item item = {
        .object = &receiver->side.object, .side = &receiver->side, .receives = true, .data = data};
    return add(doorbell, &item);
}

int leat_doorbell_add_sender(leat_doorbell *doorbell, leat_sender *sender, void *data) {
    if (doorbell == NULL || sender == NULL)
        return leat__fail(LEAT_EINVAL, 0, "no doorbell or no sender");
    const struct leat__item item = {
        .object = &sender->side.object, .side = &sender->side, .many = sender->many, .data = data};
    return add(doorbell, &item);
}

int leat_doorbell_add_waitable(leat_doorbell *doorbell, leat_waitable *waitable, void *data) {
    if (doorbell == NULL || waitable == NULL)
        return leat__fail(LEAT_EINVAL, 0, "no doorbell or nothing to wait for");
    const struct leat__item item = {
        .object = &waitable->object, .waitable = waitable, .data = data};
    return add(doorbell, &item);
}

int leat_doorbell_want_room(leat_sender *sender, size_t size) {
    struct leat__item *item = sender != NULL ? sender->side.object.item : NULL;
    if (item == NULL)
        return leat__fail(LEAT_ESTATE, 0, "it is in no doorbell");
    if (size > leat_sender_max_message(sender))
        return leat__fail(LEAT_EMSGSIZE, 0, "%zu bytes, at most %zu", size,
                          leat_sender_max_message(sender));
    leat__item_want_room(item, size);
    leat__doorbell_disturb(item);
    return LEAT_OK;
}

static void unlink_watched(struct leat__item *item) {
    struct leat__item **link = bucket_of(item->doorbell, item->watch_number);
    bool shared = false;
    for (struct leat__item *other = *link; other != NULL; other = other->next_watched)
        shared = shared || (other != item && other->watch_number == item->watch_number);
    while (*link != item)
        link = &(*link)->next_watched;
    *link = item->next_watched;
    if (!shared && !item->doorbell->resource.forked)
        leat__os_watch_remove(item->doorbell->resource.watch, item->watch_number);
}

static void unlink_suspect(struct leat__item *item) {
    struct leat__item **link = &item->doorbell->suspects;
    while (item->suspect && *link != item)
        link = &(*link)->next_suspect;
    if (item->suspect)
        *link = item->next_suspect;
}

void leat__doorbell_forget(struct leat__item *item) {
    leat_doorbell *doorbell = item->doorbell;
    bool ours = !doorbell->resource.forked && !item->object->resource.forked;
    if (item->armed && ours)
        leat__item_wake(item);
    if (item->waitable != NULL && ours)
        leat__sync_listen_no_more(item->waitable);
    if (is_ready(item))
        take_out(item);
    unlink_watched(item);
    unlink_suspect(item);
    doorbell->places[item->place].item = NULL;
    doorbell->statistics.channels--;
    item->object->item = NULL;
    free(item);
}

static void forget_object(const struct leat__object *object) {
    if (object->item != NULL)
        leat__doorbell_forget(object->item);
}

void leat_doorbell_remove_receiver(leat_receiver *receiver) {
    if (receiver != NULL)
        forget_object(&receiver->side.object);
}

void leat_doorbell_remove_sender(leat_sender *sender) {
    if (sender != NULL)
        forget_object(&sender->side.object);
}

void leat_doorbell_remove_waitable(leat_waitable *waitable) {
    if (waitable != NULL)
        forget_object(&waitable->object);
}

void leat__doorbell_disturb(struct leat__item *item) {
    if (!item->armed)
        return;
    make_ready(item);
    leat_doorbell_again(item->doorbell);
}

/* --- Opening and closing ---------------------------------------------------------------------- */

/* One that others find and that is watched; after a few tries none. */
static int open_bell(leat_doorbell *doorbell) {
    struct leat__bell *bell = &doorbell->bell;
    /* each turn: the name was removed at once */
    for (int tries = 0; tries < BELLS_TRIED; tries++) {
        int result = leat__os_bell_create(doorbell->directory, bell);
        if (result != LEAT_OK || bell->number == 0)
            return result;
        bool watched = leat__os_bell_watch(doorbell->directory, bell, doorbell->resource.watch,
                                           &doorbell->bell_watch);
        if (watched && leat__os_bell_is_found(doorbell->directory, bell))
            return LEAT_OK;
        leat__os_bell_remove(doorbell->directory, bell);
        leat__os_file_close(bell->file);
        *bell = (struct leat__bell){.file = LEAT__NO_FILE};
    }
    return LEAT_OK;
}

/* The watch first: files that are added get higher numbers than it has (leat__os_watch_add). */
static int open_descriptors(leat_doorbell *doorbell) {
    struct leat__resource *own = &doorbell->resource;
    int result = leat__os_watch_open_many(&own->watch);
    if (result == LEAT_OK)
        result = leat__os_directory_open(LEAT_LOCAL, true, &doorbell->directory);
    if (result == LEAT_OK)
        result = leat__os_timer_open(&own->timer);
    if (result == LEAT_OK)
        result = leat__os_flag_open(&doorbell->flag);
    if (result == LEAT_OK)
        result = leat__os_poll_open((leat__file[]){own->watch, own->timer, doorbell->flag}, 3,
                                    &own->file);
    if (result == LEAT_OK)
        result = open_bell(doorbell);
    own->bell = doorbell->bell.file;
    if (result == LEAT_OK)
        result = leat__os_poll_open(
            (leat__file[]){own->bell, own->watch, own->timer, doorbell->flag}, 4, &own->poll);
    return result;
}

/* The watch last: that can take its time. A forked child has but the directory. */
static void close_descriptors(const leat_doorbell *doorbell) {
    const struct leat__resource *own = &doorbell->resource;
    const leat__file files[] = {own->poll,      own->file, own->timer,
                                doorbell->flag, own->bell, own->watch};
    if (doorbell->directory != LEAT__NO_FILE && !own->forked)
        leat__os_bell_remove(doorbell->directory, &doorbell->bell);
    leat__os_directory_close(doorbell->directory);
    for (size_t i = 0; i < sizeof files / sizeof *files && !own->forked; i++)
        leat__os_file_close(files[i]);
}

int leat_doorbell_open(leat_doorbell **out) {
    leat_doorbell *doorbell = out != NULL ? calloc(1, sizeof *doorbell) : NULL;
    if (doorbell == NULL)
        return leat__fail(out == NULL ? LEAT_EINVAL : LEAT_ENOMEM, 0, "no doorbell");
    leat__os_resource_init(&doorbell->resource);
    doorbell->directory = doorbell->flag = LEAT__NO_FILE;
    doorbell->bell.file = LEAT__NO_FILE;
    doorbell->bell_watch = -1;
    leat__os_resource_add(&doorbell->resource);
    int result = open_descriptors(doorbell);
    if (result != LEAT_OK) {
        leat__os_resource_remove(&doorbell->resource);
        close_descriptors(doorbell);
        free(doorbell);
        return result;
    }
    *out = doorbell;
    return LEAT_OK;
}

void leat_doorbell_close(leat_doorbell *doorbell) {
    if (doorbell == NULL)
        return;
    for (uint32_t place = 0; place < doorbell->room; place++)
        if (doorbell->places[place].item != NULL)
            leat__doorbell_forget(doorbell->places[place].item);
    leat__os_resource_remove(&doorbell->resource);
    close_descriptors(doorbell);
    free(doorbell->places);
    free(doorbell->buckets);
    free(doorbell);
}

/* --- Questions -------------------------------------------------------------------------------- */

int leat_doorbell_descriptor(const leat_doorbell *doorbell) {
    return doorbell->resource.poll;
}

void leat_doorbell_descriptors(const leat_doorbell *doorbell, int descriptors[2]) {
    leat__file bell = doorbell->resource.bell;
    leat__file rings = bell != LEAT__NO_FILE ? bell : doorbell->flag; /* in a child a number only */
    descriptors[0] = doorbell->resource.forked ? LEAT__NO_FILE : rings;
    descriptors[1] = doorbell->resource.file;
}

void leat_doorbell_statistics_read(const leat_doorbell *doorbell,
                                   leat_doorbell_statistics *statistics) {
    *statistics = doorbell->statistics;
}
