// Every instruction and its edges, one program each. r1 points to `memory`, r2 is its length; r0 at exit is the
// answer. What the answer must be is not here: it is recorded from Linux (goldens.json, see kernel.test.ts).

/** The conformance groups of RFC 9669, section 2.4, and what Linux has beyond them. */
export type Group =
  | 'base32'
  | 'base64'
  | 'divmul32'
  | 'divmul64'
  | 'atomic32'
  | 'atomic64'
  | 'packet'
  | 'linux';

export interface ConformanceCase {
  /** Unique; names the instruction first. */
  readonly name: string;
  readonly group: Group;
  /** Assembly in LLVM's syntax. */
  readonly asm: string;
  /** Hex digits. */
  readonly memory: string;
}

const MIN64 = 0x8000_0000_0000_0000n;
const MAX64 = 0x7fff_ffff_ffff_ffffn;
const ONES = 0xffff_ffff_ffff_ffffn;
/** The upper half of a register before a 32-bit operation, which must not be seen afterwards. */
const DIRT = 0xdead_beef_0000_0000n;
const MEMORY = '8182838485868788f1f2f3f4f5f6f7f80001020304050607fffefdfcfbfaf9f8';

const hex = (value: bigint | number): string =>
  value < 0 ? `-0x${(-BigInt(value)).toString(16)}` : `0x${value.toString(16)}`;

const program = (name: string, group: Group, lines: readonly string[], memory = ''): ConformanceCase => ({
  name,
  group,
  asm: `${lines.join('\n')}\nexit\n`,
  memory,
});

/** Operands of 64 bits; on 32 bits the lower halves are used. */
const PAIRS: readonly (readonly [bigint, bigint])[] = [
  [0n, 0n],
  [1n, ONES],
  [ONES, 1n],
  [ONES, ONES],
  [MIN64, ONES],
  [MAX64, 1n],
  [0x8000_0000n, 0xffff_ffffn],
  [0x7fff_ffffn, 0x8000_0000n],
  [0x1_0000_0000n, 3n],
  [0x1234_5678_9abc_def0n, 0x0fed_cba9_8765_4321n],
  [0xffff_ffff_ffff_fff3n, 5n],
  [13n, 0xffff_ffff_ffff_fffbn],
];

/** Division, beside those: the divisor's lower half is 0, signs in all combinations. */
const DIVISIONS: readonly (readonly [bigint, bigint])[] = [
  [7n, 0n],
  [ONES, 0n],
  [0x1_0000_0007n, 0x1_0000_0000n],
  [0xffff_ffff_ffff_fff3n, 0xffff_ffff_ffff_fffcn],
  [0x8000_0000n, ONES],
  [MIN64, 1n],
  [6n, 7n],
];

const IMMEDIATES: readonly (readonly [bigint, number])[] = [
  [5n, 0],
  [1n, -1],
  [ONES, 1],
  [MIN64, -1],
  [0x8000_0000n, -1],
  [0x1234_5678_9abc_def0n, 0x7fff_ffff],
  [0x1234_5678_9abc_def0n, -0x8000_0000],
  [0xffff_ffff_ffff_fff3n, -5],
];

const OPERATIONS = [
  { name: 'add', sign: '+=', group: 'base' },
  { name: 'sub', sign: '-=', group: 'base' },
  { name: 'mul', sign: '*=', group: 'divmul' },
  { name: 'div', sign: '/=', group: 'divmul' },
  { name: 'sdiv', sign: 's/=', group: 'divmul' },
  { name: 'mod', sign: '%=', group: 'divmul' },
  { name: 'smod', sign: 's%=', group: 'divmul' },
  { name: 'or', sign: '|=', group: 'base' },
  { name: 'and', sign: '&=', group: 'base' },
  { name: 'xor', sign: '^=', group: 'base' },
  { name: 'mov', sign: '=', group: 'base' },
] as const;

const WIDTHS = [
  { bits: 64, r: 'r' },
  { bits: 32, r: 'w' },
] as const;

function arithmetic(): ConformanceCase[] {
  return OPERATIONS.flatMap(({ name, sign, group }) =>
    WIDTHS.flatMap(({ bits, r }) => {
      const division = /div|mod/.test(name);
      const pairs = division ? [...PAIRS, ...DIVISIONS] : PAIRS;
      return [
        ...pairs.map(([a, b]) =>
          program(`${name}${bits}_reg ${hex(a)}, ${hex(b)}`, `${group}${bits}`, [
            `r0 = ${hex(a)} ll`,
            `r1 = ${hex(b)} ll`,
            `${r}0 ${sign} ${r}1`,
          ]),
        ),
        ...IMMEDIATES.map(([a, imm]) =>
          program(`${name}${bits}_imm ${hex(a)}, ${hex(imm)}`, `${group}${bits}`, [
            `r0 = ${hex(a)} ll`,
            `${r}0 ${sign} ${hex(imm)}`,
          ]),
        ),
        program(`${name}${bits}_reg of a register and itself`, `${group}${bits}`, [
          'r0 = 0x8765432187654321 ll',
          `${r}0 ${sign} ${r}0`,
        ]),
      ];
    }),
  );
}

