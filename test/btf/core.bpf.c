// One CO-RE relocation of each sort, over two sections with several functions. Compiled by make-goldens.mjs.

#define SEC(name) __attribute__((section(name), used))

struct inner {
  int a;
  unsigned b : 5;
};

enum state { STATE_OFF, STATE_ON = 7 };

struct outer {
  int first;
  struct inner inner[4];
  union {
    long wide;
    int narrow;
  };
} __attribute__((preserve_access_index));

static __attribute__((noinline)) int narrow(struct outer *o, int more) {
  return o->narrow + more;
}

SEC("kprobe/first")
int offsets(struct outer *o) {
  int sum = o->first + o->inner[2].a;
  return sum + narrow(o, 3);
}

SEC("kprobe/first")
int fields(struct outer *o) {
  return __builtin_preserve_field_info(o->inner[1].b, 0) + __builtin_preserve_field_info(o->inner[1].b, 1) +
         __builtin_preserve_field_info(o->inner[1].b, 2) + __builtin_preserve_field_info(o->inner[1].b, 3) +
         __builtin_preserve_field_info(o->inner[1].b, 4) + __builtin_preserve_field_info(o->inner[1].b, 5);
}

SEC("kprobe/second")
long types(struct outer *o) {
  return __builtin_preserve_type_info(*(struct outer *)0, 0) + __builtin_preserve_type_info(*(struct outer *)0, 1) +
         __builtin_preserve_type_info(*(struct outer *)0, 2) + __builtin_btf_type_id(*(struct outer *)0, 0) +
         __builtin_btf_type_id(*(struct outer *)0, 1) +
         __builtin_preserve_enum_value(*(enum state *)STATE_ON, 0) +
         __builtin_preserve_enum_value(*(enum state *)STATE_ON, 1);
}

char LICENSE[] SEC("license") = "GPL";
