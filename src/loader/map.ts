// A loaded map: its elements as bytes, and as values that BTF describes.

import { SkepError } from '../base/error.js';
import type { Bpf, Fd, MapInfo } from '../bpf/bpf.js';
import { BpfError, Errno } from '../bpf/errno.js';
import { MapType } from '../bpf/types.js';
import type { Btf } from '../btf/btf.js';
import { decodeValue, encodeValue, type Value } from '../btf/value.js';
import type { MapSpec } from '../elf/spec.js';

const perCpuTypes: ReadonlySet<number> = new Set([
  MapType.PercpuHash,
  MapType.PercpuArray,
  MapType.LruPercpuHash,
  MapType.PercpuCgroupStorage,
]);

/** The key of maps that have none. */
const NO_KEY = new Uint8Array(0);

/** `undefined` for the answer ENOENT. */
async function unlessMissing<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof BpfError && error.errno === Errno.ENOENT) return undefined;
    throw error;
  }
}

/**
 * A map of a loaded collection. Keys and values are what the map's BTF types say (see btf/value.ts), or the plain bytes
 * (Uint8Array) where the map has none; bytes are also taken in place of any key or value. The value of a per-CPU map is
 * an array with one value for each possible CPU.
 */
export class LoadedMap {
  readonly spec: MapSpec;
  readonly name: string;
  readonly fd: Fd;
  readonly #kernel: Bpf;
  readonly #btf: Btf | undefined;
  readonly #cpus: number;

  constructor(kernel: Bpf, spec: MapSpec, fd: Fd, btf: Btf | undefined, cpus: number) {
    this.#kernel = kernel;
    this.spec = spec;
    this.name = spec.name;
    this.fd = fd;
    this.#btf = btf;
    this.#cpus = cpus;
  }

  /** Whether a value has one part for each possible CPU. */
  get perCpu(): boolean {
    return perCpuTypes.has(this.spec.type);
  }

  /** The value of a key, or undefined when the key is not there. */
  async get(key: Value): Promise<Value | undefined> {
    const bytes = await this.getBytes(this.encodeKey(key));
    return bytes === undefined ? undefined : this.decodeValue(bytes);
  }

  /** Sets a key's value. `flags` are those of BPF_MAP_UPDATE_ELEM (UpdateFlag). */
  async set(key: Value, value: Value, flags = 0): Promise<void> {
    await this.setBytes(this.encodeKey(key), this.encodeValue(value), flags);
  }

  /** Deletes a key; false when it was not there. */
  async delete(key: Value): Promise<boolean> {
    return this.deleteBytes(this.encodeKey(key));
  }

  /** All keys, in the kernel's order. */
  async *keys(): AsyncGenerator<Value> {
    for await (const key of this.keysBytes()) yield this.decodeKey(key);
  }

  /** All elements, in the kernel's order; those that go while this walks are left out. */
  async *entries(): AsyncGenerator<[key: Value, value: Value]> {
    for await (const [key, value] of this.entriesBytes())
      yield [this.decodeKey(key), this.decodeValue(value)];
  }

  /**
   * Adds a value to a map without keys: a queue, a stack or a Bloom filter. A queue or stack that is full answers E2BIG,
   * or for UpdateFlag.Exist drops its oldest value.
   */
  async push(value: Value, flags = 0): Promise<void> {
    await this.setBytes(NO_KEY, this.encodeValue(value), flags);
  }

  /** Takes the next value out of a queue or stack; undefined when it is empty. */
  async pop(): Promise<Value | undefined> {
    const bytes = await this.popBytes();
    return bytes && this.decodeValue(bytes);
  }

  /** The next value of a queue or stack, which stays there; undefined when it is empty. */
  async peek(): Promise<Value | undefined> {
    const bytes = await this.getBytes(NO_KEY);
    return bytes && this.decodeValue(bytes);
  }

  /** Whether a value may have been added to a Bloom filter: false is certain, true is likely. */
  async mayHave(value: Value): Promise<boolean> {
    return (await this.getBytes(this.encodeValue(value))) !== undefined;
  }

