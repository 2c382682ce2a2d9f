// Maps and variables of two kernels compared: element by element, variable by variable.

import { MapType } from '../bpf/types.js';
import type { Value } from '../btf/value.js';
import type { VariableSpec } from '../elf/spec.js';
import type { LoadedMap } from '../loader/map.js';
import { decodeVariable } from '../loader/variables.js';
import type { MapDifference, NotCompared, Seen } from './comparison.js';
import { type Contents, type Element, readContents, type Side, slotOrder } from './contents.js';
import type { Findings } from './findings.js';

/** Part of a value: from the first byte up to the last exclusively. */
type Range = readonly [from: number, to: number];

/** What has been compared so far. */
export interface Compared {
  maps: Map<string, number>;
  variables: Set<string>;
  notCompared: Map<string, NotCompared>;
}

const same = (a: Uint8Array, b: Uint8Array): boolean => {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
};

/** The bytes with those at `ranges` zeroed. */
function without(bytes: Uint8Array, ranges: readonly Range[]): Uint8Array {
  const rest = bytes.slice();
  for (const [from, to] of ranges) rest.fill(0, from, to);
  return rest;
}

/** Compares all maps of two collections, each time that it is asked to; tells of a difference when it is new. */
export class MapComparison {
  readonly compared: Compared = { maps: new Map(), variables: new Set(), notCompared: new Map() };
  readonly #left: Side;
  readonly #right: Side;
  readonly #findings: Findings;
  /** The last difference told of each place. */
  readonly #told = new Map<string, string>();

  constructor(left: Side, right: Side, findings: Findings) {
    this.#left = left;
    this.#right = right;
    this.#findings = findings;
  }

  /** Compares everything; `run` is the run after which this is, undefined at the end. */
  async compare(run: number | undefined): Promise<void> {
    for (const [name, left] of this.#left.collection.maps) {
      // What these hold is on its way through: records.ts.
      if (left.spec.type === MapType.Ringbuf || left.spec.type === MapType.PerfEventArray) continue;
      const right = this.#right.collection.map(name);
      const here = await readContents(this.#left, left);
      const there = await readContents(this.#right, right);
      if (here.unreadable !== undefined || there.unreadable !== undefined) {
        this.#unreadable(left, here, there, run);
        continue;
      }
      this.compared.maps.set(name, here.elements.size);
      if (left.spec.section === undefined) this.#elements(left, right, here, there, run);
      else this.#section(left, right, here, there, run);
    }
  }

  /** A map that neither kernel shows is not compared; one that only one of them shows is a difference. */
  #unreadable(map: LoadedMap, here: Contents, there: Contents, run: number | undefined): void {
    if (here.unreadable === there.unreadable && here.unreadable !== undefined) {
      const what = `map '${map.name}'`;
      this.compared.notCompared.set(what, { what, reason: here.unreadable });
      return;
    }
    const say = ({ unreadable, elements }: Contents): string => unreadable ?? `${elements.size} elements`;
    this.#tell(map.name, { what: 'map', map: map.name, left: say(here), right: say(there) }, run);
  }

  #elements(left: LoadedMap, right: LoadedMap, here: Contents, there: Contents, run: number | undefined) {
    const keys = new Set([...here.elements.keys(), ...there.elements.keys()]);
    for (const id of keys) {
      const a = here.elements.get(id);
      const b = there.elements.get(id);
      const place = `${left.name} ${id}`;
      const seen = (): MapDifference => ({
        what: 'map',
        map: left.name,
        key: keyOf(left, (a ?? b)?.key ?? 0),
        left: a && decoded(left, this.#left, a),
        right: b && decoded(right, this.#right, b),
      });
      if (!a || !b) this.#tell(place, seen(), run);
      else if (left.perCpu && a.value instanceof Uint8Array && b.value instanceof Uint8Array)
        this.#slots(place, left, [a.value, b.value], seen, run);
      else this.#value(place, left, a.value, b.value, seen, run);
    }
  }

  /** A per-CPU value, slot by slot: what lies between them is padding. */
  #slots(
    place: string,
    map: LoadedMap,
    [a, b]: [Uint8Array, Uint8Array],
    seen: () => MapDifference,
    run: number | undefined,
  ): void {
    const { cpu: own, cpus } = this.#left;
    const { valueSize } = map.spec;
    const stride = a.length / cpus;
    slotOrder(own, cpus).forEach((cpu, i) => {
      const part = (bytes: Uint8Array) => bytes.subarray(i * stride, i * stride + valueSize);
      const difference = (): MapDifference => {
        const { left, right, ...rest } = seen();
        return { ...rest, cpu, left: slotOf(left, i), right: slotOf(right, i) };
      };
      this.#value(`${place} ${cpu}`, map, part(a), part(b), difference, run);
    });
  }

  #value(
    place: string,
    map: LoadedMap,
    a: Element['value'],
    b: Element['value'],
    seen: () => MapDifference,
    run: number | undefined,
  ): void {
    if (typeof a === 'string' || typeof b === 'string') {
      if (a !== b) this.#tell(place, seen(), run);
      else this.#told.delete(place);
      return;
    }
    if (same(a, b)) {
      this.#told.delete(place);
      return;
    }
    const free = this.#findings.freeBytes(map.name);
    if (free.length > 0 && same(without(a, free), without(b, free))) {
      this.#findings.addFree(map.name, seen());
    } else {
      this.#tell(place, seen(), run);
    }
  }

