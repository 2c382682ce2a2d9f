// Branches that data decides: a tokenizer over 256 bytes of text, with a state for words, numbers, strings and
// escapes in strings; the answer is made of how many there are of each.
#include "bench.h"

#define SIZE 256

enum state { BETWEEN, WORD, NUMBER, STRING, ESCAPE };

SEC("xdp")
int state_machine(struct xdp_md *context) {
  __u8 *text = packet_of(context, SIZE);
  if (!text)
    return TOO_SHORT;
  __u32 words = 0, numbers = 0, strings = 0, escapes = 0, others = 0;
  enum state state = BETWEEN;
  for (__u32 i = 0; i < SIZE; i++) {
    __u8 byte = text[i];
    switch (state) {
    case STRING:
      if (byte == '"') {
        state = BETWEEN;
      } else if (byte == '\\') {
        state = ESCAPE;
        escapes++;
      }
      continue;
    case ESCAPE:
      state = STRING;
      continue;
    case WORD:
      if ((byte >= 'a' && byte <= 'z') || byte == '_' || (byte >= '0' && byte <= '9'))
        continue;
      break;
    case NUMBER:
      if (byte >= '0' && byte <= '9')
        continue;
      break;
    case BETWEEN:
      break;
    }
    if (byte == '"') {
      state = STRING;
      strings++;
    } else if (byte >= '0' && byte <= '9') {
      state = NUMBER;
      numbers++;
    } else if ((byte >= 'a' && byte <= 'z') || byte == '_') {
      state = WORD;
      words++;
    } else {
      state = BETWEEN;
      others++;
    }
  }
  return words | numbers << 7 | strings << 14 | escapes << 20 | others << 25;
}
