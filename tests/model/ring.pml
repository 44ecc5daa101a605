/* ring.pml - the ring (channels/queue/ring.h): every message arrives once, whole, in order, whoever is killed and whenever.
 *
 * In small: the ring is LINES lines of two units. A unit has a header cell and a body cell. A
 * message is either one unit or a long one of two lines, which starts at a line, does not wrap,
 * and is preceded by a pad where it could not start. The body cell of its first unit carries its
 * number; in its other units the payload covers header cells too, the first of a line among them,
 * with the worst there is: the header that will be expected there one lap later (JUNK). A header
 * carries the lap of its position, as the real one carries the position. Free space holds such
 * headers from the start. With -DWIPES=0 the receiver does not wipe. With -DPROMISE=1 the first
 * receiver has wiped a lap already, and says so with what it hands back: free space is empty, the
 * sender does not look where no sender has written, and a message may also hold headers of this
 * lap.
 *
 * The machine is weaker than x86: a store waits in its process's buffer and may overtake earlier stores to other cells,
 * except a release store, which waits for all earlier ones. Loads are not reordered. A killed process's stores reach memory,
 * in any of these orders; its successor starts when they have, while the other side goes on. Each side is killed at most
 * KILLS_S, KILLS_R times.
 *
 * -DBUG_... breaks one thing; Spin must find a violated assertion or a receiver that waits for ever:
 *     BUG_HEADER_FIRST        the header is stored before the payload
 *     BUG_COMMIT_RELAXED      [R1] the header is not a release store
 *     BUG_WIPE_FIRST          the receiver wipes before it notes its position
 *     BUG_WIPE_RELAXED        [R4][R5] the wipes may overtake the noting
 *     BUG_BACK_FIRST          the lines are handed back before they are wiped (found with 4 messages)
 *     BUG_BACK_RELAXED        [R3] handing back may overtake the wipes (the same)
 *     BUG_NOTE_FIRST          the sender notes its position before the commit
 *     BUG_NO_CLEAR_BEHIND     I1: the word behind a record is not zeroed where it could be taken for the next header
 *     BUG_CLEAR_LATE          it is zeroed after the commit
 *     BUG_HEIR_NO_WALK        a new sender starts at the position noted
 *     BUG_HEIR_NO_LOOK        a new sender takes a wiped word for the end
 *     BUG_HEIR_PROMISES       a new receiver promises what its predecessor may not have wiped
 *     BUG_HEIR_TRUSTS         a new sender does not look at what its predecessor may have written
 *     BUG_NEVER_LOOKS         a sender takes no promise for one
 *     BUG_HEIR_NO_HAND_BACK   a new receiver does not hand back what its predecessor had noted and not handed back */

#ifndef MESSAGES
#define MESSAGES 3
#endif
#ifndef KILLS_S
#define KILLS_S 1
#endif
#ifndef KILLS_R
#define KILLS_R 1
#endif
#ifndef WIPES
#define WIPES 1
#endif
#ifndef PROMISE
#define PROMISE 0
#endif
#define LINE 2
#ifndef LINES
#define LINES 5
#endif
#define UNITS (LINES * LINE)
#define LONG 4
#define POSITIONS 40

/* Memory. Cells 0 to UNITS - 1: headers; then bodies; then three words. */
#define BODY UNITS
#define SENT (2 * UNITS)         /* the sender's position */
#define TAKEN (2 * UNITS + 1)    /* the receiver's position */
#define RELEASED (2 * UNITS + 2) /* what it has handed back, and the promise */
#define PROMISED 64
byte memory[2 * UNITS + 3];

/* Headers: type, and the lap's parity. Zero: nothing. */
#define SHORT_TYPE 1
#define LONG_TYPE 2
#define PAD_TYPE 3 /* to the next line */
#define WRAP_TYPE 4 /* to the end of the ring */
#define HEADER(type, at) ((type) + 8 * (((at) / UNITS) % 2))
#define IS_HEADER(word, at) ((word) != 0 && (word) / 8 == ((at) / UNITS) % 2)
#define UNIT(at) ((at) % UNITS)

