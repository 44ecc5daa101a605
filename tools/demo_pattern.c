/* demo_pattern.c - the messages of the demo's full-speed run: cheap to make and to check, and
 * different everywhere.
 *
 * A message is: sequence (8 bytes), size (4 bytes), four zero bytes, then words that depend on
 * sequence and place, the last one cut off. So a message that is lost, doubled, cut, mixed up with
 * another or shifted by any number of bytes is noticed.
 */
#include <string.h>

#include "demo.h"

#define HEADER 16

struct header {
    uint64_t sequence;
    uint32_t size, zero;
};

/* Sebastiano Vigna's splitmix64: every bit of the result depends on every bit of the number. */
static uint64_t mix(uint64_t number) {
    number += 0x9e3779b97f4a7c15U;
    number = (number ^ number >> 30) * 0xbf58476d1ce4e5b9U;
    number = (number ^ number >> 27) * 0x94d049bb133111ebU;
    return number ^ number >> 31;
}

size_t demo_message_size(uint64_t sequence) {
    return DEMO_MESSAGE_MIN + (size_t)(mix(sequence) % (DEMO_MESSAGE_MAX - DEMO_MESSAGE_MIN + 1));
}

/* A step that is odd makes all words of a message different. */
#define STEP 0xda942042e4dd58b5U

void demo_message_fill(void *message, uint64_t sequence) {
    struct header header = {sequence, (uint32_t)demo_message_size(sequence), 0};
    char *bytes = message;
    memcpy(bytes, &header, HEADER);
    uint64_t word = mix(~sequence);
    size_t words = (header.size - HEADER) / 8, rest = (header.size - HEADER) % 8;
    uint64_t *content = (uint64_t *)(void *)(bytes + HEADER);
    for (size_t i = 0; i < words; i++)
        content[i] = word + i * STEP;
    word += words * STEP;
    memcpy(content + words, &word, rest);
}

bool demo_message_check(const void *message, size_t size, uint64_t sequence) {
    struct header header;
    const char *bytes = message;
    if (size != demo_message_size(sequence))
        return false;
    memcpy(&header, bytes, HEADER);
    uint64_t word = mix(~sequence), difference = 0;
    size_t words = (size - HEADER) / 8, rest = (size - HEADER) % 8;
    const uint64_t *content = (const uint64_t *)(const void *)(bytes + HEADER);
    for (size_t i = 0; i < words; i++)
        difference |= content[i] ^ (word + i * STEP);
    word += words * STEP;
    return difference == 0 && header.sequence == sequence && header.size == size &&
           header.zero == 0 && memcmp(content + words, &word, rest) == 0;
}