function shifts(): ConformanceCase[] {
  const counts = [0n, 1n, 7n, 31n, 32n, 33n, 63n, 64n, 65n, 0x1_0000_0001n, ONES];
  const values = [0x8765_4321_8765_4321n, 0x1234_5678_7abc_def0n];
  return [
    { name: 'lsh', sign: '<<=' },
    { name: 'rsh', sign: '>>=' },
    { name: 'arsh', sign: 's>>=' },
  ].flatMap(({ name, sign }) =>
    WIDTHS.flatMap(({ bits, r }) =>
      values.flatMap((value) => [
        ...counts.map((count) =>
          program(`${name}${bits}_reg ${hex(value)} by ${hex(count)}`, `base${bits}`, [
            `r0 = ${hex(value)} ll`,
            `r1 = ${hex(count)} ll`,
            `${r}0 ${sign} ${r}1`,
          ]),
        ),
        // Linux refuses immediate counts beyond the width; RFC 9669 masks them.
        ...[0, 1, 7, 31, 32, 33, 63, 64, -1].map((count) =>
          program(`${name}${bits}_imm ${hex(value)} by ${count}`, `base${bits}`, [
            `r0 = ${hex(value)} ll`,
            `${r}0 ${sign} ${count}`,
          ]),
        ),
      ]),
    ),
  );
}

function unary(): ConformanceCase[] {
  const values = [0n, 1n, ONES, MIN64, 0x8000_0000n, 0x7f80_7fff_8081_ff7fn, 0x0123_4567_89ab_cdefn];
  const forms = [
    ...WIDTHS.map(({ bits, r }) => ({ name: `neg${bits}`, group: `base${bits}`, line: `${r}0 = -${r}0` })),
    ...['le', 'be', 'bswap'].flatMap((order) =>
      [16, 32, 64].map((bits) => ({
        name: `${order}${bits}`,
        group: bits === 64 ? 'base64' : 'base32',
        line: `r0 = ${order}${bits} r0`,
      })),
    ),
    ...[8, 16, 32].map((from) => ({
      name: `movsx${from}to64`,
      group: 'base64',
      line: `r3 = r0\nr0 = (s${from})r3`,
    })),
    ...[8, 16].map((from) => ({ name: `movsx${from}to32`, group: 'base32', line: `w0 = (s${from})w0` })),
  ];
  return forms.flatMap(({ name, group, line }) =>
    values.map((value) => program(`${name} ${hex(value)}`, group as Group, [`r0 = ${hex(value)} ll`, line])),
  );
}

const CONDITIONS = ['==', '>', '>=', '&', '!=', 's>', 's>=', '<', '<=', 's<', 's<='];

function branches(): ConformanceCase[] {
  const pairs: readonly (readonly [bigint, bigint])[] = [
    [1n, 1n],
    [1n, 2n],
    [2n, 1n],
    [ONES, 1n],
    [1n, ONES],
    [MIN64, MAX64],
    [MAX64, MIN64],
    [0x1_0000_0001n, 1n],
    [0x1_8000_0000n, 0x2_7fff_ffffn],
    [0xffff_ffff_8000_0000n, 0x8000_0000n],
  ];
  const immediates: readonly (readonly [bigint, number])[] = [
    [5n, 5],
    [4n, 5],
    [ONES, -1],
    [0xffff_ffffn, -1],
    [MIN64, 0x7fff_ffff],
    [0xffff_ffff_8000_0000n, -0x8000_0000],
    [0x7fff_ffffn, -2],
  ];
  const taken = (condition: string) => ['r0 = 1', `if ${condition} goto out`, 'r0 = 2', 'out:'];
  return WIDTHS.flatMap(({ bits, r }) =>
    CONDITIONS.flatMap((sign) => [
      ...pairs.map(([a, b]) =>
        program(`j${bits}_reg ${hex(a)} ${sign} ${hex(b)}`, `base${bits}`, [
          `r3 = ${hex(a)} ll`,
          `r4 = ${hex(b)} ll`,
          ...taken(`${r}3 ${sign} ${r}4`),
        ]),
      ),
      ...immediates.map(([a, imm]) =>
        program(`j${bits}_imm ${hex(a)} ${sign} ${hex(imm)}`, `base${bits}`, [
          `r3 = ${hex(a)} ll`,
          ...taken(`${r}3 ${sign} ${hex(imm)}`),
        ]),
      ),
    ]),
  );
}