/* What the model itself knows: how many messages end at or before a position; the lap of whose headers a message is full. */
byte messages_before[POSITIONS];
byte laps[MESSAGES];
#define PAYLOAD(at, number) HEADER(SHORT_TYPE, (at) + laps[number])

/* Store buffers. */
#define DEPTH 3
typedef store { byte cell, value; bool release }
typedef buffer { store entry[DEPTH]; byte count }
buffer stores[2];
#define SENDER 0
#define RECEIVER 1

inline put(who, where, what, is_release) {
    atomic {
        stores[who].count < DEPTH ->
        stores[who].entry[stores[who].count].cell = where;
        stores[who].entry[stores[who].count].value = what;
        stores[who].entry[stores[who].count].release = is_release;
        stores[who].count++
    }
}
#define DRAINED(who) (stores[who].count == 0)

/* Takes entry i out of the buffer into memory. */
inline retire(who, i) {
    memory[stores[who].entry[i].cell] = stores[who].entry[i].value;
    j = i;
    do
    :: j + 1 < stores[who].count ->
        stores[who].entry[j].cell = stores[who].entry[j + 1].cell;
        stores[who].entry[j].value = stores[who].entry[j + 1].value;
        stores[who].entry[j].release = stores[who].entry[j + 1].release;
        j++
    :: else -> break
    od;
    stores[who].count--;
    stores[who].entry[stores[who].count].cell = 0;
    stores[who].entry[stores[who].count].value = 0;
    stores[who].entry[stores[who].count].release = false;
    j = 0
}

#define ENTRY(who, i) stores[who].entry[i]
#define DIFFERENT(who, a, b) (ENTRY(who, a).cell != ENTRY(who, b).cell)

active [2] proctype Buffer() {
    byte j;
end:
    do
    :: d_step {stores[_pid].count > 0 -> retire(_pid, 0)}
    :: d_step {stores[_pid].count > 1 && !ENTRY(_pid, 1).release && DIFFERENT(_pid, 0, 1) -> retire(_pid, 1)}
    :: d_step {stores[_pid].count > 2 && !ENTRY(_pid, 2).release && DIFFERENT(_pid, 0, 2) && DIFFERENT(_pid, 1, 2) -> retire(_pid, 2)}
    od
}

byte sender_deaths, receiver_deaths;
#define S_STEP if :: atomic {sender_deaths < KILLS_S -> sender_deaths++; goto dead} :: skip fi
#define R_STEP if :: atomic {receiver_deaths < KILLS_R -> receiver_deaths++; goto dead} :: skip fi

#ifdef BUG_COMMIT_RELAXED
#define COMMIT(where, what) put(SENDER, where, what, false)
#else
#define COMMIT(where, what) put(SENDER, where, what, true)
#endif

/* --- Sender ------------------------------------------------------------------------------------------------------- */

#ifdef BUG_NEVER_LOOKS
#define IS_PROMISED true
#else
#define IS_PROMISED (promised && end_ >= written)
#endif

/* In the record's own line without looking. */
inline clear_behind() {
    if
    :: end_ % LINE != 0 -> put(SENDER, UNIT(end_), 0, false); S_STEP
    :: else ->
        if
        :: IS_PROMISED -> skip
        :: !IS_PROMISED && IS_HEADER(memory[UNIT(end_)], end_) -> put(SENDER, UNIT(end_), 0, false); S_STEP
        :: else -> skip
        fi
    fi
}
/* How far the receiver has come, and what it promises of that. Nobody has to look if there is room without. */
inline refresh() {
    atomic {
        released = memory[RELEASED] % PROMISED;
        promised = memory[RELEASED] / PROMISED
    }
}