  /** The map of a section: its variables by name, and the bytes between them. */
  #section(left: LoadedMap, right: LoadedMap, here: Contents, there: Contents, run: number | undefined) {
    const bytes = ({ elements }: Contents): Uint8Array => {
      const value = [...elements.values()][0]?.value;
      return value instanceof Uint8Array ? value : new Uint8Array(0);
    };
    const [a, b] = [bytes(here), bytes(there)];
    const own = this.#left.collection.spec.variables.filter(({ map }) => map === left.name);
    for (const variable of own) {
      this.compared.variables.add(variable.name);
      this.#variable(variable, a, b, run);
    }
    const ranges = own.map(({ offset, size }): Range => [offset, offset + size]);
    const [restA, restB] = [without(a, ranges), without(b, ranges)];
    this.#value(left.name, right, restA, restB, () => this.#between(left, restA, restB), run);
  }

  #between(map: LoadedMap, left: Uint8Array, right: Uint8Array): MapDifference {
    return { what: 'map', map: map.name, left, right };
  }

  #variable(variable: VariableSpec, a: Uint8Array, b: Uint8Array, run: number | undefined): void {
    const { name, map: section, offset, size } = variable;
    const place = `${section}+${offset}`;
    const part = (bytes: Uint8Array) => bytes.subarray(offset, offset + size);
    if (same(part(a), part(b))) {
      this.#told.delete(place);
      return;
    }
    const { btf } = this.#left.collection.spec;
    const value = (bytes: Uint8Array): Value | undefined =>
      bytes.length < offset + size ? undefined : decodeVariable(btf, variable, bytes);
    const difference = {
      what: 'variable',
      variable: name,
      section,
      left: value(a),
      right: value(b),
    } as const;
    if (this.#isNew(place, difference)) this.#findings.add(withRun(difference, run));
  }

  #tell(place: string, difference: MapDifference, run: number | undefined): void {
    if (this.#isNew(place, difference)) this.#findings.add(withRun(difference, run));
  }

  /** A difference that stays as it is is told once. */
  #isNew(place: string, { left, right }: Seen): boolean {
    const now = fingerprint([left, right]);
    if (this.#told.get(place) === now) return false;
    this.#told.set(place, now);
    return true;
  }
}

const fingerprint = (value: unknown): string =>
  JSON.stringify(value, (_name, part: unknown) => {
    if (typeof part === 'bigint') return `${part}n`;
    if (part instanceof Uint8Array) return Array.from(part);
    return part === undefined ? 'undefined' : part;
  });

const withRun = <T extends object>(difference: T, run: number | undefined): T =>
  run === undefined ? difference : { ...difference, run };

/** An index is a number also where the definition of the map has only its size. */
function keyOf(map: LoadedMap, key: Uint8Array | number): Value {
  if (typeof key === 'number') return key;
  const { keyTypeId, keySize, type } = map.spec;
  const indexed = type !== MapType.Hash && type !== MapType.LpmTrie;
  if (keyTypeId === 0 && keySize === 4 && indexed)
    return new DataView(key.buffer, key.byteOffset, 4).getUint32(0, true);
  return map.decodeKey(key);
}

/** A value as its type says; of a per-CPU map an array in the order of comparison. */
function decoded(map: LoadedMap, side: Side, { value }: Element): Value {
  if (typeof value === 'string') return value;
  if (map.perCpu && value.length !== side.cpus * Math.ceil(map.spec.valueSize / 8) * 8) return value;
  return map.decodeValue(value);
}

const slotOf = (value: Value | undefined, i: number): Value | undefined =>
  Array.isArray(value) ? (value as readonly Value[])[i] : value;