function flow(): ConformanceCase[] {
  return [
    // Linux refuses what cannot be reached; a branch that is never taken makes it reachable.
    program('exit first of several', 'base32', [
      'r0 = 1',
      'if r2 == 77 goto next',
      'exit',
      'next:',
      'r0 = 2',
    ]),
    program('ja forward', 'base32', [
      'r0 = 1',
      'if r2 == 77 goto next',
      'goto out',
      'next:',
      'r0 = 2',
      'out:',
    ]),
    program('ja of no distance', 'base32', ['r0 = 1', 'goto +0', 'r0 += 2']),
    program('ja backward', 'base32', [
      'r0 = 0',
      'goto start',
      'again:',
      'r0 += 5',
      'goto out',
      'start:',
      'goto again',
      'out:',
    ]),
    program('loop of ten', 'base64', [
      'r0 = 0',
      'r3 = 10',
      'again:',
      'r0 += r3',
      'r3 += -1',
      'if r3 != 0 goto again',
    ]),
    program('loop on 32 bits wraps around', 'base32', [
      'w0 = 0',
      'w3 = -3',
      'again:',
      'w0 += 1',
      'w3 += 1',
      'if w3 != 0 goto again',
    ]),
    program('gotol forward', 'base32', [
      'r0 = 1',
      'if r2 == 77 goto next',
      'gotol out',
      'next:',
      'r0 = 2',
      'out:',
    ]),
    program('gotol backward', 'base32', [
      'r0 = 1',
      'goto start',
      'again:',
      'r0 += 7',
      'goto out',
      'start:',
      'gotol again',
      'out:',
    ]),
    program('jump over ld_imm64 counts two slots', 'base64', [
      'r0 = 1',
      'if r2 != 77 goto +2',
      'r0 = 0x123456789 ll',
      'r0 += 1',
    ]),
    program('may_goto is not taken at first', 'linux', ['r0 = 1', 'may_goto out', 'r0 = 2', 'out:']),
    program('may_goto in a loop that ends by itself', 'linux', [
      'r0 = 0',
      'r3 = 20',
      'again:',
      'may_goto out',
      'r0 += r3',
      'r3 += -1',
      'if r3 != 0 goto again',
      'out:',
    ]),
    program('call and return', 'base32', ['r0 = 1', 'call sub', 'r0 += 1', 'exit', 'sub:', 'r0 = 41']),
    program('call passes r1 to r5', 'base64', [
      ...[1, 2, 3, 4, 5].map((i) => `r${i} = ${1 << (4 * i)}`),
      'call sub',
      'exit',
      'sub:',
      'r0 = r1',
      ...[2, 3, 4, 5].map((i) => `r0 += r${i}`),
    ]),
    program('call keeps r6 to r9', 'base64', [
      ...[6, 7, 8, 9].map((i) => `r${i} = ${i * 17}`),
      'call sub',
      'r0 = 0',
      ...[6, 7, 8, 9].flatMap((i) => ['r0 <<= 8', `r0 |= r${i}`]),
      'exit',
      'sub:',
      ...[6, 7, 8, 9].map((i) => `r${i} = ${i}`),
      'r0 = 0',
    ]),
    program('a called function has a stack of its own', 'base64', [
      '*(u64 *)(r10 - 8) = 11',
      'call sub',
      'r1 = *(u64 *)(r10 - 8)',
      'r0 += r1',
      'exit',
      'sub:',
      '*(u64 *)(r10 - 8) = 100',
      'r0 = *(u64 *)(r10 - 8)',
    ]),
    program("a called function writes into its caller's stack", 'base64', [
      '*(u64 *)(r10 - 16) = 11',
      'r1 = r10',
      'r1 += -16',
      'call sub',
      'r0 = *(u64 *)(r10 - 16)',
      'exit',
      'sub:',
      '*(u32 *)(r1 + 4) = 7',
      'r0 = 0',
    ]),
    program('calls nest', 'base64', [
      'r1 = 2',
      'call f',
      'exit',
      'f:',
      'r6 = r1',
      'r1 += 1',
      'call g',
      'r0 += r6',
      'exit',
      'g:',
      'r6 = r1',
      'r1 += 1',
      'call h',
      'r0 *= r6',
      'exit',
      'h:',
      'r0 = r1',
      'r0 *= 10',
    ]),
    program('calls backward', 'base64', [
      'call g',
      'exit',
      'f:',
      'r0 = 5',
      'exit',
      'g:',
      'call f',
      'r0 += 1',
    ]),
    // Linux refuses recursion; RFC 9669 does not.
    program('a recursive sum', 'base64', [
      'r1 = 6',
      'call sum',
      'exit',
      'sum:',
      'r0 = 0',
      'if r1 == 0 goto end',
      'r6 = r1',
      'r1 += -1',
      'call sum',
      'r0 += r6',
      'end:',
    ]),
    ...[0n, 1n, ONES, MIN64, MAX64, 0x8000_0000n, 0xffff_ffffn, 0xffff_ffff_0000_0000n].map((value) =>
      program(`ld_imm64 ${hex(value)}`, 'base64', [`r0 = ${hex(value)} ll`]),
    ),
    program('r2 is the length of the memory', 'base64', ['r0 = r2'], MEMORY),
  ];
}

