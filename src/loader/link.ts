// An attached program. Whichever way it was attached, the same can be done with it.

import { SkepError } from '../base/error.js';
import type { Bpf, Fd, LinkInfo, TcFilter } from '../bpf/bpf.js';
import { BpfError, Errno } from '../bpf/errno.js';

/** What can be put in the place of an attached program: a loaded program, for which only its descriptor matters. */
export interface Attachable {
  readonly name: string;
  readonly fd: Fd;
}

/**
 * A program on a hook. `detach` takes it away. `close`, and the end of a scope by `await using`, lets go of it: then it
 * is taken away too, unless it is pinned.
 */
export interface Link extends AsyncDisposable {
  /** Where the program is attached, for a person: `device 4, xdp`. */
  readonly where: string;
  /** The link's descriptor; undefined where the kernel attaches without a link (netlink, older perf events). */
  readonly fd: Fd | undefined;
  /** Ends the attachment, even when the link is pinned. Once is enough. */
  detach(): Promise<void>;
  /** Lets go of the link. Once is enough. */
  close(): Promise<void>;
  /** Puts another program in the place of this one, without a gap. Fails with a BpfError. */
  update(program: Attachable): Promise<void>;
  /** Gives the link a name in the bpf file system, so that it outlives this process. A SkepError without a link. */
  pin(path: string): Promise<void>;
  /** What the kernel says of it; a SkepError without a link. */
  info(): Promise<LinkInfo>;
}

/** What each kind of attachment does in its own way. */
abstract class Attachment implements Link {
  readonly where: string;
  abstract readonly fd: Fd | undefined;
  protected readonly kernel: Bpf;
  #ended = false;

  constructor(kernel: Bpf, where: string) {
    this.kernel = kernel;
    this.where = where;
  }

  protected abstract end(): Promise<void>;
  protected abstract letGo(): Promise<void>;
  abstract update(program: Attachable): Promise<void>;

  async detach(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    await this.end();
  }

  async close(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    await this.letGo();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async pin(path: string): Promise<void> {
    await this.kernel.objPin(this.#link('be pinned'), path);
  }

  async info(): Promise<LinkInfo> {
    return this.kernel.linkInfo(this.#link('say what it is'));
  }

  #link(what: string): Fd {
    if (this.#ended) throw new SkepError(`is detached and cannot ${what}`, { where: this.where });
    if (this.fd !== undefined) return this.fd;
    throw new SkepError(`is attached without a link and cannot ${what}`, {
      where: this.where,
      hint: 'A newer kernel attaches by links.',
    });
  }
}

/** A link of bpf(2). `held` are descriptors that it needs as long as it lives (a perf event). */
export class BpfLink extends Attachment {
  readonly fd: Fd;
  readonly #held: readonly Fd[];

  constructor(kernel: Bpf, where: string, fd: Fd, held: readonly Fd[] = []) {
    super(kernel, where);
    this.fd = fd;
    this.#held = held;
  }

  protected async end(): Promise<void> {
    try {
      await this.kernel.linkDetach(this.fd);
    } catch (error) {
      // Some types cannot: they end with their last descriptor.
      if (!(error instanceof BpfError && error.errno === Errno.EOPNOTSUPP)) throw error;
    } finally {
      await this.letGo();
    }
  }

  protected async letGo(): Promise<void> {
    for (const fd of [this.fd, ...this.#held]) await this.kernel.close(fd);
  }

  async update(program: Attachable): Promise<void> {
    await this.kernel.linkUpdate(this.fd, { newProg: program.fd });
  }
}

/** An XDP program that netlink has put on a device. */
export class XdpAttachment extends Attachment {
  readonly fd = undefined;
  readonly #ifindex: number;
  readonly #mode: number;
  #present: Fd;

  /** `mode` are the XdpFlag bits of the mode. The program's descriptor must stay open. */
  constructor(kernel: Bpf, where: string, ifindex: number, mode: number, present: Fd) {
    super(kernel, where);
    this.#ifindex = ifindex;
    this.#mode = mode;
    this.#present = present;
  }

  /** Only our own program: somebody may have put another in its place. */
  protected async end(): Promise<void> {
    await this.#set(null);
  }

  protected async letGo(): Promise<void> {
    await this.end();
  }

  async update(program: Attachable): Promise<void> {
    await this.#set(program.fd);
    this.#present = program.fd;
  }

  async #set(prog: Fd | null): Promise<void> {
    const [ifindex, flags] = [this.#ifindex, this.#mode];
    await this.kernel.xdpSet({ ifindex, prog, flags, expectedProg: this.#present });
  }
}

/** A filter of traffic control. */
export class TcAttachment extends Attachment {
  readonly fd = undefined;
  readonly filter: TcFilter;

  constructor(kernel: Bpf, where: string, filter: TcFilter) {
    super(kernel, where);
    this.filter = filter;
  }

  protected async end(): Promise<void> {
    await this.kernel.tcFilterDelete(this.filter);
  }

  protected async letGo(): Promise<void> {
    await this.end();
  }

  async update(program: Attachable): Promise<void> {
    const { ifindex, direction, priority, handle } = this.filter;
    const { name, fd: prog } = program;
    await this.kernel.tcFilterAdd({ ifindex, direction, priority, handle, prog, name, replace: true });
  }
}

/** A perf event that runs a program without a link; it ends with the event. */
export class PerfEventAttachment extends Attachment {
  readonly fd = undefined;
  readonly #event: Fd;

  constructor(kernel: Bpf, where: string, event: Fd) {
    super(kernel, where);
    this.#event = event;
  }

  protected async end(): Promise<void> {
    try {
      await this.kernel.perfEventDisable(this.#event);
    } finally {
      await this.kernel.close(this.#event);
    }
  }

  protected async letGo(): Promise<void> {
    await this.end();
  }

  async update(): Promise<void> {
    throw new SkepError('a perf event without a link keeps its program', {
      where: this.where,
      hint: 'Detach it and attach the other one.',
    });
  }
}