active proctype Sender() {
    byte position, start, end_, number, at, header, sort, released, written;
    bool promised = PROMISE;
    d_step {
        at = 1;
        do
        :: at < UNITS && !PROMISE -> memory[at] = HEADER(SHORT_TYPE, at); at++
        :: else -> break
        od;
        memory[RELEASED] = PROMISED * PROMISE;
        at = 0;
        do
        :: at < MESSAGES -> laps[at] = UNITS; at++
        :: else -> break
        od;
        at = 0
    }
life:
    do
    :: number == MESSAGES -> goto over
    :: else ->
        if
        :: sort = SHORT_TYPE; start = position; end_ = start + 1
        :: sort = LONG_TYPE;
            start = (position + LINE - 1) / LINE * LINE;
            if
            :: UNIT(start) + LONG > UNITS -> start = (start + UNITS - 1) / UNITS * UNITS
            :: else -> skip
            fi;
            end_ = start + LONG
        fi;
        if
        :: PROMISE && released + UNITS > end_ -> skip
        :: memory[RELEASED] % PROMISED + UNITS > end_ -> refresh() /* waits for room, for the word behind too */
        fi;
        written = (end_ > written -> end_ : written);
        if
        :: laps[number] = UNITS
        :: PROMISE && sort == LONG_TYPE -> laps[number] = 0
        fi;
        assert(end_ < POSITIONS);
        S_STEP;
#ifdef BUG_HEADER_FIRST
        messages_before[end_] = number + 1;
        if
        :: start == position -> COMMIT(UNIT(start), HEADER(sort, start))
        :: else -> skip
        fi;
        S_STEP;
#endif
        put(SENDER, BODY + UNIT(start), number + 1, false);
        S_STEP;
        if
        :: sort == LONG_TYPE ->
            put(SENDER, UNIT(start + 1), PAYLOAD(start + 1, number), false);
            S_STEP;
            put(SENDER, UNIT(start + 2), PAYLOAD(start + 2, number), false);
            S_STEP;
            put(SENDER, UNIT(start + 3), PAYLOAD(start + 3, number), false);
            S_STEP
        :: else -> skip
        fi;
#if !defined(BUG_NO_CLEAR_BEHIND) && !defined(BUG_CLEAR_LATE)
        clear_behind();
#endif
        atomic {
            messages_before[end_] = number + 1;
            messages_before[start] = number
        }
#ifdef BUG_NOTE_FIRST
        put(SENDER, SENT, end_, true);
        S_STEP;
#endif
        if
        :: start != position ->
            put(SENDER, UNIT(start), HEADER(sort, start), false);
            S_STEP;
            if
            :: start - position < LINE -> COMMIT(UNIT(position), HEADER(PAD_TYPE, position))
            :: else -> COMMIT(UNIT(position), HEADER(WRAP_TYPE, position))
            fi
#ifdef BUG_HEADER_FIRST
        :: start == position -> skip
#else
        :: start == position -> COMMIT(UNIT(start), HEADER(sort, start))
#endif
        fi;
        S_STEP;
#ifdef BUG_CLEAR_LATE
        clear_behind();
#endif
#ifndef BUG_NOTE_FIRST
        put(SENDER, SENT, end_, true);
#endif
        position = end_;
        number++;
        S_STEP
    od;
dead: /* leat__ring_sender_recover; the receiver goes on meanwhile */
    DRAINED(SENDER);
    refresh();
    position = memory[SENT];
    at = memory[TAKEN];
    if
    :: at > position -> position = at
    :: else -> skip
    fi;
#ifndef BUG_HEIR_NO_WALK
    do
    :: position >= memory[RELEASED] % PROMISED + UNITS -> break
    :: else ->
        header = memory[UNIT(position)];
        if
        :: !IS_HEADER(header, position) ->
            at = memory[TAKEN];
            if
#ifndef BUG_HEIR_NO_LOOK
            :: at > position -> position = at
            :: else -> break
#else
            :: true -> break
#endif
            fi
        :: else ->
            if
            :: header % 8 == SHORT_TYPE -> position = position + 1
            :: header % 8 == LONG_TYPE -> position = position + LONG
            :: header % 8 == PAD_TYPE -> position = (position + LINE - 1) / LINE * LINE
            :: header % 8 == WRAP_TYPE -> position = (position + UNITS - 1) / UNITS * UNITS
            :: else -> assert(false)
            fi
        fi
    od;
#endif
    put(SENDER, SENT, position, true);
    number = messages_before[position];
#ifdef BUG_HEIR_TRUSTS
    written = position;
#else
    written = position + UNITS;
#endif
    atomic {start = 0; end_ = 0; at = 0; header = 0; sort = 0}
    goto life;
over:
    skip
}

