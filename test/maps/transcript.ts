// What a kernel answers to a list of commands, as text: one line a command, so that two kernels can be compared and
// a golden can be read.

import type { Bpf, Fd, MapCreateAttr } from '../../src/bpf/bpf.js';
import { BpfError, errnoName } from '../../src/bpf/errno.js';
import { mapTypeName } from '../../src/bpf/types.js';

export const u32 = (...values: number[]): Uint8Array => new Uint8Array(Uint32Array.from(values).buffer);

const hex = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');

const show = (value: unknown): string => {
  if (value instanceof Uint8Array) return hex(value) || 'nothing';
  return Array.isArray(value) ? `[${value.map(show).join(' ')}]` : String(value);
};

/** The errno's name of a BpfError; anything else that was thrown goes on. */
export function errorWord(error: unknown): string {
  if (error instanceof BpfError) return errnoName(error.errno);
  throw error;
}

/** Commands on one kernel; what is answered is noted. Object ids, which no two kernels share, are left out by callers. */
export class Recorder {
  readonly lines: string[] = [];
  readonly kernel: Bpf;
  readonly #open: Fd[] = [];

  constructor(kernel: Bpf) {
    this.kernel = kernel;
  }

  /** Notes what `command` gives, or its errno; the result, undefined after an error. */
  async note<T>(what: string, command: Promise<T>): Promise<T | undefined> {
    try {
      const result = await command;
      this.lines.push(`${what} -> ${result === undefined ? 'ok' : show(result)}`);
      return result;
    } catch (error) {
      this.lines.push(`${what} -> ${errorWord(error)}`);
      return undefined;
    }
  }

  /** Makes a map that has to be possible, to be closed in the end. */
  async map(attr: MapCreateAttr): Promise<Fd> {
    return this.opened(await this.kernel.mapCreate(attr));
  }

  opened(fd: Fd): Fd {
    this.#open.push(fd);
    return fd;
  }

  lookup = (fd: Fd, key: Uint8Array, flags = 0) =>
    this.note(
      `lookup ${hex(key)}${flags ? ` flags ${flags}` : ''}`,
      this.kernel.mapLookupElem(fd, key, flags),
    );

  update = (fd: Fd, key: Uint8Array, value: Uint8Array, flags = 0, word = hex(value)) =>
    this.note(
      `update ${hex(key)} = ${word}${flags ? ` flags ${flags}` : ''}`,
      this.kernel.mapUpdateElem(fd, key, value, flags),
    );

  remove = (fd: Fd, key: Uint8Array) => this.note(`delete ${hex(key)}`, this.kernel.mapDeleteElem(fd, key));

  next = (fd: Fd, key: Uint8Array | null) =>
    this.note(`next ${key ? hex(key) : 'first'}`, this.kernel.mapGetNextKey(fd, key));

  memlock = async (fd: Fd) =>
    this.note(
      'memlock',
      this.kernel.mapInfo(fd).then((info) => info.memlock),
    );

  /** Closes what was opened. */
  async close(): Promise<void> {
    for (const fd of this.#open.splice(0).reverse()) await this.kernel.close(fd);
  }
}

const attrText = ({ type, keySize, valueSize, maxEntries, flags = 0 }: MapCreateAttr): string =>
  `${mapTypeName(type)} key ${keySize} value ${valueSize} entries ${maxEntries}${flags ? ` flags 0x${flags.toString(16)}` : ''}`;

/** Makes each of these maps; its memlock and flags, or the errno. */
export async function creations(kernel: Bpf, attrs: Iterable<MapCreateAttr>): Promise<string[]> {
  const lines: string[] = [];
  for (const attr of attrs) {
    let answer: string;
    try {
      const fd = await kernel.mapCreate(attr);
      const { memlock, flags } = await kernel.mapInfo(fd);
      await kernel.close(fd);
      answer = `memlock ${memlock}${flags === (attr.flags ?? 0) ? '' : ` flags 0x${flags.toString(16)}`}`;
    } catch (error) {
      answer = errorWord(error);
    }
    lines.push(`${attrText(attr)} -> ${answer}`);
  }
  return lines;
}