const SIZES = [
  { size: 1, u: 'u8', s: 's8', x: 'w' },
  { size: 2, u: 'u16', s: 's16', x: 'w' },
  { size: 4, u: 'u32', s: 's32', x: 'w' },
  { size: 8, u: 'u64', s: '', x: 'r' },
] as const;

function loadsAndStores(): ConformanceCase[] {
  return SIZES.flatMap(({ size, u, s, x }) => {
    const group: Group = size === 8 ? 'base64' : 'base32';
    const bits = size * 8;
    return [
      ...[0, 1, 8, 16, 24].map((at) =>
        program(`ldx ${u} at ${at}`, group, [`${x}0 = *(${u} *)(r1 + ${at})`], MEMORY),
      ),
      ...(s === ''
        ? []
        : [0, 3, 16, 24].map((at) =>
            program(`ldxs ${s} at ${at}`, 'base64', [`r0 = *(${s} *)(r1 + ${at})`], MEMORY),
          )),
      program(`ldx ${u} below its base`, group, ['r1 += 16', `${x}0 = *(${u} *)(r1 - 9)`], MEMORY),
      program(`ldx ${u} into its base`, group, [`${x}1 = *(${u} *)(r1 + 8)`, 'r0 = r1'], MEMORY),
      ...[0x1234_5678, -2, -0x8000_0000].map((imm) =>
        program(
          `st ${u} ${hex(imm)}`,
          group,
          [`*(${u} *)(r1 + 9) = ${hex(imm)}`, 'r0 = *(u64 *)(r1 + 8)', 'r3 = *(u64 *)(r1 + 16)', 'r0 ^= r3'],
          MEMORY,
        ),
      ),
      program(
        `stx ${u}`,
        group,
        [
          'r3 = 0xfedcba9876543210 ll',
          `*(${u} *)(r1 + 9) = ${x}3`,
          'r0 = *(u64 *)(r1 + 8)',
          'r3 = *(u64 *)(r1 + 16)',
          'r0 ^= r3',
        ],
        MEMORY,
      ),
      program(`stack ${bits} bits at the top`, group, [
        '*(u64 *)(r10 - 8) = -1',
        'r3 = 0xfedcba9876543210 ll',
        `*(${u} *)(r10 - ${size}) = ${x}3`,
        'r0 = *(u64 *)(r10 - 8)',
      ]),
      program(`stack ${bits} bits at the bottom`, group, [
        '*(u64 *)(r10 - 512) = 0',
        'r3 = 0xfedcba9876543210 ll',
        `*(${u} *)(r10 - 512) = ${x}3`,
        'r0 = *(u64 *)(r10 - 512)',
      ]),
    ];
  });
}

