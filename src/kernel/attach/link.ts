// Links: an attachment that lives as long as somebody holds it, by a descriptor or a pin (Linux: struct bpf_link).

import type { LinkInfo } from '../../bpf/bpf.js';
import { BpfError, Errno } from '../../bpf/errno.js';
import type { AttachType, LinkType } from '../../bpf/types.js';
import type { Objects } from '../objects.js';
import type { KernelProgram } from '../program.js';

/** Where a link hangs. */
export interface Hook {
  readonly type: LinkType;
  /** What `linkInfo` says beside the common fields, of a link that hangs here. */
  readonly info: object;
  /** The same of a link whose hook is gone. */
  readonly lostInfo: object;
  /** `program` takes the place of the link's. Throws what is wrong with it, and changes nothing then. */
  update(link: KernelLink, program: KernelProgram): void;
  /** Takes the link off. */
  release(link: KernelLink): void;
}

export class KernelLink {
  readonly id: number;
  readonly attachType: AttachType;
  readonly #objects: Objects;
  readonly #hook: Hook;
  #program: KernelProgram;
  #attached = true;

  /** The link holds the program. */
  constructor(objects: Objects, id: number, attachType: AttachType, program: KernelProgram, hook: Hook) {
    this.id = id;
    this.attachType = attachType;
    this.#objects = objects;
    this.#hook = hook;
    this.#program = objects.hold(program);
  }

  get program(): KernelProgram {
    return this.#program;
  }

  get info(): LinkInfo {
    const { type, info, lostInfo } = this.#hook;
    const rest = this.#attached ? info : lostInfo;
    return { type, id: this.id, progId: this.#program.id, ...rest } as LinkInfo;
  }

  /** BPF_LINK_UPDATE. EPERM when `expected` is not the present program, ENOLINK when the hook is gone. */
  update(program: KernelProgram, expected: KernelProgram | undefined): void {
    const command = 'BPF_LINK_UPDATE';
    if (!this.#attached)
      throw new BpfError(command, Errno.ENOLINK, `link ${this.id} hangs on nothing any more`);
    if (expected && expected !== this.#program) {
      throw new BpfError(command, Errno.EPERM, `link ${this.id} has program ${this.#program.id}`);
    }
    this.#hook.update(this, program);
    const before = this.#program;
    this.#program = this.#objects.hold(program);
    this.#objects.drop(before);
  }

  /** Ends the attachment; the link stays. */
  detach(): void {
    if (!this.#attached) return;
    this.#attached = false;
    this.#hook.release(this);
  }

  /** What the link hung on is gone. */
  lose(): void {
    this.#attached = false;
  }

  /** The last holder is gone. */
  destroy(): void {
    this.detach();
    this.#objects.drop(this.#program);
  }
}
