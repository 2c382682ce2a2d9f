// The structures of bpf(2), one table: where each field lies and how wide it is. Names and layout are those of
// `union bpf_attr`, `struct bpf_map_info` and `struct bpf_prog_info` in <linux/bpf.h>, the same on x86-64 and arm64
// (pointers take 64 bits on every machine). The kernel takes a longer structure than its own if the rest is zero.

/** u32, u64 and ptr (64 bits) are little-endian numbers; name is 16 bytes with at least one NUL; tag is 8 bytes. */
type Kind = 'u32' | 'u64' | 'ptr' | 'name' | 'tag';
export type Field = readonly [offset: number, kind: Kind];
export type Fields = Readonly<Record<string, Field>>;

/** The parts of `union bpf_attr`, by command. */
export const attributes = {
  mapCreate: {
    map_type: [0, 'u32'],
    key_size: [4, 'u32'],
    value_size: [8, 'u32'],
    max_entries: [12, 'u32'],
    map_flags: [16, 'u32'],
    inner_map_fd: [20, 'u32'],
    numa_node: [24, 'u32'],
    map_name: [28, 'name'],
    btf_fd: [48, 'u32'],
    btf_key_type_id: [52, 'u32'],
    btf_value_type_id: [56, 'u32'],
    map_extra: [64, 'u64'],
  },
  mapElem: {
    map_fd: [0, 'u32'],
    key: [8, 'ptr'],
    value: [16, 'ptr'],
    flags: [24, 'u64'],
  },
  progLoad: {
    prog_type: [0, 'u32'],
    insn_cnt: [4, 'u32'],
    insns: [8, 'ptr'],
    license: [16, 'ptr'],
    log_level: [24, 'u32'],
    log_size: [28, 'u32'],
    log_buf: [32, 'ptr'],
    kern_version: [40, 'u32'],
    prog_flags: [44, 'u32'],
    prog_name: [48, 'name'],
    expected_attach_type: [68, 'u32'],
    prog_btf_fd: [72, 'u32'],
    func_info_rec_size: [76, 'u32'],
    func_info: [80, 'ptr'],
    func_info_cnt: [88, 'u32'],
    line_info_rec_size: [92, 'u32'],
    line_info: [96, 'ptr'],
    line_info_cnt: [104, 'u32'],
    attach_btf_id: [108, 'u32'],
    log_true_size: [140, 'u32'],
  },
  testRun: {
    prog_fd: [0, 'u32'],
    retval: [4, 'u32'],
    data_size_in: [8, 'u32'],
    data_size_out: [12, 'u32'],
    data_in: [16, 'ptr'],
    data_out: [24, 'ptr'],
    repeat: [32, 'u32'],
    duration: [36, 'u32'],
    ctx_size_in: [40, 'u32'],
    ctx_size_out: [44, 'u32'],
    ctx_in: [48, 'ptr'],
    ctx_out: [56, 'ptr'],
    flags: [64, 'u32'],
    cpu: [68, 'u32'],
  },
  infoByFd: {
    bpf_fd: [0, 'u32'],
    info_len: [4, 'u32'],
    info: [8, 'ptr'],
  },
  btfLoad: {
    btf: [0, 'ptr'],
    btf_log_buf: [8, 'ptr'],
    btf_size: [16, 'u32'],
    btf_log_size: [20, 'u32'],
    btf_log_level: [24, 'u32'],
    btf_log_true_size: [28, 'u32'],
  },
} as const satisfies Record<string, Fields>;

/** What BPF_OBJ_GET_INFO_BY_FD fills in. */
export const infos = {
  bpf_map_info: {
    type: [0, 'u32'],
    id: [4, 'u32'],
    key_size: [8, 'u32'],
    value_size: [12, 'u32'],
    max_entries: [16, 'u32'],
    map_flags: [20, 'u32'],
    name: [24, 'name'],
    btf_id: [64, 'u32'],
    btf_key_type_id: [68, 'u32'],
    btf_value_type_id: [72, 'u32'],
    map_extra: [80, 'u64'],
  },
  bpf_prog_info: {
    type: [0, 'u32'],
    id: [4, 'u32'],
    tag: [8, 'tag'],
    jited_prog_len: [16, 'u32'],
    xlated_prog_len: [20, 'u32'],
    load_time: [40, 'u64'],
    created_by_uid: [48, 'u32'],
    nr_map_ids: [52, 'u32'],
    map_ids: [56, 'ptr'],
    name: [64, 'name'],
    /** A bit field of 32; the lowest bit is the flag. */
    gpl_compatible: [84, 'u32'],
    btf_id: [128, 'u32'],
  },
} as const satisfies Record<string, Fields>;

