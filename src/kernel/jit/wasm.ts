// Writes WebAssembly modules: just what the JIT needs, in the binary format's own words
// (WebAssembly core specification, chapter 5).

/** Value types. */
export const I32 = 0x7f;
export const I64 = 0x7e;
export type ValueType = typeof I32 | typeof I64;

/** Block type without a result. */
const VOID = 0x40;

/** Instructions, by the specification's names. */
export const Op = {
  unreachable: 0x00,
  block: 0x02,
  loop: 0x03,
  if: 0x04,
  else: 0x05,
  end: 0x0b,
  br: 0x0c,
  br_if: 0x0d,
  br_table: 0x0e,
  return: 0x0f,
  call: 0x10,
  return_call_indirect: 0x13,
  drop: 0x1a,
  select: 0x1b,
  local_get: 0x20,
  local_set: 0x21,
  local_tee: 0x22,
  global_get: 0x23,
  i32_load: 0x28,
  i64_load: 0x29,
  i32_load8_u: 0x2d,
  i32_load16_u: 0x2f,
  i64_load8_s: 0x30,
  i64_load8_u: 0x31,
  i64_load16_s: 0x32,
  i64_load16_u: 0x33,
  i64_load32_s: 0x34,
  i64_load32_u: 0x35,
  i32_store: 0x36,
  i64_store: 0x37,
  i32_store8: 0x3a,
  i32_store16: 0x3b,
  i64_store8: 0x3c,
  i64_store16: 0x3d,
  i64_store32: 0x3e,
  i32_const: 0x41,
  i64_const: 0x42,
  i32_eqz: 0x45,
  i32_eq: 0x46,
  i32_ne: 0x47,
  i32_lt_s: 0x48,
  i32_lt_u: 0x49,
  i32_gt_s: 0x4a,
  i32_gt_u: 0x4b,
  i32_le_s: 0x4c,
  i32_le_u: 0x4d,
  i32_ge_s: 0x4e,
  i32_ge_u: 0x4f,
  i64_eqz: 0x50,
  i64_eq: 0x51,
  i64_ne: 0x52,
  i64_lt_s: 0x53,
  i64_lt_u: 0x54,
  i64_gt_s: 0x55,
  i64_gt_u: 0x56,
  i64_le_s: 0x57,
  i64_le_u: 0x58,
  i64_ge_s: 0x59,
  i64_ge_u: 0x5a,
  i32_add: 0x6a,
  i32_sub: 0x6b,
  i32_mul: 0x6c,
  i32_div_s: 0x6d,
  i32_div_u: 0x6e,
  i32_rem_s: 0x6f,
  i32_rem_u: 0x70,
  i32_and: 0x71,
  i32_or: 0x72,
  i32_xor: 0x73,
  i32_shl: 0x74,
  i32_shr_s: 0x75,
  i32_shr_u: 0x76,
  i32_rotl: 0x77,
  i64_add: 0x7c,
  i64_sub: 0x7d,
  i64_mul: 0x7e,
  i64_div_s: 0x7f,
  i64_div_u: 0x80,
  i64_rem_s: 0x81,
  i64_rem_u: 0x82,
  i64_and: 0x83,
  i64_or: 0x84,
  i64_xor: 0x85,
  i64_shl: 0x86,
  i64_shr_s: 0x87,
  i64_shr_u: 0x88,
  i64_rotl: 0x89,
  i32_wrap_i64: 0xa7,
  i64_extend_i32_s: 0xac,
  i64_extend_i32_u: 0xad,
  i64_extend8_s: 0xc2,
  i64_extend16_s: 0xc3,
  i64_extend32_s: 0xc4,
  i32_extend8_s: 0xc0,
  i32_extend16_s: 0xc1,
} as const;
export type Op = (typeof Op)[keyof typeof Op];

const utf8 = new TextEncoder();

/** A growing run of bytes with the format's integers. */
export class Bytes {
  #bytes = new Uint8Array(256);
  length = 0;

  #room(size: number): void {
    if (this.length + size <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(this.#bytes.length * 2, this.length + size));
    larger.set(this.#bytes.subarray(0, this.length));
    this.#bytes = larger;
  }

  byte(value: number): this {
    this.#room(1);
    this.#bytes[this.length++] = value;
    return this;
  }

  /** Unsigned LEB128 of an integer below 2^53. */
  unsigned(value: number): this {
    let rest = value;
    while (rest > 0x7f) {
      this.byte((rest % 128) | 0x80);
      rest = Math.floor(rest / 128);
    }
    return this.byte(rest);
  }

  /** Signed LEB128 of a 32-bit integer. */
  signed(value: number): this {
    let rest = value | 0;
    while (rest < -64 || rest > 63) {
      this.byte((rest & 0x7f) | 0x80);
      rest >>= 7;
    }
    return this.byte(rest & 0x7f);
  }

  /** Signed LEB128 of a 64-bit integer. */
  signed64(value: bigint): this {
    let rest = BigInt.asIntN(64, value);
    while (rest < -64n || rest > 63n) {
      this.byte(Number(rest & 0x7fn) | 0x80);
      rest >>= 7n;
    }
    return this.byte(Number(rest & 0x7fn));
  }

  name(text: string): this {
    const bytes = utf8.encode(text);
    return this.unsigned(bytes.length).append(bytes);
  }

  append(bytes: Uint8Array): this {
    this.#room(bytes.length);
    this.#bytes.set(bytes, this.length);
    this.length += bytes.length;
    return this;
  }

  /** What was written; valid until more is. */
  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.length);
  }
}

