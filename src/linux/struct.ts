// One structure of bpf(2) in memory, written and read by the names of its fields.

import type { Fields, Kind } from './attributes.js';

/** Bytes handed to the kernel: more than any structure here, so that what the table leaves out is zero. */
const SIZE = 256;
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

/** Where the bytes of an array are, as the kernel sees them; 0 for an empty one. Arrays do not move once they were asked. */
export type AddressOf = (bytes: Uint8Array) => bigint;

/** A call holds on to the bytes it was given, and by them to the structure: else what it points to could go during the call. */
const owners = new WeakMap<Uint8Array, object>();

/** One structure in memory, together with everything that it points to: as long as this lives, so do those. */
export class Struct<F extends Fields> {
  readonly bytes = new Uint8Array(SIZE);
  readonly #fields: F;
  readonly #view = new DataView(this.bytes.buffer);
  readonly #address: AddressOf;
  readonly #pointers = new Map<keyof F, Uint8Array>();
  readonly #kept: Uint8Array[] = [];

  constructor(fields: F, address: AddressOf, values: Values<F> = {}) {
    this.#fields = fields;
    this.#address = address;
    owners.set(this.bytes, this);
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

  /** The address that a pointer has now: the kernel clears some. */
  pointer(name: Named<F, 'ptr'>): bigint {
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
    return hexTag(this.bytes.subarray(at, at + 8));
  }

  /** Keeps what the arrays of this structure point to in turn. */
  keep(...arrays: readonly Uint8Array[]): this {
    this.#kept.push(...arrays);
    return this;
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

/** Eight bytes as 16 hex digits. */
export const hexTag = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