  /** A value as bpf(2) has it, or undefined when the key is not there. */
  async getBytes(key: Uint8Array): Promise<Uint8Array | undefined> {
    return unlessMissing(this.#kernel.mapLookupElem(this.fd, key));
  }

  async setBytes(key: Uint8Array, value: Uint8Array, flags = 0): Promise<void> {
    await this.#kernel.mapUpdateElem(this.fd, key, value, flags);
  }

  async popBytes(): Promise<Uint8Array | undefined> {
    return unlessMissing(this.#kernel.mapLookupAndDeleteElem(this.fd, NO_KEY));
  }

  async deleteBytes(key: Uint8Array): Promise<boolean> {
    return (await unlessMissing(this.#kernel.mapDeleteElem(this.fd, key).then(() => true))) ?? false;
  }

  /**
   * All keys as bytes. The next key is asked for before a key is given out, so that the caller may delete it; a map
   * that others change all the while ends the walk after `maxEntries` keys.
   */
  async *keysBytes(): AsyncGenerator<Uint8Array> {
    let next = await unlessMissing(this.#kernel.mapGetNextKey(this.fd, null));
    const { maxEntries } = await this.info();
    for (let count = 0; next !== undefined && count < maxEntries; count++) {
      const key: Uint8Array = next;
      next = await unlessMissing(this.#kernel.mapGetNextKey(this.fd, key));
      yield key;
    }
  }

  async *entriesBytes(): AsyncGenerator<[key: Uint8Array, value: Uint8Array]> {
    for await (const key of this.keysBytes()) {
      const value = await this.getBytes(key);
      if (value !== undefined) yield [key, value];
    }
  }

  async info(): Promise<MapInfo> {
    return this.#kernel.mapInfo(this.fd);
  }

  decodeKey(bytes: Uint8Array): Value {
    return this.#decode(this.spec.keyTypeId, bytes);
  }

  encodeKey(key: Value): Uint8Array {
    const { keySize } = this.spec;
    // An array's index is a number, whatever the definition says of its type.
    if (typeof key === 'number' && this.spec.keyTypeId === 0 && keySize === 4) {
      const bytes = new Uint8Array(4);
      new DataView(bytes.buffer).setUint32(0, key, true);
      return bytes;
    }
    return this.#encode('key', this.spec.keyTypeId, keySize, key);
  }

  decodeValue(bytes: Uint8Array): Value {
    const { valueTypeId, valueSize } = this.spec;
    if (!this.perCpu) return this.#decode(valueTypeId, bytes);
    const stride = Math.ceil(valueSize / 8) * 8;
    return Array.from({ length: this.#cpus }, (_, cpu) =>
      this.#decode(valueTypeId, bytes.subarray(cpu * stride, cpu * stride + valueSize)),
    );
  }

  encodeValue(value: Value): Uint8Array {
    const { valueTypeId, valueSize } = this.spec;
    if (!this.perCpu) return this.#encode('value', valueTypeId, valueSize, value);
    const stride = Math.ceil(valueSize / 8) * 8;
    const bytes = new Uint8Array(stride * this.#cpus);
    if (value instanceof Uint8Array && value.length === bytes.length) return value;
    if (!Array.isArray(value) || value.length !== this.#cpus) {
      throw new SkepError(`a value must be an array of ${this.#cpus}, one for each possible CPU`, {
        where: `map '${this.name}'`,
      });
    }
    for (const [cpu, part] of value.entries()) {
      bytes.set(this.#encode('value', valueTypeId, valueSize, part as Value), cpu * stride);
    }
    return bytes;
  }

  #decode(typeId: number, bytes: Uint8Array): Value {
    return this.#btf === undefined || typeId === 0 ? bytes : decodeValue(this.#btf, typeId, bytes);
  }

  #encode(what: string, typeId: number, size: number, value: Value): Uint8Array {
    const fail = (message: string, cause?: SkepError): SkepError =>
      new SkepError(message, { where: `${what} of map '${this.name}'`, hint: cause?.hint ?? '', cause });
    let bytes: Uint8Array;
    if (value instanceof Uint8Array) {
      bytes = value;
    } else if (this.#btf === undefined || typeId === 0) {
      throw fail(`its type is not known: give its ${size} bytes as a Uint8Array`);
    } else {
      try {
        bytes = encodeValue(this.#btf, typeId, value);
      } catch (cause) {
        if (cause instanceof SkepError) throw fail(cause.message, cause);
        throw cause;
      }
    }
    if (bytes.length === size) return bytes;
    throw fail(`has ${bytes.length} bytes, but needs ${size}`);
  }
}