export interface FunctionType {
  readonly params: readonly ValueType[];
  readonly results: readonly ValueType[];
}

/** Where in a function's entry of the code section an instruction of the program begins. */
export interface CodePlace {
  readonly offset: number;
  readonly slot: number;
}

/** The body of one function: locals and instructions. */
export class FunctionBody extends Bytes {
  readonly #paramCount: number;
  readonly #locals: ValueType[] = [];
  /** Where the unlikely ifs are, in bytes from the first instruction. */
  readonly #unlikely: number[] = [];
  /** Where the code of an instruction of the program begins: byte and slot, one after the other. */
  readonly #places: number[] = [];
  /** Blocks open at this point. */
  depth = 0;
  /** The numbers that the program brought are hidden, so that nobody can write code as numbers (net.core.bpf_jit_harden). */
  blinded = false;

  constructor(type: FunctionType) {
    super();
    this.#paramCount = type.params.length;
  }

  /** A new local variable, zero at entry; its index. */
  local(type: ValueType): number {
    this.#locals.push(type);
    return this.#paramCount + this.#locals.length - 1;
  }

  /** What follows is the instruction at this slot of the program. */
  place(slot: number): void {
    this.#places.push(this.length, slot);
  }

  op(op: Op): this {
    return this.byte(op);
  }

  get(local: number): this {
    return this.byte(Op.local_get).unsigned(local);
  }

  set(local: number): this {
    return this.byte(Op.local_set).unsigned(local);
  }

  tee(local: number): this {
    return this.byte(Op.local_tee).unsigned(local);
  }

  i32(value: number): this {
    return this.byte(Op.i32_const).signed(value);
  }

  /** An i64 constant from a number with at most 53 bits. */
  i64(value: number): this {
    this.byte(Op.i64_const);
    return value === (value | 0) ? this.signed(value) : this.signed64(BigInt(value));
  }

  i64big(value: bigint): this {
    return this.byte(Op.i64_const).signed64(value);
  }

  /** A number that the program brought; `wide`: as an i64. Blinded, neither it nor a part of it is in the code. */
  given(value: number, wide: boolean): this {
    if (this.blinded && wide) return this.givenBig(BigInt(value));
    if (!this.blinded) return wide ? this.i64(value) : this.i32(value);
    const [key = 0] = crypto.getRandomValues(new Int32Array(1));
    return this.i32(value ^ key)
      .i32(key)
      .op(Op.i32_xor);
  }

  /** The same with 64 bits. */
  givenBig(value: bigint): this {
    if (!this.blinded) return this.i64big(value);
    const [key = 0n] = crypto.getRandomValues(new BigInt64Array(1));
    return this.i64big(BigInt.asIntN(64, value ^ key))
      .i64big(key)
      .op(Op.i64_xor);
  }

  /** A load or store; the address is on the stack. `offset` is unsigned. */
  memory(op: Op, offset: number): this {
    return this.byte(op).byte(0).unsigned(offset);
  }

  call(index: number): this {
    return this.byte(Op.call).unsigned(index);
  }

  /** Opens a block, loop or if without a result. */
  open(op: typeof Op.block | typeof Op.loop | typeof Op.if): this {
    this.depth++;
    return this.byte(op).byte(VOID);
  }

  /** Opens an if that is hardly ever taken: what is in it gets out of the way of the rest. */
  openUnlikely(): this {
    this.#unlikely.push(this.length);
    return this.open(Op.if);
  }

  else(): this {
    return this.byte(Op.else);
  }

  end(): this {
    this.depth--;
    return this.byte(Op.end);
  }