/* --- Receiver ----------------------------------------------------------------------------------------------------- */

/* Notes the position, may wipe everything before it, hands the whole lines back. */
#ifdef BUG_WIPE_RELAXED
#define WIPE_RELEASES false
#else
#define WIPE_RELEASES true
#endif
#ifdef BUG_BACK_RELAXED
#define BACK_RELEASES false
#else
#define BACK_RELEASES true
#endif

inline hand_back() {
    put(RECEIVER, RELEASED, end_ / LINE * LINE + PROMISED * promise, BACK_RELEASES);
    R_STEP
}

inline note() {
    put(RECEIVER, TAKEN, end_, true);
    R_STEP
}

/* A short stretch is wiped whole, of a long one the first word of each line. */
inline release_to() {
#ifdef BUG_BACK_FIRST
    hand_back();
#endif
#ifndef BUG_WIPE_FIRST
    note();
#endif
#if WIPES
    if
    :: end_ - position <= 2 -> step = 1
    :: else -> step = LINE
    fi;
    at = (position + step - 1) / step * step;
    do
    :: at < end_ ->
        put(RECEIVER, UNIT(at), 0, WIPE_RELEASES);
        R_STEP;
        at = at + step
    :: else -> break
    od;
#endif
#ifdef BUG_WIPE_FIRST
    note();
#endif
    position = end_;
#ifndef BUG_BACK_FIRST
    hand_back()
#endif
}

active proctype Receiver() {
    byte position, end_, at, header, step;
    bool promise = PROMISE;
life:
    do
    :: messages_before[position] == MESSAGES && position > 0 -> break
    :: else ->
        DRAINED(RECEIVER); /* it sees its own wipes; waiting for them keeps the model small */
        IS_HEADER(memory[UNIT(position)], position);
        header = memory[UNIT(position)];
        R_STEP;
        if
        :: header % 8 == SHORT_TYPE -> end_ = position + 1
        :: header % 8 == LONG_TYPE -> end_ = position + LONG
        :: header % 8 == PAD_TYPE -> end_ = (position + LINE - 1) / LINE * LINE
        :: header % 8 == WRAP_TYPE -> end_ = (position + UNITS - 1) / UNITS * UNITS
        :: else -> assert(false)
        fi;
        if
        :: header % 8 <= LONG_TYPE ->
            assert(memory[BODY + UNIT(position)] == messages_before[position] + 1);
            assert(header % 8 != LONG_TYPE ||
                   (memory[UNIT(position + 1)] == PAYLOAD(position + 1, messages_before[position]) &&
                    memory[UNIT(position + 2)] == PAYLOAD(position + 2, messages_before[position]) &&
                    memory[UNIT(position + 3)] == PAYLOAD(position + 3, messages_before[position])))
        :: else -> skip
        fi;
        release_to()
    od;
    goto over;
dead: /* leat__ring_receiver_recover */
    DRAINED(RECEIVER);
    atomic {position = memory[RELEASED] % PROMISED; end_ = memory[TAKEN]; at = 0; header = 0; step = 0}
    position = end_;
#ifndef BUG_HEIR_PROMISES
    promise = false;
#endif
#ifndef BUG_HEIR_NO_HAND_BACK
    hand_back();
#endif
    goto life;
over:
    assert(!IS_HEADER(memory[UNIT(position)], position)) /* I1 */
}