function atomics(): ConformanceCase[] {
  const operands = [
    [0x1111_2222_f333_4444n, 0x0123_4567_1fff_ffffn],
    [ONES, 1n],
    [0x00ff_00ff_00ff_00ffn, 0x0f0f_0f0f_8f0f_0f0fn],
  ] as const;
  return [
    { bits: 32, r: 'w', group: 'atomic32', suffix: '32_32' },
    { bits: 64, r: 'r', group: 'atomic64', suffix: '_64' },
  ].flatMap(({ bits, r, group, suffix }) => {
    const place = `(u${bits} *)(r10 - 8)`;
    const forms = [
      ...['+=', '|=', '&=', '^='].map((sign) => ({
        name: `lock ${sign}`,
        line: `lock *${place} ${sign} ${r}3`,
      })),
      ...['add', 'or', 'and', 'xor'].map((op) => ({
        name: `fetch_${op}`,
        line: `${r}3 = atomic_fetch_${op}(${place}, ${r}3)`,
      })),
      { name: 'xchg', line: `${r}3 = xchg${suffix}(r10 - 8, ${r}3)` },
    ];
    const setUp = (memory: bigint, operand: bigint) => [
      `r3 = ${hex(memory)} ll`,
      '*(u64 *)(r10 - 8) = r3',
      `r3 = ${hex(operand)} ll`,
    ];
    return [
      ...forms.flatMap(({ name, line }) =>
        operands.flatMap(([memory, operand]) => [
          program(`${group} ${name} ${hex(memory)}, ${hex(operand)}: memory`, group as Group, [
            ...setUp(memory, operand),
            line,
            'r0 = *(u64 *)(r10 - 8)',
          ]),
          program(`${group} ${name} ${hex(memory)}, ${hex(operand)}: register`, group as Group, [
            ...setUp(memory, operand),
            line,
            'r0 = r3',
          ]),
        ]),
      ),
      // r0 equal, different, and equal in the lower half only.
      ...[0x1111_2222_f333_4444n, 5n, DIRT | 0xf333_4444n].flatMap((expected) =>
        ['memory', 'r0', 'operand'].map((what) =>
          program(`${group} cmpxchg with r0 ${hex(expected)}: ${what}`, group as Group, [
            ...setUp(0x1111_2222_f333_4444n, 0x0123_4567_89ab_cdefn),
            `r0 = ${hex(expected)} ll`,
            `${r}0 = cmpxchg${suffix}(r10 - 8, ${r}0, ${r}3)`,
            ...(what === 'memory' ? ['r0 = *(u64 *)(r10 - 8)'] : what === 'operand' ? ['r0 = r3'] : []),
          ]),
        ),
      ),
      program(`${group} cmpxchg that stores r0 itself`, group as Group, [
        ...setUp(0x1111_2222_f333_4444n, 0n),
        'r0 = 0x11112222f3334444 ll',
        `${r}0 = cmpxchg${suffix}(r10 - 8, ${r}0, ${r}0)`,
      ]),
      program(`${group} on one register as base and operand`, group as Group, [
        ...setUp(0x55n, 0n),
        'r3 = r10',
        'r3 += -8',
        `r4 = r3`,
        `${r}4 = xchg${suffix}(r3 + 0, ${r}4)`,
        'r0 = r4',
      ]),
    ];
  });
}

function ordered(): ConformanceCase[] {
  return SIZES.flatMap(({ u, x, size }) => [
    program(`load_acquire ${u}`, 'linux', [
      'r3 = 0xfedcba98f6f5f4f3 ll',
      '*(u64 *)(r10 - 8) = r3',
      'r0 = -1',
      `${x}0 = load_acquire((${u} *)(r10 - ${size}))`,
    ]),
    program(`store_release ${u}`, 'linux', [
      'r3 = 0x0123456789abcdef ll',
      '*(u64 *)(r10 - 8) = -1',
      `store_release((${u} *)(r10 - ${size}), ${x}3)`,
      'r0 = *(u64 *)(r10 - 8)',
    ]),
  ]);
}

function packet(): ConformanceCase[] {
  const memory = '000102030405060708090a0b0c0d8e0f101112131415161718191a1b1c1d1e9f';
  return [
    { u: 'u8', size: 1 },
    { u: 'u16', size: 2 },
    { u: 'u32', size: 4 },
  ].flatMap(({ u, size }) => [
    ...[0, 3, 14, 32 - size, 33 - size, 40, 0x7fff_ffff].map((at) =>
      program(`ld_abs ${u} at ${at}`, 'packet', ['r6 = r1', `r0 = *(${u} *)skb[${at}]`], memory),
    ),
    ...[
      [0, 4],
      [12, 2],
      [20, -6],
      [32 - size, 0],
      [32, 0],
      [0x7fff_ffff, 1],
    ].map(([register, imm]) =>
      program(
        `ld_ind ${u} at ${register} + ${imm}`,
        'packet',
        ['r6 = r1', `r7 = ${register}`, `r0 = *(${u} *)skb[r7 + ${imm}]`],
        memory,
      ),
    ),
  ]);
}

/** All cases, in a fixed order. */
export const CASES: readonly ConformanceCase[] = [
  ...arithmetic(),
  ...shifts(),
  ...unary(),
  ...branches(),
  ...flow(),
  ...loadsAndStores(),
  ...atomics(),
  ...ordered(),
  ...packet(),
  // Without an arena the cast keeps the lower half.
  program('addr_space_cast without an arena', 'linux', [
    'r3 = 0x123456789abcdef0 ll',
    'r0 = addr_space_cast(r3, 0, 1)',
  ]),
];
