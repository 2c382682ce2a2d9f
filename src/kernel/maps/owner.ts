// What a map with programs in it asks of all of them, and of those that use it: the first decides (Linux:
// bpf_prog_map_compatible).

import { type AttachType, MapType, type ProgType } from '../../bpf/types.js';

/** What must be the same. */
export interface ProgramTraits {
  readonly type: ProgType;
  /** Compiled or interpreted. */
  readonly jited: boolean;
  /** It takes packets in fragments (BPF_F_XDP_HAS_FRAGS). */
  readonly fragments: boolean;
  readonly expectedAttachType: AttachType | 0;
  /** It is for one device; such a program cannot be in a map. */
  readonly bound: boolean;
}

export class Owner {
  readonly #mapType: MapType;
  #first: ProgramTraits | undefined;

  constructor(mapType: MapType) {
    this.#mapType = mapType;
  }

  /** Of the first program; undefined before it. */
  get traits(): ProgramTraits | undefined {
    return this.#first;
  }

  /** Why a program cannot be in this map, or use it; undefined when it can. */
  refuse(program: ProgramTraits): string | undefined {
    if (program.bound) return 'a program that is for one device can be nowhere else';
    this.#first ??= program;
    const { type, jited, fragments, expectedAttachType } = this.#first;
    if (program.type !== type) return 'its programs are of another type, and a jump stays within one type';
    if (program.jited !== jited) return `its programs are ${jited ? 'compiled' : 'interpreted'}`;
    if (program.fragments !== fragments) {
      return `its programs take ${fragments ? 'packets in fragments' : 'no fragments'}`;
    }
    if (this.#mapType === MapType.ProgArray && program.expectedAttachType !== expectedAttachType) {
      return 'its programs are for another attach type';
    }
    return undefined;
  }
}