/** Bytes handed to the kernel: more than any structure here, so that what the table leaves out is zero. */
const SIZE = 168;
/** BPF_OBJ_NAME_LEN */
export const NAME_LENGTH = 16;

/** Names of the fields of the given kind. */
type Named<F extends Fields, K extends Kind> = {
  [N in keyof F]: F[N][1] extends K ? N : never;
}[keyof F];

/** Values by field name; what is absent or undefined stays zero. */
export type Values<F extends Fields> = { [N in Named<F, 'u32'>]?: number | undefined } & {
  [N in Named<F, 'u64'>]?: bigint | undefined;
} & { [N in Named<F, 'ptr'>]?: Uint8Array | undefined } & { [N in Named<F, 'name'>]?: string | undefined };

/** Where the bytes of an array are, as the kernel sees them; 0 for an empty one. */
export type AddressOf = (bytes: Uint8Array) => bigint;

/** One structure in memory, together with everything that it points to: as long as this lives, so do those. */
export class Struct<F extends Fields> {
  readonly bytes = new Uint8Array(SIZE);
  readonly #fields: F;
  readonly #view = new DataView(this.bytes.buffer);
  readonly #address: AddressOf;
  readonly #pointers = new Map<keyof F, Uint8Array>();

  constructor(fields: F, address: AddressOf, values: Values<F> = {}) {
    this.#fields = fields;
    this.#address = address;
    this.set(values);
  }

  /** Writes the fields that are given. Numbers are cut to 32 bits as C does; a name longer than 15 bytes throws. */
  set(values: Values<F>): void {
    for (const [name, value] of Object.entries(values)) {
      if (value !== undefined) this.#write(name, value as number | bigint | string | Uint8Array);
    }
  }

  #write(name: string, value: number | bigint | string | Uint8Array): void {
    const field = this.#fields[name];
    if (!field) throw new RangeError(`there is no field ${name}`);
    const [at, kind] = field;
    if (typeof value === 'number') this.#view.setUint32(at, value, true);
    else if (typeof value === 'bigint') this.#view.setBigUint64(at, value, true);
    else if (typeof value === 'string') {
      const bytes = new TextEncoder().encode(value);
      if (kind !== 'name' || bytes.length >= NAME_LENGTH)
        throw new RangeError(`${name} takes 15 bytes at most`);
      this.bytes.fill(0, at, at + NAME_LENGTH).set(bytes, at);
    } else {
      this.#pointers.set(name, value);
      this.#view.setBigUint64(at, this.#address(value), true);
    }
  }

  u32(name: Named<F, 'u32'>): number {
    return this.#view.getUint32(this.#at(name), true);
  }

  u64(name: Named<F, 'u64'>): bigint {
    return this.#view.getBigUint64(this.#at(name), true);
  }

  name(name: Named<F, 'name'>): string {
    const at = this.#at(name);
    const bytes = this.bytes.subarray(at, at + NAME_LENGTH);
    const end = bytes.indexOf(0);
    return new TextDecoder().decode(bytes.subarray(0, end < 0 ? NAME_LENGTH : end));
  }

  /** 16 hex digits. */
  tag(name: Named<F, 'tag'>): string {
    const at = this.#at(name);
    return Array.from(this.bytes.subarray(at, at + 8), (byte) => byte.toString(16).padStart(2, '0')).join('');
  }

  /** Points a field at `offset` bytes behind the start of the array that it points to; the array is not checked again. */
  movePointer(name: Named<F, 'ptr'>, base: bigint, offset: number): void {
    this.#view.setBigUint64(this.#at(name), base + BigInt(offset), true);
  }

  #at(name: keyof F): number {
    const field = this.#fields[name];
    if (!field) throw new RangeError(`there is no field ${String(name)}`);
    return field[0];
  }
}
