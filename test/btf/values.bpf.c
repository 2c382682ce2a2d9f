// Variables and a map with a value of every sort, to compare how they are printed. Compiled, loaded and
// dumped by make-goldens.mjs.

#define SEC(name) __attribute__((section(name), used))
#define __uint(name, value) int (*name)[value]
#define __type(name, value) typeof(value) *name

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

enum color { RED, GREEN = 5, BLUE = -1 };
enum small { SMALL = 200 } __attribute__((packed));
enum big { BIG = 0x123456789abcdefULL };

struct bits {
  u32 a : 3;
  u32 b : 5;
  int c : 7;
  u32 d : 17;
  u64 e : 40;
  u8 f;
};

struct key {
  u32 pid;
  char comm[8];
};

struct value {
  u64 count;
  int negative;
  enum color color;
  struct bits bits;
  union {
    u16 half;
    u8 bytes[2];
  };
  union {
    u32 word;
    struct {
      u8 low, high;
    } parts;
  };
  _Bool flag;
  char name[7];
  void *pointer;
  struct {
  } nothing;
  u8 none[0];
};

struct {
  __uint(type, 1);
  __uint(max_entries, 4);
  __type(key, struct key);
  __type(value, struct value);
} hash SEC(".maps");

u8 unsigned_8 = 200;
signed char signed_8 = -100;
u16 unsigned_16 = 60000;
short signed_16 = -30000;
u32 unsigned_32 = 4000000000;
int signed_32 = -2000000000;
u64 unsigned_64 = 18446744073709551615ULL;
long long signed_64 = -9223372036854775807LL - 1;
__int128 signed_128 = -1;
unsigned __int128 unsigned_128 = ((unsigned __int128)0x1234 << 64) | 0x5678;
unsigned __int128 small_128 = 7;
char letter = 'x';
char control = 3;
u8 byte_array[4] = { 1, 2, 3, 4 };
char text[16] = "a \" b";
char single[8] = "it's";
char controls[8] = "a\tb\n";
char full[4] = { 'f', 'u', 'l', 'l' };
char empty_text[4];
const char constant_text[8] = "const";
_Bool yes = 1;
_Bool no;
struct {
  _Bool no;
  u8 after[3];
} bool_then_bytes = { 0, { 1, 2, 3 } };
enum color green = GREEN;
enum color blue = BLUE;
enum color unknown = 77;
enum small small_known = SMALL;
enum big big_known = BIG;
enum big big_unknown = -3;
void *null_pointer;
void *some_pointer = (void *)0x1234abcd;
int matrix[2][3] = { { 1, 2, 3 }, { 4, 5, 6 } };
struct bits some_bits = { 5, 17, -3, 70000, 0x123456789aULL, 9 };
struct value some_value = {
  .count = 1, .negative = -5, .color = GREEN, .bits = { 1, 2, 3, 4, 5, 6 }, .half = 0x1234,
  .word = 0x01020304, .flag = 1, .name = "abc", .pointer = 0,
};
struct key some_keys[2] = { { 1, "one" }, { 2, "two" } };
static volatile const u32 limit = 42;

SEC("xdp")
int touch(void *ctx) {
  return limit > 5 ? 2 : 1;
}

char LICENSE[] SEC("license") = "GPL";
