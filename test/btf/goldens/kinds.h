#ifndef __VMLINUX_H__
#define __VMLINUX_H__

#ifndef BPF_NO_PRESERVE_ACCESS_INDEX
#pragma clang attribute push (__attribute__((preserve_access_index)), apply_to = record)
#endif

struct list;

struct tagged {
	int __attribute__((btf_type_tag("user"))) *from_user;
	struct list __attribute__((btf_type_tag("rcu"))) *list;
	int marked;
};

typedef unsigned long long u64;

typedef unsigned int u32;

struct forward;

union forward_union;

struct list {
	struct list *next;
	struct list **prev;
	struct forward *forward;
	union forward_union *u;
};

typedef unsigned char u8;

typedef unsigned short u16;

struct bits {
	u32 a: 3;
	u32 b: 5;
	int c: 7;
	int: 17;
	u32 d: 1;
	long: 31;
	u64 e: 40;
	u8 f;
	u16 g: 9;
};

struct bit_gap {
	u32 a: 4;
	char: 4;
	char: 5;
	u32 b: 2;
	u64 c;
};

struct gap {
	u8 a;
	u64 b;
	u8 c;
};

struct aligned {
	u8 a;
	long: 64;
	u32 b;
	long: 0;
	u8 c;
	long: 0;
};

struct packed {
	u8 a;
	u32 b;
	u64 c;
} __attribute__((packed));

struct packed_bits {
	u8 a;
	u32 b: 17;
	u64 c;
} __attribute__((packed));

struct empty {};

struct flexible {
	int n;
	struct empty nothing;
	u32 items[0];
};

typedef int (*callback)(void *, const char *, ...);

typedef struct {
	int x;
	int y;
} point;

typedef void no_return(void);

struct functions {
	callback call;
	int (*table[4])(struct functions *, point);
	int (* (*getter)(int))(char);
	void (*nothing)(void);
	int (*(*pointers)[2])(u8);
	no_return *die;
	const char * const names[2];
	volatile int * volatile where;
	volatile const u32 settings;
	char * restrict only;
};

typedef int matrix[3][4];

struct arrays {
	matrix m;
	int cube[2][3][4];
	int *pointers[5];
	int (*row)[4];
	point points[2];
};

struct anonymous {
	struct {
		u32 low;
		u32 high;
	};
	union {
		struct {
			u8 bytes[8];
			enum {
				INSIDE_A = 0,
				INSIDE_B = 1,
			} which;
		} split;
		u64 whole;
	};
	struct {
		struct {
			int deep;
		} in[2];
	} out;
};

typedef signed char s8;

struct numbers {
	float f;
	double d;
	long l;
	unsigned long ul;
	short s;
	char c;
	s8 sc;
	_Bool b;
	long: 64;
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

struct later;

struct before {
	struct after a;
	struct later *l;
};

struct later {
	struct before b[2];
};

enum plain {
	PLAIN_A = 0,
	PLAIN_B = 7,
	PLAIN_C = 2147483648,
};

enum negative {
	NEG_A = -5,
	NEG_B = -4,
	NEG_C = 2147483647,
};

enum small {
	SMALL_A = 0,
	SMALL_B = 200,
};

enum big {
	BIG_A = 1ULL,
	BIG_B = 81985529216486895ULL,
};

enum big_negative {
	BIGN_A = -81985529216486895LL,
	BIGN_B = 3LL,
};

enum clash_enum {
	clash = 0,
	other = 1,
};

enum declared_only;

#ifndef BPF_NO_PRESERVE_ACCESS_INDEX
#pragma clang attribute pop
#endif

#endif /* __VMLINUX_H__ */
