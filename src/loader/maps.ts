// Creating the maps of a collection: sizes that depend on the machine, inner maps, contents of sections, and the
// slots that a definition fills in.

import { SkepError } from '../base/error.js';
import type { Bpf, Fd, MapCreateAttr } from '../bpf/bpf.js';
import { BpfError, Errno } from '../bpf/errno.js';
import { MapFlag, MapType } from '../bpf/types.js';
import type { CollectionSpec, MapSpec } from '../elf/spec.js';
import { type KernelFacts, kconfigContents } from './externs.js';
import { kernelMapName, pinName } from './names.js';

/** The page size that ring buffers are rounded to; BPF's other machines have 4096 or take it too. */
const PAGE = 4096;

/** Keeps track of descriptors, so that a load that fails leaves none behind. */
export type Track = (fd: Fd) => Fd;

/** A power-of-two multiple of the page size, as a ring buffer must be (libbpf's adjust_ringbuf_sz). */
export function ringbufSize(size: number): number {
  if (size === 0) return 0;
  for (let pages = PAGE; pages <= 0x8000_0000; pages *= 2) if (pages >= size) return pages;
  return size;
}

/** What making maps depends on beside the spec. */
export interface MapMaking {
  /** The object's name. */
  name: string;
  btfFd: Fd | undefined;
  facts: KernelFacts;
  /** Maps that are there already, by the spec's name. */
  present?: ReadonlyMap<string, Fd> | undefined;
  /** The device that they are offloaded to. */
  ifindex?: number | undefined;
  /** Where those are pinned that ask for it (LIBBPF_PIN_BY_NAME). */
  pinDirectory?: string | undefined;
}

/** Creates every map that is not there yet, in the order of the spec; descriptors of all by name. */
export async function createMaps(
  spec: CollectionSpec,
  kernel: Bpf,
  track: Track,
  options: MapMaking,
): Promise<Map<string, Fd>> {
  const fds = new Map<string, Fd>(options.present);
  const made: MapSpec[] = [];
  for (const map of spec.maps) {
    if (fds.has(map.name)) continue;
    try {
      const attr = await createAttr(map, kernel, options);
      const path = pinPath(map, options);
      const pinned = path === undefined ? undefined : await pinnedMap(kernel, path, attr);
      if (pinned !== undefined) {
        fds.set(map.name, track(pinned));
        continue;
      }
      const fd = track(await createMap(map, kernel, attr, options));
      fds.set(map.name, fd);
      made.push(map);
      await fillSection(spec, map, kernel, fd, options.facts);
      if (path !== undefined) await kernel.objPin(fd, path);
    } catch (cause) {
      throw explain(cause, map, 'could not be created');
    }
  }
  for (const map of made) await fillSlots(map, kernel, fds, 'map', fds);
  return fds;
}

/** LIBBPF_PIN_BY_NAME. */
const PIN_BY_NAME = 1;

function pinPath(map: MapSpec, { name, pinDirectory }: MapMaking): string | undefined {
  if (pinDirectory === undefined || map.pinning !== PIN_BY_NAME) return undefined;
  return `${pinDirectory}/${pinName(map, name)}`;
}

/** The map that an earlier load has pinned there; undefined when there is none. One of another shape is an error. */
async function pinnedMap(kernel: Bpf, path: string, attr: MapCreateAttr): Promise<Fd | undefined> {
  let fd: Fd;
  try {
    fd = await kernel.objGet(path);
  } catch (error) {
    if (error instanceof BpfError && error.errno === Errno.ENOENT) return undefined;
    throw error;
  }
  const info = await kernel.mapInfo(fd);
  // A devmap always says that programs may not write it.
  const devmap = attr.type === MapType.Devmap || attr.type === MapType.DevmapHash;
  const flags = devmap ? info.flags & ~MapFlag.RdonlyProg : info.flags;
  const same =
    info.type === attr.type &&
    info.keySize === attr.keySize &&
    info.valueSize === attr.valueSize &&
    info.maxEntries === attr.maxEntries &&
    flags === (attr.flags ?? 0) &&
    info.mapExtra === (attr.mapExtra ?? 0n);
  if (same) return fd;
  await kernel.close(fd);
  throw new SkepError(`couldn't reuse pinned map at '${path}': parameter mismatch`, {
    hint: 'Take the pin away, or define the map as the pinned one is.',
  });
}

