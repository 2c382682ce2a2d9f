// Every kind of BTF, and the layouts that are hard to print as C. Compiled by make-goldens.mjs.

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long s64;
typedef __signed__ char s8;

#define tag(name) __attribute__((btf_decl_tag(name)))
#define user __attribute__((btf_type_tag("user")))
#define rcu __attribute__((btf_type_tag("rcu")))

enum plain { PLAIN_A, PLAIN_B = 7, PLAIN_C = 0x80000000 };
enum negative { NEG_A = -5, NEG_B, NEG_C = 2147483647 };
enum small { SMALL_A, SMALL_B = 200 } __attribute__((packed));
enum big { BIG_A = 1, BIG_B = 0x123456789abcdefULL };
enum big_negative { BIGN_A = -0x123456789abcdefLL, BIGN_B = 3 };
enum declared_only;

struct forward;
union forward_union;
struct list {
  struct list *next, **prev;
  struct forward *forward;
  union forward_union *u;
};

struct bits {
  u32 a : 3;
  u32 b : 5;
  int c : 7;
  u32 : 0;
  u32 d : 1;
  u64 e : 40;
  u8 f;
  u16 g : 9;
};

struct bit_gap {
  u32 a : 4;
  u32 : 9;
  u32 b : 2;
  u64 c;
};

struct gap {
  u8 a;
  u64 b;
  u8 c;
};

struct aligned {
  u8 a;
  u32 b __attribute__((aligned(16)));
  u8 c __attribute__((aligned(8)));
} __attribute__((aligned(32)));

struct packed {
  u8 a;
  u32 b;
  u64 c;
} __attribute__((packed));

struct packed_bits {
  u8 a;
  u32 b : 17;
  u64 c;
} __attribute__((packed, aligned(2)));

struct empty {};

struct flexible {
  int n;
  struct empty nothing;
  u32 items[];
};

typedef int (*callback)(void *data, const char *name, ...);
typedef struct { int x, y; } point;
typedef int matrix[3][4];
typedef void no_return(void) __attribute__((noreturn));

struct functions {
  callback call;
  int (*table[4])(struct functions *self, point at);
  int (*(*getter)(int))(char);
  void (*nothing)(void);
  int (*(*pointers)[2])(u8);
  no_return *die;
  const char *const names[2];
  volatile int *volatile where;
  const volatile u32 settings;
  char *restrict only;
};

struct arrays {
  matrix m;
  int cube[2][3][4];
  int *pointers[5];
  int (*row)[4];
  point points[2];
};

struct anonymous {
  struct {
    u32 low, high;
  };
  union {
    struct {
      u8 bytes[8];
      enum { INSIDE_A, INSIDE_B } which;
    } split;
    u64 whole;
  };
  struct {
    struct {
      int deep;
    } in[2];
  } out;
};

struct tagged {
  int user *from_user;
  struct list rcu *list;
  int marked tag("a_member");
} tag("a_struct");

struct numbers {
  float f;
  double d;
  long l;
  unsigned long ul;
  short s;
  char c;
  s8 sc;
  _Bool b;
  __int128 i128;
  unsigned __int128 u128;
};

union choice {
  int i;
  float f;
  struct packed p;
};

struct before;
struct after {
  struct before *b;
};
struct before {
  struct after a;
  struct later *l;
};
struct later {
  struct before b[2];
};

enum { CONSTANT_ONE = 1, CONSTANT_TWO };

// Names that clash between a type and an enumerator, and between two types of different scopes.
enum clash_enum { clash, other };
int scope_one(void) {
  struct local { int a; } x = { 1 };
  return ((volatile struct local *)&x)->a;
}
long scope_two(void) {
  struct local { long b, c; } x = { 1, 2 };
  return ((volatile struct local *)&x)->c;
}

struct list a_list;
struct bits a_bits;
struct bit_gap a_bit_gap;
struct gap a_gap;
struct aligned an_aligned;
struct packed a_packed;
struct packed_bits a_packed_bits;
struct flexible a_flexible;
struct functions some_functions;
struct arrays some_arrays;
struct anonymous an_anonymous;
struct tagged a_tagged;
struct numbers some_numbers;
union choice a_choice;
struct later a_later;
struct empty *an_empty;
enum plain a_plain;
enum negative a_negative;
enum small a_small;
enum big a_big;
enum big_negative a_big_negative;
enum clash_enum a_clash;
enum declared_only *a_declared;
int a_tagged_variable tag("a_variable");
static volatile u64 a_static;
extern const u32 an_extern __attribute__((section(".kconfig")));
const int read_only = 3;

int use_constant(int argument tag("an_argument")) {
  a_static++;
  return argument + CONSTANT_TWO + an_extern;
}
__attribute__((weak)) int a_weak(struct tagged *t) { return t->marked; }
