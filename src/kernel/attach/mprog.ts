// Many programs on one hook, in an order that those who attach decide (Linux: kernel/bpf/mprog.c).

import { BpfError, Errno } from '../../bpf/errno.js';
import { AttachFlag } from '../../bpf/types.js';
import type { Attached } from '../net/device.js';
import type { KernelProgram } from '../program.js';
import { KernelLink } from './link.js';

/** BPF_MPROG_MAX. */
const MOST = 64;

/** What an anchor stands for: nothing, a program, or a link with its program. */
export interface Relative {
  readonly program?: KernelProgram | undefined;
  readonly link?: KernelLink | undefined;
}

/** Where a program is to go or to be taken from. */
export interface Position {
  /** AttachFlag bits. */
  readonly flags: number;
  /** What the program stands before or behind; throws when there is no such thing. */
  relative(): Relative;
  /** 0 for any. */
  readonly expectedRevision: bigint;
}

const linkOf = (attached: Attached): KernelLink | undefined =>
  attached instanceof KernelLink ? attached : undefined;

export class Programs {
  /** In the order in which they run; the device's list. */
  readonly #list: Attached[];
  #revision = 1n;

  constructor(list: Attached[]) {
    this.#list = list;
  }

  get list(): readonly Attached[] {
    return this.#list;
  }

  /** Counts changes; an empty hook begins anew. */
  get revision(): bigint {
    return this.#revision;
  }

  #changed(): void {
    this.#revision = this.#list.length === 0 ? 1n : this.#revision + 1n;
  }

  /** Where exactly this attachment is. */
  #exact(command: string, program: KernelProgram | undefined, link: KernelLink | undefined): number {
    const at = this.#list.findIndex((attached) => attached.program === program);
    const found = this.#list[at];
    if (!found) throw new BpfError(command, Errno.ENOENT, 'this program is not there');
    if (linkOf(found) !== link) throw new BpfError(command, Errno.EBUSY, 'a link holds this program there');
    return at;
  }

  #find({ program, link }: Relative): number {
    return this.#list.findIndex(
      (attached) => attached.program === program && (!link || linkOf(attached) === link),
    );
  }

  /** The index that BEFORE and AFTER lead to: of the one before, or of the one behind; `known` is the only one that will do. */
  #around(command: string, flags: number, relative: Relative, known: number | undefined): number | undefined {
    const refuse = (errno: Errno, detail: string): never => {
      throw new BpfError(command, errno, detail);
    };
    let index = known;
    const settle = (found: number): void => {
      if (index !== undefined && index !== found) {
        refuse(Errno.ERANGE, 'the program is not where it is said to be');
      }
      index = found;
    };
    const at = this.#find(relative);
    if (at < 0 && relative.program && flags & (AttachFlag.Before | AttachFlag.After)) {
      refuse(Errno.ENOENT, 'the program that it is to stand beside is not there');
    }
    if (flags & AttachFlag.Before) settle(at < 0 ? -1 : at - 1);
    if (flags & AttachFlag.After) settle(at < 0 ? this.#list.length : at + 1);
    if (index === undefined && (relative.program || flags)) {
      refuse(Errno.EINVAL, 'neither before nor after is said');
    }
    return index;
  }

  #checkRevision(command: string, expected: bigint): void {
    if (expected === 0n || expected === this.#revision) return;
    throw new BpfError(command, Errno.ESTALE, `the revision is ${this.#revision}, not ${expected}`);
  }

  /** Puts a program there, or a link with its program; with AttachFlag.Replace in place of `replaced`. */
  attach(
    command: string,
    added: Attached,
    position: Position,
    replaced?: KernelProgram,
  ): Attached | undefined {
    const { flags, expectedRevision } = position;
    this.#checkRevision(command, expectedRevision);
    if (this.#list.some(({ program }) => program === added.program)) {
      throw new BpfError(command, Errno.EEXIST, `program ${added.program.id} is there already`);
    }
    const relative = position.relative();
    const replaces = (flags & AttachFlag.Replace) !== 0;
    const known = replaces ? this.#exact(command, replaced, linkOf(added)) : undefined;
    if (!replaces && this.#list.length === MOST) {
      throw new BpfError(command, Errno.ERANGE, `there are ${MOST} programs, and no more fit`);
    }
    const index = this.#around(command, flags, relative, known);
    if (replaces) {
      const [before] = this.#list.splice(index ?? 0, 1, added);
      this.#changed();
      return before;
    }
    const end = this.#list.length;
    const place = index ?? end;
    this.#list.splice(place !== end && flags & AttachFlag.Before ? place + 1 : place, 0, added);
    this.#changed();
    return undefined;
  }

  /** Takes away what is attached without a link: `program`, or what the position says, or the last. */
  detach(command: string, program: KernelProgram | undefined, position: Position): Attached {
    const { flags, expectedRevision } = position;
    if (this.#list.length === 0) throw new BpfError(command, Errno.ENOENT, 'there is no program');
    if (flags & AttachFlag.Replace) throw new BpfError(command, Errno.EINVAL, 'nothing takes its place');
    this.#checkRevision(command, expectedRevision);
    const relative = position.relative();
    const known = program ? this.#exact(command, program, undefined) : undefined;
    const index = this.#around(command, flags, relative, known) ?? this.#list.length;
    const at = Math.min(Math.max(index, 0), this.#list.length - 1);
    const found = this.#list[at] as Attached;
    if (linkOf(found)) throw new BpfError(command, Errno.EBUSY, `link ${linkOf(found)?.id} is there`);
    this.#list.splice(at, 1);
    this.#changed();
    return found;
  }

  /** Takes a link away. */
  release(link: KernelLink): void {
    const at = this.#list.indexOf(link);
    if (at < 0) return;
    this.#list.splice(at, 1);
    this.#changed();
  }

  /** A link's program has become another one. */
  updated(): void {
    this.#changed();
  }
}
