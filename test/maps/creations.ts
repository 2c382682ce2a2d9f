// Right and wrong ways to create maps of the types that hold references or carry records: every size that is a
// boundary of one of them, and every flag.

import type { Fd, MapCreateAttr } from '../../src/bpf/bpf.js';
import { MapFlag, MapType } from '../../src/bpf/types.js';

export const types: readonly MapType[] = [
  MapType.PerfEventArray,
  MapType.ArrayOfMaps,
  MapType.HashOfMaps,
  MapType.Devmap,
  MapType.Cpumap,
  MapType.Xskmap,
  MapType.DevmapHash,
  MapType.Ringbuf,
  MapType.UserRingbuf,
];

/** Flags that need no argument of their own (BPF_F_TOKEN_FD and its neighbours do). */
const flags = [...Array(20).keys()].filter((bit) => bit < 13 || bit > 16).map((bit) => 2 ** bit);

/** `innerMapFd` is given to those that hold maps. */
export function* creationsOf(type: MapType, innerMapFd: Fd): Generator<MapCreateAttr> {
  const ring = type === MapType.Ringbuf || type === MapType.UserRingbuf;
  const usual: MapCreateAttr = ring
    ? { type, keySize: 0, valueSize: 0, maxEntries: 4096 }
    : { type, keySize: 4, valueSize: 4, maxEntries: 2 };
  if (type === MapType.ArrayOfMaps || type === MapType.HashOfMaps) usual.innerMapFd = innerMapFd;
  for (const keySize of [0, 1, 4, 8, 512, 513]) {
    for (const valueSize of [0, 1, 4, 8, 12, 16]) yield { ...usual, keySize, valueSize };
  }
  for (const maxEntries of [
    0, 1, 3, 64, 100, 128, 129, 256, 257, 512, 513, 1024, 1025, 2048, 4096, 4097, 8192, 12288, 65536,
  ]) {
    yield { ...usual, maxEntries };
  }
  yield { ...usual, maxEntries: 0xffffffff };
  for (const flag of flags) yield { ...usual, flags: flag };
  for (const both of [MapFlag.Rdonly | MapFlag.Wronly, MapFlag.RdonlyProg | MapFlag.WronlyProg]) {
    yield { ...usual, flags: both };
  }
  yield { ...usual, flags: MapFlag.NumaNode, numaNode: 4096 };
  yield { ...usual, mapExtra: 1n };
}
