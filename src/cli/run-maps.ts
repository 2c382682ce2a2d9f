// The maps and variables of a loaded collection, read for the report.

import { SkepError } from '../base/error.js';
import { BpfError } from '../bpf/errno.js';
import { MapType, mapTypeName } from '../bpf/types.js';
import type { Value } from '../btf/value.js';
import type { Collection } from '../loader/collection.js';
import type { LoadedMap } from '../loader/map.js';
import type { Received, Records } from './run-records.js';
import type { MapReport, RunReport } from './run-report.js';
import { declarationText } from './values.js';

/** Entries that are kept of one map unless all are asked for. */
export const MAX_ENTRIES = 20;

const isZero = (bytes: Uint8Array): boolean => bytes.every((byte) => byte === 0);

/** Arrays have all their entries always; those that hold only zeros say nothing. */
const isArray = (type: MapType): boolean => type === MapType.Array || type === MapType.PercpuArray;

const firstWord = (bytes: Uint8Array): number =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(0, true);

/** Reads all maps and variables; of each map at most `limit` entries (of an array: that are not zero). */
export async function readMaps(
  collection: Collection,
  limit: number,
  records: Records,
): Promise<Pick<RunReport, 'maps' | 'variables'>> {
  const maps: MapReport[] = [];
  const programs = new Map<number, string>();
  for (const program of collection.programs.values()) programs.set((await program.info()).id, program.name);
  for (const map of collection.maps.values()) {
    if (map.spec.section === undefined) maps.push(await readMap(map, limit, programs, records.get(map.name)));
  }
  return { maps, variables: await readVariables(collection) };
}

/** Elements with their keys. Queues and stacks have none: their values are numbered, and taken out. */
async function* elementsOf(map: LoadedMap): AsyncGenerator<[key: Uint8Array | number, value: Uint8Array]> {
  const { type } = map.spec;
  if (type === MapType.BloomFilter) {
    throw new SkepError(
      'a Bloom filter cannot be listed: it only says of a given value whether it may be there',
    );
  }
  if (type === MapType.UserRingbuf) {
    throw new SkepError('a user ring buffer holds what user space sends, and nothing was sent');
  }
  if (type !== MapType.Queue && type !== MapType.Stack) {
    yield* map.entriesBytes();
    return;
  }
  for (let number = 0; ; number++) {
    const value = await map.popBytes();
    if (value === undefined) return;
    yield [number, value];
  }
}

async function readMap(
  map: LoadedMap,
  limit: number,
  programs: Map<number, string>,
  received: Received | undefined,
): Promise<MapReport> {
  const { type, maxEntries, keySize, valueSize } = map.spec;
  const report: MapReport = {
    name: map.name,
    type: mapTypeName(type) ?? String(type),
    maxEntries,
    keySize,
    valueSize,
    perCpu: map.perCpu,
    count: 0,
    zeros: 0,
    entries: [],
  };
  if (received) {
    const entries = received.kept.map((value, key) => ({ key, value }));
    const lost = received.lost > 0 ? { lost: received.lost } : {};
    return { ...report, count: received.count, entries, records: true, ...lost };
  }
  try {
    for await (const [key, value] of elementsOf(map)) {
      report.count++;
      if (isArray(type) && limit !== Number.POSITIVE_INFINITY && isZero(value)) report.zeros++;
      else if (report.entries.length < limit) {
        const program = type === MapType.ProgArray ? programs.get(firstWord(value)) : undefined;
        report.entries.push({
          key: typeof key === 'number' ? key : keyValue(map, key),
          value: program ?? map.decodeValue(value),
        });
      }
    }
  } catch (error) {
    if (!(error instanceof BpfError || error instanceof SkepError)) throw error;
    report.error = error.message;
  }
  return report;
}

/** An index is a number also where the definition of the map has only its size. */
function keyValue(map: LoadedMap, key: Uint8Array): Value {
  const { type, keyTypeId, keySize } = map.spec;
  if (keyTypeId === 0 && keySize === 4 && (isArray(type) || type === MapType.ProgArray)) {
    return firstWord(key);
  }
  return map.decodeKey(key);
}

async function readVariables({ spec, maps, variables }: Collection): Promise<RunReport['variables']> {
  const result: RunReport['variables'] = [];
  const { btf } = spec;
  for (const variable of spec.variables) {
    // Twice the same name: static variables of different functions. The loader cannot tell them apart.
    if (spec.variables.filter(({ name }) => name === variable.name).length > 1) continue;
    if (maps.get(variable.map) === undefined) continue;
    const typed = btf !== undefined && variable.typeId !== 0;
    result.push({
      name: variable.name,
      section: variable.map,
      ...(typed ? { type: declarationText(btf, variable.typeId) } : {}),
      value: await variables.get(variable.name),
    });
  }
  return result;
}