  /** The function's entry in the code section; where in it the unlikely branches are, and what is where. */
  encode(): { code: Uint8Array; unlikely: number[]; places: CodePlace[] } {
    const groups: [number, ValueType][] = [];
    for (const type of this.#locals) {
      const last = groups.at(-1);
      if (last && last[1] === type) last[0]++;
      else groups.push([1, type]);
    }
    const head = new Bytes().unsigned(groups.length);
    for (const [count, type] of groups) head.unsigned(count).byte(type);
    const unlikely = this.#unlikely.map((at) => head.length + at);
    const places: CodePlace[] = [];
    for (let i = 0; i + 1 < this.#places.length; i += 2) {
      places.push({ offset: head.length + (this.#places[i] ?? 0), slot: this.#places[i + 1] ?? 0 });
    }
    return { code: head.append(this.bytes).byte(Op.end).bytes.slice(), unlikely, places };
  }
}

interface Import {
  module: string;
  name: string;
  type: FunctionType;
}

/** A module: imports first, then functions; indices count both. */
export class ModuleBuilder {
  readonly #types: FunctionType[] = [];
  readonly #imports: Import[] = [];
  readonly #functions: {
    type: FunctionType;
    body: FunctionBody | undefined;
    name: string;
    exported: boolean;
  }[] = [];
  #sealed = false;
  #encoded: { name: string; size: number; places: CodePlace[] }[] = [];

  /** What `encode` made of each function: bytes of its entry in the code section, and what is where in it. */
  get encoded(): readonly {
    readonly name: string;
    readonly size: number;
    readonly places: readonly CodePlace[];
  }[] {
    return this.#encoded;
  }

  typeIndex(type: FunctionType): number {
    const key = (t: FunctionType) => `${t.params.join()}:${t.results.join()}`;
    const found = this.#types.findIndex((t) => key(t) === key(type));
    return found >= 0 ? found : this.#types.push(type) - 1;
  }

  /** The index of an imported function; all imports are asked for before the first function's index is. */
  importFunction(module: string, name: string, type: FunctionType): number {
    const found = this.#imports.findIndex((i) => i.module === module && i.name === name);
    if (found >= 0) return found;
    if (this.#sealed) throw new Error(`import ${name} after the first function`);
    this.typeIndex(type);
    return this.#imports.push({ module, name, type }) - 1;
  }

  /** Reserves a function; its body follows by `define`. */
  declare(name: string, type: FunctionType, exported: boolean): number {
    this.#sealed = true;
    this.typeIndex(type);
    return this.#imports.length + this.#functions.push({ type, name, body: undefined, exported }) - 1;
  }

  define(index: number, body: FunctionBody): void {
    const fn = this.#functions[index - this.#imports.length];
    if (!fn) throw new RangeError(`no function ${index}`);
    fn.body = body;
  }

  /** Memory 0 is imported as env.memory, global 0 (i32, the CPU) as env.cpu, table 0 as env.programs. */
  encode(): Uint8Array {
    const out = new Bytes().append(new Uint8Array([0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00]));
    const section = (id: number, write: (content: Bytes) => void) => {
      const content = new Bytes();
      write(content);
      out.byte(id).unsigned(content.length).append(content.bytes);
    };
    section(1, (s) => {
      s.unsigned(this.#types.length);
      for (const { params, results } of this.#types) {
        s.byte(0x60).unsigned(params.length);
        for (const type of params) s.byte(type);
        s.unsigned(results.length);
        for (const type of results) s.byte(type);
      }
    });
    section(2, (s) => {
      s.unsigned(this.#imports.length + 3);
      s.name('env').name('memory').byte(2).byte(0).unsigned(1);
      s.name('env').name('cpu').byte(3).byte(I32).byte(0);
      s.name('env').name('programs').byte(1).byte(0x70).byte(0).unsigned(1);
      for (const { module, name, type } of this.#imports) {
        s.name(module).name(name).byte(0).unsigned(this.typeIndex(type));
      }
    });
    section(3, (s) => {
      s.unsigned(this.#functions.length);
      for (const { type } of this.#functions) s.unsigned(this.typeIndex(type));
    });
    section(7, (s) => {
      const exported = this.#functions.map((fn, i) => ({ fn, i })).filter(({ fn }) => fn.exported);
      s.unsigned(exported.length);
      for (const { fn, i } of exported)
        s.name(fn.name)
          .byte(0)
          .unsigned(this.#imports.length + i);
    });
    const encoded = this.#functions.map(({ body, name }) => {
      if (!body) throw new Error(`function ${name} has no body`);
      return body.encode();
    });
    this.#encoded = encoded.map(({ code, places }, i) => ({
      name: this.#functions[i]?.name ?? '',
      size: code.length,
      places,
    }));
    // The branch hinting proposal; engines that do not know it skip the section.
    section(0, (s) => {
      s.name('metadata.code.branch_hint');
      const hinted = encoded
        .map(({ unlikely }, i) => ({ unlikely, i }))
        .filter(({ unlikely }) => unlikely.length > 0);
      s.unsigned(hinted.length);
      for (const { unlikely, i } of hinted) {
        s.unsigned(this.#imports.length + i).unsigned(unlikely.length);
        for (const at of unlikely) s.unsigned(at).unsigned(1).byte(0);
      }
    });
    section(10, (s) => {
      s.unsigned(encoded.length);
      for (const { code } of encoded) s.unsigned(code.length).append(code);
    });
    // The name section makes the module readable in dumps and profiles.
    section(0, (s) => {
      s.name('name');
      const names = new Bytes().unsigned(this.#functions.length);
      this.#functions.forEach(({ name }, i) => {
        names.unsigned(this.#imports.length + i).name(name);
      });
      s.byte(1).unsigned(names.length).append(names.bytes);
    });
    return out.bytes.slice();
  }
}
