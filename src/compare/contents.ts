// The contents of a map in a form in which two kernels' can be compared: by key, whatever the order; per-CPU values with
// the slot of the CPU that ran the programs first; programs and inner maps by name, since their ids are the kernel's own.

import type { Bpf } from '../bpf/bpf.js';
import { BpfError, Errno, errnoMessage, errnoName } from '../bpf/errno.js';
import { MapType } from '../bpf/types.js';
import type { Collection } from '../loader/collection.js';
import type { LoadedMap } from '../loader/map.js';
import type { SideName, SideOptions } from './comparison.js';

/** A kernel with the object loaded in it. */
export interface Side extends SideOptions {
  readonly side: SideName;
  readonly kernel: Bpf;
  readonly cpu: number;
  readonly collection: Collection;
  readonly cpus: number;
  /** Names of the programs and maps of the collection by their ids. */
  readonly names: {
    readonly programs: ReadonlyMap<number, string>;
    readonly maps: ReadonlyMap<number, string>;
  };
}

/** One element. */
export interface Element {
  /** As bpf(2) has it; of a queue or stack the number of the element. */
  readonly key: Uint8Array | number;
  /** The bytes (of a per-CPU value with the slots in order of comparison), or what stands for them. */
  readonly value: Uint8Array | string;
}

export interface Contents {
  /** By the key in hexadecimal. */
  readonly elements: ReadonlyMap<string, Element>;
  /** Why there is nothing to read. */
  readonly unreadable?: string;
}

/** Why maps of these types cannot be read, whichever kernel. */
const closed: Partial<Record<MapType, string>> = {
  [MapType.BloomFilter]:
    'a Bloom filter cannot be listed: it only says of a given value whether it may be there',
  [MapType.UserRingbuf]: 'user space writes into it; there is nothing of the program in it',
};

/** What the words of these maps are ids of. */
const ids: Partial<Record<MapType, 'programs' | 'maps'>> = {
  [MapType.ProgArray]: 'programs',
  [MapType.ArrayOfMaps]: 'maps',
  [MapType.HashOfMaps]: 'maps',
};

const hex = (bytes: Uint8Array): string => {
  let text = '';
  for (const byte of bytes) text += byte.toString(16).padStart(2, '0');
  return text;
};

const sayErrno = ({ errno }: BpfError): string => `${errnoMessage(errno)} (${errnoName(errno)})`;

/** Reads a map. Whatever the kernel refuses to show is told in the contents; nothing is changed in the end. */
export async function readContents(side: Side, map: LoadedMap): Promise<Contents> {
  const reason = closed[map.spec.type];
  if (reason !== undefined) return { elements: new Map(), unreadable: reason };
  const elements = new Map<string, Element>();
  try {
    if (map.spec.type === MapType.Queue || map.spec.type === MapType.Stack) {
      for (const [i, value] of (await popAll(side, map)).entries())
        elements.set(String(i), { key: i, value });
      return { elements };
    }
    for await (const key of map.keysBytes()) {
      const value = await readValue(side, map, key);
      if (value !== undefined) elements.set(hex(key), { key, value });
    }
  } catch (error) {
    if (!(error instanceof BpfError)) throw error;
    return { elements, unreadable: `${error.command}: ${sayErrno(error)}` };
  }
  return { elements };
}

async function readValue(side: Side, map: LoadedMap, key: Uint8Array): Promise<Element['value'] | undefined> {
  let bytes: Uint8Array | undefined;
  try {
    bytes = await map.getBytes(key);
  } catch (error) {
    // The slots of some maps (xskmap, sockmap) can be asked for, but not read.
    if (error instanceof BpfError) return sayErrno(error);
    throw error;
  }
  if (bytes === undefined) return undefined;
  const kind = ids[map.spec.type];
  if (kind !== undefined) {
    const id = new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0, true);
    return side.names[kind].get(id) ?? (kind === 'programs' ? 'another program' : 'another map');
  }
  return map.perCpu ? ownSlotFirst(bytes, side.cpu, side.cpus) : bytes;
}

/** The slot of `cpu` to the front, the others behind it in their order. */
function ownSlotFirst(bytes: Uint8Array, cpu: number, cpus: number): Uint8Array {
  if (cpu === 0) return bytes;
  const stride = bytes.length / cpus;
  const ordered = new Uint8Array(bytes.length);
  slotOrder(cpu, cpus).forEach((from, to) => {
    ordered.set(bytes.subarray(from * stride, (from + 1) * stride), to * stride);
  });
  return ordered;
}

/** CPUs in the order in which their slots are compared. */
export const slotOrder = (cpu: number, cpus: number): number[] => [
  cpu,
  ...Array.from({ length: cpus }, (_, i) => i).filter((i) => i !== cpu),
];

const NO_KEY = new Uint8Array(0);

/** All elements of a queue or stack, the next one to be popped first. They are put back as they were. */
async function popAll({ kernel }: Side, map: LoadedMap): Promise<Uint8Array[]> {
  const values: Uint8Array[] = [];
  while (values.length < map.spec.maxEntries) {
    try {
      values.push(await kernel.mapLookupAndDeleteElem(map.fd, NO_KEY));
    } catch (error) {
      if (error instanceof BpfError && error.errno === Errno.ENOENT) break;
      throw error;
    }
  }
  const back = map.spec.type === MapType.Stack ? values.toReversed() : values;
  for (const value of back) await kernel.mapUpdateElem(map.fd, NO_KEY, value);
  return values;
}
