// One element of a map, as `dump` and `lookup` show it: in columns of hexadecimal bytes, as its types say, or as JSON
// with both.

import type { MapInfo } from '../../bpf/bpf.js';
import { Errno, errnoMessage } from '../../bpf/errno.js';
import { MapType } from '../../bpf/types.js';
import { hexLines } from '../bytes.js';
import { JsonWriter } from '../json-writer.js';
import type { Tool } from '../tool.js';
import { holdsMaps, holdsProgs, isPerCpu, slotSize } from './kinds.js';
import type { EntryTypes } from './value-types.js';

/** Beyond so many bytes a key or value begins on a line of its own. */
const LINE = 16;
/** So many bytes of key and value together stand on one line. */
const SINGLE_LINE = 24;

/** `0x00` to `0xff`, quoted. */
const QUOTED_BYTES = Array.from({ length: 256 }, (_, byte) => `"0x${byte.toString(16).padStart(2, '0')}"`);

export class EntryPrinter {
  readonly #tool: Tool;
  readonly #info: MapInfo;
  readonly #json: JsonWriter | undefined;
  readonly #types: EntryTypes | undefined;
  readonly #cpus: number;

  private constructor(
    tool: Tool,
    info: MapInfo,
    json: JsonWriter | undefined,
    types: EntryTypes | undefined,
    cpus: number,
  ) {
    this.#tool = tool;
    this.#info = info;
    this.#json = json;
    this.#types = types;
    this.#cpus = cpus;
  }

  /** For the elements of one map. `json`: where they go as JSON; without it they are columns of bytes. */
  static async of(
    tool: Tool,
    info: MapInfo,
    json: JsonWriter | undefined,
    types: EntryTypes | undefined,
  ): Promise<EntryPrinter> {
    const cpus = isPerCpu(info) ? await (await tool.bpf).possibleCpus() : 1;
    return new EntryPrinter(tool, info, json, types, cpus);
  }

  /** An element. The value of a per-CPU map has a slot for each CPU. */
  print(key: Uint8Array, value: Uint8Array): void {
    if (this.#tool.json) this.#printJson(this.#tool.json, key, value);
    else if (this.#json && this.#types) this.#printTyped(this.#json, this.#types, key, value);
    else this.#tool.print(isPerCpu(this.#info) ? this.#perCpuText(key, value) : this.#text(key, value));
  }

  /** An element whose value could not be had. Empty slots of program arrays and maps of maps are not worth a word. */
  printError(key: Uint8Array, errno: number): void {
    const info = this.#info;
    if (errno === Errno.ENOENT && (holdsMaps(info) || holdsProgs(info))) return;
    const { json } = this.#tool;
    if (json) {
      json.startObject();
      json.name('key');
      writeBytes(json, key);
      json.member('value', { error: errnoMessage(errno) });
      json.endObject();
      return;
    }
    let message = errnoMessage(errno);
    if (errno === Errno.ENOENT) message = '<no entry>';
    else if (errno === Errno.ENOSPC && info.type === MapType.ReuseportSockarray) message = '<cannot read>';
    const breaks = key.length > LINE || message.length > LINE;
    const single = !breaks && key.length + message.length <= SINGLE_LINE;
    const gap = breaks ? '\n' : ' ';
    this.#tool.print(`key:${gap}${hexLines(key)}${single ? '  ' : '\n'}value:${gap}${message}\n`);
  }

  #text(key: Uint8Array, value: Uint8Array): string {
    const breaks = key.length > LINE || value.length > LINE;
    const single = !breaks && key.length + value.length <= SINGLE_LINE;
    const gap = breaks ? '\n' : ' ';
    let text = '';
    if (key.length > 0) text += `key:${gap}${hexLines(key)}${single ? '  ' : '\n'}`;
    if (value.length > 0) {
      text += holdsMaps(this.#info)
        ? `inner_map_id:${gap}${mapId(value)} `
        : `value:${gap}${hexLines(value)}`;
    }
    return `${text}\n`;
  }

  #perCpuText(key: Uint8Array, value: Uint8Array): string {
    let text = key.length > 0 ? `key:\n${hexLines(key)}\n` : '';
    const gap = this.#info.valueSize > LINE ? '\n' : ' ';
    for (let cpu = 0; cpu < this.#cpus; cpu++) {
      text += `value (CPU ${String(cpu).padStart(2, '0')}):${gap}${hexLines(this.#slot(value, cpu))}\n`;
    }
    return text;
  }

  #slot(value: Uint8Array, cpu: number): Uint8Array {
    const at = cpu * slotSize(this.#info);
    return value.subarray(at, at + this.#info.valueSize);
  }

  #printJson(json: JsonWriter, key: Uint8Array, value: Uint8Array): void {
    json.startObject();
    json.name('key');
    writeBytes(json, key);
    if (isPerCpu(this.#info)) {
      json.name('values');
      this.#eachCpu(json, value, (slot) => writeBytes(json, slot));
    } else {
      json.name('value');
      writeBytes(json, value);
      if (holdsMaps(this.#info)) json.member('inner_map_id', mapId(value));
    }
    if (this.#types) {
      json.name('formatted');
      this.#printTyped(json, this.#types, key, value);
    }
    json.endObject();
  }

  #printTyped(json: JsonWriter, types: EntryTypes, key: Uint8Array, value: Uint8Array): void {
    json.startObject();
    if (types.key) {
      json.name('key');
      types.key(key, json);
    }
    if (isPerCpu(this.#info)) {
      json.name('values');
      this.#eachCpu(json, value, (slot) => types.value(slot, json));
    } else {
      json.name('value');
      types.value(value, json);
    }
    json.endObject();
  }

  #eachCpu(json: JsonWriter, value: Uint8Array, write: (slot: Uint8Array) => void): void {
    json.startArray();
    for (let cpu = 0; cpu < this.#cpus; cpu++) {
      json.startObject();
      json.member('cpu', cpu);
      json.name('value');
      write(this.#slot(value, cpu));
      json.endObject();
    }
    json.endArray();
  }
}

/** Values with types are JSON in plain output too, always with line ends. */
export const plainWriter = (tool: Tool): JsonWriter => new JsonWriter((text) => tool.print(text), true);

/** `["0x01","0xff"]`, the bytes in one go: a dump has many. */
export function writeBytes(json: JsonWriter, bytes: Uint8Array): void {
  let text = '';
  for (let i = 0; i < bytes.length; i++) text += (i === 0 ? '' : ',') + QUOTED_BYTES[bytes[i] as number];
  json.startArray();
  if (text !== '') json.raw(text);
  json.endArray();
}

/** What the system call gives for a map inside: its id. */
const mapId = (value: Uint8Array): number =>
  new DataView(value.buffer, value.byteOffset, value.byteLength).getUint32(0, true);
