// Elements that packets are redirected to: a number (of a device, or the length of a CPU's queue) and a program that
// runs before or there. Linear memory has 8 bytes for each, the number and the program's id (runtime/maps/devmap.ts).

import { BpfError, Errno } from '../../bpf/errno.js';
import { type AttachType, ProgType } from '../../bpf/types.js';
import { Owner } from './owner.js';
import {
  type MapCaller,
  type ProgramReference,
  type References,
  type ReferringMap,
  u32At,
} from './references.js';

/** The runtime's functions that are used here. */
interface RedirectRuntime {
  redirect_map_may_update(map: number, key: number, flags: bigint): number;
  map_update_all(map: number, key: number, value: number, flags: bigint): number;
  map_lookup(map: number, key: number, cpu: number): number;
  map_delete(map: number, key: number): number;
}

/** Throws when there is nothing of number `target`, or not with a program (its descriptor, 0 for none) for key `key`. */
type CheckTarget = (key: number, target: number, program: number, command: string, by: MapCaller) => void;

export class RedirectElements implements References {
  readonly owner?: Owner;
  readonly #map: ReferringMap;
  readonly #runtime: RedirectRuntime;
  readonly #attachType: AttachType | 0;
  readonly #check: CheckTarget;
  readonly #noProgram: Errno | undefined;
  /** By key. */
  readonly #programs = new Map<number, ProgramReference>();
  /** Where a value lies for an update. */
  readonly #value: number;

  /**
   * `attachType` is what the programs of elements must be loaded for, 0 when there are none; `noProgram` what is answered
   * to any other descriptor in its place, if not what is wrong with it.
   */
  constructor(map: ReferringMap, attachType: AttachType | 0, check: CheckTarget, noProgram?: Errno) {
    this.#noProgram = noProgram;
    this.#map = map;
    this.#runtime = map.memory.runtime as unknown as RedirectRuntime;
    this.#attachType = attachType;
    if (attachType !== 0) this.owner = new Owner(map.type);
    this.#check = check;
    const value = map.memory.alloc(8);
    if (value === undefined) throw new BpfError('BPF_MAP_CREATE', Errno.ENOMEM);
    this.#value = value;
  }

  lookup(key: number): Uint8Array {
    const value = this.#runtime.map_lookup(this.#map.address, key, 0) >>> 0;
    if (!value) throw new BpfError('BPF_MAP_LOOKUP_ELEM', Errno.ENOENT);
    return this.#map.memory.read(value, this.#map.valueSize);
  }

  update(key: number, value: Uint8Array, flags: number, by: MapCaller): void {
    const command = 'BPF_MAP_UPDATE_ELEM';
    const { memory, address } = this.#map;
    this.#map.check(command, this.#runtime.redirect_map_may_update(address, key, BigInt(flags)));
    const index = memory.u32(key);
    const target = u32At(value);
    const fd = value.length === 8 ? u32At(value, 4) | 0 : 0;
    this.#check(index, target, fd, command, by);
    const program = target !== 0 && fd > 0 ? this.#program(fd, command, by) : undefined;
    memory.setU32(this.#value, target);
    memory.setU32(this.#value + 4, program?.id ?? 0);
    this.#map.check(command, this.#runtime.map_update_all(address, key, this.#value, BigInt(flags)));
    program?.retain();
    this.#replace(index, program);
  }

  #program(fd: number, command: string, by: MapCaller): ProgramReference {
    try {
      const program = by.program(fd, command);
      const { type, expectedAttachType } = program.traits;
      const fits = type === ProgType.Xdp && expectedAttachType === this.#attachType;
      const refusal = fits ? this.owner?.refuse(program.traits) : 'it was not loaded for maps of this type';
      if (refusal) throw new BpfError(command, Errno.EINVAL, `program ${program.id}: ${refusal}`);
      return program;
    } catch (error) {
      if (this.#noProgram === undefined || !(error instanceof BpfError)) throw error;
      throw new BpfError(command, this.#noProgram, error.message);
    }
  }

  #replace(key: number, program: ProgramReference | undefined): void {
    this.#programs.get(key)?.release();
    if (program) this.#programs.set(key, program);
    else this.#programs.delete(key);
  }

  delete(key: number): void {
    this.#map.check('BPF_MAP_DELETE_ELEM', this.#runtime.map_delete(this.#map.address, key));
    this.#replace(this.#map.memory.u32(key), undefined);
  }

  clear(): void {
    for (const program of this.#programs.values()) program.release();
    this.#programs.clear();
    this.#map.memory.free(this.#value);
  }
}