function explain(cause: unknown, map: MapSpec, what: string): unknown {
  if (!(cause instanceof BpfError)) return cause;
  return new SkepError(`${what}: ${cause.message}`, { where: `map '${map.name}'`, cause });
}

async function createAttr(
  map: MapSpec,
  kernel: Bpf,
  { name, btfFd, ifindex }: MapMaking,
): Promise<MapCreateAttr> {
  const ring = map.type === MapType.Ringbuf || map.type === MapType.UserRingbuf;
  let maxEntries = ring ? ringbufSize(map.maxEntries) : map.maxEntries;
  if (map.type === MapType.PerfEventArray && maxEntries === 0) maxEntries = await kernel.possibleCpus();
  const valueless = map.type === MapType.PerfEventArray || map.type === MapType.CgroupArray;
  const valueTypeId = valueless ? 0 : map.valueTypeId;
  return {
    type: map.type,
    keySize: map.keySize,
    valueSize: map.valueSize,
    maxEntries,
    flags: map.flags,
    name: kernelMapName(map, name),
    // Perf events are the machine's, also for programs on a device.
    ...(ifindex === undefined || map.type === MapType.PerfEventArray ? {} : { ifindex }),
    ...(map.numaNode === undefined ? {} : { numaNode: map.numaNode }),
    ...(map.mapExtra === 0 ? {} : { mapExtra: BigInt(map.mapExtra) }),
    ...(btfFd === undefined || (map.keyTypeId === 0 && valueTypeId === 0)
      ? {}
      : { btfFd, btfKeyTypeId: map.keyTypeId, btfValueTypeId: valueTypeId }),
  };
}

async function createMap(map: MapSpec, kernel: Bpf, attr: MapCreateAttr, options: MapMaking): Promise<Fd> {
  if (map.innerMap === undefined) return createWithoutBtf(kernel, attr);
  const innerAttr = await createAttr(map.innerMap, kernel, options);
  const innerMapFd = await createWithoutBtf(kernel, innerAttr);
  try {
    return await createWithoutBtf(kernel, { ...attr, innerMapFd });
  } finally {
    await kernel.close(innerMapFd);
  }
}

/** With BTF where the kernel takes it for such a map, otherwise without; most map types know none. */
async function createWithoutBtf(kernel: Bpf, attr: MapCreateAttr): Promise<Fd> {
  if (attr.btfFd === undefined) return kernel.mapCreate(attr);
  try {
    return await kernel.mapCreate(attr);
  } catch (error) {
    if (!(error instanceof BpfError)) throw error;
    const { btfFd: _fd, btfKeyTypeId: _key, btfValueTypeId: _value, ...rest } = attr;
    return kernel.mapCreate(rest);
  }
}

async function fillSection(
  spec: CollectionSpec,
  map: MapSpec,
  kernel: Bpf,
  fd: Fd,
  facts: KernelFacts,
): Promise<void> {
  if (map.section === undefined) return;
  const { kind, contents } = map.section;
  const initial = kind === 'kconfig' ? kconfigContents(spec, contents, facts) : contents;
  await kernel.mapUpdateElem(fd, new Uint8Array(4), initial, 0);
  if (kind === 'rodata' || kind === 'kconfig') await kernel.mapFreeze(fd);
}

/** Puts descriptors of maps or programs into the slots that the definition names. */
export async function fillSlots(
  map: MapSpec,
  kernel: Bpf,
  fds: ReadonlyMap<string, Fd>,
  kind: 'map' | 'program',
  targets: ReadonlyMap<string, Fd>,
): Promise<void> {
  for (const slot of map.initialSlots ?? []) {
    if (slot.kind !== kind) continue;
    const target = targets.get(slot.name);
    const fd = fds.get(map.name);
    if (target === undefined || fd === undefined) {
      throw new SkepError(`slot ${slot.index} refers to ${kind} '${slot.name}', which is not loaded`, {
        where: `map '${map.name}'`,
      });
    }
    try {
      await kernel.mapUpdateElem(fd, u32(slot.index), u32(target), 0);
    } catch (cause) {
      throw explain(cause, map, `slot ${slot.index} could not be set to ${kind} '${slot.name}'`);
    }
  }
}

function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}
